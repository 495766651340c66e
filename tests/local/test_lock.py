from __future__ import annotations

import threading
from pathlib import Path

from victor.local.lock import exclusive


def test_a_free_lock_is_taken_without_waiting_and_can_be_taken_again(tmp_path: Path) -> None:
    waits: list[str] = []
    for _ in range(2):
        with exclusive(tmp_path / "lock", lambda: waits.append("waited")):
            assert (tmp_path / "lock").exists()
    assert waits == []


def test_threads_take_turns(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        for _ in range(3):
            with exclusive(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1] * 9


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    waits: list[str] = []
    try:
        with exclusive(tmp_path / "lock"):
            raise RuntimeError
    except RuntimeError:
        pass
    with exclusive(tmp_path / "lock", lambda: waits.append("waited")):
        assert waits == []

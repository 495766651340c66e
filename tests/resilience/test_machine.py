from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from victor.resilience import machine
from victor.resilience.machine import boot_id, is_gone, new_owner

ASLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def _owner(*, namespace: str | None = None, pid: int, start: str) -> str:
    return f"{namespace or machine._namespace()} {pid} {start} 0a1b2c3d"


@on_linux
def test_a_boot_has_one_id_for_all_processes() -> None:
    command = "from victor.resilience.machine import boot_id; print(boot_id())"
    told = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, check=True, text=True
    )
    assert told.stdout.strip() == boot_id() != ""


@pytest.mark.skipif(sys.platform == "darwin", reason="asks the system there")
@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe"], ids=["missing", "empty", "no_text"])
def test_without_the_kernels_word_a_boot_is_when_it_began(
    content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "boot_id"
    if content is not None:
        path.write_bytes(content)

    def at(wall: float, clock: float) -> str:
        return boot_id(path, wall=lambda: wall, clock=lambda: clock)

    assert at(1_000_000, 400) == at(1_000_900, 1300.2) == "minute 16660"
    assert at(1_000_000, 400) != at(1_000_000, 4000)


def test_a_process_knows_itself_to_be_alive() -> None:
    owner = new_owner()
    assert not is_gone(owner)
    assert owner != new_owner()


@on_linux
def test_a_killed_process_is_gone_even_before_it_is_buried() -> None:
    process = subprocess.Popen(ASLEEP)
    try:
        start = machine._start_of(process.pid)
        owner = _owner(pid=process.pid, start=str(start))
        assert not is_gone(owner)
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(owner)
    finally:
        process.kill()
        process.wait()
    assert is_gone(owner)


@on_linux
def test_a_process_that_got_the_number_of_a_dead_one_is_another() -> None:
    assert is_gone(_owner(pid=os.getpid(), start="1"))


@pytest.mark.skipif(sys.platform == "win32", reason="leases alone count there")
def test_where_the_system_does_not_tell_the_start_the_number_decides() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert is_gone(_owner(pid=process.pid, start="-"))
    assert not is_gone(_owner(pid=os.getpid(), start="-"))
    assert not is_gone(_owner(pid=2**70, start="-"))


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param("", id="nobody"),
        pytest.param("somebody", id="not_ours"),
        pytest.param("pid:[1] x 1 0a1b2c3d", id="no_number"),
        pytest.param(_owner(namespace="pid:[1]", pid=2**22, start="1"), id="another_container"),
    ],
)
def test_nothing_is_certain_about_who_cannot_be_seen(owner: str) -> None:
    assert not is_gone(owner)


def test_without_proc_a_process_still_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_PROCESSES", tmp_path)
    owner = new_owner()
    assert owner.split(" ")[:3] == ["-", str(os.getpid()), "-"]
    assert not is_gone(owner)

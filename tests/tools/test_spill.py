from __future__ import annotations

import gc
import os
import time
from pathlib import Path

import pytest

from victor.tools.base import ToolContext, ToolError
from victor.tools.context import Memory
from victor.tools.read import read
from victor.tools.spill import Spill, spilled


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "victor"


LONG = "".join(f"line {number}\n" for number in range(20_000))


def test_short_result_stays_as_it_is(state: Path) -> None:
    assert spilled("x" * 50_000, Memory(), readable=True) == "x" * 50_000
    assert not state.exists()


async def test_long_result_is_kept_whole_and_can_be_paged(state: Path, workspace: Path) -> None:
    context = ToolContext(workspace)
    text = spilled(LONG, context.memory, readable=True)
    assert len(text) < 31_000
    assert text.startswith("line 0\n")
    assert text.endswith("line 19999\n")
    assert f"[... {len(LONG) - 30_000:,} of {len(LONG):,} characters left out; all of it" in text
    assert "'output:1': read or grep that path" in text
    page = await read.run({"path": "output:1", "offset": 12_345, "limit": 2}, context)
    assert page.content.startswith("12345\tline 12344\n12346\tline 12345\n[lines 12,345-12,346")


async def test_long_lines_are_folded_so_that_nothing_is_lost(state: Path, workspace: Path) -> None:
    context = ToolContext(workspace)
    spilled("ä" * 60_001, context.memory, readable=True)
    shown = (await read.run({"path": "output:1", "offset": 31}, context)).content
    assert shown == "31\t" + "ä"


def test_kept_files_are_private_and_go_with_the_conversation(state: Path) -> None:
    memory = Memory()
    spilled(LONG, memory, readable=True)
    (folder,) = (state / "outputs").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "1").stat().st_mode & 0o777 == 0o600
    del memory
    gc.collect()
    assert list((state / "outputs").iterdir()) == []


async def test_closing_removes_the_files(state: Path) -> None:
    memory = Memory()
    spilled(LONG, memory, readable=True)
    await memory.aclose()
    await Spill().aclose()
    assert list((state / "outputs").iterdir()) == []


def test_files_of_processes_that_were_killed_are_removed_later(state: Path) -> None:
    for name, age_s in [("old", 8 * 24 * 3600), ("new", 60)]:
        (state / "outputs" / name).mkdir(parents=True)
        when = time.time() - age_s
        os.utime(state / "outputs" / name, (when, when))
    spill = Spill()
    spill.keep("x")
    assert {path.name for path in (state / "outputs").iterdir()} > {"new"}
    assert not (state / "outputs" / "old").exists()


def test_nothing_is_kept_that_no_tool_could_read(state: Path) -> None:
    text = spilled(LONG, Memory(), readable=False)
    assert "characters left out; the rest was not kept: no tool could read it ...]" in text
    assert not state.exists()


def test_full_disk_is_said(state: Path) -> None:
    state.parent.mkdir()
    state.write_text("in the way")
    text = spilled(LONG, Memory(), readable=True)
    assert "the rest could not be kept: " in text


def test_one_conversation_cannot_fill_the_disk(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.tools.spill._MOST_BYTES", 10)
    spill = Spill()
    spill.keep("123456")
    with pytest.raises(OSError, match="are kept already"):
        spill.keep("123456")


@pytest.mark.parametrize("name", ["output:2", "output:../1", "output:", "output:1/../1"])
def test_only_names_that_were_given_can_be_read(state: Path, name: str) -> None:
    spill = Spill()
    assert spill.keep("x") == "output:1"
    assert spill.names(name)
    with pytest.raises(ToolError, match="there is no"):
        spill.open(name)
    with pytest.raises(ToolError, match="there is no"):
        Spill().open("output:1")

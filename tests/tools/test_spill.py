from __future__ import annotations

import asyncio
import gc
import os
import resource
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from victor.tools.base import ToolContext, ToolError
from victor.tools.context import Memory
from victor.tools.read import read
from victor.tools.spill import Spill, spilled
from victor.tools.text import FULL


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
    Spill().new()
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


def kept(spill: Spill, *pieces: bytes) -> str:
    one = spill.new()
    for piece in pieces:
        one.write(piece)
    one.finish()
    with spill.open(one.name) as file:
        return file.read().decode()


@pytest.mark.parametrize(
    ("pieces", "content"),
    [
        pytest.param([b"a\r", b"\nb\rc\n"], "a\nb\nc\n", id="ends-of-lines"),
        pytest.param([b"\xe2\x82", b"\xac"], "\N{EURO SIGN}", id="character-cut-in-two"),
        pytest.param([b"\xff\xfe\xe2\x82"], "\ufffd\ufffd\ufffd", id="not-text"),
        pytest.param([b"a\0b\x1b[1m"], "a\N{SYMBOL FOR NULL}b\x1b[1m", id="nul-and-escape"),
        pytest.param([b"x" * 2_000, b"\n", b"x"], "x" * 2_000 + "\nx", id="just-short-enough"),
        pytest.param([b"x" * 1_999, b"xyz"], "x" * 2_000 + "\nyz", id="folded-over-a-border"),
        pytest.param([b"x" * 4_001], ("x" * 2_000 + "\n") * 2 + "x", id="folded"),
        pytest.param([], "", id="nothing"),
    ],
)
def test_output_is_text_in_short_lines(state: Path, pieces: list[bytes], content: str) -> None:
    assert kept(Spill(), *pieces) == content


@given(
    text=st.text(st.characters(codec="utf-8") | st.sampled_from("\r\n\0"), max_size=300),
    cuts=st.lists(st.integers(0, 900), max_size=5),
    width=st.integers(1, 9),
)
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_pieces_of_an_output_do_not_show(
    state: Path, text: str, cuts: list[int], width: int
) -> None:
    content = text.encode()
    borders = [0, *sorted(cuts), len(content)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("victor.tools.spill.FULL", replace(FULL, line_characters=width))
        found = kept(Spill(), *(content[a:b] for a, b in pairwise(borders)))
        assert found == kept(Spill(), content)
    assert all(len(line) <= width for line in found.split("\n"))
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{SYMBOL FOR NULL}")
    assert found.replace("\n", "") == plain.replace("\n", "")


def test_one_output_has_a_cap_and_what_is_lost_is_counted(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.tools.spill._MOST_EACH", 600_000)
    memory = Memory()
    text = spilled("ä" * 2**20, memory, readable=True)
    assert (
        "1,018,576 of 1,048,576 characters left out; the first 262,144 are in 'output:1': read or "
        "grep that path; 786,432 after them were not kept, as one output may take 0 MiB ..."
    ) in text
    with memory.of(Spill).open("output:1") as file:
        assert file.read().decode().replace("\n", "") == "ä" * 262_144


def test_one_conversation_cannot_fill_the_disk(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.tools.spill._MOST_BYTES", 10)
    spill = Spill()
    first = spill.new()
    first.write(b"123456")
    with pytest.raises(OSError, match="are kept already"):
        spill.new().write(b"123456")
    spill.drop(first)
    spill.drop(first)
    spill.new().write(b"123456")


def test_disk_that_fills_up_meanwhile_keeps_what_is_there(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill = Spill()
    one = spill.new()
    one.write(b"first")
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, most))
    try:
        with pytest.raises(OSError, match="too large"):
            one.write(b"x" * 200)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
    with spill.open(one.name) as file:
        assert file.read() == b"first"
    assert one.taken == 5


def test_nothing_is_kept_after_the_end(state: Path) -> None:
    spill = Spill()
    asyncio.run(spill.aclose())
    with pytest.raises(OSError, match="the conversation is over"):
        spill.new()
    assert not state.exists()


def test_names_are_taken_back_from_a_model_that_cannot_read_them(state: Path) -> None:
    memory = Memory()
    text = spilled(LONG, memory, readable=True)
    assert "'output:1'" in text
    text = spilled(text, memory, readable=False)
    assert "output:1" not in text
    assert "characters left out; the rest was not kept: no tool could read it ...]" in text
    assert [list(folder.iterdir()) for folder in (state / "outputs").iterdir()] == [[]]


@pytest.mark.parametrize("name", ["output:2", "output:../1", "output:", "output:1/../1", "1"])
def test_only_names_that_were_given_can_be_read(state: Path, name: str) -> None:
    spill = Spill()
    assert spill.new().name == "output:1"
    with pytest.raises(ToolError, match="there is no"):
        spill.open(name)
    with pytest.raises(ToolError, match="there is no"):
        Spill().open("output:1")


def test_kept_output_is_paged_without_being_read_whole(state: Path) -> None:
    spill = Spill()
    one = spill.new()
    one.write("".join(f"ä{number}\n" for number in range(1, 3_001)).encode() + b"last")
    assert spill.page(one.name, offset=2_999) == "2999\tä2999\n3000\tä3000\n3001\tlast"
    page = spill.page(one.name, offset=2, limit=2)
    assert page == "2\tä2\n3\tä3\n[lines 2-3 of 3,001; read on with offset=4]"
    assert spill.page(one.name).endswith("[lines 1-1,000 of 3,001; read on with offset=1001]")
    with pytest.raises(ToolError, match="'output:1' ends at line 3,001"):
        spill.page(one.name, offset=3_002)


def test_page_of_long_lines_ends_where_there_is_no_room(state: Path) -> None:
    spill = Spill()
    one = spill.new()
    one.write(b"x" * 200_000)
    assert spill.page(one.name).endswith("\n[lines 1-19 of 100; read on with offset=20]")

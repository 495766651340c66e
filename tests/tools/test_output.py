from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from victor.tools.output import Output, follow
from victor.tools.spill import Spill


@pytest.fixture
def spill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spill:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Spill()


def whole(spill: Spill, name: str = "output:1") -> bytes:
    with spill.open(name) as file:
        return file.read()


def files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()]


async def test_short_output_needs_no_file(spill: Spill, tmp_path: Path) -> None:
    output = Output(spill)
    for piece in (b"\xe2\x82", b"\xac" * 1, b"x" * 29_997):
        await output.take(piece)
    assert await output.text() == "\N{EURO SIGN}" + "x" * 29_997
    assert files(tmp_path) == []


async def test_long_output_is_written_as_it_comes(spill: Spill) -> None:
    output = Output(spill)
    piece = b"".join(b"%07d\n" % at for at in range(8_000))
    for _ in range(20):
        await output.take(piece)
    assert len(whole(spill)) > 1_000_000
    text = await output.text()
    assert text.startswith("0000000\n")
    assert text.endswith("0007999\n")
    assert "\n[... 1,250,000 of 1,280,000 bytes left out; all of it is in 'output:1'" in text
    assert whole(spill) == piece * 20


async def test_past_the_cap_it_is_said_how_much_was_not_kept(
    spill: Spill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.tools.spill._MOST_EACH", 2**20)
    output = Output(spill)
    for _ in range(40):
        await output.take(b"x" * 65_535 + b"\n")
    await output.take(b"the end")
    text = await output.text()
    kept = whole(spill).replace(b"\n", b"")
    assert (
        "the first 786,432 are in 'output:1': read or grep that path; 1,835,015 after them were "
        "not kept, as one output may take 1 MiB ...]"
    ) in text
    assert len(kept) == 12 * 65_535
    assert text.endswith("the end")


async def test_output_that_cannot_be_kept_is_shown_in_part(tmp_path: Path, spill: Spill) -> None:
    (tmp_path / "state").touch()
    output = Output(spill)
    await output.take(b"x" * 300_000)
    await output.take(b"x" * 300_000)
    assert "; the rest could not be kept: [Errno 20]" in await output.text()


@pytest.mark.parametrize("size", [10, 40_000, 400_000])
async def test_output_that_nobody_will_ask_for_leaves_nothing(
    spill: Spill, tmp_path: Path, size: int
) -> None:
    output = Output(spill)
    await output.take(b"x" * size)
    await output.drop()
    await Output(None).drop()
    assert files(tmp_path) == []


async def test_writing_goes_on_when_whoever_waits_for_it_is_cancelled(spill: Spill) -> None:
    output = Output(spill)
    taking = asyncio.create_task(output.take(b"x\n" * 200_000))
    await asyncio.sleep(0)
    taking.cancel()
    await asyncio.wait([taking])
    assert taking.cancelled()
    assert "all of it is in 'output:1'" in await output.text()
    assert whole(spill) == b"x\n" * 200_000


async def test_pipe_is_followed_to_its_end_and_closed() -> None:
    reader, writer = os.pipe()
    pieces: list[bytes] = []

    async def take(piece: bytes) -> None:
        pieces.append(piece)
        if len(pieces) == 1:
            os.write(writer, b"b")
            os.close(writer)

    os.write(writer, b"a")
    await asyncio.wait_for(follow(reader, take), 10)
    assert pieces == [b"a", b"b"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reader)


async def test_terminal_that_nobody_holds_any_more_is_an_end() -> None:
    ours, theirs = os.openpty()
    os.write(theirs, b"x")
    os.close(theirs)
    output = Output(None)
    await asyncio.wait_for(follow(ours, output.take), 10)
    assert await output.text() == "x"


async def test_pipe_that_is_read_by_somebody_else_meanwhile_is_waited_for() -> None:
    reader, writer = os.pipe()
    output = Output(None)
    following = asyncio.create_task(follow(os.dup(reader), output.take))
    for _ in range(50):
        os.write(writer, b"x")
        await asyncio.sleep(0)
        with contextlib.suppress(BlockingIOError):
            os.read(reader, 1)
        await asyncio.sleep(0)
        if output.total:
            break
    os.close(writer)
    os.close(reader)
    await asyncio.wait_for(following, 10)

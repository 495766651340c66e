from __future__ import annotations

import asyncio
import io
from collections.abc import Callable

import pytest

from victor.agent.events import AgentEvent, TextDelta, ToolFinished, ToolProgress, ToolStarted
from victor.cli.render import Renderer
from victor.cli.stopwatch import Stopwatch
from victor.testing.virtual import run_virtual
from victor.types import ToolCall

MAKE = ToolCall(id="1", name="shell", arguments={"command": "make"})
OTHER = ToolCall(id="2", name="read", arguments={"path": "a"})


def _screen(*steps: AgentEvent | float, live: bool = True) -> str:
    """Return what a terminal would show: what is written over is gone."""
    screen = io.StringIO()

    async def main() -> None:
        renderer = Renderer(answer=screen, notes=screen, live=live)
        for step in steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            else:
                renderer.show(step)
        renderer.end_line()
        await asyncio.sleep(10)

    run_virtual(main())
    return "\n".join(_drawn(line) for line in screen.getvalue().split("\n"))


def _drawn(line: str) -> str:
    cells: list[str] = []
    for piece in line.split("\r"):
        cells[: len(piece)] = piece
    return "".join(cells).rstrip()


def _finished(call: ToolCall = MAKE, content: str = "") -> ToolFinished:
    return ToolFinished(call, content, content.startswith("Error"), 3.0)


@pytest.mark.parametrize(
    ("steps", "shown"),
    [
        ((ToolStarted(MAKE), 0.5), "● shell make"),
        ((ToolStarted(MAKE), 2.5), "● shell make · 2 s"),
        (
            (ToolStarted(MAKE), 2.5, ToolProgress(MAKE, "cc\x1b[2J\n a.c")),
            "● shell make · 2 s · cc a.c",
        ),
        ((ToolStarted(MAKE), 2.5, ToolProgress(OTHER, "no")), "● shell make · 2 s"),
        ((ToolStarted(MAKE), 3.0, _finished()), "● shell make (3.00 s)"),
        ((ToolStarted(MAKE), ToolProgress(MAKE, "cc"), 0.2, _finished()), "● shell make (3.00 s)"),
        (
            (ToolStarted(MAKE), 3.0, _finished(content="Error: no")),
            "✗ shell make (3.00 s): no",
        ),
        (
            (ToolStarted(OTHER), ToolStarted(MAKE), 2.0, _finished(OTHER), _finished()),
            "● read a (3.00 s)\n● shell make (3.00 s)",
        ),
        ((ToolStarted(MAKE), 2.5, TextDelta("so")), "● shell make · 2 s\nso"),
    ],
    ids=["short", "ticks", "words", "other", "over", "quick", "failed", "beside", "broken"],
)
def test_a_running_call_shows_its_seconds_and_last_words(
    steps: tuple[AgentEvent | float, ...], shown: str
) -> None:
    assert _screen(*steps).rstrip("\n") == shown


def test_words_that_come_often_are_drawn_now_and_then() -> None:
    drawn: list[str] = []

    async def main() -> None:
        watch = Stopwatch(lambda start, text: drawn.append(start + text), "make", indent=2)
        for number in range(95):
            watch.say(str(number))
            await asyncio.sleep(0.01)
        watch.stop()
        await asyncio.sleep(5)

    run_virtual(main())
    assert 5 < len(drawn) < 12


@pytest.mark.parametrize("columns", [80, 40])
def test_the_line_never_wraps_but_at_its_end_is_whole(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    call = ToolCall(id="1", name="shell", arguments={"command": "x" * 200})
    running = _screen(ToolStarted(call), 2.0, ToolProgress(call, "日本 " * 50), 1.5)
    assert max(map(len, running.split("\n"))) < columns
    assert " · 3 s · 日本" in running
    shown = _screen(ToolStarted(call), 0.1, _finished(call))
    assert shown.startswith("● shell " + "x" * 93 + "…")


def test_where_nobody_watches_nothing_ticks() -> None:
    shown = _screen(ToolStarted(MAKE), 2.5, ToolProgress(MAKE, "cc"), _finished(), live=False)
    assert shown == "● shell make (3.00 s)\n"


def test_a_question_of_the_model_is_not_told_twice() -> None:
    call = ToolCall(id="1", name="ask_user", arguments={"question": "Why?"})
    assert _screen(ToolStarted(call), 2.0, _finished(call, "because")) == ""
    failed = _screen(ToolStarted(call), _finished(call, "Error: nobody can be asked"))
    assert failed.startswith('✗ ask_user {"question": "Why?"} (3.00 s): nobody can be asked')


def test_a_terminal_that_went_away_ends_it_quietly() -> None:
    problems: list[str] = []

    def gone() -> Callable[[str, str], None]:
        written: list[str] = []

        def write(_: str, text: str) -> None:
            if written:
                raise BrokenPipeError
            written.append(text)

        return write

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: problems.append(str(what)))
        Stopwatch(gone(), "make", indent=2)
        await asyncio.sleep(5)

    run_virtual(main())
    assert problems == []

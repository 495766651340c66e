from __future__ import annotations

import asyncio
import io

import pytest

from victor.agent.events import RetryScheduled, TextDelta, ToolStarted
from victor.cli.countdown import Countdown
from victor.cli.render import Renderer
from victor.testing.virtual import run_virtual
from victor.types import ToolCall

FULL = "waiting in 3 s\rwaiting in 2 s\rwaiting in 1 s\rwaiting in 0 s"


def _counted(seconds: float, *, wait_s: float = 3.0, text: str = "waiting") -> str:
    written: list[str] = []

    async def main() -> None:
        countdown = Countdown(written.append, text, wait_s)
        await asyncio.sleep(seconds)
        countdown.stop()
        await asyncio.sleep(10)

    run_virtual(main())
    return "".join(written)


def test_the_seconds_are_counted_down_on_one_line() -> None:
    assert _counted(3.5) == f"{FULL}\rwaiting after 3.0 s"


def test_what_ends_before_its_time_stays_as_it_is() -> None:
    assert _counted(1.5) == "waiting in 3 s\rwaiting in 2 s"


def test_a_shorter_number_keeps_its_place() -> None:
    assert "waiting in 10 s\rwaiting in  9 s" in _counted(2, wait_s=10)


def test_a_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = _counted(2, text="x" * 200).split("\r")
    assert max(map(len, lines)) < 40
    assert "x…" in lines[0]


def test_a_terminal_that_went_away_ends_it_quietly() -> None:
    written: list[str] = []

    def write(text: str) -> None:
        if written:
            raise BrokenPipeError
        written.append(text)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: written.append(str(what)))
        Countdown(write, "waiting", 5)
        await asyncio.sleep(10)

    run_virtual(main())
    assert written == ["waiting in 5 s"]


def _shown(*events: RetryScheduled | TextDelta | ToolStarted, after_s: float = 2.5) -> str:
    screen = io.StringIO()

    async def main() -> None:
        renderer = Renderer(answer=screen, notes=screen, live=True)
        for event in events:
            renderer.show(event)
            await asyncio.sleep(after_s)
        renderer.end_line()

    run_virtual(main())
    return screen.getvalue()


def test_a_retry_counts_down_until_something_else_is_shown() -> None:
    text = _shown(RetryScheduled("overloaded", 2.0, 1), TextDelta("Hi"))
    line, answer, rest = text.split("\n")
    assert line.split("\r") == [
        "↻ overloaded; attempt 2 in 2 s",
        "↻ overloaded; attempt 2 in 1 s",
        "↻ overloaded; attempt 2 in 0 s",
        "↻ overloaded; attempt 2 after 2.0 s",
    ]
    assert (answer, rest) == ("Hi", "")


def test_a_call_after_a_countdown_has_its_own_line() -> None:
    call = ToolCall(id="1", name="read", arguments={"path": "a"})
    text = _shown(RetryScheduled("down", 2.0, 1), ToolStarted(call))
    assert "after 2.0 s\n● read a\r" in text


def test_a_short_wait_is_only_told() -> None:
    assert _shown(RetryScheduled("down", 1.0, 1)) == "↻ down; attempt 2 in 1.0 s\n"

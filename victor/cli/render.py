"""Agent events as text on a terminal: the answer live, one line for each tool call and retry.

Append-only, so that scrollback, search and copying work: nothing on screen is ever repainted but
the last line, while it counts the seconds of a wait or a call. Everything that others wrote goes
through `victor.cli.sanitize`. Knows nothing about input or about how an agent is made.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TextIO, TypeAlias, assert_never

from victor.agent.events import (
    AgentEvent,
    AnswerRestarted,
    AttemptFailed,
    AttemptStarted,
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
    FailedOver,
    Held,
    KeySwitched,
    ReasoningDelta,
    RetryScheduled,
    RunFinished,
    RunResult,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolStarted,
    TurnFinished,
    TurnStarted,
)
from victor.cli.countdown import Countdown
from victor.cli.sanitize import TerminalSanitizer, one_line, reveal
from victor.cli.stopwatch import Stopwatch
from victor.types import ToolCall

__all__ = ["Colour", "Renderer", "paint", "summary"]

Colour: TypeAlias = Literal["dim", "bold", "red", "green", "yellow", "cyan"]

_Trouble: TypeAlias = (
    Held | RetryScheduled | KeySwitched | FailedOver | BreakerOpened | BreakerClosed
)

_Quiet: TypeAlias = AttemptStarted | AttemptFailed | BreakerHalfOpened
"""What follows from these is shown, or is seen anyway."""

_CODES: Mapping[Colour, str] = MappingProxyType(
    {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
)
# The argument that says best what a call does, for the calls of our own tools and their like.
_TELLING = ("command", "path", "query", "pattern", "url", "session", "text")

_ASKS = "ask_user"
"""The tool whose calls a person sees anyway, as they answer them."""

_NEXT_OF_SEVERAL = re.compile(r"(?<![:;,])\n(?=[\w.\[\]]+: )")
_SHORT_S = 1.5
"""A shorter wait is over before a countdown could be read."""


def paint(text: str, colour: Colour, *, on: bool) -> str:
    """Return text in a colour, or as it is; the text must be sanitised already."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if on else text


def summary(call: ToolCall, limit: int = 100) -> str:
    """Return a call on one line, such as `read README.md`, with nothing in it left unseen."""
    telling = [str(call.arguments[name]) for name in _TELLING if name in call.arguments]
    telling = telling or _files(call)
    if not telling and call.arguments:
        telling = [json.dumps(call.arguments, ensure_ascii=False, default=str)]
    text = " ".join(reveal(" ".join([call.name, *telling])).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _files(call: ToolCall) -> list[str]:
    """Return the files that a patch changes."""
    from victor.tools.context import ToolError
    from victor.tools.patches import patched_paths

    try:
        return patched_paths(str(call.arguments["patch"]))
    except (KeyError, ToolError):
        return []


@dataclass(slots=True)
class Renderer:
    """Writes events as they come.

    Args:
        answer: where the model's text goes, piece by piece; None where somebody else prints it.
        notes: where everything else goes.
        colour: whether to use colours.
        live: whether a person watches the notes, so that a call is shown when it starts.
        thinking: whether the model's thinking is shown.
    """

    answer: TextIO | None
    notes: TextIO
    colour: bool = False
    live: bool = False
    thinking: bool = False
    _text: TerminalSanitizer = field(default_factory=TerminalSanitizer)
    _thoughts: TerminalSanitizer = field(default_factory=TerminalSanitizer)
    _open: TextIO | None = None
    """The stream whose last line has no end yet."""
    _announced: str | None = None
    """The call whose line stands open, waiting for its time."""
    _countdown: Countdown | None = None
    """What stands on the open line."""
    _stopwatch: Stopwatch | None = None
    """The same for a call."""
    _moved: FailedOver | None = None
    """Where this turn went instead of where it was meant to go."""
    _away: FailedOver | None = None
    """The same of the turn before."""

    def show(self, event: AgentEvent) -> None:
        """Write one event.

        Raises:
            BrokenPipeError: whoever read the output is gone.
        """
        if isinstance(event, _Quiet):
            return
        if isinstance(event, _Trouble):
            self._trouble(event)
            return
        match event:
            case TextDelta(text=text):
                self._piece(self.answer, self._text.feed(text))
            case ReasoningDelta(text=text):
                self._think(text)
            case AnswerRestarted(partial=partial, error=error):
                self._restart(partial, error)
            case ToolStarted() | ToolProgress() | ToolFinished():
                self._tool(event)
            case TurnStarted():
                # A sequence that one message left open must not swallow the next one.
                self._text, self._thoughts = TerminalSanitizer(), TerminalSanitizer()
                self._moved = None
            case TurnFinished() | RunFinished():
                self._settle()
                self.end_line()
            case _:
                assert_never(event)

    def note(self, text: str, colour: Colour = "dim") -> None:
        """Write a line of our own, or of text that is sanitised already."""
        self.end_line()
        self._write(self.notes, paint(text, colour, on=self.colour) + "\n")

    def question(self, text: str) -> None:
        """Write a question, and leave the line open for what is typed; as for `note`."""
        self.end_line()
        self._write(self.notes, text)

    def end_line(self) -> None:
        """End the line that is being written, if there is one."""
        self._announced = None
        countdown, self._countdown = self._countdown, None
        if countdown is not None:
            countdown.stop()
        stopwatch, self._stopwatch = self._stopwatch, None
        if stopwatch is not None:
            stopwatch.stop()
        if self._open is not None:
            self._write(self._open, "\n")
            self._open = None

    def status(self, result: RunResult, seconds: float) -> None:
        """Write what a run took."""
        used = result.usage.total_tokens
        turns = f"{result.turns} turn{'' if result.turns == 1 else 's'}"
        tokens = f" · {used:,} tokens" if used is not None else ""
        self.note(f"{turns}{tokens} · {seconds:.1f} s")

    def _think(self, text: str) -> None:
        if self.thinking:
            self._piece(self.notes, self._thoughts.feed(text), "dim")

    def _piece(self, stream: TextIO | None, text: str, colour: Colour | None = None) -> None:
        if stream is None or not text:
            return
        if self._announced or self._countdown or self._open is not stream:
            self.end_line()
        # Colours would stay on for whatever another program writes after a newline.
        self._write(stream, paint(text, colour, on=self.colour) if colour else text)
        self._open = None if text.endswith("\n") else stream

    def _trouble(self, event: _Trouble) -> None:
        match event:
            case Held(reason=reason, wait_s=wait):
                self._count_down(f"◷ held back: {one_line(reason, 300)}; goes out", wait)
            case RetryScheduled(error=error, wait_s=wait, attempt=attempt):
                self._count_down(f"↻ {one_line(error, 300)}; attempt {attempt + 1}", wait)
            case KeySwitched(old=old, new=new, error=error):
                self.note(f"⇢ key {one_line(old)} → {one_line(new)}: {one_line(error, 300)}")
            case BreakerOpened(name=name, error=error, open_s=open_s):
                why = f": {one_line(error, 300)}" if error else ""
                while_s = "" if open_s is None else f" for {open_s:.1f} s"
                self.note(f"⊘ {one_line(name)} is left alone{while_s}{why}")
            case BreakerClosed(name=name):
                self.note(f"⊙ {one_line(name)} is well again")
            case FailedOver():
                self._move(event)
            case _:
                assert_never(event)

    def _count_down(self, text: str, wait_s: float) -> None:
        if not self.live or wait_s < _SHORT_S or not _loop_runs():
            self.note(f"{text} in {wait_s:.1f} s")
            return
        self.end_line()
        self._countdown = Countdown(self._count, text, wait_s)
        self._open = self.notes

    def _count(self, text: str) -> None:
        start = "\r" if text.startswith("\r") else ""
        self._write(self.notes, start + paint(text.removeprefix("\r"), "dim", on=self.colour))

    def _move(self, event: FailedOver) -> None:
        known = self._away is not None and (self._away.old, self._away.new)
        self._moved = event
        if known == (event.old, event.new):
            return  # every turn tells it; once said is enough
        why = " · ".join(one_line(part, 300) for part in (event.error, *event.notes))
        self.note(f"⇢ {one_line(event.old)} → {one_line(event.new)}: {why}", "yellow")

    def _settle(self) -> None:
        """Say at the end of a turn that the first choice is back."""
        if self._away is not None and self._moved is None:
            self.note(f"⇠ back at {one_line(self._away.old)}", "dim")
        self._away = self._moved

    def _restart(self, partial: str, error: str) -> None:
        self._text, self._thoughts = TerminalSanitizer(), TerminalSanitizer()
        above = "the text above is discarded" if partial else "nothing of it is kept"
        why = f"✂ the answer broke off ({one_line(error, 300)}); {above}, asking again"
        if partial and self.answer is not None:
            # Where the text is: whoever reads only that must see that it does not count.
            self.end_line()
            self._write(self.answer, why + "\n")
        else:
            self.note(why, "yellow")

    def _tool(self, event: ToolStarted | ToolProgress | ToolFinished) -> None:
        match event:
            case ToolStarted(call=call):
                self._start(call)
            case ToolProgress(call=call, text=text):
                if self._stopwatch is not None and self._announced == call.id:
                    self._stopwatch.say(one_line(text, 200))
            case ToolFinished():
                self._finish(event)

    def _start(self, call: ToolCall) -> None:
        if not self.live or self._announced is not None or call.name == _ASKS:
            return  # of calls that run side by side, the others are shown when they end
        self.end_line()
        if _loop_runs():
            self._stopwatch = Stopwatch(self._tick, summary(call), indent=len("● "))
        else:
            self._write(self.notes, self._line(summary(call)))
        self._open, self._announced = self.notes, call.id

    def _tick(self, start: str, text: str) -> None:
        self._write(self.notes, start + self._line(text))

    def _finish(self, event: ToolFinished) -> None:
        if self.live and event.call.name == _ASKS and not event.is_error:
            return
        took = f" ({event.seconds:.2f} s)"
        mine = self._announced == event.call.id
        stopwatch, self._stopwatch = self._stopwatch, None
        if stopwatch is not None and mine and not (stopwatch.is_whole and not event.is_error):
            stopwatch.wipe()
            self._write(self.notes, "\r" + self._line(summary(event.call), failed=event.is_error))
        elif stopwatch is not None:
            stopwatch.stop()
        if not mine:
            self.end_line()
            self._write(self.notes, self._line(summary(event.call), failed=event.is_error))
        why = ": " + _on_one_line(event.content.removeprefix("Error: ")) if event.is_error else ""
        self._write(self.notes, paint(took + why, "dim", on=self.colour) + "\n")
        self._open = self._announced = None

    def _line(self, text: str, *, failed: bool = False) -> str:
        mark = paint("✗", "red", on=self.colour) if failed else paint("●", "cyan", on=self.colour)
        return f"{mark} {text}"

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        stream.write(text)
        stream.flush()


def _on_one_line(error: str) -> str:
    # Such as one line for each wrong argument: "old: field required".
    return one_line(_NEXT_OF_SEVERAL.sub("; ", error.strip()), 200)


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

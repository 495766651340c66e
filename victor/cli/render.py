"""Agent events as text on a terminal: the answer live, one line for each tool call and retry.

Append-only: nothing on screen is ever repainted, so that scrollback, search and copying work.
Everything that others wrote goes through `victor.cli.sanitize`. Knows nothing about input or about
how an agent is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TextIO, TypeAlias, assert_never

from victor.agent.events import (
    AgentEvent,
    ReasoningDelta,
    RetryScheduled,
    RunFinished,
    RunResult,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnStarted,
)
from victor.cli.sanitize import TerminalSanitizer, one_line, reveal
from victor.types import ToolCall

__all__ = ["Colour", "Renderer", "paint", "summary"]

Colour: TypeAlias = Literal["dim", "bold", "red", "green", "yellow", "cyan"]

_CODES: Mapping[Colour, str] = MappingProxyType(
    {"dim": "2", "bold": "1", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
)
# The argument that says best what a call does, for the calls of our own tools and their like.
_TELLING = ("command", "path", "query", "pattern", "url")


def paint(text: str, colour: Colour, *, on: bool) -> str:
    """Return text in a colour, or as it is; the text must be sanitised already."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if on else text


def summary(call: ToolCall, limit: int = 100) -> str:
    """Return a call on one line, such as `read README.md`, with nothing in it left unseen."""
    telling = [str(call.arguments[name]) for name in _TELLING if name in call.arguments]
    if not telling and call.arguments:
        telling = [json.dumps(call.arguments, ensure_ascii=False, default=str)]
    text = " ".join(reveal(" ".join([call.name, *telling])).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


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

    def show(self, event: AgentEvent) -> None:
        """Write one event.

        Raises:
            BrokenPipeError: whoever read the output is gone.
        """
        match event:
            case TextDelta(text=text):
                self._piece(self.answer, self._text.feed(text))
            case ReasoningDelta(text=text):
                if self.thinking:
                    self._piece(self.notes, self._thoughts.feed(text), "dim")
            case RetryScheduled(error=error, wait_s=wait, attempt=attempt):
                why = one_line(error, 300)
                self.note(f"↻ {why}; attempt {attempt + 1} in {wait:.1f} s", "yellow")
            case ToolStarted(call=call):
                self._start(call)
            case ToolFinished():
                self._finish(event)
            case TurnStarted():
                # A sequence that one message left open must not swallow the next one.
                self._text, self._thoughts = TerminalSanitizer(), TerminalSanitizer()
            case TurnFinished():
                self.end_line()
            case RunFinished():
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
        if self._open is not None:
            self._write(self._open, "\n")
            self._open = None

    def status(self, result: RunResult, seconds: float) -> None:
        """Write what a run took."""
        used = result.usage.total_tokens
        turns = f"{result.turns} turn{'' if result.turns == 1 else 's'}"
        tokens = f" · {used:,} tokens" if used is not None else ""
        self.note(f"{turns}{tokens} · {seconds:.1f} s")

    def _piece(self, stream: TextIO | None, text: str, colour: Colour | None = None) -> None:
        if stream is None or not text:
            return
        if self._announced is not None or self._open is not stream:
            self.end_line()
        # Colours would stay on for whatever another program writes after a newline.
        self._write(stream, paint(text, colour, on=self.colour) if colour else text)
        self._open = None if text.endswith("\n") else stream

    def _start(self, call: ToolCall) -> None:
        if not self.live or self._announced is not None:
            return  # of calls that run side by side, the others are shown when they end
        self.end_line()
        self._write(self.notes, self._line(summary(call)))
        self._open, self._announced = self.notes, call.id

    def _finish(self, event: ToolFinished) -> None:
        took = f" ({event.seconds:.2f} s)"
        if self._announced == event.call.id and not event.is_error:
            self._write(self.notes, paint(took, "dim", on=self.colour))
            self.end_line()
            return
        if self._announced != event.call.id or not self.live:
            self.end_line()
            self._write(self.notes, self._line(summary(event.call), failed=event.is_error))
        why = ": " + one_line(event.content.removeprefix("Error: "), 200) if event.is_error else ""
        self._write(self.notes, paint(took + why, "dim", on=self.colour) + "\n")
        self._open = self._announced = None

    def _line(self, text: str, *, failed: bool = False) -> str:
        mark = paint("✗", "red", on=self.colour) if failed else paint("●", "cyan", on=self.colour)
        return f"{mark} {text}"

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        stream.write(text)
        stream.flush()

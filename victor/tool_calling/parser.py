"""Reads reasoning, content and tool calls out of a model's text while it arrives.

For models whose server does not do it. What the model mentions without meaning it is no call: a
call in reasoning that goes on to its end, in a code block that is closed afterwards, or between two
backticks, is text.
Knows nothing about servers, and does not ask whether a tool is offered except where a format has
no marker of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from victor.tool_calling.formats.format import Found, Reader
from victor.tool_calling.formats.registry import text_format
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.types import ToolCall, ToolDefinition

__all__ = ["TextDelta", "TextToolCallParser"]

_FENCE = "```"
_Kind = Literal["content", "reasoning"]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """What one piece of text brought: more content, more reasoning, and calls that ended."""

    content: str = ""
    reasoning: str = ""
    tool_calls: list[ToolCall] = field(default_factory=list)


class TextToolCallParser:
    """Reads one answer, in pieces of any size; how it is cut makes no difference.

    Content and reasoning are trimmed at both ends; together the deltas are the whole. A call comes
    when it is complete. One that is cut off comes at the end, with `error` set.

    Args:
        format: the name of the format the model writes (`ModelData.tool_format`); None: whichever
            is recognised.
        tools: the tools on offer. Their schemas give types to values that have none in the text;
            without any, names do not matter and such values stay text.
        starts_in_reasoning: whether the prompt opened the reasoning, so that only its end is in the
            text.

    Raises:
        ConfigError: there is no format of that name.
    """

    def __init__(
        self,
        format: str | None,  # noqa: A002 - the contract's name
        tools: Sequence[ToolDefinition | Mapping[str, Any]] = (),
        starts_in_reasoning: bool = False,  # noqa: FBT001, FBT002 - the contract's signature
    ) -> None:
        self._format = text_format(format)
        known = [ToolDefinition.model_validate(tool) for tool in tools]
        self._offered = {tool.name: tool.parameters for tool in known}
        self._tape = Tape()
        self._out = _Output()
        self._ids: set[str] = set()
        self._begins = frozenset(begin for begin, _ in self._format.think)
        self._ends = frozenset(end for _, end in self._format.think)
        marks = (*self._format.readers, *self._begins, *self._ends, *self._format.noise, _FENCE)
        self._markers = Markers(marks)
        self._is_reasoning = starts_in_reasoning
        self._is_fenced = False
        self._last = ""
        """The last two characters of text."""
        self._held: _Held | None = None
        self._steps = self._run()
        if starts_in_reasoning:
            self._out.add("reasoning", self._format.lead)
        next(self._steps)

    def feed(self, text: str) -> TextDelta:
        """Read the next piece of the answer."""
        self._tape.feed(text)
        next(self._steps)
        return self._out.drained()

    def finish(self) -> TextDelta:
        """Say that the answer has ended, and return what was still undecided."""
        self._tape.end()
        for _ in self._steps:
            pass
        return self._out.drained()

    def _run(self) -> Steps[None]:
        if self._is_reasoning and self._format.preface:
            yield from self._tape.skip(Markers((self._format.preface,)))
        while True:
            if self._format.free and not self._is_reasoning and self._out.is_blank:
                yield from self._free()
            text, marker = self._tape.text_before(self._markers)
            if text:
                self._say(text)
            if marker is not None:
                yield from self._meet(marker)
            elif not self._tape.has_ended:
                yield
            else:
                break
        if self._held:
            for item in self._held.items:
                self._put(item)

    def _free(self) -> Steps[None]:
        """Read a call without a marker, if the content begins with one."""
        self._tape.keep()
        yield from self._tape.skip_space()
        reader = self._format.free.get((yield from self._tape.ahead(1)))
        if reader is None:
            self._say(self._tape.kept)
        else:
            bracket = yield from self._tape.ahead(1)
            yield from self._read(reader, bracket)

    def _meet(self, marker: str) -> Steps[None]:
        if marker in self._format.readers:
            self._tape.keep(marker)
            yield from self._read(self._format.readers[marker], marker)
        elif marker in self._ends:
            self._end_reasoning(marker)
        elif marker in self._begins:
            self._begin_reasoning(marker)
        elif marker == _FENCE:
            self._fence()
        elif self._held:
            self._held.raw.append(marker)

    def _read(self, reader: Reader, marker: str) -> Steps[None]:
        found: Found = yield from reader(self._tape, self._offered, marker)
        if found is None:
            self._say(self._tape.kept)
        elif isinstance(found, str):
            if self._is_reasoning:
                self._release()
            self._is_reasoning = found == "reasoning"
            self._out.part(found)
        elif marker in self._format.structural:
            self._is_reasoning = False
            self._take(found)
        elif self._is_quoted and (yield from self._tape.ahead(1)) == "`":
            self._say(self._tape.kept)  # an example in the middle of a sentence
        elif self._is_reasoning or self._is_fenced or self._held:
            # It counts unless the reasoning, or the code block, goes on to its end.
            self._held = self._held or _Held()
            self._held.raw.append(self._tape.kept)
            self._held.items += found
        else:
            self._take(found)

    def _take(self, calls: Sequence[ToolCall]) -> None:
        for call in calls:
            self._put(call)

    def _put(self, item: str | ToolCall) -> None:
        if isinstance(item, str):
            self._out.add("content", item)
            return
        self._last = ""
        if item.id in self._ids:
            item = ToolCall(**item.model_dump(exclude={"id"}))
        self._ids.add(item.id)
        self._out.calls.append(item)

    @property
    def _is_quoted(self) -> bool:
        """Whether a single backtick came last."""
        return self._last.endswith("`") and self._last != "``"

    def _say(self, text: str) -> None:
        self._last = (self._last + text)[-2:]
        if self._held:
            self._held.raw.append(text)
            self._held.items.append(text)
        else:
            self._out.add("reasoning" if self._is_reasoning else "content", text)

    def _release(self, marker: str = "") -> None:
        """Give back as text what was held, as it turned out to be a mere mention."""
        held, self._held = self._held, None
        for text in (*held.raw, marker) if held else (marker,):
            self._say(text)

    def _begin_reasoning(self, marker: str) -> None:
        if self._held or self._is_fenced:
            self._say(marker)
        elif not self._is_reasoning:
            self._is_reasoning = True
            self._out.part("reasoning")
        elif self._out.has_reasoning:
            self._say(marker)

    def _end_reasoning(self, marker: str) -> None:
        if self._is_reasoning:
            self._release()
            self._is_reasoning = False
        elif self._format.keeps_stray_end and not self._out.is_blank:
            self._say(marker)

    def _fence(self) -> None:
        starts_line = self._held.starts_line if self._held else self._out.starts_line
        if self._is_reasoning or not starts_line:
            self._say(_FENCE)
            return
        self._is_fenced = not self._is_fenced
        self._release(_FENCE)


@dataclass(slots=True)
class _Held:
    """Calls of which it is not known yet whether they are meant, and what follows them."""

    raw: list[str] = field(default_factory=list)
    items: list[str | ToolCall] = field(default_factory=list)

    @property
    def starts_line(self) -> bool:
        last = next((text for text in reversed(self.raw) if text), "")
        return not last.rpartition("\n")[2].strip() if "\n" in last else not last.strip()


class _Output:
    """Collects what was read, trimmed, until it is asked for."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self._new: dict[_Kind, list[str]] = {"content": [], "reasoning": []}
        self._space: dict[_Kind, list[str]] = {"content": [], "reasoning": []}
        self._begun: set[_Kind] = set()
        self.starts_line = True

    @property
    def is_blank(self) -> bool:
        """Whether there is no content yet."""
        return "content" not in self._begun

    @property
    def has_reasoning(self) -> bool:
        return "reasoning" in self._begun

    def part(self, kind: _Kind) -> None:
        """Begin another part, on a line of its own."""
        if kind in self._begun:
            self._space[kind].append("\n")

    def add(self, kind: _Kind, text: str) -> None:
        """Add text; space at its end waits until more comes."""
        if kind == "content":
            line = text.rpartition("\n")[2]
            self.starts_line = not line.strip() and (self.starts_line or "\n" in text)
        if kind not in self._begun:
            text = text.lstrip()
        solid = text.rstrip()
        if solid:
            self._begun.add(kind)
            self._new[kind] += [*self._space[kind], solid]
            self._space[kind] = []
        if len(solid) < len(text) and kind in self._begun:
            self._space[kind].append(text[len(solid) :])

    def drained(self) -> TextDelta:
        """Return what came since the last time."""
        content, reasoning = ("".join(self._new[kind]) for kind in ("content", "reasoning"))
        delta = TextDelta(content, reasoning, self.calls)
        self._new = {"content": [], "reasoning": []}
        self.calls = []
        return delta

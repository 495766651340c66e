"""Answers that consist of parts with markers, or of messages: OpenAI's harmony, and Muse.

Each message has a header that says to whom it goes: the user, the model itself, or a tool.
Format: <https://github.com/openai/harmony/blob/main/docs/format.md>. Knows nothing about streams.
"""

from __future__ import annotations

import re
from typing import Literal

from victor.tool_calling.arguments import read_arguments
from victor.tool_calling.formats.format import Found, Offered, Reader
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.types import ToolCall

__all__ = ["begins", "harmony", "muse"]

_MESSAGE = Markers(("<|message|>",))
_ENDS = Markers(("<|call|>", "<|end|>", "<|return|>"))
_MUSE_ENDS = Markers(("<|eom|>", "<|eot|>"))
_TO = re.compile(r"to=([^\s<]+)")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_PEOPLE = frozenset({"assistant", "user", "all"})


def begins(kind: Literal["content", "reasoning"], *words: str, required: bool = False) -> Reader:
    """Return a reader of a marker after which content, or reasoning, begins.

    Args:
        kind: which of them.
        words: what may come first and is no part of it; one of them.
        required: whether it has to.
    """
    first = Markers(words)

    def read(tape: Tape, _offered: Offered, _opener: str) -> Steps[Found]:
        found = yield from tape.skip(first)
        return kind if found or not required else None

    return read


def harmony() -> Reader:
    """Return a reader of a message's header, and of the whole message where it is a call."""

    def read(tape: Tape, offered: Offered, opener: str) -> Steps[Found]:
        header, marker = yield from tape.head(_MESSAGE, 512)
        if not marker:
            return None
        channels = _CHANNEL.findall(opener + header)
        recipients = [one for one in _TO.findall(header) if one not in _PEOPLE]
        if not recipients:
            return "reasoning" if channels[-1:] == ["analysis"] else "content"
        name = recipients[-1].removeprefix("functions.")
        if name == recipients[-1] and name not in offered:
            yield from tape.through(_ENDS)  # one of the model's own tools, which is not here
            return "content"
        yield from tape.skip_space()
        if (yield from tape.ahead(1)) == "{":
            raw, complete = yield from tape.value()
            yield from tape.skip_space()
            yield from tape.skip(_ENDS)
        else:
            raw, end = yield from tape.through(_ENDS)
            complete = end is not None
        return [ToolCall(name=name, **read_arguments(raw, complete=complete))]

    return read


def muse(calls: Reader, opener: str) -> Reader:
    """Return a reader of a turn's header, and of the calls in a turn that goes to a tool.

    Args:
        calls: reads the calls.
        opener: what begins them.
    """
    begins = Markers((opener,))

    def read(tape: Tape, offered: Offered, _: str) -> Steps[Found]:
        header, marker = yield from tape.head(_MESSAGE, 128)
        if not marker:
            return None
        recipients = _TO.findall(f"to={header}" if "to=" not in header else header)
        if not recipients or recipients[-1] in _PEOPLE:
            return "content"
        if recipients[-1] == "self":
            return "reasoning"
        yield from tape.skip_space()
        if not (yield from tape.skip(begins)):
            return "content"
        found = yield from calls(tape, offered, opener)
        yield from tape.skip_space()
        yield from tape.skip(_MUSE_ENDS)
        return found

    return read

"""Calls written as a name, a separator and the arguments as JSON.

DeepSeek V3 to V3.1, Kimi K2, Mistral from v11 on, Functionary, PLaMo 3: each by its chat template,
such as <https://huggingface.co/moonshotai/Kimi-K2-Instruct/blob/main/docs/tool_call_guidance.md>.
Knows nothing about reasoning or content.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import MappingProxyType

from victor.tool_calling.arguments import read_arguments
from victor.tool_calling.formats.format import BAR, Found, Offered, Reader
from victor.tool_calling.formats.tape import Markers, Steps, Tape
from victor.types import ToolCall

__all__ = ["deepseek", "functionary", "kimi_name", "mistral", "named_json", "plain_name"]

_NAME = re.compile(r"[\w.\-:/]+")
_SPACES = (" ", "\n", "\r", "\t")
_KIMI = re.compile(r"(?:functions\.)?(.+?):(\d+)")

NameOf = Callable[[str, Offered], "tuple[str, str | None] | None"]
"""Gives the name and the id of a call that is written so; None: it is no call."""


def plain_name(
    text: str, _offered: Offered = MappingProxyType({})
) -> tuple[str, str | None] | None:
    """Return what is written as the name; it has no id."""
    name = text.strip()
    return (name, None) if _NAME.fullmatch(name) else None


def kimi_name(text: str, offered: Offered) -> tuple[str, str | None] | None:
    """Return the name and the id of `functions.name:index`."""
    given = text.strip()
    found = _KIMI.fullmatch(given)
    if found:
        name = found[1]
        # A tool's server may stand before its name.
        return name if name in offered else name.rpartition(".")[2] or name, given
    return (given.removeprefix("functions."), None) if given else None


def named_json(
    separator: str,
    *,
    name_of: NameOf = plain_name,
    skips: Sequence[str] = (),
    ends: Sequence[str] = (),
) -> Reader:
    """Return a reader of a name, the separator, and a JSON object.

    Args:
        separator: what ends the name.
        name_of: reads the name.
        skips: what may stand between separator and arguments.
        ends: what comes after a call; where it comes at once the call has no arguments.
    """
    closing = Markers(ends)
    splits = Markers((separator,))
    skipped = Markers((*skips, *_SPACES))

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        text, marker = yield from tape.head(splits)
        named = name_of(text, offered) if marker else None
        if named is None:
            return None
        while (yield from tape.skip(skipped)):
            pass
        return [(yield from _call(tape, *named, closing))]

    return read


def deepseek() -> Reader:
    """Return a reader of DeepSeek's calls.

    V3 and R1 write `function`, a separator, the name and a fenced block of JSON; V3.1 writes the
    name, the separator and the JSON.
    """
    splits = Markers((f"<{BAR}tool▁sep{BAR}>",))
    fence = Markers(("```json", "```"))
    closing = Markers(("```", f"<{BAR}tool▁call▁end{BAR}>"))

    def read(tape: Tape, _offered: Offered, _opener: str) -> Steps[Found]:
        text, marker = yield from tape.head(splits)
        is_old = text.strip() == "function" and (yield from tape.ahead(1)) != "{"
        if is_old and marker:
            text, marker = yield from tape.head(fence)
        named = plain_name(text) if marker else None
        if named is None:
            return None
        yield from tape.skip_space()
        call = yield from _call(tape, *named, closing)
        if is_old:
            yield from tape.skip_space()
            yield from tape.skip(closing)
        return [call]

    return read


def mistral() -> Reader:
    """Return a reader of `name[ARGS]{...}`, where `[CALL_ID]id` may stand before the arguments."""
    splits = Markers(("[ARGS]", "[CALL_ID]", "{"))
    after_id = Markers(("[ARGS]", "{"))
    closing = Markers(("</s>",))

    def read(tape: Tape, _offered: Offered, _opener: str) -> Steps[Found]:
        text, marker = yield from tape.head(splits)
        # Some models write one marker more after the name.
        named = plain_name(text.partition("[")[0]) if marker else None
        if named is None:
            return None
        call_id = None
        if marker == "[CALL_ID]":
            text, marker = yield from tape.head(after_id)
            call_id = text.strip() if marker else None
        begun = "{" if marker == "{" else ""
        if not begun:
            yield from tape.skip_space()
        call = yield from _call(tape, named[0], call_id, closing, begun)
        yield from tape.skip(closing)
        return [call]

    return read


def _call(
    tape: Tape, name: str, call_id: str | None, ends: Markers, begun: str = ""
) -> Steps[ToolCall]:
    if begun or (yield from tape.ahead(1)) == "{":
        raw, complete = yield from tape.value(depth=len(begun))
        raw = begun + raw
    else:
        # Without its end a call without arguments may have been cut off before them.
        raw, complete = "", (yield from tape.skip(ends)) is not None
    fields = read_arguments(raw, complete=complete)
    return ToolCall(name=name, **fields, **({"id": call_id} if call_id else {}))


def functionary() -> Reader:
    """Return a reader of `>>>name`, a line break and JSON; `>>>all` begins content.

    Format: <https://github.com/MeetKai/functionary/blob/main/tests/prompt_test_v3.llama3.txt>
    """
    line = Markers(("\n",))

    def read(tape: Tape, _offered: Offered, _opener: str) -> Steps[Found]:
        text, marker = yield from tape.head(line)
        name = text.strip()
        if not marker or not _NAME.fullmatch(name):
            return None
        if name == "all":
            return "content"
        yield from tape.skip_space()
        if (yield from tape.ahead(1)) != "{":
            return None
        raw, complete = yield from tape.value()
        return [ToolCall(name=name, **read_arguments(raw, complete=complete))]

    return read

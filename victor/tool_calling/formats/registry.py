"""The text formats by name, and the one that recognises a format by its markers.

The names are those of `ModelData.tool_format`. Knows nothing about models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

from victor.errors import ConfigError
from victor.tool_calling.formats import families
from victor.tool_calling.formats.format import BAR, Found, Offered, Reader, TextFormat
from victor.tool_calling.formats.tape import Steps, Tape

__all__ = ["DETECT", "list_formats", "text_format"]

DETECT = "detect"
"""The name of the format that takes any of the others, by its markers."""

_UNCLEAR = frozenset({"muse", "functionary_v32", "command_r_plus"})
"""Formats whose openers are found in ordinary text."""

_COMMON = ("```json", "```", "<invoke name=", "c", "H")
"""Openers that are looked for only where the format is known: ordinary text has them, too."""

_AMBIGUOUS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "<tool_call>": lambda ahead: (
            "hermes" if ahead[:1] in {"{", "["} else "qwen3_coder" if ahead[:1] == "<" else "glm45"
        ),
        "<tool_calls>": lambda ahead: "hunyuan_v3" if ahead[:1] == "<" else "hunyuan",
        "<function=": lambda _: "qwen3_coder",  # which takes JSON, too
        "[TOOL_CALLS]": lambda ahead: "mistral" if ahead[:1] in {"[", "{"} else "mistral_v11",
        "[": lambda ahead: "llama3_json" if ahead[1:].lstrip()[:1] == "{" else "pythonic",
    }
)


def list_formats() -> tuple[str, ...]:
    """Return the names of the formats."""
    return tuple(sorted(families.FORMATS))


def text_format(name: str | None) -> TextFormat:
    """Return a format by its name; None: the one that detects.

    Raises:
        ConfigError: there is none of that name.
    """
    if name is None or name == DETECT:
        return _detecting()
    try:
        return families.FORMATS[name]()
    except KeyError:
        known = ", ".join(list_formats())
        raise ConfigError(f"unknown tool format {name!r}; known are: {known}") from None


@cache
def _detecting() -> TextFormat:
    readers: dict[str, Reader] = {}
    free: dict[str, Reader] = {}
    think: dict[tuple[str, str], None] = {}
    noise: dict[str, None] = {}
    structural: set[str] = set()
    for name in sorted(families.FORMATS.keys() - _UNCLEAR):
        one = text_format(name)
        readers = {**one.readers, **readers}
        free = {**one.free, **free}
        think |= dict.fromkeys(pair for pair in one.think if _is_marked(pair))
        noise |= dict.fromkeys(mark for mark in one.noise if "|" in mark or BAR in mark)
        structural |= one.structural
    for opener in _COMMON:
        readers.pop(opener, None)
        free.pop(opener, None)
    for opener in _AMBIGUOUS:
        (free if opener == "[" else readers)[opener] = _choosing
    noise = {mark: None for mark in noise if mark not in readers}
    return TextFormat(
        readers=readers,
        free=free,
        think=tuple(think),
        noise=tuple(noise),
        structural=frozenset(structural),
    )


def _is_marked(pair: tuple[str, str]) -> bool:
    """Tell whether reasoning has markers, and not words that are found in ordinary text, too."""
    return all(mark[0] in "<[" for mark in pair)


def _choosing(tape: Tape, offered: Offered, opener: str) -> Steps[Found]:
    if opener != "[":
        yield from tape.skip_space()
    ahead = yield from tape.ahead(16)
    chosen = text_format(_AMBIGUOUS[opener](ahead))
    readers = chosen.free if opener == "[" else chosen.readers
    return (yield from readers[opener](tape, offered, opener))

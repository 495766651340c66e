"""Patterns for file names, read as ripgrep and git read them.

Knows nothing about files. Spec: https://docs.rs/globset/latest/globset/#syntax
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

__all__ = ["glob_matcher", "glob_pattern"]

_MEANINGS: Mapping[str, str] = MappingProxyType(
    {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
)
_PARTS = re.compile(r"(\*\*/|\*\*|\*|\?|\\.|\[[!^]?\]?[^\]/]*\]|\{[^{}]*\})", re.DOTALL)


def glob_matcher(pattern: str) -> Callable[[str], bool]:
    """Return the test for a path: a glob without `/` is one for file names anywhere.

    `**` goes over directories, `{a,b}` is one of several and `[ab]` one of several characters or,
    as files are named like that, too, itself.
    """
    compiled = glob_pattern(pattern.removeprefix("./"))

    def matches(path: str) -> bool:
        name = path if "/" in pattern else path.rpartition("/")[2]
        return compiled.fullmatch(name) is not None

    return matches


def glob_pattern(pattern: str) -> re.Pattern[str]:
    """Translate a glob; Python before 3.13 has no function for it."""
    return re.compile(_translated(pattern), re.DOTALL)


def _translated(pattern: str) -> str:
    out: list[str] = []
    for part in _PARTS.split(pattern):
        if part in _MEANINGS:
            out.append(_MEANINGS[part])
        elif len(part) > 1 and part[0] == "{":
            choices = (_translated(choice) for choice in part[1:-1].split(","))
            out.append(f"(?:{'|'.join(choices)})")
        elif len(part) > 2 and part[0] == "[":
            out.append(_one_of(part))
        elif len(part) == 2 and part[0] == "\\":
            out.append(re.escape(part[1]))
        else:
            out.append(re.escape(part))
    return "".join(out)


def _one_of(part: str) -> str:
    """Translate `[...]`; one that makes no sense stands for itself."""
    inner = part[1:-1]
    sign = "^/" if inner[0] in "!^" else ""
    inner = inner[1:] if sign else inner
    itself = re.escape(part)
    ranges = re.findall(r"(.)-(.)|(.)", inner, re.DOTALL)
    if not ranges or any(first > last for first, last, _ in ranges):
        return itself
    chars = "".join(
        f"{re.escape(first)}-{re.escape(last)}" if first else re.escape(one)
        for first, last, one in ranges
    )
    return f"(?:[{sign}{chars}]|{itself})"

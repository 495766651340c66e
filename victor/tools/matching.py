"""Where in a file an old text is, and the file with a new one in its place.

The old text must be found exactly once. Whitespace may differ only where whole lines match in one
place and by the same indentation; nothing is ever replaced because it is merely similar. Knows
nothing about files on disk or tools.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from victor.tools.context import ToolError

__all__ = ["Replacement", "indenter", "nearest_place", "replaced", "squeezed"]

_AROUND = 2
"""Lines shown before and after the nearest place."""

_MOST_SHOWN = 30
"""Lines shown of it altogether."""

_MOST_NAMED = 10
"""Lines named where a text is there too often."""

_MOST_COMPARED = 3_000
"""Different lines that are compared for likeness, which is slow."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """A file with one text replaced."""

    content: bytes
    line: int
    """Where the first change starts, from 1."""
    lines: int
    """How many lines the new text has."""
    note: str = ""
    """What the caller has to know; empty for an exact match."""
    places: int = 1
    """How often the text was replaced."""


def replaced(content: bytes, old: str, new: str, *, every: bool = False) -> Replacement:
    r"""Return a file's bytes with `old` replaced by `new`; all other bytes stay as they are.

    `\n` in `old` also matches `\r\n`, and `new` gets the line ends of the place it goes to.

    Args:
        content: the file.
        old: what is to be replaced.
        new: what is put there.
        every: replace every occurrence, and not exactly one.

    Raises:
        ToolError: `old` is not there, or without `every` more than once; the message shows where.
    """
    old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    if not old:
        raise ToolError("old is empty; give the text to replace, or use write for a new file")
    if old == new:
        raise ToolError("old and new are the same; nothing to change")
    spans = _exact(content, old, every=every)
    note = ""
    if not spans:
        start, end, new = _by_lines(content, old, new)
        spans = [(start, end)]
        note = " Note: the old text matched only apart from whitespace; check the result."
    return Replacement(
        content=_put(content, spans, new.encode()),
        line=content.count(b"\n", 0, spans[0][0]) + 1,
        lines=new.count("\n") + (not new.endswith("\n")),
        note=note,
        places=len(spans),
    )


def _put(content: bytes, spans: Sequence[tuple[int, int]], new: bytes) -> bytes:
    parts: list[bytes] = []
    done = 0
    with_returns = new.replace(b"\n", b"\r\n")
    for start, end in spans:
        piece = content[start:end]
        crlf = b"\r\n" in (piece if b"\n" in piece else content)
        parts += [content[done:start], with_returns if crlf else new]
        done = end
    return b"".join([*parts, content[done:]])


def _exact(content: bytes, old: str, *, every: bool) -> list[tuple[int, int]]:
    pattern = re.compile(rb"\r?\n".join(re.escape(part.encode()) for part in old.split("\n")))
    if every:
        return [found.span() for found in pattern.finditer(content)]
    first = found = pattern.search(content)
    lines: list[int] = []
    while found and len(lines) < _MOST_NAMED:  # occurrences may overlap
        lines.append(content.count(b"\n", 0, found.start()) + 1)
        found = pattern.search(content, found.start() + 1)
    if len(lines) > 1:
        raise _ambiguous(lines)
    return [first.span()] if first else []


def _ambiguous(lines: list[int]) -> ToolError:
    return ToolError(
        f"old occurs more than once, at lines {', '.join(map(str, lines))}; "
        "add the lines around the one you mean"
    )


# --- whole lines, apart from whitespace ---------------------------------------------------------


def _by_lines(content: bytes, old: str, new: str) -> tuple[int, int, str]:
    """Return where the lines of `old` are apart from whitespace, and `new` indented to fit."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+", content)
    texts = [line.decode("utf-8", "replace").rstrip("\r\n") for line in lines]
    wanted = old.removesuffix("\n").split("\n")
    keys, key = [squeezed(text) for text in texts], [squeezed(text) for text in wanted]
    places = [
        place
        for place in range(len(keys) - len(key) + 1 if any(key) else 0)
        if keys[place : place + len(key)] == key
    ]
    if len(places) > 1:
        raise _ambiguous([place + 1 for place in places[:_MOST_NAMED]])
    indent = indenter(wanted, texts[places[0] :]) if places else None
    if indent is None:
        near = nearest_place(texts, wanted)
        raise ToolError(
            f"old was not found. {near}"
            if near
            else "old was not found, nor anything like it; read the file and copy the text exactly"
        )
    first, last = places[0], places[0] + len(key)
    start, end = len(b"".join(lines[:first])), len(b"".join(lines[:last]))
    if not lines[last - 1].endswith(b"\n"):
        new = new.removesuffix("\n")
    elif new and not new.endswith("\n"):
        new += "\n"
    return start, end, "\n".join(indent(line) for line in new.split("\n"))


def squeezed(line: str) -> str:
    """Return a line without the whitespace at its ends, and single spaces within."""
    return " ".join(line.split())


def indenter(wanted: Sequence[str], actual: Sequence[str]) -> Callable[[str], str] | None:
    """Return what turns the indentation of `wanted` into that of `actual`, if one step does."""
    pairs = [
        (w[: len(w) - len(w.lstrip())], a[: len(a) - len(a.lstrip())])
        for w, a in zip(wanted, actual, strict=False)
        if w.strip()
    ]
    theirs, ours = pairs[0]
    more, less = ours.removesuffix(theirs), theirs.removesuffix(ours)
    if all(more + t == o for t, o in pairs):
        return lambda line: more + line if line.strip() else line
    if all(t == less + o for t, o in pairs):
        return lambda line: line.removeprefix(less)
    return _by_levels(pairs)


def _by_levels(pairs: Sequence[tuple[str, str]]) -> Callable[[str], str] | None:
    """Return what writes each level of one indentation as a level of another, if that is all."""
    their, our = min((pair for pair in pairs if pair[0]), key=lambda p: len(p[0]), default=("", ""))
    tabs, spaces = sorted((our, their), key=lambda one: -one.count("\t"))
    if tabs.strip("\t") == "" and spaces.strip(" ") == "" and tabs:
        levels = len(tabs) if len(spaces) % len(tabs) == 0 else 1
        their, our = their[: len(their) // levels], our[: len(our) // levels]
    if not their or any(
        (t, o) != (their * level, our * level) for t, o in pairs for level in [len(t) // len(their)]
    ):
        return None

    def indent(line: str) -> str:
        rest = line
        while rest.startswith(their):
            rest = rest.removeprefix(their)
        return our * ((len(line) - len(rest)) // len(their)) + rest

    return indent


def nearest_place(texts: Sequence[str], wanted: Sequence[str]) -> str:
    """Show the lines of a file that are most like the wanted ones; empty where none are."""
    keys, key = [squeezed(text) for text in texts], [squeezed(text) for text in wanted]
    place = _nearest(keys, key)
    if place is None:
        return ""
    start = max(0, place - _AROUND)
    stop = min(len(texts), place + len(key) + _AROUND, start + _MOST_SHOWN)
    shown_lines = [f"{n}\t{text[:200]}" for n, text in enumerate(texts[start:stop], start + 1)]
    return "\n".join(
        [
            "The nearest place is:",
            *shown_lines,
            *_difference(texts, wanted, place),
            "Copy the text exactly, with its indentation, without the numbers.",
        ]
    )


def _difference(texts: Sequence[str], wanted: Sequence[str], place: int) -> list[str]:
    """Say where the wanted lines first differ; quoted, to tell tabs from spaces."""
    for number, (text, line) in enumerate(zip(texts[place:], wanted, strict=False), place + 1):
        if text != line:
            pairs = enumerate(zip(text, line, strict=False))
            at = next((n for n, (a, b) in pairs if a != b), min(len(text), len(line)))
            there, given = (repr(one[max(0, at - 10) : at + 30]) for one in (text, line))
            return [f"First difference, in line {number}: {there} is there, {given} was given."]
    return []


def _nearest(keys: list[str], key: list[str]) -> int | None:
    """Return the line where most lines of `key` would be in place, else a similar line."""
    where: dict[str, list[int]] = {}
    for number, text in enumerate(keys):
        where.setdefault(text, []).append(number)
    votes = Counter(
        number - position
        for position, text in enumerate(key)
        if text
        for number in where.get(text, ())[:100]
    )
    if votes:
        return max(0, max(votes, key=lambda place: (votes[place], -place)))
    longest = max(key, key=len)
    similar = get_close_matches(longest[:200], [k[:200] for k in where][:_MOST_COMPARED], n=1)
    for number, text in enumerate(keys):
        if similar and text[:200] == similar[0]:
            return max(0, number - key.index(longest))
    return None

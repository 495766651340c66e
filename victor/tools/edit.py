"""The tool that changes one place of a file.

The old text must be found exactly once. Whitespace may differ only where whole lines match in one
place and by the same indentation; nothing is ever replaced because it is merely similar. Knows
nothing about permissions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from victor.tools.base import ToolContext, ToolError, tool
from victor.tools.files import whole_file
from victor.tools.paths import shown
from victor.tools.replace import replace_file

__all__ = ["Replacement", "edit", "replaced"]

_AROUND = 2
"""Lines shown before and after the nearest place."""

_MOST_SHOWN = 30
"""Lines shown of it altogether."""

_MOST_COMPARED = 3_000
"""Different lines that are compared for likeness, which is slow."""


@tool(effect="edit", timeout_s=60)
def edit(context: ToolContext, path: str, old: str, new: str) -> str:
    """Replace one piece of a file. Read the file first and copy the old text exactly.

    Args:
        context: the workspace.
        path: The file.
        old: The text to replace; it must occur exactly once, so give enough lines around it.
        new: The text to put there.
    """
    result = replaced(whole_file(context.workspace, path), old, new)
    replace_file(context.workspace, path, result.content)
    where = (
        f"line {result.line}" if result.lines <= 1 else f"{result.lines} lines from {result.line}"
    )
    return f"Edited {shown(path)}, {where}.{result.note}"


@dataclass(frozen=True, slots=True)
class Replacement:
    """A file with one place changed."""

    content: bytes
    line: int
    """Where the change starts, from 1."""
    lines: int
    """How many lines the new text has."""
    note: str = ""
    """What the caller has to know; empty for an exact match."""


def replaced(content: bytes, old: str, new: str) -> Replacement:
    r"""Return a file's bytes with `old` replaced by `new`; all other bytes stay as they are.

    `\n` in `old` also matches `\r\n`, and `new` gets the line ends of the place it goes to.

    Raises:
        ToolError: `old` is not there exactly once; the message shows where it nearly is.
    """
    old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
    if not old:
        raise ToolError("old is empty; give the text to replace, or use write for a new file")
    if old == new:
        raise ToolError("old and new are the same; nothing to change")
    start, end = _exact(content, old) or (-1, -1)
    note = ""
    if start < 0:
        start, end, new = _by_lines(content, old, new)
        note = " Note: the old text matched only apart from whitespace; check the result."
    piece = content[start:end]
    crlf = b"\r\n" in (piece if b"\n" in piece else content)
    put = new.encode()
    return Replacement(
        content=content[:start] + (put.replace(b"\n", b"\r\n") if crlf else put) + content[end:],
        line=content.count(b"\n", 0, start) + 1,
        lines=new.count("\n") + (not new.endswith("\n")),
        note=note,
    )


def _exact(content: bytes, old: str) -> tuple[int, int] | None:
    pattern = re.compile(rb"\r?\n".join(re.escape(part.encode()) for part in old.split("\n")))
    first = pattern.search(content)
    if not first:
        return None
    lines: list[int] = []
    found: re.Match[bytes] | None = first
    while found and len(lines) < 10:  # occurrences may overlap
        lines.append(content.count(b"\n", 0, found.start()) + 1)
        found = pattern.search(content, found.start() + 1)
    if len(lines) > 1:
        raise _ambiguous(lines)
    return first.span()


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
    keys, key = [_squeezed(text) for text in texts], [_squeezed(text) for text in wanted]
    places = [
        place
        for place in range(len(keys) - len(key) + 1 if any(key) else 0)
        if keys[place : place + len(key)] == key
    ]
    if len(places) > 1:
        raise _ambiguous([place + 1 for place in places[:10]])
    indent = _indenter(wanted, texts[places[0] :]) if places else None
    if indent is None:
        raise ToolError(_not_found(texts, keys, key))
    first, last = places[0], places[0] + len(key)
    start, end = len(b"".join(lines[:first])), len(b"".join(lines[:last]))
    if not lines[last - 1].endswith(b"\n"):
        new = new.removesuffix("\n")
    elif new and not new.endswith("\n"):
        new += "\n"
    return start, end, "\n".join(indent(line) for line in new.split("\n"))


def _squeezed(line: str) -> str:
    return " ".join(line.split())


def _indenter(wanted: list[str], actual: list[str]) -> Callable[[str], str] | None:
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
    return None


def _not_found(texts: list[str], keys: list[str], key: list[str]) -> str:
    """Say that `old` is not there, and show the place most like it."""
    place = _nearest(keys, key)
    if place is None:
        return "old was not found, nor anything like it; read the file and copy the text exactly"
    start = max(0, place - _AROUND)
    stop = min(len(texts), place + len(key) + _AROUND, start + _MOST_SHOWN)
    shown_lines = [f"{n}\t{text[:200]}" for n, text in enumerate(texts[start:stop], start + 1)]
    return "old was not found. The nearest place is:\n{}\n{}".format(
        "\n".join(shown_lines), "Copy the text exactly, with its indentation, without the numbers."
    )


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

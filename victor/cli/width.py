"""How much room text takes on a terminal, and text that keeps to it with every line marked.

A line that the terminal itself breaks goes on at its left edge, where only victor writes: a model
could draw a question of ours there. So what others wrote is broken here, and each piece is marked.
Knows nothing about colours or about what is shown; widths are those of Unicode's East Asian Width
(https://www.unicode.org/reports/tr11/), as rich has them.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator

from victor.cli.sanitize import reveal

__all__ = ["cells", "columns", "fitted", "marked"]

_TAB = 8
_LEAST = 10
"""Columns of text that are left beside a mark, however narrow the terminal is."""


def columns() -> int:
    """Return the width of the terminal that is written to: `COLUMNS`, or stderr's, or 80."""
    try:
        fallback = os.get_terminal_size(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        fallback = os.terminal_size((80, 24))
    if fallback.columns <= 0:
        fallback = os.terminal_size((80, 24))
    # stdout may be piped, and then only stderr knows.
    return shutil.get_terminal_size((fallback.columns, fallback.lines)).columns


def cells(text: str) -> int:
    """Return the columns a text takes; a tab counts as much as it can take."""
    if text.isascii():
        return len(text) + (_TAB - 1) * text.count("\t")
    from rich.cells import cell_len

    return sum(_TAB if character == "\t" else cell_len(character) for character in text)


def fitted(text: str, room: int) -> str:
    """Return a text that takes at most `room` columns; a cut one ends with `…`."""
    if cells(text) <= room:
        return text
    return next(_pieces(text, max(1, room - 1))) + "…"


def marked(lines: Iterable[str], mark: str = "  | ", more: str = "  : ") -> list[str]:
    """Return lines with nothing in them left unseen, each marked and none wider than the terminal.

    Args:
        lines: what somebody else wrote.
        mark: stands before each line.
        more: stands before what did not fit on the line before.
    """
    room = max(_LEAST, columns() - 1 - max(cells(mark), cells(more)))
    found: list[str] = []
    for line in lines:
        first, *rest = _pieces(reveal(line), room)
        found += [mark + first, *(more + piece for piece in rest)]
    return found


def _pieces(line: str, room: int) -> Iterator[str]:
    start = used = 0
    for at, character in enumerate(line):
        took = cells(character)
        if used + took > room and at > start:
            yield line[start:at]
            start, used = at, 0
        used += took
    yield line[start:]

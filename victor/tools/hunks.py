"""The hunks of a patch put into the content of a file.

A hunk goes where its old lines are, in one place only: as they are, else apart from whitespace and
with a note. Numbers in a diff decide only between places that fit. Knows no files and no formats.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence

from victor.tools.context import ToolError
from victor.tools.matching import indenter, nearest_place, squeezed
from victor.tools.patches import Hunk
from victor.tools.text import as_utf8, from_utf8

__all__ = ["patched"]

_MOST_NAMED = 10


def patched(content: bytes, hunks: Sequence[Hunk]) -> tuple[bytes, list[str]]:
    """Return a file's content with every hunk applied, and what the caller has to know.

    Lines that stay keep their bytes and ends; new ones get the line end of the line before. The
    file keeps its encoding.

    Args:
        content: the file.
        hunks: in the order of the file.

    Raises:
        ToolError: a hunk fits nowhere, or in several places; the message shows them.
    """
    content, codec = as_utf8(content)  # which is what the model was shown
    bom = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    file = _File(content.removeprefix(bom))
    notes: list[str] = []
    for number, hunk in enumerate(hunks, 1):
        try:
            note = file.apply(hunk)
        except ToolError as error:
            raise ToolError(f"hunk {number} of {len(hunks)}: {error}") from error
        if note:
            notes.append(f"hunk {number} {note}")
    try:
        return from_utf8(bom + file.content(), codec), notes
    except ValueError as error:
        raise ToolError(f"{error}; use another character, or write the whole file") from error


class _File:
    """The lines of a file, changed from top to bottom."""

    def __init__(self, content: bytes) -> None:
        # Bytes that are no UTF-8 survive as surrogates.
        text = content.decode("utf-8", "surrogateescape")
        lines = re.findall(r"[^\n]*\n|[^\n]+", text)
        self._texts = [re.sub(r"\r?\n\Z", "", line) for line in lines]
        self._ends = [line[len(kept) :] for line, kept in zip(lines, self._texts, strict=True)]
        self._bare = bool(lines) and not self._ends[-1]
        self._from = 0
        """Where the next hunk may begin."""
        self._drift = 0
        """How many lines more there are than the numbers of a diff know."""

    def content(self) -> bytes:
        """Return the file as it is now."""
        ends = [end or self._end_for(number) for number, end in enumerate(self._ends)]
        if ends and self._bare:
            ends[-1] = ""
        pairs = zip(self._texts, ends, strict=True)
        return "".join(text + end for text, end in pairs).encode("utf-8", "surrogateescape")

    def apply(self, hunk: Hunk) -> str:
        """Apply a hunk and return what is to be noted about it."""
        place, indent, note = self._place(hunk)
        texts: list[str] = []
        ends: list[str] = []
        at = place
        for mark, text in hunk.lines:
            if mark == "+":
                texts.append(indent(text))
                ends.append(ends[-1] if ends and ends[-1] else self._end_for(at))
            else:
                if mark == " ":
                    texts.append(self._texts[at])
                    ends.append(self._ends[at])
                at += 1
        self._texts[place:at], self._ends[place:at] = texts, ends
        self._from = place + len(texts)
        self._drift += len(texts) - (at - place)
        if hunk.ends_bare is not None:
            self._bare = hunk.ends_bare
        return note

    def _end_for(self, number: int) -> str:
        """Return the line end in use at a line: that of the one before, else of any."""
        before = (end for end in reversed(self._ends[:number]) if end)
        return next(before, next((end for end in self._ends if end), "\n"))

    def _place(self, hunk: Hunk) -> tuple[int, Callable[[str], str], str]:
        start = self._anchored(hunk)
        old = hunk.old
        if not old:
            return self._insertion(hunk), str, ""
        found = self._places(old, start, lambda line: line)
        if found:
            return self._one_of(found, hunk), str, ""
        note = "matched only apart from whitespace; check the result"
        if found := self._places(old, start, str.rstrip):
            return self._one_of(found, hunk), str, note
        if any(line.strip() for line in old) and (found := self._places(old, start, squeezed)):
            place = self._one_of(found, hunk)
            if indent := indenter(old, self._texts[place:]):
                return place, indent, note
        raise ToolError(self._missing(old, start))

    def _anchored(self, hunk: Hunk) -> int:
        start = self._from
        for anchor in hunk.anchors:
            wanted = squeezed(anchor)
            rest = range(start, len(self._texts))
            found = next((n for n in rest if squeezed(self._texts[n]) == wanted), None)
            if found is None:
                found = next((n for n in rest if wanted in squeezed(self._texts[n])), None)
            if found is None:
                raise ToolError(
                    f"its line {anchor[:200]!r} after @@ is not in the file below line {start}"
                )
            start = found
        return start

    def _insertion(self, hunk: Hunk) -> int:
        """Return where lines go that name no old ones."""
        if hunk.anchors:
            raise ToolError("it only adds lines; give a line of context that they follow")
        if hunk.line is None:
            return len(self._texts)
        place = hunk.line + self._drift
        if not self._from <= place <= len(self._texts):
            raise ToolError(f"there is no line {hunk.line} to add lines after")
        return place

    def _places(self, old: Sequence[str], start: int, key: Callable[[str], str]) -> list[int]:
        texts = [key(text) for text in self._texts[start:]]
        wanted = [key(line) for line in old]
        last = len(texts) - len(wanted)
        return [
            start + n
            for n in range(last + 1)
            if texts[n] == wanted[0] and texts[n : n + len(wanted)] == wanted
        ]

    def _one_of(self, places: list[int], hunk: Hunk) -> int:
        at_end = len(self._texts) - len(hunk.old)
        if hunk.at_end and at_end in places:
            return at_end
        if len(places) == 1 or hunk.anchors:
            return places[0]  # an anchor means the first place after it
        if hunk.line is not None and hunk.line - 1 + self._drift in places:
            return hunk.line - 1 + self._drift
        lines = ", ".join(str(place + 1) for place in places[:_MOST_NAMED])
        raise ToolError(
            f"its old lines fit in more than one place, at lines {lines}; "
            "give more context, or a line after @@ that comes before the place"
        )

    def _missing(self, old: Sequence[str], start: int) -> str:
        where = f" below line {start}" if start else ""
        near = nearest_place(self._texts, old)
        what = f"its old lines were not found{where}."
        return f"{what} {near}" if near else f"{what} Read the file and copy them exactly."

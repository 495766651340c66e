"""The text of an answer while it arrives: read forward, waiting where more is needed.

Every operation that may need text which has not arrived is a generator that yields while it waits.
A reader built from them is written as if the text were whole and gives the same result however the
text is cut. Nothing is scanned twice, whatever its length. Knows nothing about any format.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from typing import TypeAlias, TypeVar

__all__ = ["Markers", "Steps", "Tape"]

_T = TypeVar("_T")

Steps: TypeAlias = Generator[None, None, _T]
"""What yields while it waits for more text, and then returns its result."""

_BRACKETS = re.compile(r"[\[\](){}<\"]")
_BRACKETS_QUOTES = re.compile(r"[\[\](){}<\"']")
_INSIDE = {'"': re.compile(r'[\\"]'), "'": re.compile(r"[\\']")}
_SPACE = re.compile(r"\s*")
_SHORT_SPACE = re.compile(r"\s{0,256}")


class Markers:
    """Strings to look for, the longest first where several begin at one place."""

    __slots__ = ("_first", "_longest", "_pattern", "_texts")

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = tuple(sorted(set(texts), key=len, reverse=True))
        self._longest = max(map(len, self._texts), default=0)
        self._first = frozenset(text[0] for text in self._texts)
        self._pattern = re.compile("|".join(map(re.escape, self._texts)) or r"(?!)")

    @property
    def longest(self) -> int:
        """The length of the longest marker."""
        return self._longest

    def search(self, text: str, at: int, *, ended: bool) -> tuple[int, str | None]:
        """Return up to where there is no marker for certain, and the marker found there.

        Where the text may go on, a place at which a marker may just be beginning is not certain.
        """
        found = self._pattern.search(text, at)
        stop = found.start() if found else len(text)
        if not ended:
            for place in range(max(at, len(text) - self._longest + 1), min(stop + 1, len(text))):
                if text[place] in self._first and self._may_begin(text[place:]):
                    return place, None
        return stop, found[0] if found else None

    def _may_begin(self, rest: str) -> bool:
        return any(len(text) > len(rest) and text.startswith(rest) for text in self._texts)

    def at_start(self, text: str, *, ended: bool) -> tuple[bool, str | None]:
        """Tell whether it is decided which marker the text begins with, and which."""
        if not ended and self._may_begin(text):
            return False, None
        return True, next((one for one in self._texts if text.startswith(one)), None)


class Tape:
    """The text that has arrived and was not read yet."""

    __slots__ = ("_at", "_ended", "_kept", "_text")

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._ended = False
        self._kept: list[str] = []

    def feed(self, text: str) -> None:
        """Add text at the end."""
        self._text = self._text[self._at :] + text
        self._at = 0

    def end(self) -> None:
        """Say that nothing more comes."""
        self._ended = True

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes."""
        return self._ended

    @property
    def is_empty(self) -> bool:
        """Whether all that has arrived was read."""
        return self._at == len(self._text)

    def keep(self, text: str = "") -> None:
        """Begin to keep what is read from here on, for `kept`; `text` counts as read."""
        self._kept = [text]

    @property
    def kept(self) -> str:
        """What was read since `keep`."""
        return "".join(self._kept)

    @property
    def mark(self) -> int:
        """Where reading is now, for `kept_since`."""
        return len(self._kept)

    def kept_since(self, mark: int) -> str:
        """Return what was read since then."""
        return "".join(self._kept[mark:])

    def take(self, count: int) -> str:
        """Read that many characters, or as many as have arrived."""
        piece = self._text[self._at : self._at + count]
        self._at += len(piece)
        self._kept.append(piece)
        return piece

    def text_before(self, markers: Markers) -> tuple[str, str | None]:
        """Read what has arrived up to the first marker, and the marker; never waits."""
        stop, marker = markers.search(self._text, self._at, ended=self._ended)
        text = self._text[self._at : stop]
        self._at = stop + len(marker or "")
        return text, marker

    def ahead(self, count: int) -> Steps[str]:
        """Look at the next characters without reading them; fewer only at the end."""
        while len(self._text) - self._at < count and not self._ended:
            yield
        return self._text[self._at : self._at + count]

    def skip_space(self) -> Steps[None]:
        """Read white space."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self.take(found.end() - self._at if found else 0)
            if self._ended or not self.is_empty:
                return
            yield

    def skip(self, markers: Markers, *, spaced: bool = False) -> Steps[str | None]:
        """Read the marker that comes next and return it; None and nothing read: it is none.

        With `spaced` there may be white space before it, which is read with it.
        """
        while True:
            gap = self._gap() if spaced else 0
            rest = self._text[self._at + gap : self._at + gap + markers.longest]
            decided, marker = markers.at_start(rest, ended=self._ended)
            if decided and (rest or self._ended or not gap):
                self.take(gap + len(marker) if marker else 0)
                return marker
            yield

    def _gap(self) -> int:
        found = _SHORT_SPACE.match(self._text, self._at)
        return found.end() - self._at if found else 0

    def through(self, markers: Markers) -> Steps[tuple[str, str | None]]:
        """Read up to a marker and the marker; it is None where the text ends before one."""
        pieces: list[str] = []
        while True:
            stop, marker = markers.search(self._text, self._at, ended=self._ended)
            pieces.append(self.take(stop - self._at))
            if marker is not None or self._ended:
                self.take(len(marker or ""))
                return "".join(pieces), marker
            yield

    def peek(self, markers: Markers, limit: int = 256) -> Steps[tuple[str, str | None]]:
        """Look up to a marker and at the marker, if it comes within `limit` characters.

        Where it does not, the text is what is there instead and the marker None.
        """
        width = limit + markers.longest
        while True:
            window = self._text[self._at : self._at + width]
            whole = self._ended or len(window) == width
            stop, marker = markers.search(window, 0, ended=whole)
            if marker is not None and stop <= limit:
                return window[:stop], marker
            if whole or stop > limit:
                return window[:limit], None
            yield

    def head(self, markers: Markers, limit: int = 256) -> Steps[tuple[str, str | None]]:
        """Read what `peek` finds, text and marker; nothing where it finds no marker."""
        text, marker = yield from self.peek(markers, limit)
        if marker is not None:
            self.take(len(text) + len(marker))
        return text, marker

    def value(self, quotes: str = '"', depth: int = 0) -> Steps[tuple[str, bool]]:
        """Read one value in brackets, JSON or alike, and tell whether its last bracket came.

        `depth` is how many brackets were read already. It ends early at a `<` outside of quotes,
        which no value has and most markers begin with.
        """
        outside = _BRACKETS if quotes == '"' else _BRACKETS_QUOTES
        pieces: list[str] = []
        quote = ""
        escaped = False
        while True:
            place = self._at
            if escaped and not self.is_empty:
                place, escaped = place + 1, False
            ends = False
            while not ends:
                found = (_INSIDE[quote] if quote else outside).search(self._text, place)
                if found is None:
                    break
                place, mark = found.end(), found[0]
                if mark == "\\":
                    escaped = place == len(self._text)
                    place += not escaped
                elif mark in quotes:
                    quote = "" if quote else mark
                elif mark == "<":
                    pieces.append(self.take(place - 1 - self._at))
                    return "".join(pieces), False
                else:
                    depth += 1 if mark in "[({" else -1
                    ends = depth <= 0
            pieces.append(self.take((place if ends else len(self._text)) - self._at))
            if ends or self._ended:
                return "".join(pieces), ends
            yield

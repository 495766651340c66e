"""Bytes of a file as text, and text cut to what a model can take, never without saying so.

Knows nothing about files or tools.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

__all__ = ["COMPACT", "FULL", "Limits", "as_text", "as_utf8", "from_utf8", "lines_of", "within"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one tool result may hold."""

    characters: int
    lines: int
    line_characters: int
    """Longer lines are cut."""


FULL = Limits(characters=40_000, lines=1_000, line_characters=2_000)
"""For models with a large context window."""

COMPACT = Limits(characters=4_000, lines=200, line_characters=400)
"""For a context of 4,096 tokens, of which a result may take about a third."""


def as_text(content: bytes) -> tuple[str, str] | None:
    """Decode a file's bytes.

    Returns:
        The text and a remark, which is empty for UTF-8; None for a binary file.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace"), "decoded as UTF-16"
    if b"\0" in content[:8192]:
        return None
    try:
        return content.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        return content.decode("latin-1"), "not valid UTF-8, decoded as Latin-1"


def as_utf8(content: bytes) -> tuple[bytes, str]:
    """Return the bytes of a text as UTF-8, and the name of the encoding they had.

    What is no text, or cannot be put back as it was, stays as it is and is called `utf-8`.
    """
    for mark, codec in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if content.startswith(mark):
            try:
                return content.decode(codec).encode(), codec
            except UnicodeDecodeError:
                return content, "utf-8"
    decoded = as_text(content)
    if decoded is None or not decoded[1]:
        return content, "utf-8"
    return decoded[0].encode(), "latin-1"


def from_utf8(content: bytes, codec: str) -> bytes:
    """Undo `as_utf8`.

    Raises:
        ValueError: the encoding lacks a character; the message names both.
    """
    if codec == "utf-8":
        return content
    try:
        return content.decode().encode(codec)
    except UnicodeEncodeError as error:
        lacking = error.object[error.start]
        raise ValueError(f"the file is in {codec}, which has no {lacking!r}") from None


def lines_of(text: str) -> list[str]:
    r"""Split text at \n and \r\n only, as editors count lines; str.splitlines knows more ends."""
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def within(lines: list[str], limits: Limits) -> list[str]:
    """Return the first lines, cut where too long, that stay within the limits; at least one."""
    kept: list[str] = []
    room = limits.characters
    for line in lines[: limits.lines]:
        shown = line
        if len(line) > limits.line_characters:
            rest = len(line) - limits.line_characters
            shown = f"{line[: limits.line_characters]} [... {rest:,} more characters]"
        room -= len(shown) + 1
        if room < 0 and kept:
            break
        kept.append(shown)
    return kept

"""Makes text that others wrote harmless to a terminal.

Models, tools, repositories and servers can all put escape sequences into what they say: to move the
cursor, to rewrite the clipboard, to draw a prompt that is not ours. Knows nothing about colours or
markup, and is not meant for text that is stored or sent on.

Sequences after ECMA-48 5th edition, sections 5.3-5.6
(https://ecma-international.org/publications-and-standards/standards/ecma-48/).
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["TerminalSanitizer", "one_line", "reveal", "sanitize_terminal"]

_PLAIN = re.compile(r"[\n\t\x20-\x7e]*")
# Control strings end at BEL or ST. CAN, SUB and ESC break them off, as in a terminal; a newline
# does too, or one unfinished sequence would swallow all that follows.
_STRING_BODY = r"[^\x07\x18\x1a\x1b\x9c\n]*"
_SEQUENCE = re.compile(
    rf"(?:\x1b\[|\x9b)[\x20-\x3f]*[\x40-\x7e]?"
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_STRING_BODY}[\x07\x9c]?"
    rf"|\x1b[\x20-\x2f]*[\x30-\x7e]?"
    # What is left of C0 and C1, and the marks that reorder text on screen.
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
# A sequence that the end of the text cut: group 1 is what the next piece needs to go on from.
_CUT = re.compile(
    rf"(?:(\x1b\[|\x9b)[\x20-\x3f]*"
    rf"|(\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_STRING_BODY}"
    rf"|(\x1b[\x20-\x2f]?)[\x20-\x2f]*)\Z"
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2028\u2029\u2060-\u206f\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def sanitize_terminal(text: str) -> str:
    """Return text that can be written to a terminal without acting on it.

    Escape sequences go as a whole, with every other control character but newline and tab, and
    with the marks that reorder text. Characters nobody can see become visible: `<U+200B>`. The two
    joiners stay where writing needs them (Persian, Hindi, emoji). Lone surrogates, which no
    terminal can be sent, become visible too.
    """
    if _PLAIN.fullmatch(text):
        return text
    return _mark(_SEQUENCE.sub("", text), "")


def reveal(text: str) -> str:
    """Return text with everything unseen made visible and nothing taken away.

    For what a person approves: a stripped sequence could hide a part of a command.
    """
    if _PLAIN.fullmatch(text):
        return text
    return _INVISIBLE.sub(_visible, _CONTROL.sub(_visible, text))


def one_line(text: str, limit: int = 2000) -> str:
    """Return sanitised text on one line, cut to at most `limit` characters."""
    line = " ".join(sanitize_terminal(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class TerminalSanitizer:
    """`sanitize_terminal` for text that arrives in pieces; a sequence may be cut anywhere."""

    def __init__(self) -> None:
        self._cut = ""
        self._before = ""

    def feed(self, piece: str) -> str:
        """Return what can be written now. However a text is cut, the pieces join to the same."""
        text = self._cut + piece
        if not self._cut and _PLAIN.fullmatch(text):
            self._before = text[-1:] or self._before
            return text
        cut = _CUT.search(text)
        self._cut = ""
        if cut is not None:
            # Bodies are dropped, so that an endless sequence does not pile up.
            self._cut = cut[1] or cut[2] or cut[3]
            text = text[: cut.start()]
        shown = _SEQUENCE.sub("", text)
        marked = _mark(shown, self._before)
        self._before = shown[-1:] or self._before
        return marked


def _mark(text: str, before: str) -> str:
    def mark(match: re.Match[str]) -> str:
        start = match.start()
        previous = text[start - 1] if start else before
        if match[0] in "\u200c\u200d" and previous > "\x7f":
            joinable = unicodedata.category(previous)[0] in "LMS"
            return match[0] if joinable else _visible(match)
        return _visible(match)

    return _INVISIBLE.sub(mark, text)


def _visible(match: re.Match[str]) -> str:
    return f"<U+{ord(match[0]):04X}>"

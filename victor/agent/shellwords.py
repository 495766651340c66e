"""Splits a shell's input into words and operators, as bash does before it runs anything.

Quotes are removed and remembered; whatever is only known when the command runs (variables, output
of commands, braces, `~`) is marked, not guessed. Knows nothing about commands or rules.

Spec: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html and, beyond it,
https://www.gnu.org/software/bash/manual/bash.html#Shell-Syntax
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

__all__ = ["ShellSyntaxError", "Token", "Tokens", "Word", "is_name", "tokens_of"]

_OPERATORS = (
    *("&>>", "<<<", "<<-", ";;&"),
    *("&&", "||", ";;", ";&", "|&", "&>", "<<", "<>", "<&", ">>", ">&", ">|"),
    *("&", ";", "|", "(", ")", "<", ">", "\n"),
)
_META = frozenset(" \t\n|&;()<>")
_SPECIAL = frozenset("@*#?-$!0123456789_")
_DEEPEST = 20
"""Substitutions inside substitutions; more of them are nobody's honest command."""


class ShellSyntaxError(Exception):
    """A text that is no complete shell input, or more of it than is read here."""


@dataclass(frozen=True)
class Word:
    """One word after quote removal."""

    pieces: tuple[tuple[str, bool], ...]
    """Its text in parts, and whether each was quoted."""
    unknown: str = ""
    """Why its value is only known when it runs; empty where it is the text."""
    inner: tuple[Tokens, ...] = ()
    """What is run to make it."""

    @cached_property
    def text(self) -> str:
        """The word as the program gets it, unless `unknown` or a pattern of file names."""
        return "".join(text for text, _ in self.pieces)

    @cached_property
    def plain(self) -> str:
        """What of it was not quoted."""
        return "".join(text for text, quoted in self.pieces if not quoted)

    @property
    def is_pattern(self) -> bool:
        """Whether the shell would put file names in its place."""
        return any(sign in self.plain for sign in "*?[")


@dataclass(frozen=True)
class Token:
    """A word or an operator, and where it stands."""

    kind: Literal["word", "operator", "redirect"]
    text: str
    """The operator; of a word, its value."""
    start: int
    end: int
    word: Word = Word(())


@dataclass(frozen=True)
class Tokens:
    """What one script consists of."""

    text: str
    tokens: tuple[Token, ...]
    troubles: tuple[str, ...] = ()
    """What in it could not be understood."""
    base: int = 0
    """Where the text begins in the one that the tokens' positions count in."""


def tokens_of(text: str, depth: int = 0) -> Tokens:
    """Read a whole script. Never raises: what cannot be read becomes a trouble.

    Args:
        text: the script.
        depth: how many scripts it is inside of.
    """
    reader = _Reader(text, depth)
    try:
        return reader.script(nested=False)
    except ShellSyntaxError as error:
        return Tokens(text, tuple(reader.tokens), (*reader.troubles, str(error)))


def is_name(text: str) -> bool:
    """Tell whether a text can name a variable."""
    return text.isascii() and text.isidentifier()


class _Reader:
    """Reads one script from a text; a nested one shares the text and not the tokens."""

    def __init__(self, text: str, depth: int, at: int = 0) -> None:
        if depth > _DEEPEST:
            raise ShellSyntaxError("it is nested too deeply")
        self.text = text
        self.at = at
        self.depth = depth
        self.tokens: list[Token] = []
        self.troubles: list[str] = []
        self._documents: list[tuple[bool, Word]] = []
        """Here-documents whose text comes after this line."""

    def script(self, *, nested: bool) -> Tokens:
        """Read to the end, or to the bracket that closes a nested script."""
        begin, open_brackets = self.at, 0
        while (operator := self._skip_blanks()) != "":
            start = self.at
            if operator is None:
                self._add_word(start)
                continue
            if operator == ")" and nested and not open_brackets:
                self.at += 1
                return self._result(self.text[begin:start], begin)
            open_brackets += {"(": 1, ")": -1}.get(operator, 0)
            self.at += len(operator)
            if operator == "\n":
                self._read_documents()
            if operator == "(" and self.text.startswith("(", self.at):
                # In arithmetic << is no here-document and # is no comment.
                self.troubles.append("two brackets may be arithmetic")
            redirects = operator[0] in "<>" or operator.startswith("&>")
            kind: Literal["redirect", "operator"] = "redirect" if redirects else "operator"
            self.tokens.append(Token(kind, operator, start, start + len(operator)))
        if nested:
            raise ShellSyntaxError("a bracket is not closed")
        return self._result(self.text, 0)

    def _result(self, text: str, base: int) -> Tokens:
        if self._documents:
            self.troubles.append("a here-document does not begin")
        return Tokens(text, tuple(self.tokens), tuple(self.troubles), base)

    def _skip_blanks(self) -> str | None:
        """Go to the next token; return its operator, None before a word, "" at the end."""
        text = self.text
        while self.at < len(text):
            if text[self.at] in " \t":
                self.at += 1
            elif text.startswith("\\\n", self.at):
                self.at += 2
            elif text[self.at] == "#":
                end = text.find("\n", self.at)
                self.at = len(text) if end < 0 else end
            elif text[self.at] not in _META or text.startswith(("<(", ">("), self.at):
                return None
            else:
                return next(one for one in _OPERATORS if text.startswith(one, self.at))
        return ""

    def _add_word(self, start: int) -> None:
        word = self._word()
        follows = self.text[self.at : self.at + 1]
        if follows in {"<", ">", "|", "&"} and word.plain.count("[") > word.plain.count("]"):
            # In an index of an array << would be no here-document.
            word = Word(word.pieces, "a bracket is not closed", word.inner)
        elif follows in {"<", ">"} and not any(quoted for _, quoted in word.pieces):
            if word.text.isascii() and word.text.isdigit():
                return  # the number of a file descriptor, not an argument
            if word.text.startswith("{"):
                word = Word(word.pieces, "a variable gets a file descriptor", word.inner)
        before = self.tokens[-1] if self.tokens else None
        if before is not None and before.kind == "redirect" and before.text in {"<<", "<<-"}:
            self._documents.append((before.text == "<<-", word))
        self.tokens.append(Token("word", word.text, start, self.at, word))

    def _read_documents(self) -> None:
        for strips, word in self._documents:
            begin = self.at
            while True:
                if self.at >= len(self.text):
                    raise ShellSyntaxError("a here-document has no end")
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                line = self.text[self.at : end]
                self.at = min(end + 1, len(self.text))
                if (line.lstrip("\t") if strips else line) == word.text:
                    break
            body = self.text[begin : self.at]
            if not any(quoted for _, quoted in word.pieces) and any(c in body for c in "$`\\"):
                self.troubles.append("a here-document is filled in when it runs")
        self._documents.clear()

    # ------------------------------------------------------------------ one word

    def _word(self) -> Word:
        pieces: list[tuple[str, bool]] = []
        unknown: list[str] = []
        inner: list[Tokens] = []
        text = self.text
        while self.at < len(text):
            char = text[self.at]
            if text.startswith(("<(", ">("), self.at):
                self.at += 2
                inner.append(self._nested())
                unknown.append("it reads or feeds another command")
            elif char in _META:
                break
            elif char == "'":
                pieces.append((self._single(), True))
            elif char == '"':
                self._double(pieces, unknown, inner)
            elif char == "\\":
                pieces += self._escaped()
            elif char in "$`":
                self._expansion(pieces, unknown, inner, quoted=False)
            else:
                pieces.append((char, False))
                self.at += 1
        word = Word(tuple(_joined(pieces)))
        return Word(word.pieces, "; ".join(dict.fromkeys([*unknown, *_marks(word)])), tuple(inner))

    def _single(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise ShellSyntaxError("a quote is not closed")
        found = self.text[self.at + 1 : end]
        self.at = end + 1
        return found

    def _escaped(self) -> list[tuple[str, bool]]:
        if self.at + 1 >= len(self.text):
            raise ShellSyntaxError("it ends with a backslash")
        found = self.text[self.at + 1]
        self.at += 2
        return [] if found == "\n" else [(found, True)]  # a line that goes on in the next

    def _double(
        self, pieces: list[tuple[str, bool]], unknown: list[str], inner: list[Tokens]
    ) -> None:
        self.at += 1
        pieces.append(("", True))
        while (char := self.text[self.at : self.at + 1]) != '"':
            if not char:
                raise ShellSyntaxError("a quote is not closed")
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in {*'$`"\\', "\n"}:
                pieces += self._escaped()
            elif char in "$`":
                self._expansion(pieces, unknown, inner, quoted=True)
            else:
                pieces.append((char, True))
                self.at += 1
        self.at += 1

    def _expansion(
        self,
        pieces: list[tuple[str, bool]],
        unknown: list[str],
        inner: list[Tokens],
        *,
        quoted: bool,
    ) -> None:
        """Read what begins with `$` or a backtick."""
        start, follows = self.at, self.text[self.at + 1 : self.at + 2]
        if self.text[self.at] == "`":
            inner.append(self._backticks())
            unknown.append("a part of it is what another command prints")
        elif follows == "(":
            self.at += 2
            inner.append(self._nested())
            unknown.append("a part of it is what another command prints")
        elif follows == "{":
            self._skip_braces()
            unknown.append("it contains a variable")
        elif follows == "'" and not quoted:
            self._skip_ansi_c()
            unknown.append("it is quoted with $'…'")
        elif follows == '"' and not quoted:
            self.at += 1
            self._double(pieces, unknown, inner)
            unknown.append('it is quoted with $"…"')
            return
        elif is_name(follows) or (follows and follows in _SPECIAL):
            self.at += 2
            while is_name(follows) and is_name("_" + self.text[self.at : self.at + 1]):
                if self.at >= len(self.text):
                    break
                self.at += 1
            unknown.append("it contains a variable")
        else:
            self.at += 1
        pieces.append((self.text[start : self.at], True))

    def _nested(self) -> Tokens:
        reader = _Reader(self.text, self.depth + 1, self.at)
        found = reader.script(nested=True)
        self.at = reader.at
        return found

    def _backticks(self) -> Tokens:
        script: list[str] = []
        self.at += 1
        while (char := self.text[self.at : self.at + 1]) != "`":
            if not char:
                raise ShellSyntaxError("a backtick is not closed")
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in {*"$`\\"}:
                self.at += 1
                char = self.text[self.at]
            script.append(char)
            self.at += 1
        self.at += 1
        return tokens_of("".join(script), self.depth + 1)

    def _skip_braces(self) -> None:
        self.at += 2
        depth = 1
        while depth:
            char = self.text[self.at : self.at + 1]
            if not char:
                raise ShellSyntaxError("a brace is not closed")
            depth += {"{": 1, "}": -1}.get(char, 0)
            self.at += 2 if char == "\\" else 1

    def _skip_ansi_c(self) -> None:
        self.at += 2
        while (char := self.text[self.at : self.at + 1]) != "'":
            if not char:
                raise ShellSyntaxError("a quote is not closed")
            self.at += 2 if char == "\\" else 1
        self.at += 1


def _joined(pieces: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    texts: list[str] = []
    for index, (text, quoted) in enumerate(pieces):
        texts.append(text)
        if index + 1 == len(pieces) or pieces[index + 1][1] != quoted:
            found.append(("".join(texts), quoted))
            texts = []
    return found


def _marks(word: Word) -> list[str]:
    """Say what the shell would still put in the place of unquoted characters."""
    plain, marks = word.plain, []
    first_is_plain = bool(word.pieces) and not word.pieces[0][1]
    if (first_is_plain and plain.startswith("~")) or "=~" in plain or ":~" in plain:
        marks.append("~ stands for a home directory")
    _, brace, rest = plain.partition("{")
    if brace and ("," in rest or ".." in rest):
        marks.append("braces stand for several words")
    if not all(char.isprintable() or char in "\t\n" for char in word.text):
        marks.append("it contains characters that cannot be seen")
    return marks

"""Looks through files as ripgrep does, where there is no ripgrep: the same files, the same lines.

What it finds is written as ripgrep prints it. Patterns run in a linear-time engine, so that none
can hang the process. Knows nothing about tools.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import stat
import string
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from victor.tools.context import ToolError
from victor.tools.globs import glob_matcher
from victor.tools.ignored import Rules
from victor.tools.paths import Entry, PathError, entries, open_beneath, open_file, relative
from victor.tools.threads import call_in_thread

__all__ = ["Plain", "Wanted"]

_LEFT_OUT = frozenset({".git", ".hg", ".svn", ".jj"})
_LARGEST_FILE = 32 * 1024 * 1024
"""Bytes; larger files are seldom source, and are passed over with a remark."""
_BINARY_WITHIN = 65_536
"""Bytes; a file that is no text is mostly known by so many."""

_BATCH_S = 0.1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What lines are looked for."""

    pattern: str
    ignore_case: bool = False
    literal: bool = False
    around: int = 0
    """How many lines before and after each are wanted, too."""
    first_only: bool = False
    """One line of each file is enough."""
    shown: int = 500
    """So much of a line is shown, in bytes."""


@dataclass(slots=True)
class Plain:
    """One look at the files below a directory, or at one file.

    Args:
        workspace: the directory that must not be left.
        path: the directory or file to look at.
        kept: an open file to look at instead.
        ignored: also look at what git ignores.
    """

    workspace: Path
    path: str
    kept: BinaryIO | None = None
    ignored: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)

    async def names(self) -> AsyncGenerator[bytes, None]:
        """Yield the names of the files, relative to the directory.

        Raises:
            PathError: the path is outside the workspace or is no directory.
        """
        found = (os.fsencode(name) for name, _ in self._files(directory=True))
        async for name in self._threaded(found):
            yield name

    async def lines(self, wanted: Wanted, files: str | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the lines that match, each with its file and place.

        Args:
            wanted: what to look for.
            files: a glob for names or, with a `/`, for paths; as for ripgrep, such a one also
                brings back what git ignores.

        Raises:
            PathError: the path is outside the workspace or cannot be opened.
            ToolError: the pattern is no regular expression.
        """
        look = _matcher(wanted)
        named = files is not None and "/" in files and not files.startswith("!")
        self.ignored = self.ignored or named
        async for line in self._threaded(self._lines(look, wanted, _filter(files))):
            yield line

    async def _threaded(self, found: Iterator[bytes]) -> AsyncGenerator[bytes, None]:
        done = False

        def batch() -> list[bytes]:
            nonlocal done
            some: list[bytes] = []
            end = time.monotonic() + _BATCH_S
            for one in found:
                if one:
                    some.append(one)
                if time.monotonic() >= end:
                    return some
            done = True
            return some

        try:
            while not done:
                for one in await call_in_thread(batch):
                    yield one
        finally:
            self._stop.set()

    def _lines(
        self, look: _Look, wanted: Wanted, matches: Callable[[str], bool]
    ) -> Iterator[bytes]:
        several = False
        for name, place in self._files():
            if self._stop.is_set():
                return
            yield b""  # a sign of life
            if place is not None and not matches(name):
                continue
            text = self._text(place)
            if text is None:
                size = f"larger than {_LARGEST_FILE // 2**20} MiB"
                yield os.fsencode(name) + f": not searched, as it is {size}\n".encode()
                continue
            if not text or not look.anywhere(text):
                continue
            text, binary, _ = text.partition("\0")
            shown = False
            for line in _matching(os.fsencode(name), text, look, wanted):
                shown = True
                if line is None:
                    if several:
                        yield b"--\n"
                    several = True
                else:
                    yield line
            if shown and binary:
                yield os.fsencode(name) + b": binary file, of which only the start was searched\n"

    def _text(self, place: str | None) -> str | None:
        """Return a file's text; "" if it is binary or cannot be read, None if it is too large."""
        try:
            with self.kept or open_file(self.workspace, place or self.path) as file:
                content = file.read() if self.kept else file.read(_LARGEST_FILE + 1)
        except (PathError, OSError):
            return ""  # it vanished, or may not be read
        if len(content) > _LARGEST_FILE and self.kept is None:
            return None
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return content.decode("utf-16", "replace")
        if b"\0" in content[:_BINARY_WITHIN]:
            return ""
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")

    def _files(self, *, directory: bool = False) -> Iterator[tuple[str, str | None]]:
        """Yield each file's name below the directory and its path; no path for the one file."""
        start = relative(self.workspace, self.path) if self.kept is None else "."
        if self.kept is not None or not (directory or self._is_directory()):
            yield "<stdin>", None
            return
        prefix = 0 if start == "." else len(start) + 1
        for path in self._below(start):
            yield path[prefix:], path

    def _is_directory(self) -> bool:
        descriptor = open_beneath(self.workspace, self.path)
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        os.close(descriptor)
        if not is_directory:
            open_file(self.workspace, self.path).close()  # a FIFO is an error, not "nothing found"
        return is_directory

    def _rules(self, start: str) -> Rules:
        """Return what the directories above one say of it."""
        rules = Rules()
        steps = [] if start == "." else [".", *start.split("/")[:-1]]
        for number in range(len(steps)):
            above = "/".join(steps[1 : number + 1]) or "."
            rules = rules.below(self.workspace, above, entries(self.workspace, above))
        return rules

    def _below(self, start: str) -> Iterator[str]:
        rules = Rules() if self.ignored else self._rules(start)
        waiting = [self._entered(start, rules)]
        while waiting and not self._stop.is_set():
            found, rules = waiting[-1]
            entry = next(found, None)
            if entry is None:
                waiting.pop()
                continue
            is_directory = entry.kind == "directory"
            if entry.kind == "other" or rules.ignore(entry.path, is_directory=is_directory):
                continue
            if is_directory:
                with contextlib.suppress(PathError):  # it vanished, or may not be read
                    waiting.append(self._entered(entry.path, rules))
            else:
                yield entry.path

    def _entered(self, directory: str, rules: Rules) -> tuple[Iterator[Entry], Rules]:
        # Links are followed, as the place to look at may lie behind one; none is gone into.
        inside = entries(self.workspace, directory, leave_out=_LEFT_OUT)
        if not self.ignored:
            rules = rules.below(self.workspace, directory, inside)
        return iter(inside), rules


def _filter(files: str | None) -> Callable[[str], bool]:
    if files is None:
        return bool
    if files.count("{") != files.count("}"):
        raise ToolError(f"{files!r} is no pattern for files: unclosed alternate group")
    if "/" in files and files.startswith("!"):
        unwanted = glob_matcher(files[1:])
        return lambda name: not unwanted(name)
    return glob_matcher(files)


@dataclass(frozen=True, slots=True)
class _Look:
    """Two tests: whether a text may have such a line, and whether a line is one."""

    anywhere: Callable[[str], bool]
    line: Callable[[str], bool]


def _matcher(wanted: Wanted) -> _Look:
    pattern = wanted.pattern
    if wanted.literal:
        if not wanted.ignore_case:
            return _Look(lambda text: pattern in text, lambda line: pattern in line)
        pattern = "".join(f"\\{one}" if one in string.punctuation else one for one in pattern)
    flags = "i" if wanted.ignore_case else ""
    line = _regex(f"(?{flags}:{pattern})", pattern)
    if "\\A" in pattern or "\\z" in pattern:
        return _Look(bool, line)
    return _Look(_regex(f"(?m{flags}:{pattern})", pattern), line)


def _regex(source: str, shown_as: str) -> Callable[[str], bool]:
    # pydantic's validator core brings Rust's regex engine, which runs in linear time; Python's own
    # can take for ever and holds the interpreter lock meanwhile.
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    schema = core_schema.str_schema(pattern=source, regex_engine="rust-regex")
    try:
        return SchemaValidator(schema).isinstance_python
    except SchemaError as error:
        *_, reason = str(error).strip().splitlines()
        raise ToolError(
            f"{shown_as!r} is not a regular expression that can be used: "
            f"{reason.removeprefix('error: ').strip()}"
        ) from error


def _matching(name: bytes, text: str, look: _Look, wanted: Wanted) -> Iterator[bytes | None]:
    """Yield the lines to show; None before each group of lines, where there are groups."""
    lines = text.removesuffix("\n").split("\n")
    last = -1
    """The line shown last."""
    open_until = -1
    """How far the lines after a match go."""
    for number, line in enumerate(lines):
        if look.line(line):
            start = max(last + 1, number - wanted.around)
            if wanted.around and (last < 0 or start > last + 1):
                yield None
            for before in range(start, number):
                yield _printed(name, before, "-", lines[before], wanted.shown)
            yield _printed(name, number, ":", line, wanted.shown)
            if wanted.first_only:
                return
            last, open_until = number, number + wanted.around
        elif last >= 0 and number <= open_until:
            yield _printed(name, number, "-", line, wanted.shown)
            last = number


def _printed(name: bytes, number: int, sign: str, line: str, most: int) -> bytes:
    text = line.encode()
    if len(text) > most:
        text = text[:most].decode("utf-8", "ignore").encode() + b" [... omitted end of long line]"
    return b"%b\0%d%b0%b%b" % (name, number + 1, sign.encode(), sign.encode(), text)

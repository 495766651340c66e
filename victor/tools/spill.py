"""Output that is too long for a model, kept in files that the model can page through.

A result over the cap goes back as its beginning, its end and the name of the whole. The files
belong to one conversation, are readable by their owner alone, and go when it ends. In them all ends
of lines are the same, lines are short enough to be shown, and what is not UTF-8 is replaced. Knows
no tools.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import secrets
import shutil
import threading
import time
import weakref
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from victor.config.settings import state_path
from victor.tools.context import Memory, ToolError
from victor.tools.text import FULL, within

__all__ = [
    "HEAD",
    "MOST_CHARACTERS",
    "TAIL",
    "Kept",
    "Spill",
    "shortened",
    "spilled",
    "where_it_is",
]

HEAD = 10_000
"""Characters, or bytes of a command's output, that are still shown of its start."""

TAIL = 20_000
"""The same of its end."""

MOST_CHARACTERS = 50_000
"""A longer result is spilled; what the tools for files return is shorter by itself."""

_MOST_EACH = 64 * 2**20
"""Bytes of one output that are kept."""

_MOST_BYTES = 512 * 2**20
"""What one conversation may keep; a tool that prints for ever must not fill the disk."""

_SLICE = 2**18
_PREFIX = "output:"
_NOT_KEPT = "the rest was not kept: no tool could read it"
_KEPT_S = 7 * 24 * 3600.0
"""Age of files that a killed process left behind when the next one removes them."""


class Kept:
    """One output, written as it comes; by one thread at a time.

    Attributes:
        name: what to read it by.
        taken: how many bytes of what came are in the file.
        size: how many bytes the file has.
    """

    def __init__(self, spill: Spill, name: str, path: Path) -> None:
        self.name = name
        self.taken = 0
        self.size = 0
        self._ends = 0
        self._spill = spill
        self._path = path
        self._column = 0
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(utf8, translate=True)

    @property
    def lines(self) -> int:
        """How many lines the file has."""
        return self._ends + bool(self._column)

    def write(self, piece: bytes) -> None:
        """Add what came.

        Raises:
            OSError: nothing of it was written: the disk is full, or there is too much already.
        """
        self._append(self._decoder.decode(piece))
        self.taken += len(piece)

    def finish(self) -> None:
        """Write what was waiting for the other half of a character; a few bytes."""
        self._append(self._decoder.decode(b"", final=True))

    def _append(self, text: str) -> None:
        folded = self._folded(text.replace("\0", "\N{SYMBOL FOR NULL}"))
        content = folded.encode()
        self._spill.spend(self, len(content))
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(self._path, flags, 0o600), "ab") as file:
                file.write(content)
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self._path, self.size)
            raise
        self.size += len(content)
        self._ends += folded.count("\n")

    def _folded(self, text: str) -> str:
        # What the last line has already stands in for it, so that it is folded where it has to be.
        before = self._column
        lines = (" " * before + text).split("\n")
        width = FULL.line_characters
        if max(map(len, lines)) > width:
            lines = [
                line[at : at + width] for line in lines for at in range(0, len(line) or 1, width)
            ]
        self._column = len(lines[-1])
        return "\n".join(lines)[before:]

    def drop(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


class Spill:
    """The long outputs of one conversation, on disk."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._outputs: dict[str, Kept] = {}
        self._told: dict[str, str] = {}
        self._count = 0
        self._bytes = 0
        self._closed = False
        self._lock = threading.Lock()

    def new(self) -> Kept:
        """Begin to keep an output.

        Raises:
            OSError: nothing can be kept here.
        """
        with self._lock:
            if self._closed:
                raise OSError("the conversation is over")
            folder = self._folder = self._folder or self._make()
            self._count += 1
            kept = Kept(self, f"{_PREFIX}{self._count}", folder / str(self._count))
            self._outputs[kept.name] = kept
        return kept

    def spend(self, kept: Kept, count: int) -> None:
        """Count bytes before they are written.

        Raises:
            OSError: these would be too many.
        """
        with self._lock:
            if kept.size + count > _MOST_EACH:
                raise OSError(f"one output may take {_MOST_EACH // 2**20} MiB")
            if self._bytes + count > _MOST_BYTES:
                raise OSError(f"more than {_MOST_BYTES // 2**20} MiB of output are kept already")
            self._bytes += count

    def drop(self, kept: Kept) -> None:
        """Remove an output that nobody will read."""
        with self._lock:
            if self._outputs.pop(kept.name, None) is not None:
                self._bytes -= kept.size
                kept.drop()

    def tell(self, kept: Kept, where: str) -> str:
        """Remember what is said about where an output is, and return it."""
        self._told[kept.name] = where
        return where

    def unsaid(self, text: str) -> str:
        """Return a result for a model that has no tool to read outputs, and drop those it names."""
        for name, where in list(self._told.items()):
            if where in text:
                text = text.replace(where, _NOT_KEPT)
                self.drop(self._outputs[name])
                del self._told[name]
        return text

    @staticmethod
    def names(path: str) -> bool:
        """Tell whether a path means a kept output and not a file of the workspace."""
        return path.startswith(_PREFIX)

    def open(self, path: str) -> BinaryIO:
        """Open a kept output.

        Raises:
            ToolError: there is none of that name.
        """
        if self._folder is None or path not in self._outputs:
            raise ToolError(f"there is no {path!r}: only outputs that a result names are kept")
        return (self._folder / path.removeprefix(_PREFIX)).open("rb")

    def page(self, path: str, *, offset: int = 1, limit: int | None = None) -> str:
        """Return lines of a kept output with their numbers, without reading more than it has to.

        Args:
            path: its name.
            offset: the first line.
            limit: how many lines, if not as many as can be shown.

        Raises:
            ToolError: there is none of that name, or it has no such line.
        """
        most = FULL.lines if limit is None else min(limit, FULL.lines)
        with self.open(path) as file:
            found = list(islice(file, offset - 1, offset - 1 + most))
            more = file.read(1)
        if not found:
            raise ToolError(f"{path!r} ends at line {self._outputs[path].lines:,}")
        shown = within([line.decode().removesuffix("\n") for line in found], FULL)
        lines = [f"{number}\t{line}" for number, line in enumerate(shown, offset)]
        if more or len(shown) < len(found):
            last, every = offset - 1 + len(shown), self._outputs[path].lines
            how = f"read on with offset={last + 1}"
            lines.append(f"[lines {offset:,}-{last:,} of {every:,}; {how}]")
        return "\n".join(lines)

    async def aclose(self) -> None:
        """Remove the files; nothing is kept afterwards."""
        with self._lock:
            self._closed = True
            folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def _make(self) -> Path:
        outputs = state_path() / "outputs"
        outputs.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_old(outputs)
        folder = outputs / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        # Also where nobody closes the agent: when it is collected, or when Python ends.
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder


def spilled(text: str, memory: Memory, *, readable: bool) -> str:
    """Return a result as it is or, where it is too long, shortened and with where the rest is.

    Blocks for as long as the disk takes.

    Args:
        text: the result of a tool.
        memory: that of the conversation.
        readable: whether the model has a tool that reads what is kept.
    """
    if not readable:
        text = memory.of(Spill).unsaid(text)
    if len(text) <= MOST_CHARACTERS:
        return text
    where = _spilled(text, memory.of(Spill)) if readable else _NOT_KEPT
    return shortened(text[:HEAD], text[-TAIL:], len(text), "characters", where)


def _spilled(text: str, spill: Spill) -> str:
    kept, taken, trouble = None, 0, ""
    try:
        kept = spill.new()
        for at in range(0, len(text), _SLICE):
            piece = text[at : at + _SLICE]
            kept.write(piece.encode("utf-8", "replace"))
            taken += len(piece)
        kept.finish()
    except OSError as error:
        trouble = str(error)
    return where_it_is(spill, kept, taken, len(text), trouble)


def where_it_is(
    spill: Spill | None, kept: Kept | None, taken: int, total: int, trouble: str
) -> str:
    """Say where an output is that is shown in part.

    Args:
        spill: what it is kept by; None for nothing.
        kept: its file; None where there is none.
        taken: how much of it is in the file.
        total: how much there was.
        trouble: why not all of it is there; empty where it is.
    """
    if spill is None:
        return _NOT_KEPT
    if kept is None or not taken:
        return f"the rest could not be kept: {trouble}"
    path = f"{kept.name!r}: read or grep that path"
    if not trouble:
        return spill.tell(kept, f"all of it is in {path}")
    lost = f"{total - taken:,} after them were not kept, as {trouble}"
    return spill.tell(kept, f"the first {taken:,} are in {path}; {lost}")


def shortened(head: str, tail: str, total: int, unit: str, where: str) -> str:
    """Return the start and the end of an output with what is said about the rest between them."""
    left_out = total - HEAD - TAIL
    return f"{head}\n[... {left_out:,} of {total:,} {unit} left out; {where} ...]\n{tail}"


def _remove_old(outputs: Path) -> None:
    oldest = time.time() - _KEPT_S
    with contextlib.suppress(OSError):
        for folder in outputs.iterdir():
            if folder.lstat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)

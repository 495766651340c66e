"""Output that is too long for a model, kept in files that the model can page through.

A result over the cap goes back as its beginning, its end and the name of the whole. The files
belong to one conversation, are readable by their owner alone, and go when it ends. Knows no tools.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import threading
import time
import weakref
from pathlib import Path
from typing import BinaryIO

from victor.config.settings import state_path
from victor.tools.context import Memory, ToolError
from victor.tools.text import FULL, lines_of

__all__ = ["Spill", "spilled"]

_MOST_CHARACTERS = 50_000
"""A longer result is spilled; what the tools for files return is shorter by itself."""

_HEAD, _TAIL = 10_000, 20_000
"""Characters that are still shown of its start and its end."""

_MOST_BYTES = 512 * 2**20
"""What one conversation may keep; a tool that prints for ever must not fill the disk."""

_PREFIX = "output:"
_KEPT_S = 7 * 24 * 3600.0
"""Age of files that a killed process left behind when the next one removes them."""


class Spill:
    """The long outputs of one conversation, on disk."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._names: list[str] = []
        self._bytes = 0
        self._lock = threading.Lock()

    def keep(self, text: str) -> str:
        """Write a text to a file of its own; lines too long to be shown are folded.

        Returns:
            The name to read it by.

        Raises:
            OSError: it could not be written, or there is too much already.
        """
        folded = "\n".join(piece for line in lines_of(text) for piece in _folded(line))
        content = folded.encode("utf-8", "replace")
        with self._lock:
            if self._bytes + len(content) > _MOST_BYTES:
                raise OSError(f"more than {_MOST_BYTES // 2**20} MiB of output are kept already")
            folder = self._folder = self._folder or self._make()
            name = str(len(self._names) + 1)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(folder / name, flags, 0o600), "wb") as file:
                file.write(content)
            self._names.append(name)
            self._bytes += len(content)
        return f"{_PREFIX}{name}"

    @staticmethod
    def names(path: str) -> bool:
        """Tell whether a path means a kept output and not a file of the workspace."""
        return path.startswith(_PREFIX)

    def open(self, path: str) -> BinaryIO:
        """Open a kept output.

        Raises:
            ToolError: there is none of that name.
        """
        name = path.removeprefix(_PREFIX)
        if self._folder is None or name not in self._names:
            raise ToolError(f"there is no {path!r}: only outputs that a result names are kept")
        return (self._folder / name).open("rb")

    async def aclose(self) -> None:
        """Remove the files."""
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

    Args:
        text: the result of a tool.
        memory: that of the conversation.
        readable: whether the model has a tool that reads what is kept.
    """
    if len(text) <= _MOST_CHARACTERS:
        return text
    where = "the rest was not kept: no tool could read it"
    if readable:
        try:
            name = memory.of(Spill).keep(text)
        except OSError as error:
            where = f"the rest could not be kept: {error}"
        else:
            where = f"all of it is in {name!r}: read or grep that path"
    left_out = len(text) - _HEAD - _TAIL
    return (
        f"{text[:_HEAD]}\n[... {left_out:,} of {len(text):,} characters left out; {where} ...]\n"
        f"{text[-_TAIL:]}"
    )


def _folded(line: str) -> list[str]:
    width = FULL.line_characters
    return [line[at : at + width] for at in range(0, len(line), width)] or [""]


def _remove_old(outputs: Path) -> None:
    oldest = time.time() - _KEPT_S
    with contextlib.suppress(OSError):
        for folder in outputs.iterdir():
            if folder.lstat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)

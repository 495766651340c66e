"""A file that grows towards a known size and hash, and gets its name only when both are right.

Whatever was written stays on the disk when the process ends, and the next one goes on from there.
Knows nothing about where the bytes come from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from victor.local.catalog import Weights

__all__ = ["Partial", "Progress", "WrongBytesError", "sha256_of"]

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with the bytes done, the bytes in all, and what is going on, in a few words."""

_BLOCK = 2**20


class WrongBytesError(Exception):
    """What was written is not the expected file; the message says how it differs."""


class Partial:
    """The growing file. Use it as a context manager; it is closed at the end, not deleted.

    Args:
        path: where the bytes are kept meanwhile.
        weights: the size and the hash to reach.
        progress: told about every step.
    """

    def __init__(self, path: Path, weights: Weights, progress: Progress) -> None:
        self.path = path
        self.weights = weights
        self.phase = ""
        """What `progress` is told is going on."""
        self.offset = 0
        """How many bytes are there; the next one written is this one of the file."""
        self._progress = progress
        self._hash = hashlib.sha256()
        self._file = path.open("a+b")

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()
        if self.offset == 0:
            self.path.unlink(missing_ok=True)

    def resume(self) -> None:
        """Read what an earlier attempt left, so that writing goes on behind it."""
        self._file.seek(0)
        self.phase = "reading what is there"
        while block := self._file.read(_BLOCK):
            self._count(block)
        if self.offset > self.weights.size:
            self.restart()

    def write(self, block: bytes) -> None:
        """Append bytes.

        Raises:
            WrongBytesError: the file would become longer than it should be.
            OSError: they cannot be written; the disk is full, for example.
        """
        if self.offset + len(block) > self.weights.size:
            raise WrongBytesError(f"it has more than the expected {self.weights.size:,} bytes")
        self._file.write(block)
        self._count(block)

    def restart(self) -> None:
        """Forget all bytes."""
        self._file.truncate(0)
        self.offset = 0
        self._hash = hashlib.sha256()

    def check(self) -> None:
        """Compare what was written with what was expected.

        Raises:
            WrongBytesError: it differs.
        """
        if self.offset != self.weights.size:
            raise WrongBytesError(f"{self.offset:,} bytes, expected {self.weights.size:,}")
        actual = self._hash.hexdigest()
        if actual != self.weights.sha256:
            raise WrongBytesError(f"sha256 {actual}, expected {self.weights.sha256}")

    def rename(self, target: Path) -> None:
        """Put the bytes on the disk for good, then give them their name in one step."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.path.replace(target)

    def report(self, ahead: int = 0) -> None:
        """Tell the progress.

        Args:
            ahead: bytes that are on this machine but not written here yet.
        """
        total = self.weights.size
        self._progress(min(self.offset + ahead, total), total, self.phase)

    def _count(self, block: bytes) -> None:
        self._hash.update(block)
        self.offset += len(block)
        self.report()


def sha256_of(path: Path, weights: Weights, progress: Progress) -> str:
    """Hash a file and tell the progress.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            progress(done, weights.size, "checking")
    return digest.hexdigest()

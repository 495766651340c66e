"""What a command prints, taken as it comes: in bounded memory, and on disk where that is not all.

Knows nothing about commands, only the descriptor their output arrives at.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from victor.tools.spill import HEAD, TAIL, Kept, Spill, shortened, where_it_is
from victor.tools.threads import call_in_thread

__all__ = ["Output", "follow"]

_PIECE = 65_536
_BATCH = 2**18
"""Bytes that wait in memory before a thread writes them to the disk."""


class Output:
    """The start and the end of what a command prints and, if there is more, a file with all of it.

    Args:
        spill: keeps the file; None where nobody could read it.
    """

    def __init__(self, spill: Spill | None) -> None:
        self.total = 0
        self._spill = spill
        self._head = bytearray()
        self._tail = bytearray()
        self._waiting = bytearray()
        self._kept: Kept | None = None
        self._trouble = ""
        self._writing: asyncio.Future[None] | None = None

    async def take(self, piece: bytes) -> None:
        """Add what was printed; waits for the disk where it is slower than the command."""
        self.total += len(piece)
        room = HEAD - len(self._head)
        self._head += piece[:room]
        self._tail += piece[room:]
        del self._tail[:-TAIL]
        if self._spill is None or self._trouble:
            return
        self._waiting += piece
        if len(self._waiting) >= _BATCH:
            await self._written(self._spill)

    async def text(self) -> str:
        """Return what a model is shown. Nothing must be taken afterwards."""
        if self.total <= HEAD + TAIL:
            return (self._head + self._tail).decode("utf-8", "replace")
        if self._spill is not None:
            await self._written(self._spill, last=True)
        taken = self._kept.taken if self._kept else 0
        where = where_it_is(self._spill, self._kept, taken, self.total, self._trouble)
        head, tail = (part.decode("utf-8", "replace") for part in (self._head, self._tail))
        return shortened(head, tail, self.total, "bytes", where)

    async def drop(self) -> None:
        """Forget it: nobody will be told where it is."""
        await self._idle()
        if self._spill is not None and self._kept is not None:
            self._spill.drop(self._kept)

    async def _idle(self) -> None:
        # A thread cannot be cancelled: whoever waits for it may be, and the next one waits again.
        while self._writing is not None and not self._writing.done():
            await asyncio.wait([self._writing])

    async def _written(self, spill: Spill, *, last: bool = False) -> None:
        await self._idle()
        piece, self._waiting = bytes(self._waiting), bytearray()
        self._writing = call_in_thread(lambda: self._write(spill, piece, last=last))
        await self._idle()

    def _write(self, spill: Spill, piece: bytes, *, last: bool) -> None:
        try:
            self._kept = self._kept or spill.new()
            if not self._trouble:
                self._kept.write(piece)
            if last:
                self._kept.finish()
        except OSError as error:
            self._trouble = self._trouble or str(error)


async def follow(descriptor: int, take: Callable[[bytes], Awaitable[None]]) -> None:
    """Hand on what a pipe or a terminal brings, until nobody holds its other end; then close it.

    Args:
        descriptor: read from without blocking; belongs to this from now on.
        take: is given every piece, and awaited before the next is read.
    """
    os.set_blocking(descriptor, False)
    try:
        while piece := await _piece(descriptor):
            await take(piece)
    finally:
        os.close(descriptor)


async def _piece(descriptor: int) -> bytes:
    loop = asyncio.get_running_loop()
    while True:
        ready = loop.create_future()
        loop.add_reader(descriptor, _wake, ready)
        try:
            await ready
        finally:
            loop.remove_reader(descriptor)
        try:
            return os.read(descriptor, _PIECE)
        except BlockingIOError:
            continue
        except OSError:  # how Linux says that nobody has the other side of a terminal open
            return b""


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)

"""The terminal as a device: signals, lines, and keys pressed while an answer runs.

POSIX (termios, readiness of file descriptors). Knows nothing about agents or what is displayed.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

__all__ = [
    "GRACE_S",
    "Interrupts",
    "KeyWatch",
    "LineReader",
    "asker",
    "colour_wanted",
    "confirm",
    "note",
    "person_descriptor",
    "run_to_signal",
]

GRACE_S = 0.8
"""How long a run that got a signal may tidy up, seconds; then the process ends as it is."""

_IGNORED_S = 0.3
"""How long keys are ignored after a question appears: they were meant for something else."""

_KEY_S = 0.05
"""How long the rest of a key that begins with Esc may take; also how long an interruption may."""

# What arrow keys, Alt and the like send; an Esc by itself comes last in what is read at once.
_ESCAPE = b"\x1b"
_SPECIAL_KEY = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.|$)")


def colour_wanted(stream: TextIO) -> bool:
    """Tell whether a stream takes colours (https://no-color.org)."""
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    return stream.isatty() and not dumb and not os.environ.get("NO_COLOR")


@dataclass(slots=True)
class Interrupts:
    """What Ctrl-C does instead of ending the run; once, so that the next one ends it."""

    instead: Callable[[], object] | None = None

    def interrupt(self) -> bool:
        """Do it, and tell whether there was anything to do."""
        instead, self.instead = self.instead, None
        if instead is not None:
            instead()
        return instead is not None


def run_to_signal(work: Coroutine[Any, Any, int], interrupts: Interrupts | None = None) -> int:
    """Run a command to its end, or until a signal ends it.

    SIGINT, SIGTERM and SIGHUP cancel `work`, so that connections are closed and child processes
    ended. A second signal, or `GRACE_S` seconds, ends the process without further ado.

    Args:
        work: the command; its result is the exit code.
        interrupts: where the command may take Ctrl-C for itself.

    Returns:
        The exit code; 128 + signal where a signal ended it.
    """
    # A thread, because whatever is in the way of the end may block the loop as well.
    impatience = threading.Timer(GRACE_S, lambda: _leave(received[0]))
    impatience.daemon = True
    received: list[int] = []

    def on_signal(number: int, task: asyncio.Task[int]) -> None:
        if number == signal.SIGINT and not received and interrupts and interrupts.interrupt():
            return
        if received:
            _leave(number)
        received.append(number)
        task.cancel()
        impatience.start()

    try:
        return asyncio.run(_watched(work, on_signal))
    except asyncio.CancelledError:
        if received:
            return 128 + received[0]
        raise
    finally:
        impatience.cancel()


async def _watched(
    work: Coroutine[Any, Any, int], on_signal: Callable[[int, asyncio.Task[int]], None]
) -> int:
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal, number, task)
    return await task


def _leave(number: int) -> None:
    os._exit(128 + number)


class LineReader:
    """Lines of a file descriptor: a pipe, a terminal or a file, without blocking the event loop."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    async def read(self) -> str | None:
        """Return the next line without its end; None after the last one."""
        while b"\n" not in self._buffer:
            await _readable(self._descriptor)
            data = os.read(self._descriptor, 65536)
            if not data:
                rest, self._buffer = self._buffer, b""
                return rest.decode(errors="replace") if rest else None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r").decode(errors="replace")


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        return  # epoll refuses regular files: they are always ready
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


class KeyWatch:
    """Watches a terminal's keys while an answer runs: Esc interrupts, other text is kept.

    Keys are not echoed meanwhile: they would land in the middle of the answer. Ctrl-C stays a
    signal.

    Args:
        descriptor: the terminal; None where there is none, and nothing is watched.
        on_escape: called when Esc is pressed.
    """

    def __init__(
        self, descriptor: int | None, *, on_escape: Callable[[], object] = lambda: None
    ) -> None:
        self.descriptor = descriptor
        self._on_escape = on_escape
        self._typed = b""
        self._reading = False

    def take_typed(self) -> str:
        """Return, once, the text typed ahead for the next prompt."""
        typed, self._typed = self._typed, b""
        text = typed.decode(errors="ignore").replace("\r", "\n").rstrip("\n")
        return "".join(key for key in text if key.isprintable() or key == "\n")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch until the block ends; the terminal is then as it was before."""
        if self.descriptor is None:
            yield
            return
        import termios

        before = termios.tcgetattr(self.descriptor)
        termios.tcsetattr(self.descriptor, termios.TCSADRAIN, _quiet(before))
        self._listen(True)
        try:
            yield
        finally:
            self._listen(False)
            termios.tcsetattr(self.descriptor, termios.TCSADRAIN, before)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Give the terminal back for a question; what was typed before is forgotten."""
        if self.descriptor is None:
            yield
            return
        import termios

        reading = self._reading
        self._listen(False)
        before = termios.tcgetattr(self.descriptor)
        normal = termios.tcgetattr(self.descriptor)
        normal[3] |= termios.ICANON | termios.ECHO
        normal[6][termios.VEOL] = _ESCAPE  # Esc by itself need not wait for Enter
        self._typed = b""
        # TCSAFLUSH also throws away what lies unread.
        termios.tcsetattr(self.descriptor, termios.TCSAFLUSH, normal)
        try:
            yield
        finally:
            termios.tcsetattr(self.descriptor, termios.TCSAFLUSH, before)
            self._listen(reading)

    async def line(self) -> str | None:
        """Return a line that is typed now; None at the end of input. Esc ends it and is told."""
        if self.descriptor is None:
            return None
        typed = b""
        with self.paused():
            while not typed.endswith(b"\n"):
                await _readable(self.descriptor)
                data = os.read(self.descriptor, 4096)
                if not data:
                    return typed.decode(errors="replace") or None
                if data.endswith(_ESCAPE):
                    data += await _rest_of_key(self.descriptor)
                    if data.endswith(_ESCAPE):
                        self._on_escape()
                        await asyncio.sleep(_KEY_S)  # an interruption ends this here
                        return _ESCAPE.decode()
                typed += _SPECIAL_KEY.sub(b"", data)
        return typed.rstrip(b"\r\n").decode(errors="replace")

    def _listen(self, on: bool) -> None:
        assert self.descriptor is not None  # noqa: S101 - only called with one
        loop = asyncio.get_running_loop()
        if on:
            loop.add_reader(self.descriptor, self._read, self.descriptor)
        else:
            loop.remove_reader(self.descriptor)
        self._reading = on

    def _read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, 4096)
        except OSError:
            data = b""
        if not data:  # the terminal is gone
            self._listen(False)
        self._typed += _SPECIAL_KEY.sub(b"", data)
        if data.endswith(_ESCAPE):
            self._on_escape()


def _quiet(attributes: list[Any]) -> list[Any]:
    import termios

    found = [*attributes]
    found[3] &= ~(termios.ICANON | termios.ECHO)
    return found


async def _rest_of_key(descriptor: int) -> bytes:
    """Return what came with an Esc: nothing, or the rest of an arrow key and its like."""
    import termios

    before = termios.tcgetattr(descriptor)
    termios.tcsetattr(descriptor, termios.TCSANOW, _quiet(before))
    try:
        async with asyncio.timeout(_KEY_S):
            await _readable(descriptor)
        return os.read(descriptor, 4096)
    except TimeoutError:
        return b""
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)


def asker(show: Callable[[str], None], watch: KeyWatch) -> Callable[[str], Awaitable[str | None]]:
    """Return a function that asks a person and returns the line typed; None at end of input.

    Questions are put one at a time. What was typed before one, or within 0.3 s after it appeared,
    is no answer to it.

    Args:
        show: writes the question.
        watch: has the keys meanwhile, and the terminal the answer is typed on.
    """
    one_at_a_time = asyncio.Lock()

    async def ask(question: str) -> str | None:
        async with one_at_a_time:
            show(question)
            line = None
            try:
                await asyncio.sleep(_IGNORED_S)
                line = await watch.line()
            finally:
                if line in {None, _ESCAPE.decode()}:  # no Enter has ended the line
                    show("\n")
            return line

    return ask


def person_descriptor() -> int | None:
    """Return the descriptor of stdin where a person can be asked: it and stderr are a terminal."""
    if sys.stdin is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return sys.stdin.fileno()


def note(text: str) -> None:
    """Write a line to stderr; the text must be sanitised already."""
    _say(text + "\n")


def confirm(question: str) -> bool:
    """Ask a yes-or-no question on stderr; Enter is yes, the end of input is no."""
    _say(f"{question} [Y/n] ")
    return sys.stdin.readline().lower() in {"\n", "y\n", "yes\n"}


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()

"""Commands that go on in the background, each on a pseudo-terminal of its own.

A session is confined like a command of `victor.tools.shell`, lives as long as the event loop it was
started in, and is ended with everything it started. Its terminal is private to it, so that nothing
can be typed into the one victor runs on. Knows nothing about permission rules.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import termios
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from victor.sandbox.limits import watched
from victor.sandbox.policy import Command, Policy, Sandbox
from victor.sandbox.run import end_command, prepared
from victor.tools.context import ToolError
from victor.tools.output import Output, follow
from victor.tools.spill import Spill

__all__ = ["Session", "Sessions"]

_MOST_SESSIONS = 8
_QUIET_S = 0.2
"""After so long without output, what there is goes back to the model."""

_WRITE_S = 5.0
_GRACE_S = 1.0
_DRAIN_S = 1.0
"""How long output may still come when everything has ended."""

_SIZE = (50, 160)

_PLAIN: Mapping[str, str] = MappingProxyType({"TERM": "dumb", "PAGER": "cat", "GIT_PAGER": "cat"})
_SETSID = ("/usr/bin/setsid", "/bin/setsid")


@dataclass(slots=True, eq=False)
class Session:
    """One command in the background."""

    name: str
    command: str
    spill: Spill
    """Keeps what is too long to be shown."""
    code: int | None = None
    """Its exit code; None while it runs, or where it was stopped."""
    broken: str = ""
    """The limit it was stopped for."""
    ended: bool = False
    _terminal: int = -1
    _unread: Output = field(init=False)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is output, or the end."""
    _life: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._unread = Output(self.spill)

    async def start(self, policy: Policy, sandbox: Sandbox | None) -> None:
        """Start the command; it goes on after this returns.

        Raises:
            OSError: it could not be started.
        """
        started = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(policy, sandbox, started))
        await started

    async def output(self, wait_s: float) -> str:
        """Return what it has printed since the last time, as soon as it falls silent.

        Args:
            wait_s: seconds to wait at most.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._news.wait()
                while not self.ended:
                    self._news.clear()
                    async with asyncio.timeout(_QUIET_S):
                        await self._news.wait()
        if not self.ended:
            self._news.clear()
        said, self._unread = self._unread, Output(self.spill)
        return (await said.text()).replace("\r\n", "\n")

    async def write(self, text: str) -> None:
        """Type a text into its terminal.

        Raises:
            ToolError: it has ended, or does not read.
        """
        rest = text.encode("utf-8", "replace")
        try:
            async with asyncio.timeout(_WRITE_S):
                while rest:
                    if self.ended:
                        raise ToolError(f"session {self.name} has ended; nothing can be typed")
                    try:
                        rest = rest[os.write(self._terminal, rest[:1024]) :]
                    except BlockingIOError:
                        await asyncio.sleep(0.02)  # its terminal is full until it reads
        except TimeoutError:
            raise ToolError(f"session {self.name} does not read what is typed") from None

    async def stop(self) -> None:
        """End the command and all that it started."""
        if self._life is not None and not self._life.done():
            self._life.cancel()
            await asyncio.wait([self._life])

    async def _live(
        self, policy: Policy, sandbox: Sandbox | None, started: asyncio.Future[None]
    ) -> None:
        self._terminal, theirs = os.openpty()
        try:
            os.set_blocking(self._terminal, False)
            termios.tcsetwinsize(theirs, _SIZE)
            rules = replace(policy, terminal=True, environment={**policy.environment, **_PLAIN})
            with prepared(sandbox, _argv(self.command), rules) as ready:
                process = await _started(ready, theirs)
                os.close(theirs)
                theirs = -1
                following = asyncio.create_task(follow(os.dup(self._terminal), self._take))
                started.set_result(None)
                try:
                    with watched(process.pid, rules) as watch:
                        self.code = await process.wait()
                    self.broken = watch.broken
                finally:
                    await end_command(process, _GRACE_S)
                    await asyncio.wait([following], timeout=_DRAIN_S)
                    following.cancel()
                    await asyncio.wait([following])
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)
        finally:
            for descriptor in (self._terminal, theirs):
                if descriptor >= 0:
                    os.close(descriptor)
            self.ended = True
            self._news.set()

    async def _take(self, piece: bytes) -> None:
        await self._unread.take(piece)
        self._news.set()


def _argv(command: str) -> list[str]:
    argv = [shutil.which("bash") or "/bin/sh", "-c", command]
    # Without a controlling terminal no Ctrl-C arrives; with one that the sandbox's own processes
    # share, it ends those too.
    setsid = next((name for name in _SETSID if os.access(name, os.X_OK)), None)
    return [setsid, "--ctty", "--wait", *argv] if setsid else argv


async def _started(ready: Command, terminal: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *ready.argv,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=ready.directory,
        env=dict(ready.environment),
        pass_fds=ready.descriptors,
        start_new_session=True,
    )


class Sessions:
    """The background commands of one conversation."""

    def __init__(self) -> None:
        self._all: dict[str, Session] = {}
        self._count = 0

    def new(self, command: str, spill: Spill) -> Session:
        """Make a session, not started yet.

        Args:
            command: what to run in it.
            spill: keeps what it prints and is too long to be shown.

        Raises:
            ToolError: too many are running.
        """
        running = [one.name for one in self.running]
        if len(running) >= _MOST_SESSIONS:
            raise ToolError(f"{len(running)} sessions are running; stop one: {', '.join(running)}")
        self._count += 1
        session = Session(str(self._count), command, spill)
        self._all[session.name] = session
        return session

    @property
    def running(self) -> list[Session]:
        """The sessions that have not ended."""
        return [one for one in self._all.values() if not one.ended]

    def get(self, name: str) -> Session:
        """Return a session.

        Raises:
            ToolError: there is none of that name.
        """
        if name not in self._all:
            there = ", ".join(self._all) or "none"
            raise ToolError(f"there is no session {name!r}; there are: {there}")
        return self._all[name]

    def forget(self, session: Session) -> None:
        """Drop a session that has ended."""
        self._all.pop(session.name, None)

    async def aclose(self) -> None:
        """Stop all sessions."""
        everything, self._all = list(self._all.values()), {}
        await asyncio.gather(*(one.stop() for one in everything))

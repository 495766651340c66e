"""The stdio transport of MCP: a child process, one JSON-RPC message a line, both ways.

The program runs in the sandbox, with few of victor's variables; nothing it starts outlives the
connection, and what takes too much of the machine is ended. What is no message on its stdout is
passed over, a message beyond the limit ends the connection, and of its stderr the end is kept for
the error. Knows nothing about sessions or tools.
Spec: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#stdio
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from victor.config.mcp_servers import McpServer
from victor.config.settings import SandboxMode
from victor.errors import ConfigError
from victor.sandbox.limits import Watch, watched
from victor.sandbox.policy import Policy, Sandbox, child_environment, policy_for
from victor.sandbox.programs import needed_places
from victor.sandbox.run import best_sandbox, end_command, prepared
from victor.tools.threads import call_in_thread

__all__ = ["StdioTransport"]

_MOST_BYTES = 16 * 2**20
"""Of one message."""
_MOST_PASSED = 2**20
"""Of lines between two messages that are none."""
_PIECE = 2**16
_STDERR_BYTES = 2_000
_GRACE_S = 2.0
"""Between the end of its stdin, and of asking it to end, and the next step."""


class StdioTransport:
    """Starts a server's program each time it is opened.

    Args:
        server: what to start.
        workspace: where; the program may change it.
        sandbox: as the setting.
        most_bytes: of one message.
    """

    def __init__(
        self,
        server: McpServer,
        workspace: Path,
        *,
        sandbox: SandboxMode = "auto",
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._command = server.command or ()
        self._server = server
        self._workspace = workspace
        # Where a sandbox is required, no server is an exception.
        confined = server.sandbox or sandbox == "required"
        self._mode: SandboxMode = sandbox if confined else "off"
        self._most_bytes = most_bytes
        self._stderr = bytearray()
        self._why = ""
        self._watch = Watch()
        self.alive = False
        """Whether what is opened can still carry a message."""

    @property
    def unheard(self) -> bool:
        """Whether the last message was turned away without being looked at."""
        return False

    @property
    def trouble(self) -> str:
        """What is known about why the connection ended."""
        said = self._stderr.decode("utf-8", "replace").strip()
        why = self._watch.broken or self._why
        return "; its stderr ends with: ".join(part for part in (why, said) if part)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        """Start the program and give the two streams of its messages.

        Raises:
            ConfigError: there is no such program, or no sandbox where one is required.
            OSError: it could not be started.
        """
        sandbox, policy = await call_in_thread(self._rules)
        self._stderr.clear()
        self._why = ""
        with prepared(sandbox, self._command, policy) as ready:
            process = await asyncio.create_subprocess_exec(
                *ready.argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=ready.directory,
                env=dict(ready.environment),
                pass_fds=ready.descriptors,
                start_new_session=True,
            )
            with watched(process.pid, policy) as self._watch:
                try:
                    async with self._streams(process) as streams:
                        yield streams
                finally:
                    self.alive = False
                    await asyncio.shield(_ended(process))

    def _rules(self) -> tuple[Sandbox | None, Policy]:
        sandbox = best_sandbox(self._mode)
        variables = self._server.variables
        program, *arguments = self._command
        # Looked up here too, as what starts it elsewhere cannot say it as well.
        found = shutil.which(self._workspace / program if "/" in program else program)
        if found is None:
            raise ConfigError(
                f"cannot start {program!r}: there is no such program. Give a command that exists, "
                "with its full path if need be"
            )
        if sandbox is None:
            environment = child_environment(os.environ, variables)
            return None, Policy(workspace=self._workspace, environment=environment)
        policy = policy_for(self._workspace, network=self._server.network, variables=variables)
        needed = needed_places((str(found), *arguments), policy)
        return sandbox, replace(policy, readable=(*policy.readable, *needed))

    @asynccontextmanager
    async def _streams(self, process: asyncio.subprocess.Process) -> AsyncIterator[Any]:
        import anyio

        incoming, received = anyio.create_memory_object_stream[Any](0)
        to_send, outgoing = anyio.create_memory_object_stream[Any](0)
        self.alive = True
        tasks = [
            asyncio.create_task(self._read(process, incoming)),
            asyncio.create_task(self._write(process, outgoing, incoming)),
            asyncio.create_task(self._keep_stderr(process)),
        ]
        try:
            yield received, to_send
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for stream in (incoming, received, to_send, outgoing):
                stream.close()

    async def _read(self, process: asyncio.subprocess.Process, incoming: Any) -> None:
        assert process.stdout is not None  # noqa: S101 - it was started with pipes
        lines = _Lines(self._most_bytes)
        passed_over = 0
        with incoming:
            while piece := await process.stdout.read(_PIECE):
                for line in lines.fed(piece):
                    message = _message(line)
                    if message is None:
                        passed_over += len(line)
                        continue
                    passed_over = 0
                    await incoming.send(message)
                if lines.waiting > self._most_bytes:
                    self._why = f"it sent a message of more than {self._most_bytes / 1e6:.3g} MB"
                    break
                if passed_over > _MOST_PASSED:
                    self._why = "what it writes to its stdout are no messages of the protocol"
                    break
            else:
                self._why = "it ended"
            self.alive = False

    async def _write(
        self, process: asyncio.subprocess.Process, outgoing: Any, incoming: Any
    ) -> None:
        assert process.stdin is not None  # noqa: S101 - it was started with pipes
        async for message in outgoing:
            encoded = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            try:
                process.stdin.write(encoded.encode() + b"\n")
                await process.stdin.drain()
            except OSError:
                self.alive = False
                incoming.close()  # whoever waits for an answer is told
                return

    async def _keep_stderr(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None  # noqa: S101 - it was started with pipes
        while piece := await process.stderr.read(_PIECE):
            self._stderr += piece
            del self._stderr[:-_STDERR_BYTES]


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End the program as the protocol wants it: first by the end of its stdin."""
    assert process.stdin is not None  # noqa: S101 - it was started with pipes
    process.stdin.close()
    # What is still to come has to be read, or a full pipe would keep it from ending.
    await _drained(process, _GRACE_S)
    await end_command(process, _GRACE_S)
    await _drained(process, _GRACE_S)
    with contextlib.suppress(OSError):
        await process.stdin.wait_closed()


async def _drained(process: asyncio.subprocess.Process, within_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            for pipe in (process.stdout, process.stderr):
                while pipe is not None and await pipe.read(_PIECE):
                    pass
            await process.wait()


class _Lines:
    """Splits bytes into lines without looking at a byte twice."""

    def __init__(self, most: int) -> None:
        self._parts: list[bytes] = []
        self._most = most
        self.waiting = 0
        """Bytes of a line that has not ended."""

    def fed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that a piece completes."""
        first, *rest = piece.split(b"\n")
        self._parts.append(first)
        self.waiting += len(first)
        for part in rest:
            if self.waiting > self._most:
                return
            yield b"".join(self._parts)
            self._parts, self.waiting = [part], len(part)


def _message(line: bytes) -> Any:
    """Return the message of a line; None where it is none."""
    if not line.startswith(b"{"):
        return None
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None

"""A server on this machine that fails on purpose, for tests of anything that speaks HTTP/1.1.

    async with FaultServer([RESET, json_answer({"ok": True})]) as server:
        ...  # the first request to server.url is reset, all others are answered

Real sockets, bounded memory, loopback only; leaving the block ends every connection, and from then
on `server.url` refuses connections. As a proxy it answers what it is asked to pass on. What can be
answered is in `fault_answers`, whose names are here, too. Knows no vendor's protocol: bodies are
what the test says.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

from victor.testing.fault_answers import (
    GARBAGE,
    RESET,
    STALL,
    Answer,
    Then,
    chunked_answer,
    gzip_answer,
    gzip_bomb,
    html_answer,
    json_answer,
    redirect_answer,
    sse_answer,
    truncated_answer,
)

__all__ = [
    "GARBAGE",
    "RESET",
    "STALL",
    "UNKNOWN_HOST",
    "Answer",
    "FaultServer",
    "Request",
    "Script",
    "Then",
    "chunked_answer",
    "gzip_answer",
    "gzip_bomb",
    "html_answer",
    "json_answer",
    "redirect_answer",
    "refusing",
    "sse_answer",
    "truncated_answer",
]

UNKNOWN_HOST: Final = "http://no-such-host.invalid"
"""An address whose name never resolves (https://www.rfc-editor.org/rfc/rfc6761#section-6.4)."""

_TLS_HANDSHAKE: Final = b"\x16"
# What servers without TLS say to those who begin with it.
_NO_HTTP: Final = Answer(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
_MAX_BODY: Final = 16 * 2**20
_MAX_REQUESTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    """With the query string; the whole address where the client takes the server for a proxy."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.body)


Script: TypeAlias = Sequence[Answer] | Callable[[Request], Answer]
"""The answers in turn, of which the last repeats; or what chooses one."""


@contextmanager
def refusing() -> Iterator[str]:
    """Yield the address of a port that refuses every connection, and that nobody else can take."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


class FaultServer:
    """Answers requests as its script says, and keeps what was asked.

    Args:
        script: one answer for each request, the last of which repeats, or a function.
        tls: with which certificate to speak TLS; None is plain HTTP.

    Raises:
        ValueError: the script is an empty sequence.
    """

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        if not callable(script) and not script:
            raise ValueError("a script needs at least one answer")
        self._script = script
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._port = 0
        self.requests: list[Request] = []
        """In the order of their arrival; the first ten thousand."""
        self.connections = 0
        """How many were opened."""

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash."""
        return f"http{'s' * (self._tls is not None)}://127.0.0.1:{self._port}"

    @property
    def open_connections(self) -> int:
        """How many there are now, idle ones included."""
        return len(self._connections)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError):
                then: Then = "keep"
                while then == "keep":
                    request = await _read_request(reader)
                    answer = _NO_HTTP if request is None else self._choose(request)
                    await _send(answer, reader, writer)
                    then = answer.then
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    def _choose(self, request: Request) -> Answer:
        turn = len(self.requests)
        if turn < _MAX_REQUESTS:
            self.requests.append(request)
        if callable(self._script):
            return self._script(request)
        return self._script[min(turn, len(self._script) - 1)]


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request; None for the greeting of a client that expects TLS."""
    first_byte = await reader.readexactly(1)
    if first_byte == _TLS_HANDSHAKE:
        return None
    head = first_byte + await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    size = int(headers.get("content-length", "0"))
    if size > _MAX_BODY or "transfer-encoding" in headers:
        raise ValueError("the fault server takes bodies of a stated, modest size only")
    return Request(method, path, headers, await reader.readexactly(size))


async def _send(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if answer.pace_s is None:
        writer.write(answer.data)
        await writer.drain()
    else:
        for byte in answer.data:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(answer.pace_s)
    if answer.then == "reset":
        # Lingering for zero seconds turns the close into a reset.
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    elif answer.then == "stall":
        await reader.read(1)  # returns when the client leaves
    elif answer.then == "beat":
        while not reader.at_eof():
            writer.write(answer.beat)
            await writer.drain()
            await asyncio.sleep(answer.beat_s)

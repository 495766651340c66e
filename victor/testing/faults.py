"""A server on this machine that fails on purpose, for tests of anything that speaks HTTP/1.1.

    async with FaultServer([RESET, json_answer({"ok": True})]) as server:
        ...  # the first request to server.url is reset, all others are answered

Real sockets, bounded memory, loopback only; leaving the block ends every connection, and from then
on `server.url` refuses connections. Knows no vendor's protocol: bodies are what the test says.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal, Self, TypeAlias

__all__ = [
    "GARBAGE",
    "RESET",
    "STALL",
    "Answer",
    "FaultServer",
    "Request",
    "Script",
    "html_answer",
    "json_answer",
    "redirect_answer",
    "sse_answer",
    "truncated_answer",
]

Then: TypeAlias = Literal["keep", "close", "reset", "stall", "beat"]
"""What follows the bytes of an answer: the next request, a clean end, a TCP reset, silence until
the client leaves, or heartbeat comments for ever."""

_MAX_BODY: Final = 16 * 2**20
_MAX_REQUESTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    """With the query string."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes to send, status line and all, and what happens then.

    The functions of this module build the usual ones; `dataclasses.replace` bends them.
    """

    data: bytes = b""
    then: Then = "close"
    pace_s: float | None = None
    """Send one byte at a time, with this pause after each; also the pause between heartbeats."""


Script: TypeAlias = Sequence[Answer] | Callable[[Request], Answer]
"""The answers in turn, of which the last repeats; or what chooses one."""

RESET: Final = Answer(then="reset")
"""The connection is reset before any byte of an answer."""
STALL: Final = Answer(then="stall")
"""No byte of an answer ever comes."""
GARBAGE: Final = Answer(b"\x16\x03\x01 this is no status line\r\n\r\n")
"""Something that is not HTTP."""


def json_answer(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Answer:
    """Answer with JSON; keeps the connection."""
    return _whole(json.dumps(body).encode(), "application/json", status, headers)


def html_answer(body: str = "<html>Sign in to the network</html>", status: int = 200) -> Answer:
    """Answer with a page, as a captive portal or a wrong address does."""
    return _whole(body.encode(), "text/html; charset=utf-8", status, None)


def redirect_answer(location: str, status: int = 307) -> Answer:
    """Send the client elsewhere."""
    return _whole(b"", "text/plain", status, {"location": location})


def truncated_answer(body: bytes, missing: int = 10) -> Answer:
    """Promise `missing` bytes more than come, and close."""
    size = str(len(body) + missing)
    head = _head(200, {"content-type": "application/json", "content-length": size})
    return Answer(head + body)


def sse_answer(
    events: Iterable[object],
    *,
    done: str | None = "[DONE]",
    then: Then = "close",
    pace_s: float | None = None,
) -> Answer:
    """Stream server-sent events.

    Args:
        events: bytes are sent as they are, text becomes the data of an event, and everything else
            the same as JSON.
        done: data of a last event; None to break off without one.
        then: how the stream goes on.
        pace_s: as in `Answer`.
    """
    parts = [_head(200, {"content-type": "text/event-stream", "connection": "close"})]
    for event in (*events, *(() if done is None else (done,))):
        if isinstance(event, bytes):
            parts.append(event)
        else:
            text = event if isinstance(event, str) else json.dumps(event)
            parts.append(f"data: {text}\n\n".encode())
    return Answer(b"".join(parts), then, pace_s)


class FaultServer:
    """Answers requests as its script says, and keeps what was asked.

    Args:
        script: one answer for each request, the last of which repeats, or a function.

    Raises:
        ValueError: the script is an empty sequence.
    """

    def __init__(self, script: Script) -> None:
        if not callable(script) and not script:
            raise ValueError("a script needs at least one answer")
        self._script = script
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
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
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
                    answer = self._choose(await _read_request(reader))
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


async def _read_request(reader: asyncio.StreamReader) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
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
            writer.write(b": still here\n\n")
            await writer.drain()
            await asyncio.sleep(answer.pace_s or 0.01)


def _whole(body: bytes, kind: str, status: int, headers: Mapping[str, str] | None) -> Answer:
    fixed = {"content-type": kind, "content-length": str(len(body))}
    return Answer(_head(status, fixed | dict(headers or {})) + body, "keep")


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:  # vendors make up their own, such as 529
        reason = "Unknown"
    lines = [
        f"HTTP/1.1 {status} {reason}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

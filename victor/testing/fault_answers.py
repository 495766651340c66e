"""What a failing server sends: whole, broken, endless and compressed answers, as bytes.

The usual ones have a function each; `dataclasses.replace` bends them. Knows no socket and no
vendor's protocol. HTTP/1.1: https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal, TypeAlias

__all__ = [
    "GARBAGE",
    "RESET",
    "STALL",
    "Answer",
    "Then",
    "chunked_answer",
    "gzip_answer",
    "gzip_bomb",
    "html_answer",
    "json_answer",
    "redirect_answer",
    "sse_answer",
    "truncated_answer",
]

Then: TypeAlias = Literal["keep", "close", "reset", "stall", "beat"]
"""What follows the bytes of an answer: the next request, a clean end, a TCP reset, silence until
the client leaves, or the same bytes for ever."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes to send, status line and all, and what happens then.

    The functions of this module build the usual ones; `dataclasses.replace` bends them.
    """

    data: bytes = b""
    then: Then = "close"
    pace_s: float | None = None
    """Send one byte at a time, with this pause after each."""
    beat: bytes = b": still here\n\n"
    """What `then="beat"` sends for ever; by default a heartbeat of a stream."""
    beat_s: float = 0.01
    """The pause after each."""


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


def chunked_answer(
    pieces: Iterable[bytes], kind: str = "text/event-stream", *, whole: bool = True
) -> Answer:
    """Send a body in chunks; keeps the connection.

    Args:
        pieces: one chunk each.
        kind: the media type.
        whole: False closes without the last chunk, which says that there is no more.
    """
    head = _head(200, {"content-type": kind, "transfer-encoding": "chunked"})
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece)
    return Answer(head + chunks + b"0\r\n\r\n" * whole, "keep" if whole else "close")


def gzip_answer(body: bytes, kind: str = "application/json", *, damaged: bool = False) -> Answer:
    """Answer with a compressed body, asked for or not.

    Args:
        body: before compression.
        kind: the media type.
        damaged: True spoils what is compressed.
    """
    packed = gzip.compress(body)
    if damaged:
        packed = packed[:10] + bytes(0xFF ^ byte for byte in packed[10:])
    return _whole(packed, kind, 200, {"content-encoding": "gzip"})


def gzip_bomb(begin: bytes = b"", *, megabytes: int = 200) -> Answer:
    """Answer with little that unpacks to much: a thousandth of its size is sent.

    Args:
        begin: how the body begins, such as `b'{"x": "'`; the rest is blanks.
        megabytes: size of the body, unpacked.
    """
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(begin)]
    parts += [packer.compress(b" " * 10**6) for _ in range(megabytes)]
    packed = b"".join([*parts, packer.flush()])
    return _whole(packed, "application/json", 200, {"content-encoding": "gzip"})


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

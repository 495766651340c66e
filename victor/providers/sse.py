"""Server-sent events: bytes in, the data of whole events out.

Spec: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
Works on bytes: only LF, CRLF and CR end a line (text splitters also break at U+2028 and corrupt
JSON). Also surfaces the non-standard field `error:` of some servers. Knows nothing about sockets,
JSON or what the events mean.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["MAX_EVENT_BYTES", "SSEDecoder", "SSEError"]

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""More than any honest event; an endless line ends here, not in the machine's memory."""

_BOM = b"\xef\xbb\xbf"


class SSEError(ValueError):
    """The bytes are not an event stream within bounds."""


class SSEDecoder:
    """Splits a byte stream into events, whatever the chunking.

    `feed(chunk)` yields the data of each event that became whole; `close()` yields a last event that
    the stream did not terminate by a blank line (many servers do not). An `error:` field is yielded
    as data, after its event's own.

    Args:
        max_event_bytes: limit for one event, in bytes.

    Raises:
        SSEError: from `feed`, when an event is longer than the limit.
    """

    __slots__ = ("_data", "_error", "_held", "_limit", "_pending", "_skip_lf", "_start", "event")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._pending = bytearray()  # of the unfinished line; grows in place, never copied
        self._held = 0  # bytes in _data
        self._data: list[bytes] = []
        self._error: bytes | None = None
        self._limit = max_event_bytes
        self._start = True
        self._skip_lf = False
        self.event = b""
        """The `event:` field of the event just yielded."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next bytes and yield the data of every event they complete."""
        if self._start:
            chunk = self._strip_bom(chunk)
            if self._start:
                return
        if self._skip_lf and chunk:
            # A CR ended the last chunk; the LF of a CRLF may open this one.
            self._skip_lf = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._skip_lf = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = chunk.split(b"\n")
        if self._pending:
            if len(lines) == 1:
                self._hold(chunk)
                return
            lines[0] = bytes(self._pending) + lines[0]
            self._pending.clear()
        self._hold(lines.pop())
        for line in lines:
            if line.startswith(b"data:"):
                self._add(line[6:] if line.startswith(b" ", 5) else line[5:])
            elif line:
                self._field(line)
            elif self._data or self._error is not None:
                yield from self._dispatch()
            else:
                self.event = b""

    def close(self) -> Iterator[bytes]:
        """Yield the event that the end of the stream cut off from its blank line, if any."""
        if self._pending:
            yield from self.feed(b"\n")
        yield from self._dispatch()

    def _strip_bom(self, chunk: bytes) -> bytes:
        chunk = bytes(self._pending) + chunk
        self._pending.clear()
        if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
            self._pending += chunk
            return b""
        self._start = False
        return chunk.removeprefix(_BOM)

    def _hold(self, rest: bytes) -> None:
        self._pending += rest
        if len(self._pending) > self._limit:
            raise SSEError(f"a line of the stream is longer than {self._limit:,} bytes")

    def _add(self, value: bytes) -> None:
        self._data.append(value)
        self._held += len(value)
        if self._held > self._limit:
            raise SSEError(f"an event of the stream is longer than {self._limit:,} bytes")

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self.event = value
        elif name == b"error":
            self._error = value

    def _dispatch(self) -> Iterator[bytes]:
        data, self._data, self._held = self._data, [], 0
        error, self._error = self._error, None
        if data:
            yield data[0] if len(data) == 1 else b"\n".join(data)
        if error is not None:
            yield error
        self.event = b""

"""Server-sent events: bytes in, the data of whole events out.

Spec: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
Works on bytes: only LF, CRLF and CR end a line (text splitters also break at U+2028 and corrupt
JSON). Also surfaces the non-standard field `error:` of some servers. Knows nothing about sockets,
JSON or what the events mean.
"""

from __future__ import annotations

__all__ = ["MAX_EVENT_BYTES", "SSEDecoder", "SSEError"]

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""More than any honest event; an endless line ends here, not in the machine's memory."""

_BOM = b"\xef\xbb\xbf"


class SSEError(ValueError):
    """The bytes are not an event stream within bounds."""


class SSEDecoder:
    """Splits a byte stream into the data of its events, whatever the chunking.

    The `event:` field is not kept: every API that names its events says the same in the data.

    Args:
        max_event_bytes: limit for one line and for one event, in bytes.
    """

    __slots__ = ("_data", "_error", "_held", "_limit", "_pending", "_skip_lf", "_start")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._pending = bytearray()  # of the unfinished line; grows in place, never copied
        self._data: list[bytes] = []
        self._held = 0  # bytes in _data
        self._error: bytes | None = None
        self._limit = max_event_bytes
        self._start = True
        self._skip_lf = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes and return the data of every event they complete.

        An `error:` field counts as data of its own, after that of its event.

        Raises:
            SSEError: a line or an event is longer than the limit.
        """
        if self._start:
            chunk = self._strip_bom(chunk)
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
                return []
            lines[0] = bytes(self._pending) + lines[0]
            self._pending.clear()
        self._hold(lines.pop())
        events: list[bytes] = []
        for line in lines:
            if line.startswith(b"data: "):
                self._add(line[6:])
            elif not line:
                self._dispatch(events)
            elif not line.startswith(b"event:"):  # half the lines of some APIs, and not kept
                self._field(line)
        return events

    def close(self) -> list[bytes]:
        """Return the data of an event that the end of the stream cut off from its blank line.

        By the specification it is lost; many servers end like that, so it counts.
        """
        events = self.feed(b"\n") if self._pending else []
        self._dispatch(events)
        return events

    def _strip_bom(self, chunk: bytes) -> bytes:
        chunk = bytes(self._pending) + chunk
        self._pending.clear()
        if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
            self._pending += chunk  # may still become one
            return b""
        self._start = False
        return chunk.removeprefix(_BOM)

    def _hold(self, rest: bytes) -> None:
        self._pending += rest
        if len(self._pending) > self._limit:
            raise SSEError(f"a line of the stream is longer than {self._limit:,} bytes")

    def _add(self, value: bytes) -> None:
        self._data.append(value)
        self._held += len(value) + 1  # empty lines take memory, too
        if self._held > self._limit:
            raise SSEError(f"an event of the stream is longer than {self._limit:,} bytes")

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._add(value.removeprefix(b" "))
        elif name == b"error":
            self._error = value.removeprefix(b" ")

    def _dispatch(self, events: list[bytes]) -> None:
        data = self._data
        if data:
            events.append(data[0] if len(data) == 1 else b"\n".join(data))
            self._data, self._held = [], 0
        if self._error is not None:
            events.append(self._error)
            self._error = None

"""Newline-delimited JSON: bytes in, one line per value out.

Spec: https://github.com/ndjson/ndjson-spec
Works on bytes, as a text splitter would also break at U+2028. Some gateways put the lines into the
frame of server-sent events; that frame is taken off. Knows nothing about sockets, JSON or what the
lines mean.
"""

from __future__ import annotations

from victor.errors import ProviderInvalidResponseError

__all__ = ["MAX_LINE_BYTES", "NDJSONDecoder"]

MAX_LINE_BYTES = 16 * 1024 * 1024
"""More than any honest line; an endless one ends here, not in the machine's memory."""

# Of a frame of server-sent events; no JSON value begins so.
_FRAME = (b":", b"event:", b"id:", b"retry:")


class NDJSONDecoder:
    r"""Splits a byte stream into its lines, whatever the chunking; blank lines are skipped.

    Lines end at LF or CRLF, and at the end of the stream.

    Args:
        max_line_bytes: limit for one line, in bytes.
    """

    __slots__ = ("_limit", "_pending")

    def __init__(self, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._pending = bytearray()  # of the unfinished line; grows in place, never copied
        self._limit = max_line_bytes

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes and return the lines they complete.

        Raises:
            ProviderInvalidResponseError: a line is longer than the limit.
        """
        head, newline, rest = chunk.partition(b"\n")
        if not newline:
            self._hold(chunk)
            return []
        if self._pending:
            self._hold(head)
            head = bytes(self._pending)
            self._pending.clear()
        lines = [head, *rest.split(b"\n")]
        self._hold(lines.pop())
        return [line for raw in lines if (line := self._line(raw))]

    def close(self) -> list[bytes]:
        """Return the line that the end of the stream ended, if any."""
        line = self._line(bytes(self._pending))
        self._pending.clear()
        return [line] if line else []

    def _line(self, raw: bytes) -> bytes:
        if len(raw) > self._limit:
            raise self._too_long()
        line = raw.strip()
        if line.startswith((b"{", b"[")):
            return line
        if line.startswith(b"data:"):
            return line[5:].strip()
        return b"" if line.startswith(_FRAME) else line

    def _hold(self, rest: bytes) -> None:
        self._pending += rest
        if len(self._pending) > self._limit:
            raise self._too_long()

    def _too_long(self) -> ProviderInvalidResponseError:
        return ProviderInvalidResponseError(
            f"a line of the stream is longer than {self._limit:,} bytes; is base_url right?"
        )

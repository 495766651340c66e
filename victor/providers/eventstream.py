"""AWS event stream: bytes in, one JSON object per message out.

Spec: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html (the framing)
and https://smithy.io/2.0/aws/amazon-eventstream.html (the headers).
An event becomes `{"<its type>": <its payload>}`, an exception or an error becomes
`{"error": {"type": …, "message": …}}`. Both checksums of every message are checked. Knows nothing
about sockets, or about which events there are and what they mean.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from zlib import crc32

from pydantic_core import from_json, to_json

from victor.errors import ProviderInvalidResponseError

__all__ = ["MAX_MESSAGE_BYTES", "EventStreamDecoder"]

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""More than any honest message; a length that is none ends here, not in the machine's memory."""

_PRELUDE = struct.Struct(
    ">III"
)  # length of the message, length of its headers, checksum of these two
_CHECKSUM = struct.Struct(">I")
_LEAST = _PRELUDE.size + _CHECKSUM.size
_LENGTH = struct.Struct(">H")
_STRING = 7
# Of the values of the other types of header, in bytes; 6 and 7 say their own length.
_SIZES: Mapping[int, int] = MappingProxyType({0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16})
_MOST_KINDS = 64
_LONGEST_KEPT = 1024


class EventStreamDecoder:
    """Splits a byte stream into the events of its messages, whatever the chunking.

    Args:
        max_message_bytes: limit for one message, in bytes.
    """

    __slots__ = ("_heads", "_limit", "_pending")

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._pending = bytearray()
        self._limit = max_message_bytes
        # The headers of one type of event are always the same bytes: they are read once.
        self._heads: dict[bytes, bytes] = {}

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes and return the events they complete.

        Raises:
            ProviderInvalidResponseError: the bytes are no event stream, were damaged on the way,
                or a message is longer than the limit.
        """
        pending = self._pending
        pending += chunk
        events: list[bytes] = []
        start, end = 0, len(pending)
        while end - start >= _PRELUDE.size:
            total, headers, checksum = _PRELUDE.unpack_from(pending, start)
            self._check_prelude(total, headers, checksum, start)
            if end - start < total:
                break
            message = bytes(pending[start : start + total])
            start += total
            if crc32(message[:-4]) != _CHECKSUM.unpack_from(message, total - 4)[0]:
                raise _broken("a message's checksum is wrong")
            events.append(self._event(message, _PRELUDE.size + headers))
        del pending[:start]
        return events

    def close(self) -> list[bytes]:
        """Return nothing: a message that the end of the stream cut off is lost."""
        return []

    def _check_prelude(self, total: int, headers: int, checksum: int, start: int) -> None:
        head = bytes(self._pending[start : start + 64])
        if crc32(head[:8]) != checksum:
            raise _broken(f"it goes on with {head!r}")
        if not _LEAST + headers <= total:
            raise _broken(f"a message of {total} bytes cannot have {headers} bytes of headers")
        if total > self._limit:
            raise _broken(f"a message of {total:,} bytes is longer than {self._limit:,}")

    def _event(self, message: bytes, body: int) -> bytes:
        headers = message[_PRELUDE.size : body]
        payload = message[body:-4]
        head = self._heads.get(headers)
        if head is None:
            named = _read_headers(headers)
            if named.get(":message-type", "event") != "event":
                return _error(named, payload)
            head = b"{%b:" % to_json(named.get(":event-type", ""))
            if len(self._heads) < _MOST_KINDS and len(headers) < _LONGEST_KEPT:
                self._heads[headers] = head
        return b"%b%b}" % (head, payload or b"{}")


def _read_headers(block: bytes) -> dict[str, str]:
    """Return the headers whose values are strings; the others say nothing about a message."""
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            name = block[at + 1 : at + 1 + block[at]]
            at += 1 + len(name)
            kind = block[at]
            at += 1
            if kind in _SIZES:
                at += _SIZES[kind]
                continue
            if kind not in (6, _STRING):
                raise _broken(f"a header has the unknown type {kind}")
            (length,) = _LENGTH.unpack_from(block, at)
            value = block[at + 2 : at + 2 + length]
            at += 2 + length
            if kind == _STRING:
                found[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    except (IndexError, struct.error):
        at = len(block) + 1
    if at != len(block):
        raise _broken("the headers of a message end in the middle of one")
    return found


def _error(named: Mapping[str, str], payload: bytes) -> bytes:
    kind = named.get(":exception-type") or named.get(":error-code") or "exception"
    told: object = named.get(":error-message")
    if not told:
        try:
            value = from_json(payload)
        except ValueError:
            value = payload.decode("utf-8", "replace")
        if isinstance(value, dict):
            told = value.get("message") or value.get("Message") or value.get("originalMessage")
        told = told or value
    return to_json({"error": {"type": kind, "message": told}}, inf_nan_mode="null")


def _broken(what: str) -> ProviderInvalidResponseError:
    return ProviderInvalidResponseError(f"this is not an intact AWS event stream: {what}")

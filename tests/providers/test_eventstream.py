from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.errors import ProviderError, ProviderInvalidResponseError
from victor.providers.eventstream import EventStreamDecoder

EVENT = {":message-type": "event", ":content-type": "application/json"}


def text_header(name: str, value: str) -> bytes:
    raw = value.encode()
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(raw)) + raw


def framed(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return message + struct.pack(">I", crc32(message))


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    return framed(b"".join(text_header(*pair) for pair in headers.items()), payload)


def event(name: str, payload: object) -> bytes:
    return frame({**EVENT, ":event-type": name}, json.dumps(payload).encode())


def split(*blocks: bytes) -> list[object]:
    decoder = EventStreamDecoder()
    events = [one for block in blocks for one in decoder.feed(block)]
    return [json.loads(one) for one in [*events, *decoder.close()]]


def test_an_event_becomes_its_payload_under_its_type() -> None:
    body = event("one", {"a": 1}) + event("two", {"b": "ü\u2028"})
    assert split(body) == [{"one": {"a": 1}}, {"two": {"b": "ü\u2028"}}]


@given(sizes=st.lists(st.integers(1, 40), max_size=30))
@settings(max_examples=50, deadline=None)
def test_blocks_may_be_cut_anywhere(sizes: list[int]) -> None:
    body = b"".join(event(f"e{n % 2}", {"n": n}) for n in range(4))
    blocks, at = [], 0
    for size in sizes:
        blocks.append(body[at : at + size])
        at += size
    assert split(*blocks, body[at:]) == [{f"e{n % 2}": {"n": n}} for n in range(4)]


@pytest.mark.parametrize(
    ("headers", "payload", "error"),
    [
        (
            {":message-type": "exception", ":exception-type": "throttlingException"},
            b'{"message": "Slow down."}',
            {"type": "throttlingException", "message": "Slow down."},
        ),
        (
            {":message-type": "exception", ":exception-type": "modelStreamErrorException"},
            b'{"originalMessage": "It broke.", "originalStatusCode": 500}',
            {"type": "modelStreamErrorException", "message": "It broke."},
        ),
        (
            {":message-type": "error", ":error-code": "InternalError", ":error-message": "Oh."},
            b"",
            {"type": "InternalError", "message": "Oh."},
        ),
        (
            {":message-type": "exception"},
            b"no \xff JSON",
            {"type": "exception", "message": "no \ufffd JSON"},
        ),
        (
            {":message-type": "exception", ":exception-type": "x"},
            b"[1]",
            {"type": "x", "message": [1]},
        ),
        (
            {":message-type": "exception", ":exception-type": "x"},
            b'{"message": null}',
            {"type": "x", "message": {"message": None}},
        ),
    ],
    ids=["exception", "original message", "error", "no JSON", "a list", "null message"],
)
def test_exceptions_and_errors_say_what_they_are(
    headers: dict[str, str], payload: bytes, error: object
) -> None:
    assert split(frame(headers, payload)) == [{"error": error}]


def test_headers_of_every_type_are_read_past() -> None:
    others = b"".join(
        bytes([1]) + b"h" + bytes([kind]) + value
        for kind, value in [
            (0, b""),
            (1, b""),
            (2, b"\x01"),
            (3, bytes(2)),
            (4, bytes(4)),
            (5, bytes(8)),
            (6, b"\x00\x03abc"),
            (8, bytes(8)),
            (9, bytes(16)),
        ]
    )
    body = framed(others + text_header(":event-type", "late"), b"{}")
    assert split(body) == [{"late": {}}]


@pytest.mark.parametrize(
    "headers",
    [
        b"\x05ab",
        b"\x01a",
        b"\x01a\x07\x00",
        b"\x01a\x07\x00\x09abc",
        b"\x01a\x2a\x00",
        b"\x01a\x05",
    ],
    ids=["name", "no type", "no length", "short value", "unknown type", "short number"],
)
def test_headers_that_end_early_or_are_of_no_type_are_refused(headers: bytes) -> None:
    with pytest.raises(ProviderInvalidResponseError, match="header"):
        split(framed(headers, b"{}"))


def test_a_message_without_a_name_or_a_payload_is_an_event_without_them() -> None:
    assert split(framed(b"", b"")) == [{"": {}}]


@pytest.mark.parametrize("place", [5, 20, -10, -1], ids=["prelude", "headers", "payload", "sum"])
def test_a_changed_byte_is_noticed(place: int) -> None:
    body = bytearray(event("one", {"text": "what was said"}))
    body[place] ^= 0x20
    with pytest.raises(ProviderInvalidResponseError, match="AWS event stream"):
        split(bytes(body))


@pytest.mark.parametrize(
    "body", [b"<html><body>Bad gateway</body></html>", b'{"message": "no stream"}', bytes(12)]
)
def test_what_is_no_event_stream_is_quoted_in_the_error(body: bytes) -> None:
    with pytest.raises(ProviderInvalidResponseError) as caught:
        split(body)
    assert repr(body[:64]) in str(caught.value)


def test_a_message_too_short_for_its_headers_is_refused() -> None:
    prelude = struct.pack(">II", 20, 10)
    with pytest.raises(ProviderInvalidResponseError, match="10 bytes of headers"):
        split(prelude + struct.pack(">I", crc32(prelude)))


def test_a_message_over_the_limit_is_refused_before_it_has_come() -> None:
    prelude = struct.pack(">II", 2_000, 0)
    decoder = EventStreamDecoder(max_message_bytes=1_000)
    with pytest.raises(ProviderInvalidResponseError, match="2,000 bytes is longer than 1,000"):
        decoder.feed(prelude + struct.pack(">I", crc32(prelude)))


def test_a_message_that_the_end_cut_off_is_no_event() -> None:
    body = event("one", {}) + event("two", {})
    assert split(body[:-1]) == [{"one": {}}]


def test_many_types_of_events_are_told_apart() -> None:
    body = b"".join(event(f"e{n}", n) for n in range(200))
    assert split(body) == [{f"e{n}": n} for n in range(200)]


@given(body=st.binary(max_size=200), at=st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_random_bytes_raise_typed_errors_only(body: bytes, at: int) -> None:
    whole = event("one", {"text": "hello"})
    decoder = EventStreamDecoder()
    try:
        decoder.feed(whole[:at] + body)
        decoder.feed(framed(body, body))
    except ProviderError:
        pass
    assert decoder.close() == []

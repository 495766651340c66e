from __future__ import annotations

import tracemalloc
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.providers.sse import MAX_EVENT_BYTES, SSEDecoder, SSEError


def _decode(blocks: Iterable[bytes], limit: int = MAX_EVENT_BYTES) -> list[bytes]:
    decoder = SSEDecoder(limit)
    events = [event for block in blocks for event in decoder.feed(block)]
    return events + decoder.close()


def _feed_for_ever(decoder: SSEDecoder, block: bytes, times: int) -> None:
    for _ in range(times):
        assert decoder.feed(block) == []


def _bytes(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]


# The first four are the examples of the specification.
CASES = [
    pytest.param(
        b"data: This is the first message.\n\ndata: This is the second message, it\n"
        b"data: has two lines.\n\ndata: This is the third message.\n\n",
        [
            b"This is the first message.",
            b"This is the second message, it\nhas two lines.",
            b"This is the third message.",
        ],
        id="messages of one and two lines",
    ),
    pytest.param(
        b": test stream\n\ndata: first event\nid: 1\n\n"
        b"data:second event\nid\n\ndata:  third event\n",
        [b"first event", b"second event", b" third event"],
        id="comment, id and only one leading space",
    ),
    pytest.param(b"data\n\ndata\ndata\n\ndata:\n\n", [b"", b"\n", b""], id="data without a value"),
    pytest.param(b"data:test\n\ndata: test\n\n", [b"test", b"test"], id="with and without space"),
    pytest.param(b"", [], id="nothing"),
    pytest.param(b"\n\n\n", [], id="blank lines alone"),
    pytest.param(b": ping\n\n: OPENROUTER PROCESSING\n\n", [], id="comments alone"),
    pytest.param(b"event: add\nid: 7\nretry: 3\n\n", [], id="fields without data"),
    pytest.param(b"event: add\ndata: 1\nnonsense\nfoo: bar\n\n", [b"1"], id="unknown fields"),
    pytest.param(b"datadata: 1\ndata : 2\n data: 3\n\n", [], id="names that only look like data"),
    pytest.param(b"data: a: b\n\n", [b"a: b"], id="colon in the value"),
    pytest.param(b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"1", b"2"], id="CRLF"),
    pytest.param(b"data: 1\r\rdata: 2\r\r", [b"1", b"2"], id="CR"),
    pytest.param(b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\n\r", [b"1", b"2", b"3"], id="mixed ends"),
    pytest.param(b"data: 1\r\ndata: 2\r\n\r\n", [b"1\n2"], id="CRLF within an event"),
    pytest.param(b"\xef\xbb\xbfdata: 1\n\n", [b"1"], id="byte order mark"),
    pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: 1\n\n", [], id="only one mark is dropped"),
    pytest.param(b"\xef\xbbdata: 1\n\ndata: 2\n\n", [b"2"], id="half a mark is a field's name"),
    pytest.param("data: a\u2028b\u2029c\u0085d\x0be\x0cf\n\n".encode(),
                 ["a\u2028b\u2029c\u0085d\x0be\x0cf".encode()],
                 id="other line separators are text"),
    pytest.param(b"data: \xff\xfe\n\n", [b"\xff\xfe"], id="bytes that are no UTF-8"),
    pytest.param(b"data: 1\n\ndata: 2", [b"1", b"2"], id="last event without any line end"),
    pytest.param(b"data: 1\n\ndata: 2\n", [b"1", b"2"], id="last event without its blank line"),
    pytest.param(b"data: 1\n\ndata: 2\r", [b"1", b"2"], id="last event that ends in CR"),
    pytest.param(b'error: {"detail": 1}\n\n', [b'{"detail": 1}'], id="error field"),
    pytest.param(b"error:broken\ndata: 1\n\ndata: 2\n\n", [b"1", b"broken", b"2"],
                 id="error field comes after the data of its event"),
    pytest.param(b"data: 1\n\nerror: late", [b"1", b"late"], id="unterminated error field"),
    pytest.param(b"errors: x\n\n", [], id="a name that only looks like error"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "events"), CASES)
def test_a_stream_is_cut_into_the_data_of_its_events(body: bytes, events: list[bytes]) -> None:
    assert _decode([body]) == events


@pytest.mark.parametrize(("body", "events"), CASES)
def test_a_stream_that_comes_byte_by_byte_reads_the_same(body: bytes, events: list[bytes]) -> None:
    assert _decode(_bytes(body)) == events


@pytest.mark.parametrize(("body", "events"), CASES)
def test_a_stream_cut_once_anywhere_reads_the_same(body: bytes, events: list[bytes]) -> None:
    for at in range(len(body) + 1):
        assert _decode([body[:at], b"", body[at:]]) == events, at


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from([b"data: ", b"data:", b"data", b"error:", b": ", b"id: ", b"x", b""]),
            st.binary(max_size=6).filter(lambda value: b"\n" not in value and b"\r" not in value),
            st.sampled_from([b"\n", b"\r", b"\r\n"]),
        ),
        max_size=12,
    ),
    mark=st.booleans(),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_chunking_never_changes_the_events(
    lines: list[tuple[bytes, bytes, bytes]], mark: bool, cuts: list[int]
) -> None:
    body = b"\xef\xbb\xbf" * mark + b"".join(part for line in lines for part in line)
    places = sorted({0, *(cut for cut in cuts if cut < len(body)), len(body)})
    blocks = [body[a:b] for a, b in pairwise(places)]
    assert _decode(blocks) == _decode([body])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text().filter(lambda text: "\n" not in text and "\r" not in text), max_size=8))
def test_what_a_server_sends_as_data_arrives_to_the_byte(texts: list[str]) -> None:
    body = "".join(f"data: {text}\n\n" for text in texts).encode()
    assert _decode(_bytes(body)) == [text.encode() for text in texts]


def test_events_come_as_soon_as_their_blank_line_does() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: 1\n") == []
    assert decoder.feed(b"\ndata: 2\r") == [b"1"]
    assert decoder.feed(b"\n\r") == [b"2"]
    assert decoder.feed(b"\ndata: 3") == []
    assert decoder.close() == [b"3"]
    assert decoder.close() == []


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (b"x" * 10, "a line of the stream is longer than 1,000 bytes"),
        (b": x\xc3", "a line of the stream is longer than 1,000 bytes"),
        (b"data: 123456789\n", "an event of the stream is longer than 1,000 bytes"),
        (b"data\n", "an event of the stream is longer than 1,000 bytes"),
    ],
    ids=["line", "comment", "event", "event of empty lines"],
)
def test_what_never_ends_is_an_error_at_the_limit(block: bytes, message: str) -> None:
    with pytest.raises(SSEError) as caught:
        _feed_for_ever(SSEDecoder(1000), block, 1001)
    assert str(caught.value) == message


def test_an_endless_stream_of_empty_data_lines_takes_bounded_memory() -> None:
    decoder = SSEDecoder(100_000)
    tracemalloc.start()
    try:
        with pytest.raises(SSEError):
            _feed_for_ever(decoder, b"data\n" * 1_000, 1_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


def test_the_limit_is_for_one_event_and_not_for_the_stream() -> None:
    decoder = SSEDecoder(20)
    events = [event for _ in range(100) for event in decoder.feed(b"data: 0123456789\n\n")]
    assert events == [b"0123456789"] * 100


def test_a_long_line_in_small_pieces_is_put_together_in_linear_time() -> None:
    # Copying what is pending with every piece would move 100 GB here, and time out.
    text = b"x" * 64
    body = [b"data: ", *[text] * 60_000, b"\n\n"]
    assert _decode(body) == [text * 60_000]

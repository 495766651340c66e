from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.errors import ProviderInvalidResponseError
from victor.providers.ndjson import MAX_LINE_BYTES, NDJSONDecoder


def _lines(*chunks: bytes, limit: int = MAX_LINE_BYTES) -> list[bytes]:
    decoder = NDJSONDecoder(limit)
    found = [line for chunk in chunks for line in decoder.feed(chunk)]
    return [*found, *decoder.close()]


@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}'], id="lines"),
        pytest.param(b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}'], id="CRLF"),
        pytest.param(b'\n\n{"a":1}\n \r\n\n', [b'{"a":1}'], id="blank lines"),
        pytest.param(b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}'], id="no end of line at the end"),
        pytest.param(b"[1]\n2\n", [b"[1]", b"2"], id="any value"),
        pytest.param('{"a":"\u2028"}\n'.encode(), ['{"a":"\u2028"}'.encode()], id="U+2028"),
        pytest.param(
            b'event: x\nid: 1\nretry: 5\n: ping\ndata: {"a":1}\n\ndata:{"b":2}\n\n',
            [b'{"a":1}', b'{"b":2}'],
            id="the frame of server-sent events",
        ),
        pytest.param(b"<html>\n", [b"<html>"], id="what is no JSON is for the decoder to refuse"),
    ],
)
def test_a_stream_is_cut_into_its_lines(stream: bytes, lines: list[bytes]) -> None:
    assert _lines(stream) == lines
    assert _lines(*(stream[at : at + 1] for at in range(len(stream)))) == lines


@given(st.lists(st.binary(max_size=12), max_size=8), st.lists(st.integers(0, 100), max_size=6))
@settings(max_examples=150, deadline=None)
def test_it_does_not_matter_where_the_network_cuts(rows: list[bytes], cuts: list[int]) -> None:
    stream = b"\n".join(rows)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(places)]
    assert _lines(*chunks) == _lines(stream)


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param([b"x" * 11], id="unfinished"),
        pytest.param([b"x" * 11 + b"\n"], id="in one chunk"),
        pytest.param([b"ok\n" + b"x" * 11 + b"\n"], id="after a good one"),
        pytest.param([b"x" * 6, b"x" * 5 + b"\n"], id="in two chunks"),
    ],
)
def test_an_endless_line_is_refused(chunks: list[bytes]) -> None:
    with pytest.raises(ProviderInvalidResponseError, match="longer than 10 bytes"):
        _lines(*chunks, limit=10)


def test_a_line_as_long_as_the_limit_is_taken() -> None:
    assert _lines(b"x" * 10 + b"\n", b"y" * 10, limit=10) == [b"x" * 10, b"y" * 10]


def test_nothing_is_left_after_the_end() -> None:
    decoder = NDJSONDecoder()
    assert decoder.feed(b"1\n2") == [b"1"]
    assert decoder.close() == [b"2"]
    assert decoder.close() == []

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from tests.providers.wires.every import Kind, Said, each_wire
from victor.errors import ProviderError
from victor.providers.reader import StreamReader
from victor.providers.sse import SSEError
from victor.types import StreamChunk

LONG = 10_000_000


def feed_all(kind: Kind, body: bytes, size: int = 65_536) -> StreamChunk:
    reader = StreamReader(kind.wire, "m")
    for at in range(0, len(body), size):
        reader.feed(body[at : at + size])
    reader.close()
    return reader.final()


@each_wire
def test_a_line_of_ten_megabytes_is_read_within_bounded_memory(kind: Kind) -> None:
    times = 3 if kind.wire_name == "openai-responses" else 1  # which says everything three times
    said = Said(text=("x" * (LONG // times),))
    body = kind.framed(kind.data(kind.stream(said)))
    tracemalloc.start()
    try:
        final = feed_all(kind, body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert final.stop_reason == "stop"
    assert peak < 12 * LONG


@each_wire
@pytest.mark.parametrize("start", [b"data: ", b"{", b"", b"\x00\x00\x00"], ids=repr)
def test_a_line_without_end_stops_within_bounded_memory(kind: Kind, start: bytes) -> None:
    reader = StreamReader(kind.wire, "m")
    block = b"x" * 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises((ProviderError, SSEError)):  # noqa: PT012 - any of these may raise
            reader.feed(start + block)
            for _ in range(40):
                reader.feed(block)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 80_000_000


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def many_texts(size: int) -> Said:
    return Said(text=("word ",) * size)


def many_thoughts(size: int) -> Said:
    return Said(thought=("word ",) * size)


def long_arguments(size: int) -> Said:
    return Said(calls=(("add", ('{"a":"', *("x" * 250,) * size, '"}')),))


def many_calls(size: int) -> Said:
    return Said(calls=(("add", ('{"a":1}',)),) * (size // 4))


SHAPES = (many_texts, many_thoughts, long_arguments, many_calls)


@each_wire
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_a_stream_costs_what_its_length_says(kind: Kind, shape: Callable[[int], Said]) -> None:
    small, large = (kind.framed(kind.data(kind.stream(shape(size)))) for size in (1_000, 8_000))
    once = min(seconds(lambda: feed_all(kind, small)) for _ in range(3))
    # Eight times as much; what is quadratic would cost sixty-four times as much. A busy machine
    # may make one try slow, but not three.
    assert any(seconds(lambda: feed_all(kind, large)) < 24 * once for _ in range(3))

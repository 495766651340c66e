from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.replay import cut, outcome, read_stream
from tests.providers.wires.every import EVERY, SAID, SSE, Kind, Said, each_wire
from victor.errors import ProviderConnectionError, ProviderError
from victor.types import CompletionResponse

THOUGHTFUL = Said(thought=("hm ", "well"), calls=(("add", ('{"a', '": 1}')), ("add", ("",))))
NOISE = (b": ping", b"", b"id: 7", b"retry: 10", b"event: message", b"novel: field", b"data", b"\n")
KINDS = st.sampled_from(EVERY)


def read(kind: Kind, *blocks: bytes) -> CompletionResponse:
    return read_stream(kind.wire, "m", blocks)


def comes_to(kind: Kind, blocks: Iterable[bytes]) -> object:
    return outcome(kind.wire, "m", blocks)


def is_whole(answer: CompletionResponse, said: Said) -> None:
    assert answer.content == "".join(said.text)
    assert answer.reasoning == ("".join(said.thought) or None)
    calls = [(call.name, call.arguments, call.error) for call in answer.tool_calls or []]
    assert calls == [(name, said.arguments(at), None) for at, (name, _) in enumerate(said.calls)]
    assert answer.stop_reason == ("tool_calls" if said.calls else "stop")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (7, 5)


@settings(max_examples=100, deadline=None)
@given(KINDS, SAID)
def test_a_stream_and_a_body_say_the_same(kind: Kind, said: Said) -> None:
    is_whole(kind.wire.decode(json.dumps(kind.body(said)).encode(), model="m"), said)
    is_whole(read(kind, kind.framed(kind.data(kind.stream(said)))), said)


@settings(max_examples=100, deadline=None)
@given(KINDS, SAID, st.randoms(use_true_random=False), st.integers(1, 40))
def test_blocks_may_be_cut_anywhere(
    kind: Kind, said: Said, chance: random.Random, most: int
) -> None:
    body = kind.framed(kind.data(kind.stream(said)))
    assert comes_to(kind, cut(body, chance, most)) == comes_to(kind, [body])


@each_wire
@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_single_bytes_and_pairs_of_blocks_say_the_same(kind: Kind, newline: bytes) -> None:
    if kind not in SSE and newline == b"\r":
        pytest.skip("a line of JSON may end in CRLF, but not in CR alone")
    body = kind.framed(kind.data(kind.stream(THOUGHTFUL)), newline)
    want = comes_to(kind, [body])
    assert want == comes_to(kind, [kind.framed(kind.data(kind.stream(THOUGHTFUL)))])
    assert comes_to(kind, [body[at : at + 1] for at in range(len(body))]) == want
    # Each place around a newline, where a splitter has something to remember, and some others.
    step = 16 if newline in body else 3
    for at in range(1, len(body)):
        if at % step == 0 or newline in body[max(0, at - 2) : at + 2]:
            assert comes_to(kind, [body[:at], body[at:]]) == want


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(SSE),
    SAID,
    st.lists(st.sampled_from(NOISE), min_size=1, max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.booleans(),
)
def test_comments_blank_lines_and_unknown_fields_change_nothing(
    kind: Kind, said: Said, noise: list[bytes], newline: bytes, begins_with_mark: bool
) -> None:
    events = kind.data(kind.stream(said))
    between = newline.join(noise) + newline * 2
    body = between.join(kind.framed([one], newline) for one in events)
    marked = b"\xef\xbb\xbf" * begins_with_mark + between + body
    assert comes_to(kind, [marked]) == comes_to(kind, [kind.framed(events)])


@each_wire
def test_fields_and_events_nobody_knows_change_nothing(kind: Kind) -> None:
    events = kind.stream(THOUGHTFUL)
    want = comes_to(kind, [kind.framed(kind.data(events))])
    novel = {"obfuscation": "xyz", "x_new": {"delta": [None]}, "created": 0}
    grown = [{**one, **novel} if isinstance(one, dict) else one for one in events]
    if kind.wire_name != "bedrock":  # where the name of an event is its only field
        assert comes_to(kind, [kind.framed(kind.data(grown))]) == want
    for at in range(len(events) + 1):
        mixed = [*events[:at], *kind.harmless, *events[at:]]
        assert comes_to(kind, [kind.framed(kind.data(mixed))]) == want


@settings(max_examples=100, deadline=None)
@given(KINDS, SAID)
def test_a_stream_that_ends_early_is_never_an_answer(kind: Kind, said: Said) -> None:
    events = kind.data(kind.stream(said))
    want = comes_to(kind, [kind.framed(events)])
    for kept in range(len(events) - kind.ending + 1):
        with pytest.raises(ProviderConnectionError, match="ended before the answer did"):
            read(kind, kind.framed(events[:kept]))
    for lost in range(1, kind.ending):
        answer = read(kind, kind.framed(events[:-lost]))
        assert answer.content == "".join(said.text)
        assert answer.stop_reason == ("tool_calls" if said.calls else "stop")
        assert len(answer.tool_calls or []) == len(said.calls)
    assert want == comes_to(kind, [kind.framed(events)])


@each_wire
def test_a_stream_cut_at_any_byte_is_whole_or_a_typed_error(kind: Kind) -> None:
    body = kind.framed(kind.data(kind.stream(THOUGHTFUL)))
    first_end = len(kind.framed(kind.data(kind.stream(THOUGHTFUL))[: -kind.ending]))
    for at in range(len(body)):
        try:
            answer = read(kind, body[:at])
        except ProviderError:
            continue
        assert at > first_end
        assert answer.content == "".join(THOUGHTFUL.text)


@settings(max_examples=100, deadline=None)
@given(KINDS, SAID, st.data())
def test_the_end_may_come_twice(kind: Kind, said: Said, data: st.DataObject) -> None:
    events = kind.data(kind.stream(said))
    head, end = events[: -kind.ending], events[-kind.ending :]
    twice = [*head, *[one for one in end for _ in range(data.draw(st.integers(1, 3)))]]
    want = comes_to(kind, [kind.framed(events)])
    assert comes_to(kind, [kind.framed(twice)]) == want
    assert comes_to(kind, [kind.framed([*events, *end])]) == want


@each_wire
def test_nothing_is_read_after_the_last_event(kind: Kind) -> None:
    decoder = kind.wire.stream_decoder(model="m")
    for event in kind.data(kind.stream(THOUGHTFUL)):
        decoder.feed(event)
    if not decoder.done:
        assert kind.wire_name == "gemini"  # it has no last event but the end of the body
        return
    before = decoder.finish()
    assert decoder.feed(b"\xff no event at all") is None
    assert decoder.finish().usage == before.usage


@pytest.mark.parametrize("kind", SSE, ids=lambda kind: kind.wire_name)
@pytest.mark.parametrize("lead", [b"", b"\n", b" \r\n "], ids=["bare", "newline", "blanks"])
def test_a_body_instead_of_a_stream_is_read_however_it_is_cut(kind: Kind, lead: bytes) -> None:
    body = lead + json.dumps(kind.body(THOUGHTFUL)).encode()
    is_whole(read(kind, body), THOUGHTFUL)
    is_whole(read(kind, *[body[at : at + 1] for at in range(len(body))]), THOUGHTFUL)


def errors() -> Sequence[Any]:
    return [
        {"error": {"message": "Overloaded", "type": "overloaded_error", "code": 529}},
        {"error": "the model is gone"},
        {"error": {"message": None, "code": None}},
        {"error": ["a", {"b": None}]},
    ]


@each_wire
@pytest.mark.parametrize("error", errors(), ids=["object", "text", "nulls", "list"])
def test_an_error_in_a_stream_is_raised_wherever_it_stands(kind: Kind, error: Any) -> None:
    events = kind.stream(THOUGHTFUL)
    for at in range(len(events) - kind.ending + 1):
        decoder = kind.wire.stream_decoder(model="m")
        for event in kind.data(events[:at]):
            decoder.feed(event)
        with pytest.raises(ProviderError):
            decoder.feed(json.dumps(error).encode())
    with pytest.raises(ProviderError):
        kind.wire.decode(json.dumps(error).encode(), model="m")

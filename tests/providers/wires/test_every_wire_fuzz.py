from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from tests.providers.wires.every import EVERY, Json, Kind, Said, each_wire
from victor.errors import ProviderError, UnsupportedFeatureError
from victor.providers.reader import StreamReader
from victor.providers.request import ChatRequest
from victor.providers.sse import SSEError
from victor.types import CompletionResponse, Message, StreamChunk

THOUGHTFUL = Said(thought=("hm ", "well"), calls=(("add", ('{"a', '": 1}')), ("add", ("",))))
KINDS = st.sampled_from(EVERY)
HOLE = "put it here"
DEEP = 100_000
ROUNDS = 200
JUNK: dict[str, bytes] = {
    "null": b"null",
    "true": b"true",
    "zero": b"0",
    "float": b"-1.5e3",
    "overflow": b"1e999",
    "NaN": b"NaN",
    "huge": b"9" * 400,
    "endless": b"9" * 5000,
    "blank": b'""',
    "text": b'"x"',
    "half": rb'"\ud800"',
    "no UTF-8": b'"\xff"',
    "control": rb'"\u0000\u2028"',
    "list": b"[]",
    "lists": b"[null,[1],{}]",
    "object": b"{}",
    "objects": b'{"type":{"x":[]},"text":[],"":0}',
    "deep": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"0" + b"}" * DEEP,
    "quite deep": b"[" * 180 + b"]" * 180,
}


def places(value: Any) -> Iterator[Callable[[Any], Any]]:
    """Yield ways to put something else into each place of a value."""

    def itself(other: Any) -> Any:
        return other

    yield itself
    if isinstance(value, dict):
        for key, one in value.items():
            for put in places(one):
                yield partial(_in_object, value, key, put)
    elif isinstance(value, list):
        for at, one in enumerate(value):
            for put in places(one):
                yield partial(_in_list, value, at, put)


def _in_object(value: Json, key: str, put: Callable[[Any], Any], other: Any) -> Json:
    return {**value, key: put(other)}


def _in_list(value: list[Any], at: int, put: Callable[[Any], Any], other: Any) -> list[Any]:
    return [*value[:at], put(other), *value[at + 1 :]]


def mutants(value: Any, junk: bytes) -> list[bytes]:
    hole = json.dumps(HOLE).encode()
    found = [json.dumps(put(HOLE)).encode().replace(hole, junk) for put in places(value)]
    return list(dict.fromkeys(found))


def lives_on(kind: Kind, answer: CompletionResponse | StreamChunk) -> None:
    """Check that what was read can be stored, loaded and sent back."""
    if isinstance(answer, StreamChunk):
        answer = CompletionResponse(
            content="x",
            tool_calls=answer.tool_calls,
            stop_reason=answer.stop_reason,
            usage=answer.usage,
            provider_state=answer.provider_state,
        )
    assert answer.stop_reason
    CompletionResponse.model_validate(answer.model_dump(exclude={"raw_response"}))
    message = answer.to_message()
    stored = Message.model_validate_json(message.model_dump_json())
    question = Message(role="user", content="?")
    for one in (message, stored):
        try:
            call = kind.wire.encode(ChatRequest([question, one], "m"))
        except UnsupportedFeatureError:
            continue
        assert isinstance(from_json(call.body, allow_inf_nan=False), dict)


def is_readable(error: ProviderError) -> None:
    assert 10 < len(str(error)) < 2_000


def decoded(kind: Kind, body: bytes) -> None:
    try:
        answer = kind.wire.decode(body, model="m")
    except ProviderError as error:
        is_readable(error)
    else:
        lives_on(kind, answer)


def streamed(kind: Kind, events: list[bytes]) -> StreamChunk | None:
    decoder = kind.wire.stream_decoder(model="m")
    try:
        for event in events:
            chunk = decoder.feed(event)
            assert chunk is None or chunk.content or chunk.reasoning or chunk.tool_call_delta
        final = decoder.finish()
    except ProviderError as error:
        is_readable(error)
        return None
    assert final.is_final
    return final


def live_on(kind: Kind, finals: Iterable[StreamChunk | None]) -> None:
    """Check each of them once, as most mutants end alike."""
    for final in {repr(one): one for one in finals if one is not None}.values():
        lives_on(kind, final)


@each_wire
@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_in_any_place_of_a_body_is_an_answer_or_a_typed_error(kind: Kind, junk: bytes) -> None:
    for body in mutants(kind.body(THOUGHTFUL), junk):
        decoded(kind, body)


@each_wire
@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_in_any_place_of_a_stream_is_an_answer_or_a_typed_error(
    kind: Kind, junk: bytes
) -> None:
    events = kind.stream(THOUGHTFUL)
    data = kind.data(events)
    live_on(
        kind,
        (
            streamed(kind, [*data[:at], mutant, *data[at + 1 :]])
            for at, event in enumerate(events)
            if isinstance(event, dict)
            for mutant in mutants(event, junk)
        ),
    )


def scrambled(chance: random.Random, value: Any) -> Any:
    """Return a value of the same rough shape, with some of it lost, moved or replaced."""
    fate = chance.randrange(25)
    if fate == 0:
        return chance.choice((None, True, -1, 2.5, math.nan, "", "x", [], {}))
    if fate == 1:
        return [value]
    if isinstance(value, dict):
        kept = {key: scrambled(chance, one) for key, one in value.items() if chance.randrange(16)}
        if fate == 2:
            kept = dict(zip(kept, chance.sample(list(kept.values()), len(kept)), strict=True))
        return kept
    if isinstance(value, list):
        items = [scrambled(chance, one) for one in value]
        return items * 2 if fate == 3 else items
    return value


@each_wire
def test_a_scrambled_stream_is_an_answer_or_a_typed_error(kind: Kind) -> None:
    chance = random.Random(20)  # noqa: S311 - no secret
    whole = [one for one in kind.stream(THOUGHTFUL) if isinstance(one, dict)]
    for turn in range(ROUNDS):
        events = list(whole)
        for at in chance.sample(range(len(events)), chance.randint(1, min(4, len(events)))):
            events[at] = scrambled(chance, events[at])
        if turn % 2:
            chance.shuffle(events)
        live_on(kind, [streamed(kind, [json.dumps(one).encode() for one in events])])
        decoded(kind, json.dumps(scrambled(chance, kind.body(THOUGHTFUL))).encode())


@settings(max_examples=150, deadline=None)
@given(KINDS, st.binary(max_size=80), st.integers(0, 300))
def test_any_bytes_are_an_answer_or_a_typed_error(kind: Kind, junk: bytes, at: int) -> None:
    body = kind.framed(kind.data(kind.stream(THOUGHTFUL)))
    for damaged in (junk, body[:at] + junk + body[at:], body[:at] + junk + body[at + len(junk) :]):
        reader = StreamReader(kind.wire, "m")
        try:
            for block in (damaged[:50], damaged[50:]):
                reader.feed(block)
            reader.close()
            lives_on(kind, reader.final())
        except (ProviderError, SSEError):
            pass
    decoded(kind, junk)

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.wires.responses_bodies import ITEMS, JSON, Json, read_stream, wire
from victor.errors import ProviderError
from victor.providers.request import ChatRequest
from victor.types import CompletionResponse, Message


@settings(max_examples=150, deadline=None)
@given(
    output=st.lists(ITEMS | JSON, max_size=4),
    more=st.dictionaries(
        st.sampled_from(["status", "usage", "model", "error", "incomplete_details", "output_text"]),
        JSON,
    ),
)
def test_anything_a_server_sends_is_an_answer_or_a_typed_error(
    output: list[Any], more: Json
) -> None:
    body = json.dumps({"output": output, **more}).encode()
    try:
        answer = wire().decode(body, model="asked")
    except ProviderError:
        return
    assert CompletionResponse.model_validate(answer.model_dump()).content == answer.content
    message = answer.to_message()
    again = Message.model_validate_json(message.model_dump_json())
    assert again.provider_state == answer.provider_state
    sent = wire().encode(ChatRequest([Message(role="user", content="x"), again], "m"))
    assert isinstance(json.loads(sent.body)["input"], list)


STEPS = [
    "output_item.added",
    "output_item.done",
    "output_text.delta",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "custom_tool_call_input.delta",
    "custom_tool_call_input.done",
    "reasoning_text.delta",
    "refusal.delta",
    "shell_call_command.delta",
    "created",
    "completed",
    "incomplete",
]
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from([f"response.{step}" for step in STEPS])},
    optional={
        "item": ITEMS | JSON,
        "output_index": st.integers(0, 2) | JSON,
        "item_id": st.sampled_from(["a", "b"]) | JSON,
        "response": JSON | st.fixed_dictionaries({"output": st.lists(ITEMS | JSON) | JSON}),
        **dict.fromkeys(("delta", "arguments", "input", "name", "error"), JSON),
    },
)


@settings(max_examples=150, deadline=None)
@given(events=st.lists(EVENTS | JSON, max_size=8))
def test_anything_a_server_streams_is_an_answer_or_a_typed_error(events: list[Any]) -> None:
    try:
        chunks, final = read_stream(*[json.dumps(one).encode() for one in events])
    except ProviderError:
        return
    assert final.is_final
    assert not any(chunk.is_final for chunk in chunks)
    json.dumps(final.provider_state)


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=40))
def test_random_bytes_are_nothing_or_a_typed_error(data: bytes) -> None:
    stream = wire().stream_decoder(model="asked")
    try:
        chunk = stream.feed(data)
    except ProviderError:
        return
    assert chunk is None
    assert stream.done == (data.strip() == b"[DONE]")

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from victor.errors import ProviderError
from victor.providers.wires.anthropic.decode import decode
from victor.providers.wires.anthropic.stream import AnthropicStream
from victor.types import CompletionResponse

END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
KEYS = st.sampled_from(
    ["caller", "category", "citation", "citations", "container", "content", "content_block",
     "delta", "detail", "error", "id", "index", "input", "input_tokens", "message", "model", "name",
     "output_tokens", "output_tokens_details", "partial_json", "signature", "stop_details",
     "stop_reason", "text", "thinking", "to", "type", "usage"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["content_block_delta", "content_block_start", "message_delta", "message_start", "text_delta",
     "input_json_delta", "signature_delta", "text", "thinking", "tool_use", "fallback",
     "server_tool_use", "citations_delta", "error", "pause_turn", "refusal", "max_tokens"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
BLOCK = st.fixed_dictionaries(
    {"type": WORDS | ANYTHING},
    optional={"text": ANYTHING, "name": ANYTHING, "input": ANYTHING, "citations": ANYTHING},
)
EVENT = st.fixed_dictionaries(
    {"type": WORDS},
    optional={
        "index": st.integers(0, 2) | ANYTHING,
        "delta": BLOCK | ANYTHING,
        "content_block": BLOCK | ANYTHING,
        "message": ANYTHING,
        "usage": ANYTHING,
    },
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENT | ANYTHING, max_size=6))
def test_any_events_give_an_answer_or_a_typed_error(events: list[object]) -> None:
    stream = AnthropicStream(provider="acme", model="asked")
    try:
        for event in [*events, END]:
            chunk = stream.feed(json.dumps(event).encode())
            assert chunk is None or chunk.content or chunk.reasoning or chunk.tool_call_delta
        final = stream.finish()
    except ProviderError:
        return
    assert final.is_final
    assert final.stop_reason


@settings(max_examples=200, deadline=None)
@given(
    ANYTHING
    | st.fixed_dictionaries(
        {"content": st.lists(BLOCK | ANYTHING, max_size=4)},
        optional={"stop_reason": WORDS | ANYTHING, "usage": ANYTHING, "container": ANYTHING},
    )
)
def test_any_body_gives_an_answer_or_a_typed_error(value: object) -> None:
    try:
        found = decode(json.dumps(value).encode(), provider="acme", model="asked")
    except ProviderError:
        return
    assert found == CompletionResponse.model_validate(found.model_dump())

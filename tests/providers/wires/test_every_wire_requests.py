from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic_core import from_json

from tests.providers.wires.every import EVERY, Kind, Said
from victor.config.catalog import VENDORS, Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import ProviderError, VictorError
from victor.providers.protocols import wire_for
from victor.providers.request import ChatRequest, HTTPCall
from victor.types import Attachment, Message, ToolCall, ToolDefinition

ROWS = (
    *VENDORS.values(),
    Vendor("strict", "https://a.test", strict_fields=True, mistral=True, alternating=True),
    *(Vendor("acme", "https://a.test", wire=kind.wire_name) for kind in EVERY),
)
THOUGHTFUL = Said(text=("Hello",), thought=("SECRET THOUGHT",), calls=(("add", ('{"a": 1}',)),))
SEALS = [
    "SEALED-ANTHROPIC", "SEALED-BEDROCK", "SEALED-CHAT", "SEALED-GEMINI", "SEALED-RESPONSES",
]  # fmt: skip
ACCEPTED = {
    "anthropic": "[a-zA-Z0-9_-]+",
    "bedrock": "[a-zA-Z0-9_-]{1,64}",
    "openai-chat": "[a-zA-Z0-9_.:-]{1,128}",
    "openai-responses": ".{1,64}",
}
by_name = pytest.mark.parametrize("vendor", ROWS, ids=lambda vendor: f"{vendor.name}-{vendor.wire}")

TEXT = st.sampled_from(["", " ", "Hi", "Error: no", "ü\u2028\x00", "half \ud800"])
ID = st.sampled_from(["", "a", "call_1", "abcDEF123", "ü ", "x" * 90, "functions.f:0"])
DATA = st.sampled_from([b"", b"abc", b"\xff\xfe", b"\x89PNG\r\n"])
MEDIA = st.sampled_from(
    ["image/png", "IMAGE/JPEG; q=1", "application/pdf", "text/plain", "application/json",
     "audio/wav", "video/mp4", "application/x-thing", ""]
)  # fmt: skip
URLS = st.sampled_from(["https://a.test/x.png", "http://a.test/x", "gs://b/x", "s3://b/x", "x"])
FILES = st.lists(
    st.builds(
        lambda kind, data, url, name: Attachment(
            media_type=kind, data=None if url else data, url=url, name=name
        ),
        MEDIA, DATA, st.none() | URLS, st.sampled_from([None, "a.pdf", "../x y", ""]),
    ),
    max_size=2,
)  # fmt: skip
JUNK = st.recursive(
    st.none() | st.integers(-1, 2) | st.sampled_from(["", "text", "tool_use", "function_call"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["type", "text", "blocks", "items", "parts", "toolUse", "functionCall"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
STATE = st.none() | st.dictionaries(
    st.sampled_from([kind.wire_name for kind in EVERY]),
    JUNK
    | st.builds(
        lambda name, more: {**(more if isinstance(more, dict) else {}), "provider": name},
        st.sampled_from(["acme", "anthropic", "strict"]), JUNK,
    ),
    max_size=2,
)  # fmt: skip
CALL = st.builds(
    lambda id_, name, fields: ToolCall(name=name, **fields).model_copy(update={"id": id_}),
    ID,
    st.sampled_from(["f", "g", "", "a b"]),
    st.sampled_from([{"arguments": {"a": [1, None]}}, {"raw_arguments": "{", "error": "bad"}]),
)
MESSAGE = st.builds(
    lambda role, text, **more: Message(role=role, content=text, **more),
    st.sampled_from(["system", "user", "assistant", "tool"]), TEXT,
    name=st.none() | st.sampled_from(["f", "Jo <x>"]),
    tool_calls=st.none() | st.lists(CALL, max_size=2),
    tool_call_id=st.none() | ID, attachments=FILES, reasoning=st.none() | TEXT,
    provider_state=STATE,
)  # fmt: skip
TOOLS = [
    ToolDefinition(name="f"),
    ToolDefinition(
        name="g",
        description="Look.",
        parameters={
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"type": ["string", "null"]}},
            "required": ["a"],
            "$defs": {"A": {"type": "object", "properties": {"next": {"$ref": "#/$defs/A"}}}},
        },
    ),
]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "x y", "schema": TOOLS[1].parameters}}
ANY = st.none() | st.sampled_from([0, -1, 0.5, "x", [], {}, True, object(), b"x", float("nan")])
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "reasoning_effort": st.sampled_from(["none", "low", "max", "odd"]),
        "response_format": st.sampled_from([SCHEMA, {"type": "json_object"}, {"type": "text"}]),
        "tool_choice": st.sampled_from(["auto", "none", "required", "f", "any"]),
        "parallel_tool_calls": st.booleans(),
        "stop": st.sampled_from(["x", ["a", "b"], ""]),
        "seed": st.integers(-1, 2),
        "top_p": st.sampled_from([0, 0.5, 1.0]),
        "top_k": st.integers(0, 3),
        "frequency_penalty": st.just(0.5),
        "cache": st.booleans(),
        "metadata": ANY,
        "messages": ANY,
        "api_key": ANY,
    },
)
KNOWN = st.builds(
    ModelData,
    system_role=st.sampled_from([None, "system", "developer", "user"]),
    echo_reasoning=st.none() | st.booleans(),
    sampling=st.none() | st.booleans(),
    reasoning=st.none() | st.booleans(),
    efforts=st.sampled_from([None, (), ("low", "high")]),
    thinking=st.sampled_from([None, "adaptive", "budget", "level"]),
    max_output_tokens=st.sampled_from([None, 64, 9000]),
)
MODELS = st.sampled_from(
    ["m", "claude-sonnet-4-5", "gemini-3-pro", "gemini-2.0-flash", "gpt-5", "a/b:c d",
     "us.anthropic.claude-sonnet-4-5-v1:0", "amazon.nova-lite-v1:0"]
)  # fmt: skip


def dumped(values: Sequence[BaseModel]) -> list[Any]:
    return [value.model_dump() for value in values]


def fresh(messages: Sequence[Message]) -> list[Message]:
    return [copy.deepcopy(message) for message in messages]


REQUEST = st.builds(
    ChatRequest,
    st.lists(MESSAGE, max_size=7),
    MODELS,
    temperature=st.sampled_from([None, 0.5, float("inf")]),
    max_tokens=st.sampled_from([None, 1, 100_000]),
    tools=st.sampled_from([None, [], TOOLS]),
    stream=st.booleans(),
    options=OPTIONS,
    model_data=KNOWN,
)


def encoded(vendor: Vendor, request: ChatRequest) -> HTTPCall | tuple[type[VictorError], str]:
    try:
        return wire_for(vendor).encode(request)
    except VictorError as error:
        return type(error), str(error)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ROWS), REQUEST)
def test_any_conversation_is_valid_json_or_a_typed_error(
    vendor: Vendor, request: ChatRequest
) -> None:
    before, options = dumped(request.messages), dict(request.options)
    tools = dumped(request.tools or ())
    call = encoded(vendor, request)
    if isinstance(call, HTTPCall):
        body = from_json(call.body, allow_inf_nan=False)
        assert isinstance(body, dict)
        assert "api_key" not in body
        assert re.fullmatch("/[!-~]+", call.path)
    else:
        assert len(call[1]) > 10
    # Again, and as if nothing had been kept on the messages.
    assert encoded(vendor, request) == call
    assert encoded(vendor, replace(request, messages=fresh(request.messages))) == call
    assert (dumped(request.messages), request.options) == (before, options)
    assert dumped(request.tools or ()) == tools


def turn(number: int) -> list[Message]:
    calls = [ToolCall(id=f"c{number}{at}", name="f", arguments={"n": at}) for at in range(2)]
    results = [
        Message(role="tool", tool_call_id=call.id, name="f", content=f"result {call.id}")
        for call in calls
    ]
    return [
        Message(role="user", content=f"question {number}"),
        Message(role="assistant", content="let me see", tool_calls=calls),
        *results,
        Message(role="assistant", content=f"answer {number}"),
    ]


@by_name
def test_a_conversation_that_grows_begins_with_the_same_bytes(vendor: Vendor) -> None:
    wire = wire_for(vendor)
    # Marks for the prompt cache move on by design; vendors do not compare them.
    options = {"cache": False} if vendor.wire in ("anthropic", "bedrock") else {}
    messages = [Message(role="system", content="Be brief.")]
    last = b""
    for number in range(4):
        messages += turn(number)
        asked = [*messages, Message(role="user", content="and?")]
        body = wire.encode(ChatRequest(asked, "m", tools=TOOLS[:1], options=options)).body
        # All but the last question, which is another turn's beginning next time.
        head = body[: body.rindex(b"and?")]
        head = head[: head.rindex(b"answer")]
        assert body.startswith(last)
        assert len(head) > len(last)
        last = head


@by_name
def test_every_call_has_its_result_under_an_id_the_target_takes(vendor: Vendor) -> None:
    ids = ["", "call_1", "x" * 90, "ü ", "functions.f:0", "call_1"]
    calls = [ToolCall(name="f").model_copy(update={"id": one}) for one in ids]
    results = [
        Message(role="tool", tool_call_id=one, content=f"r{at}") for at, one in enumerate(ids)
    ]
    messages = [
        Message(role="user", content="?"),
        Message(role="assistant", tool_calls=calls),
        *results,
    ]
    text = wire_for(vendor).encode(ChatRequest(messages, "anthropic.claude-x")).body.decode()
    keys = "tool_call_id|call_id|toolUseId|tool_use_id|id"
    found = re.findall(rf'"(?:{keys})":"((?:[^"\\]|\\.)*)"', text)
    if vendor.wire == "gemini":
        assert found == []
        assert text.count('"functionResponse"') == len(ids)
        return
    assert len(found) == 2 * len(ids)
    assert len(set(found)) == len(ids)
    accepted = "[a-zA-Z0-9]{9}" if vendor.mistral else ACCEPTED.get(vendor.wire, ".+")
    assert all(re.fullmatch(accepted, one) for one in found)


def answers(kind: Kind, said: Said = THOUGHTFUL) -> list[Message]:
    """Return an answer of a wire as messages: read whole, read as a stream, and loaded again."""
    whole = kind.wire.decode(json.dumps(kind.body(said)).encode(), model="m")
    decoder = kind.wire.stream_decoder(model="m")
    for event in kind.data(kind.stream(said)):
        decoder.feed(event)
    final = decoder.finish()
    streamed = whole.to_message().model_copy(
        update={"provider_state": final.provider_state, "tool_calls": final.tool_calls}
    )
    both = [whole.to_message(), streamed]
    return [*both, *(Message.model_validate_json(one.model_dump_json()) for one in both)]


def conversation(answer: Message) -> list[Message]:
    results = [
        Message(role="tool", tool_call_id=call.id, name=call.name, content="3")
        for call in answer.tool_calls or []
    ]
    return [Message(role="user", content="?"), answer, *results]


@pytest.mark.parametrize("source", EVERY, ids=lambda kind: kind.wire_name)
@by_name
def test_what_another_provider_sealed_goes_nowhere_else(vendor: Vendor, source: Kind) -> None:
    if vendor.name == "acme":
        vendor = Vendor("other", "https://b.test", wire=vendor.wire)
    for answer in answers(source):
        call = wire_for(vendor).encode(ChatRequest(conversation(answer), "claude-3-7"))
        text = call.body.decode()
        assert not [seal for seal in SEALS if seal in text]
        assert "provider_state" not in text
        assert '"acme"' not in text
        assert "Hello" in text
        if answer.provider_state:
            assert any("acme can read" in note for note in call.notes)


SEALED = [kind for kind in EVERY if kind.wire_name not in ("openai-chat", "ollama", "cohere")]


@pytest.mark.parametrize("kind", SEALED, ids=lambda kind: kind.wire_name)
def test_what_a_provider_sealed_comes_back_to_it_as_it_was(kind: Kind) -> None:
    bodies = set()
    for answer in answers(kind):
        call = kind.wire.encode(ChatRequest(conversation(answer), "m"))
        assert [seal for seal in SEALS if seal in call.body.decode()] == [
            f"SEALED-{kind.wire_name.removeprefix('openai-').upper()}"
        ]
        bodies.add(re.sub(rb"call_[0-9a-f]{16}", b"made up", call.body))
    assert len(bodies) <= 2


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=20))
def test_openrouters_details_come_back_as_they_were(seal: str, signature: str) -> None:
    details = [{"type": "reasoning.encrypted", "data": seal, "id": "r", "signature": signature}]
    kind = EVERY[0]
    delta = {"content": "Hello", "reasoning_details": details}
    decoder = kind.wire.stream_decoder(model="m")
    for event in ({"delta": delta}, {"delta": {}, "finish_reason": "stop"}):
        decoder.feed(json.dumps({"choices": [event]}).encode())
    final = decoder.finish()
    message = Message(role="assistant", content="Hello", provider_state=final.provider_state)
    stored = Message.model_validate_json(message.model_dump_json())
    body = kind.wire.encode(ChatRequest([stored], "m")).body
    assert json.loads(body)["messages"][0]["reasoning_details"] == details


def test_each_wire_refuses_what_is_no_answer_by_its_own_name() -> None:
    for kind in EVERY:
        with pytest.raises(ProviderError, match="acme") as caught:
            kind.wire.decode(b"<html><body>502</body></html>", model="m")
        assert "base_url" in str(caught.value)

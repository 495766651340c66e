from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import ProviderInvalidRequestError, UnsupportedFeatureError
from victor.providers.request import ChatRequest
from victor.providers.wires.cohere.wire import CohereChat
from victor.types import Attachment, Message, ToolCall, ToolDefinition

ACME = Vendor("acme", "http://test", wire="cohere")
CALL = ToolCall(id="c1", name="add", arguments={"a": 1, "b": "ü"})
CALL_OUT = {
    "id": "c1",
    "type": "function",
    "function": {"name": "add", "arguments": '{"a":1,"b":"ü"}'},
}
ADD = ToolDefinition(name="add", description="Add.", parameters={"type": "object"})
SUB = ToolDefinition(name="sub", description="Subtract.", parameters={"type": "object"})
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
HI = Message(role="user", content="Hi")


def _body(*messages: Message, vendor: Vendor = ACME, **request: Any) -> dict[str, Any]:
    call = CohereChat(vendor).encode(ChatRequest(messages, **{"model": "m", **request}))
    assert call.path == "/v2/chat"
    body: dict[str, Any] = json.loads(call.body)
    return body


def _options(**options: Any) -> dict[str, Any]:
    body = _body(HI, options=options)
    return {name: body[name] for name in body.keys() - {"model", "messages", "stream"}}


def _own(plan: str, provider: str = "acme") -> dict[str, Any]:
    return {"cohere": {"provider": provider, "tool_plan": plan}}


def test_the_smallest_request_says_nothing_more() -> None:
    assert _body(HI) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
    }


def test_the_wire_says_how_it_is_reached() -> None:
    wire = CohereChat(ACME)
    assert wire.name == "cohere"
    assert wire.stream_type == "text/event-stream"
    assert wire.models_path == "/v1/models?page_size=1000"
    assert dict(wire.headers) == {}
    assert wire.splitter().feed(b"data: 1\n\n") == [b"1"]


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        pytest.param(
            Message(role="system", content="Be brief."),
            {"role": "system", "content": "Be brief."},
            id="system",
        ),
        pytest.param(
            Message(role="assistant", content="Yes?", reasoning="hm"),
            {"role": "assistant", "content": "Yes?"},
            id="somebody's reasoning stays at home",
        ),
        pytest.param(
            Message(role="assistant", content="4", reasoning="2+2", provider_state=_own("")),
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "2+2"},
                    {"type": "text", "text": "4"},
                ],
            },
            id="own thinking goes back",
        ),
        pytest.param(
            Message(role="assistant", content="4", reasoning="2+2", provider_state=_own("", "b")),
            {"role": "assistant", "content": "4"},
            id="another vendor's does not",
        ),
        pytest.param(
            Message(role="assistant", content="4", provider_state=_own("")),
            {"role": "assistant", "content": "4"},
            id="state without reasoning",
        ),
    ],
)
def test_messages_are_written(message: Message, encoded: dict[str, Any]) -> None:
    assert _body(message, HI)["messages"][0] == encoded


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        pytest.param(
            Message(role="assistant", tool_calls=[CALL]),
            {"role": "assistant", "tool_calls": [CALL_OUT]},
            id="calls alone",
        ),
        pytest.param(
            Message(role="assistant", content="So:", tool_calls=[CALL]),
            {"role": "assistant", "content": "So:", "tool_calls": [CALL_OUT]},
            id="text and calls",
        ),
        pytest.param(
            Message(
                role="assistant",
                tool_calls=[CALL],
                reasoning="I will add.",
                provider_state=_own("I will add."),
            ),
            {"role": "assistant", "tool_calls": [CALL_OUT], "tool_plan": "I will add."},
            id="own plan",
        ),
        pytest.param(
            Message(
                role="assistant",
                tool_calls=[CALL],
                reasoning="Hm. I will add.",
                provider_state=_own("I will add."),
            ),
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm. "}],
                "tool_calls": [CALL_OUT],
                "tool_plan": "I will add.",
            },
            id="own thinking and plan",
        ),
    ],
)
def test_calls_are_written_with_their_result(message: Message, encoded: dict[str, Any]) -> None:
    result = Message(role="tool", content="3", tool_call_id="c1", name="add")
    _, call, answer = _body(HI, message, result)["messages"]
    assert call == encoded
    assert answer == {"role": "tool", "tool_call_id": "c1", "content": "3"}


def test_arguments_that_did_not_parse_are_sent_as_none() -> None:
    broken = ToolCall(id="c1", name="add", raw_arguments="{", error="not JSON")
    result = Message(role="tool", content="Error: no", tool_call_id="c1", name="add")
    _, call, _ = _body(HI, Message(role="assistant", tool_calls=[broken]), result)["messages"]
    assert call["tool_calls"][0]["function"]["arguments"] == "{}"


def test_images_go_by_address_or_by_bytes() -> None:
    images = [
        Attachment(media_type="image/png", data=b"\x89PNG"),
        Attachment(media_type="image/jpeg", url="https://a.test/x.jpg"),
    ]
    (message,) = _body(Message(role="user", content="Look", attachments=images))["messages"]
    assert message["content"] == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
        {"type": "image_url", "image_url": {"url": "https://a.test/x.jpg"}},
    ]
    (alone,) = _body(Message(role="user", attachments=images[1:]))["messages"]
    assert [part["type"] for part in alone["content"]] == ["image_url"]


def test_text_documents_go_with_a_result() -> None:
    files = [
        Attachment(media_type="text/plain; charset=utf-8", data=b"one", name="a.txt"),
        Attachment(media_type="application/json", data=b"{}"),
    ]
    result = Message(role="tool", content="ok", tool_call_id="c1", name="add", attachments=files)
    messages = _body(HI, Message(role="assistant", tool_calls=[CALL]), result)["messages"]
    assert messages[2]["content"] == [
        {"type": "text", "text": "ok"},
        {"type": "document", "document": {"data": {"title": "a.txt", "text": "one"}}},
        {"type": "document", "document": {"data": {"text": "{}"}}},
    ]


@pytest.mark.parametrize(
    ("role", "attachment"),
    [
        pytest.param("user", Attachment(media_type="application/pdf", data=b"%"), id="PDF"),
        pytest.param("user", Attachment(media_type="text/plain", data=b"x"), id="user's text"),
        pytest.param("tool", Attachment(media_type="image/png", data=b"x"), id="result's image"),
        pytest.param("tool", Attachment(media_type="text/plain", url="https://a.test"), id="URL"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(role: Any, attachment: Attachment) -> None:
    last = Message(role=role, tool_call_id="c1", name="add", attachments=[attachment])
    call = Message(role="assistant", tool_calls=[CALL])
    with pytest.raises(UnsupportedFeatureError, match=attachment.media_type):
        _body(HI, *([call] if role == "tool" else []), last)


@pytest.mark.parametrize(
    ("options", "written"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({"stop": "x"}, {"stop_sequences": ["x"]}, id="stop"),
        pytest.param({"seed": 0}, {"seed": 0}, id="seed"),
        pytest.param({"top_p": 0.5}, {"p": 0.5}, id="top_p"),
        pytest.param({"top_p": 1}, {"p": 0.99}, id="top_p at its end"),
        pytest.param({"top_p": 0}, {"p": 0.01}, id="top_p at its start"),
        pytest.param({"top_k": 900}, {"k": 500}, id="top_k"),
        pytest.param(
            {"frequency_penalty": 0.5, "presence_penalty": 0.1},
            {"frequency_penalty": 0.5, "presence_penalty": 0.1},
            id="penalties",
        ),
        pytest.param(
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
            id="JSON",
        ),
        pytest.param(
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
            {"response_format": {"type": "json_object", "json_schema": SCHEMA}},
            id="schema",
        ),
        pytest.param(
            {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, id="no thinking"
        ),
        pytest.param(
            {"reasoning_effort": "low"},
            {"thinking": {"type": "enabled", "token_budget": 2048}},
            id="some thinking",
        ),
        pytest.param(
            {"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}, id="much thinking"
        ),
        pytest.param(
            {"safety_mode": "STRICT", "documents": ["a"], "p": 0.2, "model": "other"},
            {"safety_mode": "STRICT", "documents": ["a"], "p": 0.2},
            id="the vendor's own pass through",
        ),
        pytest.param(
            {"reasoning_effort": "low", "thinking": {"token_budget": 7}},
            {"thinking": {"type": "enabled", "token_budget": 7}},
            id="the caller's spelling wins",
        ),
    ],
)
def test_options_are_translated(options: dict[str, Any], written: dict[str, Any]) -> None:
    assert _options(**options) == written


@pytest.mark.parametrize(
    ("effort", "most", "budget"),
    [("low", 4096, 2048), ("medium", 4096, 3072), ("high", 4096, 3072), ("high", 1000, 500)],
)
def test_thinking_leaves_room_for_the_answer(effort: str, most: int, budget: int) -> None:
    body = _body(HI, max_tokens=most, options={"reasoning_effort": effort})
    assert body["thinking"] == {"type": "enabled", "token_budget": budget}
    assert body["max_tokens"] == most


def test_what_a_model_does_not_take_is_left_out_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    vendor = Vendor("silent", "http://test", wire="cohere")
    known = ModelData(sampling=False, reasoning=False)
    options = {"top_p": 0.5, "reasoning_effort": "high", "parallel_tool_calls": False}
    with caplog.at_level(logging.WARNING):
        body = _body(HI, vendor=vendor, temperature=0.3, model_data=known, options=options)
    assert body.keys() == {"model", "messages", "stream"}
    for name in ("option p", "reasoning_effort", "parallel_tool_calls"):
        assert name in caplog.text


def test_temperature_and_stream_are_sent() -> None:
    body = _body(HI, temperature=0.0, stream=True)
    assert body["temperature"] == 0.0
    assert body["stream"] is True


@pytest.mark.parametrize(
    ("choice", "names", "written"),
    [
        pytest.param(None, ["add", "sub"], None, id="not said"),
        pytest.param("auto", ["add", "sub"], None, id="auto"),
        pytest.param("none", ["add", "sub"], "NONE", id="none"),
        pytest.param("required", ["add", "sub"], "REQUIRED", id="required"),
        pytest.param("sub", ["sub"], "REQUIRED", id="one tool is forced by offering it alone"),
    ],
)
def test_tools_are_offered(choice: str | None, names: list[str], written: str | None) -> None:
    body = _body(HI, tools=[ADD, SUB], options={"tool_choice": choice})
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert body.get("tool_choice") == written
    assert body["tools"][-1] == {
        "type": "function",
        "function": {
            "name": "sub",
            "description": "Subtract.",
            "parameters": {"type": "object"},
        },
    }


def test_a_forced_tool_has_to_be_there() -> None:
    with pytest.raises(ProviderInvalidRequestError, match="'mul'"):
        _body(HI, tools=[ADD], options={"tool_choice": "mul"})


def test_the_same_history_gives_the_same_bytes_and_is_encoded_once() -> None:
    history = [HI, Message(role="assistant", content="Yes?"), Message(role="user", content="So")]
    wire = CohereChat(ACME)
    first = wire.encode(ChatRequest(history, "m"))
    kept = history[1].__dict__["_cohere:acme"]
    assert wire.encode(ChatRequest(history, "m")) == first
    assert history[1].__dict__["_cohere:acme"] is kept

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from pydantic import BaseModel

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.providers.request import ChatRequest
from victor.providers.wires.ollama.wire import OllamaChat
from victor.types import Attachment, Message, ToolCall, ToolDefinition

ACME = Vendor("acme", "http://test", wire="ollama")
CALL = ToolCall(id="c1", name="add", arguments={"a": 1})
ADD = ToolDefinition(name="add", description="Add.", parameters={"type": "object"})
HI = Message(role="user", content="Hi")
PNG = Attachment(media_type="image/png", data=b"\x89PNG")


class Inner(BaseModel):
    x: int


class Outer(BaseModel):
    inner: Inner
    more: list[Inner]


def _body(*messages: Message, vendor: Vendor = ACME, **request: Any) -> dict[str, Any]:
    call = OllamaChat(vendor).encode(ChatRequest(messages, **{"model": "m", **request}))
    assert call.path == "/api/chat"
    body: dict[str, Any] = json.loads(call.body)
    return body


def _options(**options: Any) -> dict[str, Any]:
    body = _body(HI, options=options)
    assert body.pop("truncate") is False
    return {name: body[name] for name in body.keys() - {"model", "messages", "stream"}}


def test_the_smallest_request_says_only_that_nothing_may_be_forgotten() -> None:
    assert _body(HI) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
        "truncate": False,
    }


def test_the_wire_says_how_it_is_reached() -> None:
    wire = OllamaChat(ACME)
    assert wire.name == "ollama"
    assert wire.stream_type == "application/x-ndjson"
    assert wire.models_path == "/api/tags"
    assert dict(wire.headers) == {}
    assert wire.splitter().feed(b"1\n") == [b"1"]


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        pytest.param(
            Message(role="system", content="Be brief."),
            {"role": "system", "content": "Be brief."},
            id="system",
        ),
        pytest.param(
            Message(role="assistant", content="4", reasoning="2+2"),
            {"role": "assistant", "content": "4", "thinking": "2+2"},
            id="thinking",
        ),
        pytest.param(
            Message(role="user", content="Look", attachments=[PNG]),
            {"role": "user", "content": "Look", "images": ["iVBORw=="]},
            id="image",
        ),
    ],
)
def test_messages_are_written(message: Message, encoded: dict[str, Any]) -> None:
    assert _body(message, HI)["messages"][0] == encoded


def test_calls_are_objects_and_results_name_their_tool() -> None:
    broken = ToolCall(id="c2", name="sub", raw_arguments="{", error="not JSON")
    messages = _body(
        HI,
        Message(role="assistant", content="So", tool_calls=[CALL, broken]),
        Message(role="tool", content="3", tool_call_id="c1", name="add", attachments=[PNG]),
        Message(role="tool", content="Error: no", tool_call_id="c2", name="sub"),
    )["messages"]
    assert messages[1:] == [
        {
            "role": "assistant",
            "content": "So",
            "tool_calls": [
                {"id": "c1", "function": {"index": 0, "name": "add", "arguments": {"a": 1}}},
                {"id": "c2", "function": {"index": 1, "name": "sub", "arguments": {}}},
            ],
        },
        {
            "role": "tool",
            "content": "3",
            "images": ["iVBORw=="],
            "tool_name": "add",
            "tool_call_id": "c1",
        },
        {"role": "tool", "content": "Error: no", "tool_name": "sub", "tool_call_id": "c2"},
    ]


def test_thinking_stays_at_home_where_the_model_must_not_see_it() -> None:
    thought = Message(role="assistant", content="4", reasoning="2+2")
    silent = ModelData(echo_reasoning=False)
    assert "thinking" not in _body(thought, HI, model_data=silent)["messages"][0]
    assert "thinking" in _body(thought, HI)["messages"][0]


@pytest.mark.parametrize(
    ("attachment", "words"),
    [
        pytest.param(
            Attachment(media_type="image/png", url="https://a.test/x.png"), "pass its bytes", id="U"
        ),
        pytest.param(Attachment(media_type="application/pdf", data=b"%"), "pdf", id="PDF"),
    ],
)
def test_what_cannot_be_carried_is_refused_by_name(attachment: Attachment, words: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=words):
        _body(Message(role="user", content="x", attachments=[attachment]))


@pytest.mark.parametrize(
    ("options", "written"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param(
            {
                "stop": ["a", "b"],
                "seed": 0,
                "top_p": 0.5,
                "top_k": 3,
                "presence_penalty": 0.1,
                "frequency_penalty": 0.2,
            },
            {
                "options": {
                    "stop": ["a", "b"],
                    "seed": 0,
                    "top_p": 0.5,
                    "top_k": 3,
                    "presence_penalty": 0.1,
                    "frequency_penalty": 0.2,
                }
            },
            id="sampling",
        ),
        pytest.param(
            {"num_ctx": 9, "min_p": 0.1, "keep_alive": "1h", "options": {"num_gpu": 0}},
            {"options": {"num_ctx": 9, "min_p": 0.1, "num_gpu": 0}, "keep_alive": "1h"},
            id="the server's own go where they belong",
        ),
        pytest.param({"response_format": {"type": "json_object"}}, {"format": "json"}, id="JSON"),
        pytest.param({"response_format": Inner}, {"format": Inner.model_json_schema()}, id="model"),
        pytest.param({"reasoning_effort": "none"}, {"think": False}, id="no thinking"),
        pytest.param({"reasoning_effort": "minimal"}, {"think": "low"}, id="least"),
        pytest.param({"reasoning_effort": "xhigh"}, {"think": "high"}, id="much"),
        pytest.param({"reasoning_effort": "max"}, {"think": "max"}, id="most"),
        pytest.param({"reasoning_effort": "low", "think": True}, {"think": True}, id="own word"),
    ],
)
def test_options_are_translated(options: dict[str, Any], written: dict[str, Any]) -> None:
    assert _options(**options) == written


def test_a_caller_may_let_the_server_forget() -> None:
    assert _body(HI, options={"truncate": True})["truncate"] is True


def test_a_model_without_levels_is_only_told_to_think() -> None:
    body = _body(HI, options={"reasoning_effort": "low"}, model_data=ModelData(efforts=()))
    assert body["think"] is True


def test_what_a_model_does_not_take_is_left_out_with_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    vendor = Vendor("quiet", "http://test", wire="ollama")
    known = ModelData(sampling=False, reasoning=False)
    options = {"top_p": 0.5, "reasoning_effort": "high", "parallel_tool_calls": False}
    with caplog.at_level(logging.WARNING):
        body = _body(HI, vendor=vendor, temperature=0.3, model_data=known, options=options)
    assert body.keys() == {"model", "messages", "stream", "truncate"}
    for name in ("top_p", "reasoning_effort", "parallel_tool_calls"):
        assert name in caplog.text


def test_temperature_length_and_stream_are_sent() -> None:
    body = _body(HI, temperature=0.0, max_tokens=5, stream=True)
    assert body["options"] == {"temperature": 0.0, "num_predict": 5}
    assert body["stream"] is True


@pytest.mark.parametrize(
    ("model", "window", "asked"),
    [
        pytest.param("m", None, None, id="unknown"),
        pytest.param("m", 8192, 8192, id="all a small model has"),
        pytest.param("m", 131_072, 32_768, id="not all the memory there is"),
        pytest.param("m:120b-cloud", 131_072, None, id="the cloud has its own"),
    ],
)
def test_the_context_is_asked_for(model: str, window: int | None, asked: int | None) -> None:
    body = _body(HI, model=model, model_data=ModelData(context_window=window))
    assert body.get("options", {}).get("num_ctx") == asked


def test_a_callers_context_wins() -> None:
    known = ModelData(context_window=8192)
    assert _body(HI, model_data=known, options={"num_ctx": 99})["options"]["num_ctx"] == 99


@pytest.mark.parametrize(("choice", "offered"), [(None, True), ("auto", True), ("none", False)])
def test_tools_are_offered_unless_none_may_be_called(choice: str | None, offered: bool) -> None:
    body = _body(HI, tools=[ADD], options={"tool_choice": choice})
    expected = {"name": "add", "description": "Add.", "parameters": {"type": "object"}}
    assert body.get("tools") == ([{"type": "function", "function": expected}] if offered else None)


@pytest.mark.parametrize("choice", ["required", "add"])
def test_a_call_cannot_be_forced(choice: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match="tool_choice"):
        _body(HI, tools=[ADD], options={"tool_choice": choice})


def _sent(parameters: dict[str, Any]) -> Any:
    tool = ToolDefinition(name="t", parameters=parameters)
    return _body(HI, tools=[tool])["tools"][0]["function"]["parameters"]


def test_references_in_a_schema_are_replaced_by_what_they_stand_for() -> None:
    sent = _sent(Outer.model_json_schema())
    inner = Inner.model_json_schema()
    assert sent["properties"]["inner"] == inner
    assert sent["properties"]["more"]["items"] == inner
    assert "$defs" not in sent


def test_a_recursive_schema_ends() -> None:
    tree = {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}
    sent = _sent({"$defs": {"Tree": tree}, "$ref": "#/$defs/Tree", "title": "T"})
    assert sent == {
        "type": "object",
        "properties": {"left": {"type": "object"}},
        "title": "T",
    }


def test_a_schema_cannot_grow_without_end() -> None:
    defs: dict[str, Any] = {
        f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 4} for n in range(30)
    }
    assert len(json.dumps(_sent({"$defs": defs, "$ref": "#/$defs/d0"}))) < 100_000


def test_a_reference_to_nothing_is_anything() -> None:
    assert _sent({"definitions": {}, "properties": {"x": {"$ref": "#/definitions/y/z"}}}) == {
        "properties": {"x": {}}
    }


def test_the_same_history_gives_the_same_bytes_and_is_encoded_once() -> None:
    history = [HI, Message(role="assistant", content="Yes?"), Message(role="user", content="So")]
    wire = OllamaChat(ACME)
    first = wire.encode(ChatRequest(history, "m"))
    kept = history[1].__dict__["_ollama_thinking"]
    assert wire.encode(ChatRequest(history, "m")) == first
    assert history[1].__dict__["_ollama_thinking"] is kept

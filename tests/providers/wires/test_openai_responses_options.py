from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from tests.providers.wires.responses_requests import (
    ADD,
    AZURE,
    CALL,
    OPENAI,
    PLAIN,
    Json,
    body_of,
    options_of,
    system,
    user,
)
from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import ProviderInvalidRequestError
from victor.providers.request import ChatRequest
from victor.providers.wires.openai_responses.wire import OpenAIResponses
from victor.types import Message, ToolDefinition

# --------------------------------------------------------------------------------- tools


def test_tools_are_flat_and_say_that_they_are_not_strict() -> None:
    assert body_of(tools=[ADD])["tools"] == [
        {
            "type": "function",
            "name": "add",
            "description": "Adds.",
            "parameters": ADD.parameters,
            "strict": False,
        }
    ]


STRICT = {**ADD.parameters, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (STRICT, True),
        ({**STRICT, "required": []}, False),
        ({**STRICT, "additionalProperties": True}, False),
        ({"type": "object", "properties": {}}, False),
        ({**STRICT, "properties": {"a": {"type": "integer", "minimum": 1}}}, True),
        ({**STRICT, "properties": {"a": {"type": ["object", "null"]}}}, False),
        ({**STRICT, "properties": {"a": {"anyOf": [STRICT, {"type": "null"}]}}}, True),
        ({**STRICT, "properties": {"a": {"anyOf": [{"oneOf": []}]}}}, False),
        ({**STRICT, "properties": {"a": {"type": "array", "items": STRICT}}}, True),
        ({**STRICT, "properties": {"a": {"type": "array", "items": True}}}, False),
        ({**STRICT, "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": STRICT}}, True),
        ({**STRICT, "$defs": {"A": {"type": "object"}}}, False),
    ],
)
def test_a_tool_is_strict_where_its_schema_allows_it(schema: Json, strict: bool) -> None:
    tool = ToolDefinition(name="t", parameters=schema)
    assert body_of(tools=[tool])["tools"][0]["strict"] is strict


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("add", {"type": "function", "name": "add"}),
        (
            {"type": "function", "function": {"name": "add"}},
            {"type": "function", "name": "add"},
        ),
    ],
    ids=str,
)
def test_the_choice_of_a_tool_has_this_protocols_form(choice: Any, sent: Any) -> None:
    options = {"tool_choice": choice, "parallel_tool_calls": False}
    body = body_of(tools=[ADD], options=options)
    assert (body["tool_choice"], body["parallel_tool_calls"]) == (sent, False)


def test_without_tools_a_choice_among_them_is_left_out() -> None:
    body = options_of(tool_choice="auto", parallel_tool_calls=True)
    assert body.keys() == {"model", "input"}


# ------------------------------------------------------------------------------- options


def test_settings_have_their_names_here() -> None:
    body = body_of(temperature=0.5, max_tokens=5, stream=True, options={"top_p": 0.9})
    assert body.keys() == {"model", "input", "temperature", "top_p", "max_output_tokens", "stream"}
    assert (body["max_output_tokens"], body["stream"]) == (5, True)


def test_a_model_that_does_not_sample_gets_no_sampling() -> None:
    body = body_of(temperature=0.5, options={"top_p": 1}, model_data=ModelData(sampling=False))
    assert body.keys() == {"model", "input"}


@pytest.mark.parametrize(
    ("vendor", "asked", "most", "sent"),
    [(OPENAI, 1, None, 16), (PLAIN, 1, None, 1), (OPENAI, 9000, 4000, 4000), (AZURE, 20, None, 20)],
)
def test_the_limit_is_one_that_the_server_takes(
    vendor: Vendor, asked: int, most: int | None, sent: int
) -> None:
    body = body_of(vendor=vendor, max_tokens=asked, model_data=ModelData(max_output_tokens=most))
    assert body["max_output_tokens"] == sent


@pytest.mark.parametrize(
    ("vendor", "reasoning", "keys"),
    [
        (OPENAI, None, {"store", "include"}),
        (AZURE, True, {"store", "include"}),
        (OPENAI, False, {"store"}),
        (PLAIN, True, set()),
    ],
    ids=["unknown model", "azure", "no reasoning", "others"],
)
def test_openai_keeps_nothing_and_hands_out_its_reasoning_sealed(
    vendor: Vendor, reasoning: bool | None, keys: set[str]
) -> None:
    body = body_of(vendor=vendor, model_data=ModelData(reasoning=reasoning))
    assert body.keys() - {"model", "input"} == keys
    assert body.get("store", False) is False
    assert body.get("include", ["reasoning.encrypted_content"]) == ["reasoning.encrypted_content"]


@pytest.mark.parametrize(
    ("vendor", "effort", "efforts", "sent"),
    [
        (OPENAI, "low", None, {"effort": "low", "summary": "auto"}),
        (OPENAI, "none", None, {"effort": "none"}),
        (PLAIN, "low", None, {"effort": "low"}),
        (PLAIN, "xhigh", ("low", "high"), {"effort": "high"}),
        (PLAIN, "minimal", ("none", "low"), {"effort": "low"}),
        (PLAIN, "high", ("low", "high"), {"effort": "high"}),
        (PLAIN, "wild", ("low", "high"), {"effort": "wild"}),
        (PLAIN, "low", ("wild",), {"effort": "wild"}),
        (PLAIN, "low", (), None),
    ],
)
def test_effort_is_the_nearest_that_the_model_takes(
    vendor: Vendor, effort: str, efforts: tuple[str, ...] | None, sent: Json | None
) -> None:
    options = {"reasoning_effort": effort}
    body = body_of(vendor=vendor, options=options, model_data=ModelData(efforts=efforts))
    assert body.get("reasoning") == sent


def test_effort_of_a_model_that_does_not_reason_is_left_out() -> None:
    known = ModelData(reasoning=False)
    assert "reasoning" not in body_of(options={"reasoning_effort": "low"}, model_data=known)


class City(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        ({"type": "json_object"}, {"type": "json_object"}),
        (
            {"type": "json_schema", "json_schema": {"name": "a b[c]", "schema": STRICT}},
            {"type": "json_schema", "name": "a_b_c_", "schema": STRICT, "strict": True},
        ),
        (
            {"type": "json_schema", "json_schema": {"schema": STRICT, "strict": False}},
            {"type": "json_schema", "name": "answer", "schema": STRICT, "strict": False},
        ),
        (
            City,
            {
                "type": "json_schema",
                "name": "City",
                "schema": {**City.model_json_schema(), "additionalProperties": False},
                "strict": True,
            },
        ),
    ],
    ids=["any object", "schema", "not strict", "model class"],
)
def test_an_output_format_is_text_format(wanted: Any, sent: Json) -> None:
    assert options_of(response_format=wanted)["text"] == {"format": sent}


def test_an_output_format_nobody_understands_is_an_error() -> None:
    with pytest.raises(ProviderInvalidRequestError, match="response_format"):
        options_of(response_format={"type": "poem"})


def test_hints_this_protocol_lacks_are_left_out_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    hints = {"stop": "x", "seed": 1, "top_k": 2, "frequency_penalty": 0.1, "presence_penalty": 0.2}
    vendor = replace(PLAIN, name="a-vendor-of-this-test-only")
    with caplog.at_level(logging.WARNING):
        assert options_of(vendor, **hints).keys() == {"model", "input"}
    assert all(name in caplog.text for name in hints)


def test_other_options_pass_through_and_win() -> None:
    body = options_of(
        OPENAI,
        store=True,
        metadata={"a": "b"},
        reasoning={"summary": "detailed"},
        reasoning_effort="low",
        text={"verbosity": "low"},
        response_format={"type": "json_object"},
        include=["web_search_call.action.sources", "reasoning.encrypted_content"],
        model="other",
    )
    assert body["model"] == "m"
    assert body["store"] is True
    assert body["metadata"] == {"a": "b"}
    assert body["reasoning"] == {"effort": "low", "summary": "detailed"}
    assert body["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert body["include"] == ["reasoning.encrypted_content", "web_search_call.action.sources"]


def test_an_input_and_includes_of_ones_own_replace_ours() -> None:
    body = options_of(OPENAI, input="Hi", include=[])
    assert (body["input"], body["include"]) == ("Hi", [])


def test_the_same_request_gives_the_same_bytes() -> None:
    def encoded() -> bytes:
        messages = [system("s"), user(), Message(role="assistant", tool_calls=[CALL])]
        asked = ChatRequest(messages, "m", 0.1, 9, [ADD], options={"seed": 1, "b": 1, "a": 2})
        return OpenAIResponses(OPENAI).encode(asked).body

    assert encoded() == encoded()


def test_the_wire_says_where_and_how() -> None:
    wire = OpenAIResponses(PLAIN)
    assert (wire.name, wire.stream_type) == ("openai-responses", "text/event-stream")
    assert (wire.models_path, dict(wire.headers)) == ("/models", {})
    assert wire.splitter().feed(b'data: {"a":1}\n\n') == [b'{"a":1}']

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import ProviderInvalidRequestError
from victor.providers.options import _warn_once
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.wires.gemini.wire import GeminiGenerate
from victor.types import Message, ToolDefinition

GOOGLE = Vendor("google", "http://test", wire="gemini", auth="x-goog-api-key")
VERTEX = Vendor("vertex", "http://test", wire="gemini", auth="google")
OLD, NEW = "gemini-2.5-flash", "gemini-3-flash-preview"
HI = Message(role="user", content="Hi")
ADD = ToolDefinition(
    name="add",
    description="Add.",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}},
)
NOW = ToolDefinition(name="now")


def _encode(*messages: Message, model: str = OLD, **request: Any) -> HTTPCall:
    return GeminiGenerate(GOOGLE).encode(ChatRequest(messages or (HI,), model, **request))


def _body(*messages: Message, **request: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(_encode(*messages, **request).body)
    return body


def _config(model: str = OLD, known: ModelData | None = None, **options: Any) -> dict[str, Any]:
    more = {} if known is None else {"model_data": known}
    found: dict[str, Any] = _body(model=model, options=options, **more).get("generationConfig", {})
    return found


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "/models/gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "/models/gemini-2.5-pro"),
        ("publishers/google/models/gemini-2.5-pro", "/models/gemini-2.5-pro"),
        ("publishers/acme/models/x", "/publishers/acme/models/x"),
        ("tunedModels/my-model", "/tunedModels/my-model"),
        ("endpoints/123", "/endpoints/123"),
        ("gemini-1.5-pro@001", "/models/gemini-1.5-pro@001"),
        ("a/../b?c#d", "/models/a%2F..%2Fb%3Fc%23d"),
    ],
)
def test_the_model_is_part_of_the_address(model: str, path: str) -> None:
    assert _encode(model=model).path == f"{path}:generateContent"
    assert _encode(model=model, stream=True).path == f"{path}:streamGenerateContent?alt=sse"


def test_only_the_developer_api_lists_its_models_below_the_base_url() -> None:
    assert GeminiGenerate(GOOGLE).models_path == "/models?pageSize=1000"
    assert GeminiGenerate(VERTEX).models_path is None


# ---------------------------------------------------------------------------------- options


def test_every_option_has_its_place() -> None:
    body = _body(
        model=OLD,
        temperature=0.5,
        max_tokens=9,
        tools=[ADD, NOW],
        options={
            "top_p": 0.9,
            "top_k": 4,
            "stop": "END",
            "seed": 7,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "tool_choice": "add",
            "safetySettings": [{"category": "X"}],
            "generationConfig": {"candidateCount": 1, "seed": 8},
            "server_tools": [{"googleSearch": {}}],
            "contents": "never",
        },
    )
    assert body.pop("contents")[0]["role"] == "user"
    assert body == {
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "add",
                        "description": "Add.",
                        "parametersJsonSchema": ADD.parameters,
                    },
                    {
                        "name": "now",
                        "description": "",
                        "parametersJsonSchema": {"type": "object", "properties": {}},
                    },
                ]
            },
            {"googleSearch": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["add"]}},
        "generationConfig": {
            "maxOutputTokens": 9,
            "stopSequences": ["END"],
            "seed": 8,
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 4,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
            "candidateCount": 1,
        },
        "safetySettings": [{"category": "X"}],
    }


def test_a_model_without_sampling_gets_no_sampling() -> None:
    known = ModelData(sampling=False)
    body = _body(temperature=1.0, options={"top_p": 0.5, "seed": 1}, model_data=known)
    assert body["generationConfig"] == {"seed": 1}


@pytest.mark.parametrize(
    ("choice", "mode"), [("auto", "AUTO"), ("none", "NONE"), ("required", "ANY")]
)
def test_a_choice_of_tools_is_a_mode(choice: str, mode: str) -> None:
    body = _body(tools=[ADD], options={"tool_choice": choice})
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": mode}}
    assert "toolConfig" not in _body(options={"tool_choice": choice})


def test_one_call_at_a_time_cannot_be_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    _warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert "toolConfig" not in _body(options={"parallel_tool_calls": True})
        assert caplog.text == ""
        _encode(options={"parallel_tool_calls": False})
    assert "parallel_tool_calls" in caplog.text


@pytest.mark.parametrize(
    ("model", "known", "effort", "config"),
    [
        (OLD, None, "none", {"thinkingBudget": 0}),
        (OLD, None, "minimal", {"thinkingBudget": 512, "includeThoughts": True}),
        (OLD, None, "low", {"thinkingBudget": 1024, "includeThoughts": True}),
        (OLD, None, "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        (OLD, None, "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        (OLD, None, "max", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-2.5-pro", None, "none", {"thinkingBudget": 128}),
        (NEW, None, "none", {"thinkingLevel": "minimal"}),
        (NEW, None, "medium", {"thinkingLevel": "medium", "includeThoughts": True}),
        (NEW, None, "xhigh", {"thinkingLevel": "high", "includeThoughts": True}),
        (NEW, None, "utmost", {"thinkingLevel": "utmost", "includeThoughts": True}),
        ("gemini-3-pro-preview", None, "medium", {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-3-pro-preview", None, "none", {"thinkingLevel": "low"}),
        (
            "x",
            ModelData(thinking="level", efforts=("low", "medium", "high")),
            "minimal",
            {"thinkingLevel": "low", "includeThoughts": True},
        ),
        (
            "x",
            ModelData(thinking="level", efforts=("deep",)),
            "low",
            {"thinkingLevel": "low", "includeThoughts": True},
        ),
    ],
)
def test_an_effort_is_a_budget_or_a_level(
    model: str, known: ModelData | None, effort: str, config: dict[str, Any]
) -> None:
    assert _config(model, known, reasoning_effort=effort) == {"thinkingConfig": config}


@pytest.mark.parametrize("known", [ModelData(efforts=()), ModelData(reasoning=False)], ids=str)
def test_a_model_that_does_not_think_is_not_asked_to(
    known: ModelData, caplog: pytest.LogCaptureFixture
) -> None:
    _warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert _config(OLD, known, reasoning_effort="high") == {}
    assert "reasoning_effort" in caplog.text


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def test_an_output_schema_is_sent_as_json_schema_or_in_the_older_spelling() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    assert _config(OLD, response_format=wanted) == {
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    assert _config("gemini-1.5-pro", response_format=wanted) == {
        "responseMimeType": "application/json",
        "responseSchema": {
            "type": "OBJECT",
            "properties": {"n": {"type": "INTEGER"}},
            "required": ["n"],
        },
    }
    plain = _config(response_format={"type": "json_object"})
    assert plain == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("model", "options", "key"),
    [
        ("gemini-2.0-flash", {}, "parameters"),
        ("gemini-2.0-flash", {"schema_style": "json"}, "parametersJsonSchema"),
        (OLD, {}, "parametersJsonSchema"),
        (OLD, {"schema_style": "openapi"}, "parameters"),
    ],
)
def test_tools_are_spelled_as_the_model_reads_them(
    model: str, options: dict[str, Any], key: str
) -> None:
    (tool, bare) = _body(model=model, tools=[ADD, NOW], options=options)["tools"][0][
        "functionDeclarations"
    ]
    assert set(tool) == {"name", "description", key}
    # In the older spelling an object without properties is refused.
    assert ("parameters" in bare, "schema_style" in bare) == (False, False)


def test_a_schema_that_had_to_be_cut_is_noted() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    tool = ToolDefinition(name="walk", parameters=node)
    assert _encode(model="gemini-1.5-pro", tools=[tool]).notes
    assert _encode(model=OLD, tools=[tool]).notes == ()


def test_an_unknown_style_of_schemas_is_refused() -> None:
    with pytest.raises(ProviderInvalidRequestError, match="schema_style 'xml'"):
        _encode(options={"schema_style": "xml"})

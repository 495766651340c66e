from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from tests.providers.wires.chat_requests import MISTRAL, PLAIN, body_of, user
from victor.config.catalog import EffortName, Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import ProviderInvalidRequestError, UnsupportedFeatureError
from victor.providers.options import nearest_effort
from victor.types import ToolDefinition, ToolExample

TOOL = ToolDefinition(name="look", description="Looks.")


def _body(vendor: Vendor = PLAIN, **request: Any) -> dict[str, Any]:
    return body_of(user(), vendor=vendor, **request)


def _with(vendor: Vendor = PLAIN, known: ModelData | None = None, **options: Any) -> dict[str, Any]:
    body = _body(vendor, options=options, tools=[TOOL], model_data=known or ModelData())
    return {name: body[name] for name in body if name not in ("model", "messages", "tools")}


# ---------------------------------------------------------------------------- limits, sampling


@pytest.mark.parametrize(("sampling", "sent"), [(False, False), (True, True), (None, True)])
def test_temperature_is_left_out_for_models_that_refuse_it(
    sampling: bool | None, sent: bool
) -> None:
    body = _body(model_data=ModelData(sampling=sampling), temperature=0.7)
    assert ("temperature" in body) is sent


def test_the_cap_goes_by_the_name_the_vendor_or_the_model_knows() -> None:
    vendor = replace(PLAIN, max_tokens_name="max_completion_tokens")
    body = _body(vendor, max_tokens=9)
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
    known = ModelData(max_tokens_name="max_tokens")
    assert _body(vendor, max_tokens=9, model_data=known)["max_tokens"] == 9


def test_the_usage_of_a_stream_is_asked_for_where_it_is_understood() -> None:
    body = _body(stream=True)
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    body = _body(replace(PLAIN, stream_options=False), stream=True)
    assert body["stream"] is True
    assert "stream_options" not in body
    assert "stream" not in _body()


def test_tools_are_written_without_what_the_api_does_not_know() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    examples = (ToolExample(request="?", arguments={"a": 1}),)
    tool = ToolDefinition(name="f", description="F.", parameters=schema, examples=examples)
    assert _body(tools=[tool])["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "F.", "parameters": schema}}
    ]


def test_a_limit_beyond_the_models_is_lowered_to_it() -> None:
    known = ModelData(max_output_tokens=100)
    assert _body(max_tokens=4096, model_data=known)["max_tokens"] == 100
    assert _body(max_tokens=50, model_data=known)["max_tokens"] == 50


@pytest.mark.parametrize("name", ["max_completion_tokens", "max_tokens"])
def test_a_limit_the_caller_spells_is_the_only_one(name: str) -> None:
    body = _body(max_tokens=4096, options={name: 7})
    assert {key: body[key] for key in body if "max" in key} == {name: 7}


def test_hints_go_by_the_protocols_names() -> None:
    options: dict[str, Any] = {
        "top_p": 0.5,
        "top_k": 3,
        "frequency_penalty": 1,
        "presence_penalty": 0,
        "seed": 0,
    }
    assert _with(**options) == options
    assert _with(MISTRAL, seed=4) == {"random_seed": 4}


def test_what_the_vendor_refuses_is_left_out_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    vendor = replace(PLAIN, name="picky", lacks=("top_k", "seed", "parallel_tool_calls"))
    options: dict[str, Any] = {"top_k": 3, "seed": 1, "top_p": 0.5, "parallel_tool_calls": False}
    with caplog.at_level(logging.WARNING):
        assert _with(vendor, **options) == {"top_p": 0.5}
        assert _with(vendor, **options) == {"top_p": 0.5}
    assert [record.args for record in caplog.records] == [
        ("picky", "top_k"),
        ("picky", "seed"),
        ("picky", "parallel_tool_calls"),
    ]
    assert "temperature" not in _body(replace(PLAIN, lacks=("temperature",)), temperature=1.0)


def test_models_that_do_not_sample_get_no_sampling() -> None:
    known = ModelData(sampling=False)
    options: dict[str, Any] = {
        "top_p": 0.5,
        "top_k": 3,
        "frequency_penalty": 1,
        "presence_penalty": 0,
        "seed": 0,
    }
    assert _with(replace(PLAIN, name="thinker"), known, **options) == {"seed": 0}


def test_stop_sequences_are_a_list() -> None:
    assert _with(stop="END") == {"stop": ["END"]}
    assert _with(stop=("a", "b")) == {"stop": ["a", "b"]}


def test_unknown_options_pass_through_and_win() -> None:
    body = _body(
        stream=True,
        temperature=0.7,
        options={
            "user": "",
            "logprobs": True,
            "temperature": 0.1,
            "stream_options": {"include_obfuscation": False},
            "thinking": {"budget": 5},
            "nothing": None,
        },
    )
    assert body["user"] == ""
    assert body["logprobs"] is True
    assert body["temperature"] == 0.1
    assert body["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    assert body["thinking"] == {"budget": 5}
    assert "nothing" not in body


def test_stream_options_of_none_are_not_sent() -> None:
    assert "stream_options" not in _body(stream=True, options={"stream_options": None})


# ---------------------------------------------------------------------------- tools


@pytest.mark.parametrize(
    ("choice", "sent", "to_mistral"),
    [
        ("auto", "auto", "auto"),
        ("none", "none", "none"),
        ("required", "required", "any"),
        ("any", "required", "any"),
        (
            "look",
            {"type": "function", "function": {"name": "look"}},
            {"type": "function", "function": {"name": "look"}},
        ),
        (
            {"type": "function", "function": {"name": "look"}},
            {"type": "function", "function": {"name": "look"}},
            {"type": "function", "function": {"name": "look"}},
        ),
    ],
    ids=str,
)
def test_a_choice_of_tools_is_spelled_as_the_vendor_does(
    choice: object, sent: object, to_mistral: object
) -> None:
    assert _with(tool_choice=choice) == {"tool_choice": sent}
    assert _with(MISTRAL, tool_choice=choice) == {"tool_choice": to_mistral}


def test_without_tools_nothing_is_said_about_them(caplog: pytest.LogCaptureFixture) -> None:
    options = {"tool_choice": "required", "parallel_tool_calls": True}
    with caplog.at_level(logging.WARNING):
        body = _body(replace(PLAIN, name="toolless"), options=options)
        assert set(body) == {"model", "messages"}
        assert set(_body(options={"tool_choice": "auto"})) == {"model", "messages"}
    assert [record.args for record in caplog.records] == [("toolless", "tool_choice")]


def test_a_choice_goes_with_tools_of_the_callers_own_spelling() -> None:
    options = {"tools": [{"type": "web_search"}], "tool_choice": "required"}
    body = _body(options=options)
    assert body["tools"] == [{"type": "web_search"}]
    assert body["tool_choice"] == "required"


def test_parallel_calls_are_allowed_or_forbidden() -> None:
    assert _with(parallel_tool_calls=False) == {"parallel_tool_calls": False}


# ---------------------------------------------------------------------------- output schemas

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLOSED = {**OPEN, "additionalProperties": False}


class City(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    twins: list[str]


class Loose(BaseModel):
    name: str = ""


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        (City.model_json_schema(), True),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": CLOSED}}}, True),
        ({**CLOSED, "$defs": {"b": CLOSED}}, True),
        (OPEN, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "required": "a"}, False),
        ({**CLOSED, "properties": {"a": {"anyOf": [OPEN, {"type": "null"}]}}}, False),
        ({**CLOSED, "properties": {"a": {"type": "object"}}}, False),
        ({**CLOSED, "properties": {"a": {"type": "string", "default": "x"}}}, False),
        ({**CLOSED, "$defs": {"b": OPEN}}, False),
        ({"anyOf": [CLOSED]}, False),
        ({"type": "string"}, False),
    ],
    ids=["closed", "pydantic", "nested", "definitions", "open", "nothing required", "odd required",
         "open alternative", "any object", "default", "open definition", "alternatives", "string"],
)  # fmt: skip
def test_a_schema_is_strict_only_where_it_may_be(schema: dict[str, Any], strict: bool) -> None:
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    wanted = {"name": "x", "schema": schema} | ({"strict": True} if strict else {})
    sent = _with(response_format=asked)
    assert sent == {"response_format": {"type": "json_schema", "json_schema": wanted}}


def test_who_says_strict_gets_strict() -> None:
    for strict in (True, False):
        inner = {"name": "x", "schema": OPEN, "strict": strict}
        asked = {"type": "json_schema", "json_schema": inner}
        assert _with(response_format=asked) == {"response_format": asked}
    vendor = replace(PLAIN, lacks=("strict",))
    asked = {"type": "json_schema", "json_schema": {"name": "x", "schema": CLOSED}}
    assert _with(vendor, response_format=asked) == {"response_format": asked}


@pytest.mark.parametrize(
    ("name", "sent"), [("Cité [int]", "Cit___int_"), ("x" * 80, "x" * 64), ("", "answer")]
)
def test_the_name_of_a_schema_is_made_acceptable(name: str, sent: str) -> None:
    asked = {"type": "json_schema", "json_schema": {"name": name, "schema": OPEN}}
    assert _with(response_format=asked)["response_format"]["json_schema"]["name"] == sent


def test_a_model_class_or_any_json_may_be_asked_for() -> None:
    sent = _with(response_format=City)["response_format"]["json_schema"]
    assert sent["name"] == "City"
    loose = _with(response_format=Loose)["response_format"]["json_schema"]
    assert (loose["strict"], loose["schema"]["additionalProperties"]) == (True, False)
    lacking = replace(PLAIN, lacks=("strict",))
    loose = _with(lacking, response_format=Loose)["response_format"]["json_schema"]
    assert loose == {"name": "Loose", "schema": Loose.model_json_schema()}
    asked = {"type": "json_object"}
    assert _with(response_format=asked) == {"response_format": asked}
    assert _with(response_format={"type": "text"}) == {}


def test_a_model_that_takes_no_schema_is_told_apart_before_anything_is_sent() -> None:
    known = ModelData(json_schema=False)
    with pytest.raises(UnsupportedFeatureError, match="m of test cannot be held to a JSON schema"):
        _with(known=known, response_format=City)
    asked = {"type": "json_object"}
    assert _with(known=known, response_format=asked) == {"response_format": asked}


def test_an_option_that_cannot_be_understood_is_refused() -> None:
    with pytest.raises(ProviderInvalidRequestError, match="response_format is not understood"):
        _with(response_format={"type": "xml"})


# ---------------------------------------------------------------------------- effort


@pytest.mark.parametrize(
    ("wanted", "efforts", "sent"),
    [
        ("high", ("low", "high"), "high"),
        ("medium", ("low", "high"), "low"),
        ("minimal", ("low", "medium", "high"), "low"),
        ("max", ("low", "medium", "high"), "high"),
        ("max", ("high", "xhigh"), "xhigh"),
        ("none", ("minimal", "low"), "minimal"),
        ("none", ("none", "low"), "none"),
        ("minimal", ("none", "high"), "high"),
        ("high", ("none",), "none"),
        ("high", ("none", "default"), "default"),
        ("default", ("low",), "default"),
    ],
    ids=str,
)
def test_an_effort_becomes_the_nearest_one_the_model_takes(
    wanted: str, efforts: tuple[str, ...], sent: str
) -> None:
    assert nearest_effort(wanted, efforts) == sent
    assert _with(known=ModelData(efforts=efforts), reasoning_effort=wanted) == {
        "reasoning_effort": sent
    }


ON = {"type": "enabled"}
EFFORTS: list[tuple[EffortName, str, tuple[str, ...] | None, dict[str, Any]]] = [
    ("reasoning_effort", "high", None, {"reasoning_effort": "high"}),
    ("reasoning", "max", ("low", "high"), {"reasoning": {"effort": "high"}}),
    ("reasoning", "none", None, {"reasoning": {"effort": "none"}}),
    ("thinking", "high", None, {"thinking": ON}),
    ("thinking", "low", ("high", "max"), {"thinking": ON, "reasoning_effort": "high"}),
    ("thinking", "low", (), {"thinking": ON}),
    ("thinking", "none", ("high", "max"), {"thinking": {"type": "disabled"}}),
    ("enable_thinking", "low", None, {"enable_thinking": True}),
    ("enable_thinking", "none", None, {"enable_thinking": False}),
    (
        "chat_template_kwargs",
        "low",
        None,
        {"chat_template_kwargs": {"enable_thinking": True}, "reasoning_effort": "low"},
    ),
    ("chat_template_kwargs", "none", None, {"chat_template_kwargs": {"enable_thinking": False}}),
    ("chat_template_kwargs", "max", None, {"chat_template_kwargs": {"enable_thinking": True}}),
]


@pytest.mark.parametrize(
    ("name", "wanted", "efforts", "sent"), EFFORTS, ids=[f"{one[0]} {one[1]}" for one in EFFORTS]
)
def test_each_vendor_is_told_of_the_effort_in_its_own_words(
    name: EffortName, wanted: str, efforts: tuple[str, ...] | None, sent: dict[str, Any]
) -> None:
    vendor = replace(PLAIN, effort=name)
    assert _with(vendor, ModelData(efforts=efforts), reasoning_effort=wanted) == sent


@pytest.mark.parametrize("known", [ModelData(efforts=()), ModelData(reasoning=False)])
@pytest.mark.parametrize("name", ["reasoning_effort", "reasoning"])
def test_a_model_that_does_not_think_is_told_of_no_effort(
    known: ModelData, name: EffortName, caplog: pytest.LogCaptureFixture
) -> None:
    vendor = replace(PLAIN, effort=name)
    assert _with(vendor, known, reasoning_effort="high") == {}
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert _with(vendor, known, reasoning_effort="none") == {}
    assert caplog.records == []


def test_the_callers_own_words_are_added_to_the_effort() -> None:
    vendor = replace(PLAIN, effort="thinking")
    sent = _with(vendor, reasoning_effort="high", thinking={"clear_thinking": False})
    assert sent == {"thinking": {"type": "enabled", "clear_thinking": False}}

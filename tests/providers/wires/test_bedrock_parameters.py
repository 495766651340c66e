from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tests.providers.wires.test_bedrock_encode import ADD, CLAUDE, LLAMA, NOVA, body, encoded, user
from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.providers.wires.bedrock.families import family_of

NOVA_2 = "us.amazon.nova-2-lite-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
QWEN = "qwen.qwen3-32b-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:1:application-inference-profile/ab"


def asked(model: str = LLAMA, **request: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is asked of any model, and of this one."""
    found = body(user(), model=model, **request)
    return found.get("inferenceConfig", {}), found.get("additionalModelRequestFields", {})


@pytest.mark.parametrize(
    ("request_", "inference"),
    [
        ({}, {}),
        (
            {"temperature": 0.5, "max_tokens": 9, "options": {"top_p": 0.9, "stop": ["END", "x"]}},
            {"temperature": 0.5, "maxTokens": 9, "topP": 0.9, "stopSequences": ["END", "x"]},
        ),
        ({"temperature": 1.7}, {"temperature": 1.0}),
        (
            {"temperature": 0.5, "max_tokens": 99, "model_data": ModelData(max_output_tokens=50)},
            {"temperature": 0.5, "maxTokens": 50},
        ),
        (
            {
                "temperature": 0.5,
                "max_tokens": 9,
                "options": {"top_p": 0.9},
                "model_data": ModelData(sampling=False),
            },
            {"maxTokens": 9},
        ),
    ],
    ids=["nothing", "all", "too hot", "too long", "no sampling"],
)
def test_inference_settings(request_: dict[str, Any], inference: dict[str, Any]) -> None:
    assert asked(**request_) == (inference, {})


def test_claude_gets_one_of_temperature_and_top_p() -> None:
    assert asked(CLAUDE, temperature=0.7, options={"top_p": 0.9})[0] == {"topP": 0.9}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (CLAUDE, {"top_k": 5}),
        (NOVA, {"inferenceConfig": {"topK": 5}}),
        ("mistral.mistral-large-2402-v1:0", {"top_k": 5}),
        ("cohere.command-r-v1:0", {"k": 5}),
        (LLAMA, {}),
    ],
)
def test_top_k_is_spelled_as_the_family_spells_it(model: str, fields: object) -> None:
    assert asked(model, options={"top_k": 5})[1] == fields


@pytest.mark.parametrize(
    ("model", "effort", "data", "fields"),
    [
        (CLAUDE, "high", {}, {"thinking": {"type": "enabled", "budget_tokens": 16384}}),
        (CLAUDE, "minimal", {}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (
            CLAUDE,
            "xhigh",
            {"thinking": "adaptive", "efforts": ("low", "high", "max")},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        (
            PROFILE,
            "low",
            {"thinking": "adaptive"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        ),
        (CLAUDE, "none", {}, {}),
        (CLAUDE, "none", {"thinking": "budget"}, {"thinking": {"type": "disabled"}}),
        (CLAUDE, "none", {"thinking": "adaptive", "efforts": ("low", "high")}, {}),
        (CLAUDE, "high", {"reasoning": False}, {}),
        (
            NOVA_2,
            "medium",
            {},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
        ),
        (NOVA_2, "none", {}, {"reasoningConfig": {"type": "disabled"}}),
        (NOVA, "high", {}, {}),
        (GPT, "minimal", {}, {"reasoning_effort": "low"}),
        (GPT, "enormous", {}, {"reasoning_effort": "enormous"}),
        (QWEN, "high", {}, {"reasoning_config": "high"}),
        (QWEN, "none", {}, {}),
        (LLAMA, "high", {}, {}),
        (LLAMA, "none", {}, {}),
        (PROFILE, "high", {}, {}),
    ],
)
def test_effort_is_spelled_as_the_family_spells_it(
    model: str, effort: str, data: dict[str, Any], fields: object
) -> None:
    options = {"reasoning_effort": effort}
    assert asked(model, options=options, model_data=ModelData(**data))[1] == fields


@pytest.mark.parametrize(
    ("wanted", "most", "total", "budget"),
    [
        (4096, None, 4096 + 8192, 8192),
        (4096, 8192, 8192, 4096),
        (8000, 8192, 8192, 1024),
        (None, None, None, 8192),
    ],
    ids=["room", "less room", "hardly any", "no limit"],
)
def test_thinking_leaves_the_text_what_was_asked_for_it(
    wanted: int | None, most: int | None, total: int | None, budget: int
) -> None:
    inference, fields = asked(
        CLAUDE,
        temperature=0.7,
        max_tokens=wanted,
        options={"reasoning_effort": "medium", "top_k": 5, "top_p": 0.5},
        model_data=ModelData(max_output_tokens=most),
    )
    assert inference == ({} if total is None else {"maxTokens": total})
    assert fields == {"thinking": {"type": "enabled", "budget_tokens": budget}}


def test_claude_does_not_think_when_it_has_to_call_a_tool() -> None:
    options = {"reasoning_effort": "high", "tool_choice": "required"}
    call = encoded(user(), model=CLAUDE, temperature=0.7, tools=[ADD], options=options)
    found = json.loads(call.body)
    assert "additionalModelRequestFields" not in found
    assert found["inferenceConfig"] == {"temperature": 0.7}
    assert any("does not think" in note for note in call.notes)


def test_nova_at_its_highest_effort_takes_no_other_settings() -> None:
    options = {"reasoning_effort": "high"}
    inference, fields = asked(NOVA_2, temperature=0.7, max_tokens=9, options=options)
    assert inference == {}
    assert fields["reasoningConfig"]["maxReasoningEffort"] == "high"


@pytest.mark.parametrize(
    ("model", "choice", "fields"),
    [
        (CLAUDE, None, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
        (CLAUDE, "required", {"tool_choice": {"disable_parallel_tool_use": True}}),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", None, {}),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", None, {}),
        (LLAMA, None, {}),
    ],
)
def test_one_call_at_a_time_is_asked_of_those_who_can(
    model: str, choice: str | None, fields: object
) -> None:
    options = {"parallel_tool_calls": False, "tool_choice": choice}
    assert asked(model, tools=[ADD], options=options)[1] == fields


def test_hints_that_converse_has_no_words_for_are_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from victor.providers import options

    options._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        hints = {"seed": 1, "frequency_penalty": 0.1, "presence_penalty": 0.1}
        assert asked(options=hints) == ({}, {})
    assert all(f"no option {name}" in caplog.text for name in hints)


# ------------------------------------------------------------------ answers held to a schema


class Person(BaseModel):
    age: int = Field(ge=0, lt=150)
    friends: list[Person] = []


def test_a_schema_is_sent_as_text_with_closed_objects() -> None:
    config = body(user(), options={"response_format": Person})["outputConfig"]["textFormat"]
    assert config["type"] == "json_schema"
    definition = config["structure"]["jsonSchema"]
    assert definition["name"] == "Person"
    schema = json.loads(definition["schema"])
    person = schema["$defs"]["Person"]
    assert person["additionalProperties"] is False
    assert person["properties"]["age"]["description"] == "(exclusiveMaximum: 150, minimum: 0)"
    assert "minimum" not in person["properties"]["age"]


@pytest.mark.parametrize(
    ("wanted", "data", "told"),
    [
        ({"type": "json_object"}, {}, "without a schema"),
        (Person, {"json_schema": False}, "give it a tool"),
    ],
    ids=["no schema", "model"],
)
def test_demands_that_cannot_be_met_say_what_to_do(
    wanted: object, data: dict[str, Any], told: str
) -> None:
    with pytest.raises(UnsupportedFeatureError, match=told):
        encoded(user(), options={"response_format": wanted}, model_data=ModelData(**data))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (CLAUDE, "anthropic"),
        ("global.anthropic.claude-sonnet-5-5", "anthropic"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2", "anthropic"),
        ("arn:aws:bedrock:eu-west-1:1:inference-profile/eu.amazon.nova-lite-v1:0", "nova"),
        ("us.deepseek.r1-v1:0", "us.deepseek.r1-v1:0"),
        (PROFILE, "ab"),
    ],
)
def test_families_are_told_by_the_model_s_id(model: str, name: str) -> None:
    assert family_of(model).name == name

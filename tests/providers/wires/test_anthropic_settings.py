from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from victor.config.catalog import Vendor
from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData
from victor.errors import ProviderInvalidRequestError, UnsupportedFeatureError
from victor.providers.request import ChatRequest
from victor.providers.wires.anthropic.encode import encode
from victor.types import Message, ToolCall, ToolDefinition

ACME = Vendor("acme", "https://acme.example", wire="anthropic", auth="x-api-key")
HI = Message(role="user", content="Hi")
ADD = ToolDefinition(name="add", description="Adds.", parameters={"properties": {"a": {}}})
ADAPTIVE = ModelData(thinking="adaptive", max_output_tokens=64_000)
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def _sent(
    known: ModelData = UNKNOWN_MODEL,
    *,
    messages: tuple[Message, ...] = (HI,),
    tools: list[ToolDefinition] | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    stream: bool = False,
    **options: Any,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    request = ChatRequest(
        messages, "claude", temperature, max_tokens, tools, stream, {"cache": False, **options},
        known,
    )  # fmt: skip
    call = encode(request, ACME)
    body: dict[str, Any] = json.loads(call.body)
    assert body.pop("model") == "claude"
    del body["messages"]
    return body, call.notes


def _body(*args: Any, **kwargs: Any) -> dict[str, Any]:
    body, notes = _sent(*args, **kwargs)
    assert notes == ()
    return body


# ---------------------------------------------------------------------------- plain settings


@pytest.mark.parametrize(
    ("known", "asked", "sent"),
    [
        (None, None, 4096),
        (None, 17, 17),
        (8192, None, 8192),
        (8192, 100_000, 8192),
        (8192, 100, 100),
    ],
    ids=["nobody said", "caller", "model", "over the model's", "under the model's"],
)
def test_the_cap_is_always_sent(known: int | None, asked: int | None, sent: int) -> None:
    assert _body(ModelData(max_output_tokens=known), max_tokens=asked) == {"max_tokens": sent}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"temperature": 0.3}, {"temperature": 0.3}),
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"temperature": 0.7, "top_p": 0.9}, {"top_p": 0.9}),
        ({"temperature": 0.7, "top_k": 5}, {"temperature": 0.7, "top_k": 5}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stream": True}, {"stream": True}),
        ({"metadata": {"user_id": "u"}}, {"metadata": {"user_id": "u"}}),
        ({"max_tokens": 3, "service_tier": None}, {"max_tokens": 3}),
    ],
    ids=["temperature", "too hot", "top_p wins", "top_k", "stop", "stream", "own", "null"],
)
def test_options_are_spelled_as_the_api_has_them(options: Any, sent: Any) -> None:
    assert _body(**options) == {"max_tokens": 4096, **sent}


def test_models_that_take_no_sampling_get_none() -> None:
    body, notes = _sent(ModelData(sampling=False), temperature=0.7, top_k=5)
    assert body == {"max_tokens": 4096}
    assert notes == ("top_k is left out: claude does not take it.",)


def test_blank_stop_sequences_are_left_out() -> None:
    body, notes = _sent(stop=["\n", "END"])
    assert body["stop_sequences"] == ["END"]
    assert notes == ("Stop sequences of white space alone are left out: Anthropic takes none.",)


def test_hints_the_protocol_lacks_are_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = ChatRequest((HI,), "m", options={"seed": 1, "presence_penalty": 0.5})
    with caplog.at_level(logging.WARNING):
        body = json.loads(encode(request, Vendor("hintless", None, wire="anthropic")).body)
    assert body.keys() == {"model", "max_tokens", "messages"}
    assert "hintless has no option seed" in caplog.text


# ---------------------------------------------------------------------------- tools


def test_tools_have_a_schema_of_type_object() -> None:
    bare = ToolDefinition(name="now")
    assert _body(tools=[ADD, bare])["tools"] == [
        {
            "name": "add",
            "description": "Adds.",
            "input_schema": {"type": "object", "properties": {"a": {}}},
        },
        {"name": "now", "input_schema": {"type": "object", "properties": {}}},
    ]


@pytest.mark.parametrize(
    ("options", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "add"}, {"type": "tool", "name": "add"}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"tool_choice": "add", "parallel_tool_calls": False},
            {"type": "tool", "name": "add", "disable_parallel_tool_use": True},
        ),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"type": "none"}),
    ],
    ids=["silent", "auto", "none", "required", "named", "parallel", "one at a time",
         "named alone", "none alone"],
)  # fmt: skip
def test_tool_choice_is_translated(options: Any, choice: Any) -> None:
    assert _body(tools=[ADD], **options).get("tool_choice") == choice


def test_without_tools_nothing_is_chosen() -> None:
    assert _body(tool_choice="auto", parallel_tool_calls=False) == {"max_tokens": 4096}
    with pytest.raises(ProviderInvalidRequestError, match="demands a call, but there are no tools"):
        _sent(tool_choice="required")


def test_tools_of_the_server_stand_before_ours() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    tools = _body(tools=[ADD], server_tools=[search])["tools"]
    assert [tool["name"] for tool in tools] == ["web_search", "add"]
    assert _body(server_tools=[search], tool_choice="required")["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize("odd", ["web_search", ["web_search"], {"type": "x"}], ids=str)
def test_odd_server_tools_are_refused(odd: Any) -> None:
    with pytest.raises(ProviderInvalidRequestError, match="server_tools is a list of tools"):
        _sent(server_tools=odd)


# ---------------------------------------------------------------------------- output


@pytest.mark.parametrize("known", [None, True], ids=["unknown", "known"])
def test_an_output_schema_is_sent_in_the_form_the_api_enforces(known: bool | None) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    body = _body(ModelData(json_schema=known), response_format=wanted)
    schema = {**SCHEMA, "additionalProperties": False}
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


def test_json_without_a_schema_and_models_without_schemas_are_refused() -> None:
    with pytest.raises(UnsupportedFeatureError, match="pass the schema of the answer"):
        _sent(response_format={"type": "json_object"})
    wanted = {"type": "json_schema", "json_schema": {"schema": SCHEMA}}
    with pytest.raises(UnsupportedFeatureError, match="claude cannot be held to a schema"):
        _sent(ModelData(json_schema=False), response_format=wanted)


def test_the_callers_own_spelling_joins_ours_and_wins() -> None:
    body = _body(
        ADAPTIVE, reasoning_effort="low", output_config={"effort": "max", "task_budget": {"x": 1}}
    )
    assert body["output_config"] == {"effort": "max", "task_budget": {"x": 1}}


# ---------------------------------------------------------------------------- thinking


@pytest.mark.parametrize(
    ("efforts", "asked", "sent"),
    [
        (None, "minimal", "low"),
        (None, "xhigh", "xhigh"),
        (("low", "medium", "high", "max"), "xhigh", "high"),
        (("none", "medium"), "low", "medium"),
        (("none",), "low", "low"),
        (None, "ultra", "ultra"),
    ],
    ids=["minimal", "xhigh", "nearest", "only one", "no other", "unknown"],
)
def test_newer_models_are_told_an_effort_they_take(
    efforts: tuple[str, ...] | None, asked: str, sent: str
) -> None:
    known = ModelData(thinking="adaptive", efforts=efforts)
    body = _body(known, reasoning_effort=asked, temperature=0.7, max_tokens=100)
    assert body == {
        "max_tokens": 100,
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": sent},
    }


@pytest.mark.parametrize(
    ("effort", "limit", "asked", "budget", "cap"),
    [
        ("minimal", None, None, 1024, 5120),
        ("low", None, 100, 2048, 2148),
        ("medium", 64_000, 4096, 8192, 12_288),
        ("high", 64_000, None, 16_384, 64_000),
        ("max", 64_000, 4096, 32_768, 36_864),
        ("max", 32_000, 16_000, 27_904, 32_000),
        ("high", 8192, 4096, 4096, 8192),
        ("high", 2000, None, 1024, 2000),
    ],
)
def test_older_models_are_told_a_budget_that_fits_under_the_cap(
    effort: str, limit: int | None, asked: int | None, budget: int, cap: int
) -> None:
    body = _body(
        ModelData(max_output_tokens=limit),
        reasoning_effort=effort,
        max_tokens=asked,
        temperature=0.7,
    )
    assert body == {
        "max_tokens": cap,
        "thinking": {"type": "enabled", "budget_tokens": budget},
    }
    assert 1024 <= budget < cap


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (ModelData(max_output_tokens=1024), "the model's cap leaves no room"),
        (ModelData(reasoning=False), "claude does not think"),
        (ModelData(efforts=(), thinking="adaptive"), "claude does not think"),
    ],
    ids=["no room", "does not think", "takes no effort"],
)
def test_an_effort_that_cannot_be_made_is_left_out_with_a_note(known: ModelData, why: str) -> None:
    body, notes = _sent(known, reasoning_effort="high", temperature=0.7, max_tokens=50)
    assert body == {"max_tokens": 50, "temperature": 0.7}
    assert notes == (f"Thinking is left out: {why}.",)


@pytest.mark.parametrize("known", [UNKNOWN_MODEL, ADAPTIVE], ids=["budget", "adaptive"])
def test_no_effort_turns_thinking_off(known: ModelData) -> None:
    body = _body(known, reasoning_effort="none", max_tokens=9, temperature=0.5)
    assert body == {"max_tokens": 9, "thinking": {"type": "disabled"}, "temperature": 0.5}


def test_models_that_do_not_think_are_not_told_to_stop() -> None:
    assert _body(ModelData(reasoning=False), reasoning_effort="none") == {"max_tokens": 4096}


def test_models_that_always_think_are_asked_to_do_so_as_little_as_they_can() -> None:
    known = ModelData(thinking="adaptive", efforts=("low", "medium", "high"))
    body, notes = _sent(known, reasoning_effort="none", max_tokens=9)
    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {"effort": "low"}
    assert notes == ("claude always thinks: it is asked to do so as little as it can.",)
    # Whether they take a forced tool is theirs to say.
    assert "thinking" not in _body(known, tools=[ADD], tool_choice="add", reasoning_effort="none")


def test_an_unknown_effort_has_no_budget() -> None:
    with pytest.raises(ProviderInvalidRequestError, match="'ultra' is not known: use none, minim"):
        _sent(reasoning_effort="ultra")


@pytest.mark.parametrize(
    ("known", "thinking"),
    [(UNKNOWN_MODEL, None), (ADAPTIVE, {"type": "disabled"})],
    ids=["budget", "adaptive"],
)
def test_a_forced_tool_rules_thinking_out(known: ModelData, thinking: Any) -> None:
    body, notes = _sent(known, tools=[ADD], tool_choice="add", reasoning_effort="high")
    assert body.get("thinking") == thinking
    assert "output_config" not in body
    assert notes == ("Thinking is left out: Anthropic does not take it with a forced tool.",)
    # Newer models may think without being told to.
    assert _body(known, tools=[ADD], tool_choice="required").get("thinking") == thinking


def test_the_callers_own_thinking_is_sent_as_it_is_and_makes_room() -> None:
    own = {"type": "enabled", "budget_tokens": 2000}
    body, notes = _sent(thinking=own, temperature=0.7, top_p=0.9, top_k=4, max_tokens=100)
    assert body == {"max_tokens": 2100, "thinking": own}
    assert len(notes) == 2
    own = {"type": "adaptive", "display": "summarized"}
    body = _body(thinking=own, reasoning_effort="low", temperature=0.7)
    assert body == {"max_tokens": 4096, "thinking": own, "output_config": {"effort": "low"}}
    off = {"type": "disabled"}
    assert _body(ADAPTIVE, thinking=off, temperature=0.7)["temperature"] == 0.7


def _loop(state: Any = None, *more: Message) -> tuple[Message, ...]:
    call = ToolCall(id="toolu_1", name="add")
    return (
        HI,
        Message(role="assistant", tool_calls=[call], provider_state=state),
        Message(role="tool", content="3", tool_call_id="toolu_1", name="add"),
        *more,
    )


SIGNED = {
    "anthropic": {
        "provider": "acme",
        "blocks": [
            {"type": "thinking", "thinking": "Hm", "signature": "s"},
            {"type": "tool_use"},
        ],
    }
}


@pytest.mark.parametrize(
    ("messages", "thinks"),
    [
        (_loop(SIGNED), True),
        (_loop(), False),
        (_loop(None, Message(role="system", content="Hurry.")), False),
        (_loop(None, Message(role="user", content="Go on.")), True),
        (_loop(None, Message(role="assistant", content="3."), HI), True),
        ((HI, Message(role="assistant", content="It is")), True),
        (_loop()[1:], False),
    ],
    ids=["ours", "of another", "with a hint", "new turn", "earlier turn", "prefill", "no user"],
)
def test_a_turn_begun_without_thinking_goes_on_without_a_budget(
    messages: tuple[Message, ...], thinks: bool
) -> None:
    body, notes = _sent(messages=messages, reasoning_effort="low")
    assert ("thinking" in body) is thinks
    assert (notes == ()) is thinks
    assert _body(ADAPTIVE, messages=messages, reasoning_effort="low")["thinking"]

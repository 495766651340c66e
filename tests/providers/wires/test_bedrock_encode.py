from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.wires.bedrock.wire import BedrockConverse
from victor.types import Message, ToolCall, ToolDefinition

VENDOR = Vendor("bedrock", None, wire="bedrock", auth="aws")
WIRE = BedrockConverse(VENDOR)
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-pro-v1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
POINT = {"cachePoint": {"type": "default"}}
ADD = ToolDefinition(name="add", description="Adds.", parameters={"properties": {"a": {}}})
CALL = ToolCall(id="c1", name="add", arguments={"a": 1})


def user(text: str = "Hi", **more: Any) -> Message:
    return Message(role="user", content=text, **more)


def said(text: str = "", **more: Any) -> Message:
    return Message(role="assistant", content=text, **more)


def result(text: str, call_id: str = "c1", **more: Any) -> Message:
    return Message(role="tool", content=text, tool_call_id=call_id, name="add", **more)


def system(text: str) -> Message:
    return Message(role="system", content=text)


def encoded(*messages: Message, model: str = LLAMA, **request: Any) -> HTTPCall:
    return WIRE.encode(ChatRequest(messages, model, **request))


def body(*messages: Message, **request: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encoded(*messages, **request).body)
    return found


def turns(*messages: Message, **request: Any) -> list[Any]:
    found: list[Any] = body(*messages, **request)["messages"]
    return found


def text(value: str) -> dict[str, str]:
    return {"text": value}


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("amazon.nova-pro-v1:0", "amazon.nova-pro-v1%3A0"),
        (
            "arn:aws:bedrock:us-east-1:1:application-inference-profile/ab",
            "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fab",
        ),
    ],
)
def test_the_model_stands_in_the_path_and_is_quoted(model: str, path: str) -> None:
    assert encoded(user(), model=model).path == f"/model/{path}/converse"
    assert encoded(user(), model=model, stream=True).path == f"/model/{path}/converse-stream"


def test_a_bare_request_has_nothing_but_the_messages() -> None:
    assert body(user()) == {"messages": [{"role": "user", "content": [text("Hi")]}]}


def test_leading_system_prompts_are_blocks_and_later_ones_part_of_the_user_s_turn() -> None:
    found = body(system("A"), system("B"), user("Hi"), said("Yes?"), system("C"), user("Go on"))
    assert found["system"] == [text("A"), text("B")]
    assert found["messages"] == [
        {"role": "user", "content": [text("Hi")]},
        {"role": "assistant", "content": [text("Yes?")]},
        {"role": "user", "content": [text("C"), text("Go on")]},
    ]


def test_a_model_without_system_prompts_gets_them_from_the_user() -> None:
    found = body(system("A"), user("Hi"), model_data=ModelData(system_role="user"))
    assert "system" not in found
    assert found["messages"] == [{"role": "user", "content": [text("A"), text("Hi")]}]


def test_messages_of_one_role_are_one_turn() -> None:
    assert turns(user("a"), user("b"), said("c"), said("d"), user("e")) == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c"), text("d")]},
        {"role": "user", "content": [text("e")]},
    ]


@pytest.mark.parametrize(
    "messages", [(said("Hello."),), (system("Be brief."),), ()], ids=["assistant", "system", "none"]
)
def test_the_user_begins_whatever_the_history_says(messages: tuple[Message, ...]) -> None:
    call = encoded(*messages)
    first = json.loads(call.body)["messages"][0]
    assert first == {"role": "user", "content": [text("(continued)")]}
    assert "(continued)" in call.notes[-1]


def test_results_come_right_after_their_calls_before_what_the_user_says() -> None:
    calls = [CALL, ToolCall(id="c2", name="add", arguments={})]
    found = turns(
        user(),
        said("Let me see.", tool_calls=calls),
        result("3"),
        result("", "c2"),
        user("And?"),
        tools=[ADD],
    )
    use = {"toolUseId": "c1", "name": "add", "input": {"a": 1}}
    assert found[1]["content"] == [
        text("Let me see."),
        {"toolUse": use},
        {"toolUse": {**use, "toolUseId": "c2", "input": {}}},
    ]
    assert found[2]["content"] == [
        {"toolResult": {"toolUseId": "c1", "content": [text("3")]}},
        {"toolResult": {"toolUseId": "c2", "content": [text("(no output)")]}},
        text("And?"),
    ]


@pytest.mark.parametrize(
    ("model", "told", "status"),
    [
        (CLAUDE, "3", "success"),
        (CLAUDE, "Error: no.", "error"),
        (NOVA, "Error: no.", "error"),
        (LLAMA, "Error: no.", None),
    ],
)
def test_failures_are_told_to_the_models_that_have_a_status(
    model: str, told: str, status: str | None
) -> None:
    found = turns(user(), said(tool_calls=[CALL]), result(told), model=model)
    assert found[2]["content"][0]["toolResult"].get("status") == status


def test_arguments_that_did_not_parse_are_not_sent_back() -> None:
    bad = ToolCall(id="c1", name="add", raw_arguments="{", error="no JSON")
    found = turns(user(), said(tool_calls=[bad]), result("Error: no JSON"))
    assert found[1]["content"][0]["toolUse"]["input"] == {}


@pytest.mark.parametrize(
    ("model", "call_id", "fits"),
    [
        (CLAUDE, "tooluse_a-1", True),
        (CLAUDE, "functions.add:0", False),
        ("moonshot.kimi-k2-thinking", "functions.add:0", True),
        (LLAMA, "x" * 65, False),
        (LLAMA, "a|b", False),
    ],
)
def test_ids_are_what_the_model_s_family_takes(model: str, call_id: str, fits: bool) -> None:
    call = CALL.model_copy(update={"id": call_id})
    found = turns(user(), said(tool_calls=[call]), result("3", call_id), model=model)
    used = found[1]["content"][0]["toolUse"]["toolUseId"]
    assert (used == call_id) is fits
    assert found[2]["content"][0]["toolResult"]["toolUseId"] == used


# ------------------------------------------------------------------ the prompt cache

TALK = (
    system("Be brief."),
    user("a"),
    said("b"),
    user("c"),
    said("d", tool_calls=[CALL]),
    result("e"),
)


def places(found: dict[str, Any]) -> list[str]:
    marked = [f"turn {n}" for n, one in enumerate(found["messages"]) if one["content"][-1] == POINT]
    for name, blocks in (("system", found["system"]), ("tools", found["toolConfig"]["tools"])):
        marked += [name] if blocks[-1] == POINT else []
    assert json.dumps(found).count("cachePoint") == len(marked)
    return marked


@pytest.mark.parametrize(
    ("model", "cache", "marked"),
    [
        (CLAUDE, None, ["turn 2", "turn 4", "system", "tools"]),
        (CLAUDE, False, []),
        (NOVA, None, ["turn 2", "turn 4", "system"]),
        ("anthropic.claude-3-haiku-20240307-v1:0", None, []),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", None, ["turn 2", "turn 4", "system", "tools"]),
        (LLAMA, None, []),
        ("arn:aws:x:application-inference-profile/ab", None, []),
        (
            "arn:aws:x:application-inference-profile/ab",
            True,
            ["turn 2", "turn 4", "system", "tools"],
        ),
    ],
)
def test_what_the_next_request_begins_with_is_marked(
    model: str, cache: bool | None, marked: list[str]
) -> None:
    found = body(*TALK, model=model, tools=[ADD], options={"cache": cache})
    assert places(found) == marked
    assert "cache" not in found.get("additionalModelRequestFields", {})


def test_what_is_marked_does_not_change_from_turn_to_turn() -> None:
    def prefix(*messages: Message) -> bytes:
        return encoded(*messages, model=CLAUDE).body.replace(b"," + json_bytes(POINT), b"")

    before = prefix(*TALK[1:4])
    after = prefix(*TALK[1:])
    assert after.startswith(before.partition(b"]}]")[0])


def json_bytes(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def test_messages_are_encoded_once_and_copies_anew() -> None:
    message = user("a")
    first = encoded(message).body
    message.__dict__[next(name for name in message.__dict__ if name.startswith("_bedrock"))] = b"{}"
    assert b'"content":[{}]' in encoded(message).body
    assert encoded(copy.copy(message)).body == first
    assert encoded(message, model=CLAUDE).body != encoded(message).body


# ------------------------------------------------------------------ tools and extra options


def test_tools_are_described_with_a_schema_of_an_object() -> None:
    bare = ToolDefinition(name="now", description=" ")
    assert body(user(), tools=[ADD, bare])["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": "add",
                    "description": "Adds.",
                    "inputSchema": {"json": {"type": "object", "properties": {"a": {}}}},
                }
            },
            {"toolSpec": {"name": "now", "inputSchema": {"json": bare.parameters}}},
        ]
    }


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("auto", None),
        ("required", {"any": {}}),
        ("add", {"tool": {"name": "add"}}),
        ({"type": "function", "function": {"name": "add"}}, {"tool": {"name": "add"}}),
    ],
    ids=["auto", "required", "name", "object"],
)
def test_choices_of_a_tool(choice: object, written: object) -> None:
    config = body(user(), tools=[ADD], options={"tool_choice": choice})["toolConfig"]
    assert config.get("toolChoice") == written


def test_no_choice_means_no_tools_where_that_is_possible() -> None:
    options = {"tool_choice": "none"}
    assert "toolConfig" not in body(user(), tools=[ADD], options=options)
    call = encoded(user(), said(tool_calls=[CALL]), result("3"), tools=[ADD], options=options)
    assert [one["toolSpec"]["description"] for one in json.loads(call.body)["toolConfig"]["tools"]]
    assert any("may call again" in note for note in call.notes)


def test_a_history_with_calls_always_has_tools() -> None:
    found = body(user(), said(tool_calls=[CALL]), result("3"), user("Thanks"))
    assert [one["toolSpec"]["name"] for one in found["toolConfig"]["tools"]] == ["add"]


def test_extra_options_go_to_a_field_of_that_name_else_to_the_model() -> None:
    found = body(
        user(),
        max_tokens=5,
        options={
            "serviceTier": {"type": "flex"},
            "inferenceConfig": {"maxTokens": 7, "topP": 0.5},
            "additionalModelRequestFields": {"a": 1},
            "repetition_penalty": 1.1,
            "api_key": "secret",
        },
    )
    assert found["serviceTier"] == {"type": "flex"}
    assert found["inferenceConfig"] == {"maxTokens": 7, "topP": 0.5}
    assert found["additionalModelRequestFields"] == {"repetition_penalty": 1.1, "a": 1}
    assert "secret" not in json.dumps(found)

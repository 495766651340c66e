from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.wires.responses_bodies import Json, call, read_whole, said, thought
from victor.config.catalog import Vendor
from victor.providers.request import ChatRequest
from victor.providers.wires.openai_responses.wire import OpenAIResponses
from victor.types import Message, ToolCall

ACME = Vendor("acme", "https://acme.test/v1")
OPENAI = Vendor("acme", "https://api.openai.com/v1")
SEALED = thought("Hm.", encrypted_content="sealed+/=")
RAW = thought(content=[{"type": "reasoning_text", "text": "raw"}])


def _answer(*items: Json, **more: Any) -> Message:
    """Return an answer as it comes out of a stored session."""
    message = read_whole(*items, **more).to_message()
    return Message.model_validate_json(message.model_dump_json())


def _sent(message: Message, *results: Message, vendor: Vendor = ACME) -> list[Json]:
    messages = [Message(role="user", content="Hi"), message, *results]
    body = json.loads(OpenAIResponses(vendor).encode(ChatRequest(messages, "m")).body)
    sent: list[Json] = body["input"][1:]
    return sent


def _result(call_id: str = "c1", name: str = "add") -> Message:
    return Message(role="tool", content="2", tool_call_id=call_id, name=name)


OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "2"}


@pytest.mark.parametrize("vendor", [ACME, OPENAI], ids=["others", "openai"])
@pytest.mark.parametrize(
    "items",
    [
        [SEALED, call()],
        [SEALED, said("Let me see.", phase="commentary"), SEALED, call(arguments='{"a": 1}')],
        [call(namespace="crm"), said("x")],
        [{"type": "web_search_call", "id": "ws", "action": {"q": "ü"}}, SEALED, said("x"), call()],
        [{"type": "new_thing", "deep": [{"a": [None, 1.5]}]}, call()],
    ],
    ids=["reasoning", "commentary", "order", "search", "unknown"],
)
def test_an_own_answer_goes_back_as_it_came(items: list[Json], vendor: Vendor) -> None:
    assert _sent(_answer(*items), _result(), vendor=vendor) == [*items, OUTPUT]


def test_an_answer_of_somebody_else_goes_back_as_text_and_calls() -> None:
    answer = _answer(SEALED, said("Let me see."), call())
    sent = _sent(answer, _result(), vendor=Vendor("other", None))
    assert [item["type"] for item in sent] == ["message", "function_call", "function_call_output"]
    assert "sealed" not in json.dumps(sent)


def test_raw_thinking_goes_back_to_those_who_keep_no_conversations() -> None:
    assert _sent(_answer(RAW, call()), _result()) == [RAW, call(), OUTPUT]


@pytest.mark.parametrize(
    ("vendor", "lost"), [(OPENAI, RAW), (ACME, thought("Hm.")), (OPENAI, thought())]
)
def test_thinking_nobody_can_read_is_dropped_with_the_ids_that_go_with_it(
    vendor: Vendor, lost: Json
) -> None:
    search = {"type": "web_search_call", "id": "ws"}
    sent = _sent(_answer(lost, search, said("x"), call()), _result(), vendor=vendor)
    bare = [{k: v for k, v in item.items() if k != "id"} for item in (said("x"), call())]
    assert sent == [search, *bare, OUTPUT]


def test_reasoning_without_what_followed_it_is_not_sent() -> None:
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert _sent(_answer(SEALED, **cut)) == []
    assert _sent(_answer(said("x", phase="p"), SEALED, **cut)) == [said("x", phase="p")]


def test_hosted_tools_that_wait_for_an_answer_are_not_sent() -> None:
    waiting = {"type": "shell_call", "call_id": "s1"}
    ran = [{"type": "shell_call", "call_id": "s2"}, {"type": "shell_call_output", "call_id": "s2"}]
    search = {"type": "tool_search_call", "execution": "client", "call_id": "t"}
    sent = _sent(_answer(said("x"), *ran, waiting, search))
    assert sent == [said("x"), *ran]


def test_calls_have_the_ids_of_the_history() -> None:
    long = "x" * 65
    asked, answered = _sent(_answer(SEALED, call(call_id=long)), _result(long))[1:]
    assert asked["call_id"] == answered["call_id"] != long
    assert asked == call(call_id=asked["call_id"])


@pytest.mark.parametrize("arguments", ['{"a":', "[]", None, ""], ids=repr)
def test_arguments_that_are_no_object_go_back_as_none(arguments: Any) -> None:
    sent = _sent(_answer(SEALED, call(arguments=arguments)), _result())
    assert sent[1] == call(arguments="{}")


def test_arguments_that_came_as_an_object_go_back_as_text() -> None:
    sent = _sent(_answer(SEALED, call(arguments={"a": 1})), _result())
    assert sent[1] == call(arguments='{"a":1}')


def test_unwrapped_calls_go_back_one_by_one() -> None:
    uses = [{"recipient_name": f"functions.{name}", "parameters": {}} for name in ("f", "g")]
    answer = _answer(SEALED, call("multi_tool_use.parallel", json.dumps({"tool_uses": uses})))
    sent = _sent(answer, _result("c1", "f"), _result("c1_1", "g"))
    assert [(item["type"], item.get("name"), item.get("call_id")) for item in sent] == [
        ("reasoning", None, None),
        ("function_call", "f", "c1"),
        ("function_call", "g", "c1_1"),
        ("function_call_output", None, "c1"),
        ("function_call_output", None, "c1_1"),
    ]


def test_the_result_of_a_custom_call_has_its_own_type() -> None:
    custom = {"type": "custom_tool_call", "id": "i", "call_id": "c1", "name": "sql", "input": "A"}
    sent = _sent(_answer(custom), _result("c1", "sql"))
    assert sent == [custom, {**OUTPUT, "type": "custom_tool_call_output"}]
    sent = _sent(_answer(custom), _result("c1", "sql"), vendor=Vendor("other", None))
    assert [item["type"] for item in sent] == ["function_call", "function_call_output"]
    assert sent[0]["arguments"] == '{"input":"A"}'


@pytest.mark.parametrize(
    "change",
    [
        {"content": "redacted"},
        {"tool_calls": None},
        {"tool_calls": [ToolCall(id="c1", name="sub")]},
        {"tool_calls": [ToolCall(id="c1", name="add"), ToolCall(id="c2", name="add")]},
    ],
    ids=["text", "no calls", "another call", "more calls"],
)
def test_an_answer_that_was_edited_goes_back_as_edited(change: Json) -> None:
    answer = _answer(SEALED, said("secret"), call()).model_copy(update=change)
    sent = json.dumps(_sent(answer))
    assert "sealed" not in sent
    assert ("secret" in sent) is ("content" not in change)


@pytest.mark.parametrize(
    "items", [None, "x", [], [None], [{}], [{"type": 3}], {"type": "reasoning"}], ids=repr
)
def test_a_state_that_makes_no_sense_is_ignored(items: Any) -> None:
    state = {"openai-responses": {"provider": "acme", "items": items}}
    answer = Message(role="assistant", content="x", provider_state=state)
    assert _sent(answer) == [{"type": "message", "role": "assistant", "content": "x"}]


def test_a_long_conversation_is_encoded_once() -> None:
    messages = [
        Message(role="user", content="Hi"),
        _answer(SEALED, call()),
        _result(),
        _answer(said("x")),
    ]
    first = OpenAIResponses(ACME).encode(ChatRequest(messages, "m")).body
    kept = [dict(message.__dict__) for message in messages]
    assert OpenAIResponses(ACME).encode(ChatRequest(messages, "m")).body == first
    assert [dict(message.__dict__) for message in messages] == kept
    other = OpenAIResponses(OPENAI).encode(ChatRequest(messages, "m")).body
    assert b"developer" not in other
    assert b"sealed" in other

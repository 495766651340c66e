from __future__ import annotations

import base64
import copy
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.wires.chat_requests import PLAIN, body_of, message_of, user
from victor.errors import UnsupportedFeatureError
from victor.providers.request import ChatRequest
from victor.providers.wires.openai_chat.encode import encode
from victor.types import Attachment, Message, ToolCall

PNG = b"\x89PNG\r\n\x1a\n\xff"
PNG_64 = base64.b64encode(PNG).decode()
CALL = ToolCall(id="c1", name="add", arguments={"a": 1, "b": [2, None, "ü"]})


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        pytest.param(
            Message(role="system", content="Be brief."),
            {"role": "system", "content": "Be brief."},
            id="system",
        ),
        pytest.param(user(), {"role": "user", "content": "Hi"}, id="user"),
        pytest.param(
            user(name="ada"), {"role": "user", "content": "Hi", "name": "ada"}, id="named speaker"
        ),
        pytest.param(
            Message(role="assistant", content="Yes?"),
            {"role": "assistant", "content": "Yes?"},
            id="assistant",
        ),
        pytest.param(
            Message(role="assistant", content="ok", reasoning="hm"),
            {"role": "assistant", "content": "ok"},
            id="reasoning stays at home",
        ),
        pytest.param(
            Message(role="assistant", tool_calls=[CALL]),
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "add", "arguments": '{"a":1,"b":[2,null,"ü"]}'},
                    }
                ],
            },
            id="tool call without text",
        ),
        pytest.param(
            Message(
                role="assistant",
                content="ok",
                provider_state={
                    "openai-chat": {"provider": "test", "reasoning_details": [{"id": 1}]},
                    "x": {"provider": "test", "y": 1},
                },
            ),
            {"role": "assistant", "content": "ok", "reasoning_details": [{"id": 1}]},
            id="only its own provider state",
        ),
        pytest.param(
            Message(
                role="assistant",
                content="ok",
                provider_state={"openai-chat": {"provider": "acme", "reasoning_details": [1]}},
            ),
            {"role": "assistant", "content": "ok"},
            id="another provider's state",
        ),
        pytest.param(
            Message(role="assistant", content="ok", provider_state={"anthropic": {"z": 1}}),
            {"role": "assistant", "content": "ok"},
            id="foreign provider state",
        ),
        pytest.param(
            user("a\u2028b \U0001f600 \x00 \"q\" \\"),
            {"role": "user", "content": "a\u2028b \U0001f600 \x00 \"q\" \\"},
            id="odd but valid text",
        ),
    ],
)  # fmt: skip
def test_a_message_is_written_as_the_api_wants_it(
    message: Message, encoded: dict[str, Any]
) -> None:
    assert message_of(message) == encoded


def test_parallel_calls_keep_their_order_and_their_text() -> None:
    calls = [CALL, ToolCall(id="c2", name="now")]
    encoded = message_of(Message(role="assistant", content="Wait.", tool_calls=calls))
    assert encoded["content"] == "Wait."
    assert [call["id"] for call in encoded["tool_calls"]] == ["c1", "c2"]
    assert encoded["tool_calls"][1]["function"] == {"name": "now", "arguments": "{}"}


def test_arguments_that_did_not_parse_are_not_sent_back() -> None:
    broken = ToolCall.model_validate({"id": "c", "name": "add", "arguments": '{"a": 1'})
    assert broken.error
    encoded = message_of(Message(role="assistant", tool_calls=[broken]))
    assert encoded["tool_calls"][0]["function"]["arguments"] == "{}"


def test_reserved_options_and_none_never_reach_the_body() -> None:
    options = {"api_key": "sk-1", "messages": [], "model": "other", "stream": True, "seed": None}
    assert body_of(user(), options=options) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_only_what_is_set_is_sent() -> None:
    body = body_of(user(), temperature=0.0, max_tokens=1)
    assert list(body) == ["model", "messages", "temperature", "max_tokens"]
    assert body["temperature"] == 0.0
    assert list(body_of(user(), tools=[])) == ["model", "messages"]


def test_a_request_without_messages_is_still_json() -> None:
    assert body_of() == {"model": "m", "messages": []}


def test_the_same_history_gives_the_same_bytes() -> None:
    def history() -> list[Message]:
        return [
            Message(role="system", content="s"),
            user("u", attachments=[Attachment(media_type="image/png", data=PNG)]),
            Message(role="assistant", tool_calls=[CALL]),
            Message(role="tool", tool_call_id="c1", content="3"),
        ]

    kept = history()
    first = encode(ChatRequest(kept, "m"), PLAIN).body
    assert encode(ChatRequest(kept, "m"), PLAIN).body == first
    assert encode(ChatRequest(history(), "m"), PLAIN).body == first
    longer = encode(ChatRequest([*kept, user("next")], "m"), PLAIN).body
    assert longer.startswith(first.removesuffix(b"]}"))


@pytest.mark.parametrize("deep", [False, True], ids=["shallow", "deep"])
def test_a_changed_copy_of_an_encoded_message_is_encoded_anew(deep: bool) -> None:
    message = user("old")
    assert message_of(message)["content"] == "old"
    changed = message.model_copy(update={"content": "new"}, deep=deep)
    assert message_of(changed)["content"] == "new"
    assert message_of(message)["content"] == "old"


def test_a_copy_at_the_address_of_an_encoded_message_is_encoded_anew() -> None:
    for turn in range(200):
        first = user("first")
        message_of(first)
        second = first.model_copy(update={"content": "second"})
        del first  # its memory is free for the next copy
        third = second.model_copy(update={"content": f"third {turn}"})
        assert message_of(third)["content"] == f"third {turn}"


def test_encoding_leaves_no_trace_that_a_user_could_see() -> None:
    message, twin = user(), user()
    before = repr(message)
    message_of(message)
    assert message == twin
    assert repr(message) == before
    assert message.model_dump() == twin.model_dump()
    assert message.model_dump_json() == twin.model_dump_json()
    # A copy may be about to be changed, so it starts without anything that was made of this one.
    assert vars(copy.copy(message)) == vars(copy.deepcopy(message)) == vars(user())
    assert message_of(pickle.loads(pickle.dumps(message))) == message_of(twin)  # noqa: S301 - our own


def test_lone_surrogates_do_not_break_the_request() -> None:
    call = ToolCall(id="c\udc80", name="f", arguments={"path": "a\udcffb"})
    body = body_of(
        user("bad \ud83d text"),
        user("bad \udcff", attachments=[Attachment(media_type="image/png", data=PNG)]),
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", tool_call_id="c\udc80", content="ü \udcff"),
        options={"user": "\ud800"},
    )
    said, picture, asked, answer = body["messages"]
    assert said["content"] == "bad ? text"
    assert picture["content"][0]["text"] == "bad ?"
    assert asked["tool_calls"][0]["function"]["arguments"] == '{"path":"a?b"}'
    assert (answer["role"], answer["name"], answer["content"]) == ("tool", "f", "ü ?")
    assert asked["tool_calls"][0]["id"] == answer["tool_call_id"]
    assert body["user"] == "?"


def test_numbers_that_json_does_not_have_become_null() -> None:
    body = body_of(user(), temperature=float("nan"), options={"top_p": float("inf")})
    assert body["temperature"] is None
    assert body["top_p"] is None


def test_an_option_that_is_no_json_is_one_clear_error() -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"cannot be written as JSON.*type"):
        body_of(user(), options={"metadata": Message})


TEXT = st.text(st.characters(), max_size=20).map(lambda text: f"x{text}")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXT), max_size=5))
def test_any_text_makes_a_valid_body(history: list[tuple[Any, str]]) -> None:
    body = body_of(*(Message(role=role, content=text) for role, text in history))
    sent = [(one["role"], one["content"]) for one in body["messages"]]
    clean = [(role, text.encode("utf-8", "replace").decode()) for role, text in history]
    assert sent == clean

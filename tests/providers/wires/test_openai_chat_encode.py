from __future__ import annotations

import base64
import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.catalog import Vendor
from victor.errors import UnsupportedFeatureError
from victor.providers.request import ChatRequest
from victor.providers.wires.openai_chat.encode import encode
from victor.types import Attachment, Message, ToolCall

PNG = b"\x89PNG\r\n\x1a\n\xff"
PNG_64 = base64.b64encode(PNG).decode()
CALL = ToolCall(id="c1", name="add", arguments={"a": 1, "b": [2, None, "ü"]})
PLAIN = Vendor("test", "http://test")


def _body(*messages: Message, vendor: Vendor = PLAIN, **request: Any) -> dict[str, Any]:
    call = encode(ChatRequest(messages, **{"model": "m", **request}), vendor)
    assert call.path == "/chat/completions"
    body: dict[str, Any] = json.loads(call.body)
    return body


def _message(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = _body(message)["messages"][0]
    return found


def _user(text: str = "Hi", **fields: Any) -> Message:
    return Message(role="user", content=text, **fields)


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        pytest.param(
            Message(role="system", content="Be brief."),
            {"role": "system", "content": "Be brief."},
            id="system",
        ),
        pytest.param(_user(), {"role": "user", "content": "Hi"}, id="user"),
        pytest.param(
            _user(name="ada"), {"role": "user", "content": "Hi", "name": "ada"}, id="named speaker"
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
            _user("a\u2028b \U0001f600 \x00 \"q\" \\"),
            {"role": "user", "content": "a\u2028b \U0001f600 \x00 \"q\" \\"},
            id="odd but valid text",
        ),
    ],
)  # fmt: skip
def test_a_message_is_written_as_the_api_wants_it(
    message: Message, encoded: dict[str, Any]
) -> None:
    assert _message(message) == encoded


def test_parallel_calls_keep_their_order_and_their_text() -> None:
    calls = [CALL, ToolCall(id="c2", name="now")]
    encoded = _message(Message(role="assistant", content="Wait.", tool_calls=calls))
    assert encoded["content"] == "Wait."
    assert [call["id"] for call in encoded["tool_calls"]] == ["c1", "c2"]
    assert encoded["tool_calls"][1]["function"] == {"name": "now", "arguments": "{}"}


def test_arguments_that_did_not_parse_are_not_sent_back() -> None:
    broken = ToolCall.model_validate({"id": "c", "name": "add", "arguments": '{"a": 1'})
    assert broken.error
    encoded = _message(Message(role="assistant", tool_calls=[broken]))
    assert encoded["tool_calls"][0]["function"]["arguments"] == "{}"


def test_reserved_options_and_none_never_reach_the_body() -> None:
    options = {"api_key": "sk-1", "messages": [], "model": "other", "stream": True, "seed": None}
    assert _body(_user(), options=options) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_only_what_is_set_is_sent() -> None:
    body = _body(_user(), temperature=0.0, max_tokens=1)
    assert list(body) == ["model", "messages", "temperature", "max_tokens"]
    assert body["temperature"] == 0.0
    assert list(_body(_user(), tools=[])) == ["model", "messages"]


def test_a_request_without_messages_is_still_json() -> None:
    assert _body() == {"model": "m", "messages": []}


def test_the_same_history_gives_the_same_bytes() -> None:
    def history() -> list[Message]:
        return [
            Message(role="system", content="s"),
            _user("u", attachments=[Attachment(media_type="image/png", data=PNG)]),
            Message(role="assistant", tool_calls=[CALL]),
            Message(role="tool", tool_call_id="c1", content="3"),
        ]

    kept = history()
    first = encode(ChatRequest(kept, "m"), PLAIN).body
    assert encode(ChatRequest(kept, "m"), PLAIN).body == first
    assert encode(ChatRequest(history(), "m"), PLAIN).body == first
    longer = encode(ChatRequest([*kept, _user("next")], "m"), PLAIN).body
    assert longer.startswith(first.removesuffix(b"]}"))


@pytest.mark.parametrize("deep", [False, True], ids=["shallow", "deep"])
def test_a_changed_copy_of_an_encoded_message_is_encoded_anew(deep: bool) -> None:
    message = _user("old")
    assert _message(message)["content"] == "old"
    changed = message.model_copy(update={"content": "new"}, deep=deep)
    assert _message(changed)["content"] == "new"
    assert _message(message)["content"] == "old"


def test_a_copy_at_the_address_of_an_encoded_message_is_encoded_anew() -> None:
    for turn in range(200):
        first = _user("first")
        _message(first)
        second = first.model_copy(update={"content": "second"})
        del first  # its memory is free for the next copy
        third = second.model_copy(update={"content": f"third {turn}"})
        assert _message(third)["content"] == f"third {turn}"


def test_encoding_leaves_no_trace_that_a_user_could_see() -> None:
    message, twin = _user(), _user()
    before = repr(message)
    _message(message)
    assert message == twin
    assert repr(message) == before
    assert message.model_dump() == twin.model_dump()
    assert message.model_dump_json() == twin.model_dump_json()
    # A copy may be about to be changed, so it starts without anything that was made of this one.
    assert vars(copy.copy(message)) == vars(copy.deepcopy(message)) == vars(_user())
    assert _message(pickle.loads(pickle.dumps(message))) == _message(twin)  # noqa: S301 - our own


def test_lone_surrogates_do_not_break_the_request() -> None:
    call = ToolCall(id="c\udc80", name="f", arguments={"path": "a\udcffb"})
    body = _body(
        _user("bad \ud83d text"),
        _user("bad \udcff", attachments=[Attachment(media_type="image/png", data=PNG)]),
        Message(role="assistant", tool_calls=[call]),
        Message(role="tool", tool_call_id="c\udc80", content="ü \udcff"),
        options={"user": "\ud800"},
    )
    user, picture, asked, answer = body["messages"]
    assert user["content"] == "bad ? text"
    assert picture["content"][0]["text"] == "bad ?"
    assert asked["tool_calls"][0]["function"]["arguments"] == '{"path":"a?b"}'
    assert (answer["role"], answer["name"], answer["content"]) == ("tool", "f", "ü ?")
    assert asked["tool_calls"][0]["id"] == answer["tool_call_id"]
    assert body["user"] == "?"


def test_numbers_that_json_does_not_have_become_null() -> None:
    body = _body(_user(), temperature=float("nan"), options={"top_p": float("inf")})
    assert body["temperature"] is None
    assert body["top_p"] is None


def test_an_option_that_is_no_json_is_one_clear_error() -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"cannot be written as JSON.*type"):
        _body(_user(), options={"metadata": Message})


TEXT = st.text(st.characters(), max_size=20).map(lambda text: f"x{text}")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXT), max_size=5))
def test_any_text_makes_a_valid_body(history: list[tuple[Any, str]]) -> None:
    body = _body(*(Message(role=role, content=text) for role, text in history))
    sent = [(one["role"], one["content"]) for one in body["messages"]]
    clean = [(role, text.encode("utf-8", "replace").decode()) for role, text in history]
    assert sent == clean

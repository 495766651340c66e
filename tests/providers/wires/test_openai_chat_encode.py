from __future__ import annotations

import base64
import copy
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.providers.request import ChatRequest
from victor.providers.wires.openai_chat.encode import encode
from victor.types import Attachment, Message, ToolCall, ToolDefinition, ToolExample

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
    (encoded,) = _body(message)["messages"]
    found: dict[str, Any] = encoded
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
            Message(role="assistant"), {"role": "assistant", "content": ""}, id="empty assistant"
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
            Message(role="tool", tool_call_id="c1", name="add", content="3"),
            {"role": "tool", "tool_call_id": "c1", "name": "add", "content": "3"},
            id="tool result",
        ),
        pytest.param(
            Message(role="tool", content="lost"),
            {"role": "tool", "tool_call_id": "", "content": "lost"},
            id="tool result without an id",
        ),
        pytest.param(
            Message(
                role="assistant",
                content="ok",
                provider_state={"openai-chat": {"reasoning_details": [{"id": 1}]}, "x": {"y": 1}},
            ),
            {"role": "assistant", "content": "ok", "reasoning_details": [{"id": 1}]},
            id="only its own provider state",
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


@pytest.mark.parametrize(
    ("attachment", "part"),
    [
        pytest.param(
            Attachment(media_type="image/png", data=PNG),
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_64}"}},
            id="image by data",
        ),
        pytest.param(
            Attachment(media_type="image/jpeg", url="https://pictures.example/a.jpg"),
            {"type": "image_url", "image_url": {"url": "https://pictures.example/a.jpg"}},
            id="image by url",
        ),
        pytest.param(
            Attachment(media_type="application/pdf", data=PNG, name="a.pdf"),
            {
                "type": "file",
                "file": {
                    "filename": "a.pdf",
                    "file_data": f"data:application/pdf;base64,{PNG_64}",
                },
            },
            id="pdf",
        ),
        pytest.param(
            Attachment(media_type="application/pdf", data=b""),
            {
                "type": "file",
                "file": {"filename": "file.pdf", "file_data": "data:application/pdf;base64,"},
            },
            id="pdf without a name",
        ),
        *(
            pytest.param(
                Attachment(media_type=media_type, data=PNG),
                {"type": "input_audio", "input_audio": {"data": PNG_64, "format": name}},
                id=media_type,
            )
            for media_type, name in [
                ("audio/wav", "wav"),
                ("audio/x-wav", "wav"),
                ("audio/mpeg", "mp3"),
                ("audio/mp3", "mp3"),
                ("audio/flac", "flac"),
            ]
        ),
    ],
)
def test_an_attachment_becomes_a_part_after_the_text(
    attachment: Attachment, part: dict[str, Any]
) -> None:
    text = {"type": "text", "text": "Look:"}
    assert _message(_user("Look:", attachments=[attachment]))["content"] == [text, part]
    assert _message(_user("", attachments=[attachment]))["content"] == [part]


@pytest.mark.parametrize(
    ("attachment", "message"),
    [
        (
            Attachment(media_type="video/mp4", data=b"x"),
            "cannot carry video/mp4",
        ),
        (
            Attachment(media_type="text/plain", data=b"x"),
            "cannot carry text/plain",
        ),
        (
            Attachment(media_type="application/pdf", url="https://a.example/b.pdf"),
            "application/pdf by its bytes only; read the file and pass data",
        ),
        (
            Attachment(media_type="audio/wav", url="https://a.example/b.wav"),
            "audio/wav by its bytes only; read the file and pass data",
        ),
    ],
    ids=["video", "text", "pdf by url", "audio by url"],
)
def test_an_attachment_the_api_cannot_carry_is_refused_with_the_way_out(
    attachment: Attachment, message: str
) -> None:
    with pytest.raises(UnsupportedFeatureError, match=message):
        _message(_user(attachments=[attachment]))


def test_options_reach_the_body_as_they_are() -> None:
    options = {
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "stop": ["\n\n"],
        "seed": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "top_p": 1,
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "parallel_tool_calls": False,
        "user": "",
    }
    body = _body(_user(), options=options)
    assert {name: body[name] for name in options} == options


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


@pytest.mark.parametrize(("sampling", "sent"), [(False, False), (True, True), (None, True)])
def test_temperature_is_left_out_for_models_that_refuse_it(
    sampling: bool | None, sent: bool
) -> None:
    body = _body(_user(), model_data=ModelData(sampling=sampling), temperature=0.7)
    assert ("temperature" in body) is sent


def test_the_cap_goes_by_the_name_the_vendor_or_the_model_knows() -> None:
    vendor = replace(PLAIN, max_tokens_name="max_completion_tokens")
    body = _body(_user(), vendor=vendor, max_tokens=9)
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body
    known = ModelData(max_tokens_name="max_tokens")
    assert _body(_user(), vendor=vendor, max_tokens=9, model_data=known)["max_tokens"] == 9


def test_the_usage_of_a_stream_is_asked_for_where_it_is_understood() -> None:
    body = _body(_user(), stream=True)
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    body = _body(_user(), stream=True, vendor=replace(PLAIN, stream_options=False))
    assert body["stream"] is True
    assert "stream_options" not in body
    assert "stream" not in _body(_user())


def test_tools_are_written_without_what_the_api_does_not_know() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    examples = (ToolExample(request="?", arguments={"a": 1}),)
    tool = ToolDefinition(name="f", description="F.", parameters=schema, examples=examples)
    assert _body(_user(), tools=[tool])["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "F.", "parameters": schema}}
    ]


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
        Message(role="tool", tool_call_id="c\udc80", name="f\ud800", content="ü \udcff"),
        options={"user": "\ud800"},
    )
    user, picture, asked, answer = body["messages"]
    assert user["content"] == "bad ? text"
    assert picture["content"][0]["text"] == "bad ?"
    assert asked["tool_calls"][0]["function"]["arguments"] == '{"path":"a?b"}'
    assert answer == {"role": "tool", "tool_call_id": "c?", "name": "f?", "content": "ü ?"}
    assert asked["tool_calls"][0]["id"] == answer["tool_call_id"]
    assert body["user"] == "?"


def test_numbers_that_json_does_not_have_become_null() -> None:
    body = _body(_user(), temperature=float("nan"), options={"top_p": float("inf")})
    assert body["temperature"] is None
    assert body["top_p"] is None


def test_an_option_that_is_no_json_is_one_clear_error() -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"cannot be written as JSON.*type"):
        _body(_user(), options={"response_format": Message})


TEXT = st.text(st.characters(), max_size=20)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXT), max_size=5))
def test_any_text_makes_a_valid_body(history: list[tuple[Any, str]]) -> None:
    body = _body(*(Message(role=role, content=text) for role, text in history))
    sent = [(one["role"], one["content"]) for one in body["messages"]]
    clean = [(role, text.encode("utf-8", "replace").decode()) for role, text in history]
    assert sent == clean

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.wires.anthropic.encode import encode
from victor.providers.wires.anthropic.wire import AnthropicMessages
from victor.types import Attachment, Message, ToolCall, ToolDefinition

ACME = Vendor("acme", "https://acme.example", wire="anthropic", auth="x-api-key")
MARK = {"cache_control": {"type": "ephemeral"}}
TOOLS = [ToolDefinition(name="add"), ToolDefinition(name="sub")]


def _call(*messages: Message, **request: Any) -> HTTPCall:
    return encode(ChatRequest(messages, **{"model": "claude", **request}), ACME)


def _body(*messages: Message, cache: Any = False, **request: Any) -> dict[str, Any]:
    options = {"cache": cache, **request.pop("options", {})}
    body: dict[str, Any] = json.loads(_call(*messages, options=options, **request).body)
    return body


def _turns(*messages: Message) -> list[tuple[str, list[str]]]:
    def brief(block: dict[str, Any]) -> str:
        return str(block.get("text") or block.get("id") or block.get("tool_use_id"))

    found = _body(*messages)["messages"]
    return [(turn["role"], [brief(block) for block in turn["content"]]) for turn in found]


def _user(text: str = "Hi") -> Message:
    return Message(role="user", content=text)


def _said(text: str = "", *ids: str, **fields: Any) -> Message:
    calls = [ToolCall(id=one, name="add") for one in ids] or None
    return Message(role="assistant", content=text, tool_calls=calls, **fields)


def _result(call_id: str, content: str = "3") -> Message:
    return Message(role="tool", content=content, tool_call_id=call_id, name="add")


def _system(text: str) -> Message:
    return Message(role="system", content=text)


# ---------------------------------------------------------------------------- the call


def test_the_call_is_one_post_with_the_whole_conversation() -> None:
    call = _call(_system("Be brief."), _user(), temperature=0.5, max_tokens=9, stream=True)
    assert call.path == "/v1/messages"
    assert call.headers == {}
    assert call.notes == ()
    assert json.loads(call.body) == {
        "model": "claude",
        "max_tokens": 9,
        "temperature": 0.5,
        "stream": True,
        "system": [{"type": "text", "text": "Be brief.", **MARK}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi", **MARK}]}],
    }


@pytest.mark.parametrize(
    ("betas", "header"),
    [(["a-1", "b-2"], "a-1,b-2"), ("a-1", "a-1")],
    ids=["several", "one"],
)
def test_betas_go_into_their_header(betas: Any, header: str) -> None:
    call = _call(_user(), options={"betas": betas})
    assert call.headers == {"anthropic-beta": header}
    assert b"betas" not in call.body


def test_the_wire_is_both_directions_under_one_name() -> None:
    wire = AnthropicMessages(ACME)
    assert (wire.name, wire.stream_type, wire.models_path) == (
        "anthropic",
        "text/event-stream",
        "/v1/models?limit=1000",
    )
    assert wire.headers == {"anthropic-version": "2023-06-01"}
    assert wire.encode(ChatRequest([_user()], "m")).path == "/v1/messages"
    whole = b'{"content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}'
    assert wire.decode(whole, model="m").content == "Hi"
    (event,) = wire.splitter().feed(b'event: ping\ndata: {"type": "ping"}\n\n')
    assert wire.stream_decoder(model="m").feed(event) is None


# ---------------------------------------------------------------------------- turns


@pytest.mark.parametrize(
    ("messages", "turns"),
    [
        ([_user("a"), _user("b")], [("user", ["a", "b"])]),
        ([_user("a"), _said("b"), _user(" "), _said("c")], [("user", ["a"]),
                                                           ("assistant", ["b", "c"])]),
        ([_user("a"), _system(" ")], [("user", ["a"])]),
        ([_said("a")], [("user", ["(The conversation begins.)"]), ("assistant", ["a"])]),
        ([], [("user", ["(The conversation begins.)"])]),
        ([_system("s")], [("user", ["(The conversation begins.)"])]),
        (
            [_user("a"), _said("", "t1", "t2"), _result("t1"), _result("t2"), _user("b")],
            [("user", ["a"]), ("assistant", ["t1", "t2"]), ("user", ["t1", "t2", "b"])],
        ),
        (
            [_user("a"), _said("", "t1"), _result("t1"), _system("s"), _said("b")],
            [("user", ["a"]), ("assistant", ["t1"]), ("user", ["t1", "s"]), ("assistant", ["b"])],
        ),
        ([_user("a"), _said("b"), _system("s")], [("user", ["a"]), ("assistant", ["b"]),
                                                  ("user", ["s"])]),
    ],
    ids=["merged", "blank dropped", "blank system", "answer first", "nothing", "system alone",
         "results first", "system within", "system last"],
)  # fmt: skip
def test_turns_alternate_and_the_user_has_the_first(
    messages: list[Message], turns: list[tuple[str, list[str]]]
) -> None:
    assert _turns(*messages) == turns


def test_system_prompts_at_the_beginning_stand_apart() -> None:
    body = _body(_system("a"), _system(" "), _system("b"), _user(), _system("c"))
    assert body["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert [block["text"] for block in body["messages"][0]["content"]] == ["Hi", "c"]
    assert "system" not in _body(_system(""), _user())


def test_an_answer_begun_ends_without_white_space() -> None:
    assert _turns(_user(), _said("It is \n")) == [("user", ["Hi"]), ("assistant", ["It is"])]
    assert _turns(_user(), _said("\n")) == [("user", ["Hi"])]
    assert _turns(_user("a "), _said("b "), _user("c ")) == [
        ("user", ["a "]),
        ("assistant", ["b "]),
        ("user", ["c "]),
    ]


def test_a_paused_answer_goes_back_as_it_came_at_the_end() -> None:
    blocks = [{"type": "text", "text": "Looking. "}, {"type": "server_tool_use", "id": "s"}]
    paused = _said(
        "Looking. ", provider_state={"anthropic": {"provider": "acme", "blocks": blocks}}
    )
    assert _body(_user(), paused)["messages"][-1]["content"] == blocks


def test_ids_the_api_refuses_are_mapped_in_calls_and_results_alike() -> None:
    call = _call(_user(), _said("", "functions.add:0"), _result("functions.add:0"))
    turns = json.loads(call.body)["messages"]
    (use,), (result,) = turns[1]["content"], turns[2]["content"]
    assert use["id"] == result["tool_use_id"]
    assert use["id"].isalnum()


def test_unsigned_thinking_goes_back_where_the_model_wants_it() -> None:
    block = {"type": "thinking", "thinking": "Hm"}
    state = {"anthropic": {"provider": "acme", "blocks": [block, {"type": "text", "text": "Hi"}]}}
    messages = (_user(), _said("Hi", provider_state=state), _user())
    assert len(_body(*messages)["messages"][1]["content"]) == 1
    known = ModelData(echo_reasoning=True)
    assert _body(*messages, model_data=known)["messages"][1]["content"][0] == block
    assert len(_body(*messages)["messages"][1]["content"]) == 1


def test_an_answer_that_came_to_nothing_is_no_turn() -> None:
    blocks = [{"type": "thinking", "thinking": "Hm", "signature": "s"}]
    cut = _said("", provider_state={"anthropic": {"provider": "acme", "blocks": blocks}})
    assert _turns(_user("a"), cut, _user("b")) == [("user", ["a", "b"])]


def test_what_the_history_had_to_change_is_noted() -> None:
    assert _call(_user(), _said("", "t1"), _user()).notes


@pytest.mark.parametrize(
    ("more", "container"),
    [
        ([], "c1"),
        ([_result("t1")], "c1"),
        ([_result("t1"), _user()], None),
        ([_result("t1"), _said("Done.")], None),
    ],
    ids=["paused", "result", "next turn", "next answer"],
)
def test_the_turn_under_way_goes_on_in_its_container(
    more: list[Message], container: str | None
) -> None:
    state = {"provider": "acme", "blocks": [{"type": "tool_use"}], "container": "c1"}
    answer = _said("", "t1", provider_state={"anthropic": state})
    assert _body(_user(), answer, *more).get("container") == container
    assert "container" not in _body(_user())
    own = _body(_user(), answer, *more, options={"container": "c2"})
    assert own["container"] == "c2"


# ---------------------------------------------------------------------------- the prompt cache


def _long() -> list[Message]:
    return [
        _system("s1"),
        _system("s2"),
        _user("a"),
        _said("", "t1", "t2"),
        _result("t1"),
        _result("t2"),
        _said("b"),
        _user("c"),
    ]


def _marked(body: dict[str, Any]) -> list[str]:
    blocks = [*body.get("tools", ()), *body.get("system", ())]
    blocks += [block for turn in body["messages"] for block in turn["content"]]
    return [
        block.get("name") or block.get("text") or block["tool_use_id"]
        for block in blocks
        if "cache_control" in block
    ]


def test_tools_system_and_the_last_two_user_turns_end_in_a_marker() -> None:
    body = _body(*_long(), cache=True, tools=TOOLS)
    assert _marked(body) == ["sub", "s2", "t2", "c"]
    assert body["tools"][-1]["cache_control"] == {"type": "ephemeral"}
    assert "cache" not in body


@pytest.mark.parametrize(
    ("options", "marker"),
    [
        ({"cache": False}, None),
        ({"cache_control": {"type": "ephemeral"}}, None),
        ({"cache": None}, {"type": "ephemeral"}),
        ({"cache": "1h"}, {"type": "ephemeral", "ttl": "1h"}),
    ],
    ids=["off", "the caller's own", "null", "one hour"],
)
def test_the_caller_may_do_without_markers(options: Any, marker: Any) -> None:
    body = json.loads(_call(*_long(), tools=TOOLS, options=options).body)
    assert body["system"][-1].get("cache_control") == marker
    assert len(_marked(body)) == (4 if marker else 0)
    assert body.get("cache_control") == options.get("cache_control")


def test_a_marker_on_an_image_is_the_images() -> None:
    image = Attachment(media_type="image/png", data=b"PNG")
    body = _body(Message(role="user", attachments=[image]), cache=True)
    assert body["messages"][0]["content"][-1].keys() == {"type", "source", "cache_control"}


def _unmarked(call: HTTPCall) -> bytes:
    return call.body.replace(b',"cache_control":{"type":"ephemeral"}', b"")


def test_turn_after_turn_begins_with_the_bytes_of_the_one_before() -> None:
    conversation = [_system("s"), _user("a")]
    before = b""
    for at in range(5):
        body = _unmarked(_call(*conversation, tools=TOOLS))
        assert body.startswith(before.removesuffix(b"]}"))
        before = body
        conversation += [_said("", f"t{at}"), _result(f"t{at}"), _said("ok"), _user(str(at))]


def test_a_message_is_encoded_once_and_copies_are_encoded_anew() -> None:
    first = _user("a")
    once = _call(first)
    (key,) = first.__dict__.keys() - Message.model_fields.keys()
    assert _call(first).body == once.body
    first.__dict__[key] = b'{"type":"text","text":"kept"}'
    assert b'"kept"' in _call(first).body
    changed = first.model_copy(update={"content": "b"})
    assert b'"text":"b"' in _call(changed).body
    assert pickle.loads(pickle.dumps(changed)) == changed  # noqa: S301 - our own


TEXT = st.sampled_from(["", " ", "a", "b\n", "Error: x"])
MESSAGES = st.lists(
    st.one_of(
        TEXT.map(_user),
        TEXT.map(_system),
        st.builds(_said, TEXT, st.sampled_from(["t1", "t2", "no good"])),
        TEXT.map(_said),
        st.builds(_result, st.sampled_from(["t1", "t2", "no good"]), TEXT),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(MESSAGES)
def test_any_conversation_is_one_the_api_takes(messages: list[Message]) -> None:
    body = _body(*messages)
    assert body == _body(*messages)
    turns = body["messages"]
    roles = [turn["role"] for turn in turns]
    assert roles == ["user" if at % 2 == 0 else "assistant" for at in range(len(roles))]
    waiting: list[str] = []
    for turn in turns:
        kinds = [block["type"] for block in turn["content"]]
        assert kinds
        assert all(block["text"].strip() for block in turn["content"] if block["type"] == "text")
        results = [block["tool_use_id"] for block in turn["content"] if "tool_use_id" in block]
        assert results == waiting
        assert kinds[: len(results)] == ["tool_result"] * len(results)
        waiting = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
    assert roles[-1] == "user" or not turns[-1]["content"][-1].get("text", "").endswith("\n")

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agent.support import INTERRUPTED, call, valid
from victor.agent.context import Conversation
from victor.types import Attachment, Message, Role, ToolCall


def user(content: str = "hi") -> Message:
    return Message(role="user", content=content)


def asking(*calls: ToolCall) -> Message:
    return Message(role="assistant", tool_calls=list(calls))


def result(call_id: str | None, content: str = "result") -> Message:
    return Message(role="tool", content=content, tool_call_id=call_id, name="look")


def shape(conversation: Conversation) -> list[tuple[str, str]]:
    return [(one.role, one.content) for one in conversation.messages]


@pytest.mark.parametrize(
    ("messages", "roles"),
    [
        ([], ["system"]),
        ([user()], ["system", "user"]),
        ([Message(role="system", content="theirs"), user()], ["system", "user"]),
    ],
    ids=["empty", "without", "with"],
)
def test_system_prompt_comes_first_and_once(messages: list[Message], roles: list[str]) -> None:
    conversation = Conversation(messages, system="ours")
    assert [one.role for one in conversation.messages] == roles
    theirs = bool(messages) and messages[0].role == "system"
    assert conversation.messages[0].content == ("theirs" if theirs else "ours")


def test_there_is_no_system_message_without_a_prompt() -> None:
    assert list(Conversation([user()], system="").messages) == [user()]
    assert len(Conversation()) == 0


def test_valid_history_is_adopted_as_it_is() -> None:
    history = [
        user(),
        asking(call("look", "a"), call("look", "b")),
        result("b"),
        result("a"),
        Message(role="assistant", content="done"),
    ]
    kept = Conversation(history).messages
    assert all(one is given for one, given in zip(kept, history, strict=True))


def test_result_names_its_call_and_its_tool() -> None:
    conversation = Conversation([user()])
    message = conversation.add_assistant(asking(call("look", "a")))
    assert message.tool_calls is not None
    conversation.add_result(message.tool_calls[0], "seen")
    last = conversation.messages[-1]
    assert (last.role, last.content, last.tool_call_id, last.name) == ("tool", "seen", "a", "look")


def test_open_call_is_answered_before_anything_else_is_said() -> None:
    for add in ("user", "assistant", "close"):
        conversation = Conversation([user()])
        conversation.add_assistant(asking(call("look", "a"), call("look", "b")))
        if add == "user":
            conversation.add_user(user("more"))
        elif add == "assistant":
            conversation.add_assistant(Message(role="assistant", content="more"))
        else:
            conversation.close_calls()
        assert shape(conversation)[2:4] == [("tool", INTERRUPTED)] * 2
        assert valid(conversation.messages)


def test_call_cannot_get_two_results() -> None:
    conversation = Conversation()
    conversation.add_assistant(asking(call("look", "a")))
    conversation.add_result(call("look", "a"), "one")
    with pytest.raises(KeyError):
        conversation.add_result(call("look", "a"), "two")


@pytest.mark.parametrize(
    "history",
    [
        [result("a"), user()],
        [user(), result("a")],
        [user(), Message(role="assistant", content="x"), result("a"), result(None)],
        [asking(call("look", "a")), result("other"), result("a"), result("a", "again")],
    ],
    ids=["first", "after-user", "after-text", "unknown-and-repeated"],
)
def test_result_without_a_call_is_left_out(history: list[Message]) -> None:
    kept = Conversation(history).messages
    assert valid(kept)
    asked = any(one.tool_calls for one in history)
    assert [one.content for one in kept if one.role == "tool"] == (["result"] if asked else [])


def test_late_result_does_not_replace_the_interruption() -> None:
    conversation = Conversation([asking(call("look", "a")), user(), result("a")])
    assert shape(conversation) == [("assistant", ""), ("tool", INTERRUPTED), ("user", "hi")]


def test_history_that_ends_in_a_call_gets_its_result() -> None:
    conversation = Conversation([user(), asking(call("look", "a"), call("look", "b")), result("a")])
    assert shape(conversation)[2:] == [("tool", "result"), ("tool", INTERRUPTED)]
    assert conversation.messages[-1].tool_call_id == "b"


def test_ids_that_count_from_zero_in_every_answer_are_made_unique() -> None:
    conversation = Conversation()
    for turn in range(3):
        message = conversation.add_assistant(asking(call("look", "call_0"), call("look", "call_1")))
        for one in message.tool_calls or ():
            conversation.add_result(one, f"result {turn}")
    assert valid(conversation.messages)


def test_adopted_results_stay_with_calls_whose_ids_are_reused() -> None:
    turns = [
        [asking(call("look", "call_0", turn=turn)), result("call_0", f"result {turn}")]
        for turn in range(3)
    ]
    conversation = Conversation([message for turn in turns for message in turn])
    assert [one for one in shape(conversation) if one[0] == "tool"] == [
        ("tool", "result 0"),
        ("tool", "result 1"),
        ("tool", "result 2"),
    ]
    assert valid(conversation.messages)


def test_calls_of_one_message_with_the_same_id_get_their_results_in_order() -> None:
    twins = asking(call("look", "x", n=1), call("look", "x", n=2))
    conversation = Conversation([twins, result("x", "one"), result("x", "two")])
    by_id = {one.tool_call_id: one.content for one in conversation.messages if one.role == "tool"}
    calls = conversation.messages[0].tool_calls or ()
    assert [(one.arguments["n"], by_id[one.id]) for one in calls] == [(1, "one"), (2, "two")]
    assert valid(conversation.messages)


def test_calls_without_an_id_get_one() -> None:
    nameless = call("look").model_copy(update={"id": ""})
    conversation = Conversation([asking(nameless, nameless), result(""), result("")])
    assert valid(conversation.messages)
    assert [one.content for one in conversation.messages if one.role == "tool"] == ["result"] * 2


def test_the_callers_messages_are_not_changed() -> None:
    twins = asking(call("look", "x"), call("look", "x"))
    Conversation([twins])
    assert [one.id for one in twins.tool_calls or ()] == ["x", "x"]


def test_forgotten_prompt_leaves_what_was_before() -> None:
    conversation = Conversation([user("before")])
    length = len(conversation)
    conversation.add_user(user("after"))
    conversation.add_assistant(asking(call("look", "a")))
    conversation.forget_since(length)
    conversation.close_calls()
    assert shape(conversation) == [("user", "before")]


roles: st.SearchStrategy[Role] = st.sampled_from(["system", "user", "assistant", "tool"])
ids = st.sampled_from(["a", "b", "a_2", ""])


@st.composite
def messages(draw: st.DrawFn) -> Message:
    role = draw(roles)
    calls = draw(st.lists(ids, max_size=3)) if role == "assistant" else []
    return Message(
        role=role,
        content=draw(st.sampled_from(["", "text"])),
        tool_calls=[call("look").model_copy(update={"id": one}) for one in calls] or None,
        tool_call_id=draw(st.none() | ids) if role == "tool" else None,
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(messages(), max_size=12))
def test_any_history_becomes_a_valid_one(history: list[Message]) -> None:
    kept = Conversation(history).messages
    assert valid(kept)
    spoken = [one.content for one in history if one.role != "tool"]
    assert [one.content for one in kept if one.role != "tool"] == spoken


@settings(max_examples=100, deadline=None)
@given(st.lists(messages(), max_size=12))
def test_adopting_twice_changes_nothing(history: list[Message]) -> None:
    once = Conversation(history).messages
    assert list(Conversation(once).messages) == list(once)


def picture(call_id: str) -> Message:
    file = Attachment(media_type="image/png", data=b"x")
    return result(call_id).model_copy(update={"attachments": [file]})


def test_files_leave_the_newest_results_first_and_say_so() -> None:
    earlier = [user(), asking(call("look", "a")), picture("a"), asking(call("look", "b"))]
    conversation = Conversation([*earlier, picture("b")])
    assert conversation.hide_attachments("[no pictures]")
    assert [len(one.attachments) for one in conversation.messages] == [0, 0, 1, 0, 0]
    assert conversation.messages[-1].content == "result\n[no pictures]"
    assert conversation.hide_attachments("[none at all]")
    assert conversation.messages[2].content == "result\n[none at all]"
    assert not conversation.hide_attachments("[nothing left]")
    assert conversation.messages[-1].content == "result\n[no pictures]"

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.providers.conversations import (
    CAT,
    DOG,
    HELLO,
    HI,
    NINE,
    SYSTEM,
    ask,
    fit,
    short,
    tell,
)
from victor.providers.history import HistoryRules, own_state
from victor.types import Message, ToolCall

# ---------------------------------------------------------------------------- nothing to do

WHOLE = [
    SYSTEM,
    HI,
    ask(("a", "f"), ("b", "g")),
    tell("a", "1"),
    tell("b", "", "g"),
    ask(("c", "f"), text="Once more."),
    tell("c", "3"),
    HELLO,
    Message(role="user", attachments=[CAT]),
]


@pytest.mark.parametrize(
    "messages", [[], [HI], WHOLE, tuple(WHOLE), [HELLO, HELLO]],
    ids=["none", "one", "whole", "tuple", "the-same-twice"],
)  # fmt: skip
def test_a_fit_conversation_is_returned_as_it_is(messages: Sequence[Message]) -> None:
    found = fit(messages)
    assert found.messages is messages
    assert found.notes == ()


def test_a_call_with_bad_arguments_stays_with_its_error() -> None:
    call = ToolCall.model_validate({"id": "a", "name": "f", "arguments": "{bad"})
    messages = [HI, Message(role="assistant", tool_calls=[call]), tell("a", "Error: bad")]
    assert fit(messages).messages is messages


@pytest.mark.parametrize("state", [{"w": {"provider": "p"}}], ids=["own"])
def test_an_empty_answer_with_state_of_its_own_stays(state: dict[str, Any]) -> None:
    messages = [HI, Message(role="assistant", provider_state=state), HI]
    assert fit(messages).messages is messages


# ---------------------------------------------------------------------------- results


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([ask(("a", "f")), HI, tell("a", "1")], [["a"], ("a", "1"), "user: Hi"]),
        (
            [ask(("a", "f"), ("b", "f")), tell("b", "2"), tell("a", "1")],
            [["a", "b"], ("a", "1"), ("b", "2")],
        ),
        (
            [ask(("a", "f")), ask(("b", "f")), tell("a", "1"), tell("b", "2")],
            [["a"], ("a", "1"), ["b"], ("b", "2")],
        ),
        ([ask(("a", "f")), tell("a", "1"), tell("a", "2")], [["a"], ("a", "1\n\n2")]),
        ([ask(("a", "f")), tell("a", "1"), tell("a", "1")], [["a"], ("a", "1")]),
        ([ask(("a", "f")), tell("a", ""), tell("a", "2")], [["a"], ("a", "2")]),
        (
            [ask(("a", "f"), ("b", "f")), tell("a", "1"), tell("a", "1"), tell("b", "2")],
            [["a", "b"], ("a", "1"), ("b", "2")],
        ),
    ],
    ids=[
        "late", "out-of-order", "interleaved", "second-is-joined", "repeated-once", "blank-first",
        "second-between-others",
    ],
)  # fmt: skip
def test_results_stand_right_after_their_calls(
    messages: list[Message], expected: list[Any]
) -> None:
    found = fit(messages)
    assert short(found.messages) == expected
    assert found.notes == ()


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"name": None}, {"name": None}, ["1", "2"]),
        ({"name": "g"}, {"name": "f"}, ["2", "1"]),
        ({"name": None}, {"name": "g"}, ["1", "2"]),
    ],
    ids=["by-order", "by-name", "mixed"],
)
def test_results_without_an_id_are_told_apart_by_name_or_order(
    first: dict[str, Any], second: dict[str, Any], expected: list[str]
) -> None:
    asking = ask(("a", "f"), ("b", "g"))
    found = fit([asking, tell(None, "1", **first), tell("", "2", **second)])
    assert short(found.messages) == [["a", "b"], ("a", expected[0]), ("b", expected[1])]
    assert found.notes == ()


def test_a_lost_result_is_made_up_and_says_so() -> None:
    found = fit([HI, ask(("a", "f"), ("b", "g")), tell("b", "2", "g"), HI])
    assert short(found.messages)[1:3] == [["a", "b"], ("a", found.messages[2].content)]
    assert found.messages[2].content.startswith("Error: this call was not run")
    assert found.messages[2].name == "f"
    assert found.notes == ("Tool calls without a result get one that says so.",)


@pytest.mark.parametrize(
    "messages",
    [
        [HI, tell("z", "42")],
        [tell("a", "42"), ask(("a", "f")), tell("a", "1")],
        [ask(("a", "f")), tell("a", "1"), HELLO, tell("a", "42")],
        [ask(("a", "f")), tell("a", "1"), tell("", "42", "other")],
        [ask(("a", "f")), tell("a", "1"), tell(None, "42")],
    ],
    ids=["no-call", "before-its-call", "long-after-the-first", "other-name", "one-too-many"],
)
def test_a_result_apart_from_its_call_is_quoted_where_it_stands(messages: list[Message]) -> None:
    found = fit(messages)
    quoted = [one for one in found.messages if one.role == "user" and "42" in one.content]
    assert len(quoted) == 1
    assert quoted[0].content.startswith("[Not from the user: a result of the tool ")
    assert found.notes == ("Tool results that stand apart from their call are sent as quotations.",)


def test_a_quotation_keeps_pictures_and_needs_no_name() -> None:
    found = fit([HI, tell("z", "", None, attachments=[CAT])])
    assert found.messages[1].attachments == [CAT]
    assert "a result of a tool that" in found.messages[1].content


def test_an_empty_result_without_a_call_is_dropped_silently() -> None:
    found = fit([HI, tell("z", " \n")])
    assert short(found.messages) == ["user: Hi"]
    assert found.notes == ()


def test_joined_results_keep_each_picture_once() -> None:
    results = [
        tell("a", "1", attachments=[CAT]),
        tell("a", "", attachments=[CAT, DOG]),
    ]
    found = fit([ask(("a", "f")), *results]).messages[1]
    assert found.content == "1"
    assert found.attachments == [CAT, DOG]


@pytest.mark.parametrize("name", [None, "wrong"])
def test_a_result_gets_its_calls_name(name: str | None) -> None:
    found = fit([ask(("a", "f")), tell("a", "1", name)])
    assert found.messages[1] == tell("a", "1", "f")
    assert found.notes == ()


# ---------------------------------------------------------------------------- calls and ids


def test_calls_without_a_name_are_left_out_with_what_they_brought() -> None:
    found = fit([HI, ask(("a", ""), ("b", "f")), tell("b", "2"), tell("a", "1")])
    assert short(found.messages)[:3] == ["user: Hi", ["b"], ("b", "2")]
    assert found.messages[3].content.endswith("\n1")
    assert found.notes[0] == "Tool results that stand apart from their call are sent as quotations."
    assert found.notes[1] == "Tool calls without a name are left out."


def test_a_message_of_nameless_calls_keeps_its_text() -> None:
    found = fit([HI, ask(("a", ""), text="Let me see."), HI, ask(("b", "")), HI])
    assert short(found.messages) == [
        "user: Hi", "assistant: Let me see.", "user: Hi", "user: Hi",
    ]  # fmt: skip
    assert found.messages[1].tool_calls is None
    assert found.notes == ("Tool calls without a name are left out.",)


def test_ids_used_again_become_new_ones_for_calls_and_results_alike() -> None:
    turn = [ask(("0", "f"), ("1", "f")), tell("0", "a"), tell("1", "b")]
    messages = [HI, *turn, HI, *turn, *turn]
    found = fit(messages)
    assert found.messages[:4] == messages[:4]
    assert all(one is other for one, other in zip(found.messages, messages[:4], strict=False))
    asked = [call.id for one in found.messages for call in one.tool_calls or ()]
    answered = [one.tool_call_id for one in found.messages if one.role == "tool"]
    assert asked == answered
    assert len(set(asked)) == 6
    assert all(re.fullmatch("[a-zA-Z0-9]{24}", one) for one in asked[2:])
    assert found.notes == ()


def test_an_id_used_twice_in_one_message_belongs_to_both_results_in_order() -> None:
    found = fit([ask(("a", "f"), ("a", "g")), tell("a", "1", "g"), tell("a", "2", None)])
    assert [(one.name, one.content) for one in found.messages[1:]] == [("f", "2"), ("g", "1")]


def test_ids_the_target_does_not_take_are_mapped() -> None:
    messages = [HI, ask(("toolu_01", "f"), ("abcDEF123", "f")), tell("toolu_01", "1"),
                tell("abcDEF123", "2")]  # fmt: skip
    found = fit(messages, NINE).messages
    asked = [call.id for call in found[1].tool_calls or ()]
    assert re.fullmatch("[a-zA-Z0-9]{9}", asked[0])
    assert asked[1] == "abcDEF123"
    assert short(found)[2:] == [(asked[0], "1"), ("abcDEF123", "2")]
    assert found[3] is messages[3]


def test_a_mapped_id_is_the_same_in_every_process() -> None:
    found = fit([ask(("toolu_01", "f"))], NINE).messages[0].tool_calls
    assert found is not None
    assert found[0].id == "IZcqB2Muk"


def test_a_mapped_id_that_is_taken_gives_way() -> None:
    first = fit([ask(("toolu_01", "f"))], NINE).messages[0].tool_calls
    assert first is not None
    made = first[0].id
    found = fit([ask((made, "f")), ask(("toolu_01", "f")), ask((made, "f"))], NINE).messages
    ids = [call.id for one in found for call in one.tool_calls or ()]
    assert ids[0] == made
    assert len(set(ids)) == 3


def test_an_empty_id_is_not_an_id() -> None:
    found = fit([ask(("", "f"), ("", "g")), tell("", "1", "g"), tell("", "2", "f")]).messages
    ids = [call.id for call in found[0].tool_calls or ()]
    assert len(set(ids) - {""}) == 2
    assert short(found)[1:] == [(ids[0], "2"), (ids[1], "1")]


# ---------------------------------------------------------------------------- empty, foreign


@pytest.mark.parametrize(
    "blank",
    [
        Message(role="assistant"),
        Message(role="assistant", content=" \n"),
        Message(role="assistant", tool_calls=[]),
        Message(role="user"),
        Message(role="user", content="\t"),
        Message(role="system"),
        Message(role="user", provider_state={"w": {"provider": "p"}}),
    ],
    ids=["answer", "spaces", "no-calls", "user", "tab", "system", "user-with-state"],
)
def test_a_message_with_nothing_in_it_is_dropped_silently(blank: Message) -> None:
    found = fit([HI, blank, HELLO])
    assert short(found.messages) == ["user: Hi", "assistant: Hello"]
    assert found.notes == ()


def test_reasoning_without_an_answer_is_dropped_with_a_note() -> None:
    found = fit([HI, Message(role="assistant", reasoning="Hm.")])
    assert short(found.messages) == ["user: Hi"]
    assert found.notes == ("Reasoning that led to no answer is left out.",)


@pytest.mark.parametrize(
    ("state", "note"),
    [
        ({"v": {"provider": "q"}}, "What only q can read (v)"),
        ({"w": {"provider": "q"}}, "What only q can read (w)"),
        ({"v": {"provider": 5}}, "What only v can read (v)"),
        ({"v": 1}, "What only v can read (v)"),
    ],
    ids=["other-wire", "other-provider", "nonsense", "no-object"],
)
def test_foreign_state_is_noted_once_and_costs_no_copy(state: dict[str, Any], note: str) -> None:
    signed = Message(role="assistant", content="Hello", provider_state=state)
    messages = [HI, signed, HI, signed]
    found = fit(messages)
    assert found.messages is messages
    assert found.notes == (f"{note}, such as signed reasoning, is left out.",)


def test_foreign_state_is_noted_too_where_something_is_repaired() -> None:
    state = {"v": {"provider": "q"}}
    found = fit([HI, Message(role="assistant", provider_state=state), ask(("a", "f"))])
    assert short(found.messages)[:2] == ["user: Hi", ["a"]]
    assert len(found.notes) == 2
    assert found.notes[0].startswith("What only q can read")


def test_own_state_stays_with_a_message_whose_ids_change() -> None:
    state = {"w": {"provider": "p", "blocks": [1]}}
    message = ask(("a", "f"), provider_state=state)
    found = fit([message, tell("a", "1"), message, tell("a", "2")])
    assert found.messages[2].provider_state == state
    assert found.messages[2] is not message
    assert found.notes == ()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (None, None),
        ({}, None),
        ({"w": 1}, None),
        ({"w": {}}, None),
        ({"w": {"provider": "q"}}, None),
        ({"v": {"provider": "p"}}, None),
        ({"w": {"provider": "p", "x": 1}}, {"provider": "p", "x": 1}),
    ],
    ids=["none", "empty", "no-object", "no-provider", "other-provider", "other-wire", "own"],
)
def test_only_what_a_providers_own_wire_wrote_is_its_state(
    state: dict[str, Any] | None, expected: dict[str, Any] | None
) -> None:
    message = Message(role="assistant", content="x", provider_state=state)
    assert own_state(message, wire="w", provider="p") == expected


# ---------------------------------------------------------------------------- cost


def test_changed_messages_are_made_once() -> None:
    messages = [HI, ask(("a b", "f"), ("c d", "g")), tell("a b", "1"), tell("z", "9"), HI,
                ask(("x", ""), text="Hm")]  # fmt: skip
    first, second = fit(messages, NINE).messages, fit([*messages, HI], NINE).messages
    assert first is not second
    assert len(second) == len(first) + 1
    assert all(one is other for one, other in zip(first, second, strict=False))


def test_messages_made_for_many_targets_do_not_pile_up() -> None:
    asking = ask(("a", "f"))
    for length in range(10, 210):
        rules = HistoryRules("w", re.compile("[0-9]"), length)
        assert len(fit([asking], rules).messages[1].tool_call_id or "") == length
    kept = sum(len(kept) for kept in asking.__dict__.values() if isinstance(kept, dict))
    assert kept <= 64


def test_what_is_kept_on_a_message_does_not_show() -> None:
    plain, asking = ask(("a b", "f")), ask(("a b", "f"))
    changed = fit([asking], NINE).messages[0]
    assert asking == plain
    assert asking.model_dump_json() == plain.model_dump_json()
    assert repr(asking) == repr(plain)
    for copied in (copy.deepcopy(asking), asking.model_copy(), pickle.loads(pickle.dumps(asking))):  # noqa: S301 - our own bytes
        assert copied == plain
    assert fit([asking.model_copy()], NINE).messages[0] == changed


def test_the_work_is_linear_even_where_everything_is_wrong() -> None:
    messages = [one for n in range(3000) for one in (ask(("0", "f")), tell("1", str(n)))]
    found = fit(messages)
    assert len(found.messages) == 9000

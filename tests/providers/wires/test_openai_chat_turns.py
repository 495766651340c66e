from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from tests.providers.wires.chat_requests import (
    MISTRAL,
    PLAIN,
    called,
    message_of,
    messages_of,
    result,
    user,
)
from victor.config.model_capabilities import ModelData
from victor.providers.request import ChatRequest
from victor.providers.wires.openai_chat.encode import encode
from victor.types import Attachment, Message

PNG = Attachment(media_type="image/png", data=b"\x89PNG")
PICTURE = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()},
}
NO_SYSTEM = ModelData(system_role="user")
PERPLEXITY = replace(PLAIN, alternating=True)


def _said(sent: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(one["role"], one["content"]) for one in sent]


def _system(text: str) -> Message:
    return Message(role="system", content=text)


def _answer(text: str, **fields: Any) -> Message:
    return Message(role="assistant", content=text, **fields)


# ---------------------------------------------------------------------------- tools that show


def test_what_is_attached_to_results_follows_all_results_of_the_turn() -> None:
    history = [
        user(),
        called("c1", "c2"),
        result("c1", "Two pictures.", attachments=[PNG, PNG]),
        result("c2", "", attachments=[PNG]),
        _answer("Nice."),
    ]
    assert _said(messages_of(*history)) == [
        ("user", "Hi"),
        ("assistant", None),
        ("tool", "Two pictures."),
        ("tool", "See what is attached in the next message."),
        (
            "user",
            [
                {"type": "text", "text": "Attached to the result of look (c1):"},
                PICTURE,
                PICTURE,
            ],
        ),
        ("user", [{"type": "text", "text": "Attached to the result of look (c2):"}, PICTURE]),
        ("assistant", "Nice."),
    ]


def test_what_is_attached_to_the_last_result_is_sent_too_and_noted() -> None:
    history = [user(), called("c1"), result("c1", attachments=[PNG])]
    assert [one["role"] for one in messages_of(*history)][-2:] == ["tool", "user"]
    call = encode(ChatRequest(history, "m"), PLAIN)
    assert call.notes == (
        "What is attached to a tool's result is sent in a user message after it.",
    )
    assert encode(ChatRequest(history[:1], "m"), PLAIN).notes == ()
    assert encode(ChatRequest(history, "m"), PLAIN).body == call.body


def test_attachments_of_results_are_written_once() -> None:
    shown = result("c1", name="look", attachments=[PNG])
    history = [user(), called("c1"), shown]
    first = encode(ChatRequest(history, "m"), PLAIN).body
    _, after = vars(shown)["_openai_chat_bare"]
    assert vars(after)["_openai_chat"] in first
    assert encode(ChatRequest([*history, _answer("ok")], "m"), PLAIN).body.startswith(first[:-2])
    assert vars(shown)["_openai_chat_bare"][1] is after


# ---------------------------------------------------------------------------- system prompts


def test_a_model_without_a_system_role_finds_the_prompt_in_the_next_user_message() -> None:
    history = [
        _system("Be brief."),
        _system("Be kind."),
        user(attachments=[PNG]),
        _answer("Yes?"),
        _system("Now be rude."),
    ]
    sent = messages_of(*history, model_data=NO_SYSTEM)
    assert _said(sent) == [
        ("user", [{"type": "text", "text": "Be brief.\n\nBe kind.\n\nHi"}, PICTURE]),
        ("assistant", "Yes?"),
        ("user", "Now be rude."),
    ]
    call = encode(ChatRequest(history, "m", model_data=NO_SYSTEM), PLAIN)
    assert call.notes == ("The system prompt is sent at the beginning of a user message.",)
    assert encode(ChatRequest([user()], "m", model_data=NO_SYSTEM), PLAIN).notes == ()


def test_a_system_prompt_alone_becomes_a_users() -> None:
    assert message_of(_system("Be brief."), model_data=NO_SYSTEM) == {
        "role": "user",
        "content": "Be brief.",
    }


# ---------------------------------------------------------------------------- order of roles


def test_turns_alternate_where_they_have_to() -> None:
    history = [
        _system("a"),
        _system("b"),
        user("c"),
        user("d", attachments=[PNG]),
        _answer("e"),
        called("c1", "c2", content="f"),
        result("c1"),
        result("c2"),
        user("g"),
    ]
    assert _said(messages_of(*history, vendor=PERPLEXITY)) == [
        ("system", "a\n\nb"),
        ("user", [{"type": "text", "text": "c\n\nd"}, PICTURE]),
        ("assistant", "e\n\nf"),
        ("tool", "seen"),
        ("tool", "seen"),
        ("user", "g"),
    ]
    assert len(messages_of(*history, vendor=PERPLEXITY)[2]["tool_calls"]) == 2
    assert len(messages_of(*history)) == len(history)


def test_mistral_never_sees_a_user_right_after_a_tool() -> None:
    history = [user(), called("abcdefghi"), result("abcdefghi"), user("And?")]
    assert _said(messages_of(*history, vendor=MISTRAL)) == [
        ("user", "Hi"),
        ("assistant", None),
        ("tool", "seen"),
        ("assistant", "OK"),
        ("user", "And?"),
    ]
    shown = [user(), called("abcdefghi"), result("abcdefghi", attachments=[PNG])]
    roles = [one["role"] for one in messages_of(*shown, vendor=MISTRAL)]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert [one["role"] for one in messages_of(*history)] == ["user", "assistant", "tool", "user"]


def test_mistral_is_told_that_the_last_word_is_a_beginning() -> None:
    history = [user(), _answer("Roses are")]
    assert messages_of(*history, vendor=MISTRAL)[-1] == {
        "role": "assistant",
        "content": "Roses are",
        "prefix": True,
    }
    longer = messages_of(*history, user("Go on"), vendor=MISTRAL)
    assert all("prefix" not in one for one in longer)
    assert all("prefix" not in one for one in messages_of(*history))
    assert messages_of(vendor=MISTRAL) == []


@pytest.mark.parametrize("vendor", [PLAIN, MISTRAL, PERPLEXITY], ids=["plain", "mistral", "pplx"])
@pytest.mark.parametrize("known", [ModelData(), NO_SYSTEM], ids=["system", "none"])
def test_a_longer_conversation_begins_with_the_same_bytes(vendor: Any, known: ModelData) -> None:
    history = [_system("s"), user(), called("c1"), result("c1", attachments=[PNG]), _answer("ok")]
    longer = [*history, user("more"), called("c1"), result("c1"), _answer("fine"), user("end")]

    def body(messages: list[Message]) -> bytes:
        return encode(ChatRequest(messages, "m", model_data=known), vendor).body

    begun = body(history).removesuffix(b"]}").removesuffix(b',"prefix":true}')
    assert body(longer).startswith(begun)
    assert body([one.model_copy() for one in longer]) == body(longer)

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from tests.providers.wires.bodies import fragments, piece, read_stream, read_whole
from tests.providers.wires.chat_requests import (
    MISTRAL,
    PLAIN,
    body_of,
    called,
    message_of,
    messages_of,
    result,
    user,
)
from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.types import Attachment, Message, ToolCall

PNG = b"\x89PNG\r\n\x1a\n\xff"
PNG_64 = base64.b64encode(PNG).decode()
ECHO = ModelData(echo_reasoning=True)


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
    assert message_of(user("Look:", attachments=[attachment]))["content"] == [text, part]
    assert message_of(user("", attachments=[attachment]))["content"] == [part]


@pytest.mark.parametrize(
    ("attachment", "message"),
    [
        (
            Attachment(media_type="video/mp4", data=b"x"),
            "cannot carry video/mp4",
        ),
        (
            Attachment(media_type="application/zip", data=b"x"),
            "cannot carry application/zip: put its text",
        ),
        (
            Attachment(media_type="application/pdf", url="https://a.example/b.pdf"),
            r"application/pdf by its bytes only: pass data, as `await fetched",
        ),
        (
            Attachment(media_type="audio/wav", url="https://a.example/b.wav"),
            "audio/wav by its bytes only",
        ),
        (
            Attachment(media_type="text/html", url="https://a.example/"),
            "text/html by its bytes only",
        ),
    ],
    ids=["video", "archive", "pdf by url", "audio by url", "text by url"],
)
def test_an_attachment_the_api_cannot_carry_is_refused_with_the_way_out(
    attachment: Attachment, message: str
) -> None:
    with pytest.raises(UnsupportedFeatureError, match=message):
        message_of(user(attachments=[attachment]))


@pytest.mark.parametrize(
    ("media_type", "head"),
    [
        ("text/plain", "File notes (text/plain):\n"),
        ("TEXT/Markdown; charset=utf-8", "File notes (text/markdown):\n"),
        ("application/json", "File notes (application/json):\n"),
        ("application/ld+json", "File notes (application/ld+json):\n"),
        ("image/svg+xml", None),
    ],
)
def test_a_text_document_is_put_into_the_message(media_type: str, head: str | None) -> None:
    attachment = Attachment(media_type=media_type, data=b"a \xc3\xbc \xff", name="notes")
    (part,) = message_of(user("", attachments=[attachment]))["content"]
    if head is None:
        assert part["type"] == "image_url"
    else:
        assert part == {"type": "text", "text": head + "a ü \ufffd"}


def test_a_text_document_without_a_name_says_so() -> None:
    attachment = Attachment(media_type="text/csv", data=b"a,b")
    (part,) = message_of(user("", attachments=[attachment]))["content"]
    assert part["text"] == "File without a name (text/csv):\na,b"


def test_mistral_takes_documents_also_by_url() -> None:
    by_url = Attachment(media_type="application/pdf", url="https://a.example/b.pdf")
    by_data = Attachment(media_type="application/pdf", data=PNG)
    content = message_of(user("", attachments=[by_url, by_data]), vendor=MISTRAL)["content"]
    assert content == [
        {"type": "document_url", "document_url": "https://a.example/b.pdf"},
        {"type": "document_url", "document_url": f"data:application/pdf;base64,{PNG_64}"},
    ]


# ---------------------------------------------------------------------------- names, roles


def test_a_speakers_name_is_made_acceptable() -> None:
    assert message_of(user(name="Ada <L>/x"))["name"] == "Ada_L_x"


def test_unknown_fields_stay_away_where_they_are_refused() -> None:
    vendor = replace(PLAIN, strict_fields=True)
    history = [user(name="ada"), called("c1"), result("c1", name="look")]
    assert [set(one) for one in messages_of(*history, vendor=vendor)] == [
        {"role", "content"},
        {"role", "content", "tool_calls"},
        {"role", "content", "tool_call_id"},
    ]
    # The bytes for one vendor are not those for another, although both are kept.
    assert "name" in messages_of(*history)[0]
    assert "name" not in messages_of(*history, vendor=vendor)[2]


@pytest.mark.parametrize(
    ("known", "role"), [(None, "system"), ("system", "system"), ("developer", "developer")]
)
def test_the_system_prompt_has_the_role_the_model_knows(known: Any, role: str) -> None:
    prompt = Message(role="system", content="Be brief.")
    sent = messages_of(prompt, user(), model_data=ModelData(system_role=known))
    assert sent[0] == {"role": role, "content": "Be brief."}
    assert messages_of(prompt, user())[0]["role"] == "system"


# ---------------------------------------------------------------------------- earlier reasoning


def test_reasoning_goes_back_where_the_model_needs_it() -> None:
    thought = Message(role="assistant", content="Yes.", reasoning="hm")
    history = [user(), thought, user(), called("c1", reasoning="why"), result("c1"), called("c2")]
    sent = messages_of(*history, model_data=ECHO)
    echoed = [one.get("reasoning_content") for one in sent if one["role"] == "assistant"]
    assert echoed == ["hm", "why", " "]
    other = replace(PLAIN, reasoning_name="reasoning")
    assert messages_of(*history, vendor=other, model_data=ECHO)[1]["reasoning"] == "hm"
    for silent in (ModelData(), ModelData(echo_reasoning=False)):
        assert all(
            "reasoning_content" not in one and "reasoning" not in one
            for one in messages_of(*history, model_data=silent)
        )


def test_an_answer_without_reasoning_stays_without() -> None:
    said = Message(role="assistant", content="Yes.")
    assert messages_of(user(), said, model_data=ECHO)[1] == {"role": "assistant", "content": "Yes."}


def test_mistral_gets_reasoning_as_parts_of_the_content() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    said = Message(role="assistant", content="Yes.", reasoning="hm")
    sent = messages_of(user(), said, user(), vendor=MISTRAL, model_data=ECHO)
    assert sent[1]["content"] == [thinking, {"type": "text", "text": "Yes."}]
    asked = called("abcdefghi", reasoning="hm")
    sent = messages_of(user(), asked, vendor=MISTRAL, model_data=ECHO)
    assert sent[1]["content"] == [thinking]
    sent = messages_of(user(), called("abcdefghi"), vendor=MISTRAL, model_data=ECHO)
    assert sent[1]["content"] is None
    sent = messages_of(user(), said, user(), vendor=MISTRAL)
    assert sent[1]["content"] == "Yes."


def _again(answer: Any, provider: str = "acme") -> dict[str, Any]:
    message = Message.model_validate_json(answer.to_message().model_dump_json())
    return messages_of(user(), message, vendor=replace(PLAIN, name=provider))[1]


def test_what_a_provider_signed_goes_back_to_it_and_to_nobody_else() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "index": 0, "signature": "s"}]
    signed = {"google": {"thought_signature": "t"}}
    calls = fragments(
        piece("f", "{}", id="c1", extra_content=signed), piece("g", '{"a":1}', id="c2")
    )
    answer = read_whole(
        {"content": "Yes.", "reasoning_details": details, "extra_content": signed, **calls}
    )
    sent = _again(answer)
    assert sent["reasoning_details"] == details
    assert sent["extra_content"] == signed
    assert [call.get("extra_content") for call in sent["tool_calls"]] == [signed, None]
    other = _again(answer, "other")
    assert set(other) == {"role", "content", "tool_calls"}
    assert all("extra_content" not in call for call in other["tool_calls"])


def test_signatures_of_a_stream_are_kept_with_their_calls() -> None:
    signed = {"google": {"thought_signature": "t"}}
    _, final = read_stream(
        fragments(piece("f", '{"a":', index=0, id="c1")),
        fragments(piece(None, "1}", index=0, extra_content=signed)),
        fragments(piece("g", "{}", index=1, id="c2")),
    )
    assert final.provider_state == {"openai-chat": {"provider": "acme", "calls": [signed, None]}}


def test_state_that_does_not_fit_the_calls_is_left_alone() -> None:
    state = {"openai-chat": {"provider": "test", "calls": [{"google": 1}]}}
    message = called("c1", "c2", provider_state=state)
    sent = messages_of(user(), message)[1]
    assert all("extra_content" not in call for call in sent["tool_calls"])


# ---------------------------------------------------------------------------- ids


@pytest.mark.parametrize("call_id", ["call_1", "functions.look:0", "toolu_01-A", "x" * 128])
def test_an_id_that_anybody_accepts_is_kept(call_id: str) -> None:
    sent = messages_of(user(), called(call_id), result(call_id))
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == call_id


@pytest.mark.parametrize("call_id", ["x" * 41, "x" * 129, "a b", "ü", "a|b"])
def test_an_id_that_may_be_refused_is_mapped_with_its_result(call_id: str) -> None:
    vendor = replace(PLAIN, lacks=("long_ids",))
    first = messages_of(user(), called(call_id), result(call_id), vendor=vendor)
    mapped = first[1]["tool_calls"][0]["id"]
    assert mapped == first[2]["tool_call_id"] != call_id
    assert len(mapped) <= 40
    assert first == messages_of(user(), called(call_id), result(call_id), vendor=vendor)
    kept = messages_of(user(), called(call_id), result(call_id))[2]["tool_call_id"] == call_id
    assert kept is (call_id == "x" * 41)


@pytest.mark.parametrize(("call_id", "kept"), [("abcDEF123", True), ("call_1", False)])
def test_mistral_gets_ids_of_nine_letters_and_digits(call_id: str, kept: bool) -> None:
    sent = messages_of(user(), called(call_id), result(call_id), vendor=MISTRAL)
    mapped = sent[1]["tool_calls"][0]["id"]
    assert mapped == sent[2]["tool_call_id"]
    assert (mapped == call_id) is kept
    assert len(mapped) == 9
    assert mapped.isalnum()
    assert sent[2]["name"] == "look"


def test_signatures_survive_mapped_ids() -> None:
    state = {"openai-chat": {"provider": "test", "calls": [{"google": 1}]}}
    message = Message(
        role="assistant", tool_calls=[ToolCall(id="a b", name="f")], provider_state=state
    )
    (call,) = messages_of(user(), message)[1]["tool_calls"]
    assert call["id"] != "a b"
    assert call["extra_content"] == {"google": 1}


def test_every_reply_has_its_call_in_the_body() -> None:
    body = body_of(user(), called("c1", "c2"), result("c2"))
    assert [one["role"] for one in body["messages"]] == ["user", "assistant", "tool", "tool"]
    assert [one["tool_call_id"] for one in body["messages"][2:]] == ["c1", "c2"]

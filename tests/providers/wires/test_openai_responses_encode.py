from __future__ import annotations

import json

import pytest

from tests.providers.wires.responses_requests import (
    AZURE,
    CALL,
    OPENAI,
    PLAIN,
    Json,
    body_of,
    items_of,
    system,
    user,
)
from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.providers.request import ChatRequest
from victor.providers.wires.openai_responses.wire import OpenAIResponses
from victor.types import Attachment, Message, ToolCall


def test_a_request_says_no_more_than_it_was_given() -> None:
    assert body_of(user()) == {"model": "m", "input": [{"role": "user", "content": "Hi"}]}


def test_a_conversation_becomes_items() -> None:
    assert items_of(
        user("1 + 1?", name="ada"),
        Message(role="assistant", content="Let me see.", tool_calls=[CALL], reasoning="Hm."),
        Message(role="tool", content="2", tool_call_id="c1", name="add"),
        Message(role="assistant", content="2"),
    ) == [
        {"role": "user", "content": "1 + 1?"},
        {"type": "message", "role": "assistant", "content": "Let me see."},
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "add",
            "arguments": '{"a":1,"b":[2,null,"ü"]}',
        },
        {"type": "function_call_output", "call_id": "c1", "output": "2"},
        {"type": "message", "role": "assistant", "content": "2"},
    ]


def test_arguments_that_did_not_parse_are_not_sent_back() -> None:
    bad = ToolCall(id="c1", name="add", raw_arguments="{", error="no JSON")
    asked = Message(role="assistant", tool_calls=[bad])
    assert items_of(user(), asked)[1]["arguments"] == "{}"


def test_a_conversation_that_was_repaired_says_so() -> None:
    asked = ChatRequest([user(), Message(role="assistant", tool_calls=[CALL])], "m")
    call = OpenAIResponses(PLAIN).encode(asked)
    assert json.loads(call.body)["input"][-1]["type"] == "function_call_output"
    assert call.notes


def test_ids_that_are_too_long_are_mapped_on_both_sides() -> None:
    long = ToolCall(id="x" * 65, name="add", arguments={})
    _, asked, answered = items_of(
        user(),
        Message(role="assistant", tool_calls=[long]),
        Message(role="tool", content="2", tool_call_id=long.id, name="add"),
    )
    assert asked["call_id"] == answered["call_id"]
    assert len(asked["call_id"]) <= 64


# ------------------------------------------------------------------------ system prompts


def test_leading_system_messages_are_the_instructions() -> None:
    body = body_of(system("Be brief."), system("Be kind."), user())
    assert body["instructions"] == "Be brief.\n\nBe kind."
    assert body["input"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("vendor", "known", "role"),
    [
        (OPENAI, ModelData(), "developer"),
        (AZURE, ModelData(), "developer"),
        (PLAIN, ModelData(), "system"),
        (PLAIN, ModelData(system_role="developer"), "developer"),
    ],
    ids=["openai", "azure", "others", "model"],
)
def test_later_system_messages_stay_where_they_are(
    vendor: Vendor, known: ModelData, role: str
) -> None:
    body = body_of(system("a"), user(), system("b"), vendor=vendor, model_data=known)
    assert body["instructions"] == "a"
    assert body["input"][1] == {"role": role, "content": "b"}


def test_a_model_without_system_prompts_gets_them_from_the_user() -> None:
    body = body_of(system("a"), user(), model_data=ModelData(system_role="user"))
    assert "instructions" not in body
    assert body["input"][0] == {"role": "user", "content": "a"}


def test_nothing_but_system_messages_is_still_an_input() -> None:
    body = body_of(system("a"))
    assert "instructions" not in body
    assert body["input"] == [{"role": "system", "content": "a"}]


def test_a_system_message_with_a_picture_is_an_item() -> None:
    picture = Attachment(media_type="image/png", url="https://x.test/a.png")
    body = body_of(system("a", attachments=[picture]), user())
    assert "instructions" not in body
    assert body["input"][0]["content"][1]["type"] == "input_image"


# --------------------------------------------------------------------------- attachments


@pytest.mark.parametrize(
    ("attachment", "part"),
    [
        (
            Attachment(media_type="image/png", data=b"\x00"),
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
        ),
        (
            Attachment(media_type="image/png", url="https://x.test/a"),
            {"type": "input_image", "image_url": "https://x.test/a", "detail": "auto"},
        ),
        (
            Attachment(media_type="application/pdf", data=b"\x00", name="a.pdf"),
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,AA==",
            },
        ),
        (
            Attachment(media_type="application/json", data=b"{}"),
            {
                "type": "input_file",
                "filename": "file.json",
                "file_data": "data:application/json;base64,e30=",
            },
        ),
        (
            Attachment(media_type="application/pdf", url="https://x.test/a"),
            {"type": "input_file", "file_url": "https://x.test/a"},
        ),
        (
            Attachment(media_type="text/plain", url="data:text/plain;base64,AA=="),
            {
                "type": "input_file",
                "filename": "file.txt",
                "file_data": "data:text/plain;base64,AA==",
            },
        ),
        (
            Attachment(media_type="text/x-python", data=b"x = 1", name="a.py"),
            {"type": "input_text", "text": "a.py:\nx = 1"},
        ),
        (
            Attachment(media_type="text/plain", data="ü".encode()),
            {"type": "input_text", "text": "ü"},
        ),
        (
            Attachment(media_type="text/plain", data=b"\xff"),
            {
                "type": "input_file",
                "filename": "file.txt",
                "file_data": "data:text/plain;base64,/w==",
            },
        ),
    ],
    ids=[
        "image",
        "image url",
        "pdf",
        "json",
        "pdf url",
        "data url",
        "named text",
        "text",
        "not utf-8",
    ],
)
def test_attachments_become_parts_of_messages_and_of_results(
    attachment: Attachment, part: Json
) -> None:
    _, asked, result = items_of(
        user("See:", attachments=[attachment]),
        Message(role="assistant", tool_calls=[CALL]),
        Message(role="tool", tool_call_id="c1", name="add", attachments=[attachment]),
    )
    (first, *_) = items_of(user("See:", attachments=[attachment]))
    assert first["content"] == [{"type": "input_text", "text": "See:"}, part]
    assert asked["type"] == "function_call"
    assert result["output"] == [part]


@pytest.mark.parametrize(
    ("attachment", "words"),
    [
        (Attachment(media_type="audio/wav", data=b""), "audio/wav"),
        (Attachment(media_type="application/zip", url="https://x.test/a"), "application/zip"),
        (Attachment(media_type="image/png", url="gs://bucket/a"), "pass the bytes"),
    ],
    ids=["audio", "archive", "address"],
)
def test_what_cannot_be_carried_says_what_to_do(attachment: Attachment, words: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=words):
        body_of(user(attachments=[attachment]))

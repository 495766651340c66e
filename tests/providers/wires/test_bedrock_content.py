from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.wires.test_bedrock_encode import (
    CALL,
    CLAUDE,
    LLAMA,
    NOVA,
    encoded,
    result,
    said,
    text,
    turns,
    user,
)
from victor.config.model_capabilities import ModelData
from victor.errors import ProviderError, UnsupportedFeatureError
from victor.types import Attachment, Message, ToolCall

SIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}


def kept(*blocks: object, provider: str = "bedrock", model: str = CLAUDE) -> dict[str, Any]:
    return {"bedrock": {"provider": provider, "model": model, "blocks": list(blocks)}}


BLOCKS = (SIGNED, text("Well."), text(" "), {"toolUse": {"toolUseId": "c0", "name": "add"}})
ANSWER = said("Well. ", tool_calls=[CALL], provider_state=kept(*BLOCKS))
USED = {"toolUse": {"toolUseId": "c1", "name": "add", "input": {"a": 1}}}


def answered(message: Message, model: str = CLAUDE) -> list[Any]:
    stored = Message.model_validate_json(message.model_dump_json())
    found: list[Any] = turns(user(), stored, result("3"), model=model)[1]["content"]
    return found


def test_an_answer_goes_back_as_it_came_with_the_ids_the_history_has() -> None:
    assert answered(ANSWER) == [SIGNED, text("Well."), USED]
    assert answered(ANSWER, "eu.anthropic.claude-opus-5-v1:0") == [SIGNED, text("Well."), USED]


@pytest.mark.parametrize(
    ("message", "model"),
    [
        (ANSWER, NOVA),
        (ANSWER.model_copy(update={"provider_state": kept(*BLOCKS, provider="other")}), CLAUDE),
        (ANSWER.model_copy(update={"provider_state": kept(SIGNED, text("Well. "))}), CLAUDE),
        (
            ANSWER.model_copy(
                update={"provider_state": kept(*BLOCKS, {"toolUse": {"toolUseId": "x"}})}
            ),
            CLAUDE,
        ),
        (ANSWER.model_copy(update={"provider_state": kept(*BLOCKS[:2], *BLOCKS[3:])}), CLAUDE),
        (
            ANSWER.model_copy(
                update={"provider_state": {"bedrock": {"provider": "bedrock", "blocks": 5}}}
            ),
            CLAUDE,
        ),
    ],
    ids=["family", "provider", "fewer calls", "more calls", "other text", "junk"],
)
def test_what_somebody_else_wrote_or_changed_is_told_plainly(message: Message, model: str) -> None:
    assert answered(message, model) == [text("Well. "), USED]


def test_what_the_servers_ran_goes_back_in_its_place() -> None:
    ran = {"toolUse": {"toolUseId": "s", "name": "run", "input": {}, "type": "server_tool_use"}}
    state = kept(ran, {"toolResult": {"toolUseId": "s"}}, None, text("2"), model=NOVA)
    found = turns(user(), said("2", provider_state=state), user(), model=NOVA)
    assert found[1]["content"] == [ran, {"toolResult": {"toolUseId": "s"}}, text("2")]


def test_unsigned_reasoning_does_not_go_back() -> None:
    thinks = ModelData(echo_reasoning=True)
    found = turns(user(), said("Yes.", reasoning="Hm."), user(), model_data=thinks)
    assert found[1]["content"] == [text("Yes.")]


# ------------------------------------------------------------------ attachments


def file(media_type: str, name: str | None = None, data: bytes = b"abc") -> Attachment:
    return Attachment(media_type=media_type, data=data, name=name)


@pytest.mark.parametrize(
    ("media_type", "kind", "form"),
    [
        ("image/png", "image", "png"),
        ("image/JPG", "image", "jpeg"),
        ("application/pdf", "document", "pdf"),
        ("text/csv; charset=utf-8", "document", "csv"),
        ("text/x-python", "document", "txt"),
        ("application/json", "document", "txt"),
        ("video/quicktime", "video", "mov"),
        ("audio/mpeg", "audio", "mp3"),
    ],
)
def test_attachments_go_before_the_text_in_a_block_of_their_kind(
    media_type: str, kind: str, form: str
) -> None:
    content = turns(user("What is it?", attachments=[file(media_type)]))[0]["content"]
    assert content[1] == text("What is it?")
    block = content[0][kind]
    assert block["format"] == form
    assert block["source"] == {"bytes": base64.b64encode(b"abc").decode()}
    assert block.get("name") == ("document" if kind == "document" else None)


def test_attachments_without_words_get_some() -> None:
    content = turns(user("", attachments=[file("application/pdf")]))[0]["content"]
    assert content[1] == text("See what is attached.")


def test_documents_have_names_that_are_allowed_and_their_own() -> None:
    names = [
        "/x/Ünï_code: (v2).pdf",
        None,
        "report.pdf",
        "report.txt",
        "report 2",
        "..",
        "a" * 300,
    ]
    messages = [user(attachments=[file("application/pdf", name)]) for name in names]
    found = [one["document"]["name"] for one in turns(*messages)[0]["content"] if "document" in one]
    assert found == [
        "n code (v2)",
        "document",
        "report",
        "report 2",
        "report 2 2",
        "document 2",
        "a" * 180,
    ]
    longer = turns(*messages, said("ok"), user(attachments=[file("text/plain", "report.md")]))
    assert [one["document"]["name"] for one in longer[0]["content"] if "document" in one] == found
    assert longer[2]["content"][0]["document"]["name"] == "report 3"


def test_a_tool_s_result_carries_images_and_documents() -> None:
    shot = result("A picture.", attachments=[file("image/png"), file("text/plain", "log.txt")])
    content = turns(user(), said(tool_calls=[CALL]), shot)[2]["content"][0]["toolResult"]["content"]
    assert [next(iter(one)) for one in content] == ["text", "image", "document"]


def test_an_address_in_s3_is_handed_over() -> None:
    film = Attachment(media_type="video/mp4", url="s3://bucket/film.mp4")
    block = turns(user("?", attachments=[film]))[0]["content"][0]
    assert block["video"]["source"] == {"s3Location": {"uri": "s3://bucket/film.mp4"}}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (user(attachments=[file("application/zip")]), "application/zip"),
        (
            user(attachments=[Attachment(media_type="image/png", url="https://h/a.png")]),
            r"fetched\(attachment\)",
        ),
    ],
    ids=["kind", "address"],
)
def test_what_cannot_be_carried_says_what_to_do(message: Message, told: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=told):
        encoded(message)


def test_audio_in_a_tool_s_result_is_refused() -> None:
    heard = result("", attachments=[file("audio/wav")])
    with pytest.raises(UnsupportedFeatureError, match="attach it to a user's message"):
        encoded(user(), said(tool_calls=[CALL]), heard)


ROLES = st.sampled_from(["system", "user", "assistant", "tool"])
SOME = st.builds(
    Message,
    role=ROLES,
    content=st.sampled_from(["", " ", "x", "Error: y"]),
    tool_call_id=st.sampled_from([None, "c1", "c2"]),
    tool_calls=st.none()
    | st.lists(st.sampled_from([CALL, ToolCall(id="é", name="b")]), max_size=2),
    attachments=st.lists(st.just(file("text/plain", "a.txt")), max_size=1),
    provider_state=st.none() | st.just(kept(*BLOCKS)),
)


@given(messages=st.lists(SOME, max_size=7), model=st.sampled_from([CLAUDE, NOVA, LLAMA]))
@settings(max_examples=150)
def test_any_history_is_turns_that_alternate_without_blanks(
    messages: list[Message], model: str
) -> None:
    try:
        found = turns(*messages, model=model)
    except ProviderError:
        return
    roles = [one["role"] for one in found]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    waiting: list[str] = []
    for one in found:
        answered_ids = [b["toolResult"]["toolUseId"] for b in one["content"] if "toolResult" in b]
        assert answered_ids == waiting
        waiting = [b["toolUse"]["toolUseId"] for b in one["content"] if "toolUse" in b]
        assert all(b.get("text", "x").strip() for b in one["content"])
    assert turns(*messages, model=model) == found

from __future__ import annotations

import base64
from typing import Any

import pytest

from victor.errors import UnsupportedFeatureError
from victor.providers.wires.anthropic.content import blocks_of, has_thinking
from victor.types import Attachment, JsonObject, Message, ToolCall

PNG = b"\x89PNG\r\n\x1a\n\xff"
PNG_64 = base64.b64encode(PNG).decode()
SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "sig=="}
UNSIGNED = {"type": "thinking", "thinking": "Hm.", "signature": ""}
REDACTED = {"type": "redacted_thinking", "data": "x/y+z=="}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "a"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"url": "u"}]}
CALL = ToolCall(id="toolu_1", name="add", arguments={"a": 1})
USE = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}


def _blocks(message: Message, *, unsigned: bool = False) -> list[JsonObject]:
    return blocks_of(message, provider="acme", unsigned=unsigned)


def _answer(*blocks: Any, provider: str = "acme", **fields: Any) -> Message:
    state = {"anthropic": {"provider": provider, "blocks": list(blocks)}}
    return Message(role="assistant", provider_state=state, **fields)


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _attached(media_type: str, **fields: Any) -> list[JsonObject]:
    attachment = Attachment(media_type=media_type, **fields)
    return _blocks(Message(role="user", attachments=[attachment]))


# ---------------------------------------------------------------------------- plain messages


@pytest.mark.parametrize(
    ("message", "blocks"),
    [
        (Message(role="user", content="Hi"), [_text("Hi")]),
        (Message(role="system", content="Be brief."), [_text("Be brief.")]),
        (Message(role="user", content=" \n"), []),
        (Message(role="assistant", content="Yes"), [_text("Yes")]),
        (Message(role="assistant", content="", reasoning="hm"), []),
        (Message(role="assistant", content="\n\n", tool_calls=[CALL]), [USE]),
        (Message(role="assistant", content="So:", tool_calls=[CALL]), [_text("So:"), USE]),
    ],
    ids=["user", "system", "blank", "assistant", "foreign reasoning", "call after blank", "call"],
)
def test_a_message_is_its_text_and_its_calls(message: Message, blocks: list[JsonObject]) -> None:
    assert _blocks(message) == blocks


def test_arguments_that_did_not_parse_are_not_sent_back() -> None:
    call = ToolCall(id="toolu_1", name="add", raw_arguments="{", error="no JSON")
    assert _blocks(Message(role="assistant", tool_calls=[call])) == [{**USE, "input": {}}]


@pytest.mark.parametrize(
    ("content", "rest"),
    [
        ("42", {"content": "42"}),
        ("", {}),
        ("  ", {}),
        ("Error: no such file", {"content": "Error: no such file", "is_error": True}),
        ("No Error: here", {"content": "No Error: here"}),
    ],
    ids=["text", "nothing", "blank", "error", "error in the middle"],
)
def test_a_result_names_its_call(content: str, rest: JsonObject) -> None:
    message = Message(role="tool", content=content, tool_call_id="toolu_1", name="add")
    assert _blocks(message) == [{"type": "tool_result", "tool_use_id": "toolu_1", **rest}]


def test_a_result_may_have_images_which_no_error_may() -> None:
    image = Attachment(media_type="image/png", data=PNG)
    message = Message(role="tool", content="Error: see", tool_call_id="t", attachments=[image])
    (result,) = _blocks(message)
    assert [block["type"] for block in result["content"]] == ["text", "image"]
    assert "is_error" not in result


# ---------------------------------------------------------------------------- attachments


@pytest.mark.parametrize(
    ("media_type", "fields", "block"),
    [
        (
            "image/png",
            {"data": PNG},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PNG_64},
            },
        ),
        (
            "image/JPG",
            {"data": PNG},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/jpeg", "data": PNG_64},
            },
        ),
        (
            "image/webp",
            {"url": "https://e.org/a.webp"},
            {"type": "image", "source": {"type": "url", "url": "https://e.org/a.webp"}},
        ),
        (
            "application/pdf",
            {"data": PNG, "name": "a.pdf"},
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PNG_64},
                "title": "a.pdf",
            },
        ),
        (
            "application/pdf",
            {"url": "https://e.org/a.pdf"},
            {"type": "document", "source": {"type": "url", "url": "https://e.org/a.pdf"}},
        ),
        (
            "text/csv; charset=utf-8",
            {"data": "ä,b".encode()},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "ä,b"},
            },
        ),
        (
            "application/ld+json",
            {"data": b"\xef\xbb\xbf{}"},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "{}"},
            },
        ),
    ],
    ids=["png", "jpg", "image by url", "pdf", "pdf by url", "csv", "json with a mark"],
)
def test_attachments_become_images_and_documents(
    media_type: str, fields: Any, block: JsonObject
) -> None:
    assert _attached(media_type, **fields) == [block]


def test_what_is_asked_about_stands_before_the_question() -> None:
    image = Attachment(media_type="image/gif", data=b"GIF")
    blocks = _blocks(Message(role="user", content="What?", attachments=[image]))
    assert [block["type"] for block in blocks] == ["image", "text"]


@pytest.mark.parametrize(
    ("media_type", "fields", "says"),
    [
        ("image/bmp", {"data": b"BM"}, "cannot carry image/bmp: images are JPEG"),
        ("audio/mpeg", {"data": b"ID3"}, "cannot carry audio/mpeg"),
        ("image/png", {"url": "http://e.org/a.png"}, "from https addresses only.*fetched"),
        ("text/plain", {"url": "https://e.org/a.txt"}, "by its bytes only.*fetched"),
        ("text/plain", {"data": b"\xff\xfe", "name": "a.txt"}, "a.txt is text/plain but not UTF-8"),
        ("text/plain", {"data": b"\xff\xfe"}, "the attachment is text/plain but not UTF-8"),
    ],
    ids=["bmp", "audio", "http", "text by url", "not utf-8", "nameless"],
)
def test_what_cannot_be_carried_is_refused_with_the_way_out(
    media_type: str, fields: Any, says: str
) -> None:
    with pytest.raises(UnsupportedFeatureError, match=says):
        _attached(media_type, **fields)


# ---------------------------------------------------------------------------- replay


def test_an_answer_goes_back_as_it_came() -> None:
    cited = {"type": "text", "text": "It is.", "citations": [{"type": "x", "file_id": None}]}
    answer = _answer(
        SIGNED,
        REDACTED,
        _text("Let me look."),
        SEARCH,
        FOUND,
        cited,
        SIGNED,
        {"type": "tool_use", "caller": {"type": "code_execution_20260120", "tool_id": "s"}},
        content="Let me look.It is.",
        tool_calls=[CALL],
    )
    assert _blocks(answer) == [
        SIGNED,
        REDACTED,
        _text("Let me look."),
        SEARCH,
        FOUND,
        {**cited, "citations": [{"type": "x"}]},
        SIGNED,
        {**USE, "caller": {"type": "code_execution_20260120", "tool_id": "s"}},
    ]


def test_the_answer_of_another_vendor_goes_without_its_state() -> None:
    answer = _answer(SIGNED, _text("Hi"), content="Hi", provider="other")
    assert _blocks(answer) == [_text("Hi")]
    assert not has_thinking(answer, provider="acme")
    assert has_thinking(answer, provider="other")


def test_calls_carry_the_ids_the_history_has() -> None:
    other = ToolCall(id="mapped-2", name="sub", arguments={"b": 2})
    answer = _answer(SIGNED, {"type": "tool_use"}, {"type": "tool_use"}, tool_calls=[CALL, other])
    assert [block.get("id") for block in _blocks(answer)] == [None, "toolu_1", "mapped-2"]


def test_what_came_after_the_blocks_follows_them() -> None:
    answer = _answer(SEARCH, FOUND, content="And so.", tool_calls=[CALL])
    assert _blocks(answer) == [SEARCH, FOUND, _text("And so."), USE]


@pytest.mark.parametrize(
    "answer",
    [
        _answer(SIGNED, SEARCH, FOUND, _text("Long text"), content="Short"),
        _answer(SIGNED, SEARCH, {"type": "tool_use"}, content="Short"),
    ],
    ids=["text changed", "call taken away"],
)
def test_of_an_answer_somebody_changed_only_the_thinking_stays(answer: Message) -> None:
    assert _blocks(answer) == [SIGNED, _text("Short")]


def test_blank_text_between_blocks_is_dropped() -> None:
    answer = _answer(SIGNED, _text("\n\n"), {"type": "tool_use"}, content="\n\n", tool_calls=[CALL])
    assert _blocks(answer) == [SIGNED, USE]


def test_no_answer_ends_in_thinking() -> None:
    assert _blocks(_answer(_text("Hi"), SIGNED, REDACTED, content="Hi")) == [_text("Hi")]
    assert _blocks(_answer(SIGNED)) == []


def test_unsigned_thinking_goes_back_only_where_it_is_wanted() -> None:
    answer = _answer(UNSIGNED, _text("Hi"), content="Hi")
    assert _blocks(answer) == [_text("Hi")]
    assert _blocks(answer, unsigned=True) == [UNSIGNED, _text("Hi")]
    assert not has_thinking(answer, provider="acme")


@pytest.mark.parametrize(
    "blocks",
    [None, "text", [None, 1, {}, {"type": 3}], [{"type": "text", "text": 5}], {"type": "text"}],
    ids=["null", "text", "no blocks", "odd text", "object"],
)
def test_a_damaged_state_is_no_state(blocks: Any) -> None:
    state = {"anthropic": {"provider": "acme", "blocks": blocks}}
    assert _blocks(Message(role="assistant", content="Hi", provider_state=state)) == [_text("Hi")]


def test_thinking_is_found_where_it_is_signed() -> None:
    assert has_thinking(_answer(REDACTED), provider="acme")
    assert has_thinking(_answer(_text("a"), SIGNED), provider="acme")
    assert not has_thinking(Message(role="assistant", reasoning="hm"), provider="acme")

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.wires.gemini.content import SKIP_SIGNATURE
from victor.providers.wires.gemini.wire import GeminiGenerate
from victor.types import Attachment, Message, ToolCall

GOOGLE = Vendor("google", "http://test", wire="gemini", auth="x-goog-api-key")
OLD, NEW = "gemini-2.5-flash", "gemini-3-flash-preview"
PNG = b"\x89PNG"
PNG_PART = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(PNG).decode()}}
IMAGE = Attachment(media_type="image/png", data=PNG)
HI = Message(role="user", content="Hi")


def _encode(*messages: Message, model: str = OLD, **request: Any) -> HTTPCall:
    return GeminiGenerate(GOOGLE).encode(ChatRequest(messages or (HI,), model, **request))


def _body(*messages: Message, **request: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(_encode(*messages, **request).body)
    return body


def _contents(*messages: Message, model: str = OLD) -> list[tuple[str, list[Any]]]:
    body = _body(*messages, model=model)
    return [(one["role"], one["parts"]) for one in body["contents"]]


def _user(text: str = "Hi", **fields: Any) -> Message:
    return Message(role="user", content=text, **fields)


def _answer(
    text: str = "", *calls: ToolCall, parts: list[Any] | None = None, **more: Any
) -> Message:
    state = None if parts is None else {"gemini": {"provider": "google", "parts": parts}}
    return Message(
        role="assistant", content=text, tool_calls=list(calls) or None, provider_state=state, **more
    )


def _call(call_id: str = "c1", name: str = "add", **arguments: Any) -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _result(call_id: str = "c1", content: str = "3", name: str = "add", **more: Any) -> Message:
    return Message(role="tool", tool_call_id=call_id, name=name, content=content, **more)


def test_a_request_of_one_message_holds_nothing_else() -> None:
    assert _body() == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_system_prompts_go_apart_from_the_conversation() -> None:
    system = Message(role="system", content="Be brief.")
    body = _body(system, HI, Message(role="system"), Message(role="system", content="Be kind."))
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert len(body["contents"]) == 1


def test_a_system_prompt_alone_is_sent_as_the_users_words() -> None:
    body = _body(Message(role="system", content="Go."))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Go."}]}]}


def test_consecutive_messages_of_one_role_are_one_content() -> None:
    assert _contents(_user("a"), _user("b"), _answer("c"), _answer("d"), _user("e")) == [
        ("user", [{"text": "a"}, {"text": "b"}]),
        ("model", [{"text": "c"}, {"text": "d"}]),
        ("user", [{"text": "e"}]),
    ]


def test_a_conversation_that_begins_with_an_answer_gets_a_users_turn_before_it() -> None:
    call = _encode(_answer("c"), _user("e"))
    roles = [one["role"] for one in json.loads(call.body)["contents"]]
    assert roles == ["user", "model", "user"]
    assert any("began with an answer" in note for note in call.notes)


def test_no_content_is_without_parts_as_that_is_refused() -> None:
    assert _contents(_user("a"), _answer(), _user(""), _user("b", attachments=[IMAGE])) == [
        ("user", [{"text": "a"}, {"text": "b"}, PNG_PART])
    ]


def test_results_are_one_content_in_order_and_the_users_words_the_next() -> None:
    assert _contents(
        HI,
        _answer("Well.", _call("c1", a=1), _call("c2", "now")),
        _result("c1"),
        _result("c2", "Error: no clock", "now"),
        _user("And?"),
    )[1:] == [
        (
            "model",
            [
                {"text": "Well."},
                {"functionCall": {"name": "add", "args": {"a": 1}}},
                {"functionCall": {"name": "now", "args": {}}},
            ],
        ),
        (
            "user",
            [
                {"functionResponse": {"name": "add", "response": {"output": "3"}}},
                {"functionResponse": {"name": "now", "response": {"error": "Error: no clock"}}},
            ],
        ),
        ("user", [{"text": "And?"}]),
    ]


def test_arguments_that_did_not_parse_are_not_sent_back() -> None:
    broken = ToolCall(id="c1", name="add", raw_arguments="{", error="no JSON")
    (_, parts) = _contents(HI, _answer("", broken), _result())[1]
    assert parts == [{"functionCall": {"name": "add", "args": {}}}]


def test_the_same_history_gives_the_same_bytes_and_is_encoded_once() -> None:
    history = [HI, _answer("", _call(a=1)), _result(attachments=[IMAGE]), _user("x")]
    first, second = _encode(*history), _encode(*history)
    assert first.body == second.body
    copies = [Message.model_validate_json(message.model_dump_json()) for message in history]
    assert _encode(*copies).body == first.body
    kept = [key for key in history[1].__dict__ if key.startswith("_gemini")]
    assert len(kept) == 1
    assert _encode(*history, model=NEW).body != first.body  # what is kept belongs to the model


# ------------------------------------------------------------------------------ attachments


@pytest.mark.parametrize(
    ("attachment", "part"),
    [
        pytest.param(IMAGE, PNG_PART, id="image"),
        pytest.param(
            Attachment(media_type="application/pdf", data=b"%PDF"),
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
            id="pdf",
        ),
        pytest.param(
            Attachment(media_type="application/json", data=b"{}"),
            {"inlineData": {"mimeType": "text/plain", "data": "e30="}},
            id="json is text",
        ),
        pytest.param(
            Attachment(media_type="image/svg+xml", data=b"<svg/>"),
            {"inlineData": {"mimeType": "text/plain", "data": "PHN2Zy8+"}},
            id="xml is text",
        ),
        pytest.param(
            Attachment(media_type="audio/wav", url="gs://bucket/a.wav"),
            {"fileData": {"mimeType": "audio/wav", "fileUri": "gs://bucket/a.wav"}},
            id="cloud storage",
        ),
        pytest.param(
            Attachment(media_type="video/mp4", url="https://youtu.be/abc"),
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://youtu.be/abc"}},
            id="web address",
        ),
    ],
)
def test_an_attachment_follows_the_words(attachment: Attachment, part: dict[str, Any]) -> None:
    assert _contents(_user("See", attachments=[attachment])) == [("user", [{"text": "See"}, part])]


@pytest.mark.parametrize(
    ("attachment", "told"),
    [
        (Attachment(media_type="application/zip", data=b"PK"), "application/zip"),
        (Attachment(media_type="image/png", url="http://x.test/a.png"), "pass the bytes"),
        (Attachment(media_type="image/png", url="data:image/png;base64,aa"), "pass the bytes"),
    ],
    ids=["unknown type", "plain http", "data uri"],
)
def test_what_gemini_cannot_be_given_is_said_before_sending(
    attachment: Attachment, told: str
) -> None:
    with pytest.raises(UnsupportedFeatureError, match=told):
        _encode(_user(attachments=[attachment]))


def test_a_results_image_follows_all_results_for_older_models() -> None:
    found = _contents(
        HI,
        _answer("", _call("c1"), _call("c2", "now")),
        _result("c1", attachments=[IMAGE]),
        _result("c2", name="now"),
        _user("So?"),
    )
    assert [role for role, _ in found] == ["user", "model", "user", "user"]
    assert [list(part) for part in found[2][1]] == [["functionResponse"]] * 2
    assert found[3][1][1:] == [PNG_PART, {"text": "So?"}]
    assert "add" in found[3][1][0]["text"]


def test_a_results_image_at_the_end_of_the_conversation_is_not_lost() -> None:
    found = _contents(HI, _answer("", _call()), _result(attachments=[IMAGE]))
    assert found[-1] == ("user", [found[-1][1][0], PNG_PART])


def test_a_results_image_is_part_of_the_result_for_newer_models() -> None:
    found = _contents(HI, _answer("", _call()), _result(attachments=[IMAGE]), model=NEW)
    assert found[-1][1] == [
        {"functionResponse": {"name": "add", "response": {"output": "3"}, "parts": [PNG_PART]}}
    ]


# --------------------------------------------------------------------- signatures and replay


@pytest.mark.parametrize(
    ("model", "known", "skipped"),
    [
        (OLD, None, False),
        ("gemini-2.0-flash", None, False),
        ("gemini-1.5-pro", None, False),
        ("gemini-pro", None, False),
        ("gemma-3-27b-it", None, False),
        (NEW, None, True),
        ("models/gemini-3.1-pro-preview", None, True),
        ("gemini-flash-latest", None, True),
        ("gemini-10-pro", None, True),
        ("my-tuned-model", ModelData(thinking="level"), True),
        (NEW, ModelData(thinking="budget"), False),
    ],
)
def test_foreign_calls_get_the_sentinel_where_signatures_are_demanded(
    model: str, known: ModelData | None, skipped: bool
) -> None:
    more = {} if known is None else {"model_data": known}
    history = [HI, _answer("ok", _call("c1"), _call("c2")), _result("c1"), _result("c2")]
    call = _encode(*history, model=model, **more)
    parts = json.loads(call.body)["contents"][1]["parts"]
    signed = [part.get("thoughtSignature") for part in parts]
    assert signed == [None, SKIP_SIGNATURE if skipped else None, None]
    assert any("signatures" in note for note in call.notes) is skipped


def test_an_answer_goes_back_part_by_part_as_it_came() -> None:
    parts = [
        {"text": 3, "thought": True},
        {"text": 2},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"functionCall": {"id": "c1"}, "thoughtSignature": "AAA="},
        {"functionCall": {}},
        {"text": 3},
        {"text": 0, "thoughtSignature": "BBB="},
    ]
    answer = _answer("Hi you", reasoning="hm.", parts=parts)
    calls = [_call("c1", a=1), _call("made-up", "now")]
    answer = answer.model_copy(update={"content": "Hiyou", "tool_calls": calls})
    results = [_result("c1"), _result("made-up", "noon", "now")]
    found = _contents(HI, answer, *results, model=NEW)
    assert found[1] == (
        "model",
        [
            {"text": "hm.", "thought": True},
            {"text": "Hi"},
            {"executableCode": {"language": "PYTHON", "code": "1"}},
            {
                "functionCall": {"id": "c1", "name": "add", "args": {"a": 1}},
                "thoughtSignature": "AAA=",
            },
            {"functionCall": {"name": "now", "args": {}}},
            {"text": "you"},
            {"text": "", "thoughtSignature": "BBB="},
        ],
    )
    responses = [part["functionResponse"] for part in found[2][1]]
    assert [response.get("id") for response in responses] == ["c1", None]


def test_thoughts_are_left_out_where_the_message_lost_them_and_signatures_stay() -> None:
    parts = [{"text": 3, "thought": True}, {"text": 2, "thoughtSignature": "AAA="}]
    assert _contents(HI, _answer("ok", parts=parts))[1][1] == [
        {"text": "ok", "thoughtSignature": "AAA="}
    ]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([{"text": 5, "thoughtSignature": "A"}, {"functionCall": {}}], id="other text"),
        pytest.param([{"text": 2, "thoughtSignature": "A"}], id="a call more"),
        pytest.param(
            [{"text": 2, "thoughtSignature": "A"}, *[{"functionCall": {}}] * 2], id="a call less"
        ),
        pytest.param(["x"], id="no part"),
        pytest.param({"text": 2}, id="no list"),
        pytest.param(None, id="nothing"),
    ],
)
def test_state_that_does_not_fit_the_message_any_more_is_ignored(parts: Any) -> None:
    message = Message(
        role="assistant",
        content="ok",
        tool_calls=[_call()],
        provider_state={"gemini": {"provider": "google", "parts": parts}},
    )
    assert _contents(HI, message, _result())[1][1] == [
        {"text": "ok"},
        {"functionCall": {"name": "add", "args": {}}},
    ]


def test_the_state_of_another_provider_is_ignored() -> None:
    state = {"gemini": {"provider": "vertex", "parts": [{"text": 2, "thoughtSignature": "A"}]}}
    message = Message(role="assistant", content="ok", provider_state=state)
    assert _contents(HI, message)[1][1] == [{"text": "ok"}]

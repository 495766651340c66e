from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from victor.types import (
    Attachment,
    Attempt,
    Capabilities,
    Capability,
    CompletionResponse,
    Message,
    StreamChunk,
    ToolCall,
    ToolDefinition,
    Usage,
    parse_arguments,
)

PNG = b"\x89PNG\xff\x00"


# ---------------------------------------------------------------------------- tool calls


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        ({"id": "c1", "name": "f"}, {}),
        ({"id": "c1", "name": "f", "arguments": {"a": 1}}, {"a": 1}),
        ({"id": "c1", "name": "f", "arguments": '{"a": 1}'}, {"a": 1}),
        ({"id": "c1", "name": "f", "arguments": None}, {}),
        ({"id": "c1", "name": "f", "arguments": ""}, {}),
        ({"id": "c1", "name": "f", "arguments": " null "}, {}),
        ({"id": "c1", "function": {"name": "f", "arguments": '{"a": 1}'}}, {"a": 1}),
        ({"id": "c1", "function": {"name": "f", "arguments": {"a": 1}}, "type": "x"}, {"a": 1}),
        ({"id": "c1", "function": {"name": "f"}}, {}),
        ({"id": "c1", "function": {"name": "f", "arguments": None}}, {}),
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_tool_call_is_read_from_every_usual_spelling(
    value: dict[str, Any], arguments: dict[str, Any]
) -> None:
    call = ToolCall.model_validate(value)
    assert call == ToolCall(id="c1", name="f", arguments=arguments)
    assert call.error is None
    assert call.raw_arguments is None


@pytest.mark.parametrize("missing", [{}, {"id": None}, {"id": ""}], ids=json.dumps)
@pytest.mark.parametrize(
    "rest",
    [
        {"name": "f", "arguments": {}},
        {"name": "f", "arguments": "{}"},
        {"function": {"name": "f", "arguments": "{}"}},
    ],
    ids=json.dumps,
)
def test_a_call_without_an_id_gets_one_of_its_own(
    missing: dict[str, Any], rest: dict[str, Any]
) -> None:
    first, second = (ToolCall.model_validate(missing | rest) for _ in range(2))
    assert first.id.startswith("call_")
    assert first.id != second.id


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not valid JSON"),
        ('{"a": 1} and more', "not valid JSON"),
        ('{"a": Infinity}', "not valid JSON"),
        ('{"a": "\ud800"}', "not valid JSON"),
        ('{"a": "\\ud800"}', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("9" * 5_000, "not valid JSON"),
        ("[]", "a JSON list, not an object"),
        ("3", "a JSON int, not an object"),
        ('"x"', "a JSON str, not an object"),
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_arguments_that_cannot_be_used_are_kept_with_the_reason(text: str, why: str) -> None:
    call = ToolCall.model_validate({"name": "f", "arguments": text})
    assert call.raw_arguments == text
    assert call.arguments == {}
    assert call.error is not None
    assert why in call.error


@pytest.mark.parametrize(
    "value",
    [
        {"arguments": {}},
        {"name": None},
        {"name": "f", "arguments": [1]},
        {"name": "f", "arguments": []},
        {"name": "f", "arguments": 0},
        {"function": {"arguments": "{}"}},
        {"id": 1, "name": "f"},
        "f",
    ],
    ids=json.dumps,
)
def test_what_is_no_tool_call_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        ToolCall.model_validate(value)


def test_a_broken_call_survives_being_stored() -> None:
    call = ToolCall.model_validate({"name": "f", "arguments": "{broken"})
    assert ToolCall.model_validate(call.model_dump()) == call
    assert ToolCall.model_validate_json(call.model_dump_json()) == call


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), JSON.map(json.dumps), st.just(None)))
def test_any_text_gives_arguments_or_a_reason(text: str | None) -> None:
    fields = parse_arguments(text)
    call = ToolCall(name="f", **fields)
    if call.error is None:
        assert json.loads(text or "{}" if (text or "").strip() else "{}") in (call.arguments, None)
    else:
        assert call.raw_arguments == text


# ---------------------------------------------------------------------------- messages


def test_a_message_takes_calls_as_dicts_and_null_as_no_text() -> None:
    message = Message.model_validate(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
        }
    )
    assert message.content == ""
    assert message.tool_calls == [ToolCall(id="c", name="f")]


def test_values_cannot_be_changed_in_place() -> None:
    message = Message(role="user", content="x")
    with pytest.raises(ValidationError, match="frozen"):
        message.content = "y"  # type: ignore[misc] # that is the point
    assert message.model_copy(update={"content": "y"}).content == "y"


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValidationError):
        Message(role="developer")


def test_a_conversation_with_a_picture_survives_being_stored_as_json() -> None:
    message = Message(
        role="user",
        content="\u2028 ü",
        attachments=[Attachment(media_type="image/png", data=PNG, name="a.png")],
        provider_state={"w": {"deep": [1]}},
    )
    assert Message.model_validate_json(message.model_dump_json()) == message
    assert Message.model_validate(message.model_dump()) == message


@pytest.mark.parametrize(
    "source", [{}, {"data": b"x", "url": "https://x.example"}], ids=["neither", "both"]
)
def test_an_attachment_has_exactly_one_source(source: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="either data or url"):
        Attachment(media_type="image/png", **source)


def test_an_empty_file_is_a_source() -> None:
    assert Attachment(media_type="text/plain", data=b"").data == b""


def test_an_attachment_is_made_of_a_path_an_address_or_bytes(tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    made = [
        Attachment.from_source(tmp_path / "cat.png"),
        Attachment.from_source("https://x.example/cat.png"),
        Attachment.from_source(b"\x89PNG\r\n\x1a\n", name="cat.png"),
    ]
    assert [(one.media_type, one.name) for one in made] == [("image/png", "cat.png")] * 3
    assert made[0].data == made[2].data
    assert made[1].url == "https://x.example/cat.png"


# ---------------------------------------------------------------------------- answers


def test_an_answer_takes_what_authors_pass() -> None:
    answer = CompletionResponse.model_validate(
        {
            "content": None,
            "tool_calls": [{"id": "", "name": "f", "arguments": {"a": 1}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            "raw_response": {"x": 1},
        }
    )
    assert answer.content == ""
    assert answer.usage == Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    assert answer.tool_calls is not None
    assert answer.tool_calls[0].arguments == {"a": 1}
    assert answer.role == "assistant"
    assert answer.attempts == ()


def test_an_answer_becomes_the_message_of_the_history() -> None:
    call = ToolCall(id="c", name="f")
    answer = CompletionResponse(
        content="x", tool_calls=[call], reasoning="r", provider_state={"w": 1}, stop_reason="stop"
    )
    assert answer.to_message() == Message(
        role="assistant", content="x", tool_calls=[call], reasoning="r", provider_state={"w": 1}
    )
    assert CompletionResponse(tool_calls=[]).to_message().tool_calls is None


def test_a_chunk_takes_dicts_from_authors_and_leaves_values_alone() -> None:
    call = ToolCall(id="c", name="f")
    usage = Usage(prompt_tokens=1)
    chunk = StreamChunk(tool_calls=[call], usage=usage)
    assert chunk.tool_calls is not None
    assert chunk.tool_calls[0] is call
    assert chunk.usage is usage
    given: Any = {"tool_calls": [{"id": "c", "name": "f"}], "usage": {"prompt_tokens": 1}}
    assert StreamChunk(**given) == chunk
    assert StreamChunk().tool_calls is None
    assert not hasattr(chunk, "__dict__")


def test_usages_add_up_and_only_what_nobody_knows_stays_unknown() -> None:
    total = Usage(prompt_tokens=1, cached_tokens=0) + Usage(prompt_tokens=2, reasoning_tokens=3)
    assert total == Usage(prompt_tokens=3, cached_tokens=0, reasoning_tokens=3)
    assert sum([Usage(total_tokens=1)] * 3, Usage()) == Usage(total_tokens=3)


@given(*[st.builds(Usage, *[], prompt_tokens=st.none() | st.integers(0, 9)) for _ in range(3)])
def test_adding_usages_does_not_depend_on_the_order(a: Usage, b: Usage, c: Usage) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Usage() == a


def test_an_attempt_is_a_plain_record() -> None:
    assert Attempt("openai", "m", 0.5) == Attempt("openai", "m", 0.5, error=None)


# ---------------------------------------------------------------------------- tools, abilities


def test_a_tool_is_described_by_its_function() -> None:
    def add(a: int, b: int = 2) -> int:
        """Add two numbers.

        Args:
            a: the first.
        """
        return a + b

    tool = ToolDefinition.from_function(add)
    assert (tool.name, tool.description) == ("add", "Add two numbers.")
    assert tool.input_schema is tool.parameters
    assert set(tool.parameters["properties"]) == {"a", "b"}
    assert tool.parameters["properties"]["a"]["description"] == "the first."
    named = ToolDefinition.from_function(add, name="plus", description="")
    assert (named.name, named.description) == ("plus", "")


def test_a_tool_without_parameters_is_still_an_object() -> None:
    assert ToolDefinition(name="now").parameters == {"type": "object", "properties": {}}


def test_abilities_are_asked_for_by_member_or_by_string() -> None:
    found = Capabilities(supported=frozenset({Capability.TOOLS}))
    assert Capability.TOOLS in found
    assert "tools" in found
    assert "vision" not in found
    assert "nonsense" not in found


@pytest.mark.parametrize(("depth", "good"), [(60, True), (95, True), (120, False), (195, False)])
def test_arguments_too_deep_to_be_stored_are_refused(depth: int, good: bool) -> None:
    text = '{"a":' + "[" * depth + "]" * depth + "}"
    call = ToolCall.model_validate({"name": "f", "arguments": text})
    assert (call.error is None) is good
    message = Message(role="assistant", tool_calls=[call])
    assert Message.model_validate_json(message.model_dump_json()) == message

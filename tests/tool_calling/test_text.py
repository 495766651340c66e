from __future__ import annotations

from victor.tool_calling.text import ParsedText, parse_text


def test_plain_text_is_content() -> None:
    assert parse_text(" Hello. \n", None, []) == ParsedText("Hello.")


def test_whole_text_is_read_at_once() -> None:
    text = 'so</think>Yes.<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'
    found = parse_text(text, "hermes", [], starts_in_reasoning=True)
    assert (found.content, found.reasoning) == ("Yes.", "so")
    assert [(call.name, call.arguments) for call in found.tool_calls] == [("f", {"a": 1})]


def test_call_that_is_cut_off_comes_too() -> None:
    (call,) = parse_text('<tool_call>{"name": "f", "arguments": {"a": 1', "hermes").tool_calls
    assert call.arguments == {"a": 1}
    assert call.error == "the call was cut off before it was complete"
    assert call.raw_arguments == '{"name": "f", "arguments": {"a": 1'

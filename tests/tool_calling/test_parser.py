from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tool_calling.reading import cut, read
from victor.tool_calling.formats.registry import list_formats, text_format
from victor.tool_calling.parser import TextDelta, TextToolCallParser
from victor.types import ToolDefinition

_CALL = '<tool_call>{"name": "wipe", "arguments": {"disk": "/"}}</tool_call>'
_WIPE = ("wipe", {"disk": "/"})
_MARKS = sorted(
    {mark for name in list_formats() for mark in text_format(name).readers}
    | {mark for name in list_formats() for pair in text_format(name).think for mark in pair}
)
_PIECES = [
    *_MARKS,
    *('{"name": "f", "arguments": {"a": [1, "</tool_call>"]}}', "</tool_call>", "</function>"),
    *("f", "\n", "```", " ", "\\", '"', "'", "{", "}", "[", "]", "(", ")", "<", ">", "=", ":", "é"),
    *("<parameter=a>", "</parameter>", "<arg_key>a</arg_key>", "<arg_value>", "</arg_value>"),
    *("<|message|>", "to=functions.f", "[ARGS]", "call:f{a:", "f(a=1)", "words"),
]


def test_deltas_come_as_soon_as_they_are_certain() -> None:
    parser = TextToolCallParser("hermes")
    assert parser.feed("Let me ") == TextDelta("Let me")
    assert parser.feed("look <tool") == TextDelta(" look")
    assert parser.feed("_box> ") == TextDelta(" <tool_box>")
    assert parser.feed("now<tool_call>") == TextDelta(" now")
    assert parser.feed('{"name": "look"}') == TextDelta()
    (call,) = parser.feed("</tool_call>").tool_calls
    assert (call.name, call.arguments, call.error) == ("look", {}, None)
    assert parser.finish() == TextDelta()


def test_reasoning_streams_and_is_trimmed() -> None:
    parser = TextToolCallParser("hermes")
    assert parser.feed("<think>\n  a") == TextDelta(reasoning="a")
    assert parser.feed(" \n") == TextDelta()
    assert parser.feed("b\n</think>\n\nc ") == TextDelta("c", " \nb")
    assert parser.finish() == TextDelta()


def test_two_blocks_of_reasoning_are_on_lines_of_their_own() -> None:
    found = read(["<think>a</think>x<think>b</think>y"], "hermes")
    assert (found.reasoning, found.content) == ("a\nb", "xy")


@pytest.mark.parametrize(
    ("text", "content", "reasoning"),
    [
        (f"<think>maybe {_CALL} no</think>ok", "ok", f"maybe {_CALL} no"),
        (f"Like this:\n```\n{_CALL}\n```\nbeware", f"Like this:\n```\n{_CALL}\n```\nbeware", ""),
        (f"```xml\n{_CALL}\n```", f"```xml\n{_CALL}\n```", ""),
        (f"Never write `{_CALL}`, it wipes", f"Never write `{_CALL}`, it wipes", ""),
        (f"`{_CALL}`", f"`{_CALL}`", ""),
        (f"```\n{_CALL}\n<think>\n```", f"```\n{_CALL}\n<think>\n```", ""),
        ("wipe(disk='/')", "wipe(disk='/')", ""),
        ('{"name": "wipe", "arguments": {}}', '{"name": "wipe", "arguments": {}}', ""),
        ("<function=wipe></function>", "<function=wipe></function>", ""),
        ("<tool_call>wipe</tool_call>", "<tool_call>wipe</tool_call>", ""),
        ('<tool_call>{"disk": "/"}</tool_call>', '<tool_call>{"disk": "/"}</tool_call>', ""),
        ("<tool_call>[1, 2]</tool_call>", "<tool_call>[1, 2]</tool_call>", ""),
        ("<think>```\n</think>x", "x", "```"),
        ("<think>a <think> b</think>x", "x", "a <think> b"),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_only_mentioned_is_text(text: str, content: str, reasoning: str) -> None:
    for sizes in ([1000], [1], [4]):
        found = read(cut(text, sizes), "hermes")
        assert (found.content, found.reasoning, found.calls) == (content, reasoning, [])


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (f"<think>so {_CALL}", ""),
        (f"```\nnot closed\n{_CALL}", "```\nnot closed"),
        (f"closed\n```\nx\n```\n{_CALL}", "closed\n```\nx\n```"),
        (f"``` in a line {_CALL}", "``` in a line"),
        (f"<think>so {_CALL} and so", "and so"),
    ],
    ids=["reasoning that calls", "open block", "closed block", "no block", "text after"],
)
def test_call_that_ends_the_answer_counts(text: str, content: str) -> None:
    for sizes in ([1000], [1], [4]):
        found = read(cut(text, sizes), "hermes")
        assert (found.content, found.calls, found.errors) == (content, [_WIPE], [None])


def test_text_between_calls_stays() -> None:
    found = read([f"a\n{_CALL}\nb {_CALL} c"], "hermes")
    assert found.content == "a\n\nb  c"
    assert found.calls == [_WIPE, _WIPE]


@pytest.mark.parametrize(
    ("text", "arguments", "why"),
    [
        ('{"name": "wipe", "arguments": {"disk": "/da', {"disk": "/da"}, "cut off"),
        ('{"name": "wipe", "arguments": {"disk": "/"}', {"disk": "/"}, "cut off"),
        ('{"name": "wipe", "arguments": {"disk": }}</tool_call>', {}, "not valid JSON"),
        ('{"name": "wipe", "arguments": [1]}</tool_call>', {}, "a JSON list, not an object"),
        ('{"name": "wipe", "arguments": "[1]"}</tool_call>', {}, "a JSON list, not an object"),
        ('{"name": "wipe", "arguments": "{"}</tool_call>', {}, "not valid JSON"),
        ('{"name": "wipe", "arguments": {"a": "it"s"}}</tool_call>', {"a": "it"}, "cut off"),
    ],
    ids=["in a string", "brackets", "broken", "list", "list in text", "broken text", "quote"],
)
def test_unusable_arguments_are_an_error(text: str, arguments: dict[str, object], why: str) -> None:
    found = read([f"<tool_call>{text}"], "hermes")
    assert found.calls == [("wipe", arguments)]
    assert why in str(found.errors[0])


def test_ids_of_the_text_are_kept_and_made_unique() -> None:
    one = "<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}<|tool_call_end|>"
    first, second = read([one + one], "kimi_k2").ids
    assert first == "functions.f:0"
    assert second not in {first, ""}
    text = '[TOOL_CALLS]f[CALL_ID]abc[ARGS]{"a": 1}'
    assert read([text], "mistral_v11").ids == ["abc"]


def test_tools_may_be_definitions_or_dicts() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    text = "<tool_call><function=f><parameter=n>3</parameter></function></tool_call>"
    for tool in (ToolDefinition(name="f", parameters=schema), {"name": "f", "parameters": schema}):
        assert read([text], "qwen3_coder", [tool]).calls == [("f", {"n": 3})]
    assert read([text], "qwen3_coder").calls == [("f", {"n": "3"})]


def test_empty_answer_is_nothing() -> None:
    for name in (None, *list_formats()):
        found = read(["", ""], name)
        assert (found.content, found.reasoning, found.calls) == ("", "", [])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hermes", '<tool_call>{"name": "f", "arguments": {"a": "' + "x" * 2_000_000 + '"}}'),
        ("qwen3_coder", "<function=f><parameter=a>" + "\n<p </par" * 100_000 + "</parameter>"),
        ("hermes", '<tool_call>{"name": "f", "arguments": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        ("pythonic", "[f(a=" + "[" * 100_000 + "]" * 100_000 + ")]"),
        ("hermes", "no marker here " * 200_000),
        ("hermes", "<tool_call>{" * 20_000),
        ("llama3_json", '{"name": ' * 100_000),
        (
            "minimax_m3",
            "]<]minimax[>[<tool_call>]<]minimax[>[<invoke name='f'>]<]minimax[>[<a>" * 9000,
        ),
        (None, "<|channel|>" * 20_000),
    ],
    ids=str,
)
def test_long_answers_take_linear_time(name: str | None, text: str) -> None:
    began = time.process_time()
    read(cut(text, [4096]), name)
    assert time.process_time() - began < 3


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    deep = '<tool_call>{"name": "f", "arguments": ' + "[" * 100_000 + "]" * 100_000 + "}"
    found = read([deep], "hermes")
    assert found.calls == [("f", {})]
    assert found.errors[0] is not None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(_PIECES), max_size=14).map("".join),
    st.sampled_from([None, *list_formats()]),
    st.lists(st.integers(1, 12), min_size=1, max_size=5),
    st.booleans(),
)
def test_how_the_text_is_cut_makes_no_difference(
    text: str, name: str | None, sizes: list[int], begun: bool
) -> None:
    whole = read([text], name, starts_in_reasoning=begun)
    for pieces in (cut(text, sizes), list(text)):
        again = read(pieces, name, starts_in_reasoning=begun)
        assert again[:4] == whole[:4]


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab <>[]{}|\n`'\"é", max_size=60), st.sampled_from(list_formats()))
def test_text_without_markers_comes_out_trimmed_and_unchanged(text: str, name: str) -> None:
    found = read(cut(text, [3]), name)
    assert found.content == text.strip()
    assert (found.calls, found.reasoning) == ([], "")

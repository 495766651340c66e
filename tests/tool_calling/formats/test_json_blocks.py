from __future__ import annotations

import pytest

from tests.tool_calling.reading import cut, read
from victor.tool_calling.parser import TextToolCallParser

_ROLL = '{"name": "roll", "arguments": {"dice": "2d6"}}'
_LOOK = '{"name": "look", "arguments": {}}'
_CALLED = [("roll", {"dice": "2d6"}), ("look", {})]


@pytest.mark.parametrize("between", ["; ", ";\n", "\n", "", ", ", " ;\n\n "], ids=repr)
def test_llama_calls_may_follow_each_other_in_any_way(between: str) -> None:
    for sizes in ([1000], [1]):
        found = read(cut(_ROLL + between + _LOOK, sizes), "llama3_json")
        assert (found.calls, found.content) == (_CALLED, "")


@pytest.mark.parametrize(
    "text",
    [
        *("[1] a source", "{x} is a set", ", and more", "; so"),
        *("[TOOL_CALL", '[{"a": 1}]', "  [", "{"),
        "\n" * 70 + "[far] away",
    ],
)
@pytest.mark.parametrize("name", ["phi4", "mistral", "llama3_json", None])
def test_text_after_a_call_is_kept_whatever_it_begins_with(name: str | None, text: str) -> None:
    begin = {"phi4": "functools", "mistral": "[TOOL_CALLS]"}.get(name or "", "")
    for sizes in ([1000], [1]):
        found = read(cut(begin + f"[{_ROLL}]{text}", sizes), name)
        assert (found.calls, found.content) == (_CALLED[:1], text.strip())


def test_mistral_blocks_may_follow_each_other() -> None:
    found = read([f"[TOOL_CALLS] [{_ROLL}][TOOL_CALLS] [{_LOOK}]</s>"], "mistral")
    assert (found.calls, found.content) == (_CALLED, "")


@pytest.mark.parametrize("stray", ["}", "}\n", "\n}\n", "]", ",\n"], ids=repr)
def test_bracket_too_many_before_the_end_is_no_text(stray: str) -> None:
    for sizes in ([1000], [1]):
        found = read(cut(f"<tool_call>\n{_ROLL}{stray}</tool_call>", sizes), "hermes")
        assert (found.calls, found.content) == (_CALLED[:1], "")


@pytest.mark.parametrize(
    ("name", "text"),
    [("hermes", f"<tool_call>{_ROLL}</tool_call>"), ("mistral", f"[TOOL_CALLS] [{_ROLL}]</s>")],
    ids=["hermes", "mistral"],
)
def test_call_comes_as_soon_as_its_end_has_come(name: str, text: str) -> None:
    parser = TextToolCallParser(name)
    assert parser.feed(text[:-1]).tool_calls == []
    assert [call.name for call in parser.feed(text[-1:]).tool_calls] == ["roll"]


def test_phi_calls_may_be_as_its_template_shows_them() -> None:
    text = '<|tool_call|>[{"type": "function", "function": ' + _ROLL + "}]<|/tool_call|><|end|>"
    for name in ("phi4", None):
        found = read([text], name)
        assert found.calls == _CALLED[:1]
    assert read([text], "phi4").content == ""


def test_single_quotes_are_read_in_free_calls_too() -> None:
    found = read(["{'name': 'roll', 'arguments': {'dice': '2d6', 'cheat': False}}"], "llama3_json")
    assert found.calls == [("roll", {"dice": "2d6", "cheat": False})]


@pytest.mark.parametrize(
    ("text", "reasoning", "content"),
    [
        ("<thinking>\nhm\n</thinking>\nYes.", "hm", "Yes."),
        ("Here are my reasoning steps:\nhm\n[BEGIN FINAL RESPONSE]\nYes.", "hm", "Yes."),
        ("Yes.\n[END FINAL RESPONSE]\n<|end|>", "", "Yes."),
    ],
    ids=["tags", "words", "none"],
)
def test_apriel_reasons_in_several_ways(text: str, reasoning: str, content: str) -> None:
    for sizes in ([1000], [1]):
        found = read(cut(text, sizes), "apriel")
        assert (found.reasoning, found.content) == (reasoning, content)


def test_words_that_begin_reasoning_in_one_format_are_text_where_it_is_not_known() -> None:
    text = "Here are my reasoning steps: one, two."
    assert read([text], None).content == text

from __future__ import annotations

from typing import Any

import pytest

from tests.tool_calling.reading import cut, read

_START, _END = "<|tool_call_start|>", "<|tool_call_end|>"
_ROLL = "[roll(dice='2d6')]"
_TOOLS = [{"name": "roll", "parameters": {"type": "object", "properties": {}}}]


@pytest.mark.parametrize(
    ("inside", "arguments"),
    [
        ("day=07, count=1_000_000, mask=0x1F", {"day": 7, "count": 1_000_000, "mask": 31}),
        ("mode=0o17, bits=-0b11", {"mode": 15, "bits": -3}),
        (r"pattern=r'\d+\n', quote=R'\''", {"pattern": r"\d+\n", "quote": r"\'"}),
        ("text='two ' 'parts', list=['a'\n'b']", {"text": "two parts", "list": ["ab"]}),
        ("command='grep '' file'", {"command": "grep '' file"}),
        ("command='sed -n '1,9p' notes'", {"command": "sed -n '1,9p' notes"}),
        ("from='a', class=1", {"from": "a", "class": 1}),
        ("a = 1,\n b = {'c': true},\n", {"a": 1, "b": {"c": True}}),
    ],
    ids=["integers", "bases", "raw", "joined", "quotes", "nested", "keywords", "spaces"],
)
@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("lfm2", _START + "[roll({})]" + _END),
        ("olmo3", "<function_calls>roll({})</function_calls>"),
    ],
    ids=["lfm2", "olmo3"],
)
def test_arguments_are_read_as_python(
    name: str, block: str, inside: str, arguments: dict[str, Any]
) -> None:
    for sizes in ([1000], [1]):
        found = read(cut(block.replace("{}", inside), sizes), name)
        assert (found.calls, found.errors, found.content) == ([("roll", arguments)], [None], "")


@pytest.mark.parametrize(
    ("inside", "calls", "bad"),
    [
        ("[roll('2d6')]", [("roll", {})], [True]),
        ("[look(), roll('2d6', times=2)]", [("look", {}), ("roll", {"times": 2})], [False, True]),
        ("[look(), fly(to=x + 1)]", [("look", {}), ("fly", {})], [False, True]),
        ("[roll(dice='1d4', times=n)]", [("roll", {"dice": "1d4"})], [True]),
    ],
    ids=["no name", "one without a name", "an expression", "a variable"],
)
def test_call_that_cannot_be_read_is_told_to_the_model(
    inside: str, calls: list[Any], bad: list[bool]
) -> None:
    found = read([_START + inside + _END], "lfm2", _TOOLS)
    assert found.calls == calls
    assert [error is not None for error in found.errors] == bad
    assert found.content == ""


@pytest.mark.parametrize(
    "inside", ["[fly(to=x + 1)]", "[]", "words", "[look(), words]", "[look(), 1]"]
)
def test_block_that_is_no_calls_is_text(inside: str) -> None:
    found = read([_START + inside + _END], "lfm2", _TOOLS)
    assert (found.content, found.calls) == (_START + inside + _END, [])


@pytest.mark.parametrize(
    "text", ["[roll('2d6')]", "[roll(dice='1d4'), and so on]", "[roll(2)](https://example.org)"]
)
def test_list_without_markers_counts_only_whole(text: str) -> None:
    for name in ("pythonic", None):
        found = read([text], name, _TOOLS)
        assert (found.content, found.calls) == (text, [])


@pytest.mark.parametrize(
    ("after", "content"),
    [
        (_ROLL + _END, ""),
        (_ROLL + _END + "\nDone.", "Done."),
        (_ROLL, _ROLL),
        ("[roll(", "[roll("),
        ("[1] is a source", "[1] is a source"),
    ],
    ids=["echo", "echo and text", "no end", "part", "bracket"],
)
def test_block_that_is_written_again_is_no_text(after: str, content: str) -> None:
    for sizes in ([1000], [1], [5]):
        found = read(cut(_START + _ROLL + _END + after, sizes), "lfm2")
        assert found.calls == [("roll", {"dice": "2d6"})]
        assert found.content == content


def test_lfm_calls_may_be_json() -> None:
    text = _START + '[{"name": "roll", "arguments": {"dice": "2d6"}}]' + _END + "<|im_end|>"
    for sizes in ([1000], [1]):
        found = read(cut(text, sizes), "lfm2")
        assert (found.calls, found.content) == ([("roll", {"dice": "2d6"})], "")


def test_calls_between_llama_markers_need_no_brackets() -> None:
    found = read(["<|python_start|>roll(dice='2d6')<|python_end|>"], "pythonic")
    assert (found.calls, found.content) == ([("roll", {"dice": "2d6"})], "")


def test_llama_calls_its_own_tools_as_methods() -> None:
    found = read(['<|python_tag|>brave_search.call(query="dice")<|eot_id|>'], "llama3_json")
    assert (found.calls, found.content) == ([("brave_search", {"query": "dice"})], "")

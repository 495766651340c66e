from __future__ import annotations

from typing import Any

import pytest

from tests.tool_calling.reading import cut, read

_TOOLS = [
    {
        "name": "save",
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}},
        },
    }
]


def _call(body: str) -> str:
    return f"<tool_call>\n<function=save>\n{body}</function>\n</tool_call>"


@pytest.mark.parametrize(
    ("text", "arguments", "why"),
    [
        (_call("<parameter=path>\na\r\nb\n</parameter>\n"), {"path": "a\r\nb"}, None),
        (_call("<parameter=path>\n\n x \n\n</parameter>"), {"path": "\n x \n"}, None),
        (_call("<parameter=path>a<parameter=b></parameter>"), {"path": "a<parameter=b>"}, None),
        (
            _call("<parameter=path>\na\n<parameter=lines>\n2\n</parameter>\n"),
            {"path": "a", "lines": 2},
            None,
        ),
        (
            _call("<parameter=path>\na\n<parameter=other>\n</parameter>\n"),
            {"path": "a\n<parameter=other>"},
            None,
        ),
        (
            _call("<parameter=path>\n</function>\n</tool_ca\n</parameter>\n"),
            {"path": "</function>\n</tool_ca"},
            None,
        ),
        (_call("<parameter=path>\na\n"), {"path": "a"}, None),
        (
            "<tool_call><function=save><parameter=path>a</parameter></tool_call>",
            {"path": "a"},
            None,
        ),
        (_call('{"path": "a"}'), {"path": "a"}, None),
        (
            _call("<parameter=path>a</parameter>and<parameter=lines>1</parameter>"),
            {"path": "a", "lines": 1},
            "text between",
        ),
        (
            _call("<parameter=path>a</parameter><parameter=path>b</parameter>"),
            {"path": "b"},
            "given twice",
        ),
        ("<tool_call><function=save><parameter=" + "p" * 600, {}, "cut off"),
        ("<tool_call><function=save><parameter=path>a", {"path": "a"}, "cut off"),
        ("<tool_call><function=save></func", {}, "cut off"),
        ('<tool_call><function=save>{"path": "a', {"path": "a"}, "cut off"),
    ],
    ids=lambda item: str(item)[21:60] if isinstance(item, str) else None,
)
def test_values_in_tags_are_raw_text(text: str, arguments: dict[str, Any], why: str | None) -> None:
    for sizes in ([1000], [1]):
        found = read(cut(text, sizes), "qwen3_coder", _TOOLS)
        assert found.calls == [("save", arguments)]
        assert (why is None) == (found.errors == [None])
        assert why is None or why in str(found.errors[0])
        assert found.content == ""


@pytest.mark.parametrize(
    "text",
    [
        "Write <function=save> and then the parameters.",
        "<tool_call>\n<function=>\n</function>\n</tool_call>",
        "<tool_call> <function= two words></function>",
        "<function=" + "n" * 600,
        "<function=save",
    ],
    ids=["mention", "no name", "words", "too long", "cut name"],
)
def test_tag_without_a_call_is_text(text: str) -> None:
    for sizes in ([1000], [1]):
        found = read(cut(text, sizes), "qwen3_coder", _TOOLS)
        assert (found.content, found.calls) == (text, [])


def test_call_after_a_tag_that_is_none_still_counts() -> None:
    found = read([f"<function=save> is a tag. {_call('')}"], "qwen3_coder", _TOOLS)
    assert found.content == "<function=save> is a tag."
    assert found.calls == [("save", {})]


@pytest.mark.parametrize(
    ("text", "content", "why"),
    [
        ('<param name="path"><![CDATA[<a></param>]]></param></function>', "<a></param>", None),
        ('<param name="path"><![CDATA[<a>', "<a>", "cut off"),
        ('<param name="path"><![CDATA[<a>]]>', "<a>", "cut off"),
    ],
    ids=["whole", "cut inside", "cut after"],
)
def test_cdata_is_taken_as_it_is(text: str, content: str, why: str | None) -> None:
    found = read([f'<function name="save">{text}'], "minicpm5", _TOOLS)
    assert found.calls == [("save", {"path": content})]
    assert (found.errors == [None]) == (why is None)


@pytest.mark.parametrize(
    ("said", "text", "value"),
    [
        ('string="true"', "1", "1"),
        ('string="false"', "[1]", [1]),
        ('string="false"', "[1", "[1"),
        ("", "1", "1"),
    ],
    ids=["text", "json", "no json", "nothing said"],
)
def test_attribute_types_a_value_where_no_schema_does(said: str, text: str, value: Any) -> None:
    bar = "\uff5cDSML\uff5c"
    call = (
        f'<{bar}tool_calls><{bar}invoke name="save">'
        f'<{bar}parameter name="x" {said}>{text}</{bar}parameter></{bar}invoke></{bar}tool_calls>'
    )
    assert read([call], "deepseek_v4").calls == [("save", {"x": value})]


@pytest.mark.parametrize(
    ("body", "arguments", "why"),
    [
        ("<path>a{m}</path>{m}<path>b{m}</path>", {"path": ["a", "b"]}, None),
        ("<path>a{m}</other>{m}</path>", {"path": "a"}, "closed but not open"),
        (
            "<x>{m}<y>1{m}</y>{m}<y>2{m}</y>{m}<y>3{m}</y>{m}</x>",
            {"x": {"y": ["1", "2", "3"]}},
            None,
        ),
        ("<lines>{m}</lines>", {"lines": ""}, None),
        (" {m}<path>a{m}</path>", {"path": "a"}, None),
        ("junk{m}<path>a{m}</path>", {}, "text between"),
    ],
    ids=["twice", "not open", "list", "empty", "space", "junk"],
)
def test_nested_tags_are_objects_and_lists(
    body: str, arguments: dict[str, Any], why: str | None
) -> None:
    mark = "]<]minimax[>["
    inner = f"{mark}{body.replace('{m}', mark)}" if body[0] == "<" else body.replace("{m}", mark)
    text = f'{mark}<tool_call>{mark}<invoke name="save">{inner}{mark}</invoke>{mark}</tool_call>'
    for sizes in ([1000], [1]):
        found = read(cut(text, sizes), "minimax_m3", _TOOLS)
        assert (found.content, [name for name, _ in found.calls]) == ("", ["save"])
        assert (why is None) == (found.errors == [None])
        if why is None:
            assert found.calls[0][1] == arguments
        else:
            assert why in str(found.errors[0])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gemma4", '<|tool_call>call:save{path:<|"|>a<|"|>,path:1}<tool_call|>'),
        ("gemma4", "<|tool_call>call:save{}}<tool_call|>"),
        ("gemma4", "<|tool_call>call:save{:}<tool_call|>"),
        ("glm45", "<tool_call>save<arg_key>path</arg_key>a<arg_value>b</arg_value></tool_call>"),
        ("glm45", "<tool_call>save<arg_key>lines</arg_key><arg_value>1</arg_value>x</tool_call>"),
        (
            "glm45",
            "<tool_call>save<arg_key>a</arg_key><arg_value>1</arg_value>"
            "<arg_key>a</arg_key><arg_value>2</arg_value></tool_call>",
        ),
    ],
    ids=["twice", "bracket", "no name", "no value", "text", "two values"],
)
def test_call_with_a_mistake_is_never_a_good_call(name: str, text: str) -> None:
    found = read([text], name, _TOOLS)
    assert [call for call, _ in found.calls] == ["save"]
    assert None not in found.errors

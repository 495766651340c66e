from __future__ import annotations

from typing import Any

import pytest

from tests.tool_calling.reading import cut, read
from victor.tool_calling.text import parse_text

_BAR = "\uff5c"
_DSML = f"{_BAR}DSML{_BAR}"
_M3 = "]<]minimax[>["
_SIZES = '["1"]'
_QUOTE = '<|"|>'
_TOOLS = [
    {
        "name": "order",
        "parameters": {
            "type": "object",
            "properties": {
                "dish": {"type": "string"},
                "count": {"type": "integer"},
                "extras": {"type": "array", "items": {"type": "string"}},
                "sizes": {"type": "array", "items": {"type": "integer"}},
                "address": {"type": "object", "properties": {"zip": {"type": "string"}}},
                "either": {"type": ["string", "integer"]},
                "free": {"type": "object"},
            },
        },
    },
    {"name": "pay", "parameters": {"type": "object", "properties": {}}},
    {"name": "shop.pay", "parameters": {"type": "object", "properties": {}}},
]


def _k3(body: str = "", name: str = "pay") -> str:
    call = f'<|open|>call tool="{name}" index="1"<|sep|>{body}<|close|>call<|sep|>'
    return f"<|open|>tools<|sep|>{call}<|close|>tools<|sep|><|close|>message<|sep|>"


def _kimi(header: str, arguments: str = "{}") -> str:
    begin = f"<|tool_call_begin|>{header}<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"
    return f"<|tool_calls_section_begin|>{begin}<|tool_calls_section_end|>"


def _m3(body: str) -> str:
    inner = body.replace("<", f"{_M3}<")
    return f'{_M3}<tool_call>\n{_M3}<invoke name="order">{inner}{_M3}</invoke>{_M3}</tool_call>'


def _gemma(body: str) -> str:
    return f"<|tool_call>call:order{body}<tool_call|>"


def _pair(name: str, value: str, prefix: str = "") -> str:
    key = f"<{prefix}arg_key>{name}</{prefix}arg_key>"
    return f"{key}<{prefix}arg_value>{value}</{prefix}arg_value>"


def _typed_pairs(*values: tuple[str, str, str]) -> str:
    body = "".join(
        f"<ifm|arg_key>{name}</ifm|arg_key>\n<ifm|arg_type>{kind}</ifm|arg_type>\n"
        f"<ifm|arg_value>{value}</ifm|arg_value>\n"
        for name, kind, value in values
    )
    return f"<ifm|tool_calls>\n<ifm|tool_call>order\n{body}</ifm|tool_call>\n</ifm|tool_calls>"


def _check(name: str, text: str, expected: tuple[str, str, list[Any]], started: bool) -> None:
    for pieces in ([text], list(text), cut(text, [3, 7, 1])):
        found = read(pieces, name, _TOOLS, starts_in_reasoning=started)
        assert (found.content, found.reasoning, found.calls) == expected
        assert set(found.errors) <= {None}


@pytest.mark.parametrize(
    ("name", "text", "arguments"),
    [
        ("qwen3_coder", f"<function=order><parameter=sizes>{_SIZES}</parameter></function>", None),
        ("glm45", f"<tool_call>order{_pair('sizes', _SIZES)}</tool_call>", None),
        ("minimax_m3", _m3("<sizes><size>1</size></sizes>"), None),
        ("minimax_m3", _m3("<sizes>[1]</sizes>"), None),
        ("minimax_m3", _m3("<free><item>1</item></free>"), {"free": {"item": "1"}}),
        ("minimax_m3", _m3("<free>a<b>c</b>d</free>"), {"free": {"b": "c", "$text": "ad"}}),
        ("minimax_m3", _m3("<address><zip>00123</zip></address>"), {"address": {"zip": "00123"}}),
        ("gemma4", _gemma("{sizes:[1]}"), None),
        ("gemma4", _gemma("(sizes:[1])"), None),
        ("gemma4", _gemma(f"{{count:{_QUOTE}2{_QUOTE}}}"), {"count": 2}),
        ("gemma4", _gemma("{address:{zip:00123}}"), {"address": {"zip": "00123"}}),
        ("gemma4", _gemma("{extras:[1,2]}"), {"extras": ["1", "2"]}),
        ("k2_horizon", _typed_pairs(("sizes", "array[integer]", "[1]")), None),
        ("k2_horizon", _typed_pairs(("either", "string", "5")), {"either": "5"}),
        ("k2_horizon", _typed_pairs(("other", "boolean", "true")), {"other": True}),
        ("k2_horizon", _typed_pairs(("other", "any", "true")), {"other": "true"}),
        (
            "k2_horizon",
            '<ifm|tool_calls><ifm|tool_call>{"name": "order", "arguments": '
            '{"dish": 5, "count": "2"}}</ifm|tool_call></ifm|tool_calls>',
            {"dish": "5", "count": 2},
        ),
        (
            "kimi_k3",
            _k3(
                '<|open|>argument key="a &amp; &quot;b&quot;" type="string"<|sep|>&amp;'
                "<|close|>argument<|sep|>",
                "order",
            ),
            {'a & "b"': "&amp;"},
        ),
        (
            "minimax_m2",
            '<minimax:tool_call><invoke name="order"><parameter name="dish">\nsoup\n</parameter>'
            "</invoke></minimax:tool_call>",
            {"dish": "soup"},
        ),
        (
            "minimax_m2",
            '<minimax:tool_call><invoke name="order"><parameter name="dish">soup\n</parameter>'
            "</invoke></minimax:tool_call>",
            {"dish": "soup\n"},
        ),
        (
            "minimax_m2",
            '<minimax:tool_call><invoke name="order"><parameter name="dish">soup\n'
            '<parameter name="count">2</parameter></invoke></minimax:tool_call>',
            {"dish": "soup", "count": 2},
        ),
        (
            "deepseek_v4",
            f'<{_DSML}tool_calls><{_DSML}invoke name="order"><{_DSML}parameter name="dish" '
            f'string="true">soup</{_DSML}parameter></{_DSML}tool_calls>',
            {"dish": "soup"},
        ),
        ("mistral_v11", '[TOOL_CALLS]order[TOOL_CONTENT][ARGS]{"count": 2}</s>', {"count": 2}),
    ],
)
def test_arguments_come_out_as_the_schema_has_them(
    name: str, text: str, arguments: dict[str, Any] | None
) -> None:
    _check(name, text, ("", "", [("order", arguments or {"sizes": [1]})]), started=False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gemma4", "call:pay{}<tool_call|>"),
        ("gemma4", "call:pay{}"),
        ("kimi_k2", _kimi("functions.mcp.pay:0")),
        ("kimi_k2", _kimi("pay:3", "").replace("calls_section", "call_section")),
        ("kimi_k3", f'<|open|>message role="assistant"<|sep|>{_k3()}<|end_of_msg|>'),
        ("minimax_m2", '<invoke name="pay"></invoke></minimax:tool_call>'),
        (
            "muse",
            "<|message|><|start|>assistant to=pay<|message|><atem:function_calls><atem:invoke "
            'name="pay"></atem:invoke></atem:function_calls><|eot|>',
        ),
    ],
    ids=["no opener", "no marker", "server", "singular", "message", "no block", "no address"],
)
def test_call_in_a_spelling_of_its_own_is_found(name: str, text: str) -> None:
    _check(name, text, ("", "", [("pay", {})]), started=False)


def test_offered_name_with_a_dot_is_kept_whole() -> None:
    assert read([_kimi("functions.shop.pay:0")], "kimi_k2", _TOOLS).calls == [("shop.pay", {})]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gemma4", "You may write call:pay{} there."),
        ("gemma4", "call:order{dish:a} is how it is written."),
        ("gemma4", "call:other{}"),
        ("gemma4", "call: me"),
        ("granite", "Sure. Here is my thought process: none."),
        ("granite", "Here is the bill. Here is my response: none."),
        ("minimax_m2", "An <invoke name=x> tag."),
        ("k2_horizon", "<ifm|tool_calls>none</ifm|tool_calls>"),
    ],
)
def test_words_that_look_like_markers_are_content(name: str, text: str) -> None:
    _check(name, text, (text, "", []), started=False)


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("qwen3_coder", "<tool_call>\n</tool_call>"),
        ("glm45", "<tool_call></tool_call>"),
        ("minimax_m2", "<minimax:tool_call></minimax:tool_call>"),
        ("minimax_m3", f"{_M3}<tool_call>\n{_M3}</tool_call>"),
        ("deepseek_v4", f"<{_DSML}tool_calls>\n</{_DSML}tool_calls>"),
        ("kimi_k2", "<|tool_calls_section_begin|><|tool_calls_section_end|>"),
    ],
)
def test_block_without_calls_leaves_no_trace(name: str, block: str) -> None:
    _check(name, f"{block}Nothing to do.", ("Nothing to do.", "", []), started=False)


@pytest.mark.parametrize(
    ("name", "text", "started"),
    [
        ("gemma4", "<|channel>why<channel|>so", False),
        ("gemma4", "<|channel><|channel>thought\nwhy<channel|>so<turn|>", False),
        ("gemma4", "thought\nwhy<channel|>so", True),
        ("granite", "Here is my thought process: why Here's my response:\nso", False),
        ("granite", "<think>why</think><response>so</response>", False),
        ("kimi_k3", "why<|open|>response<|sep|>so<|close|>response<|sep|>", True),
        ("command_a", "why<|START_TEXT|>so<|END_TEXT|>", True),
        ("command_r7b", "<|START_THINKING|>why<|START_RESPONSE|>so<|END_RESPONSE|>", False),
        ("k2_horizon", "<ifm|think>why</ifm|think>so", False),
        ("k2_horizon", "why</ifm|think>so", True),
        ("k2_horizon", "<ifm|think_faster>why</ifm|think_faster>so", False),
        ("ling3", "why</think>so<|role_end|>", True),
        ("poolside", "why</think>so</assistant>", True),
        ("plamo3", "so<|plamo:tag|>", None),
        ("internlm2", "so<|im_end|>", None),
    ],
)
def test_reasoning_and_ends_are_told_from_content(
    name: str, text: str, started: bool | None
) -> None:
    reasoning = "" if started is None else "why"
    _check(name, text, ("so", reasoning, []), started=bool(started))


def test_call_in_reasoning_is_a_mention_where_the_marker_of_content_ends_it() -> None:
    mention = 'maybe <|open|>call tool="pay" index="1"<|sep|><|close|>call<|sep|> or not'
    text = f"{mention}<|open|>response<|sep|>No.<|close|>response<|sep|>"
    _check("kimi_k3", text, ("No.", mention, []), started=True)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("granite", '<|tool_call|> [{"name": "pay", "arguments": {}}]'),
        ("minicpm5", '<function name="pay"></function>'),
        ("mistral", '[TOOL_CALLS][{"name": "pay", "arguments": {}}]'),
        (
            "deepseek_v32",
            f'<{_DSML}function_calls>\n<{_DSML}invoke name="pay">\n</{_DSML}invoke>\n'
            f"</{_DSML}function_calls>",
        ),
    ],
)
def test_line_break_after_a_call_belongs_to_the_content(name: str, call: str) -> None:
    _check(name, f"One.{call}\nTwo.", ("One.\nTwo.", "", [("pay", {})]), started=False)


def test_round_brackets_that_are_cut_off_are_an_error() -> None:
    found = read(["<|tool_call>call:order(count:2"], "gemma4", _TOOLS)
    assert found.calls == [("order", {})]
    assert "cut off" in str(found.errors[0])


def test_call_whose_parameter_has_no_end_has_an_error() -> None:
    found = read([_m3("<dish>soup")], "minimax_m3", _TOOLS)
    assert found.calls == [("order", {})]
    assert "open but not closed" in str(found.errors[0])


@pytest.mark.parametrize(
    ("name", "one", "block"),
    [
        (
            "k2_horizon",
            f"<ifm|tool_call>order{_pair('dish', '{}', 'ifm|')}?</ifm|tool_call>",
            "ifm|tool_calls",
        ),
        ("qwen3_coder", "<function=order><parameter=dish>{}</parameter>?</function>", "tool_call"),
    ],
)
def test_error_of_a_call_shows_that_call_alone(name: str, one: str, block: str) -> None:
    text = f"<{block}>{one.format('first')}{one.format('second')}</{block}>"
    first, second = parse_text(text, name, _TOOLS).tool_calls
    assert None not in {first.error, second.error}
    assert "second" not in str(first.raw_arguments)
    assert "first" not in str(second.raw_arguments)
    assert "second" in str(second.raw_arguments)

from __future__ import annotations

from typing import Any

import pytest

from tests.tool_calling.reading import cut, read
from victor.errors import ConfigError
from victor.tool_calling.formats.registry import list_formats, text_format
from victor.tool_calling.text import parse_text

_TOOLS = [
    {
        "name": "book",
        "parameters": {
            "type": "object",
            "properties": {
                "room": {"type": "string"},
                "nights": {"type": "integer"},
                "paid": {"type": "boolean"},
                "with": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
    {"name": "cancel", "parameters": {"type": "object", "properties": {}}},
]
_BOOK: dict[str, Any] = {"room": '7 "b"', "nights": 2, "paid": True, "with": ["Zoë", "<b>"]}
_JSON = '{"room": "7 \\"b\\"", "nights": 2, "paid": true, "with": ["Zo\\u00eb", "<b>"]}'
_PYTHON = "book(room='7 \"b\"', nights=2, paid=True, with=['Zoë', '<b>'])"
_WITH = '["Zoë", "<b>"]'
_BAR = "\uff5c"


def _named(key: str = "arguments") -> str:
    return f'{{"name": "book", "{key}": {_JSON}}}'


_NONE = '{"name": "cancel", "arguments": {}}'


def _in_tags(call: str, parameter: str, end: str, call_end: str, mark: str = "") -> str:
    values = (("room", '7 "b"'), ("nights", "2"), ("paid", "true"), ("with", _WITH))
    body = "".join(f"{parameter.format(key)}{value}{end}" for key, value in values)
    return f"{call.format('book')}{body}{call_end}{mark}{call.format('cancel')}{call_end}"


def _in_pairs(prefix: str = "") -> str:
    values = (("room", '7 "b"'), ("nights", "2"), ("paid", "true"), ("with", _WITH))
    return "".join(
        f"<{prefix}arg_key>{key}</{prefix}arg_key>\n<{prefix}arg_value>{value}</{prefix}arg_value>"
        for key, value in values
    )


_QWEN = _in_tags("<function={}>\n", "<parameter={}>\n", "\n</parameter>\n", "</function>\n")
_INVOKED = _in_tags('<invoke name="{}">', '<parameter name="{}">', "</parameter>", "</invoke>")
_M3 = "]<]minimax[>["
_BLOCKS = {
    "apertus": f'<|tools_prefix|>[{{"book": {_JSON}}}, {{"cancel": {{}}}}]<|tools_suffix|>',
    "apriel": f"<tool_calls>[{_named()}, {_NONE}]</tool_calls>",
    "command_a": "<|START_ACTION|>[\n"
    f'{{"tool_call_id": "0", "tool_name": "book", "parameters": {_JSON}}},\n'
    '{"tool_call_id": "1", "tool_name": "cancel", "parameters": {}}]<|END_ACTION|>',
    "command_r_plus": f"Action:\n```json\n[{_named('parameters')}, {_NONE}]\n```",
    "deepseek_v3": "".join(
        f"<{_BAR}tool▁call▁begin{_BAR}>function<{_BAR}tool▁sep{_BAR}>{name}\n```json\n{given}\n```"
        f"<{_BAR}tool▁call▁end{_BAR}>"
        for name, given in (("book", _JSON), ("cancel", "{}"))
    ),
    "deepseek_v31": f"<{_BAR}tool▁calls▁begin{_BAR}>"
    + "".join(
        f"<{_BAR}tool▁call▁begin{_BAR}>{name}<{_BAR}tool▁sep{_BAR}>{given}"
        f"<{_BAR}tool▁call▁end{_BAR}>"
        for name, given in (("book", _JSON), ("cancel", "{}"))
    )
    + f"<{_BAR}tool▁calls▁end{_BAR}>",
    "deepseek_v32": f"<{_BAR}DSML{_BAR}function_calls>"
    + _in_tags(
        f'<{_BAR}DSML{_BAR}invoke name="{{}}">\n',
        f'<{_BAR}DSML{_BAR}parameter name="{{}}" string="false">',
        f"</{_BAR}DSML{_BAR}parameter>\n",
        f"</{_BAR}DSML{_BAR}invoke>\n",
    )
    + f"</{_BAR}DSML{_BAR}function_calls>",
    "dots": f"<dots_function_call>{_INVOKED}</dots_function_call>",
    "ernie45": f"<tool_call>\n{_named()}\n</tool_call>\n<tool_call>{_NONE}</tool_call>",
    "firefunction": f" functools[{_named()}, {_NONE}]",
    "functionary_v31": f"<function=book>{_JSON}</function><function=cancel>{{}}</function>",
    "functionary_v32": f">>>book\n{_JSON}>>>cancel\n{{}}",
    "functiongemma": '<start_function_call>call:book{room:<escape>7 "b"<escape>,nights:2,'
    "paid:true,with:[<escape>Zoë<escape>,<escape><b><escape>]}<end_function_call>"
    "<start_function_call>call:cancel{}<end_function_call>",
    "gemma4": '<|tool_call>call:book{room:<|"|>7 "b"<|"|>,nights:2,paid:true,'
    'with:[<|"|>Zoë<|"|>,<|"|><b><|"|>]}<tool_call|><|tool_call>call:cancel{}<tool_call|>',
    "gigachat3": f"<|function_call|>{_named()}<|function_call|>{_NONE}",
    "glm45": f"<tool_call>book\n{_in_pairs()}\n</tool_call>\n<tool_call>cancel</tool_call>",
    "granite": f"<|tool_call|>[{_named()}, {_NONE}]",
    "granite_20b_fc": f"<function_call> {_named()}\n<function_call> {_NONE}",
    "hermes": f"<tool_call>\n{_named()}\n</tool_call>\n<tool_call>\n{_NONE}\n</tool_call>",
    "hunyuan": f"<tool_calls>[{_named()}, {_NONE}]</tool_calls>",
    "hunyuan_v3": f"<tool_calls>\n<tool_call>book<tool_sep>\n{_in_pairs()}</tool_call>\n"
    "<tool_call>cancel<tool_sep></tool_call>\n</tool_calls>",
    "internlm2": f"<|action_start|><|plugin|>{_named('parameters')}<|action_end|>"
    f"<|action_start|><|plugin|>{_NONE}<|action_end|>",
    "k2_horizon": f"<ifm|tool_calls><ifm|tool_call>book{_in_pairs('ifm|')}</ifm|tool_call>"
    "<ifm|tool_call>cancel</ifm|tool_call></ifm|tool_calls>",
    "kimi_k2": "<|tool_calls_section_begin|>"
    f"<|tool_call_begin|>functions.book:0<|tool_call_argument_begin|>{_JSON}<|tool_call_end|>"
    "<|tool_call_begin|>functions.cancel:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
    "<|tool_calls_section_end|>",
    "kimi_k3": "<|open|>tools<|sep|>"
    + _in_tags(
        '<|open|>call tool="{}" index="1"<|sep|>',
        '<|open|>argument key="{}" type="string"<|sep|>',
        "<|close|>argument<|sep|>",
        "<|close|>call<|sep|>",
    )
    + "<|close|>tools<|sep|><|close|>message<|sep|>",
    "lfm2": f"<|tool_call_start|>[{_PYTHON}, cancel()]<|tool_call_end|>",
    "longcat": f"<longcat_tool_call>{_named()}</longcat_tool_call>\n"
    f"<longcat_tool_call>{_NONE}</longcat_tool_call>",
    "minicpm5": _in_tags('<function name="{}">', '<param name="{}">', "</param>", "</function>"),
    "minimax_m1": f"<tool_calls>\n{_named()}\n{_NONE}\n</tool_calls>",
    "minimax_m2": f"<minimax:tool_call>\n{_INVOKED}\n</minimax:tool_call>",
    "minimax_m3": f'{_M3}<tool_call>\n{_M3}<invoke name="book">{_M3}<room>7 "b"{_M3}</room>'
    f"{_M3}<nights>2{_M3}</nights>{_M3}<paid>true{_M3}</paid>{_M3}<with>{_M3}<item>Zoë{_M3}</item>"
    f"{_M3}<item><b>{_M3}</item>{_M3}</with>{_M3}</invoke>\n"
    f'{_M3}<invoke name="cancel">{_M3}</invoke>\n{_M3}</tool_call>',
    "mistral": f"[TOOL_CALLS] [{_named()}, {_NONE}]",
    "mistral_v11": f"[TOOL_CALLS]book[ARGS]{_JSON}[TOOL_CALLS]cancel{{}}",
    "nemotron_nano_v2": f"<TOOLCALL>[{_named()}, {_NONE}]</TOOLCALL>",
    "olmo3": f"<function_calls>{_PYTHON}\ncancel()</function_calls>",
    "phi4": f"functools[{_named()}, {_NONE}]",
    "plamo3": "<|plamo:begin_tool_requests:plamo|>"
    + "".join(
        "<|plamo:begin_tool_request:plamo|><|plamo:begin_tool_name:plamo|>"
        f"{name}<|plamo:end_tool_name:plamo|><|plamo:begin_tool_arguments:plamo|>"
        f"<|plamo:constrain|>json<|plamo:msg|>{given}<|plamo:end_tool_arguments:plamo|>"
        "<|plamo:end_tool_request:plamo|>"
        for name, given in (("book", _JSON), ("cancel", "{}"))
    )
    + "<|plamo:end_tool_requests:plamo|>",
    "pythonic": f"<|python_start|>[{_PYTHON}, cancel()]<|python_end|>",
    "qwen3_coder": f"<tool_call>\n{_QWEN}</tool_call>",
    "seed_oss": f"<seed:tool_call>\n{_QWEN}</seed:tool_call>",
    "step3": f"<{_BAR}tool_calls_begin{_BAR}><{_BAR}tool_call_begin{_BAR}>"
    + _in_tags(
        '<steptml:invoke name="{}">',
        '<steptml:parameter name="{}">',
        "</steptml:parameter>",
        "</steptml:invoke>",
        f"<{_BAR}tool_call_end{_BAR}><{_BAR}tool_call_begin{_BAR}>",
    )
    + f"<{_BAR}tool_call_end{_BAR}><{_BAR}tool_calls_end{_BAR}>",
    "xlam": f"[TOOL_CALLS][{_named()}, {_NONE}]",
}
_SAME = {"command_r7b": "command_a", "deepseek_v4": "deepseek_v32", "granite4": "hermes"} | {
    "granite_thinking": "qwen3_coder",
    "jamba": "hunyuan",
    "ling3": "glm45",
    "poolside": "glm45",
    "step3p5": "qwen3_coder",
}
_APART = {"harmony", "llama3_json", "muse", "plain"}
_WANTED = [("book", _BOOK), ("cancel", {})]
_CHUNKS = ([10_000], [1], [2], [3, 1, 7])


def test_every_format_has_an_example_here() -> None:
    assert {*_BLOCKS, *_SAME, *_APART} == set(list_formats())


@pytest.mark.parametrize("name", sorted({*_BLOCKS, *_SAME}))
def test_calls_between_text_are_read_however_the_text_is_cut(name: str) -> None:
    block = _BLOCKS[_SAME.get(name, name)]
    for sizes in _CHUNKS:
        found = read(cut(f"I book it.\n{block}", sizes), name, _TOOLS)
        assert found.content == "I book it."
        assert found.calls == _WANTED
        assert found.errors == [None, None]
        assert found.reasoning == ""


@pytest.mark.parametrize(
    "name", sorted(_BLOCKS.keys() - {"command_r_plus", "functionary_v32", "apriel"})
)
def test_format_is_recognised_by_its_markers(name: str) -> None:
    assert read([_BLOCKS[name]], None, _TOOLS).calls == _WANTED


@pytest.mark.parametrize("name", sorted({*_BLOCKS, *_SAME}))
def test_text_after_the_calls_is_content(name: str) -> None:
    block = _BLOCKS[_SAME.get(name, name)]
    found = read([f"{block}\nThat is all."], name, _TOOLS)
    assert found.calls == _WANTED
    assert found.content == "That is all."


@pytest.mark.parametrize("name", sorted({*_BLOCKS, *_SAME}))
def test_call_that_is_cut_off_anywhere_is_never_a_good_call(name: str) -> None:
    block = _BLOCKS[_SAME.get(name, name)]
    seen = set()
    for end in range(len(block)):
        found = read([block[:end]], name, _TOOLS)
        for (call, given), error in zip(found.calls, found.errors, strict=True):
            if error is None:
                assert (call, given) in _WANTED
            else:
                seen.add(call)
                assert given.keys() <= _BOOK.keys()
    assert "book" in seen


@pytest.mark.parametrize("name", list_formats())
@pytest.mark.parametrize(
    "prose",
    [
        "Plain words, 1 < 2 and a[0] = {1: 'x'}; done.",
        "The tag <tool_call> and the list [TOOL_CALLS] are only mentioned here.",
        "```python\n>>> print('<function=')\n```",
        "use <tool_call>, <tool_calls> or <function_call> for it",
        "ends like a marker <tool_cal",
        "ends like a marker <|tool_call_sta",
        "Übergröße — 东京 🎉\r\nnext line",
        'Say {"name": "book", "arguments": {}} to book.',
        "see [link](https://example.org) and book(room=1)",
    ],
)
def test_prose_comes_out_as_it_is(name: str, prose: str) -> None:
    for sizes in ([1000], [1]):
        found = read(cut(prose, sizes), name, _TOOLS)
        assert (found.content, found.calls, found.reasoning) == (prose, [], "")


@pytest.mark.parametrize("name", sorted(list_formats()))
def test_reasoning_is_separate_in_every_format(name: str) -> None:
    begin, end = text_format(name).think[0]
    if name in {"harmony", "muse"}:
        begin = " to=self<|message|>" if name == "muse" else "<|channel|>analysis<|message|>"
    lead = text_format(name).lead
    for sizes in ([1000], [1], [5]):
        whole = read(cut(f"{begin}\nhmm\n{end}\n\nYes.", sizes), name)
        assert (whole.reasoning, whole.content) == ("hmm", "Yes.")
        begun = read(cut(f"hmm\n{end}Yes.", sizes), name, starts_in_reasoning=True)
        assert (begun.reasoning, begun.content) == (f"{lead}hmm", "Yes.")


def test_unknown_format_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(ConfigError, match=r"unknown tool format 'hermess'.*hermes"):
        parse_text("", "hermess")


@pytest.mark.parametrize(
    ("text", "content", "reasoning", "calls"),
    [
        (
            "<|channel|>analysis<|message|>Look it up.<|end|><|start|>assistant"
            f"<|channel|>commentary to=functions.book <|constrain|>json<|message|>{_JSON}<|call|>",
            "",
            "Look it up.",
            [("book", _BOOK)],
        ),
        (
            "<|channel|>commentary<|message|>One moment.<|end|><|start|>assistant<|channel|>final"
            "<|message|>Done.<|return|>",
            "One moment.\nDone.",
            "",
            [],
        ),
        ("<|start|>assistant to=book<|channel|>commentary<|message|>{}", "", "", [("book", {})]),
        ("<|channel|>commentary to=functions.cancel<|message|><|call|>", "", "", [("cancel", {})]),
        ("<|channel|>commentary to=browser.open<|message|>x<|call|>", "", "", []),
        ("<|channel|>commentary to=functions.b", "<|channel|>commentary to=functions.b", "", []),
    ],
    ids=["call", "preamble", "role header", "no arguments", "own tool", "cut header"],
)
def test_harmony_messages_go_where_their_headers_say(
    text: str, content: str, reasoning: str, calls: list[Any]
) -> None:
    for sizes in ([1000], [1]):
        found = read(cut(text, sizes), "harmony", _TOOLS)
        assert (found.content, found.reasoning, found.calls) == (content, reasoning, calls)


def test_muse_calls_count_only_in_a_turn_to_a_tool() -> None:
    call = (
        '<atem:function_calls>\n<atem:invoke name="cancel">\n</atem:invoke>\n</atem:function_calls>'
    )
    turns = f" to=user<|message|>Like {call}<|eom|><|start|>assistant to=cancel<|message|>{call}"
    found = read([f"{turns}<|eot|>"], "muse", _TOOLS)
    assert found.content == f"Like {call}"
    assert found.calls == [("cancel", {})]
    assert read([" to=cancel<|message|>words"], "muse").content == "words"


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (f"{_named('parameters')}; {_NONE}", _WANTED),
        (f"<|python_tag|>{_named()}<|eom_id|>", _WANTED[:1]),
        ('{"name": "fly", "parameters": {}}', []),
        ('{"name": "book"}', []),
        ('{"type": "function", "function": {"name": "cancel", "parameters": {}}}', _WANTED[1:]),
        ("<|python_tag|>cancel()", _WANTED[1:]),
    ],
    ids=["two", "tag", "not offered", "no arguments", "nested", "python"],
)
def test_llama_calls_are_json_of_an_offered_tool(text: str, calls: list[Any]) -> None:
    for sizes in ([1000], [1]):
        assert read(cut(text, sizes), "llama3_json", _TOOLS).calls == calls


def test_xlam_calls_may_stand_in_a_code_block() -> None:
    found = read([f"```json\n[{_named()}]\n```"], "xlam", _TOOLS)
    assert (found.calls, found.content) == (_WANTED[:1], "")
    other = '```json\n[{"room": 1}]\n```'
    assert read([other], "xlam", _TOOLS).content == other

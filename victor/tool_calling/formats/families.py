"""How each family of models spells its reasoning and its calls: one row a format.

What the rows share is in the modules of the readers. The spellings are those of the models' chat
templates. Knows nothing about which model writes which format; that is in `victor/config/models`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from types import MappingProxyType

from victor.tool_calling.formats.channels import begins, harmony
from victor.tool_calling.formats.format import BAR, Found, Offered, Reader, TextFormat
from victor.tool_calling.formats.gemma import bare_gemma, gemma
from victor.tool_calling.formats.json_blocks import free_json, json_block, named_by_key
from victor.tool_calling.formats.minimax_m3 import OPENER as M3_OPENER
from victor.tool_calling.formats.minimax_m3 import minimax_m3
from victor.tool_calling.formats.named import (
    deepseek,
    functionary,
    kimi_name,
    mistral,
    named_json,
)
from victor.tool_calling.formats.pairs import pairs
from victor.tool_calling.formats.pythonic import free_python, python_block
from victor.tool_calling.formats.tag_families import (
    deepseek_v32,
    dots,
    functionary_v31,
    kimi_k3,
    minicpm5,
    minimax_m2,
    muse_turns,
    qwen3_coder,
    step3,
)
from victor.tool_calling.formats.tape import Markers, Steps, Tape

__all__ = ["FORMATS"]

_THINK = (("<think>", "</think>"),)
_COHERE = (
    "<|END_RESPONSE|>",
    "<|END_TEXT|>",
    "<|CHATBOT_TOKEN|>",
    "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
)
_ENDS = ("<|im_end|>",)
_THOUGHT = "thought\n"
_APRIEL_LEAD = "Here are my reasoning steps:"


def _in_block(inner: str, reader: Reader, closer: str) -> Reader:
    """Return a reader of calls that each have an opener of their own inside a block."""
    openers = Markers((inner,))
    closers = Markers((closer,))

    def read(tape: Tape, offered: Offered, _opener: str) -> Steps[Found]:
        calls = []
        yield from tape.skip_space()
        while (yield from tape.skip(openers)):
            found = yield from reader(tape, offered, inner)
            if not isinstance(found, list):
                break
            calls += found
            yield from tape.skip_space()
        if calls:
            yield from tape.skip(closers)
        return calls or None

    return read


def _json(opener: str, *closers: str, noise: tuple[str, ...] = ()) -> TextFormat:
    return TextFormat({opener: json_block(*closers)}, noise=noise)


def _either(first: Reader, other: Reader) -> Reader:
    """Return a reader that takes the first where JSON comes, and else the other."""

    def read(tape: Tape, offered: Offered, opener: str) -> Steps[Found]:
        yield from tape.skip_space()
        chosen = first if (yield from tape.ahead(1)) in {"{", "["} else other
        return (yield from chosen(tape, offered, opener))

    return read


def _llama3() -> TextFormat:
    # A tool of Llama's own is called as `name.call(...)`.
    python = python_block("<|eom_id|>", "<|eot_id|>", method=".call")
    block = _either(free_json("<|eom_id|>", "<|eot_id|>"), python)
    return TextFormat(
        {"<|python_tag|>": block}, free={"{": free_json(), "[": free_json()}, noise=("<|eot_id|>",)
    )


def _xlam() -> TextFormat:
    fenced = free_json("```")
    block = json_block("</tool_call>", "[/TOOL_CALLS]")
    return TextFormat(
        {"```json": fenced, "```": fenced, "[TOOL_CALLS]": block, "<tool_call>": block},
        free={"[": free_json(), "{": free_json()},
    )


def _pythonic() -> TextFormat:
    block = python_block("<|python_end|>", bracketed=True)
    return TextFormat(
        {"<|python_start|>": block},
        free={"[": free_python()},
        noise=("<|python_end|>", "<|eot|>", "<|eom|>"),
    )


def _deepseek() -> TextFormat:
    words = ("tool▁calls▁begin", "tool▁call▁end", "tool▁calls▁end", "end▁of▁sentence")
    noise = tuple(f"<{BAR}{word}{BAR}>" for word in words)
    return TextFormat({f"<{BAR}tool▁call▁begin{BAR}>": deepseek()}, noise=noise)


def _kimi_k2() -> TextFormat:
    sections = ("tool_calls_section", "tool_call_section")
    words = (*(f"{name}_{edge}" for name in sections for edge in ("begin", "end")), "tool_call_end")
    return TextFormat(
        {
            "<|tool_call_begin|>": named_json(
                "<|tool_call_argument_begin|>", name_of=kimi_name, ends=["<|tool_call_end|>"]
            )
        },
        noise=(*(f"<|{word}|>" for word in words), *_ENDS),
    )


def _plamo3() -> TextFormat:
    def mark(name: str) -> str:
        return f"<|plamo:{name}:plamo|>"

    skips = (mark("begin_tool_arguments"), "<|plamo:constrain|>", "json", "<|plamo:msg|>")
    names = ("tool_requests", "tool_request", "tool_arguments", "content", "answer")
    noise = tuple(mark(f"{edge}_{name}") for edge in ("begin", "end") for name in names)
    return TextFormat(
        {
            mark("begin_tool_name"): named_json(
                mark("end_tool_name"), skips=skips, ends=[mark("end_tool_arguments")]
            )
        },
        think=((mark("begin_think"), mark("end_think")),),
        noise=(*noise, "<|plamo:op|>", "<|plamo:eot|>", "<|plamo:tag|>"),
    )


def _harmony() -> TextFormat:
    openers = ("<|start|>", "<|channel|>")
    return TextFormat(
        dict.fromkeys(openers, harmony()),
        think=(("<think>", "<|end|>"),),
        noise=("<|call|>", "<|return|>"),
        structural=frozenset(openers),
    )


def _cohere() -> TextFormat:
    opens = dict.fromkeys(("<|START_RESPONSE|>", "<|START_TEXT|>"), begins("content"))
    return TextFormat(
        {"<|START_ACTION|>": json_block("<|END_ACTION|>"), **opens},
        think=(("<|START_THINKING|>", "<|END_THINKING|>"),),
        noise=_COHERE,
    )


def _command_r_plus() -> TextFormat:
    block = json_block("```", before=("```json", "```"))
    return TextFormat({"Action:": block}, noise=_COHERE)


def _gemma(opener: str, closer: str, quote: str) -> TextFormat:
    return TextFormat(
        {opener: gemma(closer, quote)},
        noise=("<end_of_turn>",),
    )


def _gemma4() -> TextFormat:
    closer, quote = "<tool_call|>", '<|"|>'
    return TextFormat(
        {"<|tool_call>": gemma(closer, quote), "<|channel>": begins("reasoning", _THOUGHT)},
        free={"c": bare_gemma(closer, quote)},
        think=(("<|channel>", "<channel|>"),),
        noise=("<|turn>model\n", "<turn|>", closer),
        preface=_THOUGHT,
    )


def _mistral() -> TextFormat:
    block = json_block("[/TOOL_CALLS]", "</s>", again=("[TOOL_CALLS]",))
    both = _either(block, mistral())
    return TextFormat(
        {"[TOOL_CALLS]": both}, think=(("[THINK]", "[/THINK]"), *_THINK), noise=("</s>",)
    )


def _k2_horizon() -> TextFormat:
    reader = _either(
        json_block("</ifm|tool_call>", coerces=True), pairs("</ifm|tool_call>", prefix="ifm|")
    )
    inner, outer = "<ifm|tool_call>", "<ifm|tool_calls>"
    efforts = ("think", "think_fast", "think_faster")
    return TextFormat(
        {inner: reader, outer: _in_block(inner, reader, "</ifm|tool_calls>")},
        think=tuple((f"<ifm|{effort}>", f"</ifm|{effort}>") for effort in efforts),
        noise=("<|ifm|im_end|>",),
    )


def _hunyuan_v3() -> TextFormat:
    reader = pairs("</tool_call>", separator="<tool_sep>")
    inner = "<tool_call>"
    return TextFormat(
        {inner: reader, "<tool_calls>": _in_block(inner, reader, "</tool_calls>")},
    )


def _apriel() -> TextFormat:
    return TextFormat(
        {"<tool_calls>": json_block("</tool_calls>")},
        think=(
            ("<think>", "[BEGIN FINAL RESPONSE]"),
            (_APRIEL_LEAD, "[BEGIN FINAL RESPONSE]"),
            ("<thinking>", "</thinking>"),
            *_THINK,
        ),
        noise=("[END FINAL RESPONSE]", "<|end|>"),
        lead=f"{_APRIEL_LEAD}\n",
    )


def _m3() -> TextFormat:
    return TextFormat(
        {M3_OPENER: minimax_m3()},
        think=(("<mm:think>", "</mm:think>"),),
        keeps_stray_end=True,
    )


def _glm(*ends: str) -> TextFormat:
    return TextFormat({"<tool_call>": pairs("</tool_call>")}, noise=ends)


def _apertus() -> TextFormat:
    return TextFormat(
        {"<|tools_prefix|>": named_by_key("<|tools_suffix|>")},
        think=(("<|inner_prefix|>", "<|inner_suffix|>"), *_THINK),
        noise=("<|assistant_end|>",),
    )


def _granite() -> TextFormat:
    block = json_block("</tool_call>", "<|end_of_text|>")
    subjects = ("Here is", "Here's")
    thoughts = tuple(f"{words} my thought process:" for words in subjects)
    return TextFormat(
        {"<|tool_call|>": block, "<tool_call>": block},
        # Granite 3.2 has words for its reasoning, which begin nothing later in an answer.
        free={"H": begins("reasoning", *thoughts, required=True)},
        think=(*_THINK, *(("<think>", f"{words} my response:") for words in subjects)),
        noise=("<|end_of_text|>", "<response>", "</response>"),
        keeps_stray_end=True,
    )


def _gigachat3() -> TextFormat:
    block = json_block("</s>", "<|message_sep|>")
    return TextFormat(
        {"<|function_call|>": block, "function call<|role_sep|>": block},
        noise=("<|message_sep|>", "</s>"),
    )


def _functools() -> TextFormat:
    # The second is what Phi-4-mini's template shows it.
    block = json_block("<|/tool_call|>")
    return TextFormat(
        {"functools": block, "<|tool_call|>": block}, noise=("<|/tool_call|>", "<|end|>")
    )


def _hunyuan() -> TextFormat:
    return _json("<tool_calls>", "</tool_calls>", noise=("<answer>", "</answer>"))


def _hermes() -> TextFormat:
    return _json("<tool_call>", "</tool_call>", noise=_ENDS)


def _lfm2() -> TextFormat:
    end = "<|tool_call_end|>"
    python, other = python_block(end, echoes=True), json_block(end)

    def read(tape: Tape, offered: Offered, opener: str) -> Steps[Found]:
        yield from tape.skip_space()
        chosen = other if (yield from tape.ahead(2)) == "[{" else python
        return (yield from chosen(tape, offered, opener))

    return TextFormat({"<|tool_call_start|>": read}, noise=_ENDS)


def _functionary_v32() -> TextFormat:
    return TextFormat({">>>": functionary()}, noise=("<|eot_id|>", "<|eom_id|>"))


def _plain() -> TextFormat:
    """No calls at all: only the reasoning is told apart."""
    return TextFormat({})


_MAKERS: Mapping[str, Callable[[], TextFormat]] = MappingProxyType(
    {
        "plain": _plain,
        "apertus": _apertus,
        "apriel": _apriel,
        "command_a": _cohere,
        "command_r7b": _cohere,
        "command_r_plus": _command_r_plus,
        "deepseek_v3": _deepseek,
        "deepseek_v31": _deepseek,
        "deepseek_v32": deepseek_v32,
        "deepseek_v4": deepseek_v32,
        "dots": dots,
        "ernie45": partial(
            _json, "<tool_call>", "</tool_call>", noise=("<response>", "</response>")
        ),
        "firefunction": _functools,
        "functionary_v31": functionary_v31,
        "functionary_v32": _functionary_v32,
        "functiongemma": partial(
            _gemma, "<start_function_call>", "<end_function_call>", "<escape>"
        ),
        "gemma4": _gemma4,
        "gigachat3": _gigachat3,
        "glm45": partial(_glm, "<|user|>", "<|observation|>"),
        "granite": _granite,
        "granite4": _hermes,
        "granite_20b_fc": partial(_json, "<function_call>"),
        "granite_thinking": qwen3_coder,
        "harmony": _harmony,
        "hermes": _hermes,
        "hunyuan": _hunyuan,
        "hunyuan_v3": _hunyuan_v3,
        "internlm2": partial(_json, "<|action_start|><|plugin|>", "<|action_end|>", noise=_ENDS),
        "jamba": _hunyuan,
        "k2_horizon": _k2_horizon,
        "kimi_k2": _kimi_k2,
        "kimi_k3": kimi_k3,
        "lfm2": _lfm2,
        "ling3": partial(_glm, "<|role_end|>"),
        "llama3_json": _llama3,
        "longcat": partial(_json, "<longcat_tool_call>", "</longcat_tool_call>"),
        "minicpm5": minicpm5,
        "minimax_m1": _hunyuan,
        "minimax_m2": minimax_m2,
        "minimax_m3": _m3,
        "mistral": _mistral,
        "mistral_v11": _mistral,
        "muse": muse_turns,
        "nemotron_nano_v2": partial(_json, "<TOOLCALL>", "</TOOLCALL>"),
        "olmo3": lambda: TextFormat({"<function_calls>": python_block("</function_calls>")}),
        "phi4": _functools,
        "plamo3": _plamo3,
        "poolside": partial(_glm, "</assistant>"),
        "pythonic": _pythonic,
        "qwen3_coder": qwen3_coder,
        "seed_oss": partial(qwen3_coder, "seed:tool_call", "seed:think"),
        "step3": step3,
        "step3p5": qwen3_coder,
        "xlam": _xlam,
    }
)

FORMATS: Mapping[str, Callable[[], TextFormat]] = MappingProxyType(
    {name: cache(make) for name, make in _MAKERS.items()}
)
"""What makes each format, once, when it is first used."""

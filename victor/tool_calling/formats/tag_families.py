"""The families whose calls are tags: how each spells them.

Knows nothing about the other families; the list of all is in `families.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from victor.tool_calling.formats.channels import muse
from victor.tool_calling.formats.format import BAR, TextFormat
from victor.tool_calling.formats.tagged import Tags, tagged

__all__ = [
    "deepseek_v32",
    "dots",
    "functionary_v31",
    "kimi_k3",
    "minicpm5",
    "minimax_m2",
    "muse_turns",
    "qwen3_coder",
    "step3",
]

_THINK = (("<think>", "</think>"),)


def qwen3_coder(outer: str = "tool_call", think: str = "think") -> TextFormat:
    """Qwen3-Coder and those that took over its tags; Seed-OSS with names of its own."""
    tags = Tags(
        ("<function=",),
        "</function>",
        ("<parameter=",),
        "</parameter>",
        f"</{outer}>",
        trims_lines=True,
    )
    reader = tagged(tags)
    return TextFormat(
        {f"<{outer}>": reader, "<function=": reader}, think=((f"<{think}>", f"</{think}>"),)
    )


def _invoked(
    prefix: str, outer_end: str, *, special: bool = False, think: tuple[tuple[str, str], ...]
) -> Callable[[str], TextFormat]:
    tags = Tags(
        (f"<{prefix}invoke name=",),
        f"</{prefix}invoke>",
        (f"<{prefix}parameter name=",),
        f"</{prefix}parameter>",
        outer_end,
        special=special,
    )
    reader = tagged(tags)
    return lambda opener: TextFormat({opener: reader}, think=think)


def deepseek_v32() -> TextFormat:
    """DeepSeek V3.2 and V4: the attribute `string` tells text from JSON."""
    mark = f"{BAR}DSML{BAR}"
    names = ("function_calls", "tool_calls", "toolcalls")
    inner = _invoked(mark, "", special=True, think=_THINK)(f"<{mark}invoke name=")
    noise = tuple(f"<{slash}{mark}{name}>" for name in names for slash in ("", "/"))
    return TextFormat(inner.readers, noise=(*noise, f"<{BAR}end▁of▁sentence{BAR}>"))


def step3() -> TextFormat:
    """Step 3."""
    inner = _invoked("steptml:", "", special=True, think=_THINK)("<steptml:invoke name=")
    words = ("tool_calls_begin", "tool_calls_end", "tool_call_begin", "tool_call_end")
    marks = tuple(f"<{BAR}{word}{BAR}>" for word in words)
    return TextFormat(
        inner.readers, noise=(*marks, f"function<{BAR}tool_sep{BAR}>", f"<{BAR}tool_sep{BAR}>")
    )


def kimi_k3() -> TextFormat:
    """Kimi K3: typed blocks for everything."""
    tags = Tags(
        ("<|open|>call tool=",),
        "<|close|>call<|sep|>",
        ("<|open|>argument key=",),
        "<|close|>argument<|sep|>",
        head_end="<|sep|>",
        special=True,
    )
    blocks = ("response", "tools", "message")
    return TextFormat(
        {"<|open|>call tool=": tagged(tags)},
        think=(("<|open|>think<|sep|>", "<|close|>think<|sep|>"),),
        noise=tuple(f"<|{edge}|>{name}<|sep|>" for edge in ("open", "close") for name in blocks),
    )


def minicpm5() -> TextFormat:
    """MiniCPM 5."""
    # The space is a token of its own, which some servers lose or show as it is in the vocabulary.
    gaps = (" ", "", "Ġ")
    tags = Tags(
        tuple(f"<function{gap}name=" for gap in gaps),
        "</function>",
        tuple(f"<param{gap}name=" for gap in gaps),
        "</param>",
        cdata=True,
    )
    reader = tagged(tags)
    return TextFormat(dict.fromkeys(tags.call, reader))


def dots() -> TextFormat:
    """Dots: tags, or JSON."""
    opener = "<dots_function_call>"
    return _invoked("", "</dots_function_call>", think=_THINK)(opener)


def muse_turns() -> TextFormat:
    """Muse: turns with an address; calls in those to a tool."""
    opener = "<atem:function_calls>"
    calls = _invoked("atem:", "</atem:function_calls>", think=())(opener).readers[opener]
    turn = muse(calls, opener)
    return TextFormat(
        {" to=": turn, "<|start|>": turn},
        think=(("<|self|>", "<|eom|>"),),
        noise=("<|eot|>",),
        structural=frozenset({" to=", "<|start|>"}),
    )


def minimax_m2() -> TextFormat:
    """MiniMax M2."""
    return _invoked("", "</minimax:tool_call>", think=_THINK)("<minimax:tool_call>")


def functionary_v31() -> TextFormat:
    """Functionary 3.1, and the custom tools of Llama 3.1."""
    tags = Tags(("<function=",), "</function>", ("<parameter=",), "</parameter>")
    return TextFormat({"<function=": tagged(tags)}, noise=("<|eom_id|>", "<|eot_id|>"))

"""The families whose calls are tags: how each spells them.

Knows nothing about the other families; the list of all is in `families.py`.
"""

from __future__ import annotations

from victor.tool_calling.formats.channels import begins, muse
from victor.tool_calling.formats.format import BAR, Reader, TextFormat
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


def qwen3_coder(outer: str = "tool_call", think: str = "think") -> TextFormat:
    """Qwen3-Coder and those that took over its tags; Seed-OSS with names of its own."""
    tags = Tags(
        ("<function=",),
        "</function>",
        ("<parameter=",),
        "</parameter>",
        (f"</{outer}>",),
        trims_lines=True,
    )
    reader = tagged(tags)
    return TextFormat(
        {f"<{outer}>": reader, "<function=": reader}, think=((f"<{think}>", f"</{think}>"),)
    )


def _invoked(prefix: str, *outer_ends: str, special: bool = False) -> Reader:
    tags = Tags(
        (f"<{prefix}invoke name=",),
        f"</{prefix}invoke>",
        (f"<{prefix}parameter name=",),
        f"</{prefix}parameter>",
        outer_ends,
        # The templates have none, but models write values on lines of their own nevertheless.
        trims_pairs=not prefix.startswith(BAR),
        special=special,
    )
    return tagged(tags)


def deepseek_v32() -> TextFormat:
    """DeepSeek V3.2 and V4: the attribute `string` tells text from JSON."""
    mark = f"{BAR}DSML{BAR}"
    names = ("function_calls", "tool_calls", "toolcalls")
    ends = tuple(f"</{mark}{name}>" for name in names)
    calls = _invoked(mark, *ends, special=True)
    openers = (*(f"<{mark}{name}>" for name in names), f"<{mark}invoke name=")
    return TextFormat(dict.fromkeys(openers, calls), noise=(*ends, f"<{BAR}end▁of▁sentence{BAR}>"))


def step3() -> TextFormat:
    """Step 3."""
    words = ("tool_calls_begin", "tool_calls_end", "tool_call_begin", "tool_call_end", "tool_sep")
    marks = tuple(f"<{BAR}{word}{BAR}>" for word in words)
    return TextFormat(
        {"<steptml:invoke name=": _invoked("steptml:", special=True)},
        noise=(*marks, f"function{marks[-1]}"),
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
        escapes=True,
    )
    opens = tuple(f"<|open|>{name}<|sep|>" for name in ("response", "tools"))
    closes = tuple(f"<|close|>{name}<|sep|>" for name in ("response", "tools", "message"))
    return TextFormat(
        # What comes after the reasoning ends it where its own end is missing.
        {"<|open|>call tool=": tagged(tags), **dict.fromkeys(opens, begins("content"))},
        think=(("<|open|>think<|sep|>", "<|close|>think<|sep|>"),),
        noise=(*closes, '<|open|>message role="assistant"<|sep|>', "<|end_of_msg|>"),
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
    return TextFormat({"<dots_function_call>": _invoked("", "</dots_function_call>")})


def muse_turns() -> TextFormat:
    """Muse: turns with an address; calls in those to a tool."""
    opener = "<atem:function_calls>"
    turn = muse(_invoked("atem:", "</atem:function_calls>"), opener)
    readers = {" to=": turn, "<|start|>": turn, "<|message|>": begins("content")}
    return TextFormat(
        readers,
        think=(("<|self|>", "<|eom|>"),),
        noise=("<|eot|>",),
        structural=frozenset(readers),
    )


def minimax_m2() -> TextFormat:
    """MiniMax M2, which may leave out the tag round its calls."""
    calls = _invoked("", "</minimax:tool_call>")
    return TextFormat(
        {"<minimax:tool_call>": calls, "<invoke name=": calls}, noise=("</minimax:tool_call>",)
    )


def functionary_v31() -> TextFormat:
    """Functionary 3.1, and the custom tools of Llama 3.1."""
    tags = Tags(("<function=",), "</function>", ("<parameter=",), "</parameter>")
    return TextFormat({"<function=": tagged(tags)}, noise=("<|eom_id|>", "<|eot_id|>"))

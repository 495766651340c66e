"""What a text format is: the markers of an answer and the readers of its calls.

Knows no format; they are in the modules beside this one and listed in `registry.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from victor.tool_calling.formats.tape import Steps, Tape
from victor.types import ToolCall

__all__ = ["BAR", "Found", "Offered", "Reader", "TextFormat"]

Offered: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The schemas of the tools' parameters by the tools' names; empty where names do not matter."""

Found: TypeAlias = list[ToolCall] | Literal["content", "reasoning"] | None
"""What a reader found: calls, that other text begins, or None: what it read is mere text."""

Reader: TypeAlias = Callable[[Tape, Offered, str], Steps[Found]]
"""Reads what follows an opener, which is its last argument."""

BAR = "\uff5c"
"""The full-width bar of DeepSeek's markers."""

_THINK = (("<think>", "</think>"),)


@dataclass(frozen=True, slots=True)
class TextFormat:
    """How the models of one family write reasoning and calls."""

    readers: Mapping[str, Reader]
    """What begins a call, and how it goes on."""
    free: Mapping[str, Reader] = field(default_factory=dict)
    """The same for calls without a marker: only where the answer's content begins."""
    think: tuple[tuple[str, str], ...] = _THINK
    """What begins and ends reasoning."""
    noise: tuple[str, ...] = ()
    """Markers that are neither content nor part of a call."""
    structural: frozenset[str] = frozenset()
    """Openers that cannot be text: they end reasoning, and count in a code block, too."""
    keeps_stray_end: bool = False
    """Whether an end of reasoning where none began is content, once there is content."""
    preface: str = ""
    """What the model may write first where the prompt began the reasoning, and is no part of it."""
    lead: str = ""
    """Words with which the prompt begins the reasoning the model goes on with."""

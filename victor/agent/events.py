"""What an agent says while it works: one typed event for every step.

The renderer, the JSON output, the tests and later the session log all read these. Knows nothing
about terminals or providers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from victor.types import Message, ToolCall, Usage

__all__ = [
    "AgentEvent",
    "ReasoningDelta",
    "RetryScheduled",
    "RunFinished",
    "RunResult",
    "TextDelta",
    "ToolFinished",
    "ToolStarted",
    "TurnFinished",
    "TurnStarted",
]


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The model is about to be asked."""

    turn: int
    """From 1."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the model's text; without streaming, all of it."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """A call failed and will be tried again."""

    error: str
    """One line: what failed."""
    wait_s: float
    attempt: int
    """The try that failed, from 1."""


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool call passed every check and is about to run."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool call has its result; refused and invalid calls get one too, without `ToolStarted`."""

    call: ToolCall
    content: str
    is_error: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The model's whole message of this turn."""

    message: Message
    usage: Usage | None
    stop_reason: str | None


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to."""

    content: str
    """The last assistant text."""
    messages: tuple[Message, ...]
    """The whole conversation, ready to be continued."""
    usage: Usage
    """Summed over all turns."""
    stop_reason: str
    """The model's own for a finished answer; `max_turns` or `max_tool_calls` for a spent budget."""
    turns: int
    """How often the model was asked."""
    tool_calls: int
    """How many calls were answered, refused ones included, ones past a budget not."""
    model: str | None = None


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The last event of every run that does not raise."""

    result: RunResult


AgentEvent: TypeAlias = (
    TurnStarted
    | TextDelta
    | ReasoningDelta
    | RetryScheduled
    | ToolStarted
    | ToolFinished
    | TurnFinished
    | RunFinished
)
"""Every event `Agent.stream` yields."""

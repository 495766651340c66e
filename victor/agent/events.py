"""What an agent says while it works: one typed event for every step.

The renderer, the JSON output, the tests and later the session log all read these. Knows nothing
about terminals or providers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from victor.types import Attachment, Message, ToolCall, Usage

__all__ = [
    "AgentEvent",
    "AnswerRestarted",
    "AttemptFailed",
    "AttemptStarted",
    "BreakerClosed",
    "BreakerHalfOpened",
    "BreakerOpened",
    "FailedOver",
    "Held",
    "KeySwitched",
    "ReasoningDelta",
    "RetryScheduled",
    "RunFinished",
    "RunResult",
    "TextDelta",
    "ToolFinished",
    "ToolProgress",
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
class AttemptStarted:
    """A request is about to go out."""

    attempt: int
    """From 1, for each provider that is asked."""
    provider: str
    model: str | None


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """A request failed. What follows, if anything does, comes as its own event."""

    error: str
    """One line: what failed."""
    attempt: int
    seconds: float
    """How long it took."""


@dataclass(frozen=True, slots=True)
class Held:
    """A request waits before it goes out: for its turn, or for a key that rests."""

    reason: str
    wait_s: float
    """As far as is known now."""


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """A call failed and will be tried again."""

    error: str
    """One line: what failed."""
    wait_s: float
    attempt: int
    """The try that failed, from 1."""


@dataclass(frozen=True, slots=True)
class KeySwitched:
    """A key was refused; the same request goes out with another one."""

    old: str
    """A fingerprint, never the key; so is the other."""
    new: str
    error: str
    """One line: what was refused."""


@dataclass(frozen=True, slots=True)
class FailedOver:
    """A route could not answer; the next one is asked."""

    old: str
    """Provider and model, as `provider/model`."""
    new: str
    error: str
    """One line: why not."""
    notes: tuple[str, ...] = ()
    """What of the conversation the new one does not get as it was."""


@dataclass(frozen=True, slots=True)
class BreakerOpened:
    """An endpoint, or one model of it, failed too often: for a while it is not asked at all."""

    name: str
    error: str
    """One line: what it failed of last."""
    open_s: float | None
    """How long that is; None until somebody switches it on again."""


@dataclass(frozen=True, slots=True)
class BreakerHalfOpened:
    """The while is over: one request tries whether it is well."""

    name: str


@dataclass(frozen=True, slots=True)
class BreakerClosed:
    """It is well again."""

    name: str


@dataclass(frozen=True, slots=True)
class AnswerRestarted:
    """The answer broke off. What there was of it is discarded, and the model is asked once more.

    Nothing of it was kept, and no call in it was run.
    """

    partial: str
    """The text that is discarded; it came as `TextDelta`s since `TurnStarted`."""
    error: str
    """One line: what broke it."""


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool call passed every check and is about to run."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """A tool says how far it has come."""

    call: ToolCall
    text: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool call has its result; refused and invalid calls get one too, without `ToolStarted`."""

    call: ToolCall
    content: str
    is_error: bool
    seconds: float
    attachments: tuple[Attachment, ...] = ()


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
    | AttemptStarted
    | AttemptFailed
    | Held
    | RetryScheduled
    | KeySwitched
    | FailedOver
    | BreakerOpened
    | BreakerHalfOpened
    | BreakerClosed
    | AnswerRestarted
    | ToolStarted
    | ToolProgress
    | ToolFinished
    | TurnFinished
    | RunFinished
)
"""Every event `Agent.stream` yields."""

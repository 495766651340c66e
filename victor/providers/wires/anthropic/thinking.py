"""Anthropic Messages, the request: how hard a model is to think, and the cap on what it writes.

Spec: https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking and .../effort
There are two spellings: newer models take an effort, older ones a budget in tokens; the model's
data say which. Knows nothing about messages or other settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from victor.errors import ProviderInvalidRequestError
from victor.providers.options import StandardOptions, nearest_effort
from victor.providers.request import ChatRequest

__all__ = ["effort_for", "max_tokens", "thinking_for", "thinks"]

_MAX_TOKENS = 4096
"""The cap on an answer where neither the caller nor the model's data have one: it is mandatory."""
_LEAST_BUDGET = 1024
_BUDGETS: Mapping[str, int] = MappingProxyType(
    {
        "minimal": _LEAST_BUDGET,
        "low": 2048,
        "medium": 8192,
        "high": 16384,
        "xhigh": 32768,
        "max": 32768,
    }
)  # weakest first
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


def thinking_for(
    request: ChatRequest, asked: StandardOptions, *, lost: bool, notes: list[str]
) -> Mapping[str, Any] | None:
    """Return what the field `thinking` is to say; None where it is not sent.

    Args:
        request: what is asked.
        asked: its options; a `thinking` in the protocol's own spelling is the caller's last word.
        lost: whether the turn under way began without thinking of this vendor's.
        notes: gets a sentence if an effort was asked for that cannot be made.

    Raises:
        ProviderInvalidRequestError: the effort is not known.
    """
    own = asked.extra.get("thinking")
    if isinstance(own, Mapping):
        return own
    effort = asked.reasoning_effort
    adaptive = request.model_data.thinking == "adaptive"
    forced = asked.tool_choice == "required"
    found: Mapping[str, Any] | None = None
    if _can(request) and _can_stop(request) and (effort == "none" or (adaptive and forced)):
        # Some models think unless told not to, and then refuse a forced tool.
        found = {"type": "disabled"}
    elif _can(request) and effort is not None and not forced:
        found = {"type": "adaptive"} if adaptive else _budgeted(request, effort, lost=lost)
    if effort == "none" and thinks(found):
        notes.append(f"{request.model} always thinks: it is asked to do so as little as it can.")
    elif effort not in (None, "none") and not thinks(found):
        notes.append(f"Thinking is left out: {_why_not(request, forced=forced, lost=lost)}.")
    return found


def thinks(thinking: Mapping[str, Any] | None) -> bool:
    """Tell whether the field makes a model think, as far as it says."""
    return thinking is not None and thinking.get("type") in ("enabled", "adaptive")


def effort_for(
    request: ChatRequest, asked: StandardOptions, thinking: Mapping[str, Any] | None
) -> str | None:
    """Return the effort to send: of those the model takes the nearest, of two the weaker one."""
    effort = asked.reasoning_effort
    if effort is None or thinking is None or thinking.get("type") != "adaptive":
        return None
    taken = [one for one in request.model_data.efforts or _EFFORTS if one in _BUDGETS]
    return nearest_effort("minimal" if effort == "none" else effort, taken)


def max_tokens(request: ChatRequest, thinking: Mapping[str, Any] | None) -> int:
    """Return the cap, which counts thinking: a budget is added to what the answer may have."""
    wanted, limit = _wanted(request), request.model_data.max_output_tokens
    budget = thinking.get("budget_tokens") if thinking else None
    if isinstance(budget, int):
        wanted += budget
    return min(wanted, limit) if limit else wanted


def _wanted(request: ChatRequest) -> int:
    if request.max_tokens is not None:
        return request.max_tokens
    return request.model_data.max_output_tokens or _MAX_TOKENS


def _can_stop(request: ChatRequest) -> bool:
    """Tell whether the model may be told not to think; the newest may not."""
    known = request.model_data
    return known.thinking != "adaptive" or not known.efforts or "none" in known.efforts


def _can(request: ChatRequest) -> bool:
    known = request.model_data
    return known.reasoning is not False and known.efforts != ()


def _budgeted(request: ChatRequest, effort: str, *, lost: bool) -> Mapping[str, Any] | None:
    budget = _BUDGETS.get(effort)
    if budget is None:
        raise ProviderInvalidRequestError(
            f"reasoning_effort {effort!r} is not known: use none, {', '.join(_BUDGETS)}"
        )
    limit = request.model_data.max_output_tokens
    if limit is not None:
        room = limit - min(_wanted(request), limit, _MAX_TOKENS)
        budget = max(min(budget, room), _LEAST_BUDGET)
    if lost or (limit is not None and budget >= limit):
        return None
    return {"type": "enabled", "budget_tokens": budget}


def _why_not(request: ChatRequest, *, forced: bool, lost: bool) -> str:
    if forced:
        return "Anthropic does not take it with a forced tool"
    if not _can(request):
        return f"{request.model} does not think"
    return "the turn under way began without it" if lost else "the model's cap leaves no room"

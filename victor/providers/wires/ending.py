"""How an answer ends, the same for every protocol: why it stopped, and its tokens.

Knows no protocol: each has a table of its own words, and its own places for the figures.
"""

from __future__ import annotations

from victor.types import Usage

__all__ = ["settled_stop", "tokens"]

# An answer that was cut off or filtered stays so, whatever it called before.
_STAY = frozenset({"length", "content_filter", "error"})


def settled_stop(stop: str, *, has_calls: bool) -> str:
    """Return why an answer stopped: for its calls, if it has any and nothing broke it."""
    return "tool_calls" if has_calls and stop not in _STAY else stop


def tokens(
    prompt: int | None,
    completion: int | None,
    *,
    total: int | None = None,
    cached: int | None = None,
    cache_write: int | None = None,
    reasoning: int | None = None,
) -> Usage:
    """Make the usage, unvalidated: every figure was read by its type. None: the server said none.

    Args:
        prompt: tokens of the prompt, with those from a cache.
        completion: tokens of the answer, with its thinking.
        total: all of them; the sum of both where the server does not say it.
        cached: of the prompt's, those read from a cache.
        cache_write: of the prompt's, those written to one.
        reasoning: of the answer's, its thinking.
    """
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    return Usage.model_construct(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        cached_tokens=cached,
        cache_write_tokens=cache_write,
        reasoning_tokens=reasoning,
    )

"""OpenAI chat completions, the tokens of an answer, wherever a server puts them.

Spec: https://platform.openai.com/docs/api-reference/chat/object
Knows nothing about the answer itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from victor.providers.reading import count, mapping
from victor.providers.wires.ending import tokens
from victor.types import Usage

__all__ = ["usage_of"]


def usage_of(value: Mapping[str, Any], choice: Mapping[str, Any]) -> Usage | None:
    """Return the usage that a body or an event has, or None.

    Args:
        value: the body or the event; Groq's streams have it under `x_groq`.
        choice: its choice; Moonshot's streams have it there.
    """
    usage = value.get("usage") or mapping(value.get("x_groq")).get("usage") or choice.get("usage")
    if not isinstance(usage, Mapping) or not usage:
        return None
    prompt = mapping(usage.get("prompt_tokens_details"))
    completion = mapping(usage.get("completion_tokens_details"))
    asked, answered = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    total = count(usage.get("total_tokens"))
    if asked is not None and answered is not None:
        if total is None:
            total = asked + answered
        heard = count(prompt.get("audio_tokens"))
        if heard is not None and total == asked + answered + heard:
            asked += heard  # Mistral counts them apart
        # xAI's and Gemini's completion_tokens leave out the thinking, which the total has.
        answered = max(answered, total - asked)
    return tokens(
        asked,
        answered,
        total=total,
        cached=_known(
            prompt.get("cached_tokens"),
            usage.get("prompt_cache_hit_tokens"),  # DeepSeek
            usage.get("cached_tokens"),  # Moonshot, Together
            usage.get("num_cached_tokens"),  # Mistral
        ),
        cache_write=_known(
            prompt.get("cache_write_tokens"),  # OpenRouter
            prompt.get("cache_creation_tokens"),  # LiteLLM
            prompt.get("cache_creation_input_tokens"),  # Qwen
        ),
        reasoning=_known(
            completion.get("reasoning_tokens"),
            usage.get("reasoning_tokens"),  # Perplexity, Together
        ),
    )


def _known(*figures: Any) -> int | None:
    """Return the first that is a number."""
    for figure in figures:
        if (found := count(figure)) is not None:
            return found
    return None

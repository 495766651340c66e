"""What models cost at their own vendors: USD per million tokens, standard tier.

Looked up on `PRICED_ON` in the vendors' price lists and in two public collections of them
(LiteLLM's and genai-prices'). Batches, priority, regional surcharges, long caches and the higher
prices of very long prompts are not in it; `genai-prices`, where installed, knows most of these.
"""

from __future__ import annotations

from typing import TypeAlias

from victor.config.model_capabilities import ModelData, ModelRow

__all__ = ["PRICED_ON", "ROWS"]

PRICED_ON = "2026-11-21"

_Price: TypeAlias = tuple[str, float, float, float | None, float | None]
"""Pattern, input, output, cached input, cache writes; None where there is no special price."""

_OPENAI: tuple[_Price, ...] = (
    ("gpt-6.1-sol", 2.0, 10.0, 0.1, 2.5),
    ("gpt-6.1-terra", 1.0, 5.0, 0.05, 1.25),
    ("gpt-6-astra", 10.0, 50.0, 1.0, 12.5),
    ("gpt-6-sol", 2.0, 10.0, 0.2, 2.5),
    ("gpt-6-luna", 0.1, 0.5, 0.01, 0.125),
    ("gpt-5.6", 4.0, 20.0, 0.4, 5.0),
    ("gpt-5.6-sol", 4.0, 20.0, 0.4, 5.0),
    ("gpt-5.6-terra", 2.0, 12.0, 0.2, 2.5),
    ("gpt-5.6-luna", 0.2, 1.2, 0.02, 0.25),
    ("gpt-5.5", 5.0, 30.0, 0.5, None),
    ("gpt-5.5-pro", 30.0, 180.0, None, None),
    ("gpt-5.4", 2.5, 15.0, 0.25, None),
    ("gpt-5.4-pro", 30.0, 180.0, None, None),
    ("gpt-5.4-mini", 0.75, 4.5, 0.075, None),
    ("gpt-5.4-nano", 0.2, 1.25, 0.02, None),
    ("gpt-5.3-codex", 1.75, 14.0, 0.175, None),
    ("gpt-5.2", 1.75, 14.0, 0.175, None),
    ("gpt-5.2-pro", 21.0, 168.0, None, None),
    ("gpt-5.1", 1.25, 10.0, 0.125, None),
    ("gpt-5", 1.25, 10.0, 0.125, None),
    ("gpt-5-mini", 0.25, 2.0, 0.025, None),
    ("gpt-5-nano", 0.05, 0.4, 0.005, None),
    ("gpt-5-pro", 15.0, 120.0, None, None),
    ("gpt-4.1", 2.0, 8.0, 0.5, None),
    ("gpt-4.1-mini", 0.4, 1.6, 0.1, None),
    ("gpt-4.1-nano", 0.1, 0.4, 0.025, None),
    ("gpt-4o", 2.5, 10.0, 1.25, None),
    ("gpt-4o-2024-05-13", 5.0, 15.0, 5.0, None),
    ("gpt-4o-mini", 0.15, 0.6, 0.075, None),
    ("o1", 15.0, 60.0, 7.5, None),
    ("o3", 2.0, 8.0, 0.5, None),
    ("o3-mini", 1.1, 4.4, 0.55, None),
    ("o3-pro", 20.0, 80.0, None, None),
    ("o4-mini", 1.1, 4.4, 0.275, None),
)

_ANTHROPIC: tuple[_Price, ...] = (
    ("claude-fable-5", 10.0, 50.0, 1.0, 12.5),
    ("claude-fable-5.1", 10.0, 50.0, 0.25, 12.5),
    ("claude-opus-5.5", 4.0, 20.0, 0.2, 5.0),
    ("claude-opus-5", 5.0, 25.0, 0.5, 6.25),
    ("claude-opus-4.8", 5.0, 25.0, 0.5, 6.25),
    ("claude-opus-4.7", 5.0, 25.0, 0.5, 6.25),
    ("claude-opus-4.6", 5.0, 25.0, 0.5, 6.25),
    ("claude-opus-4.5", 5.0, 25.0, 0.5, 6.25),
    ("claude-opus-4.1", 15.0, 75.0, 1.5, 18.75),
    ("claude-opus-4", 15.0, 75.0, 1.5, 18.75),
    ("claude-sonnet-5.5", 2.0, 10.0, 0.1, 2.5),
    ("claude-sonnet-5", 2.0, 10.0, 0.2, 2.5),
    ("claude-sonnet-4.6", 3.0, 15.0, 0.3, 3.75),
    ("claude-sonnet-4.5", 3.0, 15.0, 0.3, 3.75),
    ("claude-sonnet-4", 3.0, 15.0, 0.3, 3.75),
    ("claude-3.7-sonnet", 3.0, 15.0, 0.3, 3.75),
    ("claude-3.5-sonnet", 3.0, 15.0, 0.3, 3.75),
    ("claude-haiku-5.5", 0.1, 0.5, 0.01, 0.125),
    ("claude-haiku-4.5", 1.0, 5.0, 0.1, 1.25),
    ("claude-3.5-haiku", 0.8, 4.0, 0.08, 1.0),
    ("claude-3-haiku", 0.25, 1.25, 0.03, 0.3),
)

_GOOGLE: tuple[_Price, ...] = (
    ("gemini-4-argon", 2.0, 10.0, 0.1, None),
    ("gemini-3.8-flash", 0.75, 3.75, 0.075, None),
    ("gemini-3.7-flash", 0.75, 3.75, 0.075, None),
    ("gemini-3.6-flash", 0.75, 3.75, 0.075, None),
    ("gemini-3.5-flash", 1.5, 9.0, 0.15, None),
    ("gemini-3.5-flash-lite", 0.3, 2.5, 0.03, None),
    ("gemini-3.1-pro-preview", 2.0, 12.0, 0.2, None),
    ("gemini-3.1-flash-lite*", 0.25, 1.5, 0.025, None),
    ("gemini-3-flash-preview", 0.5, 3.0, 0.05, None),
    ("gemini-2.5-pro", 1.25, 10.0, 0.125, None),
    ("gemini-2.5-flash", 0.3, 2.5, 0.03, None),
    ("gemini-2.5-flash-lite", 0.1, 0.4, 0.01, None),
)

_MISTRAL: tuple[_Price, ...] = (
    ("mistral-large-4*", 0.7, 2.1, 0.07, None),
    ("mistral-large", 0.5, 1.5, 0.05, None),
    ("mistral-large-2512", 0.5, 1.5, 0.05, None),
    ("mistral-medium", 1.5, 7.5, 0.15, None),
    ("mistral-medium-2604", 1.5, 7.5, 0.15, None),
    ("mistral-small", 0.15, 0.6, 0.015, None),
    ("mistral-small-2603", 0.15, 0.6, 0.015, None),
    ("codestral", 0.3, 0.9, 0.03, None),
    ("codestral-2508", 0.3, 0.9, 0.03, None),
    ("devstral-medium", 0.4, 2.0, 0.04, None),
    ("devstral-small", 0.1, 0.3, 0.01, None),
)

_XAI: tuple[_Price, ...] = (
    ("grok-4.7", 2.0, 6.0, 0.5, None),
    ("grok-4.6", 2.0, 6.0, 0.5, None),
    ("grok-4.5", 2.0, 6.0, 0.3, None),
    ("grok-4.3", 1.25, 2.5, 0.2, None),
    ("grok-4.20*", 1.25, 2.5, 0.2, None),
    ("grok-build-0.1", 1.0, 2.0, 0.2, None),
)

_OTHERS: tuple[tuple[str, _Price], ...] = (
    ("cohere", ("command-a-03-2025", 2.5, 10.0, None, None)),
    ("cohere", ("command-r-08-2024", 0.15, 0.6, None, None)),
    ("cohere", ("command-r-plus-08-2024", 2.5, 10.0, None, None)),
    ("cohere", ("command-r7b-12-2024", 0.0375, 0.15, None, None)),
    ("deepseek", ("deepseek-v4-flash", 0.3, 1.2, 0.006, None)),
    ("deepseek", ("deepseek-flash", 0.3, 1.2, 0.006, None)),
    ("deepseek", ("deepseek-v4-pro", 1.32, 3.96, 0.044, None)),
    ("moonshot", ("kimi-k3.1-pro", 2.0, 10.0, 0.2, 2.0)),
    ("moonshot", ("kimi-k3", 3.0, 15.0, 0.3, 3.0)),
    ("moonshot", ("kimi-k2.7-code", 0.95, 4.0, 0.19, None)),
    ("moonshot", ("kimi-k2.6", 0.95, 4.0, 0.16, None)),
    ("zai", ("glm-5.3", 1.4, 4.4, 0.26, None)),
    ("zai", ("glm-5.3-flash", 0.15, 0.5, 0.03, None)),
    ("zai", ("glm-5.2", 1.4, 4.4, 0.26, None)),
    ("zai", ("glm-5", 1.0, 3.2, 0.2, None)),
    ("zai", ("glm-4.7", 0.6, 2.2, 0.11, None)),
    ("zai", ("glm-4.6", 0.6, 2.2, 0.11, None)),
    ("qwen", ("qwen3.8-max", 2.0, 6.0, 0.25, None)),
    ("qwen", ("qwen3.8-flash", 0.15, 0.47, 0.016, 0.2)),
    ("groq", ("gpt-oss-120b", 0.15, 0.6, 0.075, None)),
    ("groq", ("gpt-oss-20b", 0.075, 0.3, 0.0375, None)),
    ("cerebras", ("gpt-oss-120b", 0.35, 0.75, None, None)),
    ("together", ("gpt-oss-120b", 0.15, 0.6, None, None)),
    ("sambanova", ("gpt-oss-120b", 0.22, 0.59, None, None)),
    ("fireworks", ("gpt-oss-20b", 0.07, 0.3, 0.035, None)),
)

# Input only: embeddings write nothing.
_EMBEDDINGS: tuple[tuple[str, str, float], ...] = (
    ("openai", "text-embedding-3-small", 0.02),
    ("openai", "text-embedding-3-large", 0.13),
    ("google", "gemini-embedding-001", 0.15),
    ("google", "gemini-embedding-2", 0.2),
    ("mistral", "mistral-embed", 0.1),
    ("cohere", "embed-v4.0", 0.12),
)


def _rows(prices: tuple[_Price, ...], *providers: str) -> list[ModelRow]:
    return [
        ModelRow(
            pattern,
            ModelData(
                input_price=asked,
                output_price=answered,
                cached_price=cached,
                cache_write_price=written,
                priced_on=PRICED_ON,
            ),
            providers,
        )
        for pattern, asked, answered, cached, written in prices
    ]


ROWS: tuple[ModelRow, ...] = (
    *_rows(_OPENAI, "openai", "openai-responses", "openai-chat", "azure"),
    *_rows(_ANTHROPIC, "anthropic"),
    *_rows(_GOOGLE, "google", "vertex"),
    *_rows(_MISTRAL, "mistral"),
    *_rows(_XAI, "xai"),
    *(row for provider, price in _OTHERS for row in _rows((price,), provider)),
    *(
        ModelRow(model, ModelData(input_price=price, priced_on=PRICED_ON), (provider,))
        for provider, model, price in _EMBEDDINGS
    ),
)

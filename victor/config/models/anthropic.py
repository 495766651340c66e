"""Anthropic's models, wherever they are served.

https://docs.anthropic.com/en/docs/about-claude/models, .../build-with-claude/adaptive-thinking and
.../build-with-claude/structured-outputs, as of November 2026. Knows no prices.
"""

from __future__ import annotations

from victor.config.model_capabilities import ModelData, ModelRow

__all__ = ["ROWS"]

_GRADED = ("low", "medium", "high")
_TO_MAX = (*_GRADED, "xhigh", "max")


def _older(pattern: str, output: int, *, thinks: bool = True, schema: bool = False) -> ModelRow:
    # From before adaptive thinking: within a budget of tokens, or not at all.
    data = ModelData(
        context_window=200_000,
        max_output_tokens=output,
        json_schema=schema,
        reasoning=thinks,
        sampling=True,
        efforts=("none", *_GRADED) if thinks else (),
        thinking="budget",
    )
    return ModelRow(pattern, data)


ROWS: tuple[ModelRow, ...] = (
    # What is newer than this table is taken to be like the newest: it always thinks, as much as it
    # finds right, and refuses sampling parameters.
    ModelRow(
        "claude-*",
        ModelData(
            context_window=1_000_000,
            max_output_tokens=128_000,
            parallel_tools=True,
            vision=True,
            documents=True,
            json_schema=True,
            reasoning=True,
            sampling=False,
            efforts=_TO_MAX,
            thinking="adaptive",
        ),
    ),
    _older("claude-2*", 4_096, thinks=False),
    _older("claude-instant*", 4_096, thinks=False),
    _older("claude-3-*", 4_096, thinks=False),
    _older("claude-3.5-*", 8_192, thinks=False),
    _older("claude-3.7-*", 64_000),
    _older("claude-sonnet-4", 64_000),
    _older("claude-sonnet-4.0*", 64_000),
    _older("claude-opus-4", 32_000),
    _older("claude-opus-4.0*", 32_000),
    _older("claude-opus-4.1*", 32_000, schema=True),
    _older("claude-haiku-4.5*", 64_000, schema=True),
    _older("claude-sonnet-4.5*", 64_000, schema=True),
    _older("claude-opus-4.5*", 64_000, schema=True),
    *(
        ModelRow(pattern, ModelData(tool_mode="none", vision=False, documents=False))
        for pattern in ("claude-2*", "claude-instant*")
    ),
    *(
        ModelRow(pattern, ModelData(sampling=True, efforts=("none", *_GRADED, "max")))
        for pattern in ("claude-sonnet-4.6*", "claude-opus-4.6*")
    ),
    # These can be told not to think.
    *(
        ModelRow(pattern, ModelData(efforts=("none", *_TO_MAX)))
        for pattern in (
            "claude-opus-4.7*",
            "claude-opus-4.8*",
            "claude-opus-5",
            "claude-sonnet-5",
            "claude-haiku-5.5*",
        )
    ),
)

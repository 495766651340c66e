"""Google's models: Gemini, and Gemma wherever it is served.

https://ai.google.dev/gemini-api/docs/models, .../docs/thinking and
https://ai.google.dev/gemma/docs, as of November 2026. Knows no prices.
"""

from __future__ import annotations

from victor.config.model_capabilities import ModelData, ModelRow

__all__ = ["ROWS"]

_GRADED = ("low", "medium", "high")

ROWS: tuple[ModelRow, ...] = (
    # What is newer than this table takes a level, as all from Gemini 3 on.
    ModelRow(
        "gemini-*",
        ModelData(
            context_window=1_048_576,
            max_output_tokens=65_536,
            parallel_tools=True,
            vision=True,
            documents=True,
            json_schema=True,
            reasoning=True,
            thinking="level",
        ),
    ),
    *(
        ModelRow(
            pattern,
            ModelData(
                context_window=window,
                max_output_tokens=8_192,
                reasoning=False,
                sampling=True,
                efforts=(),
                thinking="budget",
            ),
        )
        for pattern, window in (
            ("gemini-1.5-pro*", 2_097_152),
            ("gemini-1.5-flash*", 1_048_576),
            ("gemini-2.0*", 1_048_576),
        )
    ),
    ModelRow("gemini-2.5*", ModelData(sampling=True, thinking="budget")),
    ModelRow(
        "gemini-2.5-flash-image*",
        ModelData(
            context_window=32_768,
            max_output_tokens=32_768,
            tool_mode="none",
            reasoning=False,
            efforts=(),
        ),
    ),
    ModelRow("gemini-2.5-computer-use*", ModelData(context_window=128_000)),
    ModelRow("gemini-3-flash*", ModelData(efforts=("minimal", *_GRADED))),
    ModelRow("gemini-3.1-flash*", ModelData(efforts=("minimal", *_GRADED))),
    ModelRow("gemini-3.5-flash*", ModelData(efforts=("minimal", *_GRADED))),
    ModelRow("gemini-3.6-flash*", ModelData(efforts=("minimal", *_GRADED))),
    ModelRow("gemini-3-pro*", ModelData(efforts=("low", "high"))),
    *(
        ModelRow(pattern, ModelData(efforts=_GRADED))
        for pattern in ("gemini-3.1-pro*", "gemini-3.7*", "gemini-3.8*", "gemini-4*")
    ),
    *(
        ModelRow(pattern, ModelData(sampling=False))
        for pattern in ("gemini-3.5-flash-lite*", "gemini-3.6*", "gemini-3.7*", "gemini-3.8*")
    ),
    ModelRow("gemini-4-argon*", ModelData(max_output_tokens=1_048_576)),
    ModelRow(
        "gemini-embedding*", ModelData(context_window=2_048, tool_mode="none", reasoning=False)
    ),
    ModelRow("gemini-embedding-2*", ModelData(context_window=8_192)),
    ModelRow(
        "gemma-*",
        ModelData(vision=False, documents=False, reasoning=False, sampling=True, efforts=()),
    ),
    ModelRow("gemma-2-*", ModelData(context_window=8_192, tool_mode="none", system_role="user")),
    # Its template puts a system prompt into the first turn of the user; Google's API refuses one.
    ModelRow(
        "gemma-3-*",
        ModelData(context_window=131_072, max_output_tokens=8_192, vision=True, system_role="user"),
    ),
    ModelRow("gemma-3-1b*", ModelData(context_window=32_768, vision=False)),
    ModelRow("gemma-3-270m*", ModelData(context_window=32_768, vision=False)),
    ModelRow(
        "gemma-3n*",
        ModelData(context_window=32_768, vision=True, system_role="user"),
    ),
    ModelRow(
        "gemma-4*",
        ModelData(context_window=262_144, tool_format="gemma4", vision=True, reasoning=True),
    ),
    ModelRow("gemma-4-e*", ModelData(context_window=131_072)),
    ModelRow("functiongemma*", ModelData(context_window=32_768, tool_format="functiongemma")),
)

"""OpenAI's models, wherever they are served.

https://platform.openai.com/docs/models and .../docs/guides/reasoning, as of November 2026. Windows
are of prompt and answer together. Knows no prices.
"""

from __future__ import annotations

from victor.config.model_capabilities import ModelData, ModelRow

__all__ = ["ROWS"]

_OPENAI = ("openai", "openai-responses", "openai-chat", "azure")
_WITH_MAX = ("openai", "openai-responses")
"""Where the effort `max` is taken: chat completions refuse it."""

_GRADED = ("low", "medium", "high")
_FROM_NONE = ("none", *_GRADED, "xhigh")
_TO_MAX = (*_GRADED, "xhigh", "max")

ROWS: tuple[ModelRow, ...] = (
    # A model that is newer than this table takes no sampling parameters, as all since 2025; to
    # leave a temperature out is harmless, to send one is an error.
    ModelRow("gpt-*", ModelData(sampling=False, parallel_tools=True), _OPENAI),
    ModelRow(
        "gpt-3.5*",
        ModelData(
            context_window=16_385,
            max_output_tokens=4_096,
            vision=False,
            documents=False,
            json_schema=False,
            reasoning=False,
            sampling=True,
            efforts=(),
        ),
    ),
    ModelRow(
        "gpt-4*",
        ModelData(
            context_window=8_192,
            max_output_tokens=8_192,
            vision=False,
            documents=False,
            json_schema=False,
            reasoning=False,
            sampling=True,
            efforts=(),
        ),
    ),
    ModelRow("gpt-4-32k*", ModelData(context_window=32_768)),
    ModelRow("gpt-4-1106*", ModelData(context_window=128_000, max_output_tokens=4_096)),
    ModelRow("gpt-4-0125*", ModelData(context_window=128_000, max_output_tokens=4_096)),
    ModelRow("gpt-4-turbo*", ModelData(context_window=128_000, max_output_tokens=4_096)),
    ModelRow("gpt-4-turbo", ModelData(vision=True)),
    *(
        ModelRow(
            pattern,
            ModelData(
                context_window=128_000,
                max_output_tokens=16_384,
                vision=True,
                documents=True,
                json_schema=True,
                reasoning=False,
                sampling=True,
                efforts=(),
            ),
        )
        for pattern in ("gpt-4o*", "chatgpt-4o*")
    ),
    ModelRow("gpt-4o-2024-05-13", ModelData(max_output_tokens=4_096, json_schema=False)),
    ModelRow("gpt-4o-*audio*", ModelData(vision=False, documents=False, json_schema=False)),
    ModelRow(
        "gpt-4.1*",
        ModelData(
            context_window=1_047_576,
            max_output_tokens=32_768,
            vision=True,
            documents=True,
            json_schema=True,
        ),
    ),
    *(
        ModelRow(
            pattern,
            ModelData(
                context_window=200_000,
                max_output_tokens=100_000,
                parallel_tools=False,
                vision=True,
                documents=True,
                json_schema=True,
                reasoning=True,
                sampling=False,
                efforts=_GRADED,
            ),
        )
        for pattern in ("o1*", "o3*", "o4-mini*")
    ),
    ModelRow("o3-mini*", ModelData(vision=False, documents=False)),
    # They refuse system and developer messages and know no tools.
    *(
        ModelRow(
            pattern,
            ModelData(
                context_window=128_000,
                max_output_tokens=size,
                tool_mode="none",
                vision=False,
                documents=False,
                json_schema=False,
                system_role="user",
                efforts=(),
            ),
        )
        for pattern, size in (("o1-mini*", 65_536), ("o1-preview*", 32_768))
    ),
    ModelRow("o3-deep-research*", ModelData(tool_mode="none", json_schema=False)),
    ModelRow("o4-mini-deep-research*", ModelData(tool_mode="none", json_schema=False)),
    *(
        ModelRow(
            pattern,
            ModelData(
                context_window=400_000,
                max_output_tokens=128_000,
                vision=True,
                documents=True,
                json_schema=True,
                reasoning=True,
                sampling=False,
            ),
        )
        for pattern in ("gpt-5*", "gpt-6*")
    ),
    ModelRow("gpt-5", ModelData(efforts=("minimal", *_GRADED))),
    ModelRow("gpt-5-*", ModelData(efforts=("minimal", *_GRADED))),
    ModelRow("gpt-5-codex*", ModelData(efforts=_GRADED)),
    ModelRow("gpt-5-pro*", ModelData(max_output_tokens=272_000, efforts=("high",))),
    ModelRow("gpt-5.1*", ModelData(efforts=("none", *_GRADED))),
    ModelRow("gpt-5.1-codex*", ModelData(efforts=_GRADED)),
    ModelRow("gpt-5.1-codex-max*", ModelData(efforts=(*_GRADED, "xhigh"))),
    ModelRow("gpt-5.2*", ModelData(efforts=_FROM_NONE)),
    ModelRow("gpt-5.3*", ModelData(efforts=_FROM_NONE)),
    ModelRow("gpt-5.4*", ModelData(context_window=1_050_000, efforts=_FROM_NONE)),
    ModelRow("gpt-5.4-mini*", ModelData(context_window=400_000)),
    ModelRow("gpt-5.4-nano*", ModelData(context_window=400_000)),
    ModelRow("gpt-5.5*", ModelData(context_window=1_050_000, efforts=_FROM_NONE)),
    ModelRow("gpt-5.6*", ModelData(context_window=1_050_000, efforts=_FROM_NONE)),
    ModelRow("gpt-5.6*", ModelData(efforts=("none", *_TO_MAX)), _WITH_MAX),
    *(
        ModelRow(f"gpt-5.{minor}-pro*", ModelData(efforts=("medium", "high", "xhigh")))
        for minor in (2, 4, 5)
    ),
    *(
        ModelRow(
            f"gpt-5.{minor}-chat*",
            ModelData(context_window=128_000, max_output_tokens=16_384, efforts=("medium",)),
        )
        for minor in (1, 2, 3)
    ),
    ModelRow(
        "gpt-5-chat*",
        ModelData(
            context_window=128_000,
            max_output_tokens=16_384,
            reasoning=False,
            sampling=True,
            efforts=(),
        ),
    ),
    ModelRow("gpt-6*", ModelData(context_window=1_050_000, efforts=_FROM_NONE)),
    ModelRow("gpt-6*", ModelData(efforts=("none", *_TO_MAX)), _WITH_MAX),
    # These always think.
    *(
        row
        for pattern in ("gpt-6-astra*", "gpt-6-rosalind*", "gpt-6.1-sol*")
        for row in (
            ModelRow(pattern, ModelData(efforts=(*_GRADED, "xhigh"))),
            ModelRow(pattern, ModelData(efforts=_TO_MAX), _WITH_MAX),
        )
    ),
    ModelRow(
        "gpt-oss*",
        ModelData(
            context_window=131_072,
            tool_format="harmony",
            vision=False,
            documents=False,
            reasoning=True,
            sampling=True,
            efforts=_GRADED,
        ),
    ),
    # Trained on the patches of OpenAI's own coding agent
    # (https://cookbook.openai.com/examples/gpt4-1_prompting_guide#apply-patch).
    *(
        ModelRow(pattern, ModelData(patches=True))
        for pattern in ("gpt-4.1*", "gpt-5*", "gpt-6*", "o1*", "o3*", "o4-mini*", "codex*")
    ),
    ModelRow("text-embedding-3*", ModelData(context_window=8_191)),
    ModelRow("text-embedding-ada*", ModelData(context_window=8_191)),
)

"""Models that are mostly reached through their makers: Mistral, Cohere, xAI, Perplexity, Amazon.

https://docs.mistral.ai/getting-started/models, https://docs.cohere.com/docs/models,
https://docs.x.ai/developers/models, https://docs.perplexity.ai/getting-started/models,
https://docs.aws.amazon.com/nova/latest/userguide, as of November 2026. Knows no prices.
"""

from __future__ import annotations

from victor.config.model_capabilities import ModelData, ModelRow

__all__ = ["ROWS"]

_TEXT_ONLY = ModelData(vision=False, documents=False)
_GRADED = ("low", "medium", "high")


def _windows(window: int, *patterns: str) -> tuple[ModelRow, ...]:
    return tuple(ModelRow(pattern, ModelData(context_window=window)) for pattern in patterns)


_MISTRAL: tuple[ModelRow, ...] = (
    ModelRow("*", ModelData(json_schema=True), ("mistral",)),
    *(
        ModelRow(
            f"{family}*", ModelData(tool_format="mistral_v11", vision=vision, reasoning=thinks)
        )
        for family, vision, thinks in (
            ("mistral-large-", True, None),
            ("mistral-medium-", True, None),
            ("mistral-small-", True, None),
            ("magistral-", True, True),
            ("ministral-", True, False),
            ("devstral-", None, None),
            ("codestral-", False, False),
            ("pixtral-", True, False),
            ("voxtral-", False, False),
        )
    ),
    *_windows(
        262_144, "mistral-large*", "mistral-medium*", "mistral-small*", "magistral-*", "ministral-*"
    ),
    *_windows(131_072, "ministral-*3b*", "ministral-*-2410", "mistral-medium-25*"),
    *_windows(131_072, "mistral-large-24*", "mistral-small-*25*", "pixtral-*", "magistral-*25*"),
    *_windows(32_768, "mistral-small-2501", "mistral-small-24*", "voxtral-*", "mixtral-8x7b*"),
    *_windows(65_536, "mixtral-8x22b*"),
    *_windows(1_048_576, "mistral-large-4*"),
    *_windows(256_000, "devstral-*", "codestral-2501", "codestral-mamba*"),
    *_windows(131_072, "devstral-small-2505", "devstral-*-2507"),
    *_windows(128_000, "codestral", "codestral-2508", "mistral-nemo*", "open-mistral-nemo*"),
    *_windows(32_768, "mistral-7b*", "open-mistral-7b*"),
    ModelRow("mistral-large-24*", _TEXT_ONLY),
    ModelRow("mistral-small-24*", _TEXT_ONLY),
    ModelRow("mistral-small-*2501", _TEXT_ONLY),
    ModelRow("magistral-*-2506", ModelData(vision=False)),
    ModelRow("magistral-*-2507", ModelData(vision=False)),
    ModelRow("mistral-large-4*", ModelData(reasoning=True)),
    *(
        ModelRow(pattern, ModelData(tool_format="mistral").over(_TEXT_ONLY))
        for pattern in ("mistral-nemo*", "open-mistral-nemo*", "mistral-7b*", "mixtral-*")
    ),
    ModelRow("mistral-embed*", ModelData(context_window=8_192)),
    ModelRow("codestral-embed*", ModelData(context_window=8_192)),
)

_COHERE: tuple[ModelRow, ...] = (
    ModelRow(
        "command*",
        ModelData(
            context_window=128_000,
            max_output_tokens=4_000,
            parallel_tools=True,
            vision=False,
            documents=False,
            json_schema=True,
            reasoning=False,
        ),
    ),
    ModelRow("command-r-plus*", ModelData(tool_format="command_r_plus")),
    ModelRow("command-r7b*", ModelData(tool_format="command_r7b")),
    ModelRow(
        "command-a*",
        ModelData(context_window=256_000, max_output_tokens=8_000, tool_format="command_a"),
    ),
    ModelRow("command-a-reasoning*", ModelData(max_output_tokens=32_000, reasoning=True)),
    ModelRow("command-a-vision*", ModelData(context_window=128_000, tool_mode="none", vision=True)),
    ModelRow("command-a-translate*", ModelData(context_window=8_192)),
    ModelRow(
        "command-a-plus*",
        ModelData(context_window=128_000, max_output_tokens=64_000, vision=True, reasoning=True),
    ),
    ModelRow("c4ai-aya*", ModelData(max_output_tokens=4_000, tool_mode="none", reasoning=False)),
    ModelRow("embed-v4*", ModelData(context_window=128_000)),
    ModelRow("embed-*-v3*", ModelData(context_window=512)),
)

_XAI: tuple[ModelRow, ...] = (
    ModelRow(
        "grok-*",
        ModelData(parallel_tools=True, vision=True, json_schema=True, reasoning=True),
    ),
    ModelRow(
        "grok-3*", ModelData(context_window=131_072, vision=False, reasoning=False, efforts=())
    ),
    ModelRow("grok-3-mini*", ModelData(reasoning=True, efforts=("low", "high"))),
    *_windows(256_000, "grok-4", "grok-4-0709", "grok-code*", "grok-build*"),
    *_windows(2_000_000, "grok-4-fast*", "grok-4.1-fast*"),
    *_windows(1_000_000, "grok-4.2*", "grok-4.3*"),
    *_windows(500_000, "grok-4.5*", "grok-4.6*", "grok-4.7*", "grok-build-latest"),
    *(
        ModelRow(pattern, ModelData(efforts=()))
        for pattern in ("grok-4", "grok-4-0709", "grok-4-fast*", "grok-4.1-fast*", "grok-4.2*")
    ),
    ModelRow("grok-4.3*", ModelData(efforts=("none", *_GRADED))),
    ModelRow("grok-4.5*", ModelData(efforts=_GRADED)),
    ModelRow("grok-4.6*", ModelData(efforts=_GRADED)),
    ModelRow("grok-4.7*", ModelData(efforts=(*_GRADED, "xhigh"))),
    ModelRow("grok-*non-reasoning*", ModelData(reasoning=False)),
    ModelRow("grok-*multi-agent*", ModelData(tool_mode="none")),
)

_PERPLEXITY: tuple[ModelRow, ...] = (
    ModelRow(
        "sonar*",
        ModelData(
            context_window=128_000,
            tool_mode="none",
            json_schema=True,
            reasoning=False,
            efforts=(),
        ),
    ),
    ModelRow("sonar-pro*", ModelData(context_window=200_000, max_output_tokens=8_000, vision=True)),
    ModelRow("sonar-reasoning*", ModelData(reasoning=True, think_tags=True)),
    ModelRow("sonar-deep-research*", ModelData(reasoning=True, efforts=_GRADED)),
)

_AMAZON: tuple[ModelRow, ...] = (
    ModelRow(
        "nova-*",
        ModelData(
            context_window=300_000,
            max_output_tokens=10_000,
            vision=True,
            documents=True,
            reasoning=False,
            efforts=(),
        ),
    ),
    ModelRow("nova-micro*", ModelData(context_window=128_000).over(_TEXT_ONLY)),
    ModelRow("nova-premier*", ModelData(context_window=1_000_000)),
    ModelRow(
        "nova-2-*",
        ModelData(
            context_window=1_000_000, max_output_tokens=64_000, reasoning=True, efforts=_GRADED
        ),
    ),
)

ROWS: tuple[ModelRow, ...] = (*_MISTRAL, *_COHERE, *_XAI, *_PERPLEXITY, *_AMAZON)

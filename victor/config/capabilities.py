"""What a model can do at a provider: what both can. Knows no model and no provider."""

from __future__ import annotations

from dataclasses import replace

from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData
from victor.types import Capabilities, Capability

__all__ = ["merged_capabilities"]

_FACTS: tuple[tuple[Capability, str], ...] = (
    (Capability.PARALLEL_TOOLS, "parallel_tools"),
    (Capability.VISION, "vision"),
    (Capability.REASONING, "reasoning"),
    (Capability.JSON_SCHEMA, "json_schema"),
)


def merged_capabilities(
    provider_side: Capabilities, data: ModelData, endpoint: ModelData | None = None
) -> Capabilities:
    """Return what a model can do at a provider: what both can.

    Args:
        provider_side: what the provider's code carries, whatever the model.
        data: what `model_data` knows. What nobody knows counts as the provider says.
        endpoint: what the endpoint says about the model; it wins over `data`.

    Returns:
        With `source` the strongest that said anything: endpoint, data, or the provider's own.
    """
    known = data if endpoint is None else endpoint.over(data)
    tool_mode = known.tool_mode or provider_side.tool_mode
    lacking = {capability for capability, name in _FACTS if getattr(known, name) is False}
    if tool_mode == "none":
        lacking |= {Capability.TOOLS, Capability.PARALLEL_TOOLS}
    said = {"endpoint": endpoint, "data": data}
    return replace(
        provider_side,
        supported=provider_side.supported - lacking,
        context_window=known.context_window or provider_side.context_window,
        max_output_tokens=known.max_output_tokens or provider_side.max_output_tokens,
        tool_mode=tool_mode,
        source=next(
            (name for name, facts in said.items() if facts not in (None, UNKNOWN_MODEL)),
            provider_side.source,
        ),
    )

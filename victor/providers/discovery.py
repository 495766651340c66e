"""What an endpoint says about its models: which there are, and what they can do.

Asks by the address and the protocol; who knows nothing answers nothing, and that is no error. Knows
no model by name.
"""

from __future__ import annotations

from pydantic_core import from_json

from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.providers.exchange import Exchange
from victor.providers.request import HTTPCall
from victor.providers.wires.ollama.show import read_show
from victor.providers.wires.openai_chat.props import read_models, read_props
from victor.providers.writing import to_bytes
from victor.types import Capabilities, Capability

__all__ = ["capabilities_of_wire", "endpoint_data", "model_names"]

_EVERYWHERE = frozenset(
    {
        Capability.STREAMING,
        Capability.TOOLS,
        Capability.PARALLEL_TOOLS,
        Capability.VISION,
        Capability.REASONING,
        Capability.JSON_SCHEMA,
    }
)


def capabilities_of_wire(exchange: Exchange) -> Capabilities:
    """Return what a vendor's protocol can carry, whatever the model."""
    return Capabilities(supported=_EVERYWHERE, tool_mode=exchange.vendor.tool_mode)


async def model_names(exchange: Exchange) -> list[str]:
    """Ask which models there are.

    Raises:
        UnsupportedFeatureError: the protocol has no such question.
        ProviderError: the endpoint refused or did not answer.
    """
    path = exchange.wire.models_path
    if path is None:
        raise UnsupportedFeatureError(
            f"{exchange.vendor.name} cannot list its models over this API",
            provider=exchange.vendor.name,
        )
    body = await exchange.get(path)
    try:
        found = from_json(body)
        rows = found.get("data") or found.get("models") or []
        return [row.get("id") or row["name"].removeprefix("models/") for row in rows]
    except (ValueError, AttributeError, KeyError, TypeError):
        raise exchange.not_the_api(body, None) from None


async def endpoint_data(exchange: Exchange, model: str) -> ModelData | None:
    """Ask what a model can do; None where the endpoint does not say.

    Raises:
        ProviderError: the endpoint does not know the question, or did not answer.
    """
    vendor = exchange.vendor
    if vendor.wire == "ollama":
        call = HTTPCall("/api/show", to_bytes({"model": model}))
        return _said(read_show(await exchange.fetch(call, model)))
    if vendor.wire not in ("openai-chat", "openai-responses") or vendor.azure:
        return None
    listed = read_models(await exchange.get(exchange.wire.models_path or "/models"))
    found = listed.get(model, ModelData())
    if vendor.name == "llamacpp":
        found = read_props(await exchange.get("/props", at_root=True)).over(found)
    return _said(found)


def _said(found: ModelData) -> ModelData | None:
    return None if found == ModelData() else found

"""Which code speaks which protocol. Imported only when a provider of that protocol is made.

Knows names and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from victor.config.catalog import Vendor, WireName
from victor.providers.request import EmbeddingWire, Wire

__all__ = ["embedding_wire_for", "wire_for"]

_WIRES: Mapping[WireName, str] = MappingProxyType(
    {
        "anthropic": "anthropic.wire:AnthropicMessages",
        "bedrock": "bedrock.wire:BedrockConverse",
        "cohere": "cohere.wire:CohereChat",
        "gemini": "gemini.wire:GeminiGenerate",
        "ollama": "ollama.wire:OllamaChat",
        "openai-chat": "openai_chat.wire:OpenAIChat",
        "openai-responses": "openai_responses.wire:OpenAIResponses",
    }
)
_EMBEDDINGS: Mapping[WireName, str] = MappingProxyType(
    {
        "cohere": "cohere.embed:CohereEmbeddings",
        "gemini": "gemini.embed:GeminiEmbeddings",
        "ollama": "ollama.embed:OllamaEmbeddings",
        "openai-chat": "openai_chat.embed:OpenAIEmbeddings",
        "openai-responses": "openai_chat.embed:OpenAIEmbeddings",
    }
)


def wire_for(vendor: Vendor) -> Wire:
    """Make the wire a vendor speaks."""
    wire: Wire = _load(_WIRES[vendor.wire])(vendor)
    return wire


def embedding_wire_for(vendor: Vendor) -> EmbeddingWire | None:
    """Make the wire of a vendor's embeddings; None where its protocol has none."""
    where = _EMBEDDINGS.get(vendor.wire)
    if where is None:
        return None
    wire: EmbeddingWire = _load(where)(vendor)
    return wire


def _load(where: str) -> type:
    module, _, name = where.partition(":")
    found: type = getattr(import_module(f"victor.providers.wires.{module}"), name)
    return found

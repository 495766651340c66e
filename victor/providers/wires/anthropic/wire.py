"""Anthropic Messages as a `Wire`: the two directions under one name.

Spec: https://docs.anthropic.com/en/api/messages
Knows nothing about HTTP, keys or retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from victor.config.catalog import Vendor
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.sse import SSEDecoder
from victor.providers.wires.anthropic.decode import decode
from victor.providers.wires.anthropic.encode import encode
from victor.providers.wires.anthropic.stream import AnthropicStream
from victor.types import CompletionResponse

__all__ = ["AnthropicMessages"]


class AnthropicMessages:
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    name = "anthropic"
    stream_type = "text/event-stream"
    headers: Mapping[str, str] = MappingProxyType({"anthropic-version": "2023-06-01"})
    models_path = "/v1/models?limit=1000"  # else it lists twenty

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def encode(self, request: ChatRequest) -> HTTPCall:
        return encode(request, self._vendor)

    def decode(self, body: bytes, *, model: str) -> CompletionResponse:
        return decode(body, provider=self._vendor.name, model=model)

    def stream_decoder(self, *, model: str) -> AnthropicStream:
        return AnthropicStream(provider=self._vendor.name, model=model)

    def splitter(self) -> SSEDecoder:
        return SSEDecoder()

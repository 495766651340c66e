"""Ollama's own API as a `Wire`: the two directions under one name.

Spec: https://github.com/ollama/ollama/blob/main/docs/api.md
Knows nothing about HTTP, keys or retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from victor.config.catalog import Vendor
from victor.providers.ndjson import NDJSONDecoder
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.wires.ollama.decode import OllamaStream, decode
from victor.providers.wires.ollama.encode import encode
from victor.types import CompletionResponse

__all__ = ["OllamaChat"]


class OllamaChat:
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    name = "ollama"
    stream_type = "application/x-ndjson"
    headers: Mapping[str, str] = MappingProxyType({})
    models_path = "/api/tags"

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def encode(self, request: ChatRequest) -> HTTPCall:
        return encode(request, self._vendor)

    def decode(self, body: bytes, *, model: str) -> CompletionResponse:
        return decode(body, provider=self._vendor.name, model=model)

    def stream_decoder(self, *, model: str) -> OllamaStream:
        return OllamaStream(provider=self._vendor.name, model=model)

    def splitter(self) -> NDJSONDecoder:
        return NDJSONDecoder()

"""Google Gemini's generateContent as a `Wire`: the two directions under one name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from victor.config.catalog import Vendor
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.sse import SSEDecoder
from victor.providers.wires.gemini.decode import GeminiStream, decode
from victor.providers.wires.gemini.encode import encode
from victor.providers.wires.gemini.state import WIRE
from victor.types import CompletionResponse

__all__ = ["GeminiGenerate"]


class GeminiGenerate:
    """The protocol, of the Developer API and of Vertex.

    Args:
        vendor: the row of the catalog.
    """

    name = WIRE
    stream_type = "text/event-stream"
    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    @property
    def models_path(self) -> str | None:
        # Vertex lists Google's models in another version of its API, outside of the project.
        return None if self._vendor.auth == "google" else "/models?pageSize=1000"

    def encode(self, request: ChatRequest) -> HTTPCall:
        return encode(request, self._vendor)

    def decode(self, body: bytes, *, model: str) -> CompletionResponse:
        return decode(body, provider=self._vendor.name, model=model)

    def stream_decoder(self, *, model: str) -> GeminiStream:
        return GeminiStream(provider=self._vendor.name, model=model)

    def splitter(self) -> SSEDecoder:
        return SSEDecoder()

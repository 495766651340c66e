"""OpenAI Responses as a `Wire`: the two directions under one name. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from victor.config.catalog import Vendor
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.sse import SSEDecoder
from victor.providers.wires.openai_responses.decode import decode
from victor.providers.wires.openai_responses.encode import encode
from victor.providers.wires.openai_responses.stream import ResponsesStream
from victor.types import CompletionResponse

__all__ = ["OpenAIResponses"]


class OpenAIResponses:
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    name = "openai-responses"
    stream_type = "text/event-stream"
    headers: Mapping[str, str] = MappingProxyType({})
    models_path = "/models"

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def encode(self, request: ChatRequest) -> HTTPCall:
        return encode(request, self._vendor)

    def decode(self, body: bytes, *, model: str) -> CompletionResponse:
        return decode(body, provider=self._vendor.name, model=model)

    def stream_decoder(self, *, model: str) -> ResponsesStream:
        return ResponsesStream(provider=self._vendor.name, model=model)

    def splitter(self) -> SSEDecoder:
        return SSEDecoder()

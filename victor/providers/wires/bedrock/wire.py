"""Amazon Bedrock's Converse as a `Wire`: the two directions under one name.

Spec: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
Knows nothing about HTTP, signatures or retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from victor.config.catalog import Vendor
from victor.providers.eventstream import EventStreamDecoder
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.wires.bedrock.decode import decode
from victor.providers.wires.bedrock.encode import encode
from victor.providers.wires.bedrock.stream import ConverseStream
from victor.types import CompletionResponse

__all__ = ["BedrockConverse"]


class BedrockConverse:
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    name = "bedrock"
    stream_type = "application/vnd.amazon.eventstream"
    headers: Mapping[str, str] = MappingProxyType({})
    models_path = None
    """Models are listed by another service, at another address."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def encode(self, request: ChatRequest) -> HTTPCall:
        return encode(request, self._vendor)

    def decode(self, body: bytes, *, model: str) -> CompletionResponse:
        return decode(body, provider=self._vendor.name, model=model)

    def stream_decoder(self, *, model: str) -> ConverseStream:
        return ConverseStream(provider=self._vendor.name, model=model)

    def splitter(self) -> EventStreamDecoder:
        return EventStreamDecoder()

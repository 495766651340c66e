"""A protocol's two directions under one name, as one vendor speaks it: what every wire is made of.

Knows no protocol; implements `victor.providers.request.Wire`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from victor.config.catalog import Vendor
from victor.providers.request import ChatRequest, HTTPCall, Splitter, StreamDecoder
from victor.providers.sse import SSEDecoder
from victor.types import CompletionResponse

__all__ = ["VendorWire"]


class _Decode(Protocol):
    def __call__(self, body: bytes, *, provider: str, model: str) -> CompletionResponse: ...


class _Stream(Protocol):
    def __call__(self, *, provider: str, model: str) -> StreamDecoder: ...


class VendorWire:
    """The protocol, as one vendor speaks it. A subclass names its parts and says what differs.

    Args:
        vendor: the row of the catalog.
        encode: writes a request.
        decode: reads a whole answer.
        stream: makes a reader for one stream.
    """

    name: str
    stream_type = "text/event-stream"
    headers: Mapping[str, str] = MappingProxyType({})
    models_path: str | None = "/models"

    def __init__(
        self,
        vendor: Vendor,
        *,
        encode: Callable[[ChatRequest, Vendor], HTTPCall],
        decode: _Decode,
        stream: _Stream,
    ) -> None:
        self._vendor = vendor
        self._encode = encode
        self._decode = decode
        self._stream = stream

    def encode(self, request: ChatRequest) -> HTTPCall:
        return self._encode(request, self._vendor)

    def decode(self, body: bytes, *, model: str) -> CompletionResponse:
        return self._decode(body, provider=self._vendor.name, model=model)

    def stream_decoder(self, *, model: str) -> StreamDecoder:
        return self._stream(provider=self._vendor.name, model=model)

    def splitter(self) -> Splitter:
        return SSEDecoder()

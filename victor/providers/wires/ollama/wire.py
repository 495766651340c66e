"""Ollama's own API as a `Wire`: the two directions under one name.

Spec: https://github.com/ollama/ollama/blob/main/docs/api.md
Knows nothing about HTTP, keys or retries.
"""

from __future__ import annotations

from victor.config.catalog import Vendor
from victor.providers.ndjson import NDJSONDecoder
from victor.providers.wires.ollama.decode import OllamaStream, decode
from victor.providers.wires.ollama.encode import encode
from victor.providers.wires.vendor_wire import VendorWire

__all__ = ["OllamaChat"]


class OllamaChat(VendorWire):
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    name = "ollama"
    stream_type = "application/x-ndjson"
    models_path = "/api/tags"

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(vendor, encode=encode, decode=decode, stream=OllamaStream)

    def splitter(self) -> NDJSONDecoder:
        return NDJSONDecoder()

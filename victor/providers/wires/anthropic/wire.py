"""Anthropic Messages as a `Wire`: the two directions under one name.

Spec: https://docs.anthropic.com/en/api/messages
Knows nothing about HTTP, keys or retries.
"""

from __future__ import annotations

from types import MappingProxyType

from victor.config.catalog import Vendor
from victor.providers.wires.anthropic.decode import decode
from victor.providers.wires.anthropic.encode import encode
from victor.providers.wires.anthropic.stream import AnthropicStream
from victor.providers.wires.vendor_wire import VendorWire

__all__ = ["AnthropicMessages"]


class AnthropicMessages(VendorWire):
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    name = "anthropic"
    headers = MappingProxyType({"anthropic-version": "2023-06-01"})
    models_path = "/v1/models?limit=1000"  # else it lists twenty

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(vendor, encode=encode, decode=decode, stream=AnthropicStream)

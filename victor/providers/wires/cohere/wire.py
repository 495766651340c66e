"""Cohere's chat v2 as a `Wire`: the two directions under one name.

Spec: https://docs.cohere.com/reference/chat
Knows nothing about HTTP, keys or retries.
"""

from __future__ import annotations

from victor.config.catalog import Vendor
from victor.providers.wires.cohere.decode import CohereStream, decode
from victor.providers.wires.cohere.encode import encode
from victor.providers.wires.vendor_wire import VendorWire

__all__ = ["CohereChat"]


class CohereChat(VendorWire):
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    name = "cohere"
    models_path = "/v1/models?page_size=1000"  # else it lists twenty

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(vendor, encode=encode, decode=decode, stream=CohereStream)

"""Google Gemini's generateContent as a `Wire`: the two directions under one name."""

from __future__ import annotations

from victor.config.catalog import Vendor
from victor.providers.wires.gemini.decode import GeminiStream, decode
from victor.providers.wires.gemini.encode import encode
from victor.providers.wires.gemini.state import WIRE
from victor.providers.wires.vendor_wire import VendorWire

__all__ = ["GeminiGenerate"]


class GeminiGenerate(VendorWire):
    """The protocol, of the Developer API and of Vertex.

    Args:
        vendor: the row of the catalog.
    """

    name = WIRE

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(vendor, encode=encode, decode=decode, stream=GeminiStream)
        # Vertex lists Google's models in another version of its API, outside of the project.
        self.models_path = None if vendor.auth == "google" else "/models?pageSize=1000"

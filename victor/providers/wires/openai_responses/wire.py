"""OpenAI Responses as a `Wire`: the two directions under one name. No I/O."""

from __future__ import annotations

from victor.config.catalog import Vendor
from victor.providers.wires.openai_responses.decode import decode
from victor.providers.wires.openai_responses.encode import encode
from victor.providers.wires.openai_responses.stream import ResponsesStream
from victor.providers.wires.vendor_wire import VendorWire

__all__ = ["OpenAIResponses"]


class OpenAIResponses(VendorWire):
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    name = "openai-responses"

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(vendor, encode=encode, decode=decode, stream=ResponsesStream)

"""Amazon Bedrock's Converse as a `Wire`: the two directions under one name.

Spec: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
Knows nothing about HTTP, signatures or retries.
"""

from __future__ import annotations

from victor.config.catalog import Vendor
from victor.providers.eventstream import EventStreamDecoder
from victor.providers.wires.bedrock.decode import decode
from victor.providers.wires.bedrock.encode import encode
from victor.providers.wires.bedrock.stream import ConverseStream
from victor.providers.wires.vendor_wire import VendorWire

__all__ = ["BedrockConverse"]


class BedrockConverse(VendorWire):
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    name = "bedrock"
    stream_type = "application/vnd.amazon.eventstream"
    models_path = None
    """Models are listed by another service, at another address."""

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(vendor, encode=encode, decode=decode, stream=ConverseStream)

    def splitter(self) -> EventStreamDecoder:
        return EventStreamDecoder()

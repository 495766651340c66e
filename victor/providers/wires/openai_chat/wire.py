"""OpenAI chat completions as a `Wire`: the two directions under one name."""

from __future__ import annotations

from victor.config.catalog import Vendor
from victor.providers.wires.openai_chat.decode import ChatStream, decode
from victor.providers.wires.openai_chat.encode import encode
from victor.providers.wires.vendor_wire import VendorWire

__all__ = ["OpenAIChat"]


class OpenAIChat(VendorWire):
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    name = "openai-chat"

    def __init__(self, vendor: Vendor) -> None:
        super().__init__(vendor, encode=encode, decode=decode, stream=ChatStream)

from __future__ import annotations

import pytest

from tests.providers.wires.every import Kind, each_wire
from victor.config.catalog import Vendor
from victor.providers.protocols import wire_for
from victor.providers.request import ChatRequest
from victor.providers.wires.vendor_wire import VendorWire
from victor.types import Message


@each_wire
def test_every_wire_is_made_of_its_two_directions(kind: Kind) -> None:
    wire = kind.wire
    assert isinstance(wire, VendorWire)
    assert wire.name == kind.wire_name
    assert wire.encode(ChatRequest([Message(role="user", content="Hi")], "m")).body
    assert wire.stream_decoder(model="m") is not wire.stream_decoder(model="m")
    assert wire.splitter() is not wire.splitter()


@pytest.mark.parametrize(
    ("vendor", "path"),
    [
        pytest.param(Vendor("acme", None), "/models", id="usual"),
        pytest.param(Vendor("acme", None, wire="ollama"), "/api/tags", id="another"),
        pytest.param(Vendor("acme", None, wire="bedrock"), None, id="nowhere"),
        pytest.param(Vendor("acme", None, wire="gemini"), "/models?pageSize=1000", id="in pages"),
        pytest.param(
            Vendor("vertex", None, wire="gemini", auth="google"), None, id="nowhere there"
        ),
    ],
)
def test_models_are_listed_where_the_protocol_says(vendor: Vendor, path: str | None) -> None:
    assert wire_for(vendor).models_path == path

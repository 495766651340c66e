from __future__ import annotations

import random
from functools import cache

import pytest

from tests.providers import replay
from victor.config.catalog import VENDORS, Vendor, WireName
from victor.providers.protocols import wire_for
from victor.providers.request import Wire

# How many the shelf has of each, that none goes missing unnoticed.
COUNTS: dict[WireName, int] = {
    "anthropic": 328,
    "bedrock": 183,
    "cohere": 23,
    "gemini": 216,
    "openai-chat": 580,
    "openai-responses": 410,
}


@cache
def _recordings(protocol: WireName) -> list[replay.Recording]:
    return replay.recordings(protocol)


def _wire(protocol: WireName, provider: str) -> Wire:
    row = VENDORS.get(provider)
    return wire_for(row if row and row.wire == protocol else Vendor(provider, None, wire=protocol))


@pytest.mark.parametrize("protocol", COUNTS)
def test_every_recorded_answer_is_read_as_expected(protocol: WireName) -> None:
    found = _recordings(protocol)
    assert len(found) == COUNTS[protocol]
    wrong = {
        recording[0]["id"]: differences
        for recording in found
        if (differences := replay.differences(_wire(protocol, recording[0]["provider"]), recording))
    }
    assert wrong == {}


@pytest.mark.parametrize("protocol", COUNTS)
def test_streams_read_the_same_however_the_network_cuts_them(protocol: WireName) -> None:
    chance = random.Random(1)  # noqa: S311 - cuts, not secrets
    for row, _, body in _recordings(protocol):
        if row["kind"] == "json":
            continue
        wire = _wire(protocol, row["provider"])
        whole = replay.outcome(wire, row["model"], [body])
        for most in (7, 400):
            pieces = replay.cut(body, chance, most)
            assert replay.outcome(wire, row["model"], pieces) == whole, (row["id"], most)


@pytest.mark.parametrize("protocol", COUNTS)
def test_a_recorded_stream_cut_before_its_end_is_never_an_answer(protocol: WireName) -> None:
    tried = {
        recording[0]["id"]: replay.accepts_truncation(
            _wire(protocol, recording[0]["provider"]), recording
        )
        for recording in _recordings(protocol)
        if recording[0]["kind"] != "json"
    }
    assert [one for one, accepted in tried.items() if accepted] == []
    assert any(accepted is False for accepted in tried.values())

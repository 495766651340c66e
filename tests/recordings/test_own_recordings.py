from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from tests.providers import replay
from tests.recordings.own import FOLDER, PROTOCOLS, own, rows
from tests.recordings.real import ROWS
from tests.recordings.scenes import SCENES
from victor.config.catalog import VENDORS, Vendor, WireName
from victor.providers.protocols import wire_for
from victor.providers.request import Wire

EVERY = [(protocol, recording) for protocol in PROTOCOLS for recording in own(protocol)]
STREAMS = [(protocol, recording) for protocol, recording in EVERY if recording[0]["kind"] != "json"]
RECORDED = [
    (protocol, row) for protocol in ROWS for row in rows(protocol) if row["origin"] == "recorded"
]


def _wire(protocol: WireName, provider: str) -> Wire:
    vendor = VENDORS[provider] if provider in VENDORS else Vendor(provider, None)
    return wire_for(replace(vendor, wire=protocol))


@pytest.mark.parametrize(
    ("protocol", "recording"), EVERY, ids=[recording[0]["id"] for _, recording in EVERY]
)
def test_an_answer_is_read_as_expected(protocol: WireName, recording: replay.Recording) -> None:
    assert replay.differences(_wire(protocol, recording[0]["provider"]), recording) == []


@pytest.mark.parametrize(
    ("protocol", "recording"), STREAMS, ids=[recording[0]["id"] for _, recording in STREAMS]
)
def test_a_stream_reads_the_same_however_it_is_cut(
    protocol: WireName, recording: replay.Recording
) -> None:
    row, _, body = recording
    wire = _wire(protocol, row["provider"])
    whole = replay.outcome(wire, row["model"], [body])
    assert (
        replay.outcome(wire, row["model"], [body[at : at + 1] for at in range(len(body))]) == whole
    )
    chance = random.Random(1)  # noqa: S311 - cuts, not secrets
    for most in (3, 50, 700):
        assert replay.outcome(wire, row["model"], replay.cut(body, chance, most)) == whole


@pytest.mark.parametrize(
    ("protocol", "row"), RECORDED, ids=[f"{protocol} {row['id']}" for protocol, row in RECORDED]
)
def test_the_wire_still_writes_what_the_real_server_took(
    protocol: WireName, row: dict[str, object]
) -> None:
    scene = SCENES[str(row["id"])]
    call = wire_for(ROWS[protocol]).encode(scene.request)
    assert (call.path, json.loads(call.body)) == (row["path"], row["request"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_protocol_has_whole_answers_streams_calls_and_errors(protocol: WireName) -> None:
    found = [(row["kind"], want["kind"], want) for row, want, _ in own(protocol)]
    assert {(kind != "json", result) for kind, result, _ in found} >= {
        (False, "ok"),
        (True, "ok"),
        (False, "error"),
    }
    assert any(want["tool_calls"] for kind, _, want in found if kind != "json")


@pytest.mark.parametrize("protocol", ROWS)
def test_every_scene_was_recorded(protocol: WireName) -> None:
    assert [row["id"] for name, row in RECORDED if name == protocol] == list(SCENES)


def test_the_folder_stays_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.glob("*.jsonl")) < 100_000

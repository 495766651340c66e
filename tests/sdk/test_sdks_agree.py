from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

from tests import shelf
from tests.providers import replay
from tests.recordings.own import own
from tests.sdk.anthropic_reader import AnthropicReader
from tests.sdk.botocore_reader import BotocoreReader
from tests.sdk.cohere_reader import CohereReader
from tests.sdk.google_reader import GoogleReader
from tests.sdk.mistral_reader import MistralReader
from tests.sdk.ollama_reader import OllamaReader
from tests.sdk.openai_reader import ChatReader, ResponsesReader
from tests.sdk.reading import Reader, VictorReader, differing, outcome
from victor.config.catalog import WireName
from victor.testing.faults import Answer, FaultServer

# SDKs warn of what they will do away with; that is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


@dataclass(frozen=True)
class Case:
    """One SDK, and whose traffic it is asked to read."""

    reader: type[Reader]
    wire: WireName
    provider: str | None = None
    """Only this vendor's; None is everybody's."""


@dataclass(frozen=True)
class Disagreement:
    """Recordings that an SDK reads otherwise, and why that is so."""

    why: str
    fields: frozenset[str]
    recordings: str


CASES = {
    "openai chat": Case(ChatReader, "openai-chat"),
    "openai responses": Case(ResponsesReader, "openai-responses"),
    "anthropic": Case(AnthropicReader, "anthropic"),
    "google-genai": Case(GoogleReader, "gemini"),
    "botocore": Case(BotocoreReader, "bedrock"),
    "cohere": Case(CohereReader, "cohere"),
    "mistralai": Case(MistralReader, "openai-chat", "mistral"),
    "ollama": Case(OllamaReader, "ollama"),
}

# Every disagreement there is, by SDK: which fields, in which recordings, and why. What is not here
# fails, and so does what is here and has gone.
DISAGREEMENTS: Mapping[str, Sequence[Disagreement]] = MappingProxyType(
    {
        "openai chat": (
            Disagreement(
                "content in parts, as Mistral sends it, is handed on as a list",
                frozenset({"text"}),
                "d0756, d0968, d1041, d1305, openai-chat mistral-thinking",
            ),
            Disagreement(
                "its helper for streams wants an index in every list: in Mistral's content and "
                "calls, in OpenRouter's reasoning_details and annotations",
                frozenset({"error"}),
                "d0889, d1185, d1304, d1308",
            ),
            Disagreement(
                "its helper for streams knows no delta that is null (Azure's filters)",
                frozenset({"error"}),
                "d0849",
            ),
            Disagreement(
                "its helper for streams joins a name that is sent twice",
                frozenset({"calls"}),
                "d1275",
            ),
            Disagreement(
                "knows no x_groq, where Groq put the usage of streams",
                frozenset({"prompt", "completion"}),
                "d1004, d1006",
            ),
            Disagreement(
                "xAI and Gemini leave thinking out of completion_tokens; victor's count has it",
                frozenset({"completion"}),
                "d1123, d1124, d1314, d1315, d1316, d1317, d1326, d1327, d1328, d1329, "
                "openai-chat xai-thinking, openai-chat xai-thinking-stream",
            ),
            Disagreement(
                "an answer in sound alone is empty to victor: an error",
                frozenset({"error"}),
                "d0851",
            ),
        ),
        "openai responses": (
            Disagreement(
                "the source shortened the deltas of these streams, and not their last event; "
                "victor's text is what was streamed",
                frozenset({"text"}),
                "d1705, d1710",
            ),
            Disagreement(
                "xAI's own searches come as custom_tool_call; they are the server's, and done",
                frozenset({"calls", "stop"}),
                "d1739",
            ),
        ),
        "anthropic": (
            Disagreement(
                "pause_turn: victor asks for the rest, and this server plays the same part again, "
                "until the cap",
                frozenset({"text", "prompt", "completion"}),
                "d0209, d0211",
            ),
            Disagreement(
                "nothing but a server's tool that did nothing: empty, an error to victor",
                frozenset({"error"}),
                "d0273, d0274",
            ),
            Disagreement(
                "refused before any text came: ContentFilterError to victor",
                frozenset({"error"}),
                "d0307, d0308, d0309",
            ),
            Disagreement(
                "a second message_start within a stream: an error to victor, mixed up by the SDK",
                frozenset({"error"}),
                "d0327",
            ),
        ),
        "google-genai": (
            Disagreement(
                "blocked before any text came: ContentFilterError to victor",
                frozenset({"error"}),
                "d0564, d0565, d0585, gemini blocked-prompt",
            ),
            Disagreement(
                "arguments that are streamed in parts come as parts, without a name",
                frozenset({"calls"}),
                "d0740, d0741, d0742, d0749",
            ),
        ),
        "botocore": (
            Disagreement(
                "neither text nor calls: an error to victor", frozenset({"error"}), "d0437"
            ),
            Disagreement(
                "refuses a block that has not just one member (the source made these up)",
                frozenset({"error"}),
                "d0492, d0496, d0498, d0500, d0502, d0509",
            ),
        ),
    }
)


def _explained(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in DISAGREEMENTS.get(name, ()):
        for recording in one.recordings.split(", "):
            found.setdefault(recording, set()).update(one.fields)
    return found


def _answer(row: Mapping[str, Any], body: bytes) -> Answer:
    headers = {name.lower(): value for name, value in row["headers"].items()}
    headers["content-length"] = str(len(body))
    lines = [f"HTTP/1.1 {row['status']} As recorded"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return Answer(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body, "keep")


async def _agree(name: str, recordings: Sequence[replay.Recording]) -> None:
    case, explained = CASES[name], _explained(name)
    played: list[Answer] = []
    victors: dict[str, VictorReader] = {}
    found, expected, details = {}, {}, []
    async with FaultServer(lambda _: played[-1]) as server, AsyncExitStack() as clients:
        sdk = case.reader(server.url)
        clients.push_async_callback(sdk.close)
        for row, _, body in recordings:
            vendor = row["provider"]
            if case.provider not in (None, vendor):
                continue
            if vendor not in victors:
                victors[vendor] = VictorReader(server.url, case.wire, vendor)
                clients.push_async_callback(victors[vendor].close)
            played[:] = [_answer(row, body)]
            stream = row["kind"] != "json" or bool(row["request_stream"])
            ours = await outcome(victors[vendor].read(row["model"], stream=stream))
            theirs = await outcome(sdk.read(row["model"], stream=stream))
            known = explained.get(row["id"], set())
            if (fields := differing(ours, theirs)) or known:
                found[row["id"]], expected[row["id"]] = fields, known
            if fields != known:
                details.append(f"{row['id']} {vendor}: {ours} is not {theirs}"[:900])
    assert found == expected, "\n".join(details)


@pytest.mark.parametrize("name", CASES)
async def test_victor_reads_our_own_recordings_as_the_sdk_does(name: str) -> None:
    await _agree(name, own(CASES[name].wire))


@pytest.mark.parametrize("name", [name for name in CASES if name != "ollama"])
async def test_victor_reads_the_shared_recordings_as_the_sdk_does(name: str) -> None:
    await _agree(name, replay.recordings(CASES[name].wire))


def test_every_explanation_is_of_a_recording_that_is_there() -> None:
    ids = {row["id"] for row in shelf.lines("recordings/expected.jsonl.gz")}
    ids |= {row["id"] for case in CASES.values() for row, _, _ in own(case.wire)}
    assert {name for sdk in CASES for name in _explained(sdk)} <= ids

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests import shelf
from victor.errors import ProviderError
from victor.providers.failures import error_from_response
from victor.providers.sse import SSEDecoder
from victor.providers.wires.openai_chat.decode import ChatStream, decode
from victor.types import CompletionResponse

Recording = tuple[dict[str, Any], dict[str, Any], bytes]


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    wanted = {row["id"]: row for row in shelf.lines("recordings/expected.jsonl.gz")}
    rows = shelf.lines("recordings/recordings.jsonl.gz")
    chosen = [row for row in rows if row["protocol"] == "openai-chat"]
    assert len(chosen) == 580
    return [(row, wanted[row["id"]], _body(row)) for row in chosen]


def _body(row: dict[str, Any]) -> bytes:
    body: str = row["body"]
    return base64.b64decode(body) if row["body_encoding"] == "base64" else body.encode()


def _stream(row: dict[str, Any], blocks: Iterator[bytes]) -> CompletionResponse:
    splitter = SSEDecoder()
    decoder = ChatStream(provider=row["provider"], model=row["model"])
    content, reasoning = "", ""
    for block in blocks:
        for event in splitter.feed(block):
            chunk = None if decoder.done else decoder.feed(event)
            content += chunk.content if chunk else ""
            reasoning += chunk.reasoning if chunk else ""
    for event in splitter.close():
        chunk = None if decoder.done else decoder.feed(event)
        content += chunk.content if chunk else ""
    final = decoder.finish()
    return CompletionResponse(
        content=content,
        reasoning=reasoning or None,
        tool_calls=final.tool_calls,
        stop_reason=final.stop_reason,
        usage=final.usage,
    )


def _read(row: dict[str, Any], body: bytes) -> CompletionResponse:
    if row["status"] >= 400:
        raise error_from_response(
            row["status"], row["headers"], body, provider=row["provider"], host=row["host"]
        )
    if row["kind"] == "json":
        return decode(body, provider=row["provider"], model=row["model"])
    return _stream(row, iter([body]))


def _differences(got: CompletionResponse, want: dict[str, Any]) -> list[str]:
    found: list[str] = []
    skip = want.get("skip") or {}

    def compare(field: str, value: object, *accepted: object) -> None:
        if field not in skip and value not in accepted:
            found.append(f"{field}: {value!r} is none of {accepted!r}"[:300])

    texts = [want["text"], *(want.get("text_any") or [])]
    if want.get("text_join") == "loose":
        compare("text", "".join(got.content.split()), *("".join(text.split()) for text in texts))
    else:
        compare("text", got.content, *texts)
    compare("reasoning", got.reasoning, want["reasoning"], *(want.get("reasoning_any") or []))
    calls = [(call.name, call.arguments) for call in got.tool_calls or []]
    compare("tool_calls", calls, [(one["name"], one["arguments"]) for one in want["tool_calls"]])
    compare("stop", got.stop_reason, want["stop"], *(want.get("stop_any") or []))
    counts = want.get("usage") or {}
    if counts:
        usage = got.usage
        prompt = None if usage is None else usage.prompt_tokens
        completion = None if usage is None else usage.completion_tokens
        # The inclusive figure is ours, where the data has it.
        compare("usage", prompt, counts.get("input_inclusive", counts.get("input")))
        compare("usage", completion, counts.get("output_inclusive", counts.get("output")))
    return found


def test_every_recorded_chat_completion_is_read_as_expected(recordings: list[Recording]) -> None:
    wrong: dict[str, list[str]] = {}
    for row, want, body in recordings:
        try:
            got = _read(row, body)
        except ProviderError as error:
            accepted = [want.get("error"), *(want.get("error_any") or [])]
            accepted += want.get("accept_errors") or []
            if type(error).__name__ not in accepted:
                wrong[row["id"]] = [f"{type(error).__name__}: {error}"]
            continue
        found = ["no error was raised"] if want["kind"] == "error" else _differences(got, want)
        if found:
            wrong[row["id"]] = found
    assert wrong == {}


def test_streams_read_the_same_however_the_network_cuts_them(recordings: list[Recording]) -> None:
    chance = random.Random(1)  # noqa: S311 - cuts, not secrets
    streams = [(row, body) for row, want, body in recordings if row["kind"] == "sse"]
    assert len(streams) > 100
    for row, body in streams:
        outcomes: list[object] = []
        for cuts in ([body], list(_cut(body, chance, 7)), list(_cut(body, chance, 400))):
            try:
                answer = _stream(row, iter(cuts))
            except ProviderError as error:
                outcomes.append((type(error), str(error)))
                continue
            calls = [(call.name, call.arguments, call.error) for call in answer.tool_calls or []]
            outcomes.append((answer.content, answer.reasoning, calls, answer.usage))
        assert outcomes[0] == outcomes[1] == outcomes[2], row["id"]


def _cut(body: bytes, chance: random.Random, most: int) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        size = chance.randint(1, most)
        yield body[at : at + size]
        at += size


def test_a_recorded_stream_cut_before_its_end_is_never_an_answer(
    recordings: list[Recording],
) -> None:
    accepted, tried = [], 0
    for row, want, body in recordings:
        if row["kind"] != "sse" or want["kind"] != "ok":
            continue
        events = list(SSEDecoder().feed(body))
        if len(events) != want["events"]:
            continue  # the data counts comments and unterminated events, too
        keep = want["first_terminal"]
        tried += 1
        decoder = ChatStream(provider=row["provider"], model=row["model"])
        try:
            for event in events[:keep]:
                decoder.feed(event)
            decoder.finish()
        except ProviderError:
            continue
        accepted.append((row["id"], keep, len(events)))
    assert accepted == []
    assert tried > 80

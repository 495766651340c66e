"""Reads recorded traffic through a wire and says what differs from what is expected."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterable, Iterator
from typing import Any

from tests import shelf
from victor.errors import ProviderError
from victor.providers.failures import error_from_response
from victor.providers.reader import StreamReader
from victor.providers.request import PAUSED, Wire
from victor.types import CompletionResponse

Recording = tuple[dict[str, Any], dict[str, Any], bytes]


def recordings(protocol: str) -> list[Recording]:
    """Return (recording, what is expected, body) of a protocol; skip without the shelf."""
    wanted = {row["id"]: row for row in shelf.lines("recordings/expected.jsonl.gz")}
    rows = shelf.lines("recordings/recordings.jsonl.gz")
    return [(row, wanted[row["id"]], _body(row)) for row in rows if row["protocol"] == protocol]


def _body(row: dict[str, Any]) -> bytes:
    body: str = row["body"]
    return base64.b64decode(body) if row["body_encoding"] == "base64" else body.encode()


def read_stream(wire: Wire, model: str, blocks: Iterable[bytes]) -> CompletionResponse:
    """Read a stream as the provider does, block by block, and put the chunks together."""
    reader = StreamReader(wire, model)
    chunks = []
    for block in blocks:
        chunks += reader.feed(block)
        if reader.done:
            break
    chunks += reader.close()
    final = reader.final()
    return CompletionResponse(
        content="".join(chunk.content for chunk in chunks) + final.content,
        reasoning="".join(chunk.reasoning for chunk in chunks) or None,
        tool_calls=final.tool_calls,
        stop_reason=final.stop_reason,
        usage=final.usage,
        provider_state=final.provider_state,
    )


def read(wire: Wire, row: dict[str, Any], body: bytes) -> CompletionResponse:
    """Read a recorded answer, whatever its kind."""
    if row["status"] >= 400:
        raise error_from_response(
            row["status"], row["headers"], body, provider=row["provider"], host=row["host"]
        )
    if row["kind"] == "json":
        return wire.decode(body, model=row["model"])
    return read_stream(wire, row["model"], [body])


def differences(wire: Wire, recording: Recording) -> list[str]:
    """Return what is read otherwise than expected, one line each."""
    row, want, body = recording
    try:
        got = read(wire, row, body)
    except ProviderError as error:
        accepted = [want.get("error"), *(want.get("error_any") or [])]
        accepted += want.get("accept_errors") or []
        name = type(error).__name__
        return [] if name in accepted else [f"{name}: {error} is none of {accepted}"[:400]]
    return ["no error was raised"] if want["kind"] == "error" else _compared(got, want)


def _compared(got: CompletionResponse, want: dict[str, Any]) -> list[str]:
    found: list[str] = []
    skip = want.get("skip") or {}

    def compare(field: str, value: object, *accepted: object) -> None:
        if field not in skip and value not in accepted:
            found.append(f"{field}: {value!r} is none of {accepted!r}"[:400])

    texts = [want["text"], *(want.get("text_any") or [])]
    if want.get("text_join") == "loose":
        compare("text", "".join(got.content.split()), *("".join(text.split()) for text in texts))
    else:
        compare("text", got.content, *texts)
    compare("reasoning", got.reasoning, want["reasoning"], *(want.get("reasoning_any") or []))
    calls = [(call.name, call.arguments) for call in got.tool_calls or []]
    compare("tool_calls", calls, [(one["name"], one["arguments"]) for one in want["tool_calls"]])
    ids = [one["id"] for one in want["tool_calls"]]
    if len(set(ids)) == len(ids) == len(calls):
        pairs = zip(got.tool_calls or [], ids, strict=True)
        given = [call.id if expected else None for call, expected in pairs]
        compare("tool_calls", given, [one or None for one in ids])
    # One recording is one part of an answer that goes on; the provider asks for the rest.
    stop = "other" if got.stop_reason == PAUSED else got.stop_reason
    compare("stop", stop, want["stop"], *(want.get("stop_any") or []))
    counts = want.get("usage") or {}
    if counts:
        # The inclusive figure is ours, where the data has it.
        usage = got.usage
        prompt = None if usage is None else usage.prompt_tokens
        completion = None if usage is None else usage.completion_tokens
        compare("usage", prompt, counts.get("input_inclusive", counts.get("input")))
        compare("usage", completion, counts.get("output_inclusive", counts.get("output")))
        if usage is not None and counts.get("reasoning"):
            compare("usage", usage.reasoning_tokens, counts["reasoning"])
        if usage is not None and counts.get("cache_read"):
            compare("usage", usage.cached_tokens, counts["cache_read"])
        if usage is not None and counts.get("cache_creation"):
            compare("usage", usage.cache_write_tokens, counts["cache_creation"])
    return found


def outcome(wire: Wire, model: str, blocks: Iterable[bytes]) -> object:
    """Return what a stream comes to, made-up ids left out, to compare one cutting with another."""
    try:
        answer = read_stream(wire, model, blocks)
    except ProviderError as error:
        return type(error), str(error)
    calls = [(call.name, call.arguments, call.error) for call in answer.tool_calls or []]
    return answer.content, answer.reasoning, calls, answer.usage, answer.stop_reason


def cut(body: bytes, chance: random.Random, most: int) -> Iterator[bytes]:
    """Cut a body into blocks of 1 to `most` bytes."""
    at = 0
    while at < len(body):
        size = chance.randint(1, most)
        yield body[at : at + size]
        at += size


def accepts_truncation(wire: Wire, recording: Recording) -> bool | None:
    """Tell whether a stream without its last words counts as an answer; None: cannot be tried."""
    row, want, body = recording
    if want["kind"] != "ok" or want.get("first_terminal") is None:
        return None
    events = [*(splitter := wire.splitter()).feed(body), *splitter.close()]
    if len(events) != want["events"]:
        return None  # the data counts comments and unterminated events, too
    decoder = wire.stream_decoder(model=row["model"])
    try:
        for event in events[: want["first_terminal"]]:
            decoder.feed(event)
        decoder.finish()
    except ProviderError:
        return False
    return True

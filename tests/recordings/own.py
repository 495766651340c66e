"""Reads this folder's recordings into the form of the shared ones; see its README."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.providers.replay import Recording
from tests.providers.test_eventstream import event as frame
from victor.config.catalog import WireName

__all__ = ["FOLDER", "PROTOCOLS", "own", "rows"]

FOLDER = Path(__file__).parent
PROTOCOLS: tuple[WireName, ...] = (
    "anthropic",
    "bedrock",
    "cohere",
    "gemini",
    "ollama",
    "openai-chat",
    "openai-responses",
)

_TYPES = {
    "json": "application/json",
    "sse": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "eventstream": "application/vnd.amazon.eventstream",
}
_HOSTS = {"ollama": "127.0.0.1:11434", "llamacpp": "127.0.0.1:8080"}
_WANTED: dict[str, Any] = {"kind": "ok", "text": "", "reasoning": None, "tool_calls": []}


def rows(protocol: WireName) -> list[dict[str, Any]]:
    """Return a file's lines as they are written."""
    text = (FOLDER / f"{protocol}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def own(protocol: WireName) -> list[Recording]:
    """Return (recording, what is expected, body) of a protocol."""
    return [_recording(protocol, row) for row in rows(protocol)]


def _recording(protocol: WireName, row: dict[str, Any]) -> Recording:
    kind = row["kind"]
    body = _body(kind, row)
    recording = {
        "id": f"{protocol} {row['id']}",
        "protocol": protocol,
        "provider": row["provider"],
        "host": _HOSTS.get(row["provider"], "api.example.test"),
        "model": row["model"],
        "kind": kind,
        "request_stream": row["stream"],
        "status": row.get("status", 200),
        "headers": {"content-type": _TYPES[kind], **row.get("headers", {})},
    }
    return recording, {**_WANTED, **row["want"]}, body


def _body(kind: str, row: dict[str, Any]) -> bytes:
    if "body" in row:
        return str(row["body"]).encode()
    if kind == "json":
        return _json(row["answer"])
    events = row["events"]
    if kind == "ndjson":
        return b"".join(_json(event) + b"\n" for event in events)
    if kind == "eventstream":
        return b"".join(frame(*next(iter(event.items()))) for event in events)
    return b"".join(_event(event) for event in events)


def _event(event: Any) -> bytes:
    if isinstance(event, str):
        return b"data: %s\n\n" % event.encode()
    name = b"event: %s\n" % event["type"].encode() if "type" in event else b""
    return name + b"data: %s\n\n" % _json(event)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()

"""Records a real server again: `python -m tests.recordings.record`, with the weights in place.

Runs the embedded llama.cpp server, holds the conversations of `scenes.py` with it over each of its
three protocols, and replaces the lines of this folder's files whose origin is "recorded". What is
expected of an answer is what victor reads, checked against what the scene asked for; look at the
difference before it is committed, and let the SDKs look, too: `make test-sdk`.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from typing import Any
from urllib.parse import urlsplit

from tests.providers import replay
from tests.recordings.own import FOLDER, rows
from tests.recordings.real import MODEL, ROWS, real_server
from tests.recordings.scenes import SCENES, Scene
from victor.config.catalog import WireName
from victor.errors import ProviderError
from victor.local.process import Endpoint
from victor.local.weights import find_weights
from victor.providers.endpoint import joined
from victor.providers.protocols import wire_for
from victor.providers.request import Wire
from victor.types import CompletionResponse

__all__ = ["main"]


def main() -> int:
    """Record all scenes over all protocols."""
    with real_server(find_weights(None)) as server:
        endpoint = asyncio.run(server.ensure())
        for protocol in ROWS:
            wire = wire_for(ROWS[protocol])
            recorded = [_recorded(wire, endpoint, name, scene) for name, scene in SCENES.items()]
            _save(protocol, recorded)
    return 0


def _recorded(wire: Wire, endpoint: Endpoint, name: str, scene: Scene) -> dict[str, Any]:
    call = wire.encode(scene.request)
    address = urlsplit(joined(endpoint.base_url, call.path))
    connection = http.client.HTTPConnection(address.netloc, timeout=120)
    headers = {**wire.headers, "content-type": "application/json", **call.headers}
    headers["authorization"] = f"Bearer {endpoint.api_key}"
    try:
        connection.request("POST", address.path, call.body, headers)
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    kind = "sse" if "event-stream" in (response.getheader("content-type") or "") else "json"
    row = {
        "id": name,
        "origin": "recorded",
        "provider": "llamacpp",
        "model": MODEL,
        "kind": kind,
        "stream": scene.stream,
        "status": response.status,
        "path": call.path,
        "request": json.loads(call.body),
        "body": body.decode(),
    }
    return {**row, "want": _wanted(wire, row, body)}


def _wanted(wire: Wire, row: dict[str, Any], body: bytes) -> dict[str, Any]:
    try:
        answer = replay.read(wire, {**row, "headers": {}, "host": "127.0.0.1"}, body)
    except ProviderError as error:
        return {"kind": "error", "error": type(error).__name__}
    return _expectation(answer)


def _expectation(answer: CompletionResponse) -> dict[str, Any]:
    calls = [
        {"id": call.id, "name": call.name, "arguments": call.arguments}
        for call in answer.tool_calls or ()
    ]
    usage = answer.usage
    counts = usage and {
        "input_inclusive": usage.prompt_tokens,
        "output_inclusive": usage.completion_tokens,
        "cache_read": usage.cached_tokens,
    }
    found = {"text": answer.content, "tool_calls": calls, "usage": counts}
    return {**{name: value for name, value in found.items() if value}, "stop": answer.stop_reason}


def _save(protocol: WireName, recorded: list[dict[str, Any]]) -> None:
    path = FOLDER / f"{protocol}.jsonl"
    kept = [row for row in rows(protocol) if row["origin"] != "recorded"] if path.exists() else []
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in (*recorded, *kept)]
    path.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

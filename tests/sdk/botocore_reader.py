"""AWS's SDK for Bedrock's Converse."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.sdk.reading import QUESTION, Reading, arguments, stop_of

__all__ = ["BotocoreReader"]

_STOP = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
}


class BotocoreReader:
    """Converse; the SDK has no helper for streams, their parts are joined here."""

    def __init__(self, url: str) -> None:
        config = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1})
        session = pytest.importorskip("botocore.session").get_session()
        self._client: Any = session.create_client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=url,
            aws_access_key_id="id",
            aws_secret_access_key="secret",
            config=config,
        )

    async def read(self, model: str, *, stream: bool) -> Reading:
        return await asyncio.to_thread(self._streamed if stream else self._whole, model)

    def _whole(self, model: str) -> Reading:
        answer = self._client.converse(modelId=model, messages=_messages())
        blocks = answer["output"]["message"]["content"]
        return _reading(blocks, answer["stopReason"], answer["usage"])

    def _streamed(self, model: str) -> Reading:
        answer = self._client.converse_stream(modelId=model, messages=_messages())
        blocks: dict[int, dict[str, Any]] = {}
        reason, usage = None, None
        for event in answer["stream"]:
            for kind, value in event.items():
                match kind:
                    case "contentBlockStart":
                        start = {kind: {"input": "", **of} for kind, of in value["start"].items()}
                        blocks[value["contentBlockIndex"]] = start
                    case "contentBlockDelta":
                        _extend(blocks.setdefault(value["contentBlockIndex"], {}), value["delta"])
                    case "messageStop":
                        reason = value["stopReason"]
                    case "metadata":
                        usage = value["usage"]
                    case _:
                        pass
        if reason is None:
            raise ValueError("the stream ended before the answer did")
        return _reading(list(blocks.values()), reason, usage)

    async def close(self) -> None:
        self._client.close()


def _messages() -> list[Any]:
    return [{"role": "user", "content": [{"text": QUESTION}]}]


def _extend(block: dict[str, Any], delta: dict[str, Any]) -> None:
    if "text" in delta:
        block["text"] = block.get("text", "") + delta["text"]
    if "toolUse" in delta:
        block["toolUse"]["input"] += delta["toolUse"]["input"]


def _reading(blocks: list[dict[str, Any]], reason: str, usage: dict[str, Any] | None) -> Reading:
    calls = tuple(
        (block["toolUse"]["name"], arguments(block["toolUse"]["input"]))
        for block in blocks
        if "toolUse" in block and block["toolUse"].get("type") != "server_tool_use"
    )
    counts = ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    return Reading(
        text="".join(block.get("text", "") for block in blocks),
        calls=calls,
        stop=stop_of(reason, _STOP, calls=bool(calls)),
        prompt=sum(usage.get(name) or 0 for name in counts) if usage else None,
        completion=usage["outputTokens"] if usage else None,
    )

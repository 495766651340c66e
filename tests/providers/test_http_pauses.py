from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.providers.loopback import HI, connect
from victor.config.catalog import VENDORS
from victor.providers.continuing import MAX_PARTS
from victor.providers.http import HTTPProvider
from victor.testing.faults import Answer, FaultServer, Request, json_answer, sse_answer
from victor.types import CompletionResponse, StreamChunk, Usage

SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _body(stop: str, *blocks: object) -> dict[str, Any]:
    usage = {"input_tokens": 3, "output_tokens": 2}
    return {
        "type": "message", "role": "assistant", "model": "claude", "content": list(blocks),
        "stop_reason": stop, "usage": usage,
    }  # fmt: skip


def _events(stop: str, *blocks: dict[str, Any]) -> list[object]:
    whole = _body(stop, *blocks)
    events: list[object] = [{"type": "message_start", "message": {**whole, "content": []}}]
    for at, block in enumerate(blocks):
        events.append({"type": "content_block_start", "index": at, "content_block": block})
        events.append({"type": "content_block_stop", "index": at})
    delta = {"stop_reason": stop}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}})
    return [*events, {"type": "message_stop"}]


def _script(*turns: tuple[Any, ...]) -> Callable[[Request], Answer]:
    """Answer request after request in its own form; the last turn repeats."""
    left = list(turns)

    def answer(request: Request) -> Answer:
        stop, *blocks = left.pop(0) if len(left) > 1 else left[0]
        if request.json().get("stream"):
            return sse_answer(_events(stop, *blocks), done=None)
        return json_answer(_body(stop, *blocks))

    return answer


async def _ask(provider: HTTPProvider, how: str) -> tuple[str, CompletionResponse | StreamChunk]:
    if how == "chat":
        answer = await provider.chat(HI, model="claude")
        return answer.content, answer
    chunks = [chunk async for chunk in provider.stream(HI, model="claude")]
    assert [chunk.is_final for chunk in chunks].count(True) == 1
    return "".join(chunk.content for chunk in chunks), chunks[-1]


@pytest.mark.parametrize("how", ["chat", "stream"])
async def test_a_paused_turn_goes_on_and_is_one_answer(how: str) -> None:
    script = _script(
        ("pause_turn", _text("Let me look. "), SEARCH), ("end_turn", FOUND, _text("Here."))
    )
    async with FaultServer(script) as server:
        provider = connect(server, VENDORS["anthropic"])
        async with provider:
            text, last = await _ask(provider, how)
        assert text == "Let me look. Here."
        assert last.stop_reason == "stop"
        assert last.usage == Usage(prompt_tokens=6, completion_tokens=4, total_tokens=10)
        assert last.provider_state is not None
        kinds = [block["type"] for block in last.provider_state["anthropic"]["blocks"]]
        assert kinds == ["text", "server_tool_use", "web_search_tool_result", "text"]
        first, second = (request.json()["messages"] for request in server.requests)
        assert [message["role"] for message in first] == ["user"]
        assert [message["role"] for message in second] == ["user", "assistant"]
        assert [block["type"] for block in second[1]["content"]] == ["text", "server_tool_use"]


@pytest.mark.parametrize("how", ["chat", "stream"])
async def test_a_turn_that_pauses_for_ever_ends(how: str) -> None:
    async with FaultServer(_script(("pause_turn", _text("a"), SEARCH))) as server:
        provider = connect(server, VENDORS["anthropic"])
        async with provider:
            text, last = await _ask(provider, how)
        assert len(server.requests) == MAX_PARTS
        assert text == "a" * MAX_PARTS
        assert last.stop_reason == "other"

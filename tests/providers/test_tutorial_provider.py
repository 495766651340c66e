from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests import shelf
from tests.config.memory_keyring import MemoryKeyring
from victor.providers.base import (
    BaseProvider,
    CircuitOpenError,
    Message,
    ProviderAuthError,
    ProviderError,
    ProviderRateLimitError,
    ProviderTimeoutError,
    StreamChunk,
    StreamInterruptedError,
    ToolCall,
    ToolDefinition,
    Usage,
)
from victor.testing.faults import (
    GARBAGE,
    RESET,
    STALL,
    Answer,
    FaultServer,
    Request,
    html_answer,
    json_answer,
    sse_answer,
    truncated_answer,
)

HI = [Message(role="user", content="Hi")]
DOWN = json_answer({"error": {"message": "down"}}, 500)
TOOL = ToolDefinition(name="add", description="Add.", parameters={"type": "object"})


def _source(text: str) -> str:
    """Return the file that steps 1 and 2 of the tutorial write, to the letter."""
    blocks: list[str] = []
    for step in ("### Step 1", "### Step 2"):
        found = re.search(
            r"^```python\n(.*?)^```", text[text.index(step) :], re.DOTALL | re.MULTILINE
        )
        assert found is not None
        blocks.append(found[1])
    return "\n".join(blocks)


@pytest.fixture(scope="module")
def provider_class() -> type[Any]:
    text = shelf.text("seeds/victor-integrate-provider-part-1.md")
    module = ModuleType("custom_provider")
    exec(compile(_source(text), "custom_provider.py", "exec"), module.__dict__)  # noqa: S102
    base = module.CustomLLMProvider
    assert issubclass(base, BaseProvider)
    return _finished(base)


def _handle_http_error(self: Any, error: httpx.HTTPStatusError) -> Any:
    status = error.response.status_code
    if status == 401:
        raise ProviderAuthError("Authentication failed", provider=self.name) from error
    if status == 429:
        raise ProviderRateLimitError("Rate limited", provider=self.name) from error
    raise ProviderError(f"HTTP error {status}", provider=self.name, status_code=status) from error


async def _stream(
    self: Any, messages: list[Message], *, model: str, **kwargs: Any
) -> AsyncIterator[StreamChunk]:
    payload = self._build_request_payload(messages, model, 0.7, 4096, None, stream=True, **kwargs)
    try:
        async with self.client.stream("POST", "/chat/completions", json=payload) as response:
            response.raise_for_status()
            async for line in response.aiter_lines():
                if not line.startswith("data: "):
                    continue
                data = line[6:]
                if data.strip() == "[DONE]":
                    yield StreamChunk(content="", is_final=True)
                    break
                yield self._parse_stream_chunk(json.loads(data))
    except httpx.TimeoutException as e:
        raise ProviderTimeoutError("Stream timed out", provider=self.name) from e
    except httpx.HTTPStatusError as e:
        self._handle_http_error(e)
    except Exception as e:
        raise ProviderError(f"Unexpected: {e}", provider=self.name, raw_error=e) from e


def _parse_stream_chunk(self: Any, data: dict[str, Any]) -> StreamChunk:
    choice = data["choices"][0]
    content = choice["delta"].get("content") or ""
    return StreamChunk(content=content, stop_reason=choice.get("finish_reason"))


async def _close(self: Any) -> None:
    await self.client.aclose()


def _finished(base: Any) -> type[Any]:
    """Add what the later parts of the tutorial add: streaming, error mapping, closing."""

    class CustomLLMProvider(base):  # type: ignore[misc] # known at run time only
        stream = _stream
        close = _close
        _handle_http_error = _handle_http_error
        _parse_stream_chunk = _parse_stream_chunk

    return CustomLLMProvider


def _answer(**message: Any) -> Answer:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    choice = {"message": {"role": "assistant", **message}, "finish_reason": "stop"}
    return json_answer({"choices": [choice], "usage": usage})


def _events(*texts: str, finish: str | None = None) -> list[object]:
    events: list[object] = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    return events + ([{"choices": [{"delta": {}, "finish_reason": finish}]}] if finish else [])


def _make(kind: type[Any], server: FaultServer, **options: Any) -> Any:
    defaults = {"api_key": "sk-1", "retry_delay": 0.001, "timeout": 5, "max_retries": 0}
    return kind(base_url=server.url, **{**defaults, **options})


async def _ask(provider: Any, how: str, **options: Any) -> str:
    if how == "chat":
        answer: str = (await provider.chat(HI, model="large", **options)).content
        return answer
    chunks = provider.stream(HI, model="large", **options)
    return "".join([chunk.content async for chunk in chunks])


either = pytest.mark.parametrize("how", ["chat", "stream"])


# ---------------------------------------------------------------------------- it works


async def test_it_chats(provider_class: type[Any]) -> None:
    async with FaultServer([_answer(content="Hello")]) as server:
        async with _make(provider_class, server) as provider:
            answer = await provider.chat(HI, model="large", top_p=0.5, stop=None)
        assert answer.content == "Hello"
        assert answer.stop_reason == "stop"
        assert answer.usage == Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
        assert answer.model == "large"
        (request,) = server.requests
        assert request.headers["authorization"] == "Bearer sk-1"
        assert request.json() == {
            "model": "large",
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 4096,
            "temperature": 0.7,
            "stream": False,
            "top_p": 0.5,
        }


async def test_it_calls_tools(provider_class: type[Any]) -> None:
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
        {"id": "", "type": "function", "function": {"name": "add", "arguments": {"a": 2}}},
    ]
    result = Message(role="tool", content="3", tool_call_id="c1")
    async with FaultServer([_answer(content=None, tool_calls=calls)]) as server:
        async with _make(provider_class, server) as provider:
            answer = await provider.chat([*HI, result], model="large", tools=[TOOL])
        first, second = answer.tool_calls
        assert first == ToolCall(id="c1", name="add", arguments={"a": 1})
        assert (second.name, second.arguments) == ("add", {"a": 2})
        assert second.id
        body = server.requests[0].json()
        assert body["tools"][0]["function"]["name"] == "add"
        assert body["messages"][1]["tool_call_id"] == "c1"


async def test_it_streams(provider_class: type[Any]) -> None:
    async with (
        FaultServer([sse_answer(_events("Hel", "lo", finish="stop"))]) as server,
        _make(provider_class, server) as provider,
    ):
        assert await _ask(provider, "stream") == "Hello"
        assert provider.breaker.snapshot().calls == 1
        assert server.requests[0].json()["stream"] is True


# ---------------------------------------------------------------------------- it is protected


@either
async def test_transient_failures_are_retried(provider_class: type[Any], how: str) -> None:
    good = _answer(content="Hello") if how == "chat" else sse_answer(_events("Hello"))
    async with (
        FaultServer([DOWN, RESET, good]) as server,
        _make(provider_class, server, max_retries=2) as provider,
    ):
        assert await _ask(provider, how) == "Hello"
        assert len(server.requests) == 3


@either
async def test_500s_trip_the_breaker_which_then_refuses_without_a_request(
    provider_class: type[Any], how: str
) -> None:
    async with (
        FaultServer([DOWN]) as server,
        _make(provider_class, server, max_retries=1) as provider,
    ):
        for _ in range(2):
            with pytest.raises(ProviderError) as caught:
                await _ask(provider, how)
            assert caught.value.status_code == 500
        with pytest.raises(ProviderError, match="500"):  # the fifth failure in a row
            await _ask(provider, how)
        assert len(server.requests) == 5
        with pytest.raises(CircuitOpenError) as refused:
            await _ask(provider, how)
        assert type(refused.value) is CircuitOpenError
        assert len(server.requests) == 5


@either
@pytest.mark.parametrize(
    ("status", "kind"), [(400, ProviderError), (401, ProviderAuthError), (404, ProviderError)]
)
async def test_refusals_are_not_retried_and_never_trip_the_breaker(
    provider_class: type[Any], how: str, status: int, kind: type[ProviderError]
) -> None:
    async with (
        FaultServer([json_answer({"error": "no"}, status)]) as server,
        _make(provider_class, server, max_retries=3) as provider,
    ):
        for _ in range(8):
            with pytest.raises(ProviderError) as caught:
                await _ask(provider, how)
            assert type(caught.value) is kind
        assert len(server.requests) == 8
        assert provider.breaker.snapshot().state == "closed"
        assert provider.breaker.snapshot().failures == 0


@either
async def test_a_rate_limit_is_retried_and_no_failure_of_the_endpoint(
    provider_class: type[Any], how: str
) -> None:
    async with (
        FaultServer([json_answer({"error": "slow down"}, 429)]) as server,
        _make(provider_class, server, max_retries=2) as provider,
    ):
        with pytest.raises(ProviderRateLimitError):
            await _ask(provider, how)
        assert len(server.requests) == 3
        assert provider.breaker.snapshot().failures == 0


@either
@pytest.mark.parametrize("client_first", [True, False], ids=["client's clock", "guard's clock"])
async def test_a_server_that_stalls_is_a_timeout(
    provider_class: type[Any], how: str, client_first: bool
) -> None:
    async with FaultServer([STALL]) as server, _make(provider_class, server) as provider:
        if client_first:
            provider.client.timeout = httpx.Timeout(0.02)
        with pytest.raises(ProviderTimeoutError):
            await _ask(provider, how, timeout=5 if client_first else 0.02)
        assert provider.breaker.snapshot().failures == 1


@either
@pytest.mark.parametrize(
    "fault", [RESET, GARBAGE, Answer()], ids=["reset", "no http", "nothing and the end"]
)
async def test_a_broken_connection_is_a_failure_and_retried(
    provider_class: type[Any], how: str, fault: Answer
) -> None:
    async with (
        FaultServer([fault]) as server,
        _make(provider_class, server, max_retries=1) as provider,
    ):
        with pytest.raises(ProviderError) as caught:
            await _ask(provider, how)
        assert isinstance(caught.value.raw_error, httpx.TransportError)
        assert len(server.requests) == 2
        assert provider.breaker.snapshot().failures == 2


@pytest.mark.parametrize(
    "fault",
    [html_answer(), truncated_answer(b'{"choices": []'), json_answer([1])],
    ids=["page", "cut off", "another shape"],
)
async def test_an_answer_that_cannot_be_read_is_a_provider_error(
    provider_class: type[Any], fault: Answer
) -> None:
    async with FaultServer([fault]) as server, _make(provider_class, server) as provider:
        with pytest.raises(ProviderError, match="Unexpected error"):
            await _ask(provider, "chat")


@pytest.mark.parametrize(
    "fault",
    [
        sse_answer(_events("Hel"), done=None, then="reset"),
        sse_answer(_events("Hel"), done=None),
        sse_answer([*_events("Hel"), "{broken"]),
        sse_answer([*_events("Hel"), {"error": {"message": "x"}}]),
    ],
    ids=["reset", "clean end without a final event", "broken json", "error frame"],
)
async def test_a_stream_that_breaks_keeps_its_text_and_counts_as_a_failure(
    provider_class: type[Any], fault: Answer
) -> None:
    async with (
        FaultServer([fault]) as server,
        _make(provider_class, server, max_retries=3) as provider,
    ):
        with pytest.raises(StreamInterruptedError) as caught:
            await _ask(provider, "stream")
        assert caught.value.partial == "Hel"
        assert len(server.requests) == 1


async def test_a_stream_that_stalls_after_text_is_interrupted(provider_class: type[Any]) -> None:
    fault = sse_answer(_events("Hel"), done=None, then="stall")
    async with FaultServer([fault]) as server, _make(provider_class, server) as provider:
        with pytest.raises(StreamInterruptedError) as caught:
            await _ask(provider, "stream", timeout=0.25)
        assert caught.value.partial == "Hel"
        assert provider.breaker.snapshot().failures == 1


@either
async def test_cancelling_is_no_failure(provider_class: type[Any], how: str) -> None:
    arrived = asyncio.Event()

    def stall(request: Request) -> Answer:
        arrived.set()
        return STALL

    async with FaultServer(stall) as server, _make(provider_class, server) as provider:
        for _ in range(6):
            arrived.clear()
            task = asyncio.create_task(_ask(provider, how))
            await asyncio.wait_for(arrived.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert provider.breaker.snapshot().calls == 0


# ---------------------------------------------------------------------------- its key


def _key(provider: Any) -> str:
    found: str = provider.client.headers["authorization"]
    return found


async def test_the_key_is_looked_up_in_order(
    provider_class: type[Any], memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.values["victor", "custom_llm"] = "from-keyring"
    assert _key(provider_class()) == "Bearer from-keyring"
    monkeypatch.setenv("CUSTOM_LLM_API_KEY", "from-environment")
    assert _key(provider_class()) == "Bearer from-environment"
    assert _key(provider_class(api_key="from-parameter")) == "Bearer from-parameter"


async def test_a_missing_key_is_a_warning_that_names_the_command(
    provider_class: type[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        provider = provider_class()
    assert "victor keys --set custom_llm --keyring" in caplog.text
    assert provider.api_key == ""
    assert provider.name == "custom_llm"
    assert repr(provider).endswith("https://api.customllm.example.com/v1>")

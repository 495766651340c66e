from __future__ import annotations

import asyncio

import pytest

from tests.providers.key_server import (
    BAD,
    GOOD,
)
from tests.providers.loopback import CHAT, ask, connect, either, failures, good
from victor.errors import (
    ProviderRateLimitError,
)
from victor.providers.http import HTTPProvider
from victor.providers.registry import create_provider
from victor.resilience.throttle import Throttle
from victor.testing.faults import (
    FaultServer,
    json_answer,
)
from victor.types import Message


@either
async def test_a_throttle_shared_by_providers_counts_them_together(how: str) -> None:
    throttle = Throttle(2)
    async with (
        FaultServer(good) as server,
        connect(server, throttle=throttle) as one,
        connect(server, throttle=throttle, api_key=[BAD, GOOD]) as other,
    ):
        await ask(one, how)
        await ask(other, how)
        with pytest.raises(ProviderRateLimitError, match="nothing was sent") as caught:
            await ask(one, how)
        assert 59 < (caught.value.retry_after or 0) <= 60
        assert (caught.value.provider, caught.value.model) == ("openai-compatible", "m")
        assert len(server.requests) == 2
        assert failures(one) == 0


@either
async def test_tokens_are_estimated_and_then_corrected(how: str) -> None:
    throttle = Throttle(tokens_per_minute=5000)
    async with FaultServer(good) as server, connect(server, throttle=throttle) as provider:
        for _ in range(20):
            await ask(provider, how)  # each allows 4096 tokens, and uses 5
        assert throttle._tokens == 100
        with pytest.raises(ProviderRateLimitError):
            await ask(provider, how, max_tokens=4999)
        assert len(server.requests) == 20


@either
async def test_a_call_that_is_cancelled_in_the_queue_is_not_counted(how: str) -> None:
    throttle = Throttle(1)
    async with FaultServer(good) as server, connect(server, throttle=throttle) as provider:
        await ask(provider, how)
        task = asyncio.create_task(ask(provider, how, timeout=100))
        await asyncio.sleep(0)
        assert len(throttle._queue) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not throttle._queue
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "30s"}),
        (429, {"retry-after": "30"}),
    ],
    ids=["nothing left", "refused"],
)
async def test_what_the_server_says_of_its_limits_holds_back_the_model_it_is_for(
    status: int, headers: dict[str, str]
) -> None:
    body = {"choices": [{"message": {"role": "assistant", "content": "Hello"},
                         "finish_reason": "stop"}]}  # fmt: skip
    async with (
        FaultServer([json_answer(body, status, headers), CHAT]) as server,
        connect(server, throttle=Throttle(100), timeout=5) as provider,
    ):
        if status == 200:
            await ask(provider, "chat")
        else:
            with pytest.raises(ProviderRateLimitError):
                await ask(provider, "chat")
        with pytest.raises(ProviderRateLimitError, match="server said that its rate limit"):
            await ask(provider, "chat")
        messages = [Message(role="user", content="Hi")]
        assert (await provider.chat(messages, model="other")).content == "Hello"
        assert len(server.requests) == 2


async def test_embeddings_pass_the_throttle() -> None:
    vectors = {"data": [{"index": 0, "embedding": [1.0]}], "usage": {"total_tokens": 3}}
    throttle = Throttle(1, 1000)
    async with (
        FaultServer([json_answer(vectors)]) as server,
        connect(server, throttle=throttle) as provider,
    ):
        await provider.embed("Hi", model="e")
        assert throttle._tokens == 3
        with pytest.raises(ProviderRateLimitError):
            await provider.embed("Hi", model="e")


def test_settings_make_one_throttle_per_provider(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path_factory.mktemp("settings") / "config.toml"
    file.write_text(
        "[providers.groq]\nrequests_per_minute = 30\ntokens_per_minute = 6000\n"
        "[providers.xai]\ntimeout = 5\n"
    )
    monkeypatch.setenv("VICTOR_CONFIG", str(file))
    one, other = (create_provider("groq", api_key="k") for _ in range(2))
    assert isinstance(one, HTTPProvider)
    assert isinstance(other, HTTPProvider)
    assert one._throttle is other._throttle
    assert one._throttle is not None
    assert one._throttle.requests_per_minute == 30
    assert one._throttle.tokens_per_minute == 6000
    mine = Throttle(1)
    passed = create_provider("groq", api_key="k", throttle=mine)
    assert isinstance(passed, HTTPProvider)
    assert passed._throttle is mine
    without = create_provider("xai", api_key="k")
    assert isinstance(without, HTTPProvider)
    assert without._throttle is None

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from tests.providers.loopback import (
    CHAT,
    DOWN,
    KEY,
    ROW,
    STREAM,
    ask,
    connect,
    either,
    failures,
    kept_open,
)
from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData, ModelRow
from victor.errors import (
    CircuitOpenError,
    ConfigError,
    ProviderAuthError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderServerError,
    ProviderTimeoutError,
)
from victor.providers.http import HTTPProvider
from victor.testing.faults import (
    GARBAGE,
    RESET,
    STALL,
    Answer,
    FaultServer,
    html_answer,
    json_answer,
    redirect_answer,
    truncated_answer,
)
from victor.types import Capability, Message, StreamChunk

# ---------------------------------------------------------------------------- votes


@either
@pytest.mark.parametrize("fault", [DOWN, RESET, STALL], ids=["500", "reset", "stall"])
async def test_an_endpoint_that_is_down_is_left_alone(how: str, fault: Answer) -> None:
    async with FaultServer([fault]) as server, connect(server, timeout=0.1) as provider:
        for _ in range(5):
            with pytest.raises(ProviderError):
                await ask(provider, how)
        with pytest.raises(CircuitOpenError, match=server.url):
            await ask(provider, how)
        assert len(server.requests) == 5


@either
async def test_refusals_leave_the_endpoint_open(how: str) -> None:
    answers = [json_answer({"error": "no"}, status) for status in (400, 401, 404, 413, 422, 429)]
    async with FaultServer(answers) as server, connect(server) as provider:
        for _ in range(12):
            with pytest.raises(ProviderError):
                await ask(provider, how)
        assert len(server.requests) == 12
        assert failures(provider) == 0


# ---------------------------------------------------------------------------- keys, addresses

ACME = Vendor("acme", "https://api.acme.example/v1", ("ACME_API_KEY",), "acme-large")


async def test_a_missing_key_warns_at_once_and_fails_at_the_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with FaultServer([CHAT]) as server:
        with caplog.at_level(logging.WARNING):
            provider = connect(server, ACME, api_key=None, max_retries=3)
        message = "no API key for acme: set ACME_API_KEY, or store one with `victor keys set acme`"
        assert caplog.messages == [message]
        for how in ("chat", "stream"):
            with pytest.raises(ProviderAuthError) as caught:
                await ask(provider, how)
            assert str(caught.value) == message
        with pytest.raises(ProviderAuthError):
            await provider.list_models()
        assert server.connections == 0
        assert failures(provider) == 0


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", " from-environment\n")
    assert HTTPProvider(ACME).api_key == "from-environment"
    assert HTTPProvider(ACME, api_key="mine").api_key == "mine"


async def test_a_server_of_ones_own_is_asked_without_a_key() -> None:
    async with FaultServer([CHAT]) as server:
        async with connect(server, api_key=None) as provider:
            await ask(provider, "chat")
        assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    "key",
    ["sk-secret\nx", "sk-secret\rx", "sk\u2013secret", "sk-secret\x00x", "sk-secret\u200b"],
    ids=ascii,
)
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="victor keys set acme") as caught:
        HTTPProvider(ACME, api_key=key)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "fault",
    [RESET, GARBAGE, html_answer(), DOWN, redirect_answer("https://x.io"), truncated_answer(b"{")],
    ids=["reset", "garbage", "page", "500", "redirect", "cut"],
)  # fmt: skip
async def test_no_error_holds_the_key_or_the_prompt(fault: Answer) -> None:
    secret = [Message(role="user", content="my own diary")]
    async with FaultServer([fault]) as server, connect(server) as provider:
        with pytest.raises(ProviderError) as caught:
            await provider.chat(secret, model="m")
        error: BaseException | None = caught.value
        while error is not None:
            assert KEY not in f"{error!r} {vars(error)}"
            assert "diary" not in f"{error!r} {vars(error)}"
            error = error.__cause__ or error.__context__
        assert KEY not in repr(provider)


@pytest.mark.parametrize(
    "url",
    ["ftp://x.example", "x.example/v1", "http://", "https:///v1", "http://[::1", "http://x:99999",
     "http://x:y", "https://user:geheim@x.example", "http://x.example\x00/"],
    ids=ascii,
)  # fmt: skip
def test_an_address_that_is_none_is_refused_when_the_provider_is_made(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url: ") as caught:
        HTTPProvider(ROW, base_url=url)
    assert "geheim" not in str(caught.value)


def test_a_vendor_without_an_address_asks_for_one() -> None:
    with pytest.raises(ConfigError, match="has no address of its own: pass base_url"):
        HTTPProvider(ROW)


async def test_a_trailing_slash_makes_no_difference() -> None:
    async with FaultServer([CHAT]) as server:
        async with connect(f"{server.url}/v1/") as provider:
            assert provider.base_url == f"{server.url}/v1"
            await ask(provider, "chat")
        assert server.requests[0].path == "/v1/chat/completions"


# ---------------------------------------------------------------------------- the rest


async def test_the_models_of_an_endpoint_are_listed() -> None:
    rows = {"object": "list", "data": [{"id": "b"}, {"id": "a", "owned_by": "x"}]}
    async with FaultServer([json_answer(rows), json_answer({"data": None})]) as server:
        async with connect(server) as provider:
            assert await provider.list_models() == ["b", "a"]
            assert await provider.list_models() == []
        assert (server.requests[0].method, server.requests[0].path) == ("GET", "/models")
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b"{}x", b'{"data": [1]}', b'{"data": [{}]}', b'{"data": 5}', b"<html>"]
)
async def test_a_list_of_models_that_is_none_is_a_typed_error(body: bytes) -> None:
    async with FaultServer([kept_open(body)]) as server, connect(server) as provider:
        with pytest.raises(ProviderInvalidResponseError, match=f"{server.url} answered with"):
            await provider.list_models()
        assert failures(provider) == 1


async def test_an_endpoint_that_never_lists_its_models_is_given_up() -> None:
    async with FaultServer([STALL]) as server, connect(server, timeout=0.05) as provider:
        with pytest.raises(ProviderTimeoutError, match=r"did not answer within 0\.05 s"):
            await provider.list_models()
        assert failures(provider) == 1


async def test_a_dead_endpoint_is_not_asked_for_its_models() -> None:
    async with FaultServer([DOWN]) as server, connect(server, max_retries=3) as provider:
        for _ in range(5):
            with pytest.raises(ProviderServerError):
                await provider.list_models()
        with pytest.raises(CircuitOpenError):
            await provider.list_models()
        with pytest.raises(CircuitOpenError):
            await ask(provider, "chat")
        assert len(server.requests) == 5


async def test_capabilities_and_defaults_come_from_the_vendors_row() -> None:
    row = replace(ACME, tool_mode="constrained", base_url="http://127.0.0.1:9")
    blind = ModelRow("m", ModelData(vision=False))
    provider = HTTPProvider(row, api_key=KEY, models=[blind], max_retries=0)
    assert provider.name == "acme"
    assert provider.default_model == "acme-large"
    assert provider.supports_tools()
    assert provider.supports_streaming()
    found = await provider.discover_capabilities("m")
    assert found.tool_mode == "constrained"
    assert Capability.STREAMING in found
    assert "tools" in found
    assert "vision" not in found


class Shouting(HTTPProvider):
    """Somebody's subclass, which builds on the streams of ours."""

    async def stream(self, *args: Any, **kwargs: Any) -> Any:
        async for chunk in super().stream(*args, **kwargs):
            yield StreamChunk(
                chunk.content.upper(), stop_reason=chunk.stop_reason, is_final=chunk.is_final
            )


async def test_a_subclass_that_builds_on_our_stream_is_guarded_once() -> None:
    async with (
        FaultServer([DOWN, DOWN, DOWN, STREAM]) as server,
        Shouting(ROW, base_url=server.url, max_retries=1, retry_delay=0.001) as provider,
    ):
        with pytest.raises(ProviderServerError):
            await ask(provider, "stream")
        assert len(server.requests) == 2
        assert await ask(provider, "stream") == "HELLO"
        assert failures(provider) == 3

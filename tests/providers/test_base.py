from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import pytest

from tests.providers.author import (
    ANSWER,
    HI,
    Author,
    Step,
    as_script,
    ask_chat,
    ask_stream,
    by_either,
    down,
    either,
    votes_of,
)
from victor import errors
from victor.providers import base
from victor.providers.base import (
    Capability,
    CircuitOpenError,
    Message,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderServerError,
    ProviderTimeoutError,
    StreamChunk,
    StreamInterruptedError,
)

# ---------------------------------------------------------------------------- what the guard does


async def test_what_the_author_returns_reaches_the_caller() -> None:
    assert await ask_chat(Author(["Hello"])) == "Hello"
    assert await ask_stream(Author([ANSWER])) == "Hello"


@either
async def test_a_dead_endpoint_is_left_alone_after_five_failures(how: str) -> None:
    provider = Author([as_script(how, down())])
    for _ in range(5):
        with pytest.raises(ProviderServerError):
            await by_either(provider, how)
    with pytest.raises(CircuitOpenError, match="author was not called") as caught:
        await by_either(provider, how)
    assert len(provider.asked) == 5
    assert isinstance(caught.value.last_error, ProviderServerError)
    assert caught.value.retry_after is not None


@either
async def test_refusals_never_open_the_circuit(how: str) -> None:
    refusal = ProviderInvalidRequestError("no", status_code=400)
    provider = Author([as_script(how, refusal)], max_retries=3)
    for _ in range(20):
        with pytest.raises(ProviderInvalidRequestError):
            await by_either(provider, how)
    assert len(provider.asked) == 20
    assert votes_of(provider).state == "closed"
    assert votes_of(provider).failures == 0


@either
async def test_a_transient_failure_is_retried_and_invisible(how: str) -> None:
    good = "Hello" if how == "chat" else ANSWER
    failed = as_script(how, down())
    provider = Author([failed, failed, good], max_retries=2)
    assert await by_either(provider, how) == "Hello"
    assert len(provider.asked) == 3


@either
@pytest.mark.parametrize(
    ("error", "tries", "failures"),
    [
        (ProviderError("x", status_code=503), 3, 3),
        (ProviderError("x", status_code=429), 3, 0),
        (ProviderError("x", status_code=400), 1, 0),
        (ProviderError("x", raw_error=ConnectionResetError()), 3, 3),
        (ProviderError("x"), 1, 1),
        (ConnectionRefusedError("x"), 3, 3),
        (TypeError("x"), 1, 0),
    ],
    ids=[
        "status 503",
        "status 429",
        "status 400",
        "by its cause",
        "no evidence",
        "os error",
        "bug",
    ],
)
async def test_a_plain_error_of_an_author_is_judged_by_what_is_in_it(
    how: str, error: Exception, tries: int, failures: int
) -> None:
    provider = Author([as_script(how, error)], max_retries=2)
    with pytest.raises(type(error)) as caught:
        await by_either(provider, how)
    assert caught.value is error
    assert len(provider.asked) == tries
    assert votes_of(provider).failures == failures


async def test_a_stream_that_breaks_after_text_keeps_the_text_and_is_not_retried() -> None:
    broken = (StreamChunk("Hel"), StreamChunk("l"), ProviderConnectionError("reset"))
    provider = Author([broken], max_retries=3)
    with pytest.raises(StreamInterruptedError) as caught:
        await ask_stream(provider)
    assert caught.value.partial == "Hell"
    assert isinstance(caught.value.__cause__, ProviderConnectionError)
    assert len(provider.asked) == 1
    assert votes_of(provider).failures == 1


@pytest.mark.parametrize("first", [(), (StreamChunk("Hel"),)], ids=["empty", "after text"])
async def test_a_stream_without_a_final_chunk_is_no_answer(first: tuple[Step, ...]) -> None:
    provider = Author([first])
    expected = StreamInterruptedError if first else ProviderInvalidResponseError
    with pytest.raises(expected, match="without its final message"):
        await ask_stream(provider)
    assert votes_of(provider).failures == 1


async def test_a_stop_reason_makes_a_chunk_final_for_authors_who_forget() -> None:
    provider = Author([(StreamChunk("x"), StreamChunk(stop_reason="stop"))])
    chunks = [chunk async for chunk in provider.stream(HI, model="m")]
    assert [chunk.content for chunk in chunks] == ["x", ""]
    assert votes_of(provider).failures == 0


@pytest.mark.parametrize(
    "sign", [StreamChunk(reasoning="hm"), StreamChunk(tool_call_delta="{")], ids=["thought", "call"]
)
async def test_thoughts_and_calls_under_way_count_as_content(sign: StreamChunk) -> None:
    provider = Author([(sign, down())], max_retries=3)
    with pytest.raises(StreamInterruptedError):
        await ask_stream(provider)
    assert len(provider.asked) == 1


async def test_empty_chunks_are_no_content_and_allow_a_retry() -> None:
    provider = Author([(StreamChunk(), down()), ANSWER], max_retries=1)
    assert await ask_stream(provider) == "Hello"


@either
async def test_without_a_breaker_nothing_is_refused_and_retries_stay(how: str) -> None:
    provider = Author([as_script(how, down())], use_circuit_breaker=False, max_retries=1)
    assert provider.breaker is None
    for _ in range(10):
        with pytest.raises(ProviderServerError):
            await by_either(provider, how)
    assert len(provider.asked) == 20


@either
async def test_a_call_that_hangs_ends_at_the_timeout(how: str) -> None:
    provider = Author([as_script(how, None)], timeout=0.01)
    with pytest.raises(ProviderTimeoutError):
        await by_either(provider, how)
    assert votes_of(provider).failures == 1


# ---------------------------------------------------------------------------- cancelling, leaving


@either
async def test_cancelling_never_votes(how: str) -> None:
    provider = Author([as_script(how, None)], max_retries=3)
    for _ in range(10):
        task = asyncio.create_task(by_either(provider, how))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(provider.asked) == 10
    assert votes_of(provider).calls == 0
    assert votes_of(provider).state == "closed"


async def test_leaving_a_stream_early_never_votes_and_closes_the_authors_generator() -> None:
    provider = Author([ANSWER])
    for _ in range(10):
        async with aclosing(provider.stream(HI, model="m")) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                assert chunk.content == "Hel"
                break
    assert provider.closed_streams == 10
    assert votes_of(provider).calls == 0


@pytest.mark.parametrize("script", [ANSWER, (StreamChunk("x"), down())], ids=["good", "broken"])
async def test_the_authors_generator_is_closed_on_every_path(script: tuple[Step, ...]) -> None:
    provider = Author([script])
    with suppress(StreamInterruptedError):
        await ask_stream(provider)
    assert provider.closed_streams == 1


async def test_a_stream_that_is_never_begun_asks_nobody() -> None:
    provider = Author([ANSWER])
    provider.stream(HI, model="m")
    gc.collect()
    assert provider.asked == []


async def test_what_the_consumer_calls_between_two_chunks_is_guarded_itself() -> None:
    provider = Author([ANSWER, down(), down(), ANSWER], max_retries=1)
    async for chunk in provider.stream(HI, model="m"):
        if chunk.content == "Hel":
            with pytest.raises(ProviderServerError):
                await ask_chat(provider)
    assert len(provider.asked) == 3  # the stream, and two tries of the call in its body
    assert votes_of(provider).calls == 3


async def test_a_consumer_may_read_a_stream_from_changing_tasks() -> None:
    provider = Author([ANSWER])
    chunks = aiter(provider.stream(HI, model="m"))

    async def step() -> StreamChunk:
        return await anext(chunks)

    got = [await asyncio.create_task(step()) for _ in range(3)]
    assert [chunk.content for chunk in got] == ["Hel", "lo", ""]
    assert await anext(chunks, None) is None


# ---------------------------------------------------------------------------- the rest


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("abc", 1), ("abcd", 1), ("abcde", 2), ("üü", 1), ("\ud800" * 5, 2)],
    ids=ascii,
)
async def test_tokens_are_estimated_from_bytes(text: str, tokens: int) -> None:
    assert await Author().count_tokens(text, "m") == tokens
    messages = [Message(role="user", content=text), Message(role="assistant", content="abcd")]
    assert await Author().count_tokens(messages, "m") == tokens + 9


async def test_capabilities_follow_what_the_author_says() -> None:
    class Able(Author):
        def supports_tools(self) -> bool:
            return True

        def supports_streaming(self) -> bool:
            return True

    plain = await Author().discover_capabilities("m")
    assert (plain.supported, plain.tool_mode) == (frozenset(), "none")
    able = await Able().discover_capabilities("m")
    assert able.supported == {Capability.TOOLS, Capability.STREAMING}
    assert able.tool_mode == "native"
    assert not Author().supports_tools()
    assert not Author().supports_streaming()


async def test_a_provider_is_closed_at_the_end_of_its_block() -> None:
    async with Author() as provider:
        assert provider.closed == 0
    assert provider.closed == 1


def test_a_key_shows_nowhere() -> None:
    provider = Author(api_key="sk-secret", base_url="https://api.example/v1")
    assert provider.api_key == "sk-secret"
    assert repr(provider) == "<Author https://api.example/v1>"
    assert "sk-secret" not in f"{provider} {votes_of(provider)}"


def test_options_of_the_constructor_are_kept() -> None:
    provider = Author(timeout=5, retry_delay=2.0, flavour="mild")
    assert (provider.timeout, provider.max_retries, provider.use_circuit_breaker) == (5, 0, True)
    assert provider.options == {"retry_delay": 2.0, "flavour": "mild"}


def test_authors_find_every_provider_error_beside_the_base_class() -> None:
    kinds = {name for name in errors.__all__ if issubclass(getattr(errors, name), ProviderError)}
    assert kinds <= set(base.__all__)
    assert all(getattr(base, name) is getattr(errors, name) for name in kinds)


@pytest.mark.parametrize("of_call", [True, False], ids=["of the call", "of the provider"])
async def test_a_whole_stream_may_have_a_limit_of_its_own(of_call: bool) -> None:
    limit: dict[str, Any] = {"total_timeout": 0.05}

    class Endless(Author):
        async def stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[StreamChunk]:
            while True:
                await asyncio.sleep(0.005)
                yield StreamChunk("x")

    provider = Endless(max_retries=0, **({} if of_call else limit))
    with pytest.raises(StreamInterruptedError, match=r"not complete after 0\.05 s"):
        async for _ in provider.stream(HI, model="m", **(limit if of_call else {})):
            pass

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.providers.author import HI, either
from tests.providers.loopback import (
    ADD,
    CHAT,
    DOWN,
    STREAM,
    connect,
    failures,
    good,
    text_events,
)
from tests.providers.routing import Named, Told, answer_of, labels, together
from victor.config.catalog import VENDORS
from victor.errors import (
    ContentFilterError,
    ContextWindowExceededError,
    ProviderInvalidRequestError,
    ProviderServerError,
    ProviderTimeoutError,
    StreamInterruptedError,
)
from victor.providers.http import HTTPProvider
from victor.resilience.events import RetryScheduled
from victor.testing.faults import (
    GARBAGE,
    RESET,
    STALL,
    Answer,
    FaultServer,
    Script,
    html_answer,
    json_answer,
    sse_answer,
)
from victor.types import Message, StreamChunk, ToolCall


class Servers(AsyncExitStack):
    """Servers on loopback, and providers that ask them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[FaultServer] = []

    async def one(self, script: Script, **options: Any) -> HTTPProvider:
        server = await self.enter_async_context(FaultServer(script))
        self.found.append(server)
        provider = connect(server, **options)
        self.push_async_callback(provider.close)
        return provider

    @property
    def asked(self) -> list[int]:
        return [len(server.requests) for server in self.found]


def refusal(status: int, **error: Any) -> Answer:
    return json_answer({"error": {"message": "no", **error}}, status)


OVERFLOW = refusal(
    400, code="context_length_exceeded", message="maximum context length is 8 tokens"
)

MOVING = [
    ("server", DOWN, "ProviderServerError"),
    ("overloaded", refusal(529), "ProviderOverloadedError"),
    ("rate-limit", refusal(429), "ProviderRateLimitError"),
    ("quota", refusal(429, code="insufficient_quota"), "ProviderQuotaError"),
    ("auth", refusal(401), "ProviderAuthError"),
    ("permission", refusal(403), "ProviderPermissionError"),
    ("no-model", refusal(404, code="model_not_found"), "ModelNotFoundError"),
    ("reset", RESET, "ProviderConnectionError"),
    ("garbage", GARBAGE, "ProviderConnectionError"),
    ("portal", html_answer(), "ProviderInvalidResponseError"),
    ("stall", STALL, "ProviderTimeoutError"),
]


@either
@pytest.mark.parametrize(
    ("fault", "kind"), [case[1:] for case in MOVING], ids=[case[0] for case in MOVING]
)
async def test_what_is_wrong_with_one_route_moves_on_to_the_next(
    fault: Answer, kind: str, how: str
) -> None:
    async with Servers() as servers:
        first = await servers.one([fault], timeout=0.1 if fault is STALL else 5)
        second = await servers.one(good)
        told = Told()
        both = together(first, (second, "m-2"))
        assert await answer_of(both, how, model="m-1", on_event=told.append) == "Hello"
        assert servers.asked == [1, 1]
        (move,) = told.moves
        assert (move.old, move.new) == ("openai-compatible", "openai-compatible/m-2")
        assert type(move.error).__name__ == kind
        sent = [server.requests[0].json()["model"] for server in servers.found]
        assert sent == ["m-1", "m-2"]


@either
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_wrong_request_never_moves_on(status: int, how: str) -> None:
    async with Servers() as servers:
        both = together(await servers.one([refusal(status)]), (await servers.one(good), "m"))
        with pytest.raises(ProviderInvalidRequestError) as caught:
            await answer_of(both, how)
        assert servers.asked == [1, 0]
        assert labels(caught.value.attempts) == ["openai-compatible/asked!"]


@either
async def test_the_answer_names_every_try_and_who_answered(how: str) -> None:
    async with Servers() as servers:
        first = await servers.one([DOWN], max_retries=2, retry_delay=0)
        both = together(first, (await servers.one(good), "m-2"))
        if how == "chat":
            answer = await both.chat(HI, model="m-1")
            attempts, model = answer.attempts, answer.model
        else:
            last = [chunk async for chunk in both.stream(HI, model="m-1")][-1]
            attempts, model = last.attempts, last.model
        failed = "openai-compatible/m-1!"
        assert labels(attempts) == [failed, failed, failed, "openai-compatible/m-2"]
        assert model == ("m-1" if how == "chat" else "m-2")  # the server says so, or nobody does


@either
async def test_when_no_route_answers_the_failure_of_the_first_is_raised(how: str) -> None:
    async with Servers() as servers:
        both = together(await servers.one([DOWN]), (await servers.one([refusal(401)]), "m-2"))
        with pytest.raises(ProviderServerError) as caught:
            await answer_of(both, how, model="m-1")
        assert labels(caught.value.attempts) == ["openai-compatible/m-1!", "openai-compatible/m-2!"]
        (note,) = caught.value.__notes__
        assert note.startswith("No other route answered. openai-compatible/m-2: ProviderAuthError")


@either
async def test_nothing_but_the_routes_themselves_retries(how: str) -> None:
    async with Servers() as servers:
        routes = [await servers.one([DOWN], max_retries=1, retry_delay=0) for _ in range(2)]
        both = together(*((route, "m") for route in routes))
        with pytest.raises(ProviderServerError):
            await answer_of(both, how)
        assert servers.asked == [2, 2]
        assert [failures(route) for route in routes] == [2, 2]


# ---------------------------------------------------------------------------- streams


async def test_before_its_first_content_an_error_in_a_stream_moves_on() -> None:
    broken = sse_answer([{"error": {"message": "overloaded", "code": 529}}], done=None)
    async with Servers() as servers:
        both = together(await servers.one([broken]), (await servers.one([STREAM]), "m"))
        assert await answer_of(both, "stream") == "Hello"
        assert servers.asked == [1, 1]


async def test_after_its_first_content_nothing_is_spliced() -> None:
    broken = sse_answer(text_events("half an "), done=None, then="reset")
    async with Servers() as servers:
        first, second = await servers.one([broken]), await servers.one(good)
        both, told = together(first, (second, "m"), hold_s=60), Told()
        chunks = both.stream(HI, model="m", on_event=told.append)
        assert (await anext(chunks)).content == "half an "
        with pytest.raises(StreamInterruptedError) as caught:
            await anext(chunks)
        assert caught.value.partial == "half an "
        assert (servers.asked, told.moves) == ([1, 0], [])
        assert labels(caught.value.attempts) == ["openai-compatible/m!"]
        # Whoever asks again gets the whole answer of another route, not the rest of this one.
        assert await answer_of(both, "stream", on_event=told.append) == "Hello"
        assert servers.asked == [1, 1]
        assert isinstance(told.moves[0].error, StreamInterruptedError)


async def test_what_a_failed_route_sent_before_its_content_is_not_passed_on() -> None:
    lost = StreamChunk(tool_calls=[ToolCall(id="1", name="lost")])
    down = ProviderServerError("down", status_code=500)
    first = Named("a", [[StreamChunk(), lost, down]])
    second = Named("b", [[StreamChunk("Hello"), StreamChunk(stop_reason="stop", is_final=True)]])
    chunks = [chunk async for chunk in together(first, second).stream(HI, model="m")]
    assert [chunk.tool_calls for chunk in chunks] == [None, None]
    assert (first.closed_streams, second.closed_streams) == (1, 1)


async def test_what_a_try_that_failed_sent_is_not_passed_on_either() -> None:
    lost = StreamChunk(tool_calls=[ToolCall(id="1", name="lost")])
    down = ProviderServerError("down", status_code=500)
    kept = StreamChunk(tool_calls=[ToolCall(id="2", name="kept")])
    end = StreamChunk(stop_reason="tool_calls", is_final=True)
    first = Named("a", [[lost, down], [kept, end]], max_retries=1)
    told = Told()
    both = together(first, Named("b"))
    chunks = [chunk async for chunk in both.stream(HI, model="m", on_event=told.append)]
    calls = [call.name for chunk in chunks for call in chunk.tool_calls or ()]
    assert calls == ["kept"]
    assert any(isinstance(one, RetryScheduled) for one in told)


async def test_leaving_a_stream_closes_it_and_says_nothing_about_its_route() -> None:
    first = Named("a", [[StreamChunk("Hel"), None]])
    chunks = together(first, Named("b")).stream(HI, model="m")
    assert (await anext(chunks)).content == "Hel"
    await chunks.aclose()  # type: ignore[attr-defined] # as above
    assert first.closed_streams == 1
    assert first.breaker is not None
    assert first.breaker.snapshot().calls == 0


# ---------------------------------------------------------------------------- what never moves on


@either
@pytest.mark.parametrize(
    "bug", [TypeError("ours"), OSError(28, "no space left on device")], ids=["bug", "disk"]
)
async def test_our_own_bugs_never_move_on(bug: Exception, how: str) -> None:
    first, second = Named("a", [bug if how == "chat" else [bug]]), Named("b")
    with pytest.raises(type(bug)):
        await answer_of(together(first, second), how)
    assert second.asked == []


@either
async def test_a_cancellation_is_none_of_a_routes_failures(how: str) -> None:
    first, second = Named("a", [None if how == "chat" else [None]]), Named("b")
    task = asyncio.create_task(answer_of(together(first, second), how))
    while not first.asked:  # noqa: ASYNC110 - one turn of the loop is all it takes
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert second.asked == []


@either
async def test_a_strangers_exception_is_judged_by_what_it_says(how: str) -> None:
    broken = ConnectionResetError("gone")
    first = Named("a", [broken if how == "chat" else [broken]])
    last = StreamChunk("fine", stop_reason="stop", is_final=True)
    both = together(first, Named("b", ["fine" if how == "chat" else [last]]))
    assert await answer_of(both, how) == "fine"


async def test_a_strangers_exception_is_among_the_attempts() -> None:
    both = together(Named("a", [ConnectionResetError("gone")]), Named("b"))
    answer = await both.chat(HI, model="m")
    assert labels(answer.attempts) == ["a/m!", "b/its-own"]
    assert answer.attempts[0].error == "ConnectionResetError: gone"


# ---------------------------------------------------------------------------- refusals and windows


@either
@pytest.mark.parametrize("on_refusal", [False, True])
async def test_a_refused_request_moves_on_only_if_asked_to(on_refusal: bool, how: str) -> None:
    refused = refusal(400, code="content_filter")
    async with Servers() as servers:
        routes = await servers.one([refused]), (await servers.one(good), "m")
        both = together(*routes, on_refusal=on_refusal)
        if on_refusal:
            assert await answer_of(both, how) == "Hello"
        else:
            with pytest.raises(ContentFilterError):
                await answer_of(both, how)
        assert servers.asked == [1, int(on_refusal)]


@either
async def test_an_overflow_goes_only_to_a_window_known_to_be_larger(how: str) -> None:
    row = VENDORS["openai-compatible"]
    async with Servers() as servers:
        told = Told()
        both = together(
            (await servers.one([OVERFLOW], vendor=row), "gpt-4"),
            (await servers.one(good), "nobody-knows-its-window"),
            (await servers.one(good), "gpt-4"),
            (await servers.one(good), "gpt-4.1"),
        )
        assert await answer_of(both, how, model="gpt-4", on_event=told.append) == "Hello"
        assert servers.asked == [1, 0, 0, 1]
        (move,) = told.moves
        assert isinstance(move.error, ContextWindowExceededError)
        passed_over = "\n".join(move.notes)
        assert "nobody-knows-its-window is passed over: ContextWindowExceededError" in passed_over
        assert "whose window is 8,192 tokens" in passed_over


@either
async def test_without_a_larger_window_the_overflow_is_raised(how: str) -> None:
    async with Servers() as servers:
        both = together(
            (await servers.one([OVERFLOW]), "gpt-4.1"), (await servers.one(good), "gpt-4")
        )
        with pytest.raises(ContextWindowExceededError):
            await answer_of(both, how, model="gpt-4.1")
        assert servers.asked == [1, 0]


# ---------------------------------------------------------------------------- tools


@either
async def test_the_next_route_gets_tools_and_history_and_the_callers_limits(how: str) -> None:
    history = [
        *HI,
        Message(role="assistant", tool_calls=[ToolCall(id="c1", name="add", arguments={"a": 1})]),
        Message(role="tool", content="2", tool_call_id="c1", name="add"),
    ]
    async with Servers() as servers:
        both = together(await servers.one([DOWN]), (await servers.one(good), "m"))
        asked = {"messages": history, "tools": [ADD], "max_tokens": 7, "temperature": 0.5}
        assert await answer_of(both, how, **asked) == "Hello"
        first, second = (server.requests[0].json() for server in servers.found)
        assert {**first, "model": "m"} == second
        assert second["tools"][0]["function"]["name"] == "add"


async def test_the_timeout_of_a_call_holds_for_each_route() -> None:
    async with Servers() as servers:
        both = together(await servers.one([STALL]), (await servers.one([STALL]), "m"))
        with pytest.raises(ProviderTimeoutError, match=r"0\.05 s") as caught:
            await both.chat(HI, model="m", timeout=0.05)
        assert len(caught.value.attempts) == 2


async def test_a_whole_answer_of_one_route_never_touches_the_others() -> None:
    async with Servers() as servers:
        both = together(await servers.one([CHAT]), (await servers.one([CHAT]), "m"))
        answers = await asyncio.gather(*(both.chat(HI, model="m") for _ in range(20)))
        assert {answer.content for answer in answers} == {"Hello"}
        assert servers.asked == [20, 0]


async def test_many_calls_over_a_dead_route_all_succeed() -> None:
    async with Servers() as servers:
        both = together(await servers.one([DOWN]), (await servers.one([CHAT]), "m"), hold_s=60)
        answers = await asyncio.gather(*(both.chat(HI, model="m") for _ in range(20)))
        assert {answer.content for answer in answers} == {"Hello"}
        before = servers.asked[0]
        assert (await both.chat(HI, model="m")).content == "Hello"
        assert servers.asked == [before, 21]


async def test_a_stream_that_ends_too_early_without_content_moves_on() -> None:
    async with Servers() as servers:
        cut = sse_answer([], done=None)
        both = together(await servers.one([cut]), (await servers.one([STREAM]), "m"))
        assert await answer_of(both, "stream") == "Hello"


@either
async def test_nobody_waits_long_for_one_route_while_another_is_ready(how: str) -> None:
    busy = json_answer({"error": {"message": "slow down"}}, 429, {"retry-after": "30"})
    async with Servers() as servers:
        first = await servers.one([busy], max_retries=3)
        second = await servers.one(good)
        provider = together((first, "a"), (second, "b"))
        async with asyncio.timeout(10):
            assert await answer_of(provider, how) == "Hello"
        assert len(servers.found[0].requests) == 1

from __future__ import annotations

import asyncio
import inspect
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.providers.author import (
    ANSWER,
    FINAL,
    Author,
    as_script,
    ask_chat,
    ask_stream,
    by_either,
    down,
    either,
    votes_of,
)
from victor.providers.base import (
    BaseProvider,
    CircuitOpenError,
    CompletionResponse,
    Message,
    ProviderServerError,
    ProviderTimeoutError,
    StreamChunk,
    StreamInterruptedError,
)

# ---------------------------------------------------------------------------- where it is put


class Inherits(Author):
    pass


class CallsSuper(Author):
    async def chat(self, messages: Sequence[Message], **kwargs: Any) -> CompletionResponse:
        return await super().chat(messages, **kwargs)

    async def stream(
        self, messages: Sequence[Message], **kwargs: Any
    ) -> AsyncIterator[StreamChunk]:
        async for chunk in super().stream(messages, **kwargs):
            yield chunk


class CallsSuperTwice(CallsSuper):
    async def chat(self, messages: Sequence[Message], **kwargs: Any) -> CompletionResponse:
        return await super().chat(messages, **kwargs)

    def stream(self, messages: Sequence[Message], **kwargs: Any) -> AsyncIterator[StreamChunk]:
        return super().stream(messages, **kwargs)


class SecondHand(BaseProvider):
    """A class that does not inherit the author's methods from a provider but from a mixin."""

    @property
    def name(self) -> str:
        return "second-hand"

    async def close(self) -> None:
        pass


class Methods:
    script: Sequence[Any]
    asked: list[dict[str, Any]]
    _next: Callable[..., Any]

    async def chat(self, messages: Sequence[Message], **kwargs: Any) -> CompletionResponse:
        step = self._next(**kwargs)
        if isinstance(step, BaseException):
            raise step
        return CompletionResponse(content=str(step))

    async def stream(
        self, messages: Sequence[Message], **kwargs: Any
    ) -> AsyncIterator[StreamChunk]:
        for step in self._next(**kwargs):
            if isinstance(step, BaseException):
                raise step
            yield step


class MixedIn(Methods, Author):  # type: ignore[misc] # a mixin that knows no victor
    pass


class MixedInAgain(MixedIn):
    pass


class Unskipping(Author):
    _never_nests = True


class NestsAfterAll(Unskipping):
    async def stream(
        self, messages: Sequence[Message], **kwargs: Any
    ) -> AsyncIterator[StreamChunk]:
        async for chunk in super().stream(messages, **kwargs):
            yield chunk


KINDS = [Author, Inherits, CallsSuper, CallsSuperTwice, MixedIn, MixedInAgain, Unskipping,
         NestsAfterAll]  # fmt: skip


@either
@pytest.mark.parametrize("kind", KINDS)
async def test_every_class_is_guarded_exactly_once(kind: type[Author], how: str) -> None:
    provider = kind([as_script(how, down())], max_retries=2)
    with pytest.raises(ProviderServerError):
        await by_either(provider, how)
    assert len(provider.asked) == 3
    assert votes_of(provider).calls == 3
    good = kind(["Hello" if how == "chat" else ANSWER])
    assert await by_either(good, how) == "Hello"
    assert votes_of(good).calls == 1


class StreamOverChat(Author):
    async def stream(
        self, messages: Sequence[Message], **kwargs: Any
    ) -> AsyncIterator[StreamChunk]:
        answer = await self.chat(messages, timeout=5, **kwargs)
        yield StreamChunk(answer.content)
        yield FINAL


class ChatOverStream(Author):
    async def chat(self, messages: Sequence[Message], **kwargs: Any) -> CompletionResponse:
        chunks = [chunk.content async for chunk in self.stream(messages, timeout=5, **kwargs)]
        return CompletionResponse(content="".join(chunks))


class ChatByTask(Author):
    async def chat(self, messages: Sequence[Message], **kwargs: Any) -> CompletionResponse:
        (answer,) = await asyncio.gather(super().chat(messages, **kwargs))
        return answer


@pytest.mark.parametrize(
    ("kind", "how", "good", "bad"),
    [
        (StreamOverChat, "stream", "Hello", down()),
        (ChatOverStream, "chat", ANSWER, (down(),)),
        (ChatByTask, "chat", "Hello", down()),
    ],
    ids=["stream over chat", "chat over stream", "chat in a task of its own"],
)
async def test_a_method_built_on_the_other_counts_and_retries_once(
    kind: type[Author], how: str, good: Any, bad: Any
) -> None:
    provider = kind([good])
    assert await by_either(provider, how) == "Hello"
    assert votes_of(provider).calls == 1
    assert set(provider.asked[0]) == {"model"}
    provider = kind([bad], max_retries=1)
    with pytest.raises(ProviderServerError):
        await by_either(provider, how)
    assert len(provider.asked) == 2
    assert votes_of(provider).failures == 2


class Returns(Author):
    """Writes `stream` as a coroutine that returns an iterator, as many do."""

    async def stream(  # type: ignore[override] # that is the point
        self, messages: Sequence[Message], **kwargs: Any
    ) -> AsyncIterator[StreamChunk]:
        await asyncio.sleep(0)
        return super().stream(messages, **kwargs)


async def test_a_stream_that_is_a_coroutine_works_and_is_guarded() -> None:
    assert await ask_stream(Returns([ANSWER])) == "Hello"
    provider = Returns([(down(),)], max_retries=1)
    with pytest.raises(ProviderServerError):
        await ask_stream(provider)
    assert len(provider.asked) == 2


class OwnInit(SecondHand):
    def __init__(self) -> None:
        self.tries = 0

    async def chat(self, messages: Sequence[Message], **kwargs: Any) -> CompletionResponse:
        self.tries += 1
        raise ProviderServerError("down", status_code=500, retry_after=100)

    async def stream(
        self, messages: Sequence[Message], **kwargs: Any
    ) -> AsyncIterator[StreamChunk]:
        yield StreamChunk("x")
        raise ProviderServerError("down")


async def test_an_init_that_never_calls_ours_is_guarded_by_the_defaults() -> None:
    provider = OwnInit()
    with pytest.raises(ProviderServerError):
        await ask_chat(provider)
    with pytest.raises(StreamInterruptedError):
        await ask_stream(provider)
    assert votes_of(provider).failures == 2
    assert repr(provider) == "<OwnInit without base_url>"


class Relay(SecondHand):
    """A provider over another provider."""

    def __init__(self, inner: BaseProvider) -> None:
        super().__init__(retry_delay=0.0, max_retries=0)
        self.inner = inner

    async def chat(self, messages: Sequence[Message], **kwargs: Any) -> CompletionResponse:
        return await self.inner.chat(messages, **kwargs)

    async def stream(
        self, messages: Sequence[Message], **kwargs: Any
    ) -> AsyncIterator[StreamChunk]:
        async for chunk in self.inner.stream(messages, **kwargs):
            yield chunk


@either
async def test_a_provider_over_another_leaves_both_guarded(how: str) -> None:
    inner = Author([as_script(how, down())], max_retries=1)
    outer = Relay(inner)
    with pytest.raises(ProviderServerError):
        await by_either(outer, how)
    assert votes_of(inner).failures == 2
    assert votes_of(outer).failures == 1


def test_a_class_that_leaves_something_out_cannot_be_made() -> None:
    class Half(SecondHand):
        @abstractmethod
        async def chat(self, messages: Sequence[Message], **kwargs: Any) -> CompletionResponse:
            raise NotImplementedError

    with pytest.raises(TypeError, match="abstract"):
        SecondHand()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]


def test_guarded_methods_keep_their_names_and_signatures() -> None:
    assert Author.chat.__qualname__ == "Author.chat"
    assert list(inspect.signature(Author.stream).parameters) == [
        "self", "messages", "model", "kwargs",
    ]  # fmt: skip


# ---------------------------------------------------------------------------- options of a call


@either
@pytest.mark.parametrize("kind", [Author, CallsSuper])
async def test_options_of_the_guard_never_reach_the_author(kind: type[Author], how: str) -> None:
    provider = kind(["Hello" if how == "chat" else ANSWER])
    send = ask_chat if how == "chat" else ask_stream
    await send(provider, timeout=5, on_event=print, temperature=0.1, top_k=3)
    assert provider.asked == [{"model": "m", "temperature": 0.1, "top_k": 3}]


@either
async def test_a_timeout_is_for_this_call_alone(how: str) -> None:
    provider = Author([as_script(how, None)])
    send = ask_chat if how == "chat" else ask_stream
    with pytest.raises(ProviderTimeoutError, match=r"0\.01 s"):
        await send(provider, timeout=0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await send(provider)
    assert votes_of(provider).failures == 1


@either
async def test_an_observer_is_told_what_happens_to_this_call(how: str) -> None:
    good = "Hello" if how == "chat" else ANSWER
    provider = Author([as_script(how, down()), good], max_retries=1)
    told: list[str] = []
    send = ask_chat if how == "chat" else ask_stream
    await send(provider, on_event=lambda event: told.append(type(event).__name__))
    await send(provider)
    assert told == ["AttemptStarted", "AttemptFailed", "RetryScheduled", "AttemptStarted"]


# ---------------------------------------------------------------------------- one's own requests


@dataclass
class Response:
    status_code: int


async def test_an_authors_own_request_is_guarded_outside_of_chat() -> None:
    provider = Author()
    tried: list[int] = []

    async def request(status: int, *, fail: bool = False) -> Response:
        tried.append(status)
        if fail:
            raise ConnectionResetError
        return Response(status)

    run = provider._execute_with_circuit_breaker
    assert (await run(request, 200)).status_code == 200
    assert (await run(request, 404)).status_code == 404
    with pytest.raises(ConnectionResetError):
        await run(request, 0, fail=True)
    for _ in range(4):
        assert (await run(request, 503)).status_code == 503
    with pytest.raises(CircuitOpenError):
        await run(request, 200)
    assert tried == [200, 404, 0, 503, 503, 503, 503]


async def test_an_authors_own_request_may_be_a_plain_function() -> None:
    provider = Author()
    assert await provider._execute_with_circuit_breaker(max, 1, 2, key=lambda one: -one) == 1


class Requests(Author):
    """An author as in the tutorial: `chat` makes its request under the breaker."""

    async def chat(self, messages: Sequence[Message], **kwargs: Any) -> CompletionResponse:
        answer: CompletionResponse = await self._execute_with_circuit_breaker(
            super().chat, messages, **kwargs
        )
        shout = await self._execute_with_circuit_breaker(str.upper, answer.content)
        return CompletionResponse(content=shout)


async def test_an_authors_own_request_within_chat_is_not_counted_twice() -> None:
    provider = Requests(["Hello"])
    assert await ask_chat(provider) == "HELLO"
    assert votes_of(provider).calls == 1
    provider = Requests([down()], max_retries=1)
    with pytest.raises(ProviderServerError):
        await ask_chat(provider)
    assert votes_of(provider).failures == 2


async def test_an_authors_own_request_works_without_a_breaker() -> None:
    provider = Author(use_circuit_breaker=False)

    async def request() -> Response:
        return Response(500)

    for _ in range(10):
        assert (await provider._execute_with_circuit_breaker(request)).status_code == 500

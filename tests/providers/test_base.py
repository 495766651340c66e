from __future__ import annotations

import asyncio
import gc
import inspect
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from victor import errors
from victor.providers import base
from victor.providers.base import (
    BaseProvider,
    Capability,
    CircuitOpenError,
    CompletionResponse,
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
from victor.resilience.breaker import BreakerSnapshot

HI = [Message(role="user", content="Hi")]
Step = StreamChunk | BaseException | None
"""What an author's stream does next; None waits for ever."""


class Author(BaseProvider):
    """Somebody's provider: it plays what the test says and keeps what it was asked."""

    def __init__(self, script: Sequence[Any] = (), **kwargs: Any) -> None:
        super().__init__(**{"retry_delay": 0.0, "max_retries": 0, **kwargs})
        self.script = list(script)
        self.asked: list[dict[str, Any]] = []
        self.closed_streams = 0
        self.closed = 0

    @property
    def name(self) -> str:
        return "author"

    def _next(self, **asked: Any) -> Any:
        self.asked.append(asked)
        return self.script[min(len(self.asked), len(self.script)) - 1]

    async def chat(
        self, messages: Sequence[Message], *, model: str, **kwargs: Any
    ) -> CompletionResponse:
        step = self._next(model=model, **kwargs)
        if isinstance(step, BaseException):
            raise step
        if step is None:
            await asyncio.Event().wait()
        return CompletionResponse(content=str(step), stop_reason="stop")

    async def stream(
        self, messages: Sequence[Message], *, model: str, **kwargs: Any
    ) -> AsyncIterator[StreamChunk]:
        try:
            for step in self._next(model=model, **kwargs):
                if isinstance(step, BaseException):
                    raise step
                if step is None:
                    await asyncio.Event().wait()
                else:
                    yield step
        finally:
            self.closed_streams += 1

    async def close(self) -> None:
        self.closed += 1


FINAL = StreamChunk(stop_reason="stop", is_final=True)
ANSWER: tuple[Step, ...] = (StreamChunk("Hel"), StreamChunk("lo"), FINAL)


def _down() -> ProviderServerError:
    return ProviderServerError("it is down", status_code=500)


async def _chat(provider: BaseProvider, **options: Any) -> str:
    return (await provider.chat(HI, model="m", **options)).content


async def _stream(provider: BaseProvider, **options: Any) -> str:
    chunks = [chunk async for chunk in provider.stream(HI, model="m", **options)]
    assert chunks[-1].is_final
    return "".join(chunk.content for chunk in chunks)


async def _by_either(provider: BaseProvider, how: str) -> str:
    return await (_chat(provider) if how == "chat" else _stream(provider))


def _votes(provider: BaseProvider) -> BreakerSnapshot:
    assert provider.breaker is not None
    return provider.breaker.snapshot()


def _as_script(how: str, step: Any) -> Any:
    return step if how == "chat" else (step,)


either = pytest.mark.parametrize("how", ["chat", "stream"])


# ---------------------------------------------------------------------------- what the guard does


async def test_what_the_author_returns_reaches_the_caller() -> None:
    assert await _chat(Author(["Hello"])) == "Hello"
    assert await _stream(Author([ANSWER])) == "Hello"


@either
async def test_a_dead_endpoint_is_left_alone_after_five_failures(how: str) -> None:
    provider = Author([_as_script(how, _down())])
    for _ in range(5):
        with pytest.raises(ProviderServerError):
            await _by_either(provider, how)
    with pytest.raises(CircuitOpenError, match="author was not called") as caught:
        await _by_either(provider, how)
    assert len(provider.asked) == 5
    assert isinstance(caught.value.last_error, ProviderServerError)
    assert caught.value.retry_after is not None


@either
async def test_refusals_never_open_the_circuit(how: str) -> None:
    refusal = ProviderInvalidRequestError("no", status_code=400)
    provider = Author([_as_script(how, refusal)], max_retries=3)
    for _ in range(20):
        with pytest.raises(ProviderInvalidRequestError):
            await _by_either(provider, how)
    assert len(provider.asked) == 20
    assert _votes(provider).state == "closed"
    assert _votes(provider).failures == 0


@either
async def test_a_transient_failure_is_retried_and_invisible(how: str) -> None:
    good = "Hello" if how == "chat" else ANSWER
    failed = _as_script(how, _down())
    provider = Author([failed, failed, good], max_retries=2)
    assert await _by_either(provider, how) == "Hello"
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
    provider = Author([_as_script(how, error)], max_retries=2)
    with pytest.raises(type(error)) as caught:
        await _by_either(provider, how)
    assert caught.value is error
    assert len(provider.asked) == tries
    assert _votes(provider).failures == failures


async def test_a_stream_that_breaks_after_text_keeps_the_text_and_is_not_retried() -> None:
    broken = (StreamChunk("Hel"), StreamChunk("l"), ProviderConnectionError("reset"))
    provider = Author([broken], max_retries=3)
    with pytest.raises(StreamInterruptedError) as caught:
        await _stream(provider)
    assert caught.value.partial == "Hell"
    assert isinstance(caught.value.__cause__, ProviderConnectionError)
    assert len(provider.asked) == 1
    assert _votes(provider).failures == 1


@pytest.mark.parametrize("first", [(), (StreamChunk("Hel"),)], ids=["empty", "after text"])
async def test_a_stream_without_a_final_chunk_is_no_answer(first: tuple[Step, ...]) -> None:
    provider = Author([first])
    expected = StreamInterruptedError if first else ProviderInvalidResponseError
    with pytest.raises(expected, match="without its final message"):
        await _stream(provider)
    assert _votes(provider).failures == 1


async def test_a_stop_reason_makes_a_chunk_final_for_authors_who_forget() -> None:
    provider = Author([(StreamChunk("x"), StreamChunk(stop_reason="stop"))])
    chunks = [chunk async for chunk in provider.stream(HI, model="m")]
    assert [chunk.content for chunk in chunks] == ["x", ""]
    assert _votes(provider).failures == 0


@pytest.mark.parametrize(
    "sign", [StreamChunk(reasoning="hm"), StreamChunk(tool_call_delta="{")], ids=["thought", "call"]
)
async def test_thoughts_and_calls_under_way_count_as_content(sign: StreamChunk) -> None:
    provider = Author([(sign, _down())], max_retries=3)
    with pytest.raises(StreamInterruptedError):
        await _stream(provider)
    assert len(provider.asked) == 1


async def test_empty_chunks_are_no_content_and_allow_a_retry() -> None:
    provider = Author([(StreamChunk(), _down()), ANSWER], max_retries=1)
    assert await _stream(provider) == "Hello"


@either
async def test_without_a_breaker_nothing_is_refused_and_retries_stay(how: str) -> None:
    provider = Author([_as_script(how, _down())], use_circuit_breaker=False, max_retries=1)
    assert provider.breaker is None
    for _ in range(10):
        with pytest.raises(ProviderServerError):
            await _by_either(provider, how)
    assert len(provider.asked) == 20


@either
async def test_a_call_that_hangs_ends_at_the_timeout(how: str) -> None:
    provider = Author([_as_script(how, None)], timeout=0.01)
    with pytest.raises(ProviderTimeoutError):
        await _by_either(provider, how)
    assert _votes(provider).failures == 1


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
    provider = kind([_as_script(how, _down())], max_retries=2)
    with pytest.raises(ProviderServerError):
        await _by_either(provider, how)
    assert len(provider.asked) == 3
    assert _votes(provider).calls == 3
    good = kind(["Hello" if how == "chat" else ANSWER])
    assert await _by_either(good, how) == "Hello"
    assert _votes(good).calls == 1


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
        (StreamOverChat, "stream", "Hello", _down()),
        (ChatOverStream, "chat", ANSWER, (_down(),)),
        (ChatByTask, "chat", "Hello", _down()),
    ],
    ids=["stream over chat", "chat over stream", "chat in a task of its own"],
)
async def test_a_method_built_on_the_other_counts_and_retries_once(
    kind: type[Author], how: str, good: Any, bad: Any
) -> None:
    provider = kind([good])
    assert await _by_either(provider, how) == "Hello"
    assert _votes(provider).calls == 1
    assert set(provider.asked[0]) == {"model"}
    provider = kind([bad], max_retries=1)
    with pytest.raises(ProviderServerError):
        await _by_either(provider, how)
    assert len(provider.asked) == 2
    assert _votes(provider).failures == 2


class Returns(Author):
    """Writes `stream` as a coroutine that returns an iterator, as many do."""

    async def stream(  # type: ignore[override] # that is the point
        self, messages: Sequence[Message], **kwargs: Any
    ) -> AsyncIterator[StreamChunk]:
        await asyncio.sleep(0)
        return super().stream(messages, **kwargs)


async def test_a_stream_that_is_a_coroutine_works_and_is_guarded() -> None:
    assert await _stream(Returns([ANSWER])) == "Hello"
    provider = Returns([(_down(),)], max_retries=1)
    with pytest.raises(ProviderServerError):
        await _stream(provider)
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
        await _chat(provider)
    with pytest.raises(StreamInterruptedError):
        await _stream(provider)
    assert _votes(provider).failures == 2
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
    inner = Author([_as_script(how, _down())], max_retries=1)
    outer = Relay(inner)
    with pytest.raises(ProviderServerError):
        await _by_either(outer, how)
    assert _votes(inner).failures == 2
    assert _votes(outer).failures == 1


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
    send = _chat if how == "chat" else _stream
    await send(provider, timeout=5, on_event=print, temperature=0.1, top_k=3)
    assert provider.asked == [{"model": "m", "temperature": 0.1, "top_k": 3}]


@either
async def test_a_timeout_is_for_this_call_alone(how: str) -> None:
    provider = Author([_as_script(how, None)])
    send = _chat if how == "chat" else _stream
    with pytest.raises(ProviderTimeoutError, match=r"0\.01 s"):
        await send(provider, timeout=0.01)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await send(provider)
    assert _votes(provider).failures == 1


@either
async def test_an_observer_is_told_what_happens_to_this_call(how: str) -> None:
    good = "Hello" if how == "chat" else ANSWER
    provider = Author([_as_script(how, _down()), good], max_retries=1)
    told: list[str] = []
    send = _chat if how == "chat" else _stream
    await send(provider, on_event=lambda event: told.append(type(event).__name__))
    await send(provider)
    assert told == ["AttemptFailed", "RetryScheduled"]


# ---------------------------------------------------------------------------- cancelling, leaving


@either
async def test_cancelling_never_votes(how: str) -> None:
    provider = Author([_as_script(how, None)], max_retries=3)
    for _ in range(10):
        task = asyncio.create_task(_by_either(provider, how))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(provider.asked) == 10
    assert _votes(provider).calls == 0
    assert _votes(provider).state == "closed"


async def test_leaving_a_stream_early_never_votes_and_closes_the_authors_generator() -> None:
    provider = Author([ANSWER])
    for _ in range(10):
        async with aclosing(provider.stream(HI, model="m")) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                assert chunk.content == "Hel"
                break
    assert provider.closed_streams == 10
    assert _votes(provider).calls == 0


@pytest.mark.parametrize("script", [ANSWER, (StreamChunk("x"), _down())], ids=["good", "broken"])
async def test_the_authors_generator_is_closed_on_every_path(script: tuple[Step, ...]) -> None:
    provider = Author([script])
    with suppress(StreamInterruptedError):
        await _stream(provider)
    assert provider.closed_streams == 1


async def test_a_stream_that_is_never_begun_asks_nobody() -> None:
    provider = Author([ANSWER])
    provider.stream(HI, model="m")
    gc.collect()
    assert provider.asked == []


async def test_what_the_consumer_calls_between_two_chunks_is_guarded_itself() -> None:
    provider = Author([ANSWER, _down(), _down(), ANSWER], max_retries=1)
    async for chunk in provider.stream(HI, model="m"):
        if chunk.content == "Hel":
            with pytest.raises(ProviderServerError):
                await _chat(provider)
    assert len(provider.asked) == 3  # the stream, and two tries of the call in its body
    assert _votes(provider).calls == 3


async def test_a_consumer_may_read_a_stream_from_changing_tasks() -> None:
    provider = Author([ANSWER])
    chunks = aiter(provider.stream(HI, model="m"))

    async def step() -> StreamChunk:
        return await anext(chunks)

    got = [await asyncio.create_task(step()) for _ in range(3)]
    assert [chunk.content for chunk in got] == ["Hel", "lo", ""]
    assert await anext(chunks, None) is None


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
    assert await _chat(provider) == "HELLO"
    assert _votes(provider).calls == 1
    provider = Requests([_down()], max_retries=1)
    with pytest.raises(ProviderServerError):
        await _chat(provider)
    assert _votes(provider).failures == 2


async def test_an_authors_own_request_works_without_a_breaker() -> None:
    provider = Author(use_circuit_breaker=False)

    async def request() -> Response:
        return Response(500)

    for _ in range(10):
        assert (await provider._execute_with_circuit_breaker(request)).status_code == 500


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
    assert "sk-secret" not in f"{provider} {_votes(provider)}"


def test_options_of_the_constructor_are_kept() -> None:
    provider = Author(timeout=5, retry_delay=2.0, flavour="mild")
    assert (provider.timeout, provider.max_retries, provider.use_circuit_breaker) == (5, 0, True)
    assert provider.options == {"retry_delay": 2.0, "flavour": "mild"}


def test_authors_find_every_provider_error_beside_the_base_class() -> None:
    kinds = {name for name in errors.__all__ if issubclass(getattr(errors, name), ProviderError)}
    assert kinds <= set(base.__all__)
    assert all(getattr(base, name) is getattr(errors, name) for name in kinds)

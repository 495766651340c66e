from __future__ import annotations

import asyncio

import pytest

from tests.providers.key_server import (
    ACME,
    BAD,
    GOOD,
    OVERDRAWN,
    THIRD,
    Watch,
    accepting,
    keys_of,
    refuse,
)
from tests.providers.loopback import CHAT, STREAM, ask, connect, either, failures, good
from victor.config.api_keys import fingerprint
from victor.errors import (
    CircuitOpenError,
    ConfigError,
    ProviderAuthError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    StreamInterruptedError,
)
from victor.providers.http import HTTPProvider
from victor.resilience.events import AttemptFailed, AttemptStarted, KeySwitched
from victor.testing.faults import (
    STALL,
    Answer,
    FaultServer,
    Request,
    json_answer,
    sse_answer,
)
from victor.types import Message

# ---------------------------------------------------------------------------- one bad key


@either
@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_one_bad_and_one_good_key_answer_every_call(how: str, status: int) -> None:
    watch = Watch()
    async with (
        FaultServer(accepting(GOOD, status=status)) as server,
        connect(server, api_key=[BAD, GOOD]) as provider,
    ):
        for _ in range(10):
            assert await ask(provider, how, on_event=watch) == "Hello"
        assert keys_of(server) == [BAD, *[GOOD] * 10]
        assert watch.switches == [(fingerprint(BAD), fingerprint(GOOD))]
        assert not [event for event in watch.events if isinstance(event, AttemptFailed)]
        assert failures(provider) == 0


@either
async def test_calls_at_the_same_time_are_all_answered(how: str) -> None:
    async with (
        FaultServer(accepting(GOOD, THIRD)) as server,
        connect(server, api_key=[BAD, GOOD, THIRD]) as provider,
    ):
        answers = await asyncio.gather(
            *(ask(provider, how, session=str(number)) for number in range(10))
        )
        assert answers == ["Hello"] * 10
        assert 10 < len(server.requests) <= 20
        assert provider._pool is not None
        assert [key.in_flight for key in provider._pool.snapshot()] == [0, 0, 0]


async def test_a_switch_is_one_attempt_and_shows_as_one() -> None:
    watch = Watch()
    async with (
        FaultServer(accepting(GOOD)) as server,
        connect(server, api_key=[BAD, GOOD]) as provider,
    ):
        answer = await provider.chat([Message(role="user", content="Hi")], model="m",
                                     on_event=watch)  # fmt: skip
        assert [attempt.error for attempt in answer.attempts] == [None]
        assert [type(event) for event in watch.events] == [AttemptStarted, KeySwitched]
        switch = watch.events[1]
        assert isinstance(switch, KeySwitched)
        assert isinstance(switch.error, ProviderAuthError)


@pytest.mark.parametrize(
    ("error", "switches"),
    [({"code": "rate_limit_exceeded", "message": "slow down"}, True),
     ({"code": "server_error", "message": "down"}, False)],
    ids=["about the key", "about the server"],
)  # fmt: skip
async def test_an_error_within_a_stream_before_content_asks_with_another_key(
    error: dict[str, str], switches: bool
) -> None:
    def answer(request: Request) -> Answer:
        if BAD in request.headers["authorization"]:
            return sse_answer([{"error": error}])
        return STREAM

    async with FaultServer(answer) as server, connect(server, api_key=[BAD, GOOD]) as provider:
        if switches:
            assert await ask(provider, "stream") == "Hello"
            assert keys_of(server) == [BAD, GOOD]
        else:
            with pytest.raises(ProviderServerError):
                await ask(provider, "stream")
            assert keys_of(server) == [BAD]


async def test_an_error_after_content_is_told_and_not_asked_again() -> None:
    broken = sse_answer(
        [
            {"choices": [{"index": 0, "delta": {"content": "Hel"}}]},
            {"error": {"code": "rate_limit_exceeded", "message": "slow down"}},
        ],
        pace_s=0.0005,  # so that the text is passed on before the error comes
    )
    async with FaultServer([broken, STREAM]) as server:
        async with connect(server, api_key=[BAD, GOOD]) as provider:
            with pytest.raises(StreamInterruptedError) as caught:
                await ask(provider, "stream")
            assert caught.value.partial == "Hel"
            assert await ask(provider, "stream") == "Hello"
        assert keys_of(server) == [BAD, GOOD]  # the first rests all the same


@either
async def test_lists_and_embeddings_switch_keys_too(how: str) -> None:
    def answer(request: Request) -> Answer:
        if BAD in request.headers["authorization"]:
            return refuse(401, request)
        if request.path == "/models":
            return json_answer({"data": [{"id": "m"}]})
        vectors = [{"index": 0, "embedding": [1.0, 2.0]}]
        return json_answer({"data": vectors, "usage": {"prompt_tokens": 2, "total_tokens": 2}})

    async with FaultServer(answer) as server, connect(server, api_key=[BAD, GOOD]) as provider:
        if how == "chat":
            assert await provider.list_models() == ["m"]
        else:
            found = await provider.embed("Hi", model="e")
            assert found.vectors == [[1.0, 2.0]]
        assert keys_of(server) == [BAD, GOOD]


@either
async def test_a_failure_of_the_server_changes_no_key(how: str) -> None:
    down = json_answer({"error": "down"}, 500)
    async with FaultServer([down]) as server:
        async with connect(server, api_key=[BAD, GOOD], max_retries=2) as provider:
            with pytest.raises(ProviderServerError):
                await ask(provider, how)
            assert failures(provider) == 3
        assert keys_of(server) == [BAD] * 3


# ---------------------------------------------------------------------------- no good key


@either
async def test_when_all_keys_are_spent_the_error_says_which_and_why(how: str) -> None:
    async with (
        FaultServer(accepting()) as server,
        connect(server, api_key=[BAD, GOOD], max_retries=3) as provider,
    ):
        for _ in range(2):
            with pytest.raises(ProviderAuthError) as caught:
                await ask(provider, how)
            told = str(caught.value)
            assert f"{fingerprint(BAD)} was refused (401), next try in " in told
            assert f"{fingerprint(GOOD)} was refused (401), next try in " in told
            assert "victor keys list" in told
        assert keys_of(server) == [BAD, GOOD]
        assert failures(provider) == 0


async def test_keys_that_reached_their_limit_are_tried_again_by_the_retry() -> None:
    waits: list[object] = []

    def answer(request: Request) -> Answer:
        late = len(server.requests) > 2
        return CHAT if late else refuse(429, request, {"retry-after": "0.05"})

    async with (
        FaultServer(answer) as server,
        connect(server, api_key=[BAD, GOOD], max_retries=1) as provider,
    ):
        assert await ask(provider, "chat", on_event=waits.append) == "Hello"
        assert len(server.requests) == 3
        assert [type(event).__name__ for event in waits] == [
            "AttemptStarted", "KeySwitched", "AttemptFailed", "RetryScheduled", "AttemptStarted",
        ]  # fmt: skip


async def test_keys_without_a_wait_are_each_tried_once_per_attempt() -> None:
    async with FaultServer([json_answer({"error": "slow"}, 429, {"retry-after": "0"})]) as server:
        async with connect(server, api_key=[BAD, GOOD, THIRD]) as provider:
            with pytest.raises(ProviderRateLimitError):
                await ask(provider, "chat")
        assert sorted(keys_of(server)) == sorted([BAD, GOOD, THIRD])


async def test_a_call_that_comes_while_all_keys_rest_waits_a_little() -> None:
    def answer(request: Request) -> Answer:
        late = len(server.requests) > 2
        return CHAT if late else refuse(429, request, {"retry-after": "0.2"})

    async with FaultServer(answer) as server, connect(server, api_key=[BAD, GOOD]) as provider:
        with pytest.raises(ProviderRateLimitError):
            await ask(provider, "chat")
        with pytest.raises(ProviderRateLimitError, match="no key can be used for m"):
            await ask(provider, "chat", timeout=0.05)
        assert len(server.requests) == 2
        assert await ask(provider, "chat") == "Hello"


async def test_an_open_circuit_refuses_before_anybody_waits_for_a_key() -> None:
    down = json_answer({"error": "down"}, 500)
    async with FaultServer([down]) as server, connect(server, api_key=[BAD, GOOD]) as provider:
        for _ in range(5):
            with pytest.raises(ProviderServerError):
                await ask(provider, "chat")
        assert provider._pool is not None
        for key in (BAD, GOOD):
            provider._pool.hold(fingerprint(key), "m", 5)
        with pytest.raises(CircuitOpenError):
            await ask(provider, "chat")


async def test_a_call_without_a_key_says_nothing_about_the_endpoint() -> None:
    async with FaultServer([CHAT]) as server, connect(server, api_key=[BAD, GOOD]) as provider:
        assert provider._pool is not None
        for key in (BAD, GOOD):
            provider._pool.hold(fingerprint(key), "m", 500)
        with pytest.raises(ProviderRateLimitError):
            await ask(provider, "chat")
        assert provider.breaker is not None
        assert provider.breaker.snapshot().calls == 0
        assert server.requests == []


# ---------------------------------------------------------------------------- leases


async def test_a_cancelled_call_returns_its_key() -> None:
    asked = asyncio.Event()

    def answer(request: Request) -> Answer:
        asked.set()
        return STALL

    async with FaultServer(answer) as server, connect(server, api_key=[BAD, GOOD]) as provider:
        assert provider._pool is not None
        for how in ("chat", "stream"):
            asked.clear()
            task = asyncio.create_task(ask(provider, how))
            await asked.wait()
            assert sum(key.in_flight for key in provider._pool.snapshot()) == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [key.in_flight for key in provider._pool.snapshot()] == [0, 0]
        assert [key.rests for key in provider._pool.snapshot()] == [(), ()]


async def test_a_stream_holds_its_key_until_it_is_left() -> None:
    async with FaultServer(good) as server, connect(server, api_key=[BAD, GOOD]) as provider:
        assert provider._pool is not None
        stream = provider.stream([Message(role="user", content="Hi")], model="m")
        await anext(stream)
        assert [key.in_flight for key in provider._pool.snapshot()] == [1, 0]
        await stream.aclose()  # type: ignore[attr-defined] # a generator
        assert [key.in_flight for key in provider._pool.snapshot()] == [0, 0]


async def test_a_conversation_keeps_its_key() -> None:
    async with FaultServer(good) as server, connect(server, api_key=[BAD, GOOD]) as provider:
        assert provider._pool is not None
        busy = provider._pool.lease("m")
        for _ in range(3):
            await ask(provider, "chat")
        busy.release()
        others = [provider._pool.lease("m") for _ in range(3)]
        await ask(provider, "chat")
        await ask(provider, "stream", session="another")
        assert keys_of(server)[:4] == [GOOD] * 4
        assert "session" not in server.requests[-1].json()
        assert len(others) == 3


async def test_a_key_whose_limit_is_nearly_broken_is_spared() -> None:
    spent = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30s"}

    def answer(request: Request) -> Answer:
        whole = good(request)
        head, _, body = whole.data.partition(b"\r\n\r\n")
        lines = "".join(f"\r\n{name}: {value}" for name, value in spent.items())
        return Answer(head + lines.encode() + b"\r\n\r\n" + body, whole.then)

    async with FaultServer(answer) as server, connect(server, api_key=[BAD, GOOD]) as provider:
        for _ in range(2):
            await ask(provider, "chat")
        assert keys_of(server) == [BAD, GOOD]
        with pytest.raises(ProviderRateLimitError, match="has reached its rate limit"):
            await ask(provider, "chat", timeout=5)


# ---------------------------------------------------------------------------- where keys are from


def test_several_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", "one")
    monkeypatch.setenv("ACME_API_KEYS", "two, one,,three ")
    provider = HTTPProvider(ACME)
    assert provider.api_key == "one"
    assert provider._pool is not None
    assert provider._pool.fingerprints == tuple(map(fingerprint, ("one", "two", "three")))
    assert HTTPProvider(ACME, api_key=["mine", "mine"])._pool is None


def test_every_key_has_to_be_one_that_can_be_sent() -> None:
    with pytest.raises(ConfigError, match="a character that no key has") as caught:
        HTTPProvider(ACME, api_key=["fine", "sk\u2013hunter2"])
    assert "hunter2" not in str(caught.value)


async def test_one_key_is_refused_as_ever() -> None:
    async with FaultServer(accepting()) as server, connect(server, api_key=[BAD]) as provider:
        assert provider._pool is None
        for _ in range(3):
            with pytest.raises(ProviderAuthError, match=r"answered 401"):
                await ask(provider, "chat")
        assert len(server.requests) == 3


async def test_a_used_up_quota_lets_the_other_keys_go_on() -> None:
    def answer(request: Request) -> Answer:
        if BAD in request.headers["authorization"]:
            return json_answer(OVERDRAWN, 429)
        return CHAT

    async with FaultServer(answer) as server, connect(server, api_key=[BAD, GOOD]) as provider:
        watch = Watch()
        for _ in range(2):
            assert await ask(provider, "chat", on_event=watch) == "Hello"
        assert keys_of(server) == [BAD, GOOD, GOOD]
        assert isinstance(watch.events[1], KeySwitched)
        assert isinstance(watch.events[1].error, ProviderQuotaError)

from __future__ import annotations

import asyncio

import pytest

from victor.errors import ProviderAuthError, ProviderQuotaError, ProviderRateLimitError
from victor.providers.keys import CallGate, session_of, stated_rest_s, tokens_of
from victor.providers.request import ChatRequest
from victor.resilience.events import Held
from victor.resilience.keypool import KeyPool
from victor.resilience.throttle import Throttle
from victor.testing.virtual import now, run_virtual
from victor.types import Message, Usage

SYSTEM = Message(role="system", content="Be brief.")
HI = Message(role="user", content="Hi")
HELLO = Message(role="assistant", content="Hello")


def request(*messages: Message, **options: object) -> ChatRequest:
    return ChatRequest(messages, "m", options=options)


def test_a_conversation_is_known_by_how_it_begins() -> None:
    start = session_of(request(SYSTEM, HI))
    assert session_of(request(SYSTEM, HI, HELLO, Message(role="user", content="More"))) == start
    assert session_of(request(SYSTEM, Message(role="user", content="Hey"))) != start
    assert session_of(request(HI)) != start
    assert session_of(request(HI, HELLO)) == session_of(request(HI))
    assert session_of(request()) == session_of(request())


def test_a_session_that_was_named_is_taken_at_its_word() -> None:
    assert session_of(request(SYSTEM, HI, session="mine")) == "mine"
    assert session_of(request(HI, session=7)) == "7"


@pytest.mark.parametrize(
    ("status", "headers", "rest"),
    [
        (200, {}, 0),
        (200, {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "9s"}, 0),
        (200, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s"}, 9),
        (200, {"X-RateLimit-Remaining-Tokens": "0", "X-RateLimit-Reset-Tokens": "1m0.5s"}, 60.5),
        (200, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-limit-requests": "0",
               "x-ratelimit-reset-requests": "9s"}, 0),
        (200, {"x-ratelimit-remaining-requests": "0"}, 0),
        (200, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s",
               "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "7s"}, 7),
        (200, {"retry-after": "30"}, 0),
        (429, {"retry-after": "30"}, 30),
        (429, {"retry-after": "3", "x-ratelimit-remaining-tokens": "0",
               "x-ratelimit-reset-tokens": "7s"}, 7),
        (429, {}, 0),
    ],
    ids=["nothing", "some left", "none left", "any case", "no limit", "no reset", "the longest",
         "a wait without a refusal", "429", "429 with both", "429 without"],
)  # fmt: skip
def test_an_answer_tells_when_something_is_left_again(
    status: int, headers: dict[str, str], rest: float
) -> None:
    assert stated_rest_s(status, headers) == rest


@pytest.mark.parametrize(
    ("messages", "most", "tokens"),
    [
        ([SYSTEM, HI], 100, 110),
        ([HI], None, 4),
        ("twelve chars", None, 7),
        (["abcd", "ü" * 4], None, 11),
        (None, 50, 50),
        ([], "many", 0),
    ],
    ids=["messages", "no cap", "a text", "texts", "none", "no number"],
)
def test_a_request_is_estimated_by_its_text_and_its_cap(
    messages: object, most: object, tokens: int
) -> None:
    assert tokens_of(messages, most) == tokens


# ---------------------------------------------------------------------------- the gate


def gate(
    pool: KeyPool | None = None,
    throttle: Throttle | None = None,
    within_s: float | None = 60,
    tokens: int = 0,
) -> CallGate:
    return CallGate(
        "m", owner="acme", within_s=within_s, pool=pool, throttle=throttle, kind="k", tokens=tokens
    )


def limited(*waits: float) -> KeyPool:
    pool = KeyPool([f"key-{number}" for number in range(len(waits))], owner="acme", clock=now)
    for wait in waits:
        pool.lease("m").release(ProviderRateLimitError("no", status_code=429, retry_after=wait))
    return pool


def test_a_call_waits_for_the_key_that_is_back_first() -> None:
    async def main() -> None:
        pool = limited(30, 12)
        await gate(pool).wait()
        assert now() == pytest.approx(12)
        await gate(pool).wait()
        assert now() == pytest.approx(12)

    run_virtual(main())


@pytest.mark.parametrize(
    ("within_s", "passes"), [(12.0, True), (11.0, False), (None, True)], ids=str
)
def test_no_call_waits_for_a_key_longer_than_it_may_take(
    within_s: float | None, passes: bool
) -> None:
    async def main() -> None:
        pool = limited(12)
        if passes:
            await gate(pool, within_s=within_s).wait()
        else:
            with pytest.raises(ProviderRateLimitError, match="no key can be used for m"):
                await gate(pool, within_s=within_s).wait()
        assert now() == (12 if passes else 0)

    run_virtual(main())


@pytest.mark.parametrize(
    "error",
    [ProviderAuthError("no", status_code=401),
     ProviderQuotaError("no", status_code=402, retry_after=1)],
    ids=["401", "402"],
)  # fmt: skip
def test_no_call_waits_for_a_key_that_was_refused(
    error: ProviderAuthError | ProviderQuotaError,
) -> None:
    async def main() -> None:
        pool = KeyPool(["a"], clock=now)
        pool.lease("m").release(error)
        with pytest.raises(type(error)):
            await gate(pool, within_s=None).wait()
        assert now() == 0

    run_virtual(main())


def test_a_call_waits_for_its_turn_for_what_is_left_of_its_time() -> None:
    async def main() -> None:
        pool, throttle = limited(10), Throttle(1, clock=now)
        await throttle.wait()
        await asyncio.sleep(5)
        await gate(pool, throttle, within_s=55).wait()
        assert now() == 60
        late = limited(10)
        with pytest.raises(ProviderRateLimitError, match=r"begin in 50\.0 s only") as caught:
            await gate(late, throttle, within_s=59).wait()
        assert (caught.value.provider, caught.value.model) == ("acme", "m")
        assert now() == 70

    run_virtual(main())


@pytest.mark.parametrize(
    ("usage", "left"),
    [
        (Usage(total_tokens=30), 70),
        (Usage(prompt_tokens=10, completion_tokens=30), 60),
        (Usage(prompt_tokens=10), 90),
        (Usage(), 20),
        (None, 20),
    ],
    ids=["total", "both", "one", "unknown", "none"],
)
def test_the_estimate_gives_way_to_what_was_used(usage: Usage | None, left: int) -> None:
    async def main() -> None:
        throttle = Throttle(tokens_per_minute=100, clock=now)
        found = gate(throttle=throttle, tokens=80)
        found.used(usage)  # nothing has begun yet
        await found.wait()
        found.used(usage)
        await throttle.wait(left)
        assert now() == 0
        await throttle.wait(1)
        assert now() == 60

    run_virtual(main())


def test_waits_for_a_key_and_for_a_turn_are_told() -> None:
    async def main() -> None:
        pool, throttle = limited(10), Throttle(1, clock=now)
        await throttle.wait()
        told: list[object] = []
        await gate(pool, throttle).wait(told.append)
        key, turn = told
        assert isinstance(key, Held)
        assert isinstance(turn, Held)
        assert (key.wait_s, turn.wait_s) == (10, 50)
        assert "no key can be used for m" in key.reason
        assert "limit per minute" in turn.reason

    run_virtual(main())

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.providers.author import HI, down
from tests.providers.loopback import ADD, KEY, connect, good
from tests.providers.routing import Named, Told, answer_of, labels, timed, together
from tests.resilience.clocks import Clock
from victor.config.catalog import VENDORS
from victor.config.model_capabilities import ModelData, ModelRow
from victor.errors import (
    CircuitOpenError,
    ConfigError,
    ContextWindowExceededError,
    ProviderAuthError,
    ProviderRateLimitError,
    ProviderServerError,
    UnsupportedFeatureError,
)
from victor.providers.base import BaseProvider
from victor.providers.failover import FailoverProvider
from victor.providers.http import HTTPProvider
from victor.providers.routes import Route
from victor.resilience.events import FailedOver, RetryScheduled
from victor.testing.faults import FaultServer
from victor.testing.virtual import now, run_virtual
from victor.types import Attachment, Capabilities, Message, StreamChunk

# ---------------------------------------------------------------------------- open circuits


def breaker_of(provider: BaseProvider) -> Any:
    assert provider.breaker is not None
    return provider.breaker


async def test_a_route_whose_circuit_is_open_is_passed_over_without_a_try() -> None:
    first, second, told = Named("a"), Named("b"), Told()
    breaker_of(first).force_open()
    answer = await together(first, second).chat(HI, model="m", on_event=told.append)
    assert (len(first.asked), labels(answer.attempts)) == (0, ["b/its-own"])
    (move,) = told.moves
    assert (move.old, move.new) == ("a/its-own", "b/its-own")
    assert isinstance(move.error, CircuitOpenError)


async def test_each_call_begins_at_the_first_route_that_is_well() -> None:
    first, second = Named("a"), Named("b")
    both = together(first, second)
    breaker_of(first).force_open()
    await both.chat(HI, model="m")
    breaker_of(first).auto()
    told = Told()
    await both.chat(HI, model="m", on_event=told.append)
    assert (first.models, second.models, told.moves) == (["m"], ["its-own"], [])


def test_a_route_that_is_well_again_is_back_with_the_first_call_after_its_time() -> None:
    async def main() -> None:
        first, second = Named("a", [down(), "well"]), Named("b")
        timed(first, consecutive_failures=1, base_open_s=8.0)
        both = together(first, second, clock=now)
        assert (await both.chat(HI, model="m")).content == "fine"
        assert (await both.chat(HI, model="m")).content == "fine"
        assert len(first.asked) == 1
        wait_s = breaker_of(first).wait_s()
        assert 0 < wait_s <= 8
        await asyncio.sleep(wait_s)
        assert (await both.chat(HI, model="m")).content == "well"

    run_virtual(main())


def opened(*names: str) -> list[Named]:
    """Return providers whose circuits open at the first failure, the next one for longer."""
    found = [Named(name, [down(), "well"]) for name in names]
    for turn, provider in enumerate(found):
        timed(provider, consecutive_failures=1, base_open_s=40.0 - 20.0 * turn)
    return found


def test_when_every_circuit_is_open_the_earliest_is_waited_for() -> None:
    async def main() -> None:
        providers, told = opened("a", "b"), Told()
        both = together(*providers, clock=now)
        with pytest.raises(ProviderServerError):
            await both.chat(HI, model="m")
        began = now()
        answer = await both.chat(HI, model="m", on_event=told.append)
        # Half of 20 s at random, as the tests' guard has it: the second one is back first.
        assert (answer.content, now() - began) == ("well", 15.0)
        wait, *_ = told
        assert isinstance(wait, RetryScheduled)
        assert (wait.wait_s, wait.attempt) == (15.0, 0)
        (move,) = told.moves
        assert (move.new, len(providers[0].asked)) == ("b/its-own", 1)

    run_virtual(main())


@pytest.mark.parametrize(
    "limits",
    [({}, {"timeout": 1}), ({"max_wait_s": 1}, {})],
    ids=["of-the-call", "of-the-failover"],
)
def test_nobody_waits_longer_than_the_deadline(limits: tuple[Any, Any]) -> None:
    async def main() -> None:
        of_all, of_call = limits
        both = together(*opened("a", "b"), clock=now, **of_all)
        with pytest.raises(ProviderServerError):
            await both.chat(HI, model="m")
        began = now()
        with pytest.raises(CircuitOpenError, match="not called") as caught:
            await both.chat(HI, model="m", **of_call)
        assert now() == began
        assert caught.value.retry_after == 30.0
        assert caught.value.attempts == ()

    run_virtual(main())


# ---------------------------------------------------------------------------- holds


async def test_a_route_that_failed_is_left_alone_for_a_while_and_then_tried_again() -> None:
    clock, first, second = Clock(), Named("a", [down()]), Named("b")
    both = together(first, second, hold_s=10, clock=clock)
    seen = []
    for _ in range(8):
        await both.chat(HI, model="m")
        seen.append(len(first.asked))
        clock.now += 9
    # Left alone for 10 s, then for 20 s, then for 40 s.
    assert seen == [1, 1, 2, 2, 2, 3, 3, 3]


async def test_an_answer_of_the_first_route_forgets_its_failures() -> None:
    clock, first, second = Clock(), Named("a", [down(), "well", down(), "well"]), Named("b")
    both = together(first, second, hold_s=10, clock=clock)
    for _ in range(2):
        assert (await both.chat(HI, model="m")).content == "fine"
        clock.now += 10
        assert (await both.chat(HI, model="m")).content == "well"


@pytest.mark.parametrize(("asked_s", "held_s"), [(3.0, 10.0), (30.0, 30.0), (1e9, 900.0)])
async def test_a_server_that_asks_for_time_gets_it(asked_s: float, held_s: float) -> None:
    clock = Clock()
    busy = ProviderRateLimitError("slow down", retry_after=asked_s)
    first, second = Named("a", [busy, "well"]), Named("b")
    both = together(first, second, hold_s=10, clock=clock)
    await both.chat(HI, model="m")
    clock.now += held_s - 0.5
    assert (await both.chat(HI, model="m")).content == "fine"
    clock.now += 0.5
    assert (await both.chat(HI, model="m")).content == "well"


async def test_a_hold_never_grows_beyond_its_cap() -> None:
    clock, first, second = Clock(), Named("a", [down()], use_circuit_breaker=False), Named("b")
    both = together(first, second, hold_s=10, clock=clock)
    for turn in range(40):
        await both.chat(HI, model="m")
        assert len(first.asked) == turn + 1
        clock.now += 300


async def test_where_no_other_route_is_left_one_that_failed_is_asked_after_all() -> None:
    clock, first, second = Clock(), Named("a", [down(), "well"]), Named("b", ["fine", down()])
    both, told = together(first, second, hold_s=10, clock=clock), Told()
    await both.chat(HI, model="m")
    answer = await both.chat(HI, model="m", on_event=told.append)
    assert answer.content == "well"
    assert labels(answer.attempts) == ["b/its-own!", "a/m"]
    assert [(one.old, one.new) for one in told.moves] == [
        ("a/its-own", "b/its-own"),
        ("b/its-own", "a/its-own"),
    ]


async def test_routes_that_failed_come_before_those_whose_circuit_is_open() -> None:
    first, second, third = Named("a"), Named("b", [down(), "well"]), Named("c", [down()])
    breaker_of(first).force_open()
    all_three = together(first, second, third, hold_s=10, clock=Clock())
    with pytest.raises(CircuitOpenError, match="taken out of service"):
        await all_three.chat(HI, model="m")
    answer = await all_three.chat(HI, model="m")
    assert (answer.content, len(first.asked)) == ("well", 0)


# ---------------------------------------------------------------------------- asking a person


def always(answer: Any, told: list[FailedOver]) -> Callable[[FailedOver], Any]:
    def ask(move: FailedOver) -> Any:
        told.append(move)
        return answer

    return ask


async def test_never_uses_the_first_route_only() -> None:
    first, second = Named("a", [down()]), Named("b")
    for options in ({"policy": "never"}, {"policy": "ask"}):
        with pytest.raises(ProviderServerError):
            await together(first, second, **options).chat(HI, model="m")
    assert second.asked == []


def later(answer: bool) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return answer

    return asked


@pytest.mark.parametrize("wait", [False, True], ids=["sync", "async"])
async def test_a_person_may_agree_to_a_move_once_until_the_first_route_is_back(wait: bool) -> None:
    first = Named("a", [down(), down(), "well", down()])
    asked: list[FailedOver] = []

    def ask(move: FailedOver) -> bool | Awaitable[bool]:
        asked.append(move)
        return later(True)() if wait else True

    both = together(first, Named("b"), policy="ask", ask=ask)
    answers = [(await both.chat(HI, model="m")).content for _ in range(4)]
    assert answers == ["fine", "fine", "well", "fine"]
    assert [(one.old, one.new) for one in asked] == [("a/its-own", "b/its-own")] * 2
    assert isinstance(asked[0].error, ProviderServerError)


async def test_a_person_may_refuse_a_move_and_is_asked_again_the_next_time() -> None:
    asked: list[FailedOver] = []
    first, second, told = Named("a", [down()]), Named("b"), Told()
    both = together(first, second, policy="ask", ask=always(False, asked))
    for _ in range(2):
        with pytest.raises(ProviderServerError) as caught:
            await both.chat(HI, model="m", on_event=told.append)
        assert labels(caught.value.attempts) == ["a/m!"]
    assert (len(asked), second.asked, told.moves) == (2, [], [])


async def test_who_refuses_to_leave_a_route_that_rests_has_it_asked_at_once() -> None:
    first = Named("a", [down(), "well"])
    answers = iter([True, False])

    def ask(move: FailedOver) -> bool:
        return next(answers)

    both = together(first, Named("b"), policy="ask", ask=ask, hold_s=60, clock=Clock())
    assert (await both.chat(HI, model="m")).content == "fine"
    both._rules.agreed.clear()
    assert (await both.chat(HI, model="m")).content == "well"


# ---------------------------------------------------------------------------- quality


async def test_a_route_below_the_floor_is_never_used() -> None:
    first, second, third = Named("a", [down()]), Named("b"), Named("c")
    routes = [Route(first), Route(second, quality=1), Route(third, quality=3)]
    answer = await together(*routes, quality_floor=2).chat(HI, model="m")
    assert labels(answer.attempts) == ["a/m!", "c/its-own"]
    with pytest.raises(ProviderServerError):
        await together(*routes, quality_floor=4).chat(HI, model="m")
    assert second.asked == []


@pytest.mark.parametrize(
    ("routes", "options", "says"),
    [
        ([], {}, "needs routes"),
        ([Named("a")], {"policy": "maybe"}, "policy is one of ask, auto, never, not 'maybe'"),
        ([Named("a")], {"hedge_after": 0}, "above 0, for policy='auto'"),
        ([Named("a")], {"hedge_after": 1, "policy": "ask"}, "above 0, for policy='auto'"),
        ([Named("a"), Named("b")], {"quality_floor": 1}, "b/its-own has no quality"),
        ([Route(Named("a"), quality=0)], {"quality_floor": 1}, "a/its-own, is below the quality"),
        (["openai"], {}, "only a name: pass a provider"),
        ([3], {}, "a route is a provider, a name"),
    ],
    ids=["none", "policy", "hedge", "hedge-ask", "no-quality", "first-below", "name", "other"],
)
def test_what_cannot_work_is_refused_at_once(
    routes: list[Any], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        FailoverProvider(routes, **options)


# ---------------------------------------------------------------------------- fit to stand in

PICTURE = Attachment(media_type="image/png", data=b"\x89PNG")
PAPER = Attachment(media_type="application/pdf", data=b"%PDF")
SCHEMA = {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}
LONG = [Message(role="user", content="word " * 8000)]


def talk(attachment: Attachment) -> list[Message]:
    return [Message(role="user", content="see", attachments=[attachment])]


def lacking(name: str) -> HTTPProvider:
    """Return a provider of which the user's settings say that its model cannot do something."""
    known: dict[str, Any] = {name: "none" if name == "tool_mode" else False}
    rows = [ModelRow("*", ModelData(**known))]
    return HTTPProvider(VENDORS["openai-compatible"], KEY, "http://127.0.0.1:1", models=rows)


@pytest.mark.parametrize(
    ("lack", "asked", "says"),
    [
        ("tool_mode", {"tools": [ADD]}, "cannot call tools"),
        ("vision", {"messages": talk(PICTURE)}, "cannot see images"),
        ("documents", {"messages": talk(PAPER)}, "cannot read PDFs"),
        ("json_schema", {"response_format": SCHEMA}, "cannot hold its answer to a schema"),
    ],
    ids=["tools", "images", "documents", "schema"],
)
async def test_a_route_that_cannot_stand_in_is_passed_over_with_a_note(
    lack: str, asked: dict[str, Any], says: str
) -> None:
    first, third, told = Named("a", [down()]), Named("c"), Told()
    third.supports_tools = lambda: True  # type: ignore[method-assign]
    all_three = together(first, (lacking(lack), "m"), third)
    assert await answer_of(all_three, "chat", **asked, on_event=told.append) == "fine"
    (move,) = told.moves
    assert move.new == "c/its-own"
    assert move.notes[0].startswith("openai-compatible/m is passed over: UnsupportedFeatureError")
    assert says in move.notes[0]


async def test_the_first_route_is_asked_whatever_it_can_do() -> None:
    first = Named("a")
    assert not first.supports_tools()
    await together(first, Named("b")).chat(HI, model="m", tools=[ADD])
    assert first.asked[0]["tools"] == [ADD]


async def test_a_strangers_provider_says_what_its_model_can_do() -> None:
    class Small(Named):
        calls = 0

        async def discover_capabilities(self, model: str) -> Capabilities:
            self.calls += 1
            return Capabilities(context_window=100)

    small = Small("b")
    both = together(Named("a", [down()]), small)
    for _ in range(2):
        with pytest.raises(ProviderServerError):
            await both.chat(LONG, model="m")
    assert (small.calls, small.asked) == (1, [])
    (state,) = (await both.explain("m", LONG))[1:]
    assert "whose window is 100 tokens" in str(state.reason)


async def test_a_stranger_who_fails_at_that_question_is_asked_all_the_same() -> None:
    class Silent(Named):
        async def discover_capabilities(self, model: str) -> Capabilities:
            raise RuntimeError("no idea")

    both = together(Named("a", [down()]), Silent("b"))
    assert (await both.chat(LONG, model="m")).content == "fine"


async def test_what_the_next_route_loses_is_told() -> None:
    history = [
        Message(role="user", content="Hi"),
        Message(role="assistant", content="Hello", provider_state={"anthropic": {"x": 1}}),
        Message(role="user", content="Again"),
    ]
    async with FaultServer(good) as server, connect(server) as second:
        both, told = together(Named("a", [down()]), (second, "m")), Told()
        await both.chat(history, model="m", on_event=told.append, server_tools=[{"type": "x"}])
        (move,) = told.moves
        assert "The option server_tools is a's own and is left out." in move.notes
        assert any("anthropic" in note for note in move.notes)
        assert "server_tools" not in server.requests[0].json()


async def test_options_of_its_own_go_to_every_route_of_the_same_provider() -> None:
    first, second = Named("a", [down()]), Named("a")
    await together(first, (second, "m-2")).chat(HI, model="m", server_tools=["x"], top_p=0.5)
    assert second.asked == [{"model": "m-2", "tools": None, "server_tools": ["x"], "top_p": 0.5}]


async def test_a_request_that_a_wire_cannot_write_passes_its_route_over() -> None:
    second = HTTPProvider(VENDORS["openai-compatible"], KEY, "http://127.0.0.1:1")
    both, told = together(Named("a", [down()]), (second, "m"), Named("c")), Told()
    odd = [Message(role="user", attachments=[Attachment(media_type="x/y", data=b"?")])]
    await both.chat(odd, model="m", on_event=told.append)
    assert "cannot take the request" in told.moves[0].notes[0]


# ---------------------------------------------------------------------------- made when needed


async def test_a_provider_is_made_when_it_is_first_needed_and_then_kept() -> None:
    made: list[tuple[str, str | None]] = []

    def make(name: str, model: str | None) -> BaseProvider:
        made.append((name, model))
        return Named(name)

    first = Named("a", ["fine", down()])
    both = together(first, "b/large", make=make)
    await both.chat(HI, model="m")
    assert made == []
    answers = [await both.chat(HI, model="m") for _ in range(2)]
    assert made == [("b", "large")]
    assert labels(answers[1].attempts) == ["a/m!", "b/large"]


async def test_a_provider_that_cannot_be_made_is_passed_over() -> None:
    def make(name: str, model: str | None) -> BaseProvider:
        raise ConfigError("its weights are missing")

    both = together(Named("a", [down()]), "b", Named("c"), make=make)
    assert (await both.chat(HI, model="m")).content == "fine"
    alone = together(Named("a", [down()]), "b", make=make)
    with pytest.raises(ProviderServerError) as caught:
        await alone.chat(HI, model="m")
    assert "b: ConfigError: its weights are missing" in caught.value.__notes__[0]


async def test_a_route_without_a_key_is_passed_over_without_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with FaultServer(good) as server:
        keyless = HTTPProvider(VENDORS["openai"], base_url=server.url)
        assert not keyless.api_key
        told = Told()
        await together(keyless, Named("b")).chat(HI, model="m", on_event=told.append)
        assert isinstance(told.moves[0].error, ProviderAuthError)
        assert server.requests == []


async def test_a_route_without_any_model_is_passed_over() -> None:
    class Nameless(Named):
        default_model = None

    both = together(Named("a", [down()]), Nameless("b"), Named("c"))
    # The model that was asked for is all there is to go by.
    assert labels((await both.chat(HI, model="m")).attempts) == ["a/m!", "b/m"]
    alone = together(Nameless("b"))
    assert alone.default_model is None
    with pytest.raises(ConfigError, match="needs a model: b/MODEL"):
        await alone.chat(HI)


# ---------------------------------------------------------------------------- explaining


async def test_it_explains_of_every_route_whether_it_would_be_used() -> None:
    clock = Clock()
    rests, opened_, well = Named("a", [down()]), Named("b"), Named("c")
    routes = [
        Route(rests, quality=5),
        Route(opened_, quality=5),
        Route(well, "large", quality=5),
        Route(Named("d"), quality=1),
    ]
    all_four = together(*routes, hold_s=10, clock=clock, quality_floor=2)
    await all_four.chat(HI, model="m")
    breaker_of(opened_).force_open()
    states = await all_four.explain("m")
    assert [(one.label, one.usable, one.retry_after_s) for one in states] == [
        ("a/m", False, 10.0),
        ("b/its-own", False, float("inf")),
        ("c/large", True, None),
        ("d/its-own", False, None),
    ]
    reasons = [str(one.reason) for one in states]
    assert reasons[0].startswith("ProviderServerError: it is down")
    assert reasons[1] == "its circuit is open"
    assert reasons[2:] == ["None", "its quality is below 2"]
    assert well.asked == []


async def test_it_explains_why_the_others_are_not_used_at_all() -> None:
    states = await together(Named("a"), Named("b"), policy="never").explain()
    assert [one.reason for one in states] == [None, "nothing moves on from the first route"]
    (state,) = await together(_nameless()).explain()
    assert (state.model, state.usable) == (None, False)


def _nameless() -> Named:
    provider = Named("a")
    provider.default_model = None
    return provider


# ---------------------------------------------------------------------------- as a provider


async def test_it_is_a_provider_like_its_first_route() -> None:
    first, second = Named("a"), Named("b")
    first.default_temperature = 0.25
    async with together((first, "m-1"), second, first) as both:
        assert (both.name, both.default_model, both.default_temperature) == (
            "failover",
            "m-1",
            0.25,
        )
        assert both.breaker is first.breaker
        assert (both.supports_tools(), both.supports_streaming()) == (False, False)
        assert (await both.discover_capabilities("m")).tool_mode == "none"
        assert await both.count_tokens("four", "m") == 1
        assert [route.provider for route in both.routes] == [first, second, first]
        with pytest.raises(UnsupportedFeatureError, match="a has no embeddings"):
            await both.embed("text")
    assert (first.closed, second.closed) == (1, 1)


async def test_a_failover_may_be_a_route_of_another() -> None:
    inner = together(Named("a", [down()]), Named("b", [down()]))
    outer = together(inner, Named("c"))
    answer = await outer.chat(HI, model="m")
    assert labels(answer.attempts) == ["a/m!", "b/its-own!", "c/its-own"]


async def test_a_bug_of_the_observer_does_not_enter_the_call() -> None:
    def broken(event: object) -> None:
        raise RuntimeError("observer")

    both = together(Named("a", [down()]), Named("b"))
    assert (await both.chat(HI, model="m", on_event=broken)).content == "fine"


async def test_an_overflow_without_a_known_window_needs_one_that_holds_the_prompt() -> None:
    too_long = ContextWindowExceededError("too long", used=9000, limit=8192)

    class Windowed(Named):
        def __init__(self, name: str, window: int) -> None:
            super().__init__(name)
            self.window = window

        async def discover_capabilities(self, model: str) -> Capabilities:
            return Capabilities(context_window=self.window)

    small, large = Windowed("b", 8192), Windowed("c", 9001)
    answer = await together(Named("a", [too_long]), small, large).chat(HI, model="m")
    assert labels(answer.attempts) == ["a/m!", "c/its-own"]


async def test_a_stream_says_nothing_of_a_route_before_it_answers() -> None:
    first = Named("a", [[StreamChunk(), StreamChunk(), StreamChunk(is_final=True)]])
    chunks = [chunk async for chunk in together(first).stream(HI, model="m")]
    assert [chunk.is_final for chunk in chunks] == [True]
    assert chunks[0].model == "m"

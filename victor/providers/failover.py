"""Several providers as one: where one cannot answer, the next one does.

The routes guard themselves, retries and all; this adds neither a retry nor a breaker. Before the
first content a failure moves on by its class (`routes.py`); after it nothing does, so that two
models are never spliced. Knows nothing about tools being run: a call only asks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, TypeVar

from victor.errors import ConfigError, StreamInterruptedError
from victor.providers.base import BaseProvider
from victor.providers.guarding import guards_itself
from victor.providers.hedging import Hedge
from victor.providers.legs import Leg, Make, Request
from victor.providers.passage import Ask, Passage, Rules
from victor.providers.routes import Route, RouteLike, RouteState, as_route
from victor.resilience.breaker import CircuitBreaker
from victor.resilience.events import RetryScheduled, one_line
from victor.resilience.pipeline import Observer
from victor.types import (
    Capabilities,
    CompletionResponse,
    Embeddings,
    Message,
    StreamChunk,
    ToolDefinition,
)

__all__ = ["FailoverProvider", "Policy"]

Policy: TypeAlias = Literal["ask", "auto", "never"]
"""Whether a call may be answered by another route than the first: after asking, always, never."""

_POLICIES: Final = ("ask", "auto", "never")
_EMPTY: Final = StreamChunk()
_MAX_WAIT_S: Final = 5.0
"""A route that asks for more patience is left for the next one, if there is one."""

T = TypeVar("T")


@dataclass(slots=True)
class _Opened:
    """A stream whose first content has come."""

    leg: Leg
    held: list[StreamChunk]
    """What has come so far."""
    chunks: AsyncIterator[StreamChunk]

    async def close(self) -> None:
        await _close(self.chunks)


class FailoverProvider(BaseProvider):
    """An ordered list of providers and models, as one provider.

    Every call begins at the first route that is well: one whose circuit is open is passed over
    without a try, and one that has just failed is left alone for `hold_s`, doubled with every
    failure in a row up to 300 s, or as long as the server asked for (15 minutes at most). Where
    no other route is left, such routes are asked after all. When every circuit is open, the call
    waits for the earliest one, `max_wait_s` at most. So the first route is back in use soon after
    it is well, without any call that has to find that out at length.

    A route that stands in for the first one has to be fit: a model that is known not to call the
    tools, see the images, keep to the schema or hold the conversation is passed over.

    An error that does not move on is raised as it is. When no route is left, the first route's is;
    its `attempts` are those of all routes, and its notes name what became of the others.

    Args:
        routes: who may answer, best first; see `RouteLike`.
        policy: `"auto"` moves on by itself, `"ask"` asks first and `"never"` uses the first only.
        ask: for `"ask"`: is told of the move and returns whether it is wanted, or an awaitable of
            that. What was agreed to holds until the first route answers again. None is never.
        make: makes the provider of a route that is only a name, when it is first needed.
        quality_floor: the least `quality` of a route that stands in for the first one.
        on_refusal: whether a request that a content filter refused goes to the next route.
        hedge_after: seconds without any content after which a stream is asked of the next route as
            well; the first to bring content is used, the other one is cancelled. For `"auto"` only,
            and never with `server_tools`, whose effects would come twice. None is off.
        hold_s: seconds for which a route is left alone after its first failure; 0 is off.
        max_wait_s: as told above; the `timeout` of a call is the limit where it is given.
        clock: monotonic seconds.
        sleep: waits.

    Raises:
        ConfigError: there is no route, one cannot be understood, a route has no quality although
            there is a floor, or the first provider cannot be made.
    """

    def __init__(
        self,
        routes: Sequence[RouteLike],
        *,
        policy: Policy = "auto",
        ask: Ask | None = None,
        make: Make | None = None,
        quality_floor: int | None = None,
        on_refusal: bool = False,
        hedge_after: float | None = None,
        hold_s: float = 10.0,
        max_wait_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        found = [as_route(one) for one in routes]
        if not found:
            raise ConfigError("a failover needs routes: routes=['openai', 'local']")
        if policy not in _POLICIES:
            raise ConfigError(f"policy is one of {', '.join(_POLICIES)}, not {policy!r}")
        if hedge_after is not None and not (hedge_after > 0 and policy == "auto"):
            raise ConfigError("hedge_after is a number of seconds above 0, for policy='auto'")
        self._all = [Leg(route, make, clock, hold_s) for route in found]
        self._unused: dict[Leg, str] = {}
        if policy == "never" or (policy == "ask" and ask is None):
            self._unused = dict.fromkeys(self._all[1:], "nothing moves on from the first route")
        elif quality_floor is not None:
            self._unused = {
                leg: f"its quality is below {quality_floor}"
                for leg in self._all
                if not self._is_good(leg, quality_floor)
            }
        self._legs = [leg for leg in self._all if leg not in self._unused]
        self._hedge_after = hedge_after
        self._max_wait_s = max_wait_s
        self._rules = Rules(ask if policy == "ask" else None, on_refusal, clock, sleep, set())
        first = self._first.provider()
        self.default_model = found[0].model or first.default_model
        self.default_temperature = first.default_temperature

    def _is_good(self, leg: Leg, floor: int) -> bool:
        quality = leg.route.quality
        if leg is self._first:
            if quality is not None and quality < floor:
                raise ConfigError(f"the first route, {leg.label}, is below the quality floor")
            return True
        if quality is None:
            raise ConfigError(f"there is a quality floor, and {leg.label} has no quality: name one")
        return quality >= floor

    @property
    def _first(self) -> Leg:
        return self._all[0]

    @property
    def name(self) -> str:
        return "failover"

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes, in order."""
        return tuple(leg.route for leg in self._all)

    @property
    def breaker(self) -> CircuitBreaker | None:
        """The circuit breaker of the first route's endpoint."""
        return self._first.provider().breaker

    def supports_tools(self) -> bool:
        return self._first.provider().supports_tools()

    def supports_streaming(self) -> bool:
        return self._first.provider().supports_streaming()

    async def discover_capabilities(self, model: str) -> Capabilities:
        """Return what the first route's model can do."""
        request = Request(model=model)
        return await self._first.provider().discover_capabilities(
            self._first.model(request, first=True)
        )

    async def count_tokens(self, text_or_messages: str | Sequence[Message], model: str) -> int:
        return await self._first.provider().count_tokens(text_or_messages, model)

    @guards_itself
    async def embed(
        self, texts: str | Sequence[str], *, model: str | None = None, **kwargs: Any
    ) -> Embeddings:
        """Ask the first route, and no other: vectors of two models cannot be compared."""
        return await self._first.provider().embed(texts, model=model, **kwargs)

    async def close(self) -> None:
        """Close the providers of all routes."""
        made = {id(leg.made): leg.made for leg in self._all if leg.made is not None}
        for provider in made.values():
            await provider.close()

    # ------------------------------------------------------------------ asking

    @guards_itself
    async def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str | None = None,
        tools: Sequence[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> CompletionResponse:
        """Ask the routes, one after the other; see the class.

        Args:
            messages: the conversation, oldest first.
            model: for the first route; the others have their own.
            tools: what the model may call.
            **kwargs: as in `BaseProvider.chat`; options that are none of the standard ones go only
                to providers of the first route's name.

        Raises:
            ProviderError: nobody answered.
        """
        observe: Observer | None = kwargs.pop("on_event", None)
        passage = self._passage(Request(messages, model, tools, kwargs), observe)

        async def ask(leg: Leg) -> CompletionResponse:
            return await leg.provider().chat(
                messages, **self._arguments(leg, passage), on_event=observe
            )

        answer = await self._first_answer(passage, ask)
        passage.succeeded(passage.leg)
        attempts = (*passage.attempts, *answer.attempts)
        model = answer.model or self._model(passage.leg, passage)
        return answer.model_copy(update={"attempts": attempts, "model": model})

    @guards_itself
    def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str | None = None,
        tools: Sequence[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[StreamChunk]:
        """Ask as `chat` does, for a stream; before its first content nothing is passed on.

        Raises:
            StreamInterruptedError: the stream broke after its first content.
            ProviderError: nobody answered.
        """
        observe: Observer | None = kwargs.pop("on_event", None)
        return self._stream(Request(messages, model, tools, kwargs, stream=True), observe)

    async def _stream(
        self, request: Request, observe: Observer | None
    ) -> AsyncGenerator[StreamChunk, None]:
        passage = self._passage(request, observe)

        async def start(leg: Leg) -> _Opened:
            return await self._opened(leg, passage, observe)

        async def begin(leg: Leg) -> _Opened:
            if self._hedge_after is None or request.options.get("server_tools"):
                return await start(leg)
            return await Hedge(passage, self._hedge_after, start, _Opened.close).begin(leg)

        opened = await self._first_answer(passage, begin)
        try:
            for chunk in opened.held:
                yield self._signed(chunk, opened.leg, passage)
            async for chunk in opened.chunks:
                yield self._signed(chunk, opened.leg, passage)
            passage.succeeded(opened.leg)
        except StreamInterruptedError as error:
            passage.interrupted(opened.leg, error)
            raise
        finally:
            await opened.close()

    async def _first_answer(self, passage: Passage, ask: Callable[[Leg], Awaitable[T]]) -> T:
        while True:
            leg = await passage.next()
            try:
                return await ask(leg)
            except Exception as error:
                if not await passage.failed(passage.leg, error):
                    raise

    async def _opened(self, leg: Leg, passage: Passage, observe: Observer | None) -> _Opened:
        """Read a stream up to its first content."""
        held: list[StreamChunk] = []

        def heard(event: Any) -> None:
            if isinstance(event, RetryScheduled):
                held.clear()  # what a try that failed has sent
            if observe is not None:
                observe(event)

        arguments = self._arguments(leg, passage)
        messages = passage.request.messages
        chunks = leg.provider().stream(messages, **arguments, on_event=heard)
        try:
            async for chunk in chunks:
                if chunk != _EMPTY:
                    held.append(chunk)
                if _commits(chunk):
                    break
        except BaseException:
            await _close(chunks)
            raise
        return _Opened(leg, held, chunks)

    def _signed(self, chunk: StreamChunk, leg: Leg, passage: Passage) -> StreamChunk:
        if chunk.is_final:
            chunk.attempts = (*passage.attempts, *chunk.attempts)
            chunk.model = chunk.model or self._model(leg, passage)
        return chunk

    def _passage(self, request: Request, observe: Observer | None) -> Passage:
        patience_s = request.options.get("timeout")
        limit_s = self._max_wait_s if patience_s is None else patience_s
        return Passage(self._legs, self._rules, request, limit_s, observe)

    def _model(self, leg: Leg, passage: Passage) -> str:
        return leg.model(passage.request, first=leg is self._first)

    def _arguments(self, leg: Leg, passage: Passage) -> dict[str, Any]:
        hurry = {"max_wait": _MAX_WAIT_S} if passage.may_hurry() else {}
        return hurry | leg.arguments(
            passage.request, first=leg is self._first, home=self._first.name
        )

    # ------------------------------------------------------------------ explaining

    async def explain(
        self,
        model: str | None = None,
        messages: Sequence[Message] | None = None,
        *,
        tools: Sequence[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> list[RouteState]:
        """Say of every route, in order, whether a call would use it now; asks no model.

        Args:
            model: as for `chat`.
            messages: a conversation; None leaves out what depends on it.
            tools: as for `chat`.
            **kwargs: as for `chat`.
        """
        request = Request(messages or (), model, tools, kwargs)
        passage = self._passage(request, None)
        return [await self._state(leg, passage) for leg in self._all]

    async def _state(self, leg: Leg, passage: Passage) -> RouteState:
        reason, wait_s = self._unused.get(leg), None
        if reason is None and (hurdle := await passage.hurdle(leg)):
            reason, wait_s = one_line(hurdle.error), hurdle.wait_s
            if hurdle.kind == "open":
                reason = "its circuit is open"
        model = None
        with suppress(ConfigError):  # nobody names one, which is the reason then
            model = self._model(leg, passage)
        return RouteState(
            leg.name,
            model,
            leg.route.quality,
            usable=reason is None,
            reason=reason,
            retry_after_s=wait_s,
            notes=passage.notes(leg),
        )


def _commits(chunk: StreamChunk) -> bool:
    """Tell whether a chunk shows that this route answers."""
    return bool(
        chunk.content
        or chunk.reasoning
        or chunk.tool_call_delta
        or chunk.is_final
        or chunk.stop_reason
    )


async def _close(chunks: AsyncIterator[StreamChunk]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()

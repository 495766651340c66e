"""Several keys for one API: which error says what of a key, and who asks again with another.

One attempt of a call tries every key that works, one after the other, as long as it is the key that
is refused and nothing has come yet; the guard sees one attempt. Which key is whose turn is
`resilience.keypool`'s. Knows nothing about bytes. Keys show as fingerprints.

What an API encrypts for an organisation, such as the reasoning that OpenAI's Responses give back
(https://platform.openai.com/docs/guides/reasoning#encrypted-reasoning-items), only a key of that
organisation can send again: a conversation keeps its key as long as that works.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TypeVar

from victor.config.api_keys import fingerprint
from victor.config.catalog import Vendor
from victor.errors import ProviderError, ProviderRateLimitError
from victor.providers.continuing import Parts
from victor.providers.exchange import Exchange
from victor.providers.guarding import observer
from victor.providers.rate_limits import rate_limits
from victor.providers.request import ChatRequest, HTTPCall
from victor.resilience.events import Held, KeySwitched
from victor.resilience.key_store import shared_key_store
from victor.resilience.key_trouble import diagnosed
from victor.resilience.keypool import KeyLease, KeyPool
from victor.resilience.pipeline import Observer
from victor.resilience.retry_after import parse_retry_after
from victor.resilience.throttle import Throttle, Ticket
from victor.types import CompletionResponse, Message, StreamChunk, Usage

__all__ = ["CallGate", "KeyedExchange", "session_of", "stated_rest_s", "tokens_of"]

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class KeyedExchange(Exchange):
    """Speaks with one vendor's API, with whichever of its keys works.

    Args:
        vendor: the row of the catalog.
        base_url: where requests go.
        keys: at least one.
        pool: the same keys in a pool that exists already; by default one of its own.
    """

    def __init__(
        self, vendor: Vendor, base_url: str, keys: Sequence[str], pool: KeyPool | None = None
    ) -> None:
        super().__init__(vendor, base_url, keys[0])
        self.pool = pool or KeyPool(keys, owner=vendor.name, store=shared_key_store())
        plain = Exchange(vendor, base_url, keys[0])
        self._transport = plain.transport
        self._each: dict[str, Exchange] = {}
        for key in keys:
            mark = fingerprint(key)
            self._each[mark] = plain.with_key(key, partial(self._heard, mark))

    async def answer(self, request: ChatRequest) -> CompletionResponse:
        session = session_of(request)
        return await self._asked(lambda each: each.answer(request), request.model, session)

    def events(
        self, request: ChatRequest, parts: Parts | None = None
    ) -> AsyncGenerator[StreamChunk, None]:
        # No generator itself: who observes is known now, and not when the first chunk is wanted.
        return self._stream(request, parts, observer())

    async def fetch(self, call: HTTPCall, model: str) -> bytes:
        return await self._asked(lambda each: each.fetch(call, model), model, None)

    async def get(self, path: str, *, at_root: bool = False) -> bytes:
        # Limits of such lists are no limits of a model.
        return await self._asked(lambda each: each.get(path, at_root=at_root), path, None)

    async def _asked(
        self, ask: Callable[[Exchange], Awaitable[_T]], part: str, session: str | None
    ) -> _T:
        lease = self.pool.lease(part, session)
        tried: set[str] = set()
        while True:
            try:
                with lease:
                    return await ask(self._each[lease.fingerprint])
            except ProviderError as error:
                lease = self._another(lease, session, error, tried, observer())

    async def _stream(
        self, request: ChatRequest, parts: Parts | None, watch: Observer | None
    ) -> AsyncGenerator[StreamChunk, None]:
        session = session_of(request)
        lease = self.pool.lease(request.model, session)
        tried: set[str] = set()
        begun = False
        while True:
            try:
                with lease:
                    events = self._each[lease.fingerprint].events(request, parts)
                    async with aclosing(events) as chunks:
                        async for chunk in chunks:
                            begun = begun or bool(
                                chunk.content or chunk.reasoning or chunk.tool_call_delta
                            )
                            yield chunk
                return
            except ProviderError as error:
                if begun:
                    raise
                lease = self._another(lease, session, error, tried, watch)

    def _another(
        self,
        lease: KeyLease,
        session: str | None,
        error: ProviderError,
        tried: set[str],
        watch: Observer | None,
    ) -> KeyLease:
        """Take the next key after one was refused.

        Raises:
            ProviderError: it was not the key, or no key is left.
        """
        if diagnosed(error, lease.part) is None:
            raise error
        tried.add(lease.fingerprint)
        following = self.pool.another(lease.part, session, tried)
        if following is None:
            refusal = self.pool.refusal(lease.part)
            if refusal is None:
                raise error
            raise refusal from error
        _log.info(
            "%s: key %s was refused (%s); asked again with key %s",
            self.vendor.name, lease.fingerprint, type(error).__name__, following.fingerprint,
        )  # fmt: skip
        if watch is not None:
            try:
                watch(KeySwitched(lease.fingerprint, following.fingerprint, error))
            except Exception:  # noqa: BLE001 - an observer's bug must not enter a call
                _log.exception("an observer of %s failed", self.vendor.name)
        return following

    def _heard(self, mark: str, model: str | None, status: int, headers: Mapping[str, str]) -> None:
        # A 429 comes back with the lease.
        if model is not None and status != 429:
            rest = stated_rest_s(status, headers)
            if rest > 0:
                self.pool.hold(mark, model, rest)


def session_of(request: ChatRequest) -> str:
    """Tell a conversation from others: by the option `session`, or else by how it begins.

    That is everything up to the first message of the user, which a server's prompt cache knows.
    """
    given = request.options.get("session")
    if given is not None:
        return str(given)
    start: list[str] = []
    for message in request.messages:
        start.append(message.content)
        if message.role == "user":
            break
    return f"{hash(tuple(start)):x}"


def stated_rest_s(status: int, headers: Mapping[str, str]) -> float:
    """Read from an answer how long nothing is left of a rate limit; 0 where something is."""
    rest = 0.0
    if any("remaining" in name.lower() for name in headers):
        for one in rate_limits(headers):
            # A limit of 0 is how some say that there is none.
            if one.remaining is not None and one.remaining < 1 and one.limit != 0:
                rest = max(rest, one.reset_s or 0.0)
    if status == 429:
        rest = max(rest, parse_retry_after(headers) or 0.0)
    return rest


def tokens_of(messages: object, max_tokens: object) -> int:
    """Estimate what a request counts for: its text, and the whole answer it allows.

    Args:
        messages: those of a call, or texts to embed.
        max_tokens: the cap of the answer, where there is one.
    """
    texts = [messages] if isinstance(messages, str) else messages
    size = max_tokens if isinstance(max_tokens, int) else 0
    if isinstance(texts, Sequence):
        for each in texts:
            text = each.content if isinstance(each, Message) else str(each)
            size += 4 + len(text.encode("utf-8", "replace")) // 4
    return size


class CallGate:
    """What the attempts of one call wait for, before the breaker is asked: a key, and their turn.

    Args:
        part: the model that is asked.
        owner: the provider, for the errors.
        within_s: the longest wait of one attempt; None is for ever.
        pool: the provider's keys, if they are several.
        throttle: counts requests and tokens.
        kind: what the throttle may have held back.
        tokens: an estimate of what an attempt uses.
    """

    def __init__(
        self,
        part: str | None,
        *,
        owner: str,
        within_s: float | None,
        pool: KeyPool | None,
        throttle: Throttle | None,
        kind: Hashable = None,
        tokens: int = 0,
    ) -> None:
        self._part = part
        self._owner = owner
        self._within_s = within_s
        self._pool = pool
        self._throttle = throttle
        self._kind = kind
        self._tokens = tokens
        self._ticket: Ticket | None = None

    async def wait(self, observe: Observer | None = None) -> None:
        """Wait until a key works and the throttle lets an attempt through.

        Args:
            observe: is told of waits.

        Raises:
            ProviderError: no key works, or it would take longer than `within_s`; nothing was sent.
        """
        left = self._within_s
        if self._pool is not None:
            left = await self._key(self._pool, left, observe)
        if self._throttle is not None:
            try:
                self._ticket = await self._throttle.wait(
                    self._tokens, kind=self._kind, within_s=left, on_wait=_teller(observe)
                )
            except ProviderRateLimitError as error:
                error.provider, error.model = self._owner, self._part
                raise

    def used(self, usage: Usage | None) -> None:
        """Correct the estimate."""
        if self._throttle is None or self._ticket is None or usage is None:
            return
        parts = (usage.prompt_tokens, usage.completion_tokens)
        total = usage.total_tokens
        if total is None and parts != (None, None):
            total = sum(part or 0 for part in parts)
        if total is not None:
            self._throttle.used(self._ticket, total)

    async def _key(
        self, pool: KeyPool, left: float | None, observe: Observer | None
    ) -> float | None:
        """Wait for a key; return what is left of the longest wait."""
        while (refusal := pool.refusal(self._part)) is not None:
            wait = refusal.retry_after
            if not refusal.retryable or wait is None or (left is not None and wait > left):
                raise refusal
            _log.info("%s; waiting", refusal)
            if observe is not None:
                observe(Held(str(refusal), wait))
            await asyncio.sleep(wait)
            left = None if left is None else left - wait
        return left


def _teller(observe: Observer | None) -> Callable[[str, float], None] | None:
    return None if observe is None else lambda why, wait_s: observe(Held(why, wait_s))

"""HTTPProvider: any vendor of the catalog as a provider.

Turns calls into requests; one attempt of a request is `exchange.py`'s, and the guard round it
`base.py`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import httpx

from victor.config.api_keys import fingerprint, get_api_keys, missing_key_message
from victor.config.capabilities import merged_capabilities
from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData, ModelRow, model_data
from victor.errors import (
    ConfigError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderTimeoutError,
    UnsupportedFeatureError,
)
from victor.providers.base import BaseProvider
from victor.providers.discovery import capabilities_of_wire, endpoint_data, model_names
from victor.providers.endpoint import base_url_for, checked_key
from victor.providers.exchange import Exchange
from victor.providers.guarding import Gate, guards_itself
from victor.providers.keys import CallGate, KeyedExchange, stated_rest_s, tokens_of
from victor.providers.protocols import embedding_wire_for
from victor.providers.request import ChatRequest, EmbeddingWire, HTTPCall
from victor.resilience.keypool import KeyPool
from victor.resilience.pipeline import Deadlines
from victor.resilience.throttle import Throttle
from victor.tool_calling.adapter import ToolCallingAdapter
from victor.tool_calling.constrained import ConstrainedAdapter
from victor.types import (
    Capabilities,
    CompletionResponse,
    Embeddings,
    Message,
    StreamChunk,
    ToolDefinition,
    Usage,
)

__all__ = ["HTTPProvider"]

_T = TypeVar("_T")

_log = logging.getLogger(__name__)
_PATIENCE_S = 5.0


_PARAMETERS = ("api_key", "base_url", "max_retries", "throttle", "timeout", "use_circuit_breaker")
_OPTIONS = frozenset({"retry_backoff", "retry_delay", "total_timeout"})


class HTTPProvider(BaseProvider):
    """A provider that speaks one of victor's wires over HTTP.

    With several keys, one that is refused, used up or used too fast is left alone for a while, and
    the same attempt goes on with another. A conversation keeps its key while that works; the option
    `session` of `chat` and `stream`, any string, says which requests belong together where that is
    not by how the conversation begins.

    Args:
        vendor: the row of the catalog.
        api_key: one key, or several, instead of those of the environment and the keyring.
        base_url: instead of the vendor's own.
        timeout: see `BaseProvider`.
        max_retries: see `BaseProvider`.
        use_circuit_breaker: see `BaseProvider`.
        models: what is known about models beside victor's own data; stronger than that.
        throttle: counts requests and tokens, and holds them back before the server refuses them;
            others may share it.
        **kwargs: see `BaseProvider`.

    Raises:
        ConfigError: the vendor has no address of its own and none was given, it is not http(s), or
            the key cannot be sent.
    """

    _never_nests = True

    def __init__(
        self,
        vendor: Vendor,
        api_key: str | Sequence[str] | None = None,
        base_url: str | None = None,
        timeout: float = 60,
        max_retries: int = 3,
        use_circuit_breaker: bool = True,  # noqa: FBT001, FBT002 - as in BaseProvider
        *,
        models: Sequence[ModelRow] = (),
        throttle: Throttle | None = None,
        **kwargs: Any,
    ) -> None:
        _check_options(vendor.name, kwargs)
        self.vendor = vendor
        keys = get_api_keys(vendor.name, api_key)
        for key in keys:
            checked_key(vendor, key)
        super().__init__(
            api_key=keys[0] if keys else None,
            base_url=_sendable(base_url_for(vendor, base_url, has_key=bool(keys))),
            timeout=timeout,
            max_retries=max_retries,
            use_circuit_breaker=use_circuit_breaker,
            **kwargs,
        )
        self.vendor = vendor = vendor.at(self.base_url or "")
        self.default_model = vendor.default_model
        if vendor.needs_key and not self.api_key:
            _log.warning("%s", missing_key_message(vendor.name))
        self._throttle = throttle
        self._pool: KeyPool | None = None
        self._exchange = Exchange(vendor, self.base_url or "", self.api_key)
        if len(keys) > 1:
            self._exchange = keyed = KeyedExchange(vendor, self.base_url or "", keys)
            self._pool = keyed.pool
        elif throttle is not None:
            self._exchange.heard = self._heard
        self._adapter: ToolCallingAdapter | None = (
            ConstrainedAdapter() if vendor.tool_mode == "constrained" else None
        )
        self._rows = tuple(models)
        self._models: dict[str, ModelData] = {}
        self._said: dict[str, ModelData] = {}  # by the endpoint
        self._asked_about: set[str] = set()

    @property
    def name(self) -> str:
        return self.vendor.name

    def supports_tools(self) -> bool:
        return True

    def supports_streaming(self) -> bool:
        return True

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float | None = 0.7,
        max_tokens: int | None = 4096,
        tools: Sequence[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> CompletionResponse:
        known = self._known(model)
        request = ChatRequest(
            messages, model, temperature, max_tokens, tools, options=kwargs, model_data=known
        )
        request, adapter = self._prepared(request)
        response = await self._exchange.answer(request)
        return response if adapter is None else adapter.parse_tool_calls(response)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float | None = 0.7,
        max_tokens: int | None = 4096,
        tools: Sequence[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[StreamChunk]:
        known = self._known(model)
        request = ChatRequest(
            messages,
            model,
            temperature,
            max_tokens,
            tools,
            stream=True,
            options=kwargs,
            model_data=known,
        )
        request, adapter = self._prepared(request)
        chunks = self._exchange.events(request)
        return chunks if adapter is None else _closing(chunks, adapter.parse_stream(chunks))

    @guards_itself
    async def embed(
        self, texts: str | Sequence[str], *, model: str | None = None, **kwargs: Any
    ) -> Embeddings:
        """Turn texts into vectors, in as many requests as the API needs; each is retried alone.

        Args:
            texts: one or more; none gives no vectors and asks nobody.
            model: by default the vendor's own for embeddings.
            **kwargs: `dimensions` where the model takes it; the rest passes through.

        Raises:
            UnsupportedFeatureError: the vendor has no embeddings, or no default model for them.
            ProviderError: the call failed; its type says how.
        """
        wire = embedding_wire_for(self.vendor)
        if wire is None:
            raise UnsupportedFeatureError(f"{self.name} has no embeddings", provider=self.name)
        chosen = model or self.vendor.embedding_model
        if chosen is None:
            raise UnsupportedFeatureError(
                f"{self.name} has no default model for embeddings: pass model", provider=self.name
            )
        given = [texts] if isinstance(texts, str) else list(texts)
        vectors: list[list[float]] = []
        usage: Usage | None = None
        for start in range(0, len(given), wire.most_texts):
            part = given[start : start + wire.most_texts]
            call = wire.encode(part, model=chosen, options=kwargs)
            gate = self._gate((part,), {"model": chosen, "max_tokens": None}, None)
            found = await self._guard.call(
                partial(self._embedded, wire, call, chosen, len(part)),
                before=None if gate is None else gate.wait,
            )
            if gate is not None:
                gate.used(found.usage)
            vectors += found.vectors
            usage = found.usage if usage is None or found.usage is None else usage + found.usage
        return Embeddings(vectors=vectors, model=chosen, usage=usage)

    async def _embedded(
        self, wire: EmbeddingWire, call: HTTPCall, model: str, expected: int
    ) -> Embeddings:
        return wire.decode(await self._exchange.fetch(call, model), model=model, expected=expected)

    async def list_models(self) -> list[str]:
        """Ask the endpoint which models it serves; also the cheapest proof that a key works.

        Raises:
            UnsupportedFeatureError: the vendor's API has no such question.
            ProviderError: the endpoint refused or did not answer.
        """
        return await self._asked(model_names(self._exchange), self.timeout)

    async def discover_capabilities(self, model: str) -> Capabilities:
        """Say what a model can do here: what code, data and the endpoint itself know.

        The endpoint is asked until it has answered once for the model; where it does not answer
        within a few seconds, the data stand. What it says counts for later calls, too.
        """
        if model not in self._asked_about:
            limit_s = min(self.timeout, _PATIENCE_S)
            try:
                said = await self._asked(endpoint_data(self._exchange, model), limit_s)
            except ProviderError as error:
                _log.info("%s does not say what %s can do: %s", self.name, model, error)
                said = None
                if not isinstance(error, ProviderInvalidRequestError):
                    return self.known_capabilities(model)
            self._asked_about.add(model)
            if said is not None:
                self._models[model] = said.over(self._known(model))
                self._said[model] = said
        return self.known_capabilities(model)

    def known_capabilities(self, model: str) -> Capabilities:
        return merged_capabilities(
            capabilities_of_wire(self._exchange), self._known(model), self._said.get(model)
        )

    async def _asked(self, question: Coroutine[Any, Any, _T], limit_s: float) -> _T:
        """Put a question that is no call: under the breaker, and once."""

        async def once() -> _T:
            try:
                async with asyncio.timeout(limit_s):
                    return await question
            except TimeoutError as error:
                raise ProviderTimeoutError(
                    f"{self.base_url or self.name} did not answer within {limit_s:g} s",
                    provider=self.name,
                ) from error

        try:
            answer: _T = await self._execute_with_circuit_breaker(once)
        finally:
            question.close()  # of one that the breaker refused
        return answer

    async def close(self) -> None:
        await self._exchange.close()

    def _gate(
        self, args: tuple[Any, ...], options: dict[str, Any], deadlines: Deadlines | None
    ) -> Gate | None:
        throttle = self._throttle
        if throttle is None and self._pool is None:
            return None
        model, tokens = options.get("model"), 0
        if throttle is not None and throttle.tokens_per_minute is not None:
            messages = args[0] if args else options.get("messages")
            tokens = tokens_of(messages, options.get("max_tokens", 4096))
        return CallGate(
            model,
            owner=self.name,
            within_s=(deadlines or self._guard.deadlines).call_s,
            pool=self._pool,
            throttle=throttle,
            kind=(self._held_as, model),
            tokens=tokens,
        )

    @property
    def _held_as(self) -> str:
        """What the server's own limits count for, apart from the model: a key."""
        return fingerprint(self.api_key) if self.api_key else self._where

    def _heard(self, model: str | None, status: int, headers: Mapping[str, str]) -> None:
        rest = stated_rest_s(status, headers)
        if rest > 0 and model is not None and self._throttle is not None:
            self._throttle.hold((self._held_as, model), rest)

    def _prepared(self, request: ChatRequest) -> tuple[ChatRequest, ToolCallingAdapter | None]:
        """Let the adapter rewrite a request; return what has to read the answer, if anything."""
        known = request.model_data
        adapter = (self._adapter or _adapter_for(known)) if request.tools else None
        if adapter is None:
            if not known.think_tags:
                return request, None
            from victor.tool_calling.prompted import ThinkingReader  # few models need it

            return request, ThinkingReader(starts_in_reasoning=bool(known.starts_in_reasoning))
        step = adapter.prepare(request.messages, request.tools or ())
        options = {**request.options, **step.options}
        request = replace(request, messages=step.messages, tools=None, options=options)
        return request, adapter if step.offers_tools else None

    def _known(self, model: str) -> ModelData:
        found = self._models.get(model)
        if found is None:
            found = self._models[model] = model_data(self.vendor.name, model, self._rows)
        return found


def _adapter_for(known: ModelData) -> ToolCallingAdapter | None:
    """Return what gives tools to a model that has no calls of its own; None where it has."""
    if known.tool_mode == "none" and known.json_schema is False:
        from victor.tool_calling.prompted import PromptedAdapter  # few models need it

        return PromptedAdapter(
            known.tool_format, starts_in_reasoning=bool(known.starts_in_reasoning)
        )
    return ConstrainedAdapter() if known.tool_mode in ("constrained", "none") else None


async def _closing(
    source: AsyncGenerator[StreamChunk, None], chunks: AsyncIterator[StreamChunk]
) -> AsyncIterator[StreamChunk]:
    """Pass `chunks` on, and close what they are made of as soon as nobody wants more."""
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await source.aclose()


def _sendable(address: str) -> str:
    try:
        httpx.URL(address)
    except httpx.InvalidURL as error:
        raise ConfigError(f"base_url: {error}") from None
    return address


def _check_options(name: str, options: Mapping[str, Any]) -> None:
    unknown = sorted(set(options) - _OPTIONS)
    if not unknown:
        return
    if "model" in unknown:
        raise ConfigError(
            f"{name} is not made for one model: give `model` to Agent, or to chat and stream"
        )
    from difflib import get_close_matches

    near = get_close_matches(unknown[0], [*_OPTIONS, *_PARAMETERS], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"{name} has no option {', '.join(unknown)}{hint}")

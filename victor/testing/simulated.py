"""A provider that fails by a scenario, in virtual time, behind the same guard as any other.

What it raises is what the real one would: statuses go through the same table of errors. Knows
nothing about sockets, or about who watches.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData
from victor.errors import ProviderConnectionError
from victor.providers.base import BaseProvider
from victor.providers.failures import error_from_response
from victor.providers.reading import cut_off, empty_answer, not_ours
from victor.resilience.circuits import Circuits
from victor.resilience.pipeline import Observer, Pipeline
from victor.testing.scenario import Fault
from victor.testing.virtual import now
from victor.types import CompletionResponse, Message, StreamChunk, ToolDefinition, Usage

__all__ = ["USAGE", "SimulatedProvider", "Target"]

USAGE = Usage(prompt_tokens=2000, completion_tokens=300, total_tokens=2300)
"""What every answer is taken to have used."""

_WORDS: tuple[str, ...] = ("This ", "is ", "a ", "simulated ", "answer.")
_CUT_AFTER = 3
_FIRST_S, _PIECE_S = 0.5, 0.2
"""How long a provider that is well takes to its first words, and from word to word."""
_ERROR_S = 0.2
_REFUSED_S = 0.01
_FOREVER_S = 365 * 24 * 3600.0
_SLOW_PIECES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who is simulated: a provider and a model, as the user has set them up."""

    provider: str
    model: str
    base_url: str | None = None
    timeout: float = 60.0
    """Seconds, as in `BaseProvider`."""
    max_retries: int = 3
    keys: int = 1
    """How many API keys there are."""
    quality: int | None = None
    """As in `Route`."""
    data: ModelData = UNKNOWN_MODEL
    """Its prices, above all."""

    @property
    def label(self) -> str:
        """Provider and model, as `provider/model`."""
        return f"{self.provider}/{self.model}"

    @property
    def where(self) -> str:
        """The endpoint, as `BaseProvider` names it: all targets at it share its circuits."""
        address = (self.base_url or "").rstrip("/")
        return f"{self.provider} at {address}" if address else self.provider


# Words that the table of errors looks for where a status says too little.
_TEXTS: Mapping[int, str] = MappingProxyType(
    {
        401: "invalid API key",
        404: "there is no such model",
        413: "the prompt is too long",
        429: "too many requests",
        529: "overloaded",
    }
)


class SimulatedProvider(BaseProvider):
    """Answers, or fails, as the scenario has it at that moment.

    Args:
        target: who is simulated.
        fault: returns what goes wrong at the moment it is called.
        circuits: those of the endpoint; their breakers must go by virtual time.
        random: a number from 0 up to 1; shortens the waits between tries.
        on_event: is told of every guard event.
        on_key: is told when a refused key is given up for the next one.
        on_words: is told when the first words of an answer go out.
    """

    def __init__(
        self,
        target: Target,
        *,
        fault: Callable[[], Fault],
        circuits: Circuits,
        random: Callable[[], float],
        on_event: Observer,
        on_key: Callable[[], object],
        on_words: Callable[[], object],
    ) -> None:
        super().__init__(
            base_url=target.base_url, timeout=target.timeout, max_retries=target.max_retries
        )
        self.target = target
        self.default_model = target.model
        self._fault = fault
        self._circuits = circuits
        self._random = random
        self._on_event = on_event
        self._on_key = on_key
        self._on_words = on_words
        self._keys_left = target.keys

    @property
    def name(self) -> str:
        return self.target.provider

    def supports_tools(self) -> bool:
        return True

    def supports_streaming(self) -> bool:
        return True

    @functools.cached_property
    def _guard(self) -> Pipeline:
        return self._pipeline(
            self._circuits, clock=now, random=self._random, on_event=self._on_event
        )

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        tools: list[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> CompletionResponse:
        del messages, temperature, max_tokens, tools, kwargs  # none of them changes the outcome
        async with aclosing(self._words(model)) as words:
            text = "".join([word async for word in words])
        return CompletionResponse(content=text, stop_reason="stop", usage=USAGE, model=model)

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        tools: list[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[StreamChunk]:
        del messages, temperature, max_tokens, tools, kwargs
        async with aclosing(self._words(model)) as words:
            async for word in words:
                yield StreamChunk(word)
        yield StreamChunk(stop_reason="stop", usage=USAGE, is_final=True, model=model)

    async def close(self) -> None:
        """Nothing to close."""

    async def _words(self, model: str) -> AsyncGenerator[str, None]:
        fault = self._fault()
        await self._fail(fault, model)
        words, first_s, piece_s = _WORDS, _FIRST_S, _PIECE_S
        if fault.kind == "stall":
            first_s = _FOREVER_S if fault.seconds is None else fault.seconds
        elif fault.kind == "slow":
            words = _WORDS * (_SLOW_PIECES // len(_WORDS))
            first_s = piece_s = (fault.seconds or 0.0) / len(words)
        for at, word in enumerate(words):
            if fault.kind == "cut" and at == _CUT_AFTER:
                raise cut_off(provider=self.name, model=model)
            await asyncio.sleep(piece_s if at else first_s)
            if at == 0:
                self._on_words()
            yield word

    async def _fail(self, fault: Fault, model: str) -> None:
        """Raise what a fault comes to that leaves no answer."""
        match fault.kind:
            case "refuse" | "reset":
                await asyncio.sleep(_REFUSED_S if fault.kind == "refuse" else _ERROR_S)
                what = (
                    "refused the connection" if fault.kind == "refuse" else "reset the connection"
                )
                raise ProviderConnectionError(
                    f"{self._host} {what}", provider=self.name, model=model
                )
            case "garbage":
                await asyncio.sleep(_ERROR_S)
                raise not_ours("is not valid JSON", provider=self.name, model=model)
            case "empty":
                await asyncio.sleep(_FIRST_S)
                raise empty_answer("stop", provider=self.name, model=model)
            case "status" | "revoked":
                await self._answer(fault, model)
            case "cut" | "ok" | "slow" | "stall":
                pass  # there is an answer, or a part of one, or silence

    async def _answer(self, fault: Fault, model: str) -> None:
        status = fault.status or 401
        if fault.kind == "revoked":
            if self._keys_left < self.target.keys:
                return  # the first key is known to be refused, and another is in use
            if self.target.keys > 1:
                await asyncio.sleep(_ERROR_S)
                self._keys_left -= 1
                self._on_key()
                return
        await asyncio.sleep(_ERROR_S)
        headers = {} if fault.seconds is None else {"retry-after": f"{fault.seconds:.3f}"}
        raise error_from_response(
            status,
            headers,
            json.dumps({"error": {"message": _TEXTS.get(status, "simulated")}}).encode(),
            provider=self.name,
            model=model,
            host=self._host,
        )

    @property
    def _host(self) -> str:
        return urlsplit(self.base_url or "").hostname or self.name

"""The embedded model as a provider: the OpenAI chat wire over a child process of our own.

Knows how to pick weights and to give a small model tools; what the child is and how it lives is
`victor.local`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from victor.config.catalog import Vendor
from victor.errors import ConfigError, ProviderConnectionError
from victor.local.process import LocalServer
from victor.local.weights import find_weights
from victor.providers.continuing import Parts
from victor.providers.endpoint import Endpoint, KeySigner
from victor.providers.exchange import Exchange
from victor.providers.http import HTTPProvider
from victor.providers.request import ChatRequest, HTTPCall
from victor.tool_calling.constrained import ConstrainedAdapter
from victor.types import Capabilities, Capability, CompletionResponse, Message, StreamChunk

__all__ = ["LocalProvider"]

_TEMPERATURE = 0.0
"""Anything above makes a small model guess: of sixty tool calls eleven more are wrong at 0.7."""

_DEATH_LOOKS, _DEATH_PAUSE_S = 20, 0.01

_ROW = Vendor("local", "http://127.0.0.1", needs_key=False, tool_mode="constrained")
_TINY_BYTES = 1_000_000_000
"""Weights below this are of a model that repeats its calls: it gets one step, then it answers."""


class LocalProvider(HTTPProvider):
    """The embedded model: started with the first call, gone with this process.

    Args:
        model_path: a GGUF file or a name of `victor models`; None takes VICTOR_LOCAL_MODEL or the
            default model.
        context_window: tokens of prompt and answer together.
        timeout: seconds for one try; a prompt is read at about 200 tokens per second.
        max_retries: see `BaseProvider`. A child that crashed is started again by a retry; one
            that keeps crashing opens the circuit breaker and is left alone for a while.
        **kwargs: see `BaseProvider`.

    Raises:
        WeightsMissingError: the weights have not been downloaded; its `command` does that.
        ConfigError: there is no such model.
    """

    def __init__(
        self,
        model_path: str | None = None,
        *,
        context_window: int = 4096,
        timeout: float = 300,
        max_retries: int = 2,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("api_key", None)
        if kwargs.pop("base_url", None):
            raise ConfigError(
                "the embedded model has no base_url; for a server that runs already use the "
                "provider llamacpp, ollama, lmstudio, vllm or openai-compatible"
            )
        super().__init__(_ROW, api_key="unused", timeout=timeout, max_retries=max_retries, **kwargs)
        self.base_url = None  # every child has another one
        self._weights = find_weights(model_path)
        self._window = context_window
        self._server = LocalServer(self._weights, context_window=context_window)
        self._exchange = _ChildExchange(self._server)
        self.default_model = self._weights.stem
        self.default_temperature = _TEMPERATURE
        self._adapter = ConstrainedAdapter(chain=self._weights.stat().st_size >= _TINY_BYTES)

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float | None = _TEMPERATURE,
        **kwargs: Any,
    ) -> CompletionResponse:
        return await super().chat(messages, model=model, temperature=temperature, **kwargs)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float | None = _TEMPERATURE,
        **kwargs: Any,
    ) -> AsyncIterator[StreamChunk]:
        return super().stream(messages, model=model, temperature=temperature, **kwargs)

    async def discover_capabilities(self, model: str) -> Capabilities:
        return self.known_capabilities(model)

    def known_capabilities(self, model: str) -> Capabilities:  # noqa: ARG002 - there is one
        return Capabilities(
            supported=frozenset({Capability.STREAMING, Capability.TOOLS, Capability.JSON_SCHEMA}),
            context_window=self._window,
            tool_mode="constrained",
            source="data",
        )

    async def close(self) -> None:
        await super().close()
        await self._server.stop()

    @property
    def _where(self) -> str:
        return f"local {self._weights.stem}"

    @property
    def server(self) -> LocalServer:
        """The child process and its life."""
        return self._server


class _ChildExchange(Exchange):
    """Speaks with the child process, which is started with the first request.

    Args:
        server: the child and its life.
    """

    def __init__(self, server: LocalServer) -> None:
        super().__init__(_ROW, "", None)
        self._server = server

    async def endpoint(self) -> Endpoint:
        running = await self._server.ensure()
        return Endpoint(running.base_url, KeySigner(_ROW, running.api_key))

    async def fetch(self, call: HTTPCall, model: str) -> bytes:
        async with self._server.use(), self._death_named():
            return await super().fetch(call, model)

    async def events(
        self, request: ChatRequest, parts: Parts | None = None
    ) -> AsyncGenerator[StreamChunk, None]:
        # Left from right to left: the connection is closed before the child is let go.
        async with (
            self._server.use(),
            self._death_named(),
            aclosing(super().events(request, parts)) as chunks,
        ):
            async for chunk in chunks:
                yield chunk

    @asynccontextmanager
    async def _death_named(self) -> AsyncIterator[None]:
        """Say how the child died, where that is why the connection broke."""
        try:
            yield
        except ProviderConnectionError as error:
            death = await self._death()
            if death is None:
                raise
            raise ProviderConnectionError(
                f"the embedded model's process is gone: {death}",
                provider=self.vendor.name,
                raw_error=error,
            ) from error

    async def _death(self) -> str | None:
        # A dying process loses its connections a moment before its parent hears of its end.
        for _ in range(_DEATH_LOOKS):
            if self._server.last_death is not None:
                break
            await asyncio.sleep(_DEATH_PAUSE_S)
        return self._server.last_death

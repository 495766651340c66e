"""A route under way: its provider, what keeps it from being asked, how long it is left alone.

Knows one route at a time, and sends nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from victor.config.api_keys import missing_key_message
from victor.config.model_capabilities import ModelData, model_data
from victor.errors import (
    CircuitOpenError,
    ConfigError,
    ContextWindowExceededError,
    ProviderAuthError,
    ProviderError,
    ProviderInvalidRequestError,
    UnsupportedFeatureError,
)
from victor.providers.base import BaseProvider
from victor.providers.http import HTTPProvider
from victor.providers.options import standard_options
from victor.providers.request import ChatRequest
from victor.providers.routes import Route, label_of
from victor.types import Capabilities, Message, ToolDefinition

__all__ = ["Hurdle", "Leg", "Make", "Request"]

Make: TypeAlias = Callable[[str, str | None], BaseProvider]
"""Makes a provider of a name; it is also told the model."""

_log = logging.getLogger(__name__)

_MOST_HOLD_S: Final = 300.0
_MOST_RETRY_AFTER_S: Final = 900.0
_PATIENCE_S: Final = 2.0
"""How long a stranger's provider may take to say what its model can do."""
_ALWAYS: Final = frozenset({"max_tokens", "temperature", "timeout"})


@dataclass(frozen=True, slots=True)
class Request:
    """What one call asks, before any route is chosen."""

    messages: Sequence[Message] = ()
    model: str | None = None
    """Which model the caller asks for; it is meant for the first route."""
    tools: Sequence[ToolDefinition] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    stream: bool = False

    @property
    def tokens(self) -> int:
        """About how long the prompt is."""
        return sum(len(one.content.encode("utf-8", "replace")) for one in self.messages) // 4

    def carries(self, *kinds: str) -> bool:
        """Tell whether an attachment is of one of these kinds."""
        return any(
            one.media_type.startswith(kinds)
            for message in self.messages
            for one in message.attachments
        )


@dataclass(frozen=True, slots=True)
class Hurdle:
    """Why a route is not asked now."""

    kind: Literal["held", "open", "cannot"]
    """Held routes are asked where no other is left, then those with an open circuit, which may
    refuse; those that cannot never are."""
    error: Exception
    wait_s: float | None = None
    """Seconds until it passes by itself."""


class Leg:
    """One route and how it has done.

    Args:
        route: the route.
        make: makes its provider, if it is only a name.
        clock: monotonic seconds.
        hold_s: how long it is left alone after its first failure.
    """

    def __init__(
        self, route: Route, make: Make | None, clock: Callable[[], float], hold_s: float
    ) -> None:
        self.route = route
        self._make = make
        self._clock = clock
        self._hold_s = hold_s
        self._provider = route.provider if isinstance(route.provider, BaseProvider) else None
        self._capabilities: dict[str, Capabilities] = {}
        self._failures = 0
        self._held_until = -math.inf
        self._held_for: Exception | None = None

    @property
    def made(self) -> BaseProvider | None:
        """The provider; None if it has not been needed yet."""
        return self._provider

    @property
    def name(self) -> str:
        """The provider's."""
        given = self.route.provider
        return given if isinstance(given, str) else given.name

    @property
    def label(self) -> str:
        """Provider and model, as `provider/model`."""
        made = self._provider
        return label_of(self.name, self.route.model or (made.default_model if made else None))

    def provider(self) -> BaseProvider:
        """Return the provider, and make it first where it has not been needed yet.

        Raises:
            ConfigError: it cannot be made.
        """
        if self._provider is None:
            if self._make is None:
                raise ConfigError(
                    f"the route {self.label!r} is only a name: pass a provider, or make the whole "
                    f"with create_provider('failover', routes=…)"
                )
            self._provider = self._make(self.name, self.route.model)
        return self._provider

    def model(self, request: Request, *, first: bool) -> str:
        """Return the model to ask for."""
        asked = request.model if first else None
        found = asked or self.route.model or self.provider().default_model or request.model
        if not found:
            raise ConfigError(f"the route {self.label!r} needs a model: {self.name}/MODEL")
        return found

    def arguments(self, request: Request, *, first: bool, home: str) -> dict[str, Any]:
        """Return what `chat` and `stream` get beside the messages.

        Args:
            request: what is asked.
            first: whether this is the route that the caller had in mind.
            home: whose provider that is; options of its own mean nothing to others.
        """
        options = dict(request.options)
        if self.name != home:
            for name in self._foreign(request):
                del options[name]
        return {**options, "model": self.model(request, first=first), "tools": request.tools}

    def _foreign(self, request: Request) -> list[str]:
        own = standard_options(request.options).extra
        return [name for name in request.options if name in own and name not in _ALWAYS]

    # ------------------------------------------------------------------ may it be asked?

    def open_s(self, model: str | None) -> float:
        """Seconds until its circuit lets a call through; 0 if at once."""
        made = self._provider
        circuits = None if made is None else made._guard.circuits
        return 0.0 if circuits is None else circuits.wait_s(model)

    async def catch_up(self, model: str) -> None:
        """Take over what other processes found out about its circuit."""
        made = self._provider
        circuits = None if made is None else made._guard.circuits
        if circuits is not None:
            await circuits.look(model)

    def unready(self) -> Hurdle | None:
        """Say what is wrong with the provider itself: it cannot be made, or has no key."""
        try:
            provider = self.provider()
        except ConfigError as error:
            return Hurdle("cannot", error)
        needs_key = isinstance(provider, HTTPProvider) and provider.vendor.needs_key
        if needs_key and not provider.api_key:
            missing = ProviderAuthError(missing_key_message(self.name), provider=self.name)
            return Hurdle("cannot", missing)
        return None

    def may_be_ready(self, request: Request, *, first: bool) -> bool:
        """Tell whether nothing is known against it; one that was never made may be ready."""
        if self.made is None:
            return True
        return self.unready() is None and self.resting(self.model(request, first=first)) is None

    def resting(self, model: str) -> Hurdle | None:
        """Say what will pass by itself: an open circuit, or a failure a moment ago."""
        wait_s = self.open_s(model)
        if wait_s > 0:
            error = CircuitOpenError(
                f"{self.label} was not asked: its circuit is open",
                retry_after=wait_s if math.isfinite(wait_s) else None,
                provider=self.name,
                model=model,
            )
            return Hurdle("open", error, wait_s)
        left = self._held_until - self._clock()
        if left > 0 and self._held_for is not None:
            return Hurdle("held", self._held_for, left)
        return None

    async def fitting(self, request: Request, larger_than: int, home: str) -> tuple[str, ...]:
        """Check a route that is to stand in for another.

        Args:
            request: what is asked.
            larger_than: tokens its window has to exceed; 0 where that is no matter.
            home: whose provider was to answer.

        Returns:
            What of the request it does not get as it is, one sentence each.

        Raises:
            ContextWindowExceededError: its window is too small, or not known to be larger.
            UnsupportedFeatureError: its model lacks something that is needed.
            ConfigError: it has no model.
        """
        model = self.model(request, first=False)
        await self._check_window(request, model, larger_than)
        lack = self._lack(request, await self.capabilities(model), self._known(model))
        if lack is not None:
            raise UnsupportedFeatureError(f"{self.label} {lack}", provider=self.name, model=model)
        left_out = [] if self.name == home else self._foreign(request)
        notes = [f"The option {name} is {home}'s own and is left out." for name in left_out]
        return (*notes, *self._losses(request, model, home))

    async def _check_window(self, request: Request, model: str, larger_than: int) -> None:
        window = await self.window(model)
        short = window is not None and window < request.tokens
        if short or (larger_than and (window or 0) <= larger_than):
            size = "is not known" if window is None else f"is {window:,} tokens"
            raise ContextWindowExceededError(
                f"the conversation is too long for {self.label}, whose window {size}",
                limit=window,
                provider=self.name,
                model=model,
            )

    @staticmethod
    def _lack(request: Request, can: Capabilities, known: ModelData) -> str | None:
        schema = request.options.get("response_format") is not None
        needs: tuple[tuple[bool, bool, str], ...] = (
            (bool(request.tools), "none" in (can.tool_mode, known.tool_mode), "cannot call tools"),
            (request.carries("image/"), known.vision is False, "cannot see images"),
            (request.carries("application/pdf"), known.documents is False, "cannot read PDFs"),
            (schema, known.json_schema is False, "cannot hold its answer to a schema"),
        )
        return next((text for needed, lacking, text in needs if needed and lacking), None)

    def _losses(self, request: Request, model: str, home: str) -> tuple[str, ...]:
        """Encode the request without sending it: the wire says what is lost, or that it cannot."""
        provider = self.provider()
        if not isinstance(provider, HTTPProvider):
            return ()
        given = self.arguments(request, first=False, home=home)
        del given["model"], given["tools"]
        asked = ChatRequest(
            request.messages,
            model,
            given.pop("temperature", None),
            given.pop("max_tokens", None),
            request.tools,
            stream=request.stream,
            options={name: value for name, value in given.items() if name != "timeout"},
            model_data=self._known(model),
        )
        try:
            return provider._exchange.wire.encode(provider._prepared(asked)[0]).notes
        except ProviderInvalidRequestError as error:
            raise UnsupportedFeatureError(
                f"{self.label} cannot take the request: {error}", provider=self.name, model=model
            ) from error

    async def window(self, model: str) -> int | None:
        """Return the model's context window in tokens; None where it is not known."""
        found = (await self.capabilities(model)).context_window
        return found or self._known(model).context_window

    async def capabilities(self, model: str) -> Capabilities:
        """Return what the provider says its model can do; asked once, and without the network."""
        provider = self.provider()
        if type(provider).discover_capabilities is HTTPProvider.discover_capabilities:
            # That would ask the endpoint, of which nobody knows whether it is there.
            return Capabilities(tool_mode=self._known(model).tool_mode or "native")
        found = self._capabilities.get(model)
        if found is None:
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    found = await provider.discover_capabilities(model)
            except Exception as error:  # noqa: BLE001 - a stranger's code, and only a question
                _log.info("%s does not say what %s can do: %s", self.name, model, error)
                found = Capabilities()
            self._capabilities[model] = found
        return found

    def _known(self, model: str) -> ModelData:
        provider = self.provider()
        if isinstance(provider, HTTPProvider):
            return provider._known(model)
        return model_data(self.name, model)

    # ------------------------------------------------------------------ how it has done

    def failed(self, error: Exception) -> None:
        """Leave it alone for a while: twice as long each time, and as long as the server asked."""
        now = self._clock()
        if now >= self._held_until:  # many calls that fail together are one failure
            self._failures += 1
        hold_s = min(_MOST_HOLD_S, self._hold_s * 2.0 ** min(self._failures - 1, 32))
        if self._hold_s and isinstance(error, ProviderError) and error.retry_after:
            hold_s = max(hold_s, min(error.retry_after, _MOST_RETRY_AFTER_S))
        self._held_until = max(self._held_until, now + hold_s)
        self._held_for = error

    def succeeded(self) -> None:
        """Forget its failures."""
        self._failures = 0
        self._held_until = -math.inf
        self._held_for = None

"""BaseProvider: what an author writes, and the guard that is put round it.

An author gives `name`, `chat`, `stream` and `close`. Defining the class wraps its `chat` and
`stream` in the guard pipeline (circuit breaker, retries, deadlines), so nobody can forget it. Knows
nothing about HTTP or any vendor. Re-exports the types and errors that authors need.
"""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar

from victor.errors import (
    CircuitOpenError,
    ContentFilterError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
    ProviderTLSError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from victor.providers.guarding import GUARDED, Gate, deadlines_of, guards_itself, is_inside
from victor.resilience.breaker import CircuitBreaker
from victor.resilience.circuits import Circuits, SharedCircuits, shared_circuits
from victor.resilience.pipeline import Deadlines, Pipeline
from victor.resilience.retry import RetryBudget, RetryPolicy
from victor.types import (
    Capabilities,
    Capability,
    CompletionResponse,
    Embeddings,
    Message,
    StreamChunk,
    ToolCall,
    ToolDefinition,
    Usage,
)

__all__ = [
    "BaseProvider",
    "Capabilities",
    "Capability",
    "CircuitOpenError",
    "CompletionResponse",
    "ContentFilterError",
    "ContextWindowExceededError",
    "Embeddings",
    "Message",
    "ModelNotFoundError",
    "ProviderAuthError",
    "ProviderConnectionError",
    "ProviderError",
    "ProviderInvalidRequestError",
    "ProviderInvalidResponseError",
    "ProviderOverloadedError",
    "ProviderPermissionError",
    "ProviderQuotaError",
    "ProviderRateLimitError",
    "ProviderServerError",
    "ProviderTLSError",
    "ProviderTimeoutError",
    "StreamChunk",
    "StreamInterruptedError",
    "ToolCall",
    "ToolDefinition",
    "UnsupportedFeatureError",
    "Usage",
]

_T = TypeVar("_T")


class BaseProvider(ABC):
    """A source of model answers. Subclass it to add an API.

    Subclasses implement `name`, `chat`, `stream` and `close`. Every call of `chat` and `stream`
    from outside passes the guard:

    * a circuit breaker refuses calls (`CircuitOpenError`) while the endpoint is down;
    * transient failures are retried, streams only before their first content;
    * deadlines end calls that hang.

    Callers may pass four options to every `chat` and `stream` that never reach the author's code:
    `timeout` and `total_timeout` (seconds, for this call), `max_wait` (seconds; a try that would
    have to wait longer is not made) and `on_event` (called with each guard event).

    Args:
        api_key: the key, where the caller has it.
        base_url: where the API is.
        timeout: seconds for one try of a call, for the first content of a stream, and between two
            pieces of a stream.
        max_retries: tries after the first one.
        use_circuit_breaker: False leaves the breaker out; retries and deadlines stay.
        retry_delay: seconds before the first retry.
        retry_backoff: factor from one wait to the next.
        total_timeout: seconds for one try of a whole stream; None is no limit.
        **kwargs: kept in `self.options`.
    """

    default_model: str | None = None
    """The model an `Agent` uses where none is named."""
    default_temperature: float | None = None
    """What an `Agent` passes where none is given; None leaves it to `chat` and `stream`."""

    _shares_circuits = False
    _never_nests = False
    """Set by providers of ours whose `stream` calls no guarded method of its own; saves a layer."""

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = 60,
        max_retries: int = 3,
        use_circuit_breaker: bool = True,  # noqa: FBT001, FBT002 - the public contract
        **kwargs: Any,
    ) -> None:
        self.api_key = api_key
        self.base_url = base_url
        self.timeout = timeout
        self.max_retries = max_retries
        self.use_circuit_breaker = use_circuit_breaker
        self.options: dict[str, Any] = kwargs

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, guarded in GUARDED:
            method = getattr(cls, name)
            if getattr(method, "__isabstractmethod__", False) or hasattr(method, "_guards_itself"):
                continue
            # Its own, or that of a mixin which is no provider; a base provider's is guarded.
            if name in cls.__dict__ or not hasattr(method, "_is_guarded"):
                setattr(cls, name, guarded(method))
                cls._never_nests = cls.__dict__.get("_never_nests", False)

    # ------------------------------------------------------------------ the author's part

    @property
    @abstractmethod
    def name(self) -> str:
        """The provider's name, such as `"anthropic"`; used in errors and for its breaker."""

    @abstractmethod
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
        """Ask a model and return its whole answer.

        Args:
            messages: the conversation, oldest first.
            model: name of the model.
            temperature: 0 is deterministic where the vendor allows it.
            max_tokens: cap of the answer, in tokens.
            tools: what the model may call.
            **kwargs: vendor options, passed through.

        Raises:
            ProviderError: the call failed; its type says how.
        """

    @abstractmethod
    def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        tools: list[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[StreamChunk]:
        """Ask a model and yield its answer piece by piece; the last chunk has `is_final`.

        Arguments are those of `chat`.

        Raises:
            StreamInterruptedError: the stream broke after its first content.
            ProviderError: any other failure; its type says how.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release connections. Closing twice is allowed."""

    # ------------------------------------------------------------------ may be overridden

    def supports_tools(self) -> bool:
        """Tell whether `chat` and `stream` take `tools`."""
        return False

    def supports_streaming(self) -> bool:
        """Tell whether `stream` yields before the answer is whole."""
        return False

    def known_capabilities(self, model: str) -> Capabilities:  # noqa: ARG002 - for overrides
        """Return what is known of a model without asking anybody."""
        found = set()
        if self.supports_tools():
            found.add(Capability.TOOLS)
        if self.supports_streaming():
            found.add(Capability.STREAMING)
        return Capabilities(
            supported=frozenset(found), tool_mode="native" if self.supports_tools() else "none"
        )

    async def discover_capabilities(self, model: str) -> Capabilities:
        """Return what a model can do; an endpoint that can be asked, is."""
        return self.known_capabilities(model)

    async def count_tokens(
        self,
        text_or_messages: str | Sequence[Message],
        model: str,  # noqa: ARG002 - for overrides
    ) -> int:
        """Estimate the tokens of a text or a conversation: four bytes each, four per message."""
        if isinstance(text_or_messages, str):
            return -(-len(text_or_messages.encode("utf-8", "replace")) // 4)
        return sum(
            4 + -(-len(message.content.encode("utf-8", "replace")) // 4)
            for message in text_or_messages
        )

    @guards_itself
    async def embed(
        self,
        texts: str | Sequence[str],
        *,
        model: str | None = None,  # noqa: ARG002 - for overrides
        **kwargs: Any,  # noqa: ARG002 - for overrides
    ) -> Embeddings:
        """Turn texts into vectors. Guarded like `chat` where it is overridden.

        Args:
            texts: one or more.
            model: name of a model for embeddings.
            **kwargs: vendor options, passed through.

        Raises:
            UnsupportedFeatureError: this provider has no embeddings.
        """
        del texts
        raise UnsupportedFeatureError(f"{self.name} has no embeddings", provider=self.name)

    # ------------------------------------------------------------------ the guard

    @property
    def breaker(self) -> CircuitBreaker | None:
        """The circuit breaker of the endpoint; None with `use_circuit_breaker=False`.

        Providers that `create_provider` made share it with all others of the same name and address
        in this process; one that was made directly has its own.
        """
        return self._guard.breaker

    @functools.cached_property
    def _guard(self) -> Pipeline:
        # Made on first use, when an author's __init__ is over.
        circuits: Circuits | None = None
        if getattr(self, "use_circuit_breaker", True):
            known = shared_circuits() if self._shares_circuits else SharedCircuits()
            circuits = known.of(self._where, owner=self.name)
        return self._pipeline(circuits)

    def _pipeline(self, circuits: Circuits | None, **injected: Any) -> Pipeline:
        """Make the guard.

        Args:
            circuits: those of the endpoint; None leaves the breaker out.
            **injected: of `Pipeline`: clock, randomness and a listener, for simulations.
        """
        # The defaults stand in where an author's __init__ never called ours.
        options = getattr(self, "options", {})
        return Pipeline(
            self._where,
            owner=self.name,
            breaker=circuits,
            budget=RetryBudget() if circuits is None else circuits.budget,
            retry=RetryPolicy(
                max_retries=getattr(self, "max_retries", 3),
                retry_delay=options.get("retry_delay", 1.0),
                retry_backoff=options.get("retry_backoff", 2.0),
            ),
            deadlines=deadlines_of(getattr(self, "timeout", 60), options.get("total_timeout")),
            **injected,
        )

    def _gate(
        self,
        args: tuple[Any, ...],  # noqa: ARG002 - for overrides, like all of them
        options: dict[str, Any],  # noqa: ARG002
        deadlines: Deadlines | None,  # noqa: ARG002
    ) -> Gate | None:
        """Return what the attempts of one call of `chat` or `stream` have to pass first.

        Args:
            args: the call's.
            options: the call's keywords.
            deadlines: for this call; None for the guard's own.
        """
        return None

    @property
    def _where(self) -> str:
        """The endpoint; made by `create_provider`, all who name the same share its circuits."""
        address = getattr(self, "base_url", None)
        return f"{self.name} at {str(address).rstrip('/')}" if address else self.name

    async def _execute_with_circuit_breaker(
        self, fn: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Run one request of an author's own client under the breaker.

        Inside `chat` and `stream` the guard already watches, so this only calls `fn`; elsewhere
        (listing models, embeddings) it is the guard, without retries.
        """
        if is_inside(self):
            result = fn(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        async def once() -> Any:
            result = fn(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return await self._guard.call_once(once)

    async def _guarded(self, attempt: Callable[[], Awaitable[_T]]) -> _T:
        """Make one request under the whole guard, for methods that make several."""
        return await self._guard.call(attempt)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self, 'base_url', None) or 'without base_url'}>"

"""Every exception victor raises on purpose.

* VictorError
  * ConfigError                       something the user set, or has to set
    - MissingDependencyError          an extra is not installed
    - WeightsMissingError             the embedded model has to be downloaded first
    - UnknownProviderError            no provider of that name
  * ProviderError                     a model call failed
    - ProviderAuthError               401: the key is missing or wrong
      - ProviderPermissionError       403: the key is right and may not do this
    - ProviderRateLimitError          429: too fast                             (retryable)
    - ProviderQuotaError              402, 429: the money or the quota is used up
    - ProviderConnectionError         no connection, or it broke                (retryable)
      - ProviderTLSError              the certificate is not trusted
    - ProviderTimeoutError            one of our deadlines passed               (retryable)
    - ProviderServerError             5xx                                       (retryable)
      - ProviderOverloadedError       529, 503: too busy for anybody            (retryable)
    - ProviderInvalidRequestError     400, 404, 413, 422: what we sent is wrong
      - ContextWindowExceededError    the conversation is longer than the window
      - ModelNotFoundError            no such model
      - UnsupportedFeatureError       this provider or model cannot do that
    - ProviderInvalidResponseError    a 2xx that is not the API's answer        (retryable)
    - ContentFilterError              refused before any text came
    - StreamInterruptedError          the stream broke after its first content
    - CircuitOpenError                not tried: the endpoint is known to be down

Retryable is a property of the type: `error.retryable`. Knows nothing about HTTP or any vendor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    class _Details(TypedDict, total=False):
        """The keywords of `ProviderError`, for those of its subclasses that add their own."""

        provider: str | None
        model: str | None
        status_code: int | None
        retry_after: float | None
        request_id: str | None
        raw_error: object


__all__ = [
    "CircuitOpenError",
    "ConfigError",
    "ContentFilterError",
    "ContextWindowExceededError",
    "MissingDependencyError",
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
    "StreamInterruptedError",
    "UnknownProviderError",
    "UnsupportedFeatureError",
    "VictorError",
    "WeightsMissingError",
]


class VictorError(Exception):
    """The base of every exception that victor raises on purpose."""


class ConfigError(VictorError):
    """A setting is missing or wrong; the message names it and the next step."""


class MissingDependencyError(ConfigError):
    """A feature needs an extra that is not installed; the message names the pip command."""


class UnknownProviderError(ConfigError):
    """No provider is registered under that name; the message lists near matches."""


class WeightsMissingError(ConfigError):
    """The embedded model's weights are not on this machine.

    Args:
        message: what is missing and how to get it.
        command: the exact shell command that downloads the weights.
    """

    def __init__(self, message: str, *, command: str = "") -> None:  # copy and pickle omit it
        super().__init__(message)
        self.command = command


class ProviderError(VictorError):
    """A call to a model failed.

    Authors may raise this class itself: the guard then classifies the failure by
    `status_code`, and where there is none by the chain of causes.

    Args:
        message: what happened and what to do next, without the key or the prompt.
        provider: name of the provider, such as `"openai"`.
        model: the model that was asked.
        status_code: HTTP status of the answer; None where no answer came.
        retry_after: seconds the server asked us to wait; None where it did not say.
        request_id: the vendor's id of the request, for their support.
        raw_error: the exception or decoded error body underneath.
    """

    retryable: ClassVar[bool] = False
    """Whether the same request may succeed when it is sent again."""
    attempts: tuple[object, ...] = ()
    """Every try of the call that failed with this (`types.Attempt`); set by the guard."""

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status_code: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        raw_error: object = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.model = model
        self.status_code = status_code
        self.retry_after = retry_after
        self.request_id = request_id
        self.raw_error = raw_error


class ProviderAuthError(ProviderError):
    """The API key is missing, wrong or expired."""


class ProviderPermissionError(ProviderAuthError):
    """The key is valid and not allowed to do this."""


class ProviderRateLimitError(ProviderError):
    """Too many requests or tokens per minute; `retry_after` says how long to wait, if known."""

    retryable = True


class ProviderQuotaError(ProviderError):
    """The account's credit or its daily or monthly quota is used up."""


class ProviderConnectionError(ProviderError):
    """The endpoint could not be reached, or the connection broke before the answer was whole."""

    retryable = True


class ProviderTLSError(ProviderConnectionError):
    """The endpoint's certificate is not trusted; never retried and never downgraded."""

    retryable = False


class ProviderTimeoutError(ProviderError):
    """One of our own deadlines passed: connect, first content, idle or total."""

    retryable = True


class ProviderServerError(ProviderError):
    """The server failed (5xx)."""

    retryable = True


class ProviderOverloadedError(ProviderServerError):
    """The server or the model has no capacity left."""


class ProviderInvalidRequestError(ProviderError):
    """The server is well and refuses what we sent."""


class ContextWindowExceededError(ProviderInvalidRequestError):
    """The conversation is longer than the model's context window.

    Args:
        message: as in `ProviderError`.
        used: tokens of the request, where the server said so.
        limit: tokens of the window, where the server said so.
        **details: the keywords of `ProviderError`.
    """

    def __init__(
        self,
        message: str,
        *,
        used: int | None = None,
        limit: int | None = None,
        **details: Unpack[_Details],
    ) -> None:
        super().__init__(message, **details)
        self.used = used
        self.limit = limit


class ModelNotFoundError(ProviderInvalidRequestError):
    """The endpoint does not serve that model."""


class UnsupportedFeatureError(ProviderInvalidRequestError):
    """This provider or model cannot do what was asked; nothing was sent."""


class ProviderInvalidResponseError(ProviderError):
    """A success status came with something that is not the API's answer.

    Args:
        message: as in `ProviderError`.
        fault: what is wrong with it. `"form"`: it cannot be read. `"page"`: it is a web page, of a
            proxy or a wrong address. `"empty"`: it has neither text nor calls. `"model"`: the model
            wrote a call its own server refuses. The last three are tried once more and not oftener;
            the last says nothing against the endpoint.
        **details: the keywords of `ProviderError`.
    """

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        fault: Literal["form", "page", "empty", "model"] = "form",
        **details: Unpack[_Details],
    ) -> None:
        super().__init__(message, **details)
        self.fault = fault


class ContentFilterError(ProviderError):
    """The request or the answer was refused by a content filter before any text came."""


class StreamInterruptedError(ProviderError):
    """A stream broke after its first content. It is not retried: the caller saw a part already.

    Args:
        message: as in `ProviderError`.
        partial: the text that had arrived.
        provider: name of the provider.
        model: the model that was asked.
        raw_error: the failure that broke the stream; also the `__cause__`.
    """

    def __init__(
        self,
        message: str,
        partial: str = "",
        *,
        provider: str | None = None,
        model: str | None = None,
        raw_error: object = None,
    ) -> None:
        super().__init__(message, provider=provider, model=model, raw_error=raw_error)
        self.partial = partial


class CircuitOpenError(ProviderError):
    """The circuit breaker refused the call: the endpoint failed too often just now.

    Args:
        message: which endpoint, and when it will be tried again.
        retry_at: when a call will next be let through, in seconds of the breaker's clock.
        retry_after: the same, as seconds from now.
        last_error: the failure that opened the circuit.
        provider: name of the provider.
        model: the model that was asked.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_at: float = 0.0,
        retry_after: float | None = None,
        last_error: BaseException | None = None,
        provider: str | None = None,
        model: str | None = None,
    ) -> None:
        super().__init__(
            message,
            provider=provider,
            model=model,
            retry_after=retry_after,
            raw_error=last_error,
        )
        self.retry_at = retry_at
        self.last_error = last_error

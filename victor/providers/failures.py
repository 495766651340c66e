"""From an error answer to a typed exception: status first, then the body's code, then its text.

Knows the shapes in which LLM APIs spell errors, and nothing about sockets or requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from victor.errors import (
    ContentFilterError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
)
from victor.resilience.votes import parse_retry_after

__all__ = ["error_from_body", "error_from_response", "looks_like_html"]

_BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: ProviderAuthError,
    402: ProviderQuotaError,
    403: ProviderPermissionError,
    404: ModelNotFoundError,
    408: ProviderTimeoutError,
    425: ProviderOverloadedError,
    429: ProviderRateLimitError,
    498: ProviderOverloadedError,
    503: ProviderOverloadedError,
    504: ProviderTimeoutError,
    529: ProviderOverloadedError,
}

_BY_CODE: Mapping[str, type[ProviderError]] = {
    "insufficient_quota": ProviderQuotaError,
    "credit_balance_exhausted": ProviderQuotaError,
    "organization_spend_limit_exceeded": ProviderQuotaError,
    "project_spend_limit_exceeded": ProviderQuotaError,
    "organization_usage_limit_exceeded": ProviderQuotaError,
    "billing_hard_limit_reached": ProviderQuotaError,
    "context_length_exceeded": ContextWindowExceededError,
    "exceed_context_size_error": ContextWindowExceededError,
    "request_too_large": ContextWindowExceededError,
    "too_many_prompt_tokens": ContextWindowExceededError,
    "too_many_tokens": ContextWindowExceededError,
    "content_filter": ContentFilterError,
    "content_policy_violation": ContentFilterError,
    "responsibleaipolicyviolation": ContentFilterError,
    "model_not_found": ModelNotFoundError,
    "deploymentnotfound": ModelNotFoundError,
    "invalid_model": ModelNotFoundError,
    "invalid_api_key": ProviderAuthError,
    "api_key_invalid": ProviderAuthError,
    "authentication_error": ProviderAuthError,
    "permission_error": ProviderPermissionError,
    "tool_use_failed": ProviderInvalidResponseError,
    "rate_limit_exceeded": ProviderRateLimitError,
    "rate_limit_error": ProviderRateLimitError,
    "overloaded_error": ProviderOverloadedError,
    "provider_unavailable": ProviderOverloadedError,
    "server_error": ProviderServerError,
    "api_error": ProviderServerError,
    "internal_server_error": ProviderServerError,
    "invalid_request_error": ProviderInvalidRequestError,
}

# Sent with a plain 400 and a generic code by one vendor or another.
_BY_TEXT: tuple[tuple[re.Pattern[str], type[ProviderError]], ...] = (
    (
        re.compile(
            r"maximum context length|context window|context size|prompt is too long"
            r"|too many tokens|exceeds the maximum number of tokens|token limit reached"
            r"|longer than the model's context|current length is \d+ while limit"
            r"|exceed model maximum|exceeded max context",
            re.IGNORECASE,
        ),
        ContextWindowExceededError,
    ),
    (re.compile(r"incorrect api key|invalid api key|api key not valid", re.I), ProviderAuthError),
    (re.compile(r"credit balance is too low", re.I), ProviderQuotaError),
    (
        re.compile(r"model .{0,80}(does not exist|not found|was removed)", re.I),
        ModelNotFoundError,
    ),
)

_CODES_BEFORE_STATUS = (ContextWindowExceededError, ProviderQuotaError, ContentFilterError)
_HTTP_STATUS = re.compile(r"[45][0-9]{2}")
# Numbers that stand alone: not the date in a model's name.
_COUNT = re.compile(r"(?<![\w.-])[0-9][0-9,]{2,14}(?![\w-])")
_SUM_OVER_LIMIT = re.compile(r"([0-9]+) \+ ([0-9]+) > ([0-9]+)")
_MAX_TEXT = 600


@dataclass(frozen=True, slots=True)
class _Body:
    """What an error body says."""

    text: str
    codes: tuple[str, ...]
    status: int | None
    raw: object


def error_from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    provider: str,
    model: str | None = None,
    host: str = "",
) -> ProviderError:
    """Make the typed error for an HTTP answer that is not a 2xx.

    Args:
        status: the HTTP status.
        headers: the answer's headers, with lower-case names.
        body: the answer's body, or its beginning.
        provider: name of the provider.
        model: the model that was asked.
        host: where the answer came from.
    """
    if 300 <= status < 400:
        target = _printable(headers.get("location", "nowhere"))[:200]
        return ProviderInvalidRequestError(
            f"{host} answered {status} and points to {target}. Redirects are not followed, as they "
            f"would carry the key and the prompt along; set base_url to the final address.",
            provider=provider,
            model=model,
            status_code=status,
        )
    found = _read(body)
    kind = _kind(status, found)
    return _make(
        kind,
        f"{host or provider} answered {status}: {found.text or 'no details'}{_hint(status, kind)}",
        found,
        provider=provider,
        model=model,
        status_code=status,
        retry_after=parse_retry_after(headers),
        request_id=headers.get("x-request-id") or headers.get("request-id"),
    )


def error_from_body(
    error: Any, *, provider: str, model: str | None = None, where: str = "in a 200 answer"
) -> ProviderError:
    """Make the typed error for an error object that came with a success status.

    Args:
        error: the decoded `error` member, or the whole body.
        provider: name of the provider.
        model: the model that was asked.
        where: where it stood, for the message.
    """
    found = _describe(error)
    status = found.status or 0
    kind = _kind(status, found) if status >= 400 else _by_words(found) or ProviderServerError
    return _make(
        kind,
        f"{provider} sent an error {where}: {found.text or 'no details'}",
        found,
        provider=provider,
        model=model,
        status_code=found.status,
    )


def looks_like_html(body: bytes) -> bool:
    """Tell whether a body is a web page rather than an API's answer."""
    start = body[:256].lstrip().lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml"))


def _make(kind: type[ProviderError], message: str, found: _Body, **details: Any) -> ProviderError:
    if kind is ContextWindowExceededError:
        used, limit = _counts(found)
        return ContextWindowExceededError(
            message, used=used, limit=limit, raw_error=found.raw, **details
        )
    return kind(message, raw_error=found.raw, **details)


def _counts(found: _Body) -> tuple[int | None, int | None]:
    raw = found.raw
    if isinstance(raw, Mapping) and isinstance(raw.get("n_prompt_tokens"), int):
        limit = raw.get("n_ctx")
        return raw["n_prompt_tokens"], limit if isinstance(limit, int) else None
    if added := _SUM_OVER_LIMIT.search(found.text):
        prompt, answer, limit = map(int, added.groups())
        return prompt + answer, limit
    counts = [int(number.replace(",", "")) for number in _COUNT.findall(found.text)[:2]]
    return (max(counts), min(counts)) if len(counts) == 2 else (None, None)


def _kind(status: int, found: _Body) -> type[ProviderError]:
    by_words = _by_words(found)
    if status < 500 and by_words is not None and issubclass(by_words, _CODES_BEFORE_STATUS):
        return by_words  # a 5xx is an outage, whatever its body quotes
    if status >= 500 and found.status == 429:
        return ProviderRateLimitError  # a router's own status round that of the vendor
    if status in (400, 422):
        # Whatever type such a body names, the server is well enough to refuse.
        broken = by_words is None or issubclass(by_words, ProviderServerError)
        return ProviderInvalidRequestError if broken or by_words is None else by_words
    if status == 404:
        # Without a word about a model, it is the address that is wrong.
        named = by_words is ModelNotFoundError or "model" in found.text.lower()
        return ModelNotFoundError if named else ProviderInvalidRequestError
    if status == 413:
        return ContextWindowExceededError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return ProviderServerError if status >= 500 else ProviderInvalidRequestError


def _by_words(found: _Body) -> type[ProviderError] | None:
    kinds = [_BY_CODE[code] for code in found.codes if code in _BY_CODE]
    for pattern, kind in _BY_TEXT:
        if pattern.search(found.text):
            kinds.append(kind)
    # The most telling word wins: `invalid_request_error` stands on almost everything.
    for kind in kinds:
        if kind is not ProviderInvalidRequestError:
            return kind
    return kinds[0] if kinds else None


def _read(body: bytes) -> _Body:
    try:
        value = from_json(body)
    except ValueError:
        if looks_like_html(body):
            return _Body("a web page, not the API: is base_url right?", (), None, None)
        text = body[:_MAX_TEXT].decode("utf-8", "replace").strip()
        return _Body(_printable(text), (), None, None)
    return _describe(value)


def _describe(value: Any) -> _Body:
    if isinstance(value, list) and value:
        value = value[0]
    outer = value if isinstance(value, Mapping) else {}
    inner = outer.get("error", value)
    if isinstance(inner, str):
        return _Body(_printable(inner), _codes(outer), _status(outer), value)
    if not isinstance(inner, Mapping):
        return _Body(_printable(str(value)), _codes(outer), None, value)
    told = (inner.get("message"), inner.get("detail"), outer.get("message"), outer.get("errors"))
    text = next((one for one in told if one), "")
    nested = inner.get("innererror")
    codes = _codes(inner) + _codes(outer) + (_codes(nested) if isinstance(nested, Mapping) else ())
    return _Body(_printable(_upstream(inner, text)), codes, _status(inner) or _status(outer), inner)


def _upstream(inner: Mapping[str, Any], text: Any) -> str:
    """Add what a router (OpenRouter) says about the vendor behind it."""
    text = text if isinstance(text, str) else str(text)
    metadata = inner.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    return f"{text} ({raw})" if isinstance(raw, str) else text


def _codes(value: Mapping[str, Any]) -> tuple[str, ...]:
    words = (value.get(key) for key in ("code", "type", "status", "error_type"))
    return tuple(word.lower() for word in words if isinstance(word, str))


def _status(value: Mapping[str, Any]) -> int | None:
    for key in ("code", "status", "status_code"):
        number = value.get(key)
        if isinstance(number, str) and _HTTP_STATUS.fullmatch(number):
            number = int(number)
        if isinstance(number, int) and 400 <= number < 600:
            return number
    return None


def _hint(status: int, kind: type[ProviderError]) -> str:
    if status == 404 and kind is ProviderInvalidRequestError:
        return "; no such address: does base_url end in the API's version, such as /v1?"
    return ""


def _printable(text: str) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"

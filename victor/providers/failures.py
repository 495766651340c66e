"""From an error answer to a typed exception: status first, then the body's code, then its text.

Knows the shapes in which LLM APIs spell errors, and nothing about sockets or requests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
)
from victor.providers.failure_words import BY_CODE, BY_STATUS, BY_TEXT
from victor.providers.rate_limits import parse_duration, reset_after
from victor.resilience.retry_after import parse_retry_after

__all__ = ["error_from_body", "error_from_response", "looks_like_html"]

_CODES_BEFORE_STATUS = (ContextWindowExceededError, ProviderQuotaError, ContentFilterError)
_HTTP_STATUS = re.compile(r"[45][0-9]{2}")
# Numbers that stand alone: not the date in a model's name.
_COUNT = re.compile(r"(?<![\w.-])[0-9][0-9,]{2,14}(?![\w-])")
_SUM_OVER_LIMIT = re.compile(r"([0-9]+) \+ ([0-9]+) > ([0-9]+)")
_TOO_LARGE = re.compile(r"request too large.*?limit:? ([\d,]+).*?requested:? ([\d,]+)", re.I | re.S)
_TRY_AGAIN = re.compile(r"try again in ([0-9.]+(?:ms|s|m|h)(?:[0-9.]+(?:ms|s|m))*)", re.I)
_REQUEST_IDS = (
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-ms-request-id",
    "x-goog-request-id",
    "cf-ray",
)
_MAX_TEXT = 600


@dataclass(frozen=True, slots=True)
class _Body:
    """What an error body says."""

    text: str
    codes: tuple[str, ...]
    status: int | None
    raw: object
    quota_is_spent: bool = False
    """Whether it names a limit per day, or of nothing at all (Gemini)."""
    flagged: bool = False
    """Whether a router refused it for its content."""
    retry_after: float | None = None
    request_id: str | None = None


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
        headers: the answer's headers.
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
    lowered = {str(name).lower(): value for name, value in headers.items()}
    found = _read(body)
    if named := lowered.get("x-amzn-errortype"):
        # The name of an exception, and after a colon an address nobody needs.
        found = replace(found, codes=(named.partition(":")[0].lower(), *found.codes))
    kind = _kind(status, found)
    wait = parse_retry_after(lowered)
    if wait is None:
        wait = found.retry_after
    if wait is None and status == 429:
        wait = reset_after(lowered)
    return _make(
        kind,
        f"{host or provider} answered {status}: {found.text or 'no details'}{_hint(status, kind)}",
        found,
        provider=provider,
        model=model,
        status_code=status,
        retry_after=wait,
        request_id=next((lowered[name] for name in _REQUEST_IDS if lowered.get(name)), None)
        or found.request_id,
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
        retry_after=found.retry_after,
        request_id=found.request_id,
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
    if kind is ProviderInvalidResponseError:  # only ever for what the model wrote
        return ProviderInvalidResponseError(message, fault="model", raw_error=found.raw, **details)
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


def _kind(status: int, found: _Body) -> type[ProviderError]:  # noqa: PLR0911 - a table of rules
    by_words = _by_words(found)
    if status == 429:
        return _too_fast(found)
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
    if status == 403 and (found.flagged or by_words is ProviderAuthError):
        return ContentFilterError if found.flagged else ProviderAuthError
    if status in BY_STATUS:
        return BY_STATUS[status]
    return ProviderServerError if status >= 500 else ProviderInvalidRequestError


def _too_fast(found: _Body) -> type[ProviderError]:
    """Tell apart what a 429 may mean; its text may speak of tokens for every one of them."""
    for code in found.codes:
        kind = BY_CODE.get(code)
        if kind is not None and issubclass(kind, (*_CODES_BEFORE_STATUS, ProviderOverloadedError)):
            return kind
    if found.quota_is_spent or _by_words(found) is ProviderQuotaError:
        return ProviderQuotaError
    large = _TOO_LARGE.search(found.text)
    if large and _whole(large[2]) > _whole(large[1]):
        return ContextWindowExceededError  # no wait will make it fit
    return ProviderRateLimitError


def _whole(digits: str) -> int:
    return int(digits.replace(",", "")[:15] or "0")


def _by_words(found: _Body) -> type[ProviderError] | None:
    kinds = [BY_CODE[code] for code in found.codes if code in BY_CODE]
    for pattern, kind in BY_TEXT:
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
        # The name of the failure or a sentence about it; FastAPI's and Ollama's is a sentence.
        text = next((one for one in (outer.get("message"), outer.get("detail")) if one), inner)
        return _Body(_printable(str(text)), (*_codes(outer), inner.lower()), _status(outer), value)
    if not isinstance(inner, Mapping):
        return _Body(_printable(str(value)), _codes(outer), None, value)
    keys = ("message", "Message", "detail", "msg", "title")
    told = [source.get(key) for source in (inner, outer) for key in keys]
    text = next((one for one in (*told, outer.get("errors")) if one), "")
    nested = inner.get("innererror")
    codes = _codes(inner) + _codes(outer) + (_codes(nested) if isinstance(nested, Mapping) else ())
    found = _Body(
        _printable(_upstream(inner, text)),
        codes,
        _status(inner) or _status(outer),
        inner,
        flagged=_flagged(inner),
        request_id=next(
            (one for one in (outer.get("request_id"), inner.get("request_id")) if _is_word(one)),
            None,
        ),
    )
    return _with_details(found, inner.get("details"))


def _with_details(found: _Body, details: Any) -> _Body:
    """Add what Google's error details say (https://cloud.google.com/apis/design/errors)."""
    codes, wait, spent = list(found.codes), None, False
    google = isinstance(details, list)
    for detail in details if google else ():
        if not isinstance(detail, Mapping):
            continue
        if _is_word(detail.get("reason")):
            codes.append(detail["reason"].lower())
        if _is_word(detail.get("retryDelay")):
            wait = parse_duration(detail["retryDelay"])
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            spent = spent or "perday" in str(violation).lower().replace("_", "")
    if google and "limit: 0," in found.text:
        spent = True  # the plan has none of this model
    if wait is None and (hint := _TRY_AGAIN.search(found.text)):
        wait = parse_duration(hint[1])
    return replace(found, codes=tuple(codes), retry_after=wait, quota_is_spent=spent)


def _flagged(inner: Mapping[str, Any]) -> bool:
    metadata = inner.get("metadata")
    return isinstance(metadata, Mapping) and "flagged_input" in metadata


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _upstream(inner: Mapping[str, Any], text: Any) -> str:
    """Add what a router (OpenRouter) says about the vendor behind it."""
    text = text if isinstance(text, str) else str(text)
    metadata = inner.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    return f"{text} ({raw})" if isinstance(raw, str) else text


def _codes(value: Mapping[str, Any]) -> tuple[str, ...]:
    words = (value.get(key) for key in ("code", "type", "status", "error_type", "__type"))
    return tuple(word.rpartition("#")[2].lower() for word in words if isinstance(word, str))


def _status(value: Mapping[str, Any]) -> int | None:
    for key in ("code", "status", "status_code"):
        number = value.get(key)
        if isinstance(number, str) and _HTTP_STATUS.fullmatch(number):
            number = int(number)
        if isinstance(number, int) and 400 <= number < 600:
            return number
    return None


def _hint(status: int, kind: type[ProviderError]) -> str:
    if status == 407:
        return (
            "; a proxy wants a password: set HTTP_PROXY or HTTPS_PROXY to "
            "http://user:password@host:port"
        )
    if status == 404 and kind is ProviderInvalidRequestError:
        return "; no such address: does base_url end in the API's version, such as /v1?"
    return ""


def _printable(text: str) -> str:
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"

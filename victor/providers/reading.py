"""Small readers that every wire needs: take what a server sent, believe nothing about its type.

Knows JSON, and nothing about any one protocol.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import from_json

from victor.errors import (
    ContentFilterError,
    ProviderConnectionError,
    ProviderInvalidResponseError,
)
from victor.providers.failures import looks_like_html
from victor.types import CompletionResponse, JsonObject, StreamChunk, ToolCall, parse_arguments

__all__ = [
    "bad_call",
    "brief",
    "count",
    "cut_off",
    "empty_answer",
    "filtered",
    "mapping",
    "not_ours",
    "parse_object",
    "unique_calls",
    "vectors",
    "whole_answer",
    "word",
]


_MOST_QUOTED = 300
# An escape of JSON: a surrogate pair, a surrogate without its other half, or anything else.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def vectors(rows: Any, expected: int, *, provider: str, model: str) -> list[list[float]]:
    """Return the vectors of an answer to a request for embeddings.

    Raises:
        ProviderInvalidResponseError: they are not `expected` lists of finite numbers.
    """
    if not isinstance(rows, list) or len(rows) != expected:
        got = len(rows) if isinstance(rows, list) else "no"
        raise not_ours(f"has {got} vectors for {expected} texts", provider=provider, model=model)
    found = []
    for row in rows:
        try:
            vector = array("d", row if isinstance(row, list) else ())
        except (TypeError, OverflowError):
            vector = array("d")
        if not vector or not all(map(math.isfinite, vector)):
            raise not_ours("has a vector that is none", provider=provider, model=model)
        found.append(vector.tolist())
    return found


def word(value: Any) -> str:
    """Return a string, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def count(value: Any) -> int | None:
    """Return a whole number; None for anything that is none, which is not the same as 0."""
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def parse_object(body: bytes, *, provider: str, model: str) -> JsonObject:
    """Parse a body or an event that has to be a JSON object.

    An array is taken for its first object: Gemini wraps errors so.

    Raises:
        ProviderInvalidResponseError: it is no JSON, no object, or a web page.
    """
    try:
        value = _parsed(body)
    except ValueError as error:
        if looks_like_html(body):
            raise ProviderInvalidResponseError(
                f"the answer of {provider} is a web page; is base_url right?",
                fault="page",
                provider=provider,
                model=model,
            ) from None
        raise not_ours(f"is not valid JSON ({error})", provider=provider, model=model) from error
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        value = value[0]
    if not isinstance(value, dict):
        what = f"is a JSON {type(value).__name__}, not an object"
        raise not_ours(what, provider=provider, model=model)
    return value


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        # Half a character as an escape: some servers cut a text between the two. It would parse
        # nowhere else either, so it is replaced once, here.
        mended = _ESCAPE.sub(_whole_or_replaced, body)
        if mended == body:
            raise
    return from_json(mended)


def _whole_or_replaced(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape["lone"] is None else rb"\ufffd"


def brief(value: object) -> str:
    """Return a value for a message: what a server sent may be as long as it likes."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MOST_QUOTED else f"{text[:_MOST_QUOTED]}…"


def not_ours(what: str, *, provider: str, model: str) -> ProviderInvalidResponseError:
    """Make the error for a success that is not the protocol's."""
    return ProviderInvalidResponseError(
        f"the answer of {provider} {what}", provider=provider, model=model
    )


def empty_answer(raw_stop: object, *, provider: str, model: str) -> ProviderInvalidResponseError:
    """Make the error for an answer with neither text nor calls; it is tried once more."""
    why = brief(repr(raw_stop))
    return ProviderInvalidResponseError(
        f"{provider} answered with neither text nor tool calls (it stopped with {why})",
        fault="empty",
        provider=provider,
        model=model,
    )


def filtered(
    why: str = "", *, provider: str, model: str, how: str = "filtered the answer"
) -> ContentFilterError:
    """Make the error for an answer that was filtered, or refused, before any text came."""
    reason = f" ({why})" if why else ""
    return ContentFilterError(
        f"{provider} {how} before any text came{reason}", provider=provider, model=model
    )


def bad_call(what: str, *, provider: str, model: str) -> ProviderInvalidResponseError:
    """Make the error for a call that the model wrote and its own server refused."""
    return ProviderInvalidResponseError(
        f"{provider} could not use a tool call its model wrote: {brief(what)}",
        fault="model",
        provider=provider,
        model=model,
    )


def cut_off(*, provider: str, model: str) -> ProviderConnectionError:
    """Make the error for a stream that ended before its answer did."""
    return ProviderConnectionError(
        f"the stream of {provider} ended before the answer did", provider=provider, model=model
    )


def whole_answer(
    final: StreamChunk, *, content: str, reasoning: str, raw: Any
) -> CompletionResponse:
    """Make the answer of a whole body, unvalidated: every field was read by its type.

    Args:
        final: what a stream of the same answer would have ended with.
        content: all its text.
        reasoning: all its thinking; blank is none.
        raw: the body as it was decoded.
    """
    return CompletionResponse.model_construct(
        content=content,
        role="assistant",
        tool_calls=final.tool_calls,
        stop_reason=final.stop_reason,
        usage=final.usage,
        model=final.model,
        reasoning=reasoning or None,
        provider_state=final.provider_state,
        raw_response=raw,
        attempts=(),
    )


def unique_calls(
    found: Iterable[tuple[str, str, str | Mapping[str, Any] | None]],
) -> list[ToolCall]:
    """Make tool calls of (id, name, arguments), with ids made up where missing or repeated.

    Nameless ones are dropped, as nothing can run them. Arguments are JSON text or the object; null
    and blank are no arguments.
    """
    seen: set[str] = set()
    calls: list[ToolCall] = []
    for call_id, name, arguments in found:
        if not name:
            continue
        fields: JsonObject = (
            {"arguments": dict(arguments)}
            if isinstance(arguments, Mapping)
            else parse_arguments(arguments)
        )
        if call_id and call_id not in seen:
            seen.add(call_id)
            fields["id"] = call_id
        calls.append(ToolCall(name=name, **fields))
    return calls

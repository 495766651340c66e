"""OpenAI Responses, the answer: one JSON body, and what any finished answer comes to.

Spec: https://platform.openai.com/docs/api-reference/responses/object
Reads what servers of this protocol really send, not only what the specification allows. Knows
nothing about HTTP, keys or retries, nor how an answer arrived; `stream.py` reads events.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from victor.providers.failures import error_from_body
from victor.providers.reading import (
    count,
    empty_answer,
    filtered,
    mapping,
    not_ours,
    parse_object,
    whole_answer,
    word,
)
from victor.providers.wires.ending import settled_stop, tokens
from victor.providers.wires.openai_responses.items import (
    Reading,
    open_positions,
    read_items,
    state_of,
)
from victor.types import CompletionResponse, StreamChunk, Usage

__all__ = ["conclusion", "decode", "raise_failure"]

_STOPS: Mapping[str, str] = MappingProxyType(
    {
        "completed": "stop",
        "complete": "stop",
        "max_output_tokens": "length",
        "max_tokens": "length",
        "length": "length",
        "content_filter": "content_filter",
    }
)
_PICTURE = "image_generation_call"


def decode(body: bytes, *, provider: str, model: str) -> CompletionResponse:
    """Read a whole answer.

    Raises:
        ProviderInvalidResponseError: the body is not this protocol's, or the answer is empty.
        ContentFilterError: the answer was filtered before any text came.
        ProviderError: the answer is an error, or failed; its type says which.
    """
    value = parse_object(body, provider=provider, model=model)
    raise_failure(value, provider=provider, model=model, where="in a 200 answer")
    output = value.get("output")
    if not isinstance(output, list):
        raise not_ours(f"has no output: {body[:200]!r}", provider=provider, model=model)
    found = read_items(output)
    # Some send the text beside the items only.
    content = found.content or word(value.get("output_text"))
    final = conclusion(value, found, text=content, provider=provider, model=model)
    return whole_answer(final, content=content, reasoning=found.reasoning, raw=value)


def raise_failure(value: Mapping[str, Any], *, provider: str, model: str, where: str) -> None:
    """Raise the typed error if an answer or an event is one.

    Raises:
        ProviderError: it is; vLLM and FastAPI do not wrap theirs.
    """
    error = value.get("error")
    if error:
        # An object of its own, or a string beside its code.
        found: Any = {"error": error} if isinstance(error, Mapping) else value
    elif value.get("status") == "failed":
        found = {"error": {"type": "server_error", "message": "the response failed"}}
    elif value.get("type") == "error" or value.get("object") == "error" or _is_detail(value):
        found = value
    else:
        return
    raise error_from_body(found, provider=provider, model=model, where=where)


def _is_detail(value: Mapping[str, Any]) -> bool:
    return "detail" in value and not value.keys() & {"type", "output", "response"}


def conclusion(
    response: Mapping[str, Any], found: Reading, *, text: str, provider: str, model: str
) -> StreamChunk:
    """Return the final chunk of an answer.

    Args:
        response: the response object, without failures.
        found: what its items say.
        text: all text that came, also where no item has it.
        provider: whose answer it is.
        model: the model that was asked.

    Raises:
        ProviderInvalidResponseError: there is neither text nor a call nor anything like them.
        ContentFilterError: it was filtered before any text came.
    """
    raw = _raw_stop(response)
    stop = "content_filter" if found.refused else _STOPS.get(raw, "other")
    stop = settled_stop(stop, has_calls=bool(found.calls))
    if not text and not found.calls and stop != "length" and not _says_otherwise(response, found):
        if stop == "content_filter":
            raise filtered(provider=provider, model=model)
        raise empty_answer(raw, provider=provider, model=model)
    return StreamChunk(
        tool_calls=found.calls or None,
        stop_reason=stop,
        usage=_usage(response.get("usage")),
        is_final=True,
        provider_state=state_of(found.items, provider),
        model=word(response.get("model")) or model,
    )


def _raw_stop(response: Mapping[str, Any]) -> str:
    status = word(response.get("status")) or "completed"
    if status != "incomplete":
        return status
    return word(mapping(response.get("incomplete_details")).get("reason")) or status


def _says_otherwise(response: Mapping[str, Any], found: Reading) -> bool:
    """Tell whether an answer without text and calls still is what somebody asked for.

    A picture; a hosted tool that the caller has to run; a job that was put into the background.
    """
    if response.get("background") and response.get("status") in ("queued", "in_progress"):
        return True
    pictured = any(item["type"] == _PICTURE and item.get("result") for item in found.items)
    return pictured or bool(open_positions(found.items))


def _usage(value: Any) -> Usage | None:
    if not isinstance(value, Mapping) or not value:
        return None
    asked, answered = count(value.get("input_tokens")), count(value.get("output_tokens"))
    prompt = mapping(value.get("input_tokens_details"))
    completion = mapping(value.get("output_tokens_details"))
    return tokens(
        asked,
        answered,
        total=count(value.get("total_tokens")),
        cached=count(prompt.get("cached_tokens")),
        cache_write=count(prompt.get("cache_write_tokens")),
        reasoning=count(completion.get("reasoning_tokens")),
    )

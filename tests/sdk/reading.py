"""What one SDK, or one of victor's wires, made of one answer, in one vocabulary, to compare them.

Knows no SDK; victor's own reading is here, too.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from victor.config.catalog import VENDORS, Vendor, WireName
from victor.errors import ProviderError
from victor.providers.exchange import Exchange
from victor.providers.request import ChatRequest
from victor.types import CompletionResponse, Message, ToolCall

__all__ = [
    "QUESTION",
    "Reader",
    "Reading",
    "Refusal",
    "VictorReader",
    "arguments",
    "differing",
    "outcome",
    "stop_of",
]

QUESTION = "Hi"
_COMPARED = ("text", "calls", "stop", "prompt", "completion")
_FINAL = frozenset({"length", "content_filter", "error"})


@dataclass(frozen=True)
class Reading:
    """A whole answer."""

    text: str
    calls: tuple[tuple[str, Any], ...] = ()
    """Name and arguments; arguments that are no JSON stay text."""
    stop: str | None = "other"
    """victor's word for it; None where the SDK does not know the vendor's word."""
    prompt: int | None = None
    """Tokens, cached ones included; None where nothing was said."""
    completion: int | None = None
    """Tokens, thinking included."""


@dataclass(frozen=True)
class Refusal:
    """An error that was raised."""

    status: int | None
    """The answer's status; None where it was a success that turned out to be none."""
    what: str = ""


class Reader(Protocol):
    """Asks a server, and reads what it answers."""

    def __init__(self, url: str) -> None: ...

    async def read(self, model: str, *, stream: bool) -> Reading:
        """Ask a question; raises whatever the SDK raises."""

    async def close(self) -> None:
        """Release the connections."""


def arguments(value: Any) -> Any:
    """Decode arguments that are text; as everywhere in victor, none at all are `{}`."""
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except ValueError:
            return value
    return {} if value is None else value


def stop_of(reason: Any, words: dict[str, str], *, calls: bool) -> str | None:
    """Translate a reason: calls mean `tool_calls`, unless the answer is broken off or blocked."""
    found = words.get(str(getattr(reason, "value", reason)))
    return "tool_calls" if calls and found not in _FINAL else found


class VictorReader:
    """One of victor's wires, over the same sockets; not what is made of an answer afterwards.

    Args:
        url: of the server, without a path.
        wire: the protocol.
        provider: the row of the catalog, if it speaks this protocol.
    """

    def __init__(self, url: str, wire: WireName, provider: str) -> None:
        row = VENDORS.get(provider)
        if row is None or row.wire != wire:
            row = Vendor(provider, None, wire=wire)
        row = replace(row, auth="bearer", azure=False, needs_key=False, url_variables=(), places=())
        self._exchange = Exchange(row, url, "key")

    async def read(self, model: str, *, stream: bool) -> Reading:
        question = [Message(role="user", content=QUESTION)]
        request = ChatRequest(question, model, max_tokens=100, stream=stream)
        if not stream:
            return _read(await self._exchange.answer(request))
        chunks = [chunk async for chunk in self._exchange.events(request)]
        final = chunks[-1]
        return _read(
            CompletionResponse(
                content="".join(chunk.content for chunk in chunks),
                tool_calls=final.tool_calls,
                stop_reason=final.stop_reason,
                usage=final.usage,
            )
        )

    async def close(self) -> None:
        await self._exchange.close()


def _read(answer: CompletionResponse) -> Reading:
    usage = answer.usage
    return Reading(
        text=answer.content,
        calls=tuple((call.name, _given(call)) for call in answer.tool_calls or ()),
        stop=answer.stop_reason,
        prompt=usage.prompt_tokens if usage else None,
        completion=usage.completion_tokens if usage else None,
    )


def _given(call: ToolCall) -> Any:
    return call.arguments if call.error is None else arguments(call.raw_arguments)


async def outcome(reading: Awaitable[Reading]) -> Reading | Refusal:
    """Wait for a reading, or for the error it ends in."""
    try:
        return await reading
    except ProviderError as error:
        return Refusal(error.status_code, f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises is its answer
        return Refusal(_status(error), f"{type(error).__name__}: {error}")


def _status(error: Exception) -> int | None:
    for name in ("status_code", "code"):
        found = getattr(error, name, None)
        if isinstance(found, int) and found > 0:  # Ollama's has -1 where there was none
            return found
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return found if isinstance(found, int) else None
    return None


def differing(ours: Reading | Refusal, theirs: Reading | Refusal) -> set[str]:
    """Return in which fields two outcomes differ; "error" if only one is one, or its status."""
    match ours, theirs:
        case Reading(), Reading():
            names = {name for name in _COMPARED if getattr(ours, name) != getattr(theirs, name)}
            return names - {"stop"} if theirs.stop is None else names
        case Refusal(), Refusal():
            return {"error"} if theirs.status not in (None, ours.status) else set()
        case _:
            return {"error"}

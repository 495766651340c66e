"""Anthropic Messages, the request: a `ChatRequest` becomes the bytes of one POST.

Spec: https://docs.anthropic.com/en/api/messages and .../build-with-claude/prompt-caching
Turns alternate and the user has the first; system prompts stand apart. Messages are frozen, so
each is encoded once and its bytes are kept on it, without the prompt cache's markers, which move.
Knows nothing about HTTP, keys or retries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from victor.config.catalog import Vendor
from victor.providers.history import HistoryRules, own_state, prepared
from victor.providers.options import standard_options
from victor.providers.reading import word
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.wires.anthropic.content import WIRE, blocks_of, has_thinking
from victor.providers.wires.anthropic.settings import settings, tool_settings
from victor.providers.writing import merged, to_bytes
from victor.types import JsonObject, Message

__all__ = ["encode"]

_RULES = HistoryRules(WIRE, call_id=re.compile(r"[a-zA-Z0-9_-]+"))
_OPENING = b'{"type":"text","text":"(The conversation begins.)"}'
# Read here, never sent.
_OWN = frozenset({"betas", "cache", "server_tools"})


def encode(request: ChatRequest, vendor: Vendor) -> HTTPCall:
    """Write a request as the bytes of a POST to `/v1/messages`.

    The same history always gives the same bytes. By default the tools, the system prompt and the
    last two turns of the user end in a marker for the prompt cache. Options of this wire's own:
    `cache=False` sends no markers, and `cache="1h"` keeps what they mark for so long;
    `server_tools` is a list of tools that the server runs, as the API spells them; `betas` is a
    list of names for the header `anthropic-beta`. Everything else passes through.

    Raises:
        UnsupportedFeatureError: an attachment, an output format or an option cannot be sent.
        ProviderInvalidRequestError: an option cannot be understood.
    """
    provider = vendor.name
    ready = prepared(request.messages, _RULES, provider=provider)
    messages = ready.messages
    asked = standard_options(request.options)
    notes = list(ready.notes)
    body = settings(
        request,
        asked,
        provider=provider,
        lost_thinking=asked.reasoning_effort is not None and _lost_thinking(messages, provider),
        notes=notes,
    )
    marker = _marker(asked.extra)
    body |= tool_settings(request.tools or (), asked)
    if "tools" in body:
        body["tools"] = _marked(body["tools"], marker)
    system, rest = _system(messages)
    if system:
        body["system"] = _marked(system, marker)
    if container := _container(rest, provider):
        body["container"] = container
    extra = {name: value for name, value in asked.extra.items() if name not in _OWN}
    unsigned = request.model_data.echo_reasoning is True
    turns = _turns(_without_last_space(rest, provider), provider, unsigned=unsigned)
    parts = (to_bytes(merged(body, extra))[:-1], b',"messages":[', _joined(turns, marker), b"]}")
    return HTTPCall("/v1/messages", b"".join(parts), _headers(asked.extra), tuple(notes))


def _headers(extra: Mapping[str, Any]) -> Mapping[str, str]:
    betas = extra.get("betas")
    if not betas:
        return {}
    return {"anthropic-beta": betas if isinstance(betas, str) else ",".join(map(str, betas))}


def _marker(extra: Mapping[str, Any]) -> Mapping[str, str] | None:
    """Return the marker of the prompt cache; None where the caller wants none or sets their own."""
    cache = extra.get("cache", True)
    if not cache or "cache_control" in extra:
        return None
    return {"type": "ephemeral", **({"ttl": cache} if isinstance(cache, str) else {})}


def _marked(blocks: list[JsonObject], marker: Mapping[str, str] | None) -> list[JsonObject]:
    return blocks if marker is None else [*blocks[:-1], {**blocks[-1], "cache_control": marker}]


def _system(messages: Sequence[Message]) -> tuple[list[JsonObject], Sequence[Message]]:
    """Return the system prompts at the beginning as blocks, and the messages after them.

    Later ones are text in the user's turn there: only some models take them as such.
    """
    count = next(
        (at for at, message in enumerate(messages) if message.role != "system"), len(messages)
    )
    texts = [message.content for message in messages[:count] if message.content.strip()]
    return [{"type": "text", "text": text} for text in texts], messages[count:]


def _turns(
    messages: Sequence[Message], provider: str, *, unsigned: bool
) -> list[tuple[str, list[bytes]]]:
    turns: list[tuple[str, list[bytes]]] = []
    key = f"_anthropic:{provider}:{unsigned}"
    for message in messages:
        # Kept in the instance's dict, where pydantic's own fields are, as cached_property does;
        # copies made by model_copy() start without it.
        kept: bytes | None = message.__dict__.get(key)
        if kept is None:
            blocks = blocks_of(message, provider=provider, unsigned=unsigned)
            kept = message.__dict__[key] = to_bytes(blocks)[1:-1]
        role = "assistant" if message.role == "assistant" else "user"
        if not kept:
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].append(kept)
        else:
            turns.append((role, [kept]))
    if not turns or turns[0][0] == "assistant":
        turns.insert(0, ("user", [_OPENING]))
    return turns


def _joined(turns: list[tuple[str, list[bytes]]], marker: Mapping[str, str] | None) -> bytes:
    """Write the turns, the last two of the user with a marker on their last block."""
    of_user = [at for at, (role, _) in enumerate(turns) if role == "user"]
    marked = of_user[-2:] if marker is not None else []
    suffix = b',"cache_control":%b}' % to_bytes(marker)
    parts: list[bytes] = []
    for at, (role, blocks) in enumerate(turns):
        content = b",".join(blocks)
        if at in marked:
            content = content[:-1] + suffix
        parts.append(b'{"role":"%b","content":[%b]}' % (role.encode(), content))
    return b",".join(parts)


def _without_last_space(messages: Sequence[Message], provider: str) -> Sequence[Message]:
    """Return the messages, the last one without white space at its end if it is an answer begun.

    An answer that the model is to go on with must not end so.
    """
    last = messages[-1] if messages else None
    if last is None or last.role != "assistant" or not last.content[-1:].isspace():
        return messages
    if last.tool_calls or own_state(last, wire=WIRE, provider=provider) is not None:
        return messages
    return [*messages[:-1], last.model_copy(update={"content": last.content.rstrip()})]


def _container(messages: Sequence[Message], provider: str) -> str:
    """Return where the server runs the code of the turn under way, so that it goes on there."""
    for message in reversed(messages):
        if message.role == "assistant":
            state = own_state(message, wire=WIRE, provider=provider) or {}
            return word(state.get("container"))
        if message.role != "tool":
            break
    return ""


def _lost_thinking(messages: Sequence[Message], provider: str) -> bool:
    """Tell whether a turn of calls and results is under way that began without signed thinking.

    With a budget for thinking, the API then refuses the request: another vendor's model began it.
    """
    under_way = False
    for message in reversed(messages):
        if message.role == "user":
            break
        if message.role == "assistant" and has_thinking(message, provider=provider):
            return False
        under_way = under_way or message.role == "tool"
    return under_way

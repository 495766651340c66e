"""OpenAI chat completions, the request: a `ChatRequest` becomes the bytes of one POST.

Spec: https://platform.openai.com/docs/api-reference/chat/create
Knows nothing about HTTP, keys or retries; how a message is written is in content.py, what goes
beside the messages in settings.py, and whose order differs in turns.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from victor.config.catalog import Vendor
from victor.providers.history import HistoryRules, prepared
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.wires.openai_chat.content import WIRE, Style, style_for, written
from victor.providers.wires.openai_chat.settings import settings
from victor.providers.wires.openai_chat.turns import (
    alternated,
    attachments_apart,
    bridged,
    folded,
)
from victor.providers.writing import to_bytes
from victor.types import Message

__all__ = ["encode"]

# Kimi's own ids (`functions.name:0`) have dots and colons, and it answers worse when they are
# changed; OpenRouter's name a signature. OpenAI takes 40 characters at most.
_RULES = HistoryRules(WIRE, re.compile(r"[a-zA-Z0-9_.:-]{1,128}"))
_SHORT_RULES = HistoryRules(WIRE, re.compile(r"[a-zA-Z0-9_.:-]{1,40}"))
_MISTRAL_RULES = HistoryRules(WIRE, re.compile(r"[a-zA-Z0-9]{9}"), 9)
_SHOWN_APART = "What is attached to a tool's result is sent in a user message after it."
_FOLDED = "The system prompt is sent at the beginning of a user message."


def encode(request: ChatRequest, vendor: Vendor) -> HTTPCall:
    """Write a request as the bytes of a POST to `/chat/completions`.

    The same history always gives the same bytes, so that the vendor's prompt cache can hit.

    Raises:
        ProviderInvalidRequestError: an option cannot be understood.
        UnsupportedFeatureError: an attachment is of a kind this protocol cannot carry, an option is
            no JSON value, or the model cannot do what is demanded.
    """
    ready = prepared(request.messages, _rules(vendor), provider=vendor.name)
    messages, notes = ready.messages, ready.notes
    style = style_for(vendor, request.model_data)
    if style.system_role == "user" and any(one.role == "system" for one in messages):
        messages = folded(messages)
        notes = (*notes, _FOLDED)
    if (encoded := _messages(messages, vendor, style)) is None:
        encoded = _messages(attachments_apart(messages), vendor, style) or []
        notes = (*notes, _SHOWN_APART)
    parts: list[bytes] = [b'{"model":', to_bytes(request.model), b',"messages":[']
    parts.append(b",".join(encoded))
    parts.append(b"]")
    if beside := settings(request, vendor):
        parts += (b",", to_bytes(beside)[1:])
    else:
        parts.append(b"}")
    return HTTPCall("/chat/completions", b"".join(parts), notes=notes)


def _rules(vendor: Vendor) -> HistoryRules:
    if vendor.mistral:
        return _MISTRAL_RULES
    return _SHORT_RULES if "long_ids" in vendor.lacks else _RULES


def _messages(messages: Sequence[Message], vendor: Vendor, style: Style) -> list[bytes] | None:
    """Write the messages; None where a tool's result has attachments, which it cannot carry."""
    if vendor.alternating:
        messages = alternated(messages)
    if vendor.mistral:
        messages = bridged(messages)
    keys = style.keys
    encoded: list[bytes] = []
    for message in messages:
        kept: bytes | None = message.__dict__.get(keys[message.role])
        if kept is None:
            if message.role == "tool" and message.attachments:
                return None
            kept = written(message, style)
        encoded.append(kept)
    if vendor.mistral and encoded and messages[-1].role == "assistant":
        encoded[-1] = encoded[-1][:-1] + b',"prefix":true}'  # it refuses an unfinished turn else
    return encoded

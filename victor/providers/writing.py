"""Small writers that every wire needs: JSON bytes, data URIs, what a failed call looks like.

Knows JSON and base64, and nothing about any one protocol.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from victor.errors import UnsupportedFeatureError
from victor.types import Attachment, JsonObject, ToolCall

__all__ = ["base64_text", "data_uri", "merged", "replayable_arguments", "to_bytes"]


def to_bytes(value: Any) -> bytes:
    """Write a value as JSON: the same value always gives the same bytes.

    Raises:
        UnsupportedFeatureError: it is no JSON value.
    """
    try:
        return to_json(value, inf_nan_mode="null")
    except ValueError:
        # Lone surrogates, which no UTF-8 body can carry, or no JSON value at all.
        import json
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UnsupportedFeatureError(f"the request cannot be written as JSON: {error}") from error
    return text.encode("utf-8", "replace")


def base64_text(attachment: Attachment) -> str:
    """Return an attachment's bytes as base64."""
    return base64.b64encode(attachment.data or b"").decode()


def data_uri(attachment: Attachment) -> str:
    """Return an attachment's bytes as a `data:` URI (https://www.rfc-editor.org/rfc/rfc2397)."""
    return f"data:{attachment.media_type};base64,{base64_text(attachment)}"


def replayable_arguments(call: ToolCall) -> JsonObject:
    """Return the arguments of a call for the history.

    What did not parse is not sent back: servers parse it again and answer 400 or 500.
    """
    return call.arguments if call.error is None else {}


def merged(body: JsonObject, extra: Mapping[str, Any]) -> JsonObject:
    """Add a caller's own options to a request's body; theirs win, objects are merged one deep."""
    for name, value in extra.items():
        if value is None:
            continue
        ours = body.get(name)
        if isinstance(ours, dict) and isinstance(value, Mapping):
            body[name] = {**ours, **value}
        else:
            body[name] = value
    return body

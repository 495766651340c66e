"""What an MCP server answers to a call -> a tool's result.

Text stays text; images and PDFs become attachments; structured content is shown where no text says
the same; what a model cannot be given is named. Knows nothing about connections.
Spec: https://modelcontextprotocol.io/specification/2025-11-25/server/tools#tool-result
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import TYPE_CHECKING

from victor.tools.base import ToolResult
from victor.types import Attachment

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock, EmbeddedResource

__all__ = ["as_tool_result"]

_MOST_BYTES = 5 * 2**20
"""Of one attachment."""
_PDF = "application/pdf"


def as_tool_result(answer: CallToolResult) -> ToolResult:
    """Return what the model is to see of an answer."""
    texts: list[str] = []
    attachments: list[Attachment] = []
    for block in answer.content:
        text, attachment = _part(block)
        texts.append(text)
        if attachment is not None:
            attachments.append(attachment)
    if answer.structured_content is not None and not _has_text(answer.content):
        texts.append(_json(answer.structured_content))
    content = "\n".join(texts) or ("The tool failed." if answer.is_error else "Done.")
    return ToolResult(content, is_error=answer.is_error, attachments=tuple(attachments))


def _has_text(blocks: Iterable[ContentBlock]) -> bool:
    return any(block.type == "text" and block.text for block in blocks)


def _part(block: ContentBlock) -> tuple[str, Attachment | None]:
    match block.type:
        case "text":
            return block.text, None
        case "image":
            return _attached(block.data, block.mime_type, "image")
        case "audio":
            return f"[audio left out: {block.mime_type}]", None
        case "resource":
            return _resource(block)
        case "resource_link":
            about = f": {block.description}" if block.description else ""
            return f"[resource {block.name} at {block.uri}{about}]", None


def _resource(block: EmbeddedResource) -> tuple[str, Attachment | None]:
    found = block.resource
    kind = found.mime_type or "application/octet-stream"
    # The two kinds of resources have no common mark but which field they have.
    if (text := getattr(found, "text", None)) is not None:
        return f"[{found.uri}]\n{text}", None
    if kind.startswith("image/") or kind == _PDF:
        return _attached(getattr(found, "blob", ""), kind, found.uri)
    return f"[{found.uri}, {kind}: neither text nor an image, left out]", None


def _attached(encoded: str, media_type: str, name: str) -> tuple[str, Attachment | None]:
    if len(encoded) > _MOST_BYTES * 4 // 3:
        return f"[{name} left out: larger than {_MOST_BYTES // 2**20} MiB]", None
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return f"[{name} left out: it is not base64]", None
    if not data:
        return f"[{name} left out: it is empty]", None
    return f"[attached: {media_type}]", Attachment(media_type=media_type, data=data)


def _json(value: object) -> str:
    from pydantic_core import to_json

    return to_json(value).decode("utf-8", "replace")

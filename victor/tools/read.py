"""The tool that reads a file: text by lines, a PDF by its text, an image as an attachment.

Knows nothing about which model can see.
"""

from __future__ import annotations

import importlib
import io
from typing import Annotated

from pydantic import Field

from victor.media import sniffed_type
from victor.tools.base import ToolContext, ToolError, ToolResult, tool
from victor.tools.files import numbered_lines, whole_file
from victor.tools.paths import shown
from victor.tools.seen import SeenFiles
from victor.tools.spill import Spill
from victor.types import Attachment

__all__ = ["IMAGES", "image_result", "pdf_text", "read"]

IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What the vendors that take images all take."""

_LARGEST_IMAGE = 3_750_000
"""Bytes; five million as base64, which is the lowest limit
(https://docs.anthropic.com/en/docs/build-with-claude/vision)."""


@tool(effect="read", timeout_s=60)
def read(
    context: ToolContext,
    path: str,
    offset: Annotated[int, Field(ge=1)] = 1,
    limit: Annotated[int, Field(ge=1)] | None = None,
) -> ToolResult:
    """Read a file. Each line of text is shown as its number, a tab and its text.

    Args:
        context: the workspace.
        path: The file: text, a PDF (its text is read) or an image (it is shown to you).
        offset: The first line to read.
        limit: How many lines to read.
    """
    if Spill.names(path):
        return ToolResult(context.memory.of(Spill).page(path, offset=offset, limit=limit))
    content = whole_file(context.workspace, path)
    context.memory.of(SeenFiles).remember(context.workspace, path, content)
    kind = sniffed_type(content)
    if kind in IMAGES:
        return image_result(path, kind, content)
    if kind == "application/pdf":
        content = pdf_text(path, content).encode("utf-8", "replace")
    return ToolResult(numbered_lines(content, path, offset=offset, limit=limit))


def image_result(path: str, kind: str, content: bytes) -> ToolResult:
    """Return an image as an attachment.

    Raises:
        ToolError: it is larger than models take.
    """
    if len(content) > _LARGEST_IMAGE:
        raise ToolError(
            f"{shown(path)!r} is an image of {len(content):,} bytes, and models take up to "
            f"{_LARGEST_IMAGE:,}: make a smaller copy of it first"
        )
    name = shown(path.rpartition("/")[2])
    text = f"[{name}: {kind}, {len(content):,} bytes, attached]"
    return ToolResult(text, attachments=(Attachment(media_type=kind, data=content, name=name),))


def pdf_text(path: str, content: bytes) -> str:
    """Return the text of a PDF, each page under a line with its number.

    Raises:
        ToolError: it has none, cannot be read, or nothing here reads PDFs.
    """
    try:
        pypdf = importlib.import_module("pypdf")
    except ImportError:
        raise ToolError(
            f"{shown(path)!r} is a PDF, and nothing here reads PDFs: the user can install "
            "victor[pdf]; pdftotext in a shell may also be there"
        ) from None
    try:
        pages = [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages]
    except Exception as error:
        raise ToolError(f"{shown(path)!r} is a PDF that cannot be read: {error}") from error
    if not any(page.strip() for page in pages):
        raise ToolError(f"{shown(path)!r} is a PDF without text: its {len(pages)} pages are images")
    return "\n".join(
        f"--- page {number} of {len(pages)} ---\n{page}" for number, page in enumerate(pages, 1)
    )

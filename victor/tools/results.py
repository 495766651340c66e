"""What a tool's function returns, or raises -> what goes back to the model.

Text stays text, attachments go beside it, everything else becomes JSON; an exception, raised or
returned, is a result that says so. Knows nothing about calls or permissions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from victor.errors import VictorError
from victor.tools.context import ToolError, ToolResult
from victor.types import Attachment

__all__ = ["as_result", "collected", "failure"]

_APART = (Attachment, ToolResult, BaseException)
"""What JSON cannot say."""

_DEEPEST = 6
"""Levels that are searched for attachments; a value may contain itself."""


def collected(value: Any) -> Any:
    """Return the items of an iterator, and everything else as it is; for where it may block."""
    return list(value) if isinstance(value, Iterator) else value


def failure(name: str, error: BaseException) -> ToolResult:
    """Return what the model is told of an exception.

    Args:
        name: of the tool.
        error: what it raised, or returned.
    """
    if isinstance(error, VictorError):
        return ToolResult(_clean(str(error)), is_error=True)
    detail = f"{type(error).__name__}: {error}".removesuffix(": ")
    return ToolResult(_clean(f"{name} failed: {detail}"), is_error=True)


def as_result(value: Any, name: str) -> ToolResult:
    """Return what the model is told of a value.

    Args:
        value: what the function returned.
        name: of the tool.

    Raises:
        ToolError: it is neither text nor JSON, and has no words of its own.
    """
    match value:
        case ToolResult():
            return value
        case str():
            return ToolResult(_clean(str.__str__(value)))  # a member of an enum is only its text
        case None:
            return ToolResult("Done.")
        case BaseException():
            return failure(name, value)
        case Attachment():
            return _joined([value], name)
        case list() | tuple() if any(isinstance(item, _APART) for item in value):
            return _joined(value, name)
        case dict() | list() | tuple():
            found: list[Attachment] = []
            shown = _without(value, found)
            return ToolResult(_text(shown if found else value), attachments=tuple(found))
        case _:
            return ToolResult(_text(value))


def _joined(values: Iterable[Any], name: str) -> ToolResult:
    """Put attachments beside the text of everything else, a line or more for each."""
    attachments: list[Attachment] = []
    texts: list[str] = []
    failed: list[bool] = []
    for value in values:
        if isinstance(value, Attachment):
            attachments.append(value)
            texts.append(_mark(value))
            failed.append(False)
            continue
        one = as_result(value, name)
        attachments += one.attachments
        texts.append(one.content)
        failed.append(one.is_error)
    if not all(failed):  # some of several did well
        texts = [f"Error: {t}" if bad else t for t, bad in zip(texts, failed, strict=True)]
    return ToolResult("\n".join(texts), is_error=all(failed), attachments=tuple(attachments))


def _without(value: Any, found: list[Attachment], depth: int = 0) -> Any:
    """Return a value with marks for the attachments in it, which are put into `found`."""
    if isinstance(value, Attachment):
        found.append(value)
        return _mark(value)
    if depth > _DEEPEST:
        return value
    if isinstance(value, dict):
        return {key: _without(one, found, depth + 1) for key, one in value.items()}
    if type(value) in (list, tuple):  # a named tuple stays one
        return [_without(one, found, depth + 1) for one in value]
    return value


def _mark(attachment: Attachment) -> str:
    return f"[attached: {attachment.name or attachment.media_type}]"


def _text(value: Any) -> str:
    from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

    try:
        text = to_json(value, fallback=_words).decode()
        return str(json.loads(text)) if text.startswith('"') else text  # one word needs no quotes
    except PydanticSerializationError as error:
        try:  # names of files that are not UTF-8 are no Unicode either
            found = to_jsonable_python(value, fallback=_words)
            return _clean(json.dumps(found, ensure_ascii=False, separators=(",", ":")))
        except (ValueError, TypeError, RecursionError):
            raise ToolError(
                f"The tool returned a value of type {type(value).__name__}, which is neither text "
                "nor JSON; a file or an image is returned as an Attachment."
            ) from error


def _words(value: Any) -> str:
    """Return how an object that is no JSON describes itself, if it does."""
    kind: Any = type(value)
    if isinstance(value, type) or (
        kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__
    ):
        raise TypeError(f"a {kind.__name__} has no text")
    return _clean(str(value))


def _clean(text: str) -> str:
    """Return text that UTF-8 can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()

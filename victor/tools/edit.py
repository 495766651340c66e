"""The tools that change places of one file: one place, or several at once, all or none.

What may match is in `victor.tools.matching`. Knows nothing about permissions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from victor.tools.base import ToolContext, ToolError, tool
from victor.tools.files import whole_file
from victor.tools.matching import Replacement, replaced
from victor.tools.paths import shown
from victor.tools.replace import replace_file
from victor.tools.seen import SeenFiles
from victor.tools.text import as_utf8, from_utf8

__all__ = ["Edit", "edit", "edited", "multi_edit"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement of several."""

    old: Annotated[str, Field(description="The text to replace; it must occur exactly once.")]
    new: Annotated[str, Field(description="The text to put there.")]
    replace_all: Annotated[bool, Field(description="Replace every occurrence of old.")] = False


@tool(effect="edit", timeout_s=60)
def edit(context: ToolContext, path: str, old: str, new: str, replace_all: bool = False) -> str:  # noqa: FBT001, FBT002 - a model passes names
    """Replace one piece of a file. Read the file first and copy the old text exactly.

    Args:
        context: the workspace.
        path: The file.
        old: The text to replace; it must occur exactly once, so give enough lines around it.
        new: The text to put there.
        replace_all: Replace every occurrence of old, for example to rename something.
    """
    (result,) = _changed(context, path, [Edit(old, new, replace_all)])
    return f"Edited {shown(path)}, {_where(result)}.{result.note}"


@tool(effect="edit", timeout_s=60)
def multi_edit(
    context: ToolContext, path: str, edits: Annotated[list[Edit], Field(min_length=1)]
) -> str:
    """Make several replacements in one file, in order; if one of them fails, none is made.

    Args:
        context: the workspace.
        path: The file.
        edits: The replacements; each one sees the file as the ones before it leave it.
    """
    made = _changed(context, path, edits)
    return "\n".join([f"Edited {shown(path)}:", *_summary(made)])


def edited(content: bytes, edits: Sequence[Edit]) -> list[Replacement]:
    """Return what each edit makes of a content; the last one has all of them.

    Args:
        content: of the file.
        edits: at least one; each sees the content as those before it leave it.

    Raises:
        ToolError: one of them cannot be made; the message says which.
    """
    made: list[Replacement] = []
    content, codec = as_utf8(content)  # which is what the model was shown
    for number, one in enumerate(edits, 1):
        try:
            made.append(replaced(content, one.old, one.new, every=one.replace_all))
        except ToolError as error:
            if len(edits) == 1:
                raise
            raise ToolError(
                f"edit {number} of {len(edits)} does not fit, so none is made: {error}"
            ) from error
        content = made[-1].content
    try:
        return [replace(one, content=from_utf8(one.content, codec)) for one in made]
    except ValueError as error:
        raise ToolError(f"{error}; use another character, or write the whole file") from error


def _changed(context: ToolContext, path: str, edits: Sequence[Edit]) -> list[Replacement]:
    """Change a file, unless it is no longer as the model saw it."""
    seen = context.memory.of(SeenFiles)
    content = whole_file(context.workspace, path)
    seen.check(context.workspace, path, content)
    made = edited(content, edits)
    replace_file(context.workspace, path, made[-1].content)
    seen.remember(context.workspace, path, made[-1].content)
    return made


def _summary(made: Sequence[Replacement]) -> list[str]:
    return [f"{number}. {_where(one)}.{one.note}" for number, one in enumerate(made, 1)]


def _where(result: Replacement) -> str:
    if result.places > 1:
        return f"{result.places} places from line {result.line}"
    if result.lines <= 1:
        return f"line {result.line}"
    return f"{result.lines} lines from {result.line}"

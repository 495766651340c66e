"""The tool with which a model keeps a list of what it has to do.

The list is one of the conversation's memory; writing it again replaces it. Knows nothing about how
it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from victor.tools.base import ToolContext, ToolError, tool

__all__ = ["TodoItem", "TodoList", "todo"]

Status: TypeAlias = Literal["pending", "in_progress", "done"]

_MARKS: tuple[tuple[Status, str], ...] = (("pending", " "), ("in_progress", ">"), ("done", "x"))


@dataclass(frozen=True, slots=True)
class TodoItem:
    """One step."""

    text: Annotated[str, Field(description="What is to be done.", min_length=1, max_length=500)]
    status: Annotated[Status, Field(description="At most one step is in_progress.")] = "pending"


@dataclass(slots=True)
class TodoList:
    """The steps of one conversation, as the model wrote them last."""

    items: tuple[TodoItem, ...] = field(default=())

    def __str__(self) -> str:
        marks = dict(_MARKS)
        return "\n".join(f"[{marks[item.status]}] {item.text}" for item in self.items)


@tool(effect="read")
async def todo(
    context: ToolContext, items: Annotated[list[TodoItem], Field(max_length=100)]
) -> str:
    """Write down the steps of a longer task, and which of them are done. Replaces the list.

    Args:
        context: the conversation.
        items: All the steps, in order; an empty list clears it.
    """
    if sum(item.status == "in_progress" for item in items) > 1:
        raise ToolError("one step at a time: at most one item may be in_progress")
    kept = context.memory.of(TodoList)
    kept.items = tuple(items)
    return str(kept) or "The list is empty."

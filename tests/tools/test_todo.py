from __future__ import annotations

from victor.tools.base import ToolContext
from victor.tools.todo import TodoItem, TodoList, todo


async def test_list_is_kept_replaced_and_shown(context: ToolContext) -> None:
    items = [
        {"text": "look", "status": "done"},
        {"text": "change", "status": "in_progress"},
        {"text": "test"},
    ]
    result = await todo.run({"items": items}, context)
    assert result.content == "[x] look\n[>] change\n[ ] test"
    assert context.memory.of(TodoList).items[2] == TodoItem("test", "pending")
    assert (await todo.run({"items": []}, context)).content == "The list is empty."
    assert context.memory.of(TodoList).items == ()


async def test_two_steps_at_once_are_refused_and_the_list_stays(context: ToolContext) -> None:
    await todo.run({"items": [{"text": "a"}]}, context)
    both = [{"text": "a", "status": "in_progress"}, {"text": "b", "status": "in_progress"}]
    result = await todo.run({"items": both}, context)
    assert result.is_error
    assert "one step at a time" in result.content
    assert str(context.memory.of(TodoList)) == "[ ] a"

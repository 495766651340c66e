"""What the built-in tools would make of files, found by the code that makes it; nothing is written.

Knows nothing about who is asked or how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import unified_diff
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from victor.errors import VictorError
from victor.tools.context import ToolError

if TYPE_CHECKING:
    from victor.tools.base import Tool
    from victor.tools.context import ToolContext
    from victor.types import ToolCall

__all__ = ["Change", "planned_changes"]

_COMPARED = 1_000_000
"""Bytes up to which a file is shown as a diff; comparing gets slow beyond."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one file."""

    what: str
    """In one word: path, create, remove, move."""
    name: str
    """The file, as the model wrote it."""
    lines: tuple[str, ...]
    """The difference, each line with its mark."""
    problem: str = ""
    """Why the call will fail; empty where it will not."""


_Planner: TypeAlias = "Callable[[Mapping[str, Any], ToolContext], list[Change] | None]"


def planned_changes(call: ToolCall, tool: Tool, context: ToolContext) -> list[Change] | None:
    """Return what a call would change; None for a tool or arguments that are not known here.

    Args:
        call: what the model asks for.
        tool: the tool it would run.
        context: the workspace, and what the conversation has seen of it.
    """
    planner = _PLANNERS.get(tool.name) if tool.effect == "edit" else None
    return None if planner is None else planner(call.arguments, context)


def _edited(arguments: Mapping[str, Any], context: ToolContext) -> list[Change] | None:
    """Plan `multi_edit`, and `edit`, which is one of its edits."""
    from pydantic import TypeAdapter, ValidationError

    from victor.tools.edit import Edit, edited
    from victor.tools.files import whole_file
    from victor.tools.seen import SeenFiles

    path, given = arguments.get("path"), arguments.get("edits", [arguments])
    try:
        edits = TypeAdapter(list[Edit]).validate_python(given)
    except ValidationError:
        return None
    if not isinstance(path, str) or not edits:
        return None
    try:
        before = whole_file(context.workspace, path)
        context.memory.of(SeenFiles).check(context.workspace, path, before)
        after = edited(before, edits)[-1].content
    except VictorError as error:
        lines = [
            mark + line
            for one in edits
            for mark, text in (("-", one.old), ("+", one.new))
            for line in text.split("\n")
        ]
        return [Change("path", path, tuple(lines), str(error))]
    return [Change("path", path, _difference(before, after))]


def _written(arguments: Mapping[str, Any], context: ToolContext) -> list[Change] | None:
    from victor.tools.files import whole_file
    from victor.tools.paths import PathError
    from victor.tools.seen import SeenFiles

    match arguments:
        case {"path": str(path), "content": str(content)}:
            pass
        case _:
            return None
    try:
        before = whole_file(context.workspace, path)
    except (VictorError, OSError):  # mostly it is new; the tool itself judges the rest
        return [Change("path", path, tuple(_all("+", content)))]
    problem = ""
    seen = context.memory.of(SeenFiles)
    if seen.knows(context.workspace, path):
        try:
            seen.check(context.workspace, path, before)
        except (PathError, ToolError) as error:
            problem = str(error)
    after = content.encode("utf-8", "surrogatepass")
    return [Change("path", path, _difference(before, after), problem)]


def _patched(arguments: Mapping[str, Any], context: ToolContext) -> list[Change] | None:
    # The tool's own plan, so that what is shown is what will be done.
    from victor.tools.apply_patch import planned

    if not isinstance(patch := arguments.get("patch"), str):
        return None
    try:
        plan = planned(context, patch)
    except VictorError as error:
        return [Change("patch", "", tuple(patch.split("\n")), str(error))]
    return _of_files(plan.before, plan.after, plan.moved)


def _of_files(
    before: Mapping[str, bytes | None], after: Mapping[str, bytes | None], moved: Mapping[str, str]
) -> list[Change]:
    found: list[Change] = []
    for path, new in after.items():
        old = before.get(path)
        if new is None:
            if path not in moved.values():
                found.append(Change("remove", path, tuple(_all("-", _text(old or b"")))))
        elif path in moved:
            lines = _difference(before.get(moved[path]) or b"", new)
            found.append(Change("move", f"{moved[path]} to {path}", lines))
        elif old is None:
            found.append(Change("create", path, tuple(_all("+", _text(new)))))
        else:
            found.append(Change("path", path, _difference(old, new)))
    return found


_PLANNERS: Mapping[str, _Planner] = MappingProxyType(
    {"apply_patch": _patched, "edit": _edited, "multi_edit": _edited, "write": _written}
)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def _lines(text: str) -> list[str]:
    *lines, last = text.split("\n")
    return [*lines, f"{last} [no newline at the end]"] if last else lines


def _all(mark: str, text: str) -> list[str]:
    return [mark + line for line in _lines(text)]


def _difference(before: bytes, after: bytes) -> tuple[str, ...]:
    if max(len(before), len(after)) > _COMPARED:
        return (f"{len(before):,} bytes become {len(after):,}", *_all("+", _text(after)))
    old, new = _lines(_text(before)), _lines(_text(after))
    # Without the two lines that name the files.
    return tuple(islice(unified_diff(old, new, lineterm="", n=3), 2, None))

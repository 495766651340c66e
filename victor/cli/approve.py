"""Asks a person whether a tool call may run, and shows exactly what it would do.

Nothing of a call is hidden: what a terminal would not show is made visible. Knows nothing about
permission modes; the agent asks only what its rules and its mode leave open.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from victor.cli.render import paint
from victor.cli.sanitize import one_line, reveal
from victor.types import ToolCall

if TYPE_CHECKING:
    from victor.agent.permissions import Permissions
    from victor.tools.base import Tool

__all__ = ["Approver", "Ask", "preview"]

Ask = Callable[[str], Awaitable[str | None]]
"""Shows a question and returns the line that was typed; None at the end of input."""

_COMPARED = 1_000_000
"""Bytes up to which a file is shown as a diff; comparing gets slow beyond."""


class Approver:
    """What an agent calls before a tool that needs permission runs.

    Args:
        workspace: the directory the tools work in.
        ask: how to ask; None where nobody can be asked, and every call is refused.
        colour: whether the question may be coloured.
    """

    def __init__(self, workspace: Path, ask: Ask | None, *, colour: bool = False) -> None:
        self.refused = 0
        """How many calls were not approved."""
        self.permissions: Permissions | None = None
        """Says why it is asked, and remembers what is always allowed; None remembers nothing."""
        self.confined = False
        """Whether a sandbox holds the programs that run."""
        self._workspace = workspace
        self._ask = ask
        self._colour = colour
        self._session: set[tuple[str, str]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, call: ToolCall, tool: Tool) -> bool | str:
        """Return True, or why the call must not run: False or the person's words."""
        async with self._one_at_a_time:
            if _scope(call, tool) in self._session:
                return True
            answer = await self._answer(call, tool)
        if answer is not True:
            self.refused += 1
        return answer

    async def _answer(self, call: ToolCall, tool: Tool) -> bool | str:
        why, offer = self._judged(call, tool)
        if self._ask is None:
            mode = "accept-edits" if tool.effect == "edit" else "auto"
            because = f" ({why})" if why else ""
            return (
                f"there is no terminal to ask on{because}; --mode {mode} or a rule in the "
                "settings' [permissions] may allow it beforehand"
            )
        shown = preview(call, tool, self._workspace, why=why, confined=self.confined)
        every = f"every {tool.name}" if tool.effect == "edit" else "exactly this"
        always = f", [a]lways in this project: {reveal(offer)}" if offer else ""
        choices = f"[y]es, [n]o, [s]ession: {every}{always}, or say why not: "
        question = f"\n{self._coloured(shown)}\n{paint(choices, 'bold', on=self._colour)}"
        while True:
            typed = await self._ask(question)
            match (typed or "").strip().lower():
                case "y" | "yes":
                    return True
                case "s" | "session":
                    self._session.add(_scope(call, tool))
                    return True
                case "a" | "allow" | "always" if offer is None:
                    question = f"This cannot be allowed for good. {choices}"
                case "a" | "allow" | "always":
                    return self._remembered(offer)
                case "" if typed is not None:
                    question = choices
                case "" | "n" | "no" | "\x1b":
                    return False
                case _:
                    return (typed or "").strip()

    def _judged(self, call: ToolCall, tool: Tool) -> tuple[str, str | None]:
        """Return why a call is asked about, and the rule that would allow it for good."""
        if self.permissions is None:
            return "", None
        verdict = self.permissions.judge(call, tool, "ask")
        if verdict.decision == "allow":
            return "", verdict.offer
        return one_line(verdict.why, 200), verdict.offer

    def _remembered(self, rule: str | None) -> bool:
        from victor.cli.exits import print_error
        from victor.errors import ConfigError

        try:
            if rule is not None and self.permissions is not None:
                self.permissions.grant(rule)
        except ConfigError as error:
            print_error(error)  # this once it was a yes all the same
        return True

    def _coloured(self, text: str) -> str:
        if not self._colour:
            return text
        return "\n".join(_paint_line(line) for line in text.split("\n"))


def _scope(call: ToolCall, tool: Tool) -> tuple[str, str]:
    # A yes to one command is no yes to the next; a yes to an edit may be meant for the whole task.
    if tool.effect == "edit":
        return tool.name, ""
    return tool.name, json.dumps(call.arguments, sort_keys=True, default=str)


def _paint_line(line: str) -> str:
    match line[:5]:
        case "  | +":
            return paint(line, "green", on=True)
        case "  | -":
            return paint(line, "red", on=True)
        case _:
            return line


def preview(
    call: ToolCall, tool: Tool, workspace: Path, *, why: str = "", confined: bool = False
) -> str:
    """Return what a call would do: the exact command, a diff, or all arguments.

    Args:
        call: what the model asks for.
        tool: the tool it would run.
        workspace: where it would run.
        why: why it is asked about.
        confined: whether a sandbox would hold it.
    """
    lines = [f"victor asks: may the model use {tool.name} ({_EFFECTS[tool.effect]})?"]
    arguments = dict(call.arguments)
    changes = _changes(call, workspace) if tool.effect == "edit" else None
    if tool.effect == "execute" and isinstance(command := arguments.get("command"), str):
        del arguments["command"]
        lines += _quoted(command.split("\n"))
    elif changes is not None:
        arguments = {"path": arguments["path"]}
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *rest = text.split("\n")
        lines.append(f"  {reveal(name)}: {reveal(first)}")
        lines += _quoted(rest)
    lines += _quoted(changes or [])
    rights = "" if tool.effect in {"read", "edit"} else ", with all your rights: no sandbox"
    if confined and tool.effect == "execute":
        rights = ", in the sandbox"
    lines.append(f"  in {reveal(str(workspace))}{rights}")
    if why:
        lines.append(f"  asked because: {reveal(why)}")
    return "\n".join(lines)


_EFFECTS = {
    "read": "reads",
    "edit": "changes files",
    "execute": "runs a program",
    "other": "its effect is unknown",
}


def _quoted(lines: list[str]) -> list[str]:
    # Every line is marked, so that no text of a model can look like one of ours.
    return [f"  | {reveal(line)}" for line in lines]


def _changes(call: ToolCall, workspace: Path) -> list[str] | None:
    """Return the difference the built-in edit and write would make; None for another tool."""
    from victor.errors import VictorError
    from victor.tools.files import whole_file
    from victor.tools.matching import replaced

    match call.arguments:
        case {"path": str(path), "old": str(old), "new": str(new)} if call.name == "edit":
            try:
                before = whole_file(workspace, path)
                every = call.arguments.get("replace_all") is True
                after = replaced(before, old, new, every=every).content
            except VictorError as error:
                return [*_all("-", old), *_all("+", new), "", f"this will fail: {error}"]
        case {"path": str(path), "content": str(content)} if call.name == "write":
            after = content.encode("utf-8", "surrogatepass")
            try:
                before = whole_file(workspace, path)
            except (VictorError, OSError):
                return _all("+", content)
        case _:
            return None
    if max(len(before), len(after)) > _COMPARED:
        return [f"{len(before):,} bytes become {len(after):,}", *_all("+", _text(after))]
    return list(_difference(_text(before), _text(after)))


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def _all(mark: str, text: str) -> list[str]:
    return [mark + line for line in text.split("\n")]


def _difference(before: str, after: str) -> Iterator[str]:
    lines = unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=3)
    return islice(lines, 2, None)  # without the two lines that name the files

"""Asks a person whether a tool call may run, and shows exactly what it would do.

Nothing of a call is hidden: what a terminal would not show is made visible. Knows nothing about
permission modes; the agent asks only what its rules and its mode leave open.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from victor.cli.changes import planned_changes
from victor.cli.questions import model_asker
from victor.cli.render import Colour, paint
from victor.cli.sanitize import one_line
from victor.cli.width import columns, marked
from victor.tools.context import Memory, ToolContext, ToolError
from victor.types import ToolCall

if TYPE_CHECKING:
    from victor.agent.permissions import Permissions
    from victor.config.settings import Mode
    from victor.tools.base import Effect, Tool

__all__ = ["Approver", "Ask", "preview"]

Ask = Callable[[str], Awaitable[str | None]]
"""Shows a question and returns the line that was typed; None at the end of input."""


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
        self.memory = Memory()
        """What the tools of the conversation remember: files seen, programs in the background."""
        self.question = None if ask is None else model_asker(ask, colour=colour)
        """Puts a question of the model to the same person; None where nobody can be asked."""
        self._workspace = workspace
        self._ask = ask
        self._colour = colour
        self._session: set[tuple[str, str]] = set()
        self._one_at_a_time = asyncio.Lock()

    async def close(self, note: Callable[[str], None]) -> None:
        """End what the tools left running, and forget what they remember.

        Args:
            note: is told what was ended.
        """
        from victor.tools.sessions import Sessions

        running = self.memory.of(Sessions).running
        await self.memory.aclose()
        for one in running:
            note(f"ended in the background: {one_line(one.command, 60)}")

    async def __call__(self, call: ToolCall, tool: Tool) -> bool | str:
        """Return True, or why the call must not run: False or the person's words."""
        async with self._one_at_a_time:
            if self._covered(call, tool):
                return True
            if problem := self._foreseen(call, tool):
                return f"it would fail: {problem}"  # nobody is asked about that
            answer = await self._answer(call, tool)
        if answer is not True:
            self.refused += 1
        return answer

    def _foreseen(self, call: ToolCall, tool: Tool) -> str:
        """Return why an edit cannot be made as things are; empty where it can."""
        changes = planned_changes(call, tool, ToolContext(self._workspace, memory=self.memory))
        return next((one.problem for one in changes or () if one.problem), "")

    def _covered(self, call: ToolCall, tool: Tool) -> bool:
        """Tell whether an answer for the whole session was meant for this call too."""
        if _scope(call, tool) not in self._session:
            return False
        if tool.effect != "edit" or self.permissions is None:
            return True
        # "Every edit" is no yes to files that are asked about even where edits are accepted.
        return self.permissions.judge(call, tool, "accept-edits").decision == "allow"

    async def _answer(self, call: ToolCall, tool: Tool) -> bool | str:
        why, offer = self._judged(call, tool)
        if self._ask is None:
            because = f" ({why})" if why else ""
            return f"there is no terminal to ask on{because}; {self._advice(call, tool)}"
        choices = _choices(tool, offer)
        shown = preview(
            call,
            tool,
            self._workspace,
            why=why,
            offer=offer,
            confined=self.confined,
            memory=self.memory,
        )
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
                case "n" | "no" | "\x1b":
                    return False
                case unclear if typed is not None and _is_no_reason(unclear):
                    question = f"{_UNCLEAR}\n{choices}" if unclear else choices
                case _:
                    reason = (typed or "").strip()
                    return f"the user says: {reason}" if reason else False

    def _advice(self, call: ToolCall, tool: Tool) -> str:
        """Say what would have allowed a call beforehand."""
        rule = "a rule in the settings' [permissions]"
        modes: tuple[Mode, ...] = ("accept-edits", "auto")
        for mode in modes:
            if self.permissions is None:
                allowed = mode == "auto" or tool.effect == "edit"
            else:
                allowed = self.permissions.judge(call, tool, mode).decision == "allow"
            if allowed:
                return f"--mode {mode} or {rule} would allow it"
        return f"{rule} may allow it, and no mode does"

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
        colours: Mapping[str, Colour] = {"  | +": "green", "  | -": "red"}
        painted: list[str] = []
        colour: Colour | None = None
        for line in text.split("\n"):
            if not line.startswith("  : "):  # which is the rest of the line above
                colour = colours.get(line[:5])
            painted.append(paint(line, colour, on=True) if colour else line)
        return "\n".join(painted)


def _choices(tool: Tool, offer: str | None) -> str:
    every = f"every {tool.name}" if tool.effect == "edit" else "exactly this"
    always = ", [a]lways" if offer else ""
    choices = f"[y]es, [n]o, [s]ession: {every}{always}, "
    last = "or say why not: "
    # A terminal that is too narrow would break it in a word.
    fits = len(choices + last) + _ANSWER <= columns()
    return choices + last if fits else f"{choices.rstrip()}\n{last}"


def _is_no_reason(typed: str) -> bool:
    """Tell whether it is a slip, or something like a yes; a model could learn nothing from it."""
    return typed.isascii() and len(typed) <= len("okay") and len(typed.split()) < 2


_UNCLEAR = "That is neither yes nor a reason."
_ANSWER = len("session")
"""The room that is left for an answer."""


def _scope(call: ToolCall, tool: Tool) -> tuple[str, str]:
    # A yes to one command is no yes to the next; a yes to an edit may be meant for the whole task.
    if tool.effect == "edit":
        return tool.name, ""
    return tool.name, json.dumps(call.arguments, sort_keys=True, default=str)


def preview(
    call: ToolCall,
    tool: Tool,
    workspace: Path,
    *,
    why: str = "",
    offer: str | None = None,
    confined: bool = False,
    memory: Memory | None = None,
) -> str:
    """Return what a call would do: the exact command, the diff of every file, or all arguments.

    Args:
        call: what the model asks for.
        tool: the tool it would run.
        workspace: where it would run.
        why: why it is asked about.
        offer: the rule that would allow it for good; None where there is none.
        confined: whether a sandbox would hold it.
        memory: what the conversation's tools remember.
    """
    server = _server(tool.name)
    effect = f"asks the MCP server {server}" if server else _EFFECTS[tool.effect]
    lines = [f"victor asks: may the model use {tool.name} ({_SPECIAL.get(tool.name, effect)})?"]
    if tool.effect == "edit":
        lines += _changed(call, tool, ToolContext(workspace, memory=memory or Memory()))
    else:
        lines += _done(call, memory)
    if not server and tool.name != "web_fetch":
        lines += _ours(f"in {workspace}{_rights(tool, confined=confined)}")
    lines += _ours(f"asked because: {why}") if why else []
    lines += _ours(f"always, in this project: {offer}") if offer else []
    return "\n".join(lines)


_EFFECTS: Mapping[Effect, str] = MappingProxyType(
    {
        "read": "reads",
        "edit": "changes files",
        "execute": "runs a program",
        "other": "its effect is unknown",
    }
)
_SPECIAL: Mapping[str, str] = MappingProxyType(
    {
        "shell_start": "runs a program in the background",
        "shell_write": "types into a program in the background",
        "web_fetch": "fetches from the web",
    }
)


def _server(name: str) -> str:
    """Return the MCP server whose tool it is; empty for none."""
    server, parted, _ = name.partition("__")
    return server if parted else ""


def _rights(tool: Tool, *, confined: bool) -> str:
    if tool.effect in {"read", "edit"}:
        return ""
    held = confined and tool.effect == "execute"
    return ", in the sandbox" if held else ", with all your rights: no sandbox"


def _ours(text: str) -> list[str]:
    """Return a line of ours with words of others in it, so that none of them begins a line."""
    return marked([text], "  ", "  : ")


def _changed(call: ToolCall, tool: Tool, context: ToolContext) -> list[str]:
    changes = planned_changes(call, tool, context)
    if changes is None:
        return _arguments(call.arguments)
    lines: list[str] = []
    for one in changes:
        lines += _ours(f"{one.what}: {one.name}" if one.name else f"{one.what}:")
        lines += marked(one.lines)
        if one.problem:
            first, *rest = one.problem.split("\n")
            lines += [*_ours(f"this will fail: {first}"), *marked(rest)]
    return lines


def _done(call: ToolCall, memory: Memory | None) -> list[str]:
    """Return what anything but an edit would do."""
    arguments = dict(call.arguments)
    lines: list[str] = []
    match call.name, arguments:
        case "shell_write", {"session": str(session), "text": str(text)}:
            del arguments["session"], arguments["text"]
            lines += _typed(session, text, memory)
        case "web_fetch", {"url": str(url)}:
            lines += _ours(f"host: {_host(url)}")
        case _, {"command": str(command)} if call.name in _COMMANDS:
            del arguments["command"]
            lines += marked(command.split("\n"))
    return [*lines, *_arguments(arguments)]


_COMMANDS = frozenset({"shell", "shell_start"})


def _typed(session: str, text: str, memory: Memory | None) -> list[str]:
    from victor.tools.sessions import Sessions

    lines = _ours(f"into session {session}")
    if memory is not None:
        with contextlib.suppress(ToolError):  # there is none; the tool will say so
            running = memory.of(Sessions).get(session).command
            lines = [*_ours(f"into session {session}, which runs:"), *marked(running.split("\n"))]
    # Whether Enter is pressed decides whether it runs.
    return [*lines, "  typed:", *marked(text.replace("\n", "⏎\n").removesuffix("\n").split("\n"))]


def _host(url: str) -> str:
    try:
        host = urlsplit(url).hostname or "none"
        return host if host.isascii() else f"{host} ({host.encode('idna').decode()})"
    except ValueError:
        return "none"


def _arguments(arguments: Mapping[str, object]) -> list[str]:
    lines: list[str] = []
    for name, value in arguments.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        first, *rest = text.split("\n")
        lines += [*_ours(f"{name}: {first}"), *marked(rest)]
    return lines

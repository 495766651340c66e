"""What an agent may do without asking: rules, then what is harmless, then the mode.

    deny > ask > allow > only looks > the mode

The strictest rule wins, and the strictest part of a command. What cannot be understood is never
allowed by a rule. Rules spare questions; what holds a command is the sandbox. Knows nothing about
who is asked or how.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from victor.agent.commands import Command, commands_of
from victor.agent.grants import Grant, Grants
from victor.agent.harmless import harmless
from victor.agent.places import Place, Places
from victor.agent.reached import matching, named_places, reached_rule
from victor.agent.repositories import is_plain_repository
from victor.agent.rules import (
    NO_RULES,
    SHELLS,
    Rule,
    Rules,
    exact_path_rule,
    host_of,
    is_bare,
    parsed_rule,
)
from victor.agent.verdicts import (
    Decision,
    Part,
    Verdict,
    may_be_granted,
    stricter,
    strictest,
    with_tool_rule,
)
from victor.config.settings import Mode
from victor.errors import ConfigError, VictorError
from victor.tools.base import Effect, Tool
from victor.types import ToolCall

__all__ = ["Permissions", "checked_mode", "decide"]

# A program's own functions ("other") were handed over by whoever wrote the program.
_RULES: Mapping[Mode, Mapping[Effect, Decision]] = MappingProxyType(
    {
        "ask": {"read": "allow", "edit": "ask", "execute": "ask", "other": "allow"},
        "accept-edits": {"read": "allow", "edit": "allow", "execute": "ask", "other": "allow"},
        "plan": {"read": "allow", "edit": "deny", "execute": "deny", "other": "deny"},
        "auto": {"read": "allow", "edit": "allow", "execute": "allow", "other": "allow"},
    }
)

_NAMES_ONLY = frozenset({"glob", "list_files"})
"""Tools that look below a directory and show nothing of the contents."""

_LONGEST_OFFER = 500
"""Characters of a command line that can be allowed for good; nobody reads a longer one again."""


def decide(mode: Mode, effect: Effect) -> Decision:
    """Return whether a tool of that effect may run where no rule says anything."""
    return _RULES[mode][effect]


def checked_mode(mode: Mode) -> Mode:
    """Return the mode, if there is such a one.

    Raises:
        ConfigError: there is not; the message lists those there are.
    """
    if mode not in _RULES:
        raise ConfigError(f"there is no mode {mode!r}: use one of {', '.join(_RULES)}")
    return mode


class Permissions:
    """The rules of one workspace.

    Args:
        workspace: the directory tools work in.
        rules: the user's rules.
        grants: what was allowed for good here; None for nothing.
        which: finds a program, as `shutil.which`.
        environ: instead of `os.environ`, for victor's own directories.
    """

    def __init__(
        self,
        workspace: Path,
        rules: Rules = NO_RULES,
        grants: Grants | None = None,
        *,
        which: Callable[[str], str | None] = shutil.which,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.workspace = workspace
        self.rules = rules
        self.grants = grants
        self._which = which
        self._places = Places(workspace, rules, environ)

    def judge(self, call: ToolCall, tool: Tool, mode: Mode) -> Verdict:
        """Decide about a tool call."""
        command = call.arguments.get("command")
        typed = call.arguments.get("text")
        # By name: what another tool calls a command may be anything.
        if tool.name in SHELLS and isinstance(command, str):
            verdict = self.command(command, mode)
        elif tool.name == "shell_write" and isinstance(typed, str):
            verdict = self._typed(typed, mode)
        else:
            verdict = self._without_command(call, tool, mode)
        for rule in self.rules.all:  # the strictest first
            if rule.names_tool(tool.name):
                return with_tool_rule(verdict, rule, tool.name)
        return verdict

    def command(self, line: str, mode: Mode) -> Verdict:
        """Decide about a shell command line."""
        commands = commands_of(line)
        parts = [part for one in commands for part in self._parts(one, mode)]
        if not parts:
            parts = [Part(line, decide(mode, "execute"), f"in {mode} mode commands need a yes")]
            return strictest(parts)
        exact = self._exact(line, parts)
        if exact is not None and (exact.action != "allow" or mode != "plan"):
            why = f"rule {exact}"
            parts = [Part(line, exact.action, why, str(exact)), *stricter(parts, exact.action)]
        verdict = strictest(parts)
        if len(line) > _LONGEST_OFFER or not line.isprintable():
            return verdict
        if all(may_be_granted(part) for part in parts):
            return replace(verdict, offer=f"shell(={line})")
        return verdict

    def grant(self, rule: str) -> Grant:
        """Allow for good what `Verdict.offer` said.

        Raises:
            ConfigError: it cannot be stored.
        """
        parsed_rule("allow", rule)
        if self.grants is None:
            raise ConfigError("nothing can be allowed for good here")
        return self.grants.add(rule)

    def is_granted(self, rule: str | None) -> bool:
        """Tell whether exactly that rule was allowed for good."""
        return rule is not None and rule in self._granted()

    def _granted(self) -> frozenset[str]:
        # Read anew each time: it may have been revoked in another terminal.
        return frozenset(one.rule for one in self.grants.list()) if self.grants else frozenset()

    # ------------------------------------------------------------------ commands

    def _exact(self, line: str, parts: Iterable[Part]) -> Rule | None:
        for rule in (*self.rules.deny, *self.rules.ask):
            if rule.exact == line:
                return rule
        if not all(part.known for part in parts):
            return None
        for rule in self.rules.allow:
            if rule.exact == line:
                return rule
        text = f"shell(={line})"
        return parsed_rule("allow", text) if self.is_granted(text) else None

    def _parts(self, command: Command, mode: Mode) -> Iterator[Part]:
        """Yield what is decided about a command, and about each file the shell opens for it."""
        if command.words or command.assignments or command.unknown:
            yield self._program(command, mode)
        for redirect in command.redirects:
            target, text = redirect.target, f"{redirect.operator} {redirect.target.text}"
            if target.unknown or target.is_pattern or command.directory is None:
                yield Part(text, _unknown(mode), "which file it is cannot be known", known=False)
            elif target.text not in {"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty"}:
                place = self._places.at(posixpath.join(command.directory, target.text))
                yield self._file(place, mode, text, writes=redirect.writes)

    def _program(self, command: Command, mode: Mode) -> Part:
        text = command.text
        if (caution := self._caution(command, mode)) is not None:
            return caution
        for rule in self.rules.allow if mode != "plan" else ():
            if rule.matches_command(command):
                return Part(text, "allow", f"rule {rule}", str(rule))
        if not command.values or self._only_looks(command):
            return Part(text, "allow", "it only looks")
        if mode == "auto" and command.directory is None and self._places.has_rules:
            return Part(text, "ask", "where it runs cannot be known", known=False)
        if mode == "auto" and command.reads_script and (self.rules.deny or self.rules.ask):
            return Part(text, "ask", "what it runs comes from its input")
        return Part(text, decide(mode, "execute"), _because(mode, "no rule allows it"))

    def _caution(self, command: Command, mode: Mode) -> Part | None:
        """Decide what no rule that allows can change."""
        text = command.text
        if rule := self._stopping(command):
            return Part(text, rule.action, f"rule {rule}", str(rule))
        if any(place.is_own for place in named_places(command, self._places)):
            return Part(text, _own(mode), "it names victor's own settings", known=False)
        if command.unknown:
            return self._not_understood(text, command.unknown, mode)
        rule = reached_rule(
            command, self._places, self.rules, workspace=self.workspace, which=self._which
        )
        if rule is not None:
            return Part(text, _own(mode), f"it may read what rule {rule} is about", str(rule))
        return None

    def _stopping(self, command: Command) -> Rule | None:
        """Return the strictest rule against a command, or against a file that it names."""
        named = list(named_places(command, self._places))
        for rules in (self.rules.deny, self.rules.ask):
            for rule in rules:
                if rule.matches_command(command):
                    return rule
                if any(rule.matches_place(place.names) for place in named):
                    return rule
        return None

    def _not_understood(self, text: str, why: str, mode: Mode) -> Part:
        decision = _unknown(mode)
        if mode == "auto" and (self.rules.deny or self.rules.ask):
            decision = "ask"  # a rule may speak of it, and nobody can tell
        return Part(text, decision, f"it cannot be understood: {why}", known=False)

    def _only_looks(self, command: Command) -> bool:
        found = harmless(command, self._which)
        if found is None or command.directory is None:
            return False
        look, programs = found
        here = self._places.at(posixpath.join(command.directory, look.directory))
        paths = [self._places.at(posixpath.join(here.text, path)) for path in look.paths]
        looked_at = chain((here, *paths), map(self._places.at, matching(paths, self.workspace)))
        if here.is_pattern or not all(one.is_inside and not one.is_own for one in looked_at):
            return False
        shown = (paths or [here]) if look.walks else []
        if any(self._places.rule_below(place) for place in shown):
            return False
        # A program of the workspace may be anything, whatever its name is.
        if any(self._places.at(os.path.abspath(one)).is_inside for one in programs):  # noqa: PTH100
            return False
        return not look.repository or is_plain_repository(Path(here.real))

    def _typed(self, text: str, mode: Mode) -> Verdict:
        """Decide about what is typed into a running program, which may be another shell."""
        stopping = [(one.text, self._stopping(one)) for one in commands_of(text)]
        parts = [Part(shown, r.action, f"rule {r}", str(r)) for shown, r in stopping if r]
        return strictest([self._not_understood(text, "a running program reads it", mode), *parts])

    # ------------------------------------------------------------------ other tools

    def _use(self, call: ToolCall, tool: Tool, mode: Mode) -> Verdict:
        """Decide about a use of a tool that is no command and touches no file."""
        offer = tool.name if is_bare(tool.name) else None
        decision = decide(mode, tool.effect)
        if tool.name == "web_fetch":
            host = host_of(call.arguments.get("url"))
            offer = host and f"web_fetch({host})"
            rule = next((rule for rule in self.rules.all if rule.matches_host(host)), None)
            if rule is not None and decision != "deny":  # the strictest rule came first
                action = "ask" if host is None and rule.action == "deny" else rule.action
                return strictest([Part(host or "its address", action, f"rule {rule}", str(rule))])
        if decision == "ask" and self.is_granted(offer):
            return Verdict("allow", f"rule allow {offer}")
        why = _because(mode, f"{tool.name} needs a yes")
        return Verdict(decision, why, offer=offer if decision == "ask" else None)

    def _without_command(self, call: ToolCall, tool: Tool, mode: Mode) -> Verdict:
        if tool.effect not in {"read", "edit"}:
            return self._use(call, tool, mode)
        walks = tool.effect == "read" and "path" in tool.definition.parameters.get("properties", {})
        texts = _paths_of(call, default="." if walks else None)
        if texts is None:
            return Verdict(decide(mode, tool.effect), _because(mode, "it names no file"))
        writes = tool.effect == "edit"
        shows = not writes and tool.name not in _NAMES_ONLY
        # victor's own tools open files in the workspace and nowhere else: no yes could change that.
        own = tool.function.__module__.startswith("victor.tools.")
        outside: Decision = "deny" if own else "ask"
        if not writes and "__" in tool.name:
            outside = decide(mode, "read")  # a server's paths are not of this machine, or its own
        parts = [
            self._file(
                self._places.at(text), mode, text, writes=writes, below=shows, outside=outside
            )
            for text in texts
        ]
        verdict = strictest(parts)
        if verdict.decision != "ask" or not writes or len(parts) != 1:
            return verdict
        place = self._places.at(texts[0])
        if not may_be_granted(parts[0]) or not place.is_inside or not place.text.isprintable():
            return verdict
        offer = exact_path_rule("write", place.text)
        if self.is_granted(offer) and mode != "plan":
            return Verdict("allow", f"rule allow {offer}", verdict.parts)
        return Verdict("ask", verdict.why, verdict.parts, offer)

    def _file(
        self,
        place: Place,
        mode: Mode,
        text: str,
        *,
        writes: bool,
        below: bool = False,
        outside: Decision = "ask",
    ) -> Part:
        """Decide about one file; `outside` is for one that is not in the workspace."""
        kind: Literal["read", "write"] = "write" if writes else "read"
        if writes and place.is_own:
            return Part(text, "deny", "victor's own settings are not the model's to change")
        for rule in (*self.rules.deny, *self.rules.ask):
            if rule.matches_place(place.names, kind):
                return Part(text, rule.action, f"rule {rule}", str(rule))
        if not writes:
            if below and (hidden := self._places.rule_below(place)):
                return Part(text, "ask", f"it may read what rule {hidden} is about", str(hidden))
            if place.is_inside:
                return Part(text, "allow", "it is read inside the workspace")
        allowed = None if mode == "plan" and writes else self._places.allowed(place, kind)
        if allowed is not None:
            return Part(text, "allow", f"rule {allowed}", str(allowed))
        if writes and mode != "plan" and place.protected:
            return Part(text, "ask", f"other programs obey {place.protected}")
        decision = decide(mode, "edit" if writes else "read")
        opens = mode == "auto" and outside != "deny"
        if place.is_inside or opens or decision == "deny":
            return Part(text, decision, _because(mode, "no rule allows the change"))
        return Part(text, outside, "it is outside the workspace")


def _unknown(mode: Mode) -> Decision:
    return "ask" if mode == "accept-edits" else decide(mode, "execute")


def _own(mode: Mode) -> Decision:
    return "deny" if mode == "plan" else "ask"


def _because(mode: Mode, why: str) -> str:
    match mode:
        case "plan":
            return "plan mode only reads"
        case "auto":
            return "auto mode allows what no rule forbids"
        case _:
            return why


def _paths_of(call: ToolCall, default: str | None) -> list[str] | None:
    """Return the paths a call names; None where there is no telling."""
    match call.arguments:
        case {"path": str(path)}:
            return [path]
        case {"patch": str(patch)}:
            from victor.tools.patches import patched_paths

            try:
                return patched_paths(patch)
            except VictorError:
                return None  # it cannot be applied either
        case {"path": _}:
            return None
        case _:
            return None if default is None else [default]

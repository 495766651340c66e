"""Rules on commands and paths: how they are written, and what they match.

A rule names a tool, and for some what it is used on:

    shell(git log *)    commands; words are matched one by one, a last * takes all that follow
    shell(=make all)    exactly this command line, and nothing else
    read(secrets/**)    files; without a / the name counts in every directory
    write(*.md)
    web_fetch(*.x.org)  hosts; *. stands for every name below
    web_fetch           every use of a tool; github__* stands for all of one MCP server

Knows nothing about modes, and nothing about which rule wins.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias

from victor.agent.commands import Command, commands_of
from victor.agent.shellwords import Word, tokens_of
from victor.config.checks import WrongSettingError
from victor.config.rule_texts import RuleText, RuleTexts, rule_texts
from victor.errors import ConfigError

__all__ = [
    "NO_RULES",
    "SHELLS",
    "Action",
    "Kind",
    "Rule",
    "Rules",
    "exact_path_rule",
    "host_of",
    "is_bare",
    "load_rules",
    "parsed_rule",
    "rules_of",
]

Action: TypeAlias = Literal["allow", "ask", "deny"]
Kind: TypeAlias = Literal["read", "write"]

_RULE = re.compile(r"([A-Za-z_*][A-Za-z0-9_*?-]*)(?:\((.*)\))?", re.DOTALL)
_ARGUMENTS = ("shell", "web_fetch", "read", "write")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*")
# Written plainly: what could be read in two ways matches no rule that allows.
_ADDRESS = re.compile(r"https://([a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::[0-9]+)?(?:[/?#].*)?", re.DOTALL)

_FOREIGN: Mapping[str, str] = MappingProxyType(
    {"Bash": "shell", "Edit": "write", "Read": "read", "Shell": "shell", "WebFetch": "web_fetch"}
    | {"Write": "write"}
)
"""As other agents write them. Taken for the names of tools, they would stop nothing."""

SHELLS = frozenset({"shell", "shell_start"})
"""The tools whose `command` is a line for the shell; rules on `shell` are about all of them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to be matched."""

    action: Action
    text: str
    tool: str
    argument: str | None = None
    """What stands in brackets; None for a rule on every use of a tool."""
    exact: str | None = None
    """The one command line it stands for."""
    words: tuple[re.Pattern[str], ...] = ()
    open_end: bool = False
    """Whether more words may follow."""
    path: re.Pattern[str] | None = None
    host: str | None = None
    """Lower case; with `*.` in front, every host below it."""

    def __str__(self) -> str:
        return f"{self.action} {self.text}"

    def names_tool(self, name: str) -> bool:
        """Tell whether it is about every use of a tool."""
        names = {name, "shell"} if name in SHELLS else {name}
        pattern = _glob(self.tool, star=".*")
        return self.argument is None and any(pattern.fullmatch(one) for one in names)

    def matches_host(self, host: str | None) -> bool:
        """Tell whether a host is what the rule speaks of; None is one that nobody can tell."""
        if self.host is None or host is None:
            return self.host is not None and self.action != "allow"
        # web_fetch follows redirects from x.org to www.x.org and back.
        bare = host.removeprefix("www.")
        hosts = (host,) if self.action == "allow" else (bare, f"www.{bare}")
        below = self.host[1:] if self.host[0] == "*" else None
        return any(one == self.host or (below and one.endswith(below)) for one in hosts)

    def matches_command(self, command: Command) -> bool:
        """Tell whether a command is what the rule speaks of.

        A rule that allows has to be sure: of each word, and that it sees all of them. A rule that
        refuses matches by the program's name alone, wherever it lies, and also what a wrapper such
        as sudo or xargs may run.
        """
        if self.tool != "shell" or not self.words:
            return False
        if self.action == "allow":
            return not command.unknown and not command.fed and self._takes(command.values)
        words = tuple(word.text for word in command.words)
        if self._takes(_by_name(words)) or self._takes(words) or self._takes(command.values):
            return True
        return any(
            self._takes(_by_name(guess[start:]))
            for guess in command.guesses
            for start in range(len(guess))
            if self.words[0].fullmatch(posixpath.basename(guess[start]))
        )

    def _takes(self, values: Sequence[str]) -> bool:
        count = len(self.words)
        if len(values) < count or (len(values) > count and not self.open_end):
            return False
        return all(one.fullmatch(value) for one, value in zip(self.words, values, strict=False))

    def matches_path(self, kind: Kind, path: str) -> bool:
        """Tell whether a file is what the rule speaks of.

        Args:
            kind: what is done with it.
            path: relative to the workspace, or absolute and outside it; without `.` and `..`.
        """
        if self.path is None or self.tool != kind:
            return False
        if self.action == "allow":
            return bool(self.path.fullmatch(path))
        # Some file systems do not tell A from a; and what is in a directory goes with it.
        path = path.casefold()
        while path not in {"", "/"}:
            if self.path.fullmatch(path):
                return True
            path = posixpath.dirname(path)
        return False

    def matches_place(self, names: Iterable[str], kind: Kind | None = None) -> bool:
        """Tell whether a file is what the rule speaks of, by any of its names.

        Args:
            names: as in `matches_path`.
            kind: what is done with it; None where that is not known.
        """
        kinds: tuple[Kind, ...] = ("read", "write") if kind is None else (kind,)
        return self.path is not None and any(
            self.matches_path(one, name) for name in names for one in kinds
        )


def _by_name(words: Sequence[str]) -> Sequence[str]:
    return (posixpath.basename(words[0]), *words[1:]) if words else words


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules in force, by what they do."""

    allow: tuple[Rule, ...] = ()
    ask: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    examples: int = 0
    """How many examples were tried."""

    @property
    def all(self) -> tuple[Rule, ...]:
        """The rules, strictest first."""
        return (*self.deny, *self.ask, *self.allow)


NO_RULES = Rules()


# --- reading ------------------------------------------------------------------------------------


def parsed_rule(action: Action, text: str) -> Rule:
    """Read a rule.

    Raises:
        ConfigError: it is none; the message says what is wrong with it.
    """
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(
            f"{text!r} is not a rule: write shell(git log *), read(secrets/**), write(*.md), or "
            "the name of a tool"
        )
    tool, argument = found[1], found[2]
    _check_name(text, tool)
    if argument is None:
        if tool in {"read", "write"}:
            raise ConfigError(f"{text!r}: say which files, as in {tool}(docs/**), or {tool}(**)")
        return Rule(action, text.strip(), tool)
    if tool not in _ARGUMENTS:
        raise ConfigError(f"{text!r}: only {', '.join(_ARGUMENTS)} take brackets; write {tool}")
    if not argument.strip():
        raise ConfigError(f"{text!r}: there is nothing in the brackets; {tool}(*) is everything")
    if tool == "shell":
        return _shell_rule(action, text.strip(), argument)
    if tool == "web_fetch":
        host = argument.strip().lower()
        if not _HOST.fullmatch(host):
            raise ConfigError(
                f"{text!r}: name a host, as in web_fetch(docs.python.org) or web_fetch(*.x.org); "
                "web_fetch alone is every address"
            )
        return Rule(action, text.strip(), tool, argument, host=host)
    path = _path_pattern(argument, any_case=action != "allow")
    return Rule(action, text.strip(), tool, argument, path=path)


def _check_name(text: str, tool: str) -> None:
    if tool in _FOREIGN:
        raise ConfigError(f"{text!r}: that is called {_FOREIGN[tool]} here, in small letters")
    if server := re.fullmatch(r"mcp__(.+__.+)", tool):
        raise ConfigError(
            f"{text!r}: tools of MCP servers are called server__tool; write {server[1]}"
        )


def _shell_rule(action: Action, text: str, argument: str) -> Rule:
    if argument.startswith("="):
        return Rule(action, text, "shell", argument, exact=argument[1:])
    script = tokens_of(argument)
    words = [token.word for token in script.tokens]
    plain = all(token.kind == "word" for token in script.tokens)
    if script.troubles or not plain or not words or any(word.unknown for word in words):
        raise ConfigError(
            f"{text!r}: a rule is for one command, without variables, pipes or redirections; "
            "quote what is meant literally, or write shell(=...) for one exact line"
        )
    last = words[-1].pieces[-1] if words[-1].pieces else ("", True)
    open_end = last[0].endswith("*") and not last[1]
    if open_end and words[-1].text == "*" and len(words) > 1:
        words.pop()  # `git log *` is also git log alone
    patterns = tuple(_word_pattern(word) for word in words)
    return Rule(action, text, "shell", argument, words=patterns, open_end=open_end)


def _word_pattern(word: Word) -> re.Pattern[str]:
    pieces = (re.escape(t) if quoted else _glob(t, star=".*").pattern for t, quoted in word.pieces)
    return re.compile("".join(pieces), re.DOTALL)


def _glob(text: str, *, star: str) -> re.Pattern[str]:
    signs = {"*": star, "?": star.removesuffix("*")}
    parts = re.split(r"(\*+|\?)", text)
    return re.compile("".join(signs.get(one[:1], re.escape(one)) for one in parts), re.DOTALL)


def _path_pattern(text: str, *, any_case: bool) -> re.Pattern[str]:
    """Translate a pattern: * and ? stay in a directory, ** does not; a backslash quotes them."""
    path = text.strip()
    if path == "~" or path.startswith("~/"):
        path = re.sub(r"[*?\\]", r"\\\g<0>", str(Path.home())) + path[1:]
    anchored = "/" in path.removesuffix("/")
    path = path.removeprefix("./").removesuffix("/")
    if any_case:
        path = path.casefold()
    parts = re.findall(r"\\.|\*\*/|\*\*|\*|\?|[^\\*?]+|\\", path, re.DOTALL)
    signs = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pattern = "".join(signs.get(one) or re.escape(_unescaped(one)) for one in parts)
    return re.compile(pattern if anchored else f"(?:.*/)?{pattern}", re.DOTALL)


def _unescaped(part: str) -> str:
    return part[1:] if len(part) == 2 and part[0] == "\\" else part


def host_of(address: object) -> str | None:
    """Return the host of an https address; None where there is no telling."""
    found = _ADDRESS.fullmatch(address.lower()) if isinstance(address, str) else None
    return found and found[1]


def is_bare(name: str) -> bool:
    """Tell whether a tool's name alone is a rule on it and on nothing else."""
    return name not in _ARGUMENTS and not name.startswith("shell_") and bool(_RULE.fullmatch(name))


def exact_path_rule(kind: Kind, path: str) -> str:
    """Return the rule for one file and no other."""
    escaped = re.sub(r"[*?\\]", r"\\\g<0>", path)
    return f"{kind}({escaped if '/' in path else './' + escaped})"


# --- the settings' rules ------------------------------------------------------------------------


def load_rules(texts: RuleTexts, source: Path | None = None) -> Rules:
    """Read the rules of the settings, and try their examples.

    Args:
        texts: as the settings have them.
        source: the settings file, for messages.

    Raises:
        ConfigError: a rule cannot be read, or one of its examples is wrong; the message names it.
    """
    where = "" if source is None else f"{source}: "
    lists: Mapping[Action, tuple[RuleText, ...]] = MappingProxyType(
        {"allow": texts.allow, "ask": texts.ask, "deny": texts.deny}
    )
    found: dict[Action, tuple[Rule, ...]] = {}
    tried = 0
    for action, entries in lists.items():
        rules: list[Rule] = []
        for index, entry in enumerate(entries):
            try:
                rules.append(parsed_rule(action, entry.rule))
                tried += _tried(rules[-1], entry)
            except ConfigError as error:
                raise ConfigError(f"{where}permissions.{action}[{index}]: {error}") from None
        found[action] = tuple(rules)
    return Rules(found["allow"], found["ask"], found["deny"], tried)


def rules_of(lists: Mapping[str, Sequence[str]]) -> Rules:
    """Read the rules that a program gives, by what they do.

    Raises:
        ConfigError: a rule cannot be read; the message names it.
    """
    given = {do: texts if isinstance(texts, str) else list(texts) for do, texts in lists.items()}
    try:
        return load_rules(rule_texts("rules", given))
    except WrongSettingError as error:
        raise ConfigError(str(error)) from None


def _tried(rule: Rule, entry: RuleText) -> int:
    for example in entry.allowed:
        if _speaks_of(rule, example) is not (rule.action == "allow"):
            effect = "does not allow" if rule.action == "allow" else f"would {rule.action}"
            raise ConfigError(f"{rule.text} {effect} its example {example!r} of what is allowed")
    for example in entry.refused:
        if _speaks_of(rule, example) is (rule.action == "allow"):
            effect = "allows" if rule.action == "allow" else f"does not {rule.action}"
            raise ConfigError(f"{rule.text} {effect} its example {example!r} of what is refused")
    return len(entry.allowed) + len(entry.refused)


def _speaks_of(rule: Rule, example: str) -> bool:
    if rule.argument is None:
        return rule.names_tool(example)
    if rule.host is not None:
        return rule.matches_host(example.lower())
    if rule.path is not None:
        kind: Kind = "read" if rule.tool == "read" else "write"
        return rule.matches_path(kind, posixpath.normpath(example))
    if rule.exact is not None:
        return rule.exact == example
    matches = [rule.matches_command(one) for one in commands_of(example)]
    return bool(matches) and (all(matches) if rule.action == "allow" else any(matches))

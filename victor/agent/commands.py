"""Finds the simple commands that a shell command line would run.

Reads what people and models write every day: lists, pipelines, subshells, redirections, the usual
wrappers (`timeout 5 …`, `bash -c '…'`). Of anything else it says that it does not understand it.
bash itself may refuse a line that is read here, never the other way round. Knows nothing about
which commands may run, or about files.

Spec: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from victor.agent.shellwords import Token, Tokens, Word, is_name, tokens_of

__all__ = ["Command", "Redirect", "commands_of"]

_LONGEST = 20_000
"""Characters of a command line; a longer one is not read."""

_DEEPEST = 5
"""Scripts inside wrappers inside scripts."""

_RESERVED = frozenset(
    {
        *("if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case"),
        *("esac", "select", "function", "coproc", "[[", "]]", "in"),
    }
)
_SKIPPED = frozenset({"!", "{", "}", "time"})
"""Words before a command that change nothing about what runs."""

_MOVES = frozenset({"pushd", "popd", "eval", "source", ".", "builtin"})
"""After these nobody knows the directory."""

_SHELLS = frozenset({"bash", "dash", "ksh", "sh", "zsh"})
_OPAQUE = _SHELLS | {
    *("entr", "fd", "fdfind", "npx", "trap", "unbuffer"),
    *("builtin", "busybox", "chroot", "chrt", "coproc", "doas", "env", "eval", "exec", "find"),
    *("flock", "ionice", "ltrace", "nice", "nohup", "nsenter", "parallel", "pkexec", "proot"),
    *("runuser", "script", "setpriv", "setsid", "ssh", "stdbuf", "strace", "su", "sudo"),
    *("systemd-run", "taskset", "time", "timeout", "unshare", "watch", "xargs", "command"),
}
"""Programs that run what stands somewhere among their arguments."""

_MEEK = frozenset(
    {
        *("cat", "echo", "du", "egrep", "fgrep", "grep", "head", "ls", "md5sum", "nl"),
        *("sha1sum", "sha256sum", "stat", "tac", "tail", "wc"),
    }
)
"""Programs that only look whatever their options are, so that `*.py` may hold one."""

_QUIET_VARIABLES = frozenset({"CI", "CLICOLOR", "COLUMNS", "FORCE_COLOR", "LANG", "NO_COLOR", "TZ"})
"""Variables that make no program run another one or read a file of somebody's choice."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """A file that the shell opens for a command."""

    operator: str
    target: Word

    @property
    def writes(self) -> bool:
        """Whether the file may be changed."""
        return ">" in self.operator


@dataclass(frozen=True, slots=True)
class Command:
    """One simple command, as far as it can be known before it runs."""

    text: str
    """As it was written."""
    words: tuple[Word, ...] = ()
    """The program and its arguments, without variables that are set for it."""
    assignments: tuple[Word, ...] = ()
    redirects: tuple[Redirect, ...] = ()
    directory: str | None = "."
    """Where it runs, relative to where the shell began; None where that is not known."""
    fed: bool = False
    """Whether it gets a text of the command line as input."""
    unknown: str = ""
    """What about it cannot be understood."""
    through: tuple[str, ...] = ()
    """The harmless wrappers it is run by."""
    guesses: tuple[tuple[str, ...], ...] = field(default=())
    """Words of which each and those after it may be run in turn; for rules that refuse."""

    @property
    def values(self) -> tuple[str, ...]:
        """The words as text, with the variables in front that matter."""
        loud = [word.text for word in self.assignments if not _is_quiet(word)]
        return (*loud, *(word.text for word in self.words))

    @property
    def reads_script(self) -> bool:
        """Whether it is a shell whose commands come from its input."""
        program, *rest = [word.text for word in self.words] or [""]
        is_shell = posixpath.basename(program) in _SHELLS and rest not in (
            ["--version"],
            ["--help"],
        )
        return is_shell and (all(one[:1] in {"-", "+"} for one in rest) or "-s" in rest)


def commands_of(line: str) -> tuple[Command, ...]:
    """Return every command a line would run, those inside substitutions included.

    Never raises: what cannot be read becomes a command that says so in `unknown`.
    """
    if len(line) > _LONGEST:
        return (Command(line, unknown=f"it is longer than {_LONGEST:,} characters"),)
    return tuple(_parsed(tokens_of(line), ".", 0))


def _parsed(tokens: Tokens, directory: str | None, depth: int) -> Iterator[Command]:
    yield from _Parser(tokens, directory, depth).commands()
    for trouble in tokens.troubles:
        yield Command(tokens.text, unknown=trouble, directory=None)


class _Parser:
    def __init__(self, script: Tokens, directory: str | None, depth: int) -> None:
        self._script = script
        self._depth = depth
        self._directory = directory
        self._moved = False
        self._outer: list[tuple[str | None, bool]] = []
        """The directories of the shells around this subshell."""
        self._before = ";"
        self._found: list[Command] = []

    def commands(self) -> list[Command]:
        """Return the commands, in the order they are written."""
        simple: list[Token] = []
        for token in self._script.tokens:
            if token.kind != "operator":
                simple.append(token)
            elif token.text == "(" and simple:
                simple.append(token)  # a function or an array, which nobody wants to run unseen
            else:
                self._end(simple, token.text)
                simple = []
        self._end(simple, "")
        if self._outer:
            self._found.append(Command(self._script.text, unknown="a bracket is not closed"))
        return self._found

    def _end(self, simple: list[Token], operator: str) -> None:
        """Take in a command and the operator after it."""
        command = self._simple(simple) if simple else None
        if command is not None:
            self._found += _unwrapped(command, self._depth)
            self._move(command, operator)
        if operator == "(":
            self._outer.append((self._directory, self._moved))
        elif operator == ")" and self._outer:
            self._directory, self._moved = self._outer.pop()
        elif operator == ")":
            self._found.append(Command(self._script.text, unknown="a bracket is not opened"))
        elif operator not in {"&&", "|", "|&", ""} and self._moved:
            self._directory = None  # whether the cd worked is not known here
        self._before = operator

    def _move(self, command: Command, operator: str) -> None:
        program = command.words[0].text if command.words else ""
        if program in _MOVES:
            self._directory, self._moved = None, True
        if program != "cd":
            return
        target = command.words[-1]
        steady = operator in {"&&", "", ")"} and self._before not in {"|", "|&"}
        known = len(command.words) == 2 and not command.unknown and not target.is_pattern
        plain = known and not target.text.startswith("-") and ".." not in target.text.split("/")
        self._moved = True
        if steady and plain and self._directory is not None and target.text:
            self._directory = posixpath.join(self._directory, target.text)
        else:
            self._directory = None

    def _simple(self, tokens: list[Token]) -> Command | None:
        parts = _Parts()
        waiting = list(reversed(tokens))
        while waiting:
            token = waiting.pop()
            if token.kind == "redirect":
                target = waiting.pop() if waiting and waiting[-1].kind == "word" else None
                parts.add_redirect(token.text, target)
            elif token.kind == "operator":
                parts.troubles.append("it is more than a simple command")
            else:
                parts.add_word(token.word)
            for script in () if token.kind == "redirect" else token.word.inner:
                self._found += _parsed(script, self._directory, self._depth + 1)
        if not (parts.words or parts.assignments or parts.redirects or parts.troubles):
            return None
        for redirect in parts.redirects:
            for script in redirect.target.inner:
                self._found += _parsed(script, self._directory, self._depth + 1)
        return Command(
            _slice(self._script, tokens),
            tuple(parts.words),
            tuple(parts.assignments),
            tuple(parts.redirects),
            self._directory,
            parts.fed,
            "; ".join(dict.fromkeys(parts.troubles)),
        )


def _slice(script: Tokens, tokens: Sequence[Token]) -> str:
    return script.text[tokens[0].start - script.base : tokens[-1].end - script.base]


@dataclass(slots=True)
class _Parts:
    """What a simple command consists of."""

    words: list[Word] = field(default_factory=list)
    assignments: list[Word] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    fed: bool = False

    def add_redirect(self, operator: str, target: Token | None) -> None:
        if target is None:
            self.troubles.append("a redirection leads nowhere")
        elif operator.startswith("<<"):
            self.fed = True
            if operator == "<<<" and target.word.unknown:
                self.troubles.append(target.word.unknown)
            if target.word.inner:
                self.redirects.append(Redirect("<", target.word))
        elif operator in {">&", "<&"} and _is_descriptor(target.word.text):
            pass
        else:
            self.redirects.append(Redirect(operator, target.word))
            if target.word.unknown or target.word.is_pattern:
                self.troubles.append(target.word.unknown or "a redirection to a pattern of names")

    def add_word(self, word: Word) -> None:
        if word.unknown:
            self.troubles.append(word.unknown)
        if self.words:
            if word.is_pattern and word.plain and not _is_safe_pattern(word, self.words[0].text):
                self.troubles.append("file names may be taken for options: begin it with ./")
            self.words.append(word)
        elif not self.words and _is_assignment(word):
            self.assignments.append(word)
        elif word.plain == word.text and word.text in _SKIPPED and not self.assignments:
            pass
        else:
            self.words.append(word)
            if word.is_pattern and word.text != "[":
                self.troubles.append("which program it is depends on file names")
            elif word.plain == word.text and word.text in _RESERVED:
                self.troubles.append(f"{word.text!r} is a part of a shell program")
            elif "=" in word.text:
                self.troubles.append("it is unclear what it sets or runs")


def _is_descriptor(text: str) -> bool:
    text = text.removesuffix("-")
    return not text or (text.isascii() and text.isdigit())


def _is_safe_pattern(word: Word, program: str) -> bool:
    ends = word.text.lstrip("*")
    if program in _MEEK and ends[:1] == "." and ends != word.text:
        return True
    return word.text[0] not in "-*?[" and not word.text.startswith("{")


def _is_assignment(word: Word) -> bool:
    begin = word.pieces[0] if word.pieces else ("", True)
    name, equals, _ = begin[0].partition("=")
    return not begin[1] and bool(equals) and is_name(name.removesuffix("+").partition("[")[0])


def _is_quiet(word: Word) -> bool:
    name, _, value = word.text.partition("=")
    quiet = name in _QUIET_VARIABLES or name.startswith("LC_")
    return quiet and not word.unknown and "/" not in value


# --- wrappers -----------------------------------------------------------------------------------


def _unwrapped(command: Command, depth: int) -> Iterator[Command]:
    """Yield what a command runs in the end, with the wrapper where that needs a rule of its own."""
    inner = _inside(command) if not command.unknown and not command.fed else None
    if inner is None:
        yield replace(command, guesses=tuple(_guesses(command, depth)))
        return
    through = (*command.through, command.words[0].text)
    if isinstance(inner, str):
        if depth > _DEEPEST:
            yield replace(command, unknown="it is nested too deeply")
            return
        if command.redirects:
            yield replace(command, words=(), assignments=())
        for one in _parsed(tokens_of(inner), command.directory, depth + 1):
            yield replace(one, through=(*through, *one.through))
        return
    assigned = [word for word in inner if _is_assignment(word)]
    rest = inner[len(assigned) :]
    yield from _unwrapped(replace(command, words=tuple(rest), through=through), depth)


def _inside(command: Command) -> tuple[Word, ...] | str | None:
    """Return the words, or the script, that a harmless wrapper runs; None if it is no such one."""
    if not command.words or any(word.is_pattern for word in command.words[:1]):
        return None
    program, *rest = command.words
    if any(not _is_quiet(word) for word in command.assignments):
        return None
    if program.text in {"bash", "sh"} and len(rest) == 2 and rest[0].text == "-c":
        return rest[1].text
    skip = _WRAPPERS.get(program.text)
    count = None if skip is None else skip([word.text for word in rest])
    if count is None or count >= len(rest):
        return None
    return tuple(rest[count:])


def _after_none(words: Sequence[str]) -> int | None:
    return None if words and words[0].startswith("-") else 0


def _after_timeout(words: Sequence[str]) -> int | None:
    at = 0
    while at < len(words) and words[at].startswith("-"):
        if words[at] in {"-k", "-s"}:
            at += 2
        elif words[at] in {"--foreground", "--preserve-status", "-v", "--verbose"} or words[
            at
        ].startswith(("--kill-after=", "--signal=")):
            at += 1
        else:
            return None
    if at >= len(words) or not words[at].rstrip("smhd").replace(".", "", 1).isdigit():
        return None
    return at + 1


def _after_nice(words: Sequence[str]) -> int | None:
    match words:
        case ["-n", number, *_] if number.lstrip("-+").isdigit():
            return 2
    return _after_none(words)


def _after_env(words: Sequence[str]) -> int | None:
    at = 0
    while at < len(words) and "=" in words[at]:
        if not _is_quiet(Word(((words[at], False),))):
            return None
        at += 1
    return None if at < len(words) and words[at].startswith("-") else at


def _after_stdbuf(words: Sequence[str]) -> int | None:
    at = 0
    while at < len(words) and words[at][:2] in {"-i", "-o", "-e"} and words[at][2:] in {"L", "0"}:
        at += 1
    return None if at == 0 else at


_WRAPPERS: Mapping[str, Callable[[Sequence[str]], int | None]] = MappingProxyType(
    {
        "command": _after_none,
        "env": _after_env,
        "nice": _after_nice,
        "nohup": _after_none,
        "stdbuf": _after_stdbuf,
        "timeout": _after_timeout,
    }
)
"""Programs that run their arguments and add nothing; each returns how many words are its own."""


def _guesses(command: Command, depth: int) -> Iterator[tuple[str, ...]]:
    values = tuple(word.text for word in command.words)
    if not values or depth > _DEEPEST:
        return
    if values[0] not in _RESERVED and posixpath.basename(values[0]) not in _OPAQUE:
        return
    yield values[1:]
    for value in values[1:]:
        if any(blank in value for blank in " \t\n;&|"):
            for one in _parsed(tokens_of(value), None, depth + 1):
                yield tuple(word.text for word in one.words)
                yield from one.guesses

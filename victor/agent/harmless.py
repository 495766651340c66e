"""Tells commands that only look, and what they look at.

Which programs those are is in `lookers.py`. Knows nothing about rules or modes; a sandbox remains
the boundary.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from victor.agent.commands import Command
from victor.agent.lookers import BUILTINS, FIND_FLAGS, FIND_TESTS, GIT, PROGRAMS, VERSIONS, Program

__all__ = ["Look", "harmless"]


@dataclass(frozen=True, slots=True)
class Look:
    """What a harmless command looks at."""

    paths: tuple[str, ...] = ()
    """The words that may be paths, as written."""
    repository: bool = False
    """Whether it is git, which obeys the repository's own configuration."""
    walks: bool = False
    """Whether it shows what is in files that are not named; without paths, of where it runs."""
    directory: str = "."
    """Where it goes before it looks."""


def harmless(
    command: Command, which: Callable[[str], str | None] = shutil.which
) -> tuple[Look, tuple[str, ...]] | None:
    """Return what a command looks at, if looking is all it does.

    Args:
        command: a command without `unknown`.
        which: finds a program, as `shutil.which`.

    Returns:
        What it looks at, and where the programs lie that it runs; None if it may do more, or if a
        program is not found.
    """
    values = [word.text for word in command.words]
    if not values or command.values != tuple(values):
        return None
    look = _look(values)
    if look is None:
        return None
    names = [name for name in (*command.through, values[0]) if name not in BUILTINS]
    places = [which(name) for name in names]
    if not all(places):
        return None
    return look, tuple(place for place in places if place)


_FILE_TESTS = frozenset(f"-{letter}" for letter in "Ldefhrswx")
_TEXT_TESTS = frozenset({"-n", "-z"})
_COMPARISONS = frozenset({"!=", "-eq", "-ge", "-gt", "-le", "-lt", "-ne", "=", "=="})


def _look(values: Sequence[str]) -> Look | None:
    program, *rest = values
    match program:
        case "git":
            return _look_of_git(rest)
        case "find":
            return _look_of_find(rest)
        case "echo":
            return Look()
        case "command" if rest[:1] in (["-v"], ["-V"]):
            return Look()
        case "sed" if rest[:1] == ["-n"] and _prints_lines(rest[1:]):
            return _look_of(Program(), rest[2:])
        case "test" | "[":
            return _look_of_test(values)
        case _:
            pass
    if len(rest) == 1 and rest[0] in VERSIONS.get(program, ()):
        return Look()
    known = PROGRAMS.get(program)
    return None if known is None else _look_of(known, rest)


def _prints_lines(words: Sequence[str]) -> bool:
    """Tell whether a sed script is `5p`, `1,20p` or `$p`; sed can also write, and run programs."""
    script = words[0] if words else ""
    ends = script.removesuffix("p").split(",")
    return script.endswith("p") and len(ends) <= 2 and all(_is_line(end) for end in ends)


def _is_line(text: str) -> bool:
    return text == "$" or (text.isascii() and text.isdigit())


def _look_of_test(values: Sequence[str]) -> Look | None:
    """Judge a condition; `-v`, for one, would run what stands in the index of an array."""
    program, *rest = values
    if program == "[":
        if rest[-1:] != ["]"]:
            return None
        rest = rest[:-1]
    match rest[1:] if rest[:1] == ["!"] else rest:
        case [operator, path] if operator in _FILE_TESTS:
            return Look((path,))
        case [operator, _] if operator in _TEXT_TESTS:
            return Look()
        case [_, operator, _] if operator in _COMPARISONS:
            return Look()
    return None


def _look_of_git(rest: Sequence[str]) -> Look | None:
    if rest[:1] == ["--no-pager"]:
        rest = rest[1:]
    if rest == ["--version"]:
        return Look()
    directory = "."
    if rest[:1] == ["-C"] and rest[1:]:
        directory, rest = rest[1], rest[2:]
    for count in (2, 1):
        known = GIT.get(" ".join(rest[:count]))
        if known is not None:
            look = _look_of(known, rest[count:])
            return look and replace(look, repository=True, directory=directory)
    return None


def _look_of_find(rest: Sequence[str]) -> Look | None:
    paths: list[str] = []
    words = iter(rest)
    for word in words:
        if word in FIND_TESTS:
            value = next(words, None)
            if value is None:
                return None
            paths += [value] if word == "-newer" else []
        elif word.startswith("-") or word in FIND_FLAGS:
            if word not in FIND_FLAGS:
                return None
        else:
            paths.append(word)
    return Look(tuple(paths) or (".",))


def _look_of(known: Program, rest: Sequence[str]) -> Look | None:
    found = _Found()
    if not all(_takes(known, option, found) for option in _options(known, rest, found)):
        return None
    others = found.others
    if known.most is not None and len(others) > known.most:
        return None
    if known.fits is not None and not known.fits(others):
        return None
    texts = 0 if found.has_pattern else known.texts
    return Look((*found.values, *others[texts:]), walks=_shows(known, rest))


def _shows(known: Program, rest: Sequence[str]) -> bool:
    """Tell whether it shows what is in files that are not named; if in doubt, it does."""
    if known.shows is None:
        return False
    options = [word for word in rest if word.startswith("-")]
    long = {word.partition("=")[0] for word in options}
    short = {letter for word in options if not word.startswith("--") for letter in word}
    if long & known.shows_long or short & set(known.shows):
        return True
    return known.shows == "" or (bool(known.names) and not long & known.names)


@dataclass(slots=True)
class _Found:
    others: list[str]
    """What is no option."""
    values: list[str]
    """What options get, where it looks like a path."""
    has_pattern: bool = False

    def __init__(self) -> None:
        self.others, self.values, self.has_pattern = [], [], False


def _options(known: Program, rest: Sequence[str], found: _Found) -> Iterator[str]:
    """Yield the options, with a short one's value attached; collect the other words."""
    words = iter(rest)
    for word in words:
        if word == "--":
            found.others += words
        elif not word.startswith("-") or word == "-":
            found.others.append(word)
        elif not word.startswith("--") and word[-1] in known.valued and _ends_open(known, word):
            value = next(words, "")
            yield "--" if value.startswith("-") else word + value  # two options, or a value?
        else:
            yield word


def _ends_open(known: Program, word: str) -> bool:
    return all(letter in known.flags for letter in word[1:-1])


def _takes(known: Program, option: str, found: _Found) -> bool:
    """Tell whether an option is one of those that only look."""
    if option.startswith("--"):
        name, equals, value = option.partition("=")
        found.has_pattern |= name in {"--regexp", "--files"}
        found.values += [value] if equals and _may_be_path(value) else []
        return name in known.long
    if known.numbers and option[1:].isascii() and option[1:].isdigit():
        return True
    for index, letter in enumerate(option[1:], 1):
        if letter in known.valued:
            value = option[index + 1 :]
            found.has_pattern |= letter in known.pattern
            found.values += [value] if letter not in known.pattern and _may_be_path(value) else []
            return True
        if letter not in known.flags:
            return False
    return True


def _may_be_path(value: str) -> bool:
    return "/" in value or value.startswith("..")

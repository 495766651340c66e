"""Which files a command names, and which it comes to without naming them.

A pattern of file names is compared with the files there are now; a search is taken to look at all
that is below. Between this and its use a file may come: the sandbox holds a command then. Knows
nothing about modes, and nothing about what is decided.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from glob import iglob
from itertools import chain, islice
from pathlib import Path

from victor.agent.commands import Command
from victor.agent.harmless import harmless
from victor.agent.places import Place, Places
from victor.agent.rules import Rule, Rules

__all__ = ["matching", "named_places", "reached_rule"]

_WALKERS = frozenset({"ack", "ag", "egrep", "fgrep", "grep", "rg"})

_MOST_NAMES = 20_000
_MOST_PATTERNS = 20
"""What is compared with the files there are; nobody should have to wait for more."""


def named_places(command: Command, places: Places) -> Iterator[Place]:
    """Yield the files that the words of a command may name."""
    words = [word.text for word in command.words[1:]]
    guessed = (word for guess in command.guesses for word in guess)
    for text in dict.fromkeys(t for w in (*words, *guessed) for t in _path_texts(w)):
        yield places.at(posixpath.join(command.directory or ".", text))


def reached_rule(
    command: Command,
    places: Places,
    rules: Rules,
    *,
    workspace: Path,
    which: Callable[[str], str | None],
) -> Rule | None:
    """Return a rule that stops, and speaks of a file that a command comes to without naming it.

    Args:
        command: a command without `unknown`.
        places: of the workspace.
        rules: the user's rules.
        workspace: where the files are.
        which: finds a program, as `shutil.which`.
    """
    if not places.has_rules or command.directory is None:
        return None
    stopping = [rule for rule in (*rules.deny, *rules.ask) if rule.path]
    for name in matching(named_places(command, places), workspace):
        if name == "/":
            return next(iter(stopping), None)
        names = places.at(name).names
        if rule := next((rule for rule in stopping if rule.matches_place(names)), None):
            return rule
    below = (places.rule_below(place) for place in _walked(command, places, which))
    return next((rule for rule in below if rule is not None), None)


def _path_texts(text: str) -> Iterator[str]:
    """Yield what in a word may be a path: the word, an option's value, the `b` of `a:b`."""
    if not text.startswith("-"):
        yield text
    if "=" in text:
        yield text.partition("=")[2]
    if ":" in text:
        yield from text.split(":")


def matching(found: Iterable[Place], workspace: Path) -> Iterator[str]:
    """Yield the files in the workspace that a shell may put in the place of patterns.

    Where there are more of them than anybody means, `/` stands for the rest.
    """
    # A bracket is read as *: that is more than it stands for, and never less.
    patterns = dict.fromkeys(
        re.sub(r"\[[^/]*", "*", one.text)
        for one in found
        if one.is_pattern and not one.text.startswith("/")
    )
    names = chain.from_iterable(
        iglob(pattern, root_dir=workspace, include_hidden=True)  # noqa: PTH207 - as a shell does
        for pattern in islice(patterns, _MOST_PATTERNS)
    )
    count = 0
    for count, name in enumerate(islice(names, _MOST_NAMES), 1):  # noqa: B007 - used below
        yield name
    if count == _MOST_NAMES or len(patterns) > _MOST_PATTERNS:
        yield "/"


def _walked(command: Command, places: Places, which: Callable[[str], str | None]) -> list[Place]:
    """Return where a command looks into files that it does not name."""
    here = places.at(command.directory or ".")
    if (found := harmless(command, which)) is not None:
        look = found[0]
        if look.repository and "grep" not in (word.text for word in command.words):
            return []  # a history is no search of files; whether it only looks is judged elsewhere
        here = places.at(posixpath.join(here.text, look.directory))
        paths = [places.at(posixpath.join(here.text, path)) for path in look.paths]
        return (paths or [here]) if look.walks else []
    if not command.words or posixpath.basename(command.words[0].text) not in _WALKERS:
        return []
    folders = [one for one in named_places(command, places) if Path(one.real).is_dir()]
    return folders or [here]

"""Which files git ignores, as far as the workspace itself says so.

Reads `.gitignore`, `.ignore`, `.rgignore` and `.git/info/exclude`, as ripgrep does; nothing outside
the workspace. Knows nothing about searching.
Spec: https://git-scm.com/docs/gitignore#_pattern_format
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from victor.tools.globs import glob_pattern
from victor.tools.paths import Entry, PathError, open_file

__all__ = ["Rules"]

_FILES = (".gitignore", ".ignore", ".rgignore")
"""The later ones come first."""

_EXCLUDE = ".git/info/exclude"

_LARGEST = 2**20


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    whole: bool
    """The pattern is one for the path from the directory of its file, not for a name."""
    directories: bool
    """It means directories only."""
    ignores: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """What the files of a directory, and of those above it, say."""

    directory: str = "."
    own: tuple[_Rule, ...] = ()
    above: Rules | None = None

    def below(self, workspace: Path, directory: str, inside: Iterable[Entry]) -> Rules:
        """Return the rules for a directory below this one.

        Args:
            workspace: the directory that is not left.
            directory: the other one, relative to it.
            inside: what is in it.
        """
        names = {entry.path for entry in inside}
        prefix = "" if directory == "." else f"{directory}/"
        files = [prefix + name for name in _FILES if prefix + name in names]
        if directory == "." and (workspace / _EXCLUDE).is_file():
            files.insert(0, _EXCLUDE)
        if not files:
            return self
        return Rules(directory, tuple(_rules(workspace, files)), self)

    def ignore(self, path: str, *, is_directory: bool) -> bool:
        """Tell whether git ignores an entry of the directory."""
        name = path.rpartition("/")[2]
        rules: Rules | None = self
        while rules is not None:
            inside = path if rules.directory == "." else path[len(rules.directory) + 1 :]
            for rule in reversed(rules.own):
                if rule.directories and not is_directory:
                    continue
                if rule.pattern.fullmatch(inside if rule.whole else name):
                    return rule.ignores
            rules = rules.above
        return False


def _rules(workspace: Path, files: Iterable[str]) -> Iterator[_Rule]:
    for file in files:
        try:
            with open_file(workspace, file) as read:
                text = read.read(_LARGEST).decode("utf-8", "replace")
        except (PathError, OSError):
            continue
        for line in text.splitlines():
            if rule := _rule(line):
                yield rule


def _rule(line: str) -> _Rule | None:
    text = re.sub(r"(?<!\\) +$", "", line.removeprefix("\ufeff"))
    if not text or text.startswith("#"):
        return None
    ignores = not text.startswith("!")
    text = text if ignores else text[1:]
    directories = text.endswith("/")
    text = text.removesuffix("/")
    whole = "/" in text
    text = text.removeprefix("/")
    if not text:
        return None
    return _Rule(glob_pattern(text), whole, directories, ignores)

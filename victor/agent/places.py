"""Where a path leads, and which rules speak of it.

A path is judged as it is written and as it resolves, and has to pass both. Between this and its use
a link may change: the tools' opener and the sandbox hold it then. Knows nothing about commands or
modes.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from victor.agent.rules import Kind, Rule, Rules
from victor.config.settings import config_path, state_path
from victor.sandbox.policy import PROTECTED
from victor.tools.paths import PathError, walk

__all__ = ["Place", "Places"]

_OBEYED = frozenset(
    {
        *(name.casefold() for name in PROTECTED),
        *(".bash_profile", ".bashrc", ".env", ".envrc", ".gitattributes", ".gitconfig"),
        *(".gitmodules", ".netrc", ".profile", ".ssh", ".venv", ".zshenv", ".zshrc"),
        *("conftest.py", "pyvenv.cfg", "sitecustomize.py", "usercustomize.py"),
    }
)
"""Names that programs outside the sandbox obey, wherever they are in the workspace."""

_MAKES_REPOSITORY = "head"
"""As a file: git obeys the `config` beside it (see `victor.sandbox.masks`)."""

_LOOKED_AT = 20_000
"""Entries of the workspace that are compared with a rule; with more of them it asks."""


@dataclass(frozen=True, slots=True)
class Place:
    """One path."""

    text: str
    """Without `.` and `..`; relative to the workspace where it is inside."""
    real: str
    """The absolute path it resolves to."""
    names: tuple[str, ...]
    """It as rules see it: written and resolved."""
    is_inside: bool
    """Whether it stays in the workspace, written and resolved."""
    is_own: bool
    """Whether victor keeps its settings or its memory there."""
    protected: str | None
    """The name in it that other programs obey."""

    @property
    def is_pattern(self) -> bool:
        """Whether a shell would put file names in its place."""
        return any(sign in self.text for sign in "*?[")


class Places:
    """The paths of one workspace.

    Args:
        workspace: what paths are relative to.
        rules: the rules on paths.
        environ: instead of `os.environ`, for victor's own directories.
    """

    def __init__(self, workspace: Path, rules: Rules, environ: Mapping[str, str] | None) -> None:
        self._written = os.path.abspath(workspace)  # noqa: PTH100 - the text alone, links kept
        self._real = os.path.realpath(workspace)
        self._stopping = [rule for rule in (*rules.deny, *rules.ask) if rule.path]
        self._allowing = [rule for rule in rules.allow if rule.path]
        self._own = [os.path.realpath(path) for path in (config_path(environ), state_path(environ))]

    @property
    def has_rules(self) -> bool:
        """Whether a rule refuses, or asks for, any path."""
        return bool(self._stopping)

    def at(self, path: str) -> Place:
        """Return the place of a path: absolute, or relative to the workspace."""
        # What no file name can hold, the tools refuse.
        path = path.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        full = posixpath.join(self._written, path)
        real = _resolved(full)
        names = tuple(dict.fromkeys([self._name(posixpath.normpath(full)), self._name(real)]))
        parts = {part.casefold(): part for name in names for part in name.split("/")}
        lasts = {name.rpartition("/")[2] for name in names}
        return Place(
            text=names[0],
            real=real,
            names=names,
            is_inside=not any(name.startswith("/") for name in names),
            is_own=any(_covers(own, real) for own in self._own),
            protected=next((part for key, part in parts.items() if key in _OBEYED), None)
            or next((last for last in lasts if last.casefold() == _MAKES_REPOSITORY), None),
        )

    def _name(self, path: str) -> str:
        for root in (self._written, self._real):
            if _covers(root, path):
                return posixpath.relpath(path, root)
        return path

    def allowed(self, place: Place, kind: Kind) -> Rule | None:
        """Return a rule that allows a place; a protected one has to be named by it."""
        for rule in self._allowing:
            named = place.protected is None or place.protected in (rule.argument or "")
            if named and all(rule.matches_path(kind, name) for name in place.names):
                return rule
        return None

    def rule_below(self, place: Place) -> Rule | None:
        """Return a rule that refuses to read something below a place, if there is such a thing."""
        rules = [rule for rule in self._stopping if rule.tool == "read"]
        if not rules:
            return None
        path = re.split(r"[*?\[]", place.text)[0]
        start = path if not place.is_pattern else posixpath.dirname(path) or "."
        if not Path(self._real, start).is_dir():
            return None
        try:
            found = [one.path for one in islice(walk(Path(self._real), start), _LOOKED_AT)]
        except PathError:
            return rules[0]
        if len(found) == _LOOKED_AT:
            return rules[0]
        return next((r for r in rules if any(r.matches_path("read", one) for one in found)), None)


def _resolved(path: str) -> str:
    for _ in range(3):
        # Fails where a link comes or goes between two looks: somebody swaps it.
        with contextlib.suppress(OSError):
            return os.path.realpath(path)
    return "/"  # nowhere that is allowed


def _covers(directory: str, path: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")

"""What a program needs of the places that a sandbox hides, by the files its command names.

For commands that the user wrote, never for those of a model. Knows nothing about what a program
reads beside its own files, such as the caches of `npx` and `uvx`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from victor.sandbox.policy import Policy, own_places

__all__ = ["needed_places"]

_ENVIRONMENT = "pyvenv.cfg"
_PACKAGES = "node_modules"
_PROJECT = ("package.json", "pyproject.toml")


def needed_places(command: Sequence[str], policy: Policy) -> tuple[Path, ...]:
    """Return what has to be readable beyond a policy for a program to start.

    For each absolute path in a hidden place that is the project or the virtual environment it is
    in, or the Node packages around it; else the file alone. Nothing that has a home or victor's own
    settings in it is among them.

    Args:
        command: the program's path, and its arguments.
        policy: its rules.
    """
    return tuple(sorted({place for word in command for place in _needed(word, policy)}))


def _needed(word: str, policy: Policy) -> Iterator[Path]:
    path = Path(os.path.normpath(word))
    real = Path(os.path.realpath(path))
    if not word.startswith("/") or _is_in(real, own_places(os.environ)):
        return
    # A link is needed by its own name, too.
    for one in {path, real}:
        shown = one.is_relative_to(policy.workspace) or _is_in(one, policy.readable)
        if shown or not _is_in(one, policy.hidden):
            continue
        if root := next(_roots(one, policy), None):
            yield root
        elif one.is_file():
            yield one


def _roots(path: Path, policy: Policy) -> Iterator[Path]:
    """Yield directories that hold all of a program, the best first."""
    # Who names a directory may mean what is in it: it has to be a project itself.
    around = [path] if path.is_dir() else list(path.parents)
    folders = []
    for folder in around:
        real = Path(os.path.realpath(folder))
        if any(one.is_relative_to(place) for one in policy.hidden for place in (folder, real)):
            break
        folders.append(folder)
    # Packages load each other, from the outermost directory of them.
    yield from (folder for folder in reversed(folders) if folder.name == _PACKAGES)
    for folder in folders:
        if (folder / _ENVIRONMENT).is_file():
            # Most environments in a project load the project.
            above = folder.parent
            yield above if above in folders and _is_project(above) else folder
        if _is_project(folder):
            yield folder


def _is_project(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _PROJECT)


def _is_in(path: Path, places: Sequence[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)

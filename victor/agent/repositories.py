"""Whether git can be run in a directory without running what the repository says.

git obeys `.git/config`: `core.fsmonitor`, `diff.*.textconv` or a filter run a program even for
`git status`. So the configuration is read here, as a file, and has to consist of keys that are
known to be plain data. The user's own configuration is theirs. Knows nothing about commands.

Spec: https://git-scm.com/docs/git-config
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["is_plain_repository"]

_LARGEST = 100_000

_PLAIN = {
    "branch": frozenset({"description", "merge", "mergeoptions", "rebase", "remote"}),
    "color": frozenset({"ui"}),
    "core": frozenset(
        {
            *("autocrlf", "bare", "eol", "filemode", "ignorecase", "logallrefupdates"),
            *("precomposeunicode", "quotepath", "repositoryformatversion", "safecrlf", "symlinks"),
            "untrackedcache",
        }
    ),
    "extensions": frozenset({"objectformat", "refstorage"}),
    "fetch": frozenset({"prune"}),
    "gc": frozenset({"auto"}),
    "init": frozenset({"defaultbranch"}),
    "pull": frozenset({"ff", "rebase"}),
    "push": frozenset({"autosetupremote", "default"}),
    "remote": frozenset({"fetch", "mirror", "prune", "pushurl", "tagopt", "url"}),
    "user": frozenset({"email", "name"}),
}


def is_plain_repository(directory: Path) -> bool:
    """Tell whether git, run in a directory, obeys nothing but plain data of the repository."""
    start = Path(os.path.realpath(directory))
    for here in (start, *start.parents):
        if os.path.lexists(here / ".git"):
            return _is_plain(here / ".git") and not os.path.lexists(here / ".gitmodules")
        if os.path.lexists(here / "HEAD") and os.path.lexists(here / "objects"):
            return False  # git takes such a directory for a repository too
    return True


def _is_plain(git: Path) -> bool:
    try:
        if not stat.S_ISDIR(git.lstat().st_mode):
            return False
        names = ("config.worktree", "modules", "worktrees", "commondir", "hooks/post-index-change")
        if any(os.path.lexists(git / name) for name in names):
            return False
        config = git / "config"
        if not os.path.lexists(config):
            return True
        status = config.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return False
        return _is_data(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return False


def _is_data(config: str) -> bool:
    """Tell whether a configuration consists of known keys, written in the ordinary way."""
    keys: frozenset[str] = frozenset()
    for raw in config.split("\n"):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("["):
            # Anything behind the bracket would be a key too.
            if not line.endswith("]") or "]" in line[:-1]:
                return False
            section = line[1:-1].partition(" ")[0].partition(".")[0].lower()
            keys = _PLAIN.get(section, frozenset())
            continue
        name = line.partition("=")[0].strip().lower()
        if name not in keys or line.endswith("\\"):
            return False
    return True

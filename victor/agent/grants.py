"""What a person has allowed for good in one project: stored, listed, revoked.

Each answer is one file under the state directory, named after the project's real path; so two
terminals never write the same file, and nothing from a repository is read. Knows nothing about
what a rule matches.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from victor.config.settings import state_path
from victor.errors import ConfigError

__all__ = ["Grant", "Grants"]

_LARGEST = 100_000
"""Bytes of a stored answer; a larger file is none of ours."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One answer "always"."""

    id: str
    rule: str
    """As in the settings, such as `write(src/app.py)`."""
    workspace: str
    """The project's real path; it holds there alone."""
    granted: str
    """When, as an ISO time."""


class Grants:
    """The answers of one project.

    Args:
        workspace: the project.
        environ: instead of `os.environ`, for the state directory.
    """

    def __init__(self, workspace: Path, environ: Mapping[str, str] | None = None) -> None:
        self.workspace = os.path.realpath(workspace)
        name = sha256(os.fsencode(self.workspace)).hexdigest()[:16]
        self.directory = state_path(environ) / "permissions" / name

    def list(self) -> tuple[Grant, ...]:
        """Return the answers, oldest first; what is damaged or not the user's own is left out."""
        try:
            if not _is_ours(self.directory.lstat()):
                return ()
            files = sorted(self.directory.glob("*.json"))
        except OSError:
            return ()
        found = [grant for file in files if (grant := self._read(file)) is not None]
        return tuple(sorted(found, key=lambda grant: (grant.granted, grant.id)))

    def add(self, rule: str) -> Grant:
        """Store an answer; one that is there already stays as it is.

        Raises:
            ConfigError: it cannot be stored.
        """
        grant = Grant(_id(rule), rule, self.workspace, datetime.now(UTC).isoformat("T", "seconds"))
        file = self.directory / f"{grant.id}.json"
        if (before := self._read(file)) is not None:
            return before
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whole or not at all: a rule that is cut off could be a broader one.
            descriptor, name = tempfile.mkstemp(dir=self.directory)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                    json.dump({"version": 1, **asdict(grant)}, out, indent=2)
                    out.flush()
                    os.fsync(descriptor)
                Path(name).replace(file)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise ConfigError(f"cannot remember this in {file}: {error.strerror}") from error
        return grant

    def revoke(self, id: str) -> Grant:  # noqa: A002 - it is called so everywhere
        """Remove an answer.

        Args:
            id: as listed, or the beginning of it.

        Raises:
            ConfigError: there is no such answer, or more than one, or it cannot be removed.
        """
        found = [grant for grant in self.list() if id and grant.id.startswith(id)]
        if len(found) != 1:
            which = "no answer" if not found else "more than one answer"
            raise ConfigError(
                f"there is {which} {id!r} for {self.workspace}; `victor permissions list` shows "
                "those there are"
            )
        try:
            (self.directory / f"{found[0].id}.json").unlink()
        except OSError as error:
            raise ConfigError(f"cannot revoke {id}: {error.strerror}") from error
        with contextlib.suppress(OSError):
            self.directory.rmdir()
        return found[0]

    def _read(self, file: Path) -> Grant | None:
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as opened:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode) or not _is_ours(status):
                    return None
                found = json.loads(opened.read(_LARGEST))
        except (OSError, ValueError, RecursionError):
            return None
        match found:
            case {
                "version": 1,
                "id": str(id_),
                "rule": str(rule),
                "workspace": self.workspace,
                "granted": str(granted),
            } if id_ == _id(rule) == file.stem:
                return Grant(id_, rule, self.workspace, granted)
        return None


def _id(rule: str) -> str:
    return sha256(rule.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022

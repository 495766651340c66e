"""Which contents of files the model has seen, so that it does not overwrite what it has not.

Contents are compared, not times: a file touched but not changed is no conflict. Knows nothing about
how files are read or written.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from victor.tools.context import ToolError
from victor.tools.paths import relative, shown

__all__ = ["SeenFiles"]


class SeenFiles:
    """The files one conversation has read or written, each with a hash of its content."""

    def __init__(self) -> None:
        self._hashes: dict[str, bytes] = {}

    def knows(self, workspace: Path, path: str) -> bool:
        """Tell whether the model has seen the file."""
        return relative(workspace, path) in self._hashes

    def remember(self, workspace: Path, path: str, content: bytes | None) -> None:
        """Note what the model knows a file to hold now; None: that there is no such file."""
        name = relative(workspace, path)
        if content is None:
            self._hashes.pop(name, None)
        else:
            self._hashes[name] = _hash(content)

    def check(self, workspace: Path, path: str, content: bytes) -> None:
        """Make sure that a file is as the model saw it, if it saw it.

        Raises:
            ToolError: somebody has changed the file since.
        """
        if self._hashes.get(relative(workspace, path), seen := _hash(content)) != seen:
            raise ToolError(
                f"{shown(path)!r} has changed since you read it: somebody else, or a command, "
                "wrote to it. Nothing was changed; read it again first"
            )


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()

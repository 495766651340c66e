"""The files of the workspace one after the other, for what looks through all of them.

Knows nothing about permissions.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from victor.tools.paths import PathError, open_beneath, open_file, relative, walk
from victor.tools.text import as_text

__all__ = ["file_text", "files_below"]

_LARGEST_FILE = 4 * 1024 * 1024
"""Bytes; larger files are seldom source."""


def file_text(workspace: Path, name: str) -> str | None:
    """Return a file's text; "" where it cannot be read or is binary, None if it is too large."""
    try:
        with open_file(workspace, name) as file:
            content = file.read(_LARGEST_FILE + 1)
    except (PathError, OSError):
        return ""  # it vanished, or may not be read
    if len(content) > _LARGEST_FILE:
        return None
    decoded = as_text(content)
    return decoded[0] if decoded else ""


def files_below(workspace: Path, path: str) -> Iterator[str]:
    """Yield the files to search: those below a directory, or the one file named."""
    descriptor = open_beneath(workspace, path)
    is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    if not is_directory:
        open_file(workspace, path).close()  # a FIFO or device is an error, not "nothing found"
        yield relative(workspace, path)
        return
    for entry in walk(workspace, path):
        if entry.kind == "file":
            yield entry.path

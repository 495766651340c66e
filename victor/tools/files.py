"""The tools that list and write files of the workspace, and what reading them needs.

Every path goes through `victor.tools.paths`. Knows nothing about permissions.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from victor.media import sniffed_type
from victor.tools.base import ToolContext, ToolError, tool
from victor.tools.paths import Entry, PathError, open_file, shown, walk
from victor.tools.replace import replace_file
from victor.tools.seen import SeenFiles
from victor.tools.text import FULL, Limits, as_text, lines_of, within

__all__ = [
    "list_files",
    "listing",
    "numbered_lines",
    "reading",
    "text_files",
    "whole_file",
    "write",
]

_LARGEST_FILE = 32 * 1024 * 1024
"""Bytes; a larger file is not held in memory."""

_MOST_ENTRIES = 200_000
"""After so many entries a listing gives up counting."""


@tool(effect="read", timeout_s=60)
def list_files(context: ToolContext, path: str = ".") -> str:
    """List the files and directories of the workspace, or of a directory in it.

    Args:
        context: the workspace.
        path: The directory.
    """
    return listing(context.workspace, path)


@tool(effect="edit", timeout_s=60)
def write(context: ToolContext, path: str, content: str) -> str:
    """Create a file, or replace all of it; not for changing a part of one.

    Args:
        context: the workspace.
        path: The file; missing directories are made.
        content: The whole new content.
    """
    seen = context.memory.of(SeenFiles)
    if seen.knows(context.workspace, path):
        with contextlib.suppress(PathError):  # it is gone, or a link: replace_file judges that
            seen.check(context.workspace, path, whole_file(context.workspace, path))
    encoded = content.encode()
    existed = replace_file(context.workspace, path, encoded)
    seen.remember(context.workspace, path, encoded)
    count = len(lines_of(content))
    lines = "1 line" if count == 1 else f"{count:,} lines"
    return f"{'Overwrote' if existed else 'Created'} {shown(path)} ({lines})."


# --- listing ------------------------------------------------------------------------------------


def listing(workspace: Path, path: str = ".", *, limits: Limits = FULL) -> str:
    """Return one line for each file and directory; directories end with `/`.

    What does not fit is left out from the deepest up, and counted.

    Raises:
        PathError: the directory is outside the workspace or cannot be opened.
    """
    first: list[Entry] = []
    total = 0
    for entry in walk(workspace, path):
        total += 1
        if total > _MOST_ENTRIES:
            break
        if len(first) < limits.lines:
            first.append(entry)
    if not total:
        return f"There is nothing in {shown(path)}."
    names = [shown(e.path) + ("/" if e.kind == "directory" else "") for e in first]
    kept = within(names, limits)
    text = "\n".join(sorted(kept))
    if total > _MOST_ENTRIES:
        return f"{text}\n[more than {_MOST_ENTRIES:,} entries; list one of the directories]"
    if left_out := total - len(kept):
        return f"{text}\n[{left_out:,} more left out; list one of the directories]"
    return text


def text_files(workspace: Path, *, at_most: int) -> list[str] | None:
    """Return the paths of all text files, shallow ones first; None where there are more.

    Raises:
        PathError: the workspace cannot be opened.
    """
    found: list[str] = []
    for entry in walk(workspace):
        if entry.kind != "file":
            continue
        try:
            with open_file(workspace, entry.path) as file:
                start = file.read(1024)
        except (PathError, OSError):
            continue  # it vanished, or may not be read
        if as_text(start) is None:
            continue
        found.append(entry.path)
        if len(found) > at_most:
            return None
    return found


# --- reading ------------------------------------------------------------------------------------


def reading(
    workspace: Path,
    path: str,
    *,
    offset: int = 1,
    limit: int | None = None,
    limits: Limits = FULL,
    numbered: bool = True,
) -> str:
    """Return lines of a text file, and in brackets what the caller has to know about them.

    Raises:
        PathError: the file is outside the workspace or cannot be opened.
        ToolError: it is binary or too large, or has no line `offset`.
    """
    content = whole_file(workspace, path)
    return numbered_lines(
        content, path, offset=offset, limit=limit, limits=limits, numbered=numbered
    )


def numbered_lines(
    content: bytes,
    path: str,
    *,
    offset: int = 1,
    limit: int | None = None,
    limits: Limits = FULL,
    numbered: bool = True,
) -> str:
    """Return lines of a file's content; `path` is how it is called in what is said about it.

    Raises:
        ToolError: it is binary, or has no line `offset`.
    """
    decoded = as_text(content)
    if decoded is None:
        kind = sniffed_type(content)
        raise ToolError(
            f"{shown(path)!r} is a binary file of {len(content):,} bytes"
            + (f" ({kind})" if kind else "")
        )
    text, remark = decoded
    lines = lines_of(text)
    if not lines:
        return f"[{shown(path)} is empty]"
    if offset > len(lines):
        raise ToolError(f"{shown(path)!r} ends at line {len(lines):,}; there is no line {offset:,}")
    end = len(lines) if limit is None else min(len(lines), offset - 1 + limit)
    kept = within(lines[offset - 1 : end], limits)
    last = offset - 1 + len(kept)
    notes = [f"[{remark}]"] if remark else []
    if last < len(lines):
        how = f"read on with offset={last + 1}" if numbered else "search finds text in the rest"
        notes.append(f"[lines {offset:,}-{last:,} of {len(lines):,}; {how}]")
    if numbered:
        kept = [f"{number}\t{line}" for number, line in enumerate(kept, offset)]
    return "\n".join([*kept, *notes])


def whole_file(workspace: Path, path: str) -> bytes:
    """Return the bytes of a regular file.

    Raises:
        PathError: the file is outside the workspace or cannot be opened.
        ToolError: it is too large.
    """
    with open_file(workspace, path) as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise ToolError(
            f"{shown(path)!r} is larger than {_LARGEST_FILE // 2**20} MiB; "
            "look at parts of it with shell, for example head, tail or grep"
        )
    return content

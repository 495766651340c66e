"""Finds lines in the files of the workspace, where there is no ripgrep.

Patterns run in a linear-time engine, so no pattern can hang the process. Knows nothing about
permissions.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from victor.tools.context import ToolError
from victor.tools.files import glob_matcher
from victor.tools.paths import PathError, open_beneath, open_file, relative, shown, walk
from victor.tools.text import FULL, Limits, as_text, lines_of, within

__all__ = ["file_text", "files_below", "searching"]

_LARGEST_FILE = 4 * 1024 * 1024
"""Bytes; larger files are seldom source, and are passed over with a remark."""

_MOST_MATCHES = 200


def searching(
    workspace: Path,
    query: str,
    path: str = ".",
    *,
    regex: bool = False,
    files: str | None = None,
    limits: Limits = FULL,
    deadline_s: float = 20.0,
) -> str:
    """Return the matching lines as `file:line: text`, and in brackets what was left out.

    Where no line contains a text of several words, lines with all the words are returned.

    Raises:
        PathError: the path is outside the workspace or cannot be opened.
        ToolError: the query is empty, or no regular expression.
    """
    if not query.strip() or "\n" in query:
        raise ToolError("the query must be one line of text")
    wanted = glob_matcher(files) if files else None
    found = _Search(workspace, path, limits, wanted, end=time.monotonic() + deadline_s)
    lines = found.lines(_pattern(query) if regex else _all_of([query]), by_line=regex)
    words = query.split()
    if not lines and not regex and not found.ended and len(words) > 1:
        lines = found.lines(_all_of(words), by_line=False)
        if lines:
            lines.insert(0, f"[no line contains {query!r} as it is; these have all its words]")
    if not lines and not found.ended:
        lines = [f"No line contains {query!r}."]
    if found.ended:
        lines.append(f"[{found.ended}; search in one directory or for a longer text]")
    if found.large:
        lines.append(f"[{found.large:,} larger than {_LARGEST_FILE // 2**20} MiB not searched]")
    return "\n".join(lines)


def _all_of(texts: list[str]) -> Callable[[str], bool]:
    wanted = [text.casefold() for text in texts]

    def matches(text: str) -> bool:
        folded = text.casefold()
        return all(item in folded for item in wanted)

    return matches


def _pattern(query: str) -> Callable[[str], bool]:
    # pydantic's validator core brings Rust's regex engine, which runs in linear time; Python's own
    # can take for ever and holds the interpreter lock meanwhile.
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    schema = core_schema.str_schema(pattern=f"(?i)(?:{query})", regex_engine="rust-regex")
    try:
        return SchemaValidator(schema).isinstance_python
    except SchemaError as error:
        *_, reason = str(error).strip().splitlines()
        raise ToolError(
            f"{query!r} is not a regular expression that can be used: "
            f"{reason.removeprefix('error: ').strip()}"
        ) from error


@dataclass(slots=True)
class _Search:
    """One search, and what it came past."""

    workspace: Path
    path: str
    limits: Limits
    wanted: Callable[[str], bool] | None
    """Which files are searched; None: all."""
    end: float
    """When to stop, on the monotonic clock."""
    large: int = 0
    """How many files were too large."""
    ended: str = ""
    """Why it stopped early; empty where it did not."""

    def lines(self, matches: Callable[[str], bool], *, by_line: bool) -> list[str]:
        """Return the matching lines within the limits.

        Args:
            matches: the test for a line.
            by_line: False lets it also rule out a whole file at once.
        """
        self.large = 0
        found = list(islice(self._matches(matches, by_line=by_line), _MOST_MATCHES + 1))
        kept = within(found[:_MOST_MATCHES], self.limits)
        if len(kept) < len(found):
            self.ended = f"only the first {len(kept)} matches are shown"
        return kept

    def _matches(self, matches: Callable[[str], bool], *, by_line: bool) -> Iterator[str]:
        for name in files_below(self.workspace, self.path):
            if time.monotonic() >= self.end:
                self.ended = "stopped for lack of time"
                return
            if self.wanted is not None and not self.wanted(name):
                continue
            text = self._text(name)
            if not by_line and not matches(text):
                continue
            for number, line in enumerate(lines_of(text), 1):
                if matches(line):
                    yield f"{shown(name)}:{number}: {line.strip()}"

    def _text(self, name: str) -> str:
        text = file_text(self.workspace, name)
        if text is None:
            self.large += 1
        return text or ""


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

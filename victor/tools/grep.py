"""The tools that find lines and files by patterns: with ripgrep, or more slowly without.

Knows nothing about permissions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

from pydantic import Field

from victor.tools.base import ToolContext, ToolError, tool
from victor.tools.globs import glob_matcher
from victor.tools.paths import relative, shown
from victor.tools.plain import Plain, Wanted
from victor.tools.ripgrep import NUMBERED, find_ripgrep, genuine, ripgrep
from victor.tools.spill import Spill
from victor.tools.text import FULL, within
from victor.tools.threads import call_in_thread

__all__ = ["glob", "grep"]

_MOST_MATCHES = 200
_MOST_FILES = 1_000
_DEADLINE_S = 20.0
_LONGEST_SHOWN = 500
"""Characters of a line."""

_IGNORED = "git ignores these files"


@tool(effect="read", timeout_s=60)
async def grep(
    context: ToolContext,
    pattern: str,
    path: str = ".",
    *,
    files: str | None = None,
    output: Literal["lines", "files"] = "lines",
    ignore_case: bool = False,
    literal: bool = False,
    around: Annotated[int, Field(ge=0, le=20)] = 0,
) -> str:
    """Find lines in files. Files that git ignores are passed over.

    Args:
        context: the workspace.
        pattern: A regular expression.
        path: The directory or file to look in.
        files: Only files whose name or path matches, such as *.py or src/**/*.ts.
        output: The matching lines, or only the names of the files.
        ignore_case: Upper and lower case are the same.
        literal: The pattern is plain text.
        around: How many lines to show before and after each match.
    """
    if not pattern or "\n" in pattern:
        raise ToolError("the pattern must be one line of text, and not empty")
    wanted = Wanted(pattern, ignore_case, literal, around, output == "files", _LONGEST_SHOWN)
    if Spill.names(path):
        with context.memory.of(Spill).open(path) as kept:
            where = path
            found = _lines(wanted, files, context.workspace, path, kept=kept)
            lines, ended = await _collected(found, _MOST_MATCHES)
    else:
        where = relative(context.workspace, path)
        lines, ended = await _found(
            lambda ignored: _lines(wanted, files, context.workspace, path, ignored=ignored),
            context,
            path,
            _MOST_MATCHES,
        )
    if not lines:
        return f"[{ended}]" if ended else f"No line matches {pattern!r}."
    if output == "files":
        lines = [line.partition(b"\0")[0] for line in lines]
    if not around:
        # ripgrep prints as its threads find, each file as a whole.
        lines.sort(key=lambda line: line.partition(b"\0")[0])
    return _within([_line(line, where) for line in lines], ended)


@tool(effect="read", timeout_s=60)
async def glob(context: ToolContext, pattern: str, path: str = ".") -> str:
    """Find files by name. Files that git ignores are passed over.

    Args:
        context: the workspace.
        pattern: Such as *.py for all below the path, or src/**/*.{ts,tsx}.
        path: The directory to look in.
    """
    if not pattern:
        raise ToolError("the pattern is empty; list_files lists everything")
    matches = glob_matcher(pattern)
    names, ended = await _found(
        lambda ignored: _names(context.workspace, path, ignored=ignored),
        context,
        path,
        _MOST_FILES,
        lambda name: matches(_plain(name)),
    )
    if not names:
        return f"[{ended}]" if ended else f"No file matches {shown(pattern)}."
    where = relative(context.workspace, path)
    return _within(sorted(_joined(where, _plain(name)) for name in names), ended)


async def _lines(
    wanted: Wanted,
    files: str | None,
    workspace: Path,
    path: str,
    *,
    kept: BinaryIO | None = None,
    ignored: bool = False,
) -> AsyncGenerator[bytes, None]:
    """Yield matching lines as ripgrep prints them."""
    program = find_ripgrep()
    if program is None:
        plain = Plain(workspace, path, kept, ignored)
        found = plain.lines(wanted, files)
    else:
        options = [*_options(wanted, files), *(["--no-ignore"] if ignored else [])]
        found = ripgrep(program, options, workspace, path, kept=kept)
    async with aclosing(found):
        async for line in found:
            yield line


async def _names(workspace: Path, path: str, *, ignored: bool) -> AsyncGenerator[bytes, None]:
    """Yield names of files as ripgrep prints them."""
    program = find_ripgrep()
    if program is None:
        found = Plain(workspace, path, ignored=ignored).names()
    else:
        options = ["--files", *(["--no-ignore"] if ignored else [])]
        found = ripgrep(program, options, workspace, path)
    async with aclosing(found):
        async for name in found:
            yield name


def _options(wanted: Wanted, files: str | None) -> list[str]:
    options = ["--line-number", "--byte-offset", "--null", "--with-filename", "--no-heading"]
    options += [f"--max-columns={wanted.shown}", "--max-columns-preview"]
    options += ["--ignore-case"] if wanted.ignore_case else []
    options += ["--fixed-strings"] if wanted.literal else []
    if wanted.first_only:
        options += ["--max-count=1"]  # one line of each, to look at again
    elif wanted.around:
        options += [f"--context={wanted.around}", "--sort=path"]
    options += [f"--regexp={wanted.pattern}"]
    if files is None:
        return options
    if "/" in files:
        return [*options, f"--glob={files.removeprefix('./')}"]
    # As a glob it would bring back what git ignores; as a type it does not.
    return [*options, f"--type-add=wanted:{files}", "--type=wanted"]


async def _found(
    look: Callable[[bool], AsyncGenerator[bytes, None]],
    context: ToolContext,
    path: str,
    most: int,
    wanted: Callable[[bytes], bool] = bool,
) -> tuple[list[bytes], str]:
    """Search; where a place that was named holds nothing, also in what git ignores there."""
    by_ripgrep = find_ripgrep() is not None

    async def searched(*, ignored: bool) -> tuple[list[bytes], str]:
        lines, ended = await _collected(look(ignored), most, wanted)
        if by_ripgrep:
            lines = await call_in_thread(lambda: genuine(context.workspace, path, lines))
        return lines, ended

    lines, ended = await searched(ignored=False)
    if lines or ended or relative(context.workspace, path) == ".":
        return lines, ended
    lines, ended = await searched(ignored=True)
    return lines, ended or (_IGNORED if lines else "")


async def _collected(
    found: AsyncGenerator[bytes, None], most: int, wanted: Callable[[bytes], bool] = bool
) -> tuple[list[bytes], str]:
    """Return the first lines, and why there are not more; empty where these are all."""
    lines: list[bytes] = []
    try:
        async with asyncio.timeout(_DEADLINE_S), aclosing(found) as every:
            async for line in every:
                if not wanted(line):
                    continue
                if len(lines) == most:
                    return lines, f"only the first {most} are shown; search more narrowly"
                lines.append(line.rstrip(b"\n"))
    except TimeoutError:
        return lines, f"stopped after {_DEADLINE_S:g} s; search in one directory"
    return lines, ""


def _line(line: bytes, where: str) -> str:
    found = NUMBERED.fullmatch(line)
    if found is None:
        return "--" if line == b"--" else _joined(where, _plain(line))
    name = _joined(where, _plain(found[1]))
    return f"{name}:{_plain(found[2])}{_plain(found[3])} {_plain(found[5])}"


def _plain(name: bytes) -> str:
    return name.rstrip(b"\n\r").decode("utf-8", "replace").removeprefix("./")


def _joined(where: str, name: str) -> str:
    if name == "<stdin>":
        return shown(where)
    return shown(name if where == "." else f"{where}/{name}")


def _within(lines: list[str], ended: str) -> str:
    kept = within(lines, FULL)
    notes = [f"[{ended}]"] if ended else []
    if len(kept) < len(lines):
        notes = [f"[{len(lines) - len(kept)} more are not shown; search more narrowly]", *notes]
    return "\n".join([*kept, *notes])

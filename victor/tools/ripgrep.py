"""ripgrep, where it is installed: started inside the workspace, read line by line, ended in time.

https://github.com/BurntSushi/ripgrep. It follows no links, reads no configuration and starts no
programs. The place it begins at is opened by `victor.tools.paths`; from there it walks by paths,
and follows a link that is swapped in for a directory meanwhile. So `genuine` looks again: whatever
was printed has to be in the workspace, word for word. Knows nothing about tools.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import functools
import os
import re
import shutil
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from victor.tools.context import ToolError
from victor.tools.paths import open_beneath, open_file, relative

__all__ = ["NUMBERED", "find_ripgrep", "genuine", "ripgrep"]

NUMBERED = re.compile(rb"([^\0]*)\0(\d+)([:-])(\d+)[:-](.*)", re.DOTALL)
"""A line as `--null --line-number --byte-offset` prints it: name, number, sign, offset, text."""

_LONGEST_LINE = 2**20
_DESCRIPTORS = Path("/proc/self/fd")
_ALWAYS = ("--no-config", "--no-messages", "--color=never", "--no-require-git", "--hidden")
_NEVER = ("--glob=!.git", "--glob=!.hg", "--glob=!.svn", "--glob=!.jj")
_STDIN = b"<stdin>"
_SHORTENED = b" [... "
"""Begins what stands for the end of a line that is too long."""
_MOST_DECODED = 2**24
"""Bytes of a file in UTF-16 that are looked at again."""
_TROUBLE = 2
"""The exit code of a search that could not be made."""


@functools.cache
def find_ripgrep() -> str | None:
    """Return the path of ripgrep; None where it is not installed.

    Relative entries of the PATH do not count: a repository could put its own program there.
    """
    folders = [name for name in os.get_exec_path() if Path(name).is_absolute()]
    return shutil.which("rg", path=os.pathsep.join(folders))


async def ripgrep(
    program: str,
    options: Sequence[str],
    workspace: Path,
    path: str,
    *,
    kept: BinaryIO | None = None,
) -> AsyncGenerator[bytes, None]:
    """Run ripgrep over a directory or a file and yield what it prints, line by line.

    Ending the iteration early ends the process.

    Args:
        program: where ripgrep is.
        options: without a path to search.
        workspace: the directory that must not be left.
        path: the directory or file to search; names are printed relative to a directory.
        kept: an open file to search instead of all that.

    Raises:
        PathError: the path is outside the workspace or cannot be opened.
        ToolError: ripgrep refuses the options, for example the pattern; in its own words.
    """
    async with _started(program, options, workspace, path, kept) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        assert process.stderr is not None  # noqa: S101 - so is this
        async for line in process.stdout:
            yield line
        said = (await process.stderr.read(10_000)).decode("utf-8", "replace").strip()
        if await process.wait() == _TROUBLE and said:
            raise ToolError(said)


@asynccontextmanager
async def _started(
    program: str, options: Sequence[str], workspace: Path, path: str, kept: BinaryIO | None
) -> AsyncIterator[asyncio.subprocess.Process]:
    with contextlib.ExitStack() as opened:
        directory, source = os.fspath(workspace), kept
        if kept is None:
            descriptor = open_beneath(workspace, path)
            opened.callback(os.close, descriptor)
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                directory = _directory(workspace, path, descriptor)
            else:
                source = opened.enter_context(open_file(workspace, path))
        process = await asyncio.create_subprocess_exec(
            program,
            *_ALWAYS,
            *_NEVER,
            *options,
            "-" if source else ".",
            stdin=source or asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=directory,
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            limit=_LONGEST_LINE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


def _directory(workspace: Path, path: str, descriptor: int) -> str:
    # The directory that was opened, whatever its path leads to by now. Without /proc its name has
    # to do; what is in it was allowed to be read a moment ago.
    by_descriptor = _DESCRIPTORS / str(descriptor)
    return str(by_descriptor if by_descriptor.exists() else workspace / relative(workspace, path))


def genuine(workspace: Path, path: str, lines: Sequence[bytes]) -> list[bytes]:
    """Return of the lines ripgrep printed those that the workspace itself holds.

    The others come from elsewhere, or have changed since. Nothing tells how many they were: that
    too would say something of a file outside.

    Args:
        workspace: the directory that must not be left.
        path: what was searched.
        lines: names of files, or lines as in `NUMBERED`; their ends are cut off.

    Raises:
        PathError: the path does not lead into the workspace any more.
    """
    base = open_beneath(workspace, path)
    try:
        kept: list[bytes] = []
        name = b""
        for start, group in groupby(lines, key=lambda line: line.partition(b"\0")[0]):
            same = list(group)
            # Of a binary file ripgrep says after its lines that it went no further.
            if start in {_STDIN, b"--"} or (name and start.startswith(name + b": ")):
                kept += same
            elif found := _held(base, start, same):
                kept += found
                name = start
        return kept
    finally:
        os.close(base)


def _held(base: int, name: bytes, lines: list[bytes]) -> list[bytes]:
    """Return the lines, all of one name, that are true of the file of that name."""
    numbered = [(line, NUMBERED.fullmatch(line)) for line in lines]
    try:
        with _folder(base, name) as (folder, last):
            if not stat.S_ISREG(os.stat(last, dir_fd=folder, follow_symlinks=False).st_mode):
                return []
            if lines == [name]:
                return lines
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            file = os.open(last, flags, dir_fd=folder)
    except OSError:
        return []
    try:
        read = _reader(file)
        return [line for line, found in numbered if found and _says(read, int(found[4]), found[5])]
    finally:
        os.close(file)


@contextmanager
def _folder(base: int, name: bytes) -> Iterator[tuple[int, bytes]]:
    """Open the directory a name lies in, step by step and following no link."""
    *folders, last = name.split(b"/")
    if b".." in folders:
        raise FileNotFoundError
    folder = os.dup(base)
    try:
        for step in folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(step, flags, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder, last
    finally:
        os.close(folder)


def _reader(file: int) -> Callable[[int, int], bytes]:
    """Return what reads a file as ripgrep counts: in UTF-8 and after a byte order mark."""
    mark = os.pread(file, 3, 0)
    if mark[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        text = os.pread(file, _MOST_DECODED, 0).decode("utf-16", "replace").encode()
        return lambda offset, count: text[offset : offset + count]
    skipped = 3 if mark == codecs.BOM_UTF8 else 0
    return lambda offset, count: os.pread(file, count, skipped + offset)


def _says(read: Callable[[int, int], bytes], offset: int, text: bytes) -> bool:
    there = read(offset, len(text))
    if there == text:
        return True
    start, shortened, _ = text.rpartition(_SHORTENED)
    return bool(shortened) and there.startswith(start)

"""ripgrep, where it is installed: started inside the workspace, read line by line, ended in time.

https://github.com/BurntSushi/ripgrep. It follows no links, reads no configuration and starts no
programs. The place it begins at is opened by `victor.tools.paths`; from there it walks by itself.
Knows nothing about tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from victor.tools.context import ToolError
from victor.tools.paths import open_beneath, open_file, relative

__all__ = ["find_ripgrep", "ripgrep"]

_LONGEST_LINE = 2**20
_DESCRIPTORS = Path("/proc/self/fd")
_ALWAYS = ("--no-config", "--no-messages", "--color=never", "--no-require-git", "--hidden")
_NEVER = ("--glob=!.git", "--glob=!.hg", "--glob=!.svn", "--glob=!.jj")
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

"""The one way from a path a model wrote to a file of the workspace, and to nothing outside it.

A path is opened in one step that the kernel keeps below the workspace; there is no check that a
symbolic link could be swapped behind. Knows nothing about what is done with the file.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal

from victor.errors import VictorError

__all__ = [
    "Entry",
    "PathError",
    "entries",
    "open_beneath",
    "open_file",
    "relative",
    "shown",
    "walk",
]

# openat2(2): https://man7.org/linux/man-pages/man2/openat2.2.html; the number is the same on all
# architectures.
_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08

_HIDDEN = frozenset({".git", ".hg", ".svn", ".jj", "node_modules", "__pycache__", ".DS_Store"})
"""Names a walk leaves out; other directories with a dot are named but not entered."""

_SUGGEST_FROM = 5_000
"""How many entries are looked at for names like a missing one."""


class PathError(VictorError):
    """A path leaves the workspace, does not exist or is not what the caller needs."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something in the workspace."""

    path: str
    """Relative to the workspace, with `/`."""
    kind: Literal["file", "directory", "other"]
    """`other` are symbolic links, FIFOs, sockets and devices."""


def relative(workspace: Path, path: str) -> str:
    """Return a path relative to the workspace, without `.` and `..`.

    Only the text is judged here; `open_beneath` holds the file system to it.

    Args:
        workspace: the directory that must not be left.
        path: relative to the workspace, or absolute and inside it.

    Raises:
        PathError: the path names something outside, or cannot be a path.
    """
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise PathError(f"{shown(path)!r} is not a possible file name") from None
    if "\0" in path:
        raise PathError(f"{shown(path)!r} is not a possible file name: it contains a NUL byte")
    if path == "~" or path.startswith("~/"):
        raise PathError(f"{shown(path)!r}: ~ is not expanded; give a path inside the workspace")
    if path.startswith("/"):
        plain = PurePosixPath(os.path.normpath("/" + path.lstrip("/")))
        roots = [Path(os.path.abspath(workspace)), Path(os.path.realpath(workspace))]  # noqa: PTH100 - the text alone, links kept
        inside = [plain.relative_to(root) for root in roots if plain.is_relative_to(root)]
        normal = str(inside[0]) if inside else ".."
    else:
        normal = os.path.normpath(path)
    if normal == ".." or normal.startswith("../"):
        raise PathError(f"{shown(path)!r} is outside the workspace")
    return normal


def shown(path: str) -> str:
    """Return a file name as printable text; whatever is not printable is escaped."""
    if path.isprintable():
        return path
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in path)


def open_beneath(
    workspace: Path, path: str, flags: int = os.O_RDONLY, *, follow: bool = True
) -> int:
    """Open what is already there, below the workspace, and return the file descriptor.

    Symbolic links that are relative and stay inside are followed where the kernel can promise it
    (Linux 5.6 and later); elsewhere every link is refused.

    Args:
        workspace: the directory that must not be left.
        path: as in `relative`.
        flags: of open(2); close-on-exec, non-blocking and no controlling terminal are added.
        follow: False refuses every symbolic link.

    Raises:
        PathError: as in `relative`, or it cannot be opened; the message says why.
    """
    normal = relative(workspace, path)
    try:
        return _open(workspace, normal, flags, follow=follow)
    except OSError as error:
        raise PathError(_reason(workspace, normal, error)) from error


def _open(workspace: Path, normal: str, flags: int, *, follow: bool) -> int:
    flags |= os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    root = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        kernel_open = _openat2()
        if kernel_open is not None:
            try:
                return kernel_open(root, normal, flags, follow)
            except OSError as error:
                # Old kernels and some containers refuse the call itself.
                if error.errno not in {errno.ENOSYS, errno.EPERM, errno.EAGAIN}:
                    raise
        return _open_without_links(root, normal, flags)
    finally:
        os.close(root)


@functools.cache
def _openat2() -> Callable[[int, str, int, bool], int] | None:
    """Return a function that calls openat2(2); None where there is no such system call."""
    if sys.platform != "linux":
        return None
    import ctypes
    import struct

    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long

    def call(directory: int, path: str, flags: int, follow: bool) -> int:  # noqa: FBT001 - private
        resolve = _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS
        how = struct.pack("=QQQ", flags, 0, resolve if follow else resolve | _RESOLVE_NO_SYMLINKS)
        descriptor = syscall(
            ctypes.c_long(_SYS_OPENAT2),
            ctypes.c_int(directory),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.c_char_p(how),
            ctypes.c_size_t(len(how)),
        )
        if descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return int(descriptor)

    return call


def _open_without_links(root: int, path: str, flags: int) -> int:
    """Open a path one component at a time, following no link."""
    *parents, name = path.split("/")
    directory = os.dup(root)
    try:
        for part in parents:
            below = os.open(
                part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory
            )
            os.close(directory)
            directory = below
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory)
    finally:
        os.close(directory)


def open_file(workspace: Path, path: str) -> BinaryIO:
    """Open a regular file for reading. Never waits, whatever is there.

    Raises:
        PathError: as in `open_beneath`, or it is a directory, FIFO, socket or device.
    """
    descriptor = open_beneath(workspace, path)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise PathError(f"{shown(path)!r} is a directory; list_files shows what is in it")
    raise PathError(f"{shown(path)!r} is not a regular file (it is a FIFO, socket or device)")


def walk(workspace: Path, path: str = ".") -> Iterator[Entry]:
    """Yield what is below a directory: shallow before deep, sorted by name within each.

    Links are not followed. Version control, caches and virtual environments are left out; other
    directories whose name starts with a dot are named but not entered, unless `path` is one.

    Raises:
        PathError: as in `open_beneath`, for `path` itself; what vanishes later is passed over.
    """
    start = relative(workspace, path)
    waiting = deque([start])
    while waiting:
        directory = waiting.popleft()
        try:
            found = entries(workspace, directory)
        except PathError:
            if directory == start:
                raise
            continue
        if directory != start and any(entry.path.endswith("/pyvenv.cfg") for entry in found):
            continue
        for entry in found:
            if entry.kind == "directory" and not entry.path.rpartition("/")[2].startswith("."):
                waiting.append(entry.path)
            yield entry


def entries(workspace: Path, path: str, *, leave_out: Collection[str] = _HIDDEN) -> list[Entry]:
    """Return what is in a directory, sorted by name.

    Args:
        workspace: the directory that must not be left.
        path: as in `relative`.
        leave_out: names that are passed over.

    Raises:
        PathError: as in `open_beneath`.
    """
    directory = relative(workspace, path)
    prefix = "" if directory == "." else f"{directory}/"
    try:
        descriptor = _open(workspace, directory, os.O_RDONLY | os.O_DIRECTORY, follow=True)
        try:
            with os.scandir(descriptor) as found:
                there = [Entry(prefix + e.name, _kind(e)) for e in found if e.name not in leave_out]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise PathError(_reason(workspace, directory, error)) from error
    return sorted(there, key=lambda entry: entry.path)


def _kind(item: os.DirEntry[str]) -> Literal["file", "directory", "other"]:
    if item.is_file(follow_symlinks=False):
        return "file"
    return "directory" if item.is_dir(follow_symlinks=False) else "other"


def _reason(workspace: Path, path: str, error: OSError) -> str:
    name = repr(shown(path))
    match error.errno:
        case errno.ENOENT:
            if not workspace.is_dir():
                return f"the workspace {str(workspace)!r} does not exist"
            return f"there is no {name} in the workspace{_similar(workspace, path)}"
        case errno.ENOTDIR:
            return f"{name} is not a directory, or goes through something that is none"
        case errno.ELOOP | errno.EXDEV:
            return f"{name} goes through a symbolic link that may not be followed"
        case errno.EACCES:
            return f"no permission to open {name}"
        case errno.ENXIO:
            return f"{name} is not a regular file (it is a FIFO, socket or device)"
        case _:
            return f"cannot open {name}: {error.strerror}"


def _similar(workspace: Path, path: str) -> str:
    """Return a hint with the names most like a missing one; empty where none is."""
    from difflib import get_close_matches
    from itertools import islice

    wanted = path.rpartition("/")[2].casefold()
    try:
        paths = [e.path for e in islice(walk(workspace), _SUGGEST_FROM) if e.kind != "other"]
    except PathError:
        return ""
    same = [p for p in paths if p.rpartition("/")[2].casefold() == wanted]
    names = same[:3] or get_close_matches(path, paths, n=3)
    return "; did you mean " + " or ".join(repr(shown(n)) for n in names) + "?" if names else ""

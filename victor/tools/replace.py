"""Put a file's new content in place of the old, whole or not at all, inside the workspace.

Follows no symbolic link. Knows nothing about what the content is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from victor.tools.paths import PathError, relative, shown

__all__ = ["remove_file", "replace_file"]

_PROTECTED = frozenset({".git", ".victor"})
"""Whoever writes there makes other programs, or victor itself, run his commands."""


def replace_file(workspace: Path, path: str, content: bytes, *, mode: int | None = None) -> bool:
    """Write a file by way of a temporary one beside it, so that readers see the old or the new.

    Missing directories are made. Permission bits and, where allowed, the owner are kept.

    Args:
        workspace: the directory that must not be left.
        path: relative to the workspace, or absolute and inside it.
        content: the whole new content.
        mode: the permission bits of a file that is new; None leaves them to the system.

    Returns:
        Whether the file existed before.

    Raises:
        PathError: the path is outside, protected, a link, not a regular file or read-only.
        OSError: the file system refused, for example because it is full.
    """
    parents, last, name = _parts(workspace, path)
    with _permitted(name):
        directory = _open_directory(workspace, parents, name, make=True)
        try:
            before = _checked(directory, last, name)
            _write_beside(directory, last, content, before, mode)
        finally:
            os.close(directory)
    return before is not None


def remove_file(workspace: Path, path: str) -> int:
    """Remove a regular file.

    Args:
        workspace: the directory that must not be left.
        path: relative to the workspace, or absolute and inside it.

    Returns:
        The permission bits it had.

    Raises:
        PathError: as in `replace_file`, or there is no such file.
        OSError: the file system refused.
    """
    parents, last, name = _parts(workspace, path)
    with _permitted(name):
        directory = _open_directory(workspace, parents, name, make=False)
        try:
            before = _checked(directory, last, name)
            if before is None:
                raise PathError(f"there is no {name} in the workspace")
            os.unlink(last, dir_fd=directory)
        finally:
            os.close(directory)
    return stat.S_IMODE(before.st_mode) & 0o777


@contextlib.contextmanager
def _permitted(name: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        # Not in its own words: it names the temporary file, or half of the path.
        raise PathError(
            f"no permission to change {name}: its directory may not be written to"
        ) from error


def _parts(workspace: Path, path: str) -> tuple[list[str], str, str]:
    """Return the directories of a path that may be changed, its last part, and how to call it."""
    normal = relative(workspace, path)
    name = repr(shown(path))
    *parents, last = normal.split("/")
    for part in normal.split("/"):
        # Case-folded, since macOS opens .GIT as .git.
        if part.casefold() in _PROTECTED:
            raise PathError(f"{name} is protected: {part} may not be changed by tools")
    if last == "." or path.endswith("/"):
        raise PathError(f"{name} is a directory")
    return parents, last, name


def _open_directory(workspace: Path, parents: list[str], name: str, *, make: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    directory = os.open(workspace, flags)
    for part in parents:
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=directory)
            below = os.open(part, flags | os.O_NOFOLLOW, dir_fd=directory)
        except OSError as error:
            if error.errno == errno.ENOENT and not make:
                raise PathError(f"there is no {name} in the workspace") from None
            if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
                raise
            raise PathError(
                f"{name} goes through {part!r}, which is a file or a symbolic link"
            ) from None
        finally:
            os.close(directory)
        directory = below
    return directory


def _checked(directory: int, last: str, name: str) -> os.stat_result | None:
    try:
        before = os.stat(last, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(before.st_mode):
        target = shown(os.readlink(last, dir_fd=directory))
        raise PathError(f"{name} is a symbolic link to {target!r}; write to that file")
    if not stat.S_ISREG(before.st_mode):
        raise PathError(f"{name} is not a regular file")
    if not before.st_mode & 0o222:
        raise PathError(f"{name} is read-only")
    return before


def _write_beside(
    directory: int, last: str, content: bytes, before: os.stat_result | None, mode: int | None
) -> None:
    # An unguessable name that must be new: nobody can have put a link there.
    temporary = f".victor-{secrets.token_hex(8)}.tmp"
    descriptor = os.open(
        temporary,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
        0o666 if before is None else 0o600,
        dir_fd=directory,
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            if before is not None:
                with contextlib.suppress(PermissionError):
                    os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode) & 0o777)
            elif mode is not None:
                os.fchmod(descriptor, mode & 0o777)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.rename(temporary, last, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    with contextlib.suppress(OSError):  # some file systems cannot sync a directory
        os.fsync(directory)

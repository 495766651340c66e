"""Keeps the protected names of a workspace as they are while a command runs.

A name that does not exist could be created by the command, and obeyed later by a program outside
(CVE-2026-25725). So an empty directory takes its place meanwhile; a sandbox makes it read-only. The
place of a file is taken by a socket, which git outside does not see as a new file; the sandbox has
to show an empty file there, as commands with `*.md` stumble over anything else. A symbolic link
cannot be covered by a mount: it is put back afterwards. And as git obeys the `config` of a
directory that looks like a repository without `.git`, an empty file takes the place of a part of
one (https://git-scm.com/docs/gitrepository-layout). Knows nothing about mounts.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from victor.sandbox.policy import PROTECTED

__all__ = ["guarded_names"]

_MARK = 0o1000
"""What is sticky and nobody may write to is one of ours; nobody makes such."""

_DIRECTORY = _MARK | 0o555
_FILE = _MARK | 0o444

_REPOSITORY = ("refs", "objects", "HEAD")
"""What git looks for, and needs all of. HEAD comes last: a file of that name confuses git."""


@contextmanager
def guarded_names(workspace: Path, *, create: bool = True) -> Iterator[tuple[Path, ...]]:
    """Guard `PROTECTED` while the block runs.

    Args:
        workspace: where they are.
        create: whether placeholders are needed for missing ones.

    Yields:
        What has to be made read-only: the names that are there now, and where links among them
        lead to inside the workspace.
    """
    lock = _lock(workspace)
    try:
        links = _links(workspace)
        found = list(_placed(workspace, create=create))
        found += _part_of_repository(workspace) if create else []
        yield tuple(found)
        for name, target in links.items():
            _put_back(workspace / name, target)
    finally:
        _clear(workspace, lock)
        if lock is not None:
            os.close(lock)


def _links(workspace: Path) -> dict[str, str]:
    links: dict[str, str] = {}
    for name in PROTECTED:
        with contextlib.suppress(OSError):  # missing, or not a link
            links[name] = str((workspace / name).readlink())
    return links


def _placed(workspace: Path, *, create: bool) -> Iterator[Path]:
    for name in PROTECTED:
        path = workspace / name
        if create:
            _take_place(path)
        try:
            mode = path.lstat().st_mode
        except OSError:
            continue
        if not stat.S_ISLNK(mode):
            yield path
            continue
        target = Path(os.path.realpath(path))
        if target.exists() and target != workspace and target.is_relative_to(workspace):
            yield target


def _take_place(path: Path) -> None:
    # Where we may not create it (a read-only disk), the command may not either.
    with contextlib.suppress(OSError):
        if path.suffix:
            try:
                os.mknod(path, stat.S_IFSOCK | _FILE)
            except FileExistsError:
                return
            except OSError:  # not every disk takes a socket
                path.mkdir(_DIRECTORY)
        else:
            path.mkdir(_DIRECTORY)


def _part_of_repository(workspace: Path) -> list[Path]:
    """Take the place of something that is missing for the workspace itself to be a repository."""
    git = workspace / ".git"
    if git.is_file() or all((git / name).exists() for name in _REPOSITORY):
        return []  # that one counts
    for name in _REPOSITORY:
        path = workspace / name
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _FILE))
        except FileExistsError:
            if not (path.is_file() and _is_ours(path)):
                continue
        except OSError:
            return []
        return [path]
    return []  # it is one


def _is_ours(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return not stat.S_ISLNK(mode) and bool(mode & _MARK) and not mode & 0o222


def _put_back(path: Path, target: str) -> None:
    try:
        if str(path.readlink()) == target:
            return
    except OSError:
        pass
    with contextlib.suppress(FileNotFoundError):
        number = 1
        while (aside := path.with_name(f"{path.name}.replaced-{number}")).exists():
            number += 1
        path.rename(aside)
    path.symlink_to(target)


def _lock(workspace: Path) -> int | None:
    """Say that placeholders are in use here, to this and to other processes."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    descriptor = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor


def _clear(workspace: Path, lock: int | None) -> None:
    """Remove the placeholders, also forgotten ones, unless another command still needs them."""
    if lock is None:
        return
    import fcntl

    # Removing a directory would also lift what another sandbox has mounted on it.
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    for path in (workspace / name for name in (*PROTECTED, *_REPOSITORY)):
        with contextlib.suppress(OSError):  # only ever an empty one
            if _is_ours(path) and path.is_dir():
                path.rmdir()
            elif _is_ours(path) and path.stat().st_size == 0:
                path.unlink()

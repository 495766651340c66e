from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from victor.tools.paths import PathError
from victor.tools.replace import remove_file, replace_file


def test_new_file_gets_its_directories_and_the_usual_mode(workspace: Path) -> None:
    assert replace_file(workspace, "a/b/new.txt", b"x") is False
    assert (workspace / "a/b/new.txt").read_bytes() == b"x"
    umask = os.umask(0o22)
    os.umask(umask)
    assert stat.S_IMODE((workspace / "a/b/new.txt").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755, 0o200])
def test_old_file_keeps_its_mode(workspace: Path, mode: int) -> None:
    path = workspace / "old"
    path.write_bytes(b"old")
    path.chmod(mode)
    assert replace_file(workspace, str(path), b"new") is True
    assert stat.S_IMODE(path.stat().st_mode) == mode
    path.chmod(0o600)
    assert path.read_bytes() == b"new"
    assert list(workspace.iterdir()) == [workspace / "old"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_old_file_keeps_its_owner_and_loses_setuid(workspace: Path) -> None:
    path = workspace / "old"
    path.touch()
    os.chown(path, 1234, 1234)
    path.chmod(0o4755)
    replace_file(workspace, "old", b"new")
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 1234, 0o755)


def test_hard_link_elsewhere_is_not_written_through(workspace: Path, tmp_path: Path) -> None:
    secret = tmp_path / "outside" / "secret.txt"
    os.link(secret, workspace / "twin")
    replace_file(workspace, "twin", b"new")
    assert secret.read_text() == "outside\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".git/hooks/pre-commit", "is protected: .git "),
        (".git", "is protected"),
        ("sub/.GIT/config", "is protected: .GIT "),
        (".victor/settings.toml", "is protected"),
        ("x/../.git/config", "is protected"),
        ("../outside/new", "outside the workspace"),
        ("/etc/new", "outside the workspace"),
        ("~/new", "~ is not expanded"),
        (".", "is a directory"),
        ("directory", "not a regular file"),
        ("fifo", "not a regular file"),
        ("readonly", "is read-only"),
        ("readonly/x", "a file or a symbolic link"),
        ("new/", "is a directory"),
        ("link_file", "is a symbolic link to '[^']+'; write to that file"),
        ("link_nowhere", "is a symbolic link"),
        ("link_dir/new", "a file or a symbolic link"),
        ("link_inside/new", "a file or a symbolic link"),
    ],
)
def test_refused_write_changes_nothing(workspace: Path, path: str, text: str) -> None:
    (workspace / ".git").mkdir()
    (workspace / "directory").mkdir()
    os.mkfifo(workspace / "fifo")
    (workspace / "readonly").write_text("kept")
    (workspace / "readonly").chmod(0o444)
    (workspace / "link_file").symlink_to("../outside/secret.txt")
    (workspace / "link_nowhere").symlink_to("../outside/new")
    (workspace / "link_dir").symlink_to("../outside")
    (workspace / "link_inside").symlink_to(".git")
    before = sorted(workspace.parent.rglob("*"))
    with pytest.raises(PathError, match=text):
        replace_file(workspace, path, b"evil")
    assert sorted(workspace.parent.rglob("*")) == before
    assert (workspace.parent / "outside" / "secret.txt").read_text() == "outside\n"
    assert (workspace / "readonly").read_text() == "kept"


def test_failed_write_leaves_the_old_file_and_no_other(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "old").write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(workspace, "old", b"new")
    assert (workspace / "old").read_text() == "old"
    assert list(workspace.iterdir()) == [workspace / "old"]


def test_missing_workspace_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "gone", "x", b"")


def test_parent_with_a_too_long_name_is_an_error(workspace: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        replace_file(workspace, "x" * 300 + "/y", b"")


def test_new_file_may_be_given_its_mode(workspace: Path) -> None:
    replace_file(workspace, "run", b"x", mode=0o100755)
    assert stat.S_IMODE((workspace / "run").stat().st_mode) == 0o755
    replace_file(workspace, "run", b"y", mode=0o600)
    assert stat.S_IMODE((workspace / "run").stat().st_mode) == 0o755


def test_file_is_removed_and_its_mode_told(workspace: Path) -> None:
    replace_file(workspace, "a/run", b"x", mode=0o750)
    assert remove_file(workspace, "a/run") == 0o750
    assert list((workspace / "a").iterdir()) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("gone", "there is no 'gone'"),
        ("gone/x", "there is no 'gone/x'"),
        ("a", "not a regular file"),
        (".", "is a directory"),
        ("link", "is a symbolic link"),
        ("linked/secret.txt", "goes through 'linked'"),
        (".git/config", "is protected"),
        ("../outside/secret.txt", "outside the workspace"),
        ("fixed", "is read-only"),
    ],
)
def test_refused_removal_changes_nothing(workspace: Path, path: str, text: str) -> None:
    (workspace / "a").mkdir()
    (workspace / ".git").mkdir()
    (workspace / ".git" / "config").touch()
    (workspace / "link").symlink_to("../outside/secret.txt")
    (workspace / "linked").symlink_to("../outside")
    (workspace / "fixed").touch(0o444)
    before = sorted(workspace.parent.rglob("*"))
    with pytest.raises(PathError, match=text):
        remove_file(workspace, path)
    assert sorted(workspace.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "change", [lambda workspace: replace_file(workspace, "x", b""), lambda w: remove_file(w, "x")]
)
def test_missing_rights_are_said_of_the_file_itself(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    (workspace / "x").touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", ".victor-1.tmp")

    # root, which runs some of these tests, may do everything.
    monkeypatch.setattr("os.rename", refuse)
    monkeypatch.setattr("os.unlink", refuse)
    with pytest.raises(PathError, match=r"^no permission to change 'x': its directory"):
        change(workspace)

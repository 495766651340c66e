from __future__ import annotations

import fcntl
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sandbox.support import User, attack, available
from victor.sandbox.bubblewrap import Bubblewrap
from victor.sandbox.masks import guarded_names
from victor.sandbox.policy import PROTECTED, Policy


def test_missing_names_are_taken_and_given_back(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "AGENTS.md").write_text("mine")
    with guarded_names(tmp_path) as found:
        assert list(found) == [tmp_path / name for name in (*PROTECTED, "refs")]
        assert all(path.exists() for path in found)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "AGENTS.md"]


def test_files_are_taken_by_what_git_does_not_see(tmp_path: Path) -> None:
    with guarded_names(tmp_path):
        kinds = {path.name for path in tmp_path.iterdir() if path.is_socket()}
        assert kinds == {".mcp.json", "AGENTS.md", "CLAUDE.md"}
    assert list(tmp_path.iterdir()) == []


def test_disk_that_takes_no_sockets_gets_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "mknod", refused)
    with guarded_names(tmp_path):
        assert (tmp_path / "AGENTS.md").is_dir()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("nested", [False, True], ids=["bubblewrap", "old-bubblewrap"])
def test_missing_files_are_empty_ones_in_the_sandbox(tmp_path: Path, nested: bool) -> None:
    sandbox = available("bubblewrap")
    assert isinstance(sandbox, Bubblewrap)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "a.md").write_text("a\n")
    script = """\
git status --short && wc -l *.md .mcp.json && cat *.md && test -f AGENTS.md && echo file
echo x > AGENTS.md; rm -f AGENTS.md; mv a.md CLAUDE.md; chmod u+w AGENTS.md; ln -f a.md .mcp.json
git status --short
"""
    policy = Policy(workspace=tmp_path.resolve(), environment={"PATH": os.defpath})
    said = attack(replace(sandbox, nested=nested), User("me", (), os.getuid()), script, policy)
    lines = said.splitlines()
    assert lines[0] == lines[-1] == "?? a.md"
    assert [line.split() for line in lines[1:6]] == [
        ["0", "AGENTS.md"],
        ["0", "CLAUDE.md"],
        ["1", "a.md"],
        ["0", ".mcp.json"],
        ["1", "total"],
    ]
    assert lines[6:8] == ["a", "file"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".git", "a.md"]


def make_repository(place: Path) -> None:
    (place / "HEAD").write_text("ref: refs/heads/main\n")
    (place / "objects").mkdir()
    (place / "refs").mkdir()


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        pytest.param([], "refs", id="nothing"),
        pytest.param(["objects", "HEAD"], "refs", id="all-but-one"),
        pytest.param(["refs"], "objects", id="one"),
        pytest.param(["refs", "objects"], "HEAD", id="two"),
    ],
)
def test_workspace_cannot_become_a_repository(tmp_path: Path, there: list[str], taken: str) -> None:
    for name in there:
        (tmp_path / name).mkdir()
    with guarded_names(tmp_path) as found:
        assert found[-1] == tmp_path / taken
        assert found[-1].is_file()
        assert found[-1].read_bytes() == b""
        with guarded_names(tmp_path) as again:  # the same one, whoever asks
            assert again[-1] == found[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(there)


def test_own_directory_that_looks_like_a_placeholder_takes_no_place(tmp_path: Path) -> None:
    (tmp_path / "refs").mkdir(0o1555)
    with guarded_names(tmp_path) as found:
        assert found[-1] == tmp_path / "objects"


@pytest.mark.parametrize("kind", ["directory", "file", "bare"])
def test_repository_stays_as_it_is(tmp_path: Path, kind: str) -> None:
    (tmp_path / "sub").mkdir()
    match kind:
        case "directory":
            (tmp_path / ".git").mkdir()
            make_repository(tmp_path / ".git")
        case "file":
            (tmp_path / ".git").write_text("gitdir: sub")
        case _:
            make_repository(tmp_path)
    with guarded_names(tmp_path) as found:
        assert [path.name for path in found] == list(PROTECTED)


def test_nothing_is_created_where_it_is_not_needed(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with guarded_names(tmp_path, create=False) as found:
        assert list(found) == [tmp_path / ".git"]
        assert [path.name for path in tmp_path.iterdir()] == [".git"]


def test_placeholders_stay_while_another_command_needs_them(tmp_path: Path) -> None:
    with guarded_names(tmp_path):
        with guarded_names(tmp_path) as found:
            assert len(found) == len(PROTECTED) + 1
        assert len(list(tmp_path.iterdir())) == len(PROTECTED) + 1
    assert list(tmp_path.iterdir()) == []


def test_forgotten_placeholders_are_removed_by_the_next(tmp_path: Path) -> None:
    for name in PROTECTED:
        (tmp_path / name).mkdir(0o1555)
    (tmp_path / ".idea").chmod(0o755)  # somebody's own by now
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    with guarded_names(tmp_path):
        pass
    assert len(list(tmp_path.iterdir())) == len(PROTECTED) + 1  # another command runs here
    os.close(descriptor)
    with guarded_names(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".idea"]


def test_placeholder_that_somebody_filled_is_kept(tmp_path: Path) -> None:
    with guarded_names(tmp_path):
        (tmp_path / ".victor").chmod(0o755)
        (tmp_path / ".victor" / "settings").touch()
    assert [path.name for path in tmp_path.iterdir()] == [".victor"]


def test_error_in_the_command_removes_them_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), guarded_names(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_target_of_a_link_is_guarded_inside(tmp_path: Path) -> None:
    (tmp_path / "notes.md").touch()
    for name, target in [("CLAUDE.md", "notes.md"), (".git", "/usr"), (".idea", ".")]:
        (tmp_path / name).symlink_to(target)
    with guarded_names(tmp_path, create=False) as found:
        assert list(found) == [tmp_path / "notes.md"]


@pytest.mark.parametrize("instead", ["file", "link", "directory", "nothing", "same"])
def test_link_is_put_back_and_what_replaced_it_is_kept_aside(tmp_path: Path, instead: str) -> None:
    link = tmp_path / "CLAUDE.md"
    link.symlink_to("notes.md")
    (tmp_path / "CLAUDE.md.replaced-1").touch()
    with guarded_names(tmp_path, create=False):
        if instead != "same":
            link.unlink()
        match instead:
            case "file":
                link.touch()
            case "link":
                link.symlink_to("other")
            case "directory":
                link.mkdir()
            case _:
                pass
    assert str(link.readlink()) == "notes.md"
    names = sorted(path.name for path in tmp_path.iterdir())
    aside = ["CLAUDE.md.replaced-2"] if instead in {"file", "link", "directory"} else []
    assert names == ["CLAUDE.md", "CLAUDE.md.replaced-1", *aside]


def test_missing_workspace_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), guarded_names(tmp_path / "none"):
        pass

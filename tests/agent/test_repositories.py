from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from victor.agent.repositories import is_plain_repository

CONFIG = (
    '[core]\n\trepositoryformatversion = 0\n\tbare = false\n# a comment\n[remote "origin"]\n'
    "\turl = https://example.com/x.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n"
    '[branch "main"]\n\tremote = origin\n[user]\n\tname = "Ünal ; x"\n'
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".git" / "hooks").mkdir(parents=True)
    (tmp_path / ".git" / "config").write_text(CONFIG)
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("where", [".", "sub", "sub/deep"])
def test_a_repository_of_plain_data_is_plain(repository: Path, where: str) -> None:
    assert is_plain_repository(repository / where)


def test_what_git_itself_makes_is_plain(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, capture_output=True)
    assert is_plain_repository(tmp_path)


def test_no_repository_is_plain(tmp_path: Path) -> None:
    assert is_plain_repository(tmp_path)


def test_a_repository_without_a_configuration_is_plain(repository: Path) -> None:
    (repository / ".git" / "config").unlink()
    assert is_plain_repository(repository)


@pytest.mark.parametrize(
    "more",
    [
        "[core]\n\tfsmonitor = ./evil\n",
        "[core]\n\tFSMonitor = ./evil\n",
        "[core] fsmonitor = ./evil\n",
        "[core]fsmonitor=./evil\n[user]\n",
        "[core]\n\thooksPath = x\n",
        "[core]\n\tpager = x\n",
        "[core]\n\tsshCommand = x\n",
        "[core]\n\tworktree = /\n",
        '[diff "x"]\n\ttextconv = ./evil\n',
        "[diff]\n\texternal = ./evil\n",
        '[filter "x"]\n\tclean = ./evil\n',
        "[alias]\n\tstatus = !evil\n",
        "[include]\n\tpath = ../x\n",
        '[includeIf "gitdir:/"]\n\tpath = ../x\n',
        "[gpg]\n\tprogram = x\n",
        '[remote "x"]\n\tuploadpack = evil\n',
        '[remote "x"]\n\tpromisor = true\n',
        "[user]\n\tname = a\\\n\tb\n",
        '[remote "a]b"]\n\turl = x\n',
        "fsmonitor = x\n",
        "[extensions]\n\tworktreeConfig = true\n",
        "\ufeff[user]\n",
    ],
    ids=repr,
)
def test_a_configuration_that_may_run_something_is_not_plain(repository: Path, more: str) -> None:
    (repository / ".git" / "config").write_text(CONFIG + more)
    assert not is_plain_repository(repository / "sub")


@pytest.mark.parametrize(
    "name",
    [".git/config.worktree", ".git/commondir", ".git/hooks/post-index-change", ".gitmodules"],
)
def test_what_leads_elsewhere_is_not_plain(repository: Path, name: str) -> None:
    (repository / name).write_text("x")
    assert not is_plain_repository(repository)


def test_a_git_file_or_link_is_not_plain(repository: Path) -> None:
    (repository / "sub" / ".git").write_text("gitdir: /elsewhere")
    assert not is_plain_repository(repository / "sub" / "deep")
    (repository / "sub" / ".git").unlink()
    (repository / "sub" / ".git").symlink_to(repository / ".git")
    assert not is_plain_repository(repository / "sub")


def test_a_directory_that_looks_like_a_repository_is_not_plain(tmp_path: Path) -> None:
    (tmp_path / "HEAD").write_text("ref: refs/heads/main")
    (tmp_path / "objects").mkdir()
    assert not is_plain_repository(tmp_path)


@pytest.mark.parametrize("content", [b"\xff", b"#" * 200_000], ids=["not UTF-8", "large"])
def test_a_configuration_that_cannot_be_read_is_not_plain(repository: Path, content: bytes) -> None:
    (repository / ".git" / "config").write_bytes(content)
    assert not is_plain_repository(repository)


def test_a_configuration_that_is_a_link_is_not_plain(repository: Path) -> None:
    (repository / ".git" / "config").rename(repository / "c")
    (repository / ".git" / "config").symlink_to("../c")
    assert not is_plain_repository(repository)

from __future__ import annotations

import os
from pathlib import Path

import pytest

from victor.tools.paths import PathError
from victor.tools.search import file_text, files_below


@pytest.fixture
def tree(workspace: Path) -> Path:
    files = {
        "a.txt": b"The Port is 8080.\r\nnothing\n",
        "src/b.py": "def größe():\n    return 'port'\n".encode(),
        "src/latin.txt": b"caf\xe9 port\n",
        "bin.dat": b"port\0\0",
        ".git/config": b"port\n",
        "node_modules/x.js": b"port\n",
    }
    for name, content in files.items():
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    os.mkfifo(workspace / "fifo")
    (workspace / "link.txt").symlink_to("../outside/secret.txt")
    return workspace


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "The Port is 8080.\r\nnothing\n"),
        ("src/latin.txt", "café port\n"),
        ("bin.dat", ""),
        ("gone", ""),
        ("link.txt", ""),
        ("fifo", ""),
    ],
)
def test_text_of_a_file_is_had_where_there_is_one(tree: Path, name: str, text: str) -> None:
    assert file_text(tree, name) == text


def test_too_large_a_file_is_not_read(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("victor.tools.search._LARGEST_FILE", 3)
    (workspace / "x").write_text("port")
    assert file_text(workspace, "x") is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".", ["a.txt", "bin.dat", "src/b.py", "src/latin.txt"]),
        ("src", ["src/b.py", "src/latin.txt"]),
        ("./a.txt", ["a.txt"]),
        (".git", [".git/config"]),
    ],
)
def test_files_below_a_place_are_found(tree: Path, path: str, found: list[str]) -> None:
    assert list(files_below(tree, path)) == found


@pytest.mark.parametrize("path", ["fifo", "link.txt", "../outside", "none", "/etc"])
def test_what_may_not_be_opened_is_refused(tree: Path, path: str) -> None:
    with pytest.raises(PathError):
        list(files_below(tree, path))

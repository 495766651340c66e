from __future__ import annotations

import os
from pathlib import Path

import pytest

from victor.tools.base import ToolError
from victor.tools.paths import PathError
from victor.tools.search import searching
from victor.tools.text import Limits


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
    ("query", "regex", "found"),
    [
        (
            "port",
            False,
            "a.txt:1: The Port is 8080.\nsrc/b.py:2: return 'port'\nsrc/latin.txt:1: café port",
        ),
        ("GRÖSSE", False, "src/b.py:1: def größe():"),
        ("is 8080.", False, "a.txt:1: The Port is 8080."),
        (r"8\.8", True, r"No line contains '8\\.8'."),
        (r"\d{4}\.$", True, "a.txt:1: The Port is 8080."),
        ("^def .*:$", True, "src/b.py:1: def größe():"),
        ("zzz|PORT$", True, "src/latin.txt:1: café port"),
        ("outside", False, "No line contains 'outside'."),
    ],
)
def test_lines_are_found(tree: Path, query: str, regex: bool, found: str) -> None:
    assert searching(tree, query, regex=regex) == found


def test_words_apart_are_found_where_the_whole_text_is_not(tree: Path) -> None:
    assert searching(tree, "8080 port") == (
        "[no line contains '8080 port' as it is; these have all its words]\n"
        "a.txt:1: The Port is 8080."
    )
    assert searching(tree, "8080 nowhere") == "No line contains '8080 nowhere'."


def test_search_looks_in_one_directory_or_file(tree: Path) -> None:
    assert "a.txt" not in searching(tree, "port", "src")
    assert searching(tree, "port", "./a.txt") == "a.txt:1: The Port is 8080."
    assert searching(tree, "port", ".git") == ".git/config:1: port"


@pytest.mark.parametrize("path", ["fifo", "link.txt", "../outside", "none", "/etc"])
def test_search_refuses_what_it_may_not_open(tree: Path, path: str) -> None:
    with pytest.raises(PathError):
        searching(tree, "port", path)


@pytest.mark.parametrize(
    ("query", "regex", "text"),
    [
        ("", False, "one line of text"),
        (" ", False, "one line of text"),
        ("a\nb", False, "one line of text"),
        ("(", True, "unclosed group"),
        (r"(a)\1", True, "backreferences are not supported"),
        ("(?=a)", True, "look-around.* is not supported"),
        ("(a{1000}){1000}", True, "size limit"),
    ],
)
def test_useless_query_is_refused_with_the_reason(
    tree: Path, query: str, regex: bool, text: str
) -> None:
    with pytest.raises(ToolError, match=text):
        searching(tree, query, regex=regex)


def test_catastrophic_pattern_is_quick(workspace: Path) -> None:
    (workspace / "x").write_text("a" * 100_000 + "b\n")
    assert searching(workspace, "(a+)+$", regex=True) == "No line contains '(a+)+$'."


def test_matches_over_the_limit_are_said(workspace: Path) -> None:
    (workspace / "x").write_text("port\n" * 1000)
    text = searching(workspace, "port")
    assert text.count("x:") == 200
    assert text.endswith(
        "[only the first 200 matches are shown; search in one directory or for a longer text]"
    )
    text = searching(workspace, "port", limits=Limits(30, 100, 100))
    assert text.startswith("x:1: port\nx:2: port\nx:3: port\n[only the first 3 matches")


def test_large_files_are_counted_and_not_searched(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.tools.search._LARGEST_FILE", 4 * 1024 * 1024)
    with (workspace / "large").open("wb") as file:
        file.write(b"port\n")
        file.truncate(5 * 1024 * 1024)
    assert searching(workspace, "port") == (
        "No line contains 'port'.\n[1 larger than 4 MiB not searched]"
    )


def test_search_ends_in_time(tree: Path) -> None:
    assert searching(tree, "port", deadline_s=0) == (
        "[stopped for lack of time; search in one directory or for a longer text]"
    )


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ("*.py", "src/b.py:2: return 'port'"),
        ("src/**/*.txt", "src/latin.txt:1: café port"),
        ("*.{rs,go}", "No line contains 'port'."),
    ],
)
def test_only_some_files_are_searched(tree: Path, files: str, found: str) -> None:
    assert searching(tree, "port", files=files) == found

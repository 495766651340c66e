from __future__ import annotations

import os
from pathlib import Path

import pytest

from victor.tools.ignored import Rules
from victor.tools.plain import Plain
from victor.tools.ripgrep import find_ripgrep, ripgrep

RULES = """\
# a comment
*.log
!keep.log
/top.txt
build/
docs/*.tmp
**/deep/x
a/**/z
space\\\x20
\\#hash
\\!bang
{a,b}.c
[st]?.d
"""
FILES = [
    "a.log",
    "keep.log",
    "sub/b.log",
    "top.txt",
    "sub/top.txt",
    "build/x",
    "sub/build/y",
    "buildx",
    "docs/a.tmp",
    "docs/b/a.tmp",
    "deep/x",
    "q/deep/x",
    "a/z",
    "a/b/c/z",
    "#hash",
    "!bang",
    "a.c",
    "{a,b}.c",
    "s1.d",
    "u1.d",
    ".hidden/a",
    ".hidden/b.log",
    "sub/own.txt",
    "sub/not.log",
    "other.ig",
    "excluded",
    "sub/excluded",
]


@pytest.fixture
def tree(workspace: Path) -> Path:
    contents = dict.fromkeys([*FILES, "space "], "x\n") | {
        ".gitignore": RULES,
        "sub/.gitignore": "own.txt\n!not.log\n",
        ".ignore": "*.ig\n",
        ".git/info/exclude": "/excluded\n",
        "sub/.gitignore.d/x": "",
    }
    for name, content in contents.items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(content)
    return workspace


async def found(plain: Plain) -> set[str]:
    return {os.fsdecode(name) async for name in plain.names()}


@pytest.mark.skipif(find_ripgrep() is None, reason="needs ripgrep (make system)")
async def test_the_same_files_are_ignored_as_by_ripgrep(tree: Path) -> None:
    program = find_ripgrep()
    assert program is not None
    said = {line.rstrip(b"\n") async for line in ripgrep(program, ["--files"], tree, ".")}
    assert await found(Plain(tree, ".")) == {os.fsdecode(name)[2:] for name in said}


async def test_some_are_ignored_and_others_not(tree: Path) -> None:
    names = await found(Plain(tree, "."))
    assert {"keep.log", "sub/not.log", "sub/top.txt"} <= names
    assert not names & {"a.log", "build/x", "sub/build/y", "sub/own.txt", "other.ig", "excluded"}
    assert {"sub/excluded", "docs/b/a.tmp", "buildx"} <= names


async def test_rules_above_the_place_count_too(tree: Path) -> None:
    assert "b.log" not in await found(Plain(tree, "sub"))
    assert "b.log" in await found(Plain(tree, "sub", ignored=True))


@pytest.mark.parametrize("line", ["", " ", "# x", "!", "/", "//", "!/"])
async def test_line_that_says_nothing_ignores_nothing(workspace: Path, line: str) -> None:
    (workspace / ".gitignore").write_text(f"{line}\n")
    (workspace / "x").touch()
    assert await found(Plain(workspace, ".")) == {".gitignore", "x"}


def test_directory_without_rules_adds_none(workspace: Path) -> None:
    rules = Rules()
    assert rules.below(workspace, ".", []) is rules


async def test_rules_that_cannot_be_read_are_none(workspace: Path) -> None:
    (workspace / ".gitignore").symlink_to("/etc/hostname")
    (workspace / "sub").mkdir()
    os.mkfifo(workspace / "sub" / ".ignore")
    (workspace / "sub" / "x").touch()
    assert await found(Plain(workspace, ".")) == {"sub/x"}

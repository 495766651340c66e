from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest

from victor.tools.base import ToolError
from victor.tools.ripgrep import find_ripgrep, ripgrep

needs_ripgrep = pytest.mark.skipif(find_ripgrep() is None, reason="needs ripgrep (make system)")


async def lines_of(workspace: Path, *options: str, path: str = ".") -> list[bytes]:
    program = find_ripgrep()
    assert program is not None
    return [line async for line in ripgrep(program, options, workspace, path)]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@needs_ripgrep
async def test_lines_come_as_ripgrep_prints_them(workspace: Path) -> None:
    (workspace / "sub").mkdir()
    (workspace / "sub" / "x").write_text("a\nb\n")
    assert await lines_of(workspace, "--regexp=b", "-n") == [b"./sub/x:2:b\n"]
    assert await lines_of(workspace, "--regexp=b", path="sub") == [b"./x:b\n"]
    assert await lines_of(workspace, "--regexp=b", path="sub/x") == [b"b\n"]
    assert await lines_of(workspace, "--regexp=c") == []


@needs_ripgrep
async def test_wrong_options_are_an_error_in_its_own_words(workspace: Path) -> None:
    with pytest.raises(ToolError, match="unclosed group"):
        await lines_of(workspace, "--regexp=(")


@needs_ripgrep
async def test_directory_swapped_for_a_link_is_not_followed(workspace: Path) -> None:
    (workspace / "sub").mkdir()
    (workspace / "sub" / "x").write_text("inside\n")
    program = find_ripgrep()
    assert program is not None
    found = ripgrep(program, ["--regexp=side"], workspace, "sub")
    (workspace / "sub").rename(workspace / "old")
    (workspace / "sub").symlink_to("../outside")
    with pytest.raises(Exception, match="symbolic link"):
        await anext(found)


@needs_ripgrep
async def test_leaving_early_ends_the_process_and_closes_everything(workspace: Path) -> None:
    (workspace / "x").write_text("a\n" * 2_000_000)
    program = find_ripgrep()
    assert program is not None
    before = descriptors()
    async with aclosing(ripgrep(program, ["--regexp=a"], workspace, ".")) as found:
        assert await anext(found) == b"./x:a\n"
        assert descriptors() > before
    async with asyncio.timeout(5):
        while descriptors() > before:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


def test_program_of_a_repository_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rg").write_text("#!/bin/sh\n")
    (tmp_path / "rg").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".:relative")
    find_ripgrep.cache_clear()
    try:
        assert find_ripgrep() is None
        monkeypatch.setenv("PATH", f".:{tmp_path}")
        find_ripgrep.cache_clear()
        assert find_ripgrep() == str(tmp_path / "rg")
    finally:
        find_ripgrep.cache_clear()

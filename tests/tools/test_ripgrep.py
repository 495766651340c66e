from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from pathlib import Path

import pytest

from victor.tools.base import ToolError
from victor.tools.ripgrep import find_ripgrep, genuine, ripgrep

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


WARNING = b"./binary: WARNING: stopped searching binary file after match"


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        pytest.param([b"./a\x002:4:port two\r"], True, id="line"),
        pytest.param([b"./a\x002-4-port two\r"], True, id="line-around"),
        pytest.param([b"./a\x002:3:port two\r"], False, id="another-place"),
        pytest.param([b"./a\x002:4:port too\r"], False, id="another-text"),
        pytest.param([b"./a\x002:4:port two\r\nthree\nmore"], False, id="more-than-there-is"),
        pytest.param([b"./a\x002:4:port [... 1 more match]"], True, id="shortened"),
        pytest.param([b"./a\x002:4:part [... 1 more match]"], False, id="shortened-another"),
        pytest.param([b"./a\x00what"], False, id="no-line"),
        pytest.param([b"./gone\x001:0:one"], False, id="missing"),
        pytest.param([b"./link\x001:0:secret"], False, id="link"),
        pytest.param([b"./links/secret.txt\x001:0:secret"], False, id="link-to-a-directory"),
        pytest.param([b"./../outside/secret.txt\x001:0:secret"], False, id="dot-dot"),
        pytest.param([b"./fifo\x001:0:"], False, id="fifo"),
        pytest.param([b"./bom\x002:4:two"], True, id="byte-order-mark"),
        pytest.param([b"./little\x002:3:tw\xc3\xb6"], True, id="utf-16"),
        pytest.param([b"./big\x002:3:tw\xc3\xb6"], True, id="utf-16-big-endian"),
        pytest.param([b"./big\x002:3:twx"], False, id="utf-16-another"),
        pytest.param([b"./binary\x001:0:one", WARNING], True, id="warning-after-a-line"),
        pytest.param([WARNING], False, id="warning-alone"),
        pytest.param([b"--"], True, id="between-lines"),
        pytest.param([b"<stdin>\x001:0:one"], True, id="file-that-was-opened"),
        pytest.param([b"./a"], True, id="name"),
        pytest.param([b"./sub"], False, id="name-of-a-directory"),
        pytest.param([b"./links/secret.txt"], False, id="name-behind-a-link"),
        pytest.param([b"./gone"], False, id="name-of-nothing"),
    ],
)
def test_only_what_the_workspace_holds_is_genuine(
    workspace: Path, lines: list[bytes], *, kept: bool
) -> None:
    (workspace / "a").write_bytes(b"one\nport two\r\nthree\n")
    (workspace / "bom").write_bytes(b"\xef\xbb\xbfone\ntwo\n")
    (workspace / "little").write_bytes(b"\xff\xfe" + "\u00e4\ntw\u00f6\n".encode("utf-16-le"))
    (workspace / "big").write_bytes(b"\xfe\xff" + "\u00e4\ntw\u00f6\n".encode("utf-16-be"))
    (workspace / "binary").write_bytes(b"one\n\0")
    (workspace / "sub").mkdir()
    (workspace / "link").symlink_to("../outside/secret.txt")
    (workspace / "links").symlink_to("../outside")
    os.mkfifo(workspace / "fifo")
    before = descriptors()
    assert genuine(workspace, ".", lines) == (lines if kept else [])
    assert descriptors() == before


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

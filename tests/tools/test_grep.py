from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from victor.tools.base import ToolContext
from victor.tools.grep import glob, grep
from victor.tools.ripgrep import find_ripgrep
from victor.tools.spill import spilled

needs_ripgrep = pytest.mark.skipif(find_ripgrep() is None, reason="needs ripgrep (make system)")


@pytest.fixture
def tree(workspace: Path) -> Path:
    files = {
        "a.txt": b"The Port is 8080.\nnothing\nlast\n",
        "src/b.py": b"def f():\n    return 'port'\n",
        "src/deep/c.ts": b"port: 1\n",
        "bin.dat": b"port\0\0",
        ".github/w.yml": b"port: 2\n",
        ".git/config": b"port\n",
        "build/out.py": b"port = 3\n",
        "logs/x.log": b"port = 3\n",
        ".gitignore": b"build/\n*.log\n",
        "-e.md": b"a port\n",
    }
    for name, content in files.items():
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    os.mkfifo(workspace / "fifo")
    (workspace / "link.txt").symlink_to("../outside/secret.txt")
    (workspace / "linked").symlink_to("../outside")
    return workspace


@pytest.fixture(params=[pytest.param("ripgrep", marks=needs_ripgrep), "plain"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr("victor.tools.grep.find_ripgrep", lambda: None)


async def run(context: ToolContext, pattern: str, **arguments: Any) -> str:
    return (await grep.run({"pattern": pattern, **arguments}, context)).content


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("pattern", "arguments", "found"),
    [
        pytest.param(
            "port",
            {},
            "-e.md:1: a port\n.github/w.yml:1: port: 2\nsrc/b.py:2:     return 'port'\n"
            "src/deep/c.ts:1: port: 1",
            id="everywhere",
        ),
        pytest.param("port", {"files": "*.py"}, "src/b.py:2:     return 'port'", id="by-name"),
        pytest.param("port", {"files": "src/*/*"}, "src/deep/c.ts:1: port: 1", id="by-path"),
        pytest.param(
            "port",
            {"files": "*.{py,ts}", "output": "files"},
            "src/b.py\nsrc/deep/c.ts",
            id="names-only",
        ),
        pytest.param("8.8", {"literal": True}, "No line matches '8.8'.", id="literal"),
        pytest.param(r"^the.*\d+\.$", {"ignore_case": True}, "a.txt:1: The Port is 8080.", id="re"),
        pytest.param(
            "nothing",
            {"around": 1},
            "a.txt:1- The Port is 8080.\na.txt:2: nothing\na.txt:3- last",
            id="context",
        ),
        pytest.param("port", {"path": "src/deep"}, "src/deep/c.ts:1: port: 1", id="directory"),
        pytest.param("8080", {"path": "./a.txt"}, "a.txt:1: The Port is 8080.", id="file"),
        pytest.param("port", {"path": ".git"}, ".git/config:1: port", id="hidden-directory"),
        pytest.param(
            "port",
            {"path": "logs"},
            "logs/x.log:1: port = 3\n[git ignores these files]",
            id="ignored-directory",
        ),
        pytest.param("outside", {}, "No line matches 'outside'.", id="links-are-not-followed"),
        pytest.param("--help", {}, "No line matches '--help'.", id="pattern-like-an-option"),
        pytest.param("port", {"files": "--pre=x"}, "No line matches 'port'.", id="glob-like-one"),
    ],
)
async def test_lines_are_found(
    context: ToolContext, tree: Path, pattern: str, arguments: dict[str, Any], found: str
) -> None:
    assert await run(context, pattern, **arguments) == found


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("pattern", "arguments", "text"),
    [
        ("", {}, "one line of text"),
        ("a\nb", {}, "one line of text"),
        ("(", {}, "unclosed group"),
        ("x", {"files": "{a"}, "unclosed alternate group"),
        ("x", {"path": "fifo"}, "not a regular file"),
        ("x", {"path": "linked"}, "symbolic link"),
        ("x", {"path": "link.txt"}, "symbolic link"),
        ("x", {"path": "../outside"}, "outside the workspace"),
        ("x", {"path": "gone"}, "there is no 'gone'"),
        ("x", {"path": "output:9"}, "there is no 'output:9'"),
    ],
)
async def test_search_that_cannot_be_made_is_refused(
    context: ToolContext, tree: Path, pattern: str, arguments: dict[str, Any], text: str
) -> None:
    result = await grep.run({"pattern": pattern, **arguments}, context)
    assert result.is_error
    assert text in result.content


@pytest.mark.usefixtures("engine")
async def test_what_is_left_out_is_said(context: ToolContext, workspace: Path) -> None:
    (workspace / "x").write_text("port\n" * 1_000 + "y" * 100_000 + "\n")
    text = await run(context, "port")
    assert text.count("x:") == 200
    assert text.endswith("\n[only the first 200 are shown; search more narrowly]")
    text = await run(context, "yyy")
    assert len(text) < 700
    assert "[... " in text


@pytest.mark.usefixtures("engine")
async def test_lines_past_the_cap_of_a_result_are_counted(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "x").write_text(("port" * 100 + "\n") * 150)
    text = await run(context, "port")
    assert text.endswith(" more are not shown; search more narrowly]")


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("name", ["n" * 255, "a b", "--", "é", ":1: x", "a\tb"])
async def test_any_file_name_is_shown_whole(
    context: ToolContext, workspace: Path, name: str
) -> None:
    (workspace / name).write_text("x\n")
    shown = name.replace("\t", "\\t")
    assert await run(context, "x", output="files") == shown
    assert await run(context, "x") == f"{shown}:1: x"


@pytest.mark.usefixtures("engine")
async def test_search_ends_in_time(
    context: ToolContext, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.tools.grep._DEADLINE_S", 0.0)
    assert await run(context, "port") == "[stopped after 0 s; search in one directory]"
    found = await glob.run({"pattern": "*.py"}, context)
    assert found.content == "[stopped after 0 s; search in one directory]"


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbfone\r\nport \xc3\xa4\r\n", id="utf-8-with-a-mark"),
        pytest.param("\ufeff\u00e4\nport \u00e4\n".encode("utf-16-le"), id="utf-16-le"),
        pytest.param("\ufeff\u00e4\nport \u00e4\n".encode("utf-16-be"), id="utf-16-be"),
        pytest.param(b"one\nport \xc3\xa4", id="without-an-end"),
    ],
)
async def test_every_encoding_that_ripgrep_knows_is_found(
    context: ToolContext, workspace: Path, content: bytes
) -> None:
    (workspace / "x").write_bytes(content)
    assert await run(context, "port") == "x:2: port ä"
    assert await run(context, "port", output="files") == "x"


@pytest.mark.usefixtures("engine")
async def test_search_says_where_a_binary_file_ended_it(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "x").write_bytes(b"port\n" + b"filler\n" * 30_000 + b"\0\nport\n")
    first, second = (await run(context, "port")).split("\n")
    assert first == "x:1: port"
    assert second.startswith("x: ")
    assert "binary file" in second


@pytest.mark.usefixtures("engine")
async def test_kept_output_can_be_searched(
    context: ToolContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    long = "".join(f"line {number}\n" for number in range(20_000))
    spilled(long, context.memory, readable=True)
    assert await run(context, "12345$", path="output:1") == "output:1:12346: line 12345"
    assert await run(context, "12345$", path="output:1", output="files") == "output:1"


@pytest.mark.usefixtures("engine")
async def test_environment_and_configuration_have_no_say(
    context: ToolContext, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tree / "made"
    (tree / "rc").write_text(f"--pre={tree / 'evil'}\n")
    (tree / "evil").write_text(f"#!/bin/sh\ntouch {made}\n")
    (tree / "evil").chmod(0o755)
    monkeypatch.setenv("RIPGREP_CONFIG_PATH", str(tree / "rc"))
    assert "src/b.py" in await run(context, "port")
    assert not made.exists()


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("*.py", ".", "src/b.py"),
        ("src/**/*.{py,ts}", ".", "src/b.py\nsrc/deep/c.ts"),
        ("*.ts", "src", "src/deep/c.ts"),
        ("./a.*", ".", "a.txt"),
        ("*.yml", ".", ".github/w.yml"),
        ("*.log", "logs", "logs/x.log\n[git ignores these files]"),
        ("*.rs", ".", "No file matches *.rs."),
        ("config", ".", "No file matches config."),
    ],
)
async def test_files_are_found(
    context: ToolContext, tree: Path, pattern: str, path: str, found: str
) -> None:
    assert (await glob.run({"pattern": pattern, "path": path}, context)).content == found


async def test_glob_without_a_pattern_is_refused(context: ToolContext, tree: Path) -> None:
    assert "the pattern is empty" in (await glob.run({"pattern": ""}, context)).content


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"files": "*.[!p]?", "output": "files"}, "-e.md\nsrc/deep/c.ts"),
        ({"files": "!src/**", "output": "files"}, "-e.md\n.github/w.yml"),
        ({"path": "src", "files": "deep/*", "output": "files"}, "src/deep/c.ts"),
        ({"path": "inside", "output": "files"}, "inside/b.py\ninside/deep/c.ts"),
        (
            {"ignore_case": True, "literal": True, "pattern": "IS 8080."},
            "a.txt:1: The Port is 8080.",
        ),
        (
            {"around": 1},
            "-e.md:1: a port\n--\n.github/w.yml:1: port: 2\n--\nsrc/b.py:1- def f():\n"
            "src/b.py:2:     return 'port'\n--\nsrc/deep/c.ts:1: port: 1",
        ),
    ],
)
async def test_with_ripgrep_or_without_the_same_is_found(
    context: ToolContext, tree: Path, arguments: dict[str, Any], found: str
) -> None:
    (tree / "inside").symlink_to("src")
    assert await run(context, **{"pattern": "port", **arguments}) == found


@pytest.mark.usefixtures("engine")
async def test_groups_of_lines_are_apart_only_where_lines_are_between(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "x").write_text("1\nport\n3\nport\n5\n6\n7\nport\nport\n")
    lines = (await run(context, "port", around=1)).replace("x:", "").split("\n")
    assert [line[:2] for line in lines] == ["1-", "2:", "3-", "4:", "5-", "--", "7-", "8:", "9:"]


async def test_without_ripgrep_what_is_too_large_is_named(
    context: ToolContext, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.tools.grep.find_ripgrep", lambda: None)
    monkeypatch.setattr("victor.tools.plain._LARGEST_FILE", 28)
    said = await run(context, "port", path="src")
    assert said == ("src/b.py:2:     return 'port'\nsrc/deep/c.ts:1: port: 1")
    monkeypatch.setattr("victor.tools.plain._LARGEST_FILE", 20)
    said = await run(context, "port", path="src")
    assert said.startswith("src/b.py: not searched, as it is larger than 0 MiB\n")


@pytest.mark.parametrize("pattern", ["(a+)+$", r"\Ax", r"x\z", "(?=a)", "(a{1000}){1000}"])
async def test_without_ripgrep_no_pattern_hangs(
    context: ToolContext, workspace: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setattr("victor.tools.grep.find_ripgrep", lambda: None)
    (workspace / "x").write_text("a" * 100_000 + "b\nx\n")
    found = await grep.run({"pattern": pattern}, context)
    expected = "x:2: x" if "x" in pattern else "is not a regular" if found.is_error else "No line"
    assert expected in found.content

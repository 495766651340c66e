from __future__ import annotations

import time
from pathlib import Path

import pytest

from victor.tools.base import ToolContext, ToolError
from victor.tools.files import list_files, listing, reading, text_files, whole_file, write
from victor.tools.paths import PathError, walk
from victor.tools.read import read
from victor.tools.text import COMPACT, Limits


@pytest.fixture
def tree(workspace: Path) -> Path:
    for name in ["b.py", "src/a.py", "src/deep/c.ts", "src/[x].py", "README.md", ".github/w.yml"]:
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return workspace


def test_listing_marks_directories_and_is_sorted(tree: Path) -> None:
    assert listing(tree).split("\n") == [
        ".github/",
        "README.md",
        "b.py",
        "src/",
        "src/[x].py",
        "src/a.py",
        "src/deep/",
        "src/deep/c.ts",
    ]
    assert listing(tree, "src/deep") == "src/deep/c.ts"


def test_nothing_found_is_said(tree: Path) -> None:
    (tree / "void").mkdir()
    assert listing(tree, "void") == "There is nothing in void."


def test_listing_over_the_limit_counts_what_it_leaves_out(tree: Path) -> None:
    limits = Limits(characters=1000, lines=4, line_characters=100)
    assert listing(tree, limits=limits).split("\n") == [
        ".github/",
        "README.md",
        "b.py",
        "src/",
        "[4 more left out; list one of the directories]",
    ]
    assert listing(tree, limits=Limits(15, 100, 100)).endswith(
        "[7 more left out; list one of the directories]"
    )


def test_listing_stops_counting_some_time(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("victor.tools.files._MOST_ENTRIES", 3)
    assert listing(tree).endswith("[more than 3 entries; list one of the directories]")


def test_listing_of_many_files_is_quick(workspace: Path) -> None:
    for directory in range(20):
        (workspace / str(directory)).mkdir()
        for number in range(500):
            (workspace / str(directory) / str(number)).touch()
    start = time.perf_counter()
    text = listing(workspace)
    assert time.perf_counter() - start < 5  # ten times what it takes on a busy machine
    assert text.endswith("[9,020 more left out; list one of the directories]")


async def test_list_files_tells_the_model_about_a_file(context: ToolContext, tree: Path) -> None:
    result = await list_files.run({"path": "b.py"}, context)
    assert result.is_error
    assert "'b.py' is not a directory" in result.content


async def test_read_numbers_the_lines(context: ToolContext) -> None:
    (context.workspace / "x").write_bytes(b"one\r\ntwo\n\nfour")
    result = await read.run({"path": "x"}, context)
    assert result.content == "1\tone\n2\ttwo\n3\t\n4\tfour"
    result = await read.run({"path": "x", "offset": 2, "limit": 2}, context)
    assert result.content == "2\ttwo\n3\t\n[lines 2-3 of 4; read on with offset=4]"


@pytest.mark.parametrize("wrong", [{"offset": 0}, {"limit": 0}, {"offset": "x"}])
async def test_read_refuses_impossible_lines(
    context: ToolContext, wrong: dict[str, object]
) -> None:
    (context.workspace / "x").write_text("one\n")
    assert (await read.run({"path": "x", **wrong}, context)).is_error


def test_reading_in_pieces_gives_every_line_once(workspace: Path) -> None:
    (workspace / "x").write_text("\n".join(f"line {n}" for n in range(1, 101)))
    limits = Limits(characters=200, lines=30, line_characters=100)
    seen: list[str] = []
    while len(seen) < 100:
        text = reading(workspace, "x", offset=len(seen) + 1, limits=limits)
        seen += [line for line in text.split("\n") if not line.startswith("[")]
    assert seen == [f"{n}\tline {n}" for n in range(1, 101)]


def test_reading_without_numbers_is_plain(workspace: Path) -> None:
    (workspace / "x").write_text("a\nb\n")
    assert reading(workspace, "x", numbered=False) == "a\nb"
    (workspace / "x").write_text("word " * 10 + "\n" + "a\n" * 5000)
    text = reading(workspace, "x", numbered=False, limits=COMPACT)
    assert len(text) < COMPACT.characters + 100
    assert text.endswith("[lines 1-200 of 5,001; search finds text in the rest]")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "[x is empty]"),
        (b"n\xe9", "1\tné\n[not valid UTF-8, decoded as Latin-1]"),
        (b"y" * 2001, "1\t" + "y" * 2000 + " [... 1 more characters]"),
    ],
    ids=["empty", "latin-1", "long-line"],
)
def test_reading_says_what_is_special(workspace: Path, content: bytes, text: str) -> None:
    (workspace / "x").write_bytes(content)
    assert reading(workspace, "x") == text


def test_reading_refuses_binary_huge_and_past_the_end(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "x").write_bytes(b"\0" * 1234)
    with pytest.raises(ToolError, match="binary file of 1,234 bytes"):
        reading(workspace, "x")
    (workspace / "x").write_text("a\n")
    with pytest.raises(ToolError, match="'x' ends at line 1; there is no line 2"):
        reading(workspace, "x", offset=2)
    monkeypatch.setattr("victor.tools.files._LARGEST_FILE", 1)
    with pytest.raises(ToolError, match="is larger than"):
        whole_file(workspace, "x")


async def test_write_says_what_it_did(context: ToolContext) -> None:
    result = await write.run({"path": "a/b.txt", "content": "é\r\nx\n"}, context)
    assert result.content == "Created a/b.txt (2 lines)."
    assert (context.workspace / "a/b.txt").read_bytes() == "é\r\nx\n".encode()
    result = await write.run({"path": "a/b.txt", "content": "x"}, context)
    assert result.content == "Overwrote a/b.txt (1 line)."


async def test_write_of_what_is_no_text_is_an_error(context: ToolContext) -> None:
    result = await write.run({"path": "x", "content": "\ud800"}, context)
    assert result.is_error
    assert not (context.workspace / "x").exists()


def test_text_file_that_vanishes_is_passed_over(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = list(walk(tree))
    (tree / "b.py").unlink()
    monkeypatch.setattr("victor.tools.files.walk", lambda workspace: iter(entries))
    assert text_files(tree, at_most=9) == ["README.md", "src/[x].py", "src/a.py", "src/deep/c.ts"]


def test_text_files_are_named_shallow_first_up_to_a_number(tree: Path) -> None:
    (tree / "a.bin").write_bytes(b"\0")
    (tree / "link").symlink_to("b.py")
    names = ["README.md", "b.py", "src/[x].py", "src/a.py", "src/deep/c.ts"]
    assert text_files(tree, at_most=5) == names
    assert text_files(tree, at_most=4) is None
    with pytest.raises(PathError):
        text_files(tree / "gone", at_most=1)

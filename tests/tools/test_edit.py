from __future__ import annotations

from pathlib import Path

import pytest

from victor.tools.base import ToolContext
from victor.tools.edit import edit, multi_edit

NOTE = " Note: the old text matched only apart from whitespace; check the result."


async def test_edit_writes_the_file_and_says_where(context: ToolContext, workspace: Path) -> None:
    path = workspace / "x.py"
    path.write_text("a\nb\nc\n")
    path.chmod(0o750)
    result = await edit.run({"path": "x.py", "old": "b", "new": "x\ny"}, context)
    assert result.content == "Edited x.py, 2 lines from 2."
    assert path.read_text() == "a\nx\ny\nc\n"
    assert path.stat().st_mode & 0o777 == 0o750
    result = await edit.run({"path": "x.py", "old": "  a", "new": "  z"}, context)
    assert result.content == "Edited x.py, line 1." + NOTE
    assert path.read_text() == "z\nx\ny\nc\n"


async def test_refused_edit_leaves_the_file(context: ToolContext, workspace: Path) -> None:
    (workspace / "x").write_text("aa")
    (workspace / "link").symlink_to("x")
    before = (workspace / "x").stat()
    for arguments in [
        {"path": "x", "old": "a", "new": "b"},
        {"path": "link", "old": "aa", "new": "b"},
        {"path": "y", "old": "a", "new": "b"},
        {"path": "../outside/secret.txt", "old": "outside", "new": "b"},
    ]:
        assert (await edit.run(arguments, context)).is_error
    assert (workspace / "x").stat() == before


async def test_edit_of_every_occurrence_says_how_many(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "x").write_text("a\nb\na\n")
    arguments = {"path": "x", "old": "a", "new": "c", "replace_all": True}
    assert (await edit.run(arguments, context)).content == "Edited x, 2 places from line 1."
    assert "was not found" in (await edit.run(arguments, context)).content


async def test_several_edits_are_made_in_order(context: ToolContext, workspace: Path) -> None:
    (workspace / "x").write_text("one\n    two\nthree three\n")
    edits = [
        {"old": "one", "new": "1"},
        {"old": "1\ntwo", "new": "1\n2\n2b"},
        {"old": "three", "new": "3", "replace_all": True},
    ]
    result = await multi_edit.run({"path": "x", "edits": edits[:1]}, context)
    assert result.content == "Edited x:\n1. line 1."
    result = await multi_edit.run({"path": "x", "edits": edits[2:]}, context)
    assert result.content == "Edited x:\n1. 2 places from line 3."
    edits = [{"old": "two\n3 3", "new": "2"}, {"old": "  2", "new": "  22"}]
    result = await multi_edit.run({"path": "x", "edits": edits}, context)
    assert result.content == "Edited x:\n1. line 2.\n2. line 2."
    assert (workspace / "x").read_text() == "1\n    22\n"


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        (
            [{"old": "one", "new": "1"}, {"old": "zzz", "new": "3"}],
            "edit 2 of 2 does not fit, so none is made",
        ),
        (
            [{"old": "one", "new": "1"}, {"old": "one", "new": "3"}],
            "edit 2 of 2 does not fit, so none is made",
        ),
        ([{"old": "o", "new": "1"}], "old occurs more"),
        ([], "Invalid arguments"),
        ([{"old": "one"}], "field required"),
    ],
)
async def test_of_several_edits_all_are_made_or_none(
    context: ToolContext, workspace: Path, edits: list[dict[str, str]], text: str
) -> None:
    (workspace / "x").write_text("one\ntwo\n")
    before = (workspace / "x").stat()
    result = await multi_edit.run({"path": "x", "edits": edits}, context)
    assert result.is_error
    assert text in result.content
    assert (workspace / "x").stat() == before


@pytest.mark.parametrize("codec", ["latin-1", "utf-16"])
async def test_edit_keeps_the_encoding_of_a_file(
    context: ToolContext, workspace: Path, codec: str
) -> None:
    (workspace / "x").write_bytes("café\r\nsol\r\n".encode(codec))
    result = await edit.run({"path": "x", "old": "café\nsol", "new": "thé\nseñor"}, context)
    assert result.content == "Edited x, 2 lines from 1."
    assert (workspace / "x").read_bytes() == "thé\r\nseñor\r\n".encode(codec)


async def test_edit_refuses_a_character_that_the_file_cannot_hold(
    context: ToolContext, workspace: Path
) -> None:
    (workspace / "x").write_bytes(b"caf\xe9\n")
    result = await edit.run({"path": "x", "old": "café", "new": "…"}, context)
    assert result.is_error
    assert "has no '…'; use another character" in result.content
    assert (workspace / "x").read_bytes() == b"caf\xe9\n"

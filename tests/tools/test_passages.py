from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.tools.base import ToolContext, ToolError
from victor.tools.compact import compact_tools
from victor.tools.passages import best_passages
from victor.tools.text import Limits

LIMITS = Limits(characters=2_400, lines=60, line_characters=300)

FILES = {
    "README.md": "# Heron\nHeron sorts parcels by weight.\nIt is written in Go.\n",
    "config/service.yaml": "server:\n  port: 7412\ncache:\n  ttl_seconds: 90\n",
    "docs/contacts.txt": "Maintainer: Ada Brandt\nPhone: 555-0183\n",
    "src/limits.py": "MAX_PARCELS = 340\n\n\n\n\n\n\nOFFSET = 12\n",
    "notes.md": "Jonas takes over the translations.\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("query", "hint", "first", "holds"),
    [
        ("maintainer", "", "docs/contacts.txt, lines 1-2:", "Ada Brandt"),
        ("MAINTAINERS", "", "docs/contacts.txt, lines 1-2:", "Ada Brandt"),
        ("max parcels", "", "src/limits.py, lines 1-3:", "340"),
        ("translating", "", "notes.md, lines 1-1:", "Jonas"),
        ("contacts phone", "", "docs/contacts.txt, lines 1-2:", "555-0183"),
        ("heron", "In which language is it written?", "README.md, lines 1-3:", "Go"),
        ("what is the", "How long is the ttl?", "config/service.yaml, lines 2-4:", "90"),
    ],
    ids=["word", "case and ending", "underscore", "stem", "file name", "hint", "hint alone"],
)
def test_the_best_passage_comes_first(
    workspace: Path, query: str, hint: str, first: str, holds: str
) -> None:
    text = best_passages(workspace, query, hint=hint, limits=LIMITS)
    assert text.splitlines()[0] == first
    assert holds in text.split("\n\n")[0]


def test_overlapping_passages_are_shown_once(workspace: Path) -> None:
    text = best_passages(workspace, "heron parcels", limits=LIMITS)
    assert text.count("README.md, lines") == 1


def test_lines_far_apart_are_two_passages(workspace: Path) -> None:
    text = best_passages(workspace, "parcels offset", limits=LIMITS)
    assert text.count("src/limits.py, lines") == 2


def test_no_match_says_so_in_words_the_adapter_knows(workspace: Path) -> None:
    assert best_passages(workspace, "zebra", limits=LIMITS).startswith("No match")


@pytest.mark.parametrize("query", ["", "the of a", "?!"], ids=["empty", "common", "signs"])
def test_a_query_without_a_word_is_refused(workspace: Path, query: str) -> None:
    with pytest.raises(ToolError, match="at least one word"):
        best_passages(workspace, query, limits=LIMITS)


def test_results_stay_within_the_limits(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text("needle " + "x" * 5_000, encoding="utf-8")
    text = best_passages(tmp_path, "needle", limits=LIMITS)
    assert len(text) < LIMITS.characters + 400


def test_binary_files_and_links_out_of_the_workspace_are_passed_over(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.txt"
    outside.write_text("zebra stripes", encoding="utf-8")
    (workspace / "link.txt").symlink_to(outside)
    (workspace / "blob.bin").write_bytes(b"zebra\0stripes")
    assert best_passages(workspace, "zebra", limits=LIMITS).startswith("No match")


def test_a_search_out_of_time_works_with_what_it_has(workspace: Path) -> None:
    assert best_passages(workspace, "heron", limits=LIMITS, deadline_s=0).startswith("No match")


@settings(max_examples=60, deadline=None)
@given(query=st.text(max_size=40))
def test_any_query_gives_text_or_one_clear_error(query: str) -> None:
    folder = Path(__file__).parent
    if any(word.isalnum() for word in query.split()):
        with contextlib.suppress(ToolError):  # common words only
            assert best_passages(folder, query, limits=LIMITS)
    elif not any(sign.isalnum() for sign in query):
        with pytest.raises(ToolError, match="at least one word"):
            best_passages(folder, query, limits=LIMITS)


def test_more_matches_than_shown_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("needle\n" * 200, encoding="utf-8")
    text = best_passages(tmp_path, "needle", limits=LIMITS)
    assert text.endswith("[the best of 200 lines; use rarer words for others]")


async def test_the_compact_search_ranks_by_the_users_question_too(workspace: Path) -> None:
    search = compact_tools()[0]
    context = ToolContext(workspace, request="In which language is Heron written?")
    result = await search.run({"query": "heron"}, context)
    assert "Go" in result.content.split("\n\n")[0]


def test_the_compact_tools_teach_by_example(workspace: Path) -> None:
    context = ToolContext(workspace)
    for tool in compact_tools():
        definition = tool.narrow(context)
        assert definition.examples
        properties = definition.parameters["properties"]
        for example in definition.examples:
            assert set(example.arguments) <= set(properties)

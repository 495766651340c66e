from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "attacks.md"
ROW = re.compile(r"^\| (A\d\d) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def named_in(folder: Path) -> dict[str, str]:
    """Return every test below a folder, and the file it is in."""
    files = [path for path in folder.rglob("test_*.py") if path != Path(__file__)]
    return {
        name: path.read_text(encoding="utf-8")
        for path in files
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }


def test_every_attack_has_a_row_and_every_test_it_names_exists() -> None:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    assert [number for number, *_ in rows] == [f"A{number:02}" for number in range(1, 43)]
    there = named_in(TESTS)
    for number, _, _, proof in rows:
        named = re.findall(r"`(test_\w+)`", proof)
        assert named, number
        assert set(named) <= set(there), number


def test_every_attack_is_named_by_a_test_of_its_row() -> None:
    there = named_in(TESTS / "attacks")
    for number, _, _, proof in ROW.findall(PAGE.read_text(encoding="utf-8")):
        texts = [there[name] for name in re.findall(r"`(test_\w+)`", proof) if name in there]
        assert any(number in text for text in texts), number


def test_every_test_of_an_attack_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    controls = {
        "test_the_same_listener_is_reached_where_that_is_allowed",
        "test_what_is_allowed_works",
    }
    assert {name for name in named_in(TESTS / "attacks") if name not in page} == controls

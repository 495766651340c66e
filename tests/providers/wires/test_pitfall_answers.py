from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/wire-pitfalls.md").read_text(encoding="utf-8")
TESTS = "\n".join(
    path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("*.py"))
)
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| (\d+|[a-z ]+) \|", line)]


def test_every_pitfall_has_an_answer() -> None:
    numbers = re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)
    assert [int(number) for number in numbers] == list(range(1, 53))


def test_every_kind_of_error_has_an_answer() -> None:
    kinds = PAGE[PAGE.index("## Errors") :]
    assert len(re.findall(r"^\| (?!kind|-)[a-z ]+ \|", kinds, re.MULTILINE)) == 15


def test_every_answer_names_tests_that_there_are() -> None:
    for line in ROWS:
        if not line.startswith(("| no.", "| kind")):
            assert "`test_" in line.rsplit("|", 2)[1], line
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert sorted(name for name in named if f"def {name}(" not in TESTS) == []


def test_every_answer_names_files_that_there_are() -> None:
    providers = ROOT / "victor/providers"
    places = [ROOT, providers, providers / "wires", Path(__file__).parent]
    places += sorted((providers / "wires").iterdir())
    for name in set(re.findall(r"`([\w/]+(?:\.py|/))`", PAGE)):
        assert any((place / name).exists() for place in places), name

from __future__ import annotations

from pathlib import Path

import pytest

from victor.agent.commands import commands_of
from victor.agent.places import Places
from victor.agent.reached import matching, named_places, reached_rule
from victor.agent.rules import rules_of

RULES = rules_of({"deny": ["read(.env)", "read(keys/**)"], "ask": ["read(draft.md)"]})


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name in (".env", "a.md", "draft.md", "keys/one", "src/b.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x\n")
    return tmp_path


def reached(workspace: Path, line: str) -> str | None:
    (command,) = commands_of(line)
    found = reached_rule(
        command,
        Places(workspace, RULES, {}),
        RULES,
        workspace=workspace,
        which=lambda name: f"/bin/{name}",
    )
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("cat src/*", None),
        ("cat src/[ab].py", None),
        ("cat ./*.md", "ask read(draft.md)"),
        ("cat src/../[d]raft.md", "deny read(.env)"),
        ("make --file=./.e*", "deny read(.env)"),
        ("tool ./k*/o*", "deny read(keys/**)"),
        ("sudo tool ./k*/o*", "deny read(keys/**)"),
        ("grep x a.md", None),
        ("grep -r x src", None),
        ("grep -r x .", "deny read(.env)"),
        ("ag x", "deny read(.env)"),
        ("ag x src", None),
        ("git grep x", "deny read(.env)"),
        ("git diff", None),
        ("git -C src grep x", None),
        ("cat /etc/*", None),
    ],
)
def test_what_a_command_comes_to_is_ruled(workspace: Path, line: str, rule: str | None) -> None:
    assert reached(workspace, line) == rule


def test_where_the_directory_is_not_known_nothing_is_looked_at(workspace: Path) -> None:
    *_, last = commands_of("cd $x; grep -r x .")
    places = Places(workspace, RULES, {})
    assert reached_rule(last, places, RULES, workspace=workspace, which=str.upper) is None


def test_more_patterns_than_anybody_means_may_be_anything(workspace: Path) -> None:
    line = "cat " + " ".join(f"src/{index}*" for index in range(21))
    (command,) = commands_of(line)
    found = named_places(command, Places(workspace, RULES, {}))
    assert list(matching(found, workspace)) == ["/"]
    assert reached(workspace, line) == "deny read(.env)"


@pytest.mark.parametrize(
    ("word", "path"),
    [("HEAD:keys/one", "keys/one"), ("--from=keys/one", "keys/one"), ("./keys:/mnt", "keys")],
)
def test_parts_of_a_word_may_name_a_file(workspace: Path, word: str, path: str) -> None:
    (command,) = commands_of(f"tool {word}")
    assert path in [place.text for place in named_places(command, Places(workspace, RULES, {}))]

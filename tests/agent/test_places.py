from __future__ import annotations

from pathlib import Path

import pytest

from victor.agent import places as module
from victor.agent.places import Places
from victor.agent.rules import NO_RULES, load_rules
from victor.config.rule_texts import RuleText, RuleTexts


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    found = tmp_path / "w"
    (found / "src").mkdir(parents=True)
    (found / "src" / "a.py").touch()
    (tmp_path / "wc").mkdir()
    return found


def places(workspace: Path, **rules: str) -> Places:
    texts = RuleTexts(**{action: (RuleText(text),) for action, text in rules.items()})
    root = workspace.parent
    environ = {"XDG_STATE_HOME": str(root / "state"), "XDG_CONFIG_HOME": str(root / "config")}
    return Places(workspace, load_rules(texts), environ)


@pytest.mark.parametrize(
    ("path", "text", "inside"),
    [
        ("src/../src/./a.py", "src/a.py", True),
        (".", ".", True),
        ("WS/src", "src", True),
        ("WS", ".", True),
        ("../w/src", "src", True),
        ("..", "TMP", False),
        ("/etc/passwd", "/etc/passwd", False),
        ("WSc", "WSc", False),
        ("a\0b", "a\ufffdb", True),
        ("a\ud800", "a?", True),
        ("x" * 5000, "x" * 5000, True),
    ],
    ids=[
        "dots",
        "here",
        "absolute",
        "itself",
        "out and in",
        "up",
        "etc",
        "prefix",
        "NUL",
        "?",
        "long",
    ],
)
def test_a_path_is_named_as_rules_see_it(
    workspace: Path, path: str, text: str, inside: bool
) -> None:
    place = places(workspace).at(path.replace("WS", str(workspace)))
    expected = text.replace("WS", str(workspace)).replace("TMP", str(workspace.parent))
    assert (place.text, place.is_inside) == (expected, inside)


def test_a_link_is_judged_by_both_its_names(workspace: Path) -> None:
    (workspace / "out").symlink_to("/etc")
    (workspace / "alias.py").symlink_to("src/a.py")
    found = places(workspace, allow="write(*.py)", deny="read(src/**)")
    assert not found.at("out/passwd").is_inside
    assert found.at("alias.py").names == ("alias.py", "src/a.py")
    rule = load_rules(RuleTexts(deny=(RuleText("read(src/**)"),))).deny[0]
    assert rule.matches_place(found.at("alias.py").names)


def test_a_workspace_behind_a_link_is_the_same_workspace(workspace: Path) -> None:
    (workspace.parent / "link").symlink_to(workspace)
    found = places(workspace.parent / "link")
    assert found.at(str(workspace / "src")).is_inside
    assert found.at(str(workspace.parent / "link" / "src")).is_inside


def test_victors_own_directories_are_known(workspace: Path) -> None:
    found = places(workspace)
    root = workspace.parent
    assert found.at(str(root / "state" / "victor" / "permissions" / "x")).is_own
    assert found.at(str(root / "config" / "victor" / "config.toml")).is_own
    assert not found.at(str(root / "state2")).is_own


@pytest.mark.parametrize(
    "path",
    [
        *(".git/hooks/pre-commit", "sub/.git/config", ".GIT/x", ".venv/bin/python", ".bashrc"),
        *("x/pyvenv.cfg", ".vscode/tasks.json", "AGENTS.md", ".victor/config.toml", ".mcp.json"),
    ],
)
def test_what_other_programs_obey_is_protected(workspace: Path, path: str) -> None:
    assert places(workspace).at(path).protected is not None


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [("write(**)", False), ("write(.git/**)", True), ("write(**/.git/config)", True)],
)
def test_a_protected_file_has_to_be_named_by_the_rule(
    workspace: Path, rule: str, allowed: bool
) -> None:
    found = places(workspace, allow=rule)
    assert (found.allowed(found.at(".git/config"), "write") is not None) is allowed
    assert (found.allowed(found.at("a"), "write") is not None) is (rule == "write(**)")


@pytest.mark.parametrize(
    ("rule", "path", "hidden"),
    [
        ("read(src/a.py)", ".", True),
        ("read(src/a.py)", "src", True),
        ("read(src/a.py)", "s*/a.py", True),
        ("read(src/a.py)", "src/?.py", True),
        ("read(src/a.py)", "src/a.py", False),
        ("read(*.pem)", ".", False),
        ("write(src/a.py)", ".", False),
        ("read(src/a.py)", "nowhere", False),
    ],
)
def test_a_look_below_finds_what_a_rule_is_about(
    workspace: Path, rule: str, path: str, hidden: bool
) -> None:
    found = places(workspace, deny=rule)
    assert (found.rule_below(found.at(path)) is not None) is hidden
    assert found.has_rules


def test_a_workspace_too_large_to_compare_counts_as_hit(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOKED_AT", 1)
    found = places(workspace, ask="read(*.pem)")
    assert found.rule_below(found.at(".")) is not None


def test_a_directory_that_cannot_be_walked_counts_as_hit(workspace: Path) -> None:
    (workspace / "up").symlink_to("../wc")
    found = places(workspace, ask="read(*.pem)")
    assert found.rule_below(found.at("up")) is not None


def test_without_rules_there_is_nothing_to_find(workspace: Path) -> None:
    found = Places(workspace, NO_RULES, None)
    assert found.rule_below(found.at(".")) is None
    assert not found.has_rules

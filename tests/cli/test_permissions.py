from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from victor.agent.grants import Grants
from victor.cli.exits import ExitCode
from victor.cli.permissions import app

CONFIG = """
mode = "accept-edits"
[permissions]
allow = [{ rule = "shell(make *)", examples = { allowed = ["make all"], refused = ["cmake"] } }]
ask = ["web_*"]
deny = ["shell(rm *)"]
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("VICTOR_CONFIG", "VICTOR_MODE", "VICTOR_MAX_TURNS", "VICTOR_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "w").mkdir()
    monkeypatch.chdir(tmp_path / "w")
    file = tmp_path / "config" / "victor" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(CONFIG)
    return file


def victor(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("make all", ExitCode.OK, "allowed in accept-edits mode: rule allow shell(make *)"),
        ("curl x", ExitCode.FAILED, "asked about in accept-edits mode: no rule allows it"),
        ("a; rm x", ExitCode.REFUSED, "refused in accept-edits mode: rm x: rule deny shell(rm *)"),
    ],
)
def test_explain_says_what_and_why(config: Path, command: str, code: int, says: str) -> None:
    result = victor("explain", command)
    assert (result.exit_code, says in result.output) == (code, True)


def test_explain_shows_each_part_and_what_always_would_store(config: Path) -> None:
    result = victor("explain", "make all > x | curl y", "--mode", "ask")
    assert result.output == (
        "allow  make all > x\n       rule allow shell(make *)\n"
        "ask    > x\n       no rule allows the change\n"
        "ask    curl y\n       no rule allows it\n\n"
        "asked about in ask mode: > x: no rule allows the change\n"
        "always would store: shell(=make all > x | curl y)\n"
    )


def test_explain_hides_nothing_and_draws_nothing(config: Path) -> None:
    result = victor("explain", "ls \x1b[8m\u202e; rm x")
    assert "\x1b" not in result.output
    assert result.exit_code == ExitCode.REFUSED


def test_explain_as_json(config: Path) -> None:
    result = victor("explain", "rm x", "--json")
    found = json.loads(result.output)
    assert (found["version"], found["mode"], found["decision"]) == (1, "accept-edits", "deny")
    assert found["parts"] == [
        {
            "text": "rm x",
            "decision": "deny",
            "why": "rule deny shell(rm *)",
            "rule": "deny shell(rm *)",
            "known": True,
        }
    ]


def test_what_was_allowed_is_listed_and_revoked(config: Path, tmp_path: Path) -> None:
    grant = Grants(tmp_path / "w").add("shell(=curl x)")
    listed = victor("list").output
    assert "mode accept-edits\ndeny   shell(rm *)\nask    web_*\nallow  shell(make *)\n" in listed
    assert f"{grant.id}  {grant.granted[:10]}  shell(=curl x)" in listed
    assert victor("explain", "curl x").exit_code == ExitCode.OK
    as_json = json.loads(victor("list", "--json").output)
    assert [one["id"] for one in as_json["allowed"]] == [grant.id]
    assert as_json["rules"][0] == {"action": "deny", "rule": "shell(rm *)"}
    assert victor("revoke", grant.id).output == "revoked: shell(=curl x)\n"
    assert victor("explain", "curl x").exit_code == ExitCode.FAILED
    assert victor("revoke", grant.id).exit_code == ExitCode.CONFIG


def test_a_list_of_nothing_says_so(config: Path) -> None:
    config.write_text("")
    output = victor("list").output
    assert "no rules in the settings" in output
    assert "nothing; [a]lways adds to it" in output


def test_another_workspace_can_be_named(config: Path, tmp_path: Path) -> None:
    Grants(tmp_path).add("shell(=curl x)")
    assert "curl x" in victor("list", "--workspace", str(tmp_path)).output
    assert "curl x" not in victor("list").output


def test_examples_are_tried(config: Path) -> None:
    assert victor("test").output == "3 rules, 2 examples: all as they should be\n"
    config.write_text(CONFIG.replace('"make all"', '"cmake"'))
    result = victor("test")
    assert result.exit_code == ExitCode.CONFIG
    assert "permissions.allow[0]: shell(make *) does not allow its example 'cmake'" in result.output


@pytest.mark.parametrize(
    "arguments", [("explain", "a", "--mode", "yolo"), ("list", "-C", "/nowhere")], ids=str
)
def test_a_wrong_flag_is_named(config: Path, arguments: tuple[str, ...]) -> None:
    result = victor(*arguments)
    assert result.exit_code == ExitCode.USAGE
    assert "yolo" in result.output or "/nowhere" in result.output


def test_explain_takes_words_that_the_shell_has_split(config: Path) -> None:
    result = victor("explain", "--json", "git", "commit", "--", "a b")
    assert json.loads(result.output)["command"] == "git commit 'a b'"


def test_explain_wants_a_command(config: Path) -> None:
    result = victor("explain", " ")
    assert result.exit_code == ExitCode.USAGE
    assert 'victor permissions explain "git push"' in result.output

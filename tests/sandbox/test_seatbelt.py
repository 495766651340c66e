from __future__ import annotations

import os
from pathlib import Path

from victor.sandbox.policy import Policy
from victor.sandbox.seatbelt import SANDBOX_EXEC, Seatbelt, profile

WORKSPACE = Path("/Users/me/project")


def text(**more: object) -> str:
    policy = Policy(
        workspace=WORKSPACE,
        hidden=(Path("/Users/me"), WORKSPACE / "state"),
        readable=(Path("/Users/me/.cargo/bin"),),
        protected=(WORKSPACE / ".venv",),
        network=bool(more.get("network")),
    )
    return profile(policy, [WORKSPACE / "notes.md"], Path("/private/tmp/own"))


def test_later_rules_take_back_what_earlier_ones_gave() -> None:
    rules = text()
    order = [
        "(deny default)",
        "(allow file-read*)",
        '(deny file-read* file-write*\n  (subpath "/Users/me")',
        '(allow file-read*\n  (subpath "/Users/me/.cargo/bin"))',
        f'(allow file-read* file-write*\n  (subpath "{WORKSPACE}")',
        "(deny file-write*",
        f'(deny file-read* file-write*\n  (subpath "{WORKSPACE}/state"))',
    ]
    places = [rules.index(rule) for rule in order]
    assert places == sorted(places)
    for name in (".git", ".victor", "AGENTS.md", ".venv", "notes.md"):
        assert rules.index(f'(subpath "{WORKSPACE}/{name}")') > places[5]


def test_network_is_off_unless_allowed() -> None:
    assert "network" not in text()
    assert "(allow network*)" in text(network=True)


def test_parentheses_are_balanced_and_names_are_quoted() -> None:
    policy = Policy(workspace=Path('/a") (allow default) ("\\'))
    rules = profile(policy, [], Path("/t"))
    assert '(subpath "/a\\") (allow default) (\\"\\\\")' in rules
    plain = text()
    assert plain.count("(") == plain.count(")")


def test_command_is_run_by_the_system_with_a_temporary_directory_of_its_own(
    tmp_path: Path,
) -> None:
    policy = Policy(workspace=tmp_path, environment={"PATH": "/bin"})
    with Seatbelt().confined(["true"], policy) as command:
        program, option, rules, *argv = command.argv
        assert (program, option, argv) == (str(SANDBOX_EXEC), "-p", ["true"])
        own = command.environment["TMPDIR"]
        assert os.path.realpath(own) in rules
        assert Path(own).is_dir()
        assert list(tmp_path.iterdir()) == []
    assert not Path(own).exists()

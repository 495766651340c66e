from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from victor.sandbox.landlock import Landlock
from victor.sandbox.policy import Policy
from victor.sandbox.seccomp import seccomp_program

pytestmark = pytest.mark.skipif(
    platform.system() != "Linux" or seccomp_program() is None, reason="Linux, on two processors"
)


def order(version: int, workspace: Path, *, terminal: bool = False) -> tuple[int, dict[str, int]]:
    """Return the rights of files that are handled, and those that paths get."""
    policy = Policy(workspace=workspace, terminal=terminal)
    with Landlock(version).confined(["true"], policy) as command:
        found = json.loads(command.argv[-1])
    return found["handled"][0], dict(found["rules"])


@pytest.mark.parametrize("version", [3, 4, 5, 7])
def test_no_rule_asks_for_a_right_that_an_older_kernel_does_not_know(
    version: int, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    handled, rights = order(version, tmp_path, terminal=True)
    assert str(tmp_path / "sub") in rights
    assert [path for path, right in rights.items() if right & ~handled] == []


def test_a_command_gets_its_own_terminal_and_no_other(tmp_path: Path) -> None:
    _, usual = order(5, tmp_path)
    _, with_terminal = order(5, tmp_path, terminal=True)
    assert set(with_terminal) - set(usual) - {
        path for path in with_terminal if "victor-" in path
    } == {"/proc/self/fd/0"}
    assert not [path for path in with_terminal if path in {"/dev", "/dev/pts", "/dev/ptmx"}]


def test_kernel_that_is_too_old_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot confine"):
        order(2, tmp_path)

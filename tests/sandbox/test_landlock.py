from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import pytest

from tests.attacks.support import listening, nobody_called
from tests.sandbox.support import User, attack, available
from victor.sandbox.landlock import Landlock
from victor.sandbox.policy import Policy, policy_for
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


def test_network_is_no_way_to_the_sockets_of_other_programs(tmp_path: Path) -> None:
    sandbox = available("landlock")
    assert sandbox is not None
    address = tmp_path / "socket"
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    policy = policy_for(workspace, network=True)
    script = f"""import socket
for kind in ("AF_INET", "AF_INET6", "AF_UNIX"):
    try:
        socket.socket(getattr(socket, kind)).close()
        print(kind, "opened")
    except OSError as error:
        print(kind, error.strerror)
socket.socketpair()
socket.socket(socket.AF_UNIX).connect("{address}")
"""
    with listening(str(address)) as ear:
        said = attack(sandbox, User("me", (), os.getuid()), f"python3 -c '{script}'", policy)
        assert nobody_called(ear)
    assert "AF_INET opened" in said
    assert "AF_UNIX Operation not permitted" in said

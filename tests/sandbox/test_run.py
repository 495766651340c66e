from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.sandbox.support import KINDS, attack, available, gone, sleeper, user
from victor.config.settings import SandboxMode
from victor.errors import ConfigError
from victor.sandbox import run
from victor.sandbox.bubblewrap import Bubblewrap, find_bubblewrap
from victor.sandbox.landlock import Landlock, landlock_version
from victor.sandbox.policy import Policy, Sandbox, policy_for
from victor.sandbox.run import best_sandbox, end_command, prepared, sandbox_status, sandbox_trouble


def test_best_sandbox_is_bubblewrap_where_it_works() -> None:
    expected = available("bubblewrap")
    assert best_sandbox("auto") == best_sandbox("required") == expected
    assert best_sandbox("off") is None
    status = sandbox_status("required")
    assert status.confined
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 / 4 / 2**30
    assert status.text == (
        "bubblewrap: commands change the workspace alone and have no network; one that takes more "
        f"than {memory:.1f} GiB of memory or 2,000 processes is stopped"
    )
    assert status.next is None
    online = sandbox_status("required", network=True).text
    assert online == status.text.replace("have no network", "have the network")


def machine(
    monkeypatch: pytest.MonkeyPatch, troubles: dict[str, str], *, system: str = "linux"
) -> None:
    """Pretend to be a machine where some sandboxes have trouble."""

    def trouble(sandbox: Sandbox) -> str:
        name = f"{sandbox.name}, nested" if getattr(sandbox, "nested", False) else sandbox.name
        return troubles.get(name, "")

    monkeypatch.setattr(run, "sandbox_trouble", trouble)
    monkeypatch.setattr(run, "_found", run._found.__wrapped__)
    monkeypatch.setattr(run, "_system", lambda: system)
    monkeypatch.setattr(run, "find_bubblewrap", lambda: Path("/usr/bin/bwrap"))
    monkeypatch.setattr(run, "landlock_version", lambda: 4)


def test_old_bubblewrap_is_used_with_the_filter_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {"bubblewrap": "bwrap: Unknown option --disable-userns"})
    assert best_sandbox("auto") == Bubblewrap(Path("/usr/bin/bwrap"), nested=True)
    assert sandbox_status("auto").confined


def test_landlock_serves_where_namespaces_are_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {"bubblewrap": "No permissions to create a new namespace"})
    assert best_sandbox("required") == Landlock(4)
    status = sandbox_status("auto")
    assert status.confined
    assert "(no new names directly in the workspace, no chmod, no local sockets;" in status.text
    assert "can still end other processes of yours" in status.text
    assert "can still end" not in Landlock(6).limits
    assert status.next == "allow user namespaces for bubblewrap (see docs/reference/sandbox.md)"


@pytest.mark.parametrize(
    ("mode", "effect"),
    [("auto", "none, so every command asks first: "), ("required", "none, so no command runs: ")],
)
def test_machine_without_a_sandbox_says_why(
    monkeypatch: pytest.MonkeyPatch, mode: SandboxMode, effect: str
) -> None:
    machine(monkeypatch, {"Landlock": "not in this kernel"})
    monkeypatch.setattr(run, "find_bubblewrap", lambda: None)
    status = sandbox_status(mode)
    assert not status.confined
    assert status.text == f"{effect}bubblewrap is not installed; Landlock: not in this kernel"
    assert status.next == "install bubblewrap (apt-get install bubblewrap)"
    assert best_sandbox("auto") is None
    with pytest.raises(ConfigError, match=r"Install bubblewrap .*, or set sandbox = \"auto\""):
        best_sandbox("required")


def test_sandbox_that_is_off_says_so() -> None:
    status = sandbox_status("off")
    assert (status.confined, status.text) == (False, "off: commands run with all your rights")


def test_mac_uses_seatbelt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, {}, system="darwin")
    monkeypatch.setattr(run, "SANDBOX_EXEC", tmp_path)
    assert "seatbelt" in sandbox_status("auto").text


def test_other_systems_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, {}, system="plan9")
    status = sandbox_status("auto")
    assert status.text.endswith("victor knows no sandbox on plan9")
    assert status.next == "run victor on Linux or macOS"


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        (
            "echo 'bwrap: first' >&2; echo 'bwrap: No permissions' >&2; exit 1",
            "bwrap: No permissions",
        ),
        ("exit 3", "exit code 3"),
        (None, "No such file or directory"),
    ],
)
def test_sandbox_that_does_not_start_has_a_reason(
    tmp_path: Path, script: str | None, trouble: str
) -> None:
    program = tmp_path / "bwrap"
    if script is not None:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    assert trouble in sandbox_trouble(Bubblewrap(program))


def test_kernel_that_cannot_is_a_trouble() -> None:
    assert "cannot confine commands with Landlock" in sandbox_trouble(Landlock(2))


def test_landlock_is_asked_for_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    assert landlock_version() >= 0
    monkeypatch.setattr(sys, "platform", "darwin")
    assert landlock_version.__wrapped__() == 0


def test_bubblewrap_is_not_taken_from_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert find_bubblewrap() != tmp_path / "bwrap"


@pytest.mark.parametrize("nested", [False, True], ids=["whole", "filter-alone"])
def test_no_more_user_namespaces(tmp_path: Path, nested: bool) -> None:
    found = available("bubblewrap")
    assert isinstance(found, Bubblewrap)
    sandbox = Bubblewrap(found.program, nested=nested)
    me = user("root" if os.getuid() == 0 else "ordinary")
    assert "DONE" not in attack(sandbox, me, "unshare -U true && echo DONE", policy_for(tmp_path))


def test_settings_inside_the_workspace_are_hidden_and_network_is_shared_if_allowed(
    tmp_path: Path,
) -> None:
    own = tmp_path.resolve() / "state"
    own.mkdir()
    (own / "secret").touch()
    settings = tmp_path.resolve() / "own.toml"
    settings.write_text("x = 1\n")
    hidden = (own, settings)
    policy = Policy(workspace=tmp_path.resolve(), hidden=hidden, network=True, terminal=True)
    sandbox = available("bubblewrap")
    assert sandbox is not None
    with sandbox.confined(["true"], policy) as command:
        assert "--share-net" in command.argv
        assert "--new-session" not in command.argv
    me = user("root" if os.getuid() == 0 else "ordinary")
    assert attack(sandbox, me, "/bin/ls state", policy) == ""
    assert "No such file" in attack(sandbox, me, "/bin/cat state/secret", policy)
    assert "x = 1" not in attack(sandbox, me, "/bin/cat own.toml; /bin/rm own.toml", policy)
    assert settings.read_text() == "x = 1\n"
    sandbox = available("landlock")
    assert sandbox is not None
    assert "Permission denied" in attack(sandbox, me, "/bin/cat state/secret", policy)


@pytest.mark.parametrize("kind", [*KINDS, "group"])
async def test_second_interruption_does_not_leave_anything(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = "setsid"
    if kind == "group":
        monkeypatch.setattr(run, "_system", lambda: "darwin")
        kind, session = "none", ""
    name = sleeper()
    script = f"trap '' TERM; {session} {name} & echo up; while :; do {name}; done"
    with prepared(available(kind), ["/bin/bash", "-c", script], policy_for(tmp_path)) as command:
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            env=dict(command.environment),
            cwd=command.directory,
            pass_fds=command.descriptors,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        ending = asyncio.create_task(end_command(process, 60))
        await asyncio.sleep(0.05)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert await gone(name)
        await process.wait()


def test_place_that_became_a_link_meanwhile_is_not_followed(tmp_path: Path) -> None:
    workspace, secret = tmp_path.resolve() / "workspace", tmp_path.resolve() / "secret"
    for name in ("a/.git", "b/.git"):
        (workspace / name).mkdir(parents=True)
    secret.mkdir()
    (secret / "id").write_text("sk-canary")
    policy = policy_for(workspace)
    (workspace / "a" / ".git").rmdir()
    (workspace / "a" / ".git").symlink_to(secret)
    (workspace / "b").rename(workspace / "c")
    (workspace / "b").symlink_to(secret.parent)
    (tmp_path / ".git").mkdir()
    me = user("root" if os.getuid() == 0 else "ordinary")
    sandbox = available("bubblewrap")
    assert sandbox is not None
    text = attack(sandbox, me, "cat a/.git/id b/.git/id b/secret/id; echo the end", policy)
    assert "canary" not in text
    assert "the end" in text

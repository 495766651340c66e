"""What the attacks share: a workspace with a world around it, and ears that hear whoever calls."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.sandbox.support import User, attack
from victor.sandbox.policy import Policy, Sandbox, policy_for

__all__ = ["SECRET", "Scene", "furnish", "listening", "nobody_called", "rules", "tree", "write"]

SECRET = "sk-canary-4f1d9c"

_VARIABLES = {
    "OPENAI_API_KEY": SECRET,
    "SSH_AUTH_SOCK": f"/run/{SECRET}",
    "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/{SECRET}",
    "DOCKER_HOST": f"unix:///run/{SECRET}",
    "TMUX": f"/tmp/{SECRET},1,0",  # noqa: S108 - a name alone
    "XAUTHORITY": f"/tmp/{SECRET}",  # noqa: S108 - as above
    "GIT_EXTERNAL_DIFF": SECRET,
    "PYTHONSTARTUP": SECRET,
    "BASH_ENV": SECRET,
    "LC_SECRET": SECRET,
}
"""What the environment of a victor may hold that no command has to know."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A workspace, and around it what an attack is after."""

    sandbox: Sandbox
    who: User
    workspace: Path
    home: Path
    victim: subprocess.Popen[bytes]
    policy: Policy

    def run(self, command: str) -> str:
        """Run an attack, make sure that it ran to its end, and return what it printed."""
        for name in ("home", "workspace"):
            command = command.replace(f"<{name}>", str(getattr(self, name)))
        command = command.replace("<victim>", str(self.victim.pid))
        text = attack(self.sandbox, self.who, f"{command}\necho; echo the end", self.policy)
        assert "the end" in text, text
        return text

    def run_each(self, commands: list[str]) -> str:
        """Run attacks one after the other in one shell, each in a subshell."""
        return self.run("\n".join(f"(\n{command}\n)" for command in commands))


def furnish(home: Path) -> Path:
    """Fill a home with what must not be touched, and return the workspace in it."""
    workspace = home / "project"
    write(home / ".bashrc", "# mine\n")
    write(home / ".ssh" / "id", SECRET)
    write(home / "projects" / "other.txt", SECRET)
    write(home / "project-two" / "secret.txt", SECRET)
    write(workspace / "src" / "a.txt", "a\n")
    write(workspace / ".git" / "config", "[core]\n")
    write(workspace / ".git" / "hooks" / "sample", "sample\n")
    write(workspace / ".venv" / "pyvenv.cfg", "home = /usr/bin\n")
    write(workspace / ".venv" / "bin" / "python", "python\n")
    write(workspace / "nested" / "repo" / ".git" / "config", "[core]\n")
    write(workspace / "nested" / "AGENTS.md", "notes\n")
    write(workspace / "nested" / ".vscode" / "settings.json", "{}\n")
    write(workspace / "CLAUDE.md", "notes\n")
    (workspace / "AGENTS.md").symlink_to("CLAUDE.md")
    return workspace


def rules(workspace: Path, home: Path) -> Policy:
    policy = policy_for(workspace, {**_VARIABLES, "HOME": str(home), "PATH": os.defpath})
    return replace(policy, readable=())  # those of the home of whoever runs the tests


def tree(place: Path) -> dict[str, str]:
    """Return everything below a directory: modes, links and contents."""
    found = {}
    for path in sorted(place.rglob("*")):
        mode = f"{path.lstat().st_mode:o}"
        if path.is_symlink():
            content = str(path.readlink())
        else:
            content = path.read_text() if path.is_file() else ""
        found[str(path.relative_to(place))] = f"{mode} {content}"
    return found


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@contextmanager
def listening(address: str | None = None) -> Iterator[socket.socket]:
    """Listen on loopback, or at the address of a local socket, without ever answering."""
    family = socket.AF_INET if address is None else socket.AF_UNIX
    with socket.socket(family) as ear:
        ear.bind(("127.0.0.1", 0) if address is None else address)
        ear.listen()
        ear.setblocking(False)
        yield ear


def nobody_called(ear: socket.socket) -> bool:
    """Tell whether no connection has arrived."""
    try:
        ear.accept()[0].close()
    except BlockingIOError:
        return True
    return False

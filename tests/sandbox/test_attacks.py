"""Attacks from inside the sandbox; each has to leave everything outside as it was.

Never run one of these commands without a sandbox.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.sandbox.support import CONFINED, User, attack, available, sleeper, user
from victor.sandbox.policy import Policy, Sandbox, policy_for

SECRET = "sk-canary-4f1d9c"


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


def tree(place: Path) -> dict[str, str]:
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


def rules(workspace: Path, home: Path) -> Policy:
    policy = policy_for(workspace, {"HOME": str(home), "PATH": os.defpath})
    return replace(policy, readable=())  # those of the home of whoever runs the tests


@pytest.fixture(params=["root", "ordinary"])
def who(request: pytest.FixtureRequest) -> User:
    return user(request.param)


@pytest.fixture(params=CONFINED)
def scene(request: pytest.FixtureRequest, who: User) -> Iterator[Scene]:
    sandbox = available(request.param)
    assert sandbox is not None
    # Not below pytest's own directory, which only its owner may enter.
    base = Path(tempfile.mkdtemp(prefix="victor-attack-"))
    base.chmod(0o755)
    home, workspace = base / "home", base / "home" / "project"
    write(home / ".bashrc", "# mine\n")
    write(home / ".ssh" / "id", SECRET)
    write(home / "projects" / "other.txt", SECRET)
    write(workspace / "src" / "a.txt", "a\n")
    write(workspace / ".git" / "config", "[core]\n")
    write(workspace / ".git" / "hooks" / "sample", "sample\n")
    write(workspace / ".venv" / "pyvenv.cfg", "home = /usr/bin\n")
    write(workspace / ".venv" / "bin" / "python", "python\n")
    write(workspace / "nested" / "repo" / ".git" / "config", "[core]\n")
    write(workspace / "CLAUDE.md", "notes\n")
    (workspace / "AGENTS.md").symlink_to("CLAUDE.md")
    who.owns(base)
    victim = subprocess.Popen(
        [*who.prefix, *sleeper().split()], env={"OPENAI_API_KEY": SECRET, "PATH": os.defpath}
    )
    policy = rules(workspace, home)
    yield Scene(sandbox, who, workspace, home, victim, policy)
    victim.kill()
    victim.wait()
    shutil.rmtree(base)


WRITES = {
    "A05-repository": [
        "echo x > .git/hooks/post-commit",
        "echo x >> .git/config",
        "mv .git git; rm -rf .git; ln -sfn src .git",
    ],
    "A07-nested-repository": ["echo x > nested/repo/.git/config"],
    "A13-paths": [
        "echo x > ../pwned; echo x > <home>/pwned",
        "ln -s <home> src/l; echo x > src/l/pwned; rm src/l",
        "echo x > /proc/self/root<home>/.bashrc",
        "echo x > /proc/1/root<home>/.bashrc",
        "ln <home>/.bashrc src/l && echo x >> src/l",
        "ln .git/config src/l && echo x >> src/l",
        "truncate -s 0 <home>/.bashrc; chmod 777 <home>/.ssh; touch -d 1999-01-01 <home>/.ssh",
    ],
    "A15-what-others-run": [
        "echo x >> ~/.bashrc; echo x >> <home>/.bashrc",
        "echo x > .venv/bin/python; echo x > .venv/pyvenv.cfg",
        "mkdir .vscode; echo x > .vscode/tasks.json; echo x > .vscode",
    ],
    "A16-missing-names": [
        "mkdir .victor; echo x > .victor/settings.toml",
        "mkdir -p src/v/x; mv -T src/v .victor; rm -rf src/v",
        "rmdir .victor; mv .victor src/old; ln -s src .victor",
        "echo x > .mcp.json; rm -rf .mcp.json; echo x > .mcp.json",
        "echo x > CLAUDE.md; echo x > AGENTS.md",
        "cd .victor && echo x > settings",  # A22
    ],
    "A17-programs-that-only-look-harmless": [
        "git diff --no-index --output=<home>/pwned src .git",
        "find src -fprint <home>/pwned",
        "find src -exec touch <home>/pwned ';'",
        "sort -o <home>/pwned src/a.txt",
        "sed -n 'w <home>/pwned' src/a.txt; sed 'e touch <home>/pwned' src/a.txt",
        "awk 'BEGIN{system(\"touch <home>/pwned\")}'",
        "tar cf /dev/null src --checkpoint=1 '--checkpoint-action=exec=touch <home>/pwned'",
        "echo <home>/pwned | env nice xargs touch",
    ],
    "A37-temporary": ["ln -s <home>/.bashrc /tmp/victor-predictable"],
}


@pytest.mark.parametrize("commands", WRITES.values(), ids=WRITES)
def test_nothing_but_the_workspace_is_changed(scene: Scene, commands: list[str]) -> None:
    before = tree(scene.home)
    scene.run("\n".join(f"({command})" for command in commands))
    assert tree(scene.home) == before
    assert not Path("/tmp/victor-predictable").is_symlink()  # noqa: S108 - it must not be there


READS = [
    "cat ~/.ssh/id <home>/.ssh/id ../projects/other.txt",  # A13
    "cat /proc/self/root<home>/.ssh/id /proc/1/root<home>/.ssh/id",
    "env; cat /proc/*/environ | tr '\\0' '\\n'; ps axe",  # A23
    "cat /proc/<victim>/environ; strings /proc/<victim>/mem",  # A26
    "for n in $(seq 3 255); do cat <&$n; done",  # A24
    "head -c 1000000 /dev/mem /dev/kmem /dev/vda /proc/kcore",  # A27
]


def test_nothing_secret_is_read(scene: Scene) -> None:
    secret = os.open(scene.home / ".ssh" / "id", os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        text = scene.run("\n".join(f"({command})" for command in READS))
    finally:
        os.close(secret)
    assert SECRET not in text


def test_what_is_allowed_works(scene: Scene) -> None:
    text = scene.run(
        "cat src/a.txt .git/config AGENTS.md; echo b > src/b.txt; mkdir src/d; mv src/b.txt src/d;"
        "echo t > $TMPDIR/t && cat $TMPDIR/t; echo $(( $(nproc) > 0 ))"
    )
    assert text.split() == ["a", "[core]", "notes", "t", "1", "the", "end"]
    assert (scene.workspace / "src" / "d" / "b.txt").read_text() == "b\n"


def test_other_processes_are_out_of_reach(scene: Scene) -> None:
    scene.run("kill -9 <victim>; kill -9 $PPID $(ps -o ppid= $PPID)")
    assert scene.victim.poll() is None


PRIVILEGED = [
    "mount -o remount,bind,rw /",
    "mount -t tmpfs none /mnt",
    "umount <workspace>/.git",
    "unshare -Ur true",
    "unshare -m true",
    "nsenter -t 1 -m true",
    "mknod src/disk b 254 0",
    "chroot / true",
    'date -s "$(date)"',
    "setpriv --reuid 1 true",
    "echo x > /etc/victor-attack",
    "[ -s /etc/shadow ] && cat /etc/shadow",
    "truncate -s 64G src/huge",  # A36
    "echo x > /dev/tty",  # A28
    ": >> /proc/sysrq-trigger",
]


def test_no_privilege_is_left(scene: Scene) -> None:
    # A27, A17; opening for writing is enough to see, and harmless where it should succeed.
    opened = (
        'for f in $(find /proc/sys /sys/kernel -type f); do { : >> $f; } && echo "DONE $f"; done'
    )
    script = [f"({command}) && echo 'DONE {number}'" for number, command in enumerate(PRIVILEGED)]
    text = scene.run("\n".join([*script, f"{{ {opened}; }} 2>/dev/null"]))
    assert [line for line in text.splitlines() if "DONE" in line] == []
    assert not Path("/etc/victor-attack").exists()


def python(code: str) -> str:
    return f'/usr/bin/python3 -c "{code}"'


needs_python = pytest.mark.skipif(
    not Path("/usr/bin/python3").exists(), reason="there is no /usr/bin/python3"
)


@needs_python
def test_typing_into_a_terminal_is_refused(scene: Scene) -> None:
    # A28: the filter says so before the terminal is asked.
    code = "import fcntl, os; m, s = os.openpty(); fcntl.ioctl(s, 0x5412, b'x')"
    assert "Operation not permitted" in scene.run(python(code))


@needs_python
def test_network_is_out_of_reach(scene: Scene) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        for listener in (udp, tcp):
            listener.bind(("127.0.0.1", 0))
            listener.setblocking(False)
        tcp.listen()
        names = f"('127.0.0.1', {udp.getsockname()[1]})", f"('127.0.0.1', {tcp.getsockname()[1]})"
        code = f"import socket as s; s.socket(2, 2).sendto(b'x', {names[0]})"  # A29
        scene.run(python(code))
        code = f"import socket as s; s.create_connection({names[1]}, 2)"
        assert "Error" in scene.run(python(code))
        with pytest.raises(BlockingIOError):
            udp.recv(1)
        with pytest.raises(BlockingIOError):
            tcp.accept()


@needs_python
@pytest.mark.parametrize("abstract", [False, True], ids=["A25-file", "A25-abstract"])
def test_sockets_of_other_programs_are_out_of_reach(scene: Scene, abstract: bool) -> None:
    place = str(scene.home / "agent.sock")
    address = f"\0{place}" if abstract else place
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(address)
        agent.listen()
        agent.setblocking(False)
        if not abstract:
            scene.who.owns(scene.home)
        text = "'\\0' + " if abstract else ""
        code = f"import socket as s; s.socket(1).connect({text}'{place}')"
        assert "Error" in scene.run(python(code))
        with pytest.raises(BlockingIOError):
            agent.accept()


def test_swarm_of_processes_is_gone_with_the_command(scene: Scene) -> None:
    # A36, gently: 200 processes in sessions of their own.
    name = sleeper()
    scene.run(f"for i in $(seq 200); do setsid {name} & done")
    words = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert name.replace(" ", "\0").encode() + b"\0" not in words


def test_temporary_directory_is_bounded() -> None:
    sandbox = available("bubblewrap")
    assert sandbox is not None
    with tempfile.TemporaryDirectory() as place:
        policy = policy_for(Path(place))
        command = "df -B1 --output=size /tmp /dev/shm ~ | tail -n 3; ulimit -u"
        text = attack(sandbox, User("me", (), os.getuid()), command, policy)
    assert [int(size) for size in text.split()] == [1 << 30] * 3 + [2048]  # A36


def test_repository_that_a_git_file_names_is_protected(scene: Scene) -> None:
    # A06, inside the workspace; outside of it nothing is writable anyway.
    shutil.move(scene.workspace / ".git", scene.workspace / "src" / "store")
    write(scene.workspace / ".git", "gitdir: src/store\n")
    scene.who.owns(scene.workspace)
    policy = rules(scene.workspace, scene.home)
    before = tree(scene.home)
    command = "echo x > src/store/config; echo gitdir: src > .git; rm .git; echo the end"
    assert "the end" in attack(scene.sandbox, scene.who, command, policy)
    assert tree(scene.home) == before

"""Commands against processes, the kernel, terminals, sockets and the network, in the sandbox.

Never run one of these commands without a sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attacks.support import Scene, listening, nobody_called, tree, write
from tests.sandbox.support import CONFINED, User, attack, available, sleeper
from victor.sandbox.policy import policy_for
from victor.tools.sessions import Sessions
from victor.tools.spill import Spill

needs_python = pytest.mark.skipif(
    not Path("/usr/bin/python3").exists(), reason="there is no /usr/bin/python3"
)


def python(code: str) -> str:
    return f'/usr/bin/python3 -c "{code}"'


TRACE = python(
    "import ctypes; c = ctypes.CDLL(None).ptrace; print('DONE', c(16, <victim>, 0, 0))"
    " if c(16, <victim>, 0, 0) == 0 else 0"
)


@needs_python
def test_other_processes_are_out_of_reach(scene: Scene) -> None:
    # A26
    text = scene.run_each(["kill -9 <victim>", "kill -STOP <victim>; renice 19 <victim>", TRACE])
    assert scene.victim.poll() is None
    assert "DONE" not in text
    status = Path(f"/proc/{scene.victim.pid}/status").read_text()
    assert "State:\tS" in status
    assert "TracerPid:\t0" in status


def test_whoever_started_the_command_is_out_of_reach(scene: Scene) -> None:
    # A26: what runs the command inside may die of it, which ends the command.
    attack(scene.sandbox, scene.who, "kill -9 $PPID; kill -9 $(ps -o ppid= $PPID)", scene.policy)
    assert scene.victim.poll() is None


PRIVILEGED = {
    "A17-clock": ['date -s "$(date)"'],
    "A26-debugger": ["nsenter -t 1 -m true", "echo 0 > /proc/sys/kernel/yama/ptrace_scope"],
    "A27-mounts-devices-and-users": [
        "mount -o remount,bind,rw /",
        "mount -o remount,rw <home>",
        "mount -t tmpfs none /mnt",
        "umount <workspace>/.git",
        "umount -l /tmp",
        "unshare -Ur true",
        "unshare -m true",
        "chroot / true",
        "mknod src/disk b 254 0",
        "mknod src/mem c 1 1",
        "setpriv --reuid 1 true",
        "[ -s /etc/shadow ] && cat /etc/shadow",
        "chown 1 src/a.txt && chown 0 src/a.txt",
        "echo x > /etc/victor-attack",
        "touch /usr/victor-attack",
    ],
    "A27-kernel": [
        # Opening for writing is enough to see, and harmless where it should succeed.
        ": >> /proc/sysrq-trigger",
        "for f in $(find /proc/sys /sys/kernel -type f); do { : >> $f; } && echo DONE $f; done"
        "; false",
    ],
    "A28-terminal": ["echo x > /dev/tty"],
    "A36-disk": ["truncate -s 64G src/huge", '[ "$(ulimit -c)" != 0 ]'],
}


@pytest.mark.parametrize("commands", PRIVILEGED.values(), ids=PRIVILEGED)
def test_no_privilege_is_left(scene: Scene, commands: list[str]) -> None:
    before = tree(scene.home)
    text = scene.run(
        "\n".join(f"{{ ({one}) && echo 'DONE {one}'; }} 2>/dev/null" for one in commands)
    )
    (scene.workspace / "src" / "huge").unlink(missing_ok=True)
    assert [line for line in text.splitlines() if "DONE" in line] == []
    assert tree(scene.home) == before
    assert not Path("/etc/victor-attack").exists()


def test_programs_with_the_rights_of_others_give_none(scene: Scene) -> None:
    # A27: no capability, and none to be had from setuid programs.
    text = scene.run("grep -E 'Cap(Inh|Prm|Eff|Amb)|NoNewPrivs' /proc/self/status")
    kept = dict(line.split(":\t") for line in text.splitlines() if "\t" in line)
    assert kept.pop("NoNewPrivs") == "1"
    if scene.sandbox.name == "bubblewrap" or scene.who.uid != 0:
        assert {int(bits, 16) for bits in kept.values()} == {0}


@needs_python
def test_typing_into_a_terminal_is_refused(scene: Scene) -> None:
    # A28: the filter says so before anybody looks whether it is a terminal.
    code = "import fcntl; fcntl.ioctl(0, 0x5412, b'x')"
    assert "PermissionError" in scene.run(python(code))


IN_A_TERMINAL = """
import asyncio, os, sys
from pathlib import Path
from tests.sandbox.support import available
from victor.sandbox.policy import policy_for
from victor.tools.shell import running
policy = policy_for(Path(sys.argv[2]))
sandbox = available(sys.argv[1])
result = asyncio.run(running(sys.argv[3], policy, sandbox=sandbox, timeout_s=20))
os.write(1, b"ran" if "the end" in result.content else result.content.encode())
"""


@pytest.mark.skipif(shutil.which("setsid") is None, reason="setsid (util-linux) is not installed")
@pytest.mark.parametrize("kind", CONFINED)
def test_the_terminal_of_victor_is_out_of_reach(kind: str, tmp_path: Path) -> None:
    # A28, with a victor that has a terminal.
    available(kind)
    (tmp_path / "src").mkdir()
    attacks = "echo spoof > /dev/tty; for t in /dev/pts/*; do echo spoof > $t; done; echo the end"
    master, slave = os.openpty()
    with os.fdopen(master, "rb", buffering=0) as screen:
        victor = subprocess.Popen(
            ["setsid", "-c", sys.executable, "-c", IN_A_TERMINAL, kind, str(tmp_path), attacks],
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # Linux says EIO where the other end is closed
            while piece := screen.read(1000):
                shown += piece
        victor.wait(20)
    assert shown == b"ran"


@pytest.mark.parametrize("kind", CONFINED)
async def test_only_its_own_terminal_is_opened_by_a_command(kind: str, tmp_path: Path) -> None:
    # A28: of those of a session in the background.
    sandbox = available(kind)
    master, slave = os.openpty()
    other = os.ttyname(slave)
    command = f"echo spoof > {other}; for t in /dev/pts/*; do [ $t = {other} ] || echo x > $t; done"
    command += "; echo to > /dev/tty; echo the > /dev/stderr; read word < /dev/stdin; echo $word"
    async with aclosing(Sessions()) as sessions:
        session = sessions.new(command, Spill())
        await session.start(replace(policy_for(tmp_path), terminal=True), sandbox)
        await session.write("end\n")
        said = ""
        async with asyncio.timeout(20):
            while not session.ended:
                said += await session.output(0.1)
    os.set_blocking(master, False)
    with pytest.raises(BlockingIOError):
        os.read(master, 100)
    os.close(slave)
    os.close(master)
    words = said.split()
    assert "to" in words
    assert "the" in words
    assert words.count("end") >= 1


SET_IDS = """
import ctypes, os, stat, struct
libc = ctypes.CDLL(None, use_errno=True)
new = os.O_CREAT | os.O_WRONLY
how = struct.pack('=QQQ', new, 0o4755, 0)
older = [(2, b'src/e7', new, 0o4755), (85, b'src/e8', 0o4755)]
older += [(90, b'src/e', 0o4755), (133, b'src/e9', 0o104755, 0)]
ways = [
    lambda: os.chmod('src/e', 0o4755),
    lambda: os.chmod('src/e', 0o2755),
    lambda: os.fchmod(os.open('src/e', os.O_RDONLY), 0o4755),
    lambda: libc.fchmodat(-100, b'src/e', 0o4755, 0),
    lambda: libc.syscall(452, -100, b'src/e', 0o4755, 0),
    lambda: os.open('src/e1', new, 0o4755),
    lambda: os.open('src/e2', new | os.O_EXCL, 0o6755),
    lambda: libc.syscall(437, -100, b'src/e3', how, len(how)),
    lambda: os.mknod('src/e4', stat.S_IFREG | 0o4755),
    lambda: os.mknod('src/e5', stat.S_IFREG | 0o4755, dir_fd=os.open('src', os.O_RDONLY)),
    lambda: os.link(
        '/proc/self/fd/%d' % os.open('src', os.O_TMPFILE | os.O_WRONLY, 0o4755), 'src/e6'
    ),
    *((lambda call=call: libc.syscall(*call)) for call in older if os.uname().machine == 'x86_64'),
]
open('src/e', 'w').close()
for way in ways:
    os.umask(0)
    try:
        way()
    except OSError:
        pass
os.close(os.open('src/e10', new, 0o1640))
"""


@needs_python
def test_no_file_is_made_that_lends_its_owners_rights(scene: Scene) -> None:
    # A27
    write(scene.workspace / "src" / "set_ids.py", SET_IDS)
    text = scene.run("/usr/bin/python3 src/set_ids.py; chmod u+s src/a.txt; chmod g+s src")
    assert "Traceback" not in text
    modes = {path.name: path.lstat().st_mode for path in scene.workspace.rglob("*")}
    assert [name for name, mode in modes.items() if mode & 0o6000] == []
    assert modes["e10"] & 0o7777 == 0o1640


@needs_python
@pytest.mark.parametrize("case", ["A29-names", "A29-connections"])
def test_network_is_out_of_reach(scene: Scene, case: str) -> None:
    kind = socket.SOCK_DGRAM if case == "A29-names" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as ear:
        ear.bind(("127.0.0.1", 0))
        ear.setblocking(False)
        port = ear.getsockname()[1]
        if kind == socket.SOCK_DGRAM:
            # What a name server would be sent, and what the system's own look-up does.
            code = f"import socket as s; s.socket(2, 2).sendto(b'x', ('127.0.0.1', {port}))"
            text = scene.run(f"{python(code)}; getent hosts canary.example && echo DONE")
            assert "DONE" not in text
            with pytest.raises(BlockingIOError):
                ear.recv(1)
            return
        ear.listen()
        code = f"import socket as s; s.create_connection(('127.0.0.1', {port}), 2)"
        text = scene.run(f"{python(code)}; echo x > /dev/tcp/127.0.0.1/{port} && echo DONE")
        assert "Error" in text
        assert "DONE" not in text
        assert nobody_called(ear)


SOCKETS = {
    "A25-docker": "/run/victor-attack/docker.sock",
    "A25-session-bus": "/run/victor-attack/user/bus",
    "A25-ssh-agent": "/tmp/victor-attack/ssh-x/agent.1",  # noqa: S108 - it is where they are
    "A25-x11": "/tmp/victor-attack/.X11-unix/X0",  # noqa: S108 - as above
    "A25-tmux": "/tmp/victor-attack/tmux-0/default",  # noqa: S108 - as above
    "A25-home": "<home>/.gnupg/S.gpg-agent",
    "A25-abstract": "\0/tmp/victor-attack/.X11-unix/X0",
}

KNOCK = """
import socket, sys
for address in sys.argv[1:]:
    try:
        socket.socket(1).connect(address.replace('@', chr(0)))
        print('DONE', address)
    except OSError:
        print('refused')
"""


@needs_python
def test_sockets_of_other_programs_are_out_of_reach(scene: Scene) -> None:
    addresses = [address.replace("<home>", str(scene.home)) for address in SOCKETS.values()]
    if os.geteuid() != 0:
        addresses = [address for address in addresses if not address.startswith("/run")]
    with contextlib.ExitStack() as stack:
        for name in ("/run/victor-attack", "/tmp/victor-attack"):  # noqa: S108 - made here
            stack.callback(shutil.rmtree, name, ignore_errors=True)
        agents = []
        for address in addresses:
            if not address.startswith("\0"):
                Path(address).parent.mkdir(parents=True)
            agents.append(stack.enter_context(listening(address)))
            if not address.startswith("\0"):
                Path(address).chmod(0o777)
        knocks = " ".join(address.replace("\0", "@") for address in addresses)
        text = scene.run(f'/usr/bin/python3 -c "{KNOCK}" {knocks}')
        assert "DONE" not in text
        assert text.count("refused") == len(addresses)
        assert all(nobody_called(agent) for agent in agents)


def test_swarm_of_processes_is_gone_with_the_command(scene: Scene) -> None:
    # A36, gently: 200 processes in sessions of their own.
    name = sleeper()
    scene.run(f"for i in $(seq 200); do setsid {name} & done")
    words = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert name.replace(" ", "\0").encode() + b"\0" not in words


def test_what_a_command_may_use_up_is_bounded() -> None:
    # A36: temporary files, processes, and who ends first where memory runs out.
    sandbox = available("bubblewrap")
    assert sandbox is not None
    with tempfile.TemporaryDirectory() as place:
        policy = policy_for(Path(place))
        command = "df -B1 --output=size /tmp /dev/shm ~ | tail -n 3; ulimit -u"
        command += "; cat /proc/self/oom_score_adj"
        text = attack(sandbox, User("me", (), os.getuid()), command, policy)
    assert [int(size) for size in text.split()] == [1 << 30] * 3 + [2048, 1000]

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from victor.config.api_keys import fingerprint

SECRET = "sk-hunter2-ünïcode-鍵"
NEEDED = ("dbus-daemon", "gnome-keyring-daemon")
MISSING = [program for program in NEEDED if shutil.which(program) is None]

pytestmark = [
    pytest.mark.keyring,
    pytest.mark.skipif(
        bool(MISSING), reason=f"needs {MISSING}: apt-get install dbus gnome-keyring libsecret-tools"
    ),
]


class Desktop:
    """A home directory with a session bus and a Secret Service of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.running: list[subprocess.Popen[bytes]] = []
        places = {"CONFIG_HOME": "config", "DATA_HOME": "data", "STATE_HOME": "state"}
        places |= {"CACHE_HOME": "cache", "RUNTIME_DIR": "run"}
        self.environ = {"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        for name, folder in places.items():
            (home / folder).mkdir(mode=0o700)
            self.environ[f"XDG_{name}"] = str(home / folder)

    def start_bus(self) -> None:
        bus = self.start("dbus-daemon", "--session", "--nofork", "--print-address=1")
        assert bus.stdout is not None
        self.environ["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()

    def start_daemon(self, *, unlocked: bool = True) -> subprocess.Popen[bytes]:
        how = ["--unlock"] if unlocked else []
        daemon = self.start("gnome-keyring-daemon", "--foreground", "--components=secrets", *how)
        assert daemon.stdin is not None
        assert daemon.stdout is not None
        daemon.stdin.write(b"password" if unlocked else b"")
        daemon.stdin.close()
        self.wait_for_daemon()
        return daemon

    def wait_for_daemon(self) -> None:
        jeepney = pytest.importorskip("jeepney")
        blocking = pytest.importorskip("jeepney.io.blocking")
        message_bus = jeepney.message_bus
        name = "org.freedesktop.secrets"
        changes = jeepney.MatchRule(
            type="signal", interface=message_bus.interface, member="NameOwnerChanged"
        )
        changes.add_arg_condition(0, name)
        with blocking.open_dbus_connection(self.environ["DBUS_SESSION_BUS_ADDRESS"]) as connection:
            bus = blocking.Proxy(message_bus, connection, timeout=20)
            bus.AddMatch(changes)
            with connection.filter(changes) as queue:
                if not bus.NameHasOwner(name)[0]:
                    connection.recv_until_filtered(queue, timeout=20)

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            command,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.running.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes], sign: signal.Signals) -> None:
        process.send_signal(sign)
        process.wait(20)

    def close(self) -> None:
        for process in reversed(self.running):
            if process.poll() is None:
                self.stop(process, signal.SIGKILL)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def victor(self, *arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
        done = self.python("-m", "victor", *arguments, key=key)
        assert SECRET not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def python(self, *arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            env=self.environ,
            input=key,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def found(self, name: str = "groq") -> subprocess.CompletedProcess[str]:
        code = (
            "from victor.config.api_keys import *\n"
            f"found = find_api_key({name!r})\n"
            "print(found and (found.source, fingerprint(found.value)))"
        )
        return self.python("-c", code)


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Desktop]:
    desktop = Desktop(tmp_path)
    try:
        desktop.start_bus()
        yield desktop
    finally:
        desktop.close()


def test_a_key_goes_into_the_real_keyring_and_out_again(desktop: Desktop) -> None:
    daemon = desktop.start_daemon()
    done = desktop.victor("keys", "set", "groq", key=SECRET + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    backend = "keyring.backends.SecretService.Keyring"
    assert done.stdout == f"stored the key of groq ({fingerprint(SECRET)}) in {backend}\n"
    if secret_tool := shutil.which("secret-tool"):
        lookup = [secret_tool, "lookup", "service", "victor", "username", "groq"]
        out = subprocess.run(lookup, env=desktop.environ, capture_output=True, check=True)
        assert out.stdout.decode() == SECRET

    listed = desktop.victor("keys", "list")
    assert listed.stdout.split()[3:] == ["groq", "keyring", fingerprint(SECRET)]
    for file in desktop.home.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()

    # The next session of the same user.
    desktop.stop(daemon, signal.SIGTERM)
    desktop.start_daemon()
    assert desktop.found().stdout == f"('keyring', '{fingerprint(SECRET)}')\n"

    done = desktop.victor("keys", "--delete", "groq")
    assert (done.returncode, done.stdout) == (0, "deleted the key of groq from the keyring\n")
    assert desktop.found().stdout == "None\n"
    done = desktop.victor("keys", "delete", "groq")
    assert done.returncode == 78
    assert "the keyring holds no key for groq" in done.stderr


def lock(desktop: Desktop, daemon: subprocess.Popen[bytes]) -> None:
    desktop.stop(daemon, signal.SIGTERM)
    desktop.start_daemon(unlocked=False)


def kill(desktop: Desktop, daemon: subprocess.Popen[bytes]) -> None:
    desktop.stop(daemon, signal.SIGKILL)


def leave_the_bus(desktop: Desktop, daemon: subprocess.Popen[bytes]) -> None:
    del desktop.environ["DBUS_SESSION_BUS_ADDRESS"]


@pytest.mark.parametrize("break_it", [lock, kill, leave_the_bus])
def test_a_keyring_that_cannot_be_used_is_one_clear_line(
    desktop: Desktop, break_it: Callable[[Desktop, subprocess.Popen[bytes]], None]
) -> None:
    daemon = desktop.start_daemon()
    assert desktop.victor("keys", "set", "groq", key=SECRET).returncode == 0
    break_it(desktop, daemon)

    found = desktop.found()
    assert found.stdout == "None\n"
    assert found.stderr.startswith("no API key for groq from the keyring: ")
    assert found.stderr.count("\n") == 1

    done = desktop.victor("keys", "set", "groq", key=SECRET)
    assert (done.returncode, done.stdout) == (78, "")
    assert "no key was stored for groq: " in done.stderr
    assert "`export GROQ_API_KEY=...`" in done.stderr

    done = desktop.victor("keys", "list")
    assert done.returncode == 78
    assert done.stdout.split() == ["NAME", "WHERE", "FINGERPRINT", "groq", "keyring", "not", "read"]
    assert done.stderr.startswith("groq: ")

    done = desktop.victor("keys", "delete", "groq")
    assert done.returncode == 78


def test_a_keyring_that_hangs_is_given_up_after_five_seconds(desktop: Desktop) -> None:
    daemon = desktop.start_daemon()
    daemon.send_signal(signal.SIGSTOP)
    found = desktop.found()
    assert found.stdout == "None\n"
    assert "the keyring did not answer within 5 s" in found.stderr

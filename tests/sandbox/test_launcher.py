from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.support import gone, sleeper
from victor.sandbox import launcher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

PROGRAM = [sys.executable, "-m", "victor.sandbox.launcher"]


def order(*argv: str, parent: int | None = None) -> str:
    return json.dumps(
        {
            "argv": argv,
            "parent": os.getpid() if parent is None else parent,
            "processes": 2_000,
            "rules": [],
            "handled": None,
            "filter": "",
        }
    )


def launch(*argv: str, **more: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, order(*argv, **more)], capture_output=True, text=True, timeout=60, check=False
    )


def started(command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*PROGRAM, order("sh", "-c", command)], stdout=subprocess.PIPE)


@pytest.mark.parametrize(
    ("command", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -INT $$", 130)],
)
def test_exit_code_is_passed_on(command: str, code: int) -> None:
    assert launch("sh", "-c", command).returncode == code


def test_command_that_does_not_exist_is_named() -> None:
    done = launch("/nowhere/victor")
    assert done.returncode == 125
    assert done.stderr == (
        "victor: the command was not started: [Errno 2] No such file or directory\n"
    )


def test_nothing_is_run_for_a_parent_that_is_gone() -> None:
    done = launch("echo", "x", parent=1)
    assert (done.returncode, done.stdout) == (125, "")


async def test_what_is_left_in_the_background_ends_and_is_mentioned() -> None:
    name = sleeper()
    start = time.monotonic()
    done = launch("sh", "-c", f"setsid {name} & setsid sh -c 'sleep 0.2; echo late' & exit 3")
    assert time.monotonic() - start > 0.9
    assert done.returncode == 3
    assert done.stdout == "late\n"
    assert done.stderr == "[what it left in the background was stopped]"
    assert await gone(name)


def test_command_may_clean_up_by_itself_within_a_second() -> None:
    done = launch("sh", "-c", "sleep 0.2 & exit 3")
    assert (done.returncode, done.stderr) == (3, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
async def test_signal_ends_everything_below(number: signal.Signals) -> None:
    name = sleeper()
    command = f"trap '' TERM HUP; setsid {name} & echo up; {name}; :"
    with started(command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(number)
        assert process.wait(20) == 143
    assert await gone(name)


async def test_swarm_that_keeps_forking_is_ended() -> None:
    name = sleeper()
    command = f"for i in 1 2 3 4 5; do (while :; do setsid {name} & sleep 0.02; done) & done; wait"
    with started(command) as process:
        while await gone(name, within_s=0):
            assert process.poll() is None
        process.terminate()
        assert process.wait(20) == 143
    assert await gone(name)


def test_number_of_processes_is_limited_beyond_what_is_there() -> None:
    most = int(launch("sh", "-c", "ulimit -u || ulimit -p").stdout)
    assert 2_000 < most < 2_000 + 32_768


class FakeLibc:
    """Takes system calls down instead of making them."""

    def __init__(self, failing: str = "") -> None:
        self.made: list[str] = []
        self._failing = failing

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*arguments: Any) -> int:
            first = getattr(arguments[0], "value", arguments[0]) if name != "capset" else ""
            self.made.append(f"{name} {first}".strip())
            if self.made[-1] == self._failing:
                ctypes.set_errno(errno.EINVAL)
                return -1
            return 99 if self.made[-1] == "syscall 444" else 0

        return call


def fake(failing: str = "") -> Any:
    return FakeLibc(failing)


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """Keep what a command changes about its own process away from the tests'; yield what ran."""
    ran: list[str] = []
    monkeypatch.setattr(os, "execvp", lambda file, _: ran.append(file))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr(launcher, "Path", lambda *_: tmp_path / "oom")
    real_close = os.close
    monkeypatch.setattr(os, "close", lambda fd: None if fd == 99 else real_close(fd))
    before = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGXFSZ)}
    interrupt = signal.getsignal(signal.SIGINT)
    yield ran
    for number, handler in {**before, signal.SIGINT: interrupt}.items():
        signal.signal(number, handler)


ORDER = {
    "argv": ["true"],
    "processes": 2_000,
    "rules": [["/usr", 5], ["/nowhere", 5]],
    "handled": [1, 2, 3],
    "filter": "0600000000000000",
}


def test_rights_are_given_up_in_order(become: list[str], tmp_path: Path) -> None:
    libc = fake()
    launcher._become(libc, ORDER)
    steps = list(dict.fromkeys(libc.made))
    assert steps == [
        "prctl 1",
        "prctl 38",
        "syscall 444",
        "syscall 445",
        "syscall 446",
        "prctl 47",
        "prctl 24",
        "capset",
        "prctl 22",
    ]
    assert libc.made.count("syscall 445") == 1  # a place that is not there is one right less
    assert become == ["true"]
    assert (tmp_path / "oom").read_text() == "1000"


@pytest.mark.parametrize(
    "step",
    ["prctl 1", "prctl 38", "syscall 444", "syscall 445", "syscall 446", "capset", "prctl 22"],
)
def test_step_that_fails_runs_nothing(become: list[str], step: str) -> None:
    libc = fake(step)
    with pytest.raises(OSError, match="Invalid argument"):
        launcher._become(libc, ORDER)
    assert become == []


def test_command_without_rules_keeps_its_rights(become: list[str]) -> None:
    libc = fake()
    launcher._become(libc, {**ORDER, "handled": None})
    assert libc.made == ["prctl 1"]
    assert become == ["true"]

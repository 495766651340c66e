from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.support import KINDS, available, gone, sleeper
from victor.sandbox import limits
from victor.sandbox.limits import size, watched
from victor.sandbox.policy import Policy, most_memory, policy_for
from victor.tools.base import ToolResult
from victor.tools.shell import running

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"),
    pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="needs /usr/bin/python3"),
]

MOST = 300 * 2**20


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name what holds the commands of a test, all in turn."""
    available(request.param)
    return str(request.param)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    # Landlock lets a command make files in directories of the workspace only.
    (tmp_path / "d").mkdir()
    return tmp_path.resolve()


async def run(workspace: Path, command: str, kind: str, **most: Any) -> ToolResult:
    policy = replace(policy_for(workspace), **most)
    one = running(command, policy, sandbox=available(kind), timeout_s=20)
    return await asyncio.wait_for(one, 60)


def python(code: str) -> str:
    return f'/usr/bin/python3 -c "{code}"'


# Each takes 1.2 GB at most, should the limit fail.
BOMBS = {
    "one-process": "x = [bytearray(b'x' * 20_000_000) for _ in range(60)]",
    "many-processes": "import os\nfor _ in range(50):\n if not os.fork():\n"
    "  x = bytearray(b'x' * 24_000_000); break",
    "shared": "import mmap\nx = mmap.mmap(-1, 10**9)\nfor i in range(0, 10**9, 4096): x[i] = 1",
}


@pytest.mark.parametrize("code", BOMBS.values(), ids=BOMBS)
async def test_memory_bomb_is_ended(workspace: Path, kind: str, code: str) -> None:
    name = sleeper()
    tail = "\nimport time; time.sleep(100)"
    result = await run(workspace, f"echo x; {name} & {python(code + tail)}", kind, memory=MOST)
    assert result == ToolResult("x\n[stopped: it took more than 300 MiB of memory]", is_error=True)
    assert await gone(name)


async def test_memory_that_many_processes_share_counts_once(workspace: Path, kind: str) -> None:
    code = (
        "import os, time\nx = bytearray(b'x' * 100_000_000)\n"
        "for _ in range(10):\n if not os.fork(): time.sleep(0.5); os._exit(0)\n"
        "for _ in range(10): os.wait()\nprint('done')"
    )
    assert await run(workspace, python(code), kind, memory=MOST) == ToolResult("done\n")


async def test_command_that_starts_too_many_processes_is_ended(workspace: Path, kind: str) -> None:
    name = sleeper()
    command = f"for i in $(seq 400); do setsid {name} & done; wait"
    result = await run(workspace, command, kind, processes=200)
    assert result == ToolResult("[stopped: it started more than 200 processes]", is_error=True)
    assert await gone(name)


async def test_fork_bomb_is_ended_soon(workspace: Path, kind: str) -> None:
    # Slowed down: where victor has no real-time priority, machines that run tests stay usable.
    name = sleeper()
    command = f"setsid {name} & bomb() {{ sleep 0.3; bomb | bomb & }}; bomb; wait; {name}"
    start = time.monotonic()
    result = await run(workspace, command, kind, processes=100)
    assert result.content.endswith("[stopped: it started more than 100 processes]")
    assert time.monotonic() - start < 19  # before its timeout
    assert await gone(name)


async def test_disk_fill_is_ended(
    workspace: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free(place: Path) -> tuple[int, int]:
        files = list((workspace / "d").iterdir())
        return 10**9 - sum(file.stat().st_size for file in files), 200 - len(files)

    monkeypatch.setattr(limits, "_free", free)
    # A gigabyte at most, should the limit fail.
    command = "for i in $(seq 20); do head -c 50M /dev/zero > d/$i; sleep 0.02; done; sleep 100"
    result = await run(workspace, command, kind, spare_disk=800 * 10**6)
    text = "[stopped: it left less than 477 MiB of the disk]"  # a half of what there was
    assert result == ToolResult(text, is_error=True)
    for file in (workspace / "d").iterdir():
        file.unlink()
    command = "for i in $(seq 150); do : > d/$i; done; sleep 100"
    result = await run(workspace, command, kind)
    text = "[stopped: it left room for less than 100 files on the disk]"
    assert result == ToolResult(text, is_error=True)


async def test_usual_programs_work(workspace: Path, kind: str) -> None:
    (workspace / "d" / "a.c").write_text("int main(void) { return 0; }\n")
    programs = {
        "python3": "python3 -c 'import threading, multiprocessing; print(1)'",
        "node": "node -e 'new WebAssembly.Memory({initial: 1, maximum: 65536}); console.log(1)'",
        # Under Landlock nothing can be made executable.
        "gcc": "gcc -fsanitize=address a.c -o a && { [ ! -x a ] || ./a; }",
        "git": "git diff --no-index a.c a.c",
    }
    for name, command in programs.items():
        if shutil.which(name):
            result = await run(workspace, f"cd d && {command} && echo done", kind)
            assert result.content.endswith("done\n"), result.content


def test_limits_default_to_what_the_machine_has(tmp_path: Path) -> None:
    policy = Policy(workspace=tmp_path)
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(lines["MemTotal"].split()[0]) * 1024
    assert total * 0.74 < policy.memory < total * 0.76


def test_system_that_does_not_say_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sysconf")
    assert most_memory() == 8 * 2**30


def test_process_that_has_ended_and_other_systems_are_not_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    with watched(process.pid, Policy(workspace=tmp_path)) as watch:
        assert watch.broken == ""
    monkeypatch.setattr(sys, "platform", "darwin")
    with watched(os.getpid(), Policy(workspace=tmp_path, processes=-1)) as watch:
        assert not watch.over.wait(0.3)
    assert watch.broken == ""


def test_memory_of_a_process_that_is_not_ours_or_gone_is_estimated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine = limits._share(os.getpid())
    assert 0 < mine < limits._resident(os.getpid())
    assert limits._share(2**30) == limits._resident(2**30) == 0
    monkeypatch.setattr(limits, "_rollup", lambda process: Path("/proc/self/mem"))
    assert limits._share(os.getpid()) >= mine


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 MiB"), (300 * 2**20, "300 MiB"), (3 * 2**29, "1.5 GiB")]
)
def test_size_is_said_in_words(count: int, text: str) -> None:
    assert size(count) == text

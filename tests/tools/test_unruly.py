from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sandbox.support import KINDS, available, gone, sleeper
from victor.sandbox.policy import policy_for
from victor.tools.base import ToolContext
from victor.tools.read import read
from victor.tools.shell import running
from victor.tools.spill import Spill

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

UNRULY = {
    "sleeps": "{sleep}",
    "ignores-sigterm": "trap '' TERM; {sleep}",
    "forks": "({sleep}) & (trap '' TERM; {sleep}) & wait",
    "own-session": "setsid {sleep} & wait",
    "daemon": "(setsid sh -c '{sleep} & exec <&- >&- 2>&-; {sleep}' &) ; {sleep}",
    "ignores-all-and-forks": "for n in $(seq 64); do trap '' $n; done 2>/dev/null; "
    "while :; do setsid {sleep} & sleep 0.05; done",
    "prints-for-ever": "{sleep} & yes",
    "closed-its-output": "exec >&- 2>&-; setsid {sleep} & {sleep}",
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name what holds the commands of a test, all in turn."""
    available(request.param)
    return str(request.param)


@pytest.fixture(autouse=True)
def _kept_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def commands() -> dict[str, str]:
    """Return the commands by what their processes can be found by."""
    return {(name := sleeper()): f"echo x; {text.format(sleep=name)}" for text in UNRULY.values()}


async def all_run(names: dict[str, str]) -> None:
    async with asyncio.timeout(60):
        for name in names:
            while await gone(name, within_s=0):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


async def all_gone(names: dict[str, str]) -> None:
    assert [name for name in names if not await gone(name)] == []


async def test_timeout_ends_everything(
    workspace: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.tools.shell._GRACE_S", 0.3)
    names, sandbox, policy = commands(), available(kind), policy_for(workspace)
    start = time.monotonic()
    results = await asyncio.gather(
        *(running(one, policy, sandbox=sandbox, timeout_s=2) for one in names.values())
    )
    assert time.monotonic() - start < 20
    await all_gone(names)
    for result in results:
        assert result.is_error
        assert result.content.startswith("x\n")
        assert result.content.endswith("[stopped: it took longer than 2 s]")


async def test_cancellation_ends_everything_soon(workspace: Path, kind: str) -> None:
    names, sandbox, policy = commands(), available(kind), policy_for(workspace)
    tasks = [
        asyncio.create_task(running(one, policy, sandbox=sandbox, timeout_s=900, spill=Spill()))
        for one in names.values()
    ]
    await all_run(names)
    start = time.monotonic()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert time.monotonic() - start < 10
    assert all(task.cancelled() for task in tasks)
    await all_gone(names)


VICTOR = """
import asyncio, sys
from pathlib import Path
from tests.sandbox.support import available
from victor.sandbox.policy import policy_for
from victor.tools.shell import running
sandbox, policy = available(sys.argv[1]), policy_for(Path(sys.argv[2]))
async def main():
    calls = (running(one, policy, sandbox=sandbox, timeout_s=900) for one in sys.argv[3:])
    await asyncio.gather(*calls)
asyncio.run(main())
"""


async def test_nothing_outlives_a_victor_that_is_killed(workspace: Path, kind: str) -> None:
    names = commands()
    victor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTOR, kind, str(workspace), *names.values()
    )
    try:
        await all_run(names)
    finally:
        victor.kill()
        await victor.wait()
    await all_gone(names)


PRINTER = """
import asyncio, sys
from pathlib import Path
from victor.sandbox.run import best_sandbox
from victor.sandbox.policy import policy_for
from victor.tools.shell import running
from victor.tools.spill import Spill
def peak():  # not ru_maxrss, which begins with what the parent has
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = peak()
call = running(
    sys.argv[2], policy_for(Path(sys.argv[1])), sandbox=best_sandbox("auto"), timeout_s=60,
    spill=Spill(),
)
print(asyncio.run(call).content, end='')
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("command", "size"),
    [
        pytest.param("head -c 1G /dev/zero | tr '\\0' x", 2**30, id="one-line-of-1GB"),
        pytest.param("yes | head -c 100M", 100 * 2**20, id="50-million-lines"),
        pytest.param("head -c 48M /dev/urandom", 48 * 2**20, id="no-text"),
    ],
)
def test_endless_output_takes_little_memory_and_time(
    workspace: Path, command: str, size: int
) -> None:
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PRINTER, str(workspace), f"echo first; {command}; echo the end"],
        capture_output=True,
        timeout=100,
        check=True,
    )
    assert time.monotonic() - start < 60
    text, _, grown = done.stdout.decode("utf-8", "replace").rstrip().rpartition("\n")
    assert text.startswith("first\n")
    assert text.endswith("the end")
    assert f" of {size + 14:,} bytes left out; the first " in text
    assert " after them were not kept, as one output may take 64 MiB ...]" in text
    assert int(grown) < 64 * 1024  # KiB


async def test_long_output_can_be_paged_whole(workspace: Path) -> None:
    context = ToolContext(workspace)
    sandbox, spill = available("none"), context.memory.of(Spill)
    command = "seq 300000; printf '\\0\\377\\033[1m\\r\\nlast'"
    call = running(command, policy_for(workspace), sandbox=sandbox, timeout_s=60, spill=spill)
    assert "; all of it is in 'output:1': read or grep that path ...]" in (await call).content
    offset, lines = 1, list[str]()
    while not lines or not lines[-1].startswith("300002"):
        page = await read.run({"path": "output:1", "offset": offset}, context)
        assert not page.is_error, page.content
        found = [line for line in page.content.splitlines() if not line.startswith("[lines ")]
        lines += found
        offset += len(found)
        if offset < 290_000:
            offset, lines = 299_000, []
    expected = [f"{number}\t{number}" for number in range(299_000, 300_001)]
    assert lines == [*expected, "300001\t\N{SYMBOL FOR NULL}\ufffd\x1b[1m", "300002\tlast"]
    await context.memory.aclose()


SLEEPER = """
import time
from victor import Agent, tool
from victor.testing import MockLLM
from victor.types import ToolCall

@tool(effect="read", timeout_s=0.2)
def endless() -> str:
    "Never return."
    while True:
        time.sleep(3600)

call = ToolCall(id="1", name="endless", arguments={})
agent = Agent(MockLLM(responses=[[call], "done"]), tools=[endless])
result = agent.run_sync("go")
print(result.content, "|", result.messages[-2].content)
"""


def test_function_that_never_returns_keeps_nothing_waiting(tmp_path: Path) -> None:
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SLEEPER],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env=dict(os.environ),
    )
    assert done.stdout == "done | Error: endless timed out after 0.2 s.\n", done.stderr
    assert time.monotonic() - start < 20


TALKER = """
from pathlib import Path
from victor import Agent, tool
from victor.testing import MockLLM
from victor.tools.read import read
from victor.types import ToolCall

@tool(effect="read")
def talk() -> str:
    "Return a lot."
    return "x" * 200_000_000

@tool(effect="read")
def lines() -> str:
    "Return a lot."
    return "line\\n" * 14_000_000

for one in (talk, lines):
    call = ToolCall(id="1", name=one.name, arguments={})
    agent = Agent(MockLLM(responses=[[call], "done"]), tools=[one, read])
    print(agent.run_sync("go").messages[-2].content[9_900:10_300])
# Not ru_maxrss, which begins with what the parent has.
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""


def test_function_that_returns_very_much_is_spilled_up_to_the_cap(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TALKER],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env=dict(os.environ),
    )
    assert "[... 199,970,000 of 200,000,000 characters left out; the first" in done.stdout, done
    assert done.stdout.count(" after them were not kept, as one output may take 64 MiB ...]") == 2
    assert int(done.stdout.split()[-1]) < 400  # MiB: what was returned, once

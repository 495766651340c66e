from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from victor.sandbox.policy import Policy
from victor.tools.base import ToolError
from victor.tools.sessions import Session, Sessions
from victor.tools.spill import Spill

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")


@pytest.fixture
async def sessions() -> AsyncIterator[Sessions]:
    made = Sessions()
    yield made
    await made.aclose()


async def started(sessions: Sessions, workspace: Path, command: str) -> Session:
    session = sessions.new(command, Spill())
    policy = Policy(workspace=workspace, environment={"PATH": os.environ["PATH"]})
    await session.start(policy, None)
    return session


async def until(session: Session, wanted: str) -> str:
    """Read until a text has come."""
    text = ""
    async with asyncio.timeout(20):
        while wanted not in text:
            text += await session.output(1)
    return text


async def gone(pid: int) -> bool:
    """Tell whether a process ends within two seconds."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]  # noqa: ASYNC240 - in memory
        except OSError:
            return True
        if state in "ZX":
            return True
        await asyncio.sleep(0.02)
    return False


async def test_session_has_a_terminal_and_is_talked_to(sessions: Sessions, workspace: Path) -> None:
    session = await started(
        sessions, workspace, "test -t 0 && test -t 1 && echo ready $TERM; read x; echo got $x"
    )
    assert await until(session, "ready") == "ready dumb\n"
    await session.write("some words\n")
    assert "got some words\n" in await until(session, "got")
    async with asyncio.timeout(10):
        while not session.ended:
            await session.output(1)
    assert session.code == 0
    with pytest.raises(ToolError, match="session 1 has ended"):
        await session.write("more\n")
    assert await session.output(5) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="needs setsid of util-linux")
async def test_ctrl_c_interrupts_what_runs_and_not_the_session(
    sessions: Sessions, workspace: Path
) -> None:
    command = "trap 'echo caught' INT; echo ready; sleep 60; echo next; read x"
    session = await started(sessions, workspace, command)
    await until(session, "ready")
    await session.write("\x03")
    assert "caught" in await until(session, "next")
    assert not session.ended


async def test_stopping_ends_everything_that_was_started(
    sessions: Sessions, workspace: Path
) -> None:
    command = 'trap "" TERM INT HUP; sleep 600 & echo $!; sleep 600'
    session = await started(sessions, workspace, command)
    pid = int((await until(session, "\n")).split()[0])
    await asyncio.wait_for(session.stop(), 10)
    assert (session.ended, session.code) == (True, None)
    assert await gone(pid)
    await session.stop()


async def test_closing_stops_all_sessions(workspace: Path) -> None:
    sessions = Sessions()
    running = [await started(sessions, workspace, "echo $$; exec sleep 600") for _ in range(3)]
    pids = [int((await until(one, "\n")).split()[0]) for one in running]
    await asyncio.wait_for(sessions.aclose(), 15)
    assert all(one.ended for one in running)
    assert all([await gone(pid) for pid in pids])


async def test_output_that_nobody_read_for_long_is_kept(
    sessions: Sessions, workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    session = await started(sessions, workspace, "stty raw; seq 200000; echo -n last; read x")
    text = ""
    async with asyncio.timeout(30):
        while not text.endswith("last"):
            text = await session.output(10)
    total = len("".join(f"{number}\n" for number in range(1, 200_001))) + 4
    assert text.startswith("1\n2\n3\n")
    left_out = f"[... {total - 30_000:,} of {total:,} bytes left out; all of it is in 'output:1'"
    assert left_out in text
    with session.spill.open("output:1") as file:
        assert file.read().split() == [*(b"%d" % at for at in range(1, 200_001)), b"last"]


async def test_what_does_not_read_is_not_waited_for(
    sessions: Sessions, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.tools.sessions._WRITE_S", 0.3)
    session = await started(sessions, workspace, "stty raw -echo; echo ready; sleep 60")
    await until(session, "ready")
    with pytest.raises(ToolError, match="does not read"):
        await session.write("x" * 1_000_000)


async def test_command_that_cannot_be_started_is_an_error(
    sessions: Sessions, tmp_path: Path, descriptors: Callable[[], int]
) -> None:
    before = descriptors()
    with pytest.raises(OSError, match="gone"):
        await started(sessions, tmp_path / "gone", "true")
    assert descriptors() == before


async def test_session_leaves_no_descriptor_open(
    sessions: Sessions, workspace: Path, descriptors: Callable[[], int]
) -> None:
    before = descriptors()
    session = await started(sessions, workspace, "sleep 60")
    await session.stop()
    assert descriptors() == before


@pytest.fixture
def descriptors() -> Callable[[], int]:
    return lambda: len(list(Path("/proc/self/fd").iterdir()))


async def test_sessions_are_few_and_known_by_name(sessions: Sessions) -> None:
    for _ in range(8):
        sessions.new("true", Spill())
    with pytest.raises(ToolError, match="8 sessions are running; stop one: 1, 2"):
        sessions.new("true", Spill())
    with pytest.raises(ToolError, match="there is no session '9'; there are: 1, 2"):
        sessions.get("9")
    sessions.forget(sessions.get("3"))
    assert sessions.new("true", Spill()).name == "9"
    with pytest.raises(ToolError, match="there are: none"):
        Sessions().get("1")

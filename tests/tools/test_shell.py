from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from pathlib import Path

import pytest

from victor.tools.base import ToolContext, ToolResult
from victor.tools.shell import child_environment, running, shell


async def run(workspace: Path, command: str, timeout_s: float = 60) -> ToolResult:
    return await asyncio.wait_for(running(command, workspace, timeout_s=timeout_s), 90)


async def gone(workspace: Path, name: str = "pid") -> bool:
    """Wait until the process whose id a command wrote down has ended."""
    pid = int((workspace / name).read_text())
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if _is_dead(pid):
            return True
        await asyncio.sleep(0.02)
    return False


def _is_dead(pid: int) -> bool:
    """Tell whether a process has ended though nobody has collected it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return Path("/proc/self/stat").exists()


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.mark.parametrize(
    ("command", "content", "is_error"),
    [
        pytest.param("echo one; echo two >&2", "one\ntwo\n", False, id="merged"),
        pytest.param("true", "[exit code 0]", False, id="silent"),
        pytest.param("echo x; exit 3", "x\n[exit code 3]", True, id="exit-code"),
        pytest.param("printf x; false", "x\n[exit code 1]", True, id="no-final-newline"),
        pytest.param("kill -9 $$", "[killed by SIGKILL]", True, id="signal"),
        pytest.param(r"printf '\xff\xfe'", "\ufffd\ufffd", False, id="not-text"),
        pytest.param("cat; echo read", "read\n", False, id="no-input"),
        pytest.param("test -t 0 || test -t 1 || echo no", "no\n", False, id="no-terminal"),
        pytest.param("echo x > /dev/tty", None, True, id="no-controlling-terminal"),
        pytest.param("pwd", "{workspace}\n", False, id="directory"),
        pytest.param("[[ a == a* ]] && echo bash", "bash\n", False, id="bash"),
        pytest.param("(", None, True, id="syntax-error"),
        pytest.param("echo 1 > >(sleep 0.1; cat)", "1\n", False, id="late-writer"),
    ],
)
async def test_command_gives_its_output(
    workspace: Path, command: str, content: str | None, is_error: bool
) -> None:
    result = await run(workspace, command)
    assert result.is_error == is_error, result.content
    if content is not None:
        assert result.content == content.format(workspace=workspace)


async def test_shell_is_a_tool(context: ToolContext) -> None:
    assert shell.effect == "execute"
    assert (await shell.run({"command": "echo x"}, context)).content == "x\n"
    assert (await shell.run({"command": "echo x", "timeout_s": 0}, context)).is_error
    result = await shell.run({"command": "echo \0"}, context)
    assert result == ToolResult("shell failed: ValueError: embedded null byte", is_error=True)
    result = await shell.run({"command": "x"}, ToolContext(context.workspace / "gone"))
    assert result.is_error
    assert "FileNotFoundError" in result.content


async def test_command_sees_few_variables_and_no_descriptors(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-value")
    monkeypatch.setenv("LC_MY_TOKEN", "sk-secret-value")
    monkeypatch.setenv("BASH_ENV", "/nowhere")
    monkeypatch.setenv("LC_TIME", "C")
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    result = await run(workspace, f"env; ls /dev/fd; echo leak >&{writer}")
    os.close(reader)
    os.close(writer)
    assert "secret" not in result.content
    assert "BASH_ENV" not in result.content
    assert "LC_TIME=C" in result.content
    assert "Bad file descriptor" in result.content


def test_environment_is_an_allow_list() -> None:
    given = {"PATH": "/bin", "HOME": "/h", "LC_ALL": "C", "GIT_DIR": "x", "LC_PASSWORD": "x"}
    assert child_environment(given) == {"PATH": "/bin", "HOME": "/h", "LC_ALL": "C"}


async def test_long_output_keeps_its_ends_in_bounded_memory(workspace: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = await run(workspace, "echo first; yes | head -c 100000000; echo last")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert result.content.startswith("first\ny\n")
    assert result.content.endswith("y\nlast\n")
    assert "\n[... 99,970,011 bytes left out ...]\n" in result.content
    assert len(result.content) < 31_000
    assert after - before < 30_000  # KiB


async def test_output_just_within_the_limit_is_whole(workspace: Path) -> None:
    result = await run(workspace, "yes | head -c 30000")
    assert result.content == "y\n" * 15_000


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("echo x; echo $$ > pid; sleep 1000", id="sleeps"),
        pytest.param("echo x; trap '' TERM; echo $$ > pid; sleep 1000", id="ignores-sigterm"),
        pytest.param("echo x; (echo $BASHPID > pid; sleep 1000) & wait", id="forks"),
        pytest.param(
            "echo x; (trap '' TERM; echo $BASHPID > pid; while :; do sleep 1; done) & wait",
            id="fork-ignores-sigterm",
        ),
        pytest.param("echo x; echo $$ > pid; yes", id="prints-for-ever"),
        pytest.param("echo x; echo $$ > pid; exec >&-; sleep 1000", id="closed-its-output"),
    ],
)
async def test_timeout_ends_everything(workspace: Path, command: str) -> None:
    start = time.monotonic()
    result = await run(workspace, command, timeout_s=0.3)
    assert time.monotonic() - start < 20
    assert result.is_error
    assert result.content.startswith("x\n")
    assert result.content.endswith("[stopped: it took longer than 0.3 s]")
    assert await gone(workspace)


async def test_command_may_clean_up_before_it_is_killed(workspace: Path) -> None:
    command = "trap 'echo bye; exit 0' TERM; echo x; sleep 1000 & wait"
    result = await run(workspace, command, timeout_s=0.3)
    assert result == ToolResult("x\nbye\n[stopped: it took longer than 0.3 s]", is_error=True)


@pytest.mark.parametrize("output", ["", ">/dev/null 2>&1"], ids=["holds-the-pipe", "silent"])
@pytest.mark.parametrize("proc", ["/proc", "/nowhere"], ids=["linux", "without-proc"])
async def test_background_process_neither_hangs_the_call_nor_survives_it(
    workspace: Path, output: str, proc: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.tools.shell._PROC", Path(proc))
    start = time.monotonic()
    result = await run(workspace, f"sleep 1000 {output} & echo $! > pid; echo x")
    assert time.monotonic() - start < 20
    assert result == ToolResult("x\n[what it left in the background was stopped]")
    assert await gone(workspace)


async def test_process_that_left_the_group_does_not_hang_the_call(workspace: Path) -> None:
    command = "setsid bash -c 'echo $$ > pid; exec sleep 1000' & until [ -s pid ]; do :; done"
    result = await run(workspace, command)
    pid = int((workspace / "pid").read_text())
    os.kill(pid, signal.SIGKILL)
    assert result == ToolResult("[exit code 0]")


@pytest.mark.parametrize("trap", ["", "trap '' TERM;"], ids=["plain", "ignores-sigterm"])
async def test_cancellation_ends_the_command_soon(workspace: Path, trap: str) -> None:
    command = f"{trap} echo $$ > pid; sleep 1000"
    task = asyncio.create_task(running(command, workspace, timeout_s=60))
    end = time.monotonic() + 30
    while not (workspace / "pid").exists() or not (workspace / "pid").read_text():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - start < 5
    assert await gone(workspace)


async def test_nothing_is_left_open(workspace: Path) -> None:
    await run(workspace, "echo x")
    before = descriptors()
    await run(workspace, "echo x")
    await run(workspace, "sleep 1000", timeout_s=0.1)
    assert descriptors() == before

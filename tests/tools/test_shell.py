from __future__ import annotations

import asyncio
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attacks.support import listening, nobody_called
from tests.sandbox.support import CONFINED, KINDS, available, gone, sleeper
from victor.config.settings import SandboxMode
from victor.errors import ConfigError
from victor.sandbox.policy import Policy, Reach, policy_for
from victor.tools.base import ToolContext, ToolResult
from victor.tools.read import read
from victor.tools.shell import running, shell, shell_tool


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name what holds the commands of a test, all in turn."""
    available(request.param)
    return str(request.param)


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("victor.tools.shell._GRACE_S", 0.3)


async def run(
    workspace: Path, command: str, timeout_s: float = 60, kind: str = "none"
) -> ToolResult:
    policy = policy_for(workspace)
    one = running(command, policy, sandbox=available(kind), timeout_s=timeout_s)
    return await asyncio.wait_for(one, 90)


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
    workspace: Path, command: str, content: str | None, is_error: bool, kind: str
) -> None:
    result = await run(workspace, command, kind=kind)
    assert result.is_error == is_error, result.content
    if content is not None:
        assert result.content == content.format(workspace=workspace)


async def test_shell_is_a_tool(context: ToolContext) -> None:
    assert shell.effect == "execute"
    tool = shell_tool("off")
    assert tool.definition == shell.definition
    assert (await tool.run({"command": "echo x"}, context)).content == "x\n"
    assert (await tool.run({"command": "echo x", "timeout_s": 0}, context)).is_error
    result = await tool.run({"command": "echo \0"}, context)
    text = "shell failed: ValueError: a command cannot contain a NUL byte"
    assert result == ToolResult(text, is_error=True)
    result = await tool.run({"command": "x"}, ToolContext(context.workspace / "gone"))
    assert result.is_error
    assert "FileNotFoundError" in result.content


async def test_shell_confines_by_itself(context: ToolContext) -> None:
    available("bubblewrap")
    result = await shell.run({"command": "echo x > x; echo $$; ls /home"}, context)
    assert not result.is_error
    assert int(result.content) < 20
    assert (context.workspace / "x").read_text() == "x\n"


async def test_what_the_sandbox_refuses_is_explained(context: ToolContext) -> None:
    available("bubblewrap")
    (context.workspace / ".git").mkdir()
    result = await shell.run({"command": "echo x > .git/index.lock; exit 3"}, context)
    assert "[exit code 3; in the sandbox .git, " in result.content
    passed = await shell.run({"command": "curl() { echo could not resolve host; }; curl"}, context)
    assert not passed.is_error
    assert "[in the sandbox commands have no network" in passed.content
    free = await shell_tool("off").run({"command": "echo could not resolve host"}, context)
    assert free.content == "could not resolve host\n"


REACHED = 'echo "$NAMED$NPM_TOKEN$OTHER"; exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached'


@pytest.mark.parametrize("kind", CONFINED)
@pytest.mark.parametrize("network", [False, True], ids=["offline", "online"])
async def test_user_may_give_commands_the_network_and_variables(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch, kind: str, network: bool
) -> None:
    sandbox = available(kind)
    monkeypatch.setattr("victor.sandbox.run._found", lambda: (sandbox, ""))
    for name in ("NAMED", "NPM_TOKEN", "OTHER"):
        monkeypatch.setenv(name, name.lower())
    tool = shell_tool("required", reach=Reach(network=network, variables=("NAMED", "NPM_TOKEN")))
    with listening() as ear:
        command = REACHED.format(port=ear.getsockname()[1])
        result = await tool.run({"command": command}, context)
        assert nobody_called(ear) is not network
    assert result.content.startswith("namednpm_token\n")
    assert ("reached" in result.content) is network


@pytest.mark.usefixtures("_without_sandbox")
async def test_named_variables_are_seen_without_a_sandbox_too(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAMED", "named")
    tool = shell_tool("off", reach=Reach(variables=("NAMED",)))
    assert (await tool.run({"command": "echo $NAMED"}, context)).content == "named\n"


@pytest.fixture
def _without_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("victor.sandbox.run._found", lambda: (None, "none here"))


@pytest.mark.usefixtures("_without_sandbox")
async def test_command_without_sandbox_needs_consent(context: ToolContext) -> None:
    asked: list[tuple[str, ToolContext]] = []

    async def consent(command: str, at: ToolContext) -> bool:
        asked.append((command, at))
        return command == "echo yes"

    tool = shell_tool(consent=consent)
    assert (await tool.run({"command": "echo yes"}, context)).content == "yes\n"
    refused = await tool.run({"command": "touch no"}, context)
    assert refused == ToolResult(
        "The user refused to run this command without a sandbox.", is_error=True
    )
    assert asked == [("echo yes", context), ("touch no", context)]
    alone = await shell.run({"command": "touch no"}, context)
    assert alone.is_error
    assert "nothing on this machine can confine it" in alone.content
    assert not (context.workspace / "no").exists()


@pytest.mark.usefixtures("_without_sandbox")
async def test_required_sandbox_that_is_missing_refuses(context: ToolContext) -> None:
    result = await shell_tool("required").run({"command": "touch no"}, context)
    assert result.is_error
    assert result.content.startswith("a sandbox is required and there is none: none here.")
    assert not (context.workspace / "no").exists()


@pytest.mark.parametrize(
    ("mode", "text"),
    [("auto", "nobody can be asked"), ("required", "it is your home directory or above it")],
)
async def test_home_as_workspace_is_not_confined_and_so_not_run(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch, mode: SandboxMode, text: str
) -> None:
    available("bubblewrap")
    monkeypatch.setenv("HOME", str(context.workspace))
    result = await shell_tool(mode).run({"command": "touch no"}, context)
    assert result.is_error
    assert text in result.content
    assert not (context.workspace / "no").exists()


async def test_command_sees_few_variables_and_no_descriptors(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-value")
    monkeypatch.setenv("LC_MY_TOKEN", "sk-secret-value")
    monkeypatch.setenv("BASH_ENV", "/nowhere")
    monkeypatch.setenv("LC_TIME", "C")
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    result = await run(workspace, f"env; echo leak >&{writer}; ls /proc/self/fd | wc -l", kind=kind)
    os.close(reader)
    os.close(writer)
    assert "secret" not in result.content
    assert "BASH_ENV" not in result.content
    assert "LC_TIME=C" in result.content
    assert "Bad file descriptor" in result.content
    assert result.content.endswith("\n4\n")  # three, and the directory itself


async def test_long_output_that_nobody_can_read_keeps_its_ends(workspace: Path) -> None:
    result = await run(workspace, "echo first; yes | head -c 1000000; echo last")
    assert result.content.startswith("first\ny\n")
    assert result.content.endswith("y\nlast\n")
    note = "970,011 of 1,000,011 bytes left out; the rest was not kept: no tool could read it"
    assert f"\n[... {note} ...]\n" in result.content
    assert len(result.content) < 31_000


async def test_output_just_within_the_limit_is_whole(workspace: Path) -> None:
    result = await run(workspace, "yes | head -c 30000")
    assert result.content == "y\n" * 15_000


async def test_command_may_clean_up_before_it_is_killed(workspace: Path, kind: str) -> None:
    command = "trap 'echo bye; exit 0' TERM; echo x; sleep 1000 & wait"
    result = await run(workspace, command, timeout_s=0.4, kind=kind)
    assert result == ToolResult("x\nbye\n[stopped: it took longer than 0.4 s]", is_error=True)


@pytest.mark.parametrize(
    ("session", "output"),
    [("", ">/dev/null 2>&1"), ("setsid", "")],
    ids=["silent", "own-session-holds-the-pipe"],
)
async def test_background_process_neither_hangs_the_call_nor_survives_it(
    workspace: Path, output: str, session: str, kind: str
) -> None:
    sleep = sleeper()
    start = time.monotonic()
    result = await run(workspace, f"{session} {sleep} {output} & echo x", kind=kind)
    assert time.monotonic() - start < 20
    assert result == ToolResult("x\n[what it left in the background was stopped]")
    assert await gone(sleep)


async def test_limit_that_was_broken_is_told(workspace: Path) -> None:
    policy = replace(policy_for(workspace), processes=20)
    command = "echo x; for i in $(seq 50); do sleep 1000 & done; wait"
    result = await running(command, policy, sandbox=None, timeout_s=30)
    text = "x\n[stopped: it started more than 20 processes]"
    assert result == ToolResult(text, is_error=True)


async def test_long_output_can_be_read_in_the_same_conversation(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    tool = shell_tool("off")
    result = await tool.run({"command": "seq 100000; exit 3"}, context)
    assert result.is_error
    assert result.content.endswith("\n100000\n[exit code 3]")
    assert "; all of it is in 'output:1': read or grep that path ...]" in result.content
    page = await read.run({"path": "output:1", "offset": 77_777, "limit": 1}, context)
    assert page.content.startswith("77777\t77777\n")
    await context.memory.aclose()


async def test_command_without_launcher_is_ended_by_its_group(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.sandbox.run._system", lambda: "plan9")
    sleep = sleeper()
    result = await run(workspace, f"{sleep} & echo x")
    assert result == ToolResult("x\n")
    assert await gone(sleep)
    result = await run(workspace, f"echo x; trap '' TERM; {sleep}", timeout_s=0.3)
    assert result == ToolResult("x\n[stopped: it took longer than 0.3 s]", is_error=True)
    assert await gone(sleep)


async def test_nothing_is_left_open(workspace: Path, kind: str) -> None:
    await run(workspace, "echo x", kind=kind)
    before = descriptors()
    await run(workspace, "echo x", kind=kind)
    await run(workspace, "sleep 1000", timeout_s=0.1, kind=kind)
    assert descriptors() == before
    assert os.listdir(workspace) == []  # noqa: PTH208 - blocking either way


async def test_command_that_cannot_be_started_leaves_nothing_open(
    workspace: Path, tmp_path: Path
) -> None:
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        await running("x", Policy(workspace=tmp_path / "no"), sandbox=None, timeout_s=1)
    assert descriptors() == before


async def test_plain_shell_serves_where_there_is_no_bash(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert shutil.which("bash") is None
    assert (await run(workspace, "echo $0")).content == "/bin/sh\n"


def test_place_that_cannot_be_confined_is_named() -> None:
    with pytest.raises(ConfigError, match="victor --workspace PATH"):
        policy_for(Path("/usr"))

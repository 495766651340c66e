from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.attacks.support import listening
from tests.cli.support import terminal
from victor.cli.approve import Approver
from victor.cli.compose import SYSTEM_TINY, Flags, Plan, prepare
from victor.cli.exits import UsageError
from victor.config.choice import Choice
from victor.config.model_capabilities import ModelData
from victor.config.settings import Mode, Settings
from victor.errors import ConfigError, WeightsMissingError
from victor.providers.base import BaseProvider
from victor.providers.scripted import MockLLM
from victor.sandbox.run import best_sandbox
from victor.tools.workspace import workspace_tools
from victor.types import (
    Capabilities,
    CompletionResponse,
    Message,
    StreamChunk,
    ToolCall,
    ToolDefinition,
)


class _Scripted(BaseProvider):
    default_model = "m"

    def __init__(
        self,
        tool_mode: Literal["native", "constrained", "none"],
        *,
        window: int | None = None,
        most: int | None = None,
    ) -> None:
        super().__init__()
        self.can = Capabilities(tool_mode=tool_mode, context_window=window, max_output_tokens=most)
        self.max_tokens = 0
        self.asked: list[str] = []
        self.tools: list[str] = []
        self.system = ""

    @property
    def name(self) -> str:
        return "scripted"

    async def discover_capabilities(self, model: str) -> Capabilities:
        self.asked.append(model)
        return self.known_capabilities(model)

    def known_capabilities(self, model: str) -> Capabilities:
        return self.can

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        tools: list[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> CompletionResponse:
        self.tools = [item.name for item in tools or ()]
        self.system = messages[0].content
        self.max_tokens = max_tokens
        return CompletionResponse(content="ok", stop_reason="stop", model=model)

    async def stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[StreamChunk]:
        answer = await self.chat(*args, **kwargs)
        yield StreamChunk(content=answer.content, stop_reason="stop", is_final=True)

    async def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _at_home(environ: Mapping[str, str], workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("VICTOR_", "XDG_")) or name.endswith(("_API_KEY", "_TOKEN")):
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workspace)


def _plan(workspace: Path, model: str | None = None) -> Plan:
    choice = Choice("scripted", model, "test")
    return Plan(choice=choice, workspace=workspace, mode="ask", max_turns=7)


@pytest.mark.parametrize(
    ("tool_mode", "tools"),
    [
        ("native", [tool.name for tool in workspace_tools(Path())]),
        ("constrained", ["list_files", "read", "search"]),
        ("none", []),
    ],
)
async def test_a_model_gets_the_tools_it_can_use(
    tool_mode: Literal["native", "constrained", "none"], tools: list[str], workspace: Path
) -> None:
    provider = _Scripted(tool_mode)
    agent = await _plan(workspace).agent(provider, Approver(workspace, None))
    await agent.run("hi")
    assert set(provider.tools) == set(tools)
    assert (agent.max_turns, agent.mode, agent.workspace) == (7, "ask", workspace)
    assert (provider.system == SYSTEM_TINY) == (tool_mode == "constrained")


@pytest.mark.parametrize(
    ("window", "most", "tokens"),
    [
        (None, None, 8_192),
        (200_000, 64_000, 16_000),
        (1_000_000, None, 8_192),
        (200_000, 4_096, 4_096),
        (8_192, None, 2_048),
        (32_768, 32_768, 8_192),
    ],
)
async def test_an_answer_may_take_what_the_model_can(
    window: int | None, most: int | None, tokens: int, workspace: Path
) -> None:
    provider = _Scripted("native", window=window, most=most)
    agent = await _plan(workspace).agent(provider, Approver(workspace, None))
    await agent.run("hi")
    assert provider.max_tokens == tokens


@pytest.mark.parametrize(
    ("provider", "model", "patches"),
    [
        ("openai", "gpt-4.1-mini", True),
        ("openai", "gpt-5", True),
        ("openai", "gpt-5.1-codex-max", True),
        ("azure", "gpt-5-mini-2025-08-07", True),
        ("openrouter", "openai/o3", True),
        ("openai", "o4-mini", True),
        ("openai", "codex-mini-latest", True),
        ("openai", "gpt-4o", False),
        ("anthropic", "claude-sonnet-4-5", False),
        ("google", "gemini-2.5-pro", False),
        ("groq", "openai/gpt-oss-120b", False),
        ("mylab", "o3-like-but-not", True),
        ("mylab", "own-model", False),
        ("mylab", "patcher-7b", True),
    ],
)
async def test_a_model_trained_on_patches_changes_files_by_patches(
    provider: str, model: str, patches: bool, workspace: Path
) -> None:
    scripted = _Scripted("native")
    own = Settings(models={"patcher*": ModelData(patches=True)})
    plan = replace(_plan(workspace), choice=Choice(provider, model, "test"), settings=own)
    await (await plan.agent(scripted, Approver(workspace, None))).run("hi")
    assert ("apply_patch" in scripted.tools) is patches
    assert ("edit" in scripted.tools) is not patches


@pytest.mark.parametrize(
    ("person", "told"),
    [(True, "SQLite"), (False, "nobody can be asked")],
    ids=["terminal", "nobody"],
)
async def test_the_model_may_ask_where_there_is_somebody(
    person: bool, told: str, workspace: Path
) -> None:
    questions: list[str] = []

    async def ask(question: str) -> str:
        questions.append(question)
        return "2"

    asking = {"question": "Which?", "options": ["Postgres", "SQLite"]}
    provider = MockLLM([ToolCall(id="1", name="ask_user", arguments=asking), "done"])
    approver = Approver(workspace, ask if person else None)
    result = await (await _plan(workspace, "m").agent(provider, approver)).run("go")
    assert told in result.messages[-2].content
    assert len(questions) == person


async def test_what_tools_remember_goes_on_with_another_model(workspace: Path) -> None:
    approver = Approver(workspace, None)
    read = ToolCall(id="1", name="read", arguments={"path": "README.md"})
    await (await _plan(workspace, "m").agent(MockLLM([read, "ok"]), approver)).run("read")
    (workspace / "README.md").write_text("Somebody else was here.\n")
    write = ToolCall(id="2", name="write", arguments={"path": "README.md", "content": "x"})
    plan = replace(_plan(workspace, "n"), mode="auto")
    result = await (await plan.agent(MockLLM([write, "ok"]), approver)).run("write")
    assert "has changed since you read it" in result.messages[-2].content


async def test_the_settings_are_read_once_for_a_run(
    tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('provider = "groq"\nsandbox = "off"\n')
    monkeypatch.setenv("VICTOR_CONFIG", str(config))
    plan, _ = _prepared(Flags(workspace=workspace))
    config.write_text("this is no longer TOML")
    async with plan.lent(lambda _: None) as lent:
        agent = await plan.agent(_Scripted("native"), Approver(workspace, None), lent=lent)
    assert (plan.settings.sandbox, agent.mode) == ("off", "ask")


async def test_another_model_is_asked_what_it_can_do(workspace: Path) -> None:
    provider = _Scripted("native")
    plan, approver = _plan(workspace, "first"), Approver(workspace, None)
    assert (await plan.agent(provider, approver)).model == "first"
    said = [Message(role="user", content="a"), Message(role="assistant", content="b")]
    other = await plan.asking("second").agent(provider, approver, said)
    assert other.model == "second"
    assert list(other.messages[1:]) == said
    assert provider.asked == ["first", "second"]


def _prepared(flags: Flags) -> tuple[Plan, list[str]]:
    notes: list[str] = []
    return prepare(flags, note=notes.append, confirm=None), notes


def test_flags_win_and_the_choice_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text('mode = "plan"\nmax_turns = 3\nprovider = "groq"\n')
    monkeypatch.setenv("VICTOR_CONFIG", str(config))
    plan, notes = _prepared(Flags())
    assert (plan.choice.provider, plan.mode, plan.max_turns) == ("groq", "plan", 3)
    assert plan.workspace == Path.cwd()
    assert notes == [f"victor: using groq / {plan.choice.model} (set in {config})"]
    flags = Flags(provider="openai", model="x\x1b[2J", mode="auto", max_turns=9)
    plan, notes = _prepared(flags)
    assert (plan.choice.provider, plan.mode, plan.max_turns) == ("openai", "auto", 9)
    assert notes == ["victor: using openai / x (--provider)"]


def test_a_key_in_the_environment_chooses_its_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk-x")
    plan, notes = _prepared(Flags())
    assert plan.choice.provider == "groq"
    assert "GROQ_API_KEY is set" in notes[0]
    assert "gsk-x" not in notes[0]


async def test_an_address_goes_to_the_provider() -> None:
    flags = Flags(provider="openai-compatible", base_url="http://127.0.0.1:9/v1", model="m")
    async with _prepared(flags)[0].provider() as provider:
        assert provider.base_url == "http://127.0.0.1:9/v1"


def test_an_address_alone_is_refused() -> None:
    with pytest.raises(UsageError, match="--base-url needs --provider"):
        _prepared(Flags(base_url="http://127.0.0.1:9/v1"))


def test_a_workspace_has_to_be_a_directory(workspace: Path) -> None:
    with pytest.raises(UsageError, match=r"README.md is not a directory"):
        _prepared(Flags(workspace=workspace / "README.md"))


def test_missing_weights_stop_a_script_with_the_command() -> None:
    notes: list[str] = []
    with pytest.raises(WeightsMissingError) as caught:
        prepare(Flags(), note=notes.append, confirm=None)
    assert caught.value.command == "victor models pull qwen2.5-coder-0.5b"
    assert "no API key found" in notes[0]


def test_weights_are_downloaded_when_a_person_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    questions: list[str] = []
    pulled: list[str] = []

    def confirm(question: str) -> bool:
        questions.append(question)
        return len(questions) > 1

    monkeypatch.setattr("victor.cli.models.pull_with_progress", pulled.append)
    with pytest.raises(WeightsMissingError):
        prepare(Flags(), note=lambda _: None, confirm=confirm)
    assert pulled == []
    plan = prepare(Flags(), note=lambda _: None, confirm=confirm)
    assert plan.choice.provider == "local"
    assert pulled == ["qwen2.5-coder-0.5b"]
    assert questions[0].endswith("Download qwen2.5-coder-0.5b (469 MiB) now?")


def test_an_unknown_model_of_our_own_is_not_offered_for_download() -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        prepare(
            Flags(provider="local", model="nonsense"), note=lambda _: None, confirm=lambda _: True
        )


@pytest.mark.parametrize("typed", ["n\n", "\x04"], ids=["no", "ctrl-d"])
def test_a_person_is_asked_once_and_may_decline(
    typed: str, environ: Mapping[str, str], workspace: Path
) -> None:
    with terminal(["run", "hi"], cwd=workspace, environ=environ) as screen:
        screen.see("Download qwen2.5-coder-0.5b (469 MiB) now? [Y/n] ")
        screen.type(typed)
        screen.see("victor models pull qwen2.5-coder-0.5b")
        assert screen.end() == 78


def test_ctrl_c_at_the_first_question_leaves(environ: Mapping[str, str], workspace: Path) -> None:
    with terminal(["run", "hi"], cwd=workspace, environ=environ) as screen:
        screen.see("[Y/n] ")
        screen.type("\x03")
        assert screen.end() == 130
    assert "Traceback" not in screen.text


def test_another_embedded_model_is_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "other.gguf"
    file.write_bytes(b"GGUF and more")
    monkeypatch.setenv("VICTOR_LOCAL_MODEL", str(file))
    plan, notes = _prepared(Flags(provider="local"))
    assert notes == [f"victor: using local / {file} (--provider)"]
    assert plan.provider().default_model == "other"
    monkeypatch.delenv("VICTOR_LOCAL_MODEL")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=r"1\.5b"):
        plan.asking("1.5b").provider()


def test_the_embedded_model_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VICTOR_LOCAL_MODEL", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    notes: list[str] = []
    with pytest.raises(WeightsMissingError) as caught:
        prepare(Flags(), note=notes.append, confirm=None)
    assert notes == [
        "victor: using local / qwen2.5-coder-0.5b (the embedded model: no API key found)"
    ]
    assert caught.value.command == "victor models pull qwen2.5-coder-0.5b"


def _unconfined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("victor.sandbox.run._found", lambda: (None, "no namespaces"))


@pytest.mark.parametrize("mode", ["ask", "accept-edits", "auto"])
async def test_without_a_sandbox_every_command_is_asked_about_once(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    _unconfined(monkeypatch)
    asked: list[str] = []

    async def person(question: str) -> str:
        asked.append(question)
        return "y" if "echo yes" in question else "n"

    calls = [
        ToolCall(id=f"c{number}", name="shell", arguments={"command": command})
        for number, command in enumerate(["echo yes > yes", "touch no", "echo yes > yes"])
    ]
    provider = MockLLM([*calls, "done"])
    plan = replace(_plan(workspace, "m"), mode=mode)
    await (await plan.agent(provider, Approver(workspace, person))).run("go")
    assert len(asked) == 3
    assert all("no sandbox" in question for question in asked)
    assert (workspace / "yes").exists()
    assert not (workspace / "no").exists()


@pytest.mark.parametrize("network", [False, True], ids=["offline", "online"])
async def test_commands_have_what_the_settings_give_them(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, network: bool
) -> None:
    if best_sandbox("auto") is None:
        pytest.skip("no sandbox on this machine")
    monkeypatch.setenv("NAMED", "named")
    settings = Settings(sandbox_network=network, sandbox_variables=("NAMED",))
    plan = replace(_plan(workspace, "m"), mode="auto", settings=settings)
    with listening() as ear:
        command = f"echo $NAMED; exec 3<>/dev/tcp/127.0.0.1/{ear.getsockname()[1]} && echo reached"
        call = ToolCall(id="c", name="shell", arguments={"command": command})
        agent = await plan.agent(MockLLM([call, "done"]), Approver(workspace, None))
        await agent.run("go")
    said = next(message.content for message in agent.messages if message.role == "tool")
    assert "named\n" in said
    assert ("reached" in said) is network


def test_a_missing_sandbox_is_told_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, environ: Mapping[str, str]
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "k")
    assert not any("sandbox" in note for note in _prepared(Flags())[1])
    monkeypatch.setenv("HOME", str(Path.cwd()))
    assert "none here, so every command asks first: commands in" in _prepared(Flags())[1][1]
    _unconfined(monkeypatch)
    text = "victor: sandbox: none, so every command asks first: no namespaces"
    assert _prepared(Flags())[1][1] == text


@pytest.mark.parametrize("at_home", [False, True], ids=["no-sandbox", "home"])
def test_a_required_sandbox_that_cannot_be_had_stops_everything(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at_home: bool
) -> None:
    (tmp_path / "own.toml").write_text('sandbox = "required"')
    monkeypatch.setenv("VICTOR_CONFIG", str(tmp_path / "own.toml"))
    if at_home:
        monkeypatch.setenv("HOME", str(Path.cwd()))
    else:
        _unconfined(monkeypatch)
    with pytest.raises(ConfigError, match="your home directory" if at_home else "no namespaces"):
        _prepared(Flags())

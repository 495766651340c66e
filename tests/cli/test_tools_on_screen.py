from __future__ import annotations

import json
import os
import signal
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.cli.support import LLM, Reply, Terminal, processes_saying, terminal
from victor.cli.main import main

PATCH = """*** Begin Patch
*** Add File: new.txt
+fresh
*** Update File: README.md
@@
-The answer is 42.
+The answer is 43.
*** End Patch"""
ASK = Reply(calls=[("ask_user", {"question": "Which one?", "options": ["red", "blue"]})])

Open = Callable[..., AbstractContextManager[Terminal]]


@pytest.fixture
def opened(llm: LLM, environ: Mapping[str, str], workspace: Path) -> Open:
    def open_victor(
        *arguments: str, command: str = "chat", columns: int = 80
    ) -> AbstractContextManager[Terminal]:
        environment = {**environ, "COLUMNS": str(columns)}
        return terminal([command, *llm.flags, *arguments], cwd=workspace, environ=environment)

    return open_victor


def _answer(screen: Terminal, typed: str) -> None:
    """Type once the question takes keys."""
    end = time.monotonic() + 10
    while termios.tcgetattr(screen.master)[6][termios.VEOL] != b"\x1b":
        assert time.monotonic() < end
        time.sleep(0.005)
    screen.type(typed)


def _gone(command: str) -> None:
    end = time.monotonic() + 10
    while processes_saying(command):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_session_with_all_that_tools_can_do(llm: LLM, opened: Open, workspace: Path) -> None:
    left = f"sleep 300; : {workspace}"
    endless = f"sleep 301; : {workspace}"
    llm.script = [
        Reply(calls=[("apply_patch", {"patch": PATCH})]),
        Reply(calls=[("shell", {"command": "touch made"})]),
        ASK,
        Reply(calls=[("shell_start", {"command": left, "wait_s": 0})]),
        Reply(calls=[("shell", {"command": endless})]),
        Reply("Anew."),
    ]
    with opened("--model", "gpt-5", columns=40) as screen:
        screen.ready()
        screen.type("go\r")
        shown = screen.see("or say why not: ")
        assert "  create: new.txt\r\n  | +fresh\r\n  path: README.md\r\n" in shown
        assert "  | -The answer is 42.\r\n  | +The answer is 43.\r\n" in shown
        _answer(screen, "y\n")
        screen.see("● apply_patch new.txt README.md (")
        assert "  | touch made\r\n" in screen.see("or say why not: ")
        _answer(screen, "a\n")
        screen.see("● shell touch made")
        assert "  model    | Which one?\r\n  model  1 | red" in screen.see("Enter gives none: ")
        _answer(screen, "2\n")
        screen.see("or say why not: ")
        _answer(screen, "y\n")
        screen.see("● shell_start")
        screen.see("or say why not: ")
        _answer(screen, "y\n")
        screen.see(" · 1 s")
        screen.type("\x1b")
        screen.see("interrupted")
        assert processes_saying(left)
        screen.ready()
        screen.type("/clear\r")
        screen.see("ended in the background: sleep 300")
        screen.see("the conversation starts anew")
        _gone(left)
        assert not processes_saying(endless)
        screen.ready()
        screen.type("/exit\r")
        assert screen.end() == 0
    assert (workspace / "README.md").read_text() == "The answer is 43.\n"
    results = [one["content"] for one in llm.requests[-1]["messages"] if one["role"] == "tool"]
    assert results[2] == "blue"
    assert "· 1 s" in screen.text


def test_a_question_of_the_model_can_be_interrupted(llm: LLM, opened: Open) -> None:
    llm.script = [ASK, Reply("Fine.")]
    with opened() as screen:
        screen.ready()
        screen.type("go\r")
        screen.see("Enter gives none: ")
        _answer(screen, "\x1b")
        screen.see("interrupted")
        screen.ready()
        screen.type("again\r")
        screen.see("Fine.")
        screen.ready()
        screen.type("\x04")
        assert screen.end() == 0


def test_what_runs_in_the_background_outlives_the_model_but_not_the_chat(
    llm: LLM, opened: Open, workspace: Path
) -> None:
    command = f"sleep 300; : {workspace}"
    llm.script = [
        Reply(calls=[("shell_start", {"command": command, "wait_s": 0})]),
        Reply("Started."),
        Reply(calls=[("shell_read", {"session": "1", "wait_s": 0})]),
        Reply("Runs."),
    ]
    with opened("--mode", "auto") as screen:
        screen.ready()
        screen.type("go\r")
        screen.see("Started.")
        screen.ready()
        screen.type("/model other\r")
        screen.see("other")
        screen.ready()
        screen.type("and now?\r")
        screen.see("Runs.")
        assert "session 1 is running" in llm.requests[-1]["messages"][-1]["content"]
        assert processes_saying(command)
        screen.ready()
        screen.type("\x04")
        assert screen.end() == 0
        _gone(command)


def test_a_run_ends_where_its_question_is_interrupted(llm: LLM, opened: Open) -> None:
    llm.script = [ASK, Reply("Not asked.")]
    with opened("go", command="run") as screen:
        screen.see("Enter gives none: ")
        _answer(screen, "\x1b")
        assert screen.end() == 128 + signal.SIGINT
    assert len(llm.requests) == 1
    assert "Traceback" not in screen.text


def test_a_run_asks_too_and_leaves_nothing_running(llm: LLM, opened: Open, workspace: Path) -> None:
    command = f"sleep 300; : {workspace}"
    llm.script = [
        ASK,
        Reply(calls=[("shell_start", {"command": command, "wait_s": 0})]),
        Reply("Done."),
    ]
    with opened("--mode", "auto", "go", command="run") as screen:
        screen.see("Enter gives none: ")
        _answer(screen, "\n")
        assert screen.end() == 0
        _gone(command)
    assert llm.requests[1]["messages"][-1]["content"] == "[the user gave no answer]"


def test_without_a_terminal_nothing_ticks_and_json_stays_whole(
    llm: LLM,
    environ: Mapping[str, str],
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in list(os.environ):
        if name.startswith(("VICTOR_", "XDG_")) or name.endswith(("_API_KEY", "_TOKEN")):
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workspace)
    llm.script = [Reply(calls=[("shell", {"command": "sleep 1.2"})]), ASK, Reply("Done.")]
    assert main(["run", "--output", "json", "--mode", "auto", *llm.flags, "go"]) == 0
    out, err = capsys.readouterr()
    assert [one["name"] for one in json.loads(out)["tool_calls"]] == ["shell", "ask_user"]
    assert "\r" not in err
    assert " · 1 s" not in err
    assert "✗ ask_user" in err

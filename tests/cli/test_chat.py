from __future__ import annotations

import signal
import stat
import sys
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.cli.support import LLM, Reply, Terminal, processes_saying, terminal
from victor.agent.events import AgentEvent, TextDelta
from victor.cli.main import main
from victor.cli.render import Renderer
from victor.errors import ModelNotFoundError
from victor.providers.http import HTTPProvider
from victor.types import Capabilities

WRITE = Reply(calls=[("write", {"path": "new.txt", "content": "hi\n"})])

Open = Callable[..., AbstractContextManager[Terminal]]


@pytest.fixture
def opened(llm: LLM, environ: Mapping[str, str], workspace: Path) -> Open:
    def open_chat(*arguments: str, **variables: str) -> AbstractContextManager[Terminal]:
        return terminal([*llm.flags, *arguments], cwd=workspace, environ={**environ, **variables})

    return open_chat


def _echo(screen: Terminal) -> bool:
    return bool(termios.tcgetattr(screen.master)[3] & termios.ECHO)


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_conversation_goes_on_from_question_to_question(llm: LLM, opened: Open) -> None:
    llm.script = [Reply("Hello \x1b[2Jthere."), Reply("As I said.")]
    with opened() as screen:
        screen.see("victor: using openai-compatible / m")
        screen.see("mode ask")
        screen.ready()
        screen.type("hi\r")
        screen.see("Hello there.\r\n")
        screen.see("1 turn · 15 tokens · ")
        screen.ready()
        screen.type("again\r")
        screen.see("As I said.")
        screen.ready()
        screen.type("/exit\r")
        assert screen.end() == 0
    said = [message["content"] for message in llm.requests[1]["messages"][1:]]
    assert said == ["hi", "Hello \x1b[2Jthere.", "again"]
    assert b"\x1b[2J" not in screen.raw


def test_the_screen_is_never_cleared_nor_swapped(llm: LLM, opened: Open) -> None:
    llm.script = [Reply("one\n\ntwo\nthree")]
    with opened() as screen:
        screen.ready()
        screen.type("hi\r")
        screen.see("three\r\n")
        screen.ready()
        screen.type("\x04")
        assert screen.end() == 0
    for sequence in (b"\x1b[2J", b"\x1b[?1049h", b"\x1b[3J", b"\x1b[6n"):
        assert sequence not in screen.raw


@pytest.mark.parametrize("key", ["\x1b", "\x03"], ids=["esc", "ctrl-c"])
def test_an_answer_is_interrupted_at_once_and_the_conversation_goes_on(
    key: str, llm: LLM, opened: Open
) -> None:
    llm.script = [Reply("I was about to", hangs=True), Reply("Fine.")]
    with opened() as screen:
        screen.ready()
        screen.type("long question\r")
        screen.see("about to")
        began = time.monotonic()
        screen.type(key)
        screen.see("interrupted")
        assert time.monotonic() - began < 0.5
        screen.ready()
        screen.type("go on\r")
        screen.see("Fine.")
        screen.ready()
        screen.type("\x04")
        assert screen.end() == 0
    said = [(item["role"], item["content"]) for item in llm.requests[1]["messages"][1:]]
    assert said == [
        ("user", "long question"),
        ("assistant", "I was about to"),
        ("user", "go on"),
    ]


def test_a_running_command_is_interrupted_with_its_children(
    llm: LLM, opened: Open, workspace: Path
) -> None:
    command = f"trap '' TERM; : {workspace}; while :; do sleep 0.05; done"
    llm.script = [Reply(calls=[("shell", {"command": command})]), Reply("Fine.")]
    with opened("--mode", "auto") as screen:
        screen.ready()
        screen.type("do it\r")
        screen.see("● shell trap")
        _wait(lambda: bool(processes_saying(command)))
        screen.type("\x03")
        screen.see("interrupted")
        assert processes_saying(command) == []
        screen.ready()
        screen.type("and now?\r")
        screen.see("Fine.")
    calls = [item for item in llm.requests[1]["messages"] if item.get("tool_calls")]
    results = [item for item in llm.requests[1]["messages"] if item["role"] == "tool"]
    assert [item["tool_call_id"] for item in results] == [calls[0]["tool_calls"][0]["id"]]


@pytest.mark.parametrize(
    ("typed", "written", "told"),
    [
        ("y", True, "Created new.txt"),
        ("n", False, "the user refused this call."),
        ("call it old.txt", False, "this call was refused: the user says: call it old.txt"),
    ],
    ids=["yes", "no", "reason"],
)
def test_an_edit_is_shown_and_waits_for_a_decision(
    typed: str, written: bool, told: str, llm: LLM, opened: Open, workspace: Path
) -> None:
    llm.script = [WRITE, Reply("So be it.")]
    with opened() as screen:
        screen.ready()
        screen.type("write\r")
        assert "  | +hi" in screen.see("or say why not: ")
        _wait(lambda: _echo(screen))
        screen.type(typed + "\n")
        screen.see("So be it.")
        assert (workspace / "new.txt").exists() == written
    assert told in llm.requests[1]["messages"][-1]["content"]


def test_allowing_edits_lasts_for_the_session(llm: LLM, opened: Open, workspace: Path) -> None:
    again = Reply(calls=[("write", {"path": "two.txt", "content": "2\n"})])
    llm.script = [WRITE, again, Reply("Both.")]
    with opened() as screen:
        screen.ready()
        screen.type("write\r")
        screen.see("[s]ession: every write")
        _wait(lambda: _echo(screen))
        screen.type("s\n")
        screen.see("Both.")
    assert (workspace / "two.txt").exists()


def test_what_was_typed_before_a_question_does_not_answer_it(
    llm: LLM, opened: Open, workspace: Path
) -> None:
    llm.script = [WRITE, Reply("Not done.")]
    with opened() as screen:
        screen.ready()
        # The second line arrives with the first: it must not become the answer.
        screen.type("write\ry\ry\n")
        screen.see("or say why not: ")
        screen.type("y\n")
        _wait(lambda: _echo(screen))
        assert not (workspace / "new.txt").exists()
        screen.type("n\n")
        screen.see("Not done.")
    assert not (workspace / "new.txt").exists()


def test_ctrl_c_at_a_question_interrupts(llm: LLM, opened: Open, workspace: Path) -> None:
    llm.script = [WRITE, Reply("Fine.")]
    with opened() as screen:
        screen.ready()
        screen.type("write\r")
        screen.see("or say why not: ")
        _wait(lambda: _echo(screen))
        screen.type("\x03")
        screen.see("interrupted")
        screen.ready()
        screen.type("well?\r")
        screen.see("Fine.")
    assert not (workspace / "new.txt").exists()


def test_text_typed_during_an_answer_waits_on_the_next_line(llm: LLM, opened: Open) -> None:
    llm.script = [Reply("thinking", hangs=True), Reply("Fine.")]
    with opened() as screen:
        screen.ready()
        screen.type("first\r")
        screen.see("thinking")
        screen.type("sec\x1b[Aond\x1bOB\x1b")
        screen.see("interrupted")
        screen.ready()
        screen.see("> second")
        screen.type("\r")
        screen.see("Fine.")
    assert llm.requests[1]["messages"][-1]["content"] == "second"


def test_alt_enter_starts_a_new_line(llm: LLM, opened: Open) -> None:
    llm.script = [Reply("Two lines.")]
    with opened() as screen:
        screen.ready()
        screen.type("one\x1b\rtwo\r")
        screen.see("Two lines.")
    assert llm.requests[0]["messages"][-1]["content"] == "one\ntwo"


def test_a_failed_turn_is_shown_and_the_conversation_goes_on(llm: LLM, opened: Open) -> None:
    llm.script = [Reply("no such thing", status=400), Reply("Better.")]
    with opened() as screen:
        screen.ready()
        screen.type("one\r")
        screen.see("victor: error: ")
        screen.see("no such thing")
        screen.ready()
        screen.type("two\r")
        screen.see("Better.")
        screen.ready()
        screen.type("/exit\r")
        assert screen.end() == 0


def test_the_mode_changes_in_the_conversation_and_stays(
    llm: LLM, opened: Open, workspace: Path
) -> None:
    llm.script = [WRITE, Reply("Refused."), WRITE, Reply("Done.")]
    with opened() as screen:
        for typed, shown in [
            ("/mode", "mode ask"),
            ("/mode all", "no mode 'all': use one of ask, accept-edits, plan, auto"),
            ("/mode plan", "mode plan"),
            ("/model other", "using openai-compatible / other"),
            ("write", "Refused."),
            ("/mode accept-edits", "mode accept-edits"),
            ("write", "Done."),
        ]:
            screen.ready()
            assert not (workspace / "new.txt").exists()
            screen.type(typed + "\r")
            screen.see(shown)
    assert (workspace / "new.txt").exists()


def test_a_spent_budget_is_said(llm: LLM, opened: Open) -> None:
    llm.script = [Reply(calls=[("read", {"path": "README.md"})])]
    with opened("--max-turns", "1") as screen:
        screen.ready()
        screen.type("one\r")
        screen.see("stopped early: max turns")


def test_commands_help_change_and_clear(llm: LLM, opened: Open) -> None:
    llm.script = [Reply("one"), Reply("two"), Reply("three")]
    with opened() as screen:
        for typed, shown in [
            ("/help", "/model"),
            ("/model", "using openai-compatible / m"),
            ("first", "one"),
            ("/model other", "using openai-compatible / other"),
            ("second", "two"),
            ("/clear", "starts anew"),
            ("third", "three"),
            ("/exti", "did you mean /exit?"),
            ("/etc/hosts", "/help lists the commands. To ask"),
        ]:
            screen.ready()
            screen.type(typed + "\r")
            screen.see(shown)
        screen.ready()
        screen.type("/exit\r")
        assert screen.end() == 0
    assert [request["model"] for request in llm.requests] == ["m", "other", "other"]
    assert [item["content"] for item in llm.requests[1]["messages"][1:]] == [
        "first",
        "one",
        "second",
    ]
    assert [item["role"] for item in llm.requests[2]["messages"]] == ["system", "user"]


def test_ctrl_c_at_the_prompt_says_how_to_leave(llm: LLM, opened: Open) -> None:
    llm.script = [Reply("Fine.")]
    with opened() as screen:
        screen.ready()
        screen.type("half a\x03")
        screen.see("Ctrl-D or /exit leaves")
        screen.ready()
        screen.type("whole\r")
        screen.see("Fine.")
    assert llm.requests[0]["messages"][-1]["content"] == "whole"


def test_the_history_is_kept_for_its_owner_alone(
    llm: LLM, opened: Open, environ: Mapping[str, str]
) -> None:
    llm.script = [Reply("Fine.")]
    with opened() as screen:
        screen.ready()
        screen.type("remember me\r")
        screen.see("Fine.")
        screen.ready()
        screen.type("\x04")
        assert screen.end() == 0
    file = Path(environ["HOME"], ".local/state/victor/history")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    with opened() as screen:
        screen.ready()
        screen.type("\x1b[A")
        screen.see("remember me")
        screen.type("\r")
        screen.see("Fine.")
    assert llm.requests[1]["messages"][-1]["content"] == "remember me"


def test_without_a_place_for_the_history_there_is_none(
    llm: LLM, opened: Open, tmp_path: Path
) -> None:
    llm.script = [Reply("Fine.")]
    (tmp_path / "file").write_text("")
    with opened(XDG_STATE_HOME=str(tmp_path / "file")) as screen:
        screen.ready()
        screen.type("hi\r")
        screen.see("Fine.")


def test_sigterm_ends_the_chat_and_restores_the_terminal(llm: LLM, opened: Open) -> None:
    llm.script = [Reply("thinking", hangs=True)]
    with opened() as screen:
        screen.ready()
        screen.type("hi\r")
        screen.see("thinking")
        assert not _echo(screen)
        screen.process.send_signal(signal.SIGTERM)
        assert screen.process.wait(5) == 143
        assert _echo(screen)


def test_a_dumb_terminal_gets_plain_lines(llm: LLM, opened: Open) -> None:
    llm.script = [Reply("Fine.")]
    with opened(TERM="dumb") as screen:
        screen.see("> ")
        screen.type("hi\n")
        screen.see("Fine.")
        screen.see("> ")
        screen.type("\x04")
        assert screen.end() == 0
    assert b"\x1b" not in screen.raw


@pytest.fixture
def piped(
    llm: LLM,
    environ: Mapping[str, str],
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[str], tuple[str, str]]:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workspace)

    def talk(lines: str) -> tuple[str, str]:
        (workspace.parent / "lines").write_text(lines)
        with (workspace.parent / "lines").open() as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            assert main(["chat", *llm.flags]) == 0
        out, err = capsys.readouterr()
        return out, err

    return talk


def test_lines_can_be_piped_in(llm: LLM, piped: Callable[[str], tuple[str, str]]) -> None:
    llm.script = [Reply("One."), Reply("Two.")]
    assert piped("first\r\n\nsecond")[0] == "One.\nTwo.\n"
    assert [item["content"] for item in llm.requests[1]["messages"][1:]] == [
        "first",
        "One.",
        "second",
    ]


def test_nobody_is_asked_on_a_pipe(
    llm: LLM, piped: Callable[[str], tuple[str, str]], workspace: Path
) -> None:
    llm.script = [WRITE, Reply("I could not.")]
    assert piped("write\ny\n/exit\n")[0].startswith("I could not.\n")
    assert not (workspace / "new.txt").exists()


def test_a_command_that_fails_is_shown(
    llm: LLM, piped: Callable[[str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    discover = HTTPProvider.discover_capabilities

    async def picky(self: HTTPProvider, model: str) -> Capabilities:
        if model == "other":
            raise ModelNotFoundError("no such model")
        return await discover(self, model)

    monkeypatch.setattr(HTTPProvider, "discover_capabilities", picky)
    llm.script = [Reply("Still here.")]
    out, err = piped("/model other\nhello\n")
    assert "victor: error: no such model\nnext: choose another model" in err
    assert out == "Still here.\n"


def test_a_bug_does_not_cost_the_conversation(
    llm: LLM, piped: Callable[[str], tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    show = Renderer.show

    def broken(self: Renderer, event: AgentEvent) -> None:
        if isinstance(event, TextDelta) and event.text.startswith("Bad"):
            raise ZeroDivisionError("oh")
        show(self, event)

    monkeypatch.setattr(Renderer, "show", broken)
    monkeypatch.delenv("VICTOR_DEBUG", raising=False)
    llm.script = [Reply("Bad."), Reply("Good.")]
    out, err = piped("one\ntwo\n")
    assert "victor: internal error: ZeroDivisionError: oh\nnext: please report it" in err
    assert out == "Good.\n"

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import LLM, Reply, processes_saying, terminal
from victor.cli.main import main
from victor.cli.run import MOST_PIPED

READ = Reply(calls=[("read", {"path": "README.md"})])
TOUCH_IN_SHELL = Reply(calls=[("shell", {"command": "touch new.txt"})])
WRITE = Reply(calls=[("write", {"path": "new.txt", "content": "hi\n"})])


@pytest.fixture(autouse=True)
def _at_home(environ: Mapping[str, str], workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("VICTOR_", "XDG_")) or name.endswith(("_API_KEY", "_TOKEN")):
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workspace)


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[bytes], None]]:
    with (tmp_path / "stdin").open("w+b") as file, io.TextIOWrapper(file) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)

        def pipe(content: bytes) -> None:
            file.write(content)
            file.seek(0)

        yield pipe


def _start(
    arguments: list[str], environ: Mapping[str, str], workspace: Path, **options: Any
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "victor", "run", *arguments],
        env=environ,
        cwd=workspace,
        text=True,
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        },
    )


def test_stdout_is_the_answer_alone(llm: LLM, capsys: pytest.CaptureFixture[str]) -> None:
    llm.script = [READ, Reply("It is 42.")]
    assert main(["run", *llm.flags, "What", "is", "the answer?"]) == 0
    out, err = capsys.readouterr()
    assert out == "It is 42.\n"
    assert err.startswith("victor: using openai-compatible / m (--provider)\n● read README.md (0.0")
    asked = llm.requests[0]["messages"]
    assert asked[0]["role"] == "system"
    assert str(Path.cwd()) in asked[0]["content"]
    assert asked[1]["content"] == "What is the answer?"
    assert "The answer is 42." in llm.requests[1]["messages"][-1]["content"]
    assert [item["function"]["name"] for item in llm.requests[0]["tools"]] == [
        "list_files",
        "read",
        "glob",
        "grep",
        "write",
        "edit",
        "multi_edit",
        "shell",
        "shell_start",
        "shell_read",
        "shell_write",
        "shell_stop",
        "web_fetch",
        "todo",
        "ask_user",
    ]


def test_json_says_all_in_one_object(llm: LLM, capsys: pytest.CaptureFixture[str]) -> None:
    llm.script = [READ, Reply("It is 42\x1b[2J.")]
    assert main(["run", *llm.flags, "--output", "json", "?"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    found = json.loads(out)
    assert found["tool_calls"][0].pop("seconds") < 5
    assert found == {
        "version": 1,
        "content": "It is 42\x1b[2J.",
        "stop_reason": "stop",
        "turns": 2,
        "tool_calls": [
            {"name": "read", "arguments": {"path": "README.md"}, "is_error": False},
        ],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 10,
            "total_tokens": 30,
            "cached_tokens": None,
            "cache_write_tokens": None,
            "reasoning_tokens": None,
        },
        "provider": "openai-compatible",
        "model": "m",
        "exit_code": 0,
        "events": [
            {
                "type": "attempt_started",
                "attempt": 1,
                "provider": "openai-compatible",
                "model": "m",
            }
        ]
        * 2,
    }


@pytest.mark.parametrize(
    ("reply", "code", "kind", "retry_after"),
    [
        (Reply("no", status=401), 77, "ProviderAuthError", None),
        (Reply("no", status=400), 1, "ProviderInvalidRequestError", None),
        (
            Reply("no", status=429, headers={"retry-after": "100"}),
            75,
            "ProviderRateLimitError",
            100.0,
        ),
    ],
    ids=["auth", "bad-request", "rate-limit"],
)
def test_a_failure_is_one_object_too(
    reply: Reply,
    code: int,
    kind: str,
    retry_after: float | None,
    llm: LLM,
    capsys: pytest.CaptureFixture[str],
) -> None:
    llm.script = [reply]
    assert main(["run", *llm.flags, "-o", "json", "?"]) == code
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert error.pop("message") in err
    assert error == {"type": kind, "exit_code": code, "retry_after": retry_after}


def test_a_failure_in_text_leaves_stdout_empty(
    llm: LLM, capsys: pytest.CaptureFixture[str]
) -> None:
    llm.script = [Reply("slow down", status=429, headers={"retry-after": "100"})]
    assert main(["run", *llm.flags, "?"]) == 75
    out, err = capsys.readouterr()
    assert out == ""
    assert "victor: error: " in err
    assert "slow down" in err
    assert "next: try again at " in err
    assert "(in 100 s)" in err


def test_a_retry_says_how_long_it_waits(llm: LLM, capsys: pytest.CaptureFixture[str]) -> None:
    llm.script = [Reply("busy", status=503, headers={"retry-after-ms": "10"}), Reply("ok")]
    assert main(["run", *llm.flags, "?"]) == 0
    out, err = capsys.readouterr()
    assert out == "ok\n"
    assert "↻ " in err
    assert "busy; attempt 2 in " in err


def test_what_is_piped_in_is_context(
    llm: LLM, piped: Callable[[bytes], None], capsys: pytest.CaptureFixture[str]
) -> None:
    llm.script = [Reply("ok")]
    piped(b"diff --git\n\xff\n")
    assert main(["run", *llm.flags, "review", "this"]) == 0
    assert llm.requests[0]["messages"][1]["content"] == (
        "review this\n\n<stdin>\ndiff --git\n\ufffd\n</stdin>"
    )
    assert capsys.readouterr().out == "ok\n"


def test_a_question_alone_may_be_piped_in(llm: LLM, piped: Callable[[bytes], None]) -> None:
    llm.script = [Reply("ok")]
    piped(b"what?\n")
    assert main(["run", *llm.flags]) == 0
    assert llm.requests[0]["messages"][1]["content"] == "what?"


def test_an_empty_pipe_adds_nothing(llm: LLM, piped: Callable[[bytes], None]) -> None:
    llm.script = [Reply("ok")]
    piped(b"\n")
    assert main(["run", *llm.flags, "what?"]) == 0
    assert llm.requests[0]["messages"][1]["content"] == "what?"


@pytest.mark.parametrize(
    ("arguments", "content", "says"),
    [
        ([], b"", "there is no question"),
        (["  "], b" \n", "there is no question"),
        (["?"], b"x" * (MOST_PIPED + 1), "more than 1,000,000 bytes on stdin"),
        (["-C", "nowhere", "?"], b"", "--workspace nowhere is not a directory"),
        (["--base-url", "http://x", "?"], b"", "--base-url needs --provider"),
    ],
    ids=["nothing", "blank", "too-much", "workspace", "base-url"],
)
def test_what_cannot_be_used_is_a_usage_error(
    arguments: list[str],
    content: bytes,
    says: str,
    piped: Callable[[bytes], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    piped(content)
    assert main(["run", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err


def test_a_closed_stdin_is_no_input(llm: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    llm.script = [Reply("ok")]
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["run", *llm.flags, "what?"]) == 0
    assert llm.requests[0]["messages"][1]["content"] == "what?"


def test_a_silent_pipe_is_waited_for_and_that_is_said(
    llm: LLM, environ: Mapping[str, str], workspace: Path
) -> None:
    llm.script = [Reply("ok")]
    process = _start([*llm.flags, "?"], environ, workspace, stdin=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("victor: waiting for the end of stdin")
    out, err = process.communicate("late\n", timeout=15)
    assert (process.returncode, out) == (0, "ok\n"), err
    assert "late" in llm.requests[0]["messages"][1]["content"]


def test_a_spent_budget_has_its_own_exit_code(llm: LLM, capsys: pytest.CaptureFixture[str]) -> None:
    llm.script = [Reply("I will look. ", calls=READ.calls)]
    assert main(["run", *llm.flags, "--max-turns", "1", "?"]) == 3
    out, err = capsys.readouterr()
    assert out == "I will look. \n"
    assert "--max-turns" in err


@pytest.mark.parametrize(
    ("finish", "code"), [("length", 0), ("content_filter", 1)], ids=["length", "filter"]
)
def test_an_answer_that_was_cut_off_says_so(
    finish: str, code: int, llm: LLM, capsys: pytest.CaptureFixture[str]
) -> None:
    llm.script = [Reply("half an", finish=finish)]
    assert main(["run", *llm.flags, "?"]) == code
    out, err = capsys.readouterr()
    assert out == "half an\n"
    assert "cut off" in err


def test_without_a_terminal_nothing_is_approved(
    llm: LLM, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    llm.script = [WRITE, Reply("I could not.")]
    assert main(["run", *llm.flags, "?"]) == 4
    out, err = capsys.readouterr()
    assert out == "I could not.\n"
    assert "--mode accept-edits" in err
    assert not (workspace / "new.txt").exists()


@pytest.mark.parametrize(
    ("mode", "reply", "code", "written"),
    [
        ("accept-edits", WRITE, 0, True),
        ("accept-edits", TOUCH_IN_SHELL, 4, False),
        ("auto", WRITE, 0, True),
        ("plan", WRITE, 0, False),
    ],
    ids=["edits-edit", "edits-shell", "auto", "plan"],
)
def test_the_mode_decides_what_runs(
    mode: str, reply: Reply, code: int, written: bool, llm: LLM, workspace: Path
) -> None:
    llm.script = [reply, Reply("So.")]
    assert main(["run", *llm.flags, "--mode", mode, "?"]) == code
    assert (workspace / "new.txt").exists() == written


def test_another_workspace_can_be_named(llm: LLM, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    llm.script = [WRITE, Reply("So.")]
    assert main(["run", *llm.flags, "-C", str(other), "--mode", "auto", "?"]) == 0
    assert (other / "new.txt").read_text() == "hi\n"


def test_a_time_limit_ends_the_run(llm: LLM, capsys: pytest.CaptureFixture[str]) -> None:
    llm.script = [Reply("so far", hangs=True)]
    assert main(["run", *llm.flags, "--timeout", "0.3", "?"]) == 124
    out, err = capsys.readouterr()
    assert out == ""
    assert "no answer within 0.3 s (--timeout)" in err


def test_a_provider_that_asks_for_more_time_than_there_is_is_not_waited_for(
    llm: LLM, capsys: pytest.CaptureFixture[str]
) -> None:
    llm.script = [Reply(status=503, headers={"retry-after": "3600"})]
    assert main(["run", *llm.flags, "--timeout", "30", "?"]) == 75
    assert len(llm.requests) == 1
    assert "503" in capsys.readouterr().err


def test_verbose_shows_what_a_run_took(llm: LLM, capsys: pytest.CaptureFixture[str]) -> None:
    llm.script = [Reply("ok")]
    assert main(["run", *llm.flags, "-v", "?"]) == 0
    assert "1 turn · 15 tokens · " in capsys.readouterr().err


def test_an_answer_cannot_act_on_the_terminal(llm: LLM, capsys: pytest.CaptureFixture[str]) -> None:
    llm.script = [Reply("a \x1b]52;c;cm0=\x07b\x1b[2J [/bold]\x9b1mc")]
    assert main(["run", *llm.flags, "?"]) == 0
    assert capsys.readouterr().out == "a b [/bold]c\n"


def test_an_error_body_cannot_act_on_the_terminal(
    llm: LLM, capsys: pytest.CaptureFixture[str]
) -> None:
    llm.script = [Reply("no \x1b]0;title\x07\x1b[2J\x9b2J way", status=400)]
    assert main(["run", *llm.flags, "?"]) == 1
    err = capsys.readouterr().err
    assert "way" in err
    assert not set("\x1b\x07\x9b") & set(err)


def test_a_question_of_dashes_needs_a_separator(llm: LLM) -> None:
    llm.script = [Reply("ok")]
    assert main(["run", *llm.flags, "--", "--settings=x"]) == 0
    assert llm.requests[0]["messages"][1]["content"] == "--settings=x"
    assert main(["run", *llm.flags, "--settings=x"]) == 2


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["int", "term", "hup"],
)
def test_a_signal_ends_a_hanging_answer_at_once(
    number: int, code: int, llm: LLM, environ: Mapping[str, str], workspace: Path
) -> None:
    llm.script = [Reply(calls=READ.calls), Reply("so far", hangs=True)]
    process = _start([*llm.flags, "-o", "json", "?"], environ, workspace)
    assert process.stderr is not None
    process.stderr.readline()
    assert "read" in process.stderr.readline()  # from here on it waits for the second answer
    began = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 1.0
    assert process.returncode == code, err
    assert json.loads(out)["error"]["exit_code"] == code
    assert "Traceback" not in err


def test_ctrl_c_takes_the_running_command_along(
    llm: LLM, environ: Mapping[str, str], workspace: Path
) -> None:
    command = f"trap '' TERM; : {workspace}; while :; do sleep 0.05; done"
    llm.script = [Reply(calls=[("shell", {"command": command})]), Reply("never")]
    process = _start([*llm.flags, "--mode", "auto", "?"], environ, workspace)
    end = time.monotonic() + 15
    while not processes_saying(command):
        assert time.monotonic() < end
        assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - began < 1.0
    assert process.returncode == 130, err
    assert processes_saying(command) == []


def test_a_reader_that_goes_away_is_no_error(
    llm: LLM, environ: Mapping[str, str], workspace: Path
) -> None:
    llm.script = [Reply("ok")]
    reader, writer = os.pipe()
    os.close(reader)
    process = _start([*llm.flags, "?"], environ, workspace, stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=15)
    assert process.returncode == 141
    assert "rror" not in err


def test_a_terminal_sees_the_answer_come_and_can_approve(
    llm: LLM, environ: Mapping[str, str], workspace: Path
) -> None:
    llm.script = [WRITE, Reply("All \x1b[2Jdone.")]
    with terminal(["run", *llm.flags, "?"], cwd=workspace, environ=environ) as screen:
        assert "+hi" in screen.see("or say why not: ")
        assert not (workspace / "new.txt").exists()
        screen.type_until("y\n", "● write new.txt (0.")
        screen.see("All done.\r\n")
        assert screen.end() == 0
    assert (workspace / "new.txt").read_text() == "hi\n"
    assert b"\x1b[2J" not in screen.raw


def test_only_the_answer_goes_to_a_redirected_stdout(
    llm: LLM, environ: Mapping[str, str], workspace: Path, tmp_path: Path
) -> None:
    llm.script = [READ, Reply("It is 42.")]
    with (tmp_path / "out").open("wb") as out:
        arguments = ["run", *llm.flags, "?"]
        with terminal(arguments, cwd=workspace, environ=environ, stdout=out) as screen:
            screen.see("● read README.md (0.")
            assert screen.end() == 0
    assert (tmp_path / "out").read_text() == "It is 42.\n"


def test_files_go_with_the_question(llm: LLM, workspace: Path) -> None:
    (workspace / "dot.png").write_bytes(b"\x89PNG\r\n\x1a\n rest")
    (workspace / "notes.pdf").write_bytes(b"%PDF-1.7 rest")
    llm.script = [Reply("A dot.")]
    files = ["--attach", "dot.png", "-a", "notes.pdf"]
    assert main(["run", *llm.flags, *files, "What is it?"]) == 0
    text, image, document = llm.requests[0]["messages"][1]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert document["file"]["filename"] == "notes.pdf"


@pytest.mark.parametrize("name", ["missing.png", "."])
def test_a_file_that_cannot_go_along_is_named(
    llm: LLM, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    llm.script = [Reply("No.")]
    assert main(["run", *llm.flags, "--attach", name, "What is it?"]) == 2
    assert llm.requests == []
    assert "victor: error: --attach: " in (err := capsys.readouterr().err)
    assert repr(name) in err

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.support import LLM, Reply, terminal
from victor import __version__
from victor.cli.main import main


def test_the_version_can_be_had_beside_other_flags(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-V"]) == 0
    assert capsys.readouterr().out == f"victor {__version__}\n"


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_every_command(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag]) == 0
    out = capsys.readouterr().out
    for name in ("run", "chat", "models", "providers", "keys", "doctor"):
        assert f"\n  {name} " in out
    assert len(out.splitlines()) <= 25


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize(
    "command",
    [
        *("run", "chat", "models", "providers", "keys", "permissions", "mcp", "drill", "doctor"),
        *("models pull", "providers check", "keys set", "permissions explain", "mcp add"),
    ],
)
def test_every_command_has_help(
    command: str, flag: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*command.split(), flag]) == 0
    out = capsys.readouterr().out
    assert f"Usage: victor {command}" in out
    assert "..." not in out.partition("\nCommands:")[2], "a summary is cut"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["What is this?"], "did you mean: victor run 'What is this?'\n"),
        (["what", "is", "it"], "did you mean: victor run 'what is it'\n"),
        (["doctr"], "did you mean: victor doctor\n"),
        (["x\x1b[2J"], "did you mean: victor run 'x'\n"),
    ],
    ids=["question", "words", "typo", "escape"],
)
def test_a_question_without_a_command_gets_the_right_one(
    arguments: list[str], advice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("victor: error: there is no command ")
    assert err.endswith(advice)
    assert "\x1b" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--mode", "yolo", "?"],
        ["run", "--max-turns", "0", "?"],
        ["run", "--timeout", "-1", "?"],
        ["run", "--output", "xml", "?"],
        ["run", "--nonsense", "?"],
        ["models", "nonsense"],
        ["--nonsense"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_unknown_provider_is_a_configuration_error(
    environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", environ["HOME"])
    assert main(["run", "--provider", "opnai", "?"]) == 78
    assert "did you mean openai" in capsys.readouterr().err


def test_a_bug_is_one_line_unless_the_traceback_is_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError("\x1b[2Jdivided")

    monkeypatch.delenv("VICTOR_DEBUG", raising=False)
    monkeypatch.setattr("victor.cli.compose.Flags", broken)
    assert main(["run", "?"]) == 1
    assert capsys.readouterr().err == (
        "victor: internal error: ZeroDivisionError: divided\n"
        "next: please report it; set VICTOR_DEBUG=1 for the traceback\n"
    )
    monkeypatch.setenv("VICTOR_DEBUG", "1")
    assert main(["run", "?"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_terminal_that_is_not_utf_8_gets_a_question_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written = io.BytesIO()
    with io.TextIOWrapper(written, encoding="ascii") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        assert main(["é"]) == 2
        stderr.flush()
        assert b"there is no command '?'" in written.getvalue()


def test_closed_streams_are_no_bug(llm: LLM, environ: Mapping[str, str], workspace: Path) -> None:
    llm.script = [Reply("Fine.")]
    victor = f"'{sys.executable}' -m victor"
    for command, code in [
        (f"{victor} run {' '.join(llm.flags)} hi <&- >out 2>&-", 0),
        (f"{victor} run {' '.join(llm.flags)} hi <&- >&- 2>&-", 0),
        (f"{victor} run <&- >&-", 2),
        (f"{victor} chat <&- >&- 2>err", 2),
    ]:
        run = subprocess.run(
            ["sh", "-c", command], env=environ, cwd=workspace, check=False, timeout=30
        )
        assert run.returncode == code, command
    assert (workspace / "out").read_text() == "Fine.\n"
    assert "stdin is closed" in (workspace / "err").read_text()


def test_a_sub_command_does_not_pay_for_the_others(tmp_path: Path) -> None:
    code = (
        "import sys; from victor.cli.main import main; main(['run', '--help']);"
        "heavy = ('keyring', 'httpx', 'prompt_toolkit', 'rich', 'victor.cli.keys',"
        " 'victor.cli.models', 'victor.cli.chat', 'pydantic_core');"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
        timeout=30,
    )
    found = set(run.stderr.strip().strip("[]").replace("'", "").split(", "))
    assert found <= {"", "pydantic_core"}, "pydantic's core is what typer reads arguments with"


def test_flags_without_a_command_start_a_chat(
    llm: LLM, environ: Mapping[str, str], workspace: Path
) -> None:
    llm.script = [Reply("Fine.")]
    with terminal(llm.flags, cwd=workspace, environ=environ) as screen:
        screen.ready()
        screen.type("\x04")
        assert screen.end() == 0


def test_help_into_a_closed_pipe_is_quiet(environ: Mapping[str, str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    run = subprocess.run(
        [sys.executable, "-m", "victor", "--help"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environ,
        cwd=tmp_path,
        check=False,
        timeout=30,
    )
    os.close(writer)
    assert run.returncode == 141
    assert run.stderr == b""

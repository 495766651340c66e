from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from victor.cli.models import app
from victor.local.catalog import WEIGHTS, Weights
from victor.local.lock import exclusive

ROW = WEIGHTS["qwen2.5-coder-0.5b"]
SCRIPT = "from victor.cli.models import app; app()"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("VICTOR_LOCAL_MODEL", raising=False)
    monkeypatch.setenv("VICTOR_WEIGHTS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    return tmp_path / "victor" / "models"


@pytest.fixture
def here(cache: Path) -> Path:
    return place(cache / ROW.file, ROW)


def place(path: Path, row: Weights) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, row.size)
    return path


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("arguments", [[], ["list"]], ids=["default", "list"])
def test_the_list_tells_what_there_is_and_how_to_get_it(arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert re.search(r"qwen2\.5-coder-0\.5b +469 MiB +no +Apache-2\.0 +\(default\)\n", out)
    assert re.search(r"qwen2\.5-coder-1\.5b +1,066 MiB +no +Apache-2\.0\n", out)
    assert "victor models pull qwen2.5-coder-1.5b" in out


def test_the_list_tells_where_a_downloaded_model_is(here: Path) -> None:
    _, out, _ = run("list")
    assert "469 MiB  yes" in out
    assert str(here) in out


def test_the_list_tells_of_a_model_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VICTOR_LOCAL_MODEL", "/mine.gguf")
    assert "VICTOR_LOCAL_MODEL is set: victor uses /mine.gguf" in run("list")[1]


def test_the_path_is_all_that_is_printed(here: Path) -> None:
    assert run("path") == (0, f"{here}\n", "")
    assert run("path", "0.5b") == (0, f"{here}\n", "")


def test_the_path_of_a_missing_model_is_a_config_error_with_the_command() -> None:
    code, out, err = run("path", "1.5b")
    assert (code, out) == (78, "")
    assert "victor models pull qwen2.5-coder-1.5b" in err


def test_pulling_what_is_there_prints_where(here: Path) -> None:
    code, out, err = run("pull")
    assert (code, out) == (0, f"{here}\n")
    assert "licence Apache-2.0" in err
    assert f"{here}.LICENSE.txt" in err


def test_pulling_an_unknown_model_is_a_config_error() -> None:
    code, _, err = run("pull", "gpt-9")
    assert code == 78
    assert "No embedded model is called 'gpt-9'" in err


def test_pulling_from_a_wrong_file_fails(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("x")
    code, out, err = run("pull", "0.5b", "--from", str(wrong))
    assert (code, out) == (1, "")
    assert f"{wrong}: it has 1 bytes, expected 491,400,064" in err


def test_pulling_with_no_place_to_pull_from_fails_with_the_next_step() -> None:
    code, _, err = run("pull", "0.5b")
    assert code == 1
    assert "victor models pull qwen2.5-coder-0.5b --from FILE" in err


def test_wrong_usage_is_two() -> None:
    assert run("pull", "--nonsense")[0] == 2
    assert run("remove")[0] == 2


def test_verifying_tells_a_line_per_tenth_where_there_is_no_terminal(here: Path) -> None:
    code, _, err = run("pull", "--verify")
    assert code == 1  # zeros are not the model, and there is nowhere to get it from
    lines = [line for line in err.splitlines() if line.startswith("checking: ")]
    assert lines == [f"checking: {tenth} %" for tenth in range(0, 101, 10)]


def test_removing_deletes_the_file(here: Path) -> None:
    code, out, err = run("remove", "0.5b", "--yes")
    assert (code, out) == (0, "")
    assert "Removed qwen2.5-coder-0.5b (469 MiB)" in err
    assert not here.exists()


def test_removing_nothing_says_so() -> None:
    code, _, err = run("remove", "0.5b")
    assert code == 0
    assert "nothing to remove" in err


def test_a_script_has_to_say_yes(here: Path) -> None:
    code, _, err = run("remove", "0.5b")
    assert code == 2
    assert "--yes" in err
    assert here.exists()


def on_a_terminal(*arguments: str, answer: str = "") -> tuple[int, str]:
    primary, secondary = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    ) as process:
        os.close(secondary)
        os.write(primary, answer.encode())
        shown = b""
        while select.select([primary], [], [], 60)[0]:
            try:
                block = os.read(primary, 65_536)
            except OSError:  # how Linux tells that the other side is closed
                break
            if not block:
                break
            shown += block
    os.close(primary)
    return process.returncode, shown.decode()


def test_an_interrupt_ends_it_with_a_word_and_keeps_what_is_there(cache: Path) -> None:
    cache.mkdir(parents=True)
    partial = cache / f"{ROW.file}.partial"
    partial.write_bytes(b"GGUF")
    with (
        exclusive(cache / f"{ROW.file}.lock"),
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, "pull"], stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        assert process.stderr.readline().startswith("waiting for another victor")
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == (
            "victor: stopped; the same command goes on where it was.\n"
        )
    assert process.returncode == 130
    assert partial.read_bytes() == b"GGUF"


@pytest.mark.parametrize(("answer", "kept"), [("n\n", True), ("y\n", False)])
def test_a_person_is_asked_before_a_model_is_deleted(here: Path, answer: str, kept: bool) -> None:
    code, shown = on_a_terminal("remove", "0.5b", answer=answer)
    assert f"Delete {here} (469 MiB)?" in shown.replace("\r\n", "")
    assert here.exists() == kept
    assert code == (1 if kept else 0)


def test_a_person_sees_a_bar(here: Path) -> None:
    code, shown = on_a_terminal("pull", "--verify")
    assert code == 1
    assert "checking" in shown
    assert "━" in shown
    assert "Could not get the model" in shown

from __future__ import annotations

import ctypes
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.local.engine import CRASHES, install
from victor.local.server import main

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    monkeypatch.syspath_prepend(install(tmp_path / "engine"))
    monkeypatch.delitem(sys.modules, "xllamacpp", raising=False)
    model = tmp_path / "pretend.gguf"
    stdout, interrupt = os.dup(1), signal.getsignal(signal.SIGINT)

    def run(does: str = "", *options: str, stdin: str = "key\n") -> tuple[int, str]:
        model.write_text("GGUF" + does)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(["--model", str(model), *options])
        return code, capfd.readouterr().out

    yield run
    os.dup2(stdout, 1)
    os.close(stdout)
    signal.signal(signal.SIGINT, interrupt)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, 0)
    sys.modules.pop("xllamacpp", None)


def test_it_says_one_line_and_serves_until_stdin_ends(run: Run) -> None:
    code, out = run("", "--context-window", "1000")
    assert code == 0
    assert json.loads(out)["n_ctx"] == 500
    assert out.count("\n") == 1


def test_without_a_key_it_does_nothing(run: Run) -> None:
    assert run("raise AssertionError", stdin="") == (0, "")


def test_an_orphan_does_nothing(run: Run) -> None:
    orphaned = run("raise AssertionError", "--parent", "1" if os.getppid() != 1 else "2")
    assert orphaned == (0, "") or sys.platform != "linux"


def test_a_model_that_does_not_load_is_told(run: Run) -> None:
    code, out = run(CRASHES["load"])
    assert code == 1
    assert json.loads(out) == {"error": "load", "detail": "RuntimeError: Failed to init server"}


def test_a_package_that_does_not_fit_is_told(run: Run, tmp_path: Path) -> None:
    install(tmp_path / "engine", "CommonParams = None\n")
    code, out = run()
    assert code == 1
    assert json.loads(out)["error"] == "import"

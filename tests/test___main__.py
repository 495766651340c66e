from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from victor import __version__
from victor.__main__ import main

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_printed(
    flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["victor", flag])
    main()
    assert capsys.readouterr().out == f"victor {__version__}\n"


def test_the_version_imports_next_to_nothing() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--version']; before = set(sys.modules);"
        "from victor.__main__ import main; main(); print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    found = set(run.stdout.splitlines()[1].split())
    assert {name for name in found if name.startswith("victor")} == {"victor", "victor.__main__"}
    assert found.isdisjoint({"asyncio", "httpx", "pydantic", "typer", "rich", "importlib.metadata"})


def test_the_module_is_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["victor", "nonsense words"])
    monkeypatch.delitem(sys.modules, "victor.__main__")
    with pytest.raises(SystemExit) as end:
        runpy.run_module("victor", run_name="__main__")
    assert end.value.code == 2
    assert "did you mean: victor run 'nonsense words'" in capsys.readouterr().err

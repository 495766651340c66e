from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from victor.config.settings import load_settings

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "failover.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_program_on_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    (program,) = blocks("python")
    script = tmp_path / "page.py"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("mock/mock False ProviderServerError: down")
    assert second == "mock/small True None"


def test_the_settings_on_the_page_are_settings(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    found = []
    for text in blocks("toml"):
        file.write_text(text, encoding="utf-8")
        found.append(load_settings(file, environ={}))
    assert [one.route for one in found[0].fallback] == ["openai/gpt-5-mini", "local"]
    assert [one.quality for one in found[1].fallback] == [3, 1]
    assert found[1].quality_floor == 2

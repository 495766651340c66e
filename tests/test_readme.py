from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_has_one_python_example_of_about_ten_lines() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(example.strip().splitlines()) <= 11


@pytest.mark.model
def test_the_python_example_runs_as_it_stands(weights: Path, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(example, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "VICTOR_LOCAL_MODEL": str(weights)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "197" in done.stdout


def test_every_make_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"`?make ([a-z]+)`?", README)) - {"help"}
    assert {"run", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), target


def test_every_command_it_names_exists() -> None:
    named = set(re.findall(r"`victor ([a-z]+)", README))
    done = subprocess.run(
        [sys.executable, "-m", "victor", "--help"], capture_output=True, text=True, check=True
    )
    assert {"run", "keys", "models", "providers", "doctor"} <= named
    for command in named:
        assert re.search(rf"\b{command}\b", done.stdout), command


def test_every_file_it_links_to_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert len(links) >= 4
    for link in links:
        assert (ROOT / link).exists(), link


def test_it_stays_short() -> None:
    assert len(README.splitlines()) < 150

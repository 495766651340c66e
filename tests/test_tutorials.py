from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from victor.config.settings import load_settings

PAGES = sorted((Path(__file__).resolve().parent.parent / "docs" / "tutorials").glob("*.md"))


def _blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.stem))
def test_every_python_block_of_a_page_runs_as_it_stands(page: Path, tmp_path: Path) -> None:
    blocks = _blocks(page, "python")
    assert blocks
    script = tmp_path / "page.py"
    # A page may define `prove()`; a reader would run it, too.
    run = "\nimport asyncio\nasyncio.run(prove())\nprint('proved')\n"
    script.write_text("\n".join(blocks) + run, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "proved\n"


def test_the_settings_of_the_provider_tutorial_add_a_vendor(tmp_path: Path) -> None:
    (page,) = [page for page in PAGES if page.stem == "add-a-provider"]
    file = tmp_path / "config.toml"
    file.write_text(_blocks(page, "toml")[0], encoding="utf-8")
    row = load_settings(file, environ={}).vendors()["mylab"]
    assert (row.base_url, row.default_model) == ("https://llm.mylab.example/v1", "large")
    assert row.key_variables == ("MYLAB_API_KEY",)

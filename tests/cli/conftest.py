from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import LLM, ROOT


@pytest.fixture
def llm() -> Iterator[LLM]:
    server = LLM()
    yield server
    server.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    found = tmp_path / "workspace"
    found.mkdir()
    (found / "README.md").write_text("The answer is 42.\n")
    return found


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has just installed victor."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
    }

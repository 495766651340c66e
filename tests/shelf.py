"""Where the reference data is: a folder `shared` beside the checkout; not part of the project."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

SHELF = Path(__file__).resolve().parents[2] / "shared"


def lines(name: str) -> list[dict[str, Any]]:
    """Read a gzipped JSON-lines file of the shelf, or skip the test."""
    path = SHELF / name
    if not path.exists():
        pytest.skip(f"needs the reference data: {name} in a folder 'shared' beside the checkout")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def text(name: str) -> str:
    """Read a text of the shelf, or skip the test."""
    path = SHELF / name
    if not path.exists():
        pytest.skip(f"needs the reference document: {name} in 'shared' beside the checkout")
    return path.read_text(encoding="utf-8")

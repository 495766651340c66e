from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.places import Hub, serve
from victor.local.catalog import Mirror, Weights

PART = 40_000


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("VICTOR_LOCAL_MODEL", raising=False)
    return tmp_path / "cache" / "victor" / "models"


@pytest.fixture
def content() -> bytes:
    blocks = (
        hashlib.sha256(bytes([number % 256, number // 256])).digest() for number in range(3000)
    )
    return b"GGUF" + b"".join(blocks)[: 2 * PART - 1004]


@pytest.fixture
def row(content: bytes) -> Weights:
    return Weights(
        name="tiny",
        file="tiny-q4.gguf",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        repository="Someone/Tiny-GGUF",
        mirror=Mirror("tiny-weights-part", count=2, version="1.2.0", part_bytes=PART),
    )


@pytest.fixture
def hub(content: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serve(Hub(content)) as hub:
        monkeypatch.setenv("VICTOR_WEIGHTS_URL", hub.url + "/")
        yield hub


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(Hub(b"")) as gone:
        address = gone.url
    monkeypatch.setenv("VICTOR_WEIGHTS_URL", address)


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "links"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder

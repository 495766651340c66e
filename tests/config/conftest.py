from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest

from tests.config.memory_keyring import (
    Install,
    MemoryKeyring,
)


@pytest.fixture
def install() -> Iterator[Install]:
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


@pytest.fixture
def memory(install: Install) -> MemoryKeyring:
    backend = MemoryKeyring()
    install(backend)
    return backend


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    places = {f"XDG_{kind}_HOME": str(tmp_path / kind) for kind in ("CONFIG", "STATE")}
    return {"PATH": os.environ["PATH"], **places}

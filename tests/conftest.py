from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from victor.errors import WeightsMissingError
from victor.local.weights import find_weights
from victor.resilience.circuits import shared_circuits
from victor.resilience.key_store import shared_key_store

# A busy machine is no bug.
settings.register_profile("victor", deadline=None)
settings.load_profile("victor")

# What runs longest, longest first: `make test` hands out whole files, and one of these begun last
# would leave the other cores idle. The rest keeps its order.
_LONGEST = (
    "tests/test_embedded.py",
    "tests/test_real_tools.py",
    "tests/tools/test_mcp.py",
    "tests/tools/test_shell.py",
    "tests/cli/test_chat.py",
    "tests/test_real_server.py",
    "tests/local/test_process.py",
    "tests/providers/wires/test_every_wire",
    "tests/cli/test_run.py",
    "tests/attacks/test_sandbox_files",
    "tests/attacks/test_sandbox_system",
    "tests/tools/test_unruly.py",
    "tests/cli/test_keys_keyring.py",
    "tests/faults/test_memory.py",
    "tests/resilience/test_shared_state_processes.py",
    "tests/agent/test_commands.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        ranks = (at for at, start in enumerate(_LONGEST) if item.nodeid.startswith(start))
        return next(ranks, len(_LONGEST))

    items.sort(key=place)


@pytest.fixture(autouse=True)
def _no_circuit_and_no_key_outlives_its_test() -> Iterator[None]:
    yield
    shared_circuits().join(None)
    shared_circuits().clear()
    shared_key_store().join(None)


@pytest.fixture(scope="session")
def weights() -> Path:
    try:
        return find_weights(None)
    except WeightsMissingError as error:
        pytest.skip(f"the embedded model is not here: run `make model` first ({error.command})")

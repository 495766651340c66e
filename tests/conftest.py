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

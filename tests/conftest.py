from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from victor.errors import WeightsMissingError
from victor.local.weights import find_weights

# A busy machine is no bug.
settings.register_profile("victor", deadline=None)
settings.load_profile("victor")


@pytest.fixture(scope="session")
def weights() -> Path:
    try:
        return find_weights(None)
    except WeightsMissingError as error:
        pytest.skip(f"the embedded model is not here: run `make model` first ({error.command})")

from __future__ import annotations

from pathlib import Path

import pytest

from victor.errors import WeightsMissingError
from victor.local.weights import find_weights


@pytest.fixture(scope="session")
def weights() -> Path:
    try:
        return find_weights(None)
    except WeightsMissingError as error:
        pytest.skip(f"the embedded model is not here: run `make model` first ({error.command})")

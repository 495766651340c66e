from __future__ import annotations

import re
from pathlib import Path

import pytest

import victor.local.catalog as module
from victor.local.catalog import ALIASES, DEFAULT_WEIGHTS, WEIGHTS, Weights


def test_the_default_is_the_first_row() -> None:
    assert next(iter(WEIGHTS)) == DEFAULT_WEIGHTS


def test_aliases_lead_to_rows() -> None:
    assert set(ALIASES.values()) <= set(WEIGHTS)


@pytest.mark.parametrize("row", WEIGHTS.values(), ids=lambda row: row.name)
def test_a_row_is_pinned_and_its_licence_is_in_the_package(row: Weights) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", row.sha256)
    text = Path(module.__file__).with_name(row.license_file).read_text(encoding="utf-8")
    assert "Copyright 2024 Alibaba Cloud" in text
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


@pytest.mark.parametrize("row", WEIGHTS.values(), ids=lambda row: row.name)
def test_the_parts_of_the_mirror_add_up_to_the_size(row: Weights) -> None:
    assert row.mirror is not None
    last = row.size - (row.mirror.count - 1) * row.mirror.part_bytes
    assert 0 < last <= row.mirror.part_bytes

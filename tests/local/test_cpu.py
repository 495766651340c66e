from __future__ import annotations

from pathlib import Path

import pytest

from victor.local.cpu import usable_cores


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("100000 100000", 1), ("50000 100000", 1), ("100001 100000", 2), ("1000 100000\n", 1)],
)
def test_a_containers_quota_counts(tmp_path: Path, quota: str, expected: int) -> None:
    tmp_path.joinpath("cpu.max").write_text(quota)
    assert usable_cores(tmp_path) == min(expected, usable_cores(tmp_path / "none"))


@pytest.mark.parametrize("text", ["max 100000", "", "garbage", "5 0", "a b"])
def test_no_limit_means_every_core(tmp_path: Path, text: str) -> None:
    tmp_path.joinpath("cpu.max").write_text(text)
    assert usable_cores(tmp_path) == usable_cores(tmp_path / "none") >= 1


def test_a_huge_quota_adds_no_cores(tmp_path: Path) -> None:
    tmp_path.joinpath("cpu.max").write_text("99999999 1000")
    assert usable_cores(tmp_path) == usable_cores(tmp_path / "none")

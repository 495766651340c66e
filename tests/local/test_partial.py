from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.local.catalog import Weights
from victor.local.partial import Partial, WrongBytesError, sha256_of


def row_for(content: bytes) -> Weights:
    digest = hashlib.sha256(content).hexdigest()
    return Weights("tiny", "tiny.gguf", len(content), digest, "Someone/Tiny")


def ignore(done: int, total: int, phase: str) -> None:
    pass


@settings(max_examples=60, deadline=None)
@given(content=st.binary(min_size=1, max_size=300), stops=st.lists(st.integers(0, 300), max_size=6))
def test_a_file_written_in_any_number_of_sittings_is_the_file(
    content: bytes, stops: list[int]
) -> None:
    row = row_for(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "partial")
        for stop in [*sorted(stops), len(content)]:
            with Partial(path, row, ignore) as partial:
                partial.resume()
                partial.write(content[partial.offset : stop])
        with Partial(path, row, ignore) as partial:
            partial.resume()
            partial.check()
            partial.rename(Path(folder, "whole"))
        assert Path(folder, "whole").read_bytes() == content
        assert not path.exists()


@settings(max_examples=60, deadline=None)
@given(content=st.binary(min_size=1, max_size=100), other=st.binary(max_size=101))
def test_nothing_else_passes_the_check(content: bytes, other: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "partial")
        path.write_bytes(other)
        with Partial(path, row_for(content), ignore) as partial:
            partial.resume()
            if other == content:
                partial.check()
            else:
                with pytest.raises(WrongBytesError, match="expected"):
                    partial.check()


def test_progress_counts_what_is_ahead_but_never_beyond_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    with Partial(
        tmp_path / "partial", row_for(b"12345678"), lambda *step: told.append(step)
    ) as partial:
        partial.phase = "testing"
        partial.write(b"1234")
        partial.report(ahead=2)
        partial.report(ahead=200)
    assert told == [(4, 8, "testing"), (6, 8, "testing"), (8, 8, "testing")]


def test_an_empty_one_leaves_no_file(tmp_path: Path) -> None:
    with Partial(tmp_path / "partial", row_for(b"1234"), ignore) as partial:
        partial.write(b"12")
        partial.restart()
    assert not (tmp_path / "partial").exists()


def test_a_file_is_hashed_with_progress(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1_500_000)
    told: list[int] = []
    digest = sha256_of(path, row_for(b"x" * 1_500_000), lambda done, *_: told.append(done))
    assert digest == hashlib.sha256(b"x" * 1_500_000).hexdigest()
    assert told == [1_048_576, 1_500_000]

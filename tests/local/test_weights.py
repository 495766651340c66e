from __future__ import annotations

import os
from pathlib import Path

import pytest

from victor.errors import ConfigError, WeightsMissingError
from victor.local.weights import (
    DEFAULT_WEIGHTS,
    MODEL_VARIABLE,
    WEIGHTS,
    find_weights,
    known_weights,
    mebibytes,
    stored_path,
    weights_directory,
)


def place(cache: Path, name: str = DEFAULT_WEIGHTS, *, short: int = 0) -> Path:
    path = cache / WEIGHTS[name].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, WEIGHTS[name].size - short)
    return path


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "mine.gguf"
    path.write_bytes(b"GGUF and so on")
    return path


def test_the_cache_folder_follows_xdg(cache: Path) -> None:
    assert weights_directory() == cache


def test_nothing_is_created_by_looking(cache: Path) -> None:
    with pytest.raises(WeightsMissingError):
        find_weights()
    assert not cache.exists()


def test_missing_weights_name_the_command_and_the_size(cache: Path) -> None:
    with pytest.raises(WeightsMissingError, match="469 MiB") as caught:
        find_weights()
    assert caught.value.command == "victor models pull qwen2.5-coder-0.5b"
    assert caught.value.command in str(caught.value)


@pytest.mark.parametrize(
    "name", [None, "", "0.5b", "0.5B", "qwen2.5-coder-0.5b", " Qwen2.5-Coder-0.5B "]
)
def test_a_downloaded_model_is_found_by_its_names(cache: Path, name: str | None) -> None:
    expected = place(cache)
    assert find_weights(name) == expected == stored_path(WEIGHTS[DEFAULT_WEIGHTS])


def test_a_file_of_another_size_is_called_damaged(cache: Path) -> None:
    place(cache, short=1)
    with pytest.raises(WeightsMissingError, match=r"damaged .*491,400,063 bytes, not 491,400,064"):
        find_weights()


def test_the_variable_names_the_model(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(cache)
    monkeypatch.setenv(MODEL_VARIABLE, "1.5b")
    with pytest.raises(WeightsMissingError, match=r"coder-1\.5b"):
        find_weights()


def test_an_argument_beats_the_variable(
    cache: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = place(cache)
    monkeypatch.setenv(MODEL_VARIABLE, str(gguf))
    assert find_weights() == gguf
    assert find_weights("0.5b") == expected


def test_any_gguf_is_used_as_it_is(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(gguf.parent)
    monkeypatch.setenv("HOME", str(gguf.parent))
    assert find_weights("mine.gguf") == gguf
    assert find_weights("./mine.gguf") == gguf
    assert find_weights("~/mine.gguf") == gguf
    gguf.with_name("noext").write_bytes(b"GGUF")
    assert find_weights(str(gguf.with_name("noext"))) == gguf.with_name("noext")


@pytest.mark.parametrize(
    ("start", "shown"), [(b"version https", "b'vers'"), (b"", "b''"), (b"GGU", "b'GGU'")]
)
def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path, start: bytes, shown: str) -> None:
    path = tmp_path / "wrong.gguf"
    path.write_bytes(start)
    with pytest.raises(ConfigError, match="not a GGUF model") as caught:
        find_weights(str(path))
    assert shown in str(caught.value)


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file .*nowhere\.gguf"):
        find_weights(str(tmp_path / "nowhere.gguf"))


def test_a_folder_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read the model .*directory"):
        find_weights(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("qwen-coder-0.5b", "did you mean qwen2.5-coder-0.5b"),
        ("llama", "there are qwen2.5-coder-0.5b"),
    ],
)
def test_an_unknown_name_brings_near_ones(name: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="No embedded model is called") as caught:
        known_weights(name)
    assert hint in str(caught.value)
    assert ".gguf" in str(caught.value)
    assert not isinstance(caught.value, WeightsMissingError)


@pytest.mark.parametrize(
    ("size", "text"), [(491_400_064, "469 MiB"), (1_117_320_768, "1,066 MiB"), (0, "0 MiB")]
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert mebibytes(size) == text

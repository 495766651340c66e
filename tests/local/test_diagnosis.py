from __future__ import annotations

from pathlib import Path

import pytest

from victor.errors import ConfigError, ProviderConnectionError
from victor.local.diagnosis import death, start_failure

MODEL = Path("/models/big.gguf")

# What the xllamacpp wheel wrote for a file cut at 300 MB, at 100 kB, and for noise.
TRUNCATED = (
    "0.00.381.256 E llama_model_load: error loading model: tensor 'blk.13.ffn_gate.weight' data "
    "is not within the file bounds, model is corrupted or incomplete\n"
    "0.00.381.281 E llama_model_load_from_file_impl: failed to load model\n"
    "0.00.387.903 E srv          init: exiting due to model loading error\n"
)
HEADER = (
    "0.00.021.275 E gguf_init_from_reader: failed to read key-value pairs\n"
    "0.00.021.434 E llama_model_load: error loading model: llama_model_loader: failed to load "
    "model from trunc2.gguf\n"
)
NOISE = (
    "0.00.011.035 E gguf_init_from_reader: this GGUF file is version 1293755056 but this software "
    "only supports up to version 3\n"
)


@pytest.mark.parametrize(
    ("log", "text"),
    [
        (TRUNCATED, "damaged: llama_model_load: error loading model: tensor 'blk.13"),
        (HEADER, "damaged: llama_model_load: error loading model"),
        (NOISE, "damaged: gguf_init_from_reader: this GGUF file is version 1293755056"),
    ],
    ids=["data", "header", "noise"],
)
def test_recorded_logs_of_damaged_files_are_understood(log: str, text: str) -> None:
    error = start_failure(MODEL, 1, error="load", detail="RuntimeError: Failed", log=log)
    assert type(error) is ConfigError
    assert text in str(error)
    assert "victor models pull NAME --verify" in str(error)


def test_a_log_that_says_nothing_falls_back_to_the_exception() -> None:
    error = start_failure(MODEL, 1, error="load", detail="RuntimeError: Failed to init.")
    assert str(error).endswith(
        "cannot run the model /models/big.gguf: RuntimeError: Failed to init."
    )


def test_control_characters_and_floods_do_not_reach_the_terminal() -> None:
    error = start_failure(MODEL, -11, log="\x1b[2Jhello\x07 " + "x" * 100_000)
    assert isinstance(error, ProviderConnectionError)
    assert str(error).isprintable()
    assert len(str(error)) < 500
    assert "SIGSEGV: ?[2Jhello?" in str(error)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "it ended with exit code 0"),
        (3, "it ended with exit code 3"),
        (-15, "it was killed by SIGTERM"),
        (-9, "it was killed by SIGKILL (out of memory?)"),
        (-63, "it was killed by signal 63"),
    ],
)
def test_deaths_have_words(code: int, text: str) -> None:
    assert death(code) == text

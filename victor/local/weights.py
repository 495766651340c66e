"""Find the embedded model's weights on this machine.

Knows nothing about downloading them (`victor.local.pull`) or running them (`victor.local.process`).
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from victor.errors import ConfigError, WeightsMissingError
from victor.local.catalog import ALIASES, DEFAULT_WEIGHTS, WEIGHTS, Weights

__all__ = [
    "DEFAULT_WEIGHTS",
    "MODEL_VARIABLE",
    "WEIGHTS",
    "Weights",
    "find_weights",
    "known_weights",
    "mebibytes",
    "stored_path",
    "weights_directory",
]

MODEL_VARIABLE = "VICTOR_LOCAL_MODEL"
"""Environment variable that names the embedded model: a name of `WEIGHTS`, or a GGUF file."""

_MAGIC = b"GGUF"  # https://github.com/ggml-org/ggml/blob/master/docs/gguf.md


def weights_directory() -> Path:
    """Return the folder of downloaded weights in the user's cache; XDG_CACHE_HOME is honoured.

    It need not exist.
    """
    import platformdirs

    return platformdirs.user_cache_path("victor", appauthor=False) / "models"


def stored_path(weights: Weights) -> Path:
    """Return where the file of a row is kept once it has been pulled."""
    return weights_directory() / weights.file


def mebibytes(size: int) -> str:
    """Write a size in bytes for people, such as `"469 MiB"`."""
    return f"{round(size / 2**20):,} MiB"


def known_weights(name: str) -> Weights:
    """Look a model up by its name or its short name.

    Args:
        name: such as `"qwen2.5-coder-0.5b"` or `"0.5b"`; case does not matter.

    Raises:
        ConfigError: there is no such model; the message lists near names.
    """
    wanted = name.strip().lower()
    row = WEIGHTS.get(ALIASES.get(wanted, wanted))
    if row is not None:
        return row
    near = difflib.get_close_matches(wanted, [*WEIGHTS, *ALIASES], n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(WEIGHTS)}."
    raise ConfigError(
        f"No embedded model is called {name!r}: {hint} "
        "Any other model is used by the path of its .gguf file."
    )


def find_weights(name_or_path: str | None = None) -> Path:
    """Return the GGUF file to run. Reads a few bytes of it at most and never downloads.

    A downloaded file is trusted by its size: it only got its name after its hash was right.

    Args:
        name_or_path: a name of `WEIGHTS`, a short name, or the path of any GGUF file. None reads
            VICTOR_LOCAL_MODEL, and without that takes the default model.

    Raises:
        WeightsMissingError: a known model that has not been downloaded, or is damaged; its
            `command` downloads it.
        ConfigError: an unknown name, no such file, or not a GGUF file.
    """
    wanted = name_or_path or os.environ.get(MODEL_VARIABLE) or DEFAULT_WEIGHTS
    if _is_path(wanted):
        path = Path(wanted).expanduser().absolute()
        _check_gguf(path)
        return path
    row = known_weights(wanted)
    path = stored_path(row)
    try:
        size = path.stat().st_size
    except OSError:
        state = "is not on this machine yet"
    else:
        if size == row.size:
            return path
        state = f"is damaged ({path} has {size:,} bytes, not {row.size:,})"
    command = f"victor models pull {row.name}"
    raise WeightsMissingError(
        f"The embedded model {row.name} {state}. "
        f"Download it once ({mebibytes(row.size)}): {command}",
        command=command,
    )


def _is_path(text: str) -> bool:
    return text.lower().endswith(".gguf") or "/" in text or os.sep in text or text.startswith("~")


def _check_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except FileNotFoundError as error:
        raise ConfigError(f"There is no file {path}: check the path of the GGUF model.") from error
    except OSError as error:
        raise ConfigError(f"Cannot read the model {path}: {error.strerror or error}.") from error
    if start != _MAGIC:
        raise ConfigError(
            f"{path} is not a GGUF model: it starts with {start!r}, not {_MAGIC!r}. "
            "Download it again, or convert it to GGUF with llama.cpp."
        )

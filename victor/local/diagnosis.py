"""Why the child that runs the model did not start, or died: from its traces to one clear error.

Pure. Knows nothing about how the child is started.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

from victor.errors import (
    ConfigError,
    MissingDependencyError,
    ProviderConnectionError,
    VictorError,
)

__all__ = ["INSTALL_HINT", "death", "start_failure"]

INSTALL_HINT = (
    "The embedded model needs the package xllamacpp. Run: pip install 'victor[local]' "
    "(or choose another provider)."
)

_LOG_PREFIX = re.compile(r"^[\d.]+ [A-Z] +")  # "0.00.186.349 E llama_model_load: ..."
_DAMAGED = re.compile(r"not within the file bounds|corrupted|failed to read|gguf_init")
_MEMORY = re.compile(r"failed to allocate|unable to allocate|bad_alloc|out of memory|MemoryError")
_TAIL = 300


def start_failure(
    model: Path, returncode: int, *, error: str = "", detail: str = "", log: str = ""
) -> VictorError:
    """Say why the model did not start.

    Args:
        model: the GGUF file.
        returncode: how the child ended, as `subprocess` tells it; negative is a signal.
        error: the child's own word for what went wrong: `"import"`, `"load"` or nothing.
        detail: the text that came with it.
        log: the end of what llama.cpp wrote.
    """
    if error == "import":
        return _import_failure(detail)
    text = f"{log}\n{detail}"
    if _MEMORY.search(text):
        return ConfigError(
            f"There is not enough memory to run {model.name}. "
            f"Close something, or choose a smaller model. ({_gist(text)})"
        )
    if _DAMAGED.search(log):
        return ConfigError(
            f"The model {model} is truncated or damaged: {_gist(log)}. Download it again "
            "(a model of ours: victor models pull NAME --verify)."
        )
    if error == "load":
        return ConfigError(f"llama.cpp cannot run the model {model}: {_gist(log or detail)}.")
    if returncode == -getattr(signal, "SIGILL", 4):
        return ConfigError(
            "The embedded model needs a processor with AVX2, and this one has none (SIGILL). "
            "Choose another provider, or a llama.cpp server built for this machine."
        )
    return ProviderConnectionError(
        f"The embedded model {model.name} did not start: {death(returncode)}"
        + (f": {_gist(log)}." if log.strip() else "."),
        provider="local",
    )


def death(returncode: int) -> str:
    """Describe how a process ended, such as `"it was killed by SIGKILL (out of memory?)"`.

    Args:
        returncode: as `subprocess` tells it; negative is a signal.
    """
    if returncode >= 0:
        return f"it ended with exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"it was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _import_failure(detail: str) -> VictorError:
    if "libgomp" in detail:
        return MissingDependencyError(
            "The embedded model needs the system library libgomp.so.1. Run: "
            "apt-get install libgomp1 (Debian, Ubuntu), dnf install libgomp (Fedora)."
        )
    if detail.startswith("ModuleNotFoundError"):
        return MissingDependencyError(INSTALL_HINT)
    return MissingDependencyError(
        f"The package xllamacpp cannot be used here ({_gist(detail)}). "
        "Run: pip install --force-reinstall 'victor[local]'"
    )


def _gist(log: str) -> str:
    lines = [_LOG_PREFIX.sub("", line).strip() for line in log.splitlines()]
    lines = [line for line in lines if line]
    telling = [line for line in lines if "error loading model" in line]
    text = (telling or lines or ["no reason given"])[-1]
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:_TAIL].rstrip(".")

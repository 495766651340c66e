"""The names of models: the same one is written differently by every vendor that serves it.

`us.anthropic.claude-opus-4-5-20251101-v1:0` is `anthropic/claude-opus-4.5`. Knows no facts.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache

__all__ = ["is_like", "normalised"]

_WILD = frozenset("*?[")
# us.anthropic.claude-sonnet-4-5-20250929-v1:0: a region and the maker before the name.
_BEDROCK = re.compile(
    r"^(?:[a-z-]{2,7}\.)?"
    r"(?:ai21|amazon|anthropic|cohere|google|meta|minimax|mistral|moonshot|moonshotai|nvidia|openai"
    r"|qwen|writer|xai|zai)\.(?=[a-z])"
)
_DEEPSEEK = re.compile(r"^(?:[a-z-]{2,7}\.)?deepseek\.(?=[a-z])")  # deepseek.r1-v1:0
_MAKERS = re.compile(r"^(?:meta-(?=llama)|nvidia-(?=nemotron)|zai-(?=glm)|cohere-(?=command)|ft-)")
_MARKS = re.compile(r"[:@ ]+")
_FAMILY = re.compile(r"^([a-z]+)-?v?(?=\d)")  # llama3.3, llama-3.3, llama-v3p3
_POINT = re.compile(r"(?<=\d)p(?=\d)")  # Fireworks: glm-5p3
_DASHED_POINT = re.compile(r"(?<=\d)-(\d)(?![0-9a-z.])")  # opus-4-5, but not llama-3-8b
_TAIL = re.compile(
    r"(?:-(?:20\d\d-?[01]\d-?[0-3]\d|v\d+[-.]\d|latest|free|gguf|awq|gptq|fp8|fp4|nvfp4|mxfp4|bf16"
    r"|fp16|f16|int[48]|[48]bit|iq\d\w*|q\d(?:_\w+)*)|\.gguf)$"
)


def is_like(model: str, pattern: str) -> bool:
    """Tell whether a model's name, written as it may be, matches a pattern of `ModelRow`."""
    if _fits(model.strip().lower(), pattern.lower()):
        return True
    if "/" in pattern:
        return False
    plain = _plain(pattern)
    return _fits(_plain(model), plain) or _fits(normalised(model), plain)


def _fits(name: str, pattern: str) -> bool:
    stem = pattern.removesuffix("*")
    if not _WILD.isdisjoint(stem):
        return fnmatchcase(name, pattern)
    return name == pattern if stem == pattern else name.startswith(stem)


@lru_cache(maxsize=4096)
def normalised(model: str) -> str:
    """Return a model's name without its vendor, region, date and quantisation.

    `us.anthropic.claude-opus-4-5-20251101-v1:0` is `claude-opus-4.5`, `models/gemini-2.5-pro` is
    `gemini-2.5-pro`, `accounts/fireworks/models/glm-5p3` is `glm-5.3`, `qwen3:8b-q4_K_M` is
    `qwen-3-8b`, `Meta-Llama-3.3-70B` is `llama-3.3-70b`.
    """
    name = _plain(model)
    while (shorter := _TAIL.sub("", name)) != name:
        name = shorter
    return _DASHED_POINT.sub(r".\1", name)


@lru_cache(maxsize=4096)
def _plain(model: str) -> str:
    name = model.strip().lower().rpartition("/")[2] or model.strip().lower()
    name = _DEEPSEEK.sub("deepseek-", name)
    name = _MARKS.sub("-", _BEDROCK.sub("", name))
    name = _FAMILY.sub(r"\1-", _MAKERS.sub("", name))
    return _DASHED_POINT.sub(r".\1", _POINT.sub(".", name))

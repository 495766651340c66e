"""Amazon Bedrock's Converse: what differs between the families of models behind it. Data.

Spec: https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html and the parameters in
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
A family is told by the model's id; the id of an application inference profile says nothing, so that
nothing is known about it. Knows nothing about requests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Family", "family_of"]

_CALL_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_CLAUDE_CALL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NAMES = re.compile(r"(?:^|[./])(anthropic|amazon\.nova|openai|qwen|mistral|cohere)")
# Later models cache without being named here. Those of the first 3.5 had it in a preview only.
_CLAUDE_WITHOUT_CACHE = re.compile(r"claude-(v\d|instant|3-(opus|sonnet|haiku)|3-5-sonnet)")
_CLAUDE_BEFORE_4_5 = re.compile(r"claude-(v\d|instant|3|(opus|sonnet)-4-(1-)?20)")


@dataclass(frozen=True, slots=True)
class Family:
    """What is known about the models of one maker."""

    name: str
    """`anthropic`, `nova`, `openai`, `qwen`, `mistral`, `cohere`, else the model itself."""
    caches: bool = False
    """Whether `cachePoint` is understood in system prompts and messages."""
    caches_tools: bool = False
    """Whether it is understood after the tools, too."""
    takes_status: bool = False
    """Whether a tool's result may be said to be an error."""
    reasons: bool = False
    """Whether an effort can be asked for."""
    takes_one_call: bool = False
    """Whether parallel tool calls can be switched off."""
    call_id: re.Pattern[str] = _CALL_ID
    """What the id of a tool call has to look like."""


@lru_cache(maxsize=256)
def family_of(model: str) -> Family:
    """Return what is known about a model, by its id, its inference profile's, or its ARN."""
    own = model.lower().rpartition("/")[2]
    found = _NAMES.search(own)
    name = found[1] if found else own
    if name == "anthropic":
        caches = not _CLAUDE_WITHOUT_CACHE.search(own)
        one = not _CLAUDE_BEFORE_4_5.search(own)
        return Family(
            name,
            caches,
            caches,
            takes_status=True,
            reasons=True,
            takes_one_call=one,
            call_id=_CLAUDE_CALL_ID,
        )
    if name == "amazon.nova":
        return Family("nova", caches=True, takes_status=True, reasons="nova-2" in own)
    return Family(name, reasons=name in ("openai", "qwen"))

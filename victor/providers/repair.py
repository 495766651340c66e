"""A refused request made acceptable: which parameter the model does not take, and what then.

Models of one vendor differ in the parameters they take, and no table knows all models. Where the
server's refusal names the parameter, the request can be mended, once, and the fact remembered.
Only hints are given up: what an answer would be wrong without stays, and the refusal is the
caller's. Knows the words of refusals, and nothing about HTTP or any one protocol.

Spec: https://platform.openai.com/docs/guides/error-codes (`param`, `unsupported_parameter`)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData
from victor.errors import ProviderError, ProviderInvalidRequestError
from victor.providers.request import ChatRequest

__all__ = ["Repair", "repair_for"]


@dataclass(frozen=True, slots=True)
class Repair:
    """What a refusal says about a model, and what to leave out for it. Worth being remembered."""

    model_data: ModelData = UNKNOWN_MODEL
    """What was learnt; goes over what is known: `repair.model_data.over(known)`."""
    without: frozenset[str] = frozenset()
    """Options to leave out."""

    def over(self, earlier: Repair) -> Repair:
        """Return what was learnt earlier, with this over it."""
        return Repair(self.model_data.over(earlier.model_data), self.without | earlier.without)

    def applied(self, request: ChatRequest) -> ChatRequest:
        """Return the request as the model takes it."""
        # None says so to a wire that would send one of its own, such as `stream_options`.
        left_out: dict[str, Any] = dict.fromkeys(sorted(self.without))
        return replace(
            request,
            options={**request.options, **left_out} if left_out else request.options,
            model_data=self.model_data.over(request.model_data),
        )


_LIMITS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens"})
_PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})
_HINTS = _PENALTIES | {"parallel_tool_calls", "seed", "stop", "stream_options", "top_k"}
_EFFORTS = frozenset({"reasoning_effort", "reasoning.effort", "reasoning"})
# How vendors call what victor calls otherwise.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "frequencypenalty": "frequency_penalty",
        "maxoutputtokens": "max_output_tokens",
        "presencepenalty": "presence_penalty",
        "random_seed": "seed",
        "stop_sequences": "stop",
        "stream_options.include_usage": "stream_options",
        "topk": "top_k",
        "topp": "top_p",
    }
)
_KNOWN = _LIMITS | _HINTS | _EFFORTS | {"temperature", "top_p"}
_ORDINARY = frozenset({"reasoning", "seed", "stop"})

_NOT_TAKEN = re.compile(
    r"unsupported|not support|not permitted|not allowed|unrecognized|unrecognised|unknown"
    r"|unexpected|deprecated|extra_forbidden|extra inputs|does not accept|incompatible"
    r"|only the default",
    re.IGNORECASE,
)
_ROLE = re.compile(r"messages(\[\d+\]|\.\d+)\.role")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z_.]*[a-zA-Z]")
_QUOTED = re.compile(r"['\"`]([a-zA-Z][a-zA-Z_.]*)['\"`]")
_OFFERED = re.compile(r"(?:supported values are|one of|(?:must|should) be)\b(.*)", re.I | re.S)
_EFFORT_NAMES = ("none", "minimal", "low", "default", "medium", "high", "xhigh", "max")
# A number after `at most`, after a sign, as the second one of a range, or over which another is.
_AT_MOST = re.compile(
    r"(?:at most|<=|less than or equal to|maximum (?:value )?(?:of|is)|\[\d+,|\d+ >)\s*[`']?"
    r"([0-9][0-9,]{0,9})",
    re.IGNORECASE,
)


def repair_for(request: ChatRequest, error: ProviderError) -> Repair | None:
    """Return what makes a refused request acceptable; None where nothing is known to.

    Args:
        request: as it was sent.
        error: the refusal. Only plain `ProviderInvalidRequestError`s can be mended: a window that
            is too short or a model that is not there is no matter of parameters.
    """
    if type(error) is not ProviderInvalidRequestError:
        return None
    param = _param(error)
    if not _is_sent(request, param):
        return None
    repair = _repair(request, param, f"{_raw(error).get('code')} {error.message}")
    # What changes nothing would be refused again.
    return None if repair is None or repair.applied(request) == request else repair


def _raw(error: ProviderError) -> Mapping[str, Any]:
    return error.raw_error if isinstance(error.raw_error, Mapping) else {}


def _param(error: ProviderError) -> str:
    """Return the parameter a refusal is about, in victor's words."""
    raw = _raw(error)
    said = raw.get("param")
    detail = raw.get("detail")
    if not said and isinstance(detail, list) and detail and isinstance(detail[0], Mapping):
        path = detail[0].get("loc")  # FastAPI, Mistral
        said = path[-1] if isinstance(path, list) and path else None
    if isinstance(said, str) and said:
        return _NAMES.get(said.lower(), said)
    # Not named apart: a word that is nothing else in a sentence, or a quoted one.
    words = [word for word in _NAME.findall(error.message) if word not in _ORDINARY]
    words += _QUOTED.findall(error.message)
    named = (_NAMES.get(word.lower(), word) for word in words)
    return next((word for word in named if word in _KNOWN), "")


def _is_sent(request: ChatRequest, param: str) -> bool:
    """Tell whether a request has a parameter at all; else the refusal is about something else."""
    options = request.options
    if param in _LIMITS:
        return request.max_tokens is not None
    if param in _EFFORTS:
        return options.get("reasoning_effort") is not None
    if param == "stream_options":
        return request.stream
    if _ROLE.fullmatch(param):
        return any(message.role == "system" for message in request.messages)
    if param == "temperature" and request.temperature is not None:
        return True
    return options.get(param) is not None


def _repair(request: ChatRequest, param: str, text: str) -> Repair | None:
    refused = bool(_NOT_TAKEN.search(text))
    if param in _LIMITS:
        return _other_limit(request, param, text, refused=refused)
    if param in _EFFORTS:
        return Repair(ModelData(efforts=_efforts(text)))
    if not refused:
        return None
    if param in _HINTS:
        return Repair(without=_PENALTIES if param in _PENALTIES else frozenset({param}))
    if _ROLE.fullmatch(param):
        return Repair(ModelData(system_role="system" if "developer" in text else "user"))
    if param in ("temperature", "top_p"):
        if "both" in text:  # Anthropic's models: one of them, not the two
            return Repair(without=frozenset({"top_p"}))
        return Repair(ModelData(sampling=False))
    return None


def _other_limit(request: ChatRequest, param: str, text: str, *, refused: bool) -> Repair | None:
    """Give the limit its other name, or the size the server names."""
    if found := _AT_MOST.search(text):
        most = int(found[1].replace(",", ""))
        fits = 0 < most < (request.max_tokens or 0)
        return Repair(ModelData(max_output_tokens=most)) if fits else None
    if not refused or param == "max_output_tokens":
        return None
    name = request.model_data.max_tokens_name
    if param == "max_tokens" and name != "max_completion_tokens":
        return Repair(ModelData(max_tokens_name="max_completion_tokens"))
    if param == "max_completion_tokens" and name != "max_tokens":
        return Repair(ModelData(max_tokens_name="max_tokens"))
    return None


def _efforts(text: str) -> tuple[str, ...]:
    """Return the efforts a refusal offers, weakest first; none if the parameter is refused."""
    offered = _OFFERED.search(text)
    named = set(_QUOTED.findall(offered[1])) if offered else set()
    return tuple(effort for effort in _EFFORT_NAMES if effort in named)

"""The options callers pass beside messages and tools, in one vocabulary for all protocols.

The names are those of OpenAI's chat completions, which everybody knows. A wire translates them;
what is not in the vocabulary passes through as it is. Two kinds are told apart where a protocol has
no such thing: a *demand* (an output schema, a forced tool) raises, as the answer would be wrong
without it; a *hint* (a seed, a penalty) is left out, with a warning once. Knows no protocol.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from victor.errors import ProviderInvalidRequestError
from victor.providers.request import RESERVED_OPTIONS
from victor.types import JsonObject

__all__ = [
    "OutputSchema",
    "StandardOptions",
    "leave_out",
    "nearest_effort",
    "standard_options",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """The JSON Schema an answer has to satisfy."""

    schema: JsonObject
    name: str = "answer"
    strict: bool | None = None
    description: str | None = None
    is_class: bool = False
    """Whether it was made of a pydantic model class, which fills in what an answer leaves out."""


@dataclass(frozen=True, slots=True)
class StandardOptions:
    """What a caller asked for; None is what they did not say."""

    reasoning_effort: str | None = None
    """`none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`."""
    output: OutputSchema | Literal["json"] | None = None
    """From `response_format`: a schema, or any JSON object."""
    tool_choice: Literal["auto", "none", "required"] | None = None
    """With `tool_name` it is `required`."""
    tool_name: str | None = None
    """The one tool that has to be called."""
    parallel_tool_calls: bool | None = None
    stop: tuple[str, ...] = ()
    """Stop sequences."""
    seed: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Everything else: goes into the request's body as it is."""


_PLAIN = (
    "reasoning_effort",
    "parallel_tool_calls",
    "seed",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
)
_NAMED = frozenset({*_PLAIN, "response_format", "tool_choice", "stop"})
_RANKS: Mapping[str, int] = MappingProxyType(
    {"none": 0, "minimal": 1, "low": 2, "medium": 3, "high": 4, "xhigh": 5, "max": 6}
)


def standard_options(options: Mapping[str, Any]) -> StandardOptions:
    """Read a caller's options.

    Args:
        options: `response_format` is OpenAI's object, or a pydantic model class; `tool_choice` is
            `"auto"`, `"none"`, `"required"`, the name of a tool, or OpenAI's object; `stop` is one
            string or several. Options of None count as not given.

    Raises:
        ProviderInvalidRequestError: an option cannot be understood; the message says which.
    """
    if not options:
        return StandardOptions()
    found: dict[str, Any] = {
        name: value for name in _PLAIN if (value := options.get(name)) is not None
    }
    if (wanted := options.get("response_format")) is not None:
        found["output"] = _output(wanted)
    if (choice := options.get("tool_choice")) is not None:
        found["tool_choice"], found["tool_name"] = _choice(choice)
    if (stop := options.get("stop")) is not None:
        found["stop"] = _stop(stop)
    extra = {
        name: value
        for name, value in options.items()
        if value is not None and name not in _NAMED and name not in RESERVED_OPTIONS
    }
    return StandardOptions(**found, extra=extra)


def _stop(stop: Any) -> tuple[str, ...]:
    wanted = (stop,) if isinstance(stop, str) else stop
    if isinstance(wanted, Iterable) and not isinstance(wanted, (bytes, Mapping)):
        found = tuple(wanted)
        if all(isinstance(one, str) for one in found):
            # An empty one would stop everything at once; no API takes it.
            return tuple(one for one in found if one)
    raise ProviderInvalidRequestError(f"stop {stop!r} is not understood: pass a string or a list")


def _output(wanted: Any) -> OutputSchema | Literal["json"] | None:
    if isinstance(wanted, type) and hasattr(wanted, "model_json_schema"):
        return OutputSchema(wanted.model_json_schema(), wanted.__name__, is_class=True)
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object" and not isinstance(wanted.get("schema"), Mapping):
        return "json"
    if kind in ("json_schema", "json_object"):
        inner = wanted.get("json_schema", wanted)
        schema = inner.get("schema") if isinstance(inner, Mapping) else None
        if isinstance(schema, Mapping):
            return OutputSchema(
                dict(schema),
                inner.get("name") or "answer",
                inner.get("strict"),
                inner.get("description"),
            )
    raise ProviderInvalidRequestError(
        'response_format is not understood: pass a pydantic model class, {"type": "json_object"}, '
        'or {"type": "json_schema", "json_schema": {"name": …, "schema": …}}'
    )


def _choice(choice: Any) -> tuple[Literal["auto", "none", "required"], str | None]:
    if isinstance(choice, str) and choice:
        if choice in ("auto", "none", "required"):
            return choice, None  # type: ignore[return-value] # one of the three
        return ("required", None) if choice == "any" else ("required", choice)
    if isinstance(choice, Mapping):
        inner = choice.get("function", choice)
        name = inner.get("name") if isinstance(inner, Mapping) else None
        if isinstance(name, str) and name:
            return "required", name
        kind = choice.get("type")
        if kind in ("auto", "none", "required", "any"):
            return _choice(kind)
    raise ProviderInvalidRequestError(
        f"tool_choice {choice!r} is not understood: pass auto, none, required or a tool's name"
    )


def nearest_effort(wanted: str, efforts: Sequence[str]) -> str:
    """Return the effort a model takes that is nearest to the wanted one, the weaker one of two.

    Args:
        wanted: what the caller said; a name without a grade is left as it is.
        efforts: what the model takes; none says nothing. A name without a grade, such as Groq's
            `default`, counts as a medium one.
    """
    if not efforts or wanted in efforts or wanted not in _RANKS:
        return wanted
    rank = _RANKS[wanted]
    # Thinking is not the same as not thinking, however little it is.
    graded = [one for one in efforts if (one == "none") == (wanted == "none")] or efforts

    def distance(effort: str) -> tuple[int, int]:
        own = _RANKS.get(effort, _RANKS["medium"])
        return abs(own - rank), own

    return min(graded, key=distance)


def leave_out(provider: str, **hints: Any) -> None:
    """Say once that a provider takes no such hints; those of None were not given."""
    for name, value in hints.items():
        if value is not None and value != ():
            _warn_once(provider, name)


@cache
def _warn_once(provider: str, name: str) -> None:
    _log.warning("%s has no option %s: it is left out", provider, name)

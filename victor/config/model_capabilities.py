"""What is known about models: how long their window is, which parameters they take, what they cost.

Data with one rule: every row whose pattern matches a model says what it knows, later rows over
earlier ones. The rows are in `victor/config/models/`; packages add theirs through the entry-point
group `victor.models`, users through their settings file. Knows nothing about endpoints: what one
says about itself comes as a `ModelData`, too, and is merged in `capabilities.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

__all__ = [
    "ENTRY_POINTS",
    "UNKNOWN_MODEL",
    "ModelData",
    "ModelRow",
    "model_data",
]

_log = logging.getLogger(__name__)

ENTRY_POINTS = "victor.models"
"""Entry-point group of packages that know models: an iterable of `ModelRow`, or what returns one.

A row may name the package's own provider, or any other.
"""

_BUILT_IN = ("openai", "anthropic", "google", "hosted", "open_weights", "prices")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelData:
    """What is known about one model. None is what nobody said."""

    context_window: int | None = None
    """Tokens of prompt and answer together."""
    max_output_tokens: int | None = None
    tool_mode: Literal["native", "constrained", "none"] | None = None
    tool_format: str | None = None
    """The text format in which the model's family writes calls where its server does not parse."""
    parallel_tools: bool | None = None
    patches: bool | None = None
    """Whether it was trained to change files by patches, and does that better than by edits."""
    vision: bool | None = None
    documents: bool | None = None
    """Whether it reads PDFs."""
    json_schema: bool | None = None
    """Whether answers can be held to a schema."""
    reasoning: bool | None = None
    sampling: bool | None = None
    """Whether `temperature`, `top_p` and penalties are accepted."""
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] | None = None
    system_role: Literal["system", "developer", "user"] | None = None
    """The role in which a system prompt is sent; `user` where the model takes none."""
    efforts: tuple[str, ...] | None = None
    """The values of `reasoning_effort` it takes, weakest first; empty where it takes none."""
    thinking: Literal["adaptive", "budget", "level"] | None = None
    """How a protocol of its vendor spells the effort: by itself, in tokens, or as a level."""
    echo_reasoning: bool | None = None
    """Whether the reasoning of earlier turns has to be sent back."""
    think_tags: bool | None = None
    """Whether it writes its reasoning as `<think>` into the answer where nobody parses it."""
    starts_in_reasoning: bool | None = None
    """Whether its template opens the tag, so that only the closing one is written."""
    input_price: float | None = None
    """USD per million tokens, like the other prices."""
    output_price: float | None = None
    cached_price: float | None = None
    cache_write_price: float | None = None
    priced_on: str | None = None
    """The day the prices were looked up, as YYYY-MM-DD; None for a user's or an endpoint's own."""

    def over(self, below: ModelData) -> ModelData:
        """Return what `below` knows, with what this one knows over it."""
        known: dict[str, Any] = {
            name: value for name in _FIELDS if (value := getattr(self, name)) is not None
        }
        if "input_price" in known:
            known["priced_on"] = self.priced_on  # the day belongs to the price
        return replace(below, **known) if known else below


_FIELDS = tuple(item.name for item in fields(ModelData))

UNKNOWN_MODEL = ModelData()


class ModelRow(NamedTuple):
    """Facts about the models whose names match a pattern."""

    pattern: str
    """A name, in which `*` stands for anything. With a slash it is compared with the whole name;
    without one vendor, region and spelling do not matter, nor a date that it does not have."""
    data: ModelData
    providers: tuple[str, ...] = ()
    """Names of the providers it holds for; empty for all."""

    def matches(self, provider: str, model: str) -> bool:
        """Tell whether the row holds for a provider's model, its name written as it may be."""
        from victor.config.model_names import is_like  # most imports of this module look nothing up

        return (not self.providers or provider in self.providers) and is_like(model, self.pattern)


def model_data(provider: str, model: str, own: Iterable[ModelRow] = ()) -> ModelData:
    """Return what is known about a model of a provider.

    Args:
        provider: the provider's name, such as `"openai"`.
        model: its name for the model, with or without vendor, date and quantisation.
        own: the user's rows (`Settings.model_rows`); they win over all others.
    """
    found = _known(provider, model)
    for row in own:
        if row.matches(provider, model):
            found = row.data.over(found)
    return found


@lru_cache(maxsize=1024)
def _known(provider: str, model: str) -> ModelData:
    found = UNKNOWN_MODEL
    for row in _rows():
        if row.matches(provider, model):
            found = row.data.over(found)
    return found


@cache
def _rows() -> tuple[ModelRow, ...]:
    rows: list[ModelRow] = []
    for name in _BUILT_IN:
        rows += import_module(f"victor.config.models.{name}").ROWS
    return (*rows, *_rows_of_packages())


def _rows_of_packages() -> list[ModelRow]:
    from importlib.metadata import entry_points

    rows: list[ModelRow] = []
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda one: one.name):
        try:
            loaded = entry.load()
            found = list(loaded() if callable(loaded) else loaded)
            if not all(isinstance(row, ModelRow) for row in found):
                raise TypeError("it has to give rows of victor.config.model_capabilities.ModelRow")
        except Exception as error:  # noqa: BLE001 - a stranger's code, and no call depends on it
            _log.warning(
                "the models of the package entry %r (%s) are left out: %s: %s",
                entry.name,
                entry.value,
                type(error).__name__,
                error,
            )
        else:
            rows += found
    return rows

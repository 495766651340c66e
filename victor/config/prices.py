"""What a call cost, in USD. Knows tokens and prices; asks nobody and stores nothing.

The table in `victor/config/models/prices.py` has a date and one price for all sizes. Where the
package `genai-prices` is installed (`pip install 'victor[prices]'`), it is asked first: it is newer
and knows the tiers of long prompts (https://github.com/pydantic/genai-prices). A price that the
user or the endpoint states wins over both.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any

from victor.config.model_capabilities import ModelData
from victor.types import Usage

__all__ = ["price"]

_log = logging.getLogger(__name__)

# What our providers are called there, where it is not the same.
_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "bedrock": "aws",
        "moonshot": "moonshotai",
        "openai-chat": "openai",
        "openai-responses": "openai",
        "vertex": "google",
        "xai": "x-ai",
    }
)
_MILLION = 1_000_000


def price(
    usage: Usage, data: ModelData, *, provider: str | None = None, model: str | None = None
) -> float | None:
    """Return what a call cost in USD; None where tokens or prices are not known.

    Args:
        usage: its tokens; `prompt_tokens` includes cached tokens and cache writes, which cost what
            the model's data say, else as much as others.
        data: what is known about the model.
        provider: with `model`, lets `genai-prices` be asked where it is installed.
        model: the model that answered.
    """
    if usage.prompt_tokens is None or (usage.completion_tokens is None and data.output_price):
        return None
    is_table = data.input_price is None or data.priced_on is not None
    if is_table and provider and model:
        found = _from_genai_prices(usage, provider, model)
        if found is not None:
            return found
    if data.input_price is None or (usage.completion_tokens and data.output_price is None):
        return None
    cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
    written = min(usage.cache_write_tokens or 0, usage.prompt_tokens - cached)
    cached_price = data.input_price if data.cached_price is None else data.cached_price
    write_price = data.input_price if data.cache_write_price is None else data.cache_write_price
    return (
        (usage.prompt_tokens - cached - written) * data.input_price
        + cached * cached_price
        + written * write_price
        + (usage.completion_tokens or 0) * (data.output_price or 0.0)
    ) / _MILLION


def _from_genai_prices(usage: Usage, provider: str, model: str) -> float | None:
    package = _genai_prices()
    if package is None:
        return None
    try:
        found = package.calc_price(
            package.Usage(
                input_tokens=usage.prompt_tokens or 0,
                cache_read_tokens=usage.cached_tokens or 0,
                cache_write_tokens=usage.cache_write_tokens or 0,
                output_tokens=usage.completion_tokens or 0,
            ),
            model,
            provider_id=_NAMES.get(provider, provider),
        )
        return float(found.total_price)
    except LookupError:
        return None  # it knows neither vendor nor model
    except Exception as error:  # noqa: BLE001 - an optional package must not break a call
        _log.warning("genai-prices cannot price %s of %s: %s", model, provider, error)
        return None


@cache
def _genai_prices() -> Any:
    try:
        return import_module("genai_prices")
    except ImportError:
        return None

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from victor.config import prices
from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData, model_data
from victor.config.models.prices import PRICED_ON
from victor.config.prices import price
from victor.types import Usage

DATA = ModelData(
    input_price=2.0,
    output_price=10.0,
    cached_price=0.5,
    cache_write_price=2.5,
    priced_on="2026-01-31",
)


@pytest.fixture(autouse=True)
def _without_the_package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    prices._genai_prices.cache_clear()
    yield
    prices._genai_prices.cache_clear()


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(prompt_tokens=1_000_000, completion_tokens=0), 2.0),
        (Usage(prompt_tokens=0, completion_tokens=1_000_000), 10.0),
        (Usage(prompt_tokens=1000, completion_tokens=100), 0.003),
        (Usage(prompt_tokens=1000, completion_tokens=0, cached_tokens=600), 0.0011),
        (Usage(prompt_tokens=1000, completion_tokens=0, cache_write_tokens=600), 0.0023),
        (
            Usage(
                prompt_tokens=1000,
                completion_tokens=10,
                cached_tokens=500,
                cache_write_tokens=300,
                reasoning_tokens=9,
            ),
            0.0004 + 0.00025 + 0.00075 + 0.0001,
        ),
        # More cached than asked: some servers count wrongly; nothing costs less than nothing.
        (Usage(prompt_tokens=100, completion_tokens=0, cached_tokens=500), 0.00005),
    ],
)
def test_cached_tokens_and_cache_writes_are_part_of_the_prompt(
    usage: Usage, dollars: float
) -> None:
    assert price(usage, DATA) == pytest.approx(dollars)


def test_without_special_prices_cached_tokens_cost_what_others_do() -> None:
    data = ModelData(input_price=2.0, output_price=0.0)
    usage = Usage(
        prompt_tokens=1_000_000, completion_tokens=5, cached_tokens=400_000, cache_write_tokens=9
    )
    assert price(usage, data) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("usage", "data"),
    [
        (Usage(), DATA),
        (Usage(completion_tokens=5), DATA),
        (Usage(prompt_tokens=5), DATA),
        (Usage(prompt_tokens=5, completion_tokens=5), UNKNOWN_MODEL),
        (Usage(prompt_tokens=5, completion_tokens=5), ModelData(input_price=1.0)),
        (Usage(prompt_tokens=5, completion_tokens=5), ModelData(output_price=1.0)),
    ],
)
def test_what_is_not_known_costs_none_and_not_nothing(usage: Usage, data: ModelData) -> None:
    assert price(usage, data) is None


def test_embeddings_are_paid_for_what_is_read() -> None:
    data = model_data("openai", "text-embedding-3-small")
    assert price(Usage(prompt_tokens=1_000_000), data) == pytest.approx(0.02)


def test_a_free_model_costs_nothing() -> None:
    data = ModelData(input_price=0.0, output_price=0.0)
    assert price(Usage(prompt_tokens=5, completion_tokens=5), data) == 0.0


def test_the_table_prices_the_default_of_a_vendor() -> None:
    data = model_data("anthropic", "claude-sonnet-4-5-20250929")
    assert data.priced_on == PRICED_ON
    usage = Usage(prompt_tokens=3000, completion_tokens=1000, cached_tokens=2000)
    assert price(usage, data) == pytest.approx(0.003 + 0.0006 + 0.015)


# ---------------------------------------------------------------------------- genai-prices


class Package(ModuleType):
    """Looks like genai_prices; a price, or what it raises."""

    def __init__(self, answer: object) -> None:
        super().__init__("genai_prices")
        self.answer = answer
        self.asked: list[tuple[dict[str, int], str, str]] = []

    def Usage(self, **tokens: int) -> dict[str, int]:  # noqa: N802 - its name there
        return tokens

    def calc_price(self, usage: dict[str, int], model: str, *, provider_id: str) -> Any:
        self.asked.append((usage, model, provider_id))
        if isinstance(self.answer, Exception):
            raise self.answer
        found = ModuleType("found")
        found.total_price = self.answer  # type: ignore[attr-defined] # any object will do
        return found


def installed(monkeypatch: pytest.MonkeyPatch, answer: object) -> Package:
    package = Package(answer)
    monkeypatch.setitem(sys.modules, "genai_prices", package)
    prices._genai_prices.cache_clear()
    return package


USAGE = Usage(prompt_tokens=1000, completion_tokens=100, cached_tokens=50)


@pytest.mark.parametrize("data", [DATA, UNKNOWN_MODEL], ids=["a table's price", "no price"])
def test_the_package_is_asked_first_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, data: ModelData
) -> None:
    package = installed(monkeypatch, "0.25")
    assert price(USAGE, data, provider="xai", model="grok-4.7") == 0.25
    tokens = {
        "input_tokens": 1000,
        "cache_read_tokens": 50,
        "cache_write_tokens": 0,
        "output_tokens": 100,
    }
    assert package.asked == [(tokens, "grok-4.7", "x-ai")]


def test_a_price_of_the_users_own_wins_over_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    package = installed(monkeypatch, "0.25")
    own = ModelData(input_price=1.0, output_price=0.0).over(DATA)
    assert price(USAGE, own, provider="groq", model="m") == pytest.approx(0.000975)
    assert package.asked == []


def test_without_provider_and_model_the_package_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = installed(monkeypatch, "0.25")
    assert price(USAGE, DATA) == pytest.approx(0.002925)
    assert price(USAGE, DATA, provider="groq") == pytest.approx(0.002925)
    assert package.asked == []


@pytest.mark.parametrize(
    ("error", "warned"), [(LookupError("no such model"), False), (TypeError("changed"), True)]
)
def test_what_the_package_cannot_price_is_priced_by_the_table(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    warned: bool,
) -> None:
    installed(monkeypatch, error)
    assert price(USAGE, DATA, provider="groq", model="m") == pytest.approx(0.002925)
    assert bool(caplog.messages) == warned
    assert not warned or caplog.messages == ["genai-prices cannot price m of groq: changed"]


def test_without_the_package_the_table_is_used() -> None:
    assert price(USAGE, DATA, provider="groq", model="m") == pytest.approx(0.002925)

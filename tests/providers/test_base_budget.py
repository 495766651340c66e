from __future__ import annotations

import asyncio

import pytest

from tests.providers.author import Author, as_script, ask_chat, by_either, down, either
from victor.errors import ProviderServerError
from victor.providers.registry import _registered, create_provider


@either
async def test_a_provider_that_is_down_is_retried_only_as_often_as_the_budget_pays(
    how: str,
) -> None:
    provider = Author([as_script(how, down())], max_retries=10_000, use_circuit_breaker=False)
    with pytest.raises(ProviderServerError):
        await by_either(provider, how)
    assert len(provider.asked) == 101


async def test_calls_side_by_side_share_the_budget_of_their_endpoint() -> None:
    provider = Author([down()], max_retries=100, use_circuit_breaker=False)
    calls = (ask_chat(provider) for _ in range(50))
    assert len(await asyncio.gather(*calls, return_exceptions=True)) == 50
    assert len(provider.asked) == 50 + 100


async def test_successes_earn_retries() -> None:
    provider = Author(["fine"], max_retries=1_000, use_circuit_breaker=False)
    budget = provider._guard._guard.budget
    assert budget is not None
    while budget.spend():
        pass
    for _ in range(10):
        await ask_chat(provider)
    provider.script, asked = [down()], len(provider.asked)
    with pytest.raises(ProviderServerError):
        await ask_chat(provider)
    assert len(provider.asked) - asked == 1 + 2


async def test_providers_of_one_endpoint_share_a_budget_where_they_share_its_circuits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(_registered(), "author", Author)
    one, other = create_provider("author"), create_provider("author")
    assert one._guard._guard.budget is other._guard._guard.budget
    elsewhere = create_provider("author", base_url="https://elsewhere.example")
    assert elsewhere._guard._guard.budget is not one._guard._guard.budget
    assert Author()._guard._guard.budget is not one._guard._guard.budget

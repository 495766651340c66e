"""What the tests of failover share: several providers as one, and what it says meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.providers.author import HI, Author
from tests.resilience.guards import guard
from victor.providers.base import BaseProvider
from victor.providers.failover import FailoverProvider
from victor.providers.routes import RouteLike
from victor.resilience.events import FailedOver
from victor.resilience.retry import RetryPolicy
from victor.types import Attempt

__all__ = ["Named", "Told", "answer_of", "labels", "timed", "together"]


class Told(list[Any]):
    """An observer that keeps what it hears."""

    @property
    def moves(self) -> list[FailedOver]:
        return [one for one in self if isinstance(one, FailedOver)]


class Named(Author):
    """An author's provider with a name of its own."""

    default_model: str | None = "its-own"

    def __init__(self, name: str, script: Sequence[Any] = ("fine",), **kwargs: Any) -> None:
        super().__init__(script, **kwargs)
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def models(self) -> list[str]:
        return [one["model"] for one in self.asked]


def together(*routes: RouteLike, **options: Any) -> FailoverProvider:
    return FailoverProvider(routes, **{"hold_s": 0, **options})


def timed(provider: BaseProvider, **policy: Any) -> None:
    """Give a provider a guard in virtual time."""
    provider.__dict__["_guard"] = guard(retry=RetryPolicy(max_retries=0), **policy)


async def answer_of(provider: BaseProvider, how: str, **options: Any) -> str:
    """Ask for an answer; of a stream it is checked that its end is one."""
    options = {"model": "asked", **options}
    messages = options.pop("messages", HI)
    if how == "chat":
        return (await provider.chat(messages, **options)).content
    chunks = [chunk async for chunk in provider.stream(messages, **options)]
    assert [chunk.is_final for chunk in chunks].index(True) == len(chunks) - 1
    return "".join(chunk.content for chunk in chunks)


def labels(attempts: Sequence[object]) -> list[str]:
    """Return attempts as `provider/model`, with a mark for those that failed."""
    known = [one for one in attempts if isinstance(one, Attempt)]
    assert len(known) == len(attempts)
    return [f"{one.provider}/{one.model}{'!' if one.error else ''}" for one in known]

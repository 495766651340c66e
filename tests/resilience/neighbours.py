"""Several processes in one: each with its own breakers and thread, one file and one clock.

Knows nothing about what is asserted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.resilience.clocks import Clock
from victor.errors import ProviderOverloadedError, ProviderServerError
from victor.resilience.breaker_policy import BreakerPolicy
from victor.resilience.breaker_values import BreakerSnapshot
from victor.resilience.circuits import Circuits, SharedCircuits
from victor.resilience.deadlines import Deadlines
from victor.resilience.pipeline import Pipeline
from victor.resilience.retry import RetryPolicy
from victor.resilience.shared_state import SharedState

POLICY: Final = BreakerPolicy(consecutive_failures=2, base_open_s=10)
"""A circuit opens for 5 to 10 s."""
BOOT: Final = "this boot"


class Neighbour:
    """What one process has: a guard, and the state it shares."""

    def __init__(
        self, path: Path, clock: Clock, *, policy: BreakerPolicy = POLICY, boot: str = BOOT
    ) -> None:
        self.clock = clock
        self.state = SharedState(path, clock=clock, boot=boot, patience_s=10, batch_s=0.01)
        known = SharedCircuits()
        self.state.attach(known)
        self.circuits: Circuits = known.of("api", policy=policy)
        breaker = self.circuits.endpoint
        breaker._clock, breaker._random = clock, lambda: 1.0  # `of` takes neither
        self.pipeline = Pipeline(
            "api",
            breaker=self.circuits,
            retry=RetryPolicy(max_retries=0),
            deadlines=Deadlines(),
            clock=clock,
        )

    def now(self) -> BreakerSnapshot:
        return self.circuits.endpoint.snapshot()

    async def call(self, fn: Callable[[], Awaitable[str]], part: str | None = None) -> str:
        return await self.pipeline.call(fn, part=part)

    async def written(self) -> None:
        """Wait until what was to be written is written."""
        await self.state._thread.ask(lambda: None)

    async def fails(self, times: int = 2, part: str | None = None) -> None:
        """Fail so often; overloaded where it is a part that is asked."""
        fn = busy if part else down
        for _ in range(times):
            try:
                await self.call(fn, part)
            except ProviderServerError:
                continue
            raise AssertionError("it did not fail")
        await self.written()


async def down() -> str:
    raise ProviderServerError("HTTP 500")


async def busy() -> str:
    raise ProviderOverloadedError("overloaded", status_code=529)


async def fine() -> str:
    return "fine"


@contextmanager
def neighbours(path: Path, count: int = 2) -> Iterator[tuple[list[Neighbour], Clock]]:
    clock = Clock()
    found = [Neighbour(path, clock) for _ in range(count)]
    try:
        yield found, clock
    finally:
        for each in found:
            each.state.close()

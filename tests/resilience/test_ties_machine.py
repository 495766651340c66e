from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.resilience.clocks import Clock
from tests.resilience.neighbours import Neighbour
from victor.errors import CircuitOpenError
from victor.resilience.breaker_policy import BreakerPolicy
from victor.resilience.circuits import Leave
from victor.resilience.votes import Outcome, Vote

POLICY = BreakerPolicy(consecutive_failures=2, base_open_s=2, max_open_s=8, probe_lease_s=5)
OUTCOMES = [Outcome(Vote.OK), Outcome(Vote.FAIL), Outcome(Vote.NEUTRAL), Outcome(Vote.ALIVE)]


@dataclass
class Attempt:
    by: Neighbour
    leave: Leave
    since: float
    is_probe: bool


class NeighboursMachine(RuleBasedStateMachine):
    """Three processes call one endpoint as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        path = Path(self.folder.name) / "resilience.db"
        self.all = [Neighbour(path, self.clock, policy=POLICY) for _ in range(3)]
        self.flying: list[Attempt] = []

    def teardown(self) -> None:
        for each in self.all:
            each.state.close()
        self.runner.close()
        self.folder.cleanup()

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.1, 3.0, 6.0]))
    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(who=st.integers(0, 2))
    def begin(self, who: int) -> None:
        attempt = self.runner.run(self._begin(self.all[who]))
        if attempt is not None:
            self.flying.append(attempt)

    async def _begin(self, by: Neighbour) -> Attempt | None:
        outside = by.circuits.outside
        assert outside is not None
        turn = outside.turn(None)
        if turn is not None:
            await turn
        try:
            leave = by.circuits.admit()
        except CircuitOpenError:
            outside.changed(None)
            return None
        is_probe = by.circuits.endpoint.state == "half-open"
        return Attempt(by, leave, self.clock.now, is_probe)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES))
    def end(self, data: st.DataObject, outcome: Outcome) -> None:
        attempt = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        self.runner.run(self._end(attempt, outcome))

    async def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        circuits = attempt.by.circuits
        circuits.settle(attempt.leave, outcome, RuntimeError("x"))
        assert circuits.outside is not None
        circuits.outside.settled(None, outcome, None, 0.1)
        await attempt.by.written()

    @rule()
    def everybody_comes_to_agree(self) -> None:
        self.clock.now += 1.1
        for each in self.all:
            self.runner.run(self._look(each))
        assert len({each.circuits.endpoint.state == "closed" for each in self.all}) == 1

    async def _look(self, each: Neighbour) -> None:
        """Read and take over, without the claim that a call would make."""
        await each.state._thread.ask(each.state._thread.read)
        each.circuits.outside._endpoint.look()  # type: ignore[union-attr]  # it is a `Ties`

    @invariant()
    def one_probe_at_a_time_holds_its_lease(self) -> None:
        leased = [each for each in self.flying if each.is_probe and each.since + 5 > self.clock.now]
        assert len(leased) <= 1


NeighboursMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None
)
TestNeighboursMachine = NeighboursMachine.TestCase

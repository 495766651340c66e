from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from victor.resilience.retry import RetryBudget


class BudgetMachine(RuleBasedStateMachine):
    """Spends and earns; beside it, the same in plain numbers."""

    @initialize(capacity=st.integers(0, 60), cost=st.integers(1, 12))
    def start(self, capacity: int, cost: int) -> None:
        self.capacity, self.cost = capacity, cost
        self.budget = RetryBudget(capacity, cost=cost)
        self.spent = self.earned = 0

    @rule(timed_out=st.booleans())
    def spend(self, timed_out: bool) -> None:
        before = self.budget.tokens
        price = self.cost * (2 if timed_out else 1)
        paid = self.budget.spend(timed_out=timed_out)
        assert paid is (price <= before)
        assert self.budget.tokens == before - price * paid
        self.spent += price * paid

    @rule(retried=st.booleans())
    def earn(self, retried: bool) -> None:
        before = self.budget.tokens
        self.budget.earn(retried=retried)
        gained = self.budget.tokens - before
        assert gained == min(self.cost if retried else 1, self.capacity - before)
        self.earned += gained

    @rule(calls=st.integers(1, 40))
    def outage(self, calls: int) -> None:
        before = self.budget.tokens
        retries = sum(self.budget.spend() for _ in range(calls))
        assert retries == min(calls, before // self.cost)
        self.spent += retries * self.cost

    @invariant()
    def stays_within_its_bounds(self) -> None:
        if hasattr(self, "budget"):
            assert 0 <= self.budget.tokens <= self.capacity
            assert self.budget.tokens == self.capacity - self.spent + self.earned


BudgetMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestBudgetMachine = BudgetMachine.TestCase

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from victor.config.model_capabilities import ModelData
from victor.errors import ConfigError, ProviderError
from victor.providers.base import BaseProvider
from victor.resilience.breaker_policy import BreakerPolicy
from victor.testing.drill import DrillReport, Happening, drill
from victor.testing.scenario import parse_scenario
from victor.testing.simulated import Target
from victor.types import Message

PRICED = ModelData(input_price=1.0, output_price=10.0)
FIRST = Target(provider="acme", model="large", base_url="https://acme.example", data=PRICED)
SECOND = Target(provider="backup", model="small", data=PRICED, quality=2)


def _played(text: str, *targets: Target, **options: object) -> DrillReport:
    chosen = {"every_s": 5.0, "for_s": 60.0, **options}
    return drill(parse_scenario(text), targets or (FIRST, SECOND), **chosen)  # type: ignore[arg-type]


def _happenings(report: DrillReport, request: int | None = None) -> list[Happening]:
    events = [one for one in report.events if request is None or one.request == request]
    return [one.what for one in events]


def test_a_provider_that_is_well_answers_everything() -> None:
    report = _played("acme: ok")
    assert [one.at_s for one in report.requests] == [5.0 * number for number in range(12)]
    assert {one.answered_by for one in report.requests} == {"acme/large"}
    assert {round(one.seconds, 6) for one in report.requests} == {1.3}
    assert _happenings(report) == ["answered"] * 12
    assert report.answered == 12


def test_an_outage_is_retried_and_then_another_provider_answers() -> None:
    report = _played("acme: 529")
    assert _happenings(report, 1) == [
        "attempt_failed",
        "retry_scheduled",
        "attempt_failed",
        "retry_scheduled",
        "attempt_failed",
        "retry_scheduled",
        "failed_over",
        "answered",
    ]
    assert {one.answered_by for one in report.requests} == {"backup/small"}
    assert "breaker_opened" in _happenings(report)


def test_the_cause_comes_before_what_it_does_to_the_circuit() -> None:
    happened = _happenings(_played("acme: 500"))
    opened = happened.index("breaker_opened")
    assert happened[opened - 1] == "attempt_failed"


def test_without_a_fallback_an_open_circuit_refuses_at_once() -> None:
    report = _played("acme: 500", FIRST)
    refused = [one for one in report.events if one.what == "refused"]
    assert refused
    assert all(one.seconds == 0 for one in refused)
    assert all((one.error or "").startswith("CircuitOpenError") for one in refused)
    assert report.answered == 0
    assert {one.cost for one in report.requests} == {None}


def test_the_circuit_closes_when_the_outage_is_over() -> None:
    report = _played("acme: 500 for 10s", FIRST)
    happened = _happenings(report)
    assert happened.index("breaker_half_opened") > happened.index("breaker_opened")
    assert "breaker_closed" in happened
    assert report.requests[-1].answered_by == "acme/large"
    assert {one.who for one in report.events if one.what == "breaker_closed"} == {"acme"}


def test_a_move_comes_before_what_it_does_to_the_circuit_of_the_new_one() -> None:
    report = _played("*: 500", for_s=120.0)
    for at, event in enumerate(report.events):
        if event.what == "breaker_half_opened":
            assert report.events[at + 1].what != "failed_over"


def test_an_overloaded_model_has_a_circuit_of_its_own() -> None:
    other = Target(provider="acme", model="small", base_url="https://acme.example")
    report = _played("acme model large: 529", FIRST, other)
    opened = {one.who for one in report.events if one.what == "breaker_opened"}
    assert opened == {"acme/large"}
    assert {one.answered_by for one in report.requests} == {"acme/small"}


def test_models_of_one_endpoint_share_its_circuit() -> None:
    other = Target(provider="acme", model="small", base_url="https://acme.example")
    report = _played("acme: refuse", FIRST, other)
    opened = {one.who for one in report.events if one.what == "breaker_opened"}
    assert opened == {"acme"}
    assert report.answered == 0


def test_the_second_key_takes_over() -> None:
    two = Target(provider="acme", model="large", keys=2)
    report = _played("acme: revoked", two)
    assert _happenings(report).count("key_switched") == 1
    assert report.answered == 12


def test_a_person_is_asked_where_the_policy_says_so() -> None:
    report = _played("acme: 401", policy="ask")
    assert "asked_person" in _happenings(report, 1)
    assert report.answered == 12


def test_nothing_moves_on_where_the_policy_forbids_it() -> None:
    assert _played("acme: 401", policy="never").answered == 0


def test_routes_below_the_quality_floor_are_not_used() -> None:
    assert _played("acme: 401", quality_floor=3).answered == 0
    assert _played("acme: 401", quality_floor=2).answered == 12


def test_a_call_waits_for_the_earliest_circuit_if_all_are_open() -> None:
    policy = BreakerPolicy(consecutive_failures=1, base_open_s=20)
    report = _played(
        "*: 500 for 12s", *(_once(one) for one in (FIRST, SECOND)), breaker=policy, for_s=20.0
    )
    waits = [one for one in report.events if one.what == "retry_scheduled"]
    assert waits
    assert report.requests[-1].answered_by is not None


def _once(target: Target) -> Target:
    return Target(provider=target.provider, model=target.model, max_retries=0, data=target.data)


def test_a_cut_answer_fails_where_nobody_asks_again() -> None:
    report = _played("acme: cut", FIRST, for_s=5.0)
    assert _happenings(report) == ["attempt_failed", "failed"]
    assert (report.requests[0].error or "").startswith("StreamInterruptedError")


def test_an_answer_that_begins_again_is_told() -> None:
    async def twice(provider: BaseProvider) -> None:
        for _ in range(2):
            try:
                async for _ in provider.stream([Message(role="user", content="x")], model="large"):
                    pass
            except ProviderError:
                continue
            return

    report = _played("acme: cut for 800ms", FIRST, for_s=5.0, ask=twice)
    assert _happenings(report) == ["attempt_failed", "answer_restarted", "answered"]


def test_what_an_answer_costs_is_counted_and_what_fails_is_not() -> None:
    report = _played("acme: 401", for_s=10.0)
    assert [one.cost for one in report.requests] == [pytest.approx(0.005)] * 2
    assert report.cost == pytest.approx(0.01)
    assert _played("acme: 401", FIRST, for_s=10.0).cost == 0


def test_an_unknown_price_leaves_the_whole_cost_unknown() -> None:
    unpriced = Target(provider="backup", model="of-nobody")
    report = _played("acme: 401 for 6s", FIRST, unpriced)
    assert report.cost is None
    assert report.requests[-1].cost == pytest.approx(0.005)


def test_the_same_dice_give_the_same_report_and_others_do_not() -> None:
    report = _played("acme: 529 for 20s, then stall")
    assert _played("acme: 529 for 20s, then stall") == report
    assert _played("acme: 529 for 20s, then stall", seed=1) != report


def test_the_example_of_the_manual_runs() -> None:
    manual = (Path(__file__).parents[2] / "docs/reference/drills.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", manual, re.DOTALL)
    assert block is not None
    names: dict[str, object] = {}
    exec(block[1], names)  # noqa: S102 - our own manual
    assert isinstance(names["report"], DrillReport)


def test_an_hour_takes_a_moment() -> None:
    began = time.monotonic()
    report = _played("acme: stall for 30m", for_s=3600.0, every_s=5.0)
    assert len(report.requests) == 720
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("amce: 529", {}, "is about 'amce', which would not be asked: .* lead to acme, backup"),
        ("acme: 529", {"every_s": 0.01}, "at most 1000 requests"),
        ("acme: 529", {"every_s": 0.0}, "at most 1000 requests"),
    ],
    ids=["stranger", "too often", "all at once"],
)
def test_a_drill_that_makes_no_sense_is_refused(
    text: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _played(text, **options)

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.testing.scenario import (
    Clause,
    Fault,
    FaultKind,
    Scenario,
    ScenarioError,
    Step,
    format_duration,
    format_scenario,
    parse_duration,
    parse_scenario,
)

DOCS = Path(__file__).parents[2] / "docs/reference/drills.md"


def test_the_example_of_the_issue_is_two_steps_of_one_provider() -> None:
    assert parse_scenario("anthropic: 529 for 2m, then stall 30s") == Scenario(
        (
            Clause(
                "anthropic",
                None,
                (
                    Step(Fault("status", 529), 120.0),
                    Step(Fault("stall", seconds=30.0)),
                ),
            ),
        )
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("*:refuse", "*: refuse"),
        ("  OpenAI :  RESET  ", "openai: reset"),
        ("a: 429 retry-after 20s for 1m then ok", "a: 429 retry-after 20s for 1m, then ok"),
        ("a: slow 1.5s;", "a: slow 1s500ms"),
        ("a: stall for 90s", "a: stall for 1m30s"),
        ("ollama model llama3:8b: cut; a: empty", "ollama model llama3:8b: cut; a: empty"),
        ("a model b : garbage", "a model b: garbage"),
        ("a: revoked\n;\nb: ok for 2h3m", "a: revoked; b: ok for 2h3m"),
    ],
)
def test_a_scenario_is_written_in_one_way(text: str, written: str) -> None:
    assert format_scenario(parse_scenario(text)) == written


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("", 1, "a provider's name, or *"),
        ("anthropic 529", 11, '":" or "model NAME:"'),
        ("anthropic:", 11, "a status such as 529"),
        ("anthropic: 529 fro 2m", 16, '"retry-after", "for", ", then", ";" or the end'),
        ("anthropic: 529 for", 19, "a duration such as 30s"),
        ("anthropic: 529 for 2", 20, "a duration such as 30s"),
        ("anthropic: 529 for 2m stall", 23, '", then", ";" or the end'),
        ("anthropic: 529 for 2m, stall", 24, '"then"'),
        ("anthropic: stall, then ok", 17, '"for DURATION" before the next fault'),
        ("anthropic: stall 30", 18, "a duration such as 30s"),
        ("anthropic: stall x", 18, '"for"'),
        ("anthropic: slow", 16, "a duration such as 30s"),
        ("anthropic: 700", 12, "a status such as 529"),
        ("anthropic: 5299", 12, "a status such as 529"),
        ("anthropic: 529 for 0s", 20, "a duration above 0"),
        ("anthropic: 529 for 721h", 20, "at most 720h"),
        ("anthropic model : ok", 17, "a model's name, a colon and a space"),
        ("a: ok; a: cut", 8, "one clause only for a"),
        ("a: ok; ;", 8, "a provider's name"),
    ],
)
def test_an_error_points_at_the_column_and_says_what_could_stand_there(
    text: str, column: int, expected: str
) -> None:
    with pytest.raises(ScenarioError) as found:
        parse_scenario(text)
    assert found.value.column == column
    assert expected in found.value.expected
    assert str(found.value).startswith(f"column {column}: expected {found.value.expected}, not ")


def test_an_error_quotes_what_stands_there() -> None:
    with pytest.raises(ScenarioError, match=r"not 'fro'$"):
        parse_scenario("anthropic: 529 fro 2m")
    with pytest.raises(ScenarioError, match=r"not the end$"):
        parse_scenario("anthropic:")


def test_faults_follow_one_another_and_then_all_is_well() -> None:
    scenario = parse_scenario("a: 500 for 10s, then reset for 5s")
    kinds = [scenario.fault_at("a", "m", at).kind for at in (0, 9.9, 10, 14.9, 15, 1e6)]
    assert kinds == ["status", "status", "reset", "reset", "ok", "ok"]
    assert scenario.fault_at("b", "m", 0).kind == "ok"


def test_the_last_fault_may_go_on_for_ever() -> None:
    assert parse_scenario("a: ok for 1s, then cut").fault_at("a", "m", 1e9).kind == "cut"


def test_a_model_counts_more_than_its_provider_and_that_more_than_everybody() -> None:
    scenario = parse_scenario("*: refuse; a: reset; a model m: cut for 1s; * model n: stall")
    assert scenario.fault_at("a", "m", 0).kind == "cut"
    assert scenario.fault_at("a", "m", 2).kind == "reset", "the model's time is over"
    assert scenario.fault_at("a", "n", 0).kind == "reset"
    assert scenario.fault_at("b", "n", 0).kind == "stall"
    assert scenario.fault_at("b", "m", 0).kind == "refuse"
    assert scenario.providers == ("a",)


@pytest.mark.parametrize("text", ["30s", "2m", "1m30s", "500ms", "1h1m1s1ms", "720h"])
def test_a_duration_is_read_and_written(text: str) -> None:
    assert format_duration(parse_duration(text)) == text


@pytest.mark.parametrize(
    "text", ["", "s", "1", "1 s", "1d", "-1s", "1s2", "1.2345s", "1e3s", "1s x"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ScenarioError, match=r"a duration such as 30s|the end"):
        parse_duration(text)


def test_every_scenario_of_the_manual_can_be_read() -> None:
    manual = DOCS.read_text(encoding="utf-8")
    block = re.search(r"```scenario\n(.*?)```", manual, re.DOTALL)
    assert block is not None
    lines = block[1].strip().splitlines()
    assert len(lines) >= 5
    for line in lines:
        assert format_scenario(parse_scenario(line)) == line


_durations = st.integers(1, 720 * 3_600_000).map(lambda ms: ms / 1000)
_faults = st.one_of(
    st.builds(Fault, st.sampled_from(sorted({*get_args(FaultKind)} - {"status", "slow"}))),
    st.builds(Fault, st.just("status"), st.integers(400, 599), st.one_of(st.none(), _durations)),
    st.builds(Fault, st.sampled_from(("slow", "stall")), st.none(), _durations),
)
_models = st.text(
    st.characters(blacklist_categories=("Cs", "Z", "Cc"), blacklist_characters=";,"), min_size=1
)


@st.composite
def _clauses(draw: st.DrawFn) -> Clause:
    first = draw(st.lists(st.builds(Step, _faults, _durations), max_size=3))
    last = draw(st.builds(Step, _faults, st.one_of(st.none(), _durations)))
    provider = draw(st.one_of(st.just("*"), st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,9}\Z")))
    return Clause(provider, draw(st.one_of(st.none(), _models)), (*first, last))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(_clauses(), min_size=1, max_size=3, unique_by=lambda one: (one.provider, one.model))
)
def test_what_is_written_is_read_as_the_same(clauses: list[Clause]) -> None:
    scenario = Scenario(tuple(clauses))
    assert parse_scenario(format_scenario(scenario)) == scenario


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.text("ab*:;,. 0123456789smh\n", max_size=60),
        st.lists(
            st.sampled_from(
                ["a", ":", ": ", "529", " for ", "2m", ", ", "then ", "stall", ";", "model ", "*"]
            ),
            max_size=12,
        ).map("".join),
    )
)
def test_any_text_is_a_scenario_or_a_scenario_error(text: str) -> None:
    problem: ScenarioError | None = None
    found: Scenario | None = None
    try:
        found = parse_scenario(text)
    except ScenarioError as error:
        problem = error
    if found is not None:
        assert parse_scenario(format_scenario(found)) == found
    assert problem is None or 1 <= problem.column <= len(text) + 1

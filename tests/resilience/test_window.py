from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from victor.resilience.window import Window


def test_calls_are_counted_until_they_leave_the_window() -> None:
    window = Window(60.0)
    assert window.add(0.0, failed=True) == (1, 1)
    assert window.add(30.0, failed=False) == (2, 1)
    assert window.totals(59.0) == (2, 1)
    assert window.totals(61.0) == (1, 0)
    assert window.totals(1000.0) == (0, 0)


def test_a_cleared_window_is_empty() -> None:
    window = Window(60.0)
    window.add(0.0, failed=True)
    window.clear()
    assert window.totals(0.0) == (0, 0)


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=60))
@settings(max_examples=100)
def test_it_agrees_with_remembering_every_call_to_a_tenth_of_its_span(
    steps: list[tuple[float, bool]],
) -> None:
    window, now, calls = Window(60.0), 0.0, list[tuple[float, bool]]()
    for step, failed in steps:
        now += step
        calls.append((now, failed))
        total, failures = window.add(now, failed=failed)
        surely = [bad for at, bad in calls if at > now - 54]
        maybe = [bad for at, bad in calls if at > now - 60]
        assert len(surely) <= total <= len(maybe)
        assert sum(surely) <= failures <= sum(maybe)

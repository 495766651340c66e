from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.providers.rate_limits import RateLimit, parse_duration, rate_limits, reset_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        pytest.param(
            {
                "anthropic-ratelimit-input-tokens-limit": "400000",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-03-01T12:00:07Z",
            },
            [RateLimit("input-tokens", 400000, 0, 7)],
            id="moment",
        ),
        pytest.param(
            {
                "X-RateLimit-Limit-Requests": "500",
                "X-RateLimit-Remaining-Requests": "499",
                "X-RateLimit-Reset-Requests": "2m59.56s",
                "x-ratelimit-reset-tokens": "120ms",
            },
            [RateLimit("requests", 500, 499, 179.56), RateLimit("tokens", None, None, 0.12)],
            id="go durations",
        ),
        pytest.param(
            {"x-ratelimit-reset-requests": "10"},
            [RateLimit("requests", None, None, 10)],
            id="bare seconds",
        ),
        pytest.param(
            {"x-ratelimit-limit": "20", "x-ratelimit-reset": str((EPOCH + 30) * 1000)},
            [RateLimit("requests", 20, None, 30)],
            id="epoch in ms",
        ),
        pytest.param(
            {"x-ratelimit-reset": str(EPOCH + 3)},
            [RateLimit("requests", None, None, 3)],
            id="epoch in s",
        ),
        pytest.param(
            {"x-ratelimit-reset": str(EPOCH - 3)},
            [RateLimit("requests", None, None, 0)],
            id="past",
        ),
        pytest.param(
            {"x-tokenlimit-remaining": "5", "ratelimitbysize-reset": "9"},
            [RateLimit("tokens", None, 5, None), RateLimit("size", None, None, 9)],
            id="other families",
        ),
        pytest.param(
            {"x-ratelimit-remaining-req-minute": "3", "x-ratelimit-reset-requests-day": "60.5"},
            [RateLimit("req-minute", None, 3, None), RateLimit("requests-day", None, None, 60.5)],
            id="spans",
        ),
        pytest.param(
            {"x-ratelimit-reset": "soon", "x-ratelimit-limit": "-1", "x-ratelimit-policy": "a"},
            [],
            id="garbage",
        ),
        pytest.param({}, [], id="none"),
    ],
)
def test_the_limits_of_every_vendor_are_read(
    headers: dict[str, str], found: list[RateLimit]
) -> None:
    read = rate_limits(headers, NOW)
    assert [(one.name, one.limit, one.remaining) for one in read] == [
        (one.name, one.limit, one.remaining) for one in found
    ]
    assert [one.reset_s for one in read] == [
        one.reset_s if one.reset_s is None else pytest.approx(one.reset_s) for one in found
    ]


def test_a_moment_is_relative_to_the_servers_clock() -> None:
    headers = {"x-ratelimit-reset": str(EPOCH + 5), "date": "Sun, 01 Mar 2026 12:00:00 GMT"}
    assert reset_after(headers, datetime(2000, 1, 1, tzinfo=UTC)) == 5


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (
            {
                "x-ratelimit-remaining-requests": "9",
                "x-ratelimit-reset-requests": "8h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "7.5s",
            },
            7.5,
        ),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1m",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "2s",
            },
            60.0,
        ),
        ({"x-ratelimit-reset-requests": "9s", "x-ratelimit-reset-tokens": "4s"}, 4.0),
        ({"x-ratelimit-remaining-tokens": "0"}, None),
        ({}, None),
    ],
    ids=["the spent one", "the last of the spent", "the first of the unknown", "no reset", "none"],
)
def test_the_wait_is_until_the_spent_limits_reset(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert reset_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1m0s", 60), ("8.64s", 8.64), ("2h3m", 7380), ("5", 5), ("", None), ("5 apples", None)],
)
def test_durations_are_read_as_go_writes_them(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == (None if seconds is None else pytest.approx(seconds))


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["x-ratelimit-reset", "x-ratelimit-remaining-tokens", "date", "retry"]),
        st.text(max_size=20),
    )
)
def test_whatever_the_headers_say_a_wait_is_a_number_or_nothing(headers: dict[str, str]) -> None:
    wait = reset_after(headers, NOW)
    assert wait is None or wait >= 0

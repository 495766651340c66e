from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.resilience.retry_after import parse_retry_after

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"retry-after": "2"}, 2.0, id="seconds"),
        pytest.param({"Retry-After": " 2.5 "}, 2.5, id="any case and fractions"),
        pytest.param({"retry-after": "0"}, 0.0, id="zero"),
        pytest.param({"retry-after": "-3"}, 0.0, id="negative"),
        pytest.param({"retry-after": "1000000000"}, 1e9, id="absurd but stated"),
        pytest.param({"retry-after-ms": "1500"}, 1.5, id="milliseconds"),
        pytest.param({"retry-after-ms": "1500", "retry-after": "1"}, 1.5, id="longest wins, ms"),
        pytest.param({"retry-after-ms": "1500", "retry-after": "2"}, 2.0, id="longest wins, s"),
        pytest.param({"retry-after": "Thu, 01 Jan 2026 12:00:07 GMT"}, 7.0, id="date"),
        pytest.param({"retry-after": "Thu, 01 Jan 2026 12:00:07 -0000"}, 7.0, id="date, no zone"),
        pytest.param({"retry-after": "Thu, 01 Jan 2026 11:00:00 GMT"}, 0.0, id="past date"),
        pytest.param(
            {
                "retry-after": "Fri, 02 Jan 2026 00:00:05 GMT",
                "date": "Fri, 02 Jan 2026 00:00:00 GMT",
            },
            5.0,
            id="the server's clock, not ours",
        ),
        pytest.param(
            {"retry-after": "Thu, 01 Jan 2026 12:00:07 GMT", "date": "today"}, 7.0, id="bad date"
        ),
        pytest.param({"retry-after": "soon"}, None, id="garbage"),
        pytest.param({"retry-after": ""}, None, id="empty"),
        pytest.param({"retry-after": "nan"}, None, id="nan"),
        pytest.param({"retry-after": "inf"}, None, id="infinite"),
        pytest.param({"retry-after": "2, 3"}, None, id="two values"),
        pytest.param({"retry-after": "Thu, 99 Jan 2026 12:00:07 GMT"}, None, id="no such day"),
    ],
)
def test_the_wait_is_read_from_the_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert parse_retry_after(headers, NOON) == seconds


def test_a_date_is_relative_to_the_current_time_by_default() -> None:
    wait = parse_retry_after({"retry-after": "Thu, 01 Jan 2099 00:00:00 GMT"})
    assert wait is not None
    assert wait > 0


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text()))
@settings(max_examples=200)
def test_no_header_breaks_it(headers: dict[str, str]) -> None:
    wait = parse_retry_after(headers)
    assert wait is None or wait >= 0

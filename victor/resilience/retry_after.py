"""How long a server asks us to wait, read from the headers of its answer.

Knows the headers that say it outright; limits and when they reset are `providers/rate_limits.py`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

__all__ = ["http_date", "parse_retry_after"]

_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")


def parse_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Read how long a server asks us to wait.

    Understands `retry-after` as seconds and as an HTTP date
    (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after), and milliseconds under the names
    `retry-after-ms` and `x-ms-retry-after-ms`. A date is
    taken relative to the server's own `date` header, because our clock may be wrong.

    Args:
        headers: header names in any case, and their values.
        now: our time, aware; used where there is no `date` header. Default: the current time.

    Returns:
        Seconds, at least 0; the longest, if several are given. None where nothing can be read.
    """
    values = {str(name).lower(): value for name, value in headers.items()}
    stated = values.get("retry-after")
    waits = [_seconds(values.get(name), 0.001) for name in _MILLISECONDS]
    waits.append(_seconds(stated, 1.0))
    moment = http_date(stated)
    if moment is not None:
        reference = http_date(values.get("date")) or now or datetime.now(UTC)
        waits.append((moment - reference).total_seconds())
    return max((max(0.0, wait) for wait in waits if wait is not None), default=None)


def _seconds(value: object, unit: float) -> float | None:
    try:
        number = float(str(value)) * unit
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def http_date(value: object) -> datetime | None:
    """Read a date as HTTP headers write it; None where it is none."""
    # email.utils costs milliseconds, and is needed for failures only.
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(str(value))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

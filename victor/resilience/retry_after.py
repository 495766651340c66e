"""How long a server asks us to wait, read from the headers of its answer.

Knows the two headers every HTTP server may send, and no vendor's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

__all__ = ["parse_retry_after"]


def parse_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Read how long a server asks us to wait.

    Understands `retry-after` as seconds and as an HTTP date
    (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after), and `retry-after-ms`. A date is
    taken relative to the server's own `date` header, because our clock may be wrong.

    Args:
        headers: header names in any case, and their values.
        now: our time, aware; used where there is no `date` header. Default: the current time.

    Returns:
        Seconds, at least 0; the longest, if several are given. None where nothing can be read.
    """
    values = {str(name).lower(): value for name, value in headers.items()}
    stated = values.get("retry-after")
    waits = [_seconds(values.get("retry-after-ms"), 0.001), _seconds(stated, 1.0)]
    moment = _date(stated)
    if moment is not None:
        reference = _date(values.get("date")) or now or datetime.now(UTC)
        waits.append((moment - reference).total_seconds())
    return max((max(0.0, wait) for wait in waits if wait is not None), default=None)


def _seconds(value: object, unit: float) -> float | None:
    try:
        number = float(str(value)) * unit
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(value: object) -> datetime | None:
    # email.utils costs milliseconds, and is needed for failures only.
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(str(value))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

"""How many processor cores this process may use. Knows nothing about models."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["usable_cores"]

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Count cores as the scheduler sees them: at most our CPU set and our container's quota.

    A container with two cores' worth of time on a machine of 64 has two, and more threads than
    that would wait for each other.

    Args:
        cgroup: where the container's limits can be read
            (https://docs.kernel.org/admin-guide/cgroup-v2.html, `cpu.max`).
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # pragma: no cover - not on macOS and Windows
        cores = os.cpu_count() or 1
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        cores = min(cores, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        pass  # no container, or no limit ("max")
    return max(1, cores)

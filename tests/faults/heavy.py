"""Asks a server that fails, as a process of its own, and says how much memory that took.

    python -m tests.faults.heavy URL PROTOCOL METHOD

Knows no fault; prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import cast

from tests.faults.protocols import PROTOCOLS, How
from tests.faults.support import ask, connect
from victor.errors import ProviderError

__all__: list[str] = []


def _kilobytes(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{name}:")[2].split()[0])


def _forget_the_peak() -> None:
    # https://docs.kernel.org/filesystems/proc.html, "clear_refs"
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


async def _measured(url: str, protocol_name: str, how: How) -> dict[str, object]:
    (protocol,) = [one for one in PROTOCOLS if one.name == protocol_name]
    async with connect(f"{url}/warm", protocol) as provider:
        assert await ask(provider, how) == "Hello"
    _forget_the_peak()
    before = _kilobytes("VmRSS")
    outcome, size = "answer", 0
    async with connect(f"{url}/fault", protocol, max_retries=0, timeout=30) as provider:
        try:
            size = len(await ask(provider, how))
        except ProviderError as error:
            outcome = type(error).__name__
    return {"outcome": outcome, "size": size, "growth_kb": _kilobytes("VmHWM") - before}


if __name__ == "__main__":
    url, protocol_name, how = sys.argv[1:]
    found = asyncio.run(_measured(url, protocol_name, cast("How", how)))
    sys.stdout.write(json.dumps(found))

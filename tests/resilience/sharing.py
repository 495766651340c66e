"""What the tests of shared state run in other processes: `python -m tests.resilience.sharing`.

Knows nothing about the tests; says on its standard output what happened.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from pathlib import Path

from victor.errors import CircuitOpenError, ProviderError, ProviderServerError
from victor.resilience.breaker_policy import BreakerPolicy
from victor.resilience.circuits import SharedCircuits
from victor.resilience.deadlines import Deadlines
from victor.resilience.pipeline import Pipeline
from victor.resilience.retry import RetryPolicy
from victor.resilience.shared_state import SharedState
from victor.resilience.state_file import AttemptRow, CircuitRow, KeyRow, StateFile

ENDPOINT = "api"
POLICY = BreakerPolicy(consecutive_failures=2, base_open_s=0.1, max_open_s=0.2)
"""Its lease is half a minute: what is faster than that is no lease that ran out."""
BOOT = "a boot"


def sharing(path: Path) -> tuple[SharedState, Pipeline]:
    """A guard that shares its circuit through a file."""
    state = SharedState(path, patience_s=10.0, batch_s=0.1)
    known = SharedCircuits()
    state.attach(known)
    circuits = known.of(ENDPOINT, policy=POLICY)
    retry = RetryPolicy(max_retries=0)
    return state, Pipeline(ENDPOINT, breaker=circuits, retry=retry, deadlines=Deadlines())


async def ask(port: int) -> None:
    """Ask the test's server once, saying who asks."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{os.getpid()}\n".encode())
        answer = await reader.readline()
    finally:
        writer.close()
    if answer != b"fine\n":
        raise ProviderServerError(f"it said {answer!r}")


async def call_until_well(path: Path, port: int) -> None:
    """Call again and again, until a call succeeds."""
    state, pipeline = sharing(path)
    refused = failed = 0
    while True:
        try:
            await pipeline.call(lambda: ask(port))
        except CircuitOpenError:
            refused += 1
        except ProviderError:
            failed += 1
        else:
            break
        await asyncio.sleep(0.01)
    state.close(10.0)
    sys.stdout.write(f"{refused} {failed}\n")


def write_without_end(path: Path) -> None:
    """Write everything there is to write, as fast as it goes."""
    file = StateFile(path, BOOT, busy_s=30.0)
    me = f"k{os.getpid()}"
    for number in itertools.count():
        rows = file.read()
        known = None if rows is None else rows.circuits.get((ENDPOINT, ""))
        epoch = 0 if known is None else known.epoch
        state = "open" if number % 2 else "closed"
        file.swap(CircuitRow(ENDPOINT, "", state, epoch=epoch + 1, last_error="x" * 150), epoch)  # type: ignore[arg-type]  # one of the two
        file.save_key(KeyRow(me, "parked", until=float(number)))
        file.add_attempts([AttemptRow(ENDPOINT, "m", float(number), 0.1, "ok")] * 20)
        if not number:
            sys.stdout.write("writing\n")
            sys.stdout.flush()
        time.sleep(0.001)  # the others want to write, too


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    if what == "call":
        asyncio.run(call_until_well(Path(where), int(rest[0])))
    else:
        write_without_end(Path(where))

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.resilience.sharing import BOOT, ENDPOINT, ask, sharing
from victor.errors import ProviderServerError
from victor.resilience.shared_state import SharedState, read_status
from victor.resilience.state_file import AttemptRow, CircuitRow, StateFile

ROOT = Path(__file__).parents[2]
WORKER = [sys.executable, "-m", "tests.resilience.sharing"]


class Server:
    """An endpoint that counts who asks at the same time."""

    def __init__(self) -> None:
        self.port = 0
        self.is_down = True
        self.stalls = False
        self.asked: list[int] = []
        """The processes that asked, in turn."""
        self.at_once = 0
        self.most_at_once = 0
        """While it was down."""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append(int(await reader.readline()))
        self.at_once += 1
        if self.is_down:
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.stalls:
                await reader.read()
                return
            await asyncio.sleep(0.03)
            writer.write(b"broken\n" if self.is_down else b"fine\n")
            await writer.drain()
        finally:
            self.at_once -= 1
            writer.close()


@asynccontextmanager
async def _serving() -> AsyncIterator[Server]:
    server = Server()
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server


@asynccontextmanager
async def _callers(count: int, path: Path, port: int) -> AsyncIterator[list[Process]]:
    command = [*WORKER, "call", str(path), str(port)]
    found = [
        await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE) for _ in range(count)
    ]
    try:
        yield found
    finally:
        for each in found:
            if each.returncode is None:
                each.kill()
            await each.communicate()


async def _open(path: Path, port: int) -> SharedState:
    """Learn of the outage and tell the others."""
    state, pipeline = sharing(path)
    for _ in range(2):
        with pytest.raises(ProviderServerError):
            await pipeline.call(lambda: ask(port))
    await _until(lambda: path.exists() and _is_open(path))
    return state


def _is_open(path: Path) -> bool:
    return any(each.state != "closed" for each in read_status(path))


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not true():  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("count", [2, 8])
async def test_processes_probe_one_at_a_time_and_all_recover(count: int, tmp_path: Path) -> None:
    path = tmp_path / "resilience.db"
    async with _serving() as server:
        state = await _open(path, server.port)
        server.asked.clear()
        server.most_at_once = 0
        async with _callers(count, path, server.port) as callers:
            await _until(lambda: len(server.asked) >= 4)
            probes, most = len(server.asked), server.most_at_once
            server.is_down = False
            said = await asyncio.wait_for(asyncio.gather(*map(_result, callers)), 15)
        state.close()
        await _until(lambda: not _is_open(path))
    assert most == 1
    # Nobody failed without being the one that probed; everybody else was refused.
    assert sum(failed for _, failed in said) <= probes
    (status,) = read_status(path)
    assert (status.name, status.retry_at_s) == (ENDPOINT, None)
    assert status.calls >= count


async def _result(process: Process) -> tuple[int, int]:
    said, _ = await process.communicate()
    assert process.returncode == 0
    refused, failed = said.split()
    return int(refused), int(failed)


async def test_the_trial_of_a_killed_process_is_made_by_another(tmp_path: Path) -> None:
    path = tmp_path / "resilience.db"
    async with _serving() as server:
        state = await _open(path, server.port)
        server.asked.clear()
        server.stalls = True
        async with _callers(2, path, server.port) as callers:
            await _until(lambda: len(server.asked) == 1)
            killed = server.asked[0]
            (other,) = (each for each in callers if each.pid != killed)
            os.kill(killed, signal.SIGKILL)
            since = time.monotonic()
            await _until(lambda: len(server.asked) == 2)
            took = time.monotonic() - since
            assert server.asked[1] == other.pid
        state.close()
    assert took < 10  # the lease is for thirty seconds


def test_a_process_killed_at_any_moment_leaves_a_file_that_works(tmp_path: Path) -> None:
    path = tmp_path / "resilience.db"
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    command = [*WORKER, "write", str(path)]
    for _ in range(4):
        writers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(3)]
        for each in writers:
            assert each.stdout is not None
            each.stdout.readline()
        for each in writers:
            time.sleep(chance.uniform(0, 0.03))
            each.kill()
            each.communicate()
        _check(path)
    assert not list(tmp_path.glob("*.corrupt-*"))


def _check(path: Path) -> None:
    connection = sqlite3.connect(path, timeout=10)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    file = StateFile(path, BOOT)
    rows = file.read()
    assert rows is not None
    epoch = rows.circuits[ENDPOINT, ""].epoch
    assert file.swap(CircuitRow(ENDPOINT, "", "closed", epoch=epoch + 1), epoch)
    file.add_attempts([AttemptRow(ENDPOINT, "", 1.0, 1.0, "ok")])
    assert len(file.attempts(0.0)) == 500
    file.close()

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

import pytest

from victor.tools.threads import call_in_thread


async def test_thread_is_used_again() -> None:
    threads = {await call_in_thread(threading.get_ident) for _ in range(20)}
    assert len(threads) == 1


async def test_many_blocked_calls_do_not_keep_others_waiting() -> None:
    release = threading.Event()
    blocked = [call_in_thread(lambda: release.wait(60)) for _ in range(30)]
    assert await asyncio.wait_for(call_in_thread(lambda: 7), 30) == 7
    release.set()
    assert await asyncio.wait_for(asyncio.gather(*blocked), 30) == [True] * 30


def _stop() -> None:
    raise StopIteration


async def test_exception_is_carried_over() -> None:
    with pytest.raises(ZeroDivisionError):
        await call_in_thread(lambda: 1 // 0)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await call_in_thread(_stop)


def test_call_that_outlives_its_loop_harms_nobody() -> None:
    release, ended = threading.Event(), threading.Event()

    def block() -> None:
        release.wait(60)
        ended.set()

    async def start() -> None:
        call_in_thread(block).cancel()

    asyncio.run(start())
    release.set()
    assert ended.wait(30)
    assert asyncio.run(_answer()) == 1


async def _answer() -> int:
    result: int = await call_in_thread(lambda: 1)
    return result


async def test_forked_process_starts_threads_of_its_own() -> None:
    await call_in_thread(lambda: None)
    code = (
        "import asyncio, os, sys\n"
        "from victor.tools.threads import call_in_thread\n"
        "async def main(): return await call_in_thread(lambda: 5)\n"
        "asyncio.run(main())\n"
        "pid = os.fork()\n"
        "if not pid: os._exit(asyncio.run(main()))\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-W", "ignore", "-c", code)
    assert await asyncio.wait_for(process.wait(), 60) == 5


def test_blocked_thread_does_not_keep_the_process_alive() -> None:
    code = (
        "import asyncio, threading\n"
        "from victor.tools.base import ToolContext, tool\n"
        "from pathlib import Path\n"
        "stuck = tool(threading.Event().wait, name='stuck', timeout_s=0.05)\n"
        "print(asyncio.run(stuck.run({}, ToolContext(Path()))).content)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=dict(os.environ),
    )
    assert done.stdout == "stuck timed out after 0.05 s.\n"

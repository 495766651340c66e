from __future__ import annotations

import asyncio
import contextvars
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from victor.blocking import run_blocking

ROOT = Path(__file__).parents[1]


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


async def _loop_and_thread() -> tuple[int, str]:
    return id(asyncio.get_running_loop()), threading.current_thread().name


def _run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    return done.stdout


def test_a_coroutine_runs_to_its_end_and_gives_its_result() -> None:
    assert run_blocking(_double(21)) == 42


def test_its_error_is_the_callers() -> None:
    async def fail() -> None:
        raise LookupError("nothing")

    with pytest.raises(LookupError, match="nothing"):
        run_blocking(fail())


def test_every_call_runs_on_the_same_loop_in_the_background() -> None:
    first, second = run_blocking(_loop_and_thread()), run_blocking(_loop_and_thread())
    assert first == second
    assert first[1] == "victor-loop"


def test_context_variables_go_along() -> None:
    variable = contextvars.ContextVar("variable", default="outside")

    async def read() -> str:
        return variable.get()

    variable.set("inside")
    assert run_blocking(read()) == "inside"


async def test_on_a_thread_with_a_loop_it_says_what_to_do_instead() -> None:
    with pytest.raises(RuntimeError, match="use the async method and await it"):
        run_blocking(_double(1))


def test_within_its_own_loop_it_refuses_instead_of_waiting_for_ever() -> None:
    async def nested() -> int:
        return run_blocking(_double(1))

    with pytest.raises(RuntimeError, match="use the async method"):
        run_blocking(nested())


def test_many_first_callers_share_one_loop() -> None:
    script = """
import asyncio, threading
from victor.blocking import run_blocking
barrier = threading.Barrier(16)
def call():
    barrier.wait()
    run_blocking(asyncio.sleep(0))
threads = [threading.Thread(target=call) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sum(thread.name == "victor-loop" for thread in threading.enumerate()))
"""
    assert _run(script) == "1\n"


def test_a_forked_child_has_a_loop_of_its_own() -> None:
    script = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore")  # forking beside a thread is what this is about
from victor.blocking import run_blocking
run_blocking(asyncio.sleep(0))
child = os.fork()
if not child:
    print(run_blocking(asyncio.sleep(0, "child")), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(run_blocking(asyncio.sleep(0, "parent")))
"""
    assert _run(script) == "child\nparent\n"


def test_an_interrupt_cancels_the_work_before_it_is_raised() -> None:
    script = """
import asyncio, signal, sys, threading
from victor.blocking import run_blocking
cancelled = threading.Event()
main = threading.get_ident()
async def work():
    while sys._current_frames()[main].f_code.co_name != "wait":
        await asyncio.sleep(0)  # until the caller waits for the result
    print("begun", flush=True)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled.set()
        raise
try:
    run_blocking(work())
except KeyboardInterrupt:
    print("interrupted", cancelled.wait(10), flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert rest == "interrupted True\n"


def test_the_loop_does_not_keep_the_program_alive() -> None:
    script = """
import asyncio
from victor.blocking import run_blocking
run_blocking(asyncio.sleep(0))
print("done")
"""
    assert _run(script) == "done\n"

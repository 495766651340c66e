"""Run the embedded model as a child process: start it on first use, never leave it behind.

The child dies with us however we die (`victor.local.server`), is stopped when nobody used it for a
while, and is started again by the next use. It may be used from any thread and any event loop.
Knows nothing about chat: it hands out the address of an OpenAI-compatible server and its key.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast

from victor.errors import MissingDependencyError, ProviderConnectionError
from victor.local.cpu import usable_cores
from victor.local.diagnosis import INSTALL_HINT, death, start_failure

__all__ = ["Endpoint", "LocalServer"]

_SERVER = Path(__file__).with_name("server.py")
_LOG_TAIL = 16_384
_KILL_WAIT_S = 10.0
# How often an idle thread of llama.cpp looks for work before it sleeps. With libgomp's default,
# about a millisecond, prompts are read at a third of the speed and a start takes ten times as long
# as soon as other programs want the cores (measured on two); on an idle machine nothing is lost.
_SPIN_COUNT = "1000"
# The child runs native code on a file from anywhere: it gets what it needs and no API keys.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "VIRTUAL_ENV")
_ENVIRONMENT_PREFIXES = ("LC_", "LD_", "DYLD_", "PYTHON", "OMP_", "GOMP_", "GGML_", "CUDA_", "HIP_")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the running model answers."""

    base_url: str
    """OpenAI-compatible, such as `"http://127.0.0.1:40123/v1"`."""
    api_key: str = field(repr=False)
    """Random, for this child alone."""
    pid: int
    n_ctx: int
    """Tokens of context it really has."""


@dataclass(frozen=True, slots=True)
class _Settings:
    model: Path
    context_window: int
    threads: int
    batch_threads: int
    start_timeout_s: float
    idle_s: float | None


class LocalServer:
    """One model, and the child process that runs it while it is needed.

    Args:
        model: a GGUF file.
        context_window: tokens of context; memory grows with it.
        threads: cores that write the answer; None leaves one of the usable cores to others. The
            prompt is read with all of them.
        start_timeout_s: seconds after which a child that does not answer is given up.
        idle_s: seconds without use after which the child is stopped; None never stops it.
    """

    def __init__(
        self,
        model: Path,
        *,
        context_window: int = 4096,
        threads: int | None = None,
        start_timeout_s: float = 120.0,
        idle_s: float | None = 600.0,
    ) -> None:
        cores = usable_cores()
        self._settings = _Settings(
            model=model.absolute(),
            context_window=context_window,
            threads=threads or max(1, cores - 1),
            batch_threads=threads or cores,
            start_timeout_s=start_timeout_s,
            idle_s=idle_s,
        )
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._farewell: weakref.finalize[[], LocalServer] | None = None

    @property
    def running(self) -> bool:
        """Whether a child is up or starting."""
        child = self._child
        return child is not None and child.alive

    @property
    def last_death(self) -> str | None:
        """How the latest child died if nobody stopped it, such as `"it was killed by SIGKILL"`."""
        child = self._child
        return None if child is None else child.unexpected_death

    async def ensure(self) -> Endpoint:
        """Return the running child's endpoint; start it first if there is none.

        Callers that come while it starts wait for the same child. Cancelling one of them does not
        stop the start. Counts as a use; for a long one hold `use()`.

        Raises:
            MissingDependencyError: xllamacpp or a system library is not installed.
            ConfigError: the model cannot be run: damaged, unknown, too large for this machine.
            ProviderConnectionError: the child died or did not answer in time.
        """
        return await asyncio.wrap_future(self._current(holding=False).ready)

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Endpoint]:
        """Hold the child for the length of a block, such as a request: it does not idle meanwhile.

        Raises:
            VictorError: as `ensure`.
        """
        child = self._current(holding=True)
        try:
            yield await asyncio.wrap_future(child.ready)
        finally:
            child.release()

    def touch(self) -> None:
        """Count as a use without waiting for anything."""
        child = self._child
        if child is not None:
            child.claim(holding=False)

    async def stop(self) -> None:
        """Stop the child and wait until it is gone; the next use starts another one."""
        await asyncio.to_thread(self.kill)

    def kill(self) -> None:
        """Do as `stop` does, from code that cannot wait for an event loop."""
        with self._lock:
            child = self._child
        if child is not None:
            child.kill()

    def _current(self, *, holding: bool) -> _Child:
        with self._lock:
            if self._child is None or not self._child.claim(holding=holding):
                if find_spec("xllamacpp") is None:
                    raise MissingDependencyError(INSTALL_HINT)
                if self._farewell is not None:
                    self._farewell.detach()
                self._child = _Child(self._settings)
                self._child.claim(holding=holding)
                # Also runs when the interpreter ends.
                self._farewell = weakref.finalize(self, self._child.kill)
            return self._child


class _Child:
    """One child process from start to end, and the thread that keeps it.

    The thread outlives nothing: Linux kills the child when the thread that started it ends, so this
    thread waits until the child is to go.
    """

    def __init__(self, settings: _Settings) -> None:
        self.ready: Future[Endpoint] = Future()
        self.ready.set_running_or_notify_cancel()  # a waiter that gives up must not cancel it
        self._settings = settings
        self._changed = threading.Condition()
        self._over = False
        self._process: subprocess.Popen[bytes] | None = None
        self._in_use = 0
        self._used_at = time.monotonic()
        self._thread = threading.Thread(target=self._live, name="victor-local-model", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        process = self._process
        return not self._over and (process is None or process.poll() is None)

    @property
    def unexpected_death(self) -> str | None:
        process = self._process
        if self._over or process is None or process.poll() is None:
            return None
        return death(process.returncode)

    def claim(self, *, holding: bool) -> bool:
        """Count a use; False if this child is no more and another one is needed."""
        with self._changed:
            if not self.alive:
                return False
            self._in_use += holding
            self._used_at = time.monotonic()
            return True

    def release(self) -> None:
        with self._changed:
            self._in_use -= 1
            self._used_at = time.monotonic()
            self._changed.notify_all()

    def kill(self) -> None:
        with self._changed:
            self._over = True
            if self._process is not None:
                self._process.kill()
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(_KILL_WAIT_S)

    def _live(self) -> None:
        with tempfile.TemporaryFile() as log:
            try:
                self._start(log)
            except BaseException as error:  # noqa: BLE001 - those who wait for the child get it
                self._over = True
                self.ready.set_exception(error)
            else:
                self._wait_until_unused()
            finally:
                self._bury()

    def _start(self, log: IO[bytes]) -> None:
        key = secrets.token_urlsafe(32)
        process = _spawn(self._settings, log)
        with self._changed:
            self._process = process
            if self._over:
                process.kill()
        answer = _first_words(process, key, self._settings.start_timeout_s)
        if "port" in answer:
            self.ready.set_result(
                Endpoint(
                    f"http://127.0.0.1:{answer['port']}/v1", key, process.pid, int(answer["n_ctx"])
                )
            )
            return
        if self._over:
            raise ProviderConnectionError(
                "The embedded model was stopped while it started.", provider="local"
            )
        if "late" in answer:
            raise ProviderConnectionError(
                f"The embedded model {self._settings.model.name} did not answer within "
                f"{self._settings.start_timeout_s:g} s of its start.",
                provider="local",
            )
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_TAIL))
        raise start_failure(
            self._settings.model,
            process.wait(_KILL_WAIT_S),
            error=str(answer.get("error", "")),
            detail=str(answer.get("detail", "")),
            log=log.read().decode("utf-8", "replace"),
        )

    def _wait_until_unused(self) -> None:
        with self._changed:
            while not self._over:
                left = self._idle_left()
                if left is not None and left <= 0:
                    self._over = True
                else:
                    self._changed.wait(left)

    def _idle_left(self) -> float | None:
        if self._settings.idle_s is None or self._in_use:
            return None
        return self._used_at + self._settings.idle_s - time.monotonic()

    def _bury(self) -> None:
        if self._process is None:
            return
        with self._process:  # closes its pipes and waits for it
            self._process.kill()


def _spawn(settings: _Settings, log: IO[bytes]) -> subprocess.Popen[bytes]:
    # -P and a path, not -m: a folder named victor in the user's project is not this package.
    command = [sys.executable, "-P", str(_SERVER), "--model", str(settings.model)]
    command += ["--context-window", str(settings.context_window)]
    command += ["--threads", str(settings.threads), "--batch-threads", str(settings.batch_threads)]
    command += ["--parent", str(os.getpid())]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in _ENVIRONMENT or name.startswith(_ENVIRONMENT_PREFIXES)
    }
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            cwd=settings.model.parent,
            env={"GOMP_SPINCOUNT": _SPIN_COUNT, **environment},
            start_new_session=True,  # Ctrl-C in the terminal is for victor
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    except OSError as error:
        raise ProviderConnectionError(
            f"The embedded model's process cannot be started: {error}.", provider="local"
        ) from error


def _first_words(process: subprocess.Popen[bytes], key: str, timeout_s: float) -> dict[str, Any]:
    late = threading.Event()

    def give_up() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(timeout_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        cast("IO[bytes]", process.stdin).write(key.encode() + b"\n")
        line = cast("IO[bytes]", process.stdout).readline()
    except OSError:
        line = b""  # it is dead; how it died says why
    finally:
        timer.cancel()
    if late.is_set():
        return {"late": True}
    try:
        answer = json.loads(line)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}

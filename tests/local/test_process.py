from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.local.engine import CRASHES, ask, eventually, exists, install
from victor.errors import ConfigError, MissingDependencyError, ProviderConnectionError, VictorError
from victor.local.cpu import usable_cores
from victor.local.process import Endpoint, LocalServer

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", install(tmp_path / "engine"))
    model = tmp_path / "pretend.gguf"
    model.write_text("GGUF")
    return model


def behave(model: Path, does: str) -> None:
    model.write_text("GGUF" + does)


@pytest.fixture(params=["pretend", pytest.param("real", marks=pytest.mark.model)])
def model(request: pytest.FixtureRequest) -> Path:
    found = request.getfixturevalue("weights" if request.param == "real" else "pretend")
    assert isinstance(found, Path)
    return found


@pytest.fixture
async def server(model: Path) -> AsyncIterator[LocalServer]:
    server = LocalServer(model)
    yield server
    await server.stop()


def told_to_all(pid: int) -> str:
    texts = [Path(f"/proc/{pid}/{name}").read_text() for name in ("cmdline", "environ")]
    assert all(texts)
    return "".join(texts)


class TestLife:
    async def test_nothing_starts_before_the_first_use(self, server: LocalServer) -> None:
        assert not server.running
        server.touch()
        await server.stop()
        assert not server.running
        assert server.last_death is None

    async def test_it_answers_those_who_have_the_key(self, server: LocalServer) -> None:
        endpoint = await server.ensure()
        assert server.running
        assert endpoint.base_url.startswith("http://127.0.0.1:")
        assert endpoint.base_url.endswith("/v1")
        assert ask(endpoint, "/health")[0] == 200
        assert ask(endpoint, "/slots")[0] == 200
        assert ask(endpoint, "/slots", key="wrong")[0] == 401

    async def test_the_key_is_in_no_representation_and_new_each_time(
        self, server: LocalServer
    ) -> None:
        first = await server.ensure()
        await server.stop()
        second = await server.ensure()
        assert first.api_key != second.api_key
        assert len(first.api_key) > 40
        assert first.api_key not in repr(first)

    @LINUX
    async def test_the_key_is_not_in_its_arguments_or_environment(
        self, server: LocalServer
    ) -> None:
        endpoint = await server.ensure()
        assert endpoint.api_key not in told_to_all(endpoint.pid)

    async def test_callers_at_once_start_exactly_one(self, server: LocalServer) -> None:
        endpoints = await asyncio.gather(*(server.ensure() for _ in range(20)))
        assert len(set(endpoints)) == 1

    async def test_stop_ends_it_and_may_be_repeated(self, server: LocalServer) -> None:
        endpoint = await server.ensure()
        await server.stop()
        assert not exists(endpoint.pid)
        await server.stop()
        server.kill()
        assert not server.running
        assert server.last_death is None

    async def test_a_killed_child_is_noticed_and_replaced(self, server: LocalServer) -> None:
        first = await server.ensure()
        os.kill(first.pid, signal.SIGKILL)
        assert eventually(lambda: not server.running)
        assert server.last_death == "it was killed by SIGKILL (out of memory?)"
        second = await server.ensure()
        assert second.pid != first.pid
        assert ask(second, "/health")[0] == 200
        assert server.last_death is None

    async def test_sigterm_ends_it(self, server: LocalServer) -> None:
        endpoint = await server.ensure()
        os.kill(endpoint.pid, signal.SIGTERM)
        assert eventually(lambda: not exists(endpoint.pid))

    async def test_the_terminals_interrupt_does_not_reach_it(self, server: LocalServer) -> None:
        endpoint = await server.ensure()
        assert os.getsid(endpoint.pid) == endpoint.pid
        os.kill(endpoint.pid, signal.SIGINT)
        assert ask(endpoint, "/health")[0] == 200

    async def test_a_caller_that_gives_up_does_not_stop_the_start(
        self, server: LocalServer
    ) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.ensure(), 0.001)
        assert server.running
        endpoint = await server.ensure()
        assert ask(endpoint, "/health")[0] == 200

    def test_it_serves_threads_and_loops_that_come_and_go(self, model: Path) -> None:
        server = LocalServer(model)
        found: list[Endpoint] = []
        for _ in range(2):
            thread = threading.Thread(target=lambda: found.append(asyncio.run(server.ensure())))
            thread.start()
            thread.join()
        found.append(asyncio.run(server.ensure()))
        assert len(set(found)) == 1
        assert ask(found[0], "/health")[0] == 200
        server.kill()
        assert not exists(found[0].pid)

    async def test_a_forgotten_server_takes_its_child_along(self, model: Path) -> None:
        server = LocalServer(model)
        endpoint = await server.ensure()
        del server
        gc.collect()
        assert eventually(lambda: not exists(endpoint.pid))


class TestIdle:
    async def test_an_unused_child_is_stopped_and_started_again(self, model: Path) -> None:
        server = LocalServer(model, idle_s=0.05)
        first = await server.ensure()
        assert eventually(lambda: not exists(first.pid))
        assert not server.running
        assert server.last_death is None
        async with server.use() as second:
            assert second.pid != first.pid
            assert ask(second, "/health")[0] == 200
        await server.stop()

    async def test_a_child_in_use_is_kept(self, pretend: Path) -> None:
        server = LocalServer(pretend, idle_s=0.05)
        async with server.use() as endpoint, server.use() as same:
            assert same == endpoint
            await asyncio.sleep(0.3)  # what must not happen has six times its delay to happen
            assert exists(endpoint.pid)
        assert eventually(lambda: not exists(endpoint.pid))

    async def test_touching_keeps_it(self, pretend: Path) -> None:
        server = LocalServer(pretend, idle_s=1.0)
        endpoint = await server.ensure()
        for _ in range(15):
            await asyncio.sleep(0.1)
            server.touch()
        assert exists(endpoint.pid)
        await server.stop()

    async def test_none_never_stops_it(self, pretend: Path) -> None:
        server = LocalServer(pretend, idle_s=None)
        endpoint = await server.ensure()
        async with server.use():
            pass
        assert exists(endpoint.pid)
        await server.stop()
        assert not exists(endpoint.pid)


PARENT = """
import asyncio, sys
from pathlib import Path
from victor.local.process import LocalServer
server = LocalServer(Path(sys.argv[1]))
print(asyncio.run(server.ensure()).pid, flush=True)
{then}
"""


@pytest.fixture
def parent(model: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT.format(then="sys.stdin.readline()"), str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{Path.cwd()}"},
    ) as process:
        yield process
        process.kill()


def child_of(parent: subprocess.Popen[str]) -> int:
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert exists(pid)
    return pid


class TestParent:
    def test_the_child_goes_with_a_parent_that_ends(self, parent: subprocess.Popen[str]) -> None:
        pid = child_of(parent)
        _, complaints = parent.communicate("\n", timeout=30)
        assert parent.returncode == 0
        assert complaints == ""
        assert not exists(pid)

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
    def test_the_child_goes_with_a_parent_that_is_killed(
        self, parent: subprocess.Popen[str], how: signal.Signals
    ) -> None:
        pid = child_of(parent)
        parent.send_signal(how)
        parent.wait(30)
        assert eventually(lambda: not exists(pid))

    @LINUX
    def test_a_child_that_still_loads_goes_too(self, pretend: Path) -> None:
        behave(pretend, CRASHES["hang"])
        script = PARENT.format(then="").replace("print(", "server._current(holding=False)\nprint(")
        with subprocess.Popen(
            [sys.executable, "-c", script, str(pretend)],
            env=os.environ | {"PYTHONPATH": f"{os.environ['PYTHONPATH']}:{Path.cwd()}"},
        ) as process:
            children = Path(f"/proc/{process.pid}/task")
            found: list[int] = []

            def loading() -> bool:
                for task in children.glob("*/children"):
                    found[:] = [int(pid) for pid in task.read_text().split()]
                    if found and b"pretend" in Path(f"/proc/{found[0]}/cmdline").read_bytes():
                        return True
                return False

            assert eventually(loading)
            process.kill()
        assert eventually(lambda: not exists(found[0]))


class TestStartFails:
    @pytest.mark.parametrize(
        ("crash", "error", "text"),
        [
            ("sigill", ConfigError, "AVX2"),
            ("sigkill", ProviderConnectionError, r"killed by SIGKILL \(out of memory\?\)"),
            ("exit", ProviderConnectionError, "exit code 3: .*the last words"),
            ("noise", ProviderConnectionError, "exit code 0"),
            ("memory", ConfigError, "not enough memory to run pretend.gguf"),
            ("load", ConfigError, "unknown model architecture: 'mamba9'"),
        ],
    )
    async def test_the_cause_is_told(
        self, pretend: Path, crash: str, error: type[VictorError], text: str
    ) -> None:
        behave(pretend, CRASHES[crash])
        server = LocalServer(pretend)
        with pytest.raises(error, match=text):
            await server.ensure()
        assert not server.running

    async def test_a_child_that_does_not_answer_is_given_up(self, pretend: Path) -> None:
        behave(pretend, CRASHES["hang"])
        server = LocalServer(pretend, start_timeout_s=0.5)
        with pytest.raises(ProviderConnectionError, match=r"did not answer within 0\.5 s"):
            await server.ensure()
        assert not server.running

    async def test_stopping_during_the_start_tells_those_who_wait(self, pretend: Path) -> None:
        behave(pretend, CRASHES["hang"])
        server = LocalServer(pretend)
        waiting = asyncio.ensure_future(server.ensure())
        await asyncio.sleep(0.05)
        await server.stop()
        with pytest.raises(ProviderConnectionError, match="stopped while it started"):
            await waiting

    async def test_a_failed_start_can_be_tried_again(self, pretend: Path) -> None:
        behave(pretend, CRASHES["exit"])
        server = LocalServer(pretend)
        with pytest.raises(ProviderConnectionError):
            async with server.use():
                raise AssertionError("it must not get here")
        behave(pretend, "")
        assert ask(await server.ensure(), "/health")[0] == 200
        await server.stop()

    async def test_a_missing_package_is_told_with_the_command(
        self, pretend: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "xllamacpp", None)
        with pytest.raises(MissingDependencyError, match=r"pip install 'victor\[local\]'"):
            await LocalServer(pretend).ensure()

    @pytest.mark.parametrize(
        ("source", "text"),
        [
            (
                "raise ImportError('libgomp.so.1: cannot open shared object file')",
                "apt-get install libgomp1",
            ),
            ("raise ModuleNotFoundError('No module named xllamacpp')", "pip install 'victor"),
            ("raise ImportError('GLIBC_2.99 not found')", "GLIBC_2.99 .*--force-reinstall"),
            ("", "AttributeError: .* --force-reinstall"),
        ],
        ids=["libgomp", "no package", "other system", "other version"],
    )
    async def test_a_package_that_cannot_be_loaded_is_told(
        self, pretend: Path, tmp_path: Path, source: str, text: str
    ) -> None:
        install(tmp_path / "engine", source)
        with pytest.raises(MissingDependencyError, match=text):
            await LocalServer(pretend).ensure()

    async def test_a_python_that_cannot_be_started_is_told(
        self, pretend: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(ProviderConnectionError, match="cannot be started"):
            await LocalServer(pretend).ensure()


class TestChild:
    async def test_it_gets_its_settings_and_no_secrets(
        self, pretend: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        project = tmp_path / "project"
        project.mkdir()
        project.joinpath("json.py").write_text("raise SystemExit('a file of the project ran')")
        monkeypatch.chdir(project)
        server = LocalServer(pretend, context_window=512, threads=3)
        endpoint = await server.ensure()
        told = ask(endpoint, "/slots")[1][0]
        await server.stop()
        assert endpoint.n_ctx == 256
        assert (told["threads"], told["batch_threads"]) == (3, 3)
        assert "OPENAI_API_KEY" not in told["environment"]
        assert "GOMP_SPINCOUNT" in told["environment"]
        assert told["cwd"] == str(pretend.parent)
        assert str(project) not in told["path"]
        assert "" not in told["path"]

    async def test_one_core_is_left_to_others_while_it_writes(self, pretend: Path) -> None:
        server = LocalServer(pretend)
        told = ask(await server.ensure(), "/slots")[1][0]
        await server.stop()
        assert told["threads"] == max(1, usable_cores() - 1)
        assert told["batch_threads"] == usable_cores()

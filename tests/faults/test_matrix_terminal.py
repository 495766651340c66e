from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import sys
import termios
from pathlib import Path

import pytest

from tests.cli.support import ROOT, terminal
from tests.faults.protocols import PROTOCOLS, Protocol
from tests.faults.support import KEY, PROMPT
from victor.testing.faults import Answer, FaultServer

BOTH_PROTOCOLS = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: str(one.name))


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "ANTHROPIC_API_KEY": KEY,
        "OPENAI_COMPATIBLE_API_KEY": KEY,
        **{name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")},
    }


def _arguments(server: FaultServer, protocol: Protocol) -> list[str]:
    where = ["--provider", protocol.vendor.name, "--base-url", server.url, "--model", "m"]
    return ["run", *where, PROMPT]


async def _run(
    server: FaultServer, protocol: Protocol, environ: dict[str, str], stdout: int
) -> tuple[int | None, bytes, str]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "victor", *_arguments(server, protocol),
        stdin=asyncio.subprocess.DEVNULL, stdout=stdout, stderr=asyncio.subprocess.PIPE,
        env=environ, cwd=environ["HOME"],
    )  # fmt: skip
    out, err = await asyncio.wait_for(child.communicate(), 30)
    assert "Traceback" not in err.decode()
    return child.returncode, out, err.decode()


@BOTH_PROTOCOLS
async def test_f52_nobody_reads_what_comes(protocol: Protocol, environ: dict[str, str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    async with FaultServer(protocol.good) as server:
        code, _, err = await _run(server, protocol, environ, writer)
    os.close(writer)
    assert code == 141
    assert "rror" not in err


@BOTH_PROTOCOLS
async def test_f52_a_locale_that_is_not_utf8(protocol: Protocol, environ: dict[str, str]) -> None:
    odd = "caf\u00e9 \U0001f600"
    answer = protocol.stream(protocol.events(odd))
    ascii_only = {**environ, "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    async with FaultServer([answer]) as server:
        code, out, err = await _run(server, protocol, ascii_only, asyncio.subprocess.PIPE)
    assert code == 0, err
    assert b"caf" in out


@BOTH_PROTOCOLS
async def test_f52_a_narrow_dumb_terminal_that_changes_its_size_all_the_time(
    protocol: Protocol, environ: dict[str, str]
) -> None:
    words = [f"word{number} " for number in range(40)]
    # Byte by byte, so that the storm meets an answer under way.
    answer: Answer = protocol.stream(protocol.events(*words, "end"), pace_s=0.0)
    narrow = {**environ, "TERM": "dumb", "COLUMNS": "20", "LINES": "5"}

    def look(arguments: list[str]) -> tuple[int, str]:
        with terminal(arguments, cwd=Path(environ["HOME"]), environ=narrow) as screen:
            for number in range(200):
                size = struct.pack("HHHH", 5, 20 - number % 15, 0, 0)
                fcntl.ioctl(screen.master, termios.TIOCSWINSZ, size)
                if screen.process.poll() is None:
                    screen.process.send_signal(signal.SIGWINCH)
            code = screen.end(30)
            return code, screen.raw.decode()

    async with FaultServer([answer]) as server:
        code, text = await asyncio.to_thread(look, _arguments(server, protocol))
    assert code == 0, text
    assert "".join(text.split()).endswith("".join([*words, "end"]).replace(" ", ""))
    assert "\x1b[2J" not in text

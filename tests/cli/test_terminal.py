from __future__ import annotations

import asyncio
import io
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from victor.cli.terminal import (
    Interrupts,
    KeyWatch,
    LineReader,
    asker,
    colour_wanted,
    confirm,
    person_descriptor,
    run_to_signal,
)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


async def _lines(descriptor: int) -> list[str]:
    reader = LineReader(descriptor)
    found: list[str] = []
    while (line := await reader.read()) is not None:
        found.append(line)
    return found


async def test_lines_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"one\r\n\ntwo\xff\nthree")
    with (tmp_path / "in").open("rb") as file:
        assert await _lines(file.fileno()) == ["one", "", "two\ufffd", "three"]


async def test_lines_come_from_a_pipe_however_it_is_filled() -> None:
    reader, writer = os.pipe()
    found = asyncio.create_task(_lines(reader))
    for piece in (b"o", b"ne\ntw", b"o\n"):
        os.write(writer, piece)
        await asyncio.sleep(0)
    os.close(writer)
    assert await found == ["one", "two"]
    os.close(reader)


def _signalled(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["int", "term", "hup"],
)
def test_a_signal_cancels_the_work_and_is_the_exit_code(number: int, code: int) -> None:
    tidied: list[bool] = []

    async def work() -> int:
        asyncio.get_running_loop().call_soon(_signalled, number)
        try:
            await asyncio.Event().wait()
        finally:
            tidied.append(True)
        raise AssertionError

    assert run_to_signal(work()) == code
    assert tidied == [True]


def test_work_that_ends_gives_the_exit_code() -> None:
    async def work() -> int:
        return 7

    assert run_to_signal(work()) == 7


def test_a_cancellation_of_its_own_is_not_taken_for_a_signal() -> None:
    async def work() -> int:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_to_signal(work())


def test_an_interrupt_may_be_taken_once() -> None:
    interrupts = Interrupts()
    taken = asyncio.Event()

    async def work() -> int:
        interrupts.instead = taken.set
        _signalled(signal.SIGINT)
        await taken.wait()
        _signalled(signal.SIGINT)
        await asyncio.Event().wait()
        raise AssertionError

    assert run_to_signal(work(), interrupts) == 130


_STUBBORN = """
import asyncio, os, signal, sys, time
from victor.cli.terminal import run_to_signal

async def work() -> int:
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
    while True:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            print("stays", flush=True)
            {then}

run_to_signal(work())
"""


@pytest.mark.parametrize(
    "then",
    ["time.sleep(30)", "os.kill(os.getpid(), signal.SIGINT)"],
    ids=["blocked-loop", "second-signal"],
)
def test_what_does_not_stop_is_left_behind(then: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _STUBBORN.format(then=then)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=10,
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (130, "stays\n", "")


async def test_keys_are_kept_unechoed_and_esc_is_told(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    escaped = asyncio.Event()
    watch = KeyWatch(slave, on_escape=escaped.set)
    before = termios.tcgetattr(slave)
    with watch.watching():
        assert not termios.tcgetattr(slave)[3] & termios.ECHO
        os.write(master, "h\x1b[1;5Aé\x1bOPy\r\x07z\n\x1b".encode())
        await asyncio.wait_for(escaped.wait(), 5)
    assert termios.tcgetattr(slave) == before
    assert watch.take_typed() == "héy\nz"
    assert watch.take_typed() == ""


def _wait_for_echo(descriptor: int) -> None:
    end = time.monotonic() + 10
    while not termios.tcgetattr(descriptor)[3] & termios.ECHO:
        assert time.monotonic() < end
        time.sleep(0.005)


async def test_a_question_forgets_what_was_typed_before(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    watch = KeyWatch(slave)
    shown: list[str] = []
    ask = asker(shown.append, watch)
    with watch.watching():
        os.write(master, b"y\n")
        answer = asyncio.ensure_future(ask("sure? "))
        await asyncio.to_thread(_wait_for_echo, slave)
        os.write(master, b"no\n")
        assert await answer == "no"
        assert not termios.tcgetattr(slave)[3] & termios.ECHO
    assert shown == ["sure? "]
    assert watch.take_typed() == ""


@pytest.mark.parametrize(
    ("keys", "line", "escapes"),
    [
        (b"\x1b", "\x1b", 1),
        (b"half a\x1b", "\x1b", 1),
        (b"ab\x1b[Dc\n", "abc", 0),
        (b"a\x1bOPb\x1b[1;5Ac\n", "abc", 0),
        (b"axb\x7f\x7f\n", "a", 0),
        (b"\x04", None, 0),
        (b"so\r", "so", 0),
    ],
    ids=["esc", "esc-in-a-line", "arrow", "keys", "erased", "ctrl-d", "enter"],
)
async def test_esc_at_a_question_needs_no_enter(
    keys: bytes, line: str | None, escapes: int, terminal: tuple[int, int]
) -> None:
    master, slave = terminal
    told: list[bool] = []
    watch = KeyWatch(slave, on_escape=lambda: told.append(True))
    before = termios.tcgetattr(slave)
    with watch.watching():
        answer = asyncio.ensure_future(watch.line())
        await asyncio.to_thread(_wait_for_echo, slave)
        os.write(master, keys)
        assert await asyncio.wait_for(answer, 5) == line
    assert len(told) == escapes
    assert termios.tcgetattr(slave) == before


@pytest.mark.parametrize("keys", [b"\x1b", b"\x04"], ids=["esc", "ctrl-d"])
async def test_a_question_that_no_enter_ends_ends_its_line(
    keys: bytes, terminal: tuple[int, int]
) -> None:
    master, slave = terminal
    watch = KeyWatch(slave)
    shown: list[str] = []
    with watch.watching():
        answer = asyncio.ensure_future(asker(shown.append, watch)("sure? "))
        await asyncio.to_thread(_wait_for_echo, slave)
        os.write(master, keys)
        await asyncio.wait_for(answer, 5)
    assert shown == ["sure? ", "\n"]


async def test_a_question_that_is_interrupted_ends_its_line(terminal: tuple[int, int]) -> None:
    watch = KeyWatch(terminal[1])
    shown: list[str] = []
    with watch.watching():
        answer = asyncio.ensure_future(asker(shown.append, watch)("sure? "))
        await asyncio.to_thread(_wait_for_echo, terminal[1])
        answer.cancel()
        await asyncio.wait([answer])
    assert shown == ["sure? ", "\n"]


async def test_questions_are_put_one_at_a_time(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    shown: asyncio.Queue[str] = asyncio.Queue()
    ask = asker(shown.put_nowait, KeyWatch(slave))
    answers = [asyncio.ensure_future(ask(question)) for question in "ab"]
    for question, answer in zip("ab", answers, strict=True):
        assert await shown.get() == question
        await asyncio.sleep(0.35)  # until when keys are no answer yet
        assert shown.empty()
        os.write(master, f"to {question}\n".encode())
        assert await answer == f"to {question}"


async def test_a_terminal_that_goes_away_is_watched_no_more() -> None:
    reader, writer = os.pipe()  # reads nothing at its end, as a terminal that hangs up
    loop = asyncio.get_running_loop()
    watch = KeyWatch(reader)
    watch._listen(True)
    os.close(writer)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not loop.remove_reader(reader)
    os.close(reader)


async def test_without_a_terminal_nothing_is_watched_or_asked() -> None:
    watch = KeyWatch(None)
    with watch.watching(), watch.paused():
        assert watch.take_typed() == ""
    assert await asker(lambda _: None, watch)("sure? ") is None


@pytest.mark.parametrize(
    ("typed", "yes"),
    [("\n", True), ("y\n", True), ("Yes\n", True), ("n\n", False), ("", False), ("what\n", False)],
    ids=repr,
)
def test_a_plain_question_is_a_yes_only_when_answered(
    typed: str, yes: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert confirm("Sure?") is yes
    assert capsys.readouterr().err == "Sure? [Y/n] "


def test_a_person_is_where_stdin_and_stderr_are_a_terminal(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert person_descriptor() is None
    with open(terminal[1], "r+b", buffering=0, closefd=False) as raw:
        screen = io.TextIOWrapper(raw, write_through=True)
        monkeypatch.setattr(sys, "stdin", screen)
        assert person_descriptor() is None
        monkeypatch.setattr(sys, "stderr", screen)
        assert person_descriptor() == terminal[1]
        monkeypatch.setattr(sys, "stdin", None)
        assert person_descriptor() is None
        monkeypatch.undo()
        screen.detach()


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "dumb"}, False),
        ({}, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
    ],
    ids=["xterm", "dumb", "none", "no-color", "no-color-empty"],
)
def test_colours_are_for_terminals_that_take_them(
    variables: dict[str, str],
    wanted: bool,
    terminal: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with open(terminal[1], "wb", buffering=0, closefd=False) as raw:
        screen = io.TextIOWrapper(raw, write_through=True)
        assert colour_wanted(screen) is wanted
        screen.detach()
    assert not colour_wanted(io.StringIO())

"""`victor` and `victor chat`: a conversation in the terminal.

Inline and append-only: the screen belongs to the terminal, so scrollback, search and copying work
as everywhere. Knows nothing about how an agent works.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol, cast

from victor.agent.events import RunFinished, RunResult
from victor.agent.permissions import checked_mode
from victor.cli.approve import Approver
from victor.cli.compose import Flags, Plan, prepare
from victor.cli.exits import ExitCode, UsageError, print_bug, print_error
from victor.cli.render import Renderer
from victor.cli.sanitize import one_line
from victor.cli.terminal import (
    Interrupts,
    KeyWatch,
    LineReader,
    asker,
    colour_wanted,
    confirm,
    note,
    person_descriptor,
    run_to_signal,
)
from victor.errors import ConfigError, VictorError

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.data_structures import Size
    from prompt_toolkit.history import History

    from victor.agent.agent import Agent
    from victor.config.settings import Mode
    from victor.providers.base import BaseProvider

__all__ = ["chat"]

_PROMPT = "> "


class _Input(Protocol):
    """Where the next line comes from."""

    async def read(self, typed: str) -> str | None:
        """Return what was entered; None at the end. `typed` is put there to begin with."""


def chat(flags: Flags, *, verbose: bool = False) -> int:
    """Hold a conversation until the person leaves, and return the exit code.

    Args:
        flags: what to answer with.
        verbose: also show the model's thinking.

    Raises:
        VictorError: it cannot begin.
        BrokenPipeError: whoever read stdout is gone.
    """
    if sys.stdin is None:
        raise UsageError('there is nobody to talk to, as stdin is closed: use victor run "…"')
    person = person_descriptor()
    plan = prepare(flags, note=note, confirm=None if person is None else confirm)
    renderer = Renderer(
        answer=sys.stdout,
        notes=sys.stderr,
        colour=colour_wanted(sys.stderr),
        live=sys.stderr.isatty(),
        thinking=verbose,
    )
    interrupts = Interrupts()
    return run_to_signal(_Chat(plan, renderer, interrupts, person).talk(), interrupts)


class _Chat:
    def __init__(
        self, plan: Plan, renderer: Renderer, interrupts: Interrupts, person: int | None
    ) -> None:
        self._plan = plan
        self._renderer = renderer
        self._interrupts = interrupts
        self._person = person
        self._watch = KeyWatch(person, on_escape=interrupts.interrupt)
        self._ask = None if person is None else asker(renderer.question, self._watch)
        self._approver = Approver(plan.workspace, self._ask, colour=renderer.colour)
        self._commands: dict[str, tuple[str, Callable[[str], Awaitable[None]]]] = {
            "/help": ("show this", self._help),
            "/model": ("show the model, or change it: /model NAME", self._change_model),
            "/mode": ("show what may run unasked, or change it: /mode plan", self._change_mode),
            "/clear": ("forget the conversation", self._clear),
            "/exit": ("leave; so does Ctrl-D", self._exit),
        }
        self._leaving = False

    async def talk(self) -> int:
        async with self._plan.lent(self._renderer.note) as self._lent:
            return await self._talk()

    async def _talk(self) -> int:
        self._provider: BaseProvider = self._plan.provider(self._ask)
        try:
            self._agent: Agent = await self._plan.agent(
                self._provider, self._approver, lent=self._lent
            )
            reader = _reader(self._person)
            if self._person is not None:
                self._renderer.note(
                    f"mode {self._plan.mode} · {one_line(str(self._plan.workspace))} · /help"
                )
            while not self._leaving:
                line = await reader.read(self._watch.take_typed())
                if line is None:
                    break
                if line.startswith("/"):
                    await self._command(line)
                elif line.strip():
                    await self._turn(line.strip())
        finally:
            # Whatever agent the conversation had last: all of them share what tools left behind.
            await self._approver.close(self._renderer.note)
            await self._provider.close()
        return ExitCode.OK

    async def _command(self, line: str) -> None:
        name, _, argument = line.strip().partition(" ")
        if name in self._commands:
            try:
                await self._commands[name][1](argument.strip())
            except VictorError as error:
                print_error(error)
            return
        near = get_close_matches(name, self._commands, n=1)
        hint = f"did you mean {near[0]}?" if near else "/help lists the commands."
        # A path is a common way to begin a question.
        self._renderer.note(
            f"There is no command {one_line(name, 40)}; {hint} "
            "To ask something that begins with /, put a space before it.",
            "yellow",
        )

    async def _help(self, _: str) -> None:
        for name, (what, _run) in self._commands.items():
            self._renderer.note(f"  {name:<8} {what}")
        self._renderer.note("  Enter sends · Alt-Enter starts a new line · ↑ brings back")
        self._renderer.note("  Esc or Ctrl-C interrupts an answer")

    async def _change_model(self, name: str) -> None:
        if name:
            # Another model may get other tools, and with them other instructions.
            said = [message for message in self._agent.messages if message.role != "system"]
            plan = self._plan.asking(name)
            provider = plan.provider(self._ask)
            self._agent = await plan.agent(provider, self._approver, said, self._lent)
            self._plan, before, self._provider = plan, self._provider, provider
            await before.close()
        shown = f"{self._plan.choice.provider} / {self._agent.model}"
        self._renderer.note(f"using {one_line(shown)}")

    async def _change_mode(self, name: str) -> None:
        if name:
            try:
                mode = checked_mode(cast("Mode", name))
            except ConfigError as error:
                raise UsageError(str(error)) from error
            self._agent.mode = mode
            self._plan = replace(self._plan, mode=mode)
        self._renderer.note(f"mode {self._plan.mode}")

    async def _clear(self, _: str) -> None:
        self._agent.clear()
        await self._approver.close(self._renderer.note)
        self._renderer.note("the conversation starts anew")

    async def _exit(self, _: str) -> None:
        self._leaving = True

    async def _turn(self, question: str) -> None:
        answer = asyncio.create_task(self._answer(question))
        self._interrupts.instead = answer.cancel
        try:
            with self._watch.watching():
                await answer
        except asyncio.CancelledError:
            if not answer.cancelled() or _being_cancelled():
                raise
            self._renderer.note("interrupted; the conversation goes on", "yellow")
        except VictorError as error:
            self._renderer.end_line()
            print_error(error)
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must not cost the conversation
            self._renderer.end_line()
            print_bug(error)
        finally:
            self._interrupts.instead = None
            self._renderer.end_line()

    async def _answer(self, question: str) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        async for event in self._agent.stream(question):
            self._renderer.show(event)
            if isinstance(event, RunFinished):
                self._sum_up(event.result, clock() - began)

    def _sum_up(self, result: RunResult, seconds: float) -> None:
        if result.stop_reason not in {"stop", "tool_calls"}:
            why = one_line(result.stop_reason.replace("_", " "))
            self._renderer.note(f"stopped early: {why}; say how to go on", "yellow")
        self._renderer.status(result, seconds)


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _reader(person: int | None) -> _Input:
    if person is None or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return _Plain(sys.stdin.fileno(), prompt=person is not None)
    return _Editor()


class _Plain:
    """Lines as they come: from a pipe, or from a terminal that cannot move its cursor."""

    def __init__(self, descriptor: int, *, prompt: bool) -> None:
        self._lines = LineReader(descriptor)
        self._prompt = prompt

    async def read(self, typed: str) -> str | None:  # noqa: ARG002 - there is no line to put it on
        if self._prompt:
            sys.stderr.write(_PROMPT)
            sys.stderr.flush()
        return await self._lines.read()


class _Editor:
    """A line one can edit, with a history."""

    def __init__(self) -> None:
        self._session = _session()

    async def read(self, typed: str) -> str | None:
        while True:
            try:
                return await self._session.prompt_async(_PROMPT, default=typed, handle_sigint=False)
            except KeyboardInterrupt:
                typed = ""
                note("(Ctrl-D or /exit leaves)")
            except EOFError:
                return None


def _session() -> PromptSession[str]:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.output.vt100 import Vt100_Output

    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return PromptSession(
        multiline=True,
        key_bindings=keys,
        history=_history(),
        # Without asking the terminal where its cursor is: the answer takes a round trip, and where
        # none comes it shows up among what is typed.
        output=Vt100_Output(
            sys.stdout, _screen_size, term=os.environ.get("TERM"), enable_cpr=False
        ),
    )


def _screen_size() -> Size:
    from prompt_toolkit.data_structures import Size

    found = shutil.get_terminal_size()
    return Size(rows=found.lines, columns=found.columns)


def _history() -> History:
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    from victor.config.settings import state_path

    file = state_path() / "history"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Questions may hold what is nobody else's business.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        file.chmod(0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))

"""`victor run`: one question, one answer.

stdout gets the answer and nothing else; whatever else there is to say goes to stderr. Knows nothing
about how an agent works.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import signal
import stat
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from victor.agent.events import (
    AgentEvent,
    AnswerRestarted,
    AttemptFailed,
    AttemptStarted,
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
    FailedOver,
    Held,
    KeySwitched,
    RetryScheduled,
    RunFinished,
    RunResult,
    ToolFinished,
    TurnStarted,
)
from victor.cli.approve import Approver
from victor.cli.compose import Flags, Plan, prepare
from victor.cli.exits import (
    ExitCode,
    TimeLimitError,
    UsageError,
    exit_code,
    print_error,
    retry_after,
)
from victor.cli.render import Renderer
from victor.cli.sanitize import sanitize_terminal
from victor.cli.terminal import (
    KeyWatch,
    asker,
    colour_wanted,
    confirm,
    note,
    person_descriptor,
    run_to_signal,
)
from victor.errors import ConfigError, VictorError
from victor.types import Attachment, JsonObject, Message

__all__ = ["MOST_PIPED", "Output", "run"]

Output = Literal["text", "json"]

MOST_PIPED = 1_000_000
"""Bytes that may be piped in; a larger input is refused, since no model would read all of it."""

_PATIENCE_S = 3.0
"""How long a silent pipe is waited for before we say that we wait."""

_SPENT = {
    "max_turns": "the turn limit is reached (--max-turns)",
    "max_tool_calls": "the limit of tool calls is reached",
    "invalid_calls": "the model goes on sending calls that cannot be run",
}
_CUT = {
    "length": "the answer is cut off: the model reached its output limit",
    "content_filter": "the answer is cut off: the provider's content filter stopped it",
    "error": "the answer is cut off: the provider reported an error",
}


_OF_REQUESTS = (
    AnswerRestarted,
    AttemptFailed,
    AttemptStarted,
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
    FailedOver,
    Held,
    KeySwitched,
    RetryScheduled,
)


@dataclass(slots=True)
class _Record:
    """What happened, for `--output json` and the exit code."""

    plan: Plan | None = None
    calls: list[ToolFinished] = field(default_factory=list)
    events: list[AgentEvent] = field(default_factory=list)
    """What became of the requests, as docs/reference/events.md names it."""
    moved: FailedOver | None = None
    """Where the last turn went instead of where it was meant to go."""
    result: RunResult | None = None

    def see(self, event: AgentEvent) -> None:
        if isinstance(event, ToolFinished):
            self.calls.append(event)
        elif isinstance(event, _OF_REQUESTS):
            self.events.append(event)
            if isinstance(event, FailedOver):
                self.moved = event
        elif isinstance(event, TurnStarted):
            self.moved = None
        elif isinstance(event, RunFinished):
            self.result = event.result


def run(
    words: Sequence[str],
    flags: Flags,
    *,
    output: Output = "text",
    timeout_s: float | None = None,
    verbose: bool = False,
    attach: Sequence[str] = (),
) -> int:
    """Answer one question and return the exit code.

    Args:
        words: the question; what is piped in is added to it, or is the question.
        flags: what to answer it with.
        output: `text` for the answer alone, `json` for one object that says all.
        timeout_s: seconds after which the whole run is given up.
        verbose: also show the model's thinking, and what the run took.
        attach: paths or addresses of images and documents that go with the question.

    Raises:
        BrokenPipeError: whoever read stdout is gone.
    """
    record = _Record()
    problem: VictorError | None = None
    try:
        prompt = Message(role="user", content=_question(words), attachments=_attached(attach))
        record.plan = prepare(
            flags, note=note, confirm=confirm if person_descriptor() is not None else None
        )
        live = output == "text" and sys.stdout.isatty()
        renderer = Renderer(
            answer=sys.stdout if live else None,
            notes=sys.stderr,
            colour=colour_wanted(sys.stderr),
            live=sys.stderr.isatty(),
            thinking=verbose,
        )
        code = run_to_signal(_answer(record.plan, prompt, record, renderer, timeout_s))
        renderer.end_line()
    except VictorError as error:
        problem, code = error, exit_code(error)
    # stdout first: the answer must not be lost to a stderr that nobody reads.
    if output == "json":
        _write_json(record, problem, code)
    elif record.result is not None and record.result.content and not sys.stdout.isatty():
        sys.stdout.write(sanitize_terminal(record.result.content) + "\n")
        sys.stdout.flush()
    if problem is not None:
        print_error(problem)
    return code


async def _answer(
    plan: Plan, prompt: Message, record: _Record, renderer: Renderer, timeout_s: float | None
) -> int:
    terminal = person_descriptor()
    # Esc at a question ends the run as Ctrl-C does.
    watch = KeyWatch(terminal, on_escape=lambda: signal.raise_signal(signal.SIGINT))
    ask = None if terminal is None else asker(renderer.question, watch)
    approver = Approver(plan.workspace, ask, colour=renderer.colour)
    began = asyncio.get_running_loop().time()
    limit = asyncio.timeout(timeout_s)
    try:
        async with (
            limit,
            plan.provider(ask) as provider,
            plan.lent(renderer.note) as lent,
            await plan.agent(provider, approver, lent=lent, max_wait=timeout_s) as agent,
        ):
            async for event in agent.stream(prompt.content, attachments=prompt.attachments):
                renderer.show(event)
                record.see(event)
    except TimeoutError as error:
        renderer.end_line()
        if not limit.expired():
            raise
        raise TimeLimitError(f"no answer within {timeout_s:g} s (--timeout)") from error
    except VictorError:
        renderer.end_line()
        raise
    finally:
        await approver.close(renderer.note)
    assert record.result is not None  # noqa: S101 - a run that does not raise ends with its result
    if renderer.thinking:
        renderer.status(record.result, asyncio.get_running_loop().time() - began)
    return _judge(record.result, approver, renderer)


def _judge(result: RunResult, approver: Approver, renderer: Renderer) -> int:
    if result.stop_reason in _SPENT:
        renderer.note(f"victor: {_SPENT[result.stop_reason]}; this is what there is", "yellow")
        return ExitCode.BUDGET
    if result.stop_reason in _CUT:
        renderer.note(f"victor: {_CUT[result.stop_reason]}", "yellow")
        return ExitCode.OK if result.stop_reason == "length" else ExitCode.FAILED
    if approver.refused:
        renderer.note(f"victor: tool calls that were not approved: {approver.refused}", "yellow")
        return ExitCode.REFUSED
    return ExitCode.OK


def _write_json(record: _Record, problem: VictorError | None, code: int) -> None:
    document: JsonObject = {"version": 1}
    if record.result is None:
        document["error"] = {
            "type": "Interrupted" if problem is None else type(problem).__name__,
            "message": f"ended by signal {code - 128}" if problem is None else str(problem),
            "exit_code": int(code),
            "retry_after": None if problem is None else retry_after(problem),
        }
    else:
        result = record.result
        document |= {
            "content": result.content,
            "stop_reason": result.stop_reason,
            "turns": result.turns,
            "tool_calls": [
                {
                    "name": event.call.name,
                    "arguments": event.call.arguments,
                    "is_error": event.is_error,
                    "seconds": round(event.seconds, 6),
                }
                for event in record.calls
            ],
            "usage": result.usage.model_dump(),
            "provider": _answered_by(record),
            "model": result.model or (record.plan.choice.model if record.plan else None),
            "exit_code": int(code),
        }
    document["events"] = [{"type": _name(one)} | asdict(one) for one in record.events]
    # ASCII only: an escape sequence in an answer stays six harmless characters.
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _answered_by(record: _Record) -> str | None:
    if record.moved is not None:
        return record.moved.new.partition("/")[0]
    return None if record.plan is None else record.plan.choice.provider


def _name(event: AgentEvent) -> str:
    """Return an event's name in JSON: `RetryScheduled` is `retry_scheduled`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()


def _question(words: Sequence[str]) -> str:
    asked = " ".join(words).strip()
    piped = _piped().strip("\n")
    if not asked and not piped.strip():
        raise UsageError('there is no question: victor run "What does this project do?"')
    if not asked:
        return piped
    return f"{asked}\n\n<stdin>\n{piped}\n</stdin>" if piped.strip() else asked


def _attached(sources: Sequence[str]) -> list[Attachment]:
    try:
        return [Attachment.from_source(one) for one in sources]
    except ConfigError as error:
        raise UsageError(f"--attach: {error}") from error


def _piped() -> str:
    """Return what is piped or redirected in; nothing from a terminal or a closed stdin."""
    try:
        descriptor = sys.stdin.fileno()
        mode = os.fstat(descriptor).st_mode
    except (AttributeError, OSError, ValueError):
        return ""  # stdin is closed
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return ""
    if not select.select([descriptor], [], [], _PATIENCE_S)[0]:
        note("victor: waiting for the end of stdin, which is a pipe; without one use < /dev/null")
    with open(descriptor, "rb", closefd=False) as source:
        content = source.read(MOST_PIPED + 1)
    if len(content) > MOST_PIPED:
        raise UsageError(
            f"more than {MOST_PIPED:,} bytes on stdin: pipe in less, or put it into a file "
            "and ask about the file"
        )
    return content.decode("utf-8", "replace")

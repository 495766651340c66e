"""Exit codes, and the boundary at which an exception becomes one line for a person.

| code | meaning                                                                             |
| ---- | ----------------------------------------------------------------------------------- |
| 0    | answered                                                                            |
| 1    | failed, and the same command would fail again                                       |
| 2    | the command line is wrong                                                           |
| 3    | a budget is spent (`--max-turns`, tool calls); what there is of an answer is printed |
| 4    | answered, but a tool call was not approved                                          |
| 75   | try later: rate limit, overload, no connection, circuit open; says when, if known   |
| 77   | the API key is missing, wrong or not allowed to do this                             |
| 78   | configuration: unknown provider, weights not downloaded, an extra is missing        |
| 124  | `--timeout` passed                                                                  |
| 130  | interrupted (Ctrl-C)                                                                |
| 141  | whoever read our output went away                                                   |
| 143  | terminated                                                                          |

75, 77 and 78 are those of sysexits(3), 124 is that of timeout(1), from 128 on it is 128 + signal.
Knows nothing about commands or flags beyond the hints it prints.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from enum import IntEnum

from victor.cli.sanitize import one_line
from victor.errors import (
    CircuitOpenError,
    ConfigError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderPermissionError,
    ProviderQuotaError,
    StreamInterruptedError,
    UnknownProviderError,
    VictorError,
    WeightsMissingError,
)

__all__ = [
    "ExitCode",
    "TimeLimitError",
    "UsageError",
    "boundary",
    "exit_code",
    "next_step",
    "print_bug",
    "print_error",
    "quiet_stdout",
    "retry_after",
]

DEBUG_VARIABLE = "VICTOR_DEBUG"


class ExitCode(IntEnum):
    """What victor's exit status means; the table is in the module's docstring."""

    OK = 0
    FAILED = 1
    USAGE = 2
    BUDGET = 3
    REFUSED = 4
    TRY_LATER = 75
    AUTH = 77
    CONFIG = 78
    TIME_LIMIT = 124
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


class UsageError(ConfigError):
    """The command line or what was piped in cannot be used; nothing was sent."""


class TimeLimitError(VictorError):
    """The time that the user gave a whole run has passed."""


def exit_code(error: BaseException) -> int:
    """Return the exit code that stands for an exception.

    Args:
        error: any exception; one that victor does not raise on purpose counts as failed.
    """
    match error:
        case UsageError():
            return ExitCode.USAGE
        case ConfigError():
            return ExitCode.CONFIG
        case TimeLimitError() | TimeoutError():
            return ExitCode.TIME_LIMIT
        case ProviderError():
            return _provider_code(error)
        case BrokenPipeError():
            return ExitCode.BROKEN_PIPE
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case _:
            return ExitCode.TRY_LATER if _of_the_network(error) else ExitCode.FAILED


def _of_the_network(error: BaseException) -> bool:
    """Tell whether a connection failed: a provider of others may let any exception out."""
    from victor.resilience.votes import Vote, judge

    return not isinstance(error, VictorError) and judge(error).vote is Vote.FAIL


def _provider_code(error: ProviderError) -> int:
    if isinstance(error, ProviderAuthError) or error.status_code in (401, 403):
        return ExitCode.AUTH
    if isinstance(error, ProviderQuotaError):
        # Without a date of renewal, only money helps, and trying again does not bring any.
        return ExitCode.FAILED if error.retry_after is None else ExitCode.TRY_LATER
    if error.retryable or isinstance(error, CircuitOpenError | StreamInterruptedError):
        return ExitCode.TRY_LATER
    # Third-party providers may raise the plain class; then the status is all there is to go by.
    status = error.status_code or 0
    return ExitCode.TRY_LATER if status in (408, 429) or status >= 500 else ExitCode.FAILED


def retry_after(error: BaseException) -> float | None:
    """Return in how many seconds the same command may work, where that is known."""
    seconds = error.retry_after if isinstance(error, ProviderError) else None
    return seconds if exit_code(error) == ExitCode.TRY_LATER else None


def next_step(error: BaseException) -> str | None:
    """Return the command, or the advice, that goes with an exception; None where there is none."""
    if (seconds := retry_after(error)) is not None:
        at = datetime.now().astimezone() + timedelta(seconds=seconds)
        return f"try again at {at:%H:%M:%S} (in {seconds:.0f} s)"
    if isinstance(error, WeightsMissingError):
        return error.command
    if isinstance(error, ProviderAuthError) and not isinstance(error, ProviderPermissionError):
        return f"victor keys set {error.provider or 'NAME'}"
    return next((step for kind, step in _STEPS if isinstance(error, kind)), None)


_DOCTOR = "victor doctor"
_TELLS_HOW = re.compile(r"`victor |: victor |pip install |\(--[a-z]")
_STEPS: tuple[tuple[type[VictorError], str | None], ...] = (
    (UsageError, None),  # the message says it all
    (UnknownProviderError, "victor providers"),
    (ConfigError, _DOCTOR),
    (ProviderConnectionError, _DOCTOR),
    (ContextWindowExceededError, "ask for less, or choose a model with a larger window (--model)"),
    (ModelNotFoundError, "choose another model (--model; in a conversation, /model)"),
)


def print_error(error: BaseException) -> None:
    """Write an exception to stderr: what happened in one line, and the next step."""
    message = one_line(str(error) or type(error).__name__)
    step = next_step(error)
    lines = [f"victor: error: {message}"]
    # Many messages name the command or the flag themselves; saying it twice is noise.
    told = step == _DOCTOR and _TELLS_HOW.search(message) is not None
    if step is not None and step not in message and not told:
        lines.append(f"next: {one_line(step)}")
    with suppress(OSError):
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()


def print_bug(error: Exception) -> None:
    """Write what nobody expected to stderr: one line, or with VICTOR_DEBUG=1 the traceback.

    A connection that failed is no bug of victor's, also where a provider did not say so by type.
    """
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        traceback.print_exception(error)
        return
    if _of_the_network(error):
        print_error(ProviderConnectionError(f"{type(error).__name__}: {error}"))
        return
    with suppress(OSError):
        sys.stderr.write(
            f"victor: internal error: {one_line(f'{type(error).__name__}: {error}')}\n"
            f"next: please report it; set {DEBUG_VARIABLE}=1 for the traceback\n"
        )


def quiet_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush into a closed pipe is quiet."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


@contextmanager
def boundary() -> Iterator[None]:
    """Turn what victor raises on purpose into a line on stderr and an exit code.

    Anything else passes through: it is a bug, and `victor.__main__` reports it as one.

    Raises:
        typer.Exit: in place of a `VictorError`, Ctrl-C or a broken pipe.
    """
    import typer

    try:
        yield
    except BrokenPipeError as error:
        quiet_stdout()
        raise typer.Exit(ExitCode.BROKEN_PIPE) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(ExitCode.INTERRUPTED) from error
    except VictorError as error:
        print_error(error)
        raise typer.Exit(exit_code(error)) from error

"""`victor providers status`: how the endpoints are, as the calls of the last hour found them.

Reads what the processes of this machine have written down (`victor.resilience.shared_state`), sends
nothing and changes nothing. Knows nothing about how that is found out.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING

import typer

from victor.cli.exits import ExitCode
from victor.cli.render import Colour, paint
from victor.cli.sanitize import one_line
from victor.cli.terminal import colour_wanted
from victor.cli.timeline import seconds

if TYPE_CHECKING:
    from victor.resilience.shared_state import CircuitState, EndpointStatus

__all__ = ["show_status", "status_lines"]

_COLOURS: Mapping[CircuitState, Colour] = MappingProxyType(
    {"closed": "green", "half-open": "yellow", "open": "red"}
)
_HEAD = ("ENDPOINT", "STATE", "NEXT TRY", "OK", "P50", "P95", "CALLS")
_EMPTY = (
    "nothing is known yet: every call that victor makes is noted here, and this shows those of "
    "the last hour"
)
_WATCH_S = 1.0


def show_status(*, watch: bool, as_json: bool) -> int:
    """Print the table and return the exit code.

    Args:
        watch: print it again every second until Ctrl-C; with JSON, one line each time.
        as_json: print JSON.

    Raises:
        ConfigError: what was written down cannot be read.
    """
    from victor.resilience.shared_state import read_status

    if not watch:
        _print(read_status(), as_json=as_json, indent=2)
        return ExitCode.OK
    drawn = 0
    while True:
        found = read_status()
        if as_json or not sys.stdout.isatty():
            _print(found, as_json=as_json, indent=None)
        else:
            drawn = _redraw(found, drawn)
        time.sleep(_WATCH_S)


def status_lines(found: Sequence[EndpointStatus], *, colour: bool) -> list[str]:
    """Return the table: a line for each endpoint, and below it what there is to say.

    Args:
        found: the endpoints.
        colour: whether to use colours.
    """
    if not found:
        return [_EMPTY]
    rows = list(_rows(found))
    cells = [_HEAD, *(row for row, _, _ in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    lines = [_line(_HEAD, widths, None, colour=colour)]
    for row, one, details in rows:
        lines.append(_line(row, widths, one.state, colour=colour))
        lines += [paint(f"    {detail}", "dim", on=colour) for detail in details]
    return lines


def _rows(
    found: Sequence[EndpointStatus],
) -> Iterator[tuple[tuple[str, ...], EndpointStatus, list[str]]]:
    for one in found:
        details = [] if one.last_error is None else [f"last error: {one_line(one.last_error, 300)}"]
        yield _cells(one, ""), one, details
        for part in one.parts:
            if part.state != "closed":
                yield _cells(part, "  "), part, [f"last error: {one_line(part.last_error or '-')}"]


def _cells(one: EndpointStatus, indent: str) -> tuple[str, ...]:
    wait = "-" if one.retry_at_s is None else f"in {seconds(one.retry_at_s)}"
    if one.retry_at_s == 0:
        wait = "now"
    rate = "-" if one.success_rate is None else f"{one.success_rate:.0%}"
    times = ["-" if took is None else seconds(took) for took in (one.p50_s, one.p95_s)]
    return (indent + one_line(one.name, 100), one.state, wait, rate, *times, str(one.calls))


def _line(
    row: Sequence[str], widths: Sequence[int], state: CircuitState | None, *, colour: bool
) -> str:
    padded = [f"{cell:<{width}}" for cell, width in zip(row[:3], widths[:3], strict=True)]
    padded += [f"{cell:>{width}}" for cell, width in zip(row[3:], widths[3:], strict=True)]
    if state is not None:
        padded[1] = paint(padded[1], _COLOURS[state], on=colour)
    return "  ".join(padded)


def _print(found: Sequence[EndpointStatus], *, as_json: bool, indent: int | None) -> None:
    if as_json:
        document = {"version": 1, "endpoints": [asdict(one) for one in found]}
        typer.echo(json.dumps(document, indent=indent))
    else:
        for line in status_lines(found, colour=colour_wanted(sys.stdout)):
            typer.echo(line)
    sys.stdout.flush()


def _redraw(found: Sequence[EndpointStatus], drawn: int) -> int:
    """Draw the table over the one before, whose height is `drawn`; return the new height."""
    size = shutil.get_terminal_size()
    # What is cut takes one line each; colours would be cut in the middle.
    lines = [line[: size.columns - 1] for line in status_lines(found, colour=False)]
    lines = lines[: size.lines - 1]
    back = f"\x1b[{drawn}F" if drawn else ""
    sys.stdout.write(f"{back}\x1b[J" + "".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    return len(lines)

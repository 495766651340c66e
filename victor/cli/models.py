"""`victor models`: see, download and remove the embedded model's weights.

Only words, exit codes and progress; the work is done in `victor.local`. Knows nothing about running
a model.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from victor.cli.exits import UsageError, boundary

if TYPE_CHECKING:
    from victor.local.catalog import Weights
    from victor.local.partial import Progress

__all__ = ["app", "pull_with_progress"]

app = typer.Typer(
    help="See, download and remove the embedded model.",
    no_args_is_help=False,
    add_completion=False,
    rich_markup_mode=None,
)

_Name = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="Such as 0.5b or qwen2.5-coder-1.5b.", show_default=False),
]


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """See, download and remove the embedded model."""
    if context.invoked_subcommand is None:
        list_models()


@app.command("list")
def list_models() -> None:
    """Show the models victor offers, and which are downloaded."""
    from victor.local.weights import DEFAULT_WEIGHTS, WEIGHTS, mebibytes, stored_path

    typer.echo(f"{'NAME':<21} {'SIZE':>9}  {'DOWNLOADED':<10}  LICENCE")
    for row in WEIGHTS.values():
        path = stored_path(row)
        here = _is_here(path, row)
        default = "  (default)" if row.name == DEFAULT_WEIGHTS else ""
        typer.echo(
            f"{row.name:<21} {mebibytes(row.size):>9}  {'yes' if here else 'no':<10}  "
            f"{row.license_id}{default}"
        )
        typer.echo(f"    {path}" if here else f"    victor models pull {row.name}")
    _echo_override()


@app.command()
def pull(
    name: _Name = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Take it from this file instead of the network.", metavar="FILE"
        ),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check a downloaded file against its hash again.")
    ] = False,
) -> None:
    """Download a model, or go on with a broken download.

    The bytes are checked.
    """
    from victor.local.pull import license_path
    from victor.local.weights import DEFAULT_WEIGHTS, known_weights

    with boundary():
        row = known_weights(name or DEFAULT_WEIGHTS)
        try:
            path = pull_with_progress(row, source=source, verify=verify)
        except KeyboardInterrupt:
            typer.echo("victor: stopped; the same command goes on where it was.", err=True)
            raise
        typer.echo(f"{row.name} is ready, licence {row.license_id} ({license_path(row)})", err=True)
        typer.echo(path)


@app.command()
def path(name: _Name = None) -> None:
    """Print the file of a model.

    Without a name it is the one that victor would use.
    """
    from victor.local.weights import find_weights

    with boundary():
        typer.echo(find_weights(name))


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model to delete.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a downloaded model, and what is left of a broken download."""
    from victor.local.pull import leftovers
    from victor.local.pull import remove as discard
    from victor.local.weights import known_weights, mebibytes

    with boundary():
        row = known_weights(name)
        files = leftovers(row)
        if not files:
            typer.echo(f"{row.name} is not on this machine: there is nothing to remove.", err=True)
            return
        size = mebibytes(sum(file.stat().st_size for file in files))
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"this deletes {files[0]} ({size}): add --yes to do it.")
            typer.confirm(f"Delete {files[0]} ({size})?", abort=True, err=True)
        discard(row)
        typer.echo(f"Removed {row.name} ({size}).", err=True)


def pull_with_progress(
    name: str | Weights | None = None, *, source: Path | None = None, verify: bool = False
) -> Path:
    """Pull a model and show its progress on stderr: a bar on a terminal, else a line per tenth.

    Args:
        name: as for `victor.local.pull.pull`.
        source: take the bytes from this file.
        verify: hash a file that is there already.

    Raises:
        VictorError: as `victor.local.pull.pull`.
    """
    from victor.local.pull import pull as fetch

    if not sys.stderr.isatty():
        return fetch(name, source=source, verify=verify, progress=_lines())
    with _bar() as progress:
        return fetch(name, source=source, verify=verify, progress=progress)


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("starting", total=None)

        def show(done: int, total: int, phase: str) -> None:
            bar.update(task, completed=done, total=total, description=phase)

        yield show


def _lines() -> Progress:
    last = ("", -1)

    def show(done: int, total: int, phase: str) -> None:
        nonlocal last
        tenth = 10 * done // total
        if (phase, tenth) == last or (phase == last[0] and tenth < last[1]):
            return
        last = (phase, tenth)
        typer.echo(f"{phase}: {10 * tenth} %", err=True)

    return show


def _is_here(file: Path, row: Weights) -> bool:
    return file.is_file() and file.stat().st_size == row.size


def _echo_override() -> None:
    import os

    from victor.local.weights import MODEL_VARIABLE

    if chosen := os.environ.get(MODEL_VARIABLE):
        typer.echo(f"{MODEL_VARIABLE} is set: victor uses {chosen}")

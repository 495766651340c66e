"""`victor doctor`: looks at everything victor needs on this machine; each finding has a next step.

A check never raises: what it cannot find out is its finding. Nothing is sent over the network.
Knows nothing about repairing anything.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from victor.cli.exits import next_step
from victor.config.catalog import DEFAULT_PROVIDER
from victor.errors import ConfigError, VictorError, WeightsMissingError

if TYPE_CHECKING:
    from victor.config.api_keys import KeyRow
    from victor.config.choice import Choice
    from victor.config.settings import Settings

__all__ = ["Finding", "app", "doctor", "findings"]

Status: TypeAlias = Literal["ok", "warn", "fail"]

_IMPORT_TIMEOUT_S = 60

app = typer.Typer(
    help="Check this machine and the settings.", add_completion=False, rich_markup_mode=None
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    name: str
    status: Status
    detail: str
    next: str | None = None
    """What to do about it."""


@app.callback(invoke_without_command=True)
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check this machine and the settings; each problem comes with its next step."""
    found = list(findings())
    failed = any(finding.status == "fail" for finding in found)
    if as_json:
        rows = [asdict(finding) for finding in found]
        typer.echo(json.dumps({"version": 1, "ok": not failed, "checks": rows}, indent=2))
    else:
        _print(found)
    raise typer.Exit(1 if failed else 0)


def findings() -> Iterable[Finding]:
    """Run all checks, one after the other."""
    yield _guarded("victor", _victor)
    yield _guarded("terminal", _terminal)
    seen = _Seen()
    yield _guarded("settings", lambda: _settings(seen))
    yield _guarded("sandbox", lambda: _sandbox(seen))
    yield _guarded("keyring", _keyring)
    yield _guarded("keys", lambda: _keys(seen))
    yield _guarded("provider", lambda: _provider(seen))
    yield _guarded("local engine", lambda: _engine(used=seen.local_is_used))
    yield _guarded("local model", lambda: _weights(seen))


@dataclass
class _Seen:
    """What earlier checks found and later ones build on."""

    settings: Settings | None = None
    keys: list[KeyRow] = field(default_factory=list)
    choice: Choice | None = None

    @property
    def local_is_used(self) -> bool:
        return self.choice is None or self.choice.provider == DEFAULT_PROVIDER


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except VictorError as error:
        return Finding(name, "fail", str(error), _step(error))
    except Exception as error:  # noqa: BLE001 - a doctor who faints helps nobody
        return Finding(name, "fail", f"cannot be checked: {type(error).__name__}: {error}")


def _step(error: VictorError) -> str | None:
    step = next_step(error)
    return None if step == "victor doctor" else step


def _needed(settings: Settings | None) -> Settings:
    if settings is None:
        raise ConfigError("not checked: the settings cannot be read")
    return settings


def _victor() -> Finding:
    from victor import __version__

    python = f"Python {platform.python_version()} ({sys.executable})"
    system = f"{platform.system()} {platform.machine()}"
    return Finding("victor", "ok", f"{__version__}, {python}, {system}")


def _terminal() -> Finding:
    encoding = (sys.stdout.encoding or "unknown").lower()
    kind = os.environ.get("TERM", "unknown") if sys.stdout.isatty() else "not a terminal"
    if encoding.replace("-", "") not in {"utf8", "unknown"}:
        step = "set LC_ALL=C.UTF-8, or PYTHONUTF8=1"
        return Finding(
            "terminal", "warn", f"{kind}, {encoding}: not every letter can be shown", step
        )
    return Finding("terminal", "ok", f"{kind}, {encoding}")


def _settings(seen: _Seen) -> Finding:
    from victor.config.settings import config_path, load_settings, state_path

    seen.settings = load_settings()
    text = str(seen.settings.path or f"no file {config_path()}: all defaults")
    for path in (config_path(), config_path().parent, state_path()):
        if found := _loose(path):
            return Finding("settings", "warn", f"{text}; {found[0]}", found[1])
    return Finding("settings", "ok", text)


def _loose(path: Path) -> tuple[str, str] | None:
    """Tell of something of victor's that others can change, and the command that ends it."""
    try:
        status = path.stat()
    except OSError:
        return None
    if os.name != "posix":
        return None
    mode = status.st_mode
    if stat.S_ISDIR(mode) and mode & stat.S_ISVTX:
        return None  # like /tmp: nobody can put something in the place of another's file
    if status.st_uid not in {0, os.geteuid()}:
        why, step = "belongs to somebody else", f'chown "$(id -un)" {shlex.quote(str(path))}'
    elif mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_private(status.st_gid)):
        why, step = "can be written by others", f"chmod go-w {shlex.quote(str(path))}"
    else:
        return None
    return f"{path} {why}, who could change what victor may do", step


def _is_private(group: int) -> bool:
    """Tell whether a group has one member alone, as many systems make one for each user."""
    import grp
    import pwd

    try:
        name, row = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return row.gr_name == name and set(row.gr_mem) <= {name}


def _sandbox(seen: _Seen) -> Finding:
    from victor.sandbox.run import sandbox_status

    settings = _needed(seen.settings)
    found = sandbox_status(settings.sandbox, network=settings.sandbox_network)
    bad: Status = "fail" if settings.sandbox == "required" else "warn"
    named = ", ".join(settings.sandbox_variables)
    text = f"{found.text}; commands get these variables, too: {named}" if named else found.text
    return Finding("sandbox", "ok" if found.confined else bad, text, found.next)


def _keyring() -> Finding:
    from victor.config.keychain import inspect

    backend, problem = inspect()
    if problem is None:
        return Finding("keyring", "ok", backend)
    return Finding("keyring", "warn", problem, "keep keys in the environment, or set key_command")


def _keys(seen: _Seen) -> Finding:
    from victor.config.api_keys import list_api_keys

    seen.keys = list_api_keys(settings=_needed(seen.settings))
    text = "; ".join(f"{row.name}: {row.problem or row.source}" for row in seen.keys)
    if any(row.problem for row in seen.keys):
        return Finding("keys", "warn", text, "victor keys list")
    return Finding("keys", "ok", text or "none: `victor keys set NAME` adds one")


def _provider(seen: _Seen) -> Finding:
    from victor.cli.providers import current_choice

    settings = _needed(seen.settings)
    seen.choice = choice = current_choice(settings)
    row = settings.vendors().get(choice.provider)
    if row and row.base_url is None:
        step = f"set base_url under [providers.{row.name}] in the settings, or VICTOR_BASE_URL"
        return Finding("provider", "fail", f"{choice.reason}; it has no address", step)
    keys = [key for key in seen.keys if key.name == choice.provider]
    if row and row.needs_key and all(key.problem for key in keys):
        # Not a failure: another program may have put one into the keyring.
        state = "its key cannot be read" if keys else "no key is known"
        step = f"victor keys set {row.name}"
        return Finding("provider", "warn", f"{choice.reason}; {state}", step)
    return Finding("provider", "ok", choice.reason)


def _engine(*, used: bool) -> Finding:
    from importlib.metadata import version
    from importlib.util import find_spec

    if find_spec("xllamacpp") is None:
        text, step = "xllamacpp is not installed", "pip install 'victor[local]'"
        return Finding("local engine", "fail" if used else "ok", text, step)
    bad: Status = "fail" if used else "warn"
    # In a child: without AVX2 the import itself is what kills the process. -P keeps a file of
    # that name in the working directory out of it.
    command = [sys.executable, "-P", "-c", "import xllamacpp"]
    try:
        child = subprocess.run(
            command, capture_output=True, text=True, timeout=_IMPORT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding("local engine", bad, f"xllamacpp did not load in {_IMPORT_TIMEOUT_S} s")
    if child.returncode == 0:
        return Finding("local engine", "ok", f"xllamacpp {version('xllamacpp')} loads")
    return _broken_engine(child.returncode, child.stderr, bad)


def _broken_engine(returncode: int, stderr: str, status: Status) -> Finding:
    from victor.local.diagnosis import start_failure

    detail = (stderr.strip().splitlines() or [""])[-1]
    why = "import" if returncode > 0 else ""
    error = start_failure(Path("xllamacpp"), returncode, error=why, detail=detail)
    return Finding("local engine", status, str(error))


def _weights(seen: _Seen) -> Finding:
    from victor.local.weights import find_weights

    used = seen.local_is_used
    model = seen.choice.model if seen.choice and used else None
    try:
        return Finding("local model", "ok", str(find_weights(model)))
    except WeightsMissingError as error:
        return Finding("local model", "warn" if used else "ok", str(error), error.command)


def _print(found: list[Finding]) -> None:
    from victor.cli.sanitize import one_line

    colours = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "fail": typer.colors.RED}
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    for finding in found:
        status = f"{finding.status:<4}"
        status = status if plain else typer.style(status, fg=colours[finding.status])
        typer.echo(f"{status}  {finding.name:<12}  {one_line(finding.detail)}")
        if finding.next and finding.next not in finding.detail:
            typer.echo(f"{'':<20}next: {one_line(finding.next)}")

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.cli.support import terminal
from victor.cli.providers import app
from victor.cli.status import status_lines
from victor.errors import ProviderServerError
from victor.resilience.circuits import SharedCircuits
from victor.resilience.pipeline import Deadlines, Pipeline
from victor.resilience.retry import RetryPolicy
from victor.resilience.shared_state import EndpointStatus, SharedState, shared_state_path

WELL = EndpointStatus("acme at https://acme.example", "closed", None, None, 40, 0.975, 1.2, 8.1)
OPEN = EndpointStatus(
    "lab", "open", 12.0, "ProviderServerError: \x1b[2Jdown", 9, 0.0, None, None,
    parts=(
        EndpointStatus("large", "half-open", 0.0, None, 3, 0.5, 1.0, 2.0),
        EndpointStatus("small", "closed", None, None, 6, 1.0, 1.0, 2.0),
    ),
)  # fmt: skip


def test_each_endpoint_is_a_line_with_what_there_is_to_say_below() -> None:
    assert status_lines([WELL, OPEN], colour=False) == [
        "ENDPOINT                      STATE      NEXT TRY    OK     P50     P95  CALLS",
        "acme at https://acme.example  closed     -          98%  1.20 s  8.10 s     40",
        "lab                           open       in 12.0 s   0%       -       -      9",
        "    last error: ProviderServerError: down",
        "  large                       half-open  now        50%  1.00 s  2.00 s      3",
        "    last error: -",
    ]


def test_a_state_has_a_colour_for_those_who_want_it() -> None:
    _, well, trouble, *_ = status_lines([WELL, OPEN], colour=True)
    assert "\x1b[32mclosed" in well
    assert "\x1b[31mopen" in trouble


def test_without_calls_it_says_how_it_fills() -> None:
    (line,) = status_lines([], colour=True)
    assert line.startswith("nothing is known yet: every call that victor makes is noted here")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def _outage() -> None:
    """Let this process make calls that fail, as a terminal would."""
    circuits = SharedCircuits()
    shared = SharedState(shared_state_path())
    shared.attach(circuits)

    async def fail() -> None:
        raise ProviderServerError("it is down", status_code=500)

    async def main() -> None:
        pipeline = Pipeline(
            "lab",
            breaker=circuits.of("lab"),
            retry=RetryPolicy(max_retries=0),
            deadlines=Deadlines(),
        )
        for _ in range(5):
            with pytest.raises(ProviderServerError):
                await pipeline.call(fail)

    asyncio.run(main())
    shared.close()


def test_it_shows_what_other_processes_found_out(state: Path) -> None:
    _outage()
    result = CliRunner().invoke(app, ["status"])
    assert result.exit_code == 0
    assert "lab" in result.stdout
    assert "last error: ProviderServerError: it is down" in result.stdout
    (found,) = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)["endpoints"]
    assert (found["name"], found["calls"], found["success_rate"]) == ("lab", 5, 0.0)
    assert found["state"] in ("open", "half-open")


def test_json_of_nothing_is_an_empty_list(state: Path) -> None:
    result = CliRunner().invoke(app, ["status", "--json"])
    assert json.loads(result.stdout) == {"version": 1, "endpoints": []}


def test_a_file_that_cannot_be_read_is_a_clear_error(state: Path) -> None:
    (state / "victor").mkdir(parents=True)
    shared_state_path().write_bytes(b"this is no database, but it is long enough" * 50)
    result = CliRunner().invoke(app, ["status"])
    assert result.exit_code == 78
    assert "It may be deleted" in result.stderr


def test_watching_draws_the_table_over_itself_until_ctrl_c(
    state: Path, workspace: Path, environ: Mapping[str, str]
) -> None:
    _outage()
    environ = {**environ, "XDG_STATE_HOME": str(state)}
    with terminal(["providers", "status", "--watch"], cwd=workspace, environ=environ) as screen:
        screen.see("ENDPOINT")
        screen.see("it is down")
        screen.see("ENDPOINT")
        assert screen.raw.count(b"\x1b[3F\x1b[J") >= 1, "it goes back to the start of its lines"
        screen.type("\x03")
        assert screen.end() == 130
    assert "Traceback" not in screen.text


def test_watching_into_a_pipe_prints_again_and_again(
    state: Path, workspace: Path, environ: Mapping[str, str]
) -> None:
    environ = {**environ, "XDG_STATE_HOME": str(state)}
    reading, writing = os.pipe()
    arguments = ["providers", "status", "--watch", "--json"]
    with (
        terminal(arguments, cwd=workspace, environ=environ, stdout=writing) as screen,
        os.fdopen(reading) as lines,
    ):
        os.close(writing)
        found = [json.loads(lines.readline()) for _ in range(2)]
        screen.process.send_signal(signal.SIGINT)
        screen.end()
    assert found == [{"version": 1, "endpoints": []}] * 2

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from victor.agent.events import AgentEvent
from victor.cli.run import _OF_REQUESTS, _name
from victor.resilience import events as guard

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "events.md").read_text("utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE)


def test_every_event_of_a_request_is_on_the_page_with_its_name_in_json() -> None:
    assert [
        (kind.__name__, _name(kind.__new__(kind))) for _, kind in sorted(_by_place().items())
    ] == ROWS


def _by_place() -> dict[int, type[AgentEvent]]:
    return {PAGE.index(f"| `{kind.__name__}` |"): kind for kind in _OF_REQUESTS}


def test_every_other_event_of_an_agent_is_on_the_page() -> None:
    missing = [kind.__name__ for kind in get_args(AgentEvent) if f"`{kind.__name__}`" not in PAGE]
    assert missing == []


def test_what_a_provider_tells_has_the_same_name_at_the_agent() -> None:
    kinds = {*guard.GuardEvent.__subclasses__(), *get_args(guard.BreakerEvent)}
    ours = {kind.__name__ for kind in get_args(AgentEvent)}
    assert {kind.__name__ for kind in kinds} <= ours


def test_the_program_on_the_page_runs_as_it_stands(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    script = tmp_path / "page.py"
    script.write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")

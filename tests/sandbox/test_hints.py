from __future__ import annotations

from pathlib import Path

import pytest

from victor.sandbox.hints import hint
from victor.sandbox.policy import Policy


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("curl: (6) Could not resolve host: x.org", "no network"),
        ("npm error code EAI_AGAIN", "no network"),
        ("OSError: [Errno 101] Network is unreachable", "no network"),
        ("fatal: Unable to create '/w/.git/index.lock': Read-only file system", "read-only"),
        ("W: Temporary failure resolving 'deb.debian.org'", "no network"),
        ("curl: (7) Failed to connect to localhost port 80: Connection refused", "localhost"),
        ("Error: connect ECONNREFUSED 127.0.0.1:3000", "localhost"),
        ("error: could not lock config file .git/config: Read-only file system", "read-only"),
        ("fatal: Unable to create '/w/.git/index.lock': Permission denied", "read-only"),
        ("cat: /w/.gitignore: Permission denied", ""),
        ("ok", ""),
        ("Read-only file system" + "x" * 2_000, ""),
    ],
)
def test_what_a_sandbox_refuses_is_explained(text: str, says: str) -> None:
    found = hint(text, Policy(workspace=Path("/w")))
    assert (says in found) if says else found == ""


def test_with_a_network_its_failures_are_not_the_sandbox() -> None:
    online = Policy(workspace=Path("/w"), network=True)
    assert hint("Could not resolve host", online) == ""
    assert "read-only" in hint("Could not resolve host\nRead-only file system", online)

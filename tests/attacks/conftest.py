from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks.support import SECRET, Scene, furnish, rules
from tests.sandbox.support import CONFINED, User, available, sleeper, user


@pytest.fixture(params=["root", "ordinary"])
def who(request: pytest.FixtureRequest) -> User:
    return user(request.param)


@pytest.fixture(params=CONFINED)
def scene(request: pytest.FixtureRequest, who: User) -> Iterator[Scene]:
    sandbox = available(request.param)
    assert sandbox is not None
    # Not below pytest's own directory, which only its owner may enter.
    base = Path(tempfile.mkdtemp(prefix="victor-attack-"))
    base.chmod(0o755)
    home = base / "home"
    workspace = furnish(home)
    who.owns(base)
    victim = subprocess.Popen(
        [*who.prefix, *sleeper().split()], env={"OPENAI_API_KEY": SECRET, "PATH": "/bin:/usr/bin"}
    )
    yield Scene(sandbox, who, workspace, home, victim, rules(workspace, home))
    victim.kill()
    victim.wait()
    shutil.rmtree(base)

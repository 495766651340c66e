from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.sandbox.support import CONFINED, User, attack, available
from victor.sandbox.policy import Policy, policy_for
from victor.sandbox.programs import needed_places


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = (tmp_path / "home").resolve()
    (home / "work").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", "/usr/bin")
    for name in ("VICTOR_CONFIG", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return home


def make(home: Path, *names: str) -> None:
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()


def rules(home: Path) -> Policy:
    return policy_for(home / "work")


@pytest.mark.parametrize(
    ("there", "word", "expected"),
    [
        pytest.param(["srv.py"], "srv.py", ["srv.py"], id="file"),
        pytest.param(["a/b/srv.py"], "a/b/srv.py", ["a/b/srv.py"], id="file-further-down"),
        pytest.param(["package.json", "srv.js"], "srv.js", ["srv.js"], id="home-that-is-one"),
        pytest.param(["a/package.json", "a/d/i.js"], "a/d/i.js", ["a"], id="node"),
        pytest.param(["a/pyproject.toml", "a/s.py"], "a/s.py", ["a"], id="python"),
        pytest.param(
            ["a/package.json", "a/b/package.json", "a/b/i.js"], "a/b/i.js", ["a/b"], id="nearest"
        ),
        pytest.param(["v/pyvenv.cfg", "v/bin/m"], "v/bin/m", ["v"], id="environment"),
        pytest.param(
            ["a/pyproject.toml", "a/.venv/pyvenv.cfg", "a/.venv/bin/m"],
            "a/.venv/bin/m",
            ["a"],
            id="environment-of-a-project",
        ),
        pytest.param(
            ["a/node_modules/m/package.json", "a/node_modules/m/node_modules/n/i.js"],
            "a/node_modules/m/node_modules/n/i.js",
            ["a/node_modules"],
            id="packages",
        ),
        pytest.param(["a/pyproject.toml"], "a", ["a"], id="directory"),
        pytest.param(["a/pyproject.toml", "a/b/c"], "a/b", [], id="directory-that-is-no-project"),
        pytest.param([".ssh/id"], ".", [], id="home"),
        pytest.param(["a/x"], "..", [], id="above-the-home"),
        pytest.param([], "missing", [], id="missing"),
        pytest.param(["work/srv.py", "package.json"], "work/srv.py", [], id="workspace"),
        pytest.param([".cargo/bin/m"], ".cargo/bin/m", [], id="shown-anyway"),
        pytest.param([".config/victor/c"], ".config/victor/c", [], id="victors-own"),
        pytest.param(
            [".config/package.json", ".config/victor/c", ".config/m.js"],
            ".config/m.js",
            [".config/m.js"],
            id="project-with-victors-own-in-it",
        ),
    ],
)
def test_what_a_command_names_is_shown_and_no_more(
    home: Path, there: list[str], word: str, expected: list[str]
) -> None:
    make(home, *there)
    found = needed_places(["/usr/bin/python3", f"{home}/{word}"], rules(home))
    assert found == tuple(home / name for name in expected)


@pytest.mark.parametrize("word", ["srv.py", "~/srv.py", "--port=1", "/usr/bin/env", "/", ""])
def test_what_is_no_path_to_something_hidden_shows_nothing(home: Path, word: str) -> None:
    make(home, "srv.py")
    assert needed_places([word], rules(home)) == ()


def test_link_is_shown_by_both_names(home: Path) -> None:
    make(home, "a/pyproject.toml", "a/s.py")
    make(home, "bin/x")
    (home / "bin/s").symlink_to(home / "a/s.py")
    (home / "b").symlink_to(home / "a")
    assert needed_places([f"{home}/bin/s"], rules(home)) == (home / "a", home / "bin/s")
    assert needed_places([f"{home}/b/s.py"], rules(home)) == (home / "a", home / "b")


def test_link_shows_no_home_and_nothing_of_victors(home: Path) -> None:
    make(home, "package.json", "s.js", ".config/victor/config.toml")
    (home / "a").mkdir()
    (home / "a/all").symlink_to(home)
    (home / "a/own").symlink_to(home / ".config/victor/config.toml")
    policy = rules(home)
    assert needed_places([f"{home}/a/all"], policy) == ()
    assert needed_places([f"{home}/a/own"], policy) == ()
    shown = needed_places([f"{home}/a/all/s.js"], policy)
    assert shown == (home / "a/all/s.js", home / "s.js")


@pytest.mark.parametrize("kind", CONFINED)
def test_what_is_shown_can_be_read_and_not_changed(home: Path, kind: str) -> None:
    make(home, "a/pyproject.toml", "a/b/s.sh", "secret", "bin/x")
    (home / "a/b/s.sh").write_text("cat $(dirname $0)/../pyproject.toml && echo ran")
    (home / "bin/s").symlink_to(home / "a/b/s.sh")
    (home / "b").symlink_to(home / "a")
    policy = rules(home)
    words = [f"{home}/{name}" for name in ("a/b/s.sh", "b/b/s.sh", "bin/s")]
    policy = Policy(
        workspace=policy.workspace,
        hidden=policy.hidden,
        readable=(*policy.readable, *needed_places(words, policy)),
        environment=policy.environment,
    )
    script = f"""\
for one in {words[0]} {words[1]}; do sh $one; done
cat {words[2]} > /dev/null && echo linked
cat {home}/secret
echo x > {words[0]}; echo x > {home}/a/new
"""
    sandbox = available(kind)
    assert sandbox is not None
    said = attack(sandbox, User("me", (), os.getuid()), script, policy)
    assert said.count("ran\n") == 2, said
    assert "linked" in said
    assert not (home / "a/new").exists()
    assert (home / "a/b/s.sh").read_text().endswith("echo ran")
    assert "secret: " in said

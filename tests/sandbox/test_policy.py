from __future__ import annotations

import os
from pathlib import Path

import pytest

from victor.errors import ConfigError
from victor.sandbox.policy import child_environment, policy_for


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "project").mkdir(parents=True)
    return home.resolve()


def given(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "PATH": "/usr/bin", **more}


def test_home_and_the_places_of_others_are_hidden(home: Path) -> None:
    runtime = home.parent / "runtime"
    runtime.mkdir()
    policy = policy_for(home / "project", given(home, XDG_RUNTIME_DIR=str(runtime)))
    assert policy.workspace == home / "project"
    assert {home, runtime, Path("/run").resolve()} <= set(policy.hidden)
    assert not policy.network
    assert set(policy.environment) == {"HOME", "PATH"}


def test_settings_in_another_place_are_hidden_too(home: Path) -> None:
    own = home.parent / "own"
    (own / "victor").mkdir(parents=True)
    policy = policy_for(home / "project", given(home, XDG_CONFIG_HOME=str(own)))
    assert own / "victor" in policy.hidden


def test_settings_file_in_the_workspace_is_hidden_alone(home: Path) -> None:
    file = home / "project" / "own.toml"
    file.touch()
    policy = policy_for(home / "project", given(home, VICTOR_CONFIG=str(file)))
    assert [place for place in policy.hidden if place.is_relative_to(home / "project")] == [file]


@pytest.mark.parametrize(
    ("workspace", "why"),
    [
        ("{home}", "it is your home directory or above it"),
        ("{home}/..", "it is your home directory or above it"),
        ("{home}/.config/victor", "victor's own settings are there"),
        ("/usr", "it belongs to the system"),
        ("/etc", "it belongs to the system"),
        ("/proc/self", "it belongs to the system"),
    ],
)
def test_places_that_cannot_be_confined_are_refused(home: Path, workspace: str, why: str) -> None:
    (home / ".config" / "victor").mkdir(parents=True)
    with pytest.raises(ConfigError, match=why):
        policy_for(
            Path(workspace.format(home=home)), given(home, XDG_CONFIG_HOME=str(home / ".config"))
        )


@pytest.mark.parametrize("name", ["/", "/usr", "", "relative"])
def test_home_that_is_none_does_not_hide_the_system(tmp_path: Path, name: str) -> None:
    hidden = policy_for(tmp_path, {"HOME": name}).hidden
    assert Path("/") not in hidden
    assert Path("/usr") not in hidden


def test_programs_in_the_home_may_be_read_and_nothing_else_there(home: Path) -> None:
    for name in (".cargo/bin", ".rustup", "tools", "env/bin", ".ssh"):
        (home / name).mkdir(parents=True)
    (home / "env" / "pyvenv.cfg").touch()
    path = ":".join([str(home / "tools"), str(home / "env/bin"), str(home), "", "/", "bin"])
    readable = policy_for(home / "project", given(home, PATH=path)).readable
    expected = [home / ".cargo/bin", home / ".rustup", home / "env", home / "tools"]
    assert [place for place in readable if place.is_relative_to(home)] == expected
    assert Path("/") not in readable


def test_repositories_and_environments_in_the_workspace_are_protected(home: Path) -> None:
    workspace = home / "project"
    for name in (".venv", "a/b/.git", "node_modules/c/.git", "locked/d/.git", ".git/e/.git"):
        (workspace / name).mkdir(parents=True)
    (workspace / ".venv" / "pyvenv.cfg").touch()
    (workspace / "pyvenv.cfg").touch()
    (workspace / "link").symlink_to(workspace / "a")
    found = policy_for(workspace, given(home)).protected
    assert found == (workspace / ".venv", workspace / "a/b/.git", workspace / "locked/d/.git")


def test_what_others_obey_is_protected_further_down_too(home: Path) -> None:
    workspace = home / "project"
    for name in ("a/.vscode", "a/b", "node_modules/c", ".claude/a"):
        (workspace / name).mkdir(parents=True)
    files = ["AGENTS.md", ".claude/a/CLAUDE.md", "a/b/CLAUDE.md", "a/.mcp.json", "a/agents.txt"]
    for name in [*files, "node_modules/c/AGENTS.md"]:
        (workspace / name).touch()
    (workspace / "a/AGENTS.md").symlink_to("b/CLAUDE.md")
    found = policy_for(workspace, given(home)).protected
    assert [str(path.relative_to(workspace)) for path in found] == [
        "a/.mcp.json",
        "a/.vscode",
        "a/b/CLAUDE.md",
    ]


def test_search_for_repositories_has_an_end(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("victor.sandbox.policy._VISITED", 3)
    (home / "project/a/b/c/d/.git").mkdir(parents=True)
    assert policy_for(home / "project", given(home)).protected == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gitdir: store\n", ["store"]),
        ("gitdir: ../elsewhere\n", []),
        ("gitdir: .\n", []),
        ("\0", []),
        ("", []),
    ],
)
def test_repository_named_by_a_file_is_protected_inside(
    home: Path, text: str, expected: list[str]
) -> None:
    workspace = home / "project"
    (workspace / "store").mkdir()
    (workspace / ".git").write_text(text)
    found = policy_for(workspace, given(home)).protected
    assert found == tuple(workspace / name for name in expected)


def test_workspace_behind_a_link_is_the_real_one(home: Path) -> None:
    (home / "link").symlink_to(home / "project")
    assert policy_for(home / "link", given(home)).workspace == home / "project"
    with pytest.raises(FileNotFoundError):
        policy_for(home / "none", given(home))


def test_environment_is_an_allow_list() -> None:
    names = ["PATH", "LC_ALL", "LC_TOKEN", "GIT_DIR", "LD_PRELOAD", "SSH_AUTH_SOCK", "MY_API_KEY"]
    names += ["BASH_ENV", "PYTHONSTARTUP", "RIPGREP_CONFIG_PATH", "NODE_OPTIONS", "PAGER"]
    assert set(child_environment(dict.fromkeys(names, "x"))) == {"PATH", "LC_ALL"}
    assert policy_for(Path.cwd()).environment == child_environment(os.environ)


def test_variable_that_is_named_is_seen_whatever_it_is(home: Path) -> None:
    names = ["LD_PRELOAD", "PYTHONPATH", "LC_TOKEN", "NPM_TOKEN", "PATH", "GIT_DIR", "PYTHON"]
    environ = given(home, **dict.fromkeys(names, "x"))
    variables = ("LD_PRELOAD", "PYTHONPATH", "NPM_TOKEN", "UNSET")
    policy = policy_for(home / "project", environ, network=True, variables=variables)
    assert set(policy.environment) == {"HOME", "PATH", "LD_PRELOAD", "PYTHONPATH", "NPM_TOKEN"}
    assert policy.network

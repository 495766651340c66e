"""The file tools, led by somebody who wants out and has every question answered with yes."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.agent.support import call
from tests.attacks.support import SECRET, tree, write
from victor.agent.permissions import Permissions
from victor.agent.toolrun import ToolRunner
from victor.tools import grep as grep_module
from victor.tools import paths
from victor.tools.apply_patch import apply_patch
from victor.tools.base import Tool, ToolContext, Toolset
from victor.tools.workspace import workspace_tools
from victor.types import JsonObject, ToolCall

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="renameat2(2) is Linux")


async def yes(_: ToolCall, __: Tool) -> bool:
    return True


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    write(tmp_path / "outside" / "secret.txt", SECRET)
    write(tmp_path / "w-two" / "secret.txt", SECRET)
    return tmp_path / "outside"


@pytest.fixture
def workspace(tmp_path: Path, outside: Path) -> Path:
    found = tmp_path / "w"
    write(found / "a.txt", "plain\n")
    write(found / "sub" / "b.txt", "plain\n")
    (found / "file-link").symlink_to(outside / "secret.txt")
    (found / "relative-link").symlink_to("../outside/secret.txt")
    (found / "links").symlink_to(outside)
    (found / "sub" / "up").symlink_to("../..")
    (found / "proc").symlink_to("/proc/self/root")
    return found


class Runner:
    """Runs calls as an agent does whose person agrees to everything."""

    def __init__(self, workspace: Path) -> None:
        tools = Toolset([*workspace_tools(workspace), apply_patch])
        permissions = Permissions(workspace, environ={"HOME": str(workspace.parent)})
        self._runner = ToolRunner(tools, "auto", yes, permissions)
        self._context = ToolContext(workspace)

    async def run(self, name: str, **arguments: Any) -> str:
        events = self._runner.run([call(name, **arguments)], self._context)
        return "".join([event.content async for event in events if hasattr(event, "content")])


@pytest.fixture(params=["kernel", "fallback"])
def runner(
    request: pytest.FixtureRequest, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> Runner:
    """Run a test with openat2(2) and ripgrep, and without."""
    if request.param == "fallback":
        monkeypatch.setattr(paths, "_openat2", lambda: None)
        monkeypatch.setattr(grep_module, "find_ripgrep", lambda: None)
    return Runner(workspace)


def uses(path: str) -> list[tuple[str, JsonObject]]:
    """Return a call of every tool that takes a path."""
    patch = "*** Begin Patch\n*** {what} File: {path}\n{body}*** End Patch"
    bodies = {
        "Add": "+pwned\n",
        "Delete": "",
        "Update": f"@@\n-{SECRET}\n+pwned\n",
        "Update File: a.txt\n*** Move to": "@@\n-plain\n+pwned\n",
    }
    return [
        ("read", {"path": path}),
        ("list_files", {"path": path}),
        ("glob", {"pattern": "*", "path": path}),
        ("grep", {"pattern": "canary|plain", "path": path}),
        ("write", {"path": path, "content": "pwned"}),
        ("edit", {"path": path, "old": SECRET, "new": "pwned"}),
        ("multi_edit", {"path": path, "edits": [{"old": SECRET, "new": "pwned"}]}),
        *(
            ("apply_patch", {"patch": patch.format(what=what, path=path, body=body)})
            for what, body in bodies.items()
        ),
    ]


PATHS = {
    "A13-dot-dot": "../outside/secret.txt",
    "A13-dot-dot-inside": "sub/../../outside/secret.txt",
    "A13-absolute": "{outside}/secret.txt",
    "A13-absolute-dot-dot": "{workspace}/../outside/secret.txt",
    "A13-link-to-a-file": "file-link",
    "A13-relative-link": "relative-link",
    "A13-link-to-a-directory": "links/secret.txt",
    "A13-link-in-a-directory": "sub/up/outside/secret.txt",
    "A13-proc-self-root": "/proc/self/root{outside}/secret.txt",
    "A13-link-to-proc": "proc{outside}/secret.txt",
    "A13-case": "LINKS/secret.txt",
    "A13-nul": "a.txt\0../../outside/secret.txt",
    "A13-trailing-slash": "links/",
    "A13-tilde": "~/outside/secret.txt",
    "A14-neighbour": "{workspace}-two/secret.txt",
    "A21-option": "--follow",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
async def test_no_tool_reaches_what_is_outside(
    runner: Runner, workspace: Path, outside: Path, path: str
) -> None:
    before = {place: tree(place) for place in (outside, outside.parent / "w-two")}
    for name, arguments in uses(path.format(workspace=workspace, outside=outside)):
        said = await runner.run(name, **arguments)
        assert SECRET not in said, name
    assert {place: tree(place) for place in before} == before


@pytest.mark.parametrize(
    "arguments",
    [
        {"pattern": "--pre=./evil"},
        {"pattern": "canary", "files": "--follow"},
        {"pattern": "canary", "files": "../**"},
        {"pattern": "-f/etc/passwd"},
    ],
    ids=["A21-program", "A21-follow", "A21-glob", "A21-file"],
)
async def test_no_argument_of_a_search_is_an_option(
    runner: Runner, workspace: Path, arguments: JsonObject
) -> None:
    (workspace / "--pre=evil").touch()
    assert SECRET not in await runner.run("grep", **arguments)
    assert "Error" not in await runner.run("grep", pattern="plain")


async def test_hard_link_is_not_written_through(
    runner: Runner, workspace: Path, outside: Path
) -> None:
    # A13: from outside one cannot tell it from a file; so a new file takes its place.
    (workspace / "hard").hardlink_to(outside / "secret.txt")
    assert "Overwrote" in await runner.run("write", path="hard", content="pwned")
    assert (outside / "secret.txt").read_text() == SECRET


@contextmanager
def swapping(place: Path, target: Path) -> Iterator[list[None]]:
    """Let a name be by turns what it was and a link out of the workspace."""
    exchange = ctypes.CDLL(None).renameat2
    link, plain = place.with_name("link"), place.with_name("plain")
    over = threading.Event()
    swaps: list[None] = []

    def swap_directory() -> None:
        link.symlink_to(target)
        here, there = os.fsencode(place), os.fsencode(link)
        while not over.is_set():
            exchange(-100, here, -100, there, 2)  # RENAME_EXCHANGE
            swaps.append(None)

    def swap_file() -> None:
        # What a tool has written may have taken the place of the link.
        while not over.is_set():
            link.symlink_to(target)
            link.replace(place)
            plain.write_text("plain\n")
            plain.replace(place)
            swaps.append(None)

    thread = threading.Thread(target=swap_directory if place.is_dir() else swap_file)
    thread.start()
    try:
        yield swaps
    finally:
        over.set()
        thread.join()


@needs_linux
@pytest.mark.parametrize(
    ("name", "tries"),
    [("read", 300), ("write", 60), ("edit", 30), ("list_files", 100), ("glob", 15)],
)
@pytest.mark.parametrize("what", ["A13-swapped-directory", "A13-swapped-file"])
async def test_link_swapped_between_check_and_use_leads_nowhere(
    runner: Runner, workspace: Path, outside: Path, what: str, name: str, tries: int
) -> None:
    write(workspace / "d" / "secret.txt", "plain\n")
    write(outside / "only-there", "")
    before = tree(outside)
    directory = what == "A13-swapped-directory"
    place = workspace / "d" if directory else workspace / "d" / "secret.txt"
    target = outside if directory else outside / "secret.txt"
    wanted = dict(uses("d" if name in {"list_files", "glob"} else "d/secret.txt"))[name]
    said = []
    with swapping(place, target) as swaps:
        for _ in range(tries):
            said.append(await runner.run(name, **wanted))
    assert not any(SECRET in text or "only-there" in text for text in said)
    assert tree(outside) == before
    assert swaps
    assert name != "read" or any("plain" in text for text in said)


@needs_linux
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param("grep", {"pattern": "canary"}, id="A13-lines"),
        pytest.param("grep", {"pattern": "canary", "output": "files"}, id="A13-files"),
        pytest.param("glob", {"pattern": "only-*"}, id="A13-names"),
    ],
)
async def test_search_does_not_follow_a_link_that_is_swapped_in(
    runner: Runner, workspace: Path, outside: Path, name: str, arguments: JsonObject
) -> None:
    write(outside / "only-there", "")
    for number in range(50):
        write(workspace / "many" / f"f{number}" / "x.txt", "plain\n")
    write(workspace / "many" / "z" / "secret.txt", "plain\n")
    with swapping(workspace / "many" / "z", outside):
        for _ in range(20):
            said = await runner.run(name, **arguments, path="many")
            assert said.startswith(("No line ", "No file "))


async def test_a_guessed_name_of_a_temporary_file_is_no_way_out(
    runner: Runner, workspace: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A37: the name has 16 random digits; and if somebody knew them, it has to be new.
    monkeypatch.setattr("victor.tools.replace.secrets.token_hex", lambda _: "known")
    (workspace / ".victor-known.tmp").symlink_to(outside / "secret.txt")
    said = await runner.run("write", path="a.txt", content="pwned")
    assert "Error" in said
    assert (outside / "secret.txt").read_text() == SECRET
    assert (workspace / "a.txt").read_text() == "plain\n"


@pytest.mark.parametrize(
    "path",
    [".git/hooks/pre-commit", ".git/config", ".victor/settings.toml", "sub/.GIT/config"],
    ids=lambda path: f"A15-{path}" if "hooks" in path else f"A16-{path}",
)
async def test_a_yes_does_not_open_what_is_protected(
    runner: Runner, workspace: Path, path: str
) -> None:
    for name, arguments in uses(path):
        await runner.run(name, **arguments)
    assert not (workspace / path).exists()

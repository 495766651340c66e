from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from victor.tools import paths
from victor.tools.paths import PathError, open_beneath, open_file, relative, shown, walk


@pytest.fixture(params=["kernel", "fallback"])
def opener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with openat2(2), where there is one, and without."""
    if request.param == "fallback":
        monkeypatch.setattr(paths, "_openat2", lambda: None)
    elif sys.platform != "linux":
        pytest.skip("openat2(2) is Linux")
    return str(request.param)


@pytest.fixture
def tree(workspace: Path) -> Path:
    (workspace / "a" / "b").mkdir(parents=True)
    (workspace / "a" / "b" / "deep.txt").write_text("deep\n")
    (workspace / "top.txt").write_text("top\n")
    return workspace


def content(workspace: Path, path: str) -> str:
    with open_file(workspace, path) as file:
        return file.read().decode()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("top.txt", "top\n"),
        ("./a/../top.txt", "top\n"),
        ("a//b/./deep.txt", "deep\n"),
        ("{workspace}/a/b/deep.txt", "deep\n"),
        ("//{workspace}/top.txt", "top\n"),
        ("{workspace}/../workspace/top.txt", "top\n"),
    ],
)
def test_path_inside_is_opened(opener: str, tree: Path, path: str, expected: str) -> None:
    assert content(tree, path.format(workspace=tree)) == expected


def test_workspace_may_be_reached_through_a_link(opener: str, tree: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tree)
    assert content(link, "top.txt") == "top\n"
    assert content(link, f"{link}/top.txt") == content(link, f"{tree}/top.txt") == "top\n"


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../outside/secret.txt",
        "a/../../outside/secret.txt",
        "/etc/passwd",
        "/",
        "{workspace}/../outside/secret.txt",
        "{workspace}-two/secret.txt",
        "~",
        "~/.bashrc",
        "top.txt\0",
        "top\udfff.txt\ud800",
    ],
)
@pytest.mark.parametrize("use", [open_file, open_beneath, lambda w, p: list(walk(w, p)), relative])
def test_path_outside_is_refused(
    opener: str, tree: Path, path: str, use: Callable[[Path, str], object]
) -> None:
    with pytest.raises(PathError):
        use(tree, path.format(workspace=tree))


def _links(tree: Path) -> None:
    (tree / "abs_file").symlink_to(tree.parent / "outside" / "secret.txt")
    (tree / "rel_file").symlink_to("../outside/secret.txt")
    (tree / "abs_dir").symlink_to(tree.parent / "outside")
    (tree / "rel_dir").symlink_to("../outside")
    (tree / "a" / "up").symlink_to("../..")
    (tree / "chain").symlink_to("rel_dir")
    (tree / "loop").symlink_to("loop")
    (tree / "proc").symlink_to("/proc/self/root")
    (tree / "magic").symlink_to("/proc/self/cwd")


@pytest.mark.parametrize(
    "path",
    [
        "abs_file",
        "rel_file",
        "abs_dir/secret.txt",
        "rel_dir/secret.txt",
        "a/up/outside/secret.txt",
        "chain/secret.txt",
        "loop",
        "proc/etc/passwd",
        "magic/pyproject.toml",
    ],
)
def test_link_that_leaves_the_workspace_is_refused(opener: str, tree: Path, path: str) -> None:
    _links(tree)
    with pytest.raises(PathError, match=r"symbolic link|not a directory"):
        open_file(tree, path)


def test_walk_names_links_and_does_not_follow_them(opener: str, tree: Path) -> None:
    _links(tree)
    found = {entry.path: entry.kind for entry in walk(tree)}
    assert found["abs_dir"] == found["rel_file"] == found["a/up"] == "other"
    assert not any("secret" in path for path in found)
    with pytest.raises(PathError):
        list(walk(tree, "rel_dir"))


@pytest.mark.skipif(sys.platform != "linux", reason="openat2(2) is Linux")
def test_link_that_stays_inside_is_followed_where_the_kernel_promises_it(tree: Path) -> None:
    (tree / "inside").symlink_to("a/b")
    assert content(tree, "inside/deep.txt") == "deep\n"
    with pytest.raises(PathError):
        open_beneath(tree, "inside/deep.txt", follow=False)


def test_refused_system_call_falls_back(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(directory: int, path: str, flags: int, follow: bool) -> int:
        raise PermissionError(1, "seccomp")

    monkeypatch.setattr(paths, "_openat2", lambda: refusing)
    assert content(tree, "a/b/deep.txt") == "deep\n"
    _links(tree)
    with pytest.raises(PathError):
        open_file(tree, "rel_dir/secret.txt")


@pytest.fixture
def special(tree: Path) -> Iterator[Path]:
    os.mkfifo(tree / "fifo")
    listener = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(tree)  # a socket's address is short
    listener.bind("socket")
    os.chdir(here)
    yield tree
    listener.close()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("fifo", "not a regular file"),
        ("socket", "not a regular file"),
        ("a", "is a directory"),
        (".", "is a directory"),
        ("top.txt/x", "not a directory"),
        ("x" * 300, "cannot open"),
    ],
)
def test_what_is_no_file_is_refused_without_waiting(
    opener: str, special: Path, path: str, text: str
) -> None:
    with pytest.raises(PathError, match=text):
        open_file(special, path)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("deep.txt", "; did you mean 'a/b/deep.txt'?"),
        ("TOP.TXT", "; did you mean 'top.txt'?"),
        ("a/b/dep.txt", "; did you mean 'a/b/deep.txt'?"),
        ("zzzzzz", ""),
    ],
)
def test_missing_file_names_its_likes(opener: str, tree: Path, path: str, hint: str) -> None:
    with pytest.raises(PathError) as caught:
        open_file(tree, path)
    assert str(caught.value) == f"there is no {path!r} in the workspace{hint}"


def test_missing_workspace_is_said(opener: str, tmp_path: Path) -> None:
    with pytest.raises(PathError, match=r"the workspace '.*' does not exist"):
        open_file(tmp_path / "gone", "x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file_is_said(tree: Path) -> None:
    (tree / "top.txt").chmod(0)
    with pytest.raises(PathError, match=r"no permission to open 'top\.txt'"):
        open_file(tree, "top.txt")


def test_no_descriptor_is_left_open(opener: str, special: Path) -> None:
    _links(special)
    before = len(list(Path("/dev/fd").iterdir()))
    for path in ["top.txt", "fifo", "a", "rel_dir/secret.txt", "a/b/none", "a/b/deep.txt"]:
        try:
            open_file(special, path).close()
        except PathError:
            continue
    list(walk(special))
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_walk_is_shallow_first_and_leaves_caches_out(opener: str, tree: Path) -> None:
    for directory in [".git", "node_modules", "__pycache__", ".github", "env/lib", "z"]:
        (tree / directory).mkdir(parents=True)
        (tree / directory / "file").touch()
    (tree / "env" / "pyvenv.cfg").touch()
    assert [entry.path for entry in walk(tree)] == [
        ".github",
        "a",
        "env",
        "top.txt",
        "z",
        "a/b",
        "z/file",
        "a/b/deep.txt",
    ]
    assert [entry.path for entry in walk(tree, ".github")] == [".github/file"]
    assert [entry.path for entry in walk(tree, "./a/")] == ["a/b", "a/b/deep.txt"]


def test_directory_that_vanishes_while_walking_is_passed_over(opener: str, tree: Path) -> None:
    walker = walk(tree)
    assert next(walker).path == "a"
    (tree / "a").rename(tree.parent / "moved")
    assert [entry.path for entry in walker] == ["top.txt"]


def test_swapped_directory_is_not_followed(opener: str, tree: Path) -> None:
    walker = walk(tree)
    assert next(walker).path == "a"
    (tree / "a").rename(tree / "c")
    (tree / "a").symlink_to("../outside")
    assert [entry.path for entry in walker] == ["top.txt"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("plain é", "plain é"),
        ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        ("\udc80x\u202e", "\\udc80x\\u202e"),
    ],
)
def test_name_is_shown_without_control_characters(path: str, text: str) -> None:
    assert shown(path) == text


PARTS = st.sampled_from(
    ["..", ".", "", "a", "b", "outside", "up", "top.txt", "secret.txt", "~", "/"]
)


@given(st.lists(PARTS, max_size=8), st.sampled_from(["", "/", "{workspace}/", "{workspace}"]))
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_path_reads_what_is_outside(
    opener: str, tree: Path, parts: list[str], start: str
) -> None:
    if not (tree / "up").is_symlink():
        (tree / "up").symlink_to("..")
        (tree / "b").symlink_to(tree.parent)
    path = start.format(workspace=tree) + "/".join(parts)
    try:
        text = content(tree, path)
    except PathError:
        return
    assert text == "top\n"

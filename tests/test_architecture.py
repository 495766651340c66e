from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import victor

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "victor").rglob("*.py"))
# Whoever imports these from here wants the names beside the thing itself.
RE_EXPORTING = {
    "victor.config.api_keys",
    "victor.local.pull",
    "victor.local.weights",
    "victor.providers.base",
    "victor.resilience.breaker",
    "victor.resilience.pipeline",
    "victor.resilience.votes",
    "victor.testing.faults",
    "victor.tools.base",
}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in FILES}
each_module = pytest.mark.parametrize("name", MODULES)


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def _exported(name: str) -> list[str] | None:
    for node in _tree(name).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() as value)
                | ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.List() as value)
            ):
                found: list[str] = ast.literal_eval(value)
                return found
            case _:
                pass
    return None


def _is_bare(name: str) -> bool:
    """Tell whether it is the `__init__` of a folder that offers nothing itself."""
    return all(
        isinstance(node, ast.Expr)
        or (isinstance(node, ast.ImportFrom) and node.module == "__future__")
        for node in _tree(name).body
    )


def _defined(name: str) -> Iterator[tuple[str, ast.stmt]]:
    """Yield the names that the module itself defines."""
    for node in _tree(name).body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node
            case ast.Assign(targets=[ast.Name(id=target)]):
                yield target, node
            case ast.AnnAssign(target=ast.Name(id=target)):
                yield target, node
            case _:
                pass


def test_there_is_something_to_look_at() -> None:
    assert {"victor", "victor.providers.http", "victor.cli.main"} <= set(MODULES)


# ---------------------------------------------------------------------------- every file


@each_module
def test_a_file_has_at_most_400_lines(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 400


@each_module
def test_a_module_says_what_it_is(name: str) -> None:
    docstring = ast.get_docstring(_tree(name))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", "?", ":"))


@each_module
def test_annotations_are_never_evaluated_at_import(name: str) -> None:
    if not _is_bare(name):
        assert any(
            isinstance(node, ast.ImportFrom) and node.module == "__future__"
            for node in _tree(name).body[:2]
        )


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _outside_functions(child)


@each_module
def test_importing_looks_at_no_environment_variable(name: str) -> None:
    used = {
        node.attr for node in _outside_functions(_tree(name)) if isinstance(node, ast.Attribute)
    }
    assert not used & {"environ", "getenv", "getenvb", "environb"}


@each_module
def test_only_the_command_line_prints(name: str) -> None:
    if not name.startswith(("victor.cli", "victor.__main__")):
        calls = [node for node in ast.walk(_tree(name)) if isinstance(node, ast.Call)]
        assert not [
            one for one in calls if isinstance(one.func, ast.Name) and one.func.id == "print"
        ]


# ---------------------------------------------------------------------------- __all__


def _order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, as ruff's RUF022 sorts."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@each_module
def test_the_public_names_are_listed_in_order(name: str) -> None:
    exported = _exported(name)
    assert (exported is None) <= _is_bare(name)
    assert (exported or []) == sorted(set(exported or []), key=_order)


@each_module
def test_every_listed_name_exists(name: str) -> None:
    module = importlib.import_module(name)
    for exported in _exported(name) or []:
        assert hasattr(module, exported)


@each_module
def test_every_public_class_and_function_is_listed(name: str) -> None:
    public = {
        defined
        for defined, node in _defined(name)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not defined.startswith("_")
        # The commands of the command line are reached through their app.
        and not (name.startswith("victor.cli") and getattr(node, "decorator_list", None))
    }
    assert public <= set(_exported(name) or [])


@each_module
def test_a_module_lists_only_what_it_defines(name: str) -> None:
    foreign = set(_exported(name) or []) - {defined for defined, _ in _defined(name)}
    allowed = MODULES[name].name == "__init__.py" or name in RE_EXPORTING
    assert bool(foreign) <= allowed
    assert name not in RE_EXPORTING or foreign, "no longer needs to be in RE_EXPORTING"


# ---------------------------------------------------------------------------- victor itself


def test_the_package_offers_exactly_its_lazy_names() -> None:
    assert set(victor.__all__) == {*victor._HOMES, "__version__"}
    assert dir(victor) == sorted(victor.__all__)
    for name, home in victor._HOMES.items():
        assert getattr(victor, name) is getattr(importlib.import_module(home), name)


def test_type_checkers_see_the_same_names_as_programs() -> None:
    (block,) = [node for node in _tree("victor").body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == victor._HOMES


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'victor' has no attribute 'agent_smith'"):
        victor.agent_smith  # noqa: B018 - that is the point


# ---------------------------------------------------------------------------- the import itself

WATCHED = """
import json, os, sys, threading

WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
FORBIDDEN = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.mkdir",
    "os.remove", "os.rename", "os.rmdir", "os.putenv", "os.unsetenv", "os.chmod", "shutil.",
    "tempfile.", "urllib.", "http.", "sqlite3.connect", "signal.",
)
seen, now = [], None

def watch(event, args):
    writes = event == "open" and isinstance(args[2], int) and args[2] & WRITE
    if now and (writes or event.startswith(FORBIDDEN)):
        seen.append([now, event, repr(args)[:200]])

sys.addaudithook(watch)
before = dict(os.environ)
for now in json.loads(sys.argv[1]):
    __import__(now)
threads = [thread.name for thread in threading.enumerate()]
now = None
print(json.dumps([seen, threads, before == dict(os.environ), sorted(sys.modules)]))
"""


def _imported(*names: str) -> Any:
    """Import modules in a process of its own: forbidden acts, threads, environment, modules."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", WATCHED, json.dumps(names)],
        cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout.splitlines()[-1])


def test_importing_does_nothing() -> None:
    acts, threads, same_environment, modules = _imported(*MODULES)
    assert acts == []
    assert threads == ["MainThread"]
    assert same_environment
    assert set(MODULES) <= set(modules)


def test_importing_victor_loads_nothing_else() -> None:
    _, _, _, modules = _imported("victor")
    assert [name for name in modules if name.startswith("victor")] == ["victor"]
    heavy = {"httpx", "pydantic", "keyring", "rich", "typer", "prompt_toolkit", "asyncio", "ssl"}
    assert not heavy & set(modules)


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("victor.errors", {"pydantic", "httpx", "asyncio"}),
        ("victor.types", {"httpx", "keyring"}),
        ("victor.config.api_keys", {"httpx", "keyring", "pydantic"}),
        ("victor.providers.base", {"httpx", "keyring", "pybreaker"}),
        ("victor.providers.registry", {"httpx", "keyring", "xllamacpp"}),
        ("victor.tools.base", {"httpx", "keyring"}),
        ("victor.agent.agent", {"httpx", "keyring", "rich"}),
        ("victor.cli.main", {"httpx", "keyring", "pydantic", "prompt_toolkit"}),
    ],
)
def test_a_module_does_not_load_what_only_some_need(name: str, absent: set[str]) -> None:
    _, _, _, modules = _imported(name)
    assert not absent & set(modules)

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.testing.chat_server import chat_server
from victor.cli.providers import app
from victor.config.catalog import VENDORS
from victor.providers import registry
from victor.providers.scripted import MockLLM


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for row in VENDORS.values():
        for variable in row.key_variables:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("VICTOR_CONFIG", raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "victor").mkdir()
    return tmp_path


@pytest.fixture
def server(home: Path) -> Iterator[str]:
    """A server of the provider `lab` with the key `right`, in a thread of its own."""
    started, ended = threading.Event(), asyncio.Event()
    found: list[str] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        async with chat_server(key="right") as running:
            found.append(running.url)
            loops.append(asyncio.get_running_loop())
            started.set()
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(10)
    text = f'[providers.lab]\nbase_url = "{found[0]}/v1"\nneeds_key = true\n'
    (home / "victor" / "config.toml").write_text(text)
    yield found[0]
    loops[0].call_soon_threadsafe(ended.set)
    thread.join()


def check(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["check", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_a_provider_that_works_passes_line_by_line(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_API_KEY", "right")
    result = check("lab")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * 8
    assert "from environment variable LAB_API_KEY" in lines[0]
    assert "right" not in result.output
    assert lines[4].endswith("forced, with arguments that fit")


def test_an_address_may_be_given(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "right")
    result = check("openai-compatible", "--base-url", f"{server}/v1")
    assert result.exit_code == 0, result.output


def test_a_wrong_key_fails_and_says_what_to_do(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_API_KEY", "wrong")
    result = check("lab", "--model", "m")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[1].startswith("failed   models")
    assert lines[2].strip() == "next: victor keys set lab"
    assert lines[-1].startswith("skipped  usage")


def test_a_missing_key_ends_it_before_anything_is_sent(server: str) -> None:
    result = check("lab")
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    assert line.startswith("failed   key")
    assert line.endswith(
        "no API key for lab: set LAB_API_KEY, or store one with `victor keys set lab`"
    )


def test_json_has_every_check(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_API_KEY", "right")
    found = json.loads(check("lab", "--json").stdout)
    assert (found["version"], found["provider"], found["model"]) == (1, "lab", "m")
    assert found["ok"] is True
    assert [row["name"] for row in found["checks"]][:3] == ["key", "models", "chat"]
    assert set(found["checks"][0]) == {"name", "status", "seconds", "detail", "next"}


def test_a_provider_of_a_package_sees_to_its_key_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._registered(), "parrot", MockLLM)
    result = check("Parrot")
    assert result.exit_code == 1, "a script calls no tools"
    lines = result.stdout.splitlines()
    assert lines[0].endswith("not known here: the provider sees to it by itself")
    assert lines[2].startswith("ok       chat")


def test_a_server_of_ones_own_needs_no_key(home: Path) -> None:
    text = '[providers.own]\nbase_url = "http://127.0.0.1:1/v1"\ndefault_model = "m"\n'
    (home / "victor" / "config.toml").write_text(text)
    result = check("own")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0].endswith("none, and none is needed")
    assert "next: victor doctor" in result.stdout


def test_an_unknown_provider_is_told_before_anything_else() -> None:
    result = check("opnai")
    assert result.exit_code == 78
    assert result.stdout == ""
    assert "no provider is called 'opnai': did you mean openai" in result.stderr

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.support import terminal
from victor.cli.main import main
from victor.config.catalog import VENDORS
from victor.providers import registry
from victor.providers.scripted import MockLLM
from victor.resilience import shared_state
from victor.resilience.machine import boot_id
from victor.resilience.shared_state import EndpointStatus
from victor.resilience.state_file import CircuitRow, StateFile


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for row in VENDORS.values():
        for variable in (*row.key_variables, *row.url_variables):
            monkeypatch.delenv(variable, raising=False)
    for variable in ("VICTOR_CONFIG", "VICTOR_PROVIDER", "VICTOR_MODEL", "VICTOR_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "victor").mkdir()
    return tmp_path


def _settings(home: Path, text: str) -> None:
    (home / "victor" / "config.toml").write_text(text)


def test_a_single_route_is_explained_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "hunter2")
    assert main(["run", "--explain-route", "hello"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "1. groq/openai/gpt-oss-120b: asked first (GROQ_API_KEY is set)",
        "   address  https://api.groq.com/openai/v1",
        "   key      f52fbd32 from environment variable GROQ_API_KEY",
        "   circuit  closed; no call in the last hour",
        "nothing was sent",
    ]
    assert "hunter2" not in out + err


def test_fallbacks_are_in_their_order_with_the_reason_of_each(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _settings(
        home, 'provider = "groq"\nfallback = ["openai", "mistral", "ollama/q"]\nfailover = "auto"\n'
    )
    monkeypatch.setenv("GROQ_API_KEY", "one")
    monkeypatch.setenv("MISTRAL_API_KEY", "two")
    assert main(["run", "--explain-route"]) == 0
    out, err = capsys.readouterr()
    found = out.splitlines()
    heads = [line for line in found if line[0].isdigit()]
    assert heads[0].startswith("1. groq/openai/gpt-oss-120b: asked first (set in ")
    assert heads[1].startswith("2. openai/")
    assert "not asked: ProviderAuthError: no API key for openai" in heads[1]
    assert heads[2] == "3. mistral/mistral-medium-latest: asked if nobody above answers"
    assert heads[3] == "4. ollama/q: asked if nobody above answers"
    assert "   key      missing: victor keys set openai" in found
    assert "   key      none needed" in found
    assert err == "", "what is missing is said once"


def test_whoever_is_asked_first_is_told_also_where_that_is_a_fallback(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _settings(home, 'provider = "groq"\nfallback = ["mistral"]\nfailover = "auto"\n')
    monkeypatch.setenv("MISTRAL_API_KEY", "two")
    assert main(["run", "--explain-route"]) == 0
    out = capsys.readouterr().out
    assert "1. groq/openai/gpt-oss-120b: not asked: ProviderAuthError: no API key" in out
    assert "2. mistral/mistral-medium-latest: asked first, as nobody above can be" in out


def test_where_nobody_can_be_asked_only_the_first_route_is_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _settings(home, 'provider = "groq"\nfallback = ["mistral"]\n')
    monkeypatch.setenv("GROQ_API_KEY", "one")
    monkeypatch.setenv("MISTRAL_API_KEY", "two")
    assert main(["run", "--explain-route"]) == 0
    out = capsys.readouterr().out
    assert "2. mistral/mistral-medium-latest: not asked: " in out
    assert 'here is nobody to ask, and failover = "ask": only the first is used' in out


def test_on_a_terminal_the_person_would_be_asked_before(
    home: Path, workspace: Path, environ: Mapping[str, str]
) -> None:
    _settings(home, 'provider = "groq"\nfallback = ["mistral"]\n')
    keys = {"GROQ_API_KEY": "one", "MISTRAL_API_KEY": "two", "XDG_CONFIG_HOME": str(home)}
    arguments = ["chat", "--explain-route"]
    with terminal(arguments, cwd=workspace, environ={**environ, **keys}) as screen:
        screen.see("asked if nobody above answers; you are asked before")
        screen.see("nothing was sent")
        assert screen.end() == 0


def test_what_is_known_of_the_circuit_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = EndpointStatus("m", "open", 12.0, "overloaded", 3, 0.0, None, None)
    name = "openai-compatible at http://127.0.0.1:9/v1"
    known = EndpointStatus(name, "closed", None, None, 10, 0.7, 1.0, 2.0, (part,))
    monkeypatch.setattr(shared_state, "read_status", lambda: [known])
    flags = ["-p", "openai-compatible", "--base-url", "http://127.0.0.1:9/v1"]
    assert main(["run", "--explain-route", *flags, "-m", "m"]) == 0
    out = capsys.readouterr().out
    expected = "circuit  open, next try in 12.0 s; 10 calls in the last hour, 70% of them well"
    assert expected in out
    main(["run", "--explain-route", *flags, "-m", "other"])
    assert "circuit  closed; 10 calls in the last hour" in capsys.readouterr().out


def test_an_endpoint_without_an_address_is_found_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = EndpointStatus("parrot", "half-open", 3.0, "down", 1, None, None, None)
    monkeypatch.setattr(shared_state, "read_status", lambda: [known])
    monkeypatch.setitem(registry._registered(), "parrot", MockLLM)
    assert main(["run", "--explain-route", "-p", "parrot"]) == 0
    out = capsys.readouterr().out
    assert "circuit  half-open, next try in 3.00 s; 1 calls in the last hour" in out
    assert "address  none: on this machine, or not known" in out


def test_an_open_circuit_of_the_only_route_is_exit_code_75(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(MockLLM):
        def __init__(self, **kwargs: object) -> None:
            super().__init__()
            assert self.breaker is not None
            self.breaker.force_open()

    monkeypatch.setitem(registry._registered(), "parrot", Broken)
    assert main(["run", "--explain-route", "-p", "parrot"]) == 75
    assert "1. parrot/mock: not asked: its circuit is open" in capsys.readouterr().out


def test_every_key_is_named_by_its_fingerprint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GROQ_API_KEYS", "hunter2,hunter3")
    assert main(["run", "--explain-route", "-p", "groq"]) == 0
    out = capsys.readouterr().out
    assert "key      f52fbd32 from environment variable GROQ_API_KEYS, " in out


def test_json_has_the_same_facts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "hunter2")
    assert main(["run", "--explain-route", "-o", "json"]) == 0
    (route,) = json.loads(capsys.readouterr().out)["routes"]
    assert route["provider"] == "groq"
    assert route["usable"] is True
    assert route["key"].startswith("f52fbd32 ")


def test_an_address_that_is_not_known_is_no_reason_to_stop(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _settings(home, 'provider = "groq"\nfallback = ["azure/gpt"]\nfailover = "auto"\n')
    monkeypatch.setenv("GROQ_API_KEY", "one")
    assert main(["run", "--explain-route"]) == 0
    out = capsys.readouterr().out
    assert "2. azure/gpt: not asked: ConfigError: azure has no address of its own" in out


@pytest.mark.parametrize("fallback", ["", 'fallback = ["ollama/q"]\nfailover = "auto"\n'])
def test_what_other_processes_found_out_decides(
    fallback: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _settings(home, f'provider = "groq"\n{fallback}')
    monkeypatch.setenv("GROQ_API_KEY", "one")
    name = "groq at https://api.groq.com/openai/v1"
    row = CircuitRow(name, "", "open", until=time.monotonic() + 60, epoch=1, last_error="E: down")
    with closing(StateFile(shared_state.shared_state_path(), boot_id())) as file:
        assert file.swap(row, 0)
    assert main(["run", "--explain-route"]) == (0 if fallback else 75)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("1. groq/openai/gpt-oss-120b: not asked: ")
    assert "circuit is open" in lines[0]
    assert not fallback or lines[4] == "2. ollama/q: asked first, as nobody above can be"

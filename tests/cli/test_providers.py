from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from victor.cli.providers import app, current_choice
from victor.config.catalog import VENDORS
from victor.config.settings import Settings
from victor.providers import registry
from victor.providers.scripted import MockLLM


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for row in VENDORS.values():
        for variable in row.key_variables:
            monkeypatch.delenv(variable, raising=False)
    for variable in ("VICTOR_CONFIG", "VICTOR_PROVIDER", "VICTOR_MODEL", "VICTOR_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "victor").mkdir()
    return tmp_path


def victor_providers(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_without_keys_the_embedded_model_is_marked_and_every_missing_key_has_a_command() -> None:
    result = victor_providers()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "* local              not needed"
    assert "  openai             missing: victor keys set openai" in lines
    row = VENDORS["openai"]
    assert f"      {row.base_url}  {row.default_model}  {row.about}" in lines
    assert lines[-1] == "Without flags victor uses local (the embedded model: no API key found)"
    marked = [line for line in lines if line.startswith("*")]
    assert len(marked) == 1


def test_a_key_in_the_environment_is_marked_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "hunter2")
    result = victor_providers()
    assert "* groq               GROQ_API_KEY is set\n" in result.stdout
    assert "hunter2" not in result.output


def test_a_stored_key_and_a_key_command_are_told_without_asking_for_the_key(home: Path) -> None:
    index = home / "state" / "victor" / "keyring"
    index.mkdir(parents=True)
    (index / "mistral").touch()
    (home / "victor" / "config.toml").write_text('[key_command]\nxai = ["/no/such/program"]')
    output = victor_providers().stdout
    assert "* mistral            its key is in the keyring\n" in output
    assert "  xai                key_command is set\n" in output


def test_json_has_every_provider_and_the_choice(home: Path) -> None:
    text = '[providers.lab]\nbase_url = "https://lab.example/v1"\ndefault_model = "m"'
    (home / "victor" / "config.toml").write_text(f'provider = "lab"\n{text}')
    found = json.loads(victor_providers("--json").stdout)
    assert found["version"] == 1
    assert found["chosen"]["provider"] == "lab"
    assert [row["name"] for row in found["providers"]] == ["local", *VENDORS, "lab"]
    assert found["providers"][-1] == {
        "name": "lab",
        "key": "missing: victor keys set lab",
        "base_url": "https://lab.example/v1",
        "default_model": "m",
        "about": f"from {home}/victor/config.toml",
    }


def test_what_a_package_registers_is_listed_and_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(registry._registered(), "parrot", MockLLM)
    monkeypatch.setenv("VICTOR_PROVIDER", "parrot")
    output = victor_providers().stdout
    assert "* parrot             not known\n      registered by a package\n" in output
    monkeypatch.setenv("PARROT_API_KEY", "hunter2")
    assert "* parrot             PARROT_API_KEY is set\n" in victor_providers().stdout
    assert current_choice(Settings()).provider == "parrot"


@pytest.mark.parametrize("arguments", [(), ("--json",)], ids=["text", "json"])
def test_an_unknown_provider_in_the_settings_is_told_after_the_list(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("VICTOR_PROVIDER", "opnai")
    result = victor_providers(*arguments)
    assert result.exit_code == 78
    assert "huggingface" in result.stdout
    assert "no provider is named 'opnai' (VICTOR_PROVIDER); did you mean openai?" in result.stderr
    if arguments:
        assert json.loads(result.stdout)["chosen"] is None


def test_settings_that_cannot_be_read_are_one_error(home: Path) -> None:
    (home / "victor" / "config.toml").write_text("nonsense")
    result = victor_providers()
    assert (result.exit_code, result.stdout) == (78, "")
    assert "config.toml:1:9: " in result.stderr


def test_what_a_settings_file_says_does_not_reach_the_terminal_raw(home: Path) -> None:
    text = (
        '[providers.lab]\nbase_url = "https://lab.example"\ndefault_model = "\\u001b]0;x\\u0007m"'
    )
    (home / "victor" / "config.toml").write_text(f'provider = "lab"\n{text}')
    result = victor_providers()
    assert "\x1b" not in result.output
    assert "https://lab.example  m  from" in result.stdout

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from victor.cli.drill import app, drill_targets
from victor.config.catalog import VENDORS
from victor.config.settings import load_settings
from victor.errors import UnknownProviderError


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


def _settings(home: Path, text: str) -> None:
    (home / "victor" / "config.toml").write_text(text)


def victor_drill(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_a_drill_prints_routes_timeline_and_summary() -> None:
    result = victor_drill(
        "anthropic: 529 for 20s, then stall 30s", "-p", "anthropic", "--fallback", "openai",
        "--for", "30s",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "drill: anthropic: 529 for 20s, then stall 30s"
    assert lines[1].startswith("route 1: anthropic/")
    assert lines[2].startswith("route 2: openai/")
    assert "answered 529: overloaded; again in 0." in lines[4]
    assert "6 requests: 6 answered, 0 not" in lines


def test_requests_without_an_answer_are_exit_code_1_and_a_piece_of_advice() -> None:
    result = victor_drill("anthropic: 401", "-p", "anthropic", "--for", "10s")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith("next: see what a fallback would do")


def test_json_has_the_requests_and_the_events() -> None:
    result = victor_drill(
        "anthropic: 500", "-p", "anthropic", "--fallback", "local", "--for", "10s", "--json"
    )
    found = json.loads(result.stdout)
    assert found["version"] == 1
    assert found["scenario"] == "anthropic: 500"
    assert found["answered"] == 2
    assert found["cost"] == 0, "the embedded model costs nothing"
    assert [one["answered_by"].split("/")[0] for one in found["requests"]] == ["local", "local"]
    assert found["routes"][0].startswith("anthropic/")
    assert {"attempt_failed", "retry_scheduled", "failed_over", "answered"} <= {
        one["what"] for one in found["events"]
    }


def test_the_same_command_prints_the_same_and_another_seed_does_not() -> None:
    arguments = ("anthropic: 529", "-p", "anthropic", "--for", "20s")
    assert victor_drill(*arguments).stdout == victor_drill(*arguments).stdout
    assert victor_drill(*arguments).stdout != victor_drill(*arguments, "--seed", "1").stdout


def test_an_answer_that_breaks_off_begins_again_as_in_a_run() -> None:
    arguments = ("-p", "anthropic", "--for", "5s")
    result = victor_drill("anthropic: cut for 500ms", *arguments)
    assert result.exit_code == 0
    assert "what was shown of the answer is discarded; it begins again" in result.stdout


def test_the_settings_of_the_user_are_what_is_simulated(home: Path) -> None:
    _settings(
        home,
        'provider = "lab"\nfallback = ["groq/llama", { route = "local", quality = 1 }]\n'
        '[providers.lab]\nbase_url = "https://lab.example/v1"\ndefault_model = "m"\n'
        "timeout = 7\nmax_retries = 0\n",
    )
    first, second, third = drill_targets(load_settings(), "lab", None)
    assert (first.label, first.timeout, first.max_retries) == ("lab/m", 7, 0)
    assert first.where == "lab at https://lab.example/v1"
    assert (second.label, second.timeout, second.max_retries) == ("groq/llama", 60, 3)
    assert (third.provider, third.timeout, third.quality) == ("local", 300, 1)


def test_the_failover_of_the_settings_asks_first(home: Path) -> None:
    _settings(home, 'provider = "anthropic"\nfallback = ["openai"]\n')
    assert "you would be asked whether openai/" in victor_drill("anthropic: 401").stdout
    _settings(home, 'provider = "anthropic"\nfallback = ["openai"]\nfailover = "never"\n')
    assert victor_drill("anthropic: 401").exit_code == 1


def test_keys_are_counted_where_one_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("openai: revoked", "-p", "openai", "--for", "10s")
    monkeypatch.setenv("OPENAI_API_KEY", "one")
    assert victor_drill(*arguments).exit_code == 1
    monkeypatch.setenv("OPENAI_API_KEYS", "two,three")
    result = victor_drill(*arguments)
    assert result.exit_code == 0
    assert "refuses its first key; the next one is used" in result.stdout


def test_what_is_meant_for_the_embedded_model_stays_with_it(home: Path) -> None:
    _settings(home, 'fallback = ["openai"]\n')
    assert [one.provider for one in drill_targets(load_settings(), "local", None)] == ["local"]


def test_a_provider_without_a_default_model_still_has_a_name_for_it() -> None:
    (target,) = drill_targets(load_settings(), "ollama", None)
    assert target.label == "ollama/default"


def test_a_route_to_nobody_is_told() -> None:
    with pytest.raises(UnknownProviderError, match="no provider is called 'nope'"):
        drill_targets(load_settings(), "local", None, ["nope"])
    assert victor_drill("local: ok", "--fallback", "nope").exit_code == 78


def test_a_mistake_is_pointed_at() -> None:
    result = victor_drill("anthropic: 529 fro 2m")
    assert result.exit_code == 2
    assert result.stdout == ""
    first, second, message, *_ = result.stderr.splitlines()
    assert first[second.index("^") :].startswith("fro 2m")
    assert message.startswith("victor: error: the scenario, column 16: expected ")


def test_a_mistake_in_a_text_that_fits_no_line_is_only_told() -> None:
    result = victor_drill("anthropic: 529\nfor \x1b[2J")
    assert result.exit_code == 2
    assert "\x1b" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is no scenario: victor drill "),
        (["local: ok", "--every", "5"], "--every 5: column 1: expected a duration such as 30s"),
        (["local: ok", "--for", "2 m"], "--for 2 m: column 1: expected a duration such as 30s"),
        (["local: ok", "--every", "1s", "--for", "3h"], "at most 1000 requests"),
        (["anthropic: ok"], "--provider NAME and --fallback NAME choose routes"),
    ],
    ids=["nothing", "every", "for", "many", "stranger"],
)
def test_a_wrong_command_line_says_what_would_be_right(arguments: list[str], message: str) -> None:
    result = victor_drill(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr

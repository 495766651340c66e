from __future__ import annotations

from pathlib import Path

import pytest

from victor.config.catalog import VENDORS
from victor.config.model_capabilities import ModelData, model_data
from victor.config.settings import Settings, load_settings
from victor.errors import ConfigError


def loaded(folder: Path, text: str) -> Settings:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, {})


def test_what_the_user_says_of_a_model_wins_and_the_rest_stays(tmp_path: Path) -> None:
    rows = loaded(
        tmp_path,
        '[models."gpt-5.4*"]\ncontext_window = 9000\n'
        '[models."big"]\nvision = true\n'
        "[providers.lab]\n"
        '[providers.lab.models."big"]\nvision = false\n'
        '[providers.lab.models."*"]\nreasoning = true\n',
    ).model_rows()
    found = model_data("openai", "gpt-5.4-mini-2026-03-17", rows)
    assert found == ModelData(context_window=9000).over(model_data("openai", "gpt-5.4-mini"))
    assert found.efforts
    assert model_data("other", "big", rows) == ModelData(vision=True)
    assert model_data("lab", "big", rows) == ModelData(vision=False, reasoning=True)
    assert model_data("lab", "small", rows) == ModelData(reasoning=True)


def test_a_price_of_the_user_has_no_day_of_ours(tmp_path: Path) -> None:
    text = '[models."gpt-5.4"]\ninput_price = 1\n[models."gpt-5.5"]\npriced_on = 2027-02-01'
    rows = loaded(tmp_path, text).model_rows()
    assert model_data("openai", "gpt-5.4").priced_on is not None
    assert model_data("openai", "gpt-5.4", rows).priced_on is None
    assert model_data("openai", "gpt-5.5", rows).priced_on == "2027-02-01"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models = 3", "models: expected a table, got an integer"),
        ("[models]\nbig = 1", 'models."big": expected a table, got an integer'),
        ('[models." "]\nvision = true', 'models: a pattern is empty; "*" stands for all models'),
        (
            '[models."gpt-5.4"]\ncontext_windw = 1',
            'models."gpt-5.4".context_windw: there is no such setting; '
            "did you mean context_window?",
        ),
        (
            "[models.gpt-5.4]\nvision = true",
            'models."gpt-5": a pattern with a dot needs quotes, as in [models."a-1.5"]',
        ),
        ('[models."a"]\nvision = 1', 'models."a".vision: expected true or false, got an integer'),
        (
            '[models."a"]\ncontext_window = 0',
            'models."a".context_window: expected at least 1, got 0',
        ),
        (
            '[models."a"]\ninput_price = "1"',
            'models."a".input_price: expected a number of dollars, got a string',
        ),
        (
            '[models."a"]\ninput_price = -0.5',
            'models."a".input_price: expected at least 0 dollars, got -0.5',
        ),
        (
            '[models."a"]\ninput_price = nan',
            'models."a".input_price: expected at least 0 dollars, got nan',
        ),
        (
            '[models."a"]\ninput_price = true',
            'models."a".input_price: expected a number of dollars, got a boolean',
        ),
        (
            '[models."a"]\npriced_on = "soon"',
            'models."a".priced_on: expected a date like 2026-01-31',
        ),
        (
            '[models."a"]\npriced_on = 2026-01-31T00:00:00',
            'models."a".priced_on: expected a date like 2026-01-31, got a datetime',
        ),
        (
            '[models."a"]\nefforts = "low"',
            'models."a".efforts: expected a list of strings, got a string',
        ),
        (
            '[models."a"]\nefforts = [1]',
            'models."a".efforts: expected a list of strings, got a list with other things in it',
        ),
        (
            '[models."a"]\nthinking = "deep"',
            "models.\"a\".thinking: expected one of adaptive, budget, level, got 'deep'",
        ),
        (
            '[providers.lab.models."a"]\nvison = true',
            'providers.lab.models."a".vison: there is no such setting; did you mean vision?',
        ),
        (
            '[providers.lab]\nwire = "openai"',
            "providers.lab.wire: expected one of anthropic, bedrock, cohere, gemini, ollama, "
            "openai-chat, openai-responses, got 'openai'",
        ),
        (
            '[providers.lab]\nauth = "basic"',
            "providers.lab.auth: expected one of bearer, x-api-key, x-goog-api-key, api-key, aws, "
            "google, got 'basic'",
        ),
    ],
)
def test_a_wrong_fact_is_one_clear_error(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'config.toml'}: {expected}"


def test_a_date_may_be_a_string(tmp_path: Path) -> None:
    settings = loaded(tmp_path, '[models."a"]\npriced_on = "2026-01-31"')
    assert settings.models["a"].priced_on == "2026-01-31"


@pytest.mark.parametrize(
    ("wire", "auth", "needs_key"),
    [
        ("openai-chat", "bearer", True),
        ("openai-responses", "bearer", True),
        ("anthropic", "x-api-key", True),
        ("gemini", "x-goog-api-key", True),
        ("bedrock", "aws", False),
        ("cohere", "bearer", True),
    ],
)
def test_an_own_vendor_speaks_any_protocol_with_its_usual_key(
    tmp_path: Path, wire: str, auth: str, needs_key: bool
) -> None:
    text = f'[providers.lab]\nbase_url = "https://lab.example"\nwire = "{wire}"'
    row = loaded(tmp_path, text).vendors()["lab"]
    assert (row.wire, row.auth, row.needs_key) == (wire, auth, needs_key)
    own = loaded(tmp_path, f'{text}\nauth = "api-key"').vendors()["lab"]
    assert own.auth == "api-key"


def test_the_protocol_of_a_vendor_can_be_changed_and_keeps_its_key(tmp_path: Path) -> None:
    text = '[providers.azure]\nwire = "openai-responses"\n[providers.openai]\nwire = "openai-chat"'
    vendors = loaded(tmp_path, text).vendors()
    assert (vendors["azure"].wire, vendors["azure"].auth) == ("openai-responses", "api-key")
    assert vendors["openai"].wire == "openai-chat"
    assert vendors["openai"].at("https://elsewhere.example").wire == "openai-chat"


@pytest.mark.parametrize(
    ("lines", "wire"),
    [
        ('base_url = "https://proxy.example/v1"', "openai-chat"),
        ('base_url = "https://proxy.example/v1"\nwire = "openai-responses"', "openai-responses"),
        ('base_url = "https://eu.api.openai.com/v1"', "openai-responses"),
        ("timeout = 3", "openai-responses"),
    ],
    ids=["elsewhere", "elsewhere and said", "the vendor's own region", "at home"],
)
def test_openai_elsewhere_is_chat_completions_unless_said(
    tmp_path: Path, lines: str, wire: str
) -> None:
    row = loaded(tmp_path, f"[providers.openai]\n{lines}").vendors()["openai"]
    assert row.wire == wire
    assert row.key_variables == VENDORS["openai"].key_variables


def test_an_address_in_the_file_wins_over_the_environment(tmp_path: Path) -> None:
    vendors = loaded(tmp_path, '[providers.ollama]\nbase_url = "http://10.0.0.7:1"').vendors()
    assert vendors["ollama"].url_variables == ()
    assert VENDORS["ollama"].url_variables

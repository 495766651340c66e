from __future__ import annotations

import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest

from victor.config.catalog import DEFAULT_PROVIDER, VENDORS, Vendor, WireName
from victor.config.checks import provider_name, url
from victor.config.choice import choose_provider
from victor.config.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "providers.md"
OPENAI = {"openai", "openai-chat", "openai-responses"}

each_vendor = pytest.mark.parametrize("row", VENDORS.values(), ids=lambda row: row.name)


@each_vendor
def test_a_row_is_complete(row: Vendor) -> None:
    assert provider_name("name", row.name) == row.name
    assert row.name != DEFAULT_PROVIDER
    assert row.key_variables
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", one) for one in row.key_variables)
    assert row.wire in get_args(WireName)
    assert row.base_url or row.url_variables or row.about.endswith("needs base_url")


@each_vendor
def test_an_address_is_one_and_its_places_are_known(row: Vendor) -> None:
    address = row.base_url or "https://host.example"
    assert set(re.findall(r"{(\w+)}", address)) == {place.name for place in row.places}
    for place in row.places:
        assert place.variables
        address = address.replace(f"{{{place.name}}}", "place")
    assert url("base_url", address) == address
    local = address.startswith("http://127.0.0.1:")
    assert local or address.startswith("https://")
    assert not (local and row.needs_key)


def test_only_openai_has_one_key_for_several_rows() -> None:
    uses = Counter(
        variable
        for row in VENDORS.values()
        if row.name not in OPENAI - {"openai"}
        for variable in row.key_variables
    )
    assert {name for name, count in uses.items() if count > 1} == set()


def test_the_vendors_that_have_to_be_there_are() -> None:
    wanted = (
        "openai anthropic google vertex bedrock azure mistral cohere groq deepseek xai openrouter "
        "together fireworks cerebras moonshot zai qwen perplexity nvidia huggingface github-models "
        "sambanova ollama lmstudio vllm llamacpp openai-compatible"
    )
    assert set(wanted.split()) <= set(VENDORS)


def test_every_protocol_has_its_code() -> None:
    for wire in {row.wire for row in VENDORS.values()}:
        assert find_spec(f"victor.providers.wires.{wire.replace('-', '_')}")


def chosen(**environ: str) -> str:
    return choose_provider(settings=Settings(), environ=environ, has_key=lambda _: None).provider


@pytest.mark.parametrize(
    ("variable", "provider"),
    [
        ("OPENAI_API_KEY", "openai"),
        ("ANTHROPIC_API_KEY", "anthropic"),
        ("GOOGLE_API_KEY", "google"),
        ("COHERE_API_KEY", "cohere"),
        ("ZHIPUAI_API_KEY", "zai"),
        ("ALIBABA_API_KEY", "qwen"),
        ("AWS_ACCESS_KEY_ID", DEFAULT_PROVIDER),
        ("AWS_BEARER_TOKEN_BEDROCK", DEFAULT_PROVIDER),
        ("GOOGLE_APPLICATION_CREDENTIALS", DEFAULT_PROVIDER),
        ("AZURE_OPENAI_API_KEY", DEFAULT_PROVIDER),
        ("GITHUB_TOKEN", DEFAULT_PROVIDER),
        ("GITHUB_MODELS_TOKEN", DEFAULT_PROVIDER),
        ("OLLAMA_API_KEY", DEFAULT_PROVIDER),
    ],
)
def test_a_variable_chooses_a_vendor_only_where_it_says_enough(
    variable: str, provider: str
) -> None:
    assert chosen(**{variable: "value"}) == provider


@each_vendor
def test_a_vendor_chosen_by_its_key_has_a_model_to_run(row: Vendor) -> None:
    by_key = chosen(**{row.key_variables[0]: "k"})
    assert by_key in {row.name, DEFAULT_PROVIDER} | (OPENAI if row.name in OPENAI else set())
    assert by_key == DEFAULT_PROVIDER or VENDORS[by_key].default_model


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("https://api.openai.com/v1", "openai-responses"),
        ("https://eu.api.openai.com/v1", "openai-responses"),
        ("https://notapi.openai.com.example/v1", "openai-chat"),
        ("https://myapi.openai.com/v1", "openai-chat"),
        ("http://127.0.0.1:8080/v1", "openai-chat"),
        ("not an address", "openai-chat"),
    ],
)
def test_what_imitates_openai_speaks_chat_completions(address: str, wire: str) -> None:
    assert VENDORS["openai"].at(address).wire == wire


def test_a_vendor_without_imitators_is_the_same_at_any_address() -> None:
    for row in VENDORS.values():
        if row.wire_elsewhere is None:
            assert row.at("http://127.0.0.1:1") is row
    assert VENDORS["openai"].at("http://127.0.0.1:1").at("https://api.openai.com/v1").wire == (
        "openai-chat"
    )


# ---------------------------------------------------------------------------- the page


def _line(row: Vendor) -> str:
    address = f"`{row.base_url}`" if row.base_url else " or ".join(map(_code, row.url_variables))
    cells = (
        _code(row.name),
        row.wire,
        address or "`base_url`",
        " ".join(map(_code, row.key_variables)),
        _code(row.default_model) if row.default_model else "",
        row.about,
    )
    return "| " + " | ".join(cells) + " |"


def _code(text: str) -> str:
    return f"`{text}`"


def test_the_page_has_the_table_of_the_catalog() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index("| name | protocol | address | key | default model | |") + 2
    table = lines[start : start + len(VENDORS)]
    assert table == [_line(row) for row in VENDORS.values()]
    assert not lines[start + len(VENDORS)].startswith("|")


def test_the_examples_of_the_page_are_settings(tmp_path: Path) -> None:
    from victor.config.settings import load_settings

    blocks = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 3
    file = tmp_path / "config.toml"
    file.write_text("\n".join(blocks), encoding="utf-8")
    settings = load_settings(file, {})
    assert {"mylab", "claude-proxy"} <= set(settings.vendors())
    assert settings.model_rows()

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.catalog import DEFAULT_PROVIDER, VENDORS, Vendor
from victor.config.choice import Choice, choose_provider
from victor.config.settings import ProviderSettings, Settings
from victor.errors import UnknownProviderError

FILE = Path("/home/of/config.toml")


def choose(
    *,
    flags: tuple[str | None, str | None] = (None, None),
    file: tuple[str | None, str | None] = (None, None),
    environ: dict[str, str] | None = None,
    stored: Collection[str] = (),
    known: Collection[str] = (),
    providers: dict[str, ProviderSettings] | None = None,
) -> Choice:
    def has_key(vendor: Vendor) -> str | None:
        return "its key is in the keyring" if vendor.name in stored else None

    return choose_provider(
        settings=Settings(provider=file[0], model=file[1], providers=providers or {}, path=FILE),
        environ=environ or {},
        has_key=has_key,
        flag_provider=flags[0],
        flag_model=flags[1],
        known=known,
    )


KEY = {"OPENAI_API_KEY": "k"}
VARIABLES = {"VICTOR_PROVIDER": "xai", "VICTOR_MODEL": "grok-x"}


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (
            choose(flags=("groq", None), file=("openai", None)),
            "groq / openai/gpt-oss-120b (--provider)",
        ),
        (choose(flags=(" Groq", " m ")), "groq / m (--provider)"),
        (
            choose(file=("openai", "m"), environ={"GROQ_API_KEY": "k"}),
            f"openai / m (set in {FILE})",
        ),
        (
            choose(file=("openai", None), environ=VARIABLES),
            f"openai / gpt-6.1-terra (set in {FILE}, which wins over VICTOR_PROVIDER)",
        ),
        (
            choose(file=("xai", None), environ=VARIABLES),
            f"xai / grok-x (set in {FILE})",
        ),
        (choose(environ=VARIABLES | KEY), "xai / grok-x (VICTOR_PROVIDER)"),
        (choose(environ=KEY), "openai / gpt-6.1-terra (OPENAI_API_KEY is set)"),
        (
            choose(environ={"XAI_API_KEY": "k", "GROQ_API_KEY": "k"}),
            "groq / openai/gpt-oss-120b (GROQ_API_KEY is set)",
        ),
        (choose(environ={"GROK_API_KEY": "k"}), "xai / grok-4.7 (GROK_API_KEY is set)"),
        (
            choose(environ={"XAI_API_KEY": "k"}, stored=["openai"]),
            "xai / grok-4.7 (XAI_API_KEY is set)",
        ),
        (choose(stored=["xai", "groq"]), "groq / openai/gpt-oss-120b (its key is in the keyring)"),
        (choose(), "local (the embedded model: no API key found)"),
        (choose(environ={"OPENAI_API_KEY": " "}), "local (the embedded model: no API key found)"),
        (choose(flags=(None, "0.5b")), "local / 0.5b (the embedded model: no API key found)"),
        (
            choose(environ={"OLLAMA_API_KEY": "k"}, stored=["vllm"]),
            "local (the embedded model: no API key found)",
        ),
        (choose(flags=("local", None), environ=KEY), "local (--provider)"),
        (choose(flags=("custom_llm", None), known=["custom_llm"]), "custom_llm (--provider)"),
        (choose(flags=("", " "), environ=KEY), "openai / gpt-6.1-terra (OPENAI_API_KEY is set)"),
    ],
    ids=[
        "flag over file",
        "flags",
        "file over a key",
        "file over variables",
        "file and variable agree",
        "variables over a key",
        "a key",
        "catalog order",
        "alias",
        "variables before the keyring",
        "keyring in catalog order",
        "nothing",
        "blank key",
        "only a model",
        "a key for one's own server",
        "embedded on purpose",
        "registered by a package",
        "blank flags",
    ],
)
def test_the_strongest_source_wins_and_is_named(choice: Choice, reason: str) -> None:
    assert choice.reason == reason
    assert reason.startswith(choice.provider)
    assert choice.model is None or f" / {choice.model} (" in reason


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (choose(flags=("groq", None), file=("openai", "gpt-5")), ("groq", "openai/gpt-oss-120b")),
        (choose(flags=("groq", None), file=(None, "gpt-5")), ("groq", "openai/gpt-oss-120b")),
        (choose(flags=("ollama", None), file=(None, "qwen3")), ("ollama", "qwen3")),
        (choose(flags=("local", None), file=(None, "gpt-5")), ("local", None)),
        (choose(flags=(None, "gpt-5"), file=("openai", "gpt-4")), ("openai", "gpt-5")),
        (choose(file=(None, "gpt-5"), environ=KEY), ("openai", "gpt-5")),
        (choose(file=(None, "a"), environ={"VICTOR_MODEL": "b"} | KEY), ("openai", "a")),
        (choose(flags=("ollama", None)), ("ollama", None)),
    ],
    ids=[
        "a model beside another provider",
        "a lone model under a named provider with a default",
        "a lone model under a named provider without one",
        "a lone model under the embedded model",
        "a model flag over the file",
        "a lone model and a key",
        "file over variable",
        "no default at all",
    ],
)
def test_a_model_goes_with_the_provider_it_was_meant_for(
    choice: Choice, expected: tuple[str, str | None]
) -> None:
    assert (choice.provider, choice.model) == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (choose(flags=(None, "groq:llama")), ("groq", "llama")),
        (choose(flags=(None, "Groq/llama/8b")), ("groq", "llama/8b")),
        (choose(flags=(None, "groq:llama"), file=("openai", None)), ("groq", "llama")),
        (
            choose(flags=(None, "openai/gpt-5"), file=("openrouter", None)),
            ("openrouter", "openai/gpt-5"),
        ),
        (choose(flags=("openrouter", "openrouter/auto")), ("openrouter", "openrouter/auto")),
        (choose(flags=("groq", "groq:llama")), ("groq", "llama")),
        (choose(flags=("ollama", "openai:x")), ("ollama", "openai:x")),
        (choose(flags=("ollama", "llama3:8b")), ("ollama", "llama3:8b")),
        (choose(flags=(None, "llama3:8b"), environ=KEY), ("openai", "llama3:8b")),
        (choose(flags=(None, "meta/llama"), environ=KEY), ("openai", "meta/llama")),
        (choose(flags=(None, "openai:"), environ=KEY), ("openai", "openai:")),
        (choose(flags=(None, "local:1.5b"), environ=KEY), ("local", "1.5b")),
        (choose(file=(None, "groq/llama")), ("groq", "llama")),
        (choose(environ={"VICTOR_MODEL": "groq:llama"}), ("groq", "llama")),
    ],
    ids=[
        "colon",
        "slash",
        "colon beats a provider in the file",
        "slash does not",
        "a model's own name",
        "the same vendor twice",
        "two vendors",
        "a tag",
        "a tag and a key",
        "no vendor",
        "no model",
        "embedded",
        "in the file",
        "in the environment",
    ],
)
def test_a_model_may_name_its_vendor(choice: Choice, expected: tuple[str, str]) -> None:
    assert (choice.provider, choice.model) == expected


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (choose(flags=(None, "groq:m")), "groq / m (--model)"),
        (choose(environ={"VICTOR_MODEL": "groq:m"}), "groq / m (VICTOR_MODEL)"),
    ],
)
def test_a_vendor_named_by_a_model_says_so(choice: Choice, reason: str) -> None:
    assert choice.reason == reason


def test_an_own_vendor_can_be_named_and_found_by_its_key() -> None:
    lab = ProviderSettings(base_url="https://lab.example", default_model="large")
    choice = choose(providers={"lab": lab}, environ={"LAB_API_KEY": "k"})
    assert choice.reason == "lab / large (LAB_API_KEY is set)"
    assert choose(flags=("lab", None), providers={"lab": lab}).model == "large"


def test_a_vendor_that_has_no_model_to_run_is_not_found_by_its_key() -> None:
    lab = {"lab": ProviderSettings(base_url="https://lab.example")}
    assert choose(providers=lab, environ={"LAB_API_KEY": "k"}).provider == DEFAULT_PROVIDER
    choice = choose(providers=lab, environ={"LAB_API_KEY": "k", "VICTOR_MODEL": "m"})
    assert (choice.provider, choice.model) == ("lab", "m")


def test_a_key_may_be_known_without_a_reason() -> None:
    choice = choose_provider(settings=Settings(), environ={}, has_key=lambda _: True)
    assert choice.reason == "openai / gpt-6.1-terra (it has a key)"


def test_settings_made_in_code_are_named_as_such() -> None:
    choice = choose_provider(
        settings=Settings(provider="groq", model="m"), environ={}, has_key=lambda _: False
    )
    assert choice.reason == "groq / m (set in the settings)"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"flags": ("opnai", None)},
            "no provider is named 'opnai' (--provider); did you mean openai? "
            "`victor providers` lists them all",
        ),
        (
            {"file": ("zzz", None)},
            f"no provider is named 'zzz' (set in {FILE}); `victor providers` lists them all",
        ),
        (
            {"environ": {"VICTOR_PROVIDER": "mistrl"}},
            "no provider is named 'mistrl' (VICTOR_PROVIDER); did you mean mistral? "
            "`victor providers` lists them all",
        ),
    ],
    ids=["flag", "file", "variable"],
)
def test_an_unknown_provider_names_its_source_and_near_matches(
    arguments: dict[str, object], expected: str
) -> None:
    with pytest.raises(UnknownProviderError) as caught:
        choose(**arguments)  # type: ignore[arg-type] # a table of keywords
    assert str(caught.value) == expected


names = st.none() | st.sampled_from([*VENDORS, DEFAULT_PROVIDER])
models = st.none() | st.sampled_from(
    ["m", "a/b", "t:8b", "groq:m", "xai/m", "openai/x:y", ":", "/"]
)


@settings(max_examples=150, deadline=None)
@given(
    flags=st.tuples(names, models),
    file=st.tuples(names, models),
    provider=names,
    model=models,
    key=st.sampled_from([row.key_variables[0] for row in VENDORS.values()]),
)
def test_every_combination_chooses_a_provider_that_exists(
    flags: tuple[str | None, str | None],
    file: tuple[str | None, str | None],
    provider: str | None,
    model: str | None,
    key: str,
) -> None:
    environ = {key: "k", "VICTOR_PROVIDER": provider or "", "VICTOR_MODEL": model or ""}
    choice = choose(flags=flags, file=file, environ=environ)
    assert choice.provider in {*VENDORS, DEFAULT_PROVIDER}
    if flags[0]:
        assert choice.provider == flags[0]

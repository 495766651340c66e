from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from victor.config.catalog import VENDORS
from victor.errors import ConfigError, UnknownProviderError, WeightsMissingError
from victor.providers import registry
from victor.providers.failover import FailoverProvider
from victor.providers.http import HTTPProvider
from victor.providers.registry import create_provider, list_providers, register_provider
from victor.providers.scripted import MockLLM

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nothing_registered() -> Iterator[None]:
    yield
    registry._registered().clear()


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("VICTOR_CONFIG", str(path))
    return path


class Mine(MockLLM):
    pass


def test_the_list_has_the_catalog_the_embedded_model_and_what_was_registered() -> None:
    assert list_providers() == sorted([*VENDORS, "local"])
    register_provider("mine", Mine)
    assert list_providers() == sorted([*VENDORS, "local", "mine"])


FIXED = sorted(name for name, row in VENDORS.items() if row.base_url and not row.places)


@pytest.mark.parametrize("name", FIXED)
def test_every_vendor_of_the_catalog_can_be_made(name: str) -> None:
    provider = create_provider(name, api_key="sk-1", timeout=3, max_retries=1, retry_delay=0.5)
    assert isinstance(provider, HTTPProvider)
    assert provider.name == name
    assert provider.base_url == VENDORS[name].base_url
    assert provider.api_key == "sk-1"
    assert (provider.timeout, provider.max_retries) == (3, 1)
    assert provider.options == {"retry_delay": 0.5}


def test_a_compatible_server_needs_its_address() -> None:
    with pytest.raises(ConfigError, match="pass base_url"):
        create_provider("openai-compatible")
    made = create_provider("openai-compatible", base_url="http://127.0.0.1:1/v1")
    assert made.base_url == "http://127.0.0.1:1/v1"


def test_the_embedded_model_asks_for_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VICTOR_LOCAL_MODEL", raising=False)
    with pytest.raises(WeightsMissingError) as caught:
        create_provider("local")
    assert caught.value.command


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("opena", "did you mean openai"),
        ("OpenAI", "did you mean"),
        ("olama", "did you mean ollama"),
        ("zzzzzz", "see `victor providers`"),
        ("", "see `victor providers`"),
    ],
)
def test_an_unknown_name_lists_near_ones(name: str, hint: str) -> None:
    with pytest.raises(UnknownProviderError) as caught:
        create_provider(name)
    assert str(caught.value).startswith(f"no provider is called {name!r}: {hint}")


def test_registering_works_as_a_call_and_as_a_decorator() -> None:
    assert register_provider("mine", Mine) is Mine

    @register_provider("other")
    class Other(MockLLM):
        pass

    assert type(create_provider("mine", responses=["x"])) is Mine
    assert type(create_provider("other")) is Other


@pytest.mark.parametrize("name", ["mine", "openai", "local"])
def test_a_name_that_is_taken_stays_unless_told_otherwise(name: str) -> None:
    register_provider("mine", MockLLM)
    with pytest.raises(ConfigError, match=f"the name '{name}' is taken; pass replace=True"):
        register_provider(name, Mine)
    register_provider(name, Mine, replace=True)
    assert type(create_provider(name)) is Mine
    assert list_providers().count(name) == 1


@pytest.mark.parametrize("thing", [Mine(), int, "Mine", BaseException], ids=str)
def test_only_provider_classes_can_be_registered(thing: Any) -> None:
    with pytest.raises(ConfigError, match="is not a subclass of BaseProvider"):
        register_provider("mine", thing)
    with pytest.raises(ConfigError, match="is not a subclass of BaseProvider"):
        register_provider("mine")(thing)
    assert "mine" not in list_providers()


def test_the_settings_file_gives_the_defaults(settings: Path) -> None:
    settings.write_text(
        "[providers.openai]\ntimeout = 7\nmax_retries = 0\n"
        "[providers.mine]\ntimeout = 8\nbase_url = 'http://mine.example'\n"
        "[providers.mylab]\nbase_url = 'http://lab.example/v1'\ndefault_model = 'large'\n"
    )
    openai = create_provider("openai", api_key="k")
    assert (openai.timeout, openai.max_retries) == (7, 0)
    assert create_provider("openai", api_key="k", timeout=1).timeout == 1
    register_provider("mine", Mine)
    mine = create_provider("mine")
    assert (type(mine), mine.timeout, mine.base_url) == (Mine, 8, "http://mine.example")
    assert create_provider("mine", base_url="http://127.0.0.1").base_url == "http://127.0.0.1"
    assert create_provider("mine", timeout=1).timeout == 1
    lab = create_provider("mylab")
    assert (lab.base_url, lab.default_model) == ("http://lab.example/v1", "large")
    assert "mylab" in list_providers()


def test_a_broken_settings_file_is_one_clear_error(settings: Path) -> None:
    settings.write_text("[providers.openai]\ntimeout = 'soon'\n")
    for use in (list_providers, lambda: create_provider("openai")):
        with pytest.raises(ConfigError, match=r"providers\.openai\.timeout"):
            use()


# ---------------------------------------------------------------------------- entry points

PLUGIN = """
from victor.providers.scripted import MockLLM

class Good(MockLLM):
    pass

class NotOne:
    pass
"""


def _install(path: Path, entries: Sequence[str]) -> None:
    info = path / "tiny_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[victor.providers]", *entries]) + "\n")
    (path / "tiny_plugin.py").write_text(PLUGIN)
    (path / "broken_plugin.py").write_text("import a_module_that_is_nowhere\n")


def _outcomes(
    tmp_path: Path,
    entries: Sequence[str],
    *names: str,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Return `list_providers()` and what making each provider gave, in a process of its own."""
    site = tmp_path / "site"
    _install(site, entries)
    script = """
import json, sys
from victor.errors import ConfigError
from victor.providers.registry import create_provider, list_providers
made = []
for name in sys.argv[1:]:
    try:
        made.append(type(create_provider(name, timeout=2)).__module__)
    except ConfigError as error:
        made.append(f"{type(error).__name__}: {error}")
print(json.dumps([list_providers(), made, "tiny_plugin" in sys.modules]))
"""
    whole = {**os.environ, **environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    done = subprocess.run(
        [sys.executable, "-c", script, *names],
        env=whole, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_an_installed_package_brings_its_providers(tmp_path: Path) -> None:
    entries = [
        "tiny = tiny_plugin:Good",
        "wrong = tiny_plugin:NotOne",
        "absent = tiny_plugin:Absent",
        "broken = broken_plugin:X",
        "openai = tiny_plugin:Good",
    ]
    names, made, _ = _outcomes(tmp_path, entries, "tiny", "wrong", "absent", "broken", "openai")
    assert {"tiny", "wrong", "absent", "broken"} <= set(names)
    assert names.count("openai") == 1
    good, wrong, absent, broken, openai = made
    assert good == "tiny_plugin"
    assert wrong == (
        "ConfigError: the provider 'wrong' (tiny_plugin:NotOne) is not a subclass of BaseProvider"
    )
    assert absent.startswith(
        "ConfigError: the provider 'absent' (tiny_plugin:Absent) cannot be loaded: AttributeError: "
    )
    assert broken == (
        "ConfigError: the provider 'broken' (broken_plugin:X) cannot be loaded: "
        "ModuleNotFoundError: No module named 'a_module_that_is_nowhere'"
    )
    assert openai == "victor.providers.http"  # a package cannot take a built-in name


def test_a_table_in_the_settings_is_about_the_providers_of_a_package(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[providers.tiny]\nbase_url = 'http://tiny.example'\n")
    entries = ["tiny = tiny_plugin:Good"]
    _, made, _ = _outcomes(tmp_path, entries, "tiny", environ={"VICTOR_CONFIG": str(file)})
    assert made == ["tiny_plugin"]


def test_listing_does_not_import_the_packages(tmp_path: Path) -> None:
    names, _, imported = _outcomes(tmp_path, ["tiny = tiny_plugin:Good"])
    assert "tiny" in names
    assert not imported


# ---------------------------------------------------------------------------- several as one


async def test_several_names_make_one_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    register_provider("mine", Mine)
    async with create_provider("failover", routes=["openai/gpt-5", "mine", Mine()]) as made:
        assert isinstance(made, FailoverProvider)
        assert (made.name, made.default_model) == ("failover", "gpt-5")
        states = await made.explain()
        assert [one.label for one in states] == ["openai/gpt-5", "mine/mock", "mock/mock"]
        assert [one.usable for one in states] == [True, True, True]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "a failover needs routes"),
        ({"routes": ["mine", "opena/gpt-5"]}, "no provider is called 'opena': did you mean openai"),
        ({"routes": ["mine"], "policy": "perhaps"}, "policy is one of"),
    ],
    ids=["none", "unknown", "policy"],
)
def test_a_failover_that_cannot_be_is_refused_when_it_is_made(
    options: dict[str, Any], says: str
) -> None:
    register_provider("mine", Mine)
    with pytest.raises(ConfigError, match=says):
        create_provider("failover", **options)


async def test_the_embedded_model_of_a_route_is_the_file_that_is_loaded(tmp_path: Path) -> None:
    weights = tmp_path / "tiny.gguf"
    weights.write_bytes(b"GGUF" + bytes(64))
    missing = tmp_path / "missing.gguf"
    both = create_provider("failover", routes=[Mine(), f"local/{weights}", f"local/{missing}"])
    async with both as made:
        assert isinstance(made, FailoverProvider)
        states = await made.explain()
    assert [one.usable for one in states] == [True, True, False]
    assert "missing.gguf" in str(states[2].reason)

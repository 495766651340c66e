from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.catalog import VENDORS, Vendor
from victor.config.model_capabilities import ModelData
from victor.config.settings import (
    _MODEL,
    _PROVIDER,
    ProviderSettings,
    Settings,
    config_path,
    default_key_variable,
    load_settings,
    state_path,
)
from victor.errors import ConfigError

WHOLE = """
provider = "openai"
model = " gpt-5 "
mode = "plan"
max_turns = 7
sandbox_network = true
sandbox_variables = ["CI", "NPM_TOKEN"]

[key_command]
openai = ["pass", "show", "openai"]

[providers.openai]
timeout = 5
max_retries = 0

[providers.mylab]
base_url = "https://llm.mylab.example/v1/"
key_variables = ["LAB_KEY"]
default_model = "large"
tool_mode = "constrained"
stream_options = false
max_tokens_name = "max_completion_tokens"
needs_key = false
wire = "openai-responses"
auth = "api-key"
embedding_model = "small"
azure = true
strict_fields = true
effort = "thinking"
reasoning_name = "reasoning"
mistral = false
alternating = true
lacks = ["seed", "top_k"]

[providers.mylab.models."large*"]
vision = true

[models."gpt-5.4*"]
context_window = 100_000
max_output_tokens = 9_000
tool_mode = "constrained"
tool_format = "hermes"
parallel_tools = false
vision = false
documents = false
json_schema = true
reasoning = true
sampling = false
max_tokens_name = "max_tokens"
system_role = "user"
efforts = []
thinking = "level"
echo_reasoning = true
think_tags = true
starts_in_reasoning = true
input_price = 1
output_price = 2.5
cached_price = 0
cache_write_price = 1.25
priced_on = 2026-01-31
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def message(folder: Path, text: str) -> str:
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load_settings(path, {})
    return str(caught.value).replace(str(path), "FILE")


def test_every_setting_is_read_from_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, WHOLE)
    found = load_settings(path, {})
    assert found == Settings(
        provider="openai",
        model="gpt-5",
        mode="plan",
        max_turns=7,
        sandbox_network=True,
        sandbox_variables=("CI", "NPM_TOKEN"),
        key_command={"openai": ("pass", "show", "openai")},
        providers={
            "openai": ProviderSettings(timeout=5.0, max_retries=0),
            "mylab": ProviderSettings(
                base_url="https://llm.mylab.example/v1",
                key_variables=("LAB_KEY",),
                default_model="large",
                tool_mode="constrained",
                stream_options=False,
                max_tokens_name="max_completion_tokens",
                needs_key=False,
                wire="openai-responses",
                auth="api-key",
                embedding_model="small",
                azure=True,
                strict_fields=True,
                effort="thinking",
                reasoning_name="reasoning",
                mistral=False,
                alternating=True,
                lacks=("seed", "top_k"),
                models={"large*": ModelData(vision=True)},
            ),
        },
        models={
            "gpt-5.4*": ModelData(
                context_window=100_000,
                max_output_tokens=9_000,
                tool_mode="constrained",
                tool_format="hermes",
                parallel_tools=False,
                vision=False,
                documents=False,
                json_schema=True,
                reasoning=True,
                sampling=False,
                max_tokens_name="max_tokens",
                system_role="user",
                efforts=(),
                thinking="level",
                echo_reasoning=True,
                think_tags=True,
                starts_in_reasoning=True,
                input_price=1.0,
                output_price=2.5,
                cached_price=0.0,
                cache_write_price=1.25,
                priced_on="2026-01-31",
            )
        },
        path=path,
    )


def test_every_fact_of_a_model_and_every_quirk_of_a_vendor_can_be_set() -> None:
    model = {item.name for item in fields(ModelData)}
    assert set(_MODEL) == model
    # What is not for users: a row's name, and what `base_url` and `wire` decide.
    kept = {"name", "places", "url_variables", "express_url", "wire_elsewhere", "about"}
    vendor = {item.name for item in fields(Vendor)} - kept
    calls = {"timeout", "max_retries", "requests_per_minute", "tokens_per_minute"}
    assert set(_PROVIDER) == vendor | {"models"} | calls
    assert {item.name for item in fields(ProviderSettings)} == set(_PROVIDER)


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    assert load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path)}) == Settings()


def test_the_files_of_the_working_directory_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    for place in (repository, repository / "victor", repository / ".victor"):
        place.mkdir()
        write(place, 'provider = "openai"')
    monkeypatch.chdir(repository)
    assert load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path)}) == Settings()
    assert load_settings(environ={"XDG_CONFIG_HOME": "."}).path != Path("victor/config.toml")


def test_an_empty_file_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff")
    assert load_settings(path, {}) == Settings(path=path)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"VICTOR_CONFIG": "/somewhere/my.toml"}, "/somewhere/my.toml"),
        ({"XDG_CONFIG_HOME": "/home/of/config"}, "/home/of/config/victor/config.toml"),
        (
            {"VICTOR_CONFIG": " ", "XDG_CONFIG_HOME": "/home/of/config"},
            "/home/of/config/victor/config.toml",
        ),
    ],
    ids=["VICTOR_CONFIG", "XDG_CONFIG_HOME", "blank VICTOR_CONFIG"],
)
def test_the_environment_places_the_file(environ: dict[str, str], expected: str) -> None:
    assert config_path(environ) == Path(expected)


def test_a_relative_xdg_directory_is_ignored() -> None:
    assert config_path({"XDG_CONFIG_HOME": "here"}).is_absolute()
    assert state_path({"XDG_STATE_HOME": "here"}).is_absolute()
    assert state_path({"XDG_STATE_HOME": "/state"}) == Path("/state/victor")


def test_places_come_from_the_process_environment_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VICTOR_CONFIG", str(write(tmp_path, "max_turns = 3")))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert load_settings().max_turns == 3
    assert state_path() == tmp_path / "victor"


def test_a_file_that_was_named_has_to_exist(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    for path, environ in ((missing, {}), (None, {"VICTOR_CONFIG": str(missing)})):
        with pytest.raises(ConfigError, match=r"there is no settings file .*none\.toml: create it"):
            load_settings(path, environ)


def test_a_directory_in_place_of_the_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the settings file .*: Is a directory"):
        load_settings(tmp_path, {})


def test_bytes_that_are_not_utf8_are_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'model = "\xff"')
    with pytest.raises(ConfigError, match="not UTF-8 at byte 9: save the file as UTF-8"):
        load_settings(path, {})


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("model = \n", "FILE:1:9: Invalid value"),
        ('mode = "ask"\nmodel = x', "FILE:2:9: Invalid value"),
        ("a = 1\na = 2", "FILE:2:6: Cannot overwrite a value"),
        ('mode = "ask"\n[providers', "FILE:2:11: "),
        ("model = [", "FILE:1:10: "),
        ("max_turns = " + "9" * 5000, "FILE: "),
        ("model = " + "[" * 20_000, "FILE: "),
    ],
    ids=[
        "no value",
        "second line",
        "twice",
        "open table",
        "end of file",
        "endless number",
        "endless nesting",
    ],
)
def test_bad_toml_is_placed_by_line_and_column(tmp_path: Path, text: str, start: str) -> None:
    error = message(tmp_path, text)
    assert error.startswith(start)
    assert error.endswith("the file has to be TOML (https://toml.io)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('modle = "x"', "FILE: modle: there is no such setting; did you mean mode or model?"),
        (
            "zzz = 1",
            "FILE: zzz: there is no such setting; known are failover, fallback, key_command, "
            "max_turns, mcp, mode, model, models, permissions, provider, providers, quality_floor, "
            "sandbox, sandbox_network, sandbox_variables",
        ),
        (
            '[providers.lab]\nbase_ulr = "x"',
            "FILE: providers.lab.base_ulr: there is no such setting; did you mean base_url?",
        ),
    ],
    ids=["near", "far", "inside"],
)
def test_an_unknown_setting_names_the_nearest(tmp_path: Path, text: str, expected: str) -> None:
    assert message(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model = 5", "model: expected a string, got an integer"),
        ('model = " "', "model: expected a string, got an empty one"),
        ('max_turns = "5"', "max_turns: expected an integer, got a string"),
        ("max_turns = true", "max_turns: expected an integer, got a boolean"),
        ("max_turns = 0", "max_turns: expected at least 1, got 0"),
        ('mode = "yolo"', "mode: expected one of ask, accept-edits, plan, auto, got 'yolo'"),
        ("mode = 1.5", "mode: expected one of ask, accept-edits, plan, auto, got a float"),
        ("mode = []", "mode: expected one of ask, accept-edits, plan, auto, got a list"),
        ("sandbox_network = 1", "sandbox_network: expected true or false, got an integer"),
        (
            'sandbox_variables = "CI"',
            "sandbox_variables: expected a list of strings, got a string",
        ),
        ("key_command = []", "key_command: expected a table, got a list"),
        (
            '[key_command]\nx = "pass show"',
            "key_command.x: expected a list of strings, got a string",
        ),
        ("[key_command]\nx = []", "key_command.x: expected a list of strings, got an empty one"),
        (
            '[key_command]\nx = ["a", 1]',
            "key_command.x: expected a list of strings, got a list with other things in it",
        ),
        ("providers = 1979-05-27", "providers: expected a table, got a date"),
        ("[providers]\nlab = 1", "providers.lab: expected a table, got an integer"),
        (
            '[providers."My Lab"]',
            "providers: 'My Lab' is not a provider's name: use a-z, 0-9, '-', '_' and '.'",
        ),
        (
            "[providers.lab]\nneeds_key = 1",
            "providers.lab.needs_key: expected true or false, got an integer",
        ),
        (
            '[providers.lab]\ntimeout = "5"',
            "providers.lab.timeout: expected a number of seconds, got a string",
        ),
        (
            "[providers.lab]\ntimeout = inf",
            "providers.lab.timeout: expected a number of seconds above 0, got inf",
        ),
        (
            "[providers.lab]\ntimeout = nan",
            "providers.lab.timeout: expected a number of seconds above 0, got nan",
        ),
        (
            "[providers.lab]\nmax_retries = -1",
            "providers.lab.max_retries: expected at least 0, got -1",
        ),
    ],
)
def test_a_wrong_value_names_setting_expectation_and_kind(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert message(tmp_path, text) == f"FILE: {expected}"


@pytest.mark.parametrize(
    "url", ["ftp://host", "host/v1", "http://", "http://host:99999", "http://host:0", "http://[::"]
)
def test_an_address_has_to_be_one(tmp_path: Path, url: str) -> None:
    error = message(tmp_path, f'[providers.lab]\nbase_url = "{url}"')
    assert error == "FILE: providers.lab.base_url: expected an address like https://host/v1"


def test_an_address_holds_no_password_and_the_error_does_not_repeat_it(tmp_path: Path) -> None:
    error = message(tmp_path, '[providers.lab]\nbase_url = "https://me:hunter2@host/v1"')
    assert "must not contain a user name or password" in error
    assert "hunter2" not in error


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('api_key = "sk-hunter2"', "`victor keys set NAME`"),
        ('[providers.openai]\napi_key = "sk-hunter2"', "`victor keys set openai`"),
        ('[providers.groq]\nAPI-KEY = "sk-hunter2"', "`victor keys set groq`"),
        ('[providers.xai]\ntoken = "sk-hunter2"', "`victor keys set xai`"),
    ],
)
def test_a_key_in_the_file_is_refused_and_not_repeated(
    tmp_path: Path, text: str, command: str
) -> None:
    error = message(tmp_path, text)
    assert "keys are not kept in this file. Remove the line and run" in error
    assert command in error
    assert "hunter2" not in error


@pytest.mark.parametrize(
    "text",
    [
        '[key_command]\nopenai = "sk-hunter2"',
        'max_turns = "sk-hunter2"',
        'providers = "sk-hunter2"',
    ],
)
def test_an_error_about_a_wrong_type_does_not_repeat_the_value(tmp_path: Path, text: str) -> None:
    assert "hunter2" not in message(tmp_path, text)


def test_the_environment_fills_in_what_the_file_leaves_out(tmp_path: Path) -> None:
    environ = {"VICTOR_MODE": "auto", "VICTOR_MAX_TURNS": "9"}
    found = load_settings(write(tmp_path, ""), environ)
    assert (found.mode, found.max_turns) == ("auto", 9)
    found = load_settings(write(tmp_path, 'mode = "plan"\nmax_turns = 2'), environ)
    assert (found.mode, found.max_turns) == ("plan", 2)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("VICTOR_MODE", "yolo", "expected one of ask, accept-edits, plan, auto, got 'yolo'"),
        ("VICTOR_MAX_TURNS", "many", "expected an integer, got a string"),
        ("VICTOR_MAX_TURNS", "9" * 5000, "expected an integer, got a string"),
        ("VICTOR_MAX_TURNS", "0", "expected at least 1, got 0"),
        ("VICTOR_BASE_URL", "nowhere", "expected an address like https://host/v1"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, name: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path), name: value})
    assert str(caught.value) == f"environment variable {name}: {expected}"


def test_the_base_url_variable_is_for_the_compatible_provider_alone(tmp_path: Path) -> None:
    environ = {"VICTOR_BASE_URL": "http://127.0.0.1:9/v1/"}
    vendors = load_settings(write(tmp_path, ""), environ).vendors()
    assert vendors["openai-compatible"].base_url == "http://127.0.0.1:9/v1"
    assert vendors["openai"] == VENDORS["openai"]
    text = '[providers.openai-compatible]\nbase_url = "http://127.0.0.1:8/v1"'
    vendors = load_settings(write(tmp_path, text), environ).vendors()
    assert vendors["openai-compatible"].base_url == "http://127.0.0.1:8/v1"


def test_without_settings_the_vendors_are_the_catalog() -> None:
    assert Settings().vendors() == VENDORS


def test_an_own_vendor_comes_after_the_catalog_with_sensible_defaults(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[providers.my-lab]\nbase_url = "https://lab.example/v1"\n'
        '[providers.lan]\nbase_url = "http://10.0.0.7/v1"\n'
        "[providers.custom_llm]\ntimeout = 3\n"
        '[providers.groq]\ndefault_model = "small"\nkey_variables = ["MY_GROQ"]',
    )
    vendors = load_settings(path, {}).vendors()
    assert [*vendors] == [*VENDORS, "my-lab", "lan"]
    assert vendors["my-lab"].key_variables == ("MY_LAB_API_KEY",)
    assert vendors["my-lab"].needs_key
    assert vendors["my-lab"].about == f"from {path}"
    assert not vendors["lan"].needs_key
    assert vendors["groq"].default_model == "small"
    assert vendors["groq"].key_variables == ("MY_GROQ",)
    assert vendors["groq"].base_url == VENDORS["groq"].base_url


def test_an_own_vendor_made_in_code_says_so() -> None:
    own = Settings(providers={"lab": ProviderSettings(base_url="https://lab.example")})
    assert own.vendors()["lab"].about == "your own"


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("custom_llm", "CUSTOM_LLM_API_KEY"),
        ("my-lab.v2", "MY_LAB_V2_API_KEY"),
        ("openai", "OPENAI_API_KEY"),
    ],
)
def test_an_unknown_name_has_a_predictable_variable(name: str, variable: str) -> None:
    assert default_key_variable(name) == variable


@settings(max_examples=60, deadline=None)
@given(text=st.one_of(st.text(), st.text(alphabet="[]{}=\".,\n\\#ao1 '-")))
def test_any_text_gives_settings_or_one_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    result: Settings | str
    try:
        result = load_settings(path, {})
    except ConfigError as error:
        result = str(error)
    assert isinstance(result, Settings) or str(path) in result


def test_a_file_that_has_changed_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path, "max_turns = 2")
    assert load_settings(path, {"VICTOR_MODE": "plan"}).mode == "plan"
    assert load_settings(path, {}) == Settings(max_turns=2, path=path)
    write(tmp_path, "max_turns = 3")
    assert load_settings(path, {}).max_turns == 3
    write(tmp_path, "max_turns = 0")
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"{path}: max_turns"):
            load_settings(path, {})


@pytest.mark.parametrize("name", ["LC_*", "TOKEN=sk-1", "A B", "", "ÄX", "1A"])
def test_a_variable_for_commands_is_a_name_and_is_not_repeated(tmp_path: Path, name: str) -> None:
    said = message(tmp_path, f'sandbox_variables = ["CI", "{name}"]')
    assert said == (
        'FILE: sandbox_variables: expected names of environment variables, as in ["CI", "GOPATH"]: '
        "no patterns and no values"
    )
    assert load_settings(write(tmp_path, "sandbox_variables = []"), {}).sandbox_variables == ()

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from keyring.errors import InitError, KeyringLocked, NoKeyringError

from tests.config.memory_keyring import (
    Install,
    MemoryKeyring,
    StuckKeyring,
    TroubledKeyring,
)
from victor.config import keychain
from victor.config.api_keys import (
    FoundKey,
    KeyringError,
    KeyRow,
    delete_api_key,
    find_api_key,
    fingerprint,
    get_api_key,
    key_hint,
    list_api_keys,
    missing_key_message,
    store_api_key,
    stored_names,
)
from victor.config.settings import ProviderSettings, Settings
from victor.errors import ConfigError

SECRET = "sk-hunter2-ünïcode"


def put(backend: MemoryKeyring, name: str, value: str = SECRET) -> None:
    backend.values["victor", name] = value


def with_command(*command: str, name: str = "openai") -> Settings:
    return Settings(key_command={name: command})


def test_the_parameter_wins_and_nothing_else_is_looked_at(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    put(memory, "openai", "from-keyring")
    environ |= {"OPENAI_API_KEY": "from-environment", "VICTOR_CONFIG": "/does/not/exist"}
    assert get_api_key("openai", " mine ", environ=environ) == "mine"
    assert memory.asked == []


@pytest.mark.parametrize("blank", [None, "", "  \n"], ids=["none", "empty", "spaces"])
def test_a_blank_parameter_counts_as_absent(
    memory: MemoryKeyring, environ: dict[str, str], blank: str | None
) -> None:
    environ["OPENAI_API_KEY"] = "from-environment\n"
    assert get_api_key("openai", blank, environ=environ) == "from-environment"
    assert memory.asked == []


@pytest.mark.parametrize(
    ("name", "variables", "expected"),
    [
        ("openai", {"OPENAI_API_KEY": "a"}, "OPENAI_API_KEY"),
        (" OpenAI ", {"OPENAI_API_KEY": "a"}, "OPENAI_API_KEY"),
        ("xai", {"GROK_API_KEY": "b", "XAI_API_KEY": "a"}, "XAI_API_KEY"),
        ("xai", {"GROK_API_KEY": "a", "XAI_API_KEY": " "}, "GROK_API_KEY"),
        ("custom_llm", {"CUSTOM_LLM_API_KEY": "a"}, "CUSTOM_LLM_API_KEY"),
        ("my-lab.v2", {"MY_LAB_V2_API_KEY": "a"}, "MY_LAB_V2_API_KEY"),
        ("mine", {"MY_KEY": "a", "MINE_API_KEY": "b"}, "MY_KEY"),
    ],
    ids=["row", "spelling", "own name first", "alias", "underscore", "dash and dot", "own vendor"],
)
def test_the_environment_is_searched_by_the_vendors_row(
    memory: MemoryKeyring,
    environ: dict[str, str],
    name: str,
    variables: dict[str, str],
    expected: str,
) -> None:
    own = ProviderSettings(base_url="https://mine.example", key_variables=("MY_KEY",))
    settings = Settings(providers={"mine": own})
    found = find_api_key(name, environ=environ | variables, settings=settings)
    assert found == FoundKey("a", f"environment variable {expected}")
    assert memory.asked == []


def test_own_variables_are_read_from_the_settings_file(environ: dict[str, str]) -> None:
    path = Path(environ["XDG_CONFIG_HOME"]) / "victor" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[providers.lab]\nbase_url = "https://lab.example"\nkey_variables = ["K"]')
    assert get_api_key("lab", environ=environ | {"K": "a"}) == "a"
    assert ": set K, or " in missing_key_message("lab", environ=environ)


def test_the_process_environment_is_the_default(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GROQ_API_KEY", "a")
    assert get_api_key("groq") == "a"


def test_the_keyring_comes_after_the_environment_and_is_asked_once(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    put(memory, "openai")
    settings = with_command("false")
    found = find_api_key("OpenAI", environ=environ, settings=settings)
    assert found == FoundKey(SECRET, "keyring")
    assert memory.asked == ["openai"]


def test_a_key_changed_in_the_keyring_is_seen_at_once(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    put(memory, "openai", "old")
    assert get_api_key("openai", environ=environ) == "old"
    put(memory, "openai", "new")
    assert get_api_key("openai", environ=environ) == "new"


def test_a_blank_value_in_the_keyring_counts_as_absent(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    put(memory, "openai", " ")
    assert get_api_key("openai", environ=environ) is None


def test_a_server_of_ones_own_wakes_no_keyring_unless_its_key_was_stored(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    assert get_api_key("ollama", environ=environ) is None
    assert memory.asked == []
    store_api_key("ollama", SECRET, allow_plaintext=True, environ=environ)
    assert get_api_key("ollama", environ=environ) == SECRET


def test_keyring_is_not_imported_when_the_parameter_or_the_environment_has_the_key(
    environ: dict[str, str],
) -> None:
    code = (
        "import sys; from victor.config.api_keys import get_api_key, key_hint, list_api_keys\n"
        "print(get_api_key('groq', 'x'), get_api_key('mistral'), len(list_api_keys()),"
        " key_hint('groq'), get_api_key('ollama'), 'keyring' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environ | {"MISTRAL_API_KEY": "y"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "x y 1 None None False\n"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (NoKeyringError("x"), "this machine has no keyring"),
        (KeyringLocked("x"), "the keyring is locked"),
        (InitError("x"), "the keyring cannot be opened"),
        (ModuleNotFoundError("x"), "the keyring backend of PYTHON_KEYRING_BACKEND"),
        (OSError(SECRET), "the keyring failed (builtins.OSError)"),
    ],
    ids=["none", "locked", "prompt dismissed", "no such backend", "anything else"],
)
def test_a_keyring_in_trouble_is_one_warning_and_no_key(
    install: Install,
    environ: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    cause: str,
) -> None:
    install(TroubledKeyring(error))
    name = "trouble-" + type(error).__name__.lower()
    with caplog.at_level(logging.WARNING):
        assert [get_api_key(name, environ=environ) for _ in range(3)] == [None] * 3
    assert len(caplog.messages) == 1
    assert cause in caplog.text
    assert SECRET not in caplog.text


def test_a_keyring_that_does_not_answer_is_given_up(
    install: Install,
    environ: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stuck = StuckKeyring()
    install(stuck)
    monkeypatch.setattr(keychain, "READ_TIMEOUT_S", 0.05)
    monkeypatch.setattr(keychain, "WRITE_TIMEOUT_S", 0.05)
    try:
        assert get_api_key("stuck", environ=environ) is None
        with pytest.raises(KeyringError, match=r"did not answer within 0\.05 s"):
            delete_api_key("stuck", environ=environ)
    finally:
        stuck.released.set()
    assert "did not answer within 0.05 s" in caplog.text


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("printf 'sk-one'", "sk-one"),
        ("printf '\\n  sk-one  \\r\\nnote: two\\n'", "sk-one"),
    ],
    ids=["bare", "first line"],
)
def test_the_key_command_comes_last(
    memory: MemoryKeyring, environ: dict[str, str], output: str, expected: str
) -> None:
    settings = with_command("sh", "-c", output)
    found = find_api_key("openai", environ=environ, settings=settings)
    assert found == FoundKey(expected, "key_command")


def test_the_key_command_runs_without_a_shell_and_without_stdin(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    settings = with_command(sys.executable, "-c", "import sys; print(sys.argv[1:])", "$HOME;", "*")
    assert get_api_key("openai", environ=environ, settings=settings) == "['$HOME;', '*']"
    settings = with_command("sh", "-c", "cat; echo key")
    assert get_api_key("openai", environ=environ, settings=settings) == "key"


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        (("sh", "-c", f"echo {SECRET}; echo {SECRET} >&2; exit 3"), "failed with exit code 3"),
        (("sh", "-c", "echo"), "printed nothing"),
        (("/no/such/program", SECRET), "did not start: No such file"),
        (("sh", "a\0b", SECRET), "did not start: it cannot be run"),
    ],
    ids=["fails", "silent", "missing", "unusable"],
)
def test_a_key_command_that_fails_is_one_error_without_its_arguments_or_output(
    memory: MemoryKeyring, environ: dict[str, str], command: tuple[str, ...], cause: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        get_api_key("openai", environ=environ, settings=with_command(*command))
    assert str(caught.value).startswith(f"key_command for openai ({command[0]}) ")
    assert cause in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_command_that_hangs_is_ended(
    memory: MemoryKeyring, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.config.api_keys.COMMAND_TIMEOUT_S", 0.2)
    with pytest.raises(ConfigError, match=r"did not finish within 0\.2 s"):
        get_api_key("openai", environ=environ, settings=with_command("sleep", "60"))


def test_a_key_command_makes_up_for_a_keyring_in_trouble_without_a_warning(
    install: Install, environ: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    install(TroubledKeyring())
    settings = with_command("echo", "key", name="quiet")
    assert get_api_key("quiet", environ=environ, settings=settings) == "key"
    assert caplog.messages == []


def test_a_list_shows_every_place_in_the_order_of_use(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    for name in ("zed", "mistral", "gone"):
        store_api_key(name, SECRET, allow_plaintext=True, environ=environ)
    del memory.values["victor", "gone"]
    settings = Settings(key_command={"mistral": ("false",), "other": ("false",)})
    environ |= {"MISTRAL_API_KEY": "a", "HF_TOKEN": " "}
    assert list_api_keys(environ=environ, settings=settings) == [
        KeyRow("mistral", "environment variable MISTRAL_API_KEY", fingerprint("a")),
        KeyRow("mistral", "keyring", fingerprint(SECRET)),
        KeyRow("mistral", "key_command", None),
        KeyRow("gone", "keyring", None, "not there any more; `victor keys delete gone` forgets it"),
        KeyRow("zed", "keyring", fingerprint(SECRET)),
        KeyRow("other", "key_command", None),
    ]
    delete_api_key("gone", environ=environ)
    assert stored_names(environ) == ("mistral", "zed")


def test_a_list_with_a_locked_keyring_still_shows_the_environment(
    memory: MemoryKeyring, install: Install, environ: dict[str, str]
) -> None:
    store_api_key("groq", SECRET, allow_plaintext=True, environ=environ)
    install(TroubledKeyring())
    assert list_api_keys(environ=environ | {"MISTRAL_API_KEY": "a"}) == [
        KeyRow("mistral", "environment variable MISTRAL_API_KEY", fingerprint("a")),
        KeyRow("groq", "keyring", None, "the keyring is locked; unlock it and try again"),
    ]


def test_a_hint_asks_neither_the_keyring_nor_the_command(
    memory: MemoryKeyring, environ: dict[str, str], tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    settings = with_command("touch", str(ran))
    assert key_hint("groq", environ=environ, settings=settings) is None
    assert key_hint("openai", environ=environ, settings=settings) == "key_command is set"
    store_api_key("openai", SECRET, allow_plaintext=True, environ=environ)
    memory.asked.clear()
    hint = key_hint("OpenAI", environ=environ, settings=settings)
    assert hint == "its key is in the keyring"
    environ["OPENAI_API_KEY"] = "a"
    assert key_hint("openai", environ=environ, settings=settings) == "OPENAI_API_KEY is set"
    assert memory.asked == []
    assert not ran.exists()


@pytest.mark.parametrize(
    ("name", "variable"),
    [("openai", "OPENAI_API_KEY"), ("custom_llm", "CUSTOM_LLM_API_KEY")],
)
def test_a_missing_key_names_the_command(
    environ: Mapping[str, str], name: str, variable: str
) -> None:
    assert missing_key_message(name, environ=environ) == (
        f"no API key for {name}: set {variable}, or store one with `victor keys set {name}`"
    )


def test_a_found_key_does_not_show_its_value() -> None:
    assert repr(FoundKey(SECRET, "keyring")) == "FoundKey(source='keyring')"


def test_fingerprints_tell_keys_apart_even_if_they_are_not_text() -> None:
    marks = {fingerprint(value) for value in ("a", "b", "\udcff", "")}
    assert len(marks) == 4
    assert all(len(mark) == 8 for mark in marks)

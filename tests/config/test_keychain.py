from __future__ import annotations

from pathlib import Path

import keyring
import keyring.backends.chainer
import keyring.backends.fail
import keyring.backends.null
import pytest

from tests.config.memory_keyring import (
    Install,
    Make,
    MemoryKeyring,
    SilentKeyring,
    TroubledKeyring,
)
from victor.config import keychain
from victor.config.api_keys import (
    KeyringError,
    KeyRow,
    delete_api_key,
    fingerprint,
    get_api_key,
    list_api_keys,
    store_api_key,
    stored_names,
)
from victor.errors import ConfigError

SECRET = "sk-hunter2-ünïcode"


def test_a_stored_key_is_found_listed_and_deleted(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    backend = store_api_key(" Groq", f" {SECRET}\n", allow_plaintext=True, environ=environ)
    assert backend == "tests.config.memory_keyring.MemoryKeyring"
    assert memory.values == {("victor", "groq"): SECRET}
    assert stored_names(environ) == ("groq",)
    assert get_api_key("groq", environ=environ) == SECRET
    assert list_api_keys(environ=environ) == [KeyRow("groq", "keyring", fingerprint(SECRET))]
    delete_api_key("GROQ", environ=environ)
    assert memory.values == {}
    assert list_api_keys(environ=environ) == []
    with pytest.raises(KeyringError, match="the keyring holds no key for groq"):
        delete_api_key("groq", environ=environ)


def test_the_state_directory_holds_names_only_and_is_private(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    store_api_key("groq", SECRET, allow_plaintext=True, environ=environ)
    folder = Path(environ["XDG_STATE_HOME"]) / "victor" / "keyring"
    assert [(file.name, file.read_bytes()) for file in folder.iterdir()] == [("groq", b"")]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_name_that_cannot_be_noted_is_an_error_that_says_the_key_is_stored(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    Path(environ["XDG_STATE_HOME"]).write_text("a file in the way")
    with pytest.raises(ConfigError, match="the value is stored, but its name cannot be noted"):
        store_api_key("groq", SECRET, allow_plaintext=True, environ=environ)


@pytest.mark.parametrize(
    "name", ["", " ", "../etc/passwd", "a/b", "a\nb", "ü", "x" * 65, ".hidden"]
)
def test_a_name_that_is_no_providers_is_refused(
    memory: MemoryKeyring, environ: dict[str, str], name: str
) -> None:
    with pytest.raises(ConfigError, match="is not a provider's name"):
        store_api_key(name, SECRET, allow_plaintext=True, environ=environ)
    with pytest.raises(ConfigError, match="is not a provider's name"):
        delete_api_key(name, environ=environ)
    assert memory.values == {}


@pytest.mark.parametrize("value", ["", " ", "two words", "two\nlines", "nul\0", "esc\x1b[0m"])
def test_a_value_that_cannot_be_a_key_is_refused_and_not_repeated(
    memory: MemoryKeyring, environ: dict[str, str], value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        store_api_key("groq", value, allow_plaintext=True, environ=environ)
    assert str(caught.value) == (
        "the key for groq is empty or has blanks or control characters in it"
    )
    assert memory.values == {}


@pytest.mark.parametrize(
    ("backend", "cause"),
    [
        (MemoryKeyring, "MemoryKeyring is not known to encrypt what it stores"),
        (keyring.backends.null.Keyring, "the keyring is switched off"),
        (keyring.backends.fail.Keyring, "this machine has no keyring"),
    ],
    ids=["unknown", "null", "fail"],
)
def test_a_keyring_that_does_not_protect_keys_is_refused(
    install: Install, environ: dict[str, str], backend: Make, cause: str
) -> None:
    install(backend())
    with pytest.raises(KeyringError) as caught:
        store_api_key("groq", SECRET, environ=environ)
    assert cause in str(caught.value)
    assert "`export GROQ_API_KEY=...`, or key_command in the settings file" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert stored_names(environ) == ()


@pytest.mark.parametrize(
    ("backend", "cause"),
    [
        (SilentKeyring, "took the value and did not keep it"),
        (keyring.backends.null.Keyring, "took the value and did not keep it"),
        (keyring.backends.fail.Keyring, "this machine has no keyring"),
        (lambda: TroubledKeyring(ValueError(SECRET)), "the keyring failed (builtins.ValueError)"),
    ],
    ids=["forgetful", "null", "fail", "breaks"],
)
def test_allowing_plain_text_does_not_hide_that_nothing_was_kept(
    install: Install, environ: dict[str, str], backend: Make, cause: str
) -> None:
    install(backend())
    with pytest.raises(KeyringError) as caught:
        store_api_key("groq", SECRET, allow_plaintext=True, environ=environ)
    assert cause in str(caught.value)
    assert SECRET not in str(caught.value)
    assert stored_names(environ) == ()


def test_a_key_that_stays_after_deletion_is_an_error(
    install: Install, environ: dict[str, str]
) -> None:
    silent = SilentKeyring()
    silent.values["victor", "groq"] = SECRET
    install(silent)
    with pytest.raises(KeyringError, match="did not remove the value"):
        delete_api_key("groq", environ=environ)


class Encrypting(MemoryKeyring):
    pass


# As if it came with keyring: the module's name is what victor goes by.
Encrypting.__module__ = "keyring.backends.SecretService"


def test_a_chain_is_judged_by_the_backend_it_writes_to(
    install: Install, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Encrypting(), MemoryKeyring()
    chain = keyring.backends.chainer.ChainerBackend
    make: Make = chain
    install(make())
    monkeypatch.setattr(chain, "backends", [first, second])
    title = "keyring.backends.SecretService.Encrypting"
    assert keychain.inspect() == (title, None)
    assert store_api_key("groq", SECRET, environ=environ) == title
    assert (first.values, second.values) == ({("victor", "groq"): SECRET}, {})
    monkeypatch.setattr(chain, "backends", [second, first])
    with pytest.raises(KeyringError, match="not known to encrypt"):
        store_api_key("groq", SECRET, environ=environ)
    assert keychain.inspect()[1] is not None


def test_looking_at_a_keyring_that_fails_says_why(install: Install) -> None:
    class Locked(TroubledKeyring):
        pass

    Locked.__module__ = "keyring.backends.SecretService"
    install(Locked())
    assert keychain.inspect() == ("none", "the keyring is locked; unlock it and try again")

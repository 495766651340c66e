from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_keys import memory, memory_home, vendor, victor_keys
from tests.config.memory_keyring import MemoryKeyring
from victor.config.api_keys import fingerprint

__all__ = ["memory", "memory_home"]

ONE, TWO = "sk-hunter2-one", "sk-hunter2-two"
BACKEND = "tests.config.memory_keyring.MemoryKeyring"


def add(value: str, name: str = "groq") -> str:
    result = victor_keys("add", name, "--allow-plaintext", stdin=value)
    assert result.exit_code == 0
    return result.stdout


def test_further_keys_are_added_listed_and_removed(memory: MemoryKeyring) -> None:
    one, two = fingerprint(ONE), fingerprint(TWO)
    assert add(ONE) == f"added the key {one} to groq in {BACKEND}\n"
    assert add(TWO) == f"added the key {two} to groq in {BACKEND}, which has 2 keys now\n"
    assert add(TWO, "Groq") == f"the key {two} of groq is there already\n"
    assert victor_keys("list").stdout == (
        f"NAME  WHERE    FINGERPRINT\ngroq  keyring  {one}\ngroq  keyring  {two}\n"
    )
    result = victor_keys("remove", "groq", one.upper())
    assert result.stdout == f"removed the key {one} of groq from the keyring\n"
    assert list(memory.values.values()) == [TWO]
    result = victor_keys("remove", "groq", one)
    assert result.exit_code == 78
    assert f"the keyring holds no key {one} for groq; `victor keys list`" in result.stderr


def test_deleting_removes_them_all(memory: MemoryKeyring) -> None:
    add(ONE)
    add(TWO)
    assert victor_keys("delete", "groq").stdout == "deleted the 2 keys of groq from the keyring\n"
    assert memory.values == {}


@pytest.mark.parametrize(
    "arguments",
    [("remove", "groq", "sk-hunter2"), ("remove", "groq", "0123abcd", "sk-hunter2"),
     ("add", "groq", "sk-hunter2"), ("remove", "groq")],
    ids=" ".join,
)  # fmt: skip
def test_a_key_where_a_fingerprint_belongs_is_refused_and_not_repeated(
    memory: MemoryKeyring, arguments: tuple[str, ...]
) -> None:
    assert victor_keys(*arguments, stdin=ONE).exit_code == 2
    assert memory.asked == []


def test_a_further_key_beside_a_variable_is_told(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEYS", "x,y")
    result = victor_keys("add", "groq", "--allow-plaintext", stdin=ONE)
    assert result.stderr == (
        "note: environment variable GROQ_API_KEYS is set, too, and is used instead\n"
    )


def test_a_further_key_of_an_unknown_provider_is_stored_with_a_note(memory: MemoryKeyring) -> None:
    result = victor_keys("add", "grok", "--allow-plaintext", stdin=ONE)
    assert result.stderr == "note: no provider of that name is installed; did you mean groq?\n"


def test_each_of_several_keys_is_tested(memory_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_API_KEYS", f"{ONE},{TWO}")
    with vendor(memory_home, TWO):
        result = victor_keys("test", "lab")
    place = "the key from environment variable LAB_API_KEYS"
    assert result.exit_code == 77
    assert result.stdout == f"lab accepts {place} ({fingerprint(TWO)}) and lists 2 models\n"
    assert result.stderr.startswith(f"lab refuses {place} ({fingerprint(ONE)}): ")
    with vendor(memory_home / "again", None):
        monkeypatch.setenv("VICTOR_CONFIG", str(memory_home / "again/config/victor/config.toml"))
        assert victor_keys("test", "lab").exit_code == 0

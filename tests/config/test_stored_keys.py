from __future__ import annotations

import pytest

from tests.config.memory_keyring import Install, MemoryKeyring, TroubledKeyring
from victor.config.api_keys import (
    KeyringError,
    KeyRow,
    add_api_key,
    delete_api_key,
    find_api_key,
    find_api_keys,
    fingerprint,
    get_api_key,
    get_api_keys,
    key_hint,
    list_api_keys,
    remove_api_key,
    store_api_key,
    stored_names,
)
from victor.config.settings import Settings
from victor.errors import ConfigError

ONE, TWO, THREE = "sk-hunter2-one", "sk-hunter2-two", "sk-hunter2-three"


def add(value: str, environ: dict[str, str], name: str = "groq") -> str | None:
    return add_api_key(name, value, allow_plaintext=True, environ=environ)


# ---------------------------------------------------------------------------- environment


@pytest.mark.parametrize(
    ("variables", "keys"),
    [
        ({"GROQ_API_KEY": "a"}, ("a",)),
        ({"GROQ_API_KEYS": "a,b"}, ("a", "b")),
        ({"GROQ_API_KEY": "b", "GROQ_API_KEYS": " a , b,,c\n"}, ("b", "a", "c")),
        ({"GROQ_API_KEYS": " , "}, ()),
        ({"XAI_API_KEYS": "a"}, ()),
    ],
    ids=["one", "several", "both", "blanks", "another vendor's"],
)
def test_a_variable_with_an_s_holds_several_keys(
    memory: MemoryKeyring,
    environ: dict[str, str],
    variables: dict[str, str],
    keys: tuple[str, ...],
) -> None:
    environ |= variables
    assert get_api_keys("groq", environ=environ) == keys
    assert get_api_key("groq", environ=environ) == (keys[0] if keys else None)
    hint = key_hint("groq", environ=environ)
    assert hint == (f"{next(iter(variables))} is set" if keys else None)


def test_every_variable_of_a_vendor_may_have_an_s(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    environ |= {"GROK_API_KEYS": "c", "XAI_API_KEYS": "b", "GROK_API_KEY": "a"}
    found = find_api_keys("xai", environ=environ)
    assert [(each.value, each.source.rpartition(" ")[2]) for each in found] == [
        ("a", "GROK_API_KEY"),
        ("b", "XAI_API_KEYS"),
        ("c", "GROK_API_KEYS"),
    ]


def test_the_callers_own_keys_win(memory: MemoryKeyring, environ: dict[str, str]) -> None:
    environ["GROQ_API_KEYS"] = "a,b"
    assert get_api_keys("groq", " mine ", environ=environ) == ("mine",)
    assert get_api_keys("groq", ["x", " ", "y", "x "], environ=environ) == ("x", "y")
    for blank in (None, "", " ", [], [" "]):
        assert get_api_keys("groq", blank, environ=environ) == ("a", "b")
    assert memory.asked == []


# ---------------------------------------------------------------------------- keyring


def test_further_keys_lie_beside_the_first(memory: MemoryKeyring, environ: dict[str, str]) -> None:
    assert add(ONE, environ) == "tests.config.memory_keyring.MemoryKeyring"
    assert add(TWO, environ)
    assert add(f" {THREE}\n", environ, " Groq ")
    assert memory.values == {
        ("victor", "groq"): ONE,
        ("victor", f"groq+{fingerprint(TWO)}"): TWO,
        ("victor", f"groq+{fingerprint(THREE)}"): THREE,
    }
    found = find_api_keys("groq", environ=environ)
    assert [each.source for each in found] == ["keyring"] * 3
    assert found[0].value == ONE
    assert set(get_api_keys("groq", environ=environ)) == {ONE, TWO, THREE}
    assert find_api_key("groq", environ=environ) == found[0]
    assert key_hint("groq", environ=environ) == "its key is in the keyring"


def test_a_key_that_is_there_already_is_not_stored_again(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    memory.values["victor", "groq"] = ONE  # by another program
    assert add(ONE, environ) is None
    add(TWO, environ)
    before = dict(memory.values)
    assert add(TWO, environ) is None
    assert memory.values == before


def test_names_that_begin_alike_are_kept_apart(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    for name in ("lab", "lab-2", "lab.x"):
        add(ONE, environ, name)
        add(TWO, environ, name)
    assert delete_api_key("lab", environ=environ) == 2
    assert get_api_keys("lab", environ=environ) == ()
    assert len(get_api_keys("lab-2", environ=environ)) == 2
    assert len(get_api_keys("lab.x", environ=environ)) == 2


def test_one_of_several_is_removed_by_its_fingerprint(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    for value in (ONE, TWO):
        add(value, environ)
    remove_api_key("groq", fingerprint(ONE), environ=environ)
    assert get_api_keys("groq", environ=environ) == (TWO,)
    with pytest.raises(KeyringError, match=f"holds no key {fingerprint(ONE)} for groq"):
        remove_api_key("groq", fingerprint(ONE), environ=environ)
    add(THREE, environ)
    assert memory.values["victor", "groq"] == THREE  # the first place was free again
    assert delete_api_key("groq", environ=environ) == 2
    assert stored_names(environ) == ()


def test_setting_replaces_the_first_key_alone(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    for value in (ONE, TWO):
        add(value, environ)
    store_api_key("groq", THREE, allow_plaintext=True, environ=environ)
    assert get_api_keys("groq", environ=environ) == (THREE, TWO)


def test_the_list_has_a_row_for_every_key(memory: MemoryKeyring, environ: dict[str, str]) -> None:
    for value in (ONE, TWO):
        add(value, environ)
    environ["GROQ_API_KEYS"] = f"{TWO},{THREE}"
    place = "environment variable GROQ_API_KEYS"
    rows = list_api_keys(environ=environ, settings=Settings())
    assert rows == [
        KeyRow("groq", place, fingerprint(TWO)),
        KeyRow("groq", place, fingerprint(THREE)),
        KeyRow("groq", "keyring", fingerprint(ONE)),
        KeyRow("groq", "keyring", fingerprint(TWO)),
    ]
    assert "hunter2" not in repr(rows)


def test_a_further_key_that_is_gone_is_listed_with_the_way_out(
    memory: MemoryKeyring, environ: dict[str, str]
) -> None:
    for value in (ONE, TWO):
        add(value, environ)
    del memory.values["victor", f"groq+{fingerprint(TWO)}"]
    row = list_api_keys(environ=environ, settings=Settings())[-1]
    assert row.fingerprint is None
    assert row.problem == "not there any more; `victor keys delete groq` forgets it"
    assert get_api_keys("groq", environ=environ) == (ONE,)
    assert delete_api_key("groq", environ=environ) == 2


def test_a_keyring_in_trouble_stores_no_further_key(
    install: Install, environ: dict[str, str]
) -> None:
    install(TroubledKeyring())
    with pytest.raises(KeyringError, match=r"no key was stored for groq: the keyring is locked"):
        add(ONE, environ)


@pytest.mark.parametrize("bad", ["", "two words", "line\nbreak"], ids=["empty", "blank", "break"])
def test_what_cannot_be_a_key_is_not_added(
    memory: MemoryKeyring, environ: dict[str, str], bad: str
) -> None:
    with pytest.raises(ConfigError, match="is empty or has blanks"):
        add(bad, environ)
    with pytest.raises(ConfigError, match="is not a provider's name"):
        add(ONE, environ, "a+b")
    assert memory.values == {}

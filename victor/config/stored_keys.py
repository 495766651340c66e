"""API keys in the system's keyring: stored, added, removed.

A provider's first key lies under its name, further ones beside it as `name+fingerprint`. Knows
nothing about other places of keys, or about which key is used. Messages show at most a fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from victor.config import keychain
from victor.config.checks import WrongSettingError, provider_name
from victor.config.keychain import KeyringError, stored_names
from victor.config.settings import Settings, default_key_variable
from victor.errors import ConfigError

__all__ = [
    "add_api_key",
    "delete_api_key",
    "fingerprint",
    "key_variables",
    "places_of",
    "remove_api_key",
    "store_api_key",
]

_FURTHER = "+"
"""Between a provider's name, which cannot have it, and the fingerprint of a further key."""


def fingerprint(value: str) -> str:
    """Return the first 8 hex digits of the key's SHA-256: tells keys apart and reveals none."""
    return hashlib.sha256(value.encode(errors="backslashreplace")).hexdigest()[:8]


def key_variables(name: str, settings: Settings) -> tuple[str, ...]:
    """Return the environment variables that may hold a provider's key."""
    row = settings.vendors().get(name)
    return (row.key_variables if row else ()) or (default_key_variable(name),)


def places_of(name: str, stored: Sequence[str]) -> list[str]:
    """Return the places of the keyring that hold a provider's keys, the first key's first.

    Args:
        name: the provider's name.
        stored: all places, sorted.
    """
    return [each for each in stored if each == name or each.startswith(name + _FURTHER)]


def store_api_key(
    name: str,
    value: str,
    *,
    allow_plaintext: bool = False,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Put a key into the system's keyring and read it back.

    Args:
        name: the provider's name.
        value: the key; blanks around it are dropped.
        allow_plaintext: also use a backend that is not known to encrypt.
        environ: instead of `os.environ`, for the state directory.

    Returns:
        The name of the backend that holds it now.

    Raises:
        ConfigError: the name or the value cannot be one.
        KeyringError: there is no keyring, it is locked, does not answer, is not known to encrypt,
            or did not keep the value.
    """
    name = _checked_name(name)
    return _store(name, name, value.strip(), allow_plaintext=allow_plaintext, environ=environ)


def delete_api_key(name: str, *, environ: Mapping[str, str] | None = None) -> int:
    """Remove all keys of a provider from the system's keyring; return how many there were.

    Args:
        name: the provider's name.
        environ: instead of `os.environ`, for the state directory.

    Raises:
        ConfigError: the name cannot be one.
        KeyringError: the keyring cannot be used, or holds no such key.
    """
    name = _checked_name(name)
    return _remove(name, _stored_of(name, environ) or [name], environ)


def add_api_key(
    name: str,
    value: str,
    *,
    allow_plaintext: bool = False,
    environ: Mapping[str, str] | None = None,
) -> str | None:
    """Put a further key into the system's keyring; the first one as `store_api_key` does.

    Args:
        name: the provider's name.
        value: as in `store_api_key`, like all that follow.
        allow_plaintext: also use a backend that is not known to encrypt.
        environ: instead of `os.environ`, for the state directory.

    Returns:
        The name of the backend that holds it now; None if it was there before.

    Raises:
        ConfigError: the name or the value cannot be one.
        KeyringError: as `store_api_key`.
    """
    name, value = _checked_name(name), value.strip()
    try:
        # The first one may have been put there by another program.
        stored = keychain.read(dict.fromkeys([name, *_stored_of(name, environ)]))
    except KeyringError as error:
        raise _not_stored(name, error) from None
    if value in stored.values():
        return None
    place = name if name not in stored else f"{name}{_FURTHER}{fingerprint(value)}"
    return _store(name, place, value, allow_plaintext=allow_plaintext, environ=environ)


def remove_api_key(name: str, mark: str, *, environ: Mapping[str, str] | None = None) -> None:
    """Remove one of several keys from the system's keyring.

    Args:
        name: the provider's name.
        mark: the key's fingerprint.
        environ: instead of `os.environ`, for the state directory.

    Raises:
        ConfigError: the name cannot be one.
        KeyringError: the keyring cannot be used, or holds no such key.
    """
    name = _checked_name(name)
    stored = keychain.read(_stored_of(name, environ))
    places = [place for place, value in stored.items() if fingerprint(value.strip()) == mark]
    if not places:
        raise KeyringError(
            f"the keyring holds no key {mark} for {name}; `victor keys list` shows them"
        )
    _remove(name, places, environ)


def _store(
    name: str,
    place: str,
    value: str,
    *,
    allow_plaintext: bool,
    environ: Mapping[str, str] | None,
) -> str:
    if not value or not value.isprintable() or " " in value:
        raise ConfigError(f"the key for {name} is empty or has blanks or control characters in it")
    try:
        return keychain.write(place, value, allow_plaintext=allow_plaintext, environ=environ)
    except KeyringError as error:
        raise _not_stored(name, error) from None


def _not_stored(name: str, error: KeyringError) -> KeyringError:
    variable = key_variables(name, Settings())[0]
    return KeyringError(
        f"no key was stored for {name}: {error}. Other ways: `export {variable}=...`, or "
        "key_command in the settings file"
    )


def _stored_of(name: str, environ: Mapping[str, str] | None) -> list[str]:
    return places_of(name, stored_names(environ))


def _remove(name: str, places: Sequence[str], environ: Mapping[str, str] | None) -> int:
    removed = [keychain.remove(place, environ=environ) for place in places]
    if not any(removed):
        raise KeyringError(f"the keyring holds no key for {name}; see `victor keys list`")
    return sum(removed)


def _checked_name(name: str) -> str:
    try:
        return provider_name("name", name.strip().lower())
    except WrongSettingError as error:
        raise ConfigError(str(error)) from None

"""API keys: where a provider's key is found, stored and listed.

Order: the caller's own value, the environment, the keyring, the user's `key_command`. Knows
nothing about which provider is used or about HTTP. A key's value leaves as a return value and in
no other way: messages and lists show at most a fingerprint.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from victor.config import keychain
from victor.config.checks import WrongSettingError, provider_name
from victor.config.keychain import KeyringError, stored_names
from victor.config.settings import Settings, default_key_variable, load_settings
from victor.errors import ConfigError

__all__ = [
    "FoundKey",
    "KeyRow",
    "KeyringError",
    "delete_api_key",
    "find_api_key",
    "fingerprint",
    "get_api_key",
    "key_hint",
    "list_api_keys",
    "missing_key_message",
    "store_api_key",
    "stored_names",
]

_log = logging.getLogger(__name__)

COMMAND_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A key and where it was found."""

    value: str = field(repr=False)
    source: str
    """Such as `"environment variable OPENAI_API_KEY"`, `"keyring"` or `"key_command"`."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One place that holds a provider's key, without the key."""

    name: str
    source: str
    """As in `FoundKey`."""
    fingerprint: str | None
    """None where the value was not read: a list does not run `key_command`."""
    problem: str | None = None
    """Why the place cannot be read just now."""


def get_api_key(
    name: str,
    api_key: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> str | None:
    """Return a provider's API key, or None where there is none.

    May block while the keyring (5 s) or `key_command` (10 s) answers; both are asked only when
    the parameter and the environment are blank. A keyring that cannot be read is a logged warning.

    Args:
        name: the provider's name, such as `"openai"`.
        api_key: the caller's own key; blank counts as absent.
        environ: instead of `os.environ`.
        settings: instead of the user's settings file.

    Raises:
        ConfigError: the settings file is wrong, or the configured `key_command` failed.
    """
    if api_key is not None and (value := api_key.strip()):
        return value
    found = find_api_key(name, environ=environ, settings=settings)
    return found.value if found else None


def find_api_key(
    name: str, *, environ: Mapping[str, str] | None = None, settings: Settings | None = None
) -> FoundKey | None:
    """Look for a provider's key in the environment, the keyring and `key_command`.

    Args:
        name: as in `get_api_key`, like the other arguments.
        environ: instead of `os.environ`.
        settings: instead of the user's settings file.

    Raises:
        ConfigError: as `get_api_key`.
    """
    environ, settings = _defaults(environ, settings)
    name = _lowered(name)
    if variable := _set_variable(name, environ, settings):
        return FoundKey(environ[variable].strip(), f"environment variable {variable}")
    command = settings.key_command.get(name)
    if value := _from_keyring(name, environ, settings):
        return FoundKey(value, "keyring")
    return FoundKey(_run_key_command(name, command, environ), "key_command") if command else None


def key_hint(
    name: str, *, environ: Mapping[str, str] | None = None, settings: Settings | None = None
) -> str | None:
    """Tell where a key would come from without asking the keyring or running anything.

    Args:
        name: the provider's name.
        environ: instead of `os.environ`.
        settings: instead of the user's settings file.

    Returns:
        `"OPENAI_API_KEY is set"`, `"its key is in the keyring"`, `"key_command is set"` or None.
    """
    environ, settings = _defaults(environ, settings)
    name = _lowered(name)
    if variable := _set_variable(name, environ, settings):
        return f"{variable} is set"
    if name in stored_names(environ):
        return "its key is in the keyring"
    return "key_command is set" if name in settings.key_command else None


def missing_key_message(
    name: str, *, environ: Mapping[str, str] | None = None, settings: Settings | None = None
) -> str:
    """Say that a key is missing, with the exact command that adds one."""
    _, settings = _defaults(environ, settings)
    name = _lowered(name)
    variable = _variables(name, settings)[0]
    return f"no API key for {name}: run `victor keys set {name}`, or set {variable}"


def fingerprint(value: str) -> str:
    """Return the first 8 hex digits of the key's SHA-256: tells keys apart and reveals none."""
    return hashlib.sha256(value.encode(errors="backslashreplace")).hexdigest()[:8]


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
    value = value.strip()
    if not value or not value.isprintable() or " " in value:
        raise ConfigError(f"the key for {name} is empty or has blanks or control characters in it")
    try:
        return keychain.write(name, value, allow_plaintext=allow_plaintext, environ=environ)
    except KeyringError as error:
        raise KeyringError(
            f"no key was stored for {name}: {error}. Other ways: "
            f"`export {_variables(name, Settings())[0]}=...`, or key_command in the settings file"
        ) from None


def delete_api_key(name: str, *, environ: Mapping[str, str] | None = None) -> None:
    """Remove a key from the system's keyring.

    Args:
        name: the provider's name.
        environ: instead of `os.environ`, for the state directory.

    Raises:
        ConfigError: the name cannot be one.
        KeyringError: the keyring cannot be used, or holds no such key.
    """
    name = _checked_name(name)
    if not keychain.remove(name, environ=environ):
        raise KeyringError(f"the keyring holds no key for {name}; see `victor keys list`")


def list_api_keys(
    *, environ: Mapping[str, str] | None = None, settings: Settings | None = None
) -> list[KeyRow]:
    """List every place that holds a key, without the keys.

    The keyring is asked only for the names that victor stored. Where it cannot be read its rows
    carry a `problem`, so that the keys of the environment are still listed.

    Args:
        environ: instead of `os.environ`.
        settings: instead of the user's settings file.

    Raises:
        ConfigError: the settings file is wrong.
    """
    environ, settings = _defaults(environ, settings)
    stored = stored_names(environ)
    problem = None
    values: Mapping[str, str] = {}
    try:
        values = keychain.read(stored) if stored else {}
    except KeyringError as error:
        problem = str(error)
    rows: list[KeyRow] = []
    for name in dict.fromkeys([*settings.vendors(), *stored, *settings.key_command]):
        if variable := _set_variable(name, environ, settings):
            mark = fingerprint(environ[variable].strip())
            rows.append(KeyRow(name, f"environment variable {variable}", mark))
        if name in values:
            rows.append(KeyRow(name, "keyring", fingerprint(values[name])))
        elif name in stored:
            gone = f"not there any more; `victor keys delete {name}` forgets it"
            rows.append(KeyRow(name, "keyring", None, problem or gone))
        if name in settings.key_command:
            rows.append(KeyRow(name, "key_command", None))
    return rows


def _defaults(
    environ: Mapping[str, str] | None, settings: Settings | None
) -> tuple[Mapping[str, str], Settings]:
    environ = os.environ if environ is None else environ
    return environ, load_settings(environ=environ) if settings is None else settings


def _lowered(name: str) -> str:
    return name.strip().lower()


def _checked_name(name: str) -> str:
    try:
        return provider_name("name", _lowered(name))
    except WrongSettingError as error:
        raise ConfigError(str(error)) from None


def _variables(name: str, settings: Settings) -> tuple[str, ...]:
    row = settings.vendors().get(name)
    return (row.key_variables if row else ()) or (default_key_variable(name),)


def _set_variable(name: str, environ: Mapping[str, str], settings: Settings) -> str | None:
    return next((v for v in _variables(name, settings) if environ.get(v, "").strip()), None)


def _from_keyring(name: str, environ: Mapping[str, str], settings: Settings) -> str:
    row = settings.vendors().get(name)
    if row and not row.needs_key and name not in stored_names(environ):
        return ""  # a server on one's own machine: not worth waking up D-Bus
    try:
        return keychain.read([name]).get(name, "").strip()
    except KeyringError as error:
        if name not in settings.key_command:
            _warn_once(name, str(error))
        return ""


@cache
def _warn_once(name: str, cause: str) -> None:
    _log.warning("no API key for %s from the keyring: %s", name, cause)


def _run_key_command(name: str, command: tuple[str, ...], environ: Mapping[str, str]) -> str:
    import subprocess

    # Neither arguments nor output in the messages: either may hold the key.
    failed = f"key_command for {name} ({command[0]})"
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_TIMEOUT_S,
            env=environ,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{failed} did not finish within {COMMAND_TIMEOUT_S:g} s") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it cannot be run"
        raise ConfigError(f"{failed} did not start: {why}; check the settings file") from None
    if done.returncode:
        raise ConfigError(
            f"{failed} failed with exit code {done.returncode}; run it by hand to see why"
        )
    # The first line: `pass` and others keep notes below the secret.
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    if not lines:
        raise ConfigError(f"{failed} printed nothing; it has to print the key")
    return lines[0].strip()

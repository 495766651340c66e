"""API keys: where a provider's key is found and listed.

Order: the caller's own value, the environment, the keyring, the user's `key_command`. A provider
may have several keys: in the environment, the variable's name with an S has more of them, separated
by commas; the keyring holds any number. Knows nothing about which provider is used or about HTTP. A
key's value leaves as a return value and in no other way: messages and lists show at most a
fingerprint.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from victor.config import keychain
from victor.config.keychain import KeyringError, stored_names
from victor.config.settings import Settings, load_settings
from victor.config.stored_keys import (
    add_api_key,
    delete_api_key,
    fingerprint,
    key_variables,
    places_of,
    remove_api_key,
    store_api_key,
)
from victor.errors import ConfigError

__all__ = [
    "FoundKey",
    "KeyRow",
    "KeyringError",
    "add_api_key",
    "delete_api_key",
    "find_api_key",
    "find_api_keys",
    "fingerprint",
    "get_api_key",
    "get_api_keys",
    "key_hint",
    "list_api_keys",
    "missing_key_message",
    "remove_api_key",
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
    """Look for a provider's first key; see `find_api_keys`."""
    found = find_api_keys(name, environ=environ, settings=settings)
    return found[0] if found else None


def get_api_keys(
    name: str,
    api_key: str | Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    settings: Settings | None = None,
) -> tuple[str, ...]:
    """Return all of a provider's API keys, each once; see `get_api_key`.

    Args:
        name: the provider's name.
        api_key: the caller's own key or keys; blank ones count as absent.
        environ: instead of `os.environ`.
        settings: instead of the user's settings file.

    Raises:
        ConfigError: as `get_api_key`.
    """
    given = (api_key,) if isinstance(api_key, str) else api_key or ()
    values = [value for each in given if (value := each.strip())]
    if not values:
        values = [each.value for each in find_api_keys(name, environ=environ, settings=settings)]
    return tuple(dict.fromkeys(values))


def find_api_keys(
    name: str, *, environ: Mapping[str, str] | None = None, settings: Settings | None = None
) -> list[FoundKey]:
    """Look for a provider's keys in the environment, the keyring and `key_command`.

    The first of these places that holds any is the only one that counts.

    Args:
        name: as in `get_api_key`, like the other arguments.
        environ: instead of `os.environ`.
        settings: instead of the user's settings file.

    Raises:
        ConfigError: as `get_api_key`.
    """
    environ, settings = _defaults(environ, settings)
    name = _lowered(name)
    if found := _from_environment(name, environ, settings):
        return found
    command = settings.key_command.get(name)
    if values := _from_keyring(name, environ, settings):
        return [FoundKey(value, "keyring") for value in values]
    return [FoundKey(_run_key_command(name, command, environ), "key_command")] if command else []


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
    if found := _from_environment(name, environ, settings):
        return f"{found[0].source.rpartition(' ')[2]} is set"
    if places_of(name, stored_names(environ)):
        return "its key is in the keyring"
    return "key_command is set" if name in settings.key_command else None


def missing_key_message(
    name: str, *, environ: Mapping[str, str] | None = None, settings: Settings | None = None
) -> str:
    """Say that a key is missing, with the exact command that adds one."""
    _, settings = _defaults(environ, settings)
    name = _lowered(name)
    variable = key_variables(name, settings)[0]
    return f"no API key for {name}: set {variable}, or store one with `victor keys set {name}`"


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
    names = [place.partition("+")[0] for place in stored]
    for name in dict.fromkeys([*settings.vendors(), *names, *settings.key_command]):
        for found in _from_environment(name, environ, settings):
            rows.append(KeyRow(name, found.source, fingerprint(found.value)))
        for place in places_of(name, stored):
            if place in values:
                rows.append(KeyRow(name, "keyring", fingerprint(values[place].strip())))
            else:
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


def _from_environment(name: str, environ: Mapping[str, str], settings: Settings) -> list[FoundKey]:
    """Return the keys of the first variable that is set and of those with an S, each once."""
    variables = key_variables(name, settings)
    first = next((each for each in variables if environ.get(each, "").strip()), None)
    found = {} if first is None else {environ[first].strip(): first}
    for variable in (f"{each}S" for each in variables):
        for part in environ.get(variable, "").split(","):
            if value := part.strip():
                found.setdefault(value, variable)
    return [FoundKey(value, f"environment variable {place}") for value, place in found.items()]


def _from_keyring(name: str, environ: Mapping[str, str], settings: Settings) -> list[str]:
    row, stored = settings.vendors().get(name), places_of(name, stored_names(environ))
    if row and not row.needs_key and not stored:
        return []  # a server on one's own machine: not worth waking up D-Bus
    try:
        values = keychain.read(dict.fromkeys([name, *stored]))
    except KeyringError as error:
        if name not in settings.key_command:
            _warn_once(name, str(error))
        return []
    return [value for each in values.values() if (value := each.strip())]


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

"""Checks for values that a person wrote: each takes a setting's name and value.

A check returns the value to keep or raises `WrongSettingError`, whose text says where the value is
and what is expected. Knows nothing about files, the environment, or which settings there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, TypeAlias
from urllib.parse import urlsplit

__all__ = [
    "Check",
    "WrongSettingError",
    "by_pattern",
    "by_provider",
    "checked",
    "day",
    "flag",
    "integer",
    "one_of",
    "price",
    "provider_name",
    "seconds",
    "table",
    "text",
    "texts",
    "url",
    "words",
]

_SECRETS = ("api_key", "apikey", "key", "secret", "token", "password")
_PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class WrongSettingError(Exception):
    """A value that cannot be used; the text says where it is and what is expected."""


Check: TypeAlias = Callable[[str, Any], Any]
"""Takes a setting's full name and its value, returns the value to keep."""


def _wrong(name: str, expected: str, value: object) -> WrongSettingError:
    # Never the value itself: people do put keys into the wrong place.
    return WrongSettingError(f"{name}: expected {expected}, got {_kind(value)}")


def _kind(value: object) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a float", str: "a string"}
    names |= {list: "a list", dict: "a table"}
    return names.get(type(value), f"a {type(value).__name__}")


def text(name: str, value: Any) -> str:
    """Accept a string that is not blank; strip it."""
    if not isinstance(value, str):
        raise _wrong(name, "a string", value)
    if not value.strip():
        raise WrongSettingError(f"{name}: expected a string, got an empty one")
    return value.strip()


def flag(name: str, value: Any) -> bool:
    """Accept a boolean."""
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return value


def one_of(*choices: str) -> Check:
    """Accept one of these strings."""

    def check(name: str, value: Any) -> str:
        if value not in choices:
            got = repr(value) if isinstance(value, str) else _kind(value)
            raise WrongSettingError(f"{name}: expected one of {', '.join(choices)}, got {got}")
        return str(value)

    return check


def integer(minimum: int) -> Check:
    """Accept an integer of at least `minimum`."""

    def check(name: str, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(name, "an integer", value)
        if value < minimum:
            raise WrongSettingError(f"{name}: expected at least {minimum}, got {value}")
        return value

    return check


def seconds(name: str, value: Any) -> float:
    """Accept a positive, finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(name, "a number of seconds", value)
    if not 0 < value < float("inf"):
        raise WrongSettingError(f"{name}: expected a number of seconds above 0, got {value}")
    return float(value)


def price(name: str, value: Any) -> float:
    """Accept a finite number of at least 0."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(name, "a number of dollars", value)
    if not 0 <= value < float("inf"):
        raise WrongSettingError(f"{name}: expected at least 0 dollars, got {value}")
    return float(value)


def day(name: str, value: Any) -> str:
    """Accept a date, TOML's own or a string, as YYYY-MM-DD."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str):
        raise _wrong(name, "a date like 2026-01-31", value)
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise WrongSettingError(f"{name}: expected a date like 2026-01-31") from None


def words(name: str, value: Any) -> tuple[str, ...]:
    """Accept a list of strings, which may be empty."""
    return () if value == [] else texts(name, value)


def texts(name: str, value: Any) -> tuple[str, ...]:
    """Accept a list of strings whose first is not blank."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        got = "a list with other things in it" if isinstance(value, list) else _kind(value)
        raise WrongSettingError(f"{name}: expected a list of strings, got {got}")
    if not value or not value[0].strip():
        raise WrongSettingError(f"{name}: expected a list of strings, got an empty one")
    return tuple(value)


def url(name: str, value: Any) -> str:
    """Accept an http or https address without credentials; drop its trailing slash."""
    address = text(name, value)
    wrong = WrongSettingError(f"{name}: expected an address like https://host/v1")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise wrong
    if "@" in parts.netloc:
        raise WrongSettingError(f"{name}: an address must not contain a user name or password")
    return address.rstrip("/")


def table(name: str, value: Any) -> Mapping[str, Any]:
    """Accept a table."""
    if not isinstance(value, dict):
        raise _wrong(name, "a table", value)
    return value


def provider_name(name: str, value: str) -> str:
    """Accept a provider's name: it becomes a variable's and a file's name."""
    if not _PROVIDER_NAME.fullmatch(value):
        raise WrongSettingError(
            f"{name}: {value!r} is not a provider's name: use a-z, 0-9, '-', '_' and '.'"
        )
    return value


def by_provider(each: Check) -> Check:
    """Check a table from provider names to something."""

    def check(name: str, value: Any) -> Mapping[str, Any]:
        rows = table(name, value)
        return MappingProxyType(
            {provider_name(name, key): each(f"{name}.{key}", item) for key, item in rows.items()}
        )

    return check


def by_pattern(each: Check) -> Check:
    """Check a table from patterns of models' names to something."""

    def check(name: str, value: Any) -> Mapping[str, Any]:
        rows = table(name, value)
        if any(not key.strip() for key in rows):
            raise WrongSettingError(f'{name}: a pattern is empty; "*" stands for all models')
        return MappingProxyType(
            {key.strip(): each(f'{name}."{key}"', item) for key, item in rows.items()}
        )

    return check


def checked(values: Mapping[str, Any], checks: Mapping[str, Check], inside: str) -> dict[str, Any]:
    """Check every value of a table; a name without a check is an error that hints at a near one."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{inside}.{key}" if inside else key
        if key in checks:
            found[key] = checks[key](name, value)
            continue
        if key.lower().replace("-", "_") in _SECRETS:
            provider = inside.rpartition(".")[2] or "NAME"
            raise WrongSettingError(
                f"{name}: keys are not kept in this file. Remove the line and run "
                f"`victor keys set {provider}`"
            )
        near = get_close_matches(key, checks, n=2)
        hint = (
            f"did you mean {' or '.join(near)}?"
            if near
            else f"known are {', '.join(sorted(checks))}"
        )
        raise WrongSettingError(f"{name}: there is no such setting; {hint}")
    return found

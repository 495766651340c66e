"""From a name to a provider: the catalog's vendors, the embedded model, and what others register.

Third parties register a class with `register_provider`, or ship it in the entry-point group
`victor.providers`. Knows nothing about how any provider works.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, overload

from victor.config.catalog import VENDORS
from victor.config.settings import Settings, load_settings
from victor.errors import ConfigError, UnknownProviderError
from victor.providers.base import BaseProvider
from victor.resilience.throttle import Throttle

__all__ = ["ENTRY_POINTS", "create_provider", "list_providers", "register_provider"]

ENTRY_POINTS = "victor.providers"
"""Entry-point group of packages that bring providers: `name = "package.module:Class"`."""

_OURS = frozenset({"failover", "local"})

_Class = TypeVar("_Class", bound=type[BaseProvider])


@cache
def _registered() -> dict[str, type[BaseProvider]]:
    return {}


@overload
def register_provider(name: str, provider: _Class, *, replace: bool = ...) -> _Class: ...


@overload
def register_provider(
    name: str, provider: None = ..., *, replace: bool = ...
) -> Callable[[_Class], _Class]: ...


def register_provider(
    name: str, provider: _Class | None = None, *, replace: bool = False
) -> _Class | Callable[[_Class], _Class]:
    """Make a provider class known under a name; also a decorator, `@register_provider("mine")`.

    Args:
        name: what `create_provider` and `--provider` take.
        provider: the class.
        replace: allow a name that is taken, a built-in one included.

    Raises:
        ConfigError: the name is taken, or the class is not a `BaseProvider`.
    """

    def register(found: _Class) -> _Class:
        _checked(found, repr(found))
        if not replace and name in {*_OURS, *VENDORS, *_registered(), *_entry_points()}:
            raise ConfigError(f"the name {name!r} is taken; pass replace=True to take it over")
        _registered()[name] = found
        return found

    return register if provider is None else register(provider)


def list_providers() -> list[str]:
    """Return every name that `create_provider` takes, sorted."""
    names = {"local", *load_settings().vendors(), *_registered(), *_entry_points()}
    return sorted(names)


def create_provider(name: str, **options: Any) -> BaseProvider:
    """Make a provider by its name.

    What the user's settings file says about it is the default for what is not passed.

    Args:
        name: such as `"openai"`, `"local"`, or a registered name; `"failover"` makes one of several
            and takes the options of `FailoverProvider`, in whose routes names may stand.
        **options: go to the provider; built-in ones take `api_key`, `base_url`, `timeout`,
            `max_retries`, `use_circuit_breaker`, `retry_delay` and `retry_backoff`; those of the
            catalog also several keys as `api_key`, and a `throttle`.

    Raises:
        UnknownProviderError: no such name; the message lists near ones.
        ConfigError: the settings or the options are wrong.
        WeightsMissingError: the embedded model has not been downloaded.
    """
    settings = load_settings()
    provider = _made(name, _with_settings(name, options, settings), settings)
    provider._shares_circuits = True
    return provider


def _made(name: str, options: dict[str, Any], settings: Settings) -> BaseProvider:
    brought = _brought(name)
    if brought is not None:
        said = settings.providers.get(name)
        own = {} if said is None or said.base_url is None else {"base_url": said.base_url}
        return brought(**{**own, **options})
    if name == "failover":
        return _failover(options)
    if name == "local":
        from victor.providers.local import LocalProvider

        return LocalProvider(**options)
    vendor = settings.vendors().get(name)
    if vendor is not None:
        from victor.providers.http import HTTPProvider

        more: dict[str, Any] = {"models": settings.model_rows()}
        if (said := settings.providers.get(name)) is not None:
            more["throttle"] = _throttle(name, said.requests_per_minute, said.tokens_per_minute)
        return HTTPProvider(vendor, **{**more, **options})
    raise _unknown(name)


def _brought(name: str) -> type[BaseProvider] | None:
    """Return the class that a program or a package has for a name; None for one of ours."""
    if (registered := _registered().get(name)) is not None:
        return registered
    # A table in the settings file is about the package's provider and no new vendor.
    entry = None if name in _OURS or name in VENDORS else _entry_points().get(name)
    return None if entry is None else _load(entry)


def _failover(options: dict[str, Any]) -> BaseProvider:
    from victor.providers.failover import FailoverProvider
    from victor.providers.routes import as_route

    def make(name: str, model: str | None) -> BaseProvider:
        # Which model the embedded provider serves is decided when it is made.
        own = {"model_path": model} if name == "local" and model else {}
        return create_provider(name, **own)

    routes = [as_route(one) for one in options.pop("routes", ())]
    for route in routes:  # they are made when they are needed; a slip is told at once
        if isinstance(route.provider, str) and route.provider not in list_providers():
            raise _unknown(route.provider)
    return FailoverProvider(routes, make=make, **options)


def _unknown(name: str) -> UnknownProviderError:
    near = difflib.get_close_matches(name, list_providers(), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "see `victor providers`."
    return UnknownProviderError(f"no provider is called {name!r}: {hint}")


def _with_settings(name: str, options: dict[str, Any], settings: Settings) -> dict[str, Any]:
    own = settings.providers.get(name)
    if own is None:
        return options
    defaults = {"timeout": own.timeout, "max_retries": own.max_retries}
    return {key: value for key, value in defaults.items() if value is not None} | options


@cache
def _throttle(name: str, requests: int | None, tokens: int | None) -> Throttle | None:
    """Return what counts all requests of this process to one provider."""
    del name
    return None if requests is None and tokens is None else Throttle(requests, tokens)


@cache
def _entry_points() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _load(entry: EntryPoint) -> type[BaseProvider]:
    try:
        found = entry.load()
    except Exception as error:
        raise ConfigError(
            f"the provider {entry.name!r} ({entry.value}) cannot be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    return _checked(found, f"the provider {entry.name!r} ({entry.value})")


def _checked(found: object, what: str) -> type[BaseProvider]:
    if not (isinstance(found, type) and issubclass(found, BaseProvider)):
        raise ConfigError(f"{what} is not a subclass of BaseProvider")
    return found

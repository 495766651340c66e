"""Which provider and model to use, and why, in one line a person can read.

Order: flags, the settings file, `VICTOR_PROVIDER` and `VICTOR_MODEL`, the first vendor with a key,
the embedded model. Knows nothing about how keys are stored or how a provider is made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from victor.config.catalog import DEFAULT_PROVIDER, Vendor
from victor.config.settings import Settings
from victor.errors import UnknownProviderError

__all__ = ["Choice", "choose_provider"]


@dataclass(frozen=True, slots=True)
class Choice:
    """The provider and model to use."""

    provider: str
    model: str | None
    """None: the provider's own default."""
    why: str
    """Such as `"OPENAI_API_KEY is set"`."""

    @property
    def reason(self) -> str:
        """All of it in one line, such as `"openai / gpt-5-mini (OPENAI_API_KEY is set)"`."""
        model = f" / {self.model}" if self.model else ""
        return f"{self.provider}{model} ({self.why})"


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one source says; the sources form a list, the strongest first."""

    source: str
    provider: str | None
    model: str | None


def choose_provider(
    *,
    settings: Settings,
    environ: Mapping[str, str],
    has_key: Callable[[Vendor], bool | str | None],
    flag_provider: str | None = None,
    flag_model: str | None = None,
    known: Collection[str] = (),
) -> Choice:
    """Choose a provider and a model.

    A model may name its vendor: `vendor:model` always, `vendor/model` where no provider is set
    anywhere (elsewhere it is a model's name, as on openrouter). A model that stands beside
    another provider is not used; one that stands alone is not used for a provider that a stronger
    source names, unless that provider has no default.

    Args:
        settings: the user's settings.
        environ: where `VICTOR_PROVIDER`, `VICTOR_MODEL` and the vendors' variables are looked up.
        has_key: asked about each vendor that needs a key once no variable is set; a string is
            the reason to show.
        flag_provider: `--provider`.
        flag_model: `--model`.
        known: names of providers beside the vendors' rows.

    Raises:
        UnknownProviderError: the named provider does not exist; the message has near matches.
    """
    vendors = settings.vendors()
    names = {*vendors, DEFAULT_PROVIDER, *known}
    wishes = _named_vendors(
        [
            _wish("--provider", flag_provider, flag_model),
            _wish(f"set in {settings.path or 'the settings'}", settings.provider, settings.model),
            _wish("VICTOR_PROVIDER", environ.get("VICTOR_PROVIDER"), environ.get("VICTOR_MODEL")),
        ],
        names,
    )
    strength = next((at for at, wish in enumerate(wishes) if wish.provider), len(wishes))
    if strength < len(wishes):
        provider, why = wishes[strength].provider or "", wishes[strength].source
        if provider not in names:
            raise _unknown(provider, why, names)
        if strength == 1 and wishes[2].provider not in {None, provider}:
            why += ", which wins over VICTOR_PROVIDER"
    else:
        loose_model = any(wish.model for wish in wishes)
        rows = [row for row in vendors.values() if row.default_model or loose_model]
        provider, why = _with_a_key(rows, environ, has_key)
    model = _model(wishes, strength, provider, vendors.get(provider))
    return Choice(provider, model, why)


def _model(wishes: list[_Wish], strength: int, provider: str, row: Vendor | None) -> str | None:
    """Return the strongest model that was meant for the provider, else the vendor's default."""
    lacks_default = row is not None and row.default_model is None
    for at, wish in enumerate(wishes):
        fits = wish.provider == provider if wish.provider else at <= strength or lacks_default
        if wish.model and fits:
            return wish.model
    return row.default_model if row else None


def _wish(source: str, provider: str | None, model: str | None) -> _Wish:
    return _Wish(source, (provider or "").strip().lower() or None, (model or "").strip() or None)


def _named_vendors(wishes: list[_Wish], names: Collection[str]) -> list[_Wish]:
    """Take the vendor out of `vendor:model` and `vendor/model`."""
    slash_means_vendor = not any(wish.provider for wish in wishes)
    found: list[_Wish] = []
    for wish in wishes:
        for mark in (":", "/") if slash_means_vendor else (":",):
            vendor, _, model = (wish.model or "").partition(mark)
            if model and vendor.lower() in names and wish.provider in {None, vendor.lower()}:
                source = wish.source.replace("PROVIDER", "MODEL").replace("--provider", "--model")
                found.append(_Wish(source, vendor.lower(), model))
                break
        else:
            found.append(wish)
    return found


def _with_a_key(
    rows: list[Vendor], environ: Mapping[str, str], has_key: Callable[[Vendor], bool | str | None]
) -> tuple[str, str]:
    # A key for a server of one's own does not say that the server runs.
    rows = [row for row in rows if row.needs_key and row.base_url]
    for row in rows:
        for variable in row.key_variables:
            if environ.get(variable, "").strip():
                return row.name, f"{variable} is set"
    for row in rows:
        if hint := has_key(row):
            return row.name, hint if isinstance(hint, str) else "it has a key"
    return DEFAULT_PROVIDER, "the embedded model: no API key found"


def _unknown(name: str, source: str, names: Collection[str]) -> UnknownProviderError:
    near = get_close_matches(name, sorted(names), n=3, cutoff=0.65)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return UnknownProviderError(
        f"no provider is named {name!r} ({source}); {hint}`victor providers` lists them all"
    )

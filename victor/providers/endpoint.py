"""Where a provider's requests go and how they prove who sends them: addresses, keys, signatures.

Knows the catalog's rows; knows nothing about what is in a request.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from victor.config.api_keys import missing_key_message
from victor.config.catalog import Vendor
from victor.config.checks import WrongSettingError
from victor.config.checks import url as checked_address
from victor.errors import ConfigError, ProviderAuthError

__all__ = ["Endpoint", "KeySigner", "Signer", "base_url_for", "checked_key", "joined", "signer_for"]


class Signer(Protocol):
    """Proves who sends a request."""

    async def sign(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the headers to send: those given, and the proof.

        Raises:
            ProviderAuthError: there are no credentials; the message says how to set them.
        """


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a request goes, and who signs it."""

    base_url: str
    signer: Signer


def base_url_for(
    vendor: Vendor, base_url: str | None, environ: Mapping[str, str] | None = None
) -> str:
    """Return a vendor's address: what was passed, what the environment says, or the catalog's.

    Raises:
        ConfigError: there is none, a part of it is not known, or it is not http(s).
    """
    environ = os.environ if environ is None else environ
    given = base_url or _first(environ, vendor.url_variables) or vendor.base_url
    if not given:
        hint = f", or set {' or '.join(vendor.url_variables)}" if vendor.url_variables else ""
        raise ConfigError(
            f"{vendor.name} has no address of its own: pass base_url (--base-url URL){hint}"
        )
    if "://" not in given and vendor.url_variables:
        given = f"http://{given}"  # OLLAMA_HOST is host:port
    for place in vendor.places:
        if f"{{{place.name}}}" in given:
            found = _first(environ, place.variables) or place.default
            if found is None:
                raise ConfigError(
                    f"{vendor.name} needs a {place.name}: set {' or '.join(place.variables)}, "
                    f"or pass base_url"
                )
            given = given.replace(f"{{{place.name}}}", quote(found, safe=""))
    try:
        address: str = checked_address("base_url", given)
    except WrongSettingError as error:
        raise ConfigError(str(error)) from None
    return address


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := environ.get(name, "").strip())), None)


def checked_key(vendor: Vendor, key: str | None) -> str | None:
    """Return the key if a header can carry it; the HTTP library would quote it in its error.

    Raises:
        ConfigError: it has a character no key has.
    """
    if key and not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"the API key of {vendor.name} has a character that no key has, such as a line break "
            f"or a typographic dash: set it again with `victor keys set {vendor.name}`"
        )
    return key


def joined(base_url: str, path: str) -> str:
    """Join a base URL with a path; both may have a query.

    A version that ends the one and begins the other (`/v1`) is not repeated: people set both.
    """
    version = path[: path.find("/", 1)]
    if path.count("/") > 1 and urlsplit(base_url).path.endswith(version):
        path = path.removeprefix(version)
    if "?" not in base_url:
        return base_url + path
    base = urlsplit(base_url)
    way, _, query = path.partition("?")
    both = "&".join(part for part in (base.query, query) if part)
    return urlunsplit((base.scheme, base.netloc, base.path.rstrip("/") + way, both, ""))


def signer_for(vendor: Vendor, key: str | None) -> Signer:
    """Return what proves a vendor's requests."""
    return KeySigner(vendor, key)


class KeySigner:
    """A key in a header.

    Args:
        vendor: whose row says which header.
        key: None sends none, if the vendor needs none.
    """

    def __init__(self, vendor: Vendor, key: str | None) -> None:
        self._vendor = vendor
        self._key = key

    async def sign(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        del method, url, body
        if self._key:
            if self._vendor.auth == "bearer":
                return {**headers, "authorization": f"Bearer {self._key}"}
            return {**headers, self._vendor.auth: self._key}
        if self._vendor.needs_key:
            raise ProviderAuthError(
                missing_key_message(self._vendor.name), provider=self._vendor.name
            )
        return dict(headers)

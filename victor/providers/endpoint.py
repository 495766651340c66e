"""Where a provider's requests go and how they prove who sends them: addresses, keys, signatures.

Knows the catalog's rows; knows nothing about what is in a request.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from victor.config.api_keys import missing_key_message
from victor.config.catalog import Place, Vendor
from victor.config.checks import WrongSettingError
from victor.config.checks import url as checked_address
from victor.errors import ConfigError, ProviderAuthError

__all__ = [
    "Endpoint",
    "KeySigner",
    "Signer",
    "address_of",
    "azure_url",
    "base_url_for",
    "checked_key",
    "joined",
    "root_of",
    "signer_for",
]

_AZURE_VERSIONS = ("OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION")
# What an address by deployment is asked with where nobody says: the last one of that style
# (https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle).
_AZURE_VERSION = "2024-10-21"
_AZURE_MODELS_VERSION = "2024-05-01-preview"
# What people copy from the portal is the address of one operation.
_AZURE_OPERATION = re.compile(r"/(chat/completions|completions|embeddings|responses)$")
_AZURE_DEPLOYMENT = re.compile(r"/openai/deployments/[^/]+$")
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")


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
    vendor: Vendor,
    base_url: str | None,
    environ: Mapping[str, str] | None = None,
    *,
    has_key: bool = False,
) -> str:
    """Return a vendor's address: what was passed, what the environment says, or the catalog's.

    Args:
        vendor: the row of the catalog.
        base_url: what was passed.
        environ: instead of `os.environ`.
        has_key: whether there is a key, which takes the place of a project on Vertex AI.

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
        given = _with_scheme(given, vendor)
    for place in vendor.places:
        if f"{{{place.name}}}" in given:
            found = _first(environ, place.variables) or _configured(vendor, place, environ)
            if found is None and has_key and vendor.express_url:
                given = vendor.express_url
                break
            if found is None:
                raise ConfigError(
                    f"{vendor.name} needs a {place.name}: set {' or '.join(place.variables)}, "
                    f"or pass base_url"
                )
            given = given.replace(f"{{{place.name}}}", quote(found, safe=""))
    version = _first(environ, _AZURE_VERSIONS) if vendor.azure else None
    if version and "api-version=" not in given:
        given += f"{'&' if '?' in given else '?'}api-version={quote(version, safe='')}"
    try:
        address: str = checked_address("base_url", given)
    except WrongSettingError as error:
        raise ConfigError(str(error)) from None
    if vendor.auth == "google":
        from victor.providers.google import vertex_address

        return vertex_address(address)
    return address


def _with_scheme(host: str, vendor: Vendor) -> str:
    """Read OLLAMA_HOST, which is what a server listens on: a host, a port, or both."""
    base = urlsplit(vendor.base_url or "")
    name, _, port = host.rpartition(":") if host.rpartition(":")[2].isdigit() else (host, "", "")
    if name in ("", "0.0.0.0", "[::]"):  # noqa: S104 - everywhere, for a server; here, for us
        name = base.hostname or name
    return f"{base.scheme or 'http'}://{name}:{port or base.port or 80}"


def _configured(vendor: Vendor, place: Place, environ: Mapping[str, str]) -> str | None:
    if vendor.auth == "aws" and place.name == "region":
        from victor.providers.aws import configured_region

        return configured_region(environ) or place.default
    return place.default


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


def root_of(base_url: str) -> str:
    """Return the address of the server that a base URL is on."""
    base = urlsplit(base_url)
    return f"{base.scheme}://{base.netloc}"


def address_of(vendor: Vendor, base_url: str, path: str, model: str | None) -> str:
    """Return where a request goes.

    Args:
        vendor: whose row says how addresses are made.
        base_url: as `base_url_for` returns it.
        path: the wire's, beginning with a slash; may carry a query.
        model: which model is asked; None where none is, as for a list of models.
    """
    return azure_url(base_url, path, model) if vendor.azure else joined(base_url, path)


def azure_url(base_url: str, path: str, model: str | None) -> str:
    """Join an Azure address with a path: by deployment, or under `/openai/v1`.

    Spec: https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle

    Args:
        base_url: a resource (`https://name.openai.azure.com`, the same at
            `cognitiveservices.azure.com` and `services.ai.azure.com`), one of its parts (`/openai`,
            `/openai/v1`, `/openai/deployments/name`, `/models`), an address copied from the
            portal, or a serverless endpoint (`models.ai.azure.com`). An `api-version` in its query
            asks for addresses by deployment; without one, those under `/openai/v1` are used.
        path: beginning with a slash; may carry a query.
        model: the name of the deployment; None where none is asked.
    """
    base = urlsplit(base_url)
    root = _AZURE_OPERATION.sub("", base.path.rstrip("/"))
    version = parse_qs(base.query).get("api-version", [""])[-1]
    dated = version not in ("", "v1", "latest", "preview")

    def at(place: str, default: str = "") -> str:
        query = base.query
        if default and not version:
            query = f"api-version={default}"
        elif dated and not default:
            # What has its version in its path takes no other.
            parts = query.split("&")
            query = "&".join(part for part in parts if not part.startswith("api-version="))
        return joined(urlunsplit((base.scheme, base.netloc, place, query, "")), path)

    if root.endswith("/v1"):
        return at(root)
    if root.endswith("/models"):
        return at(root, _AZURE_MODELS_VERSION)
    if (base.hostname or "").endswith(".models.ai.azure.com"):
        return at(f"{root}/v1")
    named = _AZURE_DEPLOYMENT.search(root)
    resource = (root[: named.start()] if named else root).removesuffix("/openai")
    if not dated and not named:
        return at(f"{resource}/openai/v1")
    if model is None or path.startswith("/responses"):
        return at(f"{resource}/openai", _AZURE_VERSION)
    if named:
        return at(root, _AZURE_VERSION)
    return at(f"{resource}/openai/deployments/{quote(model, safe='')}", _AZURE_VERSION)


def signer_for(vendor: Vendor, key: str | None) -> Signer:
    """Return what proves a vendor's requests; it keeps tokens, so one does for all of them."""
    if vendor.auth == "aws":
        from victor.providers.aws import AWSSigner

        return AWSSigner(key)
    if vendor.auth == "google":
        from victor.providers.google import GoogleSigner

        return GoogleSigner(key, provider=vendor.name)
    return KeySigner(vendor, key)


class KeySigner:
    """A key in a header.

    Args:
        vendor: whose row says which header. A token of Entra ID goes to Azure as a bearer.
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
            token = self._vendor.azure and _JWT.fullmatch(self._key)
            if token or self._vendor.auth == "bearer":
                return {**headers, "authorization": f"Bearer {self._key}"}
            return {**headers, self._vendor.auth: self._key}
        if self._vendor.needs_key:
            raise ProviderAuthError(
                missing_key_message(self._vendor.name), provider=self._vendor.name
            )
        return dict(headers)

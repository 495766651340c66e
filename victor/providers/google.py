"""Who asks Google: a key, or a token of Google's OAuth, kept until shortly before it expires.

Spec: https://cloud.google.com/docs/authentication/application-default-credentials and, for keys,
https://cloud.google.com/vertex-ai/generative-ai/docs/start/express-mode/overview
Tokens come from the `google-auth` package (the extra `vertex`), which knows service accounts, users
of gcloud, workload identities and Google's own machines (for these it needs `requests`, so that is
also what asks for tokens). Knows nothing about requests to models.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import urlsplit

from victor.errors import (
    MissingDependencyError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
)

__all__ = ["GoogleSigner", "vertex_address"]

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_VERTEX = "-aiplatform.googleapis.com"
_TOKEN_VARIABLES = ("GOOGLE_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN")
# What google-auth lets through for credentials that are JSON and nothing more.
_OF_BAD_FILES = (AttributeError, KeyError, TypeError, ValueError)
_SET_UP = (
    "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS (the path "
    "of a credentials file), GOOGLE_ACCESS_TOKEN, or an API key"
)
_INSTALL = (
    "Google's credentials need the google-auth package: pip install 'victor[vertex]'. "
    "Or set GOOGLE_ACCESS_TOKEN (`gcloud auth print-access-token`), or an API key."
)


def vertex_address(base_url: str) -> str:
    """Correct the host of an address on Vertex made as `{location}-aiplatform.googleapis.com`.

    Spec: https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations. The location
    `global` has no prefix; the multi-regions `us` and `eu` have hosts of another form.
    """
    host = urlsplit(base_url).netloc
    right = {
        f"global{_VERTEX}": "aiplatform.googleapis.com",
        f"us{_VERTEX}": "aiplatform.us.rep.googleapis.com",
        f"eu{_VERTEX}": "aiplatform.eu.rep.googleapis.com",
    }.get(host)
    return base_url if right is None else base_url.replace(host, right, 1)


class _Credentials(Protocol):
    """What is used of `google.auth.credentials.Credentials`."""

    @property
    def valid(self) -> bool: ...
    def refresh(self, request: Any) -> None: ...
    def apply(self, headers: dict[str, str]) -> None: ...


class GoogleSigner:
    """Signs with a key, or else with a token.

    Keep one as long as the provider: it holds the token. It may be used from several event loops.

    Args:
        key: an API key (also Vertex's express mode takes one), or an access token that begins with
            `ya29.`. None: the token in the environment, or else the credentials that Google's own
            tools would find.
        provider: name of the provider, for errors.
        environ: instead of the process's environment, for the token.
    """

    def __init__(
        self,
        key: str | None,
        *,
        provider: str = "vertex",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._key = key
        self._provider = provider
        self._environ = os.environ if environ is None else environ
        self._credentials: _Credentials | None = None
        self._one_at_a_time = threading.Lock()

    async def sign(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the headers with the proof.

        Raises:
            MissingDependencyError: a token is needed and google-auth is not installed.
            ProviderAuthError: there are no credentials, or Google refuses them.
            ProviderConnectionError: the server of the tokens could not be asked.
        """
        del method, url, body
        signed = dict(headers)
        token = self._given_token()
        if token:
            signed["authorization"] = f"Bearer {token}"
        elif self._key:
            signed["x-goog-api-key"] = self._key
        else:
            credentials = self._credentials
            if credentials is None or not credentials.valid:
                credentials = await asyncio.to_thread(self._renewed)
            credentials.apply(signed)
        return signed

    def _given_token(self) -> str:
        if self._key:
            return self._key if self._key.startswith("ya29.") else ""
        return next((found for name in _TOKEN_VARIABLES if (found := self._environ.get(name))), "")

    def _renewed(self) -> _Credentials:
        """Find the credentials, and ask for a token if theirs is about to expire. Blocks."""
        try:
            errors = import_module("google.auth.exceptions")
            ask = import_module("google.auth.transport.requests").Request()
        except ImportError as error:
            raise MissingDependencyError(_INSTALL) from error
        with self._one_at_a_time:
            try:
                if self._credentials is None:
                    self._credentials = _found(ask)
                if not self._credentials.valid:
                    self._credentials.refresh(ask)
            except errors.TransportError as error:
                raise self._failed(ProviderConnectionError, error) from error
            except errors.RefreshError as error:
                kind = ProviderConnectionError if error.retryable else ProviderAuthError
                raise self._failed(kind, error) from error
            except (errors.GoogleAuthError, OSError, *_OF_BAD_FILES) as error:
                raise self._failed(ProviderAuthError, error) from error
            return self._credentials

    def _failed(self, kind: type[ProviderError], error: Exception) -> ProviderError:
        told = str(error.args[0] if error.args else error)[:400]
        what = f"Google gave no token: {told}"
        if kind is ProviderAuthError:
            what = f"{what}. To be signed in, {_SET_UP}."
        return kind(what, provider=self._provider, raw_error=error)


def _found(ask: Any) -> _Credentials:
    credentials: _Credentials
    credentials, _ = import_module("google.auth").default(scopes=_SCOPES, request=ask)
    return credentials

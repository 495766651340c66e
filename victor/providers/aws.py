"""AWS's proof of who sends a request: a key of Bedrock's, or signature version 4.

Spec: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
and, for where credentials are kept,
https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
Signs by itself; only credentials that have to be fetched (single sign-on, roles, containers, the
machine's own) need botocore, the extra `bedrock`. Knows nothing about what is in a request.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from configparser import Error as FormatError
from configparser import RawConfigParser
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from victor.errors import ProviderAuthError

__all__ = ["AWSCredentials", "AWSSigner", "configured_region", "signed_headers"]

_SERVICE = "bedrock"
# Also -fips, dual-stack (`api.aws`), China (`.cn`) and endpoints inside a VPC.
_REGION = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")
_FRESH_S = 60.0
# What says that a profile's credentials have to be fetched from somewhere.
_FETCHED = ("role_arn", "sso_session", "sso_start_url", "credential_process", "login_session")
_HELP = (
    "set AWS_BEARER_TOKEN_BEDROCK to an API key of Bedrock's, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
)
_EXTRA = "pip install 'victor[bedrock]'"


@dataclass(frozen=True, slots=True)
class AWSCredentials:
    """What signs a request."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    """Of a session; None for the keys of a user."""


class _Frozen(Protocol):
    """Credentials as botocore hands them out."""

    access_key: str
    secret_key: str
    token: str | None


class _Chain(Protocol):
    """Credentials that renew themselves, as botocore's do."""

    def get_frozen_credentials(self) -> _Frozen: ...


def _botocore_chain() -> _Chain | None:
    """Return what botocore's whole chain finds; it renews itself. None where it finds nothing.

    Raises:
        ImportError: botocore is not installed.
    """
    session = import_module("botocore.session").Session()
    found: _Chain | None = session.get_credentials()
    return found


class AWSSigner:
    """Proves who sends a request to Bedrock.

    Keep one for as long as requests are sent: it keeps credentials that were fetched.

    Args:
        key: an API key of Bedrock's, sent as a bearer token; None signs with credentials: those of
            the environment, else of the profile's files, else whatever botocore finds.
        environ: instead of the process's own environment.
        clock: returns seconds since 1970.
        chain: instead of botocore's chain of credentials.
    """

    def __init__(
        self,
        key: str | None,
        *,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        chain: Callable[[], _Chain | None] = _botocore_chain,
    ) -> None:
        self._key = key
        self._environ = os.environ if environ is None else environ
        self._clock = clock
        self._make_chain = chain
        self._chain: _Chain | None = None
        self._lock = threading.Lock()
        self._kept: tuple[float, AWSCredentials] | None = None

    async def sign(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the headers to send: those given, and the proof.

        Raises:
            ProviderAuthError: there are no credentials, they cannot be fetched or read, or nothing
                says which region they are for; the message says what to do.
        """
        if self._key:
            return {**headers, "authorization": f"Bearer {self._key}"}
        found = _from_environment(self._environ), self._region(url)
        if found[0] is not None and found[1] is not None:
            credentials, region = found[0], found[1]
        else:
            # Files and networks are slow: not on the event loop.
            credentials, region = await asyncio.to_thread(self._look_up, *found)
        return signed_headers(
            method,
            url,
            body,
            headers,
            credentials=credentials,
            region=region,
            service=_SERVICE,
            at=self._clock(),
        )

    def _region(self, url: str) -> str | None:
        found = _REGION.search(urlsplit(url).hostname or "")
        return found[1] if found else _first(self._environ, "AWS_REGION", "AWS_DEFAULT_REGION")

    def _look_up(
        self, credentials: AWSCredentials | None, region: str | None
    ) -> tuple[AWSCredentials, str]:
        if credentials is None:
            with self._lock:
                credentials = self._credentials()
        region = region or configured_region(self._environ)
        if region is None:
            raise ProviderAuthError(
                "an AWS signature names a region, and this address does not: set AWS_REGION",
                provider=_SERVICE,
            )
        return credentials, region

    def _credentials(self) -> AWSCredentials:
        if self._chain is not None:
            return self._fetched(self._chain)
        now = self._clock()
        if self._kept and abs(now - self._kept[0]) < _FRESH_S:
            return self._kept[1]
        profile = _profile(self._environ)
        found = _from_profile(profile, self._environ)
        if found is not None:
            # Read again soon: tools that log in write short-lived ones into the file.
            self._kept = (now, found)
            return found
        try:
            self._chain = self._make_chain()
        except ImportError as error:
            raise _missing(profile, self._environ, with_botocore=False) from error
        except Exception as error:  # whatever a chain of somebody else's raises
            raise _unfetched(error) from error
        if self._chain is None:
            raise _missing(profile, self._environ, with_botocore=True)
        return self._fetched(self._chain)

    def _fetched(self, chain: _Chain) -> AWSCredentials:
        try:
            found = chain.get_frozen_credentials()
        except Exception as error:  # it may have asked the network
            raise _unfetched(error) from error
        return AWSCredentials(found.access_key, found.secret_key, found.token)


def signed_headers(
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    credentials: AWSCredentials,
    region: str,
    service: str,
    at: float,
) -> dict[str, str]:
    """Return a request's headers with its signature, version 4.

    Signed are the host, the content type and AWS's own headers: proxies may change others.

    Args:
        method: in capital letters.
        url: exactly as it will be sent.
        body: exactly as it will be sent.
        headers: of the request.
        credentials: whose signature.
        region: such as `us-east-1`.
        service: its name in signatures, such as `bedrock`.
        at: the time, in seconds since 1970.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    sent = {**headers, "x-amz-date": moment}
    if credentials.token:
        sent["x-amz-security-token"] = credentials.token
    parts = urlsplit(url)
    signed = {"host": _host(parts.scheme, parts.netloc)}
    for name, value in sent.items():
        lowered = name.lower()
        if lowered == "content-type" or lowered.startswith("x-amz-"):
            signed[lowered] = " ".join(value.split())
    names = ";".join(sorted(signed))
    canonical = "\n".join(
        (
            method,
            _canonical_path(parts.path),
            _canonical_query(parts.query),
            *(f"{name}:{signed[name]}" for name in sorted(signed)),
            "",
            names,
            sha256(body).hexdigest(),
        )
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    digest = sha256(canonical.encode()).hexdigest()
    key = f"AWS4{credentials.secret_key}".encode()
    for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"):
        key = hmac.digest(key, part.encode(), "sha256")
    sent["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={key.hex()}"
    )
    return sent


def _host(scheme: str, netloc: str) -> str:
    host = netloc.rpartition("@")[2].lower()
    port = ":443" if scheme == "https" else ":80"
    return host.removesuffix(port)


def _canonical_path(path: str) -> str:
    """Return a path as it is signed: without dots, and encoded once more than it is sent."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    end = "/" if kept and path.endswith("/") else ""
    return quote("/" + "/".join(kept) + end, safe="/~")


def _canonical_query(query: str) -> str:
    pairs = sorted(part.partition("=")[::2] for part in query.split("&") if part)
    return "&".join(f"{name}={value}" for name, value in pairs)


def configured_region(environ: Mapping[str, str]) -> str | None:
    """Return the region that the environment, else the profile in the files names.

    Raises:
        ProviderAuthError: a file cannot be read.
    """
    named = _first(environ, "AWS_REGION", "AWS_DEFAULT_REGION")
    return named or _profile(environ).get("region") or None


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((value for name in names if (value := environ.get(name, "").strip())), None)


def _from_environment(environ: Mapping[str, str]) -> AWSCredentials | None:
    access = _first(environ, "AWS_ACCESS_KEY_ID")
    secret = _first(environ, "AWS_SECRET_ACCESS_KEY")
    if access is None or secret is None:
        return None
    return AWSCredentials(access, secret, _first(environ, "AWS_SESSION_TOKEN"))


def _from_profile(profile: Mapping[str, str], environ: Mapping[str, str]) -> AWSCredentials | None:
    """Return keys that stand in the files; None where something else is to be asked first."""
    if any(name in profile for name in _FETCHED) or "AWS_WEB_IDENTITY_TOKEN_FILE" in environ:
        return None
    access, secret = profile.get("aws_access_key_id"), profile.get("aws_secret_access_key")
    if not access or not secret:
        return None
    return AWSCredentials(access, secret, profile.get("aws_session_token") or None)


def _profile(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the two files say about the profile in use; the file of credentials wins."""
    name = _profile_name(environ)
    config = _sections(environ.get("AWS_CONFIG_FILE") or "~/.aws/config")
    found = next(
        (
            dict(section)
            for title, section in config.items()
            if title == name == "default"
            or (title[:8] == "profile " and title[8:].strip().strip("'\"") == name)
        ),
        {},
    )
    credentials = _sections(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")
    return {**found, **credentials.get(name, {})}


def _profile_name(environ: Mapping[str, str]) -> str:
    return _first(environ, "AWS_PROFILE", "AWS_DEFAULT_PROFILE") or "default"


def _sections(name: str) -> dict[str, dict[str, str]]:
    path = Path(name).expanduser()
    parser = RawConfigParser(strict=False)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, FormatError) as error:
        # Not its text: parsers quote the line, and the line may be a key.
        raise ProviderAuthError(
            f"{path} cannot be read ({type(error).__name__}): mend it, or {_HELP}",
            provider=_SERVICE,
        ) from None
    return {title: dict(parser.items(title)) for title in parser.sections()}


def _missing(
    profile: Mapping[str, str], environ: Mapping[str, str], *, with_botocore: bool
) -> ProviderAuthError:
    name = _profile_name(environ)
    if with_botocore:
        what = f"no AWS credentials were found: {_HELP}"
    elif profile:
        what = (
            f"the credentials of the AWS profile {name!r} have to be fetched: {_EXTRA}, or {_HELP}"
        )
    else:
        what = f"there are no AWS credentials: {_HELP}; for a role or a container: {_EXTRA}"
    return ProviderAuthError(what, provider=_SERVICE)


def _unfetched(error: Exception) -> ProviderAuthError:
    return ProviderAuthError(
        f"AWS credentials could not be fetched ({type(error).__name__}: {error}): log in again, "
        f"such as with `aws sso login`, or {_HELP}",
        provider=_SERVICE,
        raw_error=error,
    )

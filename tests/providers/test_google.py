from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from victor.errors import (
    MissingDependencyError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
)
from victor.providers.google import GoogleSigner, vertex_address
from victor.testing.faults import Answer, FaultServer, Request, json_answer

URL = "https://aiplatform.googleapis.com/v1/x"
GIVEN = {"content-type": "application/json"}


async def _sign(signer: GoogleSigner) -> dict[str, str]:
    return await signer.sign("POST", URL, b"{}", GIVEN)


def _without(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a module fail to import, as where it is not installed."""
    monkeypatch.setitem(sys.modules, name, None)


# --------------------------------------------------------------------------- keys and tokens


async def test_a_key_goes_into_googles_header() -> None:
    signed = await _sign(GoogleSigner("AIza-key", environ={"GOOGLE_ACCESS_TOKEN": "t"}))
    assert signed == {**GIVEN, "x-goog-api-key": "AIza-key"}
    assert GIVEN == {"content-type": "application/json"}


async def test_a_token_that_is_given_as_the_key_is_sent_as_a_token() -> None:
    signed = await _sign(GoogleSigner("ya29.abc", environ={}))
    assert signed == {**GIVEN, "authorization": "Bearer ya29.abc"}


@pytest.mark.parametrize("name", ["GOOGLE_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"])
async def test_a_token_in_the_environment_needs_no_package(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without("google.auth", monkeypatch)
    assert (await _sign(GoogleSigner(None, environ={name: "t"})))["authorization"] == "Bearer t"


async def test_without_the_package_the_pip_command_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _without("google.auth.exceptions", monkeypatch)
    with pytest.raises(MissingDependencyError, match=r"pip install 'victor\[vertex\]'"):
        await _sign(GoogleSigner(None, environ={}))


# ------------------------------------------------------------------------------- credentials


@pytest.fixture
def google_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("google.auth", reason="needs the extra vertex")
    pytest.importorskip("requests", reason="needs the extra vertex")
    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def private_key() -> str:
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return text.decode()


def _use(credentials: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "credentials.json"
    text = credentials if isinstance(credentials, str) else json.dumps(credentials)
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))


def _service_account(server: FaultServer, key: str) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": "acme",
        "private_key_id": "1",
        "private_key": key,
        "client_email": "bot@acme.test",
        "client_id": "2",
        "token_uri": f"{server.url}/token",
    }


def _tokens(expires_in: int = 3600) -> Any:
    given = 0

    def answer(_: Request) -> Answer:
        nonlocal given
        given += 1
        return json_answer(
            {"access_token": f"token-{given}", "expires_in": expires_in, "token_type": "Bearer"}
        )

    return answer


@pytest.mark.usefixtures("google_auth")
async def test_a_service_accounts_token_is_asked_for_once_and_kept(
    tmp_path: Path, private_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer(_tokens()) as server:
        _use(_service_account(server, private_key), tmp_path, monkeypatch)
        signer = GoogleSigner(None, environ={})
        signed = await asyncio.gather(*(_sign(signer) for _ in range(5)))
        signed.append(await _sign(signer))
    assert {one["authorization"] for one in signed} == {"Bearer token-1"}
    (asked,) = server.requests
    form = parse_qs(asked.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    claims = _claims(form["assertion"][0])
    assert claims["iss"] == "bot@acme.test"
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"


def _claims(token: str) -> dict[str, Any]:
    middle = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return claims


@pytest.mark.usefixtures("google_auth")
async def test_a_token_about_to_expire_is_renewed(
    tmp_path: Path, private_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer(_tokens(expires_in=60)) as server:
        _use(_service_account(server, private_key), tmp_path, monkeypatch)
        signer = GoogleSigner(None, environ={})
        tokens = [(await _sign(signer))["authorization"] for _ in range(2)]
    assert tokens == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.usefixtures("google_auth")
async def test_a_user_of_gcloud_is_signed_in_and_their_quota_project_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer(_tokens()) as server:
        user = {
            "type": "authorized_user",
            "client_id": "id",
            "client_secret": "secret",
            "refresh_token": "again",
            "quota_project_id": "payer",
            "token_uri": f"{server.url}/token",
        }
        _use(user, tmp_path, monkeypatch)
        monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme")  # or gcloud itself would be asked
        monkeypatch.setattr(
            "google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", user["token_uri"]
        )
        signed = await _sign(GoogleSigner(None, environ={}))
    assert signed["authorization"] == "Bearer token-1"
    assert signed["x-goog-user-project"] == "payer"
    assert parse_qs(server.requests[0].body.decode())["refresh_token"] == ["again"]


@pytest.mark.usefixtures("google_auth")
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": "invalid_grant", "error_description": "gone"}, ProviderAuthError),
        (401, {"error": "invalid_client"}, ProviderAuthError),
        (503, {"error": "temporarily_unavailable"}, ProviderConnectionError),
    ],
)
async def test_a_refusal_is_ours_to_mend_and_an_outage_is_not(
    status: int,
    body: dict[str, str],
    kind: type[ProviderError],
    tmp_path: Path,
    private_key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # google-auth waits between its tries
    async with FaultServer([json_answer(body, status=status)]) as server:
        _use(_service_account(server, private_key), tmp_path, monkeypatch)
        with pytest.raises(ProviderError, match=body["error"]) as caught:
            await _sign(GoogleSigner(None, environ={}, provider="vertex"))
    assert type(caught.value) is kind
    assert caught.value.provider == "vertex"
    assert ("gcloud auth" in str(caught.value)) is (kind is ProviderAuthError)


@pytest.mark.usefixtures("google_auth")
async def test_a_server_of_tokens_that_is_not_there_is_a_connection_error(
    tmp_path: Path, private_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    async with FaultServer(_tokens()) as server:
        credentials = _service_account(server, private_key)
    _use(credentials, tmp_path, monkeypatch)
    with pytest.raises(ProviderConnectionError, match="gave no token"):
        await _sign(GoogleSigner(None, environ={}))


@pytest.mark.usefixtures("google_auth")
@pytest.mark.parametrize(
    "credentials",
    ["{", "[]", {"type": "riddle"}, {"type": "service_account"}],
    ids=["no json", "no object", "unknown type", "nothing in it"],
)
async def test_credentials_that_are_none_are_said_with_the_next_step(
    credentials: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _use(credentials, tmp_path, monkeypatch)
    with pytest.raises(ProviderAuthError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        await _sign(GoogleSigner(None, environ={}))


@pytest.mark.usefixtures("google_auth")
async def test_a_file_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(ProviderAuthError, match=r"none\.json"):
        await _sign(GoogleSigner(None, environ={}))


# --------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("us-central1", "us-central1-aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("us", "aiplatform.us.rep.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ],
)
def test_some_locations_have_hosts_of_another_form(location: str, host: str) -> None:
    path = f"/v1/projects/p/locations/{location}/publishers/google"
    made = f"https://{location}-aiplatform.googleapis.com{path}"
    assert vertex_address(made) == f"https://{host}{path}"


@pytest.mark.parametrize("address", ["https://aiplatform.googleapis.com/v1", "http://global/x"])
def test_other_addresses_stay_as_they_are(address: str) -> None:
    assert vertex_address(address) == address

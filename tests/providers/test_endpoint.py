from __future__ import annotations

import pytest

from victor.config.catalog import Place, Vendor
from victor.errors import ConfigError, ProviderAuthError
from victor.providers.endpoint import (
    KeySigner,
    address_of,
    azure_url,
    base_url_for,
    checked_key,
    joined,
    signer_for,
)

ACME = Vendor("acme", "https://api.acme.example/v1", ("ACME_API_KEY",))
AZURE = Vendor("azure", None, auth="api-key", azure=True, url_variables=("AZURE_OPENAI_ENDPOINT",))
RES = "https://res.openai.azure.com"
CHAT = "/chat/completions"
TOKEN = "eyJ0eXAi.eyJhdWQi.c2ln-x_"


# ---------------------------------------------------------------------------- base addresses


def test_an_address_is_the_given_one_the_environments_or_the_catalogs() -> None:
    vendor = Vendor("acme", "https://api.acme.example/v1", url_variables=("ACME_URL",))
    environ = {"ACME_URL": " https://mine.example/v1/ "}
    assert base_url_for(vendor, "https://given.example/", environ) == "https://given.example"
    assert base_url_for(vendor, None, environ) == "https://mine.example/v1"
    assert base_url_for(vendor, None, {"ACME_URL": ""}) == "https://api.acme.example/v1"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("box:1234", "http://box:1234"),
        ("box", "http://box:11434"),
        (":1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 - what a person has set
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:1234", "http://127.0.0.1:1234"),
        ("https://box.example", "https://box.example"),
    ],
)
def test_what_a_server_listens_on_is_read_as_where_it_is(host: str, address: str) -> None:
    vendor = Vendor("ollama", "http://127.0.0.1:11434", url_variables=("OLLAMA_HOST",))
    assert base_url_for(vendor, None, {"OLLAMA_HOST": host}) == address


def test_places_are_filled_in_or_asked_for() -> None:
    place = Place("region", ("ACME_REGION",), "eu")
    vendor = Vendor("acme", "https://{region}.acme.example", places=(place,))
    assert base_url_for(vendor, None, {"ACME_REGION": "a/b"}) == "https://a%2Fb.acme.example"
    assert base_url_for(vendor, None, {}) == "https://eu.acme.example"
    needy = Vendor("acme", "https://{region}.acme.example", places=(Place("region", ("R1", "R2")),))
    with pytest.raises(ConfigError, match="acme needs a region: set R1 or R2, or pass base_url"):
        base_url_for(needy, None, {})


@pytest.mark.parametrize(
    ("vendor", "base_url", "says"),
    [
        (Vendor("mine", None), None, "mine has no address of its own: pass base_url"),
        (AZURE, None, "or set AZURE_OPENAI_ENDPOINT"),
        (ACME, "ftp://x.example", "expected an address like https://host/v1"),
        (ACME, "https://a:b@x.example", "must not contain a user name or password"),
    ],
    ids=["none", "variable", "scheme", "password"],
)
def test_an_address_that_cannot_be_used_is_one_clear_error(
    vendor: Vendor, base_url: str | None, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        base_url_for(vendor, base_url, {})


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("https://a.example/v1", "/chat", "https://a.example/v1/chat"),
        ("https://a.example/v1", "/v1/chat", "https://a.example/v1/chat"),
        ("https://a.example", "/v1/chat", "https://a.example/v1/chat"),
        ("https://a.example/v1?k=1", "/chat?alt=sse", "https://a.example/v1/chat?k=1&alt=sse"),
        ("https://a.example?k=1", "/chat", "https://a.example/chat?k=1"),
    ],
)
def test_a_path_is_joined_to_an_address(base: str, path: str, url: str) -> None:
    assert joined(base, path) == url
    assert address_of(ACME, base, path, "m") == url


# ---------------------------------------------------------------------------- Azure

DEPLOYED = "https://res.openai.azure.com/openai/deployments"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (RES, f"{RES}/openai/v1/chat/completions"),
        (f"{RES}/openai", f"{RES}/openai/v1/chat/completions"),
        (f"{RES}/openai/v1", f"{RES}/openai/v1/chat/completions"),
        (f"{RES}/openai/v1/chat/completions", f"{RES}/openai/v1/chat/completions"),
        (
            f"{RES}/openai/v1?api-version=preview",
            f"{RES}/openai/v1/chat/completions?api-version=preview",
        ),
        (
            f"{RES}/openai/v1?api-version=2024-10-21&k=1",
            f"{RES}/openai/v1/chat/completions?k=1",
        ),
        (f"{RES}?api-version=v1", f"{RES}/openai/v1/chat/completions?api-version=v1"),
        (
            f"{RES}?api-version=2024-06-01",
            f"{DEPLOYED}/my%2Fgpt/chat/completions?api-version=2024-06-01",
        ),
        (
            f"{RES}/openai?api-version=2024-06-01",
            f"{DEPLOYED}/my%2Fgpt/chat/completions?api-version=2024-06-01",
        ),
        (f"{DEPLOYED}/own", f"{DEPLOYED}/own/chat/completions?api-version=2024-10-21"),
        (
            f"{DEPLOYED}/own/chat/completions?api-version=2025-01-01-preview",
            f"{DEPLOYED}/own/chat/completions?api-version=2025-01-01-preview",
        ),
        (
            f"{RES}/openai/responses?api-version=2025-04-01-preview",
            f"{DEPLOYED}/my%2Fgpt/chat/completions?api-version=2025-04-01-preview",
        ),
        (
            "https://res.cognitiveservices.azure.com/",
            "https://res.cognitiveservices.azure.com/openai/v1/chat/completions",
        ),
        (
            "https://res.services.ai.azure.com/api/projects/p",
            "https://res.services.ai.azure.com/api/projects/p/openai/v1/chat/completions",
        ),
        (
            "https://res.services.ai.azure.com/models",
            "https://res.services.ai.azure.com/models/chat/completions"
            "?api-version=2024-05-01-preview",
        ),
        (
            "https://res.services.ai.azure.com/models?api-version=2025-05-01",
            "https://res.services.ai.azure.com/models/chat/completions?api-version=2025-05-01",
        ),
        (
            "https://it.eastus.models.ai.azure.com",
            "https://it.eastus.models.ai.azure.com/v1/chat/completions",
        ),
        (
            "https://gateway.example/azure?api-version=2024-06-01&k=1",
            "https://gateway.example/azure/openai/deployments/my%2Fgpt/chat/completions"
            "?api-version=2024-06-01&k=1",
        ),
    ],
)
def test_an_azure_address_goes_by_deployment_only_with_a_dated_version(base: str, url: str) -> None:
    assert azure_url(base, CHAT, "my/gpt") == url
    assert address_of(AZURE, base, CHAT, "my/gpt") == url


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        (RES, "/models", f"{RES}/openai/v1/models"),
        (f"{RES}?api-version=2024-06-01", "/models", f"{RES}/openai/models?api-version=2024-06-01"),
        (f"{DEPLOYED}/own", "/models", f"{RES}/openai/models?api-version=2024-10-21"),
    ],
)
def test_an_azure_list_of_models_belongs_to_the_resource(base: str, path: str, url: str) -> None:
    assert azure_url(base, path, None) == url


def test_azure_responses_go_by_no_deployment() -> None:
    base = f"{RES}?api-version=2025-04-01-preview"
    want = f"{RES}/openai/responses?api-version=2025-04-01-preview"
    assert azure_url(base, "/responses", "gpt") == want
    assert azure_url(RES, "/responses", "gpt") == f"{RES}/openai/v1/responses"


@pytest.mark.parametrize("name", ["OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION"])
def test_the_environment_may_say_which_azure_version(name: str) -> None:
    environ = {"AZURE_OPENAI_ENDPOINT": f"{RES}/", name: "2024-06-01"}
    base = base_url_for(AZURE, None, environ)
    assert azure_url(base, CHAT, "gpt") == f"{DEPLOYED}/gpt{CHAT}?api-version=2024-06-01"
    # What is in the address already counts more.
    base = base_url_for(AZURE, f"{RES}?api-version=2023-05-15", environ)
    assert azure_url(base, CHAT, "gpt") == f"{DEPLOYED}/gpt{CHAT}?api-version=2023-05-15"
    base = base_url_for(AZURE, f"{RES}?k=1", environ)
    assert azure_url(base, CHAT, "gpt") == f"{DEPLOYED}/gpt{CHAT}?k=1&api-version=2024-06-01"
    base = base_url_for(AZURE, f"{RES}/openai/v1", environ)
    assert azure_url(base, CHAT, "gpt") == f"{RES}/openai/v1{CHAT}"
    assert base_url_for(ACME, None, environ) == ACME.base_url


# ---------------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("vendor", "key", "header"),
    [
        (ACME, "k", ("authorization", "Bearer k")),
        (AZURE, "k", ("api-key", "k")),
        (AZURE, "0123abcd.eyJ", ("api-key", "0123abcd.eyJ")),
        (AZURE, TOKEN, ("authorization", f"Bearer {TOKEN}")),
        (Vendor("x", None, auth="x-api-key"), TOKEN, ("x-api-key", TOKEN)),
    ],
    ids=["bearer", "azure", "azure odd key", "entra", "only azure"],
)
async def test_a_key_goes_into_the_vendors_header(
    vendor: Vendor, key: str, header: tuple[str, str]
) -> None:
    signed = await signer_for(vendor, key).sign("POST", "https://x", b"", {"a": "b"})
    assert signed == {"a": "b", header[0]: header[1]}


async def test_without_a_key_nothing_is_sent_or_it_is_asked_for() -> None:
    free = Vendor("free", "http://127.0.0.1", needs_key=False)
    assert await KeySigner(free, None).sign("GET", "http://x", b"", {"a": "b"}) == {"a": "b"}
    with pytest.raises(ProviderAuthError, match="ACME_API_KEY"):
        await KeySigner(ACME, None).sign("GET", "http://x", b"", {})


@pytest.mark.parametrize("key", ["sk-\u2014x", "sk\n", "k\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="victor keys set acme") as caught:
        checked_key(ACME, key)
    assert key not in str(caught.value)
    assert checked_key(ACME, "sk-1") == "sk-1"
    assert checked_key(ACME, None) is None

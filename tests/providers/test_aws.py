from __future__ import annotations

import calendar
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from victor.errors import ProviderAuthError
from victor.providers.aws import AWSCredentials, AWSSigner, configured_region, signed_headers

# The keys and the time of AWS's own examples.
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
EXAMPLE = AWSCredentials("AKIDEXAMPLE", SECRET)
AT = calendar.timegm((2015, 8, 30, 12, 36, 0))
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET}
URL = "https://bedrock-runtime.eu-west-3.amazonaws.com/model/m%3A0/converse"
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


@pytest.mark.parametrize(
    ("method", "url", "headers", "service", "signature"),
    [
        (
            "GET",
            "https://example.amazonaws.com/",
            {},
            "service",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "POST",
            "https://example.amazonaws.com/",
            {},
            "service",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "GET",
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            {},
            "service",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
            FORM,
            "iam",
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order-key-case", "ListUsers"],
)
def test_published_examples_are_signed_as_published(
    method: str, url: str, headers: dict[str, str], service: str, signature: str
) -> None:
    signed = signed_headers(
        method,
        url,
        b"",
        headers,
        credentials=EXAMPLE,
        region="us-east-1",
        service=service,
        at=AT,
    )
    assert signed["authorization"].endswith(f"Signature={signature}")
    assert signed["x-amz-date"] == "20150830T123600Z"


MODELS = [
    "us.anthropic.claude-sonnet-4-5-20250929-v1%3A0",
    "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.amazon.nova-pro-v1%3A0",
    "a%20b~c_d%C3%BC",
]


@pytest.mark.parametrize("token", [None, "se/ssion+=="], ids=["user", "session"])
@pytest.mark.parametrize("query", ["", "?b=2&a=1&a=0&e="], ids=["plain", "query"])
@pytest.mark.parametrize(
    "base",
    [
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        "http://localhost:8080/x//y/../z/.",
        "https://Host.example:443",
        "http://[::1]:80",
    ],
    ids=["aws", "path and port", "default port", "ipv6"],
)
def test_signatures_are_those_of_botocore(base: str, query: str, token: str | None) -> None:
    auth = pytest.importorskip("botocore.auth")
    requests = pytest.importorskip("botocore.awsrequest")
    keys = pytest.importorskip("botocore.credentials").Credentials("AKID", SECRET, token)
    ours = AWSCredentials("AKID", SECRET, token)
    body, headers = b'{"messages": []}', {"content-type": "application/json"}
    for model in MODELS:
        url = f"{base}/model/{model}/converse{query}"
        request = requests.AWSRequest("POST", url, headers=dict(headers), data=body)
        auth.SigV4Auth(keys, "bedrock", "us-east-1").add_auth(request)
        at = calendar.timegm(time.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
        signed = signed_headers(
            "POST",
            url,
            body,
            headers,
            credentials=ours,
            region="us-east-1",
            service="bedrock",
            at=at,
        )
        assert signed["authorization"] == request.headers["Authorization"], url


def test_a_path_is_signed_encoded_once_more_and_without_dots() -> None:
    def signature(path: str) -> str:
        return signed_headers(
            "POST",
            f"https://h/{path}",
            b"",
            {},
            credentials=EXAMPLE,
            region="r",
            service="bedrock",
            at=AT,
        )["authorization"]

    assert signature("model/m%3A0") != signature("model/m:0")
    assert signature("model/x//.././m%3A0") == signature("model/m%3A0")
    assert signature("model/m%3A0/") != signature("model/m%3A0")


def test_httpx_sends_the_path_that_was_signed() -> None:
    url = f"https://h/model/{MODELS[1]}/converse"
    assert httpx.URL(url).raw_path.decode() == f"/model/{MODELS[1]}/converse"


def test_secrets_do_not_show_in_a_repr() -> None:
    shown = repr(AWSCredentials("AKID", "the secret", "the token"))
    assert "AKID" in shown
    assert "the secret" not in shown
    assert "the token" not in shown


@dataclass
class Frozen:
    access_key: str
    secret_key: str = "secret"
    token: str | None = "token"


class Chain:
    """Credentials that renew themselves: every look gives new ones."""

    def __init__(self) -> None:
        self.looks = 0

    def get_frozen_credentials(self) -> Frozen:
        self.looks += 1
        return Frozen(f"AKID{self.looks}")


def no_botocore() -> Chain:
    raise ImportError("No module named 'botocore'")


def nothing() -> None:
    return None


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }


def write(environ: dict[str, str], which: str, text: str | bytes) -> None:
    raw = text if isinstance(text, bytes) else text.encode()
    Path(environ[which]).write_bytes(raw)


CONFIG, CREDENTIALS = "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"


async def signed(
    environ: dict[str, str],
    *,
    url: str = URL,
    key: str | None = None,
    chain: Callable[[], Chain | None] = no_botocore,
) -> dict[str, str]:
    signer = AWSSigner(key, environ=environ, clock=lambda: AT, chain=chain)
    return await signer.sign("POST", url, b"{}", {"content-type": "application/json"})


async def test_a_key_is_a_bearer_token_even_beside_credentials() -> None:
    assert await signed(KEYS, key="ABSK") == {
        "content-type": "application/json",
        "authorization": "Bearer ABSK",
    }


async def test_the_environment_s_keys_sign_with_their_session(environ: dict[str, str]) -> None:
    headers = await signed(environ | KEYS | {"AWS_SESSION_TOKEN": "tok"})
    assert headers["x-amz-security-token"] == "tok"
    assert headers["x-amz-date"] == "20150830T123600Z"
    assert headers["authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-3/bedrock/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="
    )


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime-fips.us-east-2.amazonaws.com", "us-east-2"),
        ("bedrock-runtime.eu-west-1.api.aws", "eu-west-1"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("vpce-1-a.bedrock-runtime.eu-west-2.vpce.amazonaws.com", "eu-west-2"),
        ("gateway.example", "ap-south-1"),
    ],
)
async def test_the_region_stands_in_the_host_else_in_the_environment(
    host: str, region: str
) -> None:
    environ = {**KEYS, "AWS_DEFAULT_REGION": "ap-south-1"}
    headers = await signed(environ, url=f"https://{host}/model/m/converse")
    assert f"/{region}/bedrock/" in headers["authorization"]


async def test_the_region_may_stand_in_the_profile(environ: dict[str, str]) -> None:
    write(environ, CONFIG, "[default]\nregion = ca-west-1\n")
    headers = await signed(environ | KEYS, url="https://gateway.example/")
    assert "/ca-west-1/bedrock/" in headers["authorization"]


async def test_no_region_anywhere_says_what_to_set(environ: dict[str, str]) -> None:
    with pytest.raises(ProviderAuthError, match="set AWS_REGION"):
        await signed(environ | KEYS, url="https://gateway.example/")


PROFILES = """
[default]
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key = s%1
s3 =
    max_concurrent_requests = 20

[work]
aws_access_key_id=AKIDWORK
aws_secret_access_key=s2
aws_session_token=t2
"""


@pytest.mark.parametrize(
    ("profile", "access", "token"),
    [
        ({}, "AKIDDEFAULT", None),
        ({"AWS_PROFILE": "work"}, "AKIDWORK", "t2"),
        ({"AWS_DEFAULT_PROFILE": "work"}, "AKIDWORK", "t2"),
        ({"AWS_PROFILE": "in config"}, "AKIDCONFIG", None),
    ],
    ids=["default", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "config"],
)
async def test_keys_of_a_profile_are_read_from_the_files(
    environ: dict[str, str], profile: dict[str, str], access: str, token: str | None
) -> None:
    write(environ, CREDENTIALS, PROFILES)
    write(
        environ,
        CONFIG,
        '[profile "in config"]\naws_access_key_id=AKIDCONFIG\naws_secret_access_key=s\n'
        "[profile default]\naws_access_key_id=wrong\n[sso-session x]\nsso_region=r\n",
    )
    headers = await signed(environ | profile)
    assert f"Credential={access}/" in headers["authorization"]
    assert headers.get("x-amz-security-token") == token


async def test_rewritten_files_are_read_again_after_a_minute(environ: dict[str, str]) -> None:
    now = [float(AT)]
    signer = AWSSigner(None, environ=environ, clock=lambda: now[0], chain=no_botocore)

    async def access() -> str:
        headers = await signer.sign("POST", URL, b"", {})
        return headers["authorization"].partition("Credential=")[2].partition("/")[0]

    write(environ, CREDENTIALS, PROFILES)
    assert await access() == "AKIDDEFAULT"
    write(environ, CREDENTIALS, PROFILES.replace("AKIDDEFAULT", "AKIDNEW"))
    now[0] += 59
    assert await access() == "AKIDDEFAULT"
    now[0] += 2
    assert await access() == "AKIDNEW"


@pytest.mark.parametrize(
    "config",
    [
        "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\n",
        "[default]\nsso_session = corp\naws_access_key_id=A\naws_secret_access_key=S\n",
        "[default]\ncredential_process = /bin/login\n",
    ],
    ids=["role", "single sign-on", "process"],
)
async def test_credentials_that_have_to_be_fetched_need_botocore(
    environ: dict[str, str], config: str
) -> None:
    write(environ, CONFIG, config)
    with pytest.raises(ProviderAuthError, match=r"'default' have to be fetched: pip install"):
        await signed(environ)
    assert "Credential=AKID1/" in (await signed(environ, chain=Chain))["authorization"]


async def test_a_token_of_a_web_identity_goes_before_the_files(environ: dict[str, str]) -> None:
    write(environ, CREDENTIALS, PROFILES)
    environ["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/var/run/token"
    assert "Credential=AKID1/" in (await signed(environ, chain=Chain))["authorization"]


async def test_a_chain_is_made_once_and_asked_every_time(environ: dict[str, str]) -> None:
    made: list[Chain] = []

    def chain() -> Chain:
        made.append(Chain())
        return made[-1]

    signer = AWSSigner(None, environ=environ, clock=lambda: AT, chain=chain)
    found = [(await signer.sign("POST", URL, b"", {}))["authorization"] for _ in range(3)]
    assert [f"Credential=AKID{n}/" in one for n, one in enumerate(found, 1)] == [True] * 3
    assert len(made) == 1


@pytest.mark.parametrize(
    ("chain", "told"),
    [
        (no_botocore, r"set AWS_BEARER_TOKEN_BEDROCK .* pip install 'victor\[bedrock\]'"),
        (nothing, "no AWS credentials were found: set AWS_BEARER_TOKEN_BEDROCK"),
    ],
    ids=["without botocore", "with it"],
)
async def test_no_credentials_at_all_say_how_to_set_them(
    environ: dict[str, str], chain: Callable[[], Chain | None], told: str
) -> None:
    with pytest.raises(ProviderAuthError, match=told):
        await signed(environ, chain=chain)


async def test_a_chain_that_cannot_be_made_says_why(environ: dict[str, str]) -> None:
    def chain() -> Chain:
        raise ValueError("The config profile (x) could not be found")

    with pytest.raises(ProviderAuthError, match=r"profile \(x\) could not be found"):
        await signed(environ, chain=chain)


async def test_a_chain_that_cannot_renew_says_to_log_in_again(environ: dict[str, str]) -> None:
    class Expired(Chain):
        def get_frozen_credentials(self) -> Frozen:
            raise RuntimeError("The SSO session has expired")

    with pytest.raises(ProviderAuthError, match=r"has expired.*log in again") as caught:
        await signed(environ, chain=Expired)
    assert isinstance(caught.value.raw_error, RuntimeError)


async def test_the_real_chain_is_botocore_s_if_it_is_there(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**environ, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    signer = AWSSigner(None, clock=lambda: AT)
    with pytest.raises(ProviderAuthError, match="AWS_BEARER_TOKEN_BEDROCK"):
        await signer.sign("POST", URL, b"", {})


@pytest.mark.parametrize(
    "broken",
    [b"aws_access_key_id = AKIDX\n", b"[default\naws_secret_access_key = hush\n", b"\xff\xfe[a]"],
    ids=["no section", "open bracket", "no UTF-8"],
)
async def test_a_broken_file_is_named_and_not_quoted(
    environ: dict[str, str], broken: bytes
) -> None:
    write(environ, CREDENTIALS, broken)
    with pytest.raises(ProviderAuthError) as caught:
        await signed(environ)
    assert environ[CREDENTIALS] in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "AKIDX" not in str(caught.value)


def test_the_configured_region_is_the_environment_s_before_the_profile_s(
    environ: dict[str, str],
) -> None:
    assert configured_region(environ) is None
    write(environ, CONFIG, "[default]\nregion = ca-west-1\n")
    assert configured_region(environ) == "ca-west-1"
    assert configured_region({**environ, "AWS_REGION": " eu-west-1 "}) == "eu-west-1"

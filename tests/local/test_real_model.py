from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.engine import ask
from victor.errors import ConfigError
from victor.local.process import Endpoint, LocalServer

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def chatting(weights: Path) -> Iterator[Endpoint]:
    server = LocalServer(weights, context_window=1024)
    yield asyncio.run(server.ensure())
    server.kill()


def test_it_chats(chatting: Endpoint) -> None:
    messages = [{"role": "user", "content": "What is the capital of France? One word."}]
    status, body = ask(
        chatting,
        "/v1/chat/completions",
        {"messages": messages, "temperature": 0, "max_tokens": 8},
    )
    assert status == 200
    assert "Paris" in body["choices"][0]["message"]["content"]


def test_it_knows_its_context(chatting: Endpoint) -> None:
    assert chatting.n_ctx == 1024


def test_it_does_not_tell_where_the_file_is(chatting: Endpoint, weights: Path) -> None:
    status, body = ask(chatting, "/v1/models")
    assert status == 200
    assert body["data"][0]["id"] == weights.stem
    assert str(weights.parent) not in str(body)


@pytest.mark.parametrize("path", ["/v1/models", "/slots", "/props", "/v1/chat/completions"])
def test_a_wrong_key_opens_nothing(chatting: Endpoint, path: str) -> None:
    assert ask(chatting, path, key="wrong")[0] == 401


@pytest.mark.parametrize("keep", [300_000, 100_000_000], ids=["in the header", "in the data"])
async def test_a_truncated_file_is_told(weights: Path, tmp_path: Path, keep: int) -> None:
    short = tmp_path / "short.gguf"
    with weights.open("rb") as whole, short.open("wb") as file:
        file.write(whole.read(keep))
    with pytest.raises(ConfigError, match=r"short\.gguf is truncated or damaged"):
        await LocalServer(short).ensure()

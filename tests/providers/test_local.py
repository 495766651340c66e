from __future__ import annotations

import inspect
import os
import signal
from pathlib import Path

import pytest

from victor.errors import (
    ConfigError,
    ProviderConnectionError,
    StreamInterruptedError,
    WeightsMissingError,
)
from victor.providers.local import LocalProvider
from victor.types import Capability, Message


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some-model.gguf"
    path.write_bytes(b"GGUF and nothing that could run")
    return path


async def test_the_model_is_named_after_its_file_and_asked_without_chance(file: Path) -> None:
    async with LocalProvider(str(file)) as provider:
        assert provider.name == "local"
        assert provider.default_model == "some-model"
        assert provider.default_temperature == 0
        for method in (provider.chat, provider.stream):
            assert inspect.signature(method).parameters["temperature"].default == 0
        assert not provider.server.running


async def test_it_says_what_it_can_do(file: Path) -> None:
    async with LocalProvider(str(file), context_window=8192) as provider:
        can = await provider.discover_capabilities("any")
        assert can.tool_mode == "constrained"
        assert can.context_window == 8192
        assert Capability.JSON_SCHEMA in can
        assert "vision" not in can


@pytest.mark.parametrize("size", [999, 1_000_000_001], ids=["tiny", "larger"])
async def test_only_a_tiny_model_is_not_offered_tools_again(file: Path, size: int) -> None:
    with file.open("r+b") as handle:
        handle.truncate(size)
    async with LocalProvider(str(file)) as provider:
        assert provider._adapter is not None
        assert provider._adapter._chain == (size > 1000)  # type: ignore[attr-defined]


def test_an_address_is_refused_with_the_providers_that_take_one(file: Path) -> None:
    with pytest.raises(ConfigError, match="llamacpp, ollama, lmstudio, vllm or openai-compatible"):
        LocalProvider(str(file), base_url="http://127.0.0.1:8080")


def test_weights_that_are_not_here_are_named_with_the_command() -> None:
    with pytest.raises(WeightsMissingError) as caught:
        LocalProvider("1.5b")
    assert caught.value.command == "victor models pull qwen2.5-coder-1.5b"


async def test_a_file_that_is_no_model_is_one_clear_error(file: Path) -> None:
    async with LocalProvider(str(file), max_retries=0) as provider:
        with pytest.raises(ConfigError, match=r"some-model\.gguf"):
            await provider.chat([Message(role="user", content="Hi")], model="any")


@pytest.mark.model
async def test_a_child_that_is_killed_during_a_call_is_said_to_be_gone(weights: Path) -> None:
    message = Message(role="user", content="Count from one to three hundred, in words.")
    async with LocalProvider(str(weights), max_retries=0) as provider:
        endpoint = await provider.server.ensure()
        chunks = provider.stream([message], model="any", max_tokens=800)
        assert (await anext(aiter(chunks))).content
        os.kill(endpoint.pid, signal.SIGKILL)

        async def rest() -> None:
            async for _ in chunks:
                pass

        with pytest.raises(StreamInterruptedError) as caught:
            await rest()
    assert isinstance(caught.value.__cause__, ProviderConnectionError)
    assert "killed by SIGKILL" in str(caught.value)

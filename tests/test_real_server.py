from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json

from tests.recordings.real import CONTEXT_WINDOW, MODEL, ROWS, real_server
from tests.recordings.scenes import CITY_SCHEMA, SCENES, WEATHER, Scene
from victor.config.catalog import WireName
from victor.errors import ContextWindowExceededError, ProviderAuthError
from victor.local.process import Endpoint, LocalServer
from victor.providers.http import HTTPProvider
from victor.types import CompletionResponse, Message, StreamChunk

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def running(weights: Path) -> Iterator[LocalServer]:
    with real_server(weights) as server:
        yield server


@pytest.fixture
async def endpoint(running: LocalServer) -> Endpoint:
    return await running.ensure()


@pytest.fixture(params=list(ROWS))
async def provider(
    request: pytest.FixtureRequest, endpoint: Endpoint
) -> AsyncIterator[HTTPProvider]:
    wire: WireName = request.param
    # After a stream this server closes a connection that it said it keeps: without retries, a
    # request that comes at that moment would be lost.
    async with HTTPProvider(ROWS[wire], endpoint.api_key, endpoint.base_url) as made:
        yield made


def _asked(scene: Scene) -> dict[str, Any]:
    return {
        "messages": list(scene.messages),
        "model": MODEL,
        "temperature": 0,
        "max_tokens": scene.max_tokens,
        "tools": list(scene.tools) or None,
        **scene.options,
    }


async def _chat(provider: HTTPProvider, name: str) -> CompletionResponse:
    return await provider.chat(**_asked(SCENES[name]))


async def _stream(provider: HTTPProvider, scene: Scene) -> tuple[list[StreamChunk], StreamChunk]:
    *chunks, final = [chunk async for chunk in provider.stream(**_asked(scene))]
    assert final.is_final
    assert not any(chunk.is_final for chunk in chunks)
    return chunks, final


async def test_it_answers(provider: HTTPProvider) -> None:
    answer = await _chat(provider, "chat")
    assert "Paris" in answer.content
    assert answer.stop_reason == "stop"
    assert answer.tool_calls is None
    usage = answer.usage
    assert usage is not None
    # As the model's own tokenizer counts, however much of it was cached.
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (18, 2, 20)


async def test_it_streams(provider: HTTPProvider) -> None:
    chunks, final = await _stream(provider, SCENES["stream"])
    assert len(chunks) > 3
    text = "".join(chunk.content for chunk in chunks)
    assert text.lower().split()[:3] == ["one", "two", "three"]
    assert final.stop_reason == "stop"
    assert final.usage is not None
    assert final.usage.prompt_tokens == 21
    assert (final.usage.completion_tokens or 0) > len(chunks) / 2


async def test_a_forced_tool_is_called(provider: HTTPProvider) -> None:
    answer = await _chat(provider, "call")
    (call,) = answer.tool_calls or []
    assert (call.name, call.arguments, call.error) == ("get_weather", {"city": "Paris"}, None)
    assert call.id
    assert answer.stop_reason == "tool_calls"
    assert answer.content == ""


async def test_a_tool_is_called_in_a_stream(provider: HTTPProvider) -> None:
    chunks, final = await _stream(provider, SCENES["call-stream"])
    (call,) = final.tool_calls or []
    assert (call.name, call.arguments, call.error) == ("get_weather", {"city": "Paris"}, None)
    assert final.stop_reason == "tool_calls"
    assert any(chunk.tool_call_delta for chunk in chunks)
    assert "".join(chunk.content for chunk in chunks) == ""


async def test_of_two_tools_the_named_one_is_called(provider: HTTPProvider) -> None:
    answer = await _chat(provider, "named-call")
    assert [call.name for call in answer.tool_calls or ()] == ["get_area"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_tools_result_goes_back_and_is_told(provider: HTTPProvider, stream: bool) -> None:
    asked = _asked(SCENES["call"])
    first = await provider.chat(**asked)
    (call,) = first.tool_calls or []
    result = Message(role="tool", tool_call_id=call.id, name=call.name, content="23 degrees")
    scene = Scene(
        (*asked["messages"], first.to_message(), result),
        tools=(WEATHER,),
        options={"tool_choice": "none"},
    )
    if stream:
        chunks, final = await _stream(provider, scene)
        content, stop = "".join(chunk.content for chunk in chunks), final.stop_reason
    else:
        answer = await provider.chat(**_asked(scene))
        content, stop = answer.content, answer.stop_reason
    assert "23 degrees" in content
    assert stop == "stop"


async def test_a_stop_sequence_stops_it(provider: HTTPProvider) -> None:
    answer = await _chat(provider, "stopped")
    assert answer.content.startswith("One Two Three")
    # Responses have no stop sequences (https://platform.openai.com/docs/api-reference/responses).
    assert ("Four" in answer.content) == (provider.vendor.wire == "openai-responses")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_too_short_a_limit_cuts_it(provider: HTTPProvider, stream: bool) -> None:
    if stream:
        _, final = await _stream(provider, SCENES["length"])
        usage, stop = final.usage, final.stop_reason
    else:
        answer = await _chat(provider, "length")
        usage, stop = answer.usage, answer.stop_reason
    assert usage is not None
    assert usage.completion_tokens == 3
    # Over Responses this server says "completed" whatever stopped it.
    assert stop == ("stop" if provider.vendor.wire == "openai-responses" else "length")


async def test_a_schema_is_kept(provider: HTTPProvider) -> None:
    if provider.vendor.wire != "openai-chat":
        pytest.skip("this server heeds schemas in chat completions only")
    answer = await _chat(provider, "schema")
    value = from_json(answer.content)
    assert sorted(value) == CITY_SCHEMA["required"]
    assert all(isinstance(one, str) for one in value.values())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_too_long_a_prompt_is_named_with_its_counts(
    provider: HTTPProvider, stream: bool
) -> None:
    scene = SCENES["too-long"]
    asking = _stream(provider, scene) if stream else provider.chat(**_asked(scene))
    with pytest.raises(ContextWindowExceededError) as caught:
        await asking
    assert caught.value.limit == CONTEXT_WINDOW
    assert (caught.value.used or 0) > CONTEXT_WINDOW
    assert caught.value.status_code == 400


async def test_a_wrong_key_is_refused(provider: HTTPProvider, endpoint: Endpoint) -> None:
    async with HTTPProvider(provider.vendor, "wrong", endpoint.base_url) as stranger:
        with pytest.raises(ProviderAuthError):
            await _chat(stranger, "chat")
        with pytest.raises(ProviderAuthError):
            await _stream(stranger, SCENES["stream"])


async def test_its_models_are_listed(provider: HTTPProvider, weights: Path) -> None:
    assert await provider.list_models() == [weights.stem]

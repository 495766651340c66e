from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import pytest
from pydantic import ValidationError

from tests.agent.support import (
    Chunks,
    call,
    final,
    look,
    looking,
    quiet,
    result_in,
    said,
    stream_of,
    text,
    valid,
)
from victor.agent.agent import Agent
from victor.agent.events import (
    RetryScheduled,
    TurnStarted,
)
from victor.errors import (
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderServerError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from victor.testing import MockLLM
from victor.tools.base import tool
from victor.types import Attachment, CompletionResponse, StreamChunk


@pytest.mark.parametrize("streaming", [False, True], ids=["run", "stream"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("refused"), ProviderConnectionError),
        (
            httpx.HTTPStatusError(
                "401", request=httpx.Request("POST", "http://x"), response=httpx.Response(401)
            ),
            ProviderError,
        ),
        (ZeroDivisionError("a bug"), ZeroDivisionError),
    ],
    ids=["network", "status", "bug"],
)
async def test_what_an_authors_library_raises_is_an_error_of_the_provider(
    error: Exception, kind: type[Exception], streaming: bool
) -> None:
    class Theirs(MockLLM):
        async def chat(self, *args: Any, **options: Any) -> CompletionResponse:
            raise error

        async def stream(self, *args: Any, **options: Any) -> AsyncIterator[StreamChunk]:
            await self.chat()
            yield StreamChunk()

    agent = Agent(Theirs(max_retries=0))
    with pytest.raises(kind) as caught:
        await (stream_of(agent, "hi") if streaming else agent.run("hi"))
    assert type(caught.value) is kind
    assert error in {caught.value, caught.value.__cause__}


@pytest.mark.parametrize("streaming", [False, True], ids=["run", "stream"])
async def test_prompt_without_any_answer_is_not_kept(streaming: bool) -> None:
    llm = MockLLM(["one", ProviderAuthError("no key"), "two"])
    agent = Agent(llm)
    await agent.run("first")
    before = agent.messages
    with pytest.raises(ProviderAuthError, match="no key"):
        await (stream_of(agent, "lost") if streaming else agent.run("lost"))
    assert agent.messages == before
    await agent.run("second")
    assert said(llm.calls[-1].messages) == [
        ("user", "first"),
        ("assistant", "one"),
        ("user", "second"),
    ]


@pytest.mark.parametrize("streaming", [False, True], ids=["run", "stream"])
async def test_failure_in_a_later_turn_keeps_what_was_done(streaming: bool) -> None:
    llm = MockLLM([looking("a"), ProviderServerError("down"), "two"])
    agent = Agent(llm, tools=[look])
    with pytest.raises(ProviderServerError, match="down"):
        await (stream_of(agent, "first") if streaming else agent.run("first"))
    assert said(agent.messages) == [("user", "first"), ("assistant", ""), ("tool", "saw a")]
    await agent.run("second")
    assert valid(llm.calls[-1].messages)


async def test_interrupted_stream_keeps_the_part_that_came() -> None:
    broken: list[Any] = [text("half an "), text("answ"), ProviderConnectionError("gone")]
    agent = Agent(provider := Chunks(broken, broken, [final()]))
    with pytest.raises(StreamInterruptedError) as caught:
        await stream_of(agent)
    assert caught.value.partial == "half an answ"
    assert said(agent.messages) == [("user", "hi"), ("assistant", "half an answ")]
    await stream_of(agent, "go on")
    assert said(provider.requests[-1])[-1] == ("user", "go on")


async def test_interrupted_white_space_is_no_answer() -> None:
    agent = Agent(Chunks([text(" \n"), ProviderConnectionError("gone")]))
    with pytest.raises(StreamInterruptedError):
        await stream_of(agent)
    assert agent.messages == ()


async def test_retry_is_told_before_the_wait_is_over() -> None:
    llm = MockLLM([ProviderServerError("bad gateway"), "fine"], max_retries=1, retry_delay=60)
    agent = Agent(llm)
    events = quiet(agent.stream("hi"))
    assert await anext(events) == TurnStarted(1)
    event = await asyncio.wait_for(anext(events), 5)
    assert isinstance(event, RetryScheduled)
    assert (event.error, event.attempt) == ("bad gateway", 1)
    await events.aclose()
    assert agent.messages == ()


async def test_retried_answer_is_an_answer() -> None:
    llm = MockLLM([ProviderServerError("x"), "fine"], max_retries=1, retry_delay=0)
    agent = Agent(llm)
    assert result_in(await stream_of(agent)).content == "fine"
    llm.reset()
    assert (await agent.run("again")).content == "fine"


def test_prompt_that_is_no_text_is_refused_and_forgotten() -> None:
    agent = Agent(MockLLM())
    with pytest.raises(ValidationError):
        agent.run_sync(cast("Any", 7))
    with pytest.raises(ValidationError):
        agent.stream(cast("Any", 7))
    assert agent.run_sync("hi").content == "Mock response"
    assert said(agent.messages) == [("user", "hi"), ("assistant", "Mock response")]


async def test_tool_that_cannot_be_described_is_an_error_and_not_the_end() -> None:
    def odd(*args: int) -> None:
        raise AssertionError

    agent = Agent(MockLLM(), tools=[odd])
    for _ in range(2):
        with pytest.raises(TypeError, match=r"odd\(\): a model cannot pass \*args"):
            await agent.run("hi")
    assert agent.messages == ()


PICTURE = Attachment(media_type="image/png", data=b"x", name="a.png")


@tool(effect="read")
def show() -> list[Any]:
    """Show a picture."""
    return ["look at this:", PICTURE]


@pytest.mark.parametrize("streaming", [False, True], ids=["run", "stream"])
@pytest.mark.parametrize(
    "error",
    [UnsupportedFeatureError("no images here"), ProviderInvalidRequestError("no images here")],
    ids=["wire", "server"],
)
async def test_picture_that_a_model_cannot_see_is_told_and_not_the_end(
    streaming: bool, error: Exception
) -> None:
    llm = MockLLM([call("show"), error, "a pity"])
    agent = Agent(llm, tools=[show])
    result = result_in(await stream_of(agent)) if streaming else await agent.run("hi")
    assert (result.content, result.stop_reason) == ("a pity", "stop")
    last = llm.calls[-1].messages[-1]
    assert last.attachments == []
    assert last.content == (
        "look at this:\n[attached: a.png]\n[not shown, as the model cannot take it: no images here]"
    )
    assert valid(agent.messages)


@pytest.mark.parametrize(
    "error",
    [ModelNotFoundError("who?"), ContextWindowExceededError("too much"), ProviderServerError("x")],
    ids=["model", "window", "server"],
)
async def test_other_failures_keep_the_pictures(error: Exception) -> None:
    agent = Agent(MockLLM([call("show"), error]), tools=[show])
    with pytest.raises(type(error)):
        await agent.run("hi")
    assert agent.messages[-1].attachments == [PICTURE]


async def test_refused_request_without_pictures_is_raised() -> None:
    llm = MockLLM([call("look", path="a"), ProviderInvalidRequestError("bad")])
    with pytest.raises(ProviderInvalidRequestError, match="bad"):
        await Agent(llm, tools=[look]).run("hi")

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tests.testing.chat_server import chat_server
from victor.config.catalog import VENDORS
from victor.errors import (
    ConfigError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderInvalidRequestError,
    ProviderServerError,
)
from victor.providers.base import BaseProvider
from victor.providers.http import HTTPProvider
from victor.testing import conformance
from victor.testing.conformance import UNKNOWN_MODEL, Check, Report
from victor.types import CompletionResponse, Message, StreamChunk, ToolCall, ToolDefinition, Usage

USAGE = Usage(prompt_tokens=9, completion_tokens=1, total_tokens=10)
CALL = ToolCall(id="c1", name="get_weather", arguments={"city": "Paris", "days": 3})


class Good(BaseProvider):
    """An author's provider that keeps the contract."""

    default_model: str | None = "large"
    models: Sequence[str] = ("large", "small")
    can_force = True
    call = CALL

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_retries=0, **kwargs)
        self.asked: list[str] = []

    @property
    def name(self) -> str:
        return "good"

    def supports_tools(self) -> bool:
        return True

    async def list_models(self) -> list[str]:
        return list(self.models)

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        tools: list[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> CompletionResponse:
        self.asked.append(model)
        if model not in self.models:
            raise ModelNotFoundError(f"no model {model}", provider=self.name, model=model)
        if kwargs.get("tool_choice") and not self.can_force:
            raise ProviderInvalidRequestError("a call cannot be forced", provider=self.name)
        if tools and messages[-1].role == "user":
            return CompletionResponse(
                content="", tool_calls=[self.call], stop_reason="tool_calls", usage=USAGE
            )
        return self.answer()

    def answer(self) -> CompletionResponse:
        return CompletionResponse(content="ready", stop_reason="stop", usage=USAGE)

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        tools: list[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[StreamChunk]:
        for chunk in self.chunks():
            yield chunk

    def chunks(self) -> list[StreamChunk]:
        return [
            StreamChunk("rea"),
            StreamChunk("dy"),
            StreamChunk(stop_reason="stop", usage=USAGE, is_final=True),
        ]

    async def close(self) -> None:
        """Nothing to close."""


def _found(report: Report, name: str) -> tuple[str, str]:
    return next((one.status, one.detail) for one in report.checks if one.name == name)


def _statuses(report: Report) -> dict[str, str]:
    return {one.name: one.status for one in report.checks}


async def test_a_provider_that_keeps_the_contract_passes_every_check() -> None:
    seen: list[Check] = []
    report = await conformance.run(Good(), on_check=seen.append)
    assert report.ok, str(report)
    assert set(_statuses(report).values()) == {"ok"}
    assert tuple(seen) == report.checks
    assert [one.name for one in seen] == [
        "models",
        "chat",
        "stream",
        "tool call",
        "tool result",
        "wrong model",
        "usage",
    ]
    assert _found(report, "usage")[1] == "tokens: chat 10, stream 10"


async def test_a_report_can_be_read_in_an_assertion() -> None:
    text = str(await conformance.run(Good()))
    assert text.splitlines()[0] == "good / large"
    assert "ok       tool call     forced, with arguments that fit" in text


async def test_a_vendor_of_the_catalog_passes_over_real_sockets() -> None:
    row = VENDORS["openai-compatible"]
    async with (
        chat_server() as server,
        HTTPProvider(row, api_key="k", base_url=f"{server.url}/v1", max_retries=0) as provider,
    ):
        report = await conformance.run(provider)
    assert report.ok, str(report)
    assert set(_statuses(report).values()) == {"ok"}
    assert report.model == "m", "the first that it lists, as the row has no default"


async def test_a_call_that_cannot_be_forced_is_asked_for() -> None:
    provider = Good()
    provider.can_force = False
    report = await conformance.run(provider)
    assert _found(report, "tool call") == ("ok", "asked for, with arguments that fit")


async def test_the_model_to_ask_is_the_given_one_else_the_default_else_the_first() -> None:
    provider = Good()
    assert (await conformance.run(provider, model="small")).model == "small"
    provider.default_model = None
    assert (await conformance.run(provider)).model == "large"
    assert UNKNOWN_MODEL in provider.asked


async def test_without_any_model_there_is_nothing_to_check() -> None:
    class Silent(Good):
        default_model = None
        models = ()

    with pytest.raises(ConfigError, match="good has no default model and lists none"):
        await conformance.run(Silent())


async def test_a_list_that_fails_leaves_no_model_to_ask() -> None:
    class Down(Good):
        default_model = None

        async def list_models(self) -> list[str]:
            raise ProviderServerError("down", provider=self.name)

    report = await conformance.run(Down())
    assert [one.status for one in report.checks] == ["failed"] + ["skipped"] * 6
    assert _found(report, "chat")[1] == "as no model is known"


async def test_a_model_that_is_not_listed_is_told() -> None:
    class Hidden(Good):
        async def list_models(self) -> list[str]:
            return ["other"]

    report = await conformance.run(Hidden())
    assert _found(report, "models") == ("ok", "1 model, and large is not among them")


async def test_a_refused_key_ends_the_checks() -> None:
    class Locked(Good):
        def answer(self) -> CompletionResponse:
            raise ProviderAuthError("wrong key", provider=self.name)

    report = await conformance.run(Locked())
    assert not report.ok
    failed = next(one for one in report.checks if one.name == "chat")
    assert failed.status == "failed"
    assert isinstance(failed.error, ProviderAuthError)
    assert [one.status for one in report.checks[2:]] == ["skipped"] * 5


async def test_what_a_provider_does_not_offer_is_skipped() -> None:
    class Plain(Good):
        list_models = None  # type: ignore[assignment] # as if it had none

        def supports_tools(self) -> bool:
            return False

        async def chat(self, *args: Any, **kwargs: Any) -> CompletionResponse:
            return CompletionResponse(content="ready", stop_reason="stop")

    report = await conformance.run(Plain())
    assert report.ok
    assert (
        _statuses(report)
        == {
            "models": "failed",
            "chat": "ok",
            "stream": "ok",
            "tool call": "skipped",
            "tool result": "skipped",
            "wrong model": "skipped",
            "usage": "skipped",
        }
        or _statuses(report)["models"] == "skipped"
    )
    assert _found(report, "usage")[1].startswith("not reported by chat")


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (CompletionResponse(content=" ", stop_reason="stop"), "the answer has no text"),
        (CompletionResponse(content="ready", stop_reason="end_turn"), "the stop reason is 'end_tu"),
        ("ready", "chat returned a str, not a CompletionResponse"),
    ],
    ids=["blank", "stop reason", "type"],
)
async def test_a_wrong_answer_is_found(answer: Any, detail: str) -> None:
    class Wrong(Good):
        def answer(self) -> CompletionResponse:
            found: CompletionResponse = answer
            return found

    status, told = _found(await conformance.run(Wrong()), "chat")
    assert status == "failed"
    assert told.startswith(detail)


FINAL = StreamChunk(stop_reason="stop", is_final=True)


@pytest.mark.parametrize(
    ("chunks", "detail"),
    [
        ([StreamChunk("ready", stop_reason="stop")], "exactly one chunk has to be final"),
        ([FINAL, StreamChunk("ready"), FINAL], "exactly one chunk has to be final"),
        ([StreamChunk("ready"), FINAL, StreamChunk("")], "exactly one chunk has to be final"),
        (
            [StreamChunk("ready"), StreamChunk("ready", stop_reason="stop", is_final=True)],
            "the final chunk repeats the whole text",
        ),
        ([StreamChunk("  "), FINAL], "the chunks have no text"),
        ([StreamChunk("ready"), StreamChunk(is_final=True)], "the stop reason is None"),
        ([StreamChunk("ready")], "StreamInterruptedError"),
    ],
    ids=["none", "two", "not last", "repeats", "blank", "no reason", "breaks off"],
)
async def test_a_wrong_stream_is_found(chunks: list[StreamChunk], detail: str) -> None:
    class Wrong(Good):
        def chunks(self) -> list[StreamChunk]:
            return chunks

    status, told = _found(await conformance.run(Wrong()), "stream")
    assert status == "failed"
    assert detail in told


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (ToolCall(id="c", name="get_weather", arguments={"city": "Paris"}), "days: field required"),
        (ToolCall(id="c", name="weather", arguments=CALL.arguments), "cannot be run: weather"),
        (ToolCall(id="c", name="get_weather", arguments={}, error="cut off"), "cut off"),
    ],
    ids=["arguments", "name", "unreadable"],
)
async def test_a_call_that_cannot_be_run_is_found(call: ToolCall, detail: str) -> None:
    class Wrong(Good):
        pass

    Wrong.call = call
    report = await conformance.run(Wrong())
    status, told = _found(report, "tool call")
    assert status == "failed"
    assert detail in told
    assert _found(report, "tool result")[0] == "skipped"


async def test_text_in_the_place_of_a_call_is_found() -> None:
    class Talkative(Good):
        async def chat(self, *args: Any, **kwargs: Any) -> CompletionResponse:
            return self.answer()

    status, told = _found(await conformance.run(Talkative()), "tool call")
    assert (status, told) == ("failed", "no call came, but 'ready'")


async def test_an_empty_answer_to_a_result_is_found() -> None:
    class Mute(Good):
        async def chat(self, messages: Sequence[Message], **kwargs: Any) -> CompletionResponse:
            if messages[-1].role == "tool":
                return CompletionResponse(content="", stop_reason="stop")
            return await super().chat(messages, **kwargs)

    status, told = _found(await conformance.run(Mute()), "tool result")
    assert (status, told) == ("failed", "the answer to a tool's result is empty")


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (ProviderInvalidRequestError("no", provider="good"), "ok", "refused with ProviderInvalid"),
        (ProviderServerError("no", provider="good"), "failed", "ProviderServerError"),
        (ModelNotFoundError("no"), "failed", "names the provider None"),
        (KeyError("model"), "failed", "raised KeyError: 'model', which is no ProviderError"),
    ],
    ids=["refused", "server", "nameless", "bug"],
)
async def test_a_wrong_model_has_to_be_refused_with_a_typed_error(
    error: Exception, status: str, detail: str
) -> None:
    class Refusing(Good):
        async def chat(self, *args: Any, model: str, **kwargs: Any) -> CompletionResponse:
            if model == UNKNOWN_MODEL:
                raise error
            return await super().chat(*args, model=model, **kwargs)

    found, told = _found(await conformance.run(Refusing()), "wrong model")
    assert found == status
    assert detail in told


async def test_an_empty_list_of_models_is_found() -> None:
    class Bare(Good):
        async def list_models(self) -> list[str]:
            return []

    assert _found(await conformance.run(Bare()), "models")[0] == "failed"

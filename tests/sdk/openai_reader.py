"""OpenAI's SDK, over chat completions and over Responses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdk.reading import QUESTION, Reading, arguments, stop_of

__all__ = ["ChatReader", "ResponsesReader"]

_FINISH = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})


class _OpenAI:
    def __init__(self, url: str) -> None:
        self.sdk: Any = pytest.importorskip("openai")
        self.client = self.sdk.AsyncOpenAI(api_key="key", base_url=f"{url}/v1", max_retries=0)

    async def close(self) -> None:
        await self.client.close()


class ChatReader(_OpenAI):
    """Chat completions; streams are put together by the SDK's own helper."""

    async def read(self, model: str, *, stream: bool) -> Reading:
        messages = [{"role": "user", "content": QUESTION}]
        create = self.client.chat.completions.create
        if not stream:
            return _chat(await create(model=model, messages=messages))
        asked = create(model=model, messages=messages, stream=True)
        state = pytest.importorskip("openai.lib.streaming.chat").ChatCompletionStreamState()
        usage = None
        async with await asked as chunks:
            async for chunk in chunks:
                state.handle_chunk(chunk)
                usage = chunk.usage or usage
        return _chat(state.current_completion_snapshot, usage)


def _chat(answer: Any, usage: Any = None) -> Reading:
    (choice, *_) = answer.choices
    message = choice.message
    calls = tuple(_called(call) for call in message.tool_calls or ())
    if message.function_call and message.function_call.name:  # from before there were tools
        calls = ((message.function_call.name, arguments(message.function_call.arguments)),)
    usage = answer.usage or usage
    return Reading(
        text=message.content or "",
        calls=calls,
        stop=stop_of(choice.finish_reason, _FINISH, calls=bool(calls)),
        prompt=usage and usage.prompt_tokens,
        completion=usage and usage.completion_tokens,
    )


def _called(call: Any) -> tuple[str, Any]:
    if call.type == "custom":
        return call.custom.name, {"input": call.custom.input}
    return call.function.name, arguments(call.function.arguments)


class ResponsesReader(_OpenAI):
    """Responses; of a stream, what its last event says."""

    async def read(self, model: str, *, stream: bool) -> Reading:
        create = self.client.responses.create
        if not stream:
            return self._response(await create(model=model, input=QUESTION))
        final = None
        async with await create(model=model, input=QUESTION, stream=True) as events:
            async for event in events:
                if event.type in _TERMINAL:
                    final = event.response
        if final is None:
            raise ValueError("the stream ended before the answer did")
        return self._response(final)

    @staticmethod
    def _response(answer: Any) -> Reading:
        if answer.error is not None:
            raise ValueError(answer.error.message)
        calls = tuple(
            (item.name, arguments(item.arguments))
            if item.type == "function_call"
            else (item.name, {"input": item.input})
            for item in answer.output
            if item.type in ("function_call", "custom_tool_call")
        )
        details = answer.incomplete_details
        reason = details.reason if details else answer.status
        words = {"completed": "stop", **_INCOMPLETE}
        return Reading(
            text=answer.output_text,
            calls=calls,
            stop=stop_of(reason, words, calls=bool(calls)),
            prompt=answer.usage and answer.usage.input_tokens,
            completion=answer.usage and answer.usage.output_tokens,
        )

"""OpenAI chat completions, the answer: one JSON body, or the events of a stream.

Spec: https://platform.openai.com/docs/api-reference/chat/object and .../chat/streaming
Reads what servers of this protocol really send, not only what the specification allows. Knows
nothing about HTTP, keys or retries; of several choices only the first is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pydantic_core import from_json, to_json

from victor.errors import (
    ContentFilterError,
    ProviderError,
    ProviderInvalidResponseError,
)
from victor.providers.failures import error_from_body
from victor.providers.reading import (
    count,
    cut_off,
    mapping,
    not_ours,
    parse_object,
    unique_calls,
    word,
)
from victor.types import (
    CompletionResponse,
    JsonObject,
    StreamChunk,
    ToolCall,
    Usage,
)

__all__ = ["ChatStream", "decode"]

_STOPS: Mapping[str, str] = {
    "stop": "stop",
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "max_output": "length",
    "model_length": "length",
    "content_filter": "content_filter",
    "error": "error",
}
_STAY = frozenset({"length", "content_filter", "error"})
_DONE = b"[DONE]"


def decode(body: bytes, *, provider: str, model: str) -> CompletionResponse:
    """Read a whole answer.

    Raises:
        ProviderInvalidResponseError: the body is not this protocol's, or the answer is empty.
        ContentFilterError: the answer was filtered before any text came.
        ProviderError: the body is an error object; its type says which.
    """
    value = parse_object(body, provider=provider, model=model)
    if _is_error(value):
        raise error_from_body(value, provider=provider, model=model)
    choices = value.get("choices")
    if not isinstance(choices, list):
        raise not_ours(f"has no choices: {body[:200]!r}", provider=provider, model=model)
    choice = _first(choices)
    answer = _Answer(provider, model)
    answer.add_delta(mapping(choice.get("message")))
    answer.raw_stop = choice.get("finish_reason") or None
    answer.usage = _usage(value)
    answer.model = word(value.get("model")) or model
    final = answer.final(complete=True)
    return CompletionResponse.model_construct(
        content="".join(answer.content),
        role="assistant",
        tool_calls=final.tool_calls,
        stop_reason=final.stop_reason,
        usage=final.usage,
        model=final.model,
        reasoning="".join(answer.reasoning) or None,
        provider_state=final.provider_state,
        raw_response=value,
        attempts=(),
    )


class ChatStream:
    """Reads the events of one stream; see `StreamDecoder`."""

    __slots__ = ("_answer", "done")

    def __init__(self, *, provider: str, model: str) -> None:
        self._answer = _Answer(provider, model)
        self.done = False

    def feed(self, data: bytes) -> StreamChunk | None:
        """Take the data of one event; return the chunk it makes, if any."""
        if self.done:
            return None
        try:
            value = from_json(data, cache_strings="keys")
            delta = value["choices"][0]["delta"]
            # The path of nearly every event: one choice, some text, nothing else.
            text = delta["content"]
            if text.__class__ is str and text and len(delta) == 1 and not value.get("error"):
                choice = value["choices"][0]
                if not choice.get("finish_reason") and not choice.get("index"):
                    if value.get("usage"):
                        self._answer.usage = _usage(value)
                    self._answer.has_text = True
                    return StreamChunk(text)
        except (ValueError, KeyError, IndexError, TypeError):
            bare = data.strip()
            self.done = bare == _DONE
            if self.done or not bare:
                return None
            value = parse_object(data, provider=self._answer.provider, model=self._answer.asked)
        return self._slowly(value)

    def _slowly(self, value: JsonObject) -> StreamChunk | None:
        answer = self._answer
        if _is_error(value):
            raise error_from_body(
                value, provider=answer.provider, model=answer.asked, where="in the stream"
            )
        usage = _usage(value)
        if usage is not None:
            answer.usage = usage  # cumulative where repeated: the last one counts
        answer.model = word(value.get("model")) or answer.model
        choices = value.get("choices")
        choice = _first(choices) if isinstance(choices, list) else {}
        if choice.get("index"):
            return None
        if choice.get("finish_reason"):
            answer.raw_stop = choice["finish_reason"]
        delta = choice.get("delta")
        if not isinstance(delta, Mapping):
            return None
        return answer.add_delta(delta)

    def finish(self) -> StreamChunk:
        """Return the final chunk, once the stream has ended."""
        return self._answer.final(complete=self.done)


class _Answer:
    """What has arrived of one answer."""

    def __init__(self, provider: str, model: str) -> None:
        self.provider = provider
        self.asked = model
        self.model: str = model
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.has_text = False
        self.refused = False
        self.details: list[Any] = []
        self.raw_stop: Any = None
        self.usage: Usage | None = None
        self.calls = _Calls()

    def add_delta(self, delta: Mapping[str, Any]) -> StreamChunk | None:
        """Add a delta, or the message of a whole answer, and return what it adds as a chunk."""
        text, thought = _texts(delta.get("content"))
        refusal = word(delta.get("refusal"))
        if refusal:
            text += refusal
            self.refused = True
        # Some send the same under both names.
        thought += word(delta.get("reasoning_content")) or word(delta.get("reasoning"))
        if isinstance(delta.get("reasoning_details"), list):
            self.details += delta["reasoning_details"]
            if not thought:
                thought = "".join(_detail_text(item) for item in delta["reasoning_details"])
        fragment = self.calls.add(delta)
        if text:
            self.content.append(text)
            self.has_text = True
        if thought:
            self.reasoning.append(thought)
        if text or thought or fragment:
            return StreamChunk(text, thought, tool_call_delta=fragment)
        return None

    def final(self, *, complete: bool) -> StreamChunk:
        """Return the final chunk, or raise for an answer that is cut off, filtered or empty."""
        if self.raw_stop is None and not complete:
            raise cut_off(provider=self.provider, model=self.asked)
        calls = self.calls.whole()
        stop = "content_filter" if self.refused else self._stop(bool(calls))
        if not calls and not self.has_text and stop != "length":
            self._raise_empty(stop)
        return StreamChunk(
            tool_calls=calls or None,
            stop_reason=stop,
            usage=self.usage,
            is_final=True,
            provider_state={"openai-chat": {"reasoning_details": self.details}}
            if self.details
            else None,
            model=self.model,
        )

    def _stop(self, has_calls: bool) -> str:  # noqa: FBT001 - private, one caller
        raw = self.raw_stop
        stop = _STOPS.get(raw.lower(), "other") if isinstance(raw, str) else "stop"
        return "tool_calls" if has_calls and stop not in _STAY else stop

    def _raise_empty(self, stop: str) -> NoReturn:
        if stop == "content_filter":
            raise ContentFilterError(
                f"{self.provider} filtered the answer before any text came",
                provider=self.provider,
                model=self.asked,
            )
        kind = ProviderError if stop == "error" else ProviderInvalidResponseError
        raise kind(
            f"{self.provider} answered with neither text nor tool calls"
            f" (finish_reason {self.raw_stop!r})",
            provider=self.provider,
            model=self.asked,
        )


class _Calls:
    """Puts tool calls together from fragments, by index, else by id, else by order."""

    def __init__(self) -> None:
        self._calls: list[JsonObject] = []
        self._by_index: dict[int, JsonObject] = {}

    def add(self, delta: Mapping[str, Any]) -> str:
        """Take the calls of a delta; return the text of their arguments."""
        fragments = delta.get("tool_calls")
        if not isinstance(fragments, list) or not fragments:
            legacy = delta.get("function_call")
            if not isinstance(legacy, Mapping):
                return ""
            fragments = [{"index": 0, "function": legacy}]
        return "".join(self._add(item) for item in fragments if isinstance(item, Mapping))

    def _add(self, item: Mapping[str, Any]) -> str:
        function = mapping(item.get("function"))
        custom = item.get("custom")
        own = function or mapping(custom)
        name, arguments = word(own.get("name")), own.get("arguments")
        call = self._find(item.get("index"), word(item.get("id")), name)
        # Some hosts repeat the name on every fragment, others send it in pieces before the rest.
        if name and name != call["name"] and not call["text"]:
            call["name"] += name
        if custom and own is custom:
            call["input"] = call.get("input", "") + word(own.get("input"))
            arguments = {"input": call["input"]}
        if isinstance(arguments, str):
            call["text"] += [arguments] if arguments else []
            return arguments or name
        if arguments is not None:
            # An object; anything else is kept to be refused like any other bad arguments.
            call["text"] = [to_json(arguments).decode()]
        return name or ("" if arguments is None else "…")

    def _find(self, index: Any, call_id: str, name: str) -> JsonObject:
        index = index if isinstance(index, int) else None
        if index is not None:
            call = self._by_index.get(index)
        elif call_id:
            call = next((one for one in self._calls if one["id"] == call_id), None)
        else:
            call = self._calls[-1] if self._calls and not name else None
        if call is None or _is_another(call, call_id, name):
            call = {"id": call_id, "name": "", "text": []}
            self._calls.append(call)
        if call_id:
            call["id"] = call_id
        if index is not None:
            self._by_index[index] = call
        return call

    def whole(self) -> list[ToolCall]:
        """Return every call, ids made unique; nameless ones are dropped: nothing can run them."""
        return unique_calls(
            (call["id"], call["name"], "".join(call["text"])) for call in self._calls
        )


def _is_another(call: JsonObject, call_id: str, name: str) -> bool:
    """Tell whether a fragment at the index of a call begins the next one: index 0 for all."""
    if call_id and call["id"]:
        return bool(call_id != call["id"])
    return bool(name and call["text"] and name != call["name"])


def _texts(content: Any) -> tuple[str, str]:
    """Return the text and the thinking of a content field, which may be a list of parts."""
    if isinstance(content, str):
        return content, ""
    if not isinstance(content, list):
        return "", ""
    text, thought = "", ""
    for part in content:
        if not isinstance(part, Mapping):
            continue
        if part.get("type") == "thinking":
            inner = part.get("thinking")
            thought += inner if isinstance(inner, str) else _texts(inner)[0]
        elif isinstance(part.get("text"), str):
            text += part["text"]
    return text, thought


def _detail_text(item: Any) -> str:
    item = mapping(item)
    return word(item.get("text") or item.get("summary"))


def _usage(value: Mapping[str, Any]) -> Usage | None:
    usage = value.get("usage")
    if not usage and isinstance(value.get("x_groq"), Mapping):
        usage = value["x_groq"].get("usage")
    if not isinstance(usage, Mapping) or not usage:
        return None
    prompt = mapping(usage.get("prompt_tokens_details"))
    completion = mapping(usage.get("completion_tokens_details"))
    cached = count(prompt.get("cached_tokens"))
    if cached is None:
        cached = count(usage.get("prompt_cache_hit_tokens"))
    asked, answered = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    total = count(usage.get("total_tokens"))
    if asked is not None and answered is not None and total is not None:
        # xAI's and Gemini's completion_tokens leave out the thinking, which the total has.
        answered = max(answered, total - asked)
    return Usage.model_construct(
        prompt_tokens=asked,
        completion_tokens=answered,
        total_tokens=total,
        cached_tokens=cached,
        cache_write_tokens=count(prompt.get("cache_write_tokens")),
        reasoning_tokens=count(completion.get("reasoning_tokens")),
    )


def _is_error(value: Mapping[str, Any]) -> bool:
    """Tell whether a body or an event is an error; vLLM, Mistral and FastAPI do not wrap theirs."""
    if value.get("error"):
        return True
    return "choices" not in value and ("detail" in value or value.get("object") == "error")


def _first(choices: Sequence[Any]) -> Mapping[str, Any]:
    return choices[0] if choices and isinstance(choices[0], Mapping) else {}

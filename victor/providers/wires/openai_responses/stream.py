"""OpenAI Responses, the answer as a stream of events.

Spec: https://platform.openai.com/docs/api-reference/responses-streaming
Goes by the `type` in the data, as many servers send no event names. The last event brings the whole
response, which counts; where its output is empty, the items that came before it do. Knows nothing
about bytes, HTTP or retries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from victor.providers.reading import cut_off, mapping, parse_object, word
from victor.providers.wires.openai_responses.decode import conclusion, raise_failure
from victor.providers.wires.openai_responses.items import Reading, call_positions, read_items
from victor.types import JsonObject, StreamChunk

__all__ = ["ResponsesStream"]

_DONE = b"[DONE]"
_TEXT = "response.output_text.delta"
_FIELDS = ("arguments", "input")


class ResponsesStream:
    """Reads the events of one stream; see `StreamDecoder`."""

    __slots__ = (
        "_found",
        "_items",
        "_model",
        "_provider",
        "_response",
        "_text",
        "_thought",
        "done",
    )

    def __init__(self, *, provider: str, model: str) -> None:
        self._provider = provider
        self._model = model
        self._text: list[str] = []
        self._thought: list[str] = []
        self._items = _Items()
        self._response: Mapping[str, Any] = {}
        self._found: Reading | None = None
        self.done = False

    def feed(self, data: bytes) -> StreamChunk | None:
        """Take the data of one event; return the chunk it makes, if any."""
        if self.done:
            return None
        try:
            value = from_json(data, cache_strings="keys")
            if value["type"] == _TEXT:
                # The path of nearly every event.
                text = value["delta"]
                if text.__class__ is str and text:
                    self._text.append(text)
                    return StreamChunk(text)
        except (ValueError, KeyError, IndexError, TypeError):
            bare = data.strip()
            if bare == _DONE:
                return self._end({})
            if not bare:
                return None
            value = parse_object(data, provider=self._provider, model=self._model)
        return self._slowly(value)

    def finish(self) -> StreamChunk:
        """Return the final chunk, once the stream has ended."""
        if self._found is None:
            raise cut_off(provider=self._provider, model=self._model)
        return conclusion(
            self._response,
            self._found,
            text="".join(self._text),
            provider=self._provider,
            model=self._model,
        )

    def _slowly(self, event: Mapping[str, Any]) -> StreamChunk | None:
        kind = word(event.get("type"))
        if not kind.startswith("response.") or kind == "response.error":
            self._check(event)  # a failed tool of the server has an `error`, too
        match kind.removeprefix("response."):
            case "output_item.added" | "output_item.done" as step:
                return self._items.take(event, is_done=step.endswith("done"))
            case "function_call_arguments.delta" | "custom_tool_call_input.delta":
                return self._items.fragment(event)
            case "function_call_arguments.done" | "custom_tool_call_input.done":
                self._items.whole(event)
            case "refusal.delta":
                return self._saying(word(event.get("delta")))
            case "completed" | "incomplete" | "failed" | "cancelled" | "done" as step:
                status = "completed" if step == "done" else step
                return self._end({"status": status, **self._inner(event)})
            case "created" | "in_progress" | "queued":
                self._response = self._inner(event)
                self._check(self._response)
            case step if step.startswith("reasoning") and step.endswith(".delta"):
                # Summaries and raw thinking, under more names than the specification has.
                return self._thinking(word(event.get("delta")))
            case step if step.endswith(".delta") and "_call" in step:
                # A server's own tool at work: a sign of life.
                return _sign(word(event.get("delta")))
        return None

    def _inner(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        found = {"error": event.get("error"), **mapping(event.get("response"))}
        return {key: value for key, value in found.items() if value is not None}

    def _check(self, value: Mapping[str, Any]) -> None:
        raise_failure(value, provider=self._provider, model=self._model, where="in the stream")

    def _saying(self, text: str) -> StreamChunk | None:
        if not text:
            return None
        self._text.append(text)
        return StreamChunk(text)

    def _thinking(self, thought: str) -> StreamChunk | None:
        if not thought:
            return None
        self._thought.append(thought)
        return StreamChunk(reasoning=thought)

    def _end(self, response: Mapping[str, Any]) -> StreamChunk | None:
        """Take the end of the answer; return what of it had not come as a delta."""
        self._check(response)
        self.done = True
        # `[DONE]` alone ends a stream, too: the answer is then what came before it.
        self._response = {**self._response, "status": "completed", **response}
        self._found = found = read_items(self._items.output(response.get("output")))
        text = _rest(found.content or word(response.get("output_text")), self._text)
        thought = _rest(found.reasoning, self._thought)
        self._text.append(text)
        return StreamChunk(text, thought) if text or thought else None


def _rest(whole: str, pieces: Sequence[str]) -> str:
    """Return what a text has beyond its pieces; nothing if it is another one."""
    sent = "".join(pieces)
    return whole[len(sent) :] if whole.startswith(sent) else ""


def _sign(text: str) -> StreamChunk | None:
    return StreamChunk(tool_call_delta=text) if text else None


class _Items:
    """The items of a stream, as far as they have come."""

    def __init__(self) -> None:
        self._items: list[JsonObject] = []
        self._places: list[int] = []
        self._whole: set[int] = set()
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}
        self._pieces: dict[tuple[int, str], list[str]] = {}

    def take(self, event: Mapping[str, Any], *, is_done: bool) -> StreamChunk | None:
        """Take an item: its beginning, or the whole of it."""
        item = event.get("item")
        if not isinstance(item, dict):
            return None
        item_id, index = word(item.get("id")), event.get("output_index")
        at = self._find(item_id, index)
        if at is None or ((not is_done or at in self._whole) and at != self._by_id.get(item_id)):
            at = self._add(item_id, index)  # index 0 for all, or none
        known = self._joined(at)
        # What came in pieces is not lost to a blank.
        known |= {
            key: one for key, one in item.items() if one not in (None, "") or key not in known
        }
        if is_done:
            self._whole.add(at)
            return None
        return _sign(word(item.get("name")))

    def fragment(self, event: Mapping[str, Any]) -> StreamChunk | None:
        """Take a part of a call's arguments."""
        text = word(event.get("delta"))
        self._pieces.setdefault((self._call_of(event), _field(event)), []).append(text)
        return _sign(text)

    def whole(self, event: Mapping[str, Any]) -> None:
        """Take the whole of a call's arguments."""
        item = self._joined(self._call_of(event))
        field = _field(event)
        if event.get(field) is not None:
            item[field] = event[field]
        if word(event.get("name")):
            item["name"] = event["name"]

    def output(self, final: Any) -> Sequence[Any]:
        """Return the items that count: the final ones, unless they lack what came before."""
        order = sorted(range(len(self._items)), key=self._places.__getitem__)
        seen = [self._joined(at) for at in order]
        if not isinstance(final, list) or not final:
            return seen
        has_calls = call_positions([mapping(item) for item in final])
        return final if has_calls or not call_positions(seen) else seen

    def _joined(self, at: int) -> JsonObject:
        """Return an item with the arguments that came in pieces since it was last looked at."""
        item = self._items[at]
        for field in _FIELDS:
            if pieces := self._pieces.pop((at, field), None):
                item[field] = "".join([word(item.get(field)), *pieces])
        return item

    def _call_of(self, event: Mapping[str, Any]) -> int:
        item_id, index = word(event.get("item_id")), event.get("output_index")
        at = self._find(item_id, index)
        if at is None:
            at = self._add(item_id, index)
            kind = word(event.get("type"))
            custom = "custom_tool_call" in kind
            self._items[at]["type"] = "custom_tool_call" if custom else "function_call"
        return at

    def _find(self, item_id: str, index: Any) -> int | None:
        """Return an item's position: by id, else by index, as some servers change the ids."""
        at = self._by_id.get(item_id) if item_id else None
        if at is None and isinstance(index, int):
            at = self._by_index.get(index)
        if at is None and not item_id and not isinstance(index, int) and self._items:
            at = len(self._items) - 1
        return at

    def _add(self, item_id: str, index: Any) -> int:
        at = len(self._items)
        self._items.append({"id": item_id} if item_id else {})
        known = isinstance(index, int) and index not in self._by_index
        self._places.append(index if known else self._places[-1] if self._places else 0)
        if item_id:
            self._by_id[item_id] = at
        if isinstance(index, int):
            self._by_index[index] = at
        return at


def _field(event: Mapping[str, Any]) -> str:
    return "input" if "custom_tool_call" in word(event.get("type")) else "arguments"

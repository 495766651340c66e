from __future__ import annotations

from victor.providers.continuing import MAX_PARTS, Parts
from victor.providers.request import PAUSED, ChatRequest
from victor.types import CompletionResponse, Message, StreamChunk, Usage

ASKED = ChatRequest([Message(role="user", content="Hi")], "m")


def _state(*blocks: str) -> dict[str, object]:
    return {"w": {"provider": "p", "blocks": list(blocks)}}


def _part(text: str, stop: str = PAUSED, **fields: object) -> CompletionResponse:
    return CompletionResponse(content=text, stop_reason=stop, **fields)


def test_each_part_is_sent_back_after_the_ones_before() -> None:
    parts = Parts(ASKED)
    first, second = _part("a").to_message(), _part("b").to_message()
    assert parts.next_request(first, None).messages == [*ASKED.messages, first]
    assert parts.next_request(second, None).messages == [*ASKED.messages, first, second]


def test_the_parts_of_an_answer_are_one_answer() -> None:
    parts = Parts(ASKED)
    first = _part(
        "a",
        reasoning="r",
        provider_state=_state("1", "2"),
        usage=Usage(prompt_tokens=3, completion_tokens=1),
    )
    parts.next_request(first.to_message(), first.usage)
    last = _part("b", "stop", provider_state=_state("3"), usage=Usage(prompt_tokens=4))
    whole = parts.whole(last)
    assert (whole.content, whole.reasoning, whole.stop_reason) == ("ab", "r", "stop")
    assert whole.provider_state == _state("1", "2", "3")
    assert whole.usage == Usage(prompt_tokens=7, completion_tokens=1)


def test_the_last_chunk_carries_the_state_and_the_usage_of_all_parts() -> None:
    parts = Parts(ASKED)
    message = Message(role="assistant", provider_state=_state("1"))
    parts.next_request(message, Usage(prompt_tokens=3))
    chunk = StreamChunk(is_final=True, stop_reason="stop", provider_state={"v": {"provider": "q"}})
    last = parts.last(chunk)
    assert last.provider_state == {**_state("1"), "v": {"provider": "q"}}
    assert last.usage == Usage(prompt_tokens=3)
    assert last.stop_reason == "stop"


def test_an_answer_that_never_ends_is_ended() -> None:
    parts, asked = Parts(ASKED), 0
    while not parts.full:
        parts.next_request(_part("x").to_message(), None)
        asked += 1
    assert asked == MAX_PARTS - 1
    assert parts.whole(_part("y")).stop_reason == "other"
    assert parts.whole(_part("y")).content == "x" * asked + "y"
    assert parts.last(StreamChunk(is_final=True, stop_reason=PAUSED)).stop_reason == "other"


def test_an_answer_in_one_part_is_left_as_it_is() -> None:
    chunk = StreamChunk(is_final=True, stop_reason="stop", usage=Usage(prompt_tokens=1))
    assert Parts(ASKED).last(chunk) is chunk
    assert chunk.usage == Usage(prompt_tokens=1)

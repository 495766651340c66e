from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from victor.agent.agent import Agent
from victor.agent.events import RunFinished, TextDelta, ToolFinished
from victor.providers.base import BaseProvider
from victor.tool_calling.constrained import ConstrainedAdapter
from victor.tools.base import tool
from victor.types import CompletionResponse, Message, StreamChunk, ToolCall, ToolDefinition


def step_text(name: str, **arguments: Any) -> str:
    return json.dumps({"tool": name, "arguments": arguments})


# --- however it is cut into pieces ----------------------------------------------------------------

arguments = st.dictionaries(
    st.sampled_from(["text", "path", "n"]),
    st.text(max_size=12) | st.integers() | st.none(),
    max_size=3,
)
steps = st.builds(
    lambda name, given, ascii_only: json.dumps(
        {"tool": name, "arguments": given}, ensure_ascii=ascii_only
    ),
    st.sampled_from(["answer", "read"]),
    arguments,
    st.booleans(),
)
answers = st.text(max_size=30).map(lambda text: step_text("answer", text=text))


@st.composite
def texts(draw: st.DrawFn) -> str:
    whole = draw(steps | answers | st.text(max_size=20))
    return whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole


def cut(text: str, places: Sequence[int]) -> list[str]:
    ends = sorted({min(place, len(text)) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def without_ids(calls: Sequence[ToolCall] | None) -> list[JsonDump]:
    return [call.model_dump(exclude={"id"}) for call in calls or ()]


JsonDump = dict[str, Any]


@settings(max_examples=300, deadline=None)
@given(texts(), st.lists(st.integers(0, 60), max_size=8), st.sampled_from(["stop", "length"]))
@example('{"tool": "answer", "arguments": {"text": "\\ud83d\\ude00"}}', [42, 48], "stop")
def test_stream_comes_to_the_same_as_the_whole_answer(
    written: str, places: list[int], stop: str
) -> None:
    async def chunks() -> AsyncIterator[StreamChunk]:
        for piece in cut(written, places):
            yield StreamChunk(piece)
        yield StreamChunk(stop_reason=stop, is_final=True)

    async def main() -> list[StreamChunk]:
        return [chunk async for chunk in ConstrainedAdapter().parse_stream(chunks())]

    whole = ConstrainedAdapter().parse_tool_calls(
        CompletionResponse(content=written, stop_reason=stop)
    )
    came = asyncio.run(main())
    assert "".join(chunk.content for chunk in came) == whole.content
    assert [chunk.is_final for chunk in came].index(True) == len(came) - 1
    assert came[-1].stop_reason == whole.stop_reason
    assert without_ids(came[-1].tool_calls) == without_ids(whole.tool_calls)


@settings(max_examples=200, deadline=None)
@given(arguments, st.sampled_from(["read", "x"]))
def test_whole_call_is_read_back_as_it_was_written(given: dict[str, Any], name: str) -> None:
    written = json.dumps({"tool": name, "arguments": given})
    answer = ConstrainedAdapter().parse_tool_calls(CompletionResponse(content=written))
    expected = ToolCall(name=name, arguments=given)
    assert without_ids(answer.tool_calls) == without_ids([expected])


# --- an agent with such a model -------------------------------------------------------------------


class Tiny(BaseProvider):
    """A model that writes the given texts, through the adapter, as a local one would."""

    default_model = "tiny"

    def __init__(self, *written: str, chain: bool = False) -> None:
        super().__init__(max_retries=0)
        self.written = list(written)
        self.adapter = ConstrainedAdapter(chain=chain)
        self.sent: list[list[Message]] = []
        self.offers: list[bool] = []

    @property
    def name(self) -> str:
        return "tiny"

    def _next(
        self, messages: Sequence[Message], tools: list[ToolDefinition] | None
    ) -> tuple[str, str]:
        step = self.adapter.prepare(messages, tools or ())
        self.sent.append(step.messages)
        self.offers.append(step.offers_tools)
        written = self.written[len(self.sent) - 1]
        return written.removesuffix("✂"), "length" if written.endswith("✂") else "stop"

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
        written, stop = self._next(messages, tools)
        answer = CompletionResponse(content=written, stop_reason=stop)
        return self.adapter.parse_tool_calls(answer) if self.offers[-1] else answer

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
        written, stop = self._next(messages, tools)

        async def chunks() -> AsyncIterator[StreamChunk]:
            for character in written:
                yield StreamChunk(character)
            yield StreamChunk(stop_reason=stop, is_final=True)

        source = chunks()
        async for chunk in self.adapter.parse_stream(source) if self.offers[-1] else source:
            yield chunk

    async def close(self) -> None:
        pass


@tool(effect="read")
def read(path: str) -> str:
    """Read one file."""
    if path != "fees.txt":
        raise FileNotFoundError(path)
    return "The fee is 7."


@tool(effect="read")
def list_files() -> str:
    """List the names of all files."""
    return "fees.txt"


READ = step_text("read", path="fees.txt")
MISSED = step_text("read", path="fee.txt")
LISTED = step_text("list_files")

runs = [
    pytest.param([step_text("answer", text="Hello!")], False, [], "Hello!", "stop", id="greeting"),
    pytest.param([READ, "It is 7."], False, ["read"], "It is 7.", "stop", id="one-call"),
    pytest.param(
        [LISTED, READ, "It is 7."], False, ["list_files", "read"], "It is 7.", "stop", id="two"
    ),
    pytest.param(
        [MISSED, LISTED, "No idea."],
        False,
        ["read", "list_files"],
        "No idea.",
        "stop",
        id="after-a-failure",
    ),
    pytest.param(
        [LISTED, READ, READ, step_text("answer", text="It is 7.")],
        True,
        ["list_files", "read", "read"],
        "It is 7.",
        "stop",
        id="chain",
    ),
    pytest.param(
        [f"{READ[:-5]}✂", LISTED, "7"],
        False,
        ["read", "list_files"],
        "7",
        "stop",
        id="cut-off-call",
    ),
    pytest.param(
        [step_text("answer", text="It is seven")[:-8] + "✂"],
        False,
        [],
        "It is ",
        "length",
        id="cut-off-answer",
    ),
    pytest.param(['{"tool": "answer", "arg✂'], False, [], "", "length", id="no-answer-yet"),
    pytest.param(["I will not."], False, [], "I will not.", "stop", id="no-step-at-all"),
]


@pytest.mark.parametrize(("written", "chain", "called", "content", "stop"), runs)
async def test_agent_works_with_a_model_that_only_writes(
    written: list[str], chain: bool, called: list[str], content: str, stop: str
) -> None:
    def agent() -> Agent:
        return Agent(Tiny(*written, chain=chain), tools=[read, list_files])

    events = [event async for event in agent().stream("What is the fee?")]
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert [event.call.name for event in events if isinstance(event, ToolFinished)] == called
    assert (last.result.content, last.result.stop_reason) == (content, stop)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text == content
    whole = await agent().run("What is the fee?")
    assert [(one.role, one.content) for one in whole.messages] == [
        (one.role, one.content) for one in last.result.messages
    ]


async def test_call_that_is_cut_off_goes_back_to_the_model_and_never_runs() -> None:
    provider = Tiny(f"{READ[:-5]}✂", LISTED, "7")
    result = await Agent(provider, tools=[read, list_files]).run("What is the fee?")
    refused = next(one for one in result.messages if one.role == "tool")
    assert refused.content.startswith("Error: the call was not run, as ")
    assert refused.content.endswith("Send it again, complete.")
    assert provider.offers == [True, True, False]


async def test_answer_is_shown_before_it_is_whole() -> None:
    provider = Tiny(step_text("answer", text="one two"))
    events = Agent(provider, tools=[read]).stream("hi")
    pieces = [event.text async for event in events if isinstance(event, TextDelta)]
    assert pieces == list("one two")

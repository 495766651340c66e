from __future__ import annotations

import json

import pytest

from tests.providers.loopback import ADD, HI, connect, whole_body
from victor.config.model_capabilities import ModelData, ModelRow
from victor.testing.faults import Answer, FaultServer, Request, json_answer, sse_answer
from victor.types import StreamChunk

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
either = pytest.mark.parametrize("how", ["chat", "stream"])


def _says(text: str) -> object:
    """Answer with a text; as a stream, four letters at a time."""

    def answer(request: Request) -> Answer:
        if not request.json().get("stream"):
            return json_answer(whole_body(text))
        pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
        deltas = [{"choices": [{"index": 0, "delta": {"content": one}}]} for one in pieces]
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        return sse_answer([*deltas, end])

    return answer


async def _ask(said: str, how: str, known: ModelData, **options: object) -> tuple[StreamChunk, str]:
    """Return the whole answer as one chunk, and what the model was asked."""
    async with FaultServer(_says(said)) as server:  # type: ignore[arg-type] # a callable
        async with connect(server, models=[ModelRow("m", known)]) as provider:
            if how == "chat":
                answer = await provider.chat(HI, model="m", **options)  # type: ignore[arg-type] # by name
                found = StreamChunk(
                    answer.content,
                    answer.reasoning or "",
                    answer.tool_calls,
                    answer.stop_reason,
                )
            else:
                chunks = [one async for one in provider.stream(HI, model="m", **options)]  # type: ignore[arg-type] # by name
                found = StreamChunk(
                    "".join(one.content for one in chunks),
                    "".join(one.reasoning for one in chunks),
                    chunks[-1].tool_calls,
                    chunks[-1].stop_reason,
                )
        return found, json.dumps(server.requests[0].json())


@either
async def test_a_model_without_calls_or_schemas_is_taught_its_tools_by_prompt(how: str) -> None:
    known = ModelData(tool_mode="none", json_schema=False)
    found, asked = await _ask(f"Let me see.\n{CALL}", how, known, tools=[ADD])
    assert [(one.name, one.arguments) for one in found.tool_calls or []] == [("add", {"a": 1})]
    assert (found.content, found.stop_reason) == ("Let me see.", "tool_calls")
    assert "<tools>" in asked
    assert '"tools"' not in asked


@either
async def test_a_model_without_calls_is_held_to_a_schema_where_it_can_be(how: str) -> None:
    said = '{"tool": "add", "arguments": {"a": 1}}'
    found, asked = await _ask(said, how, ModelData(tool_mode="none"), tools=[ADD])
    assert [(one.name, one.arguments) for one in found.tool_calls or []] == [("add", {"a": 1})]
    assert "response_format" in asked


@either
@pytest.mark.parametrize(
    ("said", "starts"), [("<think>Hm.</think>\n\n42", False), ("Hm.</think>\n\n42", True)]
)
async def test_thinking_in_the_text_is_told_apart_where_the_models_data_say_so(
    how: str, said: str, starts: bool
) -> None:
    known = ModelData(think_tags=True, starts_in_reasoning=starts)
    found, _ = await _ask(said, how, known)
    assert (found.content, found.reasoning, found.tool_calls) == ("42", "Hm.", None)


@either
async def test_thinking_in_the_text_stays_where_nobody_knows_better(how: str) -> None:
    found, _ = await _ask("<think>Hm.</think>42", how, ModelData())
    assert (found.content, found.reasoning) == ("<think>Hm.</think>42", "")


@either
async def test_a_call_in_the_text_is_no_call_where_no_tools_were_offered(how: str) -> None:
    found, _ = await _ask(f"So: {CALL}", how, ModelData(think_tags=True))
    assert (found.content, found.tool_calls, found.stop_reason) == (f"So: {CALL}", None, "stop")

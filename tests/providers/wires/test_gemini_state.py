from __future__ import annotations

import pytest

from tests.providers.wires.gemini_bodies import (
    SIGNED,
    Json,
    read,
    replayed,
    stream,
    value_of,
)
from victor.types import Message


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([{"text": "Hi", "thoughtSignature": "A"}], id="signed text"),
        pytest.param([{"text": "Hi"}, {"text": "", "thoughtSignature": "A"}], id="signed end"),
        pytest.param(
            [{"text": "hm", "thought": True}, {"text": "Hi", "thoughtSignature": "A"}],
            id="thought, signed text",
        ),
        pytest.param(
            [{"text": "hm", "thought": True, "thoughtSignature": "A"}, {"text": "Hi"}],
            id="signed thought",
        ),
        pytest.param(
            [SIGNED, {"functionCall": {"name": "now", "args": {}}}], id="parallel, first signed"
        ),
        pytest.param(
            [SIGNED, {"functionCall": {"id": "x1", "name": "now", "args": {}}}, {"text": "after"}],
            id="text after calls",
        ),
        pytest.param(
            [
                {"toolCall": {"id": "s1", "toolType": "SEARCH"}, "thoughtSignature": "A"},
                {"toolResponse": {"id": "s1"}, "thoughtSignature": "B"},
                {"text": "Found."},
                {"executableCode": {"code": "1", "language": "PYTHON"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK"}},
                {"text": "Ran."},
            ],
            id="server tools",
        ),
        pytest.param([{"text": "Hi", "partMetadata": {"a": 1}}], id="unknown key"),
    ],
)
def test_an_answer_goes_back_exactly_as_it_came(parts: list[Json]) -> None:
    assert replayed(read(*parts)) == parts


def test_a_streamed_answer_goes_back_in_as_few_parts_as_signatures_allow() -> None:
    values = [
        value_of({"text": "h", "thought": True}, finish=None),
        value_of({"text": "m", "thought": True}, finish=None),
        value_of({"text": "He"}, finish=None),
        value_of({"text": "y"}, finish=None),
        value_of({"text": "", "thoughtSignature": "A"}, finish=None),
        value_of({"text": ""}, finish=None),
        value_of({"text": " you"}, finish=None),
        value_of({"text": "!", "thought": False}, SIGNED),
    ]
    chunks, final = stream(*values)
    message = Message(
        role="assistant",
        content="".join(chunk.content for chunk in chunks),
        reasoning="".join(chunk.reasoning for chunk in chunks),
        tool_calls=final.tool_calls,
        provider_state=final.provider_state,
    )
    assert replayed(message) == [
        {"text": "hm", "thought": True},
        {"text": "Hey"},
        {"text": "", "thoughtSignature": "A"},
        {"text": " you!"},
        SIGNED,
    ]


def test_the_state_holds_no_text_and_no_arguments_twice() -> None:
    answer = read({"text": "long " * 100}, SIGNED, {"text": "", "thoughtSignature": "B"})
    assert answer.provider_state == {
        "gemini": {
            "provider": "google",
            "parts": [
                {"text": 500},
                {"functionCall": {}, "thoughtSignature": "AAA="},
                {"text": 0, "thoughtSignature": "B"},
            ],
        }
    }


def test_texts_that_say_no_more_than_others_are_one_part() -> None:
    parts = [
        {"text": "", "thought": True},
        {"text": "a", "thought": False},
        {"text": "b", "thought": False},
        {"text": "c"},
        {"text": "d", "thoughtSignature": "A"},
    ]
    assert replayed(read(*parts)) == [{"text": "abc"}, {"text": "d", "thoughtSignature": "A"}]


def test_a_signature_that_comes_with_the_rest_of_a_call_is_the_calls() -> None:
    pieces = [{"jsonPath": "$.a", "numberValue": 1}]
    chunks, final = stream(
        value_of({"functionCall": {"name": "add", "willContinue": True}}, finish=None),
        value_of({"functionCall": {"partialArgs": pieces, "willContinue": True}}, finish=None),
        value_of({"functionCall": {}, "thoughtSignature": "AAA="}),
    )
    message = Message(
        role="assistant", tool_calls=final.tool_calls, provider_state=final.provider_state
    )
    assert [chunk.tool_call_delta for chunk in chunks] == ["add", "…", "…"]
    assert replayed(message) == [SIGNED]

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from victor.errors import ConfigError, ProviderInvalidRequestError
from victor.tool_calling.constrained import ConstrainedAdapter
from victor.types import (
    Attachment,
    JsonObject,
    Message,
    ToolCall,
    ToolDefinition,
    ToolExample,
)

FINAL = "Answer the user in one sentence. Repeat the figures and names of the result."


def definition(name: str, *examples: ToolExample, **properties: JsonObject) -> ToolDefinition:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return ToolDefinition(
        name=name, description=f"Do {name}.", parameters=parameters, examples=examples
    )


READ = definition(
    "read",
    ToolExample(request="What does a.txt say?", arguments={"path": "a.txt"}),
    path={"type": "string", "enum": ["a.txt", "b.txt"]},
)
SEARCH = definition("search", query={"type": "string"})
LIST = definition("list_files")
TOOLS = [READ, SEARCH, LIST]
ANSWER_LINE = "- answer(text): No tool fits: greetings, thanks, small talk, general knowledge."


def system(content: str) -> Message:
    return Message(role="system", content=content)


def user(content: str = "What is in a.txt?") -> Message:
    return Message(role="user", content=content)


def said(content: str) -> Message:
    return Message(role="assistant", content=content)


def called(name: str, **arguments: Any) -> Message:
    return Message(role="assistant", tool_calls=[ToolCall(id="c", name=name, arguments=arguments)])


def result(content: str, name: str | None = "read") -> Message:
    return Message(role="tool", content=content, tool_call_id="c", name=name)


def plain(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(one.role, one.content) for one in messages]


def offered(options: JsonObject) -> list[str]:
    schema = options["response_format"]["json_schema"]["schema"]
    return [one["properties"]["tool"]["const"] for one in schema["anyOf"]]


# --- the schema -----------------------------------------------------------------------------------


def test_schema_has_one_alternative_per_tool_and_one_for_the_answer() -> None:
    assert ConstrainedAdapter().convert_tools([READ]) == {
        "type": "json_schema",
        "json_schema": {
            "name": "step",
            "strict": True,
            "schema": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {"tool": {"const": "read"}, "arguments": READ.parameters},
                        "required": ["tool", "arguments"],
                        "additionalProperties": False,
                    },
                    {
                        "type": "object",
                        "properties": {
                            "tool": {"const": "answer"},
                            "arguments": {
                                "type": "object",
                                "properties": {"text": {"type": "string"}},
                                "required": ["text"],
                                "additionalProperties": False,
                            },
                        },
                        "required": ["tool", "arguments"],
                        "additionalProperties": False,
                    },
                ]
            },
        },
    }


def test_tool_with_the_name_of_the_answer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'answer' cannot be a tool's name.*tool\(name="):
        ConstrainedAdapter().prepare([user()], [definition("answer")])


# --- what is sent ---------------------------------------------------------------------------------

TASK = "Choose the one tool that does what the user asks. Reply with one JSON object."
ASKED = f"""\
Tools:
- read(path: a.txt|b.txt): Do read.
- search(query): Do search.
- list_files(): Do list_files.
{ANSWER_LINE}

Request: What does a.txt say?
{{"tool":"read","arguments":{{"path":"a.txt"}}}}
Request: What is in a.txt?"""


@pytest.mark.parametrize("chain", [False, True], ids=["once", "chain"])
def test_first_step_shows_how_to_choose_and_offers_every_tool(chain: bool) -> None:
    picture = Attachment(media_type="image/png", url="https://example.com/a.png")
    question = user().model_copy(update={"attachments": [picture]})
    step = ConstrainedAdapter(chain=chain).prepare([question], TOOLS)
    assert plain(step.messages)[0] == ("system", TASK)
    assert plain(step.messages)[-1] == ("user", ASKED)
    assert step.messages[-1].attachments == [picture]
    assert step.offers_tools
    assert offered(step.options) == ["read", "search", "list_files", "answer"]


def test_own_system_prompt_comes_first() -> None:
    step = ConstrainedAdapter().prepare([system("Be kind."), system("Be brief."), user()], TOOLS)
    assert step.messages[0].content == f"Be kind.\nBe brief.\n{TASK}"


def test_earlier_turns_are_remembered_shortened_and_without_tools() -> None:
    earlier = [
        system("Be brief."),
        user("forgotten"),
        said("forgotten too"),
        user("one"),
        called("read", path="a.txt"),
        result("RESULT"),
        said("x" * 700),
        user("two"),
        said("answer two"),
    ]
    for since in ([], [called("read", path="a.txt"), result("text")]):
        step = ConstrainedAdapter().prepare([*earlier, user("now"), *since], TOOLS)
        assert plain(step.messages)[-5:-1] == [
            ("user", "one"),
            ("assistant", "x" * 600),
            ("user", "two"),
            ("assistant", "answer two"),
        ]
        assert "forgotten" not in str(plain(step.messages))
        assert "RESULT" not in step.messages[-1].content


def test_after_a_result_a_tiny_model_only_answers() -> None:
    since = [called("read", path="a.txt"), result("The fee is 7.")]
    step = ConstrainedAdapter().prepare([user("What is the fee?"), *since], TOOLS)
    assert not step.offers_tools
    assert step.options == {}
    assert plain(step.messages) == [
        ("system", FINAL),
        ("user", "What is the fee?\n\nThe result is:\nThe fee is 7."),
    ]


def test_own_system_prompt_stays_for_the_answer() -> None:
    since = [called("read", path="a.txt"), result("x")]
    step = ConstrainedAdapter().prepare([system("Be kind."), user(), *since], TOOLS)
    assert step.messages[0].content == f"Be kind.\n{FINAL}"


def test_attachments_stay_with_the_question() -> None:
    picture = Attachment(media_type="image/png", url="https://example.com/a.png")
    question = user().model_copy(update={"attachments": [picture]})
    since = [called("read", path="a.txt"), result("x")]
    step = ConstrainedAdapter().prepare([question, *since], TOOLS)
    assert step.messages[-1].attachments == [picture]


@pytest.mark.parametrize(
    ("since", "left"),
    [
        ([called("read", path="x"), result("Error: no such file")], ["search", "list_files"]),
        ([called("search", query="x"), result("No match for 'x'.")], ["read", "list_files"]),
        ([called("list_files"), result("a.txt\nb.txt")], ["read", "search"]),
        (
            [called("lst"), result("Error: there is no tool 'lst'.")],
            ["read", "search", "list_files"],
        ),
        ([called("other"), result("something")], []),
        ([called("search", query="x"), result("a.txt:1: x")], []),
        (
            [called("list_files"), result("a"), called("read", path="x"), result("Error: gone")],
            [],
        ),
    ],
    ids=[
        "failed",
        "no-match",
        "no-arguments",
        "unknown-tool",
        "tool-of-another-time",
        "found",
        "second-result",
    ],
)
def test_tiny_model_gets_the_other_tools_once_where_the_first_found_nothing(
    since: list[Message], left: list[str]
) -> None:
    step = ConstrainedAdapter().prepare([user(), *since], TOOLS)
    assert step.offers_tools is bool(left)
    if left:
        assert offered(step.options) == [*left, "answer"]
        names = [line for line in step.messages[-3].content.split("\n") if line.startswith("- ")]
        assert [line[2:].partition("(")[0] for line in names] == [*left, "answer"]
        assert step.messages[-1].content == (
            f"Result of read:\n{since[-1].content}\n\nNext step for: What is in a.txt?"
        )
        call = (since[0].tool_calls or [])[0]
        assert step.messages[-2].role == "assistant"
        assert json.loads(step.messages[-2].content) == {
            "tool": call.name,
            "arguments": call.arguments,
        }


def test_last_tool_that_failed_leaves_only_the_answer() -> None:
    since = [called("read", path="x"), result("Error: no such file")]
    step = ConstrainedAdapter().prepare([user(), *since], [READ])
    assert not step.offers_tools
    assert step.messages[-1].content.startswith("Error: no such file\n\nQuestion: ")


def test_chaining_keeps_every_tool_and_spells_out_what_happened() -> None:
    since = [
        called("list_files"),
        result("a.txt", name=None),
        said("Let me see."),
        called("read", path="a.txt"),
        result("text"),
    ]
    step = ConstrainedAdapter(chain=True).prepare([user("Why?"), *since], TOOLS)
    assert offered(step.options) == ["read", "search", "list_files", "answer"]
    assert plain(step.messages)[-6:] == [
        ("user", ASKED.replace("What is in a.txt?", "Why?")),
        ("assistant", '{"tool":"list_files","arguments":{}}'),
        ("user", "Result of the tool:\na.txt\n\nNext step for: Why?"),
        ("assistant", "Let me see."),
        ("assistant", '{"tool":"read","arguments":{"path":"a.txt"}}'),
        ("user", "Result of read:\ntext\n\nNext step for: Why?"),
    ]


@pytest.mark.parametrize("chain", [False, True], ids=["once", "chain"])
@pytest.mark.parametrize("results", [1, 2, 4])
def test_long_results_are_cut_to_what_there_is_room_for(chain: bool, results: int) -> None:
    since = [
        one for _ in range(results) for one in (called("read", path="a"), result("é" * 20_000))
    ]
    step = ConstrainedAdapter(chain=chain).prepare([user(), *since], TOOLS)
    assert sum(one.content.count("é") for one in step.messages) == 8_000


def test_conversation_without_a_question_is_still_sent() -> None:
    step = ConstrainedAdapter().prepare([system("Say hello.")], TOOLS)
    assert plain(step.messages)[0] == ("system", TASK)
    assert plain(step.messages)[-1] == ("system", ASKED.replace("What is in a.txt?", "Say hello."))


def test_no_conversation_at_all_is_an_error() -> None:
    with pytest.raises(ProviderInvalidRequestError, match="no message to answer"):
        ConstrainedAdapter().prepare([], TOOLS)

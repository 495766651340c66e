from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from pydantic_core import from_json

from victor.tool_calling.step_prompt import call_text, last_request, opening, with_tools
from victor.types import Message, ToolDefinition, ToolExample

TASK = "Choose the one tool that does what the user asks. Reply with one JSON object."
ANSWER_LINE = "- answer(text): No tool fits: greetings, thanks, small talk, general knowledge."

TAUGHT = """\
Be kind.
You do not know what the tools would return: use a tool.
Reply with one JSON object: call a tool.
Tools:
- read(path): Read a file.
- list_files(): List all files.
- answer(text): Only for greetings and arithmetic.
path is one of: a.txt, b.txt
Examples:
What does a.txt say?
{"tool":"read","arguments":{"path":"a.txt"}}
Which files are there?
{"tool":"list_files","arguments":{}}
What is 3 + 4?
{"tool":"answer","arguments":{"text":"3 + 4 = 7"}}"""


def definition(
    name: str, description: str = "", *examples: ToolExample, **properties: Any
) -> ToolDefinition:
    required = [key for key, one in properties.items() if "default" not in one]
    parameters = {"type": "object", "properties": properties, "required": required}
    return ToolDefinition(
        name=name, description=description, parameters=parameters, examples=examples
    )


READ = definition(
    "read",
    "Read a file.",
    ToolExample(request="What does a.txt say?", arguments={"path": "a.txt"}),
    path={"type": "string", "enum": ["a.txt", "b.txt"]},
)
LIST = definition("list_files", "List all files.", ToolExample(request="Which files are there?"))
QUESTION = Message(role="user", content="Why?")


def line(tool: ToolDefinition, *others: ToolDefinition) -> str:
    return with_tools(QUESTION, [tool, *others]).content.split("\n")[1]


def test_tools_that_all_bring_examples_are_taught_by_those_alone() -> None:
    (prompt,) = opening("Be kind.", [READ, LIST])
    assert (prompt.role, prompt.content) == ("system", TAUGHT)
    assert with_tools(QUESTION, [READ, LIST]) is QUESTION


def test_others_are_shown_choices_among_tools_that_do_not_exist() -> None:
    task, *shown = opening("", [definition("run")])
    assert task.content == TASK
    assert [one.role for one in shown] == ["user", "assistant"] * (len(shown) // 2)
    names = [from_json(one.content)["tool"] for one in shown[1::2]]
    assert "answer" in names
    for name, question in zip(names, shown[::2], strict=True):
        assert f"\n- {name}(" in question.content
        assert "\n\nRequest: " in question.content


def test_what_is_shown_is_the_same_for_all_tools_so_that_it_is_read_once() -> None:
    assert opening("x", [definition("run")]) == opening("x", [READ, definition("walk")])


def test_own_examples_go_with_the_list_where_not_every_tool_has_some() -> None:
    run = definition("run", "Run it.")
    assert with_tools(QUESTION, [READ, run]).content == (
        "Tools:\n- read(path: a.txt|b.txt): Read a file.\n- run(): Run it.\n"
        f"{ANSWER_LINE}\n\n"
        'Request: What does a.txt say?\n{"tool":"read","arguments":{"path":"a.txt"}}\n'
        "Request: Why?"
    )


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"type": "string"}, "x"),
        ({"type": "string", "default": "a"}, "x?"),
        ({"enum": ["a", 1]}, "x: a|1"),
        ({"enum": ["a"], "default": "a"}, "x?: a"),
        ({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]}, "x: a|b"),
        ({"enum": []}, "x"),
        ({"enum": list(range(40))}, "x: " + "|".join(map(str, range(20))) + "|…"),
        ({"$ref": "#/$defs/none"}, "x"),
    ],
    ids=["text", "optional", "enum", "optional-enum", "union", "empty", "many", "lost-reference"],
)
def test_parameters_are_shown_with_what_they_may_be(schema: dict[str, Any], shown: str) -> None:
    assert line(definition("run", "Run it.", x=schema)) == f"- run({shown}): Run it."


def test_choices_are_found_through_references() -> None:
    parameters = {
        "properties": {"x": {"$ref": "#/$defs/X"}, "y": True},
        "$defs": {"X": {"enum": ["a", "b"]}},
    }
    assert line(ToolDefinition(name="run", parameters=parameters)) == "- run(x?: a|b, y?): "


@pytest.mark.parametrize(("tools", "length"), [(1, 400), (20, 200), (200, 60)])
def test_descriptions_share_the_room_there_is(tools: int, length: int) -> None:
    long = [definition("run", "word\n\n " * 200)] * tools
    description = line(*long).removeprefix("- run(): ")
    assert len(description) == length
    assert description.startswith("word word ")
    assert description.endswith("…")


def test_a_step_is_written_without_spaces_and_escapes() -> None:
    assert call_text("run", {"größe": 'a "b"'}) == (
        '{"tool":"run","arguments":{"größe":"a \\"b\\""}}'
    )


def test_a_definition_without_parameters_is_a_tool_without_parameters() -> None:
    tools: Sequence[ToolDefinition] = [ToolDefinition(name="run", parameters={})]
    assert line(*tools) == "- run(): "


def test_passages_come_before_the_question_and_other_results_after_it() -> None:
    shown = definition("read", "Read a file.", ToolExample(request="What?", arguments={}))
    assert last_request("How much?", "7", [shown])[1] == "7\n\nQuestion: How much?"
    assert last_request("How much?", "7", [definition("fee")])[1] == (
        "How much?\n\nThe result is:\n7"
    )

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from victor.tools.ask_user import ask_user
from victor.tools.base import ToolContext


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("the second", "the second"),
        ("", "[the user gave no answer]"),
        (None, "[the user gave no answer]"),
    ],
    ids=["answer", "empty", "none"],
)
async def test_person_is_asked_and_answers(
    context: ToolContext, answer: str | None, result: str
) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    async def ask(question: str, options: tuple[str, ...]) -> str | None:
        asked.append((question, options))
        return answer

    context = replace(context, ask=ask)
    arguments = {"question": "Which?", "options": ["first", "second"]}
    assert (await ask_user.run(arguments, context)).content == result
    await ask_user.run({"question": "Why?"}, context)
    assert asked == [("Which?", ("first", "second")), ("Why?", ())]


async def test_where_nobody_is_there_the_model_decides(context: ToolContext) -> None:
    result = await ask_user.run({"question": "Which?"}, context)
    assert result.is_error
    assert "nobody can be asked" in result.content


async def test_questions_are_asked_one_after_the_other(context: ToolContext) -> None:
    inside = 0

    async def ask(question: str, _: tuple[str, ...]) -> str:
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(0)
        inside -= 1
        return question

    context = replace(context, ask=ask)
    results = await asyncio.gather(*(ask_user.run({"question": q}, context) for q in "abc"))
    assert [one.content for one in results] == ["a", "b", "c"]

"""The tool with which a model asks the person it works for.

Knows nothing about terminals: the context has a function that asks, or none.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import Field

from victor.tools.base import ToolContext, ToolError, tool

__all__ = ["ask_user"]


class _OneAtATime(asyncio.Lock):
    """Two questions at once would mix on a terminal."""


@tool(effect="read")
async def ask_user(
    context: ToolContext,
    question: Annotated[str, Field(min_length=1, max_length=2_000)],
    options: Annotated[list[str], Field(max_length=10)] | None = None,
) -> str:
    """Ask the user something that only they can decide. Find out yourself what can be found out.

    Args:
        context: the conversation.
        question: One question, with what has to be known to answer it.
        options: Answers to choose from; the user may also answer freely.
    """
    if context.ask is None:
        raise ToolError(
            "nobody can be asked: this run has no user at a terminal. Choose the safest answer "
            "yourself, and say in the end what you assumed"
        )
    async with context.memory.of(_OneAtATime):
        answer = await context.ask(question, tuple(options or ()))
    if answer is None or not answer.strip():
        return "[the user gave no answer]"
    return answer

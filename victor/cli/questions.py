"""Shows a person what the model asks, and takes their answer.

Every line that the model wrote is marked as the model's, also where the terminal is too narrow for
it, so that none can pass for a question of victor's own. Knows nothing about permissions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from victor.cli.render import paint
from victor.cli.width import marked

__all__ = ["model_asker"]


def model_asker(
    ask: Callable[[str], Awaitable[str | None]], *, colour: bool = False
) -> Callable[[str, tuple[str, ...]], Awaitable[str | None]]:
    """Return what `ToolContext.ask` needs.

    Args:
        ask: shows a text and returns the line that was typed; None at the end of input.
        colour: whether the question may be coloured.
    """

    async def answer(question: str, options: tuple[str, ...]) -> str | None:
        lines = marked(question.split("\n"), "  model    | ", "  model    : ")
        for number, option in enumerate(options, 1):
            mark = f"  model {number:>2} "
            lines += marked([" ".join(option.split())], f"{mark}| ", "  model    : ")
        how = "a number, or in your own words" if options else "in your own words"
        choices = paint(f"your answer, {how}; Enter gives none: ", "bold", on=colour)
        typed = await ask("\n".join(["", "the model asks you:", *lines, choices]))
        return None if typed is None else _meant(typed.strip(), options)

    return answer


def _meant(typed: str, options: tuple[str, ...]) -> str | None:
    if typed in {"", "\x1b"}:
        return None
    if typed in options or not (typed.isascii() and typed.isdigit() and len(typed) < 4):
        return typed
    number = int(typed)
    return options[number - 1] if 1 <= number <= len(options) else typed

"""Streams that follow a script, and how a guard is asked for one.

Knows nothing about what is expected of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from victor.resilience.pipeline import Deadlines, Pipeline


@dataclass(frozen=True, slots=True)
class Item:
    text: str = ""
    final: bool = False


BEAT = Item()
END = Item(final=True)

Step = Item | BaseException | float


class Source:
    """Streams that do what they are told; the last script repeats. A number is a pause."""

    def __init__(self, *scripts: list[Step]) -> None:
        self.scripts = scripts
        self.started = 0
        self.closed = 0

    def __call__(self) -> AsyncGenerator[Item, None]:
        script = self.scripts[min(self.started, len(self.scripts) - 1)]
        self.started += 1
        return self.play(script)

    async def play(self, script: list[Step]) -> AsyncGenerator[Item, None]:
        try:
            for step in script:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, Item):
                    yield step
                else:
                    await asyncio.sleep(step)
        finally:
            self.closed += 1


def streamed(
    pipeline: Pipeline,
    source: Callable[[], AsyncIterator[Item]],
    deadlines: Deadlines | None = None,
) -> AsyncGenerator[Item, None]:
    return pipeline.stream(
        source,
        content_of=lambda item: item.text or None,
        is_final=lambda item: item.final,
        deadlines=deadlines,
    )

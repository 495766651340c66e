from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from victor.tools.context import Memory, ToolContext


class Kept:
    """Counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1


class Plain:
    pass


def test_memory_keeps_one_object_of_each_type() -> None:
    memory = Memory()
    kept = memory.of(Kept)
    assert memory.of(Kept) is kept
    assert isinstance(memory.of(Plain), Plain)
    assert Memory().of(Kept) is not kept


def test_memory_makes_one_object_also_for_many_threads() -> None:
    memory = Memory()
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: memory.of(Kept), range(200)))
    assert len(set(map(id, found))) == 1


async def test_closing_memory_closes_what_can_be_closed_and_forgets() -> None:
    memory = Memory()
    kept, plain = memory.of(Kept), memory.of(Plain)
    await memory.aclose()
    await memory.aclose()
    assert kept.closed == 1
    assert memory.of(Kept) is not kept
    assert memory.of(Plain) is not plain


def test_progress_is_told_to_whoever_listens() -> None:
    said: list[str] = []
    ToolContext(Path(), report=said.append).progress("half")
    ToolContext(Path()).progress("nobody")
    assert said == ["half"]


def test_contexts_are_compared_by_where_they_are() -> None:
    assert ToolContext(Path(), "a") == ToolContext(Path(), "a", report=print)
    assert ToolContext(Path(), "a") != ToolContext(Path(), "b")

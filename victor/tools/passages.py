"""Search by words: the passages of a workspace that fit a question best.

A model of half a billion parameters cannot guess which file holds an answer or how it is worded;
it can name a few words. Lines score by the rare words they hold; their neighbours and their file's
name count a little. Knows nothing about models.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from victor.tools.base import ToolError
from victor.tools.paths import shown
from victor.tools.search import file_text, files_below
from victor.tools.text import Limits, lines_of, within

__all__ = ["best_passages"]

_MOST_PASSAGES = 5
_AROUND = 2
"""Lines shown, and counted, on each side of a line that fits."""
_NEIGHBOUR, _FILE_NAME = 0.4, 0.5
_HINT = 0.7
"""What a word of the hint counts against one of the query."""
_MOST_LINES = 20_000
_COMMON = re.compile(
    "a|about|according|all|an|and|any|are|as|at|be|by|can|could|did|do|does|files?|for|from|had"
    "|ha[sv]e?|her|his|how|i|in|into|is|it|its|list|many|me|much|my|not?|of|on|or|our|say|says|she"
    "|should|show|so|tell|that|the|their|there|these|they|this|those|to|us|was|we|were|what|when"
    "|where|which|who|whom|whose|why|will|with|would|you|your"
)
_WORD = re.compile(r"[^\W_]+")
_ENDINGS = ("ing", "ers", "ies", "ed", "es", "er", "s")


@dataclass(frozen=True, slots=True)
class _Line:
    file: str
    number: int
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Passage:
    file: str
    first: int
    end: int


def best_passages(
    workspace: Path, query: str, *, hint: str = "", limits: Limits, deadline_s: float = 20.0
) -> str:
    """Return the passages that fit a query best, each under its file and line numbers.

    Args:
        workspace: the directory that is searched.
        query: words to look for; their endings and their case do not matter.
        hint: a longer text whose words also count, but less, such as the user's question.
        limits: how much to return.
        deadline_s: seconds after which the search works with what it has.

    Raises:
        ToolError: there is no word in the query and the hint.
    """
    weights = dict.fromkeys(_stems(hint), _HINT) | dict.fromkeys(_stems(query), 1.0)
    if not weights:
        raise ToolError("give at least one word to look for")
    lines = _matching_lines(workspace, list(weights), time.monotonic() + deadline_s)
    if not lines:
        return f"No match for {query!r} in any file."
    passages = _chosen(_scored(lines, weights))
    parts: list[str] = []
    for passage in passages:
        text = lines_of(file_text(workspace, passage.file) or "")[passage.first : passage.end]
        where = f"lines {passage.first + 1}-{passage.first + len(text)}"
        parts += [f"{shown(passage.file)}, {where}:", *text, ""]
    kept = within(parts[:-1], limits)
    if len(lines) > sum(passage.end - passage.first for passage in passages):
        kept.append(f"[the best of {len(lines):,} lines; use rarer words for others]")
    return "\n".join(kept)


def _stems(text: str) -> Iterator[str]:
    for found in _WORD.finditer(text.lower()):
        word = found[0]
        if not _COMMON.fullmatch(word):
            yield next(
                (
                    word[: -len(end)]
                    for end in _ENDINGS
                    if word.endswith(end) and len(word) > len(end) + 2
                ),
                word,
            )


def _matching_lines(workspace: Path, stems: list[str], end: float) -> list[_Line]:
    # A stem at the start of a word; an underscore starts a word, as in MAX_SIZE.
    pattern = re.compile(rf"(?<![^\W_])({'|'.join(map(re.escape, stems))})", re.IGNORECASE)
    found: list[_Line] = []
    for name in files_below(workspace, "."):
        if time.monotonic() >= end or len(found) > _MOST_LINES:
            break
        text = file_text(workspace, name) or ""
        if pattern.search(text) is None:
            continue
        for number, line in enumerate(lines_of(text)):
            terms = frozenset(match[1].lower() for match in pattern.finditer(line))
            if terms:
                found.append(_Line(name, number, terms))
    return found


def _scored(lines: list[_Line], weights: dict[str, float]) -> list[tuple[float, _Line]]:
    """Return the lines with their scores, best first; ties stay in the order of the files."""
    counts = Counter(term for line in lines for term in line.terms)
    worth = {
        term: weights[term] * math.log(1 + len(lines) / count) for term, count in counts.items()
    }
    at = {(line.file, line.number): line.terms for line in lines}
    in_name = {line.file: _in_name(line.file, worth) for line in lines}
    scored = []
    for line in lines:
        nearby: set[str] = set()
        for number in range(line.number - _AROUND, line.number + _AROUND + 1):
            nearby |= at.get((line.file, number), frozenset())
        score = sum(worth[term] for term in line.terms)
        score += _NEIGHBOUR * sum(worth[term] for term in nearby - line.terms)
        score += _FILE_NAME * sum(worth[term] for term in in_name[line.file] - nearby)
        scored.append((score, line))
    return sorted(scored, key=lambda pair: -pair[0])


def _in_name(name: str, stems: Iterable[str]) -> frozenset[str]:
    words = set(_stems(name))
    return frozenset(stem for stem in stems if any(word.startswith(stem) for word in words))


def _chosen(scored: list[tuple[float, _Line]]) -> list[_Passage]:
    passages: list[_Passage] = []
    covered: set[tuple[str, int]] = set()
    for _, line in scored:
        if (line.file, line.number) in covered:
            continue
        first, end = max(0, line.number - _AROUND), line.number + _AROUND + 1
        covered.update((line.file, number) for number in range(first, end))
        passages.append(_Passage(line.file, first, end))
        if len(passages) == _MOST_PASSAGES:
            break
    return passages

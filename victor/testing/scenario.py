"""The language of drills: which provider fails how, and for how long.

    anthropic: 529 for 2m, then stall 30s; openai model gpt-5-mini: 429 retry-after 20s for 1m

The grammar is in docs/reference/drills.md. Only text and values: knows nothing about what a fault
does or who is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NoReturn, TypeAlias, get_args

from victor.errors import ConfigError

__all__ = [
    "EVERYBODY",
    "FOREVER_OK",
    "Clause",
    "Fault",
    "FaultKind",
    "Scenario",
    "ScenarioError",
    "Step",
    "format_duration",
    "format_scenario",
    "parse_duration",
    "parse_scenario",
]

EVERYBODY = "*"
"""In the place of a provider: all that have no clause of their own."""

FaultKind: TypeAlias = Literal[
    "cut", "empty", "garbage", "ok", "refuse", "reset", "revoked", "slow", "stall", "status"
]
"""What goes wrong; `status` is an HTTP status."""

_SPACE = re.compile(r"\s*")
_PROVIDER = re.compile(r"\*|[A-Za-z0-9][A-Za-z0-9._-]*")
# Names of models have colons (`llama3:8b`): the one that ends the name is followed by a space.
_MODEL = re.compile(r"[^\s;,]+?(?=\s*:(?:\s|$))")
_STATUS = re.compile(r"[45][0-9]{2}(?!\w)")
_WORD = re.compile(r"[A-Za-z-]+")
_NEXT = re.compile(r"\w[\w.-]*|\S")
_DURATION = re.compile(r"(?:[0-9]{1,9}(?:\.[0-9]{1,3})?(?:ms|s|m|h))+(?!\w)")
_AMOUNT = re.compile(r"([0-9.]+)(ms|s|m|h)")
_UNIT_MS: Mapping[str, int] = MappingProxyType({"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1})
_MOST_MS = 30 * 24 * _UNIT_MS["h"]

_FAULTS = frozenset(get_args(FaultKind)) - {"status"}
_EXPECTED_FAULT = f"a status such as 529, or {', '.join(sorted(_FAULTS))}"
_EXPECTED_DURATION = "a duration such as 30s, 2m or 1m30s"


class ScenarioError(ConfigError):
    """A text that is no scenario.

    Args:
        text: all of it.
        at: where it stops to be one, from 0.
        expected: what could have stood there.
    """

    def __init__(self, text: str, at: int, expected: str) -> None:
        found = _NEXT.match(text, at)
        instead = repr(found[0][:40]) if found else "the end"
        super().__init__(f"column {at + 1}: expected {expected}, not {instead}")
        self.text = text
        self.column = at + 1
        """From 1."""
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Fault:
    """What a request meets. Times are seconds."""

    kind: FaultKind
    status: int | None = None
    """Of the kind `status` alone."""
    seconds: float | None = None
    """How long a `stall` is silent (None: for ever), how long a `slow` answer takes, and what a
    `status` says in `retry-after`."""

    def __str__(self) -> str:
        if self.kind == "status":
            wait = "" if self.seconds is None else f" retry-after {format_duration(self.seconds)}"
            return f"{self.status}{wait}"
        length = "" if self.seconds is None else f" {format_duration(self.seconds)}"
        return self.kind + length


FOREVER_OK = Fault("ok")


@dataclass(frozen=True, slots=True)
class Step:
    """A fault and how long it lasts."""

    fault: Fault
    for_s: float | None = None
    """Seconds; None, which only the last one may be, is to the end."""

    def __str__(self) -> str:
        return f"{self.fault}" + (
            "" if self.for_s is None else f" for {format_duration(self.for_s)}"
        )


@dataclass(frozen=True, slots=True)
class Clause:
    """What one provider, or one of its models, does from the start of the drill on."""

    provider: str
    model: str | None
    """None for all its models."""
    steps: tuple[Step, ...]

    def at(self, seconds: float) -> Fault | None:
        """Return the fault of a moment; None after the last one."""
        end = 0.0
        for step in self.steps:
            if step.for_s is None:
                return step.fault
            end += step.for_s
            if seconds < end:
                return step.fault
        return None

    def __str__(self) -> str:
        scope = "" if self.model is None else f" model {self.model}"
        return f"{self.provider}{scope}: " + ", then ".join(map(str, self.steps))


@dataclass(frozen=True, slots=True)
class Scenario:
    """What goes wrong, as a whole."""

    clauses: tuple[Clause, ...]

    def fault_at(self, provider: str, model: str, seconds: float) -> Fault:
        """Return what a request meets.

        A clause for a model comes before that of its provider, and that before `*`; one whose time
        is over leaves the word to the next.

        Args:
            provider: who is asked.
            model: for which model.
            seconds: since the start.
        """
        scopes = ((provider, model), (provider, None), (EVERYBODY, model), (EVERYBODY, None))
        for scope in scopes:
            for clause in self.clauses:
                if (clause.provider, clause.model) == scope and (found := clause.at(seconds)):
                    return found
        return FOREVER_OK

    @property
    def providers(self) -> tuple[str, ...]:
        """The providers it names, each once."""
        named = (clause.provider for clause in self.clauses if clause.provider != EVERYBODY)
        return tuple(dict.fromkeys(named))

    def revokes(self, provider: str) -> bool:
        """Tell whether it takes a key of this provider away."""
        return any(
            step.fault.kind == "revoked"
            for clause in self.clauses
            for step in clause.steps
            if clause.provider in (provider, EVERYBODY)
        )

    def __str__(self) -> str:
        return "; ".join(map(str, self.clauses))


def parse_scenario(text: str) -> Scenario:
    """Read a scenario.

    Raises:
        ScenarioError: it is none; the message has the column and what is expected there.
    """
    reader = _Reader(text)
    clauses = [reader.clause()]
    while reader.take(";") and not reader.ended:
        at = reader.at
        clause = reader.clause()
        if any((one.provider, one.model) == (clause.provider, clause.model) for one in clauses):
            raise ScenarioError(text, at, f"one clause only for {str(clause).partition(': ')[0]}")
        clauses.append(clause)
    if not reader.ended:
        reader.fail('", then", ";" or the end')
    return Scenario(tuple(clauses))


def format_scenario(scenario: Scenario) -> str:
    """Write a scenario down; `parse_scenario` reads the same one from it."""
    return str(scenario)


def parse_duration(text: str) -> float:
    """Read a duration such as `30s`, `2m`, `1m30s` or `500ms`; the result is seconds.

    Raises:
        ScenarioError: it is none, is 0, or is longer than thirty days.
    """
    reader = _Reader(text)
    found = reader.duration()
    if not reader.ended:
        reader.fail("the end")
    return found


def format_duration(seconds: float) -> str:
    """Write a duration down as `parse_duration` reads it, to the millisecond."""
    left = round(seconds * 1000)
    parts = []
    for unit, size in _UNIT_MS.items():
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts) or "0s"


class _Reader:
    """Reads a text from left to right; `at` is the start of what comes next."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._skip()

    @property
    def ended(self) -> bool:
        return self.at == len(self.text)

    def fail(self, expected: str) -> NoReturn:
        raise ScenarioError(self.text, self.at, expected)

    def match(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        self._skip()
        return found[0]

    def take(self, mark: str) -> bool:
        if not self.text.startswith(mark, self.at):
            return False
        self.at += len(mark)
        self._skip()
        return True

    def keyword(self, *words: str) -> str | None:
        found = _WORD.match(self.text, self.at)
        if found is None or found[0].lower() not in words:
            return None
        self.at = found.end()
        self._skip()
        return found[0].lower()

    def clause(self) -> Clause:
        provider = self.match(_PROVIDER) or self.fail("a provider's name, or *")
        model = None
        if self.keyword("model"):
            model = self.match(_MODEL) or self.fail("a model's name, a colon and a space")
        if not self.take(":"):
            self.fail('":"' if model else '":" or "model NAME:"')
        steps = [self.step()]
        while self._goes_on():
            if steps[-1].for_s is None:
                self.fail('"for DURATION" before the next fault, ";" or the end')
            self.take(",")
            if not self.keyword("then"):
                self.fail('"then"')
            steps.append(self.step())
        return Clause(provider.lower(), model, tuple(steps))

    def step(self) -> Step:
        fault = self.fault()
        if self.keyword("for"):
            return Step(fault, self.duration())
        may_wait = fault.kind == "status" and fault.seconds is None
        if not self.ended and not self._goes_on() and not self.text.startswith(";", self.at):
            wait = '"retry-after", ' if may_wait else ""
            self.fail(f'{wait}"for", ", then", ";" or the end')
        return Step(fault)

    def fault(self) -> Fault:
        if status := self.match(_STATUS):
            wait = self.duration() if self.keyword("retry-after") else None
            return Fault("status", int(status), wait)
        word = self.keyword(*_FAULTS) or self.fail(_EXPECTED_FAULT)
        kind: FaultKind = word  # type: ignore[assignment] # one of _FAULTS
        has_length = kind == "slow" or (kind == "stall" and self.text[self.at :][:1].isdigit())
        return Fault(kind, seconds=self.duration() if has_length else None)

    def duration(self) -> float:
        start = self.at
        text = self.match(_DURATION)
        if text is None:
            self.fail(_EXPECTED_DURATION)
        amounts = _AMOUNT.findall(text)
        total = sum(round(float(amount) * _UNIT_MS[unit]) for amount, unit in amounts)
        if not 0 < total <= _MOST_MS:
            raise ScenarioError(self.text, start, "a duration above 0 and of at most 720h")
        return total / 1000

    def _goes_on(self) -> bool:
        found = _WORD.match(self.text, self.at)
        return self.text.startswith(",", self.at) or (found is not None and found[0] == "then")

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

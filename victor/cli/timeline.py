"""A drill as text: what happens when, and what it comes to.

Requests that are simply answered, one after the other by the same, share a line. Knows nothing
about how a drill is played.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from types import MappingProxyType

from victor.cli.render import Colour, paint
from victor.cli.sanitize import one_line
from victor.testing.drill import DrillEvent, DrillReport, Happening
from victor.testing.simulated import USAGE

__all__ = ["dollars", "seconds", "summary_lines", "timeline_lines"]

_TEXTS: Mapping[Happening, str] = MappingProxyType(
    {
        "answered": "answered by {who} after {seconds}{cost}",
        "asked_person": "you would be asked whether {who} may answer; here you say yes",
        "attempt_failed": "{who} failed after {seconds}: {error}",
        "breaker_closed": "the circuit of {who} closes",
        "breaker_half_opened": "the circuit of {who} lets one trial call through",
        "breaker_opened": "the circuit of {who} opens for {seconds}",
        "failed": "no answer after {seconds}{error}",
        "key_switched": "{who} refuses its first key; the next one is used",
        "refused": "refused at once: the circuit of {who} is open",
        "answer_restarted": "what was shown of the answer is discarded; it begins again",
        "failed_over": "asks {who} instead",
        "retry_scheduled": "waits {seconds}",
    }
)
_COLOURS: Mapping[Happening, Colour] = MappingProxyType(
    {"answered": "green", "breaker_opened": "yellow", "failed": "red", "refused": "red"}
)
_ALIKE: Mapping[Happening, str] = MappingProxyType(
    {
        "answered": "answered by {who}, each {within}{cost}, until {end}",
        "refused": "refused at once, until {end}: the circuit of {who} is open",
    }
)
"""Of requests of which there is nothing more to tell; several in a row share a line."""
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class _Line:
    at_s: float
    number: str
    text: str
    what: Happening


def timeline_lines(report: DrillReport, *, colour: bool) -> list[str]:
    """Return what happened, in the order of time, a line for each event or for several alike."""
    lines = list(_lines(report.events))
    width = max((len(line.number) for line in lines), default=0)
    return [
        f"{_clock(line.at_s):>7}  {line.number:<{width}}  "
        + paint(line.text, _COLOURS.get(line.what, "dim"), on=colour)
        for line in lines
    ]


def summary_lines(report: DrillReport) -> list[str]:
    """Return what it came to: who answered how often, the waits, and the cost."""
    total, answered = len(report.requests), report.answered
    lines = [
        f"{total} request{'' if total == 1 else 's'}: {answered} answered, {total - answered} not"
    ]
    by = Counter(one.answered_by for one in report.requests if one.answered_by is not None)
    width = max((len(who) for who in by), default=0)
    lines += [f"  {one_line(who):<{width}}  {count}" for who, count in by.most_common()]
    took = [one.seconds for one in report.requests if one.answered_by is not None]
    if took:
        slowest = max(
            (one for one in report.requests if one.answered_by), key=lambda one: one.seconds
        )
        lines.append(
            f"half of the answers were whole within {seconds(median(took))}, the slowest after "
            f"{seconds(slowest.seconds)} (#{slowest.number})"
        )
        cost = "not known" if report.cost is None else dollars(report.cost)
        lines.append(
            f"cost: {cost}, at {USAGE.prompt_tokens:,} tokens in and "
            f"{USAGE.completion_tokens:,} out for each answer"
        )
    return lines


def seconds(amount: float) -> str:
    """Write a length of time: `0.79 s`, `12.3 s`, `4 min 10 s`, `ever`."""
    if math.isinf(amount):
        return "ever"
    if amount < 9.995:
        return f"{amount:.2f} s"
    if amount < 59.95:
        return f"{amount:.1f} s"
    minutes, rest = divmod(round(amount), 60)
    return f"{minutes} min" + (f" {rest} s" if rest else "")


def dollars(amount: float) -> str:
    """Write an amount of USD."""
    return f"${amount:.4f}" if amount < 1 else f"${amount:,.2f}"


def _lines(events: Sequence[DrillEvent]) -> Iterator[_Line]:
    quiet = _quiet(events)
    alike: list[DrillEvent] = []
    errors: dict[int, str | None] = {}
    for at, event in enumerate(events):
        if event.request in quiet:
            if event.what == "failed_over":
                continue  # the answer says by whom
            if alike and (alike[0].what, alike[0].who) != (event.what, event.who):
                yield from _together(alike)
                alike = []
            alike.append(event)
            continue
        yield from _together(alike)
        alike = []
        if event.what == "retry_scheduled" and at and _is_its_wait(events[at - 1], event):
            continue
        # What the last try failed of need not be said again.
        line = _line(event, known=errors.get(event.request))
        errors[event.request] = event.error or errors.get(event.request)
        for wait in events[at + 1 : at + 2]:
            if _is_its_wait(event, wait):
                again = f"; again in {seconds(wait.seconds or 0.0)}"
                line = replace(line, text=line.text + again)
        yield line
    yield from _together(alike)


def _is_its_wait(failure: DrillEvent, wait: DrillEvent) -> bool:
    """Tell whether a wait follows a failure at once, so that they share a line."""
    kinds = (failure.what, wait.what)
    return kinds == ("attempt_failed", "retry_scheduled") and failure.request == wait.request


def _quiet(events: Sequence[DrillEvent]) -> frozenset[int]:
    """Return the requests of which there is nothing to tell but how they ended."""
    loud = {event.request for event in events if event.what not in ("failed_over", *_ALIKE)}
    return frozenset(event.request for event in events) - loud


def _together(events: Sequence[DrillEvent]) -> Iterator[_Line]:
    if len(events) < _FEWEST:
        yield from map(_line, events)
        return
    first, last = events[0], events[-1]
    took = [event.seconds or 0.0 for event in events]
    costs = [event.cost for event in events if event.cost is not None]
    numbers = sorted(event.request for event in events)
    in_a_row = numbers[-1] - numbers[0] < len(numbers)
    text = _ALIKE[first.what].format(
        who=one_line(first.who),
        within=("after " if max(took) - min(took) < 0.01 else "within ") + seconds(max(took)),
        cost=f", {dollars(sum(costs))} together" if len(costs) == len(events) else "",
        end=_clock(last.at_s),
    )
    which = f"#{numbers[0]}-{numbers[-1]}" if in_a_row else f"{len(numbers)} more"
    yield _Line(first.at_s, which, text, first.what)


def _line(event: DrillEvent, known: str | None = None) -> _Line:
    # The type of an error says little to people that its text does not.
    kind, _, message = (event.error or "").partition(": ")
    error = one_line(message or kind)
    if event.what == "failed":
        error = "" if event.error == known else f": {error}"
    text = _TEXTS[event.what].format(
        who=one_line(event.who),
        seconds=seconds(event.seconds or 0.0),
        error=error,
        cost="" if event.cost is None else f", {dollars(event.cost)}",
    )
    return _Line(event.at_s, f"#{event.request}", text, event.what)


def _clock(at_s: float) -> str:
    minutes, rest = divmod(round(at_s * 10), 600)
    return f"{minutes}:{rest / 10:04.1f}"

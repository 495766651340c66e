from __future__ import annotations

import pytest

from victor.cli.timeline import dollars, seconds, summary_lines, timeline_lines
from victor.testing.drill import DrillEvent, DrillReport, DrillRequest

BIG, SMALL = "acme/large", "backup/small"


def _report(*events: DrillEvent) -> DrillReport:
    return DrillReport(events, ())


def _answered(number: int, who: str = BIG, took: float = 1.3) -> DrillEvent:
    return DrillEvent(number * 5.0, number, "answered", who, took, cost=0.005)


def _lines(*events: DrillEvent) -> list[str]:
    return timeline_lines(_report(*events), colour=False)


def test_a_failure_and_its_wait_share_a_line() -> None:
    assert _lines(
        DrillEvent(0.2, 1, "attempt_failed", BIG, 0.2, "ProviderServerError: it answered 500"),
        DrillEvent(0.2, 1, "retry_scheduled", BIG, 0.79),
        DrillEvent(61.25, 1, "answered", BIG, 61.25),
    ) == [
        " 0:00.2  #1  acme/large failed after 0.20 s: it answered 500; again in 0.79 s",
        " 1:01.2  #1  answered by acme/large after 1 min 1 s",
    ]


def test_every_happening_has_words_of_its_own() -> None:
    assert [
        line.partition("#1  ")[2]
        for line in _lines(
            DrillEvent(0, 1, "attempt_failed", BIG, 0.2, "ProviderServerError: down"),
            DrillEvent(0, 1, "breaker_opened", "acme", 12),
            DrillEvent(0, 1, "retry_scheduled", BIG, 3),
            DrillEvent(0, 1, "breaker_half_opened", "acme"),
            DrillEvent(0, 1, "breaker_closed", "acme"),
            DrillEvent(0, 1, "key_switched", BIG),
            DrillEvent(0, 1, "asked_person", SMALL),
            DrillEvent(0, 1, "answer_restarted", SMALL),
            DrillEvent(0, 1, "failed_over", SMALL),
            DrillEvent(0, 1, "failed", SMALL, 4, "ProviderTimeoutError: too late"),
            DrillEvent(0, 1, "refused", "acme", 0),
        )
    ] == [
        "acme/large failed after 0.20 s: down",
        "the circuit of acme opens for 12.0 s",
        "waits 3.00 s",
        "the circuit of acme lets one trial call through",
        "the circuit of acme closes",
        "acme/large refuses its first key; the next one is used",
        "you would be asked whether backup/small may answer; here you say yes",
        "what was shown of the answer is discarded; it begins again",
        "asks backup/small instead",
        "no answer after 4.00 s: too late",
        "refused at once: the circuit of acme is open",
    ]


def test_the_last_error_is_not_said_twice() -> None:
    error = "ProviderServerError: down"
    lines = _lines(
        DrillEvent(1, 1, "attempt_failed", BIG, 0.2, error),
        DrillEvent(1, 1, "breaker_opened", "acme", 1),
        DrillEvent(1, 1, "failed", BIG, 4, error),
    )
    assert lines[-1].endswith("no answer after 4.00 s")


def test_requests_that_are_simply_answered_share_a_line() -> None:
    assert _lines(*(_answered(number) for number in range(1, 5))) == [
        " 0:05.0  #1-4  answered by acme/large, each after 1.30 s, $0.0200 together, until 0:20.0"
    ]


def test_the_move_that_they_all_make_is_said_by_the_answer() -> None:
    events = []
    for number in (1, 2, 3):
        events += [DrillEvent(number * 5.0, number, "failed_over", SMALL), _answered(number, SMALL)]
    assert len(_lines(*events)) == 1


def test_two_alike_keep_a_line_each() -> None:
    assert len(_lines(_answered(1), _answered(2))) == 2


def test_another_answerer_begins_another_line() -> None:
    lines = _lines(*(_answered(n) for n in (1, 2, 3)), *(_answered(n, SMALL) for n in (4, 5, 6)))
    assert [line.split()[1] for line in lines] == ["#1-3", "#4-6"]


def test_what_is_told_between_them_parts_them() -> None:
    trouble = DrillEvent(12, 9, "breaker_closed", "acme")
    lines = _lines(_answered(1), _answered(2), trouble, _answered(3))
    assert len(lines) == 4


def test_numbers_that_are_not_in_a_row_are_counted() -> None:
    lines = _lines(_answered(1), _answered(3), _answered(4, took=9))
    assert lines[0].split()[1:3] == ["3", "more"]
    assert "each within 9.00 s" in lines[0]


def test_refused_requests_share_a_line_too() -> None:
    events = [DrillEvent(number, number, "refused", BIG, 0.0) for number in (1, 2, 3)]
    assert _lines(*events) == [
        " 0:01.0  #1-3  refused at once, until 0:03.0: the circuit of acme/large is open"
    ]


def test_what_others_wrote_cannot_act_on_the_terminal() -> None:
    event = DrillEvent(0, 1, "attempt_failed", "a\x1b[2Jb", 0.1, "Error: \x1b]0;x\x07boo")
    (line,) = _lines(event)
    assert "\x1b" not in line
    assert line.endswith("ab failed after 0.10 s: boo")


def test_colours_are_only_for_those_who_want_them() -> None:
    report = _report(_answered(1))
    assert "\x1b[32m" in timeline_lines(report, colour=True)[0]
    assert "\x1b" not in timeline_lines(report, colour=False)[0]


def _request(number: int, took: float, who: str | None, cost: float | None) -> DrillRequest:
    error = None if who else "ProviderServerError: down"
    return DrillRequest(number, number * 5.0, took, 1, who, error, cost)


def test_the_summary_says_who_answered_how_long_it_took_and_what_it_cost() -> None:
    report = DrillReport(
        (),
        (
            _request(1, 1.0, BIG, 0.01),
            _request(2, 12.34, SMALL, 0.02),
            _request(3, 2.0, SMALL, 0.02),
            _request(4, 9.0, None, None),
        ),
    )
    assert summary_lines(report) == [
        "4 requests: 3 answered, 1 not",
        "  backup/small  2",
        "  acme/large    1",
        "half of the answers were whole within 2.00 s, the slowest after 12.3 s (#2)",
        "cost: $0.0500, at 2,000 tokens in and 300 out for each answer",
    ]


def test_a_cost_that_is_not_known_is_not_zero() -> None:
    report = DrillReport((), (_request(1, 1.0, BIG, None),))
    assert summary_lines(report)[-1].startswith("cost: not known, at")


def test_without_an_answer_there_is_nothing_to_sum_up() -> None:
    report = DrillReport((), (_request(1, 1.0, None, None),))
    assert summary_lines(report) == ["1 request: 0 answered, 1 not"]


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00 s"), (9.994, "9.99 s"), (9.996, "10.0 s"), (59.96, "1 min"), (250, "4 min 10 s")],
)
def test_times_are_as_exact_as_people_need_them(amount: float, text: str) -> None:
    assert seconds(amount) == text


@pytest.mark.parametrize(("amount", "text"), [(0.0035, "$0.0035"), (1234.5, "$1,234.50")])
def test_amounts_are_dollars(amount: float, text: str) -> None:
    assert dollars(amount) == text

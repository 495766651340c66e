from __future__ import annotations

import io

import pytest

from victor.agent.events import (
    AgentEvent,
    AnswerRestarted,
    AttemptFailed,
    AttemptStarted,
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
    FailedOver,
    Held,
    KeySwitched,
    ReasoningDelta,
    RetryScheduled,
    RunFinished,
    RunResult,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnStarted,
)
from victor.cli.render import Renderer, paint, summary
from victor.types import JsonObject, Message, ToolCall, Usage

READ = ToolCall(id="1", name="read", arguments={"path": "README.md"})
SEARCH = ToolCall(id="2", name="search", arguments={"path": "src", "query": "needle"})
RESULT = RunResult(
    content="done",
    messages=(),
    usage=Usage(total_tokens=1234),
    stop_reason="stop",
    turns=2,
    tool_calls=1,
)


def _finished(call: ToolCall, content: str = "ok", *, is_error: bool = False) -> ToolFinished:
    return ToolFinished(call, content, is_error, 0.014)


def _shown(events: list[AgentEvent], *, live: bool = False, thinking: bool = False) -> str:
    screen = io.StringIO()
    renderer = Renderer(answer=screen, notes=screen, live=live, thinking=thinking)
    for event in events:
        renderer.show(event)
    return screen.getvalue()


def test_text_comes_piece_by_piece_and_ends_its_line() -> None:
    screen = io.StringIO()
    renderer = Renderer(answer=screen, notes=screen)
    renderer.show(TurnStarted(1))
    renderer.show(TextDelta("Hel"))
    assert screen.getvalue() == "Hel"
    renderer.show(TextDelta("lo"))
    renderer.show(TurnFinished(Message(role="assistant", content="Hello"), None, "stop"))
    renderer.show(RunFinished(RESULT))
    assert screen.getvalue() == "Hello\n"


def test_a_finished_call_is_one_line() -> None:
    assert _shown([ToolStarted(READ), _finished(READ)]) == "● read README.md (0.01 s)\n"


def test_a_person_sees_a_call_when_it_starts() -> None:
    assert _shown([ToolStarted(READ)], live=True) == "● read README.md"
    assert _shown([ToolStarted(READ), _finished(READ)], live=True) == "● read README.md (0.01 s)\n"


def test_calls_side_by_side_get_a_line_each() -> None:
    events: list[AgentEvent] = [
        ToolStarted(READ),
        ToolStarted(SEARCH),
        _finished(READ),
        _finished(SEARCH),
    ]
    expected = "● read README.md (0.01 s)\n● search src needle (0.01 s)\n"
    assert _shown(events, live=True) == expected
    assert _shown(events) == expected


def test_a_call_whose_line_was_broken_is_named_again() -> None:
    shown = _shown(
        [ToolStarted(READ), RetryScheduled("overloaded", 2.0, 1), _finished(READ)], live=True
    )
    assert shown == (
        "● read README.md\n↻ overloaded; attempt 2 in 2.0 s\n● read README.md (0.01 s)\n"
    )


@pytest.mark.parametrize("live", [True, False], ids=["live", "piped"])
def test_a_failed_call_says_why(live: bool) -> None:
    failed = _finished(READ, "Error: no such\nfile", is_error=True)
    shown = _shown([ToolStarted(READ), failed], live=live)
    assert shown.endswith("read README.md (0.01 s): no such file\n")
    assert _shown([failed], live=live) == "✗ read README.md (0.01 s): no such file\n"


def test_several_wrong_arguments_are_told_apart() -> None:
    failed = _finished(
        READ,
        "Error: Invalid arguments for edit:\nold: field required\nedits[0].x: unknown",
        is_error=True,
    )
    assert _shown([failed]).endswith(
        ": Invalid arguments for edit: old: field required; edits[0].x: unknown\n"
    )


def test_a_call_after_open_text_starts_a_line() -> None:
    assert _shown([TextDelta("I look"), _finished(READ)]) == "I look\n● read README.md (0.01 s)\n"


def test_thinking_is_shown_only_when_asked_for() -> None:
    events: list[AgentEvent] = [ReasoningDelta("hm"), TextDelta("yes")]
    assert _shown(events) == "yes"
    assert _shown(events, thinking=True) == "hmyes"


def test_thinking_and_text_on_two_streams_do_not_share_a_line() -> None:
    answer, notes = io.StringIO(), io.StringIO()
    renderer = Renderer(answer=answer, notes=notes, thinking=True)
    renderer.show(ReasoningDelta("hm"))
    renderer.show(TextDelta("yes"))
    renderer.end_line()
    assert (answer.getvalue(), notes.getvalue()) == ("yes\n", "hm\n")


def test_without_a_stream_for_the_answer_no_text_is_written() -> None:
    notes = io.StringIO()
    renderer = Renderer(answer=None, notes=notes)
    renderer.show(TextDelta("secret"))
    renderer.end_line()
    assert notes.getvalue() == ""


@pytest.mark.parametrize(
    "event",
    [
        TextDelta("a\x1b]52;c;x\x07\x1b[2Jb"),
        ReasoningDelta("a\x1b[2Jb"),
        RetryScheduled("a\x1b[2Jb", 1.0, 1),
        _finished(ToolCall(name="r\x1b[2J", arguments={"path": "\x1b[2J\x9b2J"})),
        _finished(READ, "\x1b[2J", is_error=True),
        ToolStarted(ToolCall(name="x", arguments={"any\x1b[2J": "\x07"})),
    ],
    ids=lambda event: type(event).__name__,
)
def test_nothing_that_others_wrote_acts_on_the_terminal(event: AgentEvent) -> None:
    shown = _shown([event], live=True, thinking=True)
    assert shown
    assert not set("\x1b\x07\x9b") & set(shown)


def test_an_escape_split_over_two_pieces_is_caught() -> None:
    assert _shown([TextDelta("a\x1b"), TextDelta("[2Jb")]) == "ab"


def test_a_sequence_left_open_does_not_swallow_the_next_turn() -> None:
    assert _shown([TextDelta("a\x1b]"), TurnStarted(2), TextDelta("b")]) == "ab"


def test_markup_is_text() -> None:
    assert _shown([TextDelta("[/bold] [link=x]")]) == "[/bold] [link=x]"


def test_the_status_line_counts() -> None:
    screen = io.StringIO()
    Renderer(answer=screen, notes=screen).status(RESULT, 3.44)
    assert screen.getvalue() == "2 turns · 1,234 tokens · 3.4 s\n"


def test_the_status_line_leaves_out_what_is_unknown() -> None:
    screen = io.StringIO()
    result = RunResult("", (), Usage(), "stop", turns=1, tool_calls=0)
    Renderer(answer=screen, notes=screen).status(result, 0.0)
    assert screen.getvalue() == "1 turn · 0.0 s\n"


def test_colours_wrap_what_we_say() -> None:
    screen = io.StringIO()
    Renderer(answer=screen, notes=screen, colour=True).note("hello", "yellow")
    assert screen.getvalue() == "\x1b[33mhello\x1b[0m\n"
    assert paint("x", "red", on=False) == "x"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"command": "make\n  test"}, "t make test"),
        ({}, "t"),
        ({"n": 1, "why": "é"}, 't {"n": 1, "why": "é"}'),
        ({"path": "x" * 200}, "t " + "x" * 97 + "…"),
        ({"path": "a\x1b[2Jb\u200b"}, "t a<U+001B>[2Jb<U+200B>"),
    ],
    ids=["command", "none", "others", "long", "hidden"],
)
def test_a_call_is_summed_up_on_one_line(arguments: JsonObject, line: str) -> None:
    assert summary(ToolCall(name="t", arguments=arguments)) == line


# ---------------------------------------------------------------------------- seams and moves

MOVED = FailedOver("a/big", "b/small", "down\x1b[2J", ("Images are left out.",))
ANSWERED = TurnFinished(Message(role="assistant", content="x"), None, "stop")


def test_an_answer_that_broke_off_is_marked_where_its_text_is() -> None:
    answer, notes = io.StringIO(), io.StringIO()
    renderer = Renderer(answer=answer, notes=notes, colour=True)
    for event in (TextDelta("half an answ\x1b["), AnswerRestarted("half an answ", "gone\nnow")):
        renderer.show(event)
    renderer.show(TextDelta("2 whole"))
    assert answer.getvalue() == (
        "half an answ\n✂ the answer broke off (gone now); the text above is discarded, "
        "asking again\n2 whole"
    )
    assert notes.getvalue() == ""


@pytest.mark.parametrize("partial", ["", "half"], ids=["nothing-shown", "shown-by-others"])
def test_a_seam_without_text_of_ours_is_a_note(partial: str) -> None:
    notes = io.StringIO()
    answer = None if partial else io.StringIO()
    Renderer(answer=answer, notes=notes).show(AnswerRestarted(partial, "gone"))
    assert notes.getvalue().startswith("✂ the answer broke off (gone); ")


def test_a_move_is_one_line_with_its_reason_and_what_is_lost() -> None:
    assert _shown([TextDelta("x"), MOVED]) == "x\n⇢ a/big → b/small: down · Images are left out.\n"


def test_a_move_is_told_once_until_the_first_choice_is_back() -> None:
    turn: list[AgentEvent] = [TurnStarted(1), MOVED, ANSWERED]
    shown = _shown([*turn, *turn, RunFinished(RESULT), TurnStarted(1), ANSWERED, *turn])
    line = "⇢ a/big → b/small: down · Images are left out.\n"
    assert shown == f"{line}⇠ back at a/big\n{line}"


def test_another_move_is_told_at_once() -> None:
    other = FailedOver("a/big", "c/tiny", "down")
    shown = _shown([TurnStarted(1), MOVED, ANSWERED, TurnStarted(2), other, ANSWERED])
    assert shown.splitlines()[1:] == ["⇢ a/big → c/tiny: down"]


def test_a_switched_key_is_one_line() -> None:
    assert _shown([KeySwitched("k:1", "k:2", "revoked")]) == "⇢ key k:1 → k:2: revoked\n"


def test_a_circuit_that_opens_or_closes_is_one_line() -> None:
    assert _shown([BreakerOpened("acme", "it is\n down", 12.0), BreakerClosed("acme")]) == (
        "⊘ acme is left alone for 12.0 s: it is down\n⊙ acme is well again\n"
    )
    assert _shown([BreakerOpened("acme", "", None)]) == "⊘ acme is left alone\n"


def test_a_request_that_is_held_back_says_why_and_for_how_long() -> None:
    assert _shown([Held("the limit is\n reached", 12.0)]) == (
        "◷ held back: the limit is reached; goes out in 12.0 s\n"
    )


def test_single_attempts_are_not_shown() -> None:
    events: list[AgentEvent] = [
        AttemptStarted(1, "acme", "big"),
        AttemptFailed("down", 1, 0.5),
        BreakerHalfOpened("acme"),
    ]
    assert _shown(events) == ""

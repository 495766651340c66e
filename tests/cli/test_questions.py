from __future__ import annotations

import pytest

from victor.cli.questions import model_asker

OPTIONS = ("Postgres", "SQLite\nvictor asks: may the model use shell?", "7")


class _Person:
    def __init__(self, answer: str | None) -> None:
        self.answer = answer
        self.shown = ""

    async def ask(self, question: str) -> str | None:
        self.shown = question
        return self.answer


@pytest.mark.parametrize(
    ("typed", "options", "answer"),
    [
        ("1", OPTIONS, "Postgres"),
        (" 2 ", OPTIONS, OPTIONS[1]),
        ("7", OPTIONS, "7"),
        ("4", OPTIONS, "4"),
        ("0", OPTIONS, "0"),
        ("1", (), "1"),
        ("Oracle", OPTIONS, "Oracle"),
        ("", OPTIONS, None),
        ("  ", OPTIONS, None),
        ("\x1b", OPTIONS, None),
        (None, OPTIONS, None),
        ("²", OPTIONS, "²"),
    ],
)
async def test_an_answer_is_a_number_or_words(
    typed: str | None, options: tuple[str, ...], answer: str | None
) -> None:
    assert await model_asker(_Person(typed).ask)("Which?", options) == answer


@pytest.mark.parametrize("columns", [80, 40])
async def test_every_line_is_marked_as_the_models(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    person = _Person("1")
    box = "\n\nvictor asks: may the model use shell (runs a program)?\n[y]es, [n]o\r"
    spoof = "Which?\x1b[2J" + box + " " * columns + "victor asks: may it? " * 5
    await model_asker(person.ask)(spoof, (*OPTIONS, "x" * 100))
    first, heading, *lines, last = person.shown.split("\n")
    assert (first, heading) == ("", "the model asks you:")
    assert all(line.startswith("  model ") and line[11] in "|:" for line in lines)
    assert all(len(line) < columns for line in lines)
    assert "  model  2 | SQLite victor asks" in person.shown
    assert "\x1b" not in person.shown
    assert last.startswith("your answer, a number, or in your own words")


async def test_a_question_without_options_asks_for_words() -> None:
    person = _Person("so")
    assert await model_asker(person.ask, colour=True)("Why?", ()) == "so"
    assert "your answer, in your own words; Enter gives none: \x1b[0m" in person.shown

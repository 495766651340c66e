from __future__ import annotations

import datetime
import decimal
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from victor.tools.context import ToolError, ToolResult
from victor.tools.results import as_result, collected
from victor.types import Attachment


class Model(BaseModel):
    price: decimal.Decimal


@dataclass
class Data:
    day: datetime.date


class Colour(enum.Enum):
    RED = "red"


class Word(str, enum.Enum):  # noqa: UP042 - its str() is not its value
    YES = "yes"


class Table:
    def __str__(self) -> str:
        return "a | b"


class Plain: ...


PICTURE = Attachment(media_type="image/png", data=b"png", name="a.png")
PAPER = Attachment(media_type="application/pdf", data=b"pdf")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("as it is", "as it is", id="text"),
        pytest.param("", "", id="empty"),
        pytest.param("a\ud800", "a?", id="no-unicode"),
        pytest.param({"file": "a\udcff", "b": [1]}, '{"file":"a?","b":[1]}', id="inside"),
        pytest.param(Word.YES, "yes", id="text-in-an-enum"),
        pytest.param(Colour.RED, "red", id="enum"),
        pytest.param([Colour.RED], '["red"]', id="enums"),
        pytest.param(Path("a/b"), "a/b", id="path"),
        pytest.param(datetime.date(2020, 1, 2), "2020-01-02", id="date"),
        pytest.param(b"abc", "abc", id="bytes"),
        pytest.param(7, "7", id="number"),
        pytest.param(decimal.Decimal("1.10"), "1.10", id="decimal"),
        pytest.param({1}, "[1]", id="set"),
        pytest.param([Model(price=decimal.Decimal("2.50"))], '[{"price":"2.50"}]', id="model"),
        pytest.param(Data(datetime.date(2020, 1, 2)), '{"day":"2020-01-02"}', id="dataclass"),
        pytest.param(Table(), "a | b", id="words-of-its-own"),
        pytest.param({"t": Table()}, '{"t":"a | b"}', id="words-inside"),
    ],
)
def test_value_becomes_text(value: Any, text: str) -> None:
    result = as_result(value, "f")
    assert result == ToolResult(text)
    assert type(result.content) is str


@pytest.mark.parametrize(
    "value",
    [Plain(), [Plain()], Plain, b"\xff\xfe\x00"],
    ids=["object", "inside", "class", "bytes"],
)
def test_value_without_words_is_an_error(value: Any) -> None:
    with pytest.raises(ToolError, match="neither text nor JSON; a file or an image is returned"):
        as_result(value, "f")


def test_value_that_holds_itself_is_an_error() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ToolError, match="value of type list"):
        as_result(value, "f")


@pytest.mark.parametrize(
    ("value", "result"),
    [
        pytest.param(
            ValueError("bad"),
            ToolResult("f failed: ValueError: bad", is_error=True),
            id="exception",
        ),
        pytest.param(ToolError("for you"), ToolResult("for you", is_error=True), id="tool-error"),
        pytest.param(
            ["one", ValueError("two")],
            ToolResult("one\nError: f failed: ValueError: two"),
            id="some-failed",
        ),
        pytest.param(
            [ToolError("one"), ToolError("two")],
            ToolResult("one\ntwo", is_error=True),
            id="all-failed",
        ),
        pytest.param(
            (ToolResult("text", attachments=(PAPER,)), PICTURE, {"a": 1}),
            ToolResult('text\n[attached: a.png]\n{"a":1}', attachments=(PAPER, PICTURE)),
            id="results-and-files",
        ),
        pytest.param(
            {"page": PAPER, "number": 3},
            ToolResult('{"page":"[attached: application/pdf]","number":3}', attachments=(PAPER,)),
            id="file-in-a-dict",
        ),
        pytest.param(
            {"pages": [PAPER, {"of": (PICTURE, 1)}]},
            ToolResult(
                '{"pages":["[attached: application/pdf]",{"of":["[attached: a.png]",1]}]}',
                attachments=(PAPER, PICTURE),
            ),
            id="files-anywhere",
        ),
    ],
)
def test_errors_and_files_are_told_apart(value: Any, result: ToolResult) -> None:
    assert as_result(value, "f") == result


def test_iterators_are_read_to_their_end_and_nothing_else_is() -> None:
    assert collected(iter("ab")) == ["a", "b"]
    assert collected("ab") == "ab"


def test_value_that_contains_itself_is_searched_for_files_to_an_end() -> None:
    value: list[Any] = [PAPER]
    value += [value, value]
    with pytest.raises(ToolError, match="neither text nor JSON"):
        as_result({"a": value}, "f")

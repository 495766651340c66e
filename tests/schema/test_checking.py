from __future__ import annotations

from typing import Any

import pytest
import typing_extensions
from pydantic import ConfigDict, TypeAdapter

from victor.schema.checking import Check


class Own(typing_extensions.TypedDict):
    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    a: int


OWN: Any = TypeAdapter(Own).validate_python
REST: Any = TypeAdapter(dict[str, bool]).validate_python


@pytest.mark.parametrize(
    ("rest", "arguments", "result"),
    [
        (None, {"a": "1"}, {"a": 1}),
        (REST, {"a": 1}, {"a": 1}),
        (REST, {"a": 1, "b": "yes"}, {"a": 1, "b": True}),
    ],
)
def test_arguments_are_converted(rest: Any, arguments: Any, result: Any) -> None:
    assert Check(OWN, ("a",), (), rest)(arguments) == result


@pytest.mark.parametrize(
    ("rest", "arguments", "problem"),
    [
        (None, {"a": 1, "b": 1}, "b: unknown parameter; the parameters are a"),
        (None, {"a": 1, "context": 1}, "context: unknown parameter; the parameters are a"),
        (REST, {"a": 1, "context": 1}, "context: unknown parameter; the parameters are a"),
        (REST, {"a": 1, "b": 3}, "b: expected boolean"),
        (REST, {"b": True}, "a: field required"),
    ],
)
def test_what_is_wrong_is_said_and_what_is_hidden_is_not(
    rest: Any, arguments: Any, problem: str
) -> None:
    with pytest.raises(ValueError, match=r": ") as caught:
        Check(OWN, ("a",), ("context",), rest)(arguments)
    assert str(caught.value).startswith(problem)

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest

from victor import errors
from victor.errors import (
    CircuitOpenError,
    ContextWindowExceededError,
    ProviderError,
    StreamInterruptedError,
    VictorError,
    WeightsMissingError,
)

KINDS: list[type[VictorError]] = [getattr(errors, name) for name in errors.__all__]
DETAILS: dict[str, Any] = {
    "provider": "acme",
    "model": "m",
    "status_code": 400,
    "retry_after": 1.5,
    "request_id": "r",
    "raw_error": {"code": "x"},
}
# What each class takes beside its message; every other class takes the details of ProviderError.
OWN: dict[type[VictorError], dict[str, Any]] = {
    WeightsMissingError: {"command": "victor models pull default"},
    ContextWindowExceededError: {**DETAILS, "used": 5, "limit": 4},
    StreamInterruptedError: {"partial": "Hel", "provider": "acme", "model": "m", "raw_error": 1},
    CircuitOpenError: {"retry_at": 5.0, "retry_after": 1.0, "last_error": None, "provider": "acme"},
}


def _make(kind: type[VictorError]) -> VictorError:
    details = OWN.get(kind, DETAILS if issubclass(kind, ProviderError) else {})
    return kind("what happened", **details)


def _documented() -> list[tuple[int, str, str]]:
    """Return indentation, name and remark of every line of the tree in the docstring."""
    lines = re.findall(r"^( *)[*-] (\w+) *(.*)$", errors.__doc__ or "", re.MULTILINE)
    return [(len(indent), name, remark) for indent, name, remark in lines]


def test_the_docstring_is_the_tree() -> None:
    path: list[tuple[int, str]] = []
    parents: dict[str, str] = {}
    for indent, name, _ in _documented():
        while path and path[-1][0] >= indent:
            path.pop()
        parents[name] = path[-1][1] if path else "Exception"
        path.append((indent, name))
    assert parents == {kind.__name__: kind.__bases__[0].__name__ for kind in KINDS}


def test_the_docstring_says_what_may_be_retried() -> None:
    marked = {name for _, name, remark in _documented() if remark.endswith("(retryable)")}
    retryable = {
        kind.__name__ for kind in KINDS if issubclass(kind, ProviderError) and kind.retryable
    }
    assert marked == retryable


def test_every_class_of_the_module_is_public() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert defined == set(errors.__all__)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_says_what_happened_and_keeps_its_details(kind: type[VictorError]) -> None:
    error = _make(kind)
    assert str(error) == "what happened"
    assert isinstance(error, VictorError)
    details = OWN.get(kind, DETAILS if issubclass(kind, ProviderError) else {})
    for name, value in details.items():
        assert getattr(error, name) == value
    if isinstance(error, ProviderError):
        assert error.message == "what happened"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],  # noqa: S301
    ids=["copy", "deepcopy", "pickle"],
)
def test_an_error_can_be_sent_to_another_process(kind: type[VictorError], duplicate: Any) -> None:
    error = _make(kind)
    twin = duplicate(error)
    assert type(twin) is kind
    assert str(twin) == str(error)
    assert vars(twin) == vars(error)


def test_what_is_not_known_is_none() -> None:
    error = ProviderError("x")
    known = {name: value for name, value in vars(error).items() if value is not None}
    assert known == {"message": "x"}
    assert StreamInterruptedError("x").partial == ""
    assert CircuitOpenError("x", last_error=error).raw_error is error

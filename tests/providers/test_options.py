from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import BaseModel

from victor.errors import ProviderInvalidRequestError
from victor.providers.options import OutputSchema, StandardOptions, leave_out, standard_options

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


class Weather(BaseModel):
    degrees: int


def test_no_options_are_no_wishes() -> None:
    assert standard_options({}) == StandardOptions()
    assert standard_options({"seed": None, "stop": None, "other": None}) == StandardOptions()


def test_what_is_in_the_vocabulary_is_read_and_the_rest_passes_through() -> None:
    found = standard_options(
        {
            "reasoning_effort": "low",
            "parallel_tool_calls": False,
            "seed": 0,
            "top_p": 0.5,
            "top_k": 5,
            "frequency_penalty": 0.0,
            "presence_penalty": -1,
            "logit_bias": {"5": 1},
            "user": "",
        }
    )
    assert found == StandardOptions(
        reasoning_effort="low",
        parallel_tool_calls=False,
        seed=0,
        top_p=0.5,
        top_k=5,
        frequency_penalty=0.0,
        presence_penalty=-1,
        extra={"logit_bias": {"5": 1}, "user": ""},
    )


@pytest.mark.parametrize("name", ["api_key", "messages", "model", "stream"])
def test_what_is_victors_to_set_never_passes_through(name: str) -> None:
    assert standard_options({name: "x", "user": "u"}).extra == {"user": "u"}


@pytest.mark.parametrize(
    ("stop", "found"),
    [
        ("END", ("END",)),
        (["a", "b"], ("a", "b")),
        (("a",), ("a",)),
        ([], ()),
        ("", ()),
        (["a", ""], ("a",)),
    ],
    ids=repr,
)
def test_stop_is_one_string_or_several(stop: Any, found: tuple[str, ...]) -> None:
    assert standard_options({"stop": stop}).stop == found


@pytest.mark.parametrize("stop", [5, [5], ["a", None], b"END", {"a": 1}], ids=repr)
def test_a_stop_that_is_no_string_is_refused(stop: Any) -> None:
    with pytest.raises(ProviderInvalidRequestError, match=r"stop .* is not understood"):
        standard_options({"stop": stop})


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ("auto", ("auto", None)),
        ("none", ("none", None)),
        ("required", ("required", None)),
        ("any", ("required", None)),
        ("search", ("required", "search")),
        ({"type": "function", "function": {"name": "search"}}, ("required", "search")),
        ({"type": "function", "function": {"name": "auto"}}, ("required", "auto")),
        ({"type": "tool", "name": "search"}, ("required", "search")),
        ({"type": "function", "name": "search"}, ("required", "search")),
        ({"type": "auto"}, ("auto", None)),
        ({"type": "any"}, ("required", None)),
    ],
    ids=repr,
)
def test_a_tool_choice_is_read_from_every_usual_spelling(
    choice: Any, found: tuple[str, str | None]
) -> None:
    options = standard_options({"tool_choice": choice})
    assert (options.tool_choice, options.tool_name) == found


@pytest.mark.parametrize(
    "choice",
    ["", 5, [], {}, {"type": "tool"}, {"type": []}, {"function": 5}, {"function": {"name": 5}}],
    ids=repr,
)
def test_a_tool_choice_that_means_nothing_is_refused(choice: Any) -> None:
    with pytest.raises(ProviderInvalidRequestError, match=r"tool_choice .* is not understood"):
        standard_options({"tool_choice": choice})


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, "json"),
        ({"type": "json_object", "schema": SCHEMA}, OutputSchema(SCHEMA)),
        ({"type": "json_schema", "schema": SCHEMA, "name": "n"}, OutputSchema(SCHEMA, "n")),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}},
            OutputSchema(SCHEMA, "n", strict=True),
        ),
        ({"type": "json_schema", "json_schema": {"schema": SCHEMA}}, OutputSchema(SCHEMA)),
        (Weather, OutputSchema(Weather.model_json_schema(), "Weather", is_class=True)),
    ],
    ids=["text", "any", "any-with-schema", "flat", "nested", "nameless", "pydantic"],
)
def test_a_response_format_is_read_from_every_usual_spelling(wanted: Any, found: Any) -> None:
    assert standard_options({"response_format": wanted}).output == found


@pytest.mark.parametrize(
    "wanted",
    [
        "json",
        5,
        {},
        SCHEMA,
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": None},
        {"type": "json_schema", "json_schema": {"schema": "x"}},
        int,
        Weather(degrees=1),
    ],
    ids=repr,
)
def test_a_response_format_that_means_nothing_is_refused(wanted: Any) -> None:
    with pytest.raises(ProviderInvalidRequestError, match="response_format is not understood"):
        standard_options({"response_format": wanted})


def test_a_hint_that_is_left_out_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            leave_out("a provider of this test", seed=0, top_k=None, stop=())
    assert caplog.messages == ["a provider of this test has no option seed: it is left out"]

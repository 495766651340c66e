from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import pytest
import typing_extensions
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from victor.schema.functions import describe, local_names


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    y: int = 0


class Item(BaseModel):
    """A thing."""

    model_config = ConfigDict(extra="forbid")

    title: str
    count: int = 1


class Forward(BaseModel):
    it: Nowhere  # type: ignore[name-defined]  # noqa: F821 - the case


class Tree(BaseModel):
    children: list[Tree] = []


class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value


class Injected:
    __victor_injected__: ClassVar[bool] = True


class Unknown:
    pass


def properties(function: Callable[..., Any]) -> dict[str, Any]:
    found: dict[str, Any] = describe(function).parameters["properties"]
    return found


def annotated(annotation: Any, **default: Any) -> Callable[..., Any]:
    def function(value: Any = None) -> None: ...

    function.__annotations__["value"] = annotation
    function.__defaults__ = tuple(default.values()) or None
    return function


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param(str, {"type": "string"}, id="str"),
        pytest.param(
            "list[int]", {"type": "array", "items": {"type": "integer"}}, id="as-a-string"
        ),
        pytest.param(Any, {}, id="any"),
        pytest.param(Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}, id="literal"),
        pytest.param(Colour, {"type": "string", "enum": ["red", "blue"]}, id="enum"),
        pytest.param(int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}, id="union"),
        pytest.param(
            int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}, id="required-optional"
        ),
        pytest.param(
            Annotated[int, Field(ge=1, description="how many")],
            {"type": "integer", "minimum": 1, "description": "how many"},
            id="field",
        ),
        pytest.param(
            Annotated[str, "a text"], {"type": "string", "description": "a text"}, id="text"
        ),
        pytest.param(
            dict[str, float],
            {"type": "object", "additionalProperties": {"type": "number"}},
            id="dict",
        ),
        pytest.param(
            list[Item],
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "description": "A thing.",
                    "properties": {
                        "title": {"type": "string"},
                        "count": {"type": "integer", "default": 1},
                    },
                    "required": ["title"],
                    "additionalProperties": False,
                },
            },
            id="list-of-models",
        ),
    ],
)
def test_annotation_becomes_its_json_schema(annotation: Any, expected: dict[str, Any]) -> None:
    described = describe(annotated(annotation))
    assert described.parameters == {
        "type": "object",
        "properties": {"value": expected},
        "required": ["value"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        pytest.param(int, 3, {"type": "integer", "default": 3}, id="value"),
        pytest.param(
            Colour,
            Colour.RED,
            {"enum": ["red", "blue"], "type": "string", "default": "red"},
            id="enum",
        ),
        pytest.param(int | None, None, {"type": "integer"}, id="none-is-left-out"),
        pytest.param(
            int | str | None,
            None,
            {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            id="none-of-a-union",
        ),
        pytest.param(Any, None, {}, id="any-or-none"),
        pytest.param(float, float("nan"), {"type": "number"}, id="not-json"),
        pytest.param(Any, Unknown(), {}, id="not-serialisable"),
    ],
)
def test_default_is_shown_where_json_can_say_it(
    annotation: Any, default: Any, expected: dict[str, Any]
) -> None:
    schema = describe(annotated(annotation, value=default)).parameters
    assert schema["properties"]["value"] == expected
    assert "required" not in schema


def test_property_named_title_survives_the_removal_of_titles() -> None:
    def function(title: str, items: list[Item]) -> None: ...

    found = properties(function)
    assert found["title"] == {"type": "string"}
    assert "title" in found["items"]["items"]["properties"]
    assert "title" not in found["items"]


def test_default_that_looks_like_a_schema_is_kept_whole() -> None:
    def function(value: dict[str, str] = {"title": "x"}) -> None: ...  # noqa: B006 - not changed

    assert properties(function)["value"]["default"] == {"title": "x"}


def test_recursive_type_keeps_its_definition() -> None:
    def function(tree: Tree, other: Tree) -> None: ...

    schema = describe(function).parameters
    assert schema["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    assert schema["$defs"]["Tree"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}


def test_definition_used_twice_is_written_once() -> None:
    def function(a: Point, b: Point, c: Colour, d: Colour) -> None: ...

    schema = describe(function).parameters
    assert list(schema["$defs"]) == ["Point"]
    assert (
        schema["properties"]["c"]
        == schema["properties"]["d"]
        == {"enum": ["red", "blue"], "type": "string"}
    )


def test_injected_parameters_are_hidden_and_named() -> None:
    def function(first: Injected, path: str, second: Injected | None = None) -> None: ...

    described = describe(function)
    assert list(described.parameters["properties"]) == ["path"]
    assert described.injected == ("first", "second")


def test_parameter_names_of_all_sorts_are_possible() -> None:
    def function(_x: int, json: int, model_config: int, self: int) -> None: ...

    described = describe(function)
    given_arguments = {"_x": 1, "json": 2, "model_config": 3, "self": 4}
    assert list(described.parameters["properties"]) == list(given_arguments)
    assert described.validate(given_arguments) == given_arguments


class Greeter:
    """Say hello."""

    def greet(self, name: str) -> str:
        """Greet somebody."""
        return name

    def __call__(self, times: int) -> None:
        """Greet everybody."""


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def greet(name: str, loud: bool = False) -> None:
    """Greet somebody."""


@pytest.mark.parametrize(
    ("function", "name", "parameters", "description"),
    [
        pytest.param(greet, "greet", ["name", "loud"], "Greet somebody.", id="function"),
        pytest.param(Greeter().greet, "greet", ["name"], "Greet somebody.", id="bound-method"),
        pytest.param(Greeter(), "Greeter", ["times"], "Greet everybody.", id="object"),
        pytest.param(
            functools.partial(greet, "x"), "greet", ["loud"], "Greet somebody.", id="partial"
        ),
        pytest.param(decorated(greet), "greet", ["name", "loud"], "Greet somebody.", id="wrapped"),
        pytest.param(lambda x: x, "<lambda>", ["x"], "", id="lambda"),
    ],
)
def test_every_kind_of_callable_is_described(
    function: Callable[..., Any], name: str, parameters: list[str], description: str
) -> None:
    described = describe(function)
    assert described.name == name
    assert list(described.parameters["properties"]) == parameters
    assert described.description == description


GOOGLE = """Copy a file
    to a place.

    More about it.

    Args:
        source (str): where it is,
            in full: really
        target: where it goes
        nothing here

    Returns:
        other: not a parameter
    """

NUMPY = """Copy a file
    to a place.

    Parameters
    ----------
    source : str
        where it is,
        in full: really
    target
        where it goes

    Returns
    -------
    other
        not a parameter
    """

SPHINX = """Copy a file
    to a place.

    :param str source: where it is,
        in full: really
    :type source: str
    :param target: where it goes
    :returns: not a parameter
    """

UNDESCRIBED = "Copy a file to a place."


@pytest.mark.parametrize(
    ("docstring", "texts"),
    [
        pytest.param(GOOGLE, ["where it is, in full: really", "where it goes"], id="google"),
        pytest.param(NUMPY, ["where it is, in full: really", "where it goes"], id="numpy"),
        pytest.param(SPHINX, ["where it is, in full: really", "where it goes"], id="sphinx"),
        pytest.param(UNDESCRIBED, [None, None], id="summary-alone"),
        pytest.param(UNDESCRIBED + "\n\nArgs:\nsource: x", [None, None], id="not-indented"),
        pytest.param(UNDESCRIBED + "\n\nArgs:", [None, None], id="nothing-in-it"),
    ],
)
def test_docstring_describes_tool_and_parameters(docstring: str, texts: list[str | None]) -> None:
    def function(source: str, target: str, other: str) -> None: ...

    function.__doc__ = docstring
    described = describe(function)
    found = described.parameters["properties"]
    assert described.description == "Copy a file to a place."
    assert [found["source"].get("description"), found["target"].get("description")] == texts
    assert "description" not in found["other"]


@pytest.mark.parametrize(
    "docstring", ["\nArgs:\n    x: it", ":param x: it", "Parameters\n----------\nx : int\n    it"]
)
def test_docstring_without_summary_gives_no_description(docstring: str) -> None:
    def function(x: int) -> None: ...

    function.__doc__ = docstring
    assert describe(function).description == ""
    assert properties(function)["x"]["description"] == "it"


def test_numpy_names_that_share_a_line_share_the_text() -> None:
    def function(x: int, y: int) -> None:
        """Do.

        Parameters
        ----------
        x, y : int
            a coordinate
        """

    assert [item["description"] for item in properties(function).values()] == ["a coordinate"] * 2


def test_field_description_wins_over_text_and_docstring() -> None:
    def function(
        a: Annotated[int, "text", Field(description="field")], b: Annotated[int, "text"], c: int
    ) -> None:
        """Do.

        Args:
            a: doc
            b: doc
            c: doc
        """

    texts = [item["description"] for item in properties(function).values()]
    assert texts == ["field", "text", "doc"]


@given(st.text(alphabet=" \n:-*abArgs()", max_size=200))
@settings(max_examples=200)
def test_any_docstring_can_be_read(docstring: str) -> None:
    def function(a: int) -> None: ...

    function.__doc__ = docstring
    assert "\n" not in describe(function).description


def star(*names: str) -> None: ...
def positional(name: str, /) -> None: ...
def unsupported(good: int, bad: Unknown) -> None: ...
def callback(bad: Callable[[], None]) -> None: ...
def unresolved(x: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the case
def forward(good: int, bad: Forward) -> None: ...
def field_default(x: int = Field(default=1)) -> None: ...


@pytest.mark.parametrize(
    ("function", "text"),
    [
        pytest.param(star, r"star\(\): a model cannot pass \*names", id="star"),
        pytest.param(positional, "'name' is positional-only", id="positional-only"),
        pytest.param(unsupported, "parameter 'bad', .*Unknown, has no JSON Schema", id="class"),
        pytest.param(callback, "parameter 'bad', .* has no JSON Schema", id="callable"),
        pytest.param(unresolved, "name 'Missing' is not defined", id="unresolved"),
        pytest.param(field_default, "write parameter 'x' as Annotated", id="field-as-default"),
        pytest.param(forward, "parameter 'bad', .* has no JSON Schema; .*not fully", id="forward"),
        pytest.param(Greeter.greet, r"greet\(\) is a method of no object yet", id="method"),
        pytest.param(Point, "not a function", id="class-itself"),
        pytest.param(3, "not a function", id="number"),
    ],
)
def test_what_cannot_be_described_is_a_clear_type_error(function: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        describe(function)


def job(
    path: str,
    lines: int,
    *,
    items: list[Item] = [],  # noqa: B006 - not changed
    colour: Colour = Colour.RED,
    point: Point | None = None,
    either: int | list[str] = 0,
    even: Even | None = None,
) -> None: ...


def refusal(arguments: dict[str, Any]) -> str:
    with pytest.raises(ValueError, match=r"\w") as caught:
        describe(job).validate(arguments)
    return str(caught.value)


def test_arguments_are_converted_and_only_the_given_ones_returned() -> None:
    checked = describe(job).validate(
        {
            "path": "a",
            "lines": "12",
            "items": [{"title": "x"}],
            "colour": "blue",
            "point": {"x": 1},
        }
    )
    assert checked == {
        "path": "a",
        "lines": 12,
        "items": [Item(title="x")],
        "colour": Colour.BLUE,
        "point": Point(1),
    }


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        pytest.param({"lines": "ten"}, "lines: expected integer, got 'ten'", id="type"),
        pytest.param({"lines": None}, "lines: expected integer, got null", id="null"),
        pytest.param(
            {"lines": 1.5},
            "lines: expected integer, got a number with a fractional part, got 1.5",
            id="fraction",
        ),
        pytest.param(
            {"colour": "green"}, "colour: expected 'red' or 'blue', got 'green'", id="enum"
        ),
        pytest.param({"pth": 1}, "pth: unknown parameter; did you mean 'path'?", id="near-name"),
        pytest.param(
            {"zzz": 1},
            "zzz: unknown parameter; the parameters are path, lines, items, colour, point, "
            "either, even",
            id="no-near-name",
        ),
        pytest.param(
            {"items": [{"title": "x"}, {}]}, "items[1].title: field required", id="nested"
        ),
        pytest.param(
            {"items": [{"title": "x", "z": 1}]}, "items[0].z: unknown parameter", id="nested-name"
        ),
        pytest.param({"point": {"x": "q"}}, "point.x: expected integer, got 'q'", id="dataclass"),
        pytest.param({"either": {}}, "either: expected integer or list, got {}", id="union"),
        pytest.param({"even": {"number": 3}}, "even.number: must be even, got 3", id="validator"),
        pytest.param(
            {"path": ["x" * 200]}, 'path: expected string, got ["' + "x" * 75 + "...", id="long"
        ),
    ],
)
def test_wrong_argument_is_one_precise_line(wrong: dict[str, Any], line: str) -> None:
    assert refusal({"path": "a", "lines": 1} | wrong) == line


def test_every_problem_has_its_line_up_to_a_limit() -> None:
    assert refusal({}) == "path: field required\nlines: field required"
    lines = refusal({"path": "", "lines": 1, "items": [{}] * 30}).split("\n")
    assert len(lines) == 11
    assert lines[-1] == "and 20 more problems"


def test_further_keywords_pass_where_the_function_takes_them() -> None:
    def function(a: int, **rest: str) -> None: ...

    described = describe(function)
    assert described.parameters["additionalProperties"] == {"type": "string"}
    assert list(described.parameters["properties"]) == ["a"]
    assert described.validate({"a": "1", "b": "x"}) == {"a": 1, "b": "x"}
    with pytest.raises(ValueError, match="b: expected string, got 3"):
        described.validate({"a": 1, "b": 3})


@pytest.mark.parametrize("annotation", [Any, typing_extensions.Unpack[dict[str, int]]])
def test_further_keywords_of_any_kind_pass_where_their_types_are_not_known(
    annotation: Any,
) -> None:
    def function(**rest: Any) -> None: ...

    function.__annotations__["rest"] = annotation
    described = describe(function)
    assert described.parameters["additionalProperties"] is True
    assert described.validate({"b": {}}) == {"b": {}}


def test_what_is_injected_is_not_a_further_keyword() -> None:
    def function(context: Injected, **rest: Any) -> None: ...

    with pytest.raises(ValueError, match="context: unknown parameter"):
        describe(function).validate({"context": 1})


class Place(BaseModel):
    street: str
    town: str = ""


class Anything(BaseModel, extra="allow"):
    a: int = 0


def with_models(
    one: Place | None = None, more: list[Place] | None = None, point: Point | None = None
) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        pytest.param({"one": {"street": "s", "city": "c"}}, "one.city", id="model"),
        pytest.param({"more": [{"street": "s", "city": "c"}]}, "more[0].city", id="list"),
        pytest.param({"point": {"x": 1, "z": 2}}, "point.z", id="dataclass"),
    ],
)
def test_nothing_inside_a_parameter_is_dropped(arguments: dict[str, Any], refused: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(refused)}: unknown parameter"):
        describe(with_models).validate(arguments)


def test_model_that_takes_any_key_gets_them() -> None:
    def function(a: Anything) -> None: ...

    found = describe(function).validate({"a": {"b": 1}})
    assert found["a"].model_extra == {"b": 1}


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text() | st.none(), max_size=4))
@settings(max_examples=100)
def test_validation_never_drops_or_renames(arguments: dict[str, Any]) -> None:
    def function(a: int = 0, b: str = "") -> None: ...

    try:
        checked = describe(function).validate(arguments)
    except ValueError:
        return
    assert set(checked) == set(arguments) <= {"a", "b"}


# --- where annotations lead


class Pair(NamedTuple):
    left: int
    right: str = "r"


class Row(typing_extensions.TypedDict):
    when: datetime.date


def test_arguments_arrive_as_what_the_annotations_say() -> None:
    def function(p: Point, i: Item, n: Pair, r: Row, c: Colour, o: int | None = None) -> None: ...

    arguments = {
        "p": {"x": 1},
        "i": {"title": "t"},
        "n": [3],
        "r": {"when": "2020-02-03"},
        "c": "red",
    }
    assert describe(function).validate(arguments) == {
        "p": Point(1),
        "i": Item(title="t"),
        "n": Pair(3),
        "r": {"when": datetime.date(2020, 2, 3)},
        "c": Colour.RED,
    }


def test_types_made_inside_a_function_are_found() -> None:
    class Local(BaseModel):
        x: int

    def inner() -> Callable[..., Any]:
        class Deeper(Enum):
            A = "a"

        def function(one: Local, two: list[Deeper]) -> None: ...

        describe(function)
        return function

    function = inner()
    names = local_names(function)
    assert names == {"Local": Local}  # the function round it has ended
    with pytest.raises(TypeError, match="'Deeper' is not defined"):
        describe(function)


def test_names_that_were_found_earlier_are_used() -> None:
    def inner() -> tuple[Callable[..., Any], dict[str, Any]]:
        class Local(BaseModel):
            x: int

        def function(one: Local) -> None: ...

        return function, local_names(function)

    function, names = inner()
    described = describe(function, names=names)
    assert type(described.validate({"one": {"x": 1}})["one"]) is names["Local"]


def returns(x: int) -> Missing:  # type: ignore[name-defined]  # noqa: F821 - for type checkers
    return x


def test_what_a_function_returns_need_not_be_known() -> None:
    assert list(describe(returns).parameters["properties"]) == ["x"]


def test_what_a_partial_has_settled_is_nobody_elses() -> None:
    described = describe(functools.partial(greet, loud=True))
    assert list(described.parameters["properties"]) == ["name"]
    with pytest.raises(ValueError, match="loud: unknown parameter"):
        described.validate({"name": "x", "loud": False})


@pytest.mark.parametrize(
    "annotation",
    [
        Injected,
        Injected | None,
        Annotated[Injected, "here"],
        Annotated[Injected, "here"] | None,
        Annotated[Injected | None, "here"],
    ],
)
def test_injected_parameters_are_known_however_they_are_written(annotation: Any) -> None:
    def function(x: int, it: Any = None) -> None: ...

    function.__annotations__["it"] = annotation
    assert describe(function).injected == ("it",)


def test_a_schema_of_somebody_elses_is_taken_as_it_is() -> None:
    def function(context: Injected, **given: Any) -> None:
        """Do it."""

    schema = {"type": "object", "properties": {"a": {"title": "A"}}}
    described = describe(function, parameters=schema)
    assert (described.name, described.description) == ("function", "Do it.")
    assert (described.parameters, described.injected) == (schema, ("context",))
    assert described.validate({"b": 1}) == {"b": 1}

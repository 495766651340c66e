"""A Python function's parameters as JSON Schema, and the check of a model's arguments against it.

pydantic does the types; this file adds the signature and the docstring. Knows nothing about tools,
messages or providers.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from victor.schema.checking import Check
from victor.schema.docstrings import read_docstring

__all__ = ["Described", "describe", "is_method", "local_names", "name_of"]


@dataclass(frozen=True, slots=True)
class Described:
    """What a model and a caller have to know about a function."""

    name: str
    description: str
    """The first paragraph of the docstring; empty where there is none."""
    parameters: dict[str, Any]
    """A JSON Schema of type `object` (https://json-schema.org/draft/2020-12)."""
    injected: tuple[str, ...]
    """Parameters the caller fills in; the schema does not show them."""
    validate: Callable[[Mapping[str, Any]], dict[str, Any]]
    """Check and convert arguments; the result holds the given names only, never others.

    Raises:
        ValueError: with one line for each problem.
    """


def describe(
    function: Callable[..., Any],
    *,
    names: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Described:
    """Read a function's signature, annotations and docstring.

    A parameter is left out of the schema if its type has the class attribute
    `__victor_injected__ = True`, or if a partial has settled it. `**kwargs` allows further
    parameters. `Field(description=...)` or a string in `Annotated` describes a parameter; otherwise
    the docstring does (Google, NumPy or Sphinx style).

    Args:
        function: a function, a bound method, a partial or an object with `__call__`.
        names: what `local_names` said when the function was made; None looks now.
        parameters: somebody's own JSON Schema instead of the annotations'; `validate` then checks
            nothing.

    Raises:
        TypeError: a parameter is positional-only or `*args`, or its annotation has no JSON Schema.
    """
    target, name = _unwrapped(function)
    hints = _hints(target, name, local_names(function) if names is None else names)
    found = {
        key: parameter.replace(annotation=hints.get(key, Any))
        for key, parameter in _checked_signature(function, name).items()
    }
    injected = tuple(key for key, item in found.items() if _is_injected(item.annotation))
    description, texts = read_docstring(inspect.cleandoc(target.__doc__ or ""))
    if parameters is not None:
        return Described(name, description, dict(parameters), injected, validate=dict)
    shown = {key: item for key, item in found.items() if key not in injected}
    extra = next((k for k, p in shown.items() if p.kind is p.VAR_KEYWORD), None)
    shown.pop(extra or "", None)

    adapter, schema = _adapter(shown, name)
    for key, parameter in shown.items():
        _complete(schema["properties"][key], parameter, texts.get(key, ""))
    own, rest = adapter.validate_python, None
    if not _is_open(schema) and "extra" in inspect.signature(own).parameters:  # pydantic 2.12
        # Otherwise a model would drop what it does not know without a word.
        own = functools.partial(own, extra="forbid")
    if extra is not None:
        rest, schema["additionalProperties"] = _rest(found[extra].annotation)
    return Described(
        name=name,
        description=description,
        parameters=_tidy(schema),
        injected=injected,
        validate=Check(own, tuple(shown), injected, rest),
    )


def name_of(function: Callable[..., Any]) -> str:
    """Return the name a function was given where it was written.

    Raises:
        TypeError: it is no function, nor an object that can be called like one.
    """
    return _unwrapped(function)[1]


def is_method(function: object) -> bool:
    """Tell whether a function was written in the body of a class."""
    owner = str(getattr(function, "__qualname__", "")).rpartition(".")[0]
    return bool(owner) and not owner.endswith("<locals>")


def local_names(function: Callable[..., Any]) -> dict[str, Any]:
    """Return what the annotations of a function name of the functions round it.

    Annotations that are text forget where they were written. So this has to be asked while the
    function round it still runs, as a decorator does.
    """
    target = _unwrapped(function)[0]
    outer = str(getattr(target, "__qualname__", "")).rpartition(".<locals>.")[0]
    texts = (note for note in getattr(target, "__annotations__", {}).values() if outer)
    wanted = {word for text in texts if isinstance(text, str) for word in re.findall(r"\w+", text)}
    found: dict[str, Any] = {}
    frame = inspect.currentframe() if wanted else None
    while frame is not None:
        code = frame.f_code
        if (
            f"{outer}.<locals>.".startswith(f"{code.co_qualname}.<locals>.")
            and code.co_filename == target.__code__.co_filename
        ):
            local = frame.f_locals
            found = {**{word: local[word] for word in wanted if word in local}, **found}
        frame = frame.f_back
    return found


# --- the signature ------------------------------------------------------------------------------


def _unwrapped(function: Callable[..., Any]) -> tuple[Any, str]:
    """Return what carries the annotations and the docstring, and the function's name."""
    target: Any = inspect.unwrap(function) if hasattr(function, "__wrapped__") else function
    while isinstance(target, functools.partial):
        target = target.func
    if inspect.isclass(target) or not callable(target):
        raise TypeError(f"cannot describe {function!r}: it is not a function")
    if inspect.isroutine(target):
        return inspect.unwrap(target), target.__name__
    return type(target).__call__, type(target).__name__


def _hints(target: Any, name: str, names: Mapping[str, Any]) -> dict[str, Any]:
    try:
        # Without what it returns: nobody asks for that, and it may be known to type checkers alone.
        asked = {k: v for k, v in getattr(target, "__annotations__", {}).items() if k != "return"}
        where = getattr(target, "__globals__", {})
        held: Any = types.SimpleNamespace(__annotations__=asked)
        return typing.get_type_hints(held, where, dict(names), include_extras=True)
    except NameError as error:
        raise TypeError(
            f"{name}(): cannot resolve its annotations: {error}; "
            "the types a tool uses must be importable from the module that defines it"
        ) from error


def _checked_signature(function: Callable[..., Any], name: str) -> dict[str, inspect.Parameter]:
    from pydantic.fields import FieldInfo

    parameters = dict(inspect.signature(function).parameters)
    if inspect.isfunction(function) and is_method(function) and {"self", "cls"} & set(parameters):
        raise TypeError(
            f"{name}() is a method of no object yet: take it from one, as in thing.{name}"
        )
    settled: Any = inspect.unwrap(function)
    while isinstance(settled, functools.partial):
        # What the program has settled is not the model's to know or to change.
        parameters = {k: p for k, p in parameters.items() if k not in settled.keywords}
        settled = settled.func
    for key, parameter in parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise TypeError(f"{name}(): a model cannot pass *{key}; take a list instead")
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise TypeError(
                f"{name}(): parameter {key!r} is positional-only and a model passes names; "
                "remove the `/`"
            )
        if isinstance(parameter.default, FieldInfo):
            raise TypeError(
                f"{name}(): write parameter {key!r} as Annotated[type, Field(...)] = default; "
                "Python itself would pass the Field object as the default"
            )
    return parameters


def _is_injected(hint: Any) -> bool:
    if get_origin(hint) in {typing.Union, types.UnionType, Annotated}:
        return any(_is_injected(part) for part in get_args(hint))
    return bool(getattr(hint, "__victor_injected__", False))


# --- the schema ---------------------------------------------------------------------------------


def _adapter(parameters: Mapping[str, inspect.Parameter], name: str) -> tuple[Any, dict[str, Any]]:
    from pydantic.errors import (
        PydanticInvalidForJsonSchema,
        PydanticSchemaGenerationError,
        PydanticUndefinedAnnotation,
        PydanticUserError,
    )

    try:
        return _typed_dict_adapter(parameters)
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        if len(parameters) > 1:  # find the one at fault
            for key, parameter in parameters.items():
                _adapter({key: parameter}, name)
        ((key, parameter), *_) = parameters.items()
        has_none = isinstance(error, PydanticSchemaGenerationError | PydanticInvalidForJsonSchema)
        why = (
            "use str, int, float, bool, list, dict, Literal, Enum, a dataclass or a pydantic model"
        )
        raise TypeError(
            f"{name}(): the annotation of parameter {key!r}, "
            f"{inspect.formatannotation(parameter.annotation)}, has no JSON Schema; "
            f"{why if has_none else error.message}"
        ) from error


def _typed_dict_adapter(
    parameters: Mapping[str, inspect.Parameter],
) -> tuple[Any, dict[str, Any]]:
    # A TypedDict, because its keys may have any name (a model's fields may not be called `json` or
    # `_x`) and because validating it gives just the keys that were passed, so that the function's
    # own defaults stay in force.
    import typing_extensions
    from pydantic import ConfigDict, TypeAdapter

    fields = {
        key: item.annotation if item.default is item.empty else typing.NotRequired[item.annotation]
        for key, item in parameters.items()
    }
    arguments: Any = typing.cast("Any", typing_extensions.TypedDict)("Arguments", fields)
    arguments.__pydantic_config__ = ConfigDict(extra="forbid")
    adapter: Any = TypeAdapter(arguments)
    schema: dict[str, Any] = adapter.json_schema()
    schema.setdefault("properties", {})
    return adapter, schema


def _rest(annotation: Any) -> tuple[Any, Any]:
    """Return the check of what `**kwargs` takes, and the schema of each of it."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        adapter: Any = TypeAdapter(dict[str, annotation])
        schema = adapter.json_schema()
    except (PydanticUserError, TypeError):  # such as Unpack[...]
        return dict, True
    return adapter.validate_python, "$defs" in schema or schema["additionalProperties"]


def _is_open(schema: Any) -> bool:
    """Tell whether a model somewhere in a schema says that it takes keys it does not name."""
    if isinstance(schema, list):
        return any(map(_is_open, schema))
    if not isinstance(schema, dict):
        return False
    own = schema.get("additionalProperties") is True and "properties" in schema
    return own or any(map(_is_open, schema.values()))


def _complete(prop: dict[str, Any], parameter: inspect.Parameter, text: str) -> None:
    """Add a parameter's description and default to its schema."""
    if get_origin(parameter.annotation) is Annotated:
        notes = [note for note in parameter.annotation.__metadata__ if isinstance(note, str)]
        text = notes[0] if notes else text
    if text:
        prop.setdefault("description", text)
    if parameter.default is None:
        # Leaving an optional parameter out says None, so the schema need not offer null as well.
        prop.pop("default", None)
        options = [option for option in prop.get("anyOf", ()) if option != {"type": "null"}]
        if len(options) == 1:
            del prop["anyOf"]
            prop.update({**options[0], **prop})
        elif options:
            prop["anyOf"] = options
    elif parameter.default is not parameter.empty:
        from pydantic_core import PydanticSerializationError, to_jsonable_python

        try:
            default = to_jsonable_python(parameter.default)
            json.dumps(default, allow_nan=False)
        except (PydanticSerializationError, ValueError):
            return  # JSON cannot say this default; the function still has it
        prop["default"] = default


def _tidy(schema: dict[str, Any]) -> dict[str, Any]:
    """Drop the titles pydantic makes up and put a definition that is used once where it is used."""
    definitions: dict[str, Any] = schema.pop("$defs", {})
    uses = re.findall(r'"#/\$defs/([^"]+)"', json.dumps([schema, definitions]))
    inlined = {
        key
        for key, item in definitions.items()
        if (uses.count(key) == 1 or "enum" in item) and f"#/$defs/{key}" not in json.dumps(item)
    }

    def clean(node: Any, *, names: bool = False) -> Any:
        """`names` says that the keys of `node` are somebody's names and not keywords."""
        if isinstance(node, list):
            return [clean(item) for item in node]
        if not isinstance(node, dict):
            return node
        if not names and (key := node.get("$ref", "").rpartition("/")[2]) in inlined:
            return clean({**definitions[key], **{k: v for k, v in node.items() if k != "$ref"}})
        return {
            key: value
            if not names and key in {"default", "enum", "const", "examples"}
            else clean(value, names=not names and key == "properties")
            for key, value in node.items()
            if names or key != "title"
        }

    tidy: dict[str, Any] = {"type": "object", "properties": {}, **clean(schema)}
    if kept := {key: clean(item) for key, item in definitions.items() if key not in inlined}:
        tidy["$defs"] = kept
    return tidy

"""A Python function's parameters as JSON Schema, and the check of a model's arguments against it.

pydantic does the types; this file adds the signature, the docstring and errors a model can act on.
Knows nothing about tools, messages or providers.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin

__all__ = ["Described", "describe"]

_MAX_PROBLEMS = 10
"""How many wrong arguments one error lists."""


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


def describe(function: Callable[..., Any]) -> Described:
    """Read a function's signature, annotations and docstring.

    A parameter is left out of the schema if its type has the class attribute
    `__victor_injected__ = True`. `**kwargs` allows further parameters. `Field(description=...)` or
    a string in `Annotated` describes a parameter; otherwise the docstring does (Google, NumPy or
    Sphinx style).

    Args:
        function: a function, a bound method, a partial or an object with `__call__`.

    Raises:
        TypeError: a parameter is positional-only or `*args`, or its annotation has no JSON Schema.
    """
    target, name = _unwrapped(function)
    hints = _hints(target, name)
    parameters = {
        key: parameter.replace(annotation=hints.get(key, Any))
        for key, parameter in _checked_signature(function, name).items()
    }
    injected = tuple(key for key, item in parameters.items() if _is_injected(item.annotation))
    shown = {key: item for key, item in parameters.items() if key not in injected}
    extra = next((k for k, p in shown.items() if p.kind is p.VAR_KEYWORD), None)
    shown.pop(extra or "", None)

    adapter, schema = _adapter(shown, name, allow_extra=extra is not None)
    description, texts = _read_docstring(inspect.cleandoc(target.__doc__ or ""))
    for key, parameter in shown.items():
        _complete(schema["properties"][key], parameter, texts.get(key, ""))
    known = tuple(shown)
    return Described(
        name=name,
        description=description,
        parameters=_tidy(schema),
        injected=injected,
        validate=lambda arguments: _validate(adapter, known, arguments),
    )


# --- the signature ------------------------------------------------------------------------------


def _unwrapped(function: Callable[..., Any]) -> tuple[Any, str]:
    """Return what carries the annotations and the docstring, and the function's name."""
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    if inspect.isclass(target) or not callable(target):
        raise TypeError(f"cannot describe {function!r}: it is not a function")
    if inspect.isroutine(target):
        return inspect.unwrap(target), target.__name__
    return type(target).__call__, type(target).__name__


def _hints(target: Any, name: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"{name}(): cannot resolve its annotations: {error}; "
            "the types a tool uses must be importable from the module that defines it"
        ) from error


def _checked_signature(function: Callable[..., Any], name: str) -> dict[str, inspect.Parameter]:
    from pydantic.fields import FieldInfo

    parameters = inspect.signature(function).parameters
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
    return dict(parameters)


def _is_injected(hint: Any) -> bool:
    return any(getattr(part, "__victor_injected__", False) for part in (hint, *get_args(hint)))


# --- the schema ---------------------------------------------------------------------------------


def _adapter(
    parameters: Mapping[str, inspect.Parameter], name: str, *, allow_extra: bool
) -> tuple[Any, dict[str, Any]]:
    from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

    try:
        return _typed_dict_adapter(parameters, allow_extra=allow_extra)
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema) as error:
        if len(parameters) > 1:  # find the one at fault
            for key, parameter in parameters.items():
                _adapter({key: parameter}, name, allow_extra=allow_extra)
        ((key, parameter), *_) = parameters.items()
        raise TypeError(
            f"{name}(): the annotation of parameter {key!r}, "
            f"{inspect.formatannotation(parameter.annotation)}, has no JSON Schema; "
            "use str, int, float, bool, list, dict, Literal, Enum, a dataclass or a pydantic model"
        ) from error


def _typed_dict_adapter(
    parameters: Mapping[str, inspect.Parameter], *, allow_extra: bool
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
    arguments.__pydantic_config__ = ConfigDict(extra="allow" if allow_extra else "forbid")
    adapter: Any = TypeAdapter(arguments)
    schema: dict[str, Any] = adapter.json_schema()
    schema.setdefault("properties", {})
    return adapter, schema


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


# --- the docstring ------------------------------------------------------------------------------

_GOOGLE = re.compile(r"^(?:Args|Arguments|Parameters|Params):\s*$", re.MULTILINE)
_NUMPY = re.compile(r"^(?:Parameters|Other Parameters)\n-{3,}\s*$", re.MULTILINE)
_SPHINX = re.compile(
    r"^:(?:param|parameter|arg|argument)\s+(?:[^:\n]*?\s)?\*{0,2}(\w+):", re.MULTILINE
)
_GOOGLE_ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^\n]*?\))?\s*:(.*)", re.DOTALL)
_NUMPY_ENTRY = re.compile(r"^([\w*, ]+?)\s*(?::[^\n]*)?\n(.*)", re.DOTALL)


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Split a dedented docstring into its first paragraph and the text of each parameter."""
    first = text.split("\n\n", 1)[0]
    texts: dict[str, str] = {}
    for style in (_GOOGLE, _NUMPY):
        if found := style.search(text):
            body = text[found.end() :].lstrip("\n")
            for entry in _entries(body, indented=style is _GOOGLE):
                texts |= _entry(entry, _GOOGLE_ENTRY if style is _GOOGLE else _NUMPY_ENTRY)
        first = style.split(first, 1)[0]
    for found in _SPHINX.finditer(text):
        rest = text[found.end() :]
        texts[found[1]] = _one_line(re.split(r"\n(?=:)|\n\n", rest, maxsplit=1)[0])
    return _one_line(re.split(r"^:\w+", first, maxsplit=1, flags=re.MULTILINE)[0]), texts


def _entries(body: str, *, indented: bool) -> list[str]:
    """Split a section into its entries; the section ends where the indentation says so."""
    lines = body.split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip()) if indented else 0
    if indented and not margin:
        return []
    entries: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        depth = len(line) - len(line.lstrip())
        if not line.strip():
            continue
        if depth < margin or (not indented and re.match(r"^-{3,}\s*$", following)):
            break
        if depth == margin:
            entries.append(line[margin:])
        elif entries:
            entries[-1] += "\n" + line
    return entries


def _entry(entry: str, pattern: re.Pattern[str]) -> dict[str, str]:
    found = pattern.match(entry)
    if not found:
        return {}
    return {key.strip(" *"): _one_line(found[2]) for key in found[1].split(",")}


def _one_line(text: str) -> str:
    return " ".join(text.split())


# --- the arguments ------------------------------------------------------------------------------


def _validate(adapter: Any, known: tuple[str, ...], arguments: Mapping[str, Any]) -> dict[str, Any]:
    from pydantic import ValidationError

    try:
        checked: dict[str, Any] = adapter.validate_python(dict(arguments))
    except ValidationError as error:
        problems: dict[str, list[str]] = {}
        endings: dict[str, str] = {}
        for item in error.errors(include_url=False, include_context=False):
            path, problem, ending = _problem(item, known, arguments)
            if problem not in problems.setdefault(path, []):
                problems[path].append(problem)
            endings[path] = ending
        lines = [_line(path, found, endings[path]) for path, found in problems.items()]
        if len(lines) > _MAX_PROBLEMS:
            lines[_MAX_PROBLEMS:] = [f"and {len(lines) - _MAX_PROBLEMS} more problems"]
        raise ValueError("\n".join(lines)) from error
    return checked


def _line(path: str, found: list[str], ending: str) -> str:
    # The members of a union each complain; together they are what was expected.
    first, *others = found
    return f"{path}: {' or '.join([first, *(o.removeprefix('expected ') for o in others)])}{ending}"


def _problem(
    item: Any, known: tuple[str, ...], arguments: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Return one pydantic error as the argument's path, what is wrong and what was given."""
    kind, location = item["type"], item["loc"]
    path = _path(location, arguments)
    if kind == "missing":
        # The name of a missing field leads nowhere in the arguments.
        return (f"{path}.{location[-1]}" if path else str(location[-1])), "field required", ""
    if kind == "extra_forbidden":
        names = known if len(location) == 1 else ()
        near = get_close_matches(str(location[-1]), names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        if names and not near:
            hint = "; the parameters are " + ", ".join(names)
        return path, "unknown parameter", hint
    message = item["msg"].split(", unable to parse")[0]
    message = re.sub(r"^Input should be (?:an? valid )?", "expected ", message)
    return path, message.removeprefix("Value error, "), f", got {_shown(item['input'])}"


def _path(location: tuple[str | int, ...], arguments: Any) -> str:
    """Write a location as `items[0].name`, without the union members pydantic puts into it."""
    path, node = "", arguments
    for part in location:
        if isinstance(node, Mapping) and part in node:
            path += f".{part}" if path else str(part)
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            path += f"[{part}]"
        else:
            continue
        node = node[part]
    return path


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=repr)
    return text if len(text) <= 80 else f"{text[:77]}..."

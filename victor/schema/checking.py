"""The check of a model's arguments against a function's parameters, with errors a model can act on.

pydantic does the types. Knows nothing about signatures, tools or providers.
Spec: https://docs.pydantic.dev/latest/errors/validation_errors/
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

__all__ = ["Check"]

_MAX_PROBLEMS = 10
"""How many wrong arguments one error lists."""


@dataclass(frozen=True, slots=True)
class Check:
    """Checks and converts arguments; the result holds the given names only, never others."""

    own: Callable[[dict[str, Any]], dict[str, Any]]
    """Validates what has a parameter, and refuses everything else."""
    shown: tuple[str, ...]
    """The parameters a model knows."""
    hidden: tuple[str, ...] = ()
    """Those that are not its to give."""
    rest: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """Validates what goes to `**kwargs`; None: there are none."""

    def __call__(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as the function takes them.

        Raises:
            ValueError: with one line for each problem.
        """
        from pydantic import ValidationError

        own, more = dict(arguments), {}
        if self.rest is not None:
            known = {*self.shown, *self.hidden}
            more = {key: own.pop(key) for key in arguments if key not in known}
        try:
            checked = self.own(own)
            if self.rest is not None and more:
                checked |= self.rest(more)
        except ValidationError as error:
            problems: dict[str, list[str]] = {}
            endings: dict[str, str] = {}
            for item in error.errors(include_url=False, include_context=False):
                path, problem, ending = _problem(item, self.shown, arguments)
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
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
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

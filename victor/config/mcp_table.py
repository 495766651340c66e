"""Puts a server's table into the text of the settings file, and takes one out.

Everything else in the file, comments too, stays as the user wrote it. Knows no files.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from victor.errors import ConfigError

__all__ = ["with_server", "without_server"]

_HEADER = re.compile(r"\s*\[")


def with_server(content: str, name: str, values: Mapping[str, Any]) -> str:
    """Return the file's text with a table `[mcp.NAME]` at its end.

    Args:
        content: the text as it is.
        name: the server's name.
        values: its settings: texts, lists of texts, booleans and numbers.

    Raises:
        ConfigError: there is a server of that name, or the text would no longer be right.
    """
    before = _servers(content)
    if name in before:
        raise ConfigError(
            f"there is an MCP server {name} already: remove it first (victor mcp remove {name}), "
            "or choose another name"
        )
    lines = [f"[mcp.{name}]", *(f"{key} = {_written(item)}" for key, item in values.items())]
    gap = "" if not content else "\n" if content.endswith("\n") else "\n\n"
    changed = content + gap + "\n".join(lines) + "\n"
    return _checked(changed, {**before, name: dict(values)}, content)


def without_server(content: str, name: str) -> str:
    """Return the file's text without the table `[mcp.NAME]`.

    Raises:
        ConfigError: there is no such server, or its table is not where it can be taken out.
    """
    before = _servers(content)
    if name not in before:
        known = ", ".join(before) or "none"
        raise ConfigError(f"there is no MCP server {name!r}; there are: {known}")
    own = re.compile(rf"\s*\[\s*mcp\s*\.\s*[\"']?{re.escape(name)}[\"']?\s*\]")
    kept: list[str] = []
    inside = False
    for line in content.splitlines(keepends=True):
        if _HEADER.match(line):
            inside = own.match(line) is not None
        if not inside:
            kept.append(line)
    rest = {key: item for key, item in before.items() if key != name}
    left = "".join(kept).strip("\n")
    return _checked(f"{left}\n" if left else "", rest, content)


def _servers(content: str) -> dict[str, Any]:
    found = _parsed(content).get("mcp", {})
    if not isinstance(found, dict):
        raise ConfigError("mcp in the settings file is no table: correct it by hand")
    return found


def _checked(changed: str, servers: Mapping[str, Any], content: str) -> str:
    """Return the new text if it says what it should, and nothing else has changed."""
    old = {key: item for key, item in _parsed(content).items() if key != "mcp"}
    try:
        new = tomllib.loads(changed)
    except ValueError:
        new = None
    if new != {**old, **({"mcp": dict(servers)} if servers else {})}:
        raise ConfigError(
            "the settings file is written in a way that cannot be changed safely: edit its table "
            "[mcp] by hand"
        )
    return changed


def _parsed(content: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content)
    except ValueError as error:
        raise ConfigError(f"the settings file is no TOML: {error}; correct it first") from None


def _written(value: Any) -> str:
    # A JSON string is a TOML string as long as nothing beyond ASCII is escaped.
    return json.dumps(value, ensure_ascii=False)

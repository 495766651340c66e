"""What a server's tools were when the user agreed to them, so that a change does not go unseen.

A description is text that the model obeys, and its server may rewrite it at any time. The first
listing of a server is taken as agreed to, as the user has just added it; a tool that comes later,
or changes, is withheld until it is approved. Kept under the state directory, a file per server.
Knows nothing about connections, and speaks no protocol.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from victor.config.mcp_servers import McpServer
from victor.config.settings import state_path
from victor.errors import ConfigError
from victor.types import JsonObject

__all__ = ["McpDefinition", "Pins", "identity_of"]

_VERSION = 1
_MOST_CHARACTERS = 4_000
"""Of a description; what is longer is cut where the model sees it."""

# Control characters, and those nobody sees: a person could not agree to what they say.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


@dataclass(frozen=True, slots=True)
class McpDefinition:
    """A tool as its server describes it, without what a person could not see."""

    name: str
    """The server's own name for it."""
    description: str
    parameters: JsonObject = field(hash=False)

    @classmethod
    def of(cls, name: str, description: str, parameters: Mapping[str, Any]) -> McpDefinition:
        """Make one of what a server sent."""
        cleaned = _cleaned(dict(parameters))
        return cls(name, _UNSEEN.sub("", description)[:_MOST_CHARACTERS], cleaned)

    @property
    def digest(self) -> str:
        """The SHA-256 of everything the model is told, in hexadecimal."""
        told = [self.name, self.description, self.parameters]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def identity_of(server: McpServer) -> str:
    """Return what tells one server from another that was given the same name."""
    told = json.dumps([server.command, server.url])
    return hashlib.sha256(told.encode()).hexdigest()


class Pins:
    """The definitions of one server that the user agreed to, and how they changed since.

    Args:
        name: the server's name in the settings.
        identity: of the server; pins of another one by that name are forgotten.
        folder: where the file is; None is `mcp` in the state directory.

    Raises:
        ConfigError: the file cannot be read; the message says what to do.
    """

    def __init__(self, name: str, identity: str, *, folder: Path | None = None) -> None:
        self.path = (folder or state_path() / "mcp") / f"{name}.json"
        self._identity = identity
        self.agreed: dict[str, McpDefinition] = {}
        """By the server's own names."""
        self.changes: dict[str, McpDefinition | None] = {}
        """What the server says now where that is something else; None: the tool is gone."""
        self.known = False
        """Whether the server was ever listed."""
        self._read()

    @property
    def offered(self) -> list[McpDefinition]:
        """What the model may be told: agreed to, and unchanged when last seen."""
        return [one for name, one in self.agreed.items() if name not in self.changes]

    def see(self, listed: Iterable[McpDefinition]) -> bool:
        """Compare with what the server lists now; return whether that is news."""
        now = {one.name: one for one in listed}
        if not self.known:
            self.agreed, self.changes, self.known = now, {}, True
            self._write()
            return bool(now)
        changes: dict[str, McpDefinition | None] = {
            name: one for name, one in now.items() if one != self.agreed.get(name)
        }
        changes |= {name: None for name in self.agreed if name not in now}
        if changes == self.changes:
            return False
        self.changes = changes
        self._write()
        return True

    def approve(self, names: Iterable[str] | None = None) -> list[str]:
        """Agree to changes; return the names of the tools they are of.

        Args:
            names: of which tools; None is all.

        Raises:
            ConfigError: a tool of that name did not change.
        """
        chosen = list(self.changes if names is None else names)
        for name in chosen:
            if name not in self.changes:
                changed = ", ".join(self.changes) or "none"
                raise ConfigError(f"there is no change of {name!r} to approve; changed: {changed}")
        for name in chosen:
            new = self.changes.pop(name)
            if new is None:
                self.agreed.pop(name, None)
            else:
                self.agreed[name] = new
        if chosen:
            self._write()
        return chosen

    def forget(self) -> None:
        """Remove everything that is kept of the server."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            if kept["version"] != _VERSION or kept["identity"] != self._identity:
                return
            self.agreed = {name: _read(name, one) for name, one in kept["agreed"].items()}
            self.changes = {
                name: None if one is None else _read(name, one)
                for name, one in kept["changes"].items()
            }
            self.known = True
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"cannot read what tools were approved, {self.path}: {error}. Remove the file to "
                "look at the server's tools anew"
            ) from error

    def _write(self) -> None:
        kept = {
            "version": _VERSION,
            "identity": self._identity,
            "agreed": {name: _written(one) for name, one in self.agreed.items()},
            "changes": {
                name: None if one is None else _written(one) for name, one in self.changes.items()
            },
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self.path.with_suffix(f".{secrets.token_hex(4)}")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(new, flags, 0o600), "w", encoding="utf-8") as file:
                json.dump(kept, file)
            new.replace(self.path)
        except OSError as error:
            raise ConfigError(
                f"cannot keep which tools are approved in {self.path}: {error.strerror}. Make the "
                "directory writable"
            ) from error


def _written(definition: McpDefinition) -> JsonObject:
    return {
        "description": definition.description,
        "parameters": definition.parameters,
        "sha256": definition.digest,
    }


def _read(name: str, kept: JsonObject) -> McpDefinition:
    found = McpDefinition(name, kept["description"], kept["parameters"])
    if found.digest != kept["sha256"]:
        raise ValueError(f"the definition of {name!r} is not the one that was kept")
    return found


def _cleaned(value: Any) -> Any:
    """Drop what nobody sees from the words of a schema; what it allows stays as it is."""
    if isinstance(value, dict):
        return {
            key: _UNSEEN.sub("", item)[:_MOST_CHARACTERS]
            if key in {"description", "title"} and isinstance(item, str)
            else _cleaned(item)
            for key, item in value.items()
        }
    return [_cleaned(item) for item in value] if isinstance(value, list) else value

"""The settings file as text and as TOML (https://toml.io/en/v1.0.0), with errors that say where.

Knows nothing about which settings there are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from victor.errors import ConfigError

__all__ = ["parsed_toml", "read_toml"]

_AT_LINE = re.compile(
    r"^(?P<what>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)$", re.DOTALL
)


def read_toml(file: Path, *, required: bool) -> str | None:
    """Return what is in the settings file.

    Args:
        file: where it is, or would be.
        required: whether it has to be there; otherwise None says that it is not.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return file.read_bytes().decode("utf-8-sig")  # Windows editors like to write the mark
    except FileNotFoundError:
        if not required:
            return None
        raise ConfigError(
            f"there is no settings file {file}: create it, or unset VICTOR_CONFIG"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: not UTF-8 at byte {error.start}: save the file as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read the settings file {file}: {error.strerror}") from error


def parsed_toml(content: str, file: Path) -> dict[str, Any]:
    """Return what the text of the settings file says.

    Args:
        content: the text.
        file: what errors name.

    Raises:
        ConfigError: it is not TOML; the message names line and column.
    """
    import tomllib

    try:
        return tomllib.loads(content)
    except (ValueError, RecursionError) as error:  # also endless integers and endless nesting
        where, what = str(file), str(error)
        if at := _AT_LINE.match(what):
            where, what = f"{file}:{at['line']}:{at['column']}", at["what"]
        elif what.endswith(" (at end of document)"):
            lines = content.split("\n")
            where = f"{file}:{len(lines)}:{len(lines[-1]) + 1}"
        raise ConfigError(f"{where}: {what}; the file has to be TOML (https://toml.io)") from None

"""Confines a command with the sandbox of macOS, by a profile in its Scheme-like language.

The last rule that matches decides. Written after the profiles in /System/Library/Sandbox/Profiles;
not tested on a Mac. What escapes the process group there outlives the command, confined. Knows
nothing about processes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from victor.sandbox.masks import guarded_names
from victor.sandbox.policy import PROTECTED, Command, Policy

__all__ = ["SANDBOX_EXEC", "Seatbelt", "profile"]

SANDBOX_EXEC = Path("/usr/bin/sandbox-exec")

_START = """\
(version 1)
(deny default)
(allow process-exec*)
(allow process-fork)
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow sysctl-read)
(allow ipc-posix-sem)
(allow pseudo-tty)
(allow mach-lookup
  (global-name "com.apple.system.opendirectoryd.libinfo")
  (global-name "com.apple.system.opendirectoryd.membership")
  (global-name "com.apple.system.notification_center"))
(allow file-read*)
(allow file-write-data (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty"))
"""

# Beside the sockets: who looks up names, and who knows which certificates the system trusts.
_NETWORK = """\
(allow network*)
(allow system-socket)
(allow mach-lookup
  (global-name "com.apple.SystemConfiguration.DNSConfiguration")
  (global-name "com.apple.SystemConfiguration.configd")
  (global-name "com.apple.networkd")
  (global-name "com.apple.trustd.agent"))
"""


@dataclass(frozen=True, slots=True)
class Seatbelt:
    """The sandbox of macOS."""

    name: str = "seatbelt"
    limits: str = "never tested on a Mac"

    @contextmanager
    def confined(self, argv: Sequence[str], policy: Policy) -> Iterator[Command]:
        with (
            tempfile.TemporaryDirectory(prefix="victor-", ignore_cleanup_errors=True) as private,
            guarded_names(policy.workspace, create=False) as guarded,
        ):
            temporary = Path(os.path.realpath(private))
            rules = profile(policy, guarded, temporary)
            yield Command(
                (str(SANDBOX_EXEC), "-p", rules, *argv),
                {**policy.environment, "TMPDIR": str(temporary)},
                policy.workspace,
            )


def profile(policy: Policy, guarded: Sequence[Path], temporary: Path) -> str:
    """Return the rules for a command.

    Args:
        policy: what it may do.
        guarded: places in the workspace that are read-only, beside the protected names.
        temporary: a directory of its own for temporary files.
    """
    workspace = policy.workspace
    names = [workspace / name for name in PROTECTED]
    inside = [place for place in policy.hidden if place.is_relative_to(workspace)]
    lines = [
        _rule("deny", "file-read* file-write*", policy.hidden),
        _rule("allow", "file-read*", policy.readable),
        # Programs ask for the properties of every directory on the way to a file.
        _rule("allow", "file-read-metadata", workspace.parents, match="literal"),
        _rule("allow", "file-read* file-write*", [workspace, temporary]),
        _rule("deny", "file-write*", sorted({*names, *guarded, *policy.protected})),
        _rule("deny", "file-read* file-write*", inside),
        _NETWORK if policy.network else "",
    ]
    return _START + "".join(lines)


def _rule(verdict: str, operations: str, places: Iterable[Path], match: str = "subpath") -> str:
    found = "".join(f"\n  ({match} {_quoted(place)})" for place in places)
    return f"({verdict} {operations}{found})\n" if found else ""


def _quoted(place: Path) -> str:
    text = str(place).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'

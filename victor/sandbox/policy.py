"""What a confined command may see and change, as plain data; and what a sandbox is.

Knows nothing about how a kernel is made to hold it.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from victor.config.settings import config_path, state_path
from victor.errors import ConfigError

__all__ = [
    "NO_REACH",
    "PROTECTED",
    "Command",
    "Policy",
    "Reach",
    "Sandbox",
    "child_environment",
    "most_memory",
    "own_places",
    "policy_for",
]

PROTECTED = (
    ".git",
    ".victor",
    ".agents",
    ".claude",
    ".codex",
    ".cursor",
    ".idea",
    ".mcp.json",
    ".vscode",
    "AGENTS.md",
    "CLAUDE.md",
)
"""Names in a workspace that programs outside the sandbox obey: read-only, and never created.

Below its top they are read-only where they are, and can be created.
"""

_ALLOWED = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"})
_SECRET = ("KEY", "TOKEN", "SECRET", "PASS")

_TOOLCHAINS = (
    ".asdf",
    ".bun/bin",
    ".cargo/bin",
    ".deno/bin",
    ".local/bin",
    ".local/lib",
    ".local/share/mise",
    ".local/share/pipx",
    ".local/share/uv",
    ".nvm",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".sdkman/candidates",
    ".volta",
    "go/bin",
)
"""Parts of a home that hold programs and no credentials."""

_PRIVATE = ("/tmp", "/var/tmp", "/run", "/home", "/root")  # noqa: S108 - hidden, not used
"""Where other programs keep sockets, other people their files, and everybody temporary ones."""

_SECRET_FILES = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/krb5.keytab")
"""Root could read these without any capability, as their owner."""

_SYSTEM = ("/", "/bin", "/lib", "/opt", "/run", "/sbin", "/usr", "/var", *_PRIVATE)
_SYSTEM_TREES = ("/boot", "/dev", "/etc", "/proc", "/sys")

_VISITED = 4_000
"""Entries of a workspace that are looked at for protected names further down."""


def most_memory() -> int:
    """Return how many bytes of memory a command may use here: three quarters of the machine's."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4
    except (AttributeError, OSError, ValueError):  # Windows; a system that does not say
        return 8 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules for one command. All paths are absolute and without symbolic links."""

    workspace: Path
    """May be changed, but for what is protected in it."""
    hidden: tuple[Path, ...] = ()
    """Directories that look empty, and files that do."""
    readable: tuple[Path, ...] = ()
    """Parts of hidden directories that may be read."""
    protected: tuple[Path, ...] = ()
    """Parts of the workspace that may be read and not changed, beyond `PROTECTED`."""
    network: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """All variables the command gets."""
    terminal: bool = False
    """Whether it is started on a pseudo-terminal of its own, which it keeps."""
    memory: int = field(default_factory=most_memory)
    """Bytes that all its processes may use together."""
    processes: int = 2_000
    spare_disk: int = 2**30
    """Bytes of a disk that it has to leave free, or half of what there is if that is less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What the user lets commands have beyond what every command has."""

    network: bool = False
    variables: tuple[str, ...] = ()
    """Names of environment variables, exactly; also of such that sound like a secret."""


NO_REACH = Reach()


@dataclass(frozen=True, slots=True)
class Command:
    """What to start, exactly so, in a session of its own and with no other descriptors."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    descriptors: tuple[int, ...] = ()
    """Open files to pass on; they belong to the sandbox."""


class Sandbox(Protocol):
    """A way to hold a command to a policy."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def limits(self) -> str:
        """What works less well in it than outside, or is not held; empty for nothing to tell."""
        ...

    def confined(self, argv: Sequence[str], policy: Policy) -> AbstractContextManager[Command]:
        """Make ready what a command needs; it has to have ended before the block does.

        When the command itself has ended, what it left behind gets a second to end too.

        Raises:
            OSError: something could not be made ready.
        """
        ...


def child_environment(
    environ: Mapping[str, str], variables: Collection[str] = ()
) -> dict[str, str]:
    """Return the variables a command may see: a short list, so that no key is among them.

    Args:
        environ: what there is.
        variables: names of more that it may see, whatever they are.
    """
    return {
        name: value
        for name, value in environ.items()
        if name in variables
        or (
            (name in _ALLOWED or name.startswith("LC_"))
            and not any(word in name.upper() for word in _SECRET)
        )
    }


def policy_for(
    workspace: Path,
    environ: Mapping[str, str] | None = None,
    *,
    network: bool = False,
    variables: Collection[str] = (),
) -> Policy:
    """Return the rules for commands in a workspace.

    Args:
        workspace: the directory they may change.
        environ: instead of `os.environ`.
        network: whether they may use the network.
        variables: names of variables they get beside the harmless ones.

    Raises:
        ConfigError: a sandbox could not protect anything there, such as in the home itself.
        FileNotFoundError: there is no such directory.
    """
    environ = os.environ if environ is None else environ
    workspace = workspace.resolve(strict=True)
    homes, own = _homes(environ), own_places(environ)
    _check_place(workspace, homes, own)
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    places = [*map(Path, _PRIVATE), Path(tempfile.gettempdir()), *homes, *own]
    places += [Path(runtime)] if runtime.startswith("/") else []
    hidden = {_real(place) for place in places} | {Path(name) for name in _SECRET_FILES}
    hidden -= {Path("/"), workspace}
    shown = sorted(place for place in hidden if os.access(place, os.F_OK))
    return Policy(
        workspace=workspace,
        hidden=tuple(shown),
        readable=tuple(_toolchains(environ, homes, shown)),
        protected=tuple(sorted(_inside(workspace))),
        network=network,
        environment=MappingProxyType(child_environment(environ, variables)),
    )


def own_places(environ: Mapping[str, str]) -> list[Path]:
    """Return where victor's own settings and state are, which no command may see."""
    settings = config_path(environ)
    # A file that a variable names may lie anywhere; only it is victor's own there.
    settings = settings if environ.get("VICTOR_CONFIG", "").strip() else settings.parent
    return [_real(settings), _real(state_path(environ))]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _homes(environ: Mapping[str, str]) -> list[Path]:
    homes = {environ.get("HOME", "")}
    try:
        import pwd

        homes.add(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):  # Windows; a user without an entry
        pass
    found = {_real(Path(home)) for home in homes if home.startswith("/")}
    # Some containers give / or a system directory as the home; hiding it would hide the system.
    return sorted(home for home in found if str(home) == "/root" or not _is_system(home))


def _is_system(path: Path) -> bool:
    return str(path) in _SYSTEM or any(path.is_relative_to(tree) for tree in _SYSTEM_TREES)


def _check_place(workspace: Path, homes: list[Path], own: list[Path]) -> None:
    if any(home.is_relative_to(workspace) for home in homes):
        why = "it is your home directory or above it"
    elif any(workspace.is_relative_to(place) for place in own):
        why = "victor's own settings are there"
    elif _is_system(workspace):
        why = "it belongs to the system"
    else:
        return
    raise ConfigError(
        f"commands in {workspace} cannot be confined: {why}. "
        "Work in a project's directory: victor --workspace PATH"
    )


def _toolchains(
    environ: Mapping[str, str], homes: list[Path], hidden: list[Path]
) -> Iterator[Path]:
    """Yield what a command needs to find programs in a home."""
    found = {_real(home / name) for home in homes for name in _TOOLCHAINS}
    for entry in environ.get("PATH", "").split(os.pathsep):
        folder = _real(Path(entry)) if entry.startswith("/") else Path("/")
        if os.access(folder.parent / "pyvenv.cfg", os.R_OK):
            folder = folder.parent
        # A directory of programs may be shown, but not a whole home that somebody put on the PATH.
        if not any(home.is_relative_to(folder) for home in [*homes, *hidden]):
            found.add(folder)
    for folder in sorted(found):
        if os.access(folder, os.X_OK) and any(folder.is_relative_to(place) for place in hidden):
            yield folder


def _inside(workspace: Path) -> Iterator[Path]:
    """Yield what is to be protected in a workspace beside its own `PROTECTED` names."""
    visited = 0
    folders = [workspace]
    while folders and visited < _VISITED:
        folder = folders.pop(0)
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError:
            continue
        visited += len(found)
        for entry in found:
            path = Path(entry.path)
            if entry.is_symlink():
                continue
            if entry.name in PROTECTED:
                if folder != workspace:
                    yield path
            elif entry.is_dir(follow_symlinks=False) and entry.name != "node_modules":
                folders.append(path)
            elif entry.name == "pyvenv.cfg" and folder != workspace:
                # People and victor itself run the programs of a virtual environment.
                yield folder
    yield from _git_directory(workspace)


def _git_directory(workspace: Path) -> Iterator[Path]:
    """Yield the repository that a `.git` file or link names, if it is in the workspace."""
    place = workspace / ".git"
    try:
        mode = place.lstat().st_mode
        if stat.S_ISREG(mode):
            text = place.read_bytes()[:4096].decode("utf-8", "replace")
            place = workspace / text.removeprefix("gitdir:").strip()
        target = _real(place)
    except (OSError, ValueError):
        return
    if target != workspace / ".git" and target != workspace and target.is_relative_to(workspace):
        yield target

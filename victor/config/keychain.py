"""The system's keyring: read, write and remove values under a provider's name.

The only module that imports keyring; it does so when first asked and in a thread, because the
import is slow and D-Bus may hang or wait for a person. Knows nothing about the environment's keys
or about which provider is used.

A keyring cannot list what it holds, so the names (never the values) of what victor stored are
empty files in the state directory: adding and forgetting one is atomic, and a machine without
stored keys is known without asking D-Bus.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from victor.config.settings import state_path
from victor.errors import ConfigError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

__all__ = ["KeyringError", "inspect", "read", "remove", "stored_names", "write"]

_T = TypeVar("_T")

SERVICE = "victor"
"""The keyring's service name; the user name beside it is the provider's name."""
READ_TIMEOUT_S = 5.0
WRITE_TIMEOUT_S = 30.0
"""Longer: the desktop may be asking the person who typed the command to unlock the keyring."""

# keyring's own backends for what the desktops and systems encrypt; anything else may be a file.
_ENCRYPTING = frozenset(
    f"keyring.backends.{name}"
    for name in ("SecretService", "libsecret", "kwallet", "macOS", "Windows")
)


class KeyringError(ConfigError):
    """The system's keyring cannot do what was asked; the message has the cause and what to do."""


def read(names: Iterable[str]) -> dict[str, str]:
    """Return the values that the keyring holds for these names; others are left out.

    Raises:
        KeyringError: there is no keyring, it is locked, or it did not answer within 5 s.
    """

    def get(backend: KeyringBackend) -> dict[str, str]:
        values = {name: backend.get_password(SERVICE, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    return _ask(get, READ_TIMEOUT_S)


def write(
    name: str, value: str, *, allow_plaintext: bool, environ: Mapping[str, str] | None = None
) -> str:
    """Store a value, read it back and remember its name.

    Args:
        name: the provider's name.
        value: what to store.
        allow_plaintext: also use a backend that is not known to encrypt.
        environ: instead of `os.environ`, for the state directory.

    Returns:
        The name of the backend that holds it now.

    Raises:
        KeyringError: as `read` (within 30 s), or the backend is not known to encrypt, or it did
            not keep the value.
        ConfigError: the name cannot be remembered in the state directory.
    """

    def store(backend: KeyringBackend) -> str:
        if (problem := _distrust(backend)) and not allow_plaintext:
            raise KeyringError(problem)
        backend.set_password(SERVICE, name, value)
        if backend.get_password(SERVICE, name) != value:
            raise KeyringError(f"the keyring {_title(backend)} took the value and did not keep it")
        return _title(backend)

    title = _ask(store, WRITE_TIMEOUT_S)
    index = _index(environ)
    try:
        index.mkdir(mode=0o700, parents=True, exist_ok=True)
        (index / name).touch(mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"the value is stored, but its name cannot be noted in {index}: {error.strerror}; "
            "`victor keys list` will not show it"
        ) from None
    return title


def remove(name: str, *, environ: Mapping[str, str] | None = None) -> bool:
    """Remove a value and forget its name.

    Args:
        name: the provider's name.
        environ: instead of `os.environ`, for the state directory.

    Returns:
        Whether there was anything to remove or to forget.

    Raises:
        KeyringError: as `read` (within 30 s), or the backend did not remove the value.
    """

    def delete(backend: KeyringBackend) -> bool:
        if backend.get_password(SERVICE, name) is None:
            return False
        backend.delete_password(SERVICE, name)
        if backend.get_password(SERVICE, name) is not None:
            raise KeyringError(f"the keyring {_title(backend)} did not remove the value")
        return True

    was_there = _ask(delete, WRITE_TIMEOUT_S)
    was_known = name in stored_names(environ)
    (_index(environ) / name).unlink(missing_ok=True)
    return was_there or was_known


def inspect() -> tuple[str, str | None]:
    """Return the backend's name, and why keys cannot be stored there (None where they can)."""

    def look(backend: KeyringBackend) -> tuple[str, str | None]:
        problem = _distrust(backend)
        if problem is None:
            backend.get_password(SERVICE, "local")  # a locked keyring shows only when asked
        return _title(backend), problem

    try:
        return _ask(look, READ_TIMEOUT_S)
    except KeyringError as error:
        return "none", str(error)


def stored_names(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the sorted names of what `write` stored; the keyring itself is not asked."""
    try:
        return tuple(sorted(entry.name for entry in _index(environ).iterdir()))
    except OSError:
        return ()


def _index(environ: Mapping[str, str] | None) -> Path:
    return state_path(environ) / "keyring"


def _ask(action: Callable[[KeyringBackend], _T], timeout_s: float) -> _T:
    answers: queue.SimpleQueue[tuple[_T] | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            import keyring

            answers.put((action(keyring.get_keyring()),))
        except Exception as error:  # noqa: BLE001 - backends raise whatever their libraries raise
            answers.put(error)

    threading.Thread(target=work, name="victor-keyring", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise KeyringError(
            f"the keyring did not answer within {timeout_s:g} s; if it asks for a password, "
            "unlock it and try again"
        ) from None
    if isinstance(answer, Exception):
        raise answer if isinstance(answer, KeyringError) else _explained(answer)
    return answer[0]


def _explained(error: Exception) -> KeyringError:
    """Name the cause by its type alone: a backend's own text may repeat what it was given."""
    from keyring import errors

    match error:
        case errors.NoKeyringError():
            return KeyringError("this machine has no keyring (no Secret Service on D-Bus)")
        case errors.KeyringLocked():
            return KeyringError("the keyring is locked; unlock it and try again")
        case errors.InitError():
            return KeyringError("the keyring cannot be opened: locked, or its prompt was dismissed")
        case ImportError() | AttributeError():
            return KeyringError(
                "the keyring backend of PYTHON_KEYRING_BACKEND or keyringrc.cfg cannot be loaded"
            )
        case _:
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            return KeyringError(f"the keyring failed ({kind}); see `victor doctor`")


def _distrust(backend: KeyringBackend) -> str | None:
    """Say why a value should not be put there; None for a backend that encrypts."""
    from keyring.backends import fail, null

    backend = _first(backend)
    if isinstance(backend, fail.Keyring):
        return "this machine has no keyring (no Secret Service on D-Bus)"
    if isinstance(backend, null.Keyring):
        return "the keyring is switched off (keyring's null backend)"
    if type(backend).__module__ in _ENCRYPTING:
        return None
    return (
        f"the keyring backend {_title(backend)} is not known to encrypt what it stores; "
        "`--allow-plaintext` uses it all the same"
    )


def _title(backend: KeyringBackend) -> str:
    backend = _first(backend)
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _first(backend: KeyringBackend) -> KeyringBackend:
    """Return the backend that a chain of backends writes to."""
    from keyring.backends.chainer import ChainerBackend

    if isinstance(backend, ChainerBackend) and backend.backends:
        first: KeyringBackend = backend.backends[0]
        return first
    return backend

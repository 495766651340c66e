"""A file on its way to a model: its bytes, within bounds, and what kind of file it is.

Reads files, `data:` URIs (https://www.rfc-editor.org/rfc/rfc2397) and the first bytes of known
formats. Knows no network: an address stays an address. Knows nothing about what a vendor takes.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from victor.errors import ConfigError

__all__ = [
    "FoundFile",
    "found_file",
    "is_provable",
    "media_type_of",
    "named_type",
    "sniffed_type",
]

_BLOCK = 2**20
_SHOWN = 80
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(?=://)")
_USUAL_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "image/jpg": "image/jpeg",
        "audio/mp3": "audio/mpeg",
        "audio/x-wav": "audio/wav",
        "audio/wave": "audio/wav",
        "audio/vnd.wave": "audio/wav",
        "application/x-pdf": "application/pdf",
    }
)
_OFFICE = "application/vnd.openxmlformats-officedocument."
# Our own table: that of `mimetypes` depends on the machine and on Python's version.
_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        "image/png": "png",
        "image/jpeg": "jpg jpeg",
        "image/gif": "gif",
        "image/webp": "webp",
        "image/bmp": "bmp",
        "image/tiff": "tif tiff",
        "image/heic": "heic",
        "image/heif": "heif",
        "image/avif": "avif",
        "image/svg+xml": "svg",
        "audio/wav": "wav",
        "audio/mpeg": "mp3",
        "audio/mp4": "m4a",
        "audio/flac": "flac",
        "audio/aac": "aac",
        "audio/aiff": "aif aiff",
        "audio/ogg": "ogg oga opus",
        "audio/webm": "weba",
        "video/mp4": "mp4 m4v",
        "video/mpeg": "mpeg mpg",
        "video/webm": "webm",
        "video/x-matroska": "mkv",
        "video/quicktime": "mov",
        "application/pdf": "pdf",
        "application/json": "json",
        "application/rtf": "rtf",
        "application/msword": "doc",
        "application/vnd.ms-excel": "xls",
        _OFFICE + "wordprocessingml.document": "docx",
        _OFFICE + "spreadsheetml.sheet": "xlsx",
        _OFFICE + "presentationml.presentation": "pptx",
        "text/html": "html htm",
        "text/css": "css",
        "text/csv": "csv",
        "text/xml": "xml",
        "text/markdown": "md markdown",
        "text/tab-separated-values": "tsv",
        "text/plain": (
            "txt text log rst toml ini cfg yaml yml py js ts tsx jsx go rs c h cc cpp hpp cs java "
            "kt swift rb php sh sql diff patch"
        ),
    }
)
_BY_SUFFIX: Mapping[str, str] = MappingProxyType(
    {suffix: media_type for media_type, names in _SUFFIXES.items() for suffix in names.split()}
)
# Sound or film, and in which coding: the name of the file tells more than its first bytes.
_CONTAINERS = frozenset({"audio/ogg", "video/mp4", "video/x-matroska"})
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "image/png"),
    (rb"\xff\xd8\xff", "image/jpeg"),
    (rb"GIF8[79]a", "image/gif"),
    (rb"RIFF....WEBP", "image/webp"),
    (rb"BM....\0\0\0\0", "image/bmp"),
    (rb"II\*\0|MM\0\*", "image/tiff"),
    (rb"....ftyp(?:hei[cx]|hev[cx])", "image/heic"),
    (rb"....ftyp(?:mif1|msf1)", "image/heif"),
    (rb"....ftypavi[fs]", "image/avif"),
    (rb"....ftypM4[AB] ", "audio/mp4"),
    (rb"....ftypqt  ", "video/quicktime"),
    (rb"....ftyp", "video/mp4"),
    (rb"%PDF-", "application/pdf"),
    (rb"RIFF....WAVE", "audio/wav"),
    (rb"ID3[\x02-\x04]|\xff[\xfb\xf3\xf2\xfa]", "audio/mpeg"),
    (rb"\xff[\xf1\xf9]", "audio/aac"),
    (rb"fLaC", "audio/flac"),
    (rb"FORM....AIF[FC]", "audio/aiff"),
    (rb"OggS\0", "audio/ogg"),
    (rb"\x1a\x45\xdf\xa3", "video/x-matroska"),
)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """What an attachment is made of; one of `data` and `url` is set."""

    media_type: str
    data: bytes | None
    url: str | None
    name: str | None


def found_file(
    source: str | os.PathLike[str] | bytes,
    *,
    media_type: str | None,
    name: str | None,
    max_bytes: int,
) -> FoundFile:
    """Find out what a source is and read it; `Attachment.from_source` says how.

    Raises:
        ConfigError: it cannot be attached; the message says why and what to do.
        TypeError: the source is of none of these types.
    """
    if media_type is not None:
        media_type = _valid_type(media_type)
    match source:
        case bytes() | bytearray():
            return _from_bytes(bytes(source), "the bytes", media_type, name, max_bytes)
        case str():
            scheme = _SCHEME.match(source)
            if source[:5].lower() == "data:":
                return _from_data_uri(source, media_type, name, max_bytes)
            if scheme is not None and scheme[0].lower() in ("http", "https"):
                return _from_url(source, media_type, name)
            if scheme is not None:
                raise ConfigError(
                    f"cannot read {_shown(source)}: pass a path without {scheme[0]}://, an "
                    f"http(s) address, a data: URI, or the bytes"
                )
        case os.PathLike():
            pass
        case _:
            raise TypeError(
                f"an attachment is made of a path, an address, a data: URI or bytes, "
                f"not of {type(source).__name__}"
            )
    path = Path(os.fsdecode(source))
    data = _read(path, max_bytes)
    # Names that are not UTF-8 come as lone surrogates, which no request can carry.
    own_name = os.fsencode(path.name).decode("utf-8", "replace")
    return _from_bytes(data, _shown(str(path)), media_type, name or own_name, max_bytes)


def sniffed_type(data: bytes) -> str | None:
    """Return the media type that the first bytes prove; None where they prove none."""
    head = data[:16]
    for pattern, media_type in _SIGNATURES:
        if re.match(pattern, head, re.DOTALL):
            return media_type
    return None


def is_provable(media_type: str) -> bool:
    """Tell whether files of a type can be known by their first bytes."""
    return any(known == media_type for _, known in _SIGNATURES)


def named_type(name: str | None) -> str | None:
    """Return the media type that a file's name stands for; None where it says nothing."""
    return _BY_SUFFIX.get(PurePosixPath(name or "").suffix[1:].lower())


def media_type_of(data: bytes, named: str | None) -> str | None:
    """Return what a file is: what its bytes prove counts more than what it is called."""
    proven = sniffed_type(data)
    return named if named is not None and (proven is None or proven in _CONTAINERS) else proven


def _too_large(what: str, max_bytes: int) -> ConfigError:
    """Make the error for a file over the cap."""
    return ConfigError(
        f"{what}: more than {max_bytes:,} bytes; attach a smaller file, or raise max_bytes"
    )


def _from_bytes(
    data: bytes, what: str, media_type: str | None, name: str | None, max_bytes: int
) -> FoundFile:
    if not data:
        raise ConfigError(f"{what} cannot be attached: there is nothing in it")
    if len(data) > max_bytes:
        raise _too_large(what, max_bytes)
    found = media_type or media_type_of(data, named_type(name))
    if found is None:
        raise ConfigError(
            f"cannot tell the media type of {what}: pass media_type, such as "
            f'media_type="image/png", or media_type="text/plain" for text'
        )
    return FoundFile(found, data, None, name)


def _from_data_uri(uri: str, media_type: str | None, name: str | None, max_bytes: int) -> FoundFile:
    header, comma, payload = uri[5:].partition(",")
    if not comma:
        raise ConfigError(f"{_shown(uri)} is not a data: URI: a comma has to precede the data")
    declared, *parameters = [part.strip() for part in header.split(";")]
    try:
        data = unquote_to_bytes(payload)
        if parameters and parameters[-1].lower() == "base64":
            data = _from_base64(data)
    except ValueError as error:  # binascii's and unicode's errors are ValueErrors
        raise ConfigError(f"the data of {_shown(uri)} is damaged: {error}") from error
    if media_type is None:
        # RFC 2397: what says nothing is text.
        named = _valid_type(declared) if declared else named_type(name) or "text/plain"
        media_type = media_type_of(data, named)
    return _from_bytes(data, "the data: URI", media_type, name, max_bytes)


def _from_base64(text: bytes) -> bytes:
    plain = b"".join(text.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    if len(plain) % 4 == 1:
        raise binascii.Error("a character of the base64 is missing")
    return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)


def _from_url(url: str, media_type: str | None, name: str | None) -> FoundFile:
    if re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ConfigError(f"{_shown(url)} has a space or a control character: write it as %20")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{_shown(url)} is not an address: {error}") from error
    if not host:
        raise ConfigError(f"{_shown(url)} names no host")
    if "@" in parts.netloc:
        # Whatever stands before the @ would be sent to the vendor; do not repeat it here either.
        raise ConfigError(
            f"the address of {host} has credentials in it, which the vendor would get: "
            f"fetch the file yourself and pass the bytes"
        )
    own_name = PurePosixPath(unquote(parts.path)).name or None
    found = media_type or named_type(name) or named_type(own_name)
    if found is None:
        raise ConfigError(
            f"cannot tell the media type of {_shown(url)}, which is not fetched: pass "
            f'media_type, such as media_type="image/png"'
        )
    return FoundFile(found, None, url, name or own_name)


def _read(path: Path, max_bytes: int) -> bytes:
    what = _shown(str(path))
    parts: list[bytes] = []
    size = 0
    try:
        path = path.expanduser()
        # Looked at before it is opened: opening a device may already do something.
        _check_regular(path.stat().st_mode, what)
        # And again when it is open; until then nothing waits for the other end of a pipe.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            _check_regular(os.fstat(file.fileno()).st_mode, what)
            while size <= max_bytes and (block := file.read(_BLOCK)):
                parts.append(block)
                size += len(block)
    except FileNotFoundError as error:
        where = "" if path.is_absolute() else "; it was looked for from the current directory"
        raise ConfigError(f"there is no file {what}{where}") from error
    except (OSError, RuntimeError, ValueError) as error:  # no such home directory; a NUL in it
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ConfigError(f"cannot read {what}: {why}") from error
    return b"".join(parts)


def _check_regular(mode: int, what: str) -> None:
    if stat.S_ISDIR(mode):
        raise ConfigError(f"{what} is a directory: name a file in it")
    if not stat.S_ISREG(mode):
        raise ConfigError(
            f"{what} is a pipe, a socket or a device: read it yourself and pass the bytes"
        )


def _valid_type(text: str) -> str:
    """Return a media type without its parameters, under its usual name."""
    found = text.partition(";")[0].strip().lower()
    if not _MEDIA_TYPE.fullmatch(found):
        raise ConfigError(f"{_shown(text)} is not a media type, such as image/png")
    return _USUAL_NAMES.get(found, found)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")

"""The file behind an attachment's address, fetched when a program asks for it and never otherwise.

Where it may come from is `victor.providers.downloads`'s affair; here its bytes have to be what the
attachment says. Knows no vendor and no protocol of theirs.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from victor.errors import ConfigError
from victor.media import is_provable, media_type_of, sniffed_type
from victor.providers.downloads import downloaded
from victor.types import Attachment

__all__ = ["fetched"]

_NOTHING_SAID = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_TEXTS = frozenset({"text", "application"})
_CHECK = "is this the address of the file itself?"
_NEXT = "pass the file's bytes instead, or see max_bytes, timeout and allow_private"


async def fetched(
    attachment: Attachment,
    *,
    max_bytes: int = 20 * 1024 * 1024,
    timeout: float = 30.0,
    allow_private: bool = False,
) -> Attachment:
    """Fetch an attachment that is an address, for APIs that take bytes only.

    Goes over https to public addresses only, never through a proxy. At most five redirects are
    followed, to any host, each with the same checks.

    Args:
        attachment: what to fetch; one that has its bytes is returned as it is.
        max_bytes: how long the file may be, 20 MiB by default; no more is read.
        timeout: seconds for everything together.
        allow_private: also fetch from this machine and from private networks, there also over
            plain http. For addresses that you wrote yourself.

    Returns:
        The attachment with its bytes. Its media type is what the bytes prove, if they prove one.

    Raises:
        ConfigError: the address is not allowed, does not answer with the file, or answers with
            something else than the attachment says; the message says which, and what to do.
    """
    if attachment.url is None:
        return attachment
    try:
        found = await downloaded(
            attachment.url, max_bytes=max_bytes, timeout=timeout, allow_private=allow_private
        )
    except ConfigError as error:
        raise ConfigError(f"{error}: {_NEXT}") from error
    host = urlsplit(found.address).hostname
    if found.status != 200:
        raise ConfigError(f"{host} answered HTTP {found.status} instead of the file: {_CHECK}")
    if not found.content:
        raise ConfigError(f"{host} answered with an empty file: {_CHECK}")
    media_type = _agreed(attachment.media_type, found.media_type, found.content)
    if media_type is None:
        header = found.media_type
        what = "a web page" if header in _PAGES else header or "something unknown"
        raise ConfigError(
            f"{host} answered with {what}, not with {attachment.media_type}: {_CHECK}"
        )
    return Attachment(media_type=media_type, data=found.content, name=attachment.name)


def _agreed(declared: str, header: str, data: bytes) -> str | None:
    """Return what a file is, or None where that is another kind of thing than was declared."""
    proven = sniffed_type(data)
    if proven is not None:
        return media_type_of(data, declared) if _kind(proven) == _kind(declared) else None
    if header in _PAGES:
        return declared if declared in _PAGES else None
    if is_provable(declared) or _kind(declared) in ("image", "film"):
        return header if _kind(header) == _kind(declared) and not is_provable(header) else None
    return declared if header in _NOTHING_SAID or _kind(header) in _TEXTS else None


def _kind(media_type: str) -> str:
    # What holds sound may also hold film, and is sometimes called so.
    kind = media_type.partition("/")[0]
    return "film" if kind in ("audio", "video") else kind

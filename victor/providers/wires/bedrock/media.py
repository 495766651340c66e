"""Amazon Bedrock's Converse: which attachments it takes, and what it calls their formats. Data.

Spec: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html and its
siblings for images, videos and audio. Knows nothing about models: not each takes everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from victor.errors import UnsupportedFeatureError
from victor.types import Attachment

__all__ = ["media_format"]

_OFFICE = "application/vnd.openxmlformats-officedocument"
_FORMATS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "image": {
            "image/png": "png",
            "image/jpeg": "jpeg",
            "image/jpg": "jpeg",
            "image/gif": "gif",
            "image/webp": "webp",
        },
        "document": {
            "application/pdf": "pdf",
            "text/csv": "csv",
            "application/msword": "doc",
            f"{_OFFICE}.wordprocessingml.document": "docx",
            "application/vnd.ms-excel": "xls",
            f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
            "text/html": "html",
            "text/plain": "txt",
            "text/markdown": "md",
            "application/json": "txt",
            "application/xml": "txt",
            "application/yaml": "txt",
        },
        "video": {
            "video/mp4": "mp4",
            "video/quicktime": "mov",
            "video/x-matroska": "mkv",
            "video/webm": "webm",
            "video/x-flv": "flv",
            "video/mpeg": "mpeg",
            "video/x-ms-wmv": "wmv",
            "video/3gpp": "three_gp",
        },
        "audio": {
            "audio/mpeg": "mp3",
            "audio/mp3": "mp3",
            "audio/wav": "wav",
            "audio/x-wav": "wav",
            "audio/aac": "aac",
            "audio/flac": "flac",
            "audio/ogg": "ogg",
            "audio/opus": "opus",
            "audio/mp4": "m4a",
            "audio/webm": "webm",
        },
    }
)


def media_format(attachment: Attachment) -> tuple[str, str]:
    """Return the block an attachment goes into, and its format.

    Raises:
        UnsupportedFeatureError: Converse has no block for it.
    """
    media_type = attachment.media_type.partition(";")[0].strip().lower()
    for kind, formats in _FORMATS.items():
        if media_type in formats:
            return kind, formats[media_type]
    if media_type.startswith("text/"):
        return "document", "txt"
    raise UnsupportedFeatureError(
        f"Bedrock cannot carry {media_type}: convert it, or put its text into the message."
    )

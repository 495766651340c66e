"""Cohere's embeddings, v2.

Spec: https://docs.cohere.com/reference/embed
Knows nothing about HTTP, keys, retries or how texts are cut into batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from victor.config.catalog import Vendor
from victor.providers.failures import error_from_body
from victor.providers.reading import count, mapping, parse_object, vectors
from victor.providers.request import RESERVED_OPTIONS, HTTPCall
from victor.providers.writing import merged, to_bytes
from victor.types import Embeddings, JsonObject, Usage

__all__ = ["CohereEmbeddings"]


class CohereEmbeddings:
    """The protocol, as one vendor speaks it.

    The option `input_type` says what the texts are for, `search_document` unless told; queries want
    `search_query`.

    Args:
        vendor: the row of the catalog.
    """

    most_texts = 96

    def __init__(self, vendor: Vendor) -> None:
        self._provider = vendor.name

    def encode(self, texts: Sequence[str], *, model: str, options: Mapping[str, Any]) -> HTTPCall:
        body: JsonObject = {
            "model": model,
            "texts": list(texts),
            "input_type": "search_document",
            "embedding_types": ["float"],
        }
        extra = {name: value for name, value in options.items() if name not in RESERVED_OPTIONS}
        dimensions = extra.pop("dimensions", None)
        if dimensions is not None:
            body["output_dimension"] = dimensions
        return HTTPCall("/v2/embed", to_bytes(merged(body, extra)))

    def decode(self, body: bytes, *, model: str, expected: int) -> Embeddings:
        provider = self._provider
        value = parse_object(body, provider=provider, model=model)
        found = value.get("embeddings")
        if value.get("error") or value.keys() & {"detail", "message"}:
            raise error_from_body(value, provider=provider, model=model)
        rows = found.get("float") if isinstance(found, Mapping) else found
        found = vectors(rows, expected, provider=provider, model=model)
        # Billed units are another count, and left alone as in chats.
        tokens = mapping(mapping(value.get("meta")).get("tokens"))
        asked = count(tokens.get("input_tokens"))
        return Embeddings.model_construct(
            vectors=found,
            model=model,
            usage=None if asked is None else Usage(prompt_tokens=asked, total_tokens=asked),
        )

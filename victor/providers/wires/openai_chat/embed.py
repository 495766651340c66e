"""OpenAI embeddings, and those of everybody who speaks the protocol.

Spec: https://platform.openai.com/docs/api-reference/embeddings/create
Knows nothing about HTTP, keys, retries or how texts are cut into batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from victor.config.catalog import Vendor
from victor.providers.failures import error_from_body
from victor.providers.reading import count, mapping, parse_object, vectors, word
from victor.providers.request import RESERVED_OPTIONS, HTTPCall
from victor.providers.writing import merged, to_bytes
from victor.types import Embeddings, JsonObject, Usage

__all__ = ["OpenAIEmbeddings"]

# Texts of one request, where a vendor names a limit or is known to have one; Mistral's is one of
# tokens, which so many texts of a paragraph stay below. OpenAI would take 2,048, whose vectors of
# 3,072 figures are more than the transport reads of one body (`MAX_BODY_BYTES`).
_MOST_TEXTS: Mapping[str, int] = MappingProxyType(
    {
        "azure": 512,
        "fireworks": 8,
        "huggingface": 32,
        "mistral": 64,
        "openai": 512,
        "qwen": 10,
        "zai": 64,
    }
)
_DIMENSIONS: Mapping[str, str] = MappingProxyType({"mistral": "output_dimension"})


class OpenAIEmbeddings:
    """The protocol, as one vendor speaks it.

    Args:
        vendor: the row of the catalog.
    """

    def __init__(self, vendor: Vendor) -> None:
        self._provider = vendor.name
        self.most_texts = _MOST_TEXTS.get(vendor.name, 128)

    def encode(self, texts: Sequence[str], *, model: str, options: Mapping[str, Any]) -> HTTPCall:
        body: JsonObject = {"model": model, "input": list(texts), "encoding_format": "float"}
        extra = {name: value for name, value in options.items() if name not in RESERVED_OPTIONS}
        dimensions = extra.pop("dimensions", None)
        if dimensions is not None:
            body[_DIMENSIONS.get(self._provider, "dimensions")] = dimensions
        return HTTPCall("/embeddings", to_bytes(merged(body, extra)))

    def decode(self, body: bytes, *, model: str, expected: int) -> Embeddings:
        provider = self._provider
        value = parse_object(body, provider=provider, model=model)
        rows = value.get("data")
        if value.get("error") or value.keys() & {"detail", "message"}:
            raise error_from_body(value, provider=provider, model=model)
        found = vectors(_in_order(rows), expected, provider=provider, model=model)
        usage = mapping(value.get("usage"))
        asked, total = count(usage.get("prompt_tokens")), count(usage.get("total_tokens"))
        known = asked is not None or total is not None
        return Embeddings.model_construct(
            vectors=found,
            model=word(value.get("model")) or model,
            usage=Usage(prompt_tokens=asked, total_tokens=asked if total is None else total)
            if known
            else None,
        )


def _in_order(rows: Any) -> list[Any]:
    """Return the vectors in the order of their texts: by index, if the indexes are sound."""
    found = [mapping(row) for row in rows] if isinstance(rows, list) else []
    places = [count(row.get("index")) for row in found]
    vectors = [row.get("embedding") for row in found]
    if sorted(place for place in places if place is not None) != list(range(len(found))):
        return vectors
    by_place = dict(zip(places, vectors, strict=True))
    return [by_place[place] for place in range(len(found))]

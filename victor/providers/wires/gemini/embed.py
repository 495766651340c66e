"""Google's embeddings: of the Developer API (`batchEmbedContents`), and of Vertex (`predict`).

Spec: https://ai.google.dev/api/embeddings and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
Knows nothing about HTTP, keys or retries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from victor.config.catalog import Vendor
from victor.errors import ProviderInvalidResponseError
from victor.providers.failures import error_from_body
from victor.providers.reading import count, mapping, parse_object, word
from victor.providers.request import RESERVED_OPTIONS, HTTPCall
from victor.providers.wires.gemini.encode import model_path
from victor.providers.writing import merged, to_bytes
from victor.types import Embeddings, JsonObject, Usage

__all__ = ["GeminiEmbeddings"]

# `batchEmbedContents` repeats them for each text, `predict` has them once for all.
_PER_TEXT = frozenset({"task_type", "taskType", "title"})


class GeminiEmbeddings:
    """The embeddings, as the Developer API or Vertex has them; see `EmbeddingWire`.

    Args:
        vendor: the row of the catalog; Vertex is the one that signs with Google's token.
    """

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._is_vertex = vendor.auth == "google"

    @property
    def most_texts(self) -> int:
        # Vertex's gemini-embedding-001 takes one; its older models would take more.
        return 1 if self._is_vertex else 100

    def encode(self, texts: Sequence[str], *, model: str, options: Mapping[str, Any]) -> HTTPCall:
        """Write a request; `taskType` and the like may be among the options."""
        path = model_path(model)
        size = options.get("dimensions")
        extra = {
            name: value
            for name, value in options.items()
            if name != "dimensions" and name not in RESERVED_OPTIONS and value is not None
        }
        if self._is_vertex:
            each = {name: value for name, value in extra.items() if name in _PER_TEXT}
            shared = {name: value for name, value in extra.items() if name not in _PER_TEXT}
            parameters = {} if size is None else {"outputDimensionality": size}
            body: JsonObject = {"instances": [{"content": text, **each} for text in texts]}
            if fields := merged(parameters, shared):
                body["parameters"] = fields
            return HTTPCall(f"{path}:predict", to_bytes(body))
        own: JsonObject = {} if size is None else {"outputDimensionality": size}
        requests = [
            {"model": path[1:], "content": {"parts": [{"text": text}]}, **own, **extra}
            for text in texts
        ]
        return HTTPCall(f"{path}:batchEmbedContents", to_bytes({"requests": requests}))

    def decode(self, body: bytes, *, model: str, expected: int) -> Embeddings:
        """Read an answer.

        Raises:
            ProviderInvalidResponseError: it has not one vector of numbers for each text.
            ProviderError: it is an error object; its type says which.
        """
        who: dict[str, Any] = {"provider": self._vendor.name, "model": model}
        value = parse_object(body, **who)
        if value.get("error"):
            raise error_from_body(value, **who)
        rows, tokens = _vertex_rows(value) if self._is_vertex else _rows(value)
        vectors = [vector for row in rows if (vector := row.get("values")) and _is_vector(vector)]
        if len(vectors) != expected or len(rows) != expected:
            raise ProviderInvalidResponseError(
                f"{self._vendor.name} sent {len(vectors)} vectors for {expected} texts", **who
            )
        return Embeddings.model_construct(
            vectors=[[float(number) for number in vector] for vector in vectors],
            model=word(value.get("modelVersion")) or model,
            usage=None
            if tokens is None
            else Usage.model_construct(
                prompt_tokens=tokens,
                completion_tokens=None,
                total_tokens=tokens,
                cached_tokens=None,
                cache_write_tokens=None,
                reasoning_tokens=None,
            ),
        )


def _rows(value: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], int | None]:
    rows = value.get("embeddings")
    used = mapping(value.get("usageMetadata"))
    found = [mapping(row) for row in rows] if isinstance(rows, list) else []
    return found, count(used.get("promptTokenCount"))


def _vertex_rows(value: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], int | None]:
    rows = value.get("predictions")
    found = [
        mapping(mapping(row).get("embeddings")) for row in (rows if isinstance(rows, list) else ())
    ]
    counts = [count(mapping(row.get("statistics")).get("token_count")) for row in found]
    known = [tokens for tokens in counts if tokens is not None]
    return found, sum(known) if known else None


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(number, int | float) and not isinstance(number, bool) for number in value
    )

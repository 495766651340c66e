"""Ollama's own embeddings.

Spec: https://github.com/ollama/ollama/blob/main/docs/api.md#generate-embeddings
Knows nothing about HTTP, keys, retries or how texts are cut into batches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from victor.config.catalog import Vendor
from victor.providers.failures import error_from_body
from victor.providers.reading import count, parse_object, vectors, word
from victor.providers.request import RESERVED_OPTIONS, HTTPCall
from victor.providers.wires.ollama.encode import RUNTIME_OPTIONS
from victor.providers.writing import merged, to_bytes
from victor.types import Embeddings, JsonObject, Usage

__all__ = ["OllamaEmbeddings"]


class OllamaEmbeddings:
    """The protocol, as one vendor speaks it.

    Texts that are longer than the model's context are an error (`truncate`), as the server by
    itself would embed their beginnings.

    Args:
        vendor: the row of the catalog.
    """

    most_texts = 128

    def __init__(self, vendor: Vendor) -> None:
        self._provider = vendor.name

    def encode(self, texts: Sequence[str], *, model: str, options: Mapping[str, Any]) -> HTTPCall:
        body: JsonObject = {"model": model, "input": list(texts), "truncate": False}
        extra = {name: value for name, value in options.items() if name not in RESERVED_OPTIONS}
        runtime = {name: extra.pop(name) for name in sorted(RUNTIME_OPTIONS & extra.keys())}
        if runtime:
            body["options"] = runtime
        return HTTPCall("/api/embed", to_bytes(merged(body, extra)))

    def decode(self, body: bytes, *, model: str, expected: int) -> Embeddings:
        provider = self._provider
        value = parse_object(body, provider=provider, model=model)
        rows = value.get("embeddings")
        if value.get("error") or value.keys() & {"detail", "message"}:
            raise error_from_body(value, provider=provider, model=model)
        found = vectors(rows, expected, provider=provider, model=model)
        asked = count(value.get("prompt_eval_count"))
        return Embeddings.model_construct(
            vectors=found,
            model=word(value.get("model")) or model,
            usage=None if asked is None else Usage(prompt_tokens=asked, total_tokens=asked),
        )

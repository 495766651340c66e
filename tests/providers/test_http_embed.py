from __future__ import annotations

from dataclasses import replace

import pytest

from tests.providers.author import Author
from tests.providers.loopback import ROW, connect
from victor.errors import ProviderInvalidResponseError, UnsupportedFeatureError
from victor.providers.http import HTTPProvider
from victor.providers.wires.openai_chat.embed import OpenAIEmbeddings
from victor.testing.faults import FaultServer, json_answer


def _body(*sizes: float) -> object:
    rows = [{"index": at, "embedding": [size]} for at, size in enumerate(sizes)]
    return {"data": rows, "usage": {"prompt_tokens": len(sizes), "total_tokens": len(sizes)}}


async def test_texts_become_vectors_in_their_order() -> None:
    async with FaultServer([json_answer(_body(1, 2))]) as server, connect(server) as provider:
        found = await provider.embed(["a", "bb"], model="e", dimensions=1)
        assert found.vectors == [[1.0], [2.0]]
        assert found.usage is not None
        assert found.usage.prompt_tokens == 2
        (request,) = server.requests
        assert request.path == "/embeddings"
        assert request.json()["input"] == ["a", "bb"]
        assert request.json()["dimensions"] == 1


async def test_one_text_is_a_list_of_one_and_none_asks_nobody() -> None:
    async with FaultServer([json_answer(_body(1))]) as server, connect(server) as provider:
        assert (await provider.embed("a", model="e")).vectors == [[1.0]]
        assert (await provider.embed([], model="e")).vectors == []
        assert len(server.requests) == 1


async def test_many_texts_go_out_in_batches_and_each_batch_is_retried_alone() -> None:
    most = OpenAIEmbeddings(ROW).most_texts
    answers = [
        json_answer(_body(*range(most))),
        json_answer({"error": {"message": "down"}}, 500),
        json_answer(_body(7)),
    ]
    async with FaultServer(answers) as server, connect(server, max_retries=1) as provider:
        found = await provider.embed(["a"] * (most + 1), model="e")
        assert found.vectors == [*([float(at)] for at in range(most)), [7.0]]
        assert found.usage is not None
        assert found.usage.prompt_tokens == most + 1
        assert [len(request.json()["input"]) for request in server.requests] == [most, 1, 1]


async def test_a_wrong_number_of_vectors_is_an_error() -> None:
    async with FaultServer([json_answer(_body(1))]) as server, connect(server) as provider:
        with pytest.raises(ProviderInvalidResponseError):
            await provider.embed(["a", "b"], model="e")


async def test_without_a_model_or_embeddings_it_says_so() -> None:
    with pytest.raises(UnsupportedFeatureError, match="pass model"):
        await HTTPProvider(replace(ROW, base_url="http://127.0.0.1:9")).embed("a")
    with pytest.raises(UnsupportedFeatureError, match="has no embeddings"):
        await HTTPProvider(replace(ROW, wire="anthropic", base_url="http://127.0.0.1:9")).embed("a")
    with pytest.raises(UnsupportedFeatureError, match="author has no embeddings"):
        await Author().embed("a")

from __future__ import annotations

import pytest

from victor.config.capabilities import merged_capabilities
from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData
from victor.types import Capabilities, Capability

ALL = frozenset(Capability)
PROVIDER = Capabilities(supported=ALL, models=("a", "b"))


@pytest.mark.parametrize(
    ("data", "endpoint", "lacking"),
    [
        (UNKNOWN_MODEL, None, set()),
        (ModelData(vision=False), None, {Capability.VISION}),
        (ModelData(vision=True), None, set()),
        (ModelData(reasoning=False, json_schema=False), None, {"reasoning", "json_schema"}),
        (ModelData(parallel_tools=False), None, {Capability.PARALLEL_TOOLS}),
        (ModelData(tool_mode="none"), None, {"tools", "parallel_tools"}),
        (ModelData(tool_mode="constrained"), None, set()),
        (ModelData(vision=True), ModelData(vision=False), {"vision"}),
        (ModelData(vision=False), ModelData(vision=True), set()),
        (ModelData(vision=False), ModelData(context_window=5), {"vision"}),
    ],
)
def test_a_capability_is_what_the_provider_and_the_model_have(
    data: ModelData, endpoint: ModelData | None, lacking: set[str]
) -> None:
    found = merged_capabilities(PROVIDER, data, endpoint)
    assert found.supported == ALL - lacking
    assert found.models == ("a", "b")


def test_what_the_provider_lacks_no_model_brings() -> None:
    side = Capabilities(supported=frozenset({Capability.STREAMING}))
    found = merged_capabilities(side, ModelData(vision=True, json_schema=True))
    assert found.supported == {Capability.STREAMING}


def test_sizes_come_from_the_strongest_that_knows_them() -> None:
    side = Capabilities(context_window=1, max_output_tokens=2)
    assert merged_capabilities(side, UNKNOWN_MODEL) == side
    data = ModelData(context_window=10, max_output_tokens=20)
    found = merged_capabilities(side, data, ModelData(context_window=5))
    assert (found.context_window, found.max_output_tokens) == (5, 20)


def test_the_way_of_tools_is_the_models_where_it_has_one() -> None:
    side = Capabilities(tool_mode="constrained")
    assert merged_capabilities(side, UNKNOWN_MODEL).tool_mode == "constrained"
    assert merged_capabilities(side, ModelData(tool_mode="native")).tool_mode == "native"


@pytest.mark.parametrize(
    ("data", "endpoint", "source"),
    [
        (UNKNOWN_MODEL, None, "default"),
        (UNKNOWN_MODEL, UNKNOWN_MODEL, "default"),
        (ModelData(vision=True), None, "data"),
        (ModelData(vision=True), UNKNOWN_MODEL, "data"),
        (ModelData(vision=True), ModelData(vision=True), "endpoint"),
    ],
)
def test_the_source_is_the_strongest_that_said_anything(
    data: ModelData, endpoint: ModelData | None, source: str
) -> None:
    assert merged_capabilities(PROVIDER, data, endpoint).source == source

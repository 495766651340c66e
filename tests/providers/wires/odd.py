"""JSON that has a protocol's names and nothing else of it, and whom reading it blames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from victor.errors import ProviderError

__all__ = ["blamed", "odd_json"]


def odd_json(names: Sequence[str]) -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=4)
        ),
        max_leaves=12,
    )


def blamed(read: Callable[[], object], provider: str) -> bool:
    """Tell whether reading gives an answer, or an error that names its provider."""
    try:
        read()
    except ProviderError as error:
        return error.provider == provider
    return True

from __future__ import annotations

import inspect

import pytest

from victor.schema.docstrings import read_docstring

GOOGLE = """
    Do it.

    Second paragraph.

    Args:
        a: first line
            goes on.

            A second paragraph.
        b (dict[str, int], optional): Keys:
            - x: the x
            - y: the y
        *c: see `foo:bar`: yes

    Returns:
        dict: the result
            d: none of the parameters
"""
NUMPY = """
    Do
    it.

    Parameters
    ----------
    a : int
        first line
        goes on.

        A second paragraph.
    b, c : {'x', 'y'}, optional
        Shared.

    Returns
    -------
    d : int
        None of the parameters.
"""
SPHINX = """
    Do it.

    :param a: first line
        goes on.
    :type a: int
    :param int b: second
    :param c:
        third
    :returns: none of the parameters
"""


@pytest.mark.parametrize(
    ("text", "parameters"),
    [
        (
            GOOGLE,
            {
                "a": "first line goes on. A second paragraph.",
                "b": "Keys: - x: the x - y: the y",
                "c": "see `foo:bar`: yes",
            },
        ),
        (
            NUMPY,
            {"a": "first line goes on. A second paragraph.", "b": "Shared.", "c": "Shared."},
        ),
        (SPHINX, {"a": "first line goes on.", "b": "second", "c": "third"}),
    ],
    ids=["google", "numpy", "sphinx"],
)
def test_texts_may_have_several_lines_and_parts(text: str, parameters: dict[str, str]) -> None:
    assert read_docstring(inspect.cleandoc(text)) == ("Do it.", parameters)

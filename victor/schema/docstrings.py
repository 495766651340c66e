"""A docstring -> what it says of a function, and of each parameter.

Google, NumPy and Sphinx style, however far a text goes on. Knows nothing about signatures.
Spec: https://google.github.io/styleguide/pyguide.html#383-functions-and-methods,
https://numpydoc.readthedocs.io/en/latest/format.html,
https://www.sphinx-doc.org/en/master/usage/domains/python.html#info-field-lists
"""

from __future__ import annotations

import re

__all__ = ["read_docstring"]

_GOOGLE = re.compile(r"^(?:Args|Arguments|Parameters|Params):\s*$", re.MULTILINE)
_NUMPY = re.compile(r"^(?:Parameters|Other Parameters)\n-{3,}\s*$", re.MULTILINE)
_SPHINX = re.compile(
    r"^:(?:param|parameter|arg|argument)\s+(?:[^:\n]*?\s)?\*{0,2}(\w+):", re.MULTILINE
)
_GOOGLE_ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^\n]*?\))?\s*:(.*)", re.DOTALL)
_NUMPY_ENTRY = re.compile(r"^([\w*, ]+?)\s*(?::[^\n]*)?\n(.*)", re.DOTALL)


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Split a dedented docstring into its first paragraph and the text of each parameter."""
    first = text.split("\n\n", 1)[0]
    texts: dict[str, str] = {}
    for style in (_GOOGLE, _NUMPY):
        if found := style.search(text):
            body = text[found.end() :].lstrip("\n")
            for entry in _entries(body, indented=style is _GOOGLE):
                texts |= _entry(entry, _GOOGLE_ENTRY if style is _GOOGLE else _NUMPY_ENTRY)
        first = style.split(first, 1)[0]
    for found in _SPHINX.finditer(text):
        rest = text[found.end() :]
        texts[found[1]] = _one_line(re.split(r"\n(?=:)|\n\n", rest, maxsplit=1)[0])
    return _one_line(re.split(r"^:\w+", first, maxsplit=1, flags=re.MULTILINE)[0]), texts


def _entries(body: str, *, indented: bool) -> list[str]:
    """Split a section into its entries; the section ends where the indentation says so."""
    lines = body.split("\n")
    margin = len(lines[0]) - len(lines[0].lstrip()) if indented else 0
    if indented and not margin:
        return []
    entries: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        depth = len(line) - len(line.lstrip())
        if not line.strip():
            continue
        if depth < margin or (not indented and re.match(r"^-{3,}\s*$", following)):
            break
        if depth == margin:
            entries.append(line[margin:])
        elif entries:
            entries[-1] += "\n" + line
    return entries


def _entry(entry: str, pattern: re.Pattern[str]) -> dict[str, str]:
    found = pattern.match(entry)
    if not found:
        return {}
    return {key.strip(" *"): _one_line(found[2]) for key in found[1].split(",")}


def _one_line(text: str) -> str:
    return " ".join(text.split())

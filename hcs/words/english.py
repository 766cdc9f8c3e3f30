"""Words that several sentences need: lists, plurals, and what people call a variable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def join_words(items: Iterable[str]) -> str:
    """Join words: ``a``, ``a and b``, ``a, b and c``."""
    words = list(items)
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def list_some(items: Sequence[object], most: int = 10) -> str:
    """Join the first ones, and say how many more there are: ``1, 2, 3 and 7 more``."""
    shown = ", ".join(str(item) for item in items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown


def make_plural(thing: str) -> str:
    """More than one of it."""
    if thing.endswith(("tch", "s", "x")):
        return thing + "es"
    return thing[:-1] + "ies" if thing.endswith("y") else thing + "s"


def name_variable(variable: str) -> str:
    """Say what people call a variable: ``Metadata_Batch`` → batch, ``row`` → plate row."""
    known = {"row": "plate row", "column": "plate column"}
    return known.get(variable, variable.removeprefix("Metadata_").lower())

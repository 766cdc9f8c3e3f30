"""JSON that people can read in a pull request: short things on one line, long things broken."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import JsonValue

_WIDTH = 100
_STEP = 2


def readable_json(value: JsonValue) -> str:
    """Write JSON with one record on one line where it fits, names wrapped like prose where not.

    Parameters
    ----------
    value
        Anything that JSON holds; NaN and infinity are refused, since JSON has neither.

    Returns
    -------
    str
        JSON text that ends with a newline; ``json.loads`` gives back the same value.

    Raises
    ------
    ValueError
        When a number is NaN or infinite.

    Notes
    -----
    ``json.dumps`` either breaks after every element (thousands of lines for 55 splits) or never
    (one line that no review can comment on), hence these few lines.
    """
    return _written(value, 0, 0) + "\n"


def _written(value: JsonValue, indent: int, used: int) -> str:
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not value or (indent > 0 and indent + used + len(line) < _WIDTH):
        return line
    inner = indent + _STEP
    margin = " " * inner
    if isinstance(value, dict):
        parts = [
            f"{margin}{json.dumps(key, ensure_ascii=False)}: {_written(item, inner, len(key) + 4)}"
            for key, item in value.items()
        ]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
    if not isinstance(value, list):
        return line
    if any(isinstance(item, dict | list) for item in value):
        body = ",\n".join(margin + _written(item, inner, 0) for item in value)
    else:
        body = "\n".join(margin + line for line in _wrapped(value, _WIDTH - inner))
    return "[\n" + body + "\n" + " " * indent + "]"


def _wrapped(items: list[JsonValue], width: int) -> Iterator[str]:
    texts = [json.dumps(item, ensure_ascii=False, allow_nan=False) for item in items]
    line = ""
    for number, text in enumerate(texts):
        word = text + ("," if number + 1 < len(texts) else "")
        if line and len(line) + 1 + len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line

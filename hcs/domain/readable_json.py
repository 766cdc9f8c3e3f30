"""JSON that people can read in a pull request: short things on one line, long things broken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar, Self

from pydantic import JsonValue, ValidationError

from hcs.domain.plate import Frozen
from hcs.errors import InputError

_WIDTH = 100
_STEP = 2


class Document(Frozen):
    """A model that is a file of its own."""

    file_name: ClassVar[str] = "the file"

    def to_json(self) -> str:
        """Write the file's text; numbers that are not defined are null."""
        return readable_json(self.model_dump(mode="json"))

    @classmethod
    def read_json(cls, text: str | bytes, where: str | None = None) -> Self:
        """Read the file's text.

        Parameters
        ----------
        text
            Content of the file.
        where
            What messages call it; its usual name by default.

        Raises
        ------
        InputError
            When the text is not such a file; every fault is listed.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            faults = [
                f"{'.'.join(str(part) for part in entry['loc'])}: {entry['msg']}"
                for entry in error.errors(include_url=False, include_input=False)
            ]
            msg = "\n  ".join([f"{where or cls.file_name}: {len(faults)} faults", *faults])
            raise InputError(msg) from error


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
    return _write(value, 0, 0) + "\n"


def _write(value: JsonValue, indent: int, used: int) -> str:
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if not value or (indent > 0 and indent + used + len(line) < _WIDTH):
        return line
    inner = indent + _STEP
    margin = " " * inner
    if isinstance(value, dict):
        parts = [
            f"{margin}{json.dumps(key, ensure_ascii=False)}: {_write(item, inner, len(key) + 4)}"
            for key, item in value.items()
        ]
        return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"
    if not isinstance(value, list):
        return line
    if any(isinstance(item, dict | list) for item in value):
        body = ",\n".join(margin + _write(item, inner, 0) for item in value)
    else:
        body = "\n".join(margin + line for line in _wrap(value, _WIDTH - inner))
    return "[\n" + body + "\n" + " " * indent + "]"


def _wrap(items: list[JsonValue], width: int) -> Iterator[str]:
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

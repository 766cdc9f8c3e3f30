"""Reads text that users write: settings in YAML, splits; what is none is said in a sentence."""

from __future__ import annotations

from typing import Any

import yaml

from hcs.errors import InputError, NotFoundError
from hcs.io.files.paths import AnyPath, as_path


def read_text(path: AnyPath, what: str) -> str:
    """Read a text file whole.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for the error message: "study file".

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When it is a folder, or no text in UTF-8.
    """
    file = as_path(path)
    if file.is_dir():
        raise InputError(f"{what} {path} is a folder; a file was expected")
    if not file.exists():
        raise NotFoundError(f"{what} {path} does not exist")
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = file.read_bytes()[: error.start].count(b"\n") + 1
        msg = f"{what} {path} is no text in UTF-8 (line {line}): save it as UTF-8"
        raise InputError(msg) from error


def read_mapping(path: AnyPath, what: str) -> dict[str, Any]:
    """Read a YAML file that holds a mapping; nothing in it is executed.

    Parameters and errors as of :func:`read_text`, and InputError when it is not YAML with a
    mapping.
    """
    try:
        value = yaml.safe_load(read_text(path, what))
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(value, dict):
        msg = f"{path} holds {type(value).__name__}; a mapping of settings was expected"
        raise InputError(msg)
    return value

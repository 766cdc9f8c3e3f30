"""Reads text that users write: what is none is said in a sentence."""

from __future__ import annotations

from hcs.domain.limits import SHEET_BYTES, Limit
from hcs.errors import InputError
from hcs.io.files.edge import as_name, read_file
from hcs.io.files.paths import AnyPath


def read_text(path: AnyPath, what: str, limit: Limit = SHEET_BYTES) -> str:
    """Read a text file whole.

    Parameters
    ----------
    path
        The file.
    what
        What it should be, for the error message: "study file".
    limit
        Of its bytes.

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When it is a folder or a device, too large, or no text in UTF-8.
    """
    data = read_file(path, what, limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        msg = f"{what} {as_name(path)} is no text in UTF-8 (line {line}): save it as UTF-8"
        raise InputError(msg) from error

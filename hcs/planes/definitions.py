"""What a table's features mean: forests score only what is defined as what they learned from."""

from __future__ import annotations

from typing import Final

from hcs.errors import StaleError
from hcs.io.files import parquet

FEATURES_FORMAT: Final = 10
"""Raised whenever a feature of one name is measured or defined in another way."""

KEY: Final = "features_format"
"""Where the provenance of a features table, and the manifest of forests, say it."""


def read_definitions(features: str) -> int | None:
    """Format of a features table, by its provenance.

    Parameters
    ----------
    features
        A table of features.

    Returns
    -------
    int or None
        0 when hcs wrote it before formats were noted; None when another program did.
    """
    made = parquet.read_provenance(features)
    return int(made.get(KEY, 0)) if made.get("stage") == "features" else None


def refuse_other_definitions(trained: object, measured: int | None, where: str) -> None:
    """Refuse features that are defined otherwise than those that forests learned from.

    Parameters
    ----------
    trained
        From the manifest of the forests: 0 without an entry.
    measured, where
        Of the features, and their name in the message. Tables of other programs pass.

    Raises
    ------
    StaleError
        With what to do.
    """
    if measured is None or trained is None or measured == trained:
        return
    older = "forests" if int(str(trained)) < measured else "features"
    remedy = "train the forests again" if older == "forests" else f"measure {where} again"
    msg = (
        f"the {older} are of an earlier version (format {min(int(str(trained)), measured)}, not "
        f"{max(int(str(trained)), measured)}), which defines features of the same names otherwise,"
        f" such as Image_Neurite_TotalLength: {remedy}"
    )
    raise StaleError(msg)

"""Brings the metadata columns of other programs' profiles under the names that hcs uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd

from hcs.domain import columns as col
from hcs.errors import Fault, FaultsError
from hcs.io.sheets.platemap import read_pert_type
from hcs.io.sheets.platemap_columns import UM_PER_UNIT, assign
from hcs.io.sheets.reading.numbers import MISSING

_COLUMN_OF: Final = {
    "clone": col.CLONE,
    "donor": col.DONOR,
    "diagnosis": col.DIAGNOSIS,
    "batch": col.BATCH,
    "compound": col.COMPOUND,
}


def name_columns(table: pd.DataFrame, file: str, *, has_map: bool) -> pd.DataFrame:
    """Name the metadata of a profile as hcs does; columns that are there stay.

    Parameters
    ----------
    table
        With ``Metadata_…`` columns, as pycytominer or JUMP name them.
    file
        Name for messages.
    has_map
        Whether a plate map says what the wells hold, so that the table need not.

    Returns
    -------
    DataFrame
        With ``Metadata_pert_type`` from JUMP's ``pert_type`` and ``control_type``, and compound,
        clone, donor, diagnosis, batch and concentration where they stand under another name.

    Raises
    ------
    FaultsError
        With every type of well that is not understood: a control that is not recognized would
        pass for a treated well.
    """
    if has_map:
        return table
    metadata = [str(name) for name in table if str(name).startswith("Metadata_")]
    columns, _ = assign(file, metadata)
    table = table.copy()
    _join_pert_types(table, columns.of, metadata, file)
    for meaning, standard in _COLUMN_OF.items():
        if standard not in table and meaning in columns.of:
            table[standard] = table[metadata[columns.of[meaning]]].astype("string")
    amount = columns.of.get("concentration")
    if col.CONCENTRATION_UM not in table and amount is not None and columns.concentration_unit:
        values = table[metadata[amount]]
        if pd.api.types.is_numeric_dtype(values):
            factor = UM_PER_UNIT[columns.concentration_unit.replace("µ", "μ")]
            table[col.CONCENTRATION_UM] = values.astype("float64") * factor
    return table


def _join_pert_types(
    table: pd.DataFrame, of: Mapping[str, int], metadata: list[str], file: str
) -> None:
    """Write what each well is for, from one column or two."""
    names = [
        metadata[of[meaning]] if meaning in of else None
        for meaning in ("pert_type", "control_type")
    ]
    if names == [None, None]:
        return
    texts = [
        [None] * len(table) if name is None else [_read_text(cell) for cell in table[name]]
        for name in names
    ]
    pairs = list(zip(*texts, strict=True))
    kinds: dict[tuple[str | None, str | None], str | None] = {}
    faults: list[Fault] = []
    for row, pair in enumerate(pairs, start=1):
        if pair in kinds:
            continue
        found, wrong = read_pert_type(*pair)
        kinds[pair] = found[0].value if found else None
        for meaning in wrong:
            which = 0 if meaning == "pert_type" else 1
            expected = "negcon, poscon, trt or empty (or a --platemap that says it)"
            faults.append(
                Fault(file, "unknown type of well", row, names[which], pair[which], expected)
            )
        if len(found) > 1:
            message = f"{names[0]} says {pair[0]!r}"
            faults.append(Fault(file, message, row, names[1], pair[1], "the same"))
    if faults:
        raise FaultsError(f"values {file}", faults)
    table[col.PERT_TYPE] = pd.array([kinds[pair] for pair in pairs], dtype="string")


def _read_text(cell: object) -> str | None:
    text = "" if pd.isna(cell) else str(cell).strip()  # type: ignore[call-overload]
    return None if text.casefold() in MISSING else text

"""Blinds clones before acquisition, reveals them after, and tests what position gives away."""

from __future__ import annotations

import csv
import io
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from hcs.design import blinding, layout_bias, placement
from hcs.domain import columns as col
from hcs.domain.blinding import (
    BlindConfig,
    BlindedPlate,
    BlindKey,
    CloneEntry,
    PositionConfig,
    PositionReport,
    RevealConfig,
)
from hcs.domain.plate import PlateMap
from hcs.domain.results import StageResult
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import Fault, FaultsError, InputError, UnknownNameError
from hcs.io.files import parquet
from hcs.io.files.atomic import write_bytes
from hcs.io.files.paths import as_path
from hcs.io.files.spreadsheets import mark_text
from hcs.io.plates import plate_tables
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.locks import locked
from hcs.io.runs.places import refuse_same
from hcs.io.sheets import clones as clonetable
from hcs.io.sheets import keyfile, platemap
from hcs.io.sheets.reading.cells import Dialect
from hcs.words.positions import say_position

STAGE: Final = "blind"
CODE: Final = "Metadata_BlindCode"
"""Column that keeps the code once the clone is revealed."""

_NO_PLATE: Final = "the plate"
_IDENTITY: Final = {
    "clone": col.CLONE,
    "donor": col.DONOR,
    "diagnosis": col.DIAGNOSIS,
    "batch": col.BATCH,
    "pert_type": col.PERT_TYPE,
    "compound": col.COMPOUND,
    "concentration_um": col.CONCENTRATION_UM,
}


def run(config: BlindConfig) -> StageResult:
    """Deal the clones to plates, write the blinded plate map and the key file.

    Returns
    -------
    StageResult
        Its summary says how far position predicts the diagnosis in the layout.

    Raises
    ------
    FaultsError
        With every fault of the clone table, or where it disagrees with an older key file.
    InputError
        When the clones do not fit, or ``out`` holds another map: pipetted layouts are not lost.
    """
    started = time.time()
    refuse_same(clones=config.clones, key=config.key, out=config.out)
    entries = clonetable.read_clonetable(config.clones, Dialect(config.sheet, config.decimal))
    with locked(config.key):
        old = as_path(config.key).exists()
        key = keyfile.read_key(config.key) if old else _new_key()
        key, faults = blinding.add_clones(key, entries, config.clones)
        if faults:
            raise FaultsError(f"clone table {config.clones} and key file {config.key}", faults)
        layouts = [_dealt(config, key, entries, name) for name in config.plates]
        key = key.model_copy(update={"plates": _with_layouts(config, key, layouts)})
        text = _map_text(config, key, layouts)
        _refuse_to_replace(config.out, text)
        keyfile.write_key(config.key, key)  # first: a map without its key is lost
    write_bytes(config.out, text)
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary=_summary(config, key, layouts, entries),
        n_run=len(layouts),
        seconds=time.time() - started,
    )


def _new_key() -> BlindKey:
    return BlindKey(secret=blinding.new_secret(), clones={})


def _dealt(
    config: BlindConfig, key: BlindKey, entries: Sequence[CloneEntry], name: str
) -> BlindedPlate:
    plate_format = PlateFormat.of_size(config.plate_wells)
    exclude = frozenset(Well.parse(text) for text in config.exclude)
    wells = placement.usable_wells(plate_format, config.skip_edge, exclude)
    # In the order of the codes: that of the table must not show in the layout.
    coded = sorted((blinding.code_of(key.secret, entry.identity), entry) for entry in entries)
    dealt = placement.deal(
        wells,
        plate_format,
        [(code, entry.n_wells or config.n_wells) for code, entry in coded],
        [_class_of(entry) for _, entry in coded],
        (key.secret, name, config.seed),
    )
    return BlindedPlate(
        plate=name,
        n_wells=config.plate_wells,
        seed=config.seed,
        wells={well.name: code for well, code in dealt.items()},
    )


def _class_of(entry: CloneEntry) -> str:
    role = "" if entry.pert_type is None else str(entry.pert_type)
    return f"{entry.diagnosis}\x1f{role}"


def _with_layouts(
    config: BlindConfig, key: BlindKey, layouts: Sequence[BlindedPlate]
) -> tuple[BlindedPlate, ...]:
    known = {layout.plate: layout for layout in key.plates}
    for layout in layouts:
        before = known.setdefault(layout.plate, layout)
        if before != layout:
            msg = (
                f"{config.key} knows another layout of plate {layout.plate!r}: name the new plate "
                "otherwise with --plate, or choose a new key file"
            )
            raise InputError(msg)
    return tuple(known[name] for name in sorted(known))


def _map_text(config: BlindConfig, key: BlindKey, layouts: Sequence[BlindedPlate]) -> bytes:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["plate", "well", "clone", *(["pert_type"] if config.open_controls else [])])
    for layout in layouts:
        for well, code in layout.wells.items():
            kind = key.clones[code].pert_type
            opened = [kind or ""] if config.open_controls else []
            writer.writerow([layout.plate, well, code, *opened])
    return sink.getvalue().encode()


def _refuse_to_replace(out: str, text: bytes) -> None:
    file = as_path(out)
    if file.exists() and file.read_bytes() != text:
        msg = f"{out} holds another plate map, which may be pipetted already: choose another --out"
        raise InputError(msg)


def _summary(
    config: BlindConfig,
    key: BlindKey,
    layouts: Sequence[BlindedPlate],
    entries: Sequence[CloneEntry],
) -> dict[str, str | int | float]:
    placed = [
        (layout.plate, Well.parse(well), key.clones[code].diagnosis)
        for layout in layouts
        for well, code in layout.wells.items()
        if key.clones[code].pert_type is None
    ]
    known = [(name, well, str(label)) for name, well, label in placed if label is not None]
    try:
        found = layout_bias.predict_from_position(
            "diagnosis",
            known,
            PlateFormat.of_size(config.plate_wells),
            n_permutations=config.n_permutations,
            seed=config.seed,
        )
        said = say_position(found).sentence
    except InputError as error:
        said = str(error)
    summary: dict[str, str | int | float] = {
        "clones": len(entries),
        "plates": ", ".join(layout.plate for layout in layouts),
        "wells filled a plate": len(layouts[0].wells),
        "key file": f"{config.key} (mode 600; without it the codes cannot be turned back)",
        "position": said,
    }
    if told := _list_by_number(config, entries):
        summary["caution"] = told
    return summary


def _list_by_number(config: BlindConfig, entries: Sequence[CloneEntry]) -> str | None:
    """Say so where the number of wells of a code gives its diagnosis away."""
    numbers: defaultdict[str | None, set[int]] = defaultdict(set)
    for entry in entries:
        if entry.pert_type is None:
            numbers[entry.diagnosis].add(entry.n_wells or config.n_wells)
    if len({frozenset(found) for found in numbers.values()}) < 2:
        return None
    return "the number of wells differs between diagnoses, so counting the codes' wells unblinds"


# ── reveal ──────────────────────────────────────────────────────────────────────────────────────


def reveal(config: RevealConfig) -> StageResult:
    """Put the true identities back into a plate map, a plate's ``wells`` table or a parquet table.

    Raises
    ------
    FaultsError
        With every unknown code, every code that stands in another well than it was dealt to, and
        (plate maps and plates) every missing well.
    InputError
        When ``out`` is absent where it is needed, or would replace the blinded file.
    """
    started = time.time()
    refuse_same(blinded=config.blinded, key=config.key)
    refuse_same(key=config.key, out=config.out)
    key = keyfile.read_key(config.key)
    kind = "plate" if as_path(config.blinded).is_dir() else Path(config.blinded).suffix.lower()
    if kind == "plate":
        out = config.blinded
        with locked(out):
            frame = _reveal_names(config, key, PlateReader(out).well_table, whole=True)
            plate_tables.write_plate_table(out, plate_tables.WELLS, frame)
    else:
        if config.out is None or Path(config.out) == Path(config.blinded):
            msg = f"name the file to write with --out; {config.blinded} stays as it is"
            raise InputError(msg)
        out = config.out
        if kind == ".parquet":
            table = parquet.read_table(config.blinded, columns=(col.WELL, col.CLONE))
            frame = _reveal_names(config, key, table, whole=False)
            parquet.write_table(out, frame, parquet.read_provenance(config.blinded))
        else:
            dialect = Dialect(config.sheet, config.decimal)
            mapped = platemap.read_platemap(config.blinded, dialect=dialect)
            table = platemap.to_frame(mapped)
            frame = _reveal_names(config, key, table, whole=True)
            text = mark_text(frame).to_csv(index=False, lineterminator="\n")
            write_bytes(out, text.encode())
    return StageResult(
        stage=f"{STAGE} reveal",
        out=out,
        summary={
            "rows": len(frame),
            "clones": int(frame[col.CLONE].nunique()),
            "diagnoses": ", ".join(sorted(map(str, frame[col.DIAGNOSIS].dropna().unique()))),
        },
        n_run=1,
        seconds=time.time() - started,
    )


def _reveal_names(
    config: RevealConfig, key: BlindKey, blinded: pd.DataFrame, *, whole: bool
) -> pd.DataFrame:
    """Return the table with identities in the place of codes, which move to their own column."""
    frame = blinded.copy()
    if CODE in frame.columns:
        msg = f"{config.blinded} is revealed already: it has the column {CODE}"
        raise InputError(msg)
    if col.CLONE not in frame.columns:
        msg = f"{config.blinded} has no column for the clone, so no codes"
        raise InputError(msg)
    for name in (col.PLATE, col.DIAGNOSIS):
        if name not in frame.columns:
            frame[name] = None
    codes = [None if pd.isna(code) else str(code) for code in frame[col.CLONE]]
    plates = [None if pd.isna(name) else str(name) for name in frame[col.PLATE]]
    wells = list(zip(plates, frame[col.WELL].astype(str), codes, strict=True))
    faults = blinding.reveal_faults(key, wells, config.blinded, whole=whole)
    if faults:
        raise FaultsError(f"{config.blinded} and key file {config.key}", faults)
    frame[CODE] = pd.Series(codes, index=frame.index, dtype="string")
    entries = [key.clones[code] if code else None for code in codes]
    for attribute, column in _IDENTITY.items():
        values = [getattr(entry, attribute, None) for entry in entries]
        if attribute in {"clone", "donor", "diagnosis"} or any(v is not None for v in values):
            frame[column] = _column(frame.get(column), values, attribute)
    for name in dict.fromkeys(name for entry in key.clones.values() for name in entry.extra):
        values = [entry.extra.get(name) if entry else None for entry in entries]
        frame[f"Metadata_{name}"] = _narrow(pd.Series(values, index=frame.index, dtype="string"))
    return frame


def _column(there: pd.Series | None, values: Sequence[Any], attribute: str) -> pd.Series:
    """Values of the key file; where it has none, what the table has (added since)."""
    if attribute == "concentration_um":
        made = pd.Series(values, dtype="float64")
    else:
        made = pd.Series([None if v is None else str(v) for v in values], dtype="string")
    if there is None or attribute == "clone":
        return made.set_axis(there.index) if there is not None else made
    return made.set_axis(there.index).combine_first(there.astype(made.dtype))


def _narrow(column: pd.Series) -> pd.Series:
    """Text that holds numbers throughout becomes numbers."""
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().equals(column.notna()) else column


# ── position ────────────────────────────────────────────────────────────────────────────────────


def predict_from_position(config: PositionConfig) -> PositionReport:
    """Say how far the position on the plate predicts a column of anyone's plate map.

    Raises
    ------
    UnknownNameError
        When the map has no such column.
    InputError
        When fewer than two classes have two wells.
    """
    dialect = Dialect(config.sheet, config.decimal)
    mapped = platemap.read_platemap(config.platemap, dialect=dialect)
    frame = platemap.to_frame(mapped)
    column = _label_column(frame, config)
    wells = {row.well for row in mapped.rows}
    plate_format = (
        PlateFormat.of_size(config.plate_wells)
        if config.plate_wells
        else PlateFormat.smallest_for(wells)
    )
    outside = sorted(well.name for well in wells if not plate_format.holds(well))
    if outside:
        faults = [
            Fault(
                config.platemap, f"a plate of {plate_format.n_wells} has no such well", value=name
            )
            for name in outside
        ]
        raise FaultsError(config.platemap, faults)
    found = layout_bias.predict_from_position(
        config.label,
        _place(mapped, frame[column]),
        plate_format,
        n_permutations=config.n_permutations,
        seed=config.seed,
    )
    return say_position(found)


def _label_column(frame: pd.DataFrame, config: PositionConfig) -> str:
    wanted = config.label.casefold().removeprefix("metadata_")
    existing = {str(name).casefold().removeprefix("metadata_"): str(name) for name in frame.columns}
    if wanted not in existing:
        raise UnknownNameError("column", config.label, config.platemap, sorted(existing))
    return existing[wanted]


def _place(mapped: PlateMap, labels: pd.Series) -> list[tuple[str, Well, str]]:
    return [
        (row.plate or _NO_PLATE, row.well, str(label))
        for row, label in zip(mapped.rows, labels, strict=True)
        if pd.notna(label)
    ]

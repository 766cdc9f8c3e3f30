"""Reads a plate-reader screen in the files of cellHTS2: plate list, configuration, screen log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import pandas as pd
from upath import UPath

from hcs.domain import columns as col
from hcs.domain.plate import PertType
from hcs.errors import Fault, FaultsError, InputError, NotFoundError, UnknownNameError
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.sheets.reading.cells import Sheet, read_sheet
from hcs.io.sheets.reading.numbers import read_numbers
from hcs.io.sheets.reading.text import decode
from hcs.io.sheets.wellnames import parse_well

VALUE: Final = "value"
"""Name of the column of values, which the files themselves leave without one."""

WORD, ROW = "word", "row"
"""What stands in the place of a value (``OVRFLW``), and its line in the plate's file."""

_CONFIGURATION, _LOG, _ANNOTATION = "Plateconf.txt", "Screenlog.txt", "GeneIDs*.txt"

_KIND_OF: Final = {
    "sample": PertType.TREATMENT,
    "neg": PertType.NEGCON,
    "pos": PertType.POSCON,
    "other": PertType.EMPTY,
    "empty": PertType.EMPTY,
}

_NAMES: Final = frozenset({"filename", "plate", "replicate"})


def is_plate_header(header: Sequence[str], _below: Sequence[Sequence[str]] = ()) -> bool:
    """Whether a row is the header of a plate list."""
    return {name.casefold() for name in header} >= _NAMES


def is_plate_list(sheet: Sheet) -> bool:
    """Whether a table is a plate list: columns Filename, Plate, Replicate."""
    return is_plate_header(sheet.header)


def list_files(plate_list: AnyPath, sheet: Sheet) -> list[str]:
    """List the files that a plate list names, and those read with it, as far as they exist."""
    folder = as_path(plate_list).parent
    place = [name.casefold() for name in sheet.header].index("filename")
    named = [folder / cells[place] for _, cells in sheet.rows]
    beside = [folder / _CONFIGURATION, folder / _LOG, *folder.glob(_ANNOTATION)]
    return sorted({str(file) for file in (*named, *beside) if file.is_file()})


def read_screen(plate_list: AnyPath) -> pd.DataFrame:
    """Read all plates of a plate list with what lies beside it.

    Every file of the list has one line a well: plate, well, value, separated by tabs, without a
    header. ``Plateconf.txt`` says which wells are controls (the last line that fits a well
    counts), ``Screenlog.txt`` which measurements are flagged, ``GeneIDs*.txt`` what the wells
    target; the last two may be absent, and without the first all wells are samples.

    Parameters
    ----------
    plate_list
        ``Platelist.txt``.

    Returns
    -------
    DataFrame
        One row a well and replicate: ``Metadata_Plate`` (name of the file),
        ``Metadata_Well``, ``Metadata_Batch`` (``replicate 1``), ``Metadata_Compound`` (number of
        the library plate and well, the same on all replicates), ``Metadata_pert_type``,
        annotation as ``Metadata_…``, ``flags`` and ``value``; ``word`` and ``row`` where an
        instrument says that it has no value.

    Raises
    ------
    NotFoundError
        When the list or a plate file is absent.
    UnknownNameError, InputError
        When a column is absent, or several channels are listed.
    FaultsError
        With every line that is no well and no number, or a log that names no plate of the list.

    References
    ----------
    Boutros, Brás & Huber 2006, Genome Biol 7:R66, doi 10.1186/gb-2006-7-7-r66.
    """
    listed = _frame(read_sheet(plate_list, is_plate_header, what="plate list"), _NAMES)
    if listed.get("channel", pd.Series(dtype=object)).nunique() > 1:
        msg = f"{plate_list} lists several channels; give one plate list for each"
        raise InputError(msg)
    folder = as_path(plate_list).parent
    faults: list[Fault] = []
    plates = [
        _plate(folder, str(row.filename), str(row.plate), str(row.replicate), faults)
        for row in listed.itertuples()
    ]
    if faults:
        raise FaultsError(f"plates of {plate_list}", faults)
    table = pd.concat(plates, ignore_index=True)
    table[col.PERT_TYPE] = _kinds(folder / _CONFIGURATION, table)
    table[col.FLAGS] = _flags(folder / _LOG, table)
    for file in sorted(folder.glob(_ANNOTATION)):
        table = _read_annotation(table, file)
    return table.drop(columns=["plate", "replicate"])


def _frame(sheet: Sheet, needed: frozenset[str]) -> pd.DataFrame:
    """Cells as text, columns in lower case."""
    names = [name.casefold() for name in sheet.header]
    for name in sorted(needed - set(names)):
        raise UnknownNameError("column", name, sheet.file, sheet.header)
    return pd.DataFrame([cells for _, cells in sheet.rows], columns=names, dtype=object)


def _plate(
    folder: UPath, filename: str, plate: str, replicate: str, faults: list[Fault]
) -> pd.DataFrame:
    file = folder / filename
    if not file.is_file():
        msg = f"plate file {file} of the plate list does not exist"
        raise NotFoundError(msg)
    lines = [
        (number, line, line.split("\t"))
        for number, line in enumerate(decode(file.read_bytes()).splitlines(), start=1)
        if line.strip()
    ]
    numbers = read_numbers([cells[2].strip() if len(cells) == 3 else "" for _, _, cells in lines])
    unread = {item.place for item in numbers.unread}
    rows = []
    for place, (number, line, cells) in enumerate(lines):
        well = parse_well(cells[1]) if len(cells) == 3 else None
        if well is None or place in unread:
            expected = "plate, well and number, separated by tabs"
            faults.append(Fault(str(file), "no measurement", number, value=line, expected=expected))
            continue
        word = cells[2].strip() if place in numbers.beyond else ""
        rows.append((well.name, numbers.values[place], word, number))
    frame = pd.DataFrame(rows, columns=[col.WELL, VALUE, WORD, ROW])
    frame.insert(0, col.PLATE, file.stem)
    frame[col.BATCH] = f"replicate {replicate}"
    frame[col.COMPOUND] = plate + " " + frame[col.WELL]
    return frame.assign(plate=plate, replicate=replicate)


def _kinds(file: UPath, table: pd.DataFrame) -> list[str]:
    """Kind of every well: the last line of the configuration that fits its plate and name."""
    if not file.is_file():
        return [PertType.TREATMENT.value] * len(table)
    lines = [line.split("\t") for line in decode(file.read_bytes()).splitlines()]
    header = next((i for i, cells in enumerate(lines) if cells[0].casefold() == "plate"), None)
    rules = (
        [cells for cells in lines[header + 1 :] if len(cells) >= 3] if header is not None else []
    )
    faults = [
        Fault(str(file), "unknown content", value=cells[2], expected=", ".join(_KIND_OF))
        for cells in rules
        if cells[2].casefold() not in _KIND_OF
    ]
    if not rules:
        faults.append(Fault(str(file), "no lines below 'Plate, Well, Content'"))
    if faults:
        raise FaultsError(f"plate configuration {file}", faults)
    pairs = table[["plate", col.WELL]].drop_duplicates()
    kinds = {
        (plate, well): _last_that_fits(rules, plate, well)
        for plate, well in pairs.itertuples(index=False)
    }
    return [kinds[key] for key in zip(table["plate"], table[col.WELL], strict=True)]


def _last_that_fits(rules: Sequence[Sequence[str]], plate: str, well: str) -> str:
    kind = PertType.EMPTY
    for of_plate, of_well, content, *_ in rules:
        if _fits(of_plate, plate) and _fits(of_well, well):
            kind = _KIND_OF[content.casefold()]
    return kind.value


def _fits(pattern: str, text: str) -> bool:
    """Match as cellHTS2 does: ``*`` for all, else a regular expression for the whole."""
    return pattern == "*" or re.fullmatch(pattern, text, flags=re.IGNORECASE) is not None


def _flags(file: UPath, table: pd.DataFrame) -> pd.Series:
    """Comment of every measurement that the screen log names; empty for the others."""
    if not file.is_file():
        return pd.Series("", index=table.index)
    log = _frame(read_sheet(file), frozenset({"plate", "sample", "well", "flag"}))
    log[col.WELL] = [getattr(parse_well(text), "name", text) for text in log["well"]]
    words = log.get("comment", log["flag"]).replace("", "flagged")
    keys = zip(log["plate"], log["sample"], log[col.WELL], strict=True)
    named = dict(zip(keys, words, strict=True))
    measured = list(zip(table["plate"], table["replicate"], table[col.WELL], strict=True))
    unknown = sorted(set(named) - set(measured))
    if unknown:
        faults = [
            Fault(str(file), "no such measurement", value=" ".join(key)) for key in unknown[:20]
        ]
        raise FaultsError(f"screen log {file}", faults)
    return pd.Series([named.get(key, "") for key in measured], index=table.index)


def _read_annotation(table: pd.DataFrame, file: UPath) -> pd.DataFrame:
    sheet = read_sheet(file)
    found = pd.DataFrame([cells for _, cells in sheet.rows], columns=list(sheet.header))
    names = {name.casefold(): name for name in found.columns}
    if not {"plate", "well"} <= names.keys():
        return table
    found[col.WELL] = [getattr(parse_well(t), "name", t) for t in found[names["well"]]]
    kept = [name for name in sheet.header if name.casefold() not in {"plate", "well"}]
    renamed = found.rename(
        columns={names["plate"]: "plate"} | {name: f"Metadata_{name}" for name in kept}
    )
    renamed = renamed.replace({"NA": None, "": None})
    wanted = ["plate", col.WELL, *(f"Metadata_{name}" for name in kept)]
    return table.merge(renamed[wanted], on=["plate", col.WELL], how="left", validate="m:1")

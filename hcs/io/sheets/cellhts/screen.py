"""Reads a plate-reader screen in the files of cellHTS2: plate list, configuration, screen log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from upath import UPath

from hcs.domain import columns as col
from hcs.domain.limits import SHEET_BYTES
from hcs.domain.plate import PertType
from hcs.errors import Fault, FaultsError, InputError, NotFoundError, UnknownNameError
from hcs.io.files.edge import read_file
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.sheets.cellhts.configuration import read_configuration
from hcs.io.sheets.reading.cells import Sheet, read_sheet
from hcs.io.sheets.reading.notes import list_some
from hcs.io.sheets.reading.numbers import NoNumber, read_numbers
from hcs.io.sheets.reading.text import decode
from hcs.io.sheets.wellnames import parse_well

VALUE: Final = "value"
"""Name of the column of values, which the files themselves leave without one."""

_CONFIGURATION, _LOG, _ANNOTATION = "Plateconf.txt", "Screenlog.txt", "GeneIDs*.txt"

_NAMES: Final = frozenset({"filename", "plate", "replicate"})

_SHOWN_FAULTS: Final = 20


@dataclass(frozen=True, slots=True)
class ReaderScreen:
    """What the files of a screen say.

    Attributes
    ----------
    table
        One row a plate × replicate × well.
    columns
        Columns of values: ``value``, or ``channel 1`` … of several channels.
    absent
        Measurements that are words in place of numbers.
    notes
        What was done to read the files, in words.
    """

    table: pd.DataFrame
    columns: tuple[str, ...]
    absent: tuple[NoNumber, ...]
    notes: tuple[str, ...]


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
    named = [folder / cells[place] for _, cells in sheet.rows if _is_inside(cells[place])]
    beside = [folder / _CONFIGURATION, folder / _LOG, *folder.glob(_ANNOTATION)]
    return sorted({str(file) for file in (*named, *beside) if file.is_file()})


def _is_inside(filename: str) -> bool:
    """Whether a file of the list lies in the list's folder: lists come from others."""
    parts = filename.replace("\\", "/").split("/")
    is_name = all(len(part.encode()) < 256 and "\0" not in part for part in parts)
    return is_name and ":" not in parts[0] and ".." not in parts and parts[0] != ""


def flags_of(column: str) -> str:
    """Name of the column of flags that count for one column of values only."""
    return f"{col.FLAGS} of {column}"


def read_screen(plate_list: AnyPath, kinds: Mapping[str, PertType] | None = None) -> ReaderScreen:
    """Read all plates of a plate list with what lies beside it.

    Every file of the list has one line a well: plate, well, value, separated by tabs, without a
    header. ``Plateconf.txt`` says which wells are controls (the last line that fits a well
    counts), ``Screenlog.txt`` which measurements are flagged, ``GeneIDs*.txt`` what the wells
    target; the last two may be absent, and without the first all wells are samples.

    Parameters
    ----------
    plate_list
        ``Platelist.txt``. A column Channel tells several measurements of a plate apart.
    kinds
        What words of the configuration's Content mean beside sample, neg, pos, other and empty.

    Returns
    -------
    ReaderScreen
        Its table has ``Metadata_Plate`` (name of the file; of several channels, that of the
        first), ``Metadata_Well``, ``Metadata_Batch`` (``replicate 1``), ``Metadata_Compound``
        (number of the library plate and well, the same on all replicates),
        ``Metadata_pert_type``, annotation as ``Metadata_…``, the values, and ``flags``; with
        several channels ``flags of channel 1`` … in its place.

    Raises
    ------
    NotFoundError
        When the list or a plate file is absent.
    UnknownNameError, InputError
        When a column is absent, or it is not clear which channel a flag means.
    FaultsError
        With every line that is no well and no number, a measurement that is listed twice, words
        of the configuration without a meaning, or a log that names no measurement of the list.

    References
    ----------
    Boutros, Brás & Huber 2006, Genome Biol 7:R66, doi 10.1186/gb-2006-7-7-r66.
    """
    listed = _frame(read_sheet(plate_list, is_plate_header, what="plate list"), _NAMES)
    if listed.empty:
        raise InputError(f"plate list {plate_list} names no file below its header")
    folder = as_path(plate_list).parent
    _refuse_twice(listed, plate_list)
    names = _name_columns(listed)
    faults: list[Fault] = []
    files = [
        _read_plate(folder, str(row["filename"]), faults)
        for row in listed.to_dict(orient="records")
    ]
    if faults:
        raise FaultsError(f"plates of {plate_list}", faults)
    table, absent = _join_channels(listed, files, names)
    table[col.PERT_TYPE] = read_configuration(folder / _CONFIGURATION, table, kinds or {})
    notes = _add_flags(table, folder / _LOG, listed, names)
    for file in sorted(folder.glob(_ANNOTATION)):
        table = _read_annotation(table, file)
    table = table.drop(columns=["plate", "replicate", "list batch"])
    return ReaderScreen(table, tuple(dict.fromkeys(names)), tuple(absent), tuple(notes))


def _frame(sheet: Sheet, needed: frozenset[str]) -> pd.DataFrame:
    """Cells as text, columns in lower case."""
    names = [name.casefold() for name in sheet.header]
    for name in sorted(needed - set(names)):
        raise UnknownNameError("column", name, sheet.file, sheet.header)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{sheet.file} has several columns {twice}: keep one of each")
    return pd.DataFrame([cells for _, cells in sheet.rows], columns=names, dtype=object)


def _refuse_twice(listed: pd.DataFrame, plate_list: AnyPath) -> None:
    key = [name for name in ("plate", "replicate", "channel") if name in listed]
    twice = listed[listed.duplicated(key) | listed["filename"].str.casefold().duplicated()]
    faults = [
        Fault(
            str(plate_list),
            "listed before",
            value=" ".join([row["filename"], *(f"{name} {row[name]}" for name in key)]),
            expected="every file, and every " + " × ".join(key) + ", once",
        )
        for row in twice.head(_SHOWN_FAULTS).to_dict(orient="records")
    ]
    if faults:
        raise FaultsError(f"plate list {plate_list}", faults)


def _name_columns(listed: pd.DataFrame) -> list[str]:
    """Column of values that each file of the list goes to."""
    if "channel" not in listed or listed["channel"].nunique() == 1:
        return [VALUE] * len(listed)
    return [f"channel {channel}" for channel in listed["channel"]]


def _read_plate(folder: UPath, filename: str, faults: list[Fault]) -> pd.DataFrame:
    """Well, value, word in place of a value, and line of every measurement of a file."""
    if not _is_inside(filename):
        msg = (
            f"the plate list names {filename!r}, which is no file of its folder {folder}: put "
            "the files of the plates beside the list, and name them without .. and /"
        )
        raise InputError(msg)
    file = folder / filename
    if not file.is_file():
        msg = f"plate file {file} of the plate list does not exist"
        raise NotFoundError(msg)
    text = decode(read_file(file, "plate file", SHEET_BYTES))
    lines = [
        (number, line, line.split("\t"))
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]
    numbers = read_numbers([cells[2].strip() if len(cells) == 3 else "" for _, _, cells in lines])
    unread = {item.place for item in numbers.unread}
    rows: dict[str, tuple[float | None, str, int]] = {}
    for place, (number, line, cells) in enumerate(lines):
        well = parse_well(cells[1]) if len(cells) == 3 else None
        if well is None or place in unread:
            expected = "plate, well and number, separated by tabs"
            faults.append(Fault(str(file), "no measurement", number, value=line, expected=expected))
        elif well.name in rows:
            what = f"well {well.name} was measured in line {rows[well.name][2]}"
            faults.append(Fault(str(file), what, number, value=line, expected="every well once"))
        else:
            word = cells[2].strip() if place in numbers.beyond else ""
            rows[well.name] = (numbers.values[place], word, number)
    if not lines:
        faults.append(Fault(str(file), "no measurements", expected="a line for every well"))
    frame = pd.DataFrame(list(rows.values()), columns=[VALUE, "word", "row"])
    frame.insert(0, col.WELL, list(rows))
    frame[VALUE] = frame[VALUE].astype("float64")
    return frame


def _join_channels(
    listed: pd.DataFrame, files: list[pd.DataFrame], names: list[str]
) -> tuple[pd.DataFrame, list[NoNumber]]:
    """One row a plate × replicate × well, a column a channel."""
    plates: list[pd.DataFrame] = []
    absent: list[NoNumber] = []
    for key, rows in listed.groupby(["plate", "replicate"], sort=False):
        plate, replicate = map(str, key)
        stem = UPath(str(rows["filename"].iloc[0])).stem
        joined: pd.DataFrame | None = None
        for place in rows.index:
            own, name = files[place], names[place]
            spoken = own[own["word"] != ""]
            absent += [
                NoNumber(stem, well, name, row, word)
                for well, word, row in zip(
                    spoken[col.WELL], spoken["word"], spoken["row"], strict=True
                )
            ]
            own = own[[col.WELL, VALUE]].rename(columns={VALUE: name})
            joined = own if joined is None else joined.merge(own, on=col.WELL, how="outer")
        if joined is None:
            continue
        joined.insert(0, col.PLATE, stem)
        joined[col.BATCH] = f"replicate {replicate}"
        joined[col.COMPOUND] = plate + " " + joined[col.WELL]
        batch = str(rows["batch"].iloc[0]) if "batch" in rows else "1"
        plates.append(
            joined.assign(**{"plate": plate, "replicate": replicate, "list batch": batch})
        )
    return pd.concat(plates, ignore_index=True), absent


def _add_flags(
    table: pd.DataFrame, file: UPath, listed: pd.DataFrame, names: list[str]
) -> list[str]:
    """Add the comment of every measurement that the screen log names; empty for the others.

    Returns
    -------
    list of str
        What was left aside.
    """
    columns = dict.fromkeys(names)
    flags = {name: np.full(len(table), "", dtype=object) for name in columns}
    notes: list[str] = []
    if file.is_file():
        log = _frame(read_sheet(file), frozenset({"well", "flag"}))
        log[col.WELL] = [getattr(parse_well(text), "name", text) for text in log["well"]]
        log, notes = _place_log(log, file, listed, names)
        words = log.get("comment", log["flag"]).replace("", "flagged")
        keys = zip(table["plate"], table["replicate"], table[col.WELL], strict=True)
        place = {key: index for index, key in enumerate(keys)}
        faults = []
        for row, word in zip(log.to_dict(orient="records"), words, strict=True):
            index = place.get((row["plate"], row["sample"], row[col.WELL]))
            if index is None:
                value = f"{row['plate']} {row['sample']} {row[col.WELL]}"
                faults.append(Fault(str(file), "no such measurement", value=value))
                continue
            for name in columns if row["column"] is None else (row["column"],):
                flags[name][index] = word
        if faults:
            raise FaultsError(f"screen log {file}", faults[:_SHOWN_FAULTS])
    for name, of in flags.items():
        table[col.FLAGS if len(flags) == 1 else flags_of(name)] = of
    return notes


def _place_log(
    log: pd.DataFrame, file: UPath, listed: pd.DataFrame, names: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Plate, sample and column of values of every line; None is every column."""
    if "filename" in log and not {"plate", "sample"} <= set(log):
        return _place_by_file(log, file, listed, names), []
    for name in ("plate", "sample"):
        if name not in log:
            raise UnknownNameError("column", name, str(file), list(log.columns))
    if "channel" not in log:
        if len(set(names)) > 1:
            msg = (
                f"screen log {file} does not say which channel is flagged, and the plate list has "
                f"several: give it a column Channel"
            )
            raise InputError(msg)
        return log.assign(column=names[0]), []
    channels = listed["channel"] if "channel" in listed else pd.Series(["1"] * len(listed))
    others = sorted(set(log["channel"]) - set(channels) - {""})
    if others and "channel" not in listed:
        msg = (
            f"screen log {file} flags channel {list_some(others)}, and the plate list does not say "
            "which channel its files are: give it a column Channel"
        )
        raise InputError(msg)
    column = dict(zip(channels, names, strict=True)) | {"": None}
    kept = log[log["channel"].isin(list(column))]
    notes = []
    if others:
        left_out = len(log) - len(kept)
        notes.append(f"{left_out} flags of channel {list_some(others)}, which is not listed")
    return kept.assign(column=[column[channel] for channel in kept["channel"]]), notes


def _place_by_file(
    log: pd.DataFrame, file: UPath, listed: pd.DataFrame, names: list[str]
) -> pd.DataFrame:
    """Find the lines of a log that names files."""
    rows = dict(zip(listed["filename"].str.casefold(), range(len(listed)), strict=True))
    if unknown := sorted({name for name in log["filename"] if name.casefold() not in rows}):
        faults = [
            Fault(str(file), "no file of the plate list", value=name)
            for name in unknown[:_SHOWN_FAULTS]
        ]
        raise FaultsError(f"screen log {file}", faults)
    places = [rows[name.casefold()] for name in log["filename"]]
    found = listed.iloc[places].reset_index(drop=True)
    return log.assign(
        plate=found["plate"].to_numpy(),
        sample=found["replicate"].to_numpy(),
        column=[names[place] for place in places],
    )


def _read_annotation(table: pd.DataFrame, file: UPath) -> pd.DataFrame:
    sheet = read_sheet(file)
    found = pd.DataFrame([cells for _, cells in sheet.rows], columns=list(sheet.header))
    names = {name.casefold(): name for name in found.columns}
    if len(names) < len(found.columns):
        raise InputError(f"{file} has several columns of one name: keep one of each")
    if not {"plate", "well"} <= names.keys():
        return table
    found[col.WELL] = [getattr(parse_well(t), "name", t) for t in found[names["well"]]]
    kept = [name for name in sheet.header if name.casefold() not in {"plate", "well"}]
    taken = {str(name).casefold() for name in table.columns}
    own = {
        name: f"Metadata_{name}" if f"metadata_{name}".casefold() not in taken
        else f"Metadata_Annotation_{name}"
        for name in kept
    }  # fmt: skip
    renamed = found.rename(columns={names["plate"]: "plate"} | own)
    renamed = renamed.replace({"NA": None, "": None})
    twice = renamed[renamed.duplicated(["plate", col.WELL])]
    if len(twice):
        faults = [
            Fault(str(file), "annotated before", value=f"{row['plate']} {row[col.WELL]}")
            for row in twice.head(_SHOWN_FAULTS).to_dict(orient="records")
        ]
        raise FaultsError(f"annotation {file}", faults)
    wanted = ["plate", col.WELL, *own.values()]
    return table.merge(renamed[wanted], on=["plate", col.WELL], how="left", validate="m:1")

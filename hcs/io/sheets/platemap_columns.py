"""Which column of a plate map means what, under the names that are in use."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hcs.domain import columns as col
from hcs.errors import Fault
from hcs.io.sheets.wellnames import parse_well

NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "well": (
        "well", "well_name", "wellname", "well_position", "wellposition", "well_id", "wellid",
        "well_label", "colrow", "col_row", "column_row", "rowcol", "assay_well",
    ),
    "row": ("row", "well_row", "wellrow", "row_name", "row_letter"),
    "column": ("column", "col", "well_column", "well_col", "wellcolumn", "wellcol", "column_name"),
    "plate": (
        "plate", "plate_name", "platename", "plate_id", "plateid", "barcode", "plate_barcode",
        "assay_plate_barcode",
    ),
    "plate_map": ("plate_map_name", "platemap_name", "plate_map", "platemap", "plate_layout"),
    "clone": (
        "clone", "clone_id", "clone_name", "cell_line", "cellline", "cell_line_id", "line",
        "line_id", "ipsc_line", "ipsc_clone",
    ),
    "donor": (
        "donor", "donor_id", "subject", "subject_id", "patient", "patient_id", "individual",
    ),
    "diagnosis": ("diagnosis", "disease", "disease_status"),
    "batch": ("batch", "batch_id", "differentiation_batch"),
    "pert_type": ("pert_type", "role", "well_role", "welltype", "well_type"),
    "control_type": ("control_type",),
    "compound": (
        "compound", "compound_name", "drug", "drug_name", "pert_iname", "pert_name", "substanz",
        "wirkstoff", "verbindung",
    ),
    "unit": (
        "unit", "units", "concentration_unit", "concentration_units", "conc_unit", "conc_units",
        "dose_unit", "dose_units",
    ),
}  # fmt: skip
"""Names of each meaning after :func:`normal`: JUMP, pycytominer, CellProfiler, Fractal, OMERO,
operetta-compose."""

FALLBACKS: Final[Mapping[str, tuple[str, ...]]] = {
    "compound": ("treatment", "broad_sample", "compound_id", "pert_id"),
    "diagnosis": ("group",),
}
"""Names that count only where no better one is there; else they stay columns of their own."""

UM_PER_UNIT: Final = {
    "pm": 1e-6, "nm": 1e-3, "um": 1.0, "μm": 1.0, "mm": 1e3, "m": 1e6,
    "pmol/l": 1e-6, "nmol/l": 1e-3, "umol/l": 1.0, "μmol/l": 1.0, "mmol/l": 1e3, "mol/l": 1e6,
    "picomolar": 1e-6, "nanomolar": 1e-3, "micromolar": 1.0, "millimolar": 1e3, "molar": 1e6,
}  # fmt: skip
"""µM in one of each unit; units in folded letter case, the micro sign as Greek mu."""

NOT_MOLAR_UNITS: Final = frozenset(
    {"%", "% v/v", "%v/v", "% w/v", "%w/v", "x", "fold", "mg/ml", "ug/ml", "μg/ml", "ng/ml",
     "pg/ml", "mg/l", "ug/l", "u/ml", "iu/ml", "ppm", "moi"}
)  # fmt: skip
"""Units that no molar mass is known for: the value is kept beside, as it stands."""

_CONCENTRATION: Final = re.compile(
    r"(?:final_)?(?:compound_|drug_|pert_|treatment_)?(?P<word>concentration|conc|dose|konzentration|konz|dosis)"
    r"(?:_in)?(?:_(?P<unit>[pnuμm]?m|(?:pico|nano|micro|milli)?molar))?"
)
_PER_LITER: Final = re.compile(r"(?P<unit>[pnuμm]?)mol(?:es)?_per_l(?:iter|itre)?")
_NUMBERED_NAME: Final = re.compile(
    r"(?:compound|drug|treatment|pert(?:_i?name)?)(?:_name)?_?(?P<number>\d{1,2})(?:_name)?"
)
_DOSE: Final = r"(?:concentration|conc|dose)"
_MOLAR: Final = r"(?P<unit>[pnuμm]?m|(?:pico|nano|micro|milli)?molar)"
_NUMBERED_CONCENTRATION: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:final_)?(?:compound_|drug_|pert_)?{_DOSE}(?:_in)?(?:_{_MOLAR})?_?(?P<number>\d{{1,2}})",
        rf"(?:compound|drug|pert|{_DOSE})_?(?P<number>\d{{1,2}})(?:_{_DOSE})?(?:_in)?_{_MOLAR}",
        rf"(?:compound|drug|pert)_?(?P<number>\d{{1,2}})_{_DOSE}(?:_{_MOLAR})?",
    )
)
_NUMBERED_UNIT: Final = re.compile(rf"(?:{_DOSE}_|compound_)?units?_?(?P<number>\d{{1,2}})")
_PANDAS_INDEX: Final = "__index_level_0__"
_RESERVED: Final = frozenset({"site", "field", "field_path", "fingerprint", "sources"})


@dataclass(frozen=True, slots=True)
class Columns:
    """Position of each meaning in the header, and of the columns that keep their own name.

    Attributes
    ----------
    of
        Position by meaning: the keys of :data:`NAMES` and ``concentration``.
    concentration_unit
        Unit in the name of the concentration column, in folded letter case.
    extra
        Position by name, without a leading ``Metadata_``.
    numbered
        Where several compounds share a well: position of ``compound``, ``concentration`` and
        ``unit`` by the number in their columns' names.
    numbered_units
        Unit in the name of a numbered concentration column.
    """

    of: Mapping[str, int]
    concentration_unit: str | None
    extra: Mapping[str, int]
    numbered: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    numbered_units: Mapping[int, str] = field(default_factory=dict)


def normal(header: str) -> str:
    """Fold a column name: ``Metadata_Well Position`` → ``well_position``.

    Letter case, ``Metadata_``, brackets and the sort of separator do not matter.
    """
    text = re.sub(r"[^\w%μ]+", "_", header.casefold()).strip("_")
    return re.sub(r"^(image_)?metadata_", "", text)


def has_meaning(name: str) -> bool:
    """Whether a column of this name has a meaning in plate maps."""
    folded = normal(name)
    known = {*itertools.chain(*NAMES.values(), *FALLBACKS.values())}
    return folded in known or any(p.fullmatch(folded) for p in (_CONCENTRATION, _PER_LITER))


def assign(
    file: str,
    header: Sequence[str],
    *,
    row: int = 1,
    cells_of: Callable[[int], Sequence[str]] | None = None,
) -> tuple[Columns, list[Fault]]:
    """Say what each column means.

    Parameters
    ----------
    file
        Name for messages.
    header
        Column names as written.
    row
        Number of the header's row.
    cells_of
        Cells of a column, where they are known. Two columns that hold the same in every row may
        have the same meaning (a profile has ``Metadata_Well`` and ``Metadata_well_position``), and
        the second one stays under its own name. Of columns called a well that one counts which
        holds wells (a reader's ``Well ID`` says what stands in its ``Well``), and of a number and a
        barcode of each plate the barcode. A column without a name that counts the rows is passed
        over: programs write it by themselves.

    Returns
    -------
    Columns
        The meanings.
    list of Fault
        Two columns of one meaning, names that stand twice or that belong to images, no well.
    """
    faults: list[Fault] = []
    names = _Header(file, row, header, faults, cells_of)
    folded = [normal(name) for name in header]
    found: dict[str, int] = {}
    meaning_of = {name: meaning for meaning, names in NAMES.items() for name in names}
    called = [i for i, name in enumerate(folded) if meaning_of.get(name) == "well"]
    true = [position for position in called if names.holds_wells(position)]
    passed = {*called} - {*true} if len(true) == 1 else set()
    passed |= names.list_numberings(
        [i for i, name in enumerate(folded) if meaning_of.get(name) == "plate"], true
    )
    for position, name in enumerate(folded):
        meaning = meaning_of.get(name)
        if meaning is not None and position not in passed:
            names.claim(found, meaning, position)
    for meaning, fallbacks in FALLBACKS.items():
        for name in fallbacks:
            if meaning not in found and name in folded:
                found[meaning] = folded.index(name)
    unit = _concentration(found, folded, names)
    if "well" not in found and not {"row", "column"} <= found.keys():
        existing = ", ".join(repr(name) for name in header)
        message = f"no column for the well; there are {existing}"
        expected = (
            "a column 'well', or 'row' and 'column', or grids in a frame of A, B … and 1, 2 …"
        )
        faults.append(Fault(file, message, row, expected=expected))
    numbered, numbered_units = _find_numbered(found, folded, names)
    used = {*found.values(), *(place for of in numbered.values() for place in of.values())}
    extra = _extras(used, folded, names)
    return Columns(found, unit, extra, numbered, numbered_units), faults


def _is_count(cells: Sequence[str]) -> bool:
    """Whether a column holds 1, 2 … up to the number of its different values."""
    found = set(cells)
    return found == {str(number + 1) for number in range(len(found))}


@dataclass(frozen=True)
class _Header:
    """The header of a file, and what is wrong with it."""

    file: str
    row: int
    names: Sequence[str]
    faults: list[Fault]
    cells_of: Callable[[int], Sequence[str]] | None

    def are_equal(self, first: int, second: int) -> bool:
        """Whether two columns hold the same in every row, wells in any spelling."""
        if self.cells_of is None:
            return False
        pairs = zip(self.cells_of(first), self.cells_of(second), strict=True)
        return all((parse_well(a) or a) == (parse_well(b) or b) for a, b in pairs)

    def holds_wells(self, position: int) -> bool:
        """Whether most cells of a column are wells."""
        cells = [cell for cell in self.cells_of(position) if cell] if self.cells_of else []
        return sum(parse_well(cell) is not None for cell in cells) * 2 > len(cells)

    def list_numberings(self, positions: Sequence[int], wells: Sequence[int]) -> set[int]:
        """List columns that only number what another column names, or that hold nothing.

        Rows without a well do not count: remarks below a table stand in any column.
        """
        if self.cells_of is None or len(positions) < 2:
            return set()
        is_well = [True] * len(self.cells_of(positions[0]))
        if wells:
            is_well = [parse_well(cell) is not None for cell in self.cells_of(wells[0])]
        columns = {p: list(itertools.compress(self.cells_of(p), is_well)) for p in positions}
        filled = [p for p in positions if any(columns[p])]
        if len(filled) != 2:
            return set(positions) - set(filled) if filled else set()
        one, other = filled
        n_pairs = len(set(zip(columns[one], columns[other], strict=True)))
        if not n_pairs == len(set(columns[one])) == len(set(columns[other])):
            return set(positions) - set(filled)
        counts = [p for p in filled if _is_count(columns[p])]
        return set(positions) - set(filled) | (set(counts) if len(counts) == 1 else set())

    def counts_rows(self, position: int) -> bool:
        """Whether a column is 0, 1, 2 … or 1, 2, 3 …."""
        cells = [str(cell) for cell in self.cells_of(position)] if self.cells_of else []
        return cells in ([str(i + start) for i in range(len(cells))] for start in (0, 1))

    def add_fault(self, message: str, column: str | None, expected: str | None = None) -> None:
        """Note what is wrong."""
        self.faults.append(Fault(self.file, message, self.row, column, expected=expected))

    def claim(self, found: dict[str, int], meaning: str, position: int) -> None:
        """Note the column of a meaning; a second one that says something else is a fault."""
        first = found.setdefault(meaning, position)
        if first != position and not self.are_equal(first, position):
            one, other = self.names[first], self.names[position]
            message = f"columns {one!r} and {other!r} both mean the {meaning}"
            self.add_fault(message, other, "one of them, or the same in every row")


def _find_numbered(
    found: Mapping[str, int], folded: Sequence[str], names: _Header
) -> tuple[dict[int, dict[str, int]], dict[int, str]]:
    """Find columns such as ``compound_2`` and ``concentration_2_um``.

    They count only where a number has a name: ``treatment_1`` beside ``compound`` is a column of
    its own, and a concentration without its compound is a fault.
    """
    numbered: dict[int, dict[str, int]] = {}
    units: dict[int, str] = {}
    if "compound" in found and folded[found["compound"]] not in FALLBACKS["compound"]:
        return {}, {}
    for position, name in enumerate(folded):
        meaning, match = _split_number(name)
        if match is None or position in found.values():
            continue
        number = int(match["number"])
        names.claim(numbered.setdefault(number, {}), meaning, position)
        if meaning == "concentration" and match["unit"]:
            units[number] = match["unit"]
    named = {number for number, of in numbered.items() if "compound" in of}
    for number, of in sorted(numbered.items()):
        if named and number not in named:
            column = names.names[min(of.values())]
            message = f"there is no column for the name of compound {number}"
            names.add_fault(message, column, f"a column compound_{number}")
    return ({number: numbered[number] for number in sorted(named)}, units) if named else ({}, {})


def _split_number(name: str) -> tuple[str, re.Match[str] | None]:
    for pattern in _NUMBERED_CONCENTRATION:
        if match := pattern.fullmatch(name):
            return "concentration", match
    if match := _NUMBERED_UNIT.fullmatch(name):
        return "unit", match
    return "compound", _NUMBERED_NAME.fullmatch(name)


def _concentration(found: dict[str, int], folded: Sequence[str], names: _Header) -> str | None:
    """Find the concentration column; returns the unit in its name."""
    unit = None
    for position, name in enumerate(folded):
        if match := _CONCENTRATION.fullmatch(name):
            written = match["unit"]
            if match["word"] in {"dose", "dosis"} and written is None and "unit" not in found:
                continue  # 'high', 'low': a dose without unit stays as it is
        elif match := _PER_LITER.fullmatch(name):
            written = f"{match['unit']}m"
        else:
            continue
        names.claim(found, "concentration", position)
        unit = unit or written
    return unit


def _extras(used: set[int], folded: Sequence[str], names: _Header) -> dict[str, int]:
    extra: dict[str, int] = {}
    for position, written in enumerate(names.names):
        if position in used:
            continue
        name = re.sub(r"^(Image_)?Metadata_", "", written, flags=re.IGNORECASE)
        if f"Metadata_{name}".casefold() == col.PLATE.casefold():
            name = f"{name} number"  # beside the column that names the plate
        is_index = name == _PANDAS_INDEX or (not name and position == 0)
        if is_index and names.counts_rows(position):
            continue
        if not name:
            names.add_fault(f"column {position + 1} has no name", None)
        elif folded[position] in _RESERVED or f"Metadata_{name}" in {col.TIME, col.TIME_MIN}:
            message = "the column is of images, a plate map describes wells"
            names.add_fault(message, written, "another name")
        elif name in extra:
            names.add_fault("the column stands twice", written)
        else:
            extra[name] = position
    return extra

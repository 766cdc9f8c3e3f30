"""Recognizes names of plates that a spreadsheet program changed: ``00012`` became 12."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from hcs.domain.plate import PlateMap
from hcs.errors import InputError

_WHOLE: Final = re.compile(r"0*(\d+?)(?:\.0+)?")
_POWER: Final = re.compile(r"(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})")
_EXACT_DIGITS: Final = 15
"""Digits of a number that spreadsheet programs keep; the others become zeros."""


def select_plate(mapped: PlateMap, plate: str, others: Collection[str] = ()) -> PlateMap:
    """Select the rows of a plate map that are of one plate.

    Parameters
    ----------
    mapped
        The plate map; rows without a plate are of every plate.
    plate
        Name of the plate.
    others
        Names of all plates that there are.

    Returns
    -------
    PlateMap
        Its rows. A name that differs only as spreadsheet programs change numbers (leading zeros)
        is recognized where it can mean no other plate, and the notes say so; where the map names
        plates and none is this one, they say that.

    Raises
    ------
    InputError
        When a name of the map may have been this plate's or another's: ``1.1E+11``.
    """
    names = sorted({row.plate for row in mapped.rows if row.plate is not None})
    if not names or plate in names:
        return mapped.of_plate(plate)
    for name in names:
        if _may_be_rounded(name, plate):
            msg = (
                f"plate map {mapped.source} names a plate {name!r}, which a spreadsheet program "
                f"may have made of {plate!r} or of another number: write the names as text there, "
                f"or rename {name!r} to {plate!r}"
            )
            raise InputError(msg)
    same = [name for name in names if name not in others and _are_one_number(name, plate)]
    rivals = [name for name in others if name != plate and _are_one_number(name, plate)]
    if len(same) > 1 or (same and rivals):
        listed = ", ".join(repr(name) for name in (*same, plate, *rivals))
        msg = f"which of the plates {listed} does {mapped.source} mean? Write their names as text"
        raise InputError(msg)
    if same:
        note = f"plate {same[0]!r} of the plate map is taken for {plate!r}"
        return mapped.of_plate(same[0]).model_copy(update={"notes": (*mapped.notes, note)})
    listed = ", ".join(repr(name) for name in names[:5]) + (" …" if len(names) > 5 else "")
    note = f"it describes {listed}, and not {plate!r}"
    found = mapped.of_plate(plate)
    return found.model_copy(update={"notes": (*mapped.notes, note)})


def _are_one_number(name: str, plate: str) -> bool:
    """Whether two names are one number, written with and without zeros, or with a power."""
    one, other = _read_number(name), _read_number(plate)
    return one is not None and one == other


def _read_number(name: str) -> int | None:
    if whole := _WHOLE.fullmatch(name):
        return int(whole[1])
    if power := _POWER.fullmatch(name):
        digits, zeros = power[1] + (power[2] or ""), int(power[3]) - len(power[2] or "")
        return int(digits) * 10**zeros if zeros >= 0 else None
    return None


def _may_be_rounded(name: str, plate: str) -> bool:
    """Whether a name is a number that lost digits, and the plate's may be what it was."""
    whole = _WHOLE.fullmatch(plate)
    if whole is None or name == plate:
        return False
    digits = whole[1]
    if power := _POWER.fullmatch(name):
        shown = len(power[2] or "")
        rounded = f"{int(digits):.{shown}E}"
        return rounded == f"{power[1]}{'.' if shown else ''}{power[2] or ''}E+{int(power[3]):02d}"
    return (
        name.isdigit()
        and len(name) == len(digits) > _EXACT_DIGITS
        and name[:_EXACT_DIGITS] == digits[:_EXACT_DIGITS]
        and not name[_EXACT_DIGITS:].strip("0")
    )

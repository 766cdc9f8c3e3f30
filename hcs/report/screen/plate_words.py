"""What a plate's numbers mean, in sentences for the person at the bench."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from hcs.domain import columns as col
from hcs.domain.plate import PertType
from hcs.domain.wells import Well
from hcs.report import wording
from hcs.words import english

_EXCELLENT: Final = 0.5
"""Least Z′ of an excellent assay: Zhang 1999, doi 10.1177/108705719900400206."""

_SIGNIFICANT: Final = 0.05

_LEAST_WELLS: Final = 4
"""Fewest wells of a treatment from which its place says anything."""

Quality = Mapping[str, Any]
"""One row of the table of plate quality."""


def of_plate(quality: Quality, wells: pd.DataFrame) -> list[str]:
    """Say how good one plate is.

    Parameters
    ----------
    quality
        Its row of the quality table.
    wells
        Its wells, of one model.

    Returns
    -------
    list of str
        Controls, limits, position effects, confounding and flagged wells; what cannot be said is
        left out.
    """
    return [
        *_controls(quality),
        *_limits(quality),
        *_positions(quality),
        *confounding(wells),
        *_list_flagged(wells),
    ]


def _controls(quality: Quality) -> Iterator[str]:
    z = quality.get("z_prime")
    if wording.is_missing(z) or z is None:
        yield (
            f"No Z′: {_number(quality, 'n_negcon')} usable negative and "
            f"{_number(quality, 'n_poscon')} usable positive controls."
        )
        return
    value = f"Z′ = {wording.number(z)}"
    if z >= _EXCELLENT:
        yield f"{value}: positive and negative controls stand well apart."
    elif z >= 0:
        yield f"{value}: the controls stand apart, with little room between them."
    else:
        yield (
            f"{value}: positive and negative controls overlap. A single well says little on this "
            "plate; take hits as candidates to be repeated."
        )


def _number(quality: Quality, name: str) -> int:
    return int(quality.get(name) or 0)


def _limits(quality: Quality) -> Iterator[str]:
    broken = quality.get("failed_limits")
    if broken:
        yield f"The plate breaks a stated limit: {broken}."


def _positions(quality: Quality) -> Iterator[str]:
    before = _significant(quality, "")
    after = _significant(quality, "corrected_")
    if after:
        names = english.join_words(after)
        yield (
            f"Treated wells differ by {names}. Either an effect of the position is left, or like "
            "treatments stand together."
        )
    elif before:
        lines = english.join_words(before)
        yield f"Differences by {lines} were there; the correction removed them."


def _significant(quality: Quality, prefix: str) -> list[str]:
    found = []
    for kind, word in (("row", "row"), ("column", "column"), ("edge", "edge against inside")):
        p = quality.get(f"{prefix}{kind}_p")
        if p is not None and not wording.is_missing(p) and p < _SIGNIFICANT:
            sign = "" if p < 0.001 else "= "
            found.append(f"{word} (p {sign}{wording.p_value(p)})")
    return found


def confounding(wells: pd.DataFrame) -> Iterator[str]:
    """Say where what a well holds follows from where it stands.

    Parameters
    ----------
    wells
        Wells of one plate.
    """
    content = _contents(wells)
    for axis, plural, place in (
        ("column", "columns", wells[col.WELL].map(lambda name: Well.parse(str(name)).column)),
        ("row", "rows", wells[col.WELL].map(lambda name: Well.parse(str(name)).row)),
    ):
        known = content.notna()
        per_line = content[known].groupby(place[known]).nunique()
        sizes = content[known].value_counts()
        replicated = len(sizes) > 1 and sizes.median() >= _LEAST_WELLS
        if replicated and len(per_line) > 1 and (per_line == 1).all():
            yield (
                f"Treatment follows the plate's {plural}: each of the {len(per_line)} {plural} "
                f"holds one treatment only ({wording.count(len(sizes), 'treatment')}). An effect "
                f"of the {axis} cannot be told from an effect of the treatment on this plate."
            )
    yield from _where_controls_stand(wells)


def _contents(wells: pd.DataFrame) -> pd.Series:
    """Say what every well holds: its compound and concentration, else its kind."""
    nothing = pd.Series(None, wells.index, dtype=object)
    kind = wells.get(col.PERT_TYPE, nothing).astype(object)
    controls = kind.where(kind.isin([PertType.NEGCON.value, PertType.POSCON.value]))
    compound = wells.get(col.COMPOUND, nothing).astype(object)
    named = compound.where(compound.notna(), controls)
    if col.CONCENTRATION_UM in wells:
        dose = wells[col.CONCENTRATION_UM]
        named = named.where(dose.isna(), named.astype(str) + " " + dose.astype(str))
    return named.where(kind != PertType.EMPTY.value)


def _where_controls_stand(wells: pd.DataFrame) -> Iterator[str]:
    if col.PERT_TYPE not in wells:
        return
    columns = wells[col.WELL].map(lambda name: Well.parse(str(name)).column + 1)
    controls = wells[col.PERT_TYPE].isin([PertType.NEGCON.value, PertType.POSCON.value])
    treated = wells[col.PERT_TYPE] == PertType.TREATMENT.value
    of_controls, of_treated = set(columns[controls]), set(columns[treated])
    if of_controls and of_treated and not of_controls & of_treated:
        names = english.join_words([str(column) for column in sorted(of_controls)])
        word = "column" if len(of_controls) == 1 else "columns"
        yield (
            f"All controls stand in {word} {names}, apart from the treated wells: a difference "
            "between them may partly be one of place."
        )


def _list_flagged(wells: pd.DataFrame) -> Iterator[str]:
    if col.USABLE not in wells:
        return
    flagged = wells[~wells[col.USABLE].astype(bool)]
    if len(flagged):
        counts = flagged[col.FLAGS].astype(str).str.split("|").explode().value_counts()
        why = english.join_words(
            [f"{n} {str(reason).replace('-', ' ')}" for reason, n in counts.items()]
        )
        yield (
            f"{wording.capital(wording.count(len(flagged), 'well'))} flagged ({why}): neither "
            "control nor hit."
        )
    if col.TOXIC in wells and col.PERT_TYPE in wells:
        treated = wells[col.PERT_TYPE] == PertType.TREATMENT.value
        n = int((wells[col.TOXIC].astype(bool) & treated).sum())
        if n:
            lost = wording.count(n, "treated well")
            yield f"{wording.capital(lost)} lost too many cells to be a hit (toxic)."

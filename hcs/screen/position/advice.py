"""Which correction of position effects do these plates need: every one is tried and tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.screening import (
    HitsOptions,
    Loess,
    LoessWithEdge,
    MedianFilter,
    MedianPolish,
    NoCorrection,
    SpatialCorrection,
)
from hcs.screen import groups
from hcs.screen.controls import usable_stats
from hcs.screen.plates import Screen, read_wells
from hcs.screen.position.correction import correct
from hcs.screen.position.testing import find_position_effects, position_tests, shared_position_tests

_TRIED: Final[Mapping[str, SpatialCorrection]] = {
    "none": NoCorrection(),
    "loess": Loess(),
    "loess-edge": LoessWithEdge(),
    "median-polish": MedianPolish(),
    "median-filter": MedianFilter(),
}
"""In the order in which they are advised where several leave nothing: gentle ones first."""

_LEAST_DOSES: Final = 3
_DOSE_SHARE: Final = 0.5
"""Of the variance of log concentrations that rows or columns explain: doses are laid out so."""

_MOST_PLATES: Final = 40
"""Plates of a model that are tried: the advice is about a kind of plate, not about each."""


def try_corrections(
    wells: pd.DataFrame, quality: pd.DataFrame, options: HitsOptions
) -> pd.DataFrame:
    """Try every correction on the plates whose treated wells follow their place.

    Parameters
    ----------
    wells
        As for :func:`hcs.screen.hits.call_hits`.
    quality
        One row a plate with ``position_effect``, from there.
    options
        ``min_controls``.

    Returns
    -------
    DataFrame
        One row a model × correction, of models that have such plates: ``n_plates`` tried (up to
        40, those with an effect first), ``n_left`` (plates with an effect after it),
        ``largest_share`` (of a plate's variance that its place explains, median over plates),
        ``treated_spread`` (robust SD of the treated wells, median over plates, as a share of that
        without correction), ``controls_compare`` (whether enough negative controls stand where the
        correction sees), ``advised`` (one a model at most), ``doses_follow`` (``row`` or
        ``column`` where concentrations were laid out along it, else empty).
    """
    rows: list[dict[str, object]] = []
    placed = quality[quality["position_effect"] != ""]
    for model in placed[col.MODEL].unique():
        plates = placed.loc[placed[col.MODEL] == model, col.PLATE].head(_MOST_PLATES)
        own = wells[col.PLATE].isin(list(plates))
        if col.MODEL in wells:
            own &= wells[col.MODEL] == model
        table = wells[own].reset_index(drop=True)
        screen = read_wells(table)
        follows = _find_dose_axis(screen, table)
        rows += [row | {"doses_follow": follows} for row in _try_on(screen, str(model), options)]
    names = ["n_plates", "n_left", "largest_share", "treated_spread", "controls_compare", "advised"]
    names.append("doses_follow")
    return pd.DataFrame(rows, columns=[col.MODEL, "correction", *names])


def _find_dose_axis(screen: Screen, table: pd.DataFrame) -> str:
    """Whether concentrations of treated wells were laid out along columns or rows."""
    if col.CONCENTRATION_UM not in table:
        return ""
    dose = table[col.CONCENTRATION_UM].to_numpy(np.float64, na_value=np.nan)
    kept = screen.is_sample & np.isfinite(dose) & (dose > 0)
    if np.unique(dose[kept]).size < _LEAST_DOSES:
        return ""
    value = np.log(dose[kept])
    whole = float(value.var())
    shares = {}
    for name, place in (("column", screen.column), ("row", screen.row)):
        means = groups.group_mean(value, place[kept], int(place.max()) + 1)[place[kept]]
        shares[name] = 1.0 - float(((value - means) ** 2).mean()) / whole
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > _DOSE_SHARE else ""


def _try_on(screen: Screen, model: str, options: HitsOptions) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    spread_before = np.nan
    for name, how in _TRIED.items():
        value, _, seen = correct(screen, how)
        after = screen.with_value(value)
        tests = pd.DataFrame({f"corrected_{k}": v for k, v in position_tests(after).items()})
        table = screen.plates.assign(n_hits=0).join(tests)
        find_position_effects(table, shared_position_tests(after), is_corrected=True)
        shares = tests.filter(like="_share").max(axis=1).fillna(0.0)
        samples = after.usable & after.is_sample
        mad = groups.group_mad(value[samples], after.plate[samples], after.n_plates)
        spread = float(np.nanmedian(mad)) if np.isfinite(mad).any() else np.nan
        spread_before = spread if name == "none" else spread_before
        compared = usable_stats(
            replace(after, usable=after.usable & seen), after.is_negcon, options.min_controls
        )
        before = usable_stats(screen, screen.is_negcon, options.min_controls)
        could = before.count >= options.min_controls
        rows.append(
            {
                col.MODEL: model,
                "correction": name,
                "n_plates": screen.n_plates,
                "n_left": int((table["position_effect"] != "").sum()),
                "largest_share": float(shares.median()),
                "treated_spread": float(groups.divide(np.array(spread), np.array(spread_before))),
                "controls_compare": bool((compared.count[could] >= options.min_controls).all()),
                "advised": False,
            }
        )
    _advise(rows)
    return rows


def _advise(rows: list[dict[str, object]]) -> None:
    """Mark the first that leaves fewest plates and keeps the controls; else the first of fewest."""
    tried = pd.DataFrame(rows[1:])
    fewest = tried[tried["n_left"] == tried["n_left"].min()]
    if fewest["n_left"].iloc[0] >= rows[0]["n_left"]:
        return
    kept = fewest[fewest["controls_compare"]]
    rows[1 + int((kept if len(kept) else fewest).index[0])]["advised"] = True

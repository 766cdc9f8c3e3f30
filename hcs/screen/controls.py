"""Which wells are controls, what they say of each plate, and which plates have too few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.config.screening import HitsOptions
from hcs.screen import groups
from hcs.screen.groups import Codes, Flags, GroupStats
from hcs.screen.plates import Screen

Problem = dict[str, object]
"""One row of ``problems.parquet``; the keys are ``hcs.domain.columns.PROBLEM_COLUMNS``."""


@dataclass(frozen=True, slots=True)
class ControlStats:
    """Statistics of the usable controls of every plate (or batch), each with its count.

    Attributes
    ----------
    group
        Code of the plate or batch of every well, shape ``(N,)``.
    n_groups
        Number of plates or batches, ``G``.
    negcon, poscon
        Shape ``(G,)`` each. Statistics are NaN where there are fewer than ``min_controls``.
    reference
        What wells are measured against: `negcon`, or the samples when that was asked for.
    is_reference
        Wells of `reference`, shape ``(N,)``.
    """

    group: Codes
    n_groups: int
    negcon: GroupStats
    poscon: GroupStats
    reference: GroupStats
    is_reference: Flags


def control_stats(screen: Screen, options: HitsOptions, over: str) -> ControlStats:
    """Summarize the usable controls of every plate or batch.

    Parameters
    ----------
    screen
        The wells.
    options
        ``min_controls`` and ``reference``.
    over
        ``plate`` or ``batch``.

    Returns
    -------
    ControlStats
        Groups with fewer than ``min_controls`` usable controls have NaN statistics.
    """
    codes, n_groups = screen.groups(over)
    least = options.min_controls
    negcon = usable_stats(screen, screen.is_negcon, least, over)
    poscon = usable_stats(screen, screen.is_poscon, least, over)
    if options.reference == "samples":
        samples = usable_stats(screen, screen.is_sample, least, over)
        return ControlStats(codes, n_groups, negcon, poscon, samples, screen.is_sample)
    return ControlStats(codes, n_groups, negcon, poscon, negcon, screen.is_negcon)


def usable_stats(screen: Screen, members: Flags, at_least: int, over: str = "plate") -> GroupStats:
    """Summarize the usable ones among `members` of every plate or batch.

    Groups with fewer than `at_least` of them have NaN statistics (and their true count).
    """
    codes, n_groups = screen.groups(over)
    wanted = members & screen.usable
    return groups.summarize(screen.value[wanted], codes[wanted], n_groups).at_least(at_least)


def control_problems(screen: Screen, options: HitsOptions) -> list[Problem]:
    """Name every plate whose controls cannot carry its statistics.

    Returns
    -------
    list of dict
        One row a plate and fault, keys as ``hcs.domain.columns.PROBLEM_COLUMNS``: too few usable
        negative controls (unless statistics against samples were asked for), too few positive
        controls (rescue and Z' are then missing; said only where the screen has any, as many
        screens have none by design), or no spread between negative controls.
    """
    has_poscon = bool(screen.is_poscon.any())
    stats = control_stats(screen, options, options.score_over)
    n_needed = options.min_controls
    problems: list[Problem] = []
    what = "samples" if options.reference == "samples" else "negative controls (negcon)"
    for plate, group in enumerate(_group_of_plate(screen, stats)):
        row = screen.plates.iloc[plate]
        n_reference, n_poscon = int(stats.reference.count[group]), int(stats.poscon.count[group])
        if n_reference < n_needed:
            text = f"{n_reference} usable {what}, {n_needed} needed: no z, no p, no hits"
            if options.reference == "controls":
                text += " (reference: samples would measure against the treated wells instead)"
            problems.append(plate_problem(row, Reason.NO_CONTROLS, text))
        elif not stats.reference.mad[group] > 0:
            text = f"the MAD of {n_reference} {what} is 0: robust z is undefined"
            problems.append(plate_problem(row, Reason.NO_SPREAD, text))
        if has_poscon and n_poscon < n_needed:
            text = (
                f"{n_poscon} usable positive controls (poscon), {n_needed} needed: no Z', no rescue"
            )
            problems.append(plate_problem(row, Reason.NO_CONTROLS, text))
    return problems


def _group_of_plate(screen: Screen, stats: ControlStats) -> Codes:
    """Group of every plate; a plate in several batches stands with its first."""
    group = np.zeros(screen.n_plates, dtype=np.intp)
    group[screen.plate[::-1]] = stats.group[::-1]
    return group


def plate_problem(plate: pd.Series, reason: Reason, message: str) -> Problem:
    """One problem row about a whole plate; `plate` is a row of ``Screen.plates``."""
    return {
        "stage": "hits",
        "file": None,
        col.PLATE: plate[col.PLATE],
        col.WELL: None,
        col.SITE: None,
        "reason": reason.value,
        "message": f"model {plate[col.MODEL]}: {message}",
        "kept": True,
    }

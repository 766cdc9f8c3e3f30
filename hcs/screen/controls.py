"""Which wells are controls, what they say of each plate, and which plates have too few."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.config.screening import HitsOptions
from hcs.screen import groups
from hcs.screen.groups import Codes, Flags, GroupStats
from hcs.screen.plates import Screen

Wells = Literal["samples", "negcon", "poscon"]
"""Which wells are spoken of."""


@dataclass(frozen=True, slots=True)
class TooFew:
    """Fewer usable wells than a statistic needs."""

    reason: ClassVar[Reason] = Reason.NO_CONTROLS
    wells: Wells
    n_usable: int
    n_needed: int
    n_unseen: int = 0
    """Further wells of the kind, in rows or columns whose effect the correction cannot see."""


@dataclass(frozen=True, slots=True)
class NoSpread:
    """The MAD of the reference wells is 0."""

    reason: ClassVar[Reason] = Reason.NO_SPREAD
    wells: Wells
    n_usable: int


@dataclass(frozen=True, slots=True)
class BrokenLimits:
    """Numbers of the plate beyond stated limits, as ``z_prime 0.3 < 0.5; …``."""

    reason: ClassVar[Reason] = Reason.FAILED_QUALITY
    broken: str


@dataclass(frozen=True, slots=True)
class TooCoarse:
    """Too few controls for any adjusted empirical p to reach the rate.

    Attributes
    ----------
    n_controls, least_p
        Negative controls, and the smallest p that they allow.
    n_tests, fdr
        Wells tested, and the rate.
    """

    reason: ClassVar[Reason] = Reason.NO_CONTROLS
    n_controls: int
    least_p: float
    n_tests: int
    fdr: float


@dataclass(frozen=True, slots=True)
class UnclearDirection:
    """Positive and negative controls of a model cannot be told apart.

    Attributes
    ----------
    p
        Of their difference.
    taken
        Direction that was taken instead: −1, or 0 for both.
    """

    reason: ClassVar[Reason] = Reason.NO_CONTROLS
    p: float
    taken: float


@dataclass(frozen=True, slots=True)
class OppositeControls:
    """The controls of a plate clearly lie the other way than those of all plates."""

    reason: ClassVar[Reason] = Reason.FAILED_QUALITY
    p: float
    direction: float


@dataclass(frozen=True, slots=True)
class PositionEffect:
    """The treated wells of a plate follow their place, also after the correction.

    Attributes
    ----------
    along
        ``row``, ``column``, ``edge``, ``corner`` or ``surface`` (a slope or bowl).
    p, share
        Of the strongest of these: p, and the share of the variance that it explains.
    n_hits
        Hits of the plate, or of all plates.
    is_corrected
        Whether a correction was applied.
    n_plates
        Plates that were tested together; 1 is a plate on its own.
    """

    reason: ClassVar[Reason] = Reason.FAILED_QUALITY
    along: str
    p: float
    share: float
    n_hits: int
    is_corrected: bool
    n_plates: int = 1


@dataclass(frozen=True, slots=True)
class MeasuredError:
    """False hits of a model, by both measures.

    Attributes
    ----------
    n_hits, n_tested
        Hits, and wells that could be hits.
    by_treated
        False hits to expect by the treated wells; NaN where too few tell.
    n_held_out, n_called
        Negative controls that were held out in turns, and those of them that would be called.
    by_controls_least, by_controls_most
        False hits to expect by these, 95 % interval (Clopper-Pearson).
    """

    n_hits: int
    n_tested: int
    by_treated: float
    n_held_out: int
    n_called: int
    by_controls_least: float
    by_controls_most: float


@dataclass(frozen=True, slots=True)
class FalseHits:
    """More hits of a model are false than stated, measured on its own wells.

    Attributes
    ----------
    measured
        Both measures.
    stated
        The false-discovery rate that was asked for; None where the call controls none.
    shift, spread
        Median over plates of where the treated wells lie (toward hits) and how far they spread, in
        robust SD of the reference.
    plates
        Those that contribute most.
    """

    reason: ClassVar[Reason] = Reason.FAILED_QUALITY
    measured: MeasuredError
    stated: float | None
    shift: float
    spread: float
    plates: tuple[str, ...]


Cause = (
    TooFew
    | NoSpread
    | BrokenLimits
    | TooCoarse
    | UnclearDirection
    | OppositeControls
    | PositionEffect
    | FalseHits
)


@dataclass(frozen=True, slots=True)
class PlateFault:
    """What is wrong with a plate; ``plate`` is None for a fault of all plates of a model."""

    model: str
    plate: str | None
    cause: Cause

    @classmethod
    def of(cls, row: pd.Series, cause: Cause) -> PlateFault:
        """Build from a row of ``Screen.plates``."""
        return cls(str(row[col.MODEL]), str(row[col.PLATE]), cause)


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

    def without_spread(self, flat: Flags) -> ControlStats:
        """Return the same with the spreads of some groups' references as 0, `flat` ``(G,)``.

        Once a median is subtracted, values that only rounding told apart look like any others.
        """
        return replace(self, reference=self.reference.without_spread(flat))


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


def find_control_faults(
    screen: Screen, options: HitsOptions, unseen: Flags | None = None
) -> list[PlateFault]:
    """Name every plate whose controls cannot carry its statistics.

    Parameters
    ----------
    screen
        The wells, corrected.
    options
        ``min_controls``, ``reference``, ``score_over``.
    unseen
        Wells that are not usable because the correction cannot see their place, shape ``(N,)``.

    Returns
    -------
    list of PlateFault
        One a plate and fault: too few usable negative controls (unless statistics against samples
        were asked for), too few positive controls (rescue and Z' are then missing; said only where
        the screen has any, as many screens have none by design), or no spread between negative
        controls.
    """
    has_poscon = bool(screen.is_poscon.any())
    stats = control_stats(screen, options, options.score_over)
    n_needed = options.min_controls
    faults: list[PlateFault] = []
    hidden = np.zeros(screen.usable.shape, bool) if unseen is None else unseen
    n_unseen, n_unseen_poscon = (
        np.bincount(stats.group[hidden & members], minlength=stats.n_groups)
        for members in (screen.is_negcon, screen.is_poscon)
    )
    what: Wells = "samples" if options.reference == "samples" else "negcon"
    for plate, group in enumerate(_group_of_plate(screen, stats)):
        row = screen.plates.iloc[plate]
        n_reference, n_poscon = int(stats.reference.count[group]), int(stats.poscon.count[group])
        if n_reference < n_needed:
            faults.append(
                PlateFault.of(row, TooFew(what, n_reference, n_needed, int(n_unseen[group])))
            )
        elif not stats.reference.mad[group] > 0:
            faults.append(PlateFault.of(row, NoSpread(what, n_reference)))
        if has_poscon and n_poscon < n_needed:
            faults.append(
                PlateFault.of(
                    row, TooFew("poscon", n_poscon, n_needed, int(n_unseen_poscon[group]))
                )
            )
    return faults


def _group_of_plate(screen: Screen, stats: ControlStats) -> Codes:
    """Group of every plate; a plate in several batches stands with its first."""
    group = np.zeros(screen.n_plates, dtype=np.intp)
    group[screen.plate[::-1]] = stats.group[::-1]
    return group

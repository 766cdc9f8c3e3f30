"""Put values of different plates on one scale."""

from __future__ import annotations

import numpy as np

from hcs.domain.config.screening import (
    BScore,
    HitsOptions,
    NoNormalization,
    PercentInhibition,
    PercentOfControl,
    PlateMedian,
    RobustZScore,
    ZScore,
)
from hcs.screen import groups
from hcs.screen.controls import control_stats, usable_stats
from hcs.screen.groups import Floats, divide
from hcs.screen.plates import Screen


def percent_of_control(value: Floats, control_mean: Floats) -> Floats:
    """100 × value / mean of the control; NaN where that mean is 0 or missing.

    References
    ----------
    Malo et al. 2006, Nat Biotechnol 24:167-175, doi 10.1038/nbt1186.
    """
    return 100.0 * divide(value, control_mean)


def percent_inhibition(value: Floats, negcon_mean: Floats, poscon_mean: Floats) -> Floats:
    """Map the negative control's mean to 0 and the positive's to 100 (NPI).

    References
    ----------
    Malo et al. 2006, Nat Biotechnol 24:167-175, doi 10.1038/nbt1186.
    """
    return 100.0 * divide(value - negcon_mean, poscon_mean - negcon_mean)


def z_score(value: Floats, center: Floats, spread: Floats) -> Floats:
    """(value − center) / spread; NaN where the spread is 0 or missing.

    With mean and standard deviation this is the z score, with median and 1.4826 × MAD the robust
    z score.

    References
    ----------
    Birmingham et al. 2009, Nat Methods 6:569-575, doi 10.1038/nmeth.1351.
    """
    return divide(value - center, spread)


def normalize(screen: Screen, level: Floats, options: HitsOptions) -> Floats:
    """Normalize all wells as the configuration says.

    Parameters
    ----------
    screen
        Wells with corrected values.
    level
        Level of each well's plate, from :func:`~hcs.screen.position.correction.correct`,
        shape ``(N,)``.
    options
        ``normalization``, ``normalize_over``, ``reference``, ``min_controls``.

    Returns
    -------
    ndarray
        Shape ``(N,)``; NaN where the wells that the scale rests on are missing or do not vary.
    """
    how, over = options.normalization, options.normalize_over
    stats = control_stats(screen, options, over)
    of = stats.group
    value = screen.value
    match how:
        case NoNormalization():
            result = value.copy()
        case PercentOfControl():
            control = stats.negcon if how.control == "negcon" else stats.poscon
            result = percent_of_control(value, control.mean[of])
        case PercentInhibition():
            result = percent_inhibition(value, stats.negcon.mean[of], stats.poscon.mean[of])
        case PlateMedian():
            median = usable_stats(screen, screen.is_sample, 1, over).median[of]
            result = divide(value, median) if how.scale == "multiplicative" else value - median
        case ZScore():
            result = z_score(value, stats.reference.mean[of], stats.reference.sd[of])
        case RobustZScore():
            result = z_score(value, stats.reference.median[of], stats.reference.mad[of])
        case BScore():
            result = b_score(screen, level)
    return result


def b_score(polished: Screen, level: Floats) -> Floats:
    """Residual of the median polish / 1.4826 × its median absolute deviation on the plate.

    Parameters
    ----------
    polished
        Wells after :func:`hcs.screen.position.correction.correct` with a median polish.
    level
        Overall effect of each well's plate, shape ``(N,)``.

    Returns
    -------
    ndarray
        Shape ``(N,)``; NaN on plates whose samples do not vary, or that have none.

    References
    ----------
    Brideau et al. 2003, J Biomol Screen 8:634-647, doi 10.1177/1087057103258285; Malo et al.
    2006, doi 10.1038/nbt1186.
    """
    residual = polished.value - level
    fitted = polished.usable & polished.is_sample & np.isfinite(residual)
    mad = groups.group_mad(
        residual[fitted], polished.plate[fitted], polished.n_plates, polished.value[fitted]
    )
    return divide(residual, mad[polished.plate])

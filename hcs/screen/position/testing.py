"""Do values follow their place on the plate? Tests of each plate, and of all plates together."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import chi2, rankdata

from hcs.domain import columns as col
from hcs.screen.controls import PlateFault, PositionEffect
from hcs.screen.groups import Codes, Flags, Floats, divide, nan_median
from hcs.screen.plates import PlateStack, Screen

_CLEAR_P: Final = 1e-3
_CLEAR_P_OF_CORNERS: Final = 0.05
_LEAST_SHARE: Final = 0.1
"""Of the variance: a column gradient over the plate of less than one SD stays below it."""

_LEAST_SHIFT: Final = 1.5
"""Of the corners, in robust SD: four wells explain little of the variance and make hits."""

_INNER_RING: Final = 2
"""Wells farther from the edge than one other are inner ones."""

_SURFACE_EXPLAINS: Final = 1.25
"""Times what a row, column or edge does, to be named in its place: it can follow these too."""

_TESTS: Final = ("row", "column", "edge", "corner", "surface")


@dataclass(frozen=True, slots=True)
class _Ranks:
    """Values of ``P`` plates as ranks within each plate, less their mean.

    Attributes
    ----------
    centered
        Shape ``(P, W)``; 0 where there is no value.
    present
        Where there are values, shape ``(P, W)``.
    square
        Sum of squares of each plate, shape ``(P,)``.
    """

    centered: Floats
    present: Floats
    square: Floats

    @classmethod
    def of(cls, plates: Floats) -> _Ranks:
        present = np.isfinite(plates)
        # Missing values are ranked last, so that they leave the ranks of the others alone.
        ranks = rankdata(np.where(present, plates, np.inf), axis=1) if plates.size else plates
        middle = (present.sum(axis=1, keepdims=True) + 1) / 2
        centered = np.where(present, ranks - middle, 0.0)
        square = (centered**2).sum(axis=1)
        return cls(centered, present.astype(np.float64), np.where(square > 1e-9, square, 0.0))

    def shared(self) -> _Ranks:
        """Return all plates as one, each with the same variance: what they have in common."""
        n = self.present.sum(axis=1)
        scale = divide(np.ones_like(n), np.sqrt(divide(self.square, n - 1)))
        known = np.isfinite(scale)
        scores = self.centered[known] * scale[known, None]
        present = self.present[known].sum(axis=0, keepdims=True)
        # One plate whose wells are sums: group sums, counts and the total square are all it needs.
        return _Ranks(scores.sum(axis=0, keepdims=True), present, (n[known] - 1).sum(keepdims=True))

    def compare_groups(self, labels: Codes) -> tuple[Floats, Floats]:
        """Test whether groups of positions differ (Kruskal-Wallis): p and share of variance."""
        if not self.present.size:
            return self._judge(np.zeros(len(self.square)), np.full(len(self.square), -1.0))
        member = (labels[:, None] == np.arange(labels.max() + 1)).astype(np.float64)
        sizes = self.present @ member
        between = np.nansum(divide((self.centered @ member) ** 2, sizes), axis=1)
        return self._judge(between, (sizes > 0).sum(axis=1) - 1.0)

    def fit_terms(self, terms: Floats) -> tuple[Floats, Floats]:
        """Test whether ranks follow a linear model of `terms`, ``(W, k)``, with a constant."""
        design = np.column_stack([np.ones(len(terms)), terms])
        normal = np.einsum("pw,wi,wj->pij", self.present, design, design, optimize=True)
        right = self.centered @ design
        values, vectors = np.linalg.eigh(normal)
        kept = values > 1e-9 * np.maximum(values.max(axis=1, keepdims=True), 1e-300)
        along = np.einsum("pi,pij->pj", right, vectors)
        between = np.where(kept, divide(along**2, np.where(kept, values, 1.0)), 0.0).sum(axis=1)
        return self._judge(between, kept.sum(axis=1) - 1.0)

    def _judge(self, between: Floats, freedom: Floats) -> tuple[Floats, Floats]:
        n = self.present.sum(axis=1)
        statistic = divide((n - 1) * between, self.square)
        tested = (freedom >= 1) & np.isfinite(statistic)
        p = np.full(n.shape, np.nan)
        p[tested] = chi2.sf(statistic[tested], freedom[tested])
        share = np.maximum(divide(statistic - freedom, n - 1 - freedom), 0)
        return p, np.where(tested, share, np.nan)


def kruskal_wallis(plates: Floats, labels: Codes) -> tuple[Floats, Floats]:
    """Test on every plate whether the groups differ in location (Kruskal-Wallis).

    Equal to :func:`scipy.stats.kruskal` on each plate, which handles one plate a call and
    refuses plates whose values are all equal.

    Parameters
    ----------
    plates
        Shape ``(P, W)``; NaN where there is no value.
    labels
        Group of every position, shape ``(W,)``, codes from 0.

    Returns
    -------
    p
        Of each plate, shape ``(P,)``; NaN where fewer than two groups have values, or where
        all values are equal.
    share
        Of the variance of the ranks that lies between the groups, less what chance puts there:
        η² = (H − k + 1) / (n − k), at least 0; NaN as p.

    References
    ----------
    Kruskal & Wallis 1952, J Am Stat Assoc 47:583-621, doi 10.1080/01621459.1952.10483441. The
    share: Tomczak & Tomczak 2014, Trends Sport Sci 21:19-25.
    """
    return _Ranks.of(plates).compare_groups(labels)


def position_tests(screen: Screen) -> dict[str, Floats]:
    """Test what the place does to the usable samples of every plate.

    Kruskal-Wallis tests of rows, of columns, of the rings at the edge and of the corners, and an
    F-like test (n − 1 times R², χ²) of a quadratic surface through the ranks. Controls are left
    out: they often fill whole columns, so their difference would pass for a column effect.

    Returns
    -------
    dict
        ``row_p``, ``column_p``, ``edge_p`` (outermost wells, those next to them, and the rest),
        ``corner_p`` and ``surface_p`` (a quadratic in row and column, for slopes and bowls), and
        ``row_share`` … of the variance that they explain, shape ``(n_plates,)`` each; NaN where a
        plate has too few wells to tell.

    References
    ----------
    Kruskal & Wallis 1952, J Am Stat Assoc 47:583-621, doi 10.1080/01621459.1952.10483441.
    """
    names = [f"{test}_{what}" for what in ("p", "share") for test in _TESTS]
    result = {name: np.full(screen.n_plates, np.nan) for name in names}
    for stack, flat in _stacks_of_samples(screen):
        members = _plates_of(stack, screen)
        for test, (p, share) in _test_all(_Ranks.of(flat), stack).items():
            result[f"{test}_p"][members], result[f"{test}_share"][members] = p, share
    return result


def shared_position_tests(screen: Screen) -> pd.DataFrame:
    """Test what the place does to the samples of all plates of a model and format alike.

    An effect too small for one plate makes hits on every plate when it is the same on all.

    Returns
    -------
    DataFrame
        One row a model × format of two plates or more: ``model``, ``members`` (rows of
        ``Screen.plates``), ``row_p``, ``row_share`` … as of one plate, and ``corner_shift``, the
        median of the corners in robust SD of their plates.
    """
    rows = []
    models = screen.plates[col.MODEL].astype(str).to_numpy()
    for stack, flat in _stacks_of_samples(screen):
        members = _plates_of(stack, screen)
        for model in dict.fromkeys(models[members]):
            own = models[members] == model
            if own.sum() < 2:
                continue
            tests = _test_all(_Ranks.of(flat[own]).shared(), stack)
            found = {f"{test}_p": float(p[0]) for test, (p, _) in tests.items()}
            found |= {f"{test}_share": float(share[0]) for test, (_, share) in tests.items()}
            shift = _shift_corners(flat[own], stack)
            rows.append({col.MODEL: model, "members": members[own], "corner_shift": shift} | found)
    names = [f"{test}_{what}" for what in ("p", "share") for test in _TESTS]
    return pd.DataFrame(rows, columns=[col.MODEL, "members", "corner_shift", *names])


def _stacks_of_samples(screen: Screen) -> list[tuple[PlateStack, Floats]]:
    """Give the plates of each format, and the values of their usable samples, ``(P, W)``."""
    value = np.where(screen.usable & screen.is_sample, screen.value, np.nan)
    return [(stack, stack.gather(value).reshape(len(stack.index), -1)) for stack in screen.stacks()]


def _plates_of(stack: PlateStack, screen: Screen) -> Codes:
    return np.asarray(screen.plate[stack.index.reshape(len(stack.index), -1).max(axis=1)], np.intp)


def _test_all(ranks: _Ranks, stack: PlateStack) -> dict[str, tuple[Floats, Floats]]:
    n_rows, n_columns = stack.index.shape[1:]
    rows, columns = np.divmod(np.arange(n_rows * n_columns), n_columns)
    ring = np.minimum.reduce([rows, n_rows - 1 - rows, columns, n_columns - 1 - columns])
    x, y = (part / max(part.max(), 1) * 2 - 1 for part in (columns, rows))
    terms = np.column_stack([x, y, x * x, y * y, x * y])
    groups = {
        "row": rows,
        "column": columns,
        "edge": np.minimum(ring, _INNER_RING),
        "corner": _are_corners(stack).astype(np.intp),
    }
    found = {test: ranks.compare_groups(labels) for test, labels in groups.items()}
    return found | {"surface": ranks.fit_terms(terms)}


def _are_corners(stack: PlateStack) -> Flags:
    n_rows, n_columns = stack.index.shape[1:]
    rows, columns = np.divmod(np.arange(n_rows * n_columns), n_columns)
    return np.asarray(np.isin(rows, (0, n_rows - 1)) & np.isin(columns, (0, n_columns - 1)), bool)


def _shift_corners(plates: Floats, stack: PlateStack) -> float:
    """Median of the corners of all plates, in quartile distances of their plates' wells."""
    corners = plates[:, _are_corners(stack)]
    if not np.isfinite(corners).any():
        return np.nan
    median = nan_median(plates, axis=1)[:, None]
    spread = 1.4826 * nan_median(np.abs(plates - median), axis=1)[:, None]
    return float(nan_median(divide(corners - median, spread).reshape(1, -1), axis=1)[0])


def find_position_effects(
    quality: pd.DataFrame, shared: pd.DataFrame, *, is_corrected: bool
) -> list[PlateFault]:
    """Name the plates whose treated wells clearly follow their place.

    Parameters
    ----------
    quality
        One row a plate, with ``corrected_row_p``, ``corrected_row_share`` … and ``n_hits``. Gets
        a column ``position_effect``: ``row``, ``column``, ``edge``, ``corner``, ``surface`` or
        empty.
    shared
        Tests of all plates together, from :func:`shared_position_tests`.
    is_corrected
        Whether a correction was applied.

    Returns
    -------
    list of PlateFault
        One a plate with a test whose p, times the number of plates and tests, is below 0.001, and
        which explains at least a tenth of the variance; one a model with such an effect on all
        plates together that was not seen on most of them alone.
    """
    p, share = (
        quality[[f"corrected_{test}_{what}" for test in _TESTS]].to_numpy(np.float64)
        for what in ("p", "share")
    )
    clear = (p * p.size <= _CLEAR_P) & (share >= _LEAST_SHARE)
    strongest = _find_strongest(clear, share)
    named = np.where(clear.any(axis=1), np.array(_TESTS, dtype=object)[strongest], "")
    faults = [
        PlateFault.of(
            quality.iloc[plate],
            PositionEffect(
                str(named[plate]),
                float(p[plate, strongest[plate]]),
                float(share[plate, strongest[plate]]),
                int(quality["n_hits"].iloc[plate]),
                is_corrected,
            ),
        )
        for plate in np.flatnonzero(clear.any(axis=1))
    ]
    n_tests = len(shared) * len(_TESTS)
    for row in shared.to_dict(orient="records"):
        found = _find_shared(row, quality, named, n_tests, is_corrected=is_corrected)
        if found is not None:
            faults.append(found)
    quality["position_effect"] = named
    return faults


def _find_strongest(clear: Flags, share: Floats) -> Codes:
    """Give the clear test of largest share; a surface must explain more than anything simpler."""
    weight = np.where(clear, share, -1.0)
    weight[:, -1] /= np.where(weight[:, -1] > 0, _SURFACE_EXPLAINS, 1.0)
    return np.asarray(weight.argmax(axis=1), np.intp)


def _find_shared(
    row: dict[Hashable, Any],
    quality: pd.DataFrame,
    named: np.ndarray[tuple[int], np.dtype[np.object_]],
    n_tests: int,
    *,
    is_corrected: bool,
) -> PlateFault | None:
    """Find an effect that all plates share, and name it on those that show none of their own."""
    members = np.asarray(row["members"], np.intp)
    bare = members[named[members] == ""]
    p = np.array([row[f"{test}_p"] for test in _TESTS], np.float64)
    share = np.array([row[f"{test}_share"] for test in _TESTS], np.float64)
    clear = (p * n_tests <= _CLEAR_P) & (share >= _LEAST_SHARE)
    # Few wells are corners: what they must show besides a small p is how far off they lie.
    corner = _TESTS.index("corner")
    is_far = abs(row["corner_shift"]) >= _LEAST_SHIFT
    clear[corner] |= is_far and p[corner] * n_tests <= _CLEAR_P_OF_CORNERS
    if not clear.any() or not bare.size:
        return None
    first = int(_find_strongest(clear[None], np.nan_to_num(share)[None])[0])
    named[bare] = _TESTS[first]
    n_hits = int(quality["n_hits"].iloc[members].sum())
    cause = PositionEffect(
        _TESTS[first], float(p[first]), float(share[first]), n_hits, is_corrected, members.size
    )
    return PlateFault(str(row[col.MODEL]), None, cause)

"""The effect that a screen is said to find is found as often as said, in new screens like it."""

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions, SsmdCall
from hcs.domain.wells import PlateFormat
from hcs.screen.hits import call_hits
from hcs.screen.power import detectable_effects
from hcs.screen.replicates import call_compounds
from hcs.words.hits import describe_power

NAMES = [well.name for well in PlateFormat.WELLS_384.wells()]
KIND = np.where(np.arange(384) % 8 == 0, "negcon", "trt").astype(object)
KIND[4::64] = "poscon"


def make_screen(seed, effect, n_plates):
    """One compound in ten of unit noise is active; positive controls lie at 12."""
    rng = np.random.default_rng(seed)
    active = (np.arange(384) % 10 == 1) & (KIND == "trt")
    return pd.concat(
        [
            pd.DataFrame(
                {
                    col.MODEL: "reader", col.PLATE: f"P{n}", col.WELL: NAMES, col.PERT_TYPE: KIND,
                    col.COMPOUND: np.where(KIND == "trt", [f"C{i}" for i in range(384)], None),
                    col.SCORE: rng.normal(size=384) + effect * active + 12 * (KIND == "poscon"),
                    "active": active,
                }
            )
            for n in range(n_plates)
        ],
        ignore_index=True,
    )  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(
    "options",
    [
        HitsOptions(),
        HitsOptions(replicates="mean", call=SsmdCall()),
    ],
    ids=["robust z, median", "ssmd, mean"],
)
def test_four_times_of_five(n, options):
    found = []
    for seed in range(12):
        hits, quality, _ = call_hits(make_screen(seed, 5.0, max(n, 2)), options)
        effects = detectable_effects(hits, quality, options).set_index("n_replicates")["effect_sd"]
        later = make_screen(100 + seed, effects[n], n)
        called, _, _ = call_hits(later, options)
        if n == 1:
            found.append(called.loc[called["active"], col.HIT].mean())
        elif isinstance(options.call, SsmdCall):
            z = called[called["active"]].groupby(col.COMPOUND)[col.ROBUST_Z].mean()
            found.append((z >= 2 * np.sqrt(2)).mean())
        else:
            compounds = call_compounds(called, options)
            active = set(later.loc[later["active"], col.COMPOUND])
            found.append(compounds.loc[compounds[col.COMPOUND].isin(active), col.HIT].mean())
    assert np.mean(found) == pytest.approx(0.8, abs=0.1)


def test_effects_shrink_with_replicates_and_are_told_in_shares_of_the_assay():
    hits, quality, _ = call_hits(make_screen(1, 5.0, 3), HitsOptions())
    found = detectable_effects(hits, quality, HitsOptions())
    assert (np.diff(found["effect_sd"]) < 0).all()
    window = hits.loc[hits[col.PERT_TYPE] == "poscon", col.ROBUST_Z].median()
    assert found["effect_rescue"].iloc[0] == pytest.approx(found["effect_sd"].iloc[0] / window)
    words = describe_power(found)
    assert words.startswith("effects of ")
    assert "robust SD with 1, 2 and 3 replicates" in words


def test_without_positive_controls_there_are_no_shares():
    wells = make_screen(1, 5.0, 1)
    wells.loc[wells[col.PERT_TYPE] == "poscon", col.PERT_TYPE] = "empty"
    hits, quality, _ = call_hits(wells, HitsOptions(direction="increase"))
    found = detectable_effects(hits, quality, HitsOptions())
    assert found["effect_rescue"].isna().all()
    assert "of the way" not in describe_power(found)

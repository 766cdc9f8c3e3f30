"""False hits are measured on the screen's own wells, and said where they exceed what is stated."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hcs.domain import columns as col
from hcs.domain.config.screening import BScore, EmpiricalCall, HitsOptions, SsmdCall
from hcs.domain.wells import PlateFormat
from hcs.screen.controls import FalseHits
from hcs.screen.false_hits import count_false_hits
from hcs.screen.hits import call_hits
from hcs.words.hits import describe_errors, say_faults

NAMES = [well.name for well in PlateFormat.WELLS_384.wells()]
CALLS = {
    "robust z": {},
    "ssmd": {"call": SsmdCall()},
    "empirical": {"call": EmpiricalCall()},
    "samples": {"reference": "samples"},
    "b-score": {"reference": "samples", "normalization": BScore()},
}


def make_screen(seed, *, n_plates=3, n_controls=32, active=0.05, shift=0.0, spread=1.0, df=None):
    """Controls of unit noise; treated wells shifted and spread, a few of them active by 6 SD."""
    rng = np.random.default_rng(seed)
    plates = []
    for number in range(n_plates):
        control = np.zeros(384, bool)
        control[rng.choice(384, n_controls, replace=False)] = True
        is_active = ~control & (rng.random(384) < active)
        noise = rng.normal(size=384) if df is None else rng.standard_t(df, size=384)
        value = np.where(control, noise, shift + spread * noise) + 6 * is_active
        kind = np.where(control, "negcon", "trt")
        plates.append(
            pd.DataFrame(
                {
                    col.MODEL: "reader", col.PLATE: f"P{number}", col.WELL: NAMES,
                    col.PERT_TYPE: kind, col.SCORE: value, "active": is_active,
                }
            )
        )  # fmt: skip
    return pd.concat(plates, ignore_index=True)


def count(hits):
    called = hits[hits[col.HIT]]
    return int((~called["active"]).sum())


@pytest.mark.parametrize("direction", ["increase", "both"])
@pytest.mark.parametrize("shift", [1.0, 2.0])
def test_the_measure_foretells_false_hits_of_controls_that_do_not_stand_for_treated_wells(
    shift, direction
):
    options = HitsOptions(direction=direction)
    hits, quality, faults = call_hits(make_screen(1, shift=shift, spread=1.3), options)
    found = count_false_hits(quality)
    assert found.by_treated == pytest.approx(count(hits), rel=0.35)
    assert found.by_treated > 20
    causes = [fault.cause for fault in faults if isinstance(fault.cause, FalseHits)]
    assert [cause.measured for cause in causes] == [found]
    assert causes[0].shift == pytest.approx(shift, abs=0.3)
    assert causes[0].spread == pytest.approx(1.3, abs=0.3)
    message = next(p.message for p in say_faults(faults, "hits") if "false by" in p.message)
    assert f"about {found.by_treated:.1f} of {found.n_hits} hits false" in message
    assert "stated 5%" in message
    assert "--reference samples" in message
    assert describe_errors(quality) in message


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_screens_whose_controls_stand_for_inactive_wells_are_not_doubted(options):
    told = 0
    for seed in range(10):
        _, quality, faults = call_hits(
            make_screen(seed), HitsOptions(direction="increase", **options)
        )
        told += any(isinstance(fault.cause, FalseHits) for fault in faults)
        assert quality["n_false_expected"].sum() < 20
    # An SSMD of 2 is 2.8 SD of single wells: three false hits a plate, of 18, are true to it.
    assert told <= (10 if "call" in options else 0)


def test_few_controls_that_lie_close_by_chance_are_told():
    """On plates of 8 controls one unlucky plate made most of 12 % false discoveries."""
    for seed in range(40):
        wells = make_screen(seed, n_controls=8)
        hits, _, faults = call_hits(wells, HitsOptions(direction="increase"))
        share = count(hits) / max(hits[col.HIT].sum(), 1)
        if share > 0.3:
            assert any(isinstance(fault.cause, FalseHits) for fault in faults)


def test_controls_are_held_out_in_turns():
    """A control among five is judged by the other four, and called where it lies far from them."""
    kinds = ["negcon"] * 6 + ["trt"] * 24
    rng = np.random.default_rng(3)
    value = np.concatenate([[0.0, 0.1, -0.1, 0.05, -0.07, 9.0], rng.normal(size=24) * 0.1])
    value[6:9] = 40.0
    wells = pd.DataFrame(
        {
            col.MODEL: "reader", col.PLATE: "P", col.WELL: NAMES[:30], col.PERT_TYPE: kinds,
            col.SCORE: value,
        }
    )  # fmt: skip
    hits, quality, _ = call_hits(wells, HitsOptions(direction="increase"))
    p_cut = hits.loc[hits[col.HIT], col.P_VALUE].max()
    others = value[:5]
    statistic = (9.0 - others.mean()) / (others.std(ddof=1) * np.sqrt(1.2))
    is_called = stats.t.sf(statistic, 4) <= p_cut
    assert is_called
    assert quality["n_held_out"].tolist() == [6]
    assert quality["n_held_out_called"].tolist() == [1]
    found = count_false_hits(quality)
    least = stats.binomtest(1, 6).proportion_ci(0.95, "exact").low
    assert found.by_controls_least == pytest.approx(least * 24)


def test_heavy_tails_of_the_controls_are_told():
    hits, quality, faults = call_hits(
        make_screen(4, n_plates=20, n_controls=32, active=0.005, df=2),
        HitsOptions(direction="increase", call=SsmdCall()),
    )
    found = count_false_hits(quality)
    assert found.n_called > 0
    assert found.by_controls_least <= count(hits) <= found.by_controls_most
    causes = [fault.cause for fault in faults if isinstance(fault.cause, FalseHits)]
    assert [cause.stated for cause in causes] == [None]


def test_without_hits_nothing_is_false():
    _, quality, faults = call_hits(
        make_screen(5, active=0.0, n_plates=1), HitsOptions(direction="increase", fdr=0.001)
    )
    assert describe_errors(quality) == ""
    assert faults == []


def test_where_most_wells_are_hits_no_number_is_made_up():
    wells = make_screen(6, n_plates=1, active=0.8)
    _, quality, faults = call_hits(wells, HitsOptions(direction="increase"))
    message = next(p.message for p in say_faults(faults, "hits") if "too many" in p.message)
    assert "treated wells are hits, too many for them to show where inactive wells lie" in message
    assert "many compounds are active" in message
    assert "false by the spread" not in describe_errors(quality)

"""Planted hits are found, gradients removed, toxic and flagged wells kept out, plates judged."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from hcs.domain import columns as col
from hcs.domain.config.screening import (
    BScore,
    EmpiricalCall,
    HitsOptions,
    Loess,
    QualityLimits,
    SsmdCall,
)
from hcs.domain.wells import PlateFormat
from hcs.screen.hits import call_hits
from hcs.words.hits import add_reasons, say_faults

WELLS = PlateFormat.WELLS_384.wells()


def simulated_screen(seed, n_plates=10, rescue=1.0, hit_share=0.05, gradient=1.0, dead_share=0.01):
    """Plates with controls scattered over four columns, gradients, dead wells, planted hits.

    Negative (diseased) controls score 0.8, positive (healthy) ones 0.3, with an SD of 0.06;
    plates differ in level; dead wells score low like a rescue, but have hardly a cell.
    """
    rng = np.random.default_rng(seed)
    n = n_plates * len(WELLS)
    row = np.tile([well.row for well in WELLS], n_plates)
    column = np.tile([well.column for well in WELLS], n_plates)
    control = np.isin(column, (0, 1, 22, 23))
    kind = np.where(control, np.where((row + column) % 2 == 0, "negcon", "poscon"), "trt")
    is_hit = (kind == "trt") & (rng.random(n) < hit_share)
    dead = (kind == "trt") & ~is_hit & (rng.random(n) < dead_share)
    score = rng.normal(0.8, 0.06, n) - 0.5 * ((kind == "poscon") | dead) - 0.5 * rescue * is_hit
    score += gradient * (0.12 * row / 15 - 0.08 * column / 23)
    score += np.repeat(rng.normal(0, 0.05, n_plates), len(WELLS))
    return pd.DataFrame(
        {
            col.MODEL: "cnn",
            col.PLATE: np.repeat([f"P{i:02d}" for i in range(n_plates)], len(WELLS)),
            col.WELL: np.tile([well.name for well in WELLS], n_plates),
            col.PERT_TYPE: kind,
            col.COMPOUND: np.where(kind == "trt", [f"C{i % len(WELLS)}" for i in range(n)], None),
            col.SCORE: score,
            col.N_CELLS: np.where(dead, 2.0, rng.poisson(40, n)),
            "planted": is_hit,
            "dead": dead,
        }
    )


@pytest.mark.parametrize(
    ("options", "hit_share"),
    [
        pytest.param(HitsOptions(normalization=BScore(), reference="samples"), 0.05, id="b-score"),
        pytest.param(HitsOptions(spatial=Loess()), 0.05, id="loess"),
        pytest.param(HitsOptions(spatial=Loess(), call=EmpiricalCall()), 0.1, id="empirical"),
    ],
)
def test_a_simulated_screen(options, hit_share):
    hits, quality, problems = call_hits(simulated_screen(11, hit_share=hit_share), options)
    treated = hits[hits[col.PERT_TYPE] == "trt"]
    living = treated[~treated[col.TOXIC]]
    assert average_precision_score(living["planted"], -living[col.ROBUST_Z]) >= 0.95
    assert treated.loc[treated["planted"], col.HIT].mean() >= 0.9
    assert (~treated.loc[treated[col.HIT], "planted"]).mean() <= 0.05
    # The dead wells look like rescues; their cell count gives them away.
    assert treated.loc[treated["dead"], col.TOXIC].all()
    assert not treated.loc[treated["dead"], col.HIT].any()
    # The gradient was there, and is gone.
    assert (quality["row_p"] < 0.05).all()
    assert (quality[["corrected_row_p", "corrected_column_p"]] > 0.05).mean().min() >= 0.9
    if options.reference == "samples":  # a polish does not see the columns of the controls
        assert {(p.cause.wells, p.cause.n_unseen) for p in problems} == {("poscon", 32)}
    else:
        assert problems == []


def test_false_discoveries_stay_within_the_nominal_rate_over_screens():
    shares = []
    for seed in range(40):
        table = simulated_screen(seed, n_plates=2, rescue=0.6, gradient=0, dead_share=0)
        hits, _, _ = call_hits(table, HitsOptions(robust_z_threshold=0.001))
        called = hits[hits[col.HIT]]
        shares.append((~called["planted"]).mean() if len(called) else 0.0)
    assert np.mean(shares) <= 0.05


def test_correction_does_not_spoil_the_ranks_of_true_hits():
    table = simulated_screen(12, rescue=0.5)
    precision = {}
    for name, options in {"raw": HitsOptions(), "corrected": HitsOptions(spatial=Loess())}.items():
        hits = call_hits(table, options)[0]
        treated = hits[(hits[col.PERT_TYPE] == "trt") & ~hits[col.TOXIC]]
        precision[name] = average_precision_score(treated["planted"], -treated[col.ROBUST_Z])
    assert precision["corrected"] >= precision["raw"]


def small_plate(samples=(0.9, 0.2), cells=None, **columns):
    """Six negative controls around 0.9, four positive around 0.2, and the samples."""
    negcon, poscon = [0.85, 0.88, 0.9, 0.9, 0.92, 0.95], [0.15, 0.18, 0.22, 0.25]
    values = [*negcon, *poscon, *samples]
    kinds = ["negcon"] * 6 + ["poscon"] * 4 + ["trt"] * len(samples)
    data = {
        col.MODEL: "cnn",
        col.PLATE: "P1",
        col.WELL: [well.name for well in PlateFormat.WELLS_96.wells()][: len(values)],
        col.PERT_TYPE: kinds,
        col.SCORE: values,
    }
    if cells is not None:
        data[col.N_CELLS] = [40.0] * 10 + list(cells)
    return pd.DataFrame(data | columns)


def test_numbers_of_one_plate_by_hand():
    hits, quality, problems = call_hits(small_plate(samples=(0.55, 0.2)))
    negcon, poscon = (
        np.array([0.85, 0.88, 0.9, 0.9, 0.92, 0.95]),
        np.array([0.15, 0.18, 0.22, 0.25]),
    )
    row = hits.iloc[10]
    mad = 1.4826 * 0.02  # deviations 0.05 0.02 0 0 0.02 0.05
    assert row[col.ROBUST_Z] == pytest.approx((0.55 - 0.9) / mad)
    assert row[col.SSMD] == pytest.approx((0.55 - 0.9) / mad / np.sqrt(2))
    assert row[col.SSMD_CLASS] == "extremely strong"
    assert row[col.RESCUE] == pytest.approx((0.9 - 0.55) / 0.7)
    assert row[col.RESCUE_LOW] < 0.5 < row[col.RESCUE_HIGH]
    assert row[col.HIT]
    reasons = add_reasons(hits, quality)[col.REASONS]
    assert reasons.iloc[10].startswith("robust z -11.8 (limit 3), adjusted p")
    assert (reasons != "").tolist() == hits[col.HIT].tolist()
    expected = 1 - 3 * (negcon.std(ddof=1) + poscon.std(ddof=1)) / 0.7
    assert quality["z_prime"].iloc[0] == pytest.approx(expected)
    assert quality[["n_negcon", "n_poscon", "n_sample", "n_hits"]].iloc[0].tolist() == [6, 4, 2, 2]
    assert problems == []


def test_controls_are_never_hits_and_rescue_runs_from_0_to_1():
    hits, _, _ = call_hits(small_plate())
    assert not hits.loc[hits[col.PERT_TYPE] != "trt", col.HIT].any()
    assert hits.loc[hits[col.PERT_TYPE] == "negcon", col.RESCUE].mean() == pytest.approx(
        0, abs=1e-9
    )
    assert hits.loc[hits[col.PERT_TYPE] == "poscon", col.RESCUE].mean() == pytest.approx(1)


def test_a_toxic_well_is_no_hit_and_says_so():
    hits, quality, _ = call_hits(small_plate(samples=(0.2, 0.2), cells=(10, 38)))
    assert hits[col.HIT].tolist()[10:] == [False, True]
    assert hits[col.TOXIC].tolist()[10:] == [True, False]
    reason = add_reasons(hits, quality)[col.REASONS].iloc[10]
    assert "not a hit: 25% of the negative controls' cells (limit 50%)" in reason


def test_a_flagged_well_is_no_hit_and_says_so():
    table = small_plate(samples=(0.2, 0.2), **{col.USABLE: [True] * 10 + [False, True]})
    hits, _, _ = call_hits(table)
    assert hits[col.HIT].tolist()[10:] == [False, True]


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        pytest.param("auto", [True, False], id="toward the positive controls"),
        pytest.param("decrease", [True, False], id="down"),
        pytest.param("increase", [False, True], id="up"),
        pytest.param("both", [True, True], id="either way"),
    ],
)
def test_direction(direction, expected):
    hits, _, _ = call_hits(small_plate(samples=(0.2, 1.5)), HitsOptions(direction=direction))
    assert hits[col.HIT].tolist()[10:] == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        pytest.param("cnn", [True, False], id="a classifier's score: less disease"),
        pytest.param("Luminescence", [True, True], id="any other value: either way"),
    ],
)
def test_direction_without_positive_controls(model, expected):
    table = small_plate(samples=(0.2, 1.5)).assign(model=model)
    table = table[table[col.PERT_TYPE] != "poscon"]
    hits, _, _ = call_hits(table)
    assert hits[col.HIT].tolist()[6:] == expected
    assert hits[col.RESCUE].isna().all()


def test_ssmd_call():
    options = HitsOptions(call=SsmdCall(min_ssmd=3))
    hits, quality, _ = call_hits(small_plate(samples=(0.8, 0.2)), options)
    assert hits[col.HIT].tolist()[10:] == [False, True]
    assert add_reasons(hits, quality, options)[col.REASONS].iloc[11] == "SSMD -16.69 (limit 3)"


DEGENERATE = [
    pytest.param(small_plate().assign(score=0.5), "no-spread", id="all equal"),
    pytest.param(small_plate().assign(score=np.nan), "no-controls", id="all missing"),
    pytest.param(small_plate().assign(Metadata_pert_type="trt"), "no-controls", id="no controls"),
    pytest.param(
        small_plate().assign(Metadata_pert_type=["negcon"] + ["trt"] * 11),
        "no-controls",
        id="one control",
    ),
    pytest.param(
        small_plate().assign(score=[np.nan] * 5 + [0.9] * 7), "no-controls", id="missing controls"
    ),
]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(HitsOptions(), id="robust z"),
        pytest.param(HitsOptions(normalization=BScore(), call=EmpiricalCall()), id="b-score"),
        pytest.param(HitsOptions(spatial=Loess(), call=SsmdCall()), id="loess"),
    ],
)
@pytest.mark.parametrize(("table", "reason"), DEGENERATE)
def test_degenerate_plates_have_no_hits_and_are_named(table, reason, options):
    hits, quality, faults = call_hits(table, options)
    assert not hits[col.HIT].any()
    assert hits[col.ROBUST_Z].isna().all()
    assert len(quality) == 1
    # A correction that sees no effect beside equal samples leaves no controls to speak of either.
    assert {reason, "no-controls"} & {fault.cause.reason for fault in faults}


def test_a_bad_plate_leaves_the_others_alone():
    bad = small_plate().assign(Metadata_Plate="P2", Metadata_pert_type="trt")
    alone, _, _ = call_hits(small_plate())
    both, quality, faults = call_hits(pd.concat([bad, small_plate()]))
    good = both[both[col.PLATE] == "P1"].reset_index(drop=True)
    columns = [col.ROBUST_Z, col.RESCUE, col.P_VALUE, col.HIT]
    pd.testing.assert_frame_equal(good[columns], alone[columns])
    assert [(fault.plate, fault.cause.wells) for fault in faults] == [
        ("P2", "negcon"),
        ("P2", "poscon"),
    ]
    assert quality[col.PLATE].tolist() == ["P2", "P1"]


def test_statistics_against_samples_when_asked_for():
    rng = np.random.default_rng(13)
    values = rng.normal(0, 1, 96)
    values[40] = 9
    table = pd.DataFrame(
        {
            col.PLATE: "P1",
            col.WELL: [w.name for w in PlateFormat.WELLS_96.wells()],
            col.SCORE: values,
        }
    )
    hits, _, problems = call_hits(table, HitsOptions(reference="samples", direction="both"))
    assert np.flatnonzero(hits[col.HIT]).tolist() == [40]
    assert problems == []


def test_an_empty_table():
    hits, quality, problems = call_hits(small_plate().iloc[:0])
    assert len(hits) == len(quality) == 0
    assert {col.HIT, col.REASONS, col.ROBUST_Z} <= set(add_reasons(hits, quality))
    assert problems == []


def test_an_empirical_p_that_cannot_reach_the_rate_is_said():
    hits, _, faults = call_hits(small_plate(samples=[0.2] * 3), HitsOptions(call=EmpiricalCall()))
    assert not hits[col.HIT].any()
    (problem,) = say_faults(faults, "hits")
    assert problem.plate is None
    assert problem.message.endswith(
        "with 6 negative controls no empirical p is below 0.143; adjusted over 3 wells none "
        "reaches 0.05: call by robust z instead"
    )


def test_limits_mark_plates():
    limits = QualityLimits(min_z_prime=0.9, max_cv_negcon=0.5, min_replicate_correlation=0.1)
    hits, quality, faults = call_hits(small_plate(), HitsOptions(limits=limits))
    failed = quality["failed_limits"].iloc[0]
    assert failed.startswith("z_prime 0.6")
    assert "< 0.9; replicate_correlation nan < 0.1" in failed
    assert quality["passed"].tolist() == [False]
    assert [fault.cause.reason for fault in faults] == ["failed-quality"]
    reasons = add_reasons(hits, quality)[col.REASONS][hits[col.HIT]]
    assert reasons.str.endswith(f"; doubtful, its plate failed: {failed}").all()


def test_replicate_correlation():
    rng = np.random.default_rng(14)
    effect = rng.normal(size=384)
    table = simulated_screen(15, n_plates=4, gradient=0, hit_share=0, dead_share=0)
    treated = (table[col.PERT_TYPE] == "trt").to_numpy()
    table.loc[treated, col.SCORE] += np.tile(effect, 4)[treated]
    stranger = table[col.PLATE] == "P03"
    table.loc[stranger, col.SCORE] = rng.normal(0.8, 0.06, int(stranger.sum()))
    found = call_hits(table)[1]["replicate_correlation"]
    assert (found[:3] > 0.9).all()
    assert abs(found[3]) < 0.2


def test_two_shared_compounds_are_too_few_for_a_correlation():
    table = small_plate(samples=(0.5, 0.6), **{col.COMPOUND: [None] * 10 + ["a", "b"]})
    both = pd.concat([table, table.assign(Metadata_Plate="P2")])
    assert call_hits(both)[1]["replicate_correlation"].isna().all()
    three = small_plate(samples=(0.5, 0.6, 0.9), **{col.COMPOUND: [None] * 10 + ["a", "b", "c"]})
    both = pd.concat([three, three.assign(Metadata_Plate="P2")])
    assert call_hits(both)[1]["replicate_correlation"].tolist() == pytest.approx([1, 1])

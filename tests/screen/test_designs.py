"""Designs that screens have: controls at the edge, weak controls, blank plates, gradients."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hcs.domain import columns as col
from hcs.domain.config.screening import (
    BScore,
    EmpiricalCall,
    HitsOptions,
    Loess,
    MedianPolish,
)
from hcs.domain.wells import PlateFormat
from hcs.screen.controls import (
    FalseHits,
    OppositeControls,
    PositionEffect,
    TooFew,
    UnclearDirection,
)
from hcs.screen.hits import call_hits
from hcs.screen.replicates import call_compounds, combine_p
from hcs.screen.significance import center_empirical_p
from hcs.words.hits import add_compound_reasons, add_reasons, say_faults

WELLS = PlateFormat.WELLS_384.wells()
COLUMN = np.array([well.column for well in WELLS])
ROW = np.array([well.row for well in WELLS])


def make_plates(seed, n_plates, controls, gradient=0.0, poscon=0.0, axis=COLUMN / 23):
    """Plates of unit noise without any active compound; `controls` gives the kind of every well."""
    rng = np.random.default_rng(seed)
    kind = np.tile(controls, n_plates)
    compounds = np.tile([f"C{number}" for number in range(len(WELLS))], n_plates)
    value = rng.normal(size=kind.size) + gradient * np.tile(axis, n_plates)
    return pd.DataFrame(
        {
            col.MODEL: "reader",
            col.PLATE: np.repeat([f"P{n}" for n in range(n_plates)], len(WELLS)),
            col.WELL: np.tile([well.name for well in WELLS], n_plates),
            col.PERT_TYPE: kind,
            col.COMPOUND: np.where(kind == "trt", compounds, None),
            col.SCORE: 100 + value + poscon * (kind == "poscon"),
        }
    )


def in_columns(*columns):
    return np.where(np.isin(COLUMN + 1, columns), "negcon", "trt")


EDGES = {
    "columns 1 and 2": in_columns(1, 2),
    "columns 23 and 24": in_columns(23, 24),
    "both sides": in_columns(1, 2, 23, 24),
    "a row": np.where(ROW == 0, "negcon", "trt"),
}


@pytest.mark.parametrize("controls", EDGES.values(), ids=EDGES)
@pytest.mark.parametrize("normalization", [{}, {"normalization": BScore()}], ids=["polish", "b"])
def test_controls_whose_place_a_polish_cannot_see_are_no_reference(controls, normalization):
    """A gradient of 8 SD made 681 false hits of 960: samples corrected, controls not."""
    axis = ROW / 15 if (controls[:24] == "negcon").all() else COLUMN / 23
    spatial = {} if normalization else {"spatial": MedianPolish()}
    wells = make_plates(1, 3, controls, gradient=8.0, axis=axis)
    options = HitsOptions(direction="both", **spatial, **normalization)
    hits, quality, faults = call_hits(wells, options)
    assert not hits[col.HIT].any()
    assert hits[col.ROBUST_Z].isna().all()
    causes = [fault.cause for fault in faults if isinstance(fault.cause, TooFew)]
    assert [(c.n_usable, c.n_unseen) for c in causes] == [
        (0, int((controls == "negcon").sum()))
    ] * 3
    assert "--reference" in say_faults(faults, "hits")[0].message
    assert quality["negcon_mean"].notna().all()  # of the controls as they were measured
    against_samples, _, left = call_hits(wells, options.model_copy(update={"reference": "samples"}))
    assert against_samples[col.HIT].sum() <= 3
    assert left == []


@pytest.mark.parametrize("controls", EDGES.values(), ids=EDGES)
def test_a_smooth_surface_reaches_the_controls_at_the_edge(controls):
    axis = ROW / 15 if (controls[:24] == "negcon").all() else COLUMN / 23
    wells = make_plates(2, 3, controls, gradient=4.0, axis=axis)
    hits, _, faults = call_hits(wells, HitsOptions(direction="both", spatial=Loess()))
    assert hits[col.ROBUST_Z].notna().all()
    assert hits[col.HIT].sum() <= 3
    assert faults == []


def test_a_gradient_is_said_where_nothing_corrects_it():
    wells = make_plates(3, 2, in_columns(1, 2), gradient=4.0)
    hits, quality, faults = call_hits(wells, HitsOptions(direction="both"))
    assert [type(fault.cause) for fault in faults] == [PositionEffect] * 2 + [FalseHits]
    assert set(quality["position_effect"]) == {"column"}
    message = say_faults(faults, "hits")[0].message
    assert "follow the column" in message
    assert "--correct loess" in message
    words = add_reasons(hits, quality, HitsOptions(direction="both"))
    assert words.loc[words[col.HIT], col.REASONS].str.contains("follow the column").all()


def test_plates_without_a_gradient_are_not_doubted():
    faults = [
        fault
        for seed in range(20)
        for fault in call_hits(make_plates(seed, 3, in_columns(1, 2)), HitsOptions())[2]
    ]
    assert faults == []


# ── direction ───────────────────────────────────────────────────────────────────────────────────

MIXED = np.where(COLUMN % 12 == 0, np.where(ROW % 2 == 0, "negcon", "poscon"), "trt")


def test_one_direction_for_all_plates_of_a_model():
    """Weak positive controls part by chance on single plates; an active of +8 SD was lost there."""
    wells = make_plates(5, 20, MIXED, poscon=0.35)
    active = (wells[col.WELL] == "H06").to_numpy()
    wells.loc[active, col.SCORE] += 8.0
    medians = wells.groupby([col.PLATE, col.PERT_TYPE])[col.SCORE].median().unstack()
    assert (medians["poscon"] < medians["negcon"]).any()  # else this shows nothing
    hits, _, faults = call_hits(wells, HitsOptions())
    assert (hits[col.DIRECTION] == 1).all()
    assert hits.loc[active, col.HIT].sum() >= 19
    assert faults == []


def test_controls_that_cannot_be_told_apart_leave_both_ways():
    wells = make_plates(6, 2, MIXED)
    hits, _, faults = call_hits(wells, HitsOptions())
    assert (hits[col.DIRECTION] == 0).all()
    assert [type(fault.cause) for fault in faults] == [UnclearDirection]
    assert "--direction" in say_faults(faults, "hits")[0].message
    classifier = wells.assign(model="cnn")
    assert (call_hits(classifier, HitsOptions())[0][col.DIRECTION] == -1).all()


def test_a_plate_with_swapped_controls_is_named():
    wells = make_plates(7, 5, MIXED, poscon=6.0)
    swapped = wells[col.PLATE] == "P3"
    other = wells[col.PERT_TYPE].map({"negcon": "poscon", "poscon": "negcon", "trt": "trt"})
    wells[col.PERT_TYPE] = wells[col.PERT_TYPE].where(~swapped, other)
    hits, _, faults = call_hits(wells, HitsOptions())
    assert (hits[col.DIRECTION] == 1).all()
    assert [(fault.plate, type(fault.cause)) for fault in faults] == [("P3", OppositeControls)]
    assert "swapped" in say_faults(faults, "hits")[0].message


# ── spreads and replicates ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("level", [0.5, 1e-9, 3e7])
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(HitsOptions(), id="robust z"),
        pytest.param(HitsOptions(normalization={"kind": "z"}), id="z"),
        pytest.param(
            HitsOptions(normalization={"kind": "plate-median", "scale": "additive"}),
            id="difference",
        ),
        pytest.param(HitsOptions(call=EmpiricalCall()), id="empirical"),
        pytest.param(HitsOptions(normalization=BScore(), reference="samples"), id="b-score"),
    ],
)
def test_controls_that_only_rounding_tells_apart_have_no_spread(level, options):
    """Controls that differ in the last bit gave robust z of 7e13 and 84 hits."""
    wells = make_plates(8, 1, in_columns(1, 2))
    rng = np.random.default_rng(8)
    noise = rng.normal(size=len(wells)) * 1e-8
    wells[col.SCORE] = level * (1 + noise)
    hits, _, faults = call_hits(wells, options)
    assert not hits[col.HIT].any()
    assert hits[col.ROBUST_Z].isna().all()
    assert "no-spread" in {fault.cause.reason for fault in faults}


@pytest.mark.parametrize("blank", ["zeros", "no controls"])
def test_a_plate_that_measured_nothing_is_no_replicate(blank):
    wells = make_plates(9, 2, in_columns(1, 2))
    active = wells[col.COMPOUND] == "C100"
    wells.loc[active, col.SCORE] -= 30.0
    second = wells[col.PLATE] == "P1"
    if blank == "zeros":
        wells.loc[second, col.SCORE] = 0.0
    else:
        wells.loc[second & (wells[col.PERT_TYPE] == "negcon"), col.PERT_TYPE] = "empty"
    options = HitsOptions(direction="decrease")
    hits, _, _ = call_hits(wells, options)
    compounds = add_compound_reasons(call_compounds(hits, options)).set_index(col.COMPOUND)
    row = compounds.loc["C100"]
    well = hits[(hits[col.COMPOUND] == "C100") & (hits[col.PLATE] == "P0")].iloc[0]
    assert (row[col.N_REPLICATES], row["n_plates"], row["n_unmeasured"]) == (1, 1, 1)
    assert row[col.SCORE] == well[col.SCORE]
    assert row[col.ROBUST_Z] == pytest.approx(well[col.ROBUST_Z])
    assert row[col.REASONS].startswith("1 replicate on 1 plate: robust z")
    assert row[col.REASONS].endswith("1 replicate not measured, nothing to compare with on P1")


def test_the_weakest_replicate_weighs_no_more_than_the_strongest():
    """An empirical p of 1 was a z of -8.2, where the least of 16 controls is +1.6."""
    p, n = np.array([1 / 17, 1 / 17, 1.0]), np.full(3, 16.0)
    centered = center_empirical_p(p, n)
    assert centered == pytest.approx([0.5 / 17, 0.5 / 17, 16.5 / 17])
    found = combine_p(centered, np.zeros(3, np.intp), 1)[0]
    assert found == pytest.approx(stats.norm.sf(stats.norm.isf(0.5 / 17) / np.sqrt(3)))


def test_combined_empirical_p_are_uniform_without_an_effect():
    wells = make_plates(10, 3, in_columns(1, 2, 23, 24))
    options = HitsOptions(direction="increase", call=EmpiricalCall())
    found = call_compounds(call_hits(wells, options)[0], options)[col.P_EMPIRICAL]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_a_table_without_a_model_gives_compounds():
    wells = make_plates(11, 2, in_columns(1, 2)).drop(columns=col.MODEL)
    compounds = call_compounds(call_hits(wells)[0])
    assert set(compounds[col.MODEL]) == {"score"}
    assert len(compounds) == wells[col.COMPOUND].nunique()

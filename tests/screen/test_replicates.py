"""Replicates combine as stated, test together, and make compounds hits."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions, SsmdCall
from hcs.domain.wells import PlateFormat
from hcs.errors import UnknownNameError
from hcs.screen.effects import ssmd_of_replicates
from hcs.screen.hits import call_hits
from hcs.screen.replicates import call_compounds, combine, combine_p
from hcs.words.hits import add_compound_reasons

VALUES = np.array([1.0, 4.0, 7.0, -2.0, np.nan, np.nan, 9.0])
COMPOUND = np.array([0, 0, 0, 1, 1, 2, -1])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("mean", [4.0, -2.0]),
        ("median", [4.0, -2.0]),
        ("min", [1.0, -2.0]),
        ("max", [7.0, -2.0]),
        ("stouffer", [12 / np.sqrt(3), -2.0]),
    ],
)
def test_combinations(how, expected):
    found = combine(VALUES, COMPOUND, 3, how)
    assert found[:2].tolist() == pytest.approx(expected)
    assert np.isnan(found[2])


def test_combined_p_equals_scipy():
    p = np.array([0.01, 0.2, 0.04, 0.5, np.nan])
    found = combine_p(p, np.array([0, 0, 0, 1, 2]), 3)
    assert found[0] == pytest.approx(stats.combine_pvalues(p[:3], "stouffer").pvalue)
    assert found[1] == pytest.approx(0.5)
    assert np.isnan(found[2])


def screen(seed, n_plates=3, shift=0.0, n_moved=8, sd=0.1):
    """Plates of the same 80 compounds with 16 controls; the first compounds are moved down."""
    rng = np.random.default_rng(seed)
    wells = [well.name for well in PlateFormat.WELLS_96.wells()]
    kinds = np.array(["negcon", "poscon"] + ["trt"] * 10)[np.arange(96) % 12]
    number = np.cumsum(kinds == "trt") - 1
    tables = []
    for plate in range(n_plates):
        score = rng.normal(0.8, sd, 96) - 0.5 * (kinds == "poscon")
        score -= shift * ((kinds == "trt") & (number < n_moved))
        compound = np.where(kinds == "trt", [f"C{k:02d}" for k in number], None)
        columns = {col.PLATE: f"P{plate}", col.WELL: wells, col.PERT_TYPE: kinds, col.SCORE: score}
        extra = {col.MODEL: "cnn", col.COMPOUND: compound, col.CONCENTRATION_UM: 1.0}
        tables.append(pd.DataFrame(columns | extra))
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize("direction", ["auto", "both"])
def test_p_is_uniform_without_an_effect(direction):
    options = HitsOptions(direction=direction)
    p = np.concatenate(
        [
            call_compounds(call_hits(screen(seed), options)[0], options)[col.P_VALUE]
            for seed in range(25)
        ]
    )
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_replicates_find_what_single_wells_miss():
    table = screen(1, n_plates=4, shift=0.3)
    options = HitsOptions(replicates="stouffer")
    hits = call_hits(table, options)[0]
    compounds = call_compounds(hits, options)
    assert len(compounds) == 80
    assert (compounds[[col.N_REPLICATES, "n_plates"]] == 4).all(axis=None)
    found = set(compounds.loc[compounds[col.HIT], col.COMPOUND])
    moved = {f"C{k:02d}" for k in range(8)}
    assert len(found & moved) >= 7
    assert len(found - moved) <= 1
    assert hits[hits[col.HIT]].groupby(col.COMPOUND).size().reindex(sorted(moved)).isna().any()
    reason = add_compound_reasons(compounds).loc[compounds[col.HIT], col.REASONS].iloc[0]
    assert reason.startswith("4 replicates on 4 plates: robust z -")


def test_ssmd_of_the_replicates():
    hits = call_hits(screen(2))[0]
    compounds = call_compounds(hits, HitsOptions(call=SsmdCall())).set_index(col.COMPOUND)
    z = hits.loc[hits[col.COMPOUND] == "C05", col.ROBUST_Z]
    expected = ssmd_of_replicates(np.array([z.mean()]), np.array([z.std(ddof=1)]), np.array([3.0]))
    assert compounds.loc["C05", col.SSMD] == pytest.approx(expected[0])


def test_a_single_well_stands_for_itself():
    hits = call_hits(screen(3, n_plates=1, shift=0.8))[0]
    compounds = call_compounds(hits).set_index(col.COMPOUND)
    wells = hits.dropna(subset=col.COMPOUND).set_index(col.COMPOUND)
    for column in (col.ROBUST_Z, col.SSMD, col.P_VALUE, col.Q_VALUE, col.RESCUE):
        assert np.allclose(compounds[column], wells[column].loc[compounds.index])
    assert compounds[col.HIT].equals(wells[col.HIT].loc[compounds.index])


def test_toxic_compounds_are_no_hits():
    table = screen(4, shift=0.8)
    table[col.N_CELLS] = np.where(table[col.COMPOUND] == "C00", 4.0, 40.0)
    compounds = call_compounds(call_hits(table)[0]).set_index(col.COMPOUND)
    assert compounds.loc["C00", col.TOXIC]
    assert not compounds.loc["C00", col.HIT]
    assert compounds.loc["C01", col.HIT]


def test_one_dead_well_does_not_make_a_compound_a_hit():
    table = screen(7, n_plates=3)
    dead = (table[col.COMPOUND] == "C20") & (table[col.PLATE] == "P1")
    table.loc[table[col.COMPOUND] == "C20", col.SCORE] = 0.8  # as the negative controls
    table.loc[dead, col.SCORE] = -1.0
    table[col.N_CELLS] = np.where(dead, 1.0, 40.0)
    hits = call_hits(table)[0]
    row = call_compounds(hits).set_index(col.COMPOUND).loc["C20"]
    living = hits[(hits[col.COMPOUND] == "C20") & ~hits[col.TOXIC]]
    assert (row[col.N_REPLICATES], row["n_plates"], row["n_toxic"]) == (2, 2, 1)
    assert row[col.ROBUST_Z] == pytest.approx(living[col.ROBUST_Z].mean())
    assert row[col.P_VALUE] == pytest.approx(
        stats.combine_pvalues(living[col.P_VALUE], "stouffer").pvalue
    )
    assert not row[col.TOXIC]
    assert not row[col.HIT]


def test_models_and_concentrations_stay_apart():
    table = screen(5, n_plates=2)
    table.loc[table[col.PLATE] == "P1", col.CONCENTRATION_UM] = 10.0
    both = pd.concat([table, table.assign(model="forest")])
    assert len(call_compounds(call_hits(both)[0])) == 320


def test_no_compounds():
    hits = call_hits(screen(6))[0]
    assert len(call_compounds(hits.assign(**{col.COMPOUND: None}))) == 0
    with pytest.raises(UnknownNameError, match="no column 'Metadata_Compound'"):
        call_compounds(hits.drop(columns=col.COMPOUND))


def test_rescue_of_replicates_has_students_interval_and_a_single_well_its_own():
    hits, _, _ = call_hits(screen(5, shift=0.3))
    found = call_compounds(hits).set_index(col.COMPOUND)
    values = hits.loc[hits[col.COMPOUND] == "C03", col.RESCUE]
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
    row = found.loc["C03"]
    assert row[[col.RESCUE_LOW, col.RESCUE, col.RESCUE_HIGH]].tolist() == pytest.approx(
        [low, values.mean(), high]
    )
    one = hits[hits[col.PLATE] == "P0"]
    alone = call_compounds(one).set_index(col.COMPOUND).loc["C03"]
    columns = [col.RESCUE_LOW, col.RESCUE, col.RESCUE_HIGH]
    expected = one.loc[one[col.COMPOUND] == "C03", columns].iloc[0]
    assert alone[columns].tolist() == pytest.approx(expected.tolist())

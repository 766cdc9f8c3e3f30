"""A real RNAi screen (cellHTS2's KcViabSmall), scored as cellHTS2's own documentation defines.

Plate median scaling over the sample wells, then robust z over all plates of a replicate, sign
reversed, mean of the replicates (Boutros, Brás & Huber 2006, doi 10.1186/gb-2006-7-7-r66). The
numbers below were worked out with sort and awk from the raw files, without this library.
"""

import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions, PlateMedian
from hcs.screen.aggregate import well_values
from hcs.screen.hits import call_hits
from hcs.screen.quality import batch_quality

# Wells of plate FT01, replicate 1: raw / 1357947 (median of its 358 unflagged samples), and
# z = −(value − 1) / (1.4826 × 0.0414617), that MAD over the 1074 samples of the replicate.
FT01_1 = {
    "B01": (1.151957, -2.472000),
    "B02": (0.133591, 14.094565),
    "B03": (1.035694, -0.580668),
    "C07": (1.035780, -0.582058),
    "H12": (0.978999, 0.341637),
    "P24": (0.900302, 1.621860),
}
CONTENT = {"other": "empty", "neg": "negcon", "pos": "poscon", "sample": "trt"}


@pytest.fixture(scope="module")
def raw(test_data):
    folder = test_data / "cellhts2" / "inst" / "KcViabSmall"
    if not folder.is_dir():
        pytest.skip(f"no KcViabSmall in {test_data}")
    log = pd.read_csv(folder / "Screenlog.txt", sep="\t")
    flagged = set(zip(log["Plate"], log["Sample"], log["Well"], strict=True))
    tables_of_plates = []
    for row in pd.read_csv(folder / "Platelist.txt", sep="\t").itertuples():
        plate = pd.read_csv(folder / row.Filename, sep="\t", header=None, usecols=[1, 2])
        plate.columns = [col.WELL, "Luminescence"]
        plate[col.PLATE] = row.Filename.removesuffix(".txt")
        plate[col.BATCH] = f"replicate {row.Replicate}"
        plate[col.COMPOUND] = [f"{row.Plate} {well}" for well in plate[col.WELL]]
        plate[col.FLAGS] = [
            "Contamination" if (row.Plate, row.Replicate, well) in flagged else ""
            for well in plate[col.WELL]
        ]
        tables_of_plates.append(plate)
    table = pd.concat(tables_of_plates, ignore_index=True)
    # Plateconf.txt: * sample, A0[1-2] other, B01 neg, B02 pos; the last line that fits counts.
    content = table[col.WELL].map({"A01": "other", "A02": "other", "B01": "neg", "B02": "pos"})
    table[col.PERT_TYPE] = content.fillna("sample").map(CONTENT)
    return table


@pytest.fixture(scope="module")
def scored(raw):
    options = HitsOptions(
        normalization=PlateMedian(),
        reference="samples",
        score_over="batch",
        direction="decrease",
        min_controls=2,
    )
    hits, quality, problems = call_hits(well_values(raw, "Luminescence"), options)
    return hits.set_index([col.PLATE, col.WELL]), quality.set_index(col.PLATE), problems


def test_flags_and_controls(scored):
    hits, quality, _ = scored
    assert (~hits[col.USABLE]).sum() == 144  # rows A of six plates, as the screen log says
    assert hits.loc[~hits[col.USABLE]].index.get_level_values(col.WELL).str.startswith("A").all()
    assert quality[["n_negcon", "n_poscon", "n_sample"]].drop_duplicates().to_numpy().tolist() == [
        [1, 1, 358]
    ]


def test_normalized_values_and_scores_of_one_plate(scored):
    hits, _, _ = scored
    for well, (normalized, z) in FT01_1.items():
        row = hits.loc[("FT01-G01", well)]
        assert row[col.NORMALIZED] == pytest.approx(normalized, abs=1e-6)
        assert -row[col.ROBUST_Z] == pytest.approx(z, rel=1e-5, abs=1e-4)


def test_mean_score_of_the_replicates(scored):
    hits, _, _ = scored
    z = -hits[col.ROBUST_Z].unstack(col.PLATE)
    mean = z[["FT01-G01", "FT01-G02"]].mean(axis=1).sort_values(ascending=False)
    assert mean.index[:3].tolist() == ["B02", "H09", "L24"]
    assert mean.iloc[:3].tolist() == pytest.approx([13.7171, 11.9197, 9.808], abs=2e-3)


def test_the_strongest_knockdowns_are_hits(scored):
    hits, _, problems = scored
    called = hits[hits[col.HIT]]
    assert {"H09", "L24"} <= set(called.loc["FT01-G01"].index)
    assert (called[col.PERT_TYPE] == "trt").all()
    assert 10 < len(called) < 150
    # Its columns explain 19 to 32 % of the variance on five of the plates, rows 17.5 % on one.
    assert [fault.cause.along for fault in problems] == ["column", "row", *["column"] * 4]


def test_against_its_single_control_a_plate_has_no_statistics(raw):
    hits, _, faults = call_hits(well_values(raw, "Luminescence"))
    assert hits[col.ROBUST_Z].isna().all()
    assert not hits[col.HIT].any()
    named = {fault.plate for fault in faults}
    assert named == set(raw[col.PLATE])


def test_z_prime_of_a_replicate_over_its_three_plates(scored):
    hits, _, _ = scored
    batches = batch_quality(hits.reset_index(), HitsOptions()).set_index(col.BATCH)
    assert batches[["n_plates", "n_negcon", "n_poscon"]].to_numpy().tolist() == [[3, 3, 3]] * 2
    # From the same table by awk: medians 1.077344 and 0.119403, median absolute deviations
    # 0.011613 and 0.000876 (robust Z' as cellHTS2's getZfactor).
    expected = 1 - 3 * 1.4826 * (0.011613 + 0.000876) / (1.077344 - 0.119403)
    assert batches.loc["replicate 1", "robust_z_prime"] == pytest.approx(expected, abs=1e-5)

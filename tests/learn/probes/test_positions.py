"""Layouts where class follows position are flagged in words; randomised ones are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hcs.errors import UnknownNameError
from hcs.learn.probes.positions import plate_position_association
from hcs.words.positions import list_confounding, say_associations

LABEL = "Metadata_Diagnosis"


def plate(n_rows=8, n_columns=12):
    return pd.DataFrame(
        {
            "Metadata_Well": [
                f"{chr(65 + row)}{column + 1:02d}"
                for row in range(n_rows)
                for column in range(n_columns)
            ],
            "row": np.repeat(np.arange(n_rows), n_columns),
            "column": np.tile(np.arange(n_columns), n_rows),
        }
    )


def found(wells, **options):
    return {
        a.variable: a for a in say_associations(plate_position_association(wells, LABEL, **options))
    }


def test_the_real_plate_whose_treatments_fill_columns(test_data):
    given = pd.read_csv(test_data / "spaom2020" / "dataset2D" / "metadata.csv")
    wells = pd.DataFrame(
        {
            "Metadata_Well": given["colrow"].str[2] + given["colrow"].str[:2],
            "Metadata_Plate": "spaom",
            LABEL: given["treatment"],
        }
    )
    found_ = found(wells)
    assert found_["column"].verdict == "confounded"
    assert found_["column"].sentence.startswith(
        "Class and plate column are confounded: each column holds one class only (12 of 12 columns)"
    )
    assert found_["column"].cramers_v == pytest.approx(1.0)
    assert found_["row"].verdict == "unrelated"
    assert found_["row"].cramers_v == pytest.approx(0.0)
    assert found_["Metadata_Plate"].verdict == "untestable"
    assert "there is only one plate" in found_["Metadata_Plate"].sentence
    assert list_confounding(list(found_.values())) == (found_["column"].sentence,)


def test_randomised_layouts_are_not_flagged():
    flagged = 0
    for seed in range(40):
        wells = plate()
        classes = np.array(["ALS", "control"] * 48)
        wells[LABEL] = np.random.default_rng(seed).permutation(classes)
        wells["Metadata_Batch"] = np.random.default_rng(seed + 999).integers(0, 3, 96)
        flagged += len(list_confounding(found(wells, n_permutations=999, seed=seed).values()))
    assert flagged <= 2


def test_p_values_of_randomised_layouts_are_uniform():
    p_values = []
    for seed in range(100):
        wells = plate(4, 6)
        classes = np.array(["ALS", "control", "SMA"] * 8)
        wells[LABEL] = np.random.default_rng(seed).permutation(classes)
        p_values.append(found(wells, n_permutations=200, seed=seed)["column"].p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


@pytest.mark.parametrize(
    ("classes", "variable", "verdict"),
    [
        pytest.param(lambda w: w["row"] < 4, "row", "confounded", id="halves-by-row"),
        pytest.param(lambda w: w["row"] < 4, "column", "unrelated", id="other-direction"),
        pytest.param(
            lambda w: (w["column"] < 6) ^ (w.index % 7 == 0), "column", "associated", id="mostly"
        ),
        pytest.param(
            lambda w: (w["column"] < 6) ^ (w.index == 0), "column", "confounded", id="one-exception"
        ),
    ],
)
def test_partial_layouts(classes, variable, verdict):
    wells = plate()
    wells[LABEL] = np.where(classes(wells), "ALS", "control")
    assert found(wells)[variable].verdict == verdict


def test_one_class_a_batch_and_a_plate():
    wells = plate(4, 6)
    als = np.random.default_rng(0).permutation(24) < 12
    wells[LABEL] = np.where(als, "ALS", "control")
    wells["Metadata_Batch"] = np.where(als, "spring", "autumn")
    wells["Metadata_Plate"] = wells["Metadata_Batch"].map({"spring": "P1", "autumn": "P2"})
    found_ = found(wells)
    assert found_["Metadata_Batch"].sentence.startswith("Class and batch are confounded")
    assert "(2 of 2 plates)" in found_["Metadata_Plate"].sentence


def test_four_wells_that_cannot_be_significant_are_still_confounded():
    wells = pd.DataFrame({"Metadata_Well": ["A1", "B1", "A2", "B2"], LABEL: list("xxyy")})
    assert found(wells)["column"].verdict == "confounded"
    assert found(wells)["column"].p_value > 0.1


def test_a_single_well_a_level_says_nothing():
    wells = pd.DataFrame({"Metadata_Well": ["A1", "A2", "A3", "A4"], LABEL: list("xyxy")})
    assert found(wells)["column"].verdict == "unrelated"


def test_wells_of_a_clone_are_not_independent():
    """Six clones in whole columns at random: by wells a false alarm, by clones what chance does."""
    wells = plate(8, 6)
    wells["Metadata_Clone"] = wells["column"]
    wells[LABEL] = wells["column"].map(dict(zip(range(6), "xyxxyy", strict=True)))
    wells.loc[wells["row"] == 0, "column"] = 0
    by_clone = found(wells, group_by="Metadata_Clone")["column"]
    assert by_clone.p_value > 0.5
    assert by_clone.verdict == "confounded"  # still: no column holds both classes
    assert found(wells)["column"].p_value < 0.001


def test_images_of_a_well_count_once_and_unlabelled_wells_not():
    wells = plate(4, 6)
    wells[LABEL] = np.where(wells["row"] < 2, "ALS", "control")
    wells.loc[wells["column"] == 0, LABEL] = None
    images = pd.concat([wells, wells])
    assert found(images)["row"].n_wells == 20
    assert found(images)["row"] == found(wells)["row"]


def test_nothing_to_test():
    nothing = pd.DataFrame({"Metadata_Well": [], LABEL: []})
    assert {a.verdict for a in found(nothing).values()} == {"untestable"}
    one = plate(2, 2).assign(**{LABEL: "ALS"})
    assert "there is only one class" in found(one)["row"].sentence
    with pytest.raises(UnknownNameError, match="Metadata_Diagnosis"):
        plate_position_association(plate(), LABEL)

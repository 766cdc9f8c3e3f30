"""Morphology on the fields of ``hcs simulate``, a generator other than ``fields.py``.

Each preset is drawn, ingested and measured through the stages, as a study would be.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._table import report

_SEEDS = {"demo": 11, "cohort": 12}
"""One a preset: with the same seed both draw the same cohort."""

_CLONES_PER_CLASS, _IMAGES_PER_CLONE = 5, 4
_KEY = ["Metadata_Plate", "Metadata_Well", "Metadata_Site"]
_QUANTITIES = {
    "cells": ("n_cells", "Image_Count_Cells"),
    "neurite length, traced, um": ("total_neurite_length_um", "Image_Neurite_TotalLength_um"),
    "neurite length, corrected, um": (
        "total_neurite_length_um",
        "Image_Neurite_HiddenCorrectedLength_um",
    ),
    "mean soma area, um2": ("mean_soma_area_um2", "Image_Soma_MeanArea_um2"),
}


def cohorts() -> None:
    """Compare what is measured with what two presets of the simulator drew."""
    rows: list[dict[str, Any]] = []
    for preset in _SEEDS:
        with tempfile.TemporaryDirectory() as name:
            rows.extend(_compare_quantities(preset, _measure_cohort(preset, Path(name))))
    report("bench_morphology_cohorts", rows, ["fields of hcs simulate, 512 x 512"])


def _measure_cohort(preset: str, folder: Path) -> pd.DataFrame:
    """Draw, ingest and measure; one row a field, truth beside features."""
    from hcs.domain.config.stages import FeaturesConfig, IngestConfig, SimulateConfig
    from hcs.simulate.run import TRUTH_IMAGES
    from hcs.simulate.run import run as simulate
    from hcs.stages import features, ingest

    drawn = folder / "drawn"
    simulate(
        SimulateConfig.model_validate(
            {
                "out": str(drawn),
                "preset": preset,
                "seed": _SEEDS[preset],
                "clones_per_class": _CLONES_PER_CLASS,
                "images_per_clone": _IMAGES_PER_CLONE,
            }
        )
    )
    truth = pd.read_parquet(drawn / TRUTH_IMAGES)
    plates = []
    for name in sorted(path.name for path in drawn.glob("P*") if path.is_dir()):
        out = str(folder / f"{name}.zarr")
        given = {"source": str(drawn / name), "out": out, "layout": {"kind": "incell"}}
        ingest.run(
            IngestConfig.model_validate({**given, "plate_name": name, "pixel_size_um": 0.65})
        )
        plates.append(out)
    table = folder / "features.parquet"
    settings = {"plates": plates, "out": str(table), "morphology": {"feature_set": "classic"}}
    features.run(FeaturesConfig.model_validate(settings))
    return pd.read_parquet(table).merge(truth, on=_KEY, validate="one_to_one")


def _compare_quantities(preset: str, table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for quantity, (drawn, found) in _QUANTITIES.items():
        true, ours = table[drawn].to_numpy(float), table[found].to_numpy(float)
        yield {
            "preset": preset,
            "images": len(table),
            "quantity": quantity,
            "drawn": float(true.mean()),
            "found": float(ours.mean()),
            "bias %": 100 * float(ours.mean() / true.mean() - 1),
            "r": float(np.corrcoef(true, ours)[0, 1]),
        }

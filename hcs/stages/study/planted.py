"""What a simulation planted against what the study found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from hcs.domain import columns as col
from hcs.domain.evaluation import Evaluation, Metric
from hcs.domain.plate import Frozen
from hcs.io.files import parquet
from hcs.io.files.atomic import read_json, write_json

PLANTED: Final = "planted.json"
TRUTH_IMAGES: Final = "truth_images.parquet"
TRUTH_WELLS: Final = "truth_wells.parquet"
SIMULATION: Final = "simulation.json"


class Comparison(Frozen):
    """One quantity: the planted value, the found one, and what to think of it."""

    quantity: str
    planted: str
    found: str
    unit: str = ""
    note: str = ""


def compare(truth: str, out: str) -> tuple[Comparison, ...]:
    """Compare a finished study with the truth of its simulation, and write ``planted.json``.

    Parameters
    ----------
    truth
        Folder with ``truth_images.parquet`` and ``truth_wells.parquet``.
    out
        Folder of the study.
    """
    folder = Path(out)
    rows = [
        *_morphology(Path(truth), folder),
        *_classifiers(Path(truth), folder),
        *_hits(Path(truth), folder),
    ]
    write_json(folder / PLANTED, [row.model_dump() for row in rows])
    return tuple(rows)


def _morphology(truth: Path, out: Path) -> Iterable[Comparison]:
    found = parquet.read_table(out / "features.parquet", what="features")
    planted = parquet.read_table(truth / TRUTH_IMAGES, what="truth")
    joined = planted.merge(found, on=list(col.IMAGE_KEY), how="inner", validate="1:1")
    unit = "um" if "Image_Neurite_TotalLength_um" in joined else "px"
    shown = {"um": "µm", "px": "px"}[unit]
    for quantity, column, measured, label in (
        ("cells an image", "n_cells", col.N_CELLS, ""),
        (
            "total neurite length an image",
            f"total_neurite_length_{unit}",
            f"Image_Neurite_TotalLength_{unit}",
            shown,
        ),
        (
            "the same, corrected for hidden neurites",
            f"total_neurite_length_{unit}",
            f"Image_Neurite_HiddenCorrectedLength_{unit}",
            shown,
        ),
        (
            "mean soma area",
            f"mean_soma_area_{unit}2",
            f"Image_Soma_MeanArea_{unit}2",
            f"{shown}²",
        ),
    ):
        pair = joined[[column, measured]].dropna()
        if len(pair) < 3:
            continue
        r = np.corrcoef(pair[column], pair[measured])[0, 1]
        yield Comparison(
            quantity=quantity,
            planted=f"{pair[column].mean():.1f}",
            found=f"{pair[measured].mean():.1f}",
            unit=label,
            note=f"r = {r:.3f} over {len(pair)} images",
        )


def _phenotype_strength(truth: Path) -> float:
    """Strength of the planted class difference; 0 for the preset ``null``."""
    made = read_json(truth / SIMULATION)
    return float(made["config"]["phenotype_strength"]) if isinstance(made, dict) else 0.0


def _classifiers(truth: Path, out: Path) -> Iterable[Comparison]:
    file = out / "evaluation.json"
    if not file.exists():
        return
    judged = Evaluation.read_json(file.read_text(encoding="utf-8"), where=str(file))
    differs = _phenotype_strength(truth) > 0
    notes = {
        "cnn": (
            "differs between the classes" if differs else "same in both classes",
            "ROC AUC of the network",
            "neurite texture",
        ),
        "forest": (
            "same in both classes",
            "ROC AUC of the forest",
            "cell count, soma area, neurite length",
        ),
    }
    for model in judged.models:
        if model.model not in notes:
            continue
        planted, quantity, what = notes[model.model]
        summary = model.summary_of(Metric.ROC_AUC)
        spread = "" if summary.sd is None else f" ± {summary.sd:.2f}"
        value = "undefined" if summary.mean is None else f"{summary.mean:.2f}{spread}"
        yield Comparison(
            quantity=quantity,
            planted=f"{what}: {planted}",
            found=value,
            note=f"test clones, {summary.n} splits",
        )


def _hits(truth: Path, out: Path) -> Iterable[Comparison]:
    file = out / "hits.parquet"
    if not file.exists():
        return
    called = parquet.read_table(file, what="hits")
    planted = parquet.read_table(truth / TRUTH_WELLS, what="truth")
    planted = planted.rename(columns={"rescue": "rescue_planted"})
    wanted = planted[[*col.WELL_KEY, "rescue_planted", "is_hit"]]
    joined = called.merge(wanted, on=list(col.WELL_KEY), how="inner")
    # A well that the map was changed for after the simulation has no planted answer.
    treated = joined[(joined[col.PERT_TYPE] == "trt") & joined["is_hit"].notna()]
    true, hit = treated["is_hit"].astype(bool), treated[col.HIT].astype(bool)
    yield Comparison(
        quantity="hit wells",
        planted=str(int(true.sum())),
        found=f"{int((true & hit).sum())} of them, {int((hit & ~true).sum())} false",
        note=f"of {len(treated)} treated wells",
    )
    known = treated[["rescue_planted", col.RESCUE]].dropna()
    if len(known) > 2:
        r = float(known.corr(method="spearman").to_numpy()[0, 1])
        yield Comparison(
            quantity="rescue",
            planted=f"0 to {known['rescue_planted'].max():.2f}",
            found=f"rank correlation {r:.2f}",
            note=f"over {len(known)} treated wells",
        )

"""Tables beside the images: the plate map of a laboratory, and the truth that none has."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from hcs.domain import columns as col
from hcs.simulate.neurons import FieldTruth
from hcs.simulate.plans import PlatePlan, SimulatedClone, WellPlan
from hcs.simulate.screen import Compound

RESCUE: Final = "rescue"
IS_HIT: Final = "is_hit"

_COVARIATES: Final = ("sex", "age_years", "duration_years", "onset", "passage")


def field_rows(
    key: Mapping[str, str | int], truth: FieldTruth, pixel_size_um: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Rows of one image in the tables of images and of cells.

    Parameters
    ----------
    key
        Plate, well and site under their column names.
    truth
        What is in the image.
    pixel_size_um
        Pixel size.
    """
    mean_area = truth.mean_soma_area_px2
    image = {
        **key,
        "n_cells": truth.n_cells,
        "total_neurite_length_px": truth.total_neurite_length_px,
        "total_neurite_length_um": truth.total_neurite_length_px * pixel_size_um,
        "mean_soma_area_px2": mean_area,
        "mean_soma_area_um2": None if mean_area is None else mean_area * pixel_size_um**2,
        "n_cells_at_border": int(truth.touches_border.sum()),
    }
    cells = [
        {
            **key,
            "soma_y_px": float(truth.soma_y_px[index]),
            "soma_x_px": float(truth.soma_x_px[index]),
            "soma_area_px2": float(truth.soma_area_px2[index]),
            "soma_area_um2": float(truth.soma_area_px2[index]) * pixel_size_um**2,
            "touches_border": bool(truth.touches_border[index]),
        }
        for index in range(truth.n_cells)
    ]
    return image, cells


def platemap(plates: Sequence[PlatePlan]) -> bytes:
    """Plate map of all plates as CSV; what a laboratory knows, without any truth."""
    rows = [_map_row(plate, plan) for plate in plates for plan in plate.wells]
    stream = io.StringIO()
    frame = pd.DataFrame(rows)
    for name in ("age_years", "passage"):
        frame[name] = frame[name].astype("Int64")
    frame.to_csv(stream, index=False, lineterminator="\n")
    return stream.getvalue().encode()


def _map_row(plate: PlatePlan, plan: WellPlan) -> dict[str, Any]:
    clone = plan.clone
    return {
        "plate": plate.name,
        "well": plan.well.name,
        "clone": None if clone is None else clone.name,
        "donor": None if clone is None else clone.donor,
        "diagnosis": None if clone is None else clone.diagnosis,
        "batch": plate.batch,
        "pert_type": None if plan.pert_type is None else plan.pert_type.value,
        "compound": plan.compound,
        "concentration_um": plan.concentration_um,
        **{name: None if clone is None else getattr(clone, name) for name in _COVARIATES},
    }


def wells_frame(plates: Sequence[PlatePlan]) -> pd.DataFrame:
    """One row a well: what was planted there."""
    rows = [
        {
            col.PLATE: plate.name,
            col.WELL: plan.well.name,
            col.CLONE: None if plan.clone is None else plan.clone.name,
            col.DIAGNOSIS: None if plan.clone is None else plan.clone.diagnosis,
            col.PERT_TYPE: None if plan.pert_type is None else plan.pert_type.value,
            col.COMPOUND: plan.compound,
            col.CONCENTRATION_UM: plan.concentration_um,
            "disease": plan.condition.disease,
            RESCUE: plan.rescue,
            "survival": plan.condition.survival,
            "density": plan.condition.density,
            "illumination": plan.condition.illumination,
            IS_HIT: plan.is_hit,
        }
        for plate in plates
        for plan in plate.wells
    ]
    frame = pd.DataFrame(rows)
    frame[IS_HIT] = frame[IS_HIT].astype("boolean")
    for name in (RESCUE, col.CONCENTRATION_UM):
        frame[name] = frame[name].astype("Float64")
    return frame


def clones_frame(clones: Iterable[SimulatedClone]) -> pd.DataFrame:
    """One row a clone: diagnosis, covariates and strength of the phenotype."""
    rows = [
        {
            col.CLONE: clone.name,
            col.DONOR: clone.donor,
            col.DIAGNOSIS: clone.diagnosis,
            **{name: getattr(clone, name) for name in _COVARIATES},
            "disease": clone.disease,
        }
        for clone in clones
    ]
    return pd.DataFrame(rows)


def compounds_frame(compounds: Iterable[Compound]) -> pd.DataFrame:
    """One row a compound: kind, largest rescue, EC50, slope, toxicity, whether it is a hit."""
    columns = ("kind", "max_rescue", "ec50_um", "hill", "max_kill")
    rows = [
        {col.COMPOUND: item.name, **{name: getattr(item, name) for name in columns}}
        for item in compounds
    ]
    frame = pd.DataFrame(rows, columns=[col.COMPOUND, *columns])
    frame[IS_HIT] = frame["kind"].isin(["rescuing", "partial"]) & (frame["max_rescue"] >= 0.5)
    return frame

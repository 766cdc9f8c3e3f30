"""What is done again after a change: the table in ARCHITECTURE.md, each of its rows made for real.

A tiny study is run once; every row copies it, changes one thing, runs it again and counts.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tifffile
from small_plates import field, name_of

from hcs.compute.client import open_client
from hcs.domain.config.clusters import LocalCluster
from hcs.domain.config.studies import StudyConfig
from hcs.stages.study import run as study_run

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    # Every field has two somas: features of three clones are all the same.
    pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning"),
]

ARCHITECTURE = Path(__file__).parents[3] / "ARCHITECTURE.md"
STAGES = (
    "ingest", "features", "splits", "stack", "embed", "train", "forest", "evaluate", "predict",
    "hits",
)  # fmt: skip

Settings = dict[str, Any]
Change = Callable[[Path, Settings], None]


def settings_of(folder: Path) -> Settings:
    plates = [
        {
            "name": name,
            "source": str(folder / name),
            "role": role,
            "platemap": str(folder / "map.csv"),
        }
        for name, role in (("P1", "cohort"), ("P2", "cohort"), ("S1", "screen"))
    ]
    return {
        "name": "tiny",
        "out": str(folder / "study"),
        "plates": plates,
        "morphology": {"sizes": {"soma_diameter_px": 10, "neurite_width_px": 2}},
        "splits": {"n_splits": 3, "train": 1, "validation": 1, "test": 1},
        "stack": {"image_px": 32},
        "embed": {"views": 1, "backbone": {"weights": "random"}, "batch_images": 4},
        "train": {"epochs": 1, "head": {"hidden_units": 4}, "batch_size": 4},
        "forest": {"n_trees": 3, "importance_repeats": 0, "min_samples_leaf": 1},
        "hits": {"min_cell_fraction": 0},
    }


def write_plate(folder: Path, name: str, wells: int, seed: int) -> None:
    (folder / name).mkdir(parents=True)
    for number in range(wells):
        row, column = "AB"[number // 4], 1 + number % 4
        tifffile.imwrite(folder / name / name_of(row, column, 1), field(seed + number))


def write_map(folder: Path) -> None:
    rows = []
    for plate, wells in (("P1", 6), ("P2", 6), ("S1", 8)):
        for number in range(wells):
            sick = number % 2 == 0
            kind = {0: "negcon", 1: "poscon"}[number % 2] if number < 6 else "trt"
            rows.append(
                {
                    "plate": plate,
                    "well": f"{'AB'[number // 4]}{1 + number % 4}",
                    "clone": f"C{number % 6}" if plate != "S1" else "",
                    "donor": f"D{number % 6}" if plate != "S1" else "",
                    "diagnosis": "ALS" if sick else "control",
                    "batch": "B1",
                    "pert_type": kind if plate == "S1" else "",
                    "compound": f"X{number}" if kind == "trt" and plate == "S1" else "",
                    "concentration_um": 1.0 if kind == "trt" and plate == "S1" else None,
                    "age": 40 + number,
                }
            )
    pd.DataFrame(rows).to_csv(folder / "map.csv", index=False)


def run_study(settings: Settings, client: Any = None) -> dict[str, tuple[int, int]]:
    """Run the study; units done and units in all, by stage."""
    counts = dict.fromkeys(STAGES, (0, 0))
    for result in study_run.run_stages(StudyConfig.model_validate(settings), client):
        done, all_units = counts[result.stage]
        n = result.n_run, result.n_run + result.n_skipped
        counts[result.stage] = (done + n[0], all_units + n[1])
    return counts


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the study once."""
    folder = tmp_path_factory.mktemp("consequences") / "base"
    for name, wells, seed in (("P1", 6, 0), ("P2", 6, 100), ("S1", 8, 200)):
        write_plate(folder, name, wells, seed)
    write_map(folder)
    run_study(settings_of(folder))
    return folder


# ── changes ─────────────────────────────────────────────────────────────────────────────────────


def change_map(plate: str, well: str, column: str, value: object) -> Change:
    def change(folder: Path, _: Settings) -> None:
        table = pd.read_csv(folder / "map.csv", dtype=object)
        table.loc[(table["plate"] == plate) & (table["well"] == well), column] = value
        table.to_csv(folder / "map.csv", index=False)

    return change


def change_setting(section: str, **values: object) -> Change:
    def change(_: Path, settings: Settings) -> None:
        settings[section] = {**settings.get(section, {}), **values}

    return change


def change_pixel(folder: Path, _: Settings) -> None:
    image = field(999)
    image[40:56, 10:26] += 2000
    tifffile.imwrite(folder / "P1" / name_of("A", 2, 1), image)


def add_image(folder: Path, _: Settings) -> None:
    tifffile.imwrite(folder / "P1" / name_of("A", 2, 2), field(998))


def remove_image(folder: Path, _: Settings) -> None:
    (folder / "P1" / name_of("A", 2, 1)).unlink()
    tifffile.imwrite(folder / "P1" / name_of("A", 2, 2), field(998))


def add_plate(folder: Path, settings: Settings) -> None:
    write_plate(folder, "P3", 6, 300)
    table = pd.read_csv(folder / "map.csv", dtype=object)
    more = table[table["plate"] == "P2"].assign(plate="P3")
    pd.concat([table, more]).to_csv(folder / "map.csv", index=False)
    plate = {**settings["plates"][1], "name": "P3", "source": str(folder / "P3")}
    settings["plates"].insert(2, plate)


def remove_plate(_: Path, settings: Settings) -> None:
    del settings["plates"][1]


def swap_clones(folder: Path, settings: Settings) -> None:
    change_map("P1", "A1", "clone", "C1")(folder, settings)
    change_map("P1", "A2", "clone", "C0")(folder, settings)
    change_map("P1", "A1", "donor", "D1")(folder, settings)
    change_map("P1", "A2", "donor", "D0")(folder, settings)
    change_map("P1", "A1", "diagnosis", "control")(folder, settings)
    change_map("P1", "A2", "diagnosis", "ALS")(folder, settings)


def change_diagnosis(folder: Path, settings: Settings) -> None:
    for plate in ("P1", "P2"):
        change_map(plate, "A1", "diagnosis", "control")(folder, settings)
        change_map(plate, "A2", "diagnosis", "ALS")(folder, settings)


def change_donor(folder: Path, settings: Settings) -> None:
    for plate in ("P1", "P2"):
        change_map(plate, "A1", "donor", "D9")(folder, settings)


CHANGES: dict[str, Change] = {
    "nothing": lambda _, __: None,
    "a pixel": change_pixel,
    "an image is added": add_image,
    "an image is replaced by another": remove_image,
    "a plate is added": add_plate,
    "a plate is removed": remove_plate,
    "clones of two wells are swapped": swap_clones,
    "map: diagnosis of two clones": change_diagnosis,
    "map: donor of a clone": change_donor,
    "map: batch": change_map("P1", "A1", "batch", "B2"),
    "map: compound": change_map("S1", "B3", "compound", "Y"),
    "map: concentration": change_map("S1", "B3", "concentration_um", 2.0),
    "map: pert_type": change_map("S1", "B3", "pert_type", "negcon"),
    "map: another column": change_map("P1", "A1", "age", 99),
    "weights": change_setting("embed", backbone={"weights": "random", "seed": 1}),
    "`morphology`": change_setting("morphology", sizes={"soma_diameter_px": 11}),
    "`splits`": change_setting("splits", n_splits=4),
    "`stack`": change_setting("stack", median_level=60.0),
    "`embed`": change_setting("embed", views=2),
    "`embed` batch_images": change_setting("embed", batch_images=3),
    "`train`": change_setting("train", epochs=2),
    "`forest`": change_setting("forest", n_trees=4),
    "`hits`": change_setting("hits", robust_z_threshold=2.5),
    "study seed": lambda _, settings: settings.update(seed=1),
}


def read_table() -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of the table of consequences as it stands in ARCHITECTURE.md."""
    lines = ARCHITECTURE.read_text(encoding="utf-8").split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("| what changed |"))
    names = [cell.strip() for cell in lines[start].strip("|").split("|")][1:]
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return
        what, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        yield what, dict(zip(names, cells, strict=True))


def render(counts: dict[str, tuple[int, int]]) -> dict[str, str]:
    return {
        stage: "–" if done == 0 else "all" if done == n else f"{done} of {n}"
        for stage, (done, n) in counts.items()
    }


@pytest.mark.parametrize("what", [pytest.param(what, id=what) for what in CHANGES])
def test_a_change_costs_what_the_table_says(finished, tmp_path, what):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    settings = settings_of(folder)
    CHANGES[what](folder, settings)
    found = render(run_study(settings))
    print("| " + " | ".join([what, *found.values()]) + " |")  # noqa: T201  (for the document)
    assert found == dict(read_table())[what]
    assert set(render(run_study(settings)).values()) == {"–"}


def test_the_table_has_every_change_and_every_stage():
    rows = dict(read_table())
    assert [what for what in rows if what in CHANGES] == list(CHANGES)
    assert all(tuple(cells) == STAGES for cells in rows.values())


def test_the_kind_of_cluster_and_the_number_of_workers_change_nothing(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    for n_workers in (1, 2):
        with open_client(LocalCluster(n_workers=n_workers)) as client:
            assert set(render(run_study(settings_of(folder), client)).values()) == {"–"}

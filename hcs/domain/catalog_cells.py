"""What the assays of cells and nuclei measure, by part and channel, in CellProfiler's names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from hcs.domain.columns import N_CELLS, with_unit
from hcs.domain.config.measuring import FeatureSet

SHAPES: Final = {
    "Area": "Pixels.",
    "Center_X": "Middle, column.",
    "Center_Y": "Middle, row.",
    "BoundingBoxArea": "Pixels of the upright box around it.",
    "Compactness": "Perimeter squared over 4π times area; 1 is a disk.",
    "Eccentricity": "Of the ellipse with the same second moments; 0 is a circle.",
    "EquivalentDiameter": "Diameter of the disk of the same area.",
    "Extent": "Area over that of the box.",
    "FormFactor": "4π times area over perimeter squared.",
    "MajorAxisLength": "Long axis of that ellipse.",
    "MinorAxisLength": "Short axis of that ellipse.",
    "Perimeter": "By the neighbors of each pixel of the edge (Benkrid and Crookes 2000).",
}
"""``<Part>_AreaShape_<Name>``: in pixels, as CellProfiler's; the first three are classic."""

LIGHT: Final = {
    "IntegratedIntensity": "Sum.",
    "MeanIntensity": "Mean.",
    "StdIntensity": "Standard deviation.",
    "MinIntensity": "Least.",
    "MaxIntensity": "Greatest.",
    "MassDisplacement": "From the middle to the middle of the light, in pixels.",
    "LowerQuartileIntensity": "Below it lies a quarter.",
    "MedianIntensity": "Below it lies half.",
    "UpperQuartileIntensity": "Below it lie three quarters.",
    "MADIntensity": "Median distance from the median.",
    "IntegratedIntensityEdge": "Sum along the outline.",
    "MeanIntensityEdge": "Mean along the outline.",
    "StdIntensityEdge": "Standard deviation along the outline.",
    "MinIntensityEdge": "Least along the outline.",
    "MaxIntensityEdge": "Greatest along the outline.",
}
"""``<Part>_Intensity_<Name>_<Channel>``: in counts, background and all; five are classic."""

N_CLASSIC_SHAPES: Final = 3
N_CLASSIC_LIGHT: Final = 5

TEXTURES: Final = (
    "AngularSecondMoment",
    "Contrast",
    "Correlation",
    "Variance",
    "InverseDifferenceMoment",
    "SumAverage",
    "SumVariance",
    "SumEntropy",
    "Entropy",
    "DifferenceVariance",
    "DifferenceEntropy",
    "InfoMeas1",
    "InfoMeas2",
)
"""``<Part>_Texture_<Name>_<Channel>_3_<00..03>_256``."""

PARTS: Final = ("Cells", "Nuclei", "Cytoplasm")


def single_cell_columns(
    parts: Sequence[str], channels: Sequence[str], feature_set: FeatureSet, *, with_texture: bool
) -> set[str]:
    """Columns of the table of single cells, without markers.

    Parameters
    ----------
    parts
        Of :data:`PARTS`, the one that is counted first.
    channels
        Measured channels, as columns carry their names.
    feature_set
        ``classic`` or ``full``.
    with_texture
        Whether textures were asked for; there are none in ``classic``.
    """
    full = feature_set == "full"
    shapes = list(SHAPES)[: None if full else N_CLASSIC_SHAPES]
    light = list(LIGHT)[: None if full else N_CLASSIC_LIGHT]
    found = {f"{parts[0]}_ObjectNumber", f"{parts[0]}_TouchesBorder"}
    found |= {f"{part}_AreaShape_{name}" for part in parts for name in shapes}
    for part in parts:
        for channel in channels:
            found |= {f"{part}_Intensity_{name}_{channel}" for name in light}
            if full and with_texture:
                found |= {
                    f"{part}_Texture_{name}_{channel}_3_{turn:02d}_256"
                    for name in TEXTURES
                    for turn in range(4)
                }
    return found


def image_columns(parts: Sequence[str], pixel_size_um: float | None) -> set[str]:
    """Columns of the table of images beside means over cells, quality and markers."""
    found = {N_CELLS, "Image_Count_BorderCells"}
    if "Nuclei" in parts:
        found |= {"Image_Count_Nuclei", "Image_Count_SkippedNuclei"}
    for part in parts:
        found.add(with_unit(f"Image_{part}_MeanArea", 2, pixel_size_um))
        found.add(f"Image_{part}_AreaFraction")
    return found


def as_markdown() -> str:
    """Return the section of ``docs/features.md`` on cells and nuclei."""
    return "".join(_lines())


def _lines() -> Iterator[str]:
    yield (
        "\n## Cells and nuclei\n\n"
        "With `--assay nuclei` the parts are `Nuclei`; with `--assay cells` they are `Cells`,"
        " `Nuclei` and `Cytoplasm`\n(the cell without its nucleus), or `Cells` alone where no"
        " nuclear channel is named. All have one row a cell in\nthe table of single cells, under"
        " the"
        " names and by the definitions of CellProfiler 4, so that pycytominer takes it as\nit"
        " stands. Lengths and areas there are in pixels, as CellProfiler's are; brightness is in"
        " counts as acquired\n(divided by the illumination where that was corrected), background"
        " and all: CellProfiler's is that over the greatest\nvalue of the image's type. Signs in"
        " channel names other than letters, digits and `_` are left out. An empty part\n(no"
        " cytoplasm around a nucleus) has no values.\n\n"
        "By default the channels that cells are found in are measured; `--measure A,B` or"
        " `--measure all` names others, and\nadds textures. With `--assay neurons` these are"
        " measured on the somas (`Cells_…`).\n\n"
        "| column | set | what it is |\n|---|---|---|\n"
        "| `<Part>_ObjectNumber` | classic | Number in the label images `cells` and `nuclei`, of"
        " the first part alone. |\n"
        "| `<Part>_TouchesBorder` | classic | Whether the edge of the image cuts it, of the first"
        " part alone. |\n"
        "| `Cells_Stained` | classic | Whether the stain of the body stands out around the nucleus;"
        " else the nucleus alone is the cell. |\n"
    )
    for k, (name, about) in enumerate(SHAPES.items()):
        yield _row(f"<Part>_AreaShape_{name}", k < N_CLASSIC_SHAPES, about)
    for k, (name, about) in enumerate(LIGHT.items()):
        yield _row(f"<Part>_Intensity_{name}_<Channel>", k < N_CLASSIC_LIGHT, about)
    about = (
        f"Haralick's textures ({', '.join(TEXTURES)}) of pixels 3 px apart in the directions 00 to"
        " 03, on 256 gray levels of the full scale of the image's type, as mahotas and"
        " CellProfiler compute them (10.1109/TSMC.1973.4309314, 10.5334/jors.ac); only with"
        " `--measure`."
    )
    yield _row("<Part>_Texture_<Name>_<Channel>_3_<direction>_256", False, about)
    yield (
        "\n| feature of the image | what it is |\n|---|---|\n"
        "| `Image_Count_Cells` | Cells, also those that the border cuts; with `--assay nuclei` its"
        " nuclei. |\n"
        "| `Image_Count_BorderCells` | Those that the border cuts; CellProfiler's pipelines often"
        " leave them out. |\n"
        "| `Image_Count_Nuclei` | Nuclei: cells and skipped ones together. |\n"
        "| `Image_Count_SkippedNuclei` | Nuclei that are no cell: out of focus, or outside of"
        " cells that were given. |\n"
        "| `Image_Count_UnstainedCells` | Cells without a stain of the body, where there is such a"
        " channel. |\n"
        "| `Image_<Part>_MeanArea_um2` | Mean area (`_px2` without a pixel size). |\n"
        "| `Image_<Part>_AreaFraction` | Share of the image. |\n"
        "| `Image_Mean_<column>` | Mean over the cells of each column above. |\n"
        "| `Image_Intensity_…`, `Image_Quality_…` | As above, of the channel that cells are found"
        " in. |\n\n"
        "A marker's columns begin with the part that it is asked for on (`--marker"
        " PH3=Cy5@nucleus:otsu`: `Nuclei_PH3_MeanIntensity`,\n`Nuclei_PH3_Positive`). `otsu` finds"
        " one level for the plate from up to 24 fields, on the inverse hyperbolic sine of the"
        "\nmeans;"
        " where these do not fall into two groups no cell is positive, and that is said.\n"
    )


def _row(name: str, is_classic: bool, about: str) -> str:
    return f"| `{name}` | {'classic' if is_classic else 'full'} | {about} |\n"

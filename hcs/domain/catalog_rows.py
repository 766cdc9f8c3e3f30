"""Rows of the feature catalogue: what each number is, its unit and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hcs.domain import columns as col
from hcs.domain.config.measuring import FeatureSet

Empty = Literal["never", "cells", "neurites"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    Attributes
    ----------
    name
        Column without unit.
    unit
        ``um`` (or px) for lengths, ``um2`` for areas, else what the number counts.
    power
        1 for a length, 2 for an area, 0 for what has no length in it.
    feature_set
        The smallest set that holds it.
    definition
        What it is, in one sentence.
    reference
        DOI or place of the published method, empty for plain counts and means.
    empty
        When it is NaN: never, without cells, or without neurites.
    """

    name: str
    unit: str
    power: int
    feature_set: FeatureSet
    definition: str
    reference: str = ""
    empty: Empty = "never"

    def column(self, pixel_size_um: float | None) -> str:
        """Return the name of its column, with the unit."""
        return col.with_unit(self.name, self.power, pixel_size_um) if self.power else self.name


_HARALICK: Final = "10.1109/TSMC.1973.4309314"
_STEGER: Final = "10.1109/34.659930"
_SCALE: Final = "10.1023/A:1008097225773"


def _share(name: str, definition: str) -> Feature:
    return Feature(name, "share", 0, "classic", definition)


IMAGE: Final = (
    Feature("Image_Count_Cells", "count", 0, "classic", "Somas, also those that the border cuts."),
    Feature("Image_Soma_MeanArea", "um2", 2, "classic", "Mean area of the somas.", empty="cells"),
    Feature(
        "Image_Neurite_TotalLength",
        "um",
        1,
        "classic",
        "Length of all neurites outside of somas as traced along smoothed middle lines: what the"
        " label image `neurites` shows.",
        "10.1145/218380.218473",
    ),
    Feature(
        "Image_Neurite_HiddenCorrectedLength",
        "um",
        1,
        "classic",
        "Estimate of the length with neurites that lie under or close beside another and leave no"
        " trace of their own: the traced length times a factor from the density of traces around"
        " each, at most 2, fitted on drawn fields.",
        "10.1017/CBO9780511617331",
    ),
    Feature(
        "Image_Neurite_LengthPerCell",
        "um",
        1,
        "classic",
        "Traced length over the number of cells.",
        empty="cells",
    ),
    Feature("Image_Soma_AreaFraction", "share", 0, "classic", "Share of the image under somas."),
    _share(
        "Image_Neurite_AreaFraction",
        "Share of the image on middle lines of neurites.",
    ),
    _share(
        "Image_Neurite_UnassignedFraction",
        "Share of the length that leads to no soma of the image.",
    ),
    _share(
        "Image_Neurite_BroadFraction",
        "Share of the length that stands on broad bright ground: of neurites about a tenth to a"
        " third, of lines inside of round cells most.",
    ),
    Feature("Image_Intensity_Mean", "counts", 0, "classic", "Mean of all pixels, as acquired."),
    Feature("Image_Intensity_Median", "counts", 0, "classic", "Median of all pixels, as acquired."),
    Feature("Image_Intensity_Maximum", "counts", 0, "classic", "Brightest pixel, as acquired."),
    Feature(
        "Image_Quality_FocusScore",
        "counts",
        0,
        "classic",
        "Variance over mean: higher is sharper between images of like content.",
        "10.1002/cyto.990060202",
    ),
    Feature(
        "Image_Quality_PowerLogLogSlope",
        "",
        0,
        "classic",
        "Slope of log power over log spatial frequency: lower is blurrier.",
        "10.1177/1087057111420292",
    ),
    _share(
        "Image_Quality_SaturatedFraction",
        "Share of pixels at the camera's limit.",
    ),
    _share(
        "Image_Quality_GlareFraction",
        "Share of the field under bright haze that was taken off, or that hides what lies there.",
    ),
    _share(
        "Image_Quality_SaturatedAreaFraction",
        "Share of the field in saturated areas larger than cells, in which nothing is sought.",
    ),
    Feature(
        "Image_Quality_BlankFraction",
        "share",
        0,
        "classic",
        "Share of the field that holds no image: black, as stitching and rotation leave it. It"
        " counts in no other statistic, and shares of area are of the rest.",
    ),
    Feature(
        "Image_Quality_NoiseCounts",
        "counts",
        0,
        "classic",
        "Standard deviation of the pixel noise.",
        "10.1006/cviu.1996.0060",
    ),
    Feature(
        "Image_Quality_BackgroundCounts",
        "counts",
        0,
        "classic",
        "Median over 64 tiles of their 10th percentile.",
    ),
    Feature(
        "Image_Quality_BackgroundGradientFraction",
        "share",
        0,
        "classic",
        "Range over the image of a plane fitted to those tiles, over the background.",
    ),
    Feature(
        "Image_Quality_DebrisAreaFraction",
        "share",
        0,
        "classic",
        "Share of the image under bright bodies that are too small for a soma.",
    ),
    Feature(
        "Image_Count_BorderCells", "count", 0, "full", "Somas that touch the edge of the image."
    ),
    Feature(
        "Image_Soma_MeanEccentricity",
        "",
        0,
        "full",
        "Mean eccentricity of the somas.",
        empty="cells",
    ),
    Feature(
        "Image_Soma_MeanFormFactor", "", 0, "full", "Mean form factor of the somas.", empty="cells"
    ),
    Feature(
        "Image_Soma_MeanIntensity",
        "counts",
        0,
        "full",
        "Mean over cells of the mean brightness of the soma.",
        empty="cells",
    ),
    Feature(
        "Image_Neurite_MeanPrimary",
        "count",
        0,
        "full",
        "Mean number of neurites that leave a soma.",
        empty="cells",
    ),
    Feature(
        "Image_Neurite_MeanLongestLength",
        "um",
        1,
        "full",
        "Mean length of the longest neurite of a cell.",
        empty="cells",
    ),
    Feature(
        "Image_Neurite_BranchPoints",
        "count",
        0,
        "full",
        "Places where a neurite divides; crossings are not counted.",
    ),
    Feature(
        "Image_Neurite_EndPoints",
        "count",
        0,
        "full",
        "Ends of neurites that lie neither at a soma nor at the edge of the image.",
    ),
    Feature("Image_Neurite_Crossings", "count", 0, "full", "Places where two neurites cross."),
    Feature(
        "Image_Neurite_MeanWidth",
        "um",
        1,
        "full",
        "Mean full width at half maximum of the neurites, optics included.",
        _SCALE,
        "neurites",
    ),
    Feature(
        "Image_Neurite_MeanIntensity",
        "counts",
        0,
        "full",
        "Mean brightness along the middle lines.",
        empty="neurites",
    ),
    Feature(
        "Image_Neurite_Beading",
        "share",
        0,
        "full",
        "Coefficient of variation of the brightness along a branch, mean over branches weighted by"
        " their length.",
        empty="neurites",
    ),
    Feature(
        "Image_Sholl_MeanMaximum",
        "count",
        0,
        "full",
        "Mean over cells of the most crossings with one circle.",
        "Sholl 1953, J Anat 87:387",
        "cells",
    ),
    Feature(
        "Image_Sholl_MeanCriticalRadius",
        "um",
        1,
        "full",
        "Mean radius of that circle.",
        "Sholl 1953, J Anat 87:387",
        "cells",
    ),
    Feature("Image_Intensity_Std", "counts", 0, "full", "Standard deviation of all pixels."),
    Feature(
        "Image_Intensity_MAD",
        "counts",
        0,
        "full",
        "1.4826 times the median absolute deviation of all pixels.",
    ),
    *(
        Feature(f"Image_Intensity_P{p:02d}", "counts", 0, "full", f"Percentile {p} of all pixels.")
        for p in (1, 10, 90, 99)
    ),
    *(
        Feature(
            f"Image_Texture_{name}",
            unit,
            0,
            "full",
            f"Haralick's {name.lower()} at the distance of one neurite width, 32 gray levels, mean"
            " of four directions.",
            _HARALICK,
        )
        for name, unit in (
            ("Contrast", ""),
            ("Correlation", ""),
            ("Energy", ""),
            ("Homogeneity", ""),
            ("Entropy", "bits"),
        )
    ),
)

CELLS: Final = (
    Feature("Cells_ObjectNumber", "", 0, "classic", "Number in the label image `soma`."),
    Feature("Cells_Location_Center_X_px", "px", 0, "classic", "Middle of the soma, column."),
    Feature("Cells_Location_Center_Y_px", "px", 0, "classic", "Middle of the soma, row."),
    Feature("Cells_Soma_Area", "um2", 2, "classic", "Area of the soma."),
    Feature("Cells_Soma_MeanIntensity", "counts", 0, "classic", "Mean brightness of the soma."),
    Feature("Cells_Soma_TouchesBorder", "", 0, "classic", "Whether the edge of the image cuts it."),
    Feature(
        "Cells_Neurite_Length",
        "um",
        1,
        "classic",
        "Length of the neurites that grow from this soma, corrected as the total length.",
    ),
    Feature(
        "Cells_Soma_Perimeter",
        "um",
        1,
        "full",
        "Perimeter by the Cauchy-Crofton formula in four directions.",
        "10.1017/CBO9780511617331",
    ),
    Feature(
        "Cells_Soma_MajorAxisLength",
        "um",
        1,
        "full",
        "Long axis of the ellipse with the same second moments.",
    ),
    Feature("Cells_Soma_MinorAxisLength", "um", 1, "full", "Short axis of that ellipse."),
    Feature(
        "Cells_Soma_Eccentricity", "", 0, "full", "Eccentricity of that ellipse; 0 is a circle."
    ),
    Feature(
        "Cells_Soma_FormFactor", "", 0, "full", "4π times area over perimeter squared; 1 is a disk."
    ),
    Feature(
        "Cells_Soma_IntegratedIntensity", "counts", 0, "full", "Sum of the brightness of the soma."
    ),
    Feature(
        "Cells_Soma_StdIntensity", "counts", 0, "full", "Standard deviation of its brightness."
    ),
    Feature("Cells_Neurite_Primary", "count", 0, "full", "Neurites that leave the soma."),
    Feature(
        "Cells_Neurite_LongestLength",
        "um",
        1,
        "full",
        "Longest way from the soma along its neurites.",
    ),
    Feature("Cells_Neurite_BranchPoints", "count", 0, "full", "Places where its neurites divide."),
    Feature(
        "Cells_Neurite_EndPoints",
        "count",
        0,
        "full",
        "Ends of its neurites, not at the edge of the image.",
    ),
    Feature(
        "Cells_Neurite_MeanWidth",
        "um",
        1,
        "full",
        "Mean full width at half maximum of its neurites.",
        f"{_STEGER}; {_SCALE}",
        "neurites",
    ),
    Feature(
        "Cells_Neurite_MeanIntensity",
        "counts",
        0,
        "full",
        "Mean brightness along its neurites.",
        empty="neurites",
    ),
    Feature(
        "Cells_Neurite_Beading",
        "share",
        0,
        "full",
        "Coefficient of variation of the brightness along its branches.",
        empty="neurites",
    ),
    Feature("Cells_Sholl_Maximum", "count", 0, "full", "Most crossings with one circle."),
    Feature(
        "Cells_Sholl_CriticalRadius",
        "um",
        1,
        "full",
        "Radius of that circle, 0 without crossings.",
    ),
)

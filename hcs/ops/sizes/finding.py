"""Sizes of a study: found on fields of all of its plates together, with how sure they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import Cells, MorphologyConfig, Neurons, Nuclei
from hcs.ops.cells.lone import estimate_body_diameter
from hcs.ops.estimate import estimate_neurite_width
from hcs.ops.resizing import shrink
from hcs.ops.scales import usual_sizes
from hcs.ops.sizes.bodies import trace_sizes
from hcs.ops.sizes.nuclear import find_nuclear_sizes

_LEAST_NUCLEI: Final = 0.9
_MOST_NUCLEI: Final = 3.0
"""The diameter of a soma, in diameters of its nucleus, lies between these."""

_SOMA_NUCLEI: Final = 1.3
"""The same where the stain shows no bodies between them."""

_DRAWS: Final = 200
_LEVELS: Final = (2.5, 97.5)
_DOUBTFUL_SPAN: Final = 1.5
"""Upper over lower end of the interval from which on a size is said to be doubtful."""

_DOUBTFUL_PLATES: Final = 1.3
"""The same for the sizes that single plates give."""

_LARGEST_RIVAL: Final = 1.8
"""Bodies of about half of a diameter are neurites and grains, and no rivals."""

_FEW_OBJECTS: Final = 10

_MOST_OF_FIELD: Final = 0.5
"""Found diameters of more than this share of the shorter side are doubted: the field would hold no
whole object of them."""

_LEAST_WIDTHS: Final = 2.0
"""Somas that are found of fewer widths of a neurite are doubted: 1.3 where one large neuron fell
into 324 beads, 1.6 of nuclei; of neurons it is 4 and more."""

Source = Literal["stain", "nuclei", "usual"]


@dataclass(frozen=True, slots=True)
class FieldPlanes:
    """Planes of one field that sizes are found on; their shapes are (Y, X)."""

    stain: NDArray[Any]
    nuclear: NDArray[Any] | None = None
    plate: str = ""
    pixel_size_um: float | None = None


@dataclass(frozen=True, slots=True)
class FoundSize:
    """A size with what it rests on.

    Attributes
    ----------
    value, low, high
        In ``unit``; the interval holds 95 of 100 draws of fields with repetitions.
    unit
        ``um`` or ``px``.
    n_objects
        Objects, or images for the width of neurites, that it rests on.
    source
        ``stain``, ``nuclei``, or ``usual`` where nothing was found.
    by_plate
        What each plate alone would give.
    doubts
        Why it may be wrong, in words.
    """

    value: float
    low: float
    high: float
    unit: str
    n_objects: int
    source: Source
    by_plate: dict[str, float]
    doubts: tuple[str, ...] = ()

    @property
    def is_only_few(self) -> bool:
        """Whether the only doubt is that it rests on few objects."""
        return len(self.doubts) == 1 and self.n_objects > 0 and self.doubts[0].startswith(_FEW)


_FEW: Final = "it rests on "

_Solve = Callable[[Sequence[int]], float | None]


def find_sizes(settings: MorphologyConfig, fields: Iterable[FieldPlanes]) -> dict[str, FoundSize]:
    """Find the sizes that the settings leave out.

    Nuclei are found and measured until their diameter is stable. The diameter of somas is the one
    at which what is found has the assumed size; with a nuclear channel it is sought between 0.9
    and 3 diameters of a nucleus.

    Parameters
    ----------
    settings
        Sizes that are given are not looked for.
    fields
        Fields of all plates. Planes of smaller pixels are shrunk to the largest.

    Returns
    -------
    dict
        By the name of the size without its unit; empty where all are given.
    """
    wanted = [name for name in _name_sizes(settings) if not _is_given(settings, name)]
    if not wanted:
        return {}
    taken = list(fields)
    pixel = max((f.pixel_size_um for f in taken if f.pixel_size_um is not None), default=None)
    if pixel is not None:
        taken = [_bring_to(item, pixel) for item in taken]
    study = _Study(settings, taken, pixel)
    found = {name: study.find(name) for name in wanted}
    soma, width = found.get("soma_diameter"), study.px["neurite_width"]
    if soma is not None and width is not None and isinstance(settings.assay, Neurons):
        wide = soma.value / study.size / width
        if wide < _LEAST_WIDTHS:
            doubt = f"that is {wide:.1f} widths of a neurite: beads of neurites, or bodies without"
            found["soma_diameter"] = replace(soma, doubts=(*soma.doubts, f"{doubt} neurites"))
    return found


def fill_sizes(settings: MorphologyConfig, found: dict[str, FoundSize]) -> MorphologyConfig:
    """Put found sizes into the settings."""
    values = {f"{name}_{size.unit}": size.value for name, size in found.items()}
    return settings.model_copy(update={"sizes": settings.sizes.model_copy(update=values)})


def with_estimates(
    settings: MorphologyConfig, images: Iterable[NDArray[Any]], pixel_size_um: float | None
) -> MorphologyConfig:
    """Fill in the sizes that the settings leave out, from planes of the stain alone.

    Parameters
    ----------
    settings
        Sizes that are given stay as they are.
    images
        Planes (Y, X) of the plate.
    pixel_size_um
        Edge of a pixel, None where it is not known.

    Returns
    -------
    MorphologyConfig
        With all sizes set, to three digits; the usual sizes where the images show nothing.
    """
    fields = (FieldPlanes(image, pixel_size_um=pixel_size_um) for image in images)
    if isinstance(settings.assay, Neurons):
        settings.sizes.check_units(pixel_size_um)
    return fill_sizes(settings, find_sizes(settings.model_copy(update={"nuclei": None}), fields))


def _name_sizes(settings: MorphologyConfig) -> list[str]:
    """Sizes that the assay works with, in the order in which they are found."""
    nuclear = ["nucleus_diameter"] if settings.nuclei is not None else []
    if isinstance(settings.assay, Nuclei):
        return ["nucleus_diameter"]
    if isinstance(settings.assay, Cells):
        return nuclear or ["soma_diameter"]
    return [*nuclear, "soma_diameter", "neurite_width"]


def _is_given(settings: MorphologyConfig, name: str) -> bool:
    return any(settings.sizes.is_given(name, unit) for unit in ("um", "px"))


def _bring_to(item: FieldPlanes, pixel_size_um: float) -> FieldPlanes:
    factor = pixel_size_um / (item.pixel_size_um or pixel_size_um)
    if factor <= 1:
        return item

    def shrunk(plane: NDArray[Any]) -> NDArray[np.float32]:
        return shrink(plane.astype(np.float32), factor)

    nuclear = None if item.nuclear is None else shrunk(item.nuclear)
    return replace(item, stain=shrunk(item.stain), nuclear=nuclear, pixel_size_um=pixel_size_um)


class _Study:
    """Fields of all plates, with pixels of one size, and what is known of their sizes in px."""

    def __init__(
        self, settings: MorphologyConfig, fields: Sequence[FieldPlanes], pixel: float | None
    ) -> None:
        self.settings, self.fields, self.pixel = settings, fields, pixel
        self.unit, self.size = ("px", 1.0) if pixel is None else ("um", pixel)
        self.px: dict[str, float | None] = {
            name: settings.sizes.in_px(name, pixel) if fields else None
            for name in ("nucleus_diameter", "soma_diameter", "neurite_width")
        }

    def find(self, name: str) -> FoundSize:
        """Find one size; later ones may use it."""
        steps = {
            "nucleus_diameter": self._find_nucleus,
            "soma_diameter": self._find_soma,
            "neurite_width": self._find_neurite,
        }
        found = steps[name]()
        self.px[name] = found.value / self.size
        return found

    def _find_nucleus(self) -> FoundSize:
        planes = [item.stain if item.nuclear is None else item.nuclear for item in self.fields]
        sizes = find_nuclear_sizes(planes, self.settings.tuning.nuclei)
        if sizes is None:
            return self._usual(self.settings.tuning.nuclei.usual_diameter_px, "nuclei")
        return self._judge("nuclei", sizes.solve, sizes.n_nuclei, ())

    def _find_lone(self) -> FoundSize:
        """Find the diameter of cell bodies that have neither nuclei nor neurites."""
        tuning = self.settings.tuning.cells
        diameters = [estimate_body_diameter(item.stain, tuning) for item in self.fields]
        n_known = sum(diameter is not None for diameter in diameters)
        if n_known == 0:
            return self._usual(tuning.usual_diameter_px, "bodies")
        return self._judge("stain", partial(_middle, diameters), n_known, (), least_objects=1)

    def _find_soma(self) -> FoundSize:
        if isinstance(self.settings.assay, Cells):
            return self._find_lone()
        nucleus = self.px["nucleus_diameter"]
        planes = [item.stain for item in self.fields]
        if nucleus is None:
            curve = trace_sizes(planes)
        else:
            curve = trace_sizes(planes, _LEAST_NUCLEI * nucleus, _MOST_NUCLEI * nucleus)
        solved = curve.solve()
        if not solved:
            return self._soma_of(nucleus)
        rivals = [s for s in solved[1:] if _DOUBTFUL_PLATES < solved[0] / s < _LARGEST_RIVAL]
        doubts = [f"{self._tell(size)} agrees with what is found as well" for size in rivals]

        def solve(chosen: Sequence[int]) -> float | None:
            return next(iter(curve.solve(chosen)), None)

        return self._judge("stain", solve, curve.count(solved[0]), doubts)

    def _soma_of(self, nucleus: float | None) -> FoundSize:
        if nucleus is None:
            return self._usual(usual_sizes(self.pixel)[0] / self.size, "bodies")
        value = _round(_SOMA_NUCLEI * nucleus * self.size)
        doubt = (
            f"the stain shows no bodies of {_LEAST_NUCLEI:g} to {_MOST_NUCLEI:g} diameters of a"
            f" nucleus: {_SOMA_NUCLEI:g} of them are assumed"
        )
        return FoundSize(value, value, value, self.unit, 0, "nuclei", {}, (doubt,))

    def _find_neurite(self) -> FoundSize:
        soma = self.px["soma_diameter"] or usual_sizes(None)[0]
        widths = [estimate_neurite_width(item.stain, soma) for item in self.fields]
        n_known = sum(width is not None for width in widths)
        if n_known == 0:
            value = _round(usual_sizes(self.pixel)[1])
            return FoundSize(value, value, value, self.unit, 0, "usual", {})
        return self._judge("stain", partial(_middle, widths), n_known, (), least_objects=1)

    def _judge(
        self,
        source: Source,
        solve: _Solve,
        n_objects: int,
        doubts: Iterable[str],
        least_objects: int = _FEW_OBJECTS,
    ) -> FoundSize:
        """Put a size together with its interval, what plates alone give, and the doubts."""
        everyone = range(len(self.fields))
        value = solve(everyone) or 0.0
        rng = np.random.Generator(np.random.Philox(0))
        draws = [
            solve(list(rng.integers(0, len(self.fields), len(self.fields)))) for _ in range(_DRAWS)
        ]
        known = [draw for draw in draws if draw is not None] or [value]
        low, high = np.percentile(known, _LEVELS)
        plates = list(dict.fromkeys(item.plate for item in self.fields))
        alone = {
            plate: solve([i for i in everyone if self.fields[i].plate == plate])
            for plate in (plates if len(plates) > 1 else [])
        }
        by_plate = {plate: size for plate, size in alone.items() if size is not None}
        told = list(doubts)
        if n_objects < least_objects:
            told.append(f"{_FEW}{n_objects} objects only")
        side = min(min(item.stain.shape) for item in self.fields)
        if value > _MOST_OF_FIELD * side:
            told.append(f"no whole object of this size fits into a field of {self._tell(side)}")
        if high > _DOUBTFUL_SPAN * low:
            told.append(f"other fields would give {self._tell(low)} to {self._tell(high)}")
        if by_plate and max(by_plate.values()) > _DOUBTFUL_PLATES * min(by_plate.values()):
            least, most = (pick(by_plate, key=by_plate.__getitem__) for pick in (min, max))
            told.append(
                f"plate {least} alone gives {self._tell(by_plate[least])},"
                f" plate {most} {self._tell(by_plate[most])}"
            )
        return FoundSize(
            _round(value * self.size),
            _round(low * self.size),
            _round(high * self.size),
            self.unit,
            n_objects,
            source,
            {plate: _round(size * self.size) for plate, size in by_plate.items()},
            tuple(told),
        )

    def _usual(self, px: float, what: str) -> FoundSize:
        value = _round(px * self.size)
        doubt = f"no {what} were found to take it from: the usual size is assumed"
        return FoundSize(value, value, value, self.unit, 0, "usual", {}, (doubt,))

    def _tell(self, px: float) -> str:
        return f"{_round(px * self.size):g} {'px' if self.unit == 'px' else 'µm'}"


def _middle(sizes: Sequence[float | None], chosen: Sequence[int]) -> float | None:
    known = [size for index in chosen if (size := sizes[index]) is not None]
    return float(median(known)) if known else None


def _round(value: float) -> float:
    return float(f"{value:.3g}")

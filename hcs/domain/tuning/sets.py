"""All tuned constants as one set, one group a kernel, and their defaults."""

from __future__ import annotations

from typing import Final

from hcs.domain.tuning.base import Tuned
from hcs.domain.tuning.bodies import NucleiTuning, SeedingTuning, SomaTuning
from hcs.domain.tuning.cells import CellTuning
from hcs.domain.tuning.lines import NeuriteTuning
from hcs.domain.tuning.planes import (
    BackgroundTuning,
    BlankTuning,
    ContrastTuning,
    GlareTuning,
    LightTuning,
    MarkerTuning,
    QualityTuning,
    SaturatedTuning,
    TextureTuning,
)


class Tuning(Tuned):
    """Constants that were fitted or chosen, by kernel.

    What is not here are identities (twelfths of a pixel's own variance), limits of types, and
    widths at which a numerical filter is cut.
    """

    background: BackgroundTuning = BackgroundTuning()
    contrast: ContrastTuning = ContrastTuning()
    glare: GlareTuning = GlareTuning()
    saturated: SaturatedTuning = SaturatedTuning()
    blank: BlankTuning = BlankTuning()
    light: LightTuning = LightTuning()
    quality: QualityTuning = QualityTuning()
    texture: TextureTuning = TextureTuning()
    markers: MarkerTuning = MarkerTuning()
    somas: SomaTuning = SomaTuning()
    seeding: SeedingTuning = SeedingTuning()
    nuclei: NucleiTuning = NucleiTuning()
    cells: CellTuning = CellTuning()
    neurites: NeuriteTuning = NeuriteTuning()


DEFAULTS: Final = Tuning()
"""What is used where nothing else is said."""

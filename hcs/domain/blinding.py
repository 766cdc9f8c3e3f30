"""Blinding: the key file that knows who is who, its configurations, and the position report."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from hcs.domain.config.network import Seed
from hcs.domain.plate import Frozen, Name, PertType

KEY_FORMAT: Final = "hcs-blind-key/1"

Decimal = Literal["point", "comma"]

PlateWells = Literal[6, 12, 24, 48, 96, 384, 1536]


class CloneEntry(Frozen):
    """One line of a clone table: who a clone is.

    Attributes
    ----------
    clone, donor, diagnosis, batch, pert_type, compound, concentration_um
        As in a plate map. ``pert_type`` marks a control.
    n_wells
        Wells on each plate; None is the number that is asked for all.
    extra
        Any further columns, under their own names.
    """

    clone: Name
    donor: str | None = None
    diagnosis: str | None = None
    batch: str | None = None
    pert_type: PertType | None = None
    compound: str | None = None
    concentration_um: float | None = Field(default=None, ge=0)
    n_wells: Annotated[int, Field(ge=1, le=1536)] | None = None
    extra: dict[str, str | float | int | bool | None] = Field(default_factory=dict)

    @property
    def identity(self) -> str:
        """What gets a code of its own: a clone, or a clone under one treatment."""
        parts = (self.clone, self.compound, self.concentration_um, self.pert_type)
        return "\x1f".join("" if part is None else str(part) for part in parts)


class BlindedPlate(Frozen):
    """Where each code stands on one plate."""

    plate: Name
    n_wells: PlateWells
    seed: Seed
    wells: dict[str, str]


class BlindKey(Frozen):
    """Contents of a key file: it turns codes into clones, so it is kept from whoever is blind."""

    format: Literal["hcs-blind-key/1"] = "hcs-blind-key/1"
    secret: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    clones: dict[str, CloneEntry]
    plates: tuple[BlindedPlate, ...] = ()


class BlindConfig(Frozen):
    """From a clone table to a blinded plate map and its key file."""

    clones: str
    sheet: str | None = None
    decimal: Decimal | None = None
    out: str
    key: str
    plates: tuple[Name, ...] = Field(default=("P01",), min_length=1)
    plate_wells: PlateWells = 96
    n_wells: Annotated[int, Field(ge=1, le=1536)] = 4
    skip_edge: Annotated[int, Field(ge=0, le=8)] = 0
    exclude: tuple[str, ...] = ()
    open_controls: bool = False
    n_permutations: Annotated[int, Field(ge=99, le=99999)] = 999
    seed: Seed = 0


class RevealConfig(Frozen):
    """From a blinded plate map, plate or table and the key file back to the true identities.

    ``out`` is left out for a plate, whose own ``wells`` table is then rewritten.
    """

    blinded: str
    sheet: str | None = None
    decimal: Decimal | None = None
    key: str
    out: str | None = None


class PositionConfig(Frozen):
    """How far the position on the plate predicts a column of a plate map."""

    platemap: str
    sheet: str | None = None
    decimal: Decimal | None = None
    label: Name = "diagnosis"
    plate_wells: PlateWells | None = None
    n_permutations: Annotated[int, Field(ge=99, le=99999)] = 999
    seed: Seed = 0


class PositionScore(Frozen):
    """How well one view of the position predicts the label.

    Attributes
    ----------
    position
        ``row``, ``column``, ``edge distance``, ``plate``, or ``all`` together.
    auc
        Cross-validated area under the ROC curve, the mean over the classes; 0.5 is chance.
    null_low, null_high
        2.5th and 97.5th percentile of the AUC when labels are dealt to the wells at random.
    p_value
        Share of random dealings that are predicted at least as well.
    """

    position: str
    auc: float
    null_low: float
    null_high: float
    p_value: float


class PositionFacts(Frozen):
    """The numbers of a :class:`PositionReport`, before they are put into words."""

    label: str
    classes: tuple[str, ...]
    n_wells: int
    n_plates: int
    n_permutations: int
    scores: tuple[PositionScore, ...]
    p_value: float
    verdict: Literal["predictable", "chance"]


class PositionReport(PositionFacts):
    """Does the position on the plate predict the label, in numbers and in words.

    Attributes
    ----------
    label, classes
        What was predicted.
    n_wells, n_plates, n_permutations
        Of what, and against how many random dealings.
    scores
        Each view of the position.
    p_value
        That of the most telling view, adjusted for having looked at all of them.
    verdict
        ``predictable`` or ``chance``.
    sentence
        The answer in words.
    """

    sentence: str

"""The network: backbone, augmentation, head and optimizer."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hcs.domain.plate import Frozen, Name

Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Augmentation(Frozen):
    """Ranges of the random affine of an augmented view; all zero and no flips is none."""

    rotation_deg: Annotated[float, Field(ge=0, le=180)] = 180.0
    shift_fraction: Fraction = 0.1
    zoom_fraction: Annotated[float, Field(ge=0, lt=1)] = 0.1
    flip_horizontal: bool = True
    flip_vertical: bool = True


BackboneName = Literal[
    "vgg16", "vgg19", "resnet50",
    "efficientnetv2-b0", "efficientnetv2-b1", "efficientnetv2-b2", "efficientnetv2-b3",
    "efficientnetv2-s", "efficientnetv2-m", "efficientnetv2-l",
    "convnext_tiny", "convnext_small", "convnext_base", "convnext_large",
]  # fmt: skip
"""Networks of ``keras.applications``, by the names that Keras gives them."""


class Backbone(Frozen):
    """The frozen network: weights are ``imagenet``, ``random``, or a file.

    Features are the output of ``layer`` (the last one when left out), pooled. Gray images are
    preprocessed as each network was trained. ``precision`` is that of the computation: the mixed
    ones are quicker on GPUs with matrix units, ``mixed_bfloat16`` also on CPUs with AVX512_BF16 or
    AMX, and slower elsewhere; they give slightly other features, so they are never chosen by
    themselves.
    """

    name: BackboneName = "vgg16"
    weights: Name = "imagenet"
    layer: Name | None = None
    pooling: Literal["avg", "max", "flatten"] = "avg"
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    seed: Seed = 0


class Head(Frozen):
    """The new, regularised head: dense → (batch normalization) → ReLU → dropout → dense.

    ``standardize`` brings every feature to zero mean and unit spread over the training images of
    the split. ``keep`` is the epoch whose weights are kept: the ``last`` one, or the ``best`` by
    validation accuracy. The study states neither.
    """

    hidden_units: PositiveInt = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    l2: Annotated[float, Field(ge=0)] = 1e-4
    batch_normalization: bool = False
    standardize: bool = True
    keep: Literal["last", "best"] = "last"


class FixedOptimizer(Frozen):
    """The same learning rate and momentum for every split."""

    kind: Literal["fixed"] = "fixed"
    learning_rate: PositiveFloat = 1e-2
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.9


class TunedOptimizer(Frozen):
    """Learning rate (log-uniform) and momentum tuned by validation accuracy, split by split.

    Dropout (uniform), L2 (log-uniform) and the number of hidden units (any of those listed) are
    tuned with them where they are given, in place of the head's own.
    """

    kind: Literal["tuned"] = "tuned"
    sampler: Literal["tpe", "random"] = "tpe"
    trials: PositiveInt = 20
    trials_at_once: PositiveInt = 5
    learning_rate_min: PositiveFloat = 1e-4
    learning_rate_max: PositiveFloat = 1e-2
    momentum_min: Annotated[float, Field(ge=0, le=1)] = 0.7
    momentum_max: Annotated[float, Field(ge=0, le=1)] = 1.0
    dropout_min: Annotated[float, Field(ge=0, lt=1)] | None = None
    dropout_max: Annotated[float, Field(ge=0, lt=1)] | None = None
    l2_min: PositiveFloat | None = None
    l2_max: PositiveFloat | None = None
    hidden_units: tuple[PositiveInt, ...] = ()

    @model_validator(mode="after")
    def _ranges_run_upwards(self) -> Self:
        for name in ("learning_rate", "momentum", "dropout", "l2"):
            low, high = getattr(self, f"{name}_min"), getattr(self, f"{name}_max")
            if (low is None) != (high is None):
                msg = f"{name}_min and {name}_max go together; give both or none"
                raise ValueError(msg)
            if low is not None and low > high:
                msg = f"{name}_min is above {name}_max"
                raise ValueError(msg)
        if len(set(self.hidden_units)) != len(self.hidden_units):
            msg = f"hidden_units {self.hidden_units} are not all different"
            raise ValueError(msg)
        return self


Optimizer = Annotated[FixedOptimizer | TunedOptimizer, Field(discriminator="kind")]

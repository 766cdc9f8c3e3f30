"""Named sets of defaults for a study file: ``preset: imamura2021`` or ``preset: fast``.

A preset only supplies what the study file leaves out; whatever is written there wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hcs.errors import UnknownNameError

KEY: Final = "preset"
_KIND: Final = "kind"

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "imamura2021": {
        "splits": {"n_splits": 55, "train": 10, "validation": 3, "test": 2},
        "stack": {"image_px": 256, "median_level": 63.0},
        "embed": {
            "backbone": {"name": "vgg16", "weights": "imagenet", "pooling": "flatten"},
            "views": 64,
            "augmentation": {
                "rotation_deg": 180.0,
                "shift_fraction": 0.1,
                "zoom_fraction": 0.1,
                "flip_horizontal": True,
                "flip_vertical": True,
            },
        },
        "train": {
            "head": {"hidden_units": 256, "dropout": 0.5, "l2": 1e-4},
            "optimizer": {
                "kind": "tuned",
                "sampler": "tpe",
                "trials": 20,
                "learning_rate_min": 1e-4,
                "learning_rate_max": 1e-2,
                "momentum_min": 0.7,
                "momentum_max": 1.0,
            },
            "epochs": 64,
            "batch_size": 32,
        },
        "forest": {"feature_set": "classic"},
        "probes": {},
    },
    "fast": {
        "splits": {"n_splits": 20},
        "stack": {"image_px": 128},
        "embed": {"backbone": {"pooling": "avg"}, "views": 2},
        "train": {
            "optimizer": {"kind": "fixed", "learning_rate": 1e-2, "momentum": 0.9},
            "epochs": 16,
        },
        "forest": {"n_trees": 200},
    },
}
"""What each preset supplies.

``imamura2021`` is the study of Imamura et al. 2021 (doi 10.1002/ana.26047): 55 splits of 10, 3 and
2 clones a class; median 63 and 256 px; VGG-16 with ImageNet weights, flattened; a fresh augmented
view for each of the 64 epochs; batch 32; momentum SGD with learning rate 1e-4..1e-2 and momentum
0.7..1.0 tuned by validation accuracy with TPE. **Not known**: the exact layers of the study's new,
regularized head stand in a supplement that we do not have; a hidden layer of 256 units with dropout
0.5 and L2 1e-4 stands in for them. The paper does not give the ranges of rotation, shift and zoom
or the number of trials either; those are ours. The probes are ours too and are turned on.

``fast`` is for a first look: average pooling at 128 px, two augmented views, 20 splits, fixed
optimizer.
"""


def with_preset(content: Mapping[str, Any]) -> dict[str, Any]:
    """Fill a study file's content from the preset that it names.

    Sections are merged key by key, at any depth; lists are not merged. Where the file chooses
    another ``kind`` (of the optimizer, for example), nothing of the preset's kind is taken over.
    A section that is null (``probes: null``) stays off.

    Parameters
    ----------
    content
        The file as read, before it is checked.

    Returns
    -------
    dict
        The same content, filled; as it was when no preset is named.

    Raises
    ------
    UnknownNameError
        When there is no such preset.
    """
    name = content.get(KEY)
    if name is None:
        return dict(content)
    if not isinstance(name, str) or name not in PRESETS:
        raise UnknownNameError("preset", name, "hcs", sorted(PRESETS))
    return _fill(PRESETS[name], content)


def _fill(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for key in [*defaults, *(key for key in given if key not in defaults)]:
        ours, theirs = defaults.get(key), given.get(key)
        if key not in given:
            merged[key] = _copy(ours)
        elif isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            same_kind = theirs.get(_KIND, ours.get(_KIND)) == ours.get(_KIND)
            merged[key] = _fill(ours, theirs) if same_kind else dict(theirs)
        else:
            merged[key] = theirs
    return merged


def _copy(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return value

"""ImageNet weights as Keras publishes them: their addresses, and the copy on this machine."""

from __future__ import annotations

import logging
import os
import threading
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from hcs.errors import WeightsError
from hcs.learn.network.hashes import hash_file

__all__ = ["ALTERNATIVES", "PUBLISHED", "Published", "find_published"]

log = logging.getLogger(__name__)

ALTERNATIVES: Final = (
    "Name a file with --weights FILE (.npz, .h5, .weights.h5 or .keras), or state --weights random"
)
_READ_SECONDS: Final = 20.0
_STORE = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True, slots=True)
class Published:
    """Where Keras publishes the ImageNet weights of a network without its top."""

    folder: str
    file: str
    hash_name: Literal["md5", "sha256"]
    hash_hex: str

    @property
    def url(self) -> str:
        """Address of the file."""
        return f"{_STORE}{self.folder}/{self.file}"

    @property
    def cached(self) -> Path:
        """Where Keras keeps its copy on this machine (``KERAS_HOME``, else ``~/.keras``)."""
        home = os.environ.get("KERAS_HOME")
        folder = Path(home) if home else Path.home() / ".keras"
        return folder / "models" / self.file


# Addresses and hashes as in keras.applications 3.15.
PUBLISHED: dict[str, Published] = {
    "vgg16": Published(
        "vgg16",
        "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5",
        "6d6bbae143d832006294945121d1f1fc",
    ),
    "vgg19": Published(
        "vgg19",
        "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5",
        "253f8cb515780f3b799900260a226db6",
    ),
    "resnet50": Published(
        "resnet",
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5",
        "4d473c1dd8becc155b73f8504c6f6626",
    ),
}
PUBLISHED |= {
    name: Published("efficientnet_v2", f"{name}_notop.h5", "md5", hash_hex)
    for name, hash_hex in {
        "efficientnetv2-b0": "893217f2bb855e2983157299931e43ff",
        "efficientnetv2-b1": "0e80663031ca32d657f9caa404b6ec37",
        "efficientnetv2-b2": "1dfe2e7a5d45b6632553a8961ea609eb",
        "efficientnetv2-b3": "f6abf7b5849ac99a89b50dd3fd532856",
        "efficientnetv2-s": "af0682fb74e8c54910f2d4393339c070",
        "efficientnetv2-m": "1b8dc055df72dde80d614482840fe342",
        "efficientnetv2-l": "b0b66b5c863aef5b46e8608fe1711615",
    }.items()
}
PUBLISHED |= {
    name: Published("convnext", f"{name}_notop.h5", "sha256", hash_hex)
    for name, hash_hex in {
        "convnext_tiny": "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        "convnext_small": "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
        "convnext_base": "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
        "convnext_large": "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
    }.items()
}


def find_published(name: str, probe_seconds: float) -> Path:
    """Find Keras' own copy of the ImageNet weights on this machine, or download it.

    Parameters
    ----------
    name
        Network, a key of :data:`PUBLISHED`.
    probe_seconds
        How long to wait for the server to answer at all.

    Raises
    ------
    WeightsError
        When there is no intact copy and none is to be had.
    """
    published = PUBLISHED[name]
    path = published.cached
    if path.is_file():
        if hash_file(path, published.hash_name) == published.hash_hex:
            return path
        log.warning("%s is damaged (wrong hash), fetching it again", path)
    if (reason := _unreachable(published.url, probe_seconds)) is not None:
        msg = (
            f"ImageNet weights of {name} are not in {path} and {published.url} cannot be reached "
            f"({reason}). {ALTERNATIVES}"
        )
        raise WeightsError(msg)
    log.info("downloading %s", published.url)
    try:
        _download(published, path)
    except (OSError, ValueError) as error:
        msg = f"downloading {published.url} to {path} failed: {error}. {ALTERNATIVES}"
        raise WeightsError(msg) from error
    return path


def _unreachable(url: str, seconds: float) -> str | None:
    """Why a server does not answer in time, or None; name look-up counts as waiting too."""
    outcome: list[str | None] = []

    def probe() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=seconds):
                outcome.append(None)
        except (OSError, ValueError) as error:
            outcome.append(str(error))

    # A thread, because the look-up of a name has no timeout of its own.
    thread = threading.Thread(target=probe, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else f"no answer within {seconds:g} s"


def _download(published: Published, path: Path) -> None:
    """Fetch a file whole and check its hash before it takes its place."""
    import pooch

    # Not keras.utils.get_file: it prints to stdout, waits for ever, raises bare Exception.
    pooch.get_logger().setLevel(logging.WARNING)
    pooch.retrieve(
        published.url,
        known_hash=f"{published.hash_name}:{published.hash_hex}",
        fname=path.name,
        path=path.parent,
        downloader=pooch.HTTPDownloader(timeout=_READ_SECONDS),
    )

"""Random numbers from counters: what is drawn depends on names and the seed, never on a worker."""

from __future__ import annotations

import hashlib

import numpy as np

_KEY_BYTES = 16  # Philox takes a key of 128 bits


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator that belongs to one thing, for example one image.

    Parameters
    ----------
    seed
        Seed of the whole simulation.
    *names
        What the numbers are for, for example ``("image", "P01", "A01", 3)``. Different names give
        independent streams.

    Returns
    -------
    numpy.random.Generator
        On a Philox counter whose key is a hash of seed and names (Salmon et al. 2011,
        doi 10.1145/2063384.2063405).
    """
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=_KEY_BYTES).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))

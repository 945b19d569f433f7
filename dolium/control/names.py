"""Names for who gave none: `<greek letter>-<1..24>-container`, or `-capsule`."""

from __future__ import annotations

import random

GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"),
    *("iota", "kappa", "lambda", "mu", "nu", "xi", "omicron", "pi"),
    *("rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
)


def friendly(rng: random.Random, noun: str = "container") -> str:
    """A name people can say; names may repeat."""
    return f"{greek(rng)}-{noun}"


def greek(rng: random.Random) -> str:
    """A letter and a number."""
    return f"{rng.choice(GREEK)}-{rng.randint(1, 24)}"

"""Names of things: those made for who gave none (`<greek letter>-<1..24>-container`), and ids."""

from __future__ import annotations

import random
import re

GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"),
    *("iota", "kappa", "lambda", "mu", "nu", "xi", "omicron", "pi"),
    *("rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
)


def friendly(rng: random.Random) -> str:
    """A name people can say; names may repeat."""
    return f"{rng.choice(GREEK)}-{rng.randint(1, 24)}-container"


_is_uuid = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII).fullmatch


def is_uuid(ident: str) -> bool:
    """Whether it is an id; what is none is a name."""
    return _is_uuid(ident) is not None

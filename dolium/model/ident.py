"""Ids of things, as they are told from names."""

from __future__ import annotations

import re

_uuid = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII).fullmatch


def is_uuid(ident: str) -> bool:
    """Whether it is an id; what is none is a name."""
    return _uuid(ident) is not None

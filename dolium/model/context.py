"""Who asks: made once by authentication, passed first everywhere."""

from __future__ import annotations

from msgspec import Struct


class Context(Struct, frozen=True, kw_only=True):
    """The caller of one request."""

    user_id: str
    project_id: str
    request_id: str
    user_name: str = ""
    project_name: str = ""
    roles: tuple[str, ...] = ()
    is_admin: bool = False

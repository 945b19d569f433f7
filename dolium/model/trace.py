"""Which request a thread works for, so that every line it logs can say so.

The API's id of a request goes on with the action, the wish's command and the question; whoever
takes such a thing up names it here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Belongs to a thread, not to the module: each one has a value of its own.
_request: ContextVar[str] = ContextVar("request", default="")


def current() -> str:
    """The id of the request this thread works for; empty when it is nobody's."""
    return _request.get()


def name(request_id: str) -> None:
    """From here on this thread works for the request."""
    _request.set(request_id)


@contextmanager
def of(request_id: str = "") -> Iterator[None]:
    """For `with`: what is done inside is for the request, or for one that is named there."""
    before = _request.set(request_id)
    try:
        yield
    finally:
        _request.reset(before)

"""Restart policies and back-off."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dolium.agent import policy
from dolium.model.container import RestartPolicy


def test_no_policy_never_starts_again() -> None:
    assert policy.wait(None, 1, 0, 0) is None
    assert policy.wait(RestartPolicy(), 1, 0, 0) is None


def test_on_failure_looks_at_code_and_count() -> None:
    some = RestartPolicy(name="on-failure", retries="2")
    assert policy.wait(some, 0, 0, 0) is None
    assert policy.wait(some, 1, 1, 0) == 1.0
    assert policy.wait(some, 1, 2, 0) is None
    assert policy.wait(RestartPolicy(name="on-failure"), 1, 99, 0) == 1.0


@given(st.integers(0, 10_000))
def test_the_wait_is_bounded(short: int) -> None:
    for name in ("always", "unless-stopped"):
        wait = policy.wait(RestartPolicy(name=name), 0, short, short)
        assert wait is not None and policy.FIRST_S <= wait <= policy.LONGEST_S


@given(st.integers(0, 10_000), st.floats(0.1, 60))
def test_jitter_is_bounded(tries: int, base: float) -> None:
    assert 0 <= policy.jitter(random.Random(tries), base, tries) <= policy.RETRY_LONGEST_S

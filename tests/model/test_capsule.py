"""What a capsule takes, and what its status is, whatever its containers do."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from dolium.model import capsule
from dolium.model.capsule import Part, State
from dolium.model.container import Spec, Status
from dolium.model.record import Container

specs = st.lists(
    st.builds(
        lambda cpu, memory: Spec(image="i", cpu=cpu / 1000, memory=str(memory)),
        st.integers(1, 16000),
        st.integers(4, 8192),
    ),
    max_size=5,
)


def row(part: Part, status: Status, code: int | None = None, why: str | None = None) -> Container:
    told = {"part": part.value, "status": status.value, "exit_code": code, "status_reason": why}
    empty: dict[str, object] = dict.fromkeys(Container.__struct_fields__)
    return msgspec.structs.replace(Container(**empty), name="n", **told)  # type: ignore[arg-type]


rows = st.builds(row, st.sampled_from([Part.INIT, Part.CONTAINER]), st.sampled_from(Status))
ended = st.builds(row, st.just(Part.CONTAINER), st.just(Status.STOPPED), st.integers(0, 255))


@given(inits=specs, others=specs)
def test_it_takes_what_it_needs_at_any_time_and_no_more(
    inits: list[Spec], others: list[Spec]
) -> None:
    total = capsule.amounts(inits, others)
    for name in ("cpu_m", "memory_mib"):
        moments = [sum(getattr(spec, name) for spec in others)]
        moments += [getattr(spec, name) for spec in inits]
        assert getattr(total, name) == max(moments)


@given(parts=st.lists(rows, min_size=1), sandbox=st.sampled_from(Status))
def test_what_is_wrong_with_one_is_wrong_with_all(parts: list[Container], sandbox: Status) -> None:
    found = capsule.state([row(Part.SANDBOX, sandbox), *parts])
    statuses = {sandbox, *(each.status for each in parts)}
    if Status.DELETING in statuses:
        assert found is State.DELETING
    elif Status.ERROR in statuses:
        assert found is State.ERROR
    if found is State.RUNNING:
        assert sandbox in (Status.RUNNING, Status.PAUSED, Status.REBUILDING)
        assert not statuses & {Status.ERROR, Status.UNKNOWN, Status.CREATING, Status.DELETING}


@given(parts=st.lists(ended, min_size=1))
def test_when_all_have_ended_it_tells_how(parts: list[Container]) -> None:
    found = capsule.state([row(Part.SANDBOX, Status.RUNNING), *parts])
    well = all(each.exit_code == 0 for each in parts)
    assert found is (State.SUCCEEDED if well else State.FAILED)
    again = [*parts, row(Part.CONTAINER, Status.RESTARTING)]
    assert capsule.state([row(Part.SANDBOX, Status.RUNNING), *again]) is State.RUNNING


def test_a_sandbox_that_went_down_is_told_of() -> None:
    running = row(Part.CONTAINER, Status.RUNNING)
    assert capsule.state([row(Part.SANDBOX, Status.RESTARTING), running]) is State.STOPPED
    assert capsule.state([row(Part.SANDBOX, Status.RUNNING), running]) is State.RUNNING


def test_the_reason_is_of_the_part_that_failed() -> None:
    parts = [
        row(Part.SANDBOX, Status.RUNNING, why="the sandbox's"),
        row(Part.CONTAINER, Status.ERROR, why="no such image"),
    ]
    assert capsule.reason(parts) == "n: no such image"
    assert capsule.reason(parts[:1]) == "the sandbox's"
    assert capsule.reason([row(Part.SANDBOX, Status.RUNNING)]) is None

"""`settle` on arbitrary rows, actions and facts: the rules that hold whatever comes."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from dolium.control.reconcile import BEGINNINGS, settle
from dolium.model.container import ASKS, Look, Seen, Spec, State, Status, Task, Verb, Wanted
from dolium.model.wish import Command, Fact, Result
from dolium.store.containers import Observed

times = st.one_of(st.none(), st.floats(1, 1000))


@st.composite
def rows(draw: st.DrawFn) -> Observed:
    wanted = draw(st.sampled_from(Wanted))
    others = [s for s in Status if s not in (Status.DELETING, Status.DELETED)]
    status = Status.DELETING if wanted is Wanted.DELETED else draw(st.sampled_from(others))
    return Observed(
        id=1,
        uuid="u",
        name="n",
        project_id="p",
        user_id="u",
        status=status,
        status_reason=draw(st.sampled_from([None, "before"])),
        task_state=None,
        host="h",
        created_at=1.0,
        updated_at=None,
        started_at=draw(times),
        finished_at=None,
        exit_code=None,
        health=None,
        progress=None,
        generation=9,
        spec=msgspec.json.encode(Spec(image="i")),
        shown=b"{}",
        guarded=b"{}",
        look=msgspec.json.encode(Look()),
        addresses=b"null",
        capsule_id=None,
        part=None,
        wanted=wanted,
        stage="ready",
        created_generation=1,
        start_epoch=1,
        observed_generation=draw(st.integers(0, 9)),
        fact_epoch=1,
        fact_sequence=1,
        auto_remove=draw(st.booleans()),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Observed, list[Command], Fact]:
    verbs = draw(st.lists(st.sampled_from(Verb), max_size=3))
    commands = [
        Command(id=number, request_id="r", generation=number, verb=verb)
        for number, verb in enumerate(verbs)
    ]
    ended = draw(st.integers(0, len(commands) + 1))  # one more: of an action closed long ago
    results = tuple(
        Result(id=number, ok=draw(st.booleans()), message="why", started_at=1.0, finished_at=2.0)
        for number in range(ended)
    )
    seen = None
    if draw(st.booleans()):
        seen = Seen(
            uuid="u",
            generation=1,
            handle="h",
            state=draw(st.sampled_from([s for s in State if s is not State.ABSENT])),
            started_at=draw(times),
            exit_code=draw(st.one_of(st.none(), st.integers(0, 255))),
        )
    fact = Fact(
        uuid="u",
        sequence=2,
        generation=draw(st.integers(0, 9)),
        seen=seen,
        known=draw(st.booleans()),
        task=draw(st.one_of(st.none(), st.sampled_from(Task))),
        reason=draw(st.sampled_from([None, "because"])),
        restarting=draw(st.booleans()),
        results=results,
        gone=draw(st.booleans()),
    )
    return draw(rows()), commands, fact


@given(cases())
def test_what_always_holds(case: tuple[Observed, list[Command], Fact]) -> None:
    row, commands, fact = case
    settled = settle(row, commands, fact)
    ended = {result.id for result in fact.results}
    left = [command for command in commands if command.id not in ended]
    assert {result.id for result in settled.closed} == ended & {c.id for c in commands}
    assert settled.gone == (fact.gone and row.wanted is Wanted.DELETED)
    if settled.gone:
        return
    status = settled.values["status"]
    if row.wanted is Wanted.DELETED:
        assert status == Status.DELETING
    elif left and ASKS[left[0].verb].during:
        assert status == ASKS[left[0].verb].during
    if status == Status.ERROR:
        assert settled.values["status_reason"]
    assert (settled.values["task_state"] is None) or left
    assert settled.values["observed_generation"] >= row.observed_generation
    if settled.leave:
        assert row.auto_remove
        assert not left


@given(cases())
def test_a_failed_beginning_is_an_error_until_it_runs_again(
    case: tuple[Observed, list[Command], Fact],
) -> None:
    row, commands, fact = case
    results = {result.id: result for result in fact.results}
    done = [command for command in commands if command.id in results]
    bad = [command for command in done if not results[command.id].ok]
    settled = settle(row, commands, fact)
    if row.wanted is Wanted.DELETED or len(done) < len(commands) or not bad:
        return
    if bad[-1].verb in BEGINNINGS:
        assert settled.values["status"] == Status.ERROR
        assert settled.values["status_reason"] == "why"


@given(cases())
def test_facts_about_nothing_known_change_no_status(
    case: tuple[Observed, list[Command], Fact],
) -> None:
    row, _, fact = case
    fact = msgspec.structs.replace(fact, known=False, results=(), gone=False)
    assert settle(row, [], fact).values["status"] == row.status

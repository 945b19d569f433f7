"""Rules of safety, each removable: what the simulation would miss, it does not test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from dolium import errors
from dolium.agent import commands, converge, keep, passes
from dolium.agent.core import Core
from dolium.agent.notes import Life, Notes
from dolium.agent.passes import Pass, Tools
from dolium.agent.pins import Pins
from dolium.control import lost
from dolium.control.hosts import Hosts
from dolium.control.placer import Placed, Placer
from dolium.model.container import Verb, Wanted
from dolium.model.quota import Amounts
from dolium.model.wish import Command, Facts, Result
from dolium.store import containers, hosts, liveness, projects, schema, services
from dolium.store.plain import Plain
from dolium.store.store import Connection, Tx
from dolium.undo import Undo
from tests.simulation.chaos import ABSENT, CAPSULES

Patch = pytest.MonkeyPatch


def results_are_kept_until_acknowledged(patch: Patch) -> None:
    """Instead: a result is sent with the next fact, and that is all."""
    kept: dict[str, tuple[Result, ...]] = {}

    def finish(notes: Notes, uuid: str, life: Life, result: Result) -> None:
        notes.save(uuid, life)
        kept[uuid] = (result,)

    patch.setattr(Notes, "finish", finish)
    patch.setattr(Notes, "results", lambda notes, uuid: kept.pop(uuid, ()))


def a_command_is_carried_out_once(patch: Patch) -> None:
    """Instead: whatever a page names is carried out."""

    def open_(p: Pass) -> Command | None:
        left = (c for c in p.wish.commands if c.generation >= p.life.done)
        return min(left, key=lambda command: command.generation, default=None)

    patch.setattr(converge, "_open", open_)


def a_signal_is_noted_before_it_is_sent(patch: Patch) -> None:
    """Instead: it is sent again when nobody knows."""
    really = commands.kill

    def kill(p: Pass, command: Command) -> str:
        p.life.begun = None
        p.begin(command)
        return really(p, command)

    patch.setitem(commands.VERBS, Verb.KILL, kill)


def a_start_is_noted_before_it_is_sent(patch: Patch) -> None:
    """Instead: only a start that was answered counts."""
    patch.setattr(Pass, "launched", lambda p: False)


def nothing_is_torn_down_before_the_container_stopped(patch: Patch) -> None:
    """Instead: ports first."""
    really = Pass.drop

    def drop(p: Pass, generation: int, timeout_s: int = passes.STOP_S) -> None:
        p.tools.wiring.unplug(p.wish.uuid)
        really(p, generation, timeout_s)

    patch.setattr(Pass, "drop", drop)


def garbage_goes_only_when_gone_for_certain(patch: Patch) -> None:
    """Instead: what no wish names goes."""

    def judge(core: Core, strange: dict[str, set[int]]) -> None:
        for uuid, generations in strange.items():
            core._doom(uuid, *generations)

    patch.setattr(Core, "_judge", judge)


def an_older_boot_counts_for_nothing(patch: Patch) -> None:
    """Instead: every fact of the host counts."""
    really = Hosts._post

    def post(self: Hosts, tx: Tx, facts: Facts) -> Any:
        host = hosts.get(tx.connection, facts.host)
        boot = host.boot if host else facts.boot
        return really(self, tx, msgspec.structs.replace(facts, boot=boot))

    patch.setattr(Hosts, "_post", post)


def facts_are_compared_by_their_counters(patch: Patch) -> None:
    """Instead: whatever comes last counts."""
    really = containers.hold

    def hold(*args: Any) -> dict[str, Any]:
        return {
            uuid: msgspec.structs.replace(row, fact_epoch=0, fact_sequence=0)
            for uuid, row in really(*args).items()
        }

    patch.setattr(containers, "hold", hold)


def the_older_generation_goes_before_the_newer_is_made(patch: Patch) -> None:
    """Instead: it is left to whoever finds it."""
    really = Pass.drop

    def drop(p: Pass, generation: int, timeout_s: int = passes.STOP_S) -> None:
        if generation >= p.wish.created_generation or p.wish.wanted is Wanted.DELETED:
            really(p, generation, timeout_s)

    patch.setattr(Pass, "drop", drop)


def undo_only_after_a_definite_failure(patch: Patch) -> None:
    """Instead: after any failure."""
    really = Undo.__exit__

    def leave(undo: Undo, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, errors.Unanswered):
            error = errors.Refused(why=str(error))
        really(undo, kind, error, trace)

    patch.setattr(Undo, "__exit__", leave)


def what_went_down_with_its_engine_comes_back(patch: Patch) -> None:
    """Instead: it ended by itself."""
    patch.setattr(Tools, "incarnation", lambda tools: "the only one")


def claims_go_with_the_row(patch: Patch) -> None:
    """Instead: nobody gives back."""
    patch.setattr(hosts, "release", lambda tx, uuid: None)


def who_is_cut_off_says_hello_again(patch: Patch) -> None:
    """Instead: it goes on."""
    patch.setattr(Core, "_cut_off", lambda core: None)


# --- of many hosts and processes ---------------------------------------------------------------


def a_claim_is_taken_only_where_it_fits(patch: Patch) -> None:
    """Instead: as the placer saw it in memory."""
    table = schema.hosts
    more = {
        f"used_{name}": table.c[f"used_{name}"] + sa.bindparam(name)
        for name in ("cpu_m", "memory_mib", "disk_gib")
    }
    claim = table.update().where(table.c.name == sa.bindparam("host"))
    patch.setattr(hosts, "_CLAIM", Plain(claim.values(revision=table.c.revision + 1, **more)))


def quota_is_taken_only_while_there_is_some(patch: Patch) -> None:
    """Instead: everybody gets what he asks for."""
    really = projects.reserve
    none = Amounts(containers=-1, cpu_m=-1, memory_mib=-1, disk_gib=-1)

    def reserve(tx: Tx, project_id: str, more: Amounts, limits: object) -> None:
        really(tx, project_id, more, none)

    patch.setattr(projects, "reserve", reserve)


def work_leaves_nothing_behind_when_it_is_taken_back(patch: Patch) -> None:
    """Instead: a placer remembers what it placed, whether or not that became durable."""
    placed: set[str] = set()
    waiting, hand_over = containers.waiting, Placer._hand_over

    def left(connection: Connection, limit: int) -> list[containers.Wait]:
        return [row for row in waiting(connection, limit) if row[1] not in placed]

    def remember(placer: Placer, tx: Tx, won: list[Placed], now: float) -> None:
        placed.update(each.one.uuid for each in won)
        hand_over(placer, tx, won, now)

    patch.setattr(containers, "waiting", left)
    patch.setattr(Placer, "_hand_over", remember)


def an_epoch_counts_before_a_sequence(patch: Patch) -> None:
    """Instead: sequences of all boots of a host are one."""
    really = containers.hold

    def hold(tx: Tx, uuids: Any) -> dict[str, Any]:
        rows = really(tx, uuids)
        epochs = {row.host: hosts.get(tx.connection, row.host or "") for row in rows.values()}
        return {
            uuid: msgspec.structs.replace(row, fact_epoch=host.epoch) if host else row
            for uuid, row in rows.items()
            for host in (epochs[row.host],)
        }

    patch.setattr(containers, "hold", hold)


def a_wish_counts_its_hosts_revision(patch: Patch) -> None:
    """Instead: only a claim does."""

    def stamp(tx: Tx, name: str) -> int:
        return hosts.every_revision(tx.connection)[name]

    patch.setattr(hosts, "stamp", stamp)


def who_is_behind_the_horizon_reads_everything(patch: Patch) -> None:
    """Instead: he hears of what is still remembered."""
    patch.setattr(hosts, "forget", lambda tx, name, horizon: None)


def an_older_page_is_not_believed(patch: Patch) -> None:
    """Instead: whatever arrives last counts."""
    patch.setattr(Core, "_check", lambda core, page: None)


def nothing_is_done_before_all_wishes_were_heard(patch: Patch) -> None:
    """Instead: the journal is believed at once."""
    really = Core.hello

    def hello(core: Core) -> None:
        really(core)
        core._complete = True
        for uuid in sorted(core.notes.wishes()):
            core.agenda.add(uuid)

    patch.setattr(Core, "hello", hello)


def a_machine_that_started_again_is_noticed(patch: Patch) -> None:
    """Instead: engines are told apart by their own count alone."""
    patch.setattr(Tools, "incarnation", lambda tools: tools.engine.incarnation())


# --- of hosts that are not heard of -------------------------------------------------------------


def a_proof_is_about_the_sign_of_life_that_was_seen(patch: Patch) -> None:
    """Instead: about whichever came last."""
    really = liveness.prove

    def prove(tx: Tx, name: str, beat: int, proof: str) -> bool:
        life = liveness.get(tx.connection, name)
        return really(tx, name, life.beat if life else beat, proof)

    patch.setattr(liveness, "prove", prove)


def a_proof_cuts_off_the_boot_it_is_about(patch: Patch) -> None:
    """Instead: whoever lives after all goes on."""
    really = liveness.prove

    def prove(tx: Tx, name: str, beat: int, proof: str) -> bool:
        host = hosts.get(tx.connection, name)
        done = really(tx, name, beat, proof)
        if done and host:
            services.say(tx, name, boot=host.boot, epoch=host.epoch)
        return done

    patch.setattr(liveness, "prove", prove)


def who_takes_from_a_lost_host_asks_whether_it_still_is(patch: Patch) -> None:
    """Instead: it was when he looked."""
    patch.setattr(lost, "_still_lost", hosts.stamp)


def a_silent_host_is_counted_before_it_is_answered(patch: Patch) -> None:
    """Instead: its sign of life waits for those of others."""
    patch.setattr(liveness, "answered", lambda tx, name, boot: True)


def without_a_lease_exclusive_ones_stop(patch: Patch) -> None:
    """Instead: they go on."""
    patch.setattr(Core, "keep_promise", lambda core: [])


def a_restart_begins_no_new_lease(patch: Patch) -> None:
    """Instead: each run of the agent has one of its own."""
    patch.setattr(Notes, "renewed", lambda notes, machine: None)


def who_lost_a_container_is_told_that_it_is_gone_from_him(patch: Patch) -> None:
    """Instead: only of those that were deleted."""
    really = containers.bury

    def bury(tx: Tx, uuid: str, host: str, revision: int, at: float) -> None:
        if not containers.observed(tx.connection, [uuid]):
            really(tx, uuid, host, revision, at)

    patch.setattr(containers, "bury", bury)


def who_shares_leaves_dedicated_cpus(patch: Patch) -> None:
    """Instead: it hears of them when it is looked at for another reason."""
    patch.setattr(Pins, "_move", lambda pins, but: None)


def who_shares_follows_his_sandbox(patch: Patch) -> None:
    """Instead: it runs on with what is left of an earlier run."""
    patch.setattr(keep, "_left_behind", lambda p: False)


def what_may_be_half_made_is_made_anew(patch: Patch) -> None:
    """Instead: it is taken as it is."""
    patch.setattr(Pass, "_half_made", lambda p, seen: False)


PROMISED: dict[str, float] = {
    **ABSENT,
    "promise": 1,
    "cut": 4,
    "mend": 0,
    "fence": 0,
    "watch": 14,
    "heal": 8,
    "remake": 0,
}
"""Only a promise proves anything, and links stay cut."""
BROKEN: dict[str, float] = {**PROMISED, "races": 1.0, "mend": 3}
RULES: dict[Callable[[Patch], None], dict[str, float]] = {
    results_are_kept_until_acknowledged: {"kills": 0.2},
    a_command_is_carried_out_once: {},
    a_signal_is_noted_before_it_is_sent: {"kills": 0.5, "signals": 0.8, "verb": 30, "wake": 20},
    a_start_is_noted_before_it_is_sent: {
        **{"kills": 0.5, "time": 20, "wake": 20, "create": 6},
        **{"power": 0, "die": 0},
    },
    nothing_is_torn_down_before_the_container_stopped: {"kills": 0.2, "engine": 0.3},
    garbage_goes_only_when_gone_for_certain: {},
    an_older_boot_counts_for_nothing: {"kills": 0.2, "link": 0.4},
    facts_are_compared_by_their_counters: {"link": 0.4, "late": 9, "verb": 30},
    the_older_generation_goes_before_the_newer_is_made: {},
    undo_only_after_a_definite_failure: {"engine": 0.3, "create": 9},
    what_went_down_with_its_engine_comes_back: {},
    claims_go_with_the_row: {},
    who_is_cut_off_says_hello_again: {"kills": 0.2, "link": 0.4},
    a_claim_is_taken_only_where_it_fits: {
        **{"races": 1.0, "create": 9, "place": 5, "beat": 60, "delete": 6},
        **{"power": 0, "cut": 0, "die": 0},
    },
    quota_is_taken_only_while_there_is_some: {"create": 12},
    work_leaves_nothing_behind_when_it_is_taken_back: {"store": 0.6, "create": 6},
    an_epoch_counts_before_a_sequence: {"kills": 0.3},
    a_wish_counts_its_hosts_revision: {},
    who_is_behind_the_horizon_reads_everything: {"sweep": 9, "delete": 9, "time": 15},
    an_older_page_is_not_believed: {"old": 0.5, "verb": 30, "beat": 40},
    nothing_is_done_before_all_wishes_were_heard: {
        **{"kills": 0.2, "snapshot": 12, "restore": 8, "wake": 15},
        **{"pull": 12, "step": 12, "beat": 12, "delete": 9},
    },
    a_machine_that_started_again_is_noticed: {"power": 9},
    a_proof_is_about_the_sign_of_life_that_was_seen: BROKEN,
    a_proof_cuts_off_the_boot_it_is_about: {**ABSENT, "cut": 4, "lie": 3},
    who_takes_from_a_lost_host_asks_whether_it_still_is: {
        **{**ABSENT, "off": 4, "races": 1.0},
        "remake": 0,
    },
    a_silent_host_is_counted_before_it_is_answered: BROKEN,
    without_a_lease_exclusive_ones_stop: PROMISED,
    a_restart_begins_no_new_lease: {**PROMISED, "kills": 0.9},
    who_lost_a_container_is_told_that_it_is_gone_from_him: {**ABSENT, "off": 4},
    who_shares_leaves_dedicated_cpus: {"create": 9},
    who_shares_follows_his_sandbox: {"capsule": 8, "end": 12, "create": 1},
    what_may_be_half_made_is_made_anew: CAPSULES[-1],
}
"""Each rule with what has to go wrong for its lack to show."""
FIRST: dict[Callable[[Patch], None], int] = {
    a_proof_is_about_the_sign_of_life_that_was_seen: 53,
    who_takes_from_a_lost_host_asks_whether_it_still_is: 12,
    without_a_lease_exclusive_ones_stop: 5,
    a_restart_begins_no_new_lease: 82,
    a_signal_is_noted_before_it_is_sent: 13,
    facts_are_compared_by_their_counters: 73,
    an_older_boot_counts_for_nothing: 41,
    an_older_page_is_not_believed: 24,
    who_shares_follows_his_sandbox: 7,
    what_may_be_half_made_is_made_anew: 17,
    a_start_is_noted_before_it_is_sent: 43,
    garbage_goes_only_when_gone_for_certain: 19,
    undo_only_after_a_definite_failure: 84,
    what_went_down_with_its_engine_comes_back: 31,
    who_is_cut_off_says_hello_again: 25,
    who_shares_leaves_dedicated_cpus: 104,
}
"""Seeds that showed the lack of a rule the last time: tried first, as a search costs much."""

RARE = {
    a_proof_cuts_off_the_boot_it_is_about,
    a_silent_host_is_counted_before_it_is_answered,
    nothing_is_done_before_all_wishes_were_heard,
    who_lost_a_container_is_told_that_it_is_gone_from_him,
}
"""Rules whose lack shows in few schedules only: `make soak` searches for one."""

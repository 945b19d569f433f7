"""Transactions that are begun anew are counted by reason; no server is needed for that."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from dolium import errors
from dolium.model.metric import RETRIES
from dolium.store import server
from dolium.store.faults import Fault

pytest.importorskip("pymysql")


def test_each_reason_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = server.Server(sa.engine.make_url("mariadb+pymysql://nobody@127.0.0.1:1/none"))
    faults = [Fault.CONFLICT, Fault.LOST, Fault.CONFLICT]

    def attempt(_work: Any) -> str:
        if faults:
            raise server._Again(faults.pop())
        return "written"

    monkeypatch.setattr(made, "_attempt", attempt)
    monkeypatch.setattr(server, "FIRST_PAUSE_S", 0.0)
    assert made.write(lambda tx: None) == "written"
    assert made.meter.counts(RETRIES) == {("conflict",): 2, ("lost",): 1}
    faults = [Fault.LOST] * server.MOST_TRIES
    with pytest.raises(errors.Unanswered):
        made.write(lambda tx: None)
    assert made.meter.counts(RETRIES)["lost",] == 1 + server.MOST_TRIES
    made.close()

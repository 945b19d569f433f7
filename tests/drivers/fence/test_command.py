"""The program of the operator's."""

from __future__ import annotations

import pytest

from dolium import errors
from dolium.drivers.fence.command import Command, CommandOptions


def test_the_reason_of_a_refusal_is_what_was_said_last() -> None:
    program = ["sh", "-c", "echo one; echo 'no route to the BMC' >&2; exit 7"]
    with pytest.raises(errors.Refused, match=r"sh ended with 7: no route to the BMC$"):
        Command(CommandOptions(program=program)).off("host1")


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(errors.Refused, match="can't be run"):
        Command(CommandOptions(program=["/nope"])).off("host1")
    with pytest.raises(errors.StartError, match="program is not set"):
        Command(CommandOptions(program=[]))

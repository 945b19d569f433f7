"""`dolium policy`: the sample is whole, and a misspelt rule is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolium.api.rules import RULES
from dolium.cli.main import main

Capture = pytest.CaptureFixture[str]


def _check(tmp_path: Path, text: str) -> int:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    return main(["policy", "check", str(file)])


def test_the_sample_has_every_rule_and_is_right(tmp_path: Path, capsys: Capture) -> None:
    assert main(["policy", "sample"]) == 0
    told = capsys.readouterr().out
    assert all(f'#"{rule.name}": "{rule.default}"' in told for rule in RULES)
    assert _check(tmp_path, told.replace('#"', '"')) == 0
    assert f"{len(RULES)} rules, all of them known" in capsys.readouterr().out


def test_what_nobody_asks_is_named(tmp_path: Path, capsys: Capture) -> None:
    text = '"container:lgos": "role:a"\n"container:logs": "rule:none"\n'
    assert _check(tmp_path, text) == 1
    assert capsys.readouterr().out.splitlines() == [
        "container:lgos: nobody asks this rule",
        "none: there is no such rule to refer to",
    ]


def test_an_operators_own_rules_are_no_mistake(tmp_path: Path) -> None:
    text = '"mine": "role:auditor"\n"container:get_one:name": "rule:mine"\n'
    assert _check(tmp_path, text) == 0


@pytest.mark.parametrize("text", ['"a": [', "- a\n- b\n"])
def test_what_can_not_be_read_is_one_sentence(tmp_path: Path, capsys: Capture, text: str) -> None:
    assert _check(tmp_path, text) == 1
    assert "can't be read" in capsys.readouterr().err


def test_no_file(tmp_path: Path, capsys: Capture) -> None:
    assert main(["policy", "check", str(tmp_path / "nowhere")]) == 1
    assert main(["policy", "check", "--state-dir", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "There is no policy file" in told
    assert "[api] policy_file" in told

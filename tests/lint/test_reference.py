"""The reference of options, and the sample file, say what the options say."""

import re
from pathlib import Path

from dolium import conf
from dolium.conf import __main__ as pages

REFERENCE = Path(__file__).parents[2] / "docs/reference"
PAGE = REFERENCE / "configuration.md"
SAMPLE = REFERENCE / "dolium.conf.sample"
OPTION = re.compile(r"^#(?=\w+ =)", re.MULTILINE)
"""What makes a comment of an option."""


def test_reference_is_up_to_date() -> None:
    assert PAGE.read_text() == pages.reference(), "`make docs` writes it anew"


def test_sample_is_up_to_date() -> None:
    assert SAMPLE.read_text() == pages.sample(), "`make docs` writes it anew"


def test_sample_says_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "dolium.conf"
    file.write_text(OPTION.sub("", SAMPLE.read_text()))
    assert conf.load([file]) == conf.load()
    assert conf.load([SAMPLE]) == conf.load()

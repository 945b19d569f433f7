"""The reference of options says what the options say."""

from pathlib import Path

from dolium import conf

PAGE = Path(__file__).parents[2] / "docs/reference/configuration.md"


def test_reference_is_up_to_date() -> None:
    assert PAGE.read_text() == conf.reference(), "`make docs` writes it anew"

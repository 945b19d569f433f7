"""Plays every story in this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.stories.telling import Telling, stories

STORIES = stories(Path(__file__).parent)


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_story(story: dict[str, Any]) -> None:
    Telling(story).tell()

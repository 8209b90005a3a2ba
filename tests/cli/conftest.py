"""The story (`tests/story.py`) as fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest
from story import Story, tell


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Built once, for tests that only look."""
    story = tell(tmp_path_factory.mktemp("story"))
    story.build()
    return story


@pytest.fixture
def own_story(tmp_path: Path) -> Story:
    """Not built yet, for tests that change it."""
    return tell(tmp_path)

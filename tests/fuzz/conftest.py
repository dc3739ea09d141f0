"""The intact files, which are made once a session."""

from pathlib import Path

import pytest
from campaign import make_intact


@pytest.fixture(scope="session")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_intact(tmp_path_factory.mktemp("fuzz"))

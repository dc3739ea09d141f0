"""What several tests of methods read, made once a session."""

from pathlib import Path

import pytest
from authors import Pair, make_pair


@pytest.fixture(scope="session")
def pair(release: Path, source_text: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(release, source_text, tmp_path_factory.mktemp("pair"))

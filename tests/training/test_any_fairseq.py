"""fairseq under whatever name it was installed: fairseq-fixed, upstream's or a fork's, or straight from its source."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import fairseq
import pytest
from fairseq_models import make_world

from focus_plugin.manifest import manifest_of

INSTEAD = """
import sys
here, instead = sys.argv[1:3]
del sys.argv[1:3]
sys.path[:] = [instead if path == here else path for path in sys.path]
from focus_cli.main import main
main()
"""


@pytest.mark.parametrize(("distribution", "version"), [("a-fork", "9.9"), (None, fairseq.__version__)])
def test_prepare_asks_for_the_module(tmp_path: Path, distribution: str | None, version: str) -> None:
    """With the packages of this environment, of which only fairseq's has another distribution."""
    site = tmp_path / "site"
    site.mkdir()
    here = Path(sysconfig.get_path("purelib"))
    for path in here.iterdir():
        if not path.name.startswith("fairseq_fixed"):
            (site / path.name).symlink_to(path.resolve())
    if distribution:
        described = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (described / "top_level.txt").write_text("fairseq\nfairseq_cli\n")
    world = make_world(tmp_path)
    texts = ("--train", world.train, "--valid", world.valid)
    command = ("prepare", "--vocab", world.source, *texts, "--output", tmp_path / "data")
    done = subprocess.run([sys.executable, "-c", INSTEAD, here, site, *command], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert manifest_of(tmp_path / "data").made_by["fairseq"] == version

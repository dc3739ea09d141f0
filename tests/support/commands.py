"""The commands as a user runs them: in a process of their own. ``invoked.py`` calls them, which is faster."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_ENDS_WITHIN = 60  # seconds until the children of a killed command must have ended


def run(*arguments: object, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of this environment; fails with its whole output if ``check`` and the exit code is not 0."""
    program = Path(sys.executable).parent / str(arguments[0])
    command = [str(program), *map(str, arguments[1:])]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done


def run_python(program: str) -> str:
    """The standard output of a Python program, run in a process of its own."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def refuse(*arguments: object, says: str) -> str:
    """Run a command that must fail: exit code 1 and one sentence, no traceback. Returns the sentence."""
    done = run(*arguments, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(errors) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert says in errors[0], errors[0]
    return errors[0]


def heed_interrupts() -> None:
    """What a shell starts in the background ignores SIGINT, and so do its children; for ``preexec_fn``."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_group(group: int) -> None:
    """Wait until no process of a group is left: children of a killed command end, and free its files, a bit later."""
    deadline = time.monotonic() + _ENDS_WITHIN
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)

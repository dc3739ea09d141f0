"""How long one of our commands takes, and its peak memory."""

import os
import subprocess
import sysconfig
import time


def run(*command: object) -> tuple[float, int]:
    """Run one of our commands; its seconds and its peak resident memory in bytes. Stops the program if it fails."""
    words = [str(word) for word in command]
    start = time.perf_counter()
    process = subprocess.Popen([f"{sysconfig.get_path('scripts')}/{words[0]}", *words[1:]], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} failed")
    return time.perf_counter() - start, usage.ru_maxrss * 1024

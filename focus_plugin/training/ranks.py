"""The processes of a training on several devices or machines, as torchrun or Slurm starts them."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from focus_plugin.errors import FocusError

_TORCHRUN = ("TORCHELASTIC_RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
_SLURM_VARIABLES = ("SLURM_JOB_ID", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_NODELIST")
_FIRST_PORT, _PORTS = 20_000, 10_000  # below those that Linux gives to clients


@dataclass(frozen=True, kw_only=True)
class Rank:
    """One of the processes that train together.

    number: from 0. world: how many processes there are. local: the number of the process on its machine, and of its
    GPU. address, port: where rank 0 waits for the others.
    """

    number: int
    world: int
    local: int
    address: str
    port: int

    def options(self, on_gpu: bool) -> tuple[str, ...]:
        """The options of fairseq-train with which the processes find each other."""
        return (
            *("--distributed-world-size", str(self.world), "--distributed-rank", str(self.number)),
            *("--distributed-init-method", f"tcp://{self.address}:{self.port}", "--distributed-no-spawn"),
            *("--device-id", str(self.local), "--distributed-backend", "nccl" if on_gpu else "gloo"),
        )


def rank_of(environment: Mapping[str, str]) -> Rank | None:
    """The rank of this process, or None if neither torchrun nor Slurm's srun started several.

    Raises FocusError if Slurm's list of machines cannot be read.
    """
    if all(name in environment for name in _TORCHRUN):
        _, number, world, local, address, port = (environment[name] for name in _TORCHRUN)
    elif all(name in environment for name in _SLURM_VARIABLES):
        job, number, world, local, machines = (environment[name] for name in _SLURM_VARIABLES)
        if int(world) == 1:
            return None
        address, port = _first_machine(machines), str(_FIRST_PORT + int(job) % _PORTS)
    else:
        return None
    rank = Rank(number=int(number), world=int(world), local=int(local), address=address, port=int(port))
    return rank if rank.world > 1 else None


def _first_machine(machines: str) -> str:
    """The first machine of a list in Slurm's form, such as ``node[01-04]``."""
    try:
        found = subprocess.run(
            ["scontrol", "show", "hostnames", machines], stdout=subprocess.PIPE, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise FocusError(f"SLURM_STEP_NODELIST={machines}: scontrol cannot read it ({error}).") from error
    return found.stdout.split()[0]

"""A private SLURM cluster on this machine, of one node or a few: real daemons in a folder and on ports of their own.

    with PrivateSlurm(nodes=2) as slurm:
        slurm.run("sinfo")                       # any client command, against this cluster and no other

Needs root and Debian's `slurm-wlm munge`; `missing()` says what is not there. Nothing of a SLURM that the machine may
have is read or touched. Daemons are ended by their pid files.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "squeue", "scontrol", "scancel", "srun", "sinfo")
SBIN = "/usr/sbin:/sbin"

CONFIG = """\
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/munge.socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,sched_min_interval=0
JobAcctGatherType=jobacct_gather/linux
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
GresTypes=gpu
DefMemPerCPU=256
KillWait=5
MinJobAge=3600
SlurmdTimeout=30
EnforcePartLimits=ALL
{nodes}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=short Nodes=ALL Default=YES MaxTime=02:00:00 PriorityTier=1 State=UP
PartitionName=urgent Nodes=ALL MaxTime=02:00:00 PriorityTier=9 PreemptMode=OFF State=UP
PartitionName=closed Nodes=ALL MaxTime=02:00:00 AllowAccounts=nobody State=UP
"""


def missing() -> str | None:
    """Why a private cluster cannot be started here, or None."""
    if os.geteuid() != 0:
        return "a private SLURM needs root (munged and slurmd of its own)"
    absent = [name for name in (*DAEMONS, *CLIENTS) if not _which(name)]
    return f"no {', '.join(absent)} here: apt-get install slurm-wlm munge" if absent else None


class PrivateSlurm:
    """The cluster, started by entering it. Its logs are kept in `folder` until it is left."""

    def __init__(self, *, nodes: int = 1, gpus: int = 4, cpus: int | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="firstsight-slurm-"))  # munged must reach its own: no tmp_path
        self.folder.chmod(0o711)
        self.conf = self.folder / "slurm.conf"
        self.nodes = [f"n{number + 1}" for number in range(nodes)]
        self._gpus, self._cpus = gpus, cpus or os.cpu_count() or 1
        self.env = {**os.environ, "SLURM_CONF": str(self.conf), "PATH": f"{os.environ.get('PATH', '')}:{SBIN}"}
        for name in list(self.env):
            if name.startswith(("SLURM_", "SBATCH_", "SQUEUE_")) and name != "SLURM_CONF":
                del self.env[name]

    def __enter__(self) -> PrivateSlurm:
        try:
            self._configure()
            self._start_munge()
            self._daemon("slurmctld", "-c", "-f", str(self.conf))
            for node in self.nodes:
                self._daemon("slurmd", "-N", node, "-f", str(self.conf))
            self.until(lambda: self.states() == {"idle"}, "the nodes are idle", 30)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (self.folder / "slurmctld.pid").is_file():
            subprocess.run(["scancel", "--full", "--user=root", "--signal=KILL"], env=self.env, capture_output=True)
        for node in self.nodes:
            self._end(self.folder / f"slurmd.{node}.pid")
        self._end(self.folder / "slurmctld.pid")
        self._end(self.folder / "munge" / "munged.pid")
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- using it ----------------------------------------------------------------------------------

    def run(self, *command: str, check: bool = True) -> str:
        """What a client command prints."""
        found = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60)
        if check and found.returncode:
            raise AssertionError(f"{' '.join(command)}: {found.returncode}: {found.stderr}{found.stdout}")
        return (found.stdout + ("" if check else found.stderr)).strip()

    def states(self) -> set[str]:
        """Of the nodes: idle, mixed, allocated, down…"""
        return {state.rstrip("*") for state in self.run("sinfo", "-h", "-N", "-o", "%T", check=False).split()}

    def state(self, job: str) -> str:
        """Of one job or array task, as SLURM tells it: PENDING, RUNNING, COMPLETED…"""
        for word in self.run("scontrol", "show", "job", "-o", job, check=False).split():
            if word.startswith("JobState="):
                return word.removeprefix("JobState=")
        return "UNKNOWN"

    def wait(self, job: str, *states: str, seconds: float = 900) -> str:
        """Until a job is in one of these states; the state."""
        self.until(lambda: self.state(job) in states, f"job {job} is {' or '.join(states)}", seconds)
        return self.state(job)

    def node_dies(self, node: str) -> None:
        """As the controller sees it when a node is lost: what ran there is requeued, the node takes nothing."""
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")

    def node_returns(self, node: str) -> None:
        """A node that has come back by itself meanwhile (ReturnToService) is refused to be resumed: all the better."""
        self.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        self.until(lambda: not self.states() & {"down", "drained", "draining"}, f"{node} is back", 300)

    # --- starting and ending -----------------------------------------------------------------------

    def _configure(self) -> None:
        for name in ("state", "munge", *(f"spool.{node}" for node in self.nodes)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        host = socket.gethostname().partition(".")[0]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 512
        ports = _free_ports(1 + len(self.nodes))
        lines = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={self._cpus} "
            f"RealMemory={memory // len(self.nodes)} Gres=gpu:h200:{self._gpus} State=UNKNOWN"
            for node, port in zip(self.nodes, ports[1:], strict=True)
        ]
        self.conf.write_text(CONFIG.format(host=host, port=ports[0], folder=self.folder, nodes="\n".join(lines)))
        files = [f"NodeName={node} Name=gpu Type=h200 File=/dev/tty[0-{self._gpus - 1}]" for node in self.nodes]
        (self.folder / "gres.conf").write_text("\n".join(files) + "\n")

    def _start_munge(self) -> None:
        folder = self.folder / "munge"
        (folder / "munge.key").write_bytes(os.urandom(1024))
        for path in (folder, folder / "munge.key"):
            shutil.chown(path, "munge", "munge")
        (folder / "munge.key").chmod(0o400)
        folder.chmod(0o711)
        options = {
            "key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid",
            "log-file": "munged.log", "seed-file": "munged.seed",
        }  # fmt: skip
        command = ["munged", *(f"--{name}={folder / file}" for name, file in options.items())]
        subprocess.run(
            ["setpriv", "--reuid=munge", "--regid=munge", "--clear-groups", "--", *command],
            env=self.env,
            check=True,
            capture_output=True,
        )

    def _daemon(self, *command: str) -> None:
        found = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=30)
        if found.returncode:
            raise RuntimeError(f"{' '.join(command)}: {found.stderr}{found.stdout}")

    def _end(self, pid_file: Path) -> None:
        try:
            pid = int(pid_file.read_text())
            os.kill(pid, signal.SIGTERM)
        except (OSError, ValueError):
            return
        for _ in range(100):
            if _gone(pid):
                return
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)

    def until(self, true: Callable[[], object], what: str, seconds: float) -> None:
        """Wait for something; AssertionError with the queue where it does not come."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                queue = self.run("squeue", "-a", check=False)
                raise AssertionError(f"not within {seconds:g} s: {what}\n{queue}")
            time.sleep(0.2)


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=SBIN)


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"  # nobody waits for it
    except OSError:
        return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports

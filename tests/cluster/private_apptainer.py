"""Real Apptainer in a folder of its own, and an ordinary user who runs it.

    apptainer = PrivateApptainer.install()       # or Missing, with the reason in one line
    apptainer.build("--variant", "cpu", …)       # containers/build, by root
    apptainer.user("containers/exec", …)         # a command as an unprivileged user

FIRSTSIGHT_CLUSTER_TOOLS names the folder that Apptainer is kept in (default: firstsight-cluster in the temporary one);
FIRSTSIGHT_IMAGE an image that was built before: to work on a test without building for minutes.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "containers" / "real"
USER = 4242
# A user of its own, and a /dev/fuse that it may open, as on any cluster; both in a mount namespace of the command.
AS_USER = """
mount -t tmpfs tmpfs /mnt && mknod -m 666 /mnt/fuse c 10 229 && mount --bind /mnt/fuse /dev/fuse &&
cp /etc/passwd /mnt/passwd && echo "tester:x:{user}:{user}::{home}:/bin/sh" >>/mnt/passwd &&
mount --bind /mnt/passwd /etc/passwd && cp /etc/group /mnt/group && echo "tester:x:{user}:" >>/mnt/group &&
mount --bind /mnt/group /etc/group &&
exec setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs "$@"
"""


class Missing(Exception):
    """Apptainer cannot be had here; the text says why, in one line."""


@dataclass(frozen=True)
class PrivateApptainer:
    """The program, a small Debian root as an image, and the folder of an unprivileged user."""

    program: Path
    root: Path
    home: Path

    @classmethod
    def install(cls) -> PrivateApptainer:
        """Installed, or found as installed before."""
        if os.geteuid() != 0:
            raise Missing("tests of the image install packages and become another user: they need root")
        named = os.environ.get("FIRSTSIGHT_CLUSTER_TOOLS")
        folder = Path(named) if named else Path(tempfile.gettempdir()) / "firstsight-cluster"
        program, root = (cls._made(script, folder) for script in ("apptainer.sh", "root.sh"))
        home = Path(tempfile.mkdtemp(prefix="firstsight-user-"))
        os.chown(home, USER, USER)
        return cls(Path(program), Path(root), home)

    @staticmethod
    def _made(script: str, folder: Path) -> str:
        done = subprocess.run([REAL / script, folder], capture_output=True, text=True)
        if done.returncode == 3:
            raise Missing(done.stderr.strip().splitlines()[-1])
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTSIGHT_")}
        return {**kept, "APPTAINER": str(self.program), "OMP_NUM_THREADS": "1"}

    def build(self, *arguments: object, tree: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
        """containers/build of a tree, for the CPU."""
        command = [tree / "containers" / "build", "--variant", "cpu", "--compression", "lz4", *map(str, arguments)]
        return subprocess.run(command, env={**self.environment, **more}, capture_output=True, text=True)

    def user(self, *command: object, **more: str) -> subprocess.CompletedProcess[str]:
        """A command as the user, in its home."""
        script = AS_USER.format(user=USER, home=self.home)
        return subprocess.run(
            ["unshare", "--mount", "--", "bash", "-c", script, "as-user", *map(str, command)],
            cwd=self.home,
            env={**self.environment, "HOME": str(self.home), **more},
            capture_output=True,
            text=True,
        )

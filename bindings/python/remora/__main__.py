# SPDX-License-Identifier: Apache-2.0
"""python -m remora ..: the remora command, the one that was installed with this package where there is one."""
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
from typing import Optional


def command() -> Optional[str]:
    """The path of the command: that of REMORA_COMMAND, this Python's scripts, or the system's."""
    own = pathlib.Path(sysconfig.get_path("scripts")) / ("remora.exe" if os.name == "nt" else "remora")
    named = os.environ.get("REMORA_COMMAND")
    return named or (str(own) if own.is_file() else shutil.which("remora"))


def main() -> int:
    path = command()
    if path is None:
        print("python -m remora: there is no remora command: it is installed with the package's wheel", file=sys.stderr)
        return 127
    if os.name == "nt":
        return subprocess.call([path, *sys.argv[1:]])
    os.execv(path, [path, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())

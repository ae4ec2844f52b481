# SPDX-License-Identifier: Apache-2.0
"""The C example of the README is a C99 program without a warning, and says what it should. readme.py ROOT LIBRARY
MODEL CC...: compiles it against the header and links the shared library where it was built."""
import pathlib
import re
import subprocess
import sys
import tempfile

root, library, model, *cc = sys.argv[1:]
example = re.search(r"```c\n(.*?)```", (pathlib.Path(root) / "README.md").read_text(encoding="utf-8"), re.S).group(1)
with tempfile.TemporaryDirectory() as folder:
    source, program = pathlib.Path(folder) / "readme.c", pathlib.Path(folder) / "readme"
    source.write_text(example, encoding="utf-8")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", root + "/include"]
    where = str(pathlib.Path(library).resolve().parent)
    subprocess.run([*cc, *flags, source, library, "-Wl,-rpath," + where, "-o", program], check=True)
    done = subprocess.run([program, model], capture_output=True, text=True, check=False)
assert done.returncode == 0 and done.stdout.startswith("Once upon"), done

# SPDX-License-Identifier: Apache-2.0
"""Every block of Python in documents runs, one after the other, in the root of the repository.

    run_readme.py SOURCE_ROOT DOCUMENT...
"""
import os
import re
import sys


def main() -> int:
    root, *documents = sys.argv[1:]
    os.chdir(root)
    for document in documents:
        with open(document, encoding="utf-8") as f:
            text = f.read()
        names = {"__name__": "readme"}
        blocks = list(re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S))
        for block in blocks:
            line = text.count("\n", 0, block.start(1))
            exec(compile("\n" * line + block.group(1), document, "exec"), names)
        print(f"\n{document}: {len(blocks)} blocks ran")
        assert blocks
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run by meson in a source archive that it makes: takes out what the package is not built from and what is large."""
import os
import pathlib

root = pathlib.Path(os.environ["MESON_DIST_ROOT"])
for model in (root / "models").glob("*.remora"):
    model.unlink()
# A link to meson.options for an older meson than the package is built with. In the archive it would be a file, and meson
# refuses two of them.
(root / "meson_options.txt").unlink()

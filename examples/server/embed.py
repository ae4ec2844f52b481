#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page as C: its bytes, and a policy for browsers that lets its own script and style run and nothing else.

    embed.py PAGE OUT
"""
import base64
import hashlib
import pathlib
import re
import sys

page = pathlib.Path(sys.argv[1]).read_bytes()


def hashes(tag):
    inside = re.findall(rb"<%s>(.*?)</%s>" % (tag, tag), page, re.S)
    assert len(inside) == 1, tag
    return "'sha256-" + base64.b64encode(hashlib.sha256(inside[0]).digest()).decode() + "'"


policy = (f"default-src 'none'; connect-src 'self'; img-src data:; script-src {hashes(b'script')}; "
          f"style-src {hashes(b'style')}; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
rows = [", ".join(map(str, page[i:i + 24])) for i in range(0, len(page), 24)]
pathlib.Path(sys.argv[2]).write_text(
    '#include "page.h"\n\nconst unsigned char sv_page[] = {\n' + ",\n".join(rows) + "};\n"
    "const size_t sv_page_size = sizeof sv_page;\n" f'const char sv_page_policy[] = "{policy}";\n')

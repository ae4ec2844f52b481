#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One home for each fact: the weights of a layer are listed in one table, the layouts of element types in another. A file
of lib that names many of them makes a list of its own, and is refused unless it is below with its reason. One that is below
and names few by now is to be taken off.

    one_home.py SOURCE_ROOT
"""
import pathlib
import re
import sys

KINDS = {
    "ids of weights": (8, re.compile(r"\bRMR_W_(?!COUNT\b)[A-Z_]+")),
    "names of weights": (4, re.compile(r'"[^"\n]*(?:\w_proj|\w_layernorm|self_attn|mlp\.|embed_tokens|lm_head)[^"\n]*"')),
    "names of weights in GGUF": (3, re.compile(r'"[^"\n]*\b(?:attn|ffn)_(?:q|k|v|kv|out|gate|up|down|norm)\w*[^"\n]*"')),
    "element types": (4, re.compile(r"\bRMR_ELEM_(?!F32\b|F16\b|BF16\b|PLAIN\b|COUNT\b)[A-Z0-9_]+")),
}
ALLOWED = {
    "lib/config/weight_table.h": {"ids of weights": "the ids"},
    "lib/config/weight_table.c": {"ids of weights": "the table", "names of weights": "the table",
                                  "names of weights in GGUF": "the table"},
    "lib/engine/program.c": {"ids of weights": "says what each weight is used for"},
    "lib/convert/recipe.c": {"names of weights": "patterns of recipes, as users write them",
                             "element types": "the types that recipes can ask for"},
    "lib/quant/elem_rows.h": {"element types": "the rows that say all of a type"},
    "lib/io/checkpoint.c": {"element types": "which type a file's type is"},
}


def main():
    root = pathlib.Path(sys.argv[1])
    problems = [f"{path}: is not there; take it off the list" for path in ALLOWED if not (root / path).exists()]
    for path in sorted(p for ending in ("*.c", "*.h") for p in (root / "lib").rglob(ending)):
        code = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
        allowed = ALLOWED.get(str(path.relative_to(root)), {})
        for kind, (limit, pattern) in KINDS.items():
            names = sorted(set(pattern.findall(code)))
            if len(names) > limit and kind not in allowed:
                problems.append(f"{path}: lists {len(names)} {kind} ({', '.join(names[:4])}, ..), which have another home")
            if len(names) <= limit and kind in allowed:
                problems.append(f"{path}: lists few {kind} by now; take it off the list")
    print("\n".join(problems))
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())

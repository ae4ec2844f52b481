#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where two computations part: the first row of a dump (x-dump) that is farther from the other's than LIMIT, and the
largest distance of each operation before it.

    compare_dumps.py OURS.txt THEIRS.txt [LIMIT]                another dump
    compare_dumps.py OURS.txt golden.safetensors [LIMIT]        hidden_a [layers + 1, tokens, hidden] of a fixture

A distance is the largest difference, relative to the largest value of the row. A dump to be compared with hidden states
is of one step and slot x; a layer's rows are those of its last operation. Exit code 1 when there is a difference.
"""
import sys

import numpy as np


def rows(path):
    """(step, operation, part, layer, name, slot, column, row, position), values of each line."""
    with open(path, encoding="ascii") as lines:
        for line in lines:
            if line[0] != "#":
                words = line.split()
                yield tuple(words[:9]), np.array(words[9:], np.float64)


def distance(a, b):
    if a.shape != b.shape:
        return np.inf
    with np.errstate(invalid="ignore"):
        d = np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)
    return 0 if np.array_equal(a, b, equal_nan=True) else np.inf if np.isnan(d) else d


def against_dump(ours, theirs):
    a, b = list(rows(ours)), list(rows(theirs))
    for (head, x), (other, y) in zip(a, b):
        if head != other:
            sys.exit(f"the lines {' '.join(head)} and {' '.join(other)} are of different programs or prompts")
        yield head, distance(x, y)
    if len(a) != len(b):
        sys.exit(f"{len(a)} lines and {len(b)}: different programs or prompts")


def against_hidden(ours, golden):
    from safetensors.numpy import load_file
    hidden = load_file(golden)["hidden_a"].astype(np.float64)
    last = {}
    for head, x in rows(ours):
        if head[2] == "layer" and head[5] == "x":
            last[int(head[3]), int(head[8])] = head, x
    for (layer, position), (head, x) in sorted(last.items()):
        if layer + 2 < len(hidden):  # the last ones are of the final norm
            yield head, distance(x, hidden[layer + 1, position])


def main():
    ours, theirs, limit = sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 1e-4
    compare = against_hidden if theirs.endswith(".safetensors") else against_dump
    largest = {}
    for head, d in compare(ours, theirs):
        largest[head[1]] = max(largest.get(head[1], (0,))[0], d), head
        if d > limit:
            for worst, h in largest.values():
                print(f"{worst:8.1e}  operation {h[1]}: {h[2]} {h[3]} {h[4]} {h[5]}")
            sys.exit(f"step {head[0]}, position {head[8]}: {head[2]} {head[3]} {head[4]} {head[5]} is {d:.1e} away")
    print(f"{sum(1 for _ in rows(ours))} lines, none farther than {max((d for d, _ in largest.values()), default=0):.1e}")


if __name__ == "__main__":
    main()

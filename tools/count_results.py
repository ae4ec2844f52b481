"""Counts the results in a testlog.json of meson: prints "passed failed skipped"."""
import collections
import json
import sys

GOOD = {"OK", "EXPECTEDFAIL"}
counts = collections.Counter()
try:
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            result = json.loads(line)["result"]
            counts["passed" if result in GOOD else "skipped" if result == "SKIP" else "failed"] += 1
except (OSError, ValueError, KeyError) as problem:
    print(f"{sys.argv[1]}: {problem}", file=sys.stderr)
    counts["failed"] += 1
print(counts["passed"], counts["failed"], counts["skipped"])

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Remora beside ik_llama.cpp and beside the memory's read bandwidth, in one run.

    bench/compare.py BUILD_DIR MODELS_DIR [--peer LLAMA_BENCH] [--generators DIR] [--rows NAME,..] [--quick]

Makes models of DeepSeek-V2-Lite's shape with random weights in MODELS_DIR (once; some 25 GB of disk), runs both engines
alternately, each test in a process of its own, with the read loop between them, and prints a Markdown table: medians,
spread, ratios and targets. The roof of decoding is the bandwidth of reading the model's pages / bytes that a token touches:
weights as they are stored, distinct experts counted, the row of the embedding, and the cache. Results are also kept in
MODELS_DIR/compare.json, which bench/plot.py draws; a later run with other --rows replaces only those. Without --peer the rows
say what they can.

rows: decode1 decode2 q8 fp8 bf16 depth prefill stops busy batch open growth sweep threads neighbours
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import engines
from models import Models

N = 32       # tokens of a decode test
N_BUSY = 48  # beside other load: some seconds, so that many time slices are in it


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, args):
        self.args = args
        self.read, self.ours = engines.Read(args.build), engines.Ours(f"{args.build}/tools/remora")
        self.peer = engines.Peer(args.peer) if args.peer else None
        self.models = Models(args.models, args.generators, self.ours.remora, say)
        self.gguf, self.pack = self.models.compared(args.gguf, args.pack)
        self.cores = len(os.sched_getaffinity(0))

    def repeat(self, name, *what, most=100):
        """Calls functions alternately; each returns a dict of numbers. Gives one list for every number."""
        out, n = {}, min(most, self.args.repetitions)
        for i in range(n):
            for f in what:
                for key, value in f().items():
                    out.setdefault(key, []).append(value)
            say(f"{name} {i + 1}/{n}: " + ", ".join(f"{k} {v[-1]:.4g}" for k, v in out.items()))
        return out

    # ---- rows of the table; each returns {name of a number: samples} ----

    def decode(self, threads):
        def ours():
            row, = self.ours(self.pack, gens=[N], threads=threads)
            return {"ours": row["samples_ts"][0], "mb": self.ours.touched(self.pack, row) / 1e6, "open_ms": row["open_ns"] / 1e6}

        def peer():
            return {"peer": engines.speed(self.peer(self.gguf, gens=[N], threads=threads), (0, N, 0))[0]}
        read = lambda: {"read": self.read(threads, self.pack)}
        return self.repeat(f"decode, {threads} threads", read, ours, *([peer] if self.peer else []))

    def decode1(self):
        return self.decode(1)

    def decode2(self):
        return self.decode(2)

    def against_roof(self, kind):
        pack = self.models.roof(kind)

        def ours():
            row, = self.ours(pack, gens=[N], threads=2)
            return {"ours": row["samples_ts"][0], "mb": self.ours.touched(pack, row) / 1e6}
        return self.repeat(kind, lambda: {"read": self.read(2, pack)}, ours)

    def q8(self):
        return self.against_roof("q8_0")

    def fp8(self):
        return self.against_roof("fp8")

    def bf16(self):
        return self.against_roof("bf16")

    def depth(self):
        """Each call decodes at depth 0 and, after a prompt, deep in the context."""
        deep = self.args.deep

        def ours(kv, key):
            rows = self.ours(self.pack, gens=[N], depths=[0, deep], kv=kv)
            return {f"ours_{key}_0": engines.speed(rows, (0, N, 0))[0], f"ours_{key}": engines.speed(rows, (0, N, deep))[0]}

        def peer(kv, key):
            rows = self.peer(self.gguf, gens=[N], after=[(deep, N)], kv=kv)
            return {f"peer_{key}_0": engines.speed(rows, (0, N, 0))[0], f"peer_{key}": engines.speed(rows, (0, N, deep))[0]}
        calls = [lambda: {"read": self.read(2, self.pack)}, lambda: ours("bf16", 16)]
        if self.peer:
            calls.append(lambda: peer("f16", 16))
        if self.ours.kv8:
            calls.append(lambda: ours(self.ours.kv8, 8))
        else:
            say("this build has no 8-bit cache: its rows are left out")
        if self.peer:
            calls.append(lambda: peer("q8_0", 8))
        return {"depth": deep, **self.repeat(f"depth {deep}", *calls, most=3)}

    def prefill(self):
        lengths = [512] if self.args.quick else [512, 2048]

        def ours():
            rows = self.ours(self.pack, prompts=lengths)
            return {f"ours_{n}": engines.speed(rows, (n, 0, 0))[0] for n in lengths}

        def peer():
            rows = self.peer(self.gguf, prompts=lengths)
            return {f"peer_{n}": engines.speed(rows, (n, 0, 0))[0] for n in lengths}
        return self.repeat("prefill", ours, *([peer] if self.peer else []))

    def stops(self):
        """A prompt in calls that are stopped; each call prints its time beside that of one call."""
        def calls(how, number):
            ratio, late = engines.stops(self.args.build, self.pack, how, number, tokens=1024, chunk=512)
            return {f"{how}_ratio": ratio, f"{how}_late": late}
        return self.repeat("stops", lambda: calls("cancel", 20), lambda: calls("budget", 2000))

    def busy(self, nice=None, name="busy"):
        def quiet_and_busy(key, call):
            quiet = call()
            with engines.Busy(nice):
                beside = call()
            return {f"{key}_quiet": quiet, f"{key}_busy": beside}

        def ours():
            return engines.speed(self.ours(self.pack, gens=[N_BUSY], threads=self.cores), (0, N_BUSY, 0))[0]

        def peer():
            return engines.speed(self.peer(self.gguf, gens=[N_BUSY], threads=self.cores), (0, N_BUSY, 0))[0]
        calls = [lambda: quiet_and_busy("ours", ours)] + ([lambda: quiet_and_busy("peer", peer)] if self.peer else [])
        return self.repeat(name, *calls)

    def batch(self):
        def ours(n):
            row, = self.ours(self.pack, gens=[N], batch=n)
            return {f"ours_{n}": row["samples_ts"][0], f"mb_{n}": self.ours.touched(self.pack, row) / 1e6,
                    f"experts_{n}": self.ours.experts_touched(self.pack, row)}
        return self.repeat("batch", lambda: {"read": self.read(2, self.pack)}, *[lambda n=n: ours(n) for n in (1, 2, 8)])

    def open(self):
        def ours():
            row, = self.ours(self.pack, gens=[1], warmup=False)
            return {"ms": row["open_ns"] / 1e6}
        return self.repeat("open", ours)

    def growth(self):
        """Decode and prefill of a chunk at growing depth, one process: the prompt before is evaluated once."""
        depths = [0, 1024, 2048] if self.args.quick else [0, 1024, 2048, 3072, 4096, 6144, 8192]
        reps = 2 if self.args.quick else 3
        say(f"growth: depths {depths}")
        rows = self.ours(self.pack, prompts=[256], gens=[16], depths=depths, reps=reps)
        return {"depths": depths, "decode": [engines.speed(rows, (0, 16, d)) for d in depths],
                "prefill": [engines.speed(rows, (256, 0, d)) for d in depths]}

    # ---- for the plot ----

    def sweep(self):
        """Prompts of several lengths, and decoding after them; once each."""
        lengths = [n for n in [512, 1024, 2048, 4096, 8192] if n <= (1024 if self.args.quick else self.args.longest)]
        out = {"lengths": lengths, "ours": {}, "peer": {}}

        def put(side, key, rows, what):
            out[side].setdefault(key, []).append(engines.speed(rows, what)[0])
        for n in lengths:
            say(f"sweep: {n} tokens")
            rows = self.ours(self.pack, prompts=[n]) + self.ours(self.pack, gens=[16], depths=[n])
            put("ours", "prefill", rows, (n, 0, 0))
            put("ours", "decode", rows, (0, 16, n))
            if self.ours.kv8:
                put("ours", "decode8", self.ours(self.pack, gens=[16], depths=[n], kv=self.ours.kv8), (0, 16, n))
            if self.peer:
                rows = self.peer(self.gguf, prompts=[n], after=[(n, 16)])
                put("peer", "prefill", rows, (n, 0, 0))
                put("peer", "decode", rows, (0, 16, n))
        return out

    def threads(self):
        def calls(n):
            ours = lambda: {f"ours_{n}": engines.speed(self.ours(self.pack, gens=[N], threads=n), (0, N, 0))[0]}
            peer = lambda: {f"peer_{n}": engines.speed(self.peer(self.gguf, gens=[N], threads=n), (0, N, 0))[0]}
            return [ours] + ([peer] if self.peer else [])
        return self.repeat("threads", *[c for n in range(1, self.cores + 1) for c in calls(n)])

    def neighbours(self):
        return self.busy(nice=19, name="beside low-priority processes")


# ---- the table ----

def median(v):
    return statistics.median(v)


def shown(v, digits=2):
    return f"{median(v):.{digits}f} ({min(v):.{digits}f}..{max(v):.{digits}f})" if v else ""


def ratios(a, b):
    return [x / y for x, y in zip(a, b)]


def fit(x, y):
    """A straight line through the points, and the worst deviation from it."""
    mx, my = statistics.mean(x), statistics.mean(y)
    slope = sum((a - mx) * (b - my) for a, b in zip(x, y)) / sum((a - mx) ** 2 for a in x)
    line = [my + slope * (a - mx) for a in x]
    return line[0] - slope * x[0], slope, max(abs(b - c) / c for b, c in zip(y, line))


class Table:
    def __init__(self):
        self.lines = ["| measure | ours | beside | ratio | target | kept |", "|---|---|---|---|---|---|"]

    def add(self, measure, ours, beside, ratio, target, kept):
        """ratio: one for each repetition; kept: None where there is nothing to keep."""
        word = {None: "", True: "yes", False: "**no**"}[kept]
        self.lines.append(f"| {measure} | {ours} | {beside} | {shown(ratio)} | {target} | {word} |")

    def roof(self, measure, speeds, read, mb, least, also=None):
        """also: that the row keeps its target by another line too."""
        roof = [1e3 * r / m for r, m in zip(read, mb)]
        share = ratios(speeds, roof)
        kept = least is None or median(share) >= least
        self.add(measure, f"{shown(speeds)} t/s", f"roof {shown(roof)} t/s: {shown(read, 1)} GB/s, {median(mb):.0f} MB a token",
                 share, "" if least is None else f"{least:.2f} of the roof", (kept or bool(also)) if least is not None else None)
        return median(share)


def decode_lines(t, r, threads, target):
    ratio = ratios(r["ours"], r["peer"]) if "peer" in r else []
    fast = bool(ratio) and median(ratio) >= target
    share = t.roof(f"decode, {threads} thread{'s' * (threads > 1)}, of the roof", r["ours"], r["read"], r["mb"], 0.95, fast)
    if ratio:
        kept = fast or (share >= 0.95 and median(ratio) >= 1)
        t.add(f"decode, {threads} thread{'s' * (threads > 1)}, ours / peer", f"{shown(r['ours'])} t/s", f"{shown(r['peer'])} t/s",
              ratio, f"{target}, or 0.95 of the roof and at least 1", kept)


def depth_lines(t, r):
    deep = r["depth"]
    for bits, beside, keep in ((16, 1.3, 0.75), (8, 1.45, 0.88)):
        mine = r.get(f"ours_{bits}")
        if not mine:
            continue
        for other in [bits] + [16] * (bits == 8):
            peer = r.get(f"peer_{other}")
            if peer:
                v = ratios(mine, peer)
                t.add(f"decode at {deep}, {bits}-bit cache, ours / peer's {other}-bit", f"{shown(mine)} t/s", f"{shown(peer)} t/s", v,
                      beside if other == bits else "", median(v) >= beside if other == bits else None)
        v = ratios(mine, r[f"ours_{bits}_0"])
        t.add(f"decode at {deep} / at 0, {bits}-bit cache", f"{shown(mine)} t/s", f"{shown(r[f'ours_{bits}_0'])} t/s", v, keep,
              median(v) >= keep)
        if f"peer_{bits}" in r:
            v = ratios(r[f"peer_{bits}"], r[f"peer_{bits}_0"])
            t.add(f"the same of the peer, {bits}-bit", "", f"{shown(r[f'peer_{bits}'])} t/s", v, "", None)


def busy_lines(t, r, what, target):
    for side in ("ours", "peer"):
        if f"{side}_busy" in r:
            v = ratios(r[f"{side}_busy"], r[f"{side}_quiet"])
            mine = side == "ours"
            t.add(f"decode beside {what} / quiet{'' if mine else ', peer'}", f"{shown(r[f'{side}_busy'])} t/s",
                  f"quiet {shown(r[f'{side}_quiet'])} t/s", v, target if mine and target else "",
                  median(v) >= target if mine and target else None)


def stops_lines(t, r):
    for how, what, most in (("cancel", "a cancel every 20 ms", 5.0), ("budget", "a budget of 2 ms", None)):
        ratio, late = r[f"{how}_ratio"], r[f"{how}_late"]
        kept = median(ratio) <= 1.2 and (most is None or median(late) <= most)
        t.add(f"prompt of 1024, 512 a step, in calls with {what} / in one", f"99 % late by {shown(late)} ms", "", ratio,
              "1.2" + (f"; {most:.0f} ms" if most else ""), kept)


def growth_lines(t, r):
    x = r["depths"]
    for key, what in (("decode", "decode time a token"), ("prefill", "prefill time a token (256 at once)")):
        # the fastest of the repetitions: other load only adds
        y = [1e3 / max(v) for v in r[key]]
        at0, slope, worst = fit(x, y)
        t.add(f"{what} over depth 0..{x[-1]}", f"{at0:.2f} ms + {1e3 * slope:.3f} ms per 1000 tokens",
              f"a straight line: worst deviation {100 * worst:.1f} %", [], "linear: 5 %", worst <= 0.05)


def table_of(rows):
    t = Table()
    for threads, target in ((2, 1.5), (1, 1.4)):
        if f"decode{threads}" in rows:
            decode_lines(t, rows[f"decode{threads}"], threads, target)
    for kind, name in (("q8", "8-bit (Q8_0)"), ("fp8", "FP8"), ("bf16", "bf16")):
        if kind in rows:
            t.roof(f"decode, {name} weights, of the roof", rows[kind]["ours"], rows[kind]["read"], rows[kind]["mb"], 0.9)
    if "depth" in rows:
        depth_lines(t, rows["depth"])
    for n in (512, 2048):
        r = rows.get("prefill", {})
        if f"ours_{n}" in r:
            v = ratios(r[f"ours_{n}"], r.get(f"peer_{n}", []))
            t.add(f"prefill {n}, ours / peer", f"{shown(r[f'ours_{n}'])} t/s", f"{shown(r.get(f'peer_{n}'))} t/s", v, 1.6,
                  median(v) >= 1.6 if v else None)
    if "stops" in rows:
        stops_lines(t, rows["stops"])
    if "busy" in rows:
        busy_lines(t, rows["busy"], "a busy process per core", 0.45)
    if "neighbours" in rows:
        busy_lines(t, rows["neighbours"], "a low-priority process per core", None)
    if "batch" in rows:
        r = rows["batch"]
        for n in (2, 8):
            # the roof of a batch: steps of so many MB, n tokens each
            t.roof(f"{n} sessions in one batch, of the roof ({median(r[f'experts_{n}']):.1f} experts a layer)", r[f"ours_{n}"], r["read"],
                   [m / n for m in r[f"mb_{n}"]], 0.9)
            t.add(f"{n} sessions / one", f"{shown(r[f'ours_{n}'])} t/s", f"one {shown(r['ours_1'])} t/s", ratios(r[f"ours_{n}"], r["ours_1"]),
                  "", None)
    if "open" in rows:
        v = rows["open"]["ms"]
        t.add("open, cached", f"{shown(v, 1)} ms", "", [], "50 ms", median(v) <= 50)
    if "growth" in rows:
        growth_lines(t, rows["growth"])
    return "\n".join(t.lines)


# ---- the run ----

ROWS = ["decode2", "decode1", "q8", "fp8", "bf16", "depth", "prefill", "stops", "busy", "batch", "open", "growth", "sweep",
        "threads", "neighbours"]


def machine():
    names = [line.split(": ")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.machine(), "cores": len(os.sched_getaffinity(0)), "kernel": platform.release()}


def found_beside(script):
    for folder in (pathlib.Path(__file__).resolve().parents[2] / "shared/tools", pathlib.Path.cwd()):
        if (folder / script).exists():
            return folder
    return None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", help="build folder, with tools/remora, bench/bandwidth and bench/stops")
    p.add_argument("models", help="folder for the models and the results")
    p.add_argument("--peer", help="llama-bench of ik_llama.cpp")
    p.add_argument("--generators", default=found_beside("synth_gguf.py"), help="folder of synth_gguf.py and synth_hf.py")
    p.add_argument("--gguf", help="a 4-bit GGUF file instead of the one made here")
    p.add_argument("--pack", help="and its pack")
    p.add_argument("--rows", default=",".join(ROWS), help="only these")
    p.add_argument("--repetitions", type=int, help="default 5; 3 at most where each begins with a long prompt")
    p.add_argument("--deep", type=int, default=4096, help="tokens in the context for the row depth")
    p.add_argument("--longest", type=int, default=8192, help="prompt of the row sweep")
    p.add_argument("--quick", action="store_true", help="two repetitions, shorter prompts, fewer depths")
    p.add_argument("--json", help="where the results are kept (default MODELS/compare.json)")
    args = p.parse_args()
    args.repetitions = args.repetitions or (2 if args.quick else 5)
    wanted = args.rows.split(",")
    if set(wanted) - set(ROWS):
        p.error(f"no such row: {', '.join(set(wanted) - set(ROWS))}")
    subprocess.run(["ninja", "-C", args.build, "tools/remora", "bench/bandwidth", "bench/stops"], check=True, stdout=subprocess.DEVNULL)
    bench = Bench(args)
    path = pathlib.Path(args.json or pathlib.Path(args.models) / "compare.json")
    kept = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    kept["machine"] = machine()
    for name in (r for r in ROWS if r in wanted):
        start = time.time()
        kept["rows"][name] = getattr(bench, name)()
        kept["rows"][name]["_when"] = time.strftime("%Y-%m-%d %H:%M", time.gmtime(start))
        kept.setdefault("read_loops", {}).update(bench.read.all)
        kept.setdefault("read_above", {}).update({k: statistics.median(v) for k, v in bench.read.above.items()})
        path.write_text(json.dumps(kept, indent=1))
        say(f"{name}: {time.time() - start:.0f} s")
    print(f"{kept['machine']['cpu']}, {kept['machine']['cores']} cores. Medians (smallest..largest) of alternating runs.")
    above = kept.get("read_above", {})  # results of earlier versions lack it
    for key, loops in kept.get("read_loops", {}).items():
        print(f"Read bandwidth (threads, model: {key}), GB/s: " + "; ".join(f"{k} {v:.1f}" for k, v in loops.items())
              + (f"; the fastest pass {above[key]:.3f} of the median" if key in above else ""))
    print("\n" + table_of(kept["rows"]))


if __name__ == "__main__":
    main()

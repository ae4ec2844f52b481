# SPDX-License-Identifier: Apache-2.0
"""Runs of Remora, of a peer's llama-bench and of the read loop for bench/compare.py. Every call is a process of its own;
files are read once before, so that they are in the page cache whatever the system has reclaimed meanwhile."""
import json
import mmap
import os
import re
import subprocess
import sys

PEER_FLAGS = ["-mla", "3", "-fa", "1", "-fmoe", "1"]
PEER_WAYS = [["-rtr", "0"], ["-rtr", "1"]]  # weights as they lie in the file, and repacked while they are loaded
PEER_ON_GPU = [["-ngl", "99"]]
BUSY = "while True: pass"
HUGE = 0.95  # of a file, or it is read again
READ_AGAIN = set()


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def huge_share(path):
    """How much of a file that this process has mapped is in huge pages; None where the system does not say."""
    try:
        with open("/proc/self/smaps", encoding="utf-8") as f:
            text = f.read()
    except OSError:
        return None
    kb = {"Rss": 0, "FilePmdMapped": 0}
    for part in re.split(r"^(?=[0-9a-f]+-)", text, flags=re.MULTILINE):
        if part.split("\n", 1)[0].endswith(" " + os.path.realpath(path)):
            for key, value in re.findall(r"^(Rss|FilePmdMapped): +(\d+) kB", part, re.MULTILINE):
                kb[key] += int(value)
    return kb["FilePmdMapped"] / max(kb["Rss"], 1)


def cache_mapped(path):
    """Into the page cache as our library does it, mapped in huge pages where the system has them for files; the share of them."""
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
        m.madvise(mmap.MADV_HUGEPAGE)
        sum(m[i] for i in range(0, len(m), mmap.PAGESIZE))
        return huge_share(path)


def cache(path, mapped=False):
    """Into the page cache: by reading, or mapped. What comes back in small pages after the system has reclaimed it is read from
    disk once more, once for each file: otherwise runs would differ by what was measured before them."""
    if mapped and hasattr(mmap, "MADV_HUGEPAGE"):
        share = cache_mapped(path)
        if share is not None and share < HUGE and path not in READ_AGAIN:
            READ_AGAIN.add(path)
            with open(path, "rb") as f:
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            print(f"{os.path.basename(path)}: {share:.2f} of it in huge pages; read again: {cache_mapped(path):.2f}", file=sys.stderr)
        return
    buffer = bytearray(16 << 20)
    with open(path, "rb", buffering=0) as f:
        while f.readinto(buffer):
            pass


class Busy:
    """One busy process on each core, in this session, so that they share its group of the scheduler."""

    def __init__(self, nice=None):
        self.nice = nice

    def __enter__(self):
        self.processes = []
        for core in sorted(os.sched_getaffinity(0)):
            p = subprocess.Popen([sys.executable, "-c", BUSY])
            self.processes.append(p)
            os.sched_setaffinity(p.pid, {core})
            if self.nice is not None:
                os.setpriority(os.PRIO_PROCESS, p.pid, self.nice)

    def __exit__(self, *_):
        for p in self.processes:
            p.kill()
            p.wait()


class Read:
    """Bandwidth of reading the pages of a model's file, of the median pass: they may be slower than other memory. The best way
    of reading is found once for each (threads, file), beside the same ways in memory of the reader's own.
    above["threads, file"]: how many times that the fastest pass was."""

    def __init__(self, build):
        self.program, self.best, self.all, self.above = f"{build}/bench/bandwidth", {}, {}, {}

    def __call__(self, threads, model):
        cache(model, mapped=True)
        key = f"{threads}, {os.path.basename(model)}"
        if key not in self.best:
            lines = [line.split() for what in (0, model) for line in run(self.program, threads, what).splitlines()]
            rates = {(r[0], r[1]): float(r[2]) for r in lines if len(r) == 4}  # by pages and way
            self.all[key] = {", ".join(k): v for k, v in rates.items()}
            self.best[key] = max((k for k in rates if k[0] == "file"), key=rates.get)[1]
        out = run(self.program, threads, model, self.best[key])
        median, fastest = map(float, re.search(r"best ([\d.]+) ([\d.]+)", out).groups())
        self.above.setdefault(key, []).append(fastest / median)
        return median


def stops(build, model, how, number, *, tokens, chunk):
    """A prompt in calls that are stopped (stops.c): their time by that of one call, and by how many ms 99 % are late."""
    cache(model, mapped=True)
    out = run(f"{build}/bench/stops", model, how, number, tokens, chunk)
    return tuple(float(re.search(what, out).group(1)) for what in (r"in one: ([\d.]+)", r"99 % (-?[\d.]+) ms"))


class Ours:
    def __init__(self, remora, device="cpu"):
        self.remora, self.device = remora, device
        words = re.search(r"--kv +([\w|]+)", run(self.remora, "bench", "--help"))
        eight = [w for w in words.group(1).split("|") if w not in ("bf16", "f32")] if words else []
        self.kv8 = eight[0] if eight else None
        self.sizes, self.experts = {}, {}

    def __call__(self, model, *, prompts=(), gens=(), depths=(0,), threads=2, batch=1, kv="bf16", reps=1, warmup=True):
        cache(model, mapped=True)
        numbers = lambda v: ",".join(map(str, v)) or "0"
        rows = json.loads(run(self.remora, "bench", "-m", model, "-q", "-o", "json", "-r", reps, "-t", threads, "-b", batch,
                              "--kv", kv, "-p", numbers(prompts), "-n", numbers(gens), "-d", numbers(depths),
                              "--device", self.device, *["--no-warmup"] * (not warmup)))
        for row in rows:
            row["what"] = (row["n_prompt"], row["n_gen"], row["n_depth"])
        return rows

    def weights(self, model):
        """Bytes that one token touches in any case, and bytes of one routed expert over all layers; as stored."""
        if model not in self.sizes:
            info = json.loads(run(self.remora, "inspect", "-m", model, "-o", "json"))
            size = {row["class"]: row["size"] for row in info["classes"]}
            fields = {row["field"]: row["value"] for row in info["model"]}
            row = size.pop("embedding", 0) / int(fields["n_vocab"])
            experts = size.pop("experts", 0)
            self.sizes[model] = row + sum(size.values()), experts / max(1, int(fields["n_experts"]))
        return self.sizes[model]

    def experts_touched(self, model, row):
        """Of a layer by a decode step: counted once for a test, whose tokens are always the same."""
        key = model, row["n_sessions"], row["what"]
        if key not in self.experts:
            out = run(self.remora, "bench", "-m", model, "-q", "-o", "json", "-r", 1, "-p", 0, "-n", row["n_gen"], "-d", row["n_depth"],
                      "-b", row["n_sessions"], "--device", self.device, "--experts", "--no-warmup")
            self.experts[key] = json.loads(out)[0]["experts_touched"] or 0
        return self.experts[key]

    def touched(self, model, row):
        """Bytes of one decode step: weights, distinct experts, and the caches of all sessions."""
        always, expert = self.weights(model)
        return always + expert * self.experts_touched(model, row) + row["kv_bytes"] * row["n_sessions"]


class Peer:
    """Every test runs in each of the peer's ways, a process of its own, and the faster result counts."""

    def __init__(self, program, ways=PEER_WAYS):
        self.program, self.ways = program, ways

    def __call__(self, model, *, prompts=(), gens=(), after=(), threads=2, kv="f16"):
        """`after`: pairs of depth and tokens decoded there."""
        cache(model)
        tests = [*(["-p", ",".join(map(str, prompts))] if prompts else ["-p", "0"]),
                 *(["-n", ",".join(map(str, gens))] if gens else ["-n", "0"])]
        for depth, n in after:
            tests += ["-gp", f"{depth},{n}"]
        ways = [self.run_once(model, [*way, "-t", threads, "-ctk", kv, *tests]) for way in self.ways]
        rows = [max(row, key=lambda r: r["samples_ts"][0]) for row in zip(*ways, strict=True)]
        depths = iter(depth for depth, _ in after)
        for row in rows:  # "-gp" rows have both numbers, the prompt being the depth
            deep = row["n_prompt"] > 0 and row["n_gen"] > 0
            row["what"] = (0, row["n_gen"], next(depths)) if deep else (row["n_prompt"], row["n_gen"], 0)
        return rows

    def run_once(self, model, flags):
        out = run(self.program, "-m", model, *PEER_FLAGS, "-r", "1", "-o", "json", *flags)
        return json.loads(out[out.index("["):])


def speed(rows, what):
    """Tokens per second of the test (prompt, decoded, depth)."""
    return [t for row in rows if row["what"] == what for t in row["samples_ts"]]

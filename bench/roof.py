#!/usr/bin/env python3
"""Decode and prefill speed of a model, beside the memory roof measured in the same run.

    bench/roof.py BUILD_DIR MODEL_DIR [--threads 1,2] [--depth 0,2048] [--repetitions 5]

The roof of decoding is read bandwidth / bytes that one token touches: two bytes for each active parameter (bf16
weights; the embedding is one row) and the cache rows of its context. Bandwidth and decode are measured alternately and
medians are printed with their spread.
"""
import argparse
import json
import statistics
import subprocess


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def measure(args, threads, depth):
    bench = [f"{args.build}/tools/remora", "bench", "-m", args.model, "-q", "-o", "json", "-r", "1", "-t", str(threads)]
    reads, decode, prefill = [], [], []
    for _ in range(args.repetitions):
        reads.append(float(run(f"{args.build}/bench/bandwidth", str(threads))))
        rows = json.loads(run(*bench, "-p", "512", "-n", "32", "-d", str(depth)))
        decode += [r["avg_ts"] for r in rows if r["n_gen"]]
        prefill += [r["avg_ts"] for r in rows if r["n_prompt"]]
    return reads, decode, prefill


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("model")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--depth", default="0")
    p.add_argument("--repetitions", type=int, default=5)
    args = p.parse_args()
    info = json.loads(run(f"{args.build}/tools/remora", "inspect", "-m", args.model, "-o", "json"))
    fields = {row["field"]: row["value"] for row in info["model"]}
    row_bytes = int(info["memory"][0]["kv_per_token"])
    print("| threads | depth | read GB/s | prefill-512 t/s | decode t/s | MB a token | decode GB/s | of the roof |")
    print("|---|---|---|---|---|---|---|---|")
    for threads in map(int, args.threads.split(",")):
        for depth in map(int, args.depth.split(",")):
            reads, decode, prefill = measure(args, threads, depth)
            touched = 2 * int(fields["n_params_active"]) + row_bytes * (depth + 16)
            rate = statistics.median(decode) * touched / 1e9
            print(f"| {threads} | {depth} | {spread(reads)} | {spread(prefill)} | {spread(decode)} | {touched / 1e6:.0f} "
                  f"| {rate:.1f} | {rate / statistics.median(reads):.2f} |", flush=True)


if __name__ == "__main__":
    main()

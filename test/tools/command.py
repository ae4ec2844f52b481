# SPDX-License-Identifier: Apache-2.0
"""Runs the remora command as a person would. command.py REMORA MODELS CASE"""
import json
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

REMORA = sys.argv[1]
MODELS = pathlib.Path(sys.argv[2])
KRILL = MODELS / "krill"
BOX = pathlib.Path(__file__).resolve().parents[2] / "models" / "krill.remora"
BOX_TEXT = ", there was a little girl named Lily. She loved to play with her toys. One day, Lily saw a"


def run(*args, code=0, stdin=b"", **kwargs):
    done = subprocess.run([REMORA, *map(str, args)], input=stdin, capture_output=True, **kwargs)
    assert done.returncode == code, f"{args}: exit {done.returncode}, not {code}\n{done.stderr.decode(errors='replace')}"
    return done


def equal(got, want, what=""):
    assert got == want, f"{what}: {got!r} is not {want!r}"


def tensor(path, name):
    """One tensor of a safetensors file as a flat list."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    entry = json.loads(data[8:8 + size])[name]
    begin, end = entry["data_offsets"]
    kind = {"I64": "q", "I32": "i", "F32": "f"}[entry["dtype"]]
    return list(memoryview(data[8 + size + begin:8 + size + end]).cast(kind)), entry["shape"]


def tokenize():
    text = "Once upon a time, \u00e9\u4e2d\U0001f41f\r\n\tint main(void) { return 0; } <|x|>\x00 end"
    for special in ([], ["--special"]):
        ids = run("tokenize", "-m", KRILL, "-f", "-", *special, stdin=text.encode()).stdout
        back = run("tokenize", "-m", KRILL, "-d", stdin=ids).stdout
        equal(back, text.encode(), "round trip")
    raw = bytes(range(256)) * 3
    ids = run("tokenize", "-m", KRILL, stdin=raw).stdout
    equal(run("tokenize", "-m", KRILL, "-d", stdin=ids).stdout, raw, "round trip of raw bytes")
    # the golden cases have the ids with and without the begin token
    with open(KRILL / "tokens.jsonl", encoding="utf-8") as cases:
        for case in list(map(json.loads, cases))[:6]:
            text = case["text"].encode()
            ids = run("tokenize", "-m", KRILL, "-f", "-", "--special", stdin=text).stdout.split()
            equal(list(map(int, ids)), case["ids_special"], "ids")
            ids = run("tokenize", "-m", KRILL, "--no-bos", "--special", stdin=text).stdout.split()
            equal(list(map(int, ids)), case["ids"], "ids")
    name = run("tokenize", "-m", KRILL, "-d", "--special", "0").stdout
    equal(run("tokenize", "-m", KRILL, "--no-bos", "--special", stdin=name).stdout, b"0\n", "markup")
    assert len(run("tokenize", "-m", KRILL, "--no-bos", stdin=name).stdout.split()) > 1, "forged markup"
    table = json.loads(run("tokenize", "-m", KRILL, "--pieces", "-o", "json", "Once upon").stdout)
    equal([row["kind"] for row in table], ["control", "text", "text"], "pieces")
    equal(run("tokenize", "-m", KRILL, "-d", "--special", "0", "5598").stdout.decode()[-4:], "Once")
    run("tokenize", "-m", KRILL, "-d", "12x", code=1)
    run("tokenize", "-m", KRILL, "-d", "8192", code=1)
    bare = KRILL.parent / "fixtures/qwen2"
    for args in (["tokenize", "-m", bare, "Once"], ["tokenize", "-m", bare, "-d", "1"], ["generate", "-m", bare, "-p", "Once"]):
        assert b"takes token ids only" in run(*args, code=1).stderr, args


def wrong_logit():
    """The hunt of CONTRIBUTING.md: against a reference's hidden states, and between two runs."""
    fixture = MODELS / "fixtures/v3"
    compare = pathlib.Path(__file__).resolve().parents[1] / "golden/compare_dumps.py"
    with tempfile.TemporaryDirectory() as folder:
        ids, ours, theirs = (pathlib.Path(folder) / n for n in ("ids.txt", "ours.txt", "theirs.txt"))
        ids.write_text(" ".join(map(str, tensor(fixture / "golden.safetensors", "ids_a")[0])))
        evaluate_ids = ["eval", "-m", fixture, "--ids", ids, "-q", "--kv"]
        part = lambda *args: subprocess.run([sys.executable, compare, *map(str, args)], capture_output=True, text=True)
        run(*evaluate_ids, "f32", "--x", f"x-dump={ours}", "--x", "x-dump-only=slot x")
        done = part(ours, fixture / "golden.safetensors")
        assert done.returncode == 0 and "none farther" in done.stdout, done
        done = part(ours, fixture / "golden.safetensors", 1e-9)
        assert done.returncode == 1 and "layer 0" in done.stderr, done
        # the first thing that a cache of 8 bits changes is the attention of the first layer
        run(*evaluate_ids, "f32", "--x", f"x-dump={ours}")
        run(*evaluate_ids, "int8", "--x", f"x-dump={theirs}")
        done = part(ours, theirs)
        assert done.returncode == 1 and "layer 0 attend-expanded o is" in done.stderr, done
        equal(part(ours, ours).returncode, 0, "the same")
        for wrong in ("x-dump", "=x"):
            run(*evaluate_ids, "f32", "--x", wrong, code=2)
        for unknown in ("x-dumb", "k" * 40):
            assert unknown.encode() in run(*evaluate_ids, "f32", "--x", unknown + "=1", code=1).stderr, unknown


def generate():
    want = json.loads((KRILL / "golden.json").read_text())["prompts"][0]
    args = ["generate", "-m", KRILL, "-n", 48, "--temp", 0, "--kv", "f32"]
    text = run(*args, "-p", want["prompt"], "--echo").stdout.decode()
    equal(text, want["text"] + "\n", "greedy text")
    ids = run("tokenize", "-m", KRILL, want["prompt"]).stdout
    golden, _ = tensor(KRILL / "golden.safetensors", "greedy_0")
    out = run(*args, "--ids", "-f", "-", stdin=ids).stdout
    equal(list(map(int, out.split())), golden[want["prompt_tokens"]:], "greedy ids")
    # the same seed, the same text; the speed goes to stderr, and -q says nothing at all
    once = run("generate", "-m", KRILL, "-p", "The", "-n", 20, "--top-k", 50, "--repeat", 1.1)
    again = run("generate", "-m", KRILL, "-p", "The", "-n", 20, "--top-k", 50, "--repeat", 1.1, "-q", "-t", 1)
    equal(once.stdout, again.stdout, "seeded text")
    assert b"tokens/s" in once.stderr, "no speed on stderr"
    equal(again.stderr, b"", "stderr of -q")
    all_of_it = run(*args, "-p", want["prompt"])
    assert b"ended after 48 tokens" in all_of_it.stderr, all_of_it.stderr
    whole = all_of_it.stdout.decode()
    for keep in (), ("--keep-stop",):
        stopped = run(*args, "-p", want["prompt"], "--stop", "no such text", "--stop", "toys", *keep)
        equal(stopped.stdout.decode(), whole[:whole.index("toys") + (4 if keep else 0)] + "\n", "text that stops")
        assert b'ended with "toys"' in stopped.stderr, stopped.stderr
    twice = ["generate", "-m", KRILL, "-p", "red blue red blue red blue red", "-n", 30, "--temp", 0]
    guessed = run(*twice, "--draft", 4)
    equal(guessed.stdout, run(*twice).stdout, "a text with drafts")
    used = re.search(rb"drafts +(\d+) tokens, (\d+) of them used", guessed.stderr)
    assert used and int(used[1]) >= int(used[2]) > 0, guessed.stderr
    off = run(*twice, "--draft", "off")
    equal(off.stdout, guessed.stdout, "a text without drafts")
    assert b"drafts" not in off.stderr, off.stderr
    equal(run(*twice, "--draft", "auto").stdout, off.stdout, "a text with drafts where they pay")
    for wrong in "31", "-1", "4x", "", "on":
        for command in twice, ["chat", "-m", KRILL], ["fim", "-m", KRILL, "-p", "x"]:
            assert b"--draft is" in run(*command, "--draft=" + wrong, code=2).stderr, wrong
    list_of = "red blue red blue red blue red"
    filled = ["fim", "-m", KRILL, "-p", list_of, "--suffix", ".", "-n", 30]
    guessed = run(*filled, "--draft", 4)
    equal(run(*filled, "--draft", "off").stdout, guessed.stdout, "a hole filled without drafts")
    assert b" of them used" in guessed.stderr, guessed.stderr
    # a full context ends the text, a prompt that does not fit is an error
    short = run(*args, "-p", want["prompt"], "--ctx", 8, "--ids", code=1)
    assert b"not a token id" in short.stderr, short.stderr
    assert b"full" in run(*args, "-p", want["prompt"], "--ctx", 8).stderr
    assert b"context" in run(*args, "-p", want["prompt"], "--ctx", 3, code=1).stderr


def bench():
    args = ["bench", "-m", KRILL, "-p", "16,32", "-n", 2, "-d", "0,40", "-r", 2, "-t", "1,2"]
    rows = json.loads(run(*args, "-o", "json").stdout)
    equal(len(rows), 2 * 2 * 3, "rows")
    for row in rows:
        equal(len(row["samples_ns"]), 2)
        mean = sum(row["samples_ns"]) / 2
        assert abs(mean - row["avg_ns"]) <= 1, (mean, row["avg_ns"])
        tokens = row["n_prompt"] + row["n_gen"]
        for ns, ts in zip(row["samples_ns"], row["samples_ts"]):
            assert abs(ts - tokens * 1e9 / ns) < 1e-4 * ts, (ns, ts)
        assert row["model_type"] == "deepseek_v3" and row["model_n_params"] > 50_000_000
    equal(sorted({(r["n_prompt"], r["n_gen"], r["n_depth"], r["n_threads"]) for r in rows}),
          sorted((p, n, d, t) for p, n in ((16, 0), (32, 0), (0, 2)) for d in (0, 40) for t in (1, 2)))
    csv = run(*args, "-o", "csv").stdout.decode().splitlines()
    equal(len(csv), 13, "lines")
    assert csv[0].startswith("build_commit,") and "samples_ns" not in csv[0]
    table = run(*args).stdout.decode()
    assert "pp16 @ d40" in table and "tg2" in table, table
    rows = json.loads(run("bench", "-m", KRILL, "-p", 0, "-n", 3, "-r", 1, "-b", "1,3", "--experts", "-o", "json").stdout)
    equal([r["n_sessions"] for r in rows], [1, 3])
    for row in rows: # all sessions' tokens count
        assert abs(row["samples_ts"][0] - 3 * row["n_sessions"] * 1e9 / row["samples_ns"][0]) < 1e-4 * row["samples_ts"][0]
    used = rows[0]["experts_touched"]
    equal(used, 4, "experts of one token")
    assert used < rows[1]["experts_touched"] <= 3 * used, rows
    run("bench", "-m", KRILL, "-p", 0, "-n", 0, code=2)
    run("bench", "-m", KRILL, "-d", 5000, code=2)


def evaluate():
    ids, shape = tensor(KRILL / "golden.safetensors", "nll_ids")
    nll, _ = tensor(KRILL / "golden.safetensors", "nll")
    want = sum(nll[:2 * (shape[1] - 1)]) / (2 * (shape[1] - 1))
    with tempfile.TemporaryDirectory() as folder:
        binary = pathlib.Path(folder) / "ids.bin"
        binary.write_bytes(struct.pack(f"<{len(ids)}i", *ids))
        args = ["eval", "-m", KRILL, "--kv", "f32", "-c", shape[1], "-w", 2, "-o", "json"]
        row = json.loads(run(*args, "-i", "i32", binary).stdout)[0]
        equal(row["tokens_scored"], 2 * (shape[1] - 1), "tokens scored")
        # float32 sums in another order than the reference; the issue asks for 1e-4
        assert abs(row["mean_nll"] - want) < 1e-4, (row["mean_nll"], want)
        text = " ".join(map(str, ids[:2 * shape[1]])).encode()
        same = json.loads(run(*args, "-i", "ids", "-", stdin=text).stdout)[0]
        equal(same["mean_nll"], row["mean_nll"], "ids as text")
        binary.write_bytes(b"abc")
        assert b"int32" in run(*args, "-i", "i32", binary, code=1).stderr
        binary.write_bytes(struct.pack("<2i", 1, 8192))
        run(*args, "-i", "i32", binary, code=1)
    row = json.loads(run("eval", "-m", KRILL, "-o", "json", "-", stdin=b"It was a dark night. " * 9).stdout)[0]
    assert 0 < row["bits_per_byte"] < 3, row
    run("eval", "-m", KRILL, "-", code=1)


def coarse(folder):
    """krill with three bits less in every bf16 weight of one shard, so that it is close but not the same."""
    for path in KRILL.iterdir():
        (folder / path.name).symlink_to(path)
    shard = folder / "model-00005-of-00009.safetensors"
    data = bytearray(shard.read_bytes())
    size = struct.unpack("<Q", data[:8])[0]
    weights = [entry for name, entry in json.loads(data[8:8 + size]).items() if name != "__metadata__"]
    for begin, end in (entry["data_offsets"] for entry in weights if entry["dtype"] == "BF16"):
        data[8 + size + begin:8 + size + end:2] = bytes(b & 0xF8 for b in data[8 + size + begin:8 + size + end:2])
    shard.unlink()
    shard.write_bytes(data)


def compare():
    """KL divergence from a reference that runs beside the model, and from the same reference's saved logits."""
    ids, shape = tensor(KRILL / "golden.safetensors", "nll_ids")
    nll, _ = tensor(KRILL / "golden.safetensors", "nll")
    width = shape[1] - 1
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        lines, saved, other = folder / "ids.txt", folder / "krill.logits", folder / "coarse"
        rows = [ids[i * shape[1]:(i + 1) * shape[1]] for i in range(2)]
        lines.write_text("\n".join(" ".join(map(str, row)) for row in rows) + "\n7\n\n")
        other.mkdir()
        coarse(other)
        args = ["--kv", "f32", "-o", "json"]
        alone = json.loads(run("eval", "-m", KRILL, *args, "--ids", lines, "--save-logits", saved).stdout)[0]
        equal([alone["windows"], alone["tokens_scored"], alone["n_ctx"]], [2, 2 * width, shape[1]])
        assert abs(alone["mean_nll"] - sum(nll[:2 * width]) / (2 * width)) < 1e-4, alone
        assert "kl_mean" not in alone
        equal([path.name for path in folder.glob("*.part")], [], "half files")
        # itself: nothing side by side, the loss of 16 bits from the file (docs/command.md says 3.3e-9)
        same = json.loads(run("eval", "-m", KRILL, *args, "--ids", lines, "--reference", KRILL).stdout)[0]
        equal([same[key] for key in ("kl_mean", "kl_max", "nll_diff", "nll_diff_error", "top1_agreement")],
              [0, 0, 0, 0, 1])
        same = json.loads(run("eval", "-m", KRILL, *args, "--reference-logits", saved).stdout)[0]
        assert 0 < same["kl_mean"] < 1e-8 and same["kl_max"] < 1e-7, same
        equal([same["nll_diff"], same["top1_agreement"], same["tokens_scored"]], [0, 1, 2 * width])
        # another model: the same figures both ways
        beside = json.loads(run("eval", "-m", other, *args, "--ids", lines, "--reference", KRILL).stdout)[0]
        stored = json.loads(run("eval", "-m", other, *args, "--reference-logits", saved).stdout)[0]
        for key in ("ref_mean_nll", "nll_diff", "mean_nll", "nll_diff_error", "top1_agreement"):
            equal(stored[key], beside[key], key)
        for key in ("kl_mean", "kl_median", "kl_99", "kl_max"):
            assert abs(stored[key] - beside[key]) <= 1e-3 * beside[key], (key, stored[key], beside[key])
        assert 1e-6 < beside["kl_median"] < beside["kl_mean"] < beside["kl_99"] < beside["kl_max"], beside
        assert abs(beside["ref_mean_nll"] + beside["nll_diff"] - beside["mean_nll"]) < 2e-7, beside
        assert 0.9 < beside["top1_agreement"] < 1, beside
        table = run("eval", "-m", KRILL, "--reference-logits", saved).stdout.decode()
        assert "kl_mean" in table and len(table.splitlines()) == 7, table
        equal(len(run("eval", "-m", KRILL, "--reference-logits", saved, "-o", "csv").stdout.splitlines()), 2)
        # what does not fit
        tiny = MODELS / "fixtures" / "v3"
        assert b"vocabulary" in run("eval", "-m", tiny, "--reference-logits", saved, code=1).stderr
        assert b"vocabulary" in run("eval", "-m", tiny, "--reference", KRILL, "-i", "ids", "-", stdin=b"1 2", code=1).stderr
        saved.write_bytes(saved.read_bytes()[:-1])
        assert b"size" in run("eval", "-m", KRILL, "--reference-logits", saved, code=1).stderr
        assert b"line 2" in run("eval", "-m", KRILL, "--ids", "-", stdin=b"1 2\n3 x\n", code=1).stderr
        run("eval", "-m", KRILL, "--ids", "-", stdin=b"1 8192\n", code=1)
        # a file that could not be finished is not left behind
        run("eval", "-m", KRILL, "--ids", lines, "--save-logits", folder / "no" / "file", code=1)
        run("eval", "-m", KRILL, "--ids", "-", "--save-logits", folder / "cut", stdin=b"1 2\n3 8192\n", code=1)
        equal(list(folder.glob("cut*")), [], "half files")
    for wrong in (["--reference", KRILL, "--reference-logits", "x", "y"], ["--reference-logits", "x", "y"],
                  ["--ids", "x", "y"], ["--reference-logits", "x", "-w", 1], []):
        run("eval", "-m", KRILL, *wrong, code=2)


def imatrix():
    """The importance matrix is a whole safetensors file, the same for every number of threads."""
    with tempfile.TemporaryDirectory() as name:
        path, again, lines = (pathlib.Path(name) / n for n in ("a.imatrix", "b.imatrix", "ids.txt"))
        ids, shape = tensor(KRILL / "golden.safetensors", "nll_ids")
        lines.write_text(" ".join(map(str, ids[:100])) + "\n" + " ".join(map(str, ids[shape[1]:shape[1] + 50])) + "\n")
        with_it = run("eval", "-m", KRILL, "--ids", lines, "--imatrix", path, "-o", "json").stdout
        run("eval", "-m", KRILL, "--ids", lines, "--imatrix", again, "-t", 1, "--chunk", 7)
        equal(path.read_bytes(), again.read_bytes(), "files")
        without = json.loads(run("eval", "-m", KRILL, "--ids", lines, "-o", "json").stdout)[0]
        equal(json.loads(with_it)[0]["mean_nll"], without["mean_nll"], "nll")
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        equal(header.pop("__metadata__"), {"format": "remora-imatrix-1", "tokens": "148"})
        spans = sorted(entry["data_offsets"] for entry in header.values())
        equal([a for a, _ in spans] + [len(data) - 8 - size], [0] + [b for _, b in spans], "tensors without gaps")
        weights = {key for key in header if not key.endswith(".count")}
        stored = json.loads((KRILL / "model.safetensors.index.json").read_text())["weight_map"]
        want = {key.removesuffix(".weight") for key in stored
                if key.endswith("proj.weight") or key.endswith("mqa.weight") or key == "lm_head.weight"}
        want = {key for key in want if "layers.6." not in key and "kv_b_proj" not in key and ".experts." not in key}
        want |= {f"model.layers.{i}.mlp.experts.{p}_proj" for i in range(1, 6) for p in ("gate", "up", "down")}
        equal(sorted(weights), sorted(want), "weights")
        for key in weights:
            means, shape = tensor(path, key)
            counts, n = tensor(path, key + ".count")
            equal([len(counts), n], [shape[0] if len(shape) == 2 else 1, [len(counts)]], key)
            assert all(0 <= x < 1e6 for x in means) and (0 in counts or min(means) > 0), key
            equal(sum(counts), 4 * 148 if ".experts." in key else 148, key)
        for kind in "gate", "up":
            equal(tensor(path, f"model.layers.3.mlp.experts.{kind}_proj")[1], [16, 512])
        equal(tensor(path, "model.layers.3.mlp.experts.down_proj")[1], [16, 256])
        # means: the tokens of all experts are those of the shared expert, four times (float32 rounding)
        shared, _ = tensor(path, "model.layers.3.mlp.shared_experts.gate_proj")
        routed, _ = tensor(path, "model.layers.3.mlp.experts.gate_proj")
        counts, _ = tensor(path, "model.layers.3.mlp.experts.gate_proj.count")
        for col, mean in enumerate(shared):
            total = sum(n * routed[e * 512 + col] for e, n in enumerate(counts))
            assert abs(total / (4 * 148 * mean) - 1) < 1e-5, (col, total, mean)
        run("eval", "-m", KRILL, "--ids", lines, "--imatrix", pathlib.Path(name) / "no" / "file", code=1)


def inspect():
    report = json.loads(run("inspect", "-m", KRILL, "-c", "1024,2048", "-s", "1,3", "-o", "json").stdout)
    model = {row["field"]: row["value"] for row in report["model"]}
    meta = {row["field"]: row["value"] for row in report["metadata"]}
    equal(model["family"], "deepseek_v3")
    equal(meta["config.kv_lora_rank"], "256")
    equal([(row["ctx"], row["sessions"]) for row in report["memory"]], [(1024, 1), (1024, 3), (2048, 1), (2048, 3)])
    for row in report["memory"]:
        equal(row["kv_per_token"], (256 + 32) * 6 * 2)  # the prediction layer has pages of its own
        assert row["kv"] >= row["kv_per_token"] * row["ctx"] * row["sessions"]
        equal(row["allocated"], sum(row[k] for k in ("weights", "kv", "scratch", "other")))
    assert "tensors" not in report and not any(key.startswith("tensor") for key in meta)
    report = json.loads(run("inspect", "-m", KRILL, "--tensors", "-o", "json").stdout)
    index = json.loads((KRILL / "model.safetensors.index.json").read_text())["weight_map"]
    equal(sorted(row["tensor"] for row in report["tensors"]), sorted(index), "tensors")
    head = [row for row in report["tensors"] if row["tensor"] == "lm_head.weight"]
    equal(head, [{"tensor": "lm_head.weight", "type": "BF16", "shape": "[8192, 512]"}])
    types = {row["type"]: row for row in report["types"]}
    classes = {row["class"]: row for row in report["classes"]}
    files = sum(path.stat().st_size for path in KRILL.glob("model-*.safetensors"))
    equal(sorted(types), ["BF16", "F32", "all"], "types")
    assert 0 < files - types["all"]["size"] < 0.01 * files, "size of the tensors"
    equal(types["all"]["weights"], int(model["n_params"]), "weights")
    equal(types["BF16"]["bits_per_weight"], 16.0)
    equal(types["all"]["tensors"], len(index))
    for key in ("tensors", "weights", "size"):
        equal(sum(row[key] for row in report["classes"]), types["all"][key], key)
    equal(classes["experts"]["weights"], 6 * 16 * 3 * 512 * 256, "weights of the experts")
    equal(classes["router"]["types"], "BF16 F32")
    assert "max_context" in run("inspect", "-m", KRILL).stdout.decode()
    report = json.loads(run("inspect", "-m", KRILL.parent / "fixtures/qwen2", "-c", "1024", "-o", "json").stdout)
    model = {row["field"]: row["value"] for row in report["model"]}
    equal([int(model[key]) for key in ("n_heads", "n_kv_heads", "head_dim", "n_experts")], [8, 2, 16, 0])
    assert "kv_lora_rank" not in model and "rope_dim" not in model
    equal(report["memory"][0]["kv_per_token"], 2 * 2 * 16 * 3 * 2)


def gguf(path, keys, tensors, size=0):
    """A small GGUF file: keys are texts or u32, tensors name, type number and dims (columns first)."""
    def text(t):
        return struct.pack("<Q", len(t)) + t.encode()
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for key, value in keys.items():
        head += text(key)
        head += struct.pack("<I", 8) + text(value) if isinstance(value, str) else struct.pack("<II", 4, value)
    for i, (tensor_name, kind, dims) in enumerate(tensors):
        head += text(tensor_name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, 4096 * i)
    head += bytes(-len(head) % 32)
    path.write_bytes(head + bytes(size or 4096 * len(tensors)))


def report_of(path, code):
    """What inspect says in JSON, its model and metadata as dicts; and the message."""
    done = run("inspect", "-m", path, "--tensors", "-o", "json", code=code)
    report = json.loads(done.stdout)
    for part in "model", "metadata":
        report[part] = {row["field"]: row["value"] for row in report[part]}
    return report, done.stderr.decode()


def inspect_refused():
    """What cannot run is shown as far as it can be read, with all that is missing, and fails."""
    report, _ = report_of(KRILL, 0)
    equal(report["missing"], [], "missing")
    folders = ("v32b", "v32-fp8", "glm5", "glm52", "v4", "v4-mx", "longcat-flash", "mistral4", "minicpm3", "kimi-linear",
               "ling3")
    for name in folders:
        folder = MODELS / "fixtures" / name
        config = json.loads((folder / "config.json").read_text())
        data = (folder / "model.safetensors").read_bytes()
        header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
        header.pop("__metadata__", None)
        report, message = report_of(folder, 1)
        model, meta = report["model"], report["metadata"]
        equal(model["family"], config["model_type"])
        equal([int(model[key]) for key in ("n_hidden", "n_vocab", "n_heads")],
              [config[key] for key in ("hidden_size", "vocab_size", "num_attention_heads")], name)
        for key, value in config.items():
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                equal(meta["config." + key], str(value), name)
        equal({row["tensor"]: (row["type"], row["shape"]) for row in report["tensors"]},
              {key: (row["dtype"], str(row["shape"])) for key, row in header.items()}, name)
        types = {row["type"]: row for row in report["types"]}
        equal(types["all"]["size"], sum(b - a for a, b in (row["data_offsets"] for row in header.values())), name)
        assert "memory" not in report
        equal([row["status"] for row in report["missing"]], ["E_UNSUPPORTED"], name)
        reason = report["missing"][0]["missing"]
        assert f'model_type "{config["model_type"]}"' in reason and "qwen3" in reason, reason
        assert message.startswith(f"remora: {folder}: E_UNSUPPORTED: {reason}"), message
        shown = run("inspect", "-m", folder, code=1).stdout.decode()
        assert reason in shown and "kv_per_token" not in shown, shown
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        # a GGUF file of an architecture and with types that are not done
        keys = {"general.architecture": "starfish", "general.name": "A Star", "starfish.block_count": 7,
                "starfish.embedding_length": 512, "starfish.attention.head_count": 8, "tokenizer.ggml.model": "wordpiece"}
        tensors = [("token_embd.weight", 0, (256, 4)), ("blk.0.attn_q.weight", 17, (512, 4)),
                   ("blk.0.ffn_up.weight", 34, (256, 8)), ("blk.1.ffn_up.weight", 34, (256, 8)),
                   ("blk.0.ffn_down.weight", 99, (256, 8))]
        gguf(work / "m.gguf", keys, tensors)
        report, message = report_of(work / "m.gguf", 1)
        equal([report["model"][key] for key in ("name", "family", "n_layers", "n_hidden", "n_heads", "n_vocab")],
              ["A Star", "starfish", "7", "512", "8", "4"], "GGUF")
        for key, value in keys.items():
            equal(report["metadata"]["gguf." + key], str(value), key)
        equal({row["tensor"]: (row["type"], row["shape"]) for row in report["tensors"]},
              {"token_embd.weight": ("F32", "[4, 256]"), "blk.0.attn_q.weight": ("IQ2_XS", "[4, 512]"),
               "blk.0.ffn_up.weight": ("TQ1_0", "[8, 256]"), "blk.1.ffn_up.weight": ("TQ1_0", "[8, 256]"),
               "blk.0.ffn_down.weight": ("?", "[8, 256]")}, "tensors")
        types = {row["type"]: row["size"] for row in report["types"]}
        equal([types["IQ2_XS"], types["TQ1_0"]], [4 * 512 // 256 * 74, 2 * 8 * 54], "sizes")
        reasons = [row["missing"] for row in report["missing"]]
        for i, words in enumerate((("blk.0.attn_q.weight", "IQ2_XS"), ("ffn_up", "TQ1_0"), ("ffn_down", "type 99"),
                                   ("general.architecture", "starfish"))):
            assert all(word in reasons[i] for word in words), reasons
        assert "unknown type" in message, message  # of tensors that are not in the sizes
        # a part of three, and a half-written one
        for part in (1, 2):
            gguf(work / f"s-0000{part}-of-00003.gguf", dict(keys, **{"split.no": part - 1, "split.count": 3}),
                 [(f"blk.{part}.x.weight", 0, (64, 4))], 900 if part == 2 else 0)
        report, _ = report_of(work / "s-00001-of-00003.gguf", 1)
        equal(len(report["tensors"]), 2)
        reasons = [row["missing"] for row in report["missing"]]
        assert "s-00003-of-00003.gguf" in reasons[0] and "half-written" in reasons[1], reasons
        # a matrix of a type that is only ever a table
        whole, make = work / "i8.gguf", pathlib.Path(__file__).resolve().parents[1] / "golden/make_gguf.py"
        subprocess.run([sys.executable, make, MODELS / "fixtures/qwen2", whole], check=True)
        data, name = bytearray(whole.read_bytes()), b"blk.0.ffn_up.weight"
        at = data.index(name) + len(name) + 4 + 2 * 8  # behind the number of dimensions and two of them
        data[at:at + 4] = struct.pack("<I", 24)
        whole.write_bytes(data)
        report, message = report_of(whole, 1)
        equal([row["type"] for row in report["tensors"] if row["tensor"] == name.decode()], ["I8"])
        assert f"i8.gguf: tensor {name.decode()} is I8; this build reads what docs/formats.md lists" in message, message
        # an index whose shards are not all there
        folder = work / "folder"
        folder.mkdir()
        for path in (MODELS / "fixtures" / "v3").iterdir():
            (folder / path.name).write_bytes(path.read_bytes())
        data = (folder / "model.safetensors").read_bytes()
        header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
        header.pop("__metadata__", None)
        files = dict.fromkeys(header, "model.safetensors")
        files |= {f"gone.{i}": f"model-0000{i}-of-00003.safetensors" for i in (2, 3)}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
        report, _ = report_of(folder, 1)
        equal([row["status"] for row in report["missing"]], ["E_NOT_FOUND"] * 2)
        for i, row in zip((2, 3), report["missing"]):
            assert f"model-0000{i}-of-00003.safetensors" in row["missing"], row
        equal(len(report["tensors"]), len(header) + 2)
        # weights of another program
        (folder / "model.safetensors.index.json").unlink()
        (folder / "model.safetensors").unlink()
        (folder / "pytorch_model.bin").write_bytes(b"PK\3\4")
        report, message = report_of(folder, 1)
        assert "PyTorch pickles (pytorch_model.bin)" in message, message
        equal(report["model"]["family"], "deepseek_v3")
        equal(report["model"]["n_layers"], "3")


def errors():
    """Needs no model."""
    for command in ("generate", "fim", "chat", "tokenize", "inspect", "bench", "eval"):
        shown = run(command, "--help").stdout.decode()
        assert shown.startswith("usage: remora " + command) and "--model" in shown, shown
        assert len(max(shown.splitlines(), key=len)) <= 80, "help wider than 80 columns"
        wrong = run(command, "--no-such-option", code=2)
        assert b"--no-such-option" in wrong.stderr and not wrong.stdout
        files = {"generate": ["-p", "x"], "fim": ["-p", "x"], "tokenize": ["x"], "eval": ["/dev/null"]}.get(command, [])
        assert b"-m" in run(command, *files, code=2).stderr
        missing = run(command, "-m", "/no/such/model", *files, code=1)
        assert b"/no/such/model" in missing.stderr and b"E_NOT_FOUND" in missing.stderr, missing.stderr
        equal(missing.stdout, b"")
    for args in (["generate", "-m", "x"], ["generate", "-m", "x", "-p", "a", "--temp", "hot"],
                 ["generate", "-m", "x", "-p", "a", "--kv", "f8"], ["bench", "-m", "x", "-d", "1,,2"],
                 ["bench", "-m"], ["bench", "-m", "x", "-r", "0"], ["eval", "-m", "x"], ["nonsense"], []):
        assert run(*args, code=2).stderr, args
    assert json.loads(run("devices", "-o", "json").stdout)[0]["device"] == "cpu"
    for args in (["selftest", "-n", "0"], ["selftest", "x"], ["devices", "x"]):
        run(*args, code=2)
    assert b"generate" in run("--help").stdout and run("--version").stdout.startswith(b"remora ")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([REMORA, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
        equal(done.returncode, 1, "exit code with a full disk")
        assert b"standard output" in done.stderr, done.stderr


def tests_itself():
    """Needs no model either. The kernel set that is not there is refused; a folder that cannot be written is named."""
    rows = json.loads(run("selftest", "-n", 4, "-o", "json").stdout)
    assert all(row["result"] == "ok" for row in rows), rows
    assert {"threads", "memory", "plain C", "ref"} < {row["what"] for row in rows}, rows
    assert b"nonsense" in run("selftest", "--isa", "nonsense", code=1).stderr
    assert b"/no/such" in run("selftest", code=1, env={**os.environ, "TMPDIR": "/no/such"}).stderr


def interrupt():
    """Ctrl-C while text streams and while a long prompt is read."""
    for args in (["generate", "-m", KRILL, "-p", "Once", "-n", 0, "--temp", 1], ["bench", "-m", KRILL, "-r", 100],
                 ["generate", "-m", KRILL, "-f", "-"]):
        process = subprocess.Popen([REMORA, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        if "-n" in args:
            assert process.stdout.read(1), "no text came"  # it runs, so the handler is there
        else:
            time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        equal(process.returncode, 130, f"{args}: {err}")
    # text that was held back, because it might have become the stop text, is written: all that the tokens say
    args = ["generate", "-m", KRILL, "-p", "Once", "--temp", 0]
    text = run(*args, "-n", 200, "-q").stdout.decode()[:-1]
    process = subprocess.Popen([REMORA, *map(str, args), "-n", "0", "--stop", text[1:] + "~"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    first = process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    equal(process.returncode, 130, err)
    made = int(re.search(rb"decode +(\d+) tokens", err).group(1))
    equal(first + out, run(*args, "-n", made, "-q").stdout, f"text of {made} tokens, of which most was held back")


def convert():
    """A folder to packs and back to text: built-in recipes, a recipe file, importance, checks of what was made."""
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        pack, recipe = work / "k.remora", work / "mine.yaml"
        names = [line.removeprefix("name: ") for line in run("convert", "--list-recipes").stdout.decode().splitlines()
                 if line.startswith("name: ")]
        assert {"keep", "bf16", "fp8", "q8", "q4", "experts-q4", "experts-q2"} <= set(names), names
        run("convert", "-m", KRILL, "-o", pack, "-r", "bf16", "-q")
        ask = ["-p", "Once upon a time", "-n", "24", "--temp", "0", "-q"]
        equal(run("generate", "-m", pack, *ask).stdout, run("generate", "-m", KRILL, *ask).stdout, "text of the pack")
        assert b"to the bit" in run("verify", "-m", pack, "-q").stdout
        assert pack.read_bytes()[:64].startswith(b"remora_pack: 1\n")
        recipe.write_text("name: mine\nrules:\n- {match: '*.mlp.experts.*', type: IQ4_XS}\n- {match: '*', type: q6}\n")
        (work / "text").write_text("Once upon a time there was a little fish. It followed a whale.\n" * 20)
        run("eval", "-m", KRILL, "--imatrix", work / "imatrix", work / "text", "-q")
        run("convert", "-m", KRILL, "-o", pack, "-r", recipe, "--imatrix", work / "imatrix", "-q", "--zstd", "3")
        sizes = {row["type"]: row for row in json.loads(run("inspect", "-m", pack, "-o", "json").stdout)["types"]}
        assert {"IQ4_XS", "Q6_K", "F32"} <= set(sizes), sizes
        assert b"to the bit" in run("verify", "-m", pack, "-q").stdout
        run("convert", "-m", KRILL, "-o", work / "again.remora", "-r", "bf16", "--base", pack, "-q")
        again = {row["type"]: row for row in json.loads(run("inspect", "-m", work / "again.remora", "-o", "json").stdout)["types"]}
        equal(again, sizes, "weights of the base, which has all of them")
        assert b"is no pack" in run("convert", "-m", KRILL, "-o", pack, "--base", KRILL, code=1).stderr
        (work / "again.remora").unlink()
        # what the user gets told
        assert b"experts-q4" in run("convert", "-m", KRILL, "-o", pack, "-r", "nope", code=1).stderr
        recipe.write_text("rules:\n- {match: '*', type: q17}\n")
        assert b"q17" in run("convert", "-m", KRILL, "-o", pack, "-r", recipe, code=1).stderr
        run("convert", "-m", KRILL, "-o", pack, "-r", work / "none.yaml", code=1)
        run("convert", "-m", KRILL, code=2)
        run("verify", "-m", KRILL, code=1)
        data = bytearray(pack.read_bytes())
        data[-9] ^= 4
        pack.write_bytes(data)
        assert b"E_FORMAT" in run("verify", "-m", pack, code=1).stderr
        equal(sorted(p.name for p in work.iterdir()), ["imatrix", "k.remora", "mine.yaml", "text"], "what is left")


def box():
    """The model that comes with the repository: whole, the right answer to the bit, and sensible text."""
    assert BOX.stat().st_size <= 36_000_000, "the box holds at most 36 MB"
    assert b"self-test: ok, to the bit" in run("verify", "-m", BOX, "-q").stdout
    text = run("generate", "-m", BOX, "-p", "Once upon a time", "-n", "24", "--temp", "0", "-q").stdout.decode()
    equal(text.strip(), BOX_TEXT, "greedy text")
    guessed = run("generate", "-m", BOX, "-p", "Once upon a time", "-n", "24", "--temp", "0", "--draft", "1")
    equal(guessed.stdout.decode(), text, "text with drafts")
    drafts, used = map(int, re.search(rb"drafts +(\d+) tokens, (\d+) of them used", guessed.stderr).groups())
    assert used * 2 > drafts > 5, guessed.stderr  # by the prediction layer: the text before has nothing twice
    ids = run("tokenize", "-m", BOX, "Once upon a time").stdout
    equal(run("tokenize", "-m", BOX, "-d", stdin=ids).stdout, b"Once upon a time", "round trip")
    with tempfile.TemporaryDirectory() as work:
        story = pathlib.Path(work) / "story"
        story.write_text("Once upon a time, there was a little girl named Lily. She loved to play with her toys.\n")
        report = json.loads(run("eval", "-m", BOX, story, "-q", "-o", "json").stdout)[0]
        assert report["mean_nll"] < 2, report  # a uniform guess has 9
    same = [run("generate", "-m", BOX, "-p", "The sea", "-n", "12", "--temp", "0", "-q", *how).stdout
            for how in ([], ["-t", "1"], ["--isa", "ref"], ["--no-mmap"])]
    assert len(set(same)) == 1, same


def fill():
    """`remora fim` on the model in the box."""
    before, behind = "def add(a, b):\n    retu", "\n\nprint(add(1, 2))\n"
    args = ["fim", "-m", BOX, "-n", "12", "-q"]
    healed = run(*args, "-p", before, "--suffix", behind, "--heal").stdout.decode()
    assert healed.startswith("rn "), healed
    whole = run(*args, "-f", "-", "--heal", "--whole", "--hole", "@@", stdin=(before + "@@" + behind).encode()).stdout.decode()
    equal(whole, before + healed[:-1] + behind, "whole text")
    first = run(*args, "-p", before, "--suffix", behind, "--temp", "1", "-s", "7", "--heal").stdout
    equal(run(*args, "-p", before, "--suffix", behind, "--temp", "1", "-s", "7", "--heal", "-t", "1").stdout, first, "the same seed")
    cut = run("fim", "-m", BOX, "-n", "4", "-p", "x = 1\n" * 2000, "--max-prompt", "100")
    assert b"the prompt was cut to" in cut.stderr and cut.stdout, cut.stderr
    run("fim", "-m", BOX, "-p", "a", "--repo", "r", code=1)
    assert b"<FILL>" in run("fim", "-m", BOX, "-f", "-", stdin=b"no hole", code=1).stderr
    for args in (["fim", "-m", "x"], ["fim", "-m", "x", "-p", "a", "-f", "b"], ["fim", "-m", "x", "-f", "b", "--suffix", "c"]):
        run(*args, code=2)


def bounded():
    """`remora generate` under each kind of constraint, with a warm sampler, so that the model would write something else."""
    args = ["generate", "-m", BOX, "-p", "Once upon a time", "-n", "200", "--temp", "1.5", "-q"]

    def say(seed, *how, **more):
        return run(*args, "--seed", seed, *how, **more).stdout.decode().removesuffix("\n")

    with tempfile.TemporaryDirectory() as folder:
        def file(name, text):
            path = pathlib.Path(folder, name)
            path.write_text(text)
            return path

        sums = file("sum.gbnf", 'root ::= n ("+" n){1,3} " = " n\nn ::= [0-9]{1,3}\n')
        lark = file("sum.lark", 'start: N ("-" N)~1..3 " = " N\nN: /[0-9]{1,3}/\n')
        schema = file("who.json", json.dumps({"type": "object", "required": ["name", "age"], "additionalProperties": False, "properties": {
            "name": {"type": "string", "minLength": 2, "maxLength": 12}, "age": {"type": "integer", "minimum": 3, "maximum": 99}}}))
        for seed in range(4):
            text = say(seed, "--grammar", sums)
            assert re.fullmatch(r"[0-9]{1,3}([+][0-9]{1,3}){1,3} = [0-9]{1,3}", text), text
            text = say(seed, "--grammar", lark)
            assert re.fullmatch(r"[0-9]{1,3}(-[0-9]{1,3}){1,3} = [0-9]{1,3}", text), text
            text = say(seed, "--regex", "[A-Z][a-z]{2,8} [0-9]+")
            assert re.fullmatch(r"[A-Z][a-z]{2,8} [0-9]+", text), text
            assert say(seed, "--choice", "blue,deep green,grey") in ("blue", "deep green", "grey")
            who = json.loads(say(seed, "--json-schema", schema))
            assert who.keys() == {"name", "age"} and 2 <= len(who["name"]) <= 12 and 3 <= who["age"] <= 99, who
        for name, how, says in (("a.gbnf", "--grammar", b"E_ARG"), ("a.lark", "--grammar", b"E_ARG"), ("a.json", "--json-schema", b"E_FORMAT")):
            refused = run(*args, how, file(name, "(("), code=1)
            assert says in refused.stderr and refused.stdout == b"", refused
        strict = file("strict.json", '{"format": "idn-hostname"}')
        assert b"idn-hostname" in run(*args, "--json-schema", strict, code=1).stderr
        assert b"E_ARG" in run(*args, "--regex", "a(", code=1).stderr
        ways = [("--json-schema", schema), ("--grammar", sums), ("--regex", "a"), ("--choice", "a,b")]
        for i, one in enumerate(ways):
            for other in ways[i + 1:]:
                refused = run(*args, *one, *other, code=2)
                assert b"give one of --json-schema, --grammar, --regex and --choice" in refused.stderr and refused.stdout == b"", refused


def terminal(*args):
    """The command in a terminal of its own, which cannot move its cursor (in_tmux.py has one that can)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(REMORA, [REMORA, *map(str, args)], {**os.environ, "TERM": "dumb"})
    return pid, fd


def until(fd, word, seen=b""):
    """Read until the word comes."""
    while word not in seen:
        more = os.read(fd, 4096)
        assert more, f"{seen!r} ends without {word!r}"
        seen += more
    return seen


def chatting():
    """`remora chat`, from a file and in a terminal: Ctrl-C ends the answer, and then the program."""
    args = ["chat", "-m", BOX, "--format", "deepseek-v3", "--ctx", "512"]
    short = [*args, "-n", "12", "--temp", "0"]
    once = run(*short, "-q", stdin=b"Tell me of the sea.\n").stdout
    assert len(once) > 8 and once.endswith(b"\n"), once
    again = run(*short, stdin=b"Tell me of the sea.\n/again\n/undo\nTell me of the sea.\n/clear\nTell me of the sea.\n/quit\nno\n")
    equal(again.stdout, once * 4, "the same question, four times")
    assert b" of 512 tokens]" in again.stderr, again.stderr
    two = run(*short, stdin=b"Tell me of the sea.\nAnd of the sky.\n")
    assert two.stdout.startswith(once) and len(two.stdout) > len(once), two.stdout
    full = run(*args, "-q", stdin=b"word " * 600 + b"\nTell me of the sea.\n", timeout=300)
    assert b"does not fit into 512 tokens" in full.stderr and full.stdout, full.stderr
    both = run(*short, "-q", stdin=b"Tell me of the sea.\\\nAnd of the sky.\n/none\n \xff\n", code=1)
    assert both.stdout != two.stdout and both.stderr.count(b"no such command") == 1, both
    assert b"E_FORMAT" in both.stderr and b"[cut" not in both.stderr, both.stderr
    wrong = run("chat", "-m", BOX, "--format", "none", code=1).stderr
    assert b"E_NOT_FOUND" in wrong and b"--format takes here: " in wrong and b"kimi" not in wrong, wrong
    with tempfile.NamedTemporaryFile("w", suffix=".json") as tools:
        tools.write('[{"type": "function", "function": {"name": "now"}}]')
        tools.flush()
        refused = run(*args, "--tools", tools.name, code=1).stderr
        assert b"E_UNSUPPORTED: the tokenizer has no token of the marker" in refused, refused
    assert b"--tools" in run(*args, "--tool-command", "cat", code=2).stderr
    pid, fd = terminal(*args[:-2], "--ctx", "1024", "--temp", "1.5", "--seed", "3")
    until(fd, b"> ")
    os.write(fd, b"Tell me a long story.\n")
    until(fd, b"story.\r\n")
    os.read(fd, 16)
    os.write(fd, b"\x03")
    until(fd, b"[stopped]")
    os.write(fd, b"/help\n")
    until(fd, b"> ", until(fd, b"/quit").split(b"/quit")[1])
    os.write(fd, b"\x03")
    equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 130, "Ctrl-C at the prompt")
    os.close(fd)


CASES = {f.__name__: f for f in (tokenize, fill, bounded, chatting, generate, bench, evaluate, compare, imatrix, inspect, inspect_refused, convert, box, errors, tests_itself, interrupt,
                                wrong_logit)}
name = sys.argv[3]
CASES[name]()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A folder with tiktoken.model in place of tokenizer.json gives the ids that the tiktoken library gives.

    tiktoken_tokens.py ENCODE_TEXTS REMORA MODEL trained|shuffled [--pack]

The vocabulary has the tokens of MODEL's tokenizer.json. `trained`: in their order, as byte pair encoding made them.
`shuffled`: a part of them and parts of the texts, in any order, so that many tokens cannot be reached by merging.
With --pack the remora command converts the whole model, and folder and pack must give these ids, too.
"""
import argparse
import base64
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

import tiktoken
import tiktoken.load

from token_ids import KIMI, LETTERS, SPECIAL as WITH_SPECIAL, ask

# by their distance from the first special id, as Kimi-K2 has them
SPECIAL = {0: "[BOS]", 1: "[EOS]", 2: "<|im_end|>", 3: "<|im_user|>", 4: "<|im_assistant|>", 10: "<|im_system|>",
           11: "<|tool_calls_section_begin|>", 17: "<|im_middle|>", 22: "<think>", 254: "[UNK]", 255: "[PAD]"}
PLAIN = {11, 22}  # "special": false
TEXTS = [
    "", " ", "\n", "\r\n\r\n", "   x", "x   ", " \t \n  \n x", "a\u0085b\u00a0c\u3000d\u2028e\u180ef", "\ufeffBOM", "\0a\0",
    "I'll say don't, CAN'T, we'Re and they'VE; 'S 's 'ſ 'M x'd'D o'clock ''t", "HTTPServer camelCase XMLHttpRequest iPhone5s",
    "1234567890 12 3.14159 1,000,000 ٣٤٥٦ ⅧⅨ ½¼ x²y³", "你好世界，欢迎使用Kimi！中文English混合text文字", "二〇二四年1〇月 〇 12〇3 a〇b",
    "⺀⺁!⺀a ⺀b。⼀⼁ 々々 〻x〆", "こんにちは世界カタカナひらがなABC漢字かな交じり文", "한국어 텍스트와 漢字 섞기", "𠀀𠀁a𠀂 𪜀。", "𖿰𖿱a",
    "ǅungla ǈ ʰʷ ªº ꟸ ﬁ Straße ΣΑΣς İı", "e\u0301te\u0301 a\u0300\u0301\u0302b \u0301x 中\u0301文 \u0301", "שלום עולם مرحبا بالعالم नमस्ते",
    "🎉🚀👩‍👩‍👧‍👦🏳️‍🌈 ok🤷🏽‍♂️!", "def f(x: int) -> bool:\n\treturn x > 0  # why\n\n\n    pass\r\n", "!!!\n\n???\r\n...", " !a !B  !!c",
    "<|im_user|>hi<|im_middle|>there<|im_end|>", "[BOS][BOS]x[EOS]<think>\n<|tool_calls_section_begin|><|im_system|", "[PAD] [ PAD]",
    "a" * 3000, "A" * 3000 + "b", " " * 3000 + "x", "中" * 3000, "ab" * 40 + "\n" * 200, "'" * 500 + "s", "́" * 300,
    "\ue000\uf8ff \U000f0000 \ufffd \u200b\u200d\u2060 \u00ad",
]


def vocabulary(folder, order, rng):
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    byte, added = {c: b for b, c in enumerate(LETTERS)}, {t["content"] for t in data["added_tokens"]}
    words = sorted((i, w) for w, i in data["model"]["vocab"].items() if w not in added)
    words = [bytes(byte[c] for c in w) for _, w in words]
    if order == "shuffled":
        words = [w for w in words if len(w) == 1 or rng.random() < 0.6]
        for text in TEXTS:  # parts of the texts, so that where a text is split shows in its tokens
            for _ in range(200):
                at = rng.randrange(len(text) + 1)
                words.append(text[at:at + rng.randint(2, 6)].encode())
        words = sorted({w for w in words if w})
        rng.shuffle(words)
    return words


def random_texts(rng):
    """From letters of every kind. Only those that have been what they are since Unicode 3.2: the libraries' tables are
    not of the same age."""
    old = unicodedata.ucd_3_2_0
    pools = {}
    for c in map(chr, range(0x30000)):
        kind = unicodedata.category(c)
        if kind not in ("Cs", "Cn") and kind == old.category(c): pools.setdefault(kind, []).append(c)
    pools["Han"] = [chr(c) for c in (*range(0x4e00, 0x4e40), 0x2e80, 0x2f00, 0x3005, 0x3007, 0x3021, 0x303b, 0x20000)]
    pools["ascii"], pools["blank"] = [chr(c) for c in range(128)], list(" \n\r\t  ")
    pools["tail"] = ["'s", "'LL", "'re", "'"]
    kinds = list(pools)
    for _ in range(3000):
        some = rng.sample(kinds, rng.randint(1, 4)) + ["ascii"]
        yield "".join(rng.choice(pools[rng.choice(some)]) for _ in range(rng.randint(1, 40)))


def write_folder(folder, words, model):
    """The tokenizer's files; beside them, as links, what else the model has."""
    for path in model.iterdir():
        if path.name not in ("tokenizer.json", "tokenizer_config.json"): (folder / path.name).symlink_to(path)
    lines = [base64.b64encode(w).decode() + f" {i}\n" for i, w in enumerate(words)]
    (folder / "tiktoken.model").write_text("".join(lines))
    table = {str(len(words) + i): {"content": s, "special": i not in PLAIN, "lstrip": False, "rstrip": False,
                                   "normalized": False, "single_word": False} for i, s in SPECIAL.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "added_tokens_decoder": table, "bos_token": "[BOS]", "eos_token": "[EOS]", "pad_token": "[PAD]", "unk_token": "[UNK]",
        "tokenizer_class": "TikTokenTokenizer", "auto_map": {"AutoTokenizer": ["tokenization_kimi.TikTokenTokenizer", None]}}))
    return {SPECIAL.get(i, f"<|reserved_token_{len(words) + i}|>"): len(words) + i for i in range(256)}


def check_ids(encode, folder, size, cases):
    for flags, key in (0, "ids"), (WITH_SPECIAL, "ids_special"):
        got, why = ask(encode, folder, size, [(c["text"].encode(), flags) for c in cases])
        if got is None: sys.exit(why)
        for case, ids in zip(cases, got, strict=True):
            if ids != [str(i) for i in case[key]]: sys.exit(f"flags {flags}: {case['text']!r}: {ids}, not {case[key]}")


def check_command(remora, folder, cases):
    """`remora tokenize` of the folder and of a pack made from it."""
    def run(*args, text=b""):
        done = subprocess.run([remora, *args], input=text, capture_output=True)
        if done.returncode: sys.exit(f"{args}: {done.stderr.decode()}")
        return done.stdout

    pack = folder / "out.remora"
    run("convert", "-q", "-m", folder, "-o", pack)
    for model in (folder, pack):
        for case in cases:
            for option, key in ([], "ids"), (["--special"], "ids_special"):
                out = run("tokenize", "-m", model, "-f", "-", *option, text=case["text"].encode())
                got = list(map(int, out.split()))
                if got != case[key]: sys.exit(f"{model.name}: {case['text']!r}: {got}, not {case[key]}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("encode")
    p.add_argument("remora")
    p.add_argument("model")
    p.add_argument("order", choices=["trained", "shuffled"])
    p.add_argument("--pack", action="store_true")
    a = p.parse_args()
    model = pathlib.Path(os.environ["REMORA_MODELS"]).resolve() / a.model
    rng = random.Random(19)
    rows = json.loads((model / "config.json").read_text())["vocab_size"] if a.pack else 1 << 20
    words = vocabulary(model, a.order, rng)
    if a.pack: words = words[:rows - 256]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        special = write_folder(folder, words, model)
        ranks = tiktoken.load.load_tiktoken_bpe(str(folder / "tiktoken.model"))
        assert len(ranks) == len(words)
        encoding = tiktoken.Encoding("kimi", pat_str=KIMI, mergeable_ranks=ranks, special_tokens=special)
        with (model / "tokens.jsonl").open(encoding="utf-8") as f: texts = [json.loads(line)["text"] for line in f]
        cases = [{"text": t, "ids": encoding.encode_ordinary(t), "ids_special": encoding.encode(t, allowed_special="all")}
                 for t in (*TEXTS, *texts, *random_texts(rng))]
        check_ids(a.encode, folder, len(words) + 256, cases)
        if a.pack: check_command(a.remora, folder, cases[:len(TEXTS)])
    return 0


sys.exit(main())

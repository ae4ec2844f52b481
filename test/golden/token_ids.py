#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Token ids against the `tokenizers` library, for tokenizers that are made here: one with the pattern of each name that
tokenizer.ggml.pre may have, and the kinds of vocabularies that released models have. Each is written as tokenizer.json
and as a GGUF file and asked for the same texts. Needs numpy, gguf and tokenizers (test/requirements.txt).

    token_ids.py ENCODE_TEXTS MAKE_GGUF

The vocabularies are trained without a pre-tokenizer, so their merges go across the borders of words: a border in the
wrong place changes the ids.
"""
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

SPECIAL = 1
UNUSED_BYTES = [0xC0, 0xC1, *range(0xF5, 0x100)]  # UTF-8 never has them

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
          r"\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = O200K.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace(r"\p{N}{1,3}", r"\p{N}")
KIMI = "|".join([
    r"[\p{Han}]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
CASED = ("A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373"
         "\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f"
         "\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
         "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d"
         "\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb"
         "\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128"
         "\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4"
         "\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf"
         "\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"
         "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943")
CJK = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
DIGITS = ("digits",)  # Digits(individual_digits = true)
DEEPSEEK_LLM = ["[\r\n]", rf"\s?[{CASED}]+", "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+",
                r"\s+$", CJK, DIGITS]
DEEPSEEK_V3 = [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
               r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"""
               r""" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""]
YOUTU = ["[\uac00-\ud7a3\u3131-\u318e]+|[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f"
         "\ufe30-\ufe4f]+|[\u3105-\u312f]+|[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
         O200K.replace(r"\p{N}{1,3}", r"\p{N}")]

# tokenizer.ggml.pre: the splits, and which of "nfc" and "whole" (ignore_merges) go with them
PRE = {
    "deepseek-llm": [DEEPSEEK_LLM],
    "deepseek-coder": [["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, DIGITS]],
    "deepseek-v3": [DEEPSEEK_V3], "joyai-llm": [DEEPSEEK_V3],
    "qwen2": [[QWEN2], "nfc"], "deepseek-r1-qwen": [[QWEN2], "nfc"], "megrez": [[QWEN2]],
    "llama-bpe": [[LLAMA3], "whole"], "llama3": [[LLAMA3], "whole"], "llama-v3": [[LLAMA3], "whole"],
    "smaug-bpe": [[LLAMA3], "whole"], "glm4": [[LLAMA3]], "chatglm-bpe": [[LLAMA3]],
    "kimi-k2": [[KIMI], "whole"],
    "gpt-2": [[GPT2]], "gigachat": [[GPT2]], "trillion": [[GPT2]], "a.x-4.0": [[GPT2]], "mellum": [[GPT2]],
    "smollm": [[DIGITS, GPT2]], "starcoder": [[DIGITS, GPT2]], "refact": [[DIGITS, GPT2]],
    "seed-coder": [[r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|"
                    r"\s*[\r\n]+|\s+(?!\S)|\s+"]],
    "gpt-4o": [[O200K]], "kanana2": [[O200K]], "tekken": [[TEKKEN], "whole"], "youtu": [YOUTU, "whole"],
    "default": [[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"]],
}

PIECES = [
    "Hello", " world", "HELLO", "McDonald's", "I'LL", "we've", "it's", "'S", "don't", "\u2019s", "x86_64", "3.14159",
    "1234567890", "١٢٣", "½", "Ⅷ", "²", "一二三", "五百", "1,234", "$5", "€", "+=", "->", "!=", "...", "?!", "---", "``",
    "(a)", "[b]", "{c}", "<d>", "#!", "@x", "a/b", "\\n", "~/", "_x_", "|", "^",
    "你好", "世界", "，", "。", "「」", "ひらがな", "カタカナ", "ー", "한국어", "ㄱㄴ", "ㄅㄆ", "、", "～", "…", "“q”", "—",
    "é", "e\u0301", "Größe", "über", "ÿ", "ñandú", "Àà", "ǅ", "ʰ", "ª", "Ж", "привет", "Ωμέγα", "Հայ", "ꭰ", "ﬁ",
    "שלום", "مرحبا", "हिन्दी", "ไทย", "ភាសា", "a\u0308\u0323", "\u200d", "\u200b", "\ufeff", "\u180e", "\u00ad",
    "🚀", "👨‍👩‍👧", "🇩🇪", "😶‍🌫️", "\U00010400", "\U0001e900", "\U00020000", "\U0010ffff",
    " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", " \n", "\n ", "\u00a0", "\u3000", "\u2003", "\u2028", "\u0085",
    "\x00", "\x01", "\x7f", "\x1f", "a", "b", "Z", "0", "9",
]


def texts():
    """Nasty ones by hand, then random neighbours."""
    r = random.Random(19)
    out = ["", " ", "\n", "The quick brown fox jumps over 13 lazy dogs.\n", "  indented\n\tcode = x[0] + 1;\r\n\r\n  end  ",
           "I'm sure they've said 'tis DON'T'LL", "价格是1234567元，约$99.95。", "ab12cd345ef6789", "\n \n\n \n\n\n \t \t\t",
           "a  b   c    d", "trailing   ", "   leading", "日本語とEnglish混在テキスト、123。", "x\u0301\u0302y"]
    out += PIECES
    for n in (2, 3, 5, 9):
        out += ["".join(r.choice(PIECES) for _ in range(n)) for _ in range(120)]
    return out


TEXTS = texts()


def alphabet():
    """The letter of each byte."""
    same = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = iter(range(256, 512))
    return [chr(b) if b in same else chr(next(rest)) for b in range(256)]


LETTERS = alphabet()


def byte_level():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def train():
    """A vocabulary and its merges, of all 256 bytes and of what often stands together in the texts."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = byte_level()
    t.train_from_iterator(TEXTS * 2, trainers.BpeTrainer(vocab_size=3000, show_progress=False, initial_alphabet=LETTERS,
                                                         special_tokens=["<s>", "</s>"]))
    model = json.loads(t.to_str())["model"]
    return model["vocab"], [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]


def without_bytes(vocab, merges, missing):
    """The same without the tokens of some bytes and what is merged from them."""
    gone = {LETTERS[b] for b in missing}
    keep = [s for s in sorted(vocab, key=vocab.get) if vocab[s] < 2 or not set(s) & gone]
    return {s: i for i, s in enumerate(keep)}, [(a, b) for a, b in merges if not (set(a) | set(b)) & gone]


def split(pattern):
    if pattern is DIGITS:
        return pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")


def make(vocab, merges, splits, *kinds, unk=None, added=()):
    t = Tokenizer(models.BPE(vocab, merges, ignore_merges="whole" in kinds, unk_token=unk))
    if "nfc" in kinds:
        t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([split(p) for p in splits] + [byte_level()])
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens(["<s>", "</s>"])
    for text, special in added:
        token = tokenizers.AddedToken(text, normalized=not special, special=special)
        (t.add_special_tokens if special else t.add_tokens)([token])
    return t


def ask(encode, path, size, requests):
    """The ids of texts, by encode_texts.c; or None and why. A request is (bytes, flags)."""
    data = b"".join(b"%d %d\n" % (flags, len(text)) + text for text, flags in requests)
    p = subprocess.run([encode, path, str(size)], input=data, capture_output=True)
    if p.returncode != 0:
        return None, p.stderr.decode()
    return [line.split() for line in p.stdout.decode().split("\n")[:-1]], ""


class Check:
    def __init__(self, encode, make_gguf):
        self.encode, self.make_gguf, self.failed, self.count = encode, make_gguf, 0, 0

    def fail(self, message):
        self.failed += 1
        if self.failed <= 20:
            print(message)

    def forms(self, t, pre, folder):
        """The tokenizer as tokenizer.json and as GGUF."""
        (folder / "tokenizer.json").write_text(t.to_str(), encoding="utf-8")
        (folder / "tokenizer_config.json").write_text('{"bos_token": "<s>", "eos_token": "</s>"}')
        file = folder / "gguf" / "m.gguf"
        file.parent.mkdir()
        subprocess.run([sys.executable, self.make_gguf, folder, file, "--vocab-only", "--pre", pre], check=True,
                       stdout=subprocess.DEVNULL)
        return {"folder": folder, "gguf": file}

    def compare(self, name, t, pre, requests, skip=()):
        """requests: (text, flags, ids); ids None: what the tokenizers library says."""
        want = [t.encode(text.decode("utf-8"), add_special_tokens=False).ids if ids is None else ids
                for text, _, ids in requests]
        with tempfile.TemporaryDirectory() as d:
            for form, path in self.forms(t, pre, pathlib.Path(d)).items():
                if form in skip:
                    continue
                got, why = ask(self.encode, path, t.get_vocab_size() + 64, [r[:2] for r in requests])
                if got is None:
                    self.fail(f"{name} as {form}: {why}")
                    continue
                for (text, flags, _), w, g in zip(requests, want, got, strict=True):
                    self.count += 1
                    if [str(i) for i in w] != g:
                        self.fail(f"{name} as {form}, flags {flags}: {text!r}: {g}, not {w}")


def utf8(texts_, flags=0):
    return [(t.encode("utf-8"), flags, None) for t in texts_]


def patterns(check, vocab, merges):
    for pre, (splits, *kinds) in PRE.items():
        t = make(vocab, merges, splits, *kinds)
        # Kimi's pattern as it stands is a class in a class, which tokenizer.json does not have from us
        check.compare(pre, t, pre, utf8(TEXTS), skip=["folder"] if pre == "kimi-k2" else ())


def v2_family(check, vocab, merges):
    """DeepSeek-V2, -LLM and -Coder: 243 bytes have a token. The letters that would stand for the others are added
    tokens, which are words: found in every text. Bytes that are no UTF-8 are words of their own."""
    vocab, merges = without_bytes(vocab, merges, UNUSED_BYTES)
    assert sum(letter in vocab for letter in LETTERS) == 243
    added = [(LETTERS[b], False) for b in UNUSED_BYTES] + [("Gr\u00f6\u00dfe", False), ("<\uff5cUser\uff5c>", False),
                                                           ("<|EOT|>", True)]
    t = make(vocab, merges, DEEPSEEK_LLM, added=added)

    def plain(text):
        return t.encode(text, add_special_tokens=False).ids

    requests = utf8(TEXTS) + utf8(TEXTS, SPECIAL) + utf8(["\u00fcben", "die Gr\u00f6\u00dfe", "\u00ff\u00fc\u00fc x"])
    markup = "a<\uff5cUser\uff5c>b<|EOT|>"
    requests += utf8([markup], SPECIAL)
    pieces = [plain(s) for s in ("<", "\uff5c")]
    assert all(len(p) > 0 for p in pieces) and plain(markup) != plain("a") + plain("b")
    requests.append((b"ab\xc0\xff12 \xf5", 0, plain("ab") + plain("12 ")))
    requests.append((b"\xff" * 100 + b"x", 0, plain("x")))
    requests.append((b"\xfe\x80", 0, [vocab[LETTERS[0x80]]]))
    check.compare("v2 family", t, "deepseek-llm", requests)


def rare_bytes(check, vocab, merges):
    """SmolLM2: a vocabulary made from text lacks bytes that text may have. They are dropped before anything merges."""
    vocab, merges = without_bytes(vocab, merges, UNUSED_BYTES + [0xF1, 0xF2, 4, 6, 19])
    t = make(vocab, merges, [DIGITS, GPT2])
    check.compare("rare bytes", t, "smollm",
                  utf8(TEXTS + ["!\x04!\x04\x06!", "\x13", "\x04" * 60, "a\U00040000b", "...\x06" * 30]))


def unknown(check, vocab, merges):
    """model.unk_token takes the place of a byte without a token; GGUF has no such key."""
    vocab, merges = without_bytes(vocab, merges, [4, 0xF1])
    t = make(vocab, merges, [GPT2], unk="</s>")
    check.compare("unknown", t, "gpt-2", utf8(TEXTS + ["a\x04\x04b\x04", "!\x04!", "\U00040000"]), skip=["gguf"])


def words(check, vocab, merges):
    """Added tokens that are no markup are found in every text, the longest of those that begin first; markup is not."""
    plain = ["Gr\u00f6\u00dfe", "    ", "->", "[]", "ab", "abc", "\u3042\u3044", "C++"]
    t = make(vocab, merges, [QWEN2], added=[(s, False) for s in plain] + [("[INST]", False), ("<think>", False)])
    texts_ = TEXTS + ["die Gr\u00f6\u00dfe", "x->y[]", "abcab", "C++ C+ +", "a     b", "\u3042\u3044\u3046"]
    check.compare("words", t, "megrez", utf8(texts_) + utf8(texts_, SPECIAL) +
                  utf8(["[INST]ab<think>", "x [INST] y"], SPECIAL))
    bare = make(vocab, merges, [QWEN2])
    for text in ("[INST]", "x <think> [INST]"):
        check.compare("markup", t, "megrez", [(text.encode(), 0, bare.encode(text, add_special_tokens=False).ids)])


def removed(check, vocab, merges):
    """Splits whose behavior is Removed, inverted: text between the matches is dropped. GGUF has no such thing."""
    for pattern in (LLAMA3, r"[a-z]+|\p{N}{1,3}| \p{Lu}+", r"\p{L}*"):
        t = make(vocab, merges, [])
        drop = pre_tokenizers.Split(tokenizers.Regex(pattern), "removed", invert=True)
        t.pre_tokenizer = pre_tokenizers.Sequence([drop, split(r"[aeiou]"), byte_level()])
        check.compare("removed", t, "gpt-2", utf8(TEXTS), skip=["gguf"])


def main():
    check = Check(*sys.argv[1:3])
    vocab, merges = train()
    for kind in (patterns, v2_family, rare_bytes, unknown, words, removed):
        kind(check, vocab, merges)
    print(f"{check.count} texts, {check.failed} failures")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Constraints beside llguidance: the same grammars, regular expressions and schemas, the same texts, the
same vocabulary, one thread, in turns.

    python bench/constraints.py --tokenizer FOLDER --vocab N [--schemas FOLDER] [--limit N] BUILD/bench/constraints

FOLDER of --schemas has folders of files in the form of JSON-Schema-Test-Suite (draft 7 below a folder draft7),
each of which is a kind. llguidance comes from PyPI (pip install llguidance tokenizers). Prints for each kind and engine: sources that compile, texts right of all, compiling and
the first mask, and masks, in microseconds. The machine has to be quiet; ratios of one run are what counts."""
import argparse
import json
import pathlib
import subprocess
import time

GRAMMARS = {
    "json": (r'''root ::= value
value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" (pair (", " pair)*)? "}"
pair ::= string ": " value
array ::= "[" (value (", " value)*)? "]"
string ::= "\"" ([^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4}))* "\""
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?
''', r'''start: value
value: object | array | STRING | NUMBER | "true" | "false" | "null"
object: "{" (pair (", " pair)*)? "}"
pair: STRING ": " value
array: "[" (value (", " value)*)? "]"
STRING: /"([^"\\\x00-\x1f]|\\(["\\\/bfnrt]|u[0-9a-fA-F]{4}))*"/
NUMBER: /-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/
''', [json.dumps({"name": "Ångström", "tags": ["a", {"x": [1, 2.5e-3, None, True]}], "text": "Words, and 中文. " * 9}, ensure_ascii=False)]),
    "sums": ('root ::= term ([-+] term)*\nterm ::= factor ([*/] factor)*\n'
             'factor ::= "-"? ([0-9]+ | [a-z]+ | "(" root ")")',
             'start: term (/[-+]/ term)*\nterm: factor (/[*\\/]/ factor)*\nfactor: "-"? (/[0-9]+/ | /[a-z]+/ | "(" start ")")',
             ["1+2*(foo-4)/bar", "-(4-5)/6*(a+b+c)"]),
}
REGEXES = {
    r"[a-z]+( [a-z]+)*\.": ["this is some text about nothing."],
    r'\{"name": "[^"\\\x00-\x1f]{1,40}", "age": [0-9]{1,3}\}': ['{"name": "John Smith", "age": 42}'],
    r"((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)": ["192.168.0.1"],
}


def sources(schemas, limit):
    for ours, theirs, texts in GRAMMARS.values():
        yield "grammar", "gbnf", 0, ours, theirs, [(t, True) for t in texts]
    for r, texts in REGEXES.items():
        yield "regex", "regex", 0, r, r, [(t, True) for t in texts]
    groups = []
    for path in sorted(pathlib.Path(schemas).rglob("*.json")) if schemas else []:
        folder, draft = path.relative_to(schemas).parts[0], 7 if "draft7" in path.parts else 0
        groups += [(folder, draft, g["schema"], g["tests"]) for g in json.loads(path.read_text())]
    for folder, draft, schema, tests in groups[:limit]:
        text = json.dumps(schema, ensure_ascii=False)
        yield folder, "schema", draft, text, text, [(json.dumps(t["data"], ensure_ascii=False), t["valid"]) for t in tests]


class Ours:
    def __init__(self, program, folder, vocab):
        self.p = subprocess.Popen([program, folder, str(vocab)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, kind, draft, source, texts):
        self.p.stdin.write(json.dumps({"kind": kind, "draft": draft, "source": source, "texts": texts}) + "\n")
        self.p.stdin.flush()
        return json.loads(self.p.stdout.readline())


class Theirs:
    def __init__(self, folder, vocab):
        import llguidance
        import tokenizers
        self.l = llguidance
        self.tok = tokenizers.Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
        self.t = llguidance.LLTokenizer(str(pathlib.Path(folder) / "tokenizer.json"), n_vocab=vocab)

    def run(self, kind, _draft, source, texts):
        m = self.l.LLMatcher
        try:
            start = time.perf_counter()
            if kind == "schema":
                g = m.grammar_from_json_schema(source, defaults={"item_separator": ", ", "key_separator": ": ", "whitespace_flexible": False})
            else:
                g = m.grammar_from_regex(source) if kind == "regex" else m.grammar_from_lark(source)
            matcher = m(self.t, g)
            if matcher.is_error():
                return {"error": matcher.get_error()}
            compiled = time.perf_counter()
            matcher.compute_bitmask()
            first = time.perf_counter()
        except Exception as e:  # noqa: BLE001
            return {"error": str(e)}
        masks, accepted = [], []
        for text in texts:
            matcher.reset()
            ok = True
            for t in self.tok.encode(text, add_special_tokens=False).ids + [None]:
                start_mask = time.perf_counter()
                matcher.compute_bitmask()
                masks.append((time.perf_counter() - start_mask) * 1e6)
                if t is None or matcher.is_error():
                    break
                ok = matcher.consume_token(t)
                if not ok:
                    break
            accepted.append(bool(ok and not matcher.is_error() and matcher.is_accepting()))
        return {"compile_us": (compiled - start) * 1e6, "first_us": (first - start) * 1e6, "mask_us": masks, "accepted": accepted}


def at(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("program")
    a.add_argument("--tokenizer", required=True)
    a.add_argument("--vocab", type=int, required=True)
    a.add_argument("--schemas")
    a.add_argument("--limit", type=int, default=100000)
    a.add_argument("--alone", action="store_true", help="without llguidance")
    args = a.parse_args()
    engines = {"remora": Ours(args.program, args.tokenizer, args.vocab)}
    if not args.alone:
        engines["llguidance"] = Theirs(args.tokenizer, args.vocab)
    sums = {}
    for group, kind, draft, ours, theirs, texts in sources(args.schemas, args.limit):
        for name, engine in engines.items():
            r = engine.run(kind, draft, ours if name == "remora" else theirs, [t for t, _ in texts])
            s = sums.setdefault((group, name), {"n": 0, "compiled": 0, "right": 0, "taken": 0, "first": [], "mask": []})
            s["n"] += 1
            if "error" in r:
                continue
            s["compiled"] += 1
            s["right"] += all(x == v for x, (_, v) in zip(r["accepted"], texts))
            s["taken"] += any(x and not v for x, (_, v) in zip(r["accepted"], texts))
            s["first"].append(r["first_us"])
            s["mask"] += r["mask_us"]
    print(f"{'':22}{'n':>5}{'compile':>9}{'right':>7}{'invalid':>9}   first p50 / p95     mask p50 / p99 / max")
    for (group, name), s in sums.items():
        print(f"{group:10}{name:12}{s['n']:5}{s['compiled']:9}{s['right']:7}{s['taken']:9}{at(s['first'], .5):10.0f} /{at(s['first'], .95):7.0f}"
              f"{at(s['mask'], .5):12.1f} /{at(s['mask'], .99):8.0f} /{at(s['mask'], 1):8.0f}")


if __name__ == "__main__":
    main()

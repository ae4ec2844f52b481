# SPDX-License-Identifier: Apache-2.0
"""The cases that all languages run (bindings/cases.json), through this binding.

    run_cases.py SOURCE_ROOT
"""
import json
import pathlib
import sys
from typing import Any, Dict, List, Optional

import remora
from remora._abi import D

Json = Dict[str, Any]


def word(name: str, prefix: str) -> str:
    """The binding's word for a name of the header."""
    assert name.startswith(prefix), name
    return name[len(prefix):].lower()


def has(case: Json, flag: str) -> bool:
    """Whether a case sets a flag, which must be one of the header's."""
    assert flag in D.values
    return flag in case.get("flags", [])


class Cases:
    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.model = remora.Model(root / "models" / "krill.remora")

    def run(self, case: Json) -> Json:
        want: Json = {}
        try:
            getattr(self, "do_" + case["do"])(case["in"], want)
        except remora.RemoraError as e:
            if "reason" not in want:
                want.update(status=e.status, message=str(e))
        if case["do"] == "open":
            want.pop("message", None)
        return want

    def do_open(self, case: Json, want: Json) -> None:
        with remora.Model(self.root / case["path"], weights=not has(case, "REMORA_MODEL_NO_WEIGHTS")) as model:
            want["status"] = "OK"
            for key in ("n_layers", "n_vocab", "n_hidden", "max_context", "has_tokenizer", "family"):
                want[key] = model.info[key]

    def do_tokenize(self, case: Json, want: Json) -> None:
        tokens = self.model.tokenize(case["text"], bos=has(case, "REMORA_TEXT_BOS"), special=has(case, "REMORA_TEXT_SPECIAL"))
        want.update(status="OK", tokens=tokens, text=self.model.detokenize(tokens))

    def session(self, case: Json, tokens: List[int]) -> remora.Session:
        session = remora.Session(self.model, capacity=case.get("capacity", 0))
        session.append(tokens)
        return session

    def prompted(self, case: Json) -> remora.Session:
        flags = case.get("prompt_flags", ["REMORA_TEXT_BOS"])
        return self.session(case, self.model.tokenize(case["prompt"], bos=has({"flags": flags}, "REMORA_TEXT_BOS")))

    def sampler(self, case: Json, seed: Optional[int] = None) -> remora.Sampler:
        sampler = remora.Sampler(self.model, case.get("seed", 0) if seed is None else seed)
        for stage in case.get("stages", []):
            sampler.stage(word(stage["kind"], "REMORA_STAGE_"), stage.get("value", 0), stage.get("count", 0))
        if "constraint" in case:
            c = case["constraint"]
            kind = word(c["kind"], "REMORA_CONSTRAINT_")
            sampler.constrain(remora.Constraint(self.model, kind, c.get("source", ""), c.get("choices", ()),
                                                lax=has(c, "REMORA_SCHEMA_LAX")))
        return sampler

    def put_result(self, generation: remora.Generation, want: Json, text: Optional[str]) -> None:
        info = generation.info()
        want.update(status=generation.status, tokens=generation.tokens, reason="REMORA_REASON_" + info["reason"].upper())
        if generation.stop_index is not None:
            want["stop"] = generation.stop_index
        if generation.message:
            want["message"] = generation.message
        if text is not None:
            want["text"] = text

    def generate_all(self, session: remora.Session, sampler: remora.Sampler, case: Json, want: Json, **more: Any) -> None:
        options: Json = {"stop": case.get("stop", ()), "keep_stop": has(case, "REMORA_GEN_KEEP_STOP"), **more}
        generation = session.generate(sampler, max_tokens=case.get("max_tokens", 0), **options)
        text = ""
        try:
            for piece in generation:
                text += piece
        finally:
            self.put_result(generation, want, text)

    def do_append(self, case: Json, want: Json) -> None:
        self.session(case, case["tokens"])
        want["status"] = "OK"

    def do_rows(self, case: Json, want: Json) -> None:
        session = self.prompted(case)
        session.eval()
        top = session.top(case["n_best"])
        assert [float(session.logits()[p.token]) for p in top] == [p.logit for p in top]
        want.update(status="OK", tokens=[p.token for p in top], logits=[p.logit for p in top])

    def do_generate(self, case: Json, want: Json) -> None:
        self.generate_all(self.prompted(case), self.sampler(case), case, want)

    def do_cancel(self, case: Json, want: Json) -> None:
        session, sampler, cancel = self.prompted(case), self.sampler(case), remora.Cancel()
        cancel.set()
        generation = session.generate(sampler, max_tokens=case["max_tokens"], cancel=cancel)
        try:
            next(generation)
        except remora.Cancelled as e:
            want["cancelled"] = e.status
        cancel.clear()
        generation.message = ""
        text = generation.text()
        self.put_result(generation, want, text)

    def do_fork(self, case: Json, want: Json) -> None:
        parent = self.prompted(case)
        forks = [parent.fork() for _ in case["seeds"]]
        want.update(status="OK", forks=[{} for _ in forks])
        for fork, seed, one in zip(forks, case["seeds"], want["forks"]):
            self.generate_all(fork, self.sampler(case, seed), case, one)

    def do_fim(self, case: Json, want: Json) -> None:
        prompt = self.model.fim(case["prefix"], case["suffix"], heal=has(case, "REMORA_FIM_HEAL"), max_tokens=case.get("max_prompt", 0))
        want.update(prompt=prompt.tokens, heal=prompt.heal.decode())
        sampler = self.sampler(case).spell(prompt.heal)
        self.generate_all(self.session(case, prompt.tokens), sampler, case, want, stop=prompt.stop, keep_stop=False)

    def do_chat(self, case: Json, want: Json) -> None:
        chat = remora.Chat(self.model, case.get("format"))
        chat.add_request(case["request"])
        want["prompt"] = chat.prompt().tokens
        session = self.session(case, want["prompt"])
        answer = chat.answer(session, self.sampler(case), max_tokens=case["max_tokens"], add=False)
        answer.text()
        self.put_result(answer.generation, want, None)
        calls = [{"name": c["name"], "arguments": c["arguments"]} for c in answer.calls]
        want["parts"] = {"reasoning": answer.reasoning, "content": answer.content, "calls": calls,
                         "finish": "REMORA_FINISH_" + str(answer.finish).upper()}

    def do_parse(self, case: Json, want: Json) -> None:
        parse = remora.ChatParse(self.model, format=case["format"], calls=has(case, "REMORA_CHAT_PARSE_CALLS"))
        parts: Json = {"reasoning": "", "content": "", "calls": [], "finish": ""}
        for event in [*parse.push_text(case["text"]), *parse.end()]:
            if event.kind in ("reasoning", "content"):
                parts[event.kind] += event.text
            elif event.kind == "call":
                parts["calls"].append({"name": event.text, "arguments": ""})
            elif event.kind == "arguments":
                parts["calls"][event.call]["arguments"] += event.text
            elif event.kind == "end":
                parts["finish"] = "REMORA_FINISH_" + str(event.finish).upper()
        want.update(status="END", parts=parts)


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    cases = json.loads((root / "bindings" / "cases.json").read_text(encoding="utf-8"))
    runner = Cases(root)
    bad = 0
    for case in cases:
        got = runner.run(case)
        if got != case["want"]:
            bad += 1
            print(f"{case['name']}: gives {json.dumps(got, ensure_ascii=False)}\n  wanted {json.dumps(case['want'], ensure_ascii=False)}")
    print(f"{len(cases)} cases, {bad} differ")
    return bool(bad) or not cases


if __name__ == "__main__":
    sys.exit(main())

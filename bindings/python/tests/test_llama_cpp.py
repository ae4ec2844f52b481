# SPDX-License-Identifier: Apache-2.0
"""The calls of llama_cpp.Llama.

    test_llama_cpp.py SOURCE_ROOT [unittest arguments]
"""
import json
import pathlib
import sys
import unittest
from typing import Any, Dict

import remora
from remora.llama_cpp import Llama, LlamaGrammar

ROOT = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else pathlib.Path(".")
LLM = Llama(str(ROOT / "models" / "krill.remora"), n_ctx=512, chat_format="deepseek-v3", verbose=False, n_gpu_layers=-1)
BEGIN = ", there was a little girl named Lily. She loved to play with"


class Completions(unittest.TestCase):
    def test_shape(self) -> None:
        got = LLM("Once upon a time", max_tokens=14, temperature=0)
        self.assertEqual(got["choices"], [{"text": BEGIN, "index": 0, "logprobs": None, "finish_reason": "length"}])
        self.assertEqual(got["usage"], {"prompt_tokens": 5, "completion_tokens": 14, "total_tokens": 19})
        self.assertEqual((got["object"], got["model"], got["id"][:5]), ("text_completion", LLM.model_path, "cmpl-"))

    def test_stream_is_the_same_text(self) -> None:
        chunks = list(LLM.create_completion("Once upon a time", max_tokens=14, temperature=0, stream=True))
        self.assertEqual("".join(c["choices"][0]["text"] for c in chunks), BEGIN)
        self.assertEqual([c["choices"][0]["finish_reason"] for c in chunks[-2:]], [None, "length"])

    def test_stop_echo_and_logprobs(self) -> None:
        got = LLM("Once upon a time", max_tokens=50, temperature=0, stop=["little"], echo=True, logprobs=2)["choices"][0]
        self.assertEqual((got["text"], got["finish_reason"]), ("Once upon a time, there was a ", "stop"))
        self.assertEqual(got["logprobs"]["tokens"][:2], [",", " there"])
        self.assertEqual(got["logprobs"]["text_offset"][:2], [16, 17])
        self.assertEqual(len(got["logprobs"]["top_logprobs"][0]), 2)

    def test_a_stream_has_the_same_logprobs(self) -> None:
        asked: Dict[str, Any] = {"max_tokens": 50, "temperature": 0, "stop": ["little"], "echo": True, "logprobs": 2}
        whole = LLM("Once upon a time", **asked)["choices"][0]["logprobs"]
        parts = [c["choices"][0]["logprobs"] for c in LLM("Once upon a time", stream=True, **asked)]
        self.assertGreater(len([p for p in parts if p]), 3)
        for key, value in whole.items():
            self.assertEqual([x for p in parts if p for x in p[key]], value)

    def test_the_window_of_penalties(self) -> None:
        def told(window: int) -> str:
            llm = Llama(LLM.model_path, n_ctx=128, last_n_tokens_size=window)
            return str(llm("red red red", max_tokens=40, temperature=0, repeat_penalty=2.0)["choices"][0]["text"])
        short, long = told(2), told(64)
        self.assertNotEqual(short, long)
        self.assertEqual(told(-1), long)  # 40 tokens are in both
        self.assertEqual(told(0), LLM("red red red", max_tokens=40, temperature=0)["choices"][0]["text"])
        with self.assertRaisesRegex(ValueError, "last_n_tokens_size is -2"):
            told(-2)

    def test_seeds(self) -> None:
        one, two = (LLM("The sea", max_tokens=20, seed=s)["choices"][0]["text"] for s in (1, 2))
        self.assertEqual(LLM("The sea", max_tokens=20, seed=1)["choices"][0]["text"], one)
        self.assertNotEqual(one, two)

    def test_grammar_and_suffix(self) -> None:
        grammar = LlamaGrammar.from_string('root ::= "yes" | "no"')
        self.assertIn(LLM("Wet?", max_tokens=9, grammar=grammar)["choices"][0]["text"], ("yes", "no"))
        self.assertTrue(LLM("int f(void)\n{\n    return ", suffix=";\n}\n", max_tokens=4)["choices"][0]["text"])

    def test_tokens(self) -> None:
        self.assertEqual(LLM.tokenize(b"The sea"), [0, 488, 2359])
        self.assertEqual(LLM.detokenize([0, 488, 2359]), b"The sea")
        self.assertEqual((LLM.n_ctx(), LLM.n_vocab(), LLM.token_bos(), LLM.token_eos()), (512, 8192, 0, 1))

    def test_what_is_not_there_is_refused(self) -> None:
        with self.assertRaisesRegex(remora.Unsupported, "lora_path"):
            Llama(LLM.model_path, lora_path="x")


class Chats(unittest.TestCase):
    ASK = [{"role": "user", "content": "Where do you live?"}]

    def test_shape_and_stream(self) -> None:
        got = LLM.create_chat_completion(self.ASK, max_tokens=10, temperature=0)
        choice = got["choices"][0]
        self.assertEqual((got["object"], choice["finish_reason"]), ("chat.completion", "length"))
        self.assertEqual(choice["message"]["role"], "assistant")
        chunks = list(LLM.create_chat_completion(self.ASK, max_tokens=10, temperature=0, stream=True))
        deltas = [c["choices"][0]["delta"] for c in chunks]
        self.assertEqual((deltas[0], deltas[-1]), ({"role": "assistant"}, {}))
        self.assertEqual("".join(d.get("content", "") for d in deltas), choice["message"]["content"])
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], "length")

    def test_json(self) -> None:
        schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9, "minimum": 0}}, "required": ["n"],
                  "additionalProperties": False}
        for form in ({"type": "json_object", "schema": schema}, {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}):
            got = LLM.create_chat_completion(self.ASK, response_format=form, max_tokens=60)
            self.assertIn(json.loads(got["choices"][0]["message"]["content"])["n"], range(10))

    def test_tools(self) -> None:
        tool = {"type": "function", "function": {"name": "look", "description": "Look around", "parameters": {"type": "object"}}}
        with_tool = LLM.create_chat_completion(self.ASK, tools=[tool], max_tokens=2)["usage"]["prompt_tokens"]
        without = LLM.create_chat_completion(self.ASK, max_tokens=2)["usage"]["prompt_tokens"]
        self.assertGreater(with_tool, without)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The calls of llama_cpp.Llama over this library: change the import, and a program that has them goes on.

    from remora.llama_cpp import Llama

Answers are dicts in OpenAI's form, streams are iterators of such dicts. Options of llama_cpp that say how it computes
(n_batch, n_gpu_layers, offload_kqv ..) are taken and change nothing; those that would change an answer and are not there are
refused. Texts of chats are text: markup in them is none.
"""
import json
import random
import time
import uuid
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from .chat import Answer, Chat
from .errors import Unsupported
from .model import Model, Runtime
from .sampler import Constraint, Sampler
from .session import Generation, Session

Json = Dict[str, Any]
RANDOM_SEED = 0xFFFFFFFF
HOW_IT_COMPUTES = {
    "n_gpu_layers", "split_mode", "main_gpu", "tensor_split", "use_mmap", "use_mlock", "n_batch", "n_ubatch", "n_threads_batch",
    "flash_attn", "offload_kqv", "op_offload", "numa", "logits_all", "embedding", "swa_full", "type_k", "type_v", "verbose",
    "vocab_only", "no_perf", "spm_infill",
}


class LlamaGrammar:
    """A grammar or a schema, for `grammar=`."""

    def __init__(self, kind: str, source: str) -> None:
        self.kind = kind
        self.source = source

    @classmethod
    def from_string(cls, grammar: str, verbose: bool = False) -> "LlamaGrammar":
        return cls("gbnf", grammar)

    @classmethod
    def from_json_schema(cls, json_schema: str, verbose: bool = False) -> "LlamaGrammar":
        return cls("json_schema", json_schema)


class Llama:
    """A model and one session of it, with the calls of llama_cpp.Llama."""

    def __init__(self, model_path: str, *, n_ctx: int = 0, n_threads: Optional[int] = None, seed: int = RANDOM_SEED,
                 chat_format: Optional[str] = None, last_n_tokens_size: int = 64, **more: Any) -> None:
        """last_n_tokens_size: of how many tokens penalties know; 0: none, -1: as many as the context has."""
        unknown = {name for name, value in more.items() if value is not None} - HOW_IT_COMPUTES
        if unknown:
            raise Unsupported(f"options that are not there: {', '.join(sorted(unknown))}")
        if last_n_tokens_size < -1:
            raise ValueError(f"last_n_tokens_size is {last_n_tokens_size}; -1 and more are supported")
        self.model_path = model_path
        self.model = Model(model_path, runtime=Runtime(threads=n_threads or 0))
        self.session = Session(self.model, capacity=min(n_ctx, self.model.max_context))
        self.chat_format = chat_format
        self._window = self.n_ctx() if last_n_tokens_size < 0 else last_n_tokens_size
        self._seed = seed

    # ---- the model

    def n_ctx(self) -> int:
        return int(self.session.info()["capacity"])

    def n_vocab(self) -> int:
        return self.model.n_vocab

    def n_embd(self) -> int:
        return self.model.n_hidden

    def token_bos(self) -> int:
        return _token(self.model.special("bos"))

    def token_eos(self) -> int:
        return _token(self.model.special("eos"))

    @property
    def n_tokens(self) -> int:
        return len(self.session)

    def tokenize(self, text: bytes, add_bos: bool = True, special: bool = False) -> List[int]:
        return self.model.tokenize(text, bos=add_bos, special=special)

    def detokenize(self, tokens: Sequence[int], prev_tokens: Optional[Sequence[int]] = None, special: bool = False) -> bytes:
        """The bytes of tokens; special: with the names of control tokens."""
        control = set() if special else {t for t in tokens if self.model.is_control(t)}
        return b"".join(self.model.token_bytes(t) for t in tokens if t not in control)

    def set_seed(self, seed: int) -> None:
        self._seed = seed

    def reset(self) -> None:
        self.session.trim(0)

    def eval(self, tokens: Sequence[int]) -> None:
        """Append tokens and evaluate them."""
        self.session.append(tokens)
        self.session.eval()

    def close(self) -> None:
        self.session.close()
        self.model.close()

    # ---- what a request says

    def _sampler(self, seed: Optional[int], temperature: float, top_k: int, top_p: float, min_p: float, repeat_penalty: float,
                 frequency_penalty: float, presence_penalty: float, logit_bias: Optional[Mapping[Any, float]],
                 grammar: Optional[LlamaGrammar]) -> Sampler:
        wanted = self._seed if seed is None else seed
        sampler = Sampler(self.model, random.getrandbits(64) if wanted == RANDOM_SEED else wanted)
        for token, bias in (logit_bias or {}).items():
            sampler.bias(int(token), bias)
        if repeat_penalty != 1.0 and self._window > 0:
            sampler.repeat(repeat_penalty, self._window)
        if frequency_penalty != 0.0 and self._window > 0:
            sampler.frequency(frequency_penalty, self._window)
        if presence_penalty != 0.0 and self._window > 0:
            sampler.presence(presence_penalty, self._window)
        if temperature > 0:
            if top_k > 0:
                sampler.top_k(top_k)
            if 0 < top_p < 1:
                sampler.top_p(top_p)
            if min_p > 0:
                sampler.min_p(min_p)
        sampler.temperature(max(temperature, 0.0))
        if grammar is not None:
            sampler.constrain(Constraint(self.model, grammar.kind, grammar.source))
        return sampler

    def _named(self, model: Optional[str]) -> str:
        return model or self.model_path

    # ---- completions

    def create_completion(self, prompt: Union[str, Sequence[int]], suffix: Optional[str] = None, max_tokens: Optional[int] = 16,
                          temperature: float = 0.8, top_p: float = 0.95, min_p: float = 0.05, logprobs: Optional[int] = None,
                          echo: bool = False, stop: Union[None, str, Sequence[str]] = None, frequency_penalty: float = 0.0,
                          presence_penalty: float = 0.0, repeat_penalty: float = 1.0, top_k: int = 40, stream: bool = False,
                          seed: Optional[int] = None, model: Optional[str] = None, grammar: Optional[LlamaGrammar] = None,
                          logit_bias: Optional[Mapping[Any, float]] = None) -> Any:
        """A completion as a dict, or with stream an iterator of such. Markup in the prompt is markup, as in llama_cpp."""
        stops = _texts(stop)
        if isinstance(prompt, str) and suffix is not None:
            hole = self.model.fim(prompt, suffix)
            tokens, stops = hole.tokens, stops + hole.stop
        else:
            tokens = self.model.tokenize(prompt, bos=True, special=True) if isinstance(prompt, str) else list(prompt)
        self.session.sync(tokens)
        sampler = self._sampler(seed, temperature, top_k, top_p, min_p, repeat_penalty, frequency_penalty, presence_penalty,
                                logit_bias, grammar)
        generation = self.session.generate(sampler, max_tokens=max(max_tokens or 0, 0), stop=stops, n_best=logprobs)
        head = _head("cmpl", "text_completion", self._named(model))
        shown = (prompt if isinstance(prompt, str) else self.model.detokenize(prompt)) if echo else ""
        if stream:
            return self._stream_completion(head, shown, generation)
        text = shown + generation.text()
        choice = {"text": text, "index": 0, "logprobs": self._logprobs(generation, len(shown)), "finish_reason": _finish(generation)}
        return {**head, "choices": [choice], "usage": _usage(len(tokens), generation)}

    __call__ = create_completion

    def _stream_completion(self, head: Json, shown: str, generation: Generation) -> Iterator[Json]:
        told, offset = 0, len(shown)

        def chunk(text: str, finish: Optional[str]) -> Json:
            nonlocal told, offset
            logprobs = self._logprobs(generation, offset, told)
            told = len(generation.probs)
            offset += sum(map(len, logprobs["tokens"])) if logprobs else 0
            return {**head, "choices": [{"text": text, "index": 0, "logprobs": logprobs, "finish_reason": finish}]}
        if shown:
            yield chunk(shown, None)
        for piece in generation:
            yield chunk(piece, None)
        yield chunk("", _finish(generation))

    def _logprobs(self, generation: Generation, offset: int, first: int = 0) -> Optional[Json]:
        """Of the tokens from the first on; the text of that one begins at the offset."""
        probs = generation.probs[first:]
        if not probs:
            return None
        names = [self.model.token_bytes(t).decode("utf-8", "replace") for t in generation.tokens[first:]]
        offsets = []
        for name in names:
            offsets.append(offset)
            offset += len(name)
        best = [{self.model.token_bytes(p.token).decode("utf-8", "replace"): p.logprob for p in [of, *rest]}
                for of, rest in probs]
        return {"tokens": names, "text_offset": offsets, "token_logprobs": [of.logprob for of, _ in probs],
                "top_logprobs": best}

    # ---- chats

    def create_chat_completion(self, messages: Sequence[Mapping[str, Any]], tools: Optional[Sequence[Mapping[str, Any]]] = None,
                               tool_choice: Any = None, temperature: float = 0.2, top_p: float = 0.95, top_k: int = 40,
                               min_p: float = 0.05, stream: bool = False, stop: Union[None, str, Sequence[str]] = None,
                               seed: Optional[int] = None, response_format: Optional[Mapping[str, Any]] = None,
                               max_tokens: Optional[int] = None, presence_penalty: float = 0.0, frequency_penalty: float = 0.0,
                               repeat_penalty: float = 1.0, model: Optional[str] = None, grammar: Optional[LlamaGrammar] = None,
                               logit_bias: Optional[Mapping[Any, float]] = None) -> Any:
        """An answer as a dict in OpenAI's form, or with stream an iterator of chunks."""
        request: Json = {"messages": list(messages)}
        if tools is not None:
            request["tools"] = list(tools)
        if tool_choice is not None:
            request["tool_choice"] = tool_choice
        chat = Chat(self.model, self.chat_format)
        chat.add_request(request)
        sampler = self._sampler(seed, temperature, top_k, top_p, min_p, repeat_penalty, frequency_penalty, presence_penalty,
                                logit_bias, grammar or _grammar_of(response_format))
        answer = chat.answer(self.session, sampler, max_tokens=max(max_tokens or 0, 0), stop=_texts(stop), add=False,
                             bounded=grammar is None and (tool_choice == "required" or isinstance(tool_choice, Mapping)))
        if stream:
            return _stream_chat(_head("chatcmpl", "chat.completion.chunk", self._named(model)), answer)
        answer.text()
        choice = {"index": 0, "message": answer.message, "logprobs": None, "finish_reason": _finish_chat(answer)}
        head = _head("chatcmpl", "chat.completion", self._named(model))
        return {**head, "choices": [choice], "usage": _usage(len(answer.prompt.tokens), answer.generation)}


def _token(token: Optional[int]) -> int:
    return -1 if token is None else token


def _texts(stop: Union[None, str, Sequence[str]]) -> List[str]:
    return [] if stop is None else [stop] if isinstance(stop, str) else list(stop)


def _head(prefix: str, kind: str, model: str) -> Json:
    return {"id": f"{prefix}-{uuid.uuid4()}", "object": kind, "created": int(time.time()), "model": model}


def _finish(generation: Generation) -> str:
    return "length" if generation.reason in ("max_tokens", "capacity") else "stop"


def _finish_chat(answer: Answer) -> str:
    return "tool_calls" if answer.finish == "calls" else _finish(answer.generation)


def _usage(n_prompt: int, generation: Generation) -> Json:
    n = len(generation.tokens)
    return {"prompt_tokens": n_prompt, "completion_tokens": n, "total_tokens": n_prompt + n}


def _grammar_of(response_format: Optional[Mapping[str, Any]]) -> Optional[LlamaGrammar]:
    """The constraint of a response_format: {"type": "json_object", "schema"?} or {"type": "json_schema", ..}."""
    if response_format is None or response_format.get("type") == "text":
        return None
    schema = response_format.get("schema") or response_format.get("json_schema", {}).get("schema") or {"type": "object"}
    return LlamaGrammar("json_schema", json.dumps(schema, ensure_ascii=False))


def _stream_chat(head: Json, answer: Answer) -> Iterator[Json]:
    def chunk(delta: Json, finish: Optional[str] = None) -> Json:
        return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    def of_call(i: int, **what: Any) -> Json:
        return chunk({"tool_calls": [{"index": i, **what}]})
    yield chunk({"role": "assistant"})
    for event in answer:
        if event.kind == "content":
            yield chunk({"content": event.text})
        elif event.kind == "reasoning":
            yield chunk({"reasoning_content": event.text})
        elif event.kind == "call":
            yield of_call(event.call, id=event.id or f"call_{event.call}", type="function",
                          function={"name": event.text, "arguments": ""})
        elif event.kind == "arguments":
            yield of_call(event.call, function={"arguments": event.text})
    yield chunk({}, _finish_chat(answer))

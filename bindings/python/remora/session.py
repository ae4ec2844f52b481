# SPDX-License-Identifier: Apache-2.0
"""Sessions: one timeline of tokens each, and what they compute and generate."""
import asyncio
import ctypes
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, TypeVar, Union

from . import _abi
from ._abi import D, F
from ._arrays import Floats, floats
from ._run import STRETCH_US, Cancel, Handle, interruptible, on_main_thread, use
from .errors import RemoraError, call, create, error_of, new_error, status_name
from .model import Model, read_struct, tokens_call
from .sampler import Sampler

T = TypeVar("T")
WANTS = {"none": 0, "last": 1, "all": 2}
KV_TYPES = D.names("remora_kv_types", "REMORA_KV_")
REASONS = D.names("remora_reasons", "REMORA_REASON_")


class TokenProb(NamedTuple):
    """A token, its raw logit and the natural logarithm of its probability."""

    token: int
    logit: float
    logprob: float


def _prob(p: Any) -> TokenProb:
    return TokenProb(p.token, p.logit, p.logprob)


def session_options(capacity: int, chunk: int, kv_type: Optional[str], pages_as_needed: bool, prediction: bool = False) -> Any:
    """A remora_session_opts."""
    kind = _abi.value("remora_kv_types", "REMORA_KV_", kv_type) if kv_type else 0
    flags = D.values["REMORA_SESSION_PAGES_AS_NEEDED"] if pages_as_needed else 0
    flags |= D.values["REMORA_SESSION_PREDICTION"] if prediction else 0
    return D.make("remora_session_opts", capacity=capacity, chunk=chunk, kv_type=kind, flags=flags)


class Session(Handle):
    """One timeline of tokens with its cache. One thread at a time changes it; a second one gets Busy.

    capacity: most tokens; 0: 4096 or the model's most. kv_type: "bf16", "int8" or "f32". prediction: guess with the model's
    prediction layer too, where it has one (max_drafts of generate).
    """

    _free = "remora_session_free"

    def __init__(self, model: Model, *, capacity: int = 0, chunk: int = 0, kv_type: Optional[str] = None,
                 pages_as_needed: bool = False, prediction: bool = False) -> None:
        o = session_options(capacity, chunk, kv_type, pages_as_needed, prediction)
        with use(model, False) as m:
            super().__init__(create("remora_session_create", m, o))
        self.model = model

    def fork(self) -> "Session":
        """A second session that goes on from the same state; full pages of the cache are shared."""
        with use(self) as p:
            other = Session._of(create("remora_session_fork", p))
        other.model = self.model
        return other

    # ---- the timeline

    def __len__(self) -> int:
        info = self.info()
        return int(info["committed"] + info["pending"])

    def tokens(self, start: int = 0) -> List[int]:
        """The timeline from a position on, pending tokens included."""
        with use(self, False) as p:
            return tokens_call("remora_session_tokens", (p, start), 256)

    def append(self, tokens: Sequence[int], want: str = "last", hidden: bool = False) -> None:
        """Queue tokens. want: "none", "last" or "all" of them get an output row; hidden: with hidden states."""
        with use(self) as p:
            call("remora_session_append", p, _abi.tokens_array(tokens), len(tokens), _want(want, hidden))

    def append_text(self, text: str, *, bos: Optional[bool] = None, want: str = "last") -> None:
        """Queue the tokens of a text; bos: None is True where the timeline is empty."""
        self.append(self.model.tokenize(text, bos=len(self) == 0 if bos is None else bos), want)

    def sync(self, tokens: Sequence[int], want: str = "last", hidden: bool = False) -> int:
        """Make the timeline equal to tokens, keeping what it has of them; says how many of the cache were kept."""
        reused = ctypes.c_size_t()
        with use(self) as p:
            call("remora_session_sync", p, _abi.tokens_array(tokens), len(tokens), _want(want, hidden), reused)
        return reused.value

    def trim(self, keep: int) -> None:
        """Keep the first tokens of the timeline."""
        with use(self) as p:
            call("remora_session_trim", p, keep)

    # ---- numbers

    def options(self) -> Dict[str, Any]:
        """What it was made with, of defaults the values: Session(model, **session.options()) is like it."""
        out = D.make("remora_session_opts")
        with use(self, False) as p:
            call("remora_session_get_options", p, out)
        return {"capacity": out.capacity, "chunk": out.chunk, "kv_type": KV_TYPES[out.kv_type],
                "pages_as_needed": bool(out.flags & D.values["REMORA_SESSION_PAGES_AS_NEEDED"]),
                "prediction": bool(out.flags & D.values["REMORA_SESSION_PREDICTION"])}

    def info(self) -> Dict[str, Any]:
        """The numbers of remora_session_info."""
        with use(self, False) as p:
            return read_struct("remora_session_get_info", p, "remora_session_info")

    def stats(self) -> Dict[str, int]:
        """The numbers of remora_stats."""
        with use(self, False) as p:
            return read_struct("remora_session_get_stats", p, "remora_stats")

    def eval(self, *, budget_us: int = 0, max_tokens: int = 0, max_drafts: Union[int, str] = 0, ahead: bool = False,
             cancel: Optional[Cancel] = None) -> bool:
        """Evaluate what is pending. False: the budget is used up, and the next call goes on. max_drafts and ahead: see eval_all."""
        return eval_all([self], budget_us=budget_us, max_tokens=max_tokens, max_drafts=max_drafts, ahead=ahead, cancel=cancel)

    def logits(self, row: int = 0) -> Floats:
        """The logits of an output row, copied: n_vocab floats."""
        out = ctypes.POINTER(ctypes.c_float)()
        n = ctypes.c_size_t()
        with use(self, False) as p:
            call("remora_session_logits", p, row, out, n)
            return floats(ctypes.string_at(out, 4 * n.value))

    def hidden(self, row: int = 0) -> Floats:
        """The hidden state of a row that was appended with hidden=True, copied: n_hidden floats."""
        n = ctypes.c_size_t()
        out = (ctypes.c_float * self.model.n_hidden)()
        with use(self, False) as p:
            call("remora_session_hidden", p, row, out, len(out), n)
        return floats(bytes(out))

    def top(self, n: int, row: int = 0) -> List[TokenProb]:
        """The n most probable tokens of a row, best first."""
        out = (D.structs["remora_token_prob"] * max(n, 1))()
        got = ctypes.c_size_t()
        with use(self, False) as p:
            call("remora_session_top", p, row, out, n, got)
        return [_prob(out[i]) for i in range(got.value)]

    def logprob(self, token: int, row: int = 0) -> float:
        """The log probability of a token in a row."""
        out = ctypes.c_float()
        with use(self, False) as p:
            call("remora_session_logprob", p, row, token, out)
        return out.value

    def pick(self, sampler: Sampler, row: int = 0) -> int:
        """A token that the sampler picks from a row. It is not entered anywhere: accept and append do that."""
        out = ctypes.c_int32()
        with use(self, False) as p, use(sampler) as s:
            call("remora_sampler_pick", s, p, row, out)
        return out.value

    # ---- generating

    def generate(self, sampler: Optional[Sampler] = None, *, max_tokens: int = 0, stop: Sequence[str] = (), keep_stop: bool = False,
                 n_best: Optional[int] = None, max_drafts: Union[int, str] = 0, cancel: Optional[Cancel] = None) -> "Generation":
        """Go on from the timeline: an iterator of text, and an async one. Without a sampler the best token is taken.

        n_best: probabilities of each token, and of so many of the best, are kept in `probs`. max_drafts: most tokens that are
        guessed from the text before and evaluated together, or "auto": as many as pay. Tokens are the same, and text that
        repeats itself comes sooner.
        """
        return Generation(self, sampler or Sampler.greedy(self.model), max_tokens, stop, keep_stop, n_best, cancel, max_drafts)

    def generate_tokens(self, sampler: Optional[Sampler] = None, *, max_tokens: int = 0, stop: Sequence[str] = (),
                        max_drafts: Union[int, str] = 0, cancel: Optional[Cancel] = None) -> Iterator[int]:
        """The same for tokens, each as soon as it is there; also for models without a tokenizer (without `stop`)."""
        generation = _Silent(self, sampler or Sampler.greedy(self.model), max_tokens, stop, False, None, cancel, max_drafts)
        while not generation.done:
            seen = len(generation.tokens)
            generation.advance()
            yield from generation.tokens[seen:]


def _want(want: str, hidden: bool) -> int:
    if want not in WANTS:
        raise ValueError(f"want is {want!r}, not one of {', '.join(WANTS)}")
    return WANTS[want] | (D.values["REMORA_WANT_HIDDEN"] if hidden else 0)


def _drafts(most: Union[int, str]) -> int:
    return D.values["REMORA_DRAFTS_AUTO"] if most == "auto" else int(most)


def eval_all(sessions: Sequence[Session], *, budget_us: int = 0, max_tokens: int = 0, max_drafts: Union[int, str] = 0,
             ahead: bool = False, cancel: Optional[Cancel] = None) -> bool:
    """Evaluate what is pending in several sessions of one model together. False: the budget is used up.

    max_drafts: most tokens that are guessed behind each session's last one, or "auto". ahead: take what was guessed right and
    evaluate nothing; False where something is pending still.
    """
    entered: List[Session] = []
    try:
        pointers = []
        for session in sessions:
            pointers.append(session._enter(True))
            entered.append(session)
        group = (ctypes.c_void_p * max(len(pointers), 1))(*pointers)
        word = cancel or Cancel()
        while True:
            stretch = budget_us or (STRETCH_US if on_main_thread() else 0)
            o = D.make("remora_eval_opts", budget_us=stretch, max_tokens=max_tokens, cancel=word.pointer,
                       max_drafts=_drafts(max_drafts), flags=D.values["REMORA_EVAL_AHEAD"] if ahead else 0)
            if call("remora_eval", group, len(pointers), o) != _abi.MORE:
                return True
            if budget_us or max_tokens or ahead:
                return False
    finally:
        for session in entered:
            session._leave(True)


class Generation:
    """Text that is being generated: iterate over it, with `for` or `async for`.

    It ends at a token that ends the turn, a stop string, max_tokens, or the session's capacity; `reason` says which. An error
    is raised, and iterating on goes on where it was possible: after Cancelled, for instance.
    """

    CAP_TOKENS = 64

    def __init__(self, session: Session, sampler: Sampler, max_tokens: int, stop: Sequence[str], keep_stop: bool,
                 n_best: Optional[int], cancel: Optional[Cancel], max_drafts: Union[int, str] = 0) -> None:
        stops = [stop] if isinstance(stop, str) else list(stop)
        self.session = session
        self.sampler = sampler
        self.tokens: List[int] = []
        """All tokens made so far, those whose text is held back included."""
        self.probs: List[Tuple[TokenProb, List[TokenProb]]] = []
        """With n_best: for each token its probability and those of the best."""
        self.status = "MORE"
        """The status of the last call: "MORE", "END", "E_FULL" or an error's."""
        self.message = ""
        """The library's words for an error, or for E_FULL."""
        self.done = False
        self._cancel = cancel or Cancel()
        self._n_best = n_best
        self._buffer = ctypes.create_string_buffer(512)
        self._made = (ctypes.c_int32 * self.CAP_TOKENS)()
        self._probs = None if n_best is None else (D.structs["remora_token_prob"] * (self.CAP_TOKENS * (1 + n_best)))()
        self._n = ctypes.c_size_t()
        self._n_made = ctypes.c_size_t()
        self._flags = D.values["REMORA_GEN_KEEP_STOP"] if keep_stop else 0
        self._error = new_error()
        self._opts = D.make("remora_gen_opts", flags=self._flags | D.values["REMORA_GEN_NEW"], max_tokens=max_tokens,
                            stop=_abi.array("remora_text", [_abi.text(s) for s in stops]), n_stop=len(stops),
                            cancel=self._cancel.pointer, probs=self._probs, n_best=n_best or 0,
                            max_drafts=_drafts(max_drafts))

    # ---- what is known of it

    def info(self) -> Dict[str, Any]:
        """The numbers of remora_generation_info, its reason in a word."""
        with use(self.session, False) as p:
            got = read_struct("remora_session_get_generation", p, "remora_generation_info")
        return {**got, "reason": REASONS[got["reason"]]}

    @property
    def reason(self) -> str:
        """Why it has ended: "end_of_turn", "stop", "max_tokens", "capacity"; "none" before."""
        return str(self.info()["reason"])

    @property
    def stop_index(self) -> Optional[int]:
        """Which stop string ended it."""
        got = self.info()
        return int(got["stop"]) if got["reason"] == "stop" else None

    def text(self) -> str:
        """All of the rest of it, joined."""
        return "".join(self)

    # ---- making it

    def _call(self, session: Any, sampler: Any) -> int:
        status: int = F["remora_generate_text"](session, sampler, self._opts, self._buffer, len(self._buffer), self._n, self._made,
                                                self.CAP_TOKENS, self._n_made, self._error)
        return status

    def _step(self, _: Optional[Cancel] = None) -> str:
        self._opts.budget_us = STRETCH_US if on_main_thread() else 0
        self._n.value = self._n_made.value = 0
        with use(self.session) as session, use(self.sampler) as sampler:
            status = self._call(session, sampler)
        if status >= 0 or self._n_made.value or status == _abi.E_FULL:
            self._opts.flags = self._flags
        self._take()
        self.status = status_name(status) if status != _abi.MORE else "MORE"
        if status < 0:
            self.message = self._error.message.decode("utf-8", "replace")
        self.done = status in (_abi.END, _abi.E_FULL)
        if status < 0 and not self.done:
            raise error_of(status, self._error)
        return self._buffer.raw[: self._n.value].decode("utf-8") if self._n.value else ""

    def _take(self) -> None:
        n = self._n_made.value
        self.tokens.extend(self._made[:n])
        if self._probs is not None and self._n_best is not None:
            for i in range(n):
                at = i * (1 + self._n_best)
                best = [_prob(self._probs[at + 1 + k]) for k in range(self._n_best)]
                self.probs.append((_prob(self._probs[at]), best))

    def __iter__(self) -> Iterator[str]:
        return self

    def advance(self) -> str:
        """One call of the library: its text, which may be empty."""
        return interruptible(self._step, self._cancel) if self.sampler.calls_python else self._step()

    def __next__(self) -> str:
        while not self.done:
            text = self.advance()
            if text:
                return text
        raise StopIteration

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        while not self.done:
            text = await _on_a_thread(self._step, self._cancel)
            if text:
                return text
        raise StopAsyncIteration


class _Silent(Generation):
    """One that makes no text."""

    CAP_TOKENS = 1

    def _call(self, session: Any, sampler: Any) -> int:
        status: int = F["remora_generate"](session, sampler, self._opts, self._made, self.CAP_TOKENS, self._n_made, self._error)
        return status


async def _on_a_thread(function: Callable[[], T], cancel: Cancel) -> T:
    """Run a call beside the event loop. A task that is cancelled sets the word and waits for the call to end."""
    future = asyncio.get_running_loop().run_in_executor(None, function)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        cancel.set()
        try:
            await future
        except RemoraError:
            pass
        finally:
            cancel.clear()
        raise



# SPDX-License-Identifier: Apache-2.0
"""Models, and the runtimes that hold them."""
import ctypes
import os
from contextlib import nullcontext
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Union

from . import _abi, _imatrix
from ._abi import D, F
from ._arrays import Doubles, doubles
from ._run import Cancel, Handle, interruptible, use
from .errors import NotFound, call, create, error_of, new_error
from .source import Path, Progress, Source, lend, model_options, options, progress_of

LEVELS = {"error": 1, "warn": 2, "info": 3, "debug": 4}


def read_fields(struct: Any) -> Dict[str, Any]:
    """A struct of numbers and texts as a dict."""
    found = {}
    for name, _ in struct._fields_:
        got = getattr(struct, name)
        if name not in ("struct_size", "reserved", "flags"):
            found[name] = got.decode("utf-8", "replace") if isinstance(got, bytes) else got if isinstance(got, (int, float)) else bytes(got)
    return found


def read_struct(function: str, pointer: Any, struct: str, *more: Any) -> Dict[str, Any]:
    """What a function that fills an out-struct says."""
    out = D.make(struct)
    call(function, pointer, *more, out)
    return read_fields(out)


def _text_call(function: str, *arguments: Any) -> str:
    """A call that fills a terminated text of any size."""
    size = ctypes.c_size_t()
    room = 256
    while True:
        buffer = ctypes.create_string_buffer(room)
        err = new_error()
        status = F[function](*arguments, buffer, room, size, err)
        if status == _abi.E_BUFFER:
            room = size.value + 1
        elif status < 0:
            raise error_of(status, err)
        else:
            return buffer.raw[: size.value].decode("utf-8", "replace")


def _on_log(user: int, level: int, message: bytes, size: int) -> None:
    words = {number: word for word, number in LEVELS.items()}
    _abi.kept(user)(words.get(level, str(level)), message[:size].decode("utf-8", "replace"))


_log = D.callback("remora_runtime_opts", "log")(_on_log)


class Runtime(Handle):
    """Threads, log and devices. Models have one of their own; make one to choose, or to share it among models.

    threads: most that one call computes with; 0: as many as the process may use. log(level, message) gets lines from any
    thread, levels being "error", "warn", "info" and "debug". extra: options that begin with "x-".
    """

    _free = "remora_runtime_free"

    def __init__(self, threads: int = 0, log: Optional[Callable[[str, str], object]] = None, log_level: str = "warn",
                 cuda_module: Optional[str] = None, extra: Optional[Mapping[str, str]] = None) -> None:
        listed = options(extra)
        o = D.make("remora_runtime_opts", n_threads=threads, extra=_abi.array("remora_option", listed), n_extra=len(listed),
                   log_level=LEVELS[log_level], cuda_module=None if cuda_module is None else os.fsencode(cuda_module))
        if log is not None:
            o.log_user = o.release_user = _abi.keep(log)
            o.log = _log
            o.release = _abi.release
        super().__init__(create("remora_runtime_create", o))

    def info(self) -> Dict[str, Any]:
        """n_threads, kernels, and why they are so."""
        with use(self, False) as p:
            return read_struct("remora_runtime_get_info", p, "remora_runtime_info")

    def devices(self) -> List[Dict[str, Any]]:
        """What models can be opened on."""
        with use(self, False) as p:
            return [read_struct("remora_device_get", p, "remora_device", i) for i in range(F["remora_device_count"](p))]


class FimPrompt(NamedTuple):
    """A prompt for what is missing between two texts; `heal` is for Sampler.spell, `stop` for generate."""

    tokens: List[int]
    heal: bytes
    is_cut: bool
    stop: List[str]


class Importance(NamedTuple):
    """A weight whose inputs were summed up: of routed experts each matrix has sums of its own, of others there is one."""

    name: str
    n_matrices: int
    n_cols: int


class ImportanceSums(NamedTuple):
    """For each column the sum of the squares of its inputs, and of how many tokens."""

    n_tokens: int
    sums: Doubles


class Model(Handle):
    """Weights and tokenizer. Any thread may use it at any time.

    source: a folder of Hugging Face, a GGUF file or a .remora pack; a dict of file names and their bytes, which must not
    change; or a Storage. progress(done, total) is told how far opening is, and stops it with False. weights=False: for metadata
    and text; anyway: then also of a model that cannot run, and the metadata "missing.0" and on say why. importance: sum up what
    `importance` reads. prediction=False leaves the prediction layer out, and the memory that it takes.
    """

    _free = "remora_model_free"

    def __init__(self, source: Source, *, runtime: Optional[Runtime] = None, device: Optional[str] = None,
                 weights: bool = True, mmap: bool = True, importance: bool = False, anyway: bool = False, prediction: bool = True,
                 host_budget: int = 0, device_budget: int = 0, progress: Optional[Progress] = None, cancel: Optional[Cancel] = None,
                 extra: Optional[Mapping[str, str]] = None) -> None:
        flags = {"REMORA_MODEL_NO_WEIGHTS": not weights, "REMORA_MODEL_NO_MMAP": not mmap, "REMORA_MODEL_IMPORTANCE": importance,
                 "REMORA_MODEL_ANYWAY": anyway, "REMORA_MODEL_NO_PREDICTION": not prediction}
        told = progress_of(progress)
        out = ctypes.c_void_p()

        def open_it(word: Cancel) -> None:
            o = model_options(device, extra, flags, host_budget=host_budget, device_budget=device_budget, cancel=word.pointer,
                              progress=told)
            with used(runtime) as rt, lend(source) as src:
                call("remora_model_open", rt, src, o, out)
        try:
            interruptible(open_it, cancel)
        except BaseException:
            F["remora_model_free"](out)
            raise
        super().__init__(out)
        self._info: Dict[str, Any] = read_struct("remora_model_get_info", out, "remora_model_info")

    @property
    def info(self) -> Dict[str, Any]:
        """The numbers and names of remora_model_info."""
        return dict(self._info)

    @property
    def n_vocab(self) -> int:
        return int(self._info["n_vocab"])

    @property
    def n_hidden(self) -> int:
        return int(self._info["n_hidden"])

    @property
    def max_context(self) -> int:
        return int(self._info["max_context"])

    def memory(self) -> Dict[str, int]:
        """Bytes in use now, as remora_memory has them."""
        with use(self, False) as p:
            return read_struct("remora_model_get_memory", p, "remora_memory")

    def set_budget(self, host: int = 0, device: int = 0) -> bool:
        """Change the ceilings host_budget and device_budget; 0: none. False: they hold when what runs now has ended."""
        with use(self, False) as p:
            return call("remora_model_set_budget", p, host, device) == _abi.OK

    def meta(self, key: str, default: Optional[str] = None) -> Optional[str]:
        """Metadata: "config.hidden_size", "chat_template"; default where there is no such key."""
        try:
            with use(self, False) as p:
                return _text_call("remora_model_meta", p, key.encode())
        except NotFound:
            return default

    def meta_keys(self) -> Iterator[str]:
        """All keys of metadata."""
        i = 0
        while True:
            try:
                with use(self, False) as p:
                    key = _text_call("remora_model_meta_key", p, i)
            except NotFound:
                return
            yield key
            i += 1

    # ---- text

    def tokenize(self, text: Union[str, bytes], *, bos: bool = False, special: bool = False) -> List[int]:
        """Tokens of a text. special: markup in the text is markup: never for what users typed. bos: begin as prompts do."""
        raw = text if isinstance(text, bytes) else _abi.utf8(text)
        flags = (D.values["REMORA_TEXT_BOS"] if bos else 0) | (D.values["REMORA_TEXT_SPECIAL"] if special else 0)
        with use(self, False) as p:
            return tokens_call("remora_tokenize", (p, raw, len(raw), flags), len(raw) + 8)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of tokens; control tokens give none."""
        detok = Detok(self)
        return detok.push(tokens) + detok.flush()

    def token_bytes(self, token: int) -> bytes:
        """The bytes of a token; the name of a control token."""
        size = ctypes.c_size_t()
        room = 256
        with use(self, False) as p:
            while True:
                buffer = ctypes.create_string_buffer(room)
                err = new_error()
                status = F["remora_token_bytes"](p, token, buffer, room, size, err)
                if status == _abi.E_BUFFER:
                    room = size.value
                elif status < 0:
                    raise error_of(status, err)
                else:
                    return buffer.raw[: size.value]

    def is_control(self, token: int) -> bool:
        """Whether a token is markup, for which no text is given out."""
        with use(self, False) as p:
            return bool(F["remora_token_flags"](p, token) & D.values["REMORA_TOKEN_CONTROL"])

    def special(self, which: str) -> Optional[int]:
        """The id of "bos", "eos", "pad", "user", "assistant", "think_open", "fim_begin" and so on; None where there is none."""
        number = _abi.value("remora_special_tokens", "REMORA_SPECIAL_", which)
        with use(self, False) as p:
            token: int = F["remora_token_special"](p, number)
        return None if token == D.values["REMORA_TOKEN_NONE"] else token

    def end_tokens(self) -> List[int]:
        """The tokens that end a turn."""
        with use(self, False) as p:
            return tokens_call("remora_end_tokens", (p,), 16)

    def fim(self, prefix: str, suffix: str, *, heal: bool = False, max_tokens: int = 0, prefix_share: int = 0, suffix_share: int = 0,
            path: str = "", repo: str = "", files: Sequence["tuple[str, str]"] = ()) -> FimPrompt:
        """The prompt for what is between prefix and suffix. files: (path, text), the nearest last. Shares of max_tokens are in
        percent; 0: 60 and 25."""
        before, behind = _abi.utf8(prefix), _abi.utf8(suffix)
        others = [D.structs["remora_file"](_abi.text(name), _abi.text(content)) for name, content in files]
        o = D.make("remora_fim_opts", flags=D.values["REMORA_FIM_HEAL"] if heal else 0, max_tokens=max_tokens,
                   prefix_share=prefix_share, suffix_share=suffix_share, path=_abi.text(path), repo=_abi.text(repo),
                   files=_abi.array("remora_file", others), n_files=len(others))
        info = D.make("remora_fim_info")
        with use(self, False) as p:
            tokens = tokens_call("remora_fim", (p, before, len(before), behind, len(behind), o), len(before) + len(behind) + 64, info)
        where = ctypes.addressof(info) + type(info).heal.offset
        return FimPrompt(tokens, ctypes.string_at(where, info.n_heal), bool(info.is_cut), self.fim_stop())

    def fim_stop(self) -> List[str]:
        """The markers that end what fills a hole."""
        found: List[str] = []
        out = D.structs["remora_text"]()
        try:
            with use(self, False) as p:
                while True:
                    call("remora_fim_stop", p, len(found), out)
                    found.append(_abi.text_of(out))
        except NotFound:
            return found


    # ---- what tokens do in it

    def routing_enable(self, on: bool = True) -> None:
        """Count which experts tokens are routed to, over all sessions; counts stay when it is switched off."""
        with use(self, False) as p:
            call("remora_routing_enable", p, int(on))

    def routing(self, layer: int, *, reset: bool = False) -> List[int]:
        """The counts of a layer's experts; reset: they are 0 from then on. NotFound: the layer has no experts."""
        size = ctypes.c_size_t()
        room = max(int(self._info["n_experts"]), 1)
        out = (ctypes.c_uint64 * room)()
        with use(self, False) as p:
            call("remora_routing_read", p, layer, int(reset), out, room, size)
        return out[: size.value]

    def importance(self) -> List[Importance]:
        """The weights that have sums, of a model opened with importance=True; of others none."""
        found: List[Importance] = []
        try:
            while True:
                with use(self, False) as p:
                    got = read_struct("remora_importance_get", p, "remora_importance", len(found))
                found.append(Importance(got["name"], got["n_matrices"], got["n_cols"]))
        except NotFound:
            return found

    def importance_sums(self, i: int, matrix: int = 0) -> ImportanceSums:
        """Of the i-th of `importance`: one matrix, which is an expert's where there are several."""
        size, count = ctypes.c_size_t(), ctypes.c_uint64()
        with use(self, False) as p:
            room = int(read_struct("remora_importance_get", p, "remora_importance", i)["n_cols"])
            out = (ctypes.c_double * room)()
            call("remora_importance_read", p, i, matrix, count, out, room, size)
        return ImportanceSums(count.value, doubles(bytes(out)))

    def save_importance(self, path: Path) -> None:
        """Write all sums to a file, for `convert` and the command."""
        weights = [(w.name, w.n_cols, [self.importance_sums(i, k) for k in range(w.n_matrices)])
                   for i, w in enumerate(self.importance())]
        with open(path, "wb") as file:
            _imatrix.write(file, weights)


def used(runtime: Optional[Runtime]) -> "ContextManager[Any]":
    """The runtime in use by a call that may go without one."""
    return nullcontext() if runtime is None else use(runtime, False)


def tokens_call(function: str, before: "tuple[Any, ...]", room: int, *after: Any) -> List[int]:
    """A call that fills an array of tokens."""
    size = ctypes.c_size_t()
    while True:
        out = (ctypes.c_int32 * max(room, 1))()
        err = new_error()
        status = F[function](*before, out, room, size, *after, err)
        if status == _abi.E_BUFFER and size.value > room:
            room = size.value
        elif status < 0:
            raise error_of(status, err)
        else:
            return out[: size.value]


class Detok:
    """Text of a stream of tokens, in whole characters."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._state = D.structs["remora_detok"]()

    def copy(self) -> "Detok":
        """Another one that goes on from here."""
        other = Detok(self._model)
        ctypes.memmove(ctypes.byref(other._state), ctypes.byref(self._state), ctypes.sizeof(self._state))
        return other

    def _fill(self, function: str, arguments: "tuple[Any, ...]", room: int) -> str:
        size = ctypes.c_size_t()
        with use(self._model, False) as p:
            while True:
                buffer = ctypes.create_string_buffer(room)
                err = new_error()
                status = F[function](p, self._state, *arguments, buffer, room, size, err)
                if status == _abi.E_BUFFER:
                    room = size.value
                elif status < 0:
                    raise error_of(status, err)
                else:
                    return buffer.raw[: size.value].decode("utf-8")

    def push(self, tokens: Sequence[int]) -> str:
        """The text of the next tokens, as far as its characters are whole."""
        return self._fill("remora_detok_push", (_abi.tokens_array(tokens), len(tokens)), 16 * len(tokens) + 16)

    def flush(self) -> str:
        """The end of the stream: what is left of a character that was not finished."""
        return self._fill("remora_detok_flush", (), 16)




# SPDX-License-Identifier: Apache-2.0
"""Samplers, and the constraints that bound what they pick."""
import ctypes
import json
from contextlib import nullcontext
from typing import Any, Callable, Mapping, Optional, Sequence, Union

from . import _abi
from ._abi import D, F
from ._run import Handle, use
from .errors import call, create
from .model import Model


class Candidates:
    """The tokens that a stage of the host may choose among, during the call. Change `logit`, or keep some of them."""

    def __init__(self, array: Any, n: int) -> None:
        self._array = array
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: int) -> Any:
        """A candidate with token, logit and logprob."""
        if not 0 <= i < self._n:
            raise IndexError(i)
        return self._array[i]

    def keep(self, n: int) -> None:
        """Keep the first n."""
        if not 0 <= n <= self._n:
            raise ValueError(f"{n} is not from 0 to {self._n}")
        self._n = n


def _on_stage(user: int, candidates: Any, n: Any) -> int:
    try:
        view = Candidates(candidates, n[0])
        _abi.kept(user)(view)
        n[0] = len(view)
        return _abi.OK
    except BaseException as e:  # the pick raises it
        _abi.raised.error = e
        return _abi.E_CALLBACK


_stage = D.callback("remora_stage", "fn")(_on_stage)

Schema = Union[str, bool, Mapping[str, Any], type]


def schema_text(schema: Any) -> str:
    """The JSON text of a schema: a text, a dict, or what has model_json_schema() (a model of pydantic)."""
    if isinstance(schema, str):
        return schema
    made = getattr(schema, "model_json_schema", None)
    return json.dumps(made() if made is not None else schema, ensure_ascii=False)


class Constraint(Handle):
    """What text may be. Make it once and give it to any number of samplers."""

    _free = "remora_constraint_free"

    def __init__(self, model: Model, kind: str, source: str = "", choices: Sequence[str] = (), *, lax: bool = False,
                 memory: int = 0, steps: int = 0) -> None:
        number = _abi.value("remora_constraint_kinds", "REMORA_CONSTRAINT_", kind)
        o = D.make("remora_constraint_opts", kind=number, source=_abi.text(source), memory=memory, steps=steps,
                   flags=D.values["REMORA_SCHEMA_LAX"] if lax else 0,
                   choices=_abi.array("remora_text", [_abi.text(c) for c in choices]), n_choices=len(choices))
        with use(model, False) as m:
            super().__init__(create("remora_constraint_create", m, o))

    @classmethod
    def schema(cls, model: Model, schema: Schema, *, lax: bool = False) -> "Constraint":
        """JSON that a schema allows: a text, a dict or a model class of pydantic. lax: leave out what cannot be enforced."""
        return cls(model, "json_schema", schema_text(schema), lax=lax)

    @classmethod
    def regex(cls, model: Model, pattern: str) -> "Constraint":
        """A text that an ECMAScript regular expression matches as a whole."""
        return cls(model, "regex", pattern)

    @classmethod
    def grammar(cls, model: Model, gbnf: str) -> "Constraint":
        """A text of a grammar as llama.cpp writes it."""
        return cls(model, "gbnf", gbnf)

    @classmethod
    def lark(cls, model: Model, grammar: str) -> "Constraint":
        """A text of a grammar as Lark writes it."""
        return cls(model, "lark", grammar)

    @classmethod
    def choice(cls, model: Model, choices: Sequence[str]) -> "Constraint":
        """One of some texts."""
        return cls(model, "choice", choices=choices)


class Sampler(Handle):
    """Turns logits into a token. Stages run in the order they are added; each method that adds one returns the sampler.

        Sampler(model, seed=42).top_k(40).temperature(0.7)

    Without stages it draws from the full distribution.
    """

    _free = "remora_sampler_free"

    def __init__(self, model: Model, seed: int = 0) -> None:
        with use(model, False) as m:
            super().__init__(create("remora_sampler_create", m, seed))
        self.calls_python = False
        """True when a stage is a function of Python."""

    @classmethod
    def greedy(cls, model: Model) -> "Sampler":
        """Always the most probable token."""
        return cls(model).temperature(0)

    def stage(self, kind: str, value: float = 0, count: int = 0) -> "Sampler":
        """Add a stage by its kind: "temperature", "top_k", and so on."""
        number = _abi.value("remora_stage_kinds", "REMORA_STAGE_", kind)
        with use(self) as p:
            call("remora_sampler_add", p, D.make("remora_stage", kind=number, value=value, count=count))
        return self

    def temperature(self, value: float) -> "Sampler":
        return self.stage("temperature", value)

    def top_k(self, count: int) -> "Sampler":
        return self.stage("top_k", count=count)

    def top_p(self, value: float) -> "Sampler":
        return self.stage("top_p", value)

    def min_p(self, value: float) -> "Sampler":
        return self.stage("min_p", value)

    def repeat(self, value: float, window: int = 0) -> "Sampler":
        return self.stage("repeat", value, window)

    def frequency(self, value: float, window: int = 0) -> "Sampler":
        return self.stage("frequency", value, window)

    def presence(self, value: float, window: int = 0) -> "Sampler":
        return self.stage("presence", value, window)

    def bias(self, token: int, value: float) -> "Sampler":
        """Add value to the logit of a token; -inf bans it."""
        return self.stage("bias", value, token)

    def custom(self, function: Callable[[Candidates], object]) -> "Sampler":
        """A stage of your own: function(candidates). What it raises, the pick raises."""
        stage = D.make("remora_stage", kind=D.values["REMORA_STAGE_CALLBACK"], fn=_stage, release=_abi.release,
                       user=_abi.keep(function))
        self.calls_python = True
        with use(self) as p:
            call("remora_sampler_add", p, stage)
        return self

    def constrain(self, constraint: Optional[Constraint]) -> "Sampler":
        """Pick only what the constraint allows, from its beginning; None ends that."""
        with use(self) as p:
            with use(constraint, False) if constraint is not None else nullcontext() as c:
                call("remora_sampler_constrain", p, c)
        return self

    def spell(self, text: Union[str, bytes]) -> "Sampler":
        """Until these bytes are spelled, pick only tokens that go on with them."""
        raw = text if isinstance(text, bytes) else _abi.utf8(text)
        with use(self) as p:
            call("remora_sampler_spell", p, raw, len(raw))
        return self

    def clone(self) -> "Sampler":
        """Another one that goes on exactly as this one would."""
        with use(self, False) as p:
            other = Sampler._of(create("remora_sampler_clone", p))
        other.calls_python = self.calls_python
        return other

    def reset(self, seed: int = 0) -> None:
        """Forget the accepted tokens and begin with a seed anew."""
        with use(self) as p:
            F["remora_sampler_reset"](p, seed)

    def accept(self, tokens: Union[int, Sequence[int]]) -> None:
        """Enter tokens into the history that penalties and the constraint look at."""
        with use(self) as p:
            for token in [tokens] if isinstance(tokens, int) else tokens:
                call("remora_sampler_accept", p, token)

    def rollback(self, n: int) -> None:
        """Take the last n accepted tokens back."""
        with use(self) as p:
            call("remora_sampler_rollback", p, n)

    def pick_from(self, logits: Sequence[float]) -> int:
        """A token from logits of your own."""
        row = (ctypes.c_float * len(logits))(*logits)
        out = ctypes.c_int32()
        with use(self) as p:
            call("remora_sampler_pick_from", p, row, len(logits), out)
        return out.value


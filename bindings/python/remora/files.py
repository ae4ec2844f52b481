# SPDX-License-Identifier: Apache-2.0
"""What can be done with the files of a model without opening it: packs, and how much memory it would take."""
import ctypes
import os
from typing import Dict, Mapping, NamedTuple, Optional

from . import _abi
from ._abi import D
from ._run import Cancel, interruptible
from .errors import NotFound, RemoraError, call, status_name
from .model import Runtime, read_fields, used
from .session import session_options
from .source import Path, Progress, Source, lend, model_options, progress_of


def estimate(source: Source, sessions: int = 1, *, capacity: int = 0, chunk: int = 0, kv_type: Optional[str] = None,
             pages_as_needed: bool = False, runtime: Optional[Runtime] = None, device: Optional[str] = None, mmap: bool = True,
             importance: bool = False, prediction: bool = True, session_prediction: bool = False,
             extra: Optional[Mapping[str, str]] = None) -> Dict[str, int]:
    """The bytes that a model would take with so many sessions, each filled, as remora_memory has them; no weight is read.

    Options are those of Model and Session; prediction is the model's, session_prediction the sessions'.
    """
    o = model_options(device, extra, {"REMORA_MODEL_NO_MMAP": not mmap, "REMORA_MODEL_IMPORTANCE": importance,
                                      "REMORA_MODEL_NO_PREDICTION": not prediction})
    out = D.make("remora_memory")
    with used(runtime) as rt, lend(source) as src:
        s = session_options(capacity, chunk, kv_type, pages_as_needed, session_prediction)
        call("remora_model_estimate", rt, src, o, s, sessions, out)
    return read_fields(out)


def recipes() -> Dict[str, str]:
    """The built-in recipes for `convert`: names, and their text in YAML."""
    found: Dict[str, str] = {}
    name, yaml = ctypes.c_char_p(), ctypes.c_char_p()
    try:
        while True:
            call("remora_recipe_get", len(found), name, yaml)
            found[(name.value or b"").decode()] = (yaml.value or b"").decode()
    except NotFound:
        return found


def convert(source: Source, path: Path, recipe: Optional[str] = None, *, importance: Optional[Path] = None,
            base: Optional[Path] = None, zstd_level: int = 0, self_test: bool = True, runtime: Optional[Runtime] = None,
            progress: Optional[Progress] = None, cancel: Optional[Cancel] = None) -> None:
    """Write a model to a pack, which appears under its name when it is whole.

    recipe: the name of one of `recipes()`, or YAML; None: every weight as it is stored. importance: a file of `remora eval
    --imatrix`, or of Model.save_importance. base: a pack that was made of the same source, whose weights are taken as they
    are; only the others are made. zstd_level: 1 to 22 for distribution. self_test: store an answer for `verify`.
    """
    told = progress_of(progress)

    def run(word: Cancel) -> None:
        o = D.make("remora_convert_opts", flags=0 if self_test else D.values["REMORA_CONVERT_NO_SELF_TEST"],
                   recipe=None if recipe is None else _abi.utf8(recipe), zstd_level=zstd_level, cancel=word.pointer,
                   importance=None if importance is None else os.fsencode(importance),
                   base=None if base is None else os.fsencode(base), progress=told)
        with used(runtime) as rt, lend(source) as src:
            call("remora_convert", rt, src, os.fsencode(path), o)
    interruptible(run, cancel)


class VerifyReport(NamedTuple):
    """What `verify` found, as names of statuses. self_test is "E_NOT_FOUND" where the pack has none."""

    checksums: str
    self_test: str
    exact: bool
    """The logits of the self-test are the stored ones to the bit."""


def verify(source: Source, *, runtime: Optional[Runtime] = None, progress: Optional[Progress] = None,
           cancel: Optional[Cancel] = None) -> VerifyReport:
    """Compare the checksums of a pack and run the self-test that is stored in it.

    FormatError: it is damaged; Mismatch: this machine computes something else with it. The exception's `report` has what was
    found until then.
    """
    told = progress_of(progress)
    out = D.make("remora_verify_report", checksums=D.values["REMORA_E_UNSUPPORTED"], self_test=D.values["REMORA_E_NOT_FOUND"])

    def report() -> VerifyReport:
        return VerifyReport(status_name(out.checksums), status_name(out.self_test), bool(out.exact))

    def run(word: Cancel) -> VerifyReport:
        o = D.make("remora_verify_opts", cancel=word.pointer, progress=told)
        try:
            with used(runtime) as rt, lend(source) as src:
                call("remora_verify", rt, src, o, out)
        except RemoraError as e:
            e.report = report()
            raise
        return report()
    return interruptible(run, cancel)

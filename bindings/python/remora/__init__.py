# SPDX-License-Identifier: Apache-2.0
"""DeepSeek-family language models inside a Python program.

    import remora

    model = remora.Model("models/krill.remora")
    session = remora.Session(model)
    session.append_text("Once upon a time")
    for piece in session.generate(max_tokens=40):
        print(piece, end="", flush=True)
"""
from ._abi import F as _F
from ._run import Cancel
from .chat import Answer, Chat, ChatFormat, ChatParse, Event, Prompt
from .errors import (ArgumentError, BufferTooSmall, Busy, CallbackError, Cancelled, DeviceError, FileError, FormatError, Full,
                     InternalError, LimitReached, Mismatch, NotFound, NoToken, OutOfDeviceMemory, OutOfMemory, RemoraError,
                     StructError, Unsupported)
from .files import VerifyReport, convert, estimate, recipes, verify
from .model import Detok, FimPrompt, Importance, ImportanceSums, Model, Runtime
from .sampler import Candidates, Constraint, Sampler
from .session import Generation, Session, TokenProb, eval_all
from .source import Storage

__version__: str = _F["remora_version_string"]().decode()
build_info: str = _F["remora_build_info"]().decode()

__all__ = [
    "Answer", "ArgumentError", "BufferTooSmall", "Busy", "CallbackError", "Cancel", "Cancelled", "Candidates", "Chat",
    "ChatFormat", "ChatParse", "Constraint", "Detok", "DeviceError", "Event", "FileError", "FimPrompt", "FormatError", "Full",
    "Generation",
    "Importance", "ImportanceSums", "InternalError", "LimitReached", "Mismatch", "Model", "NoToken", "NotFound",
    "OutOfDeviceMemory", "OutOfMemory", "Prompt", "RemoraError", "Runtime", "Sampler", "Session", "Storage", "StructError",
    "TokenProb", "Unsupported", "VerifyReport", "build_info", "convert", "estimate", "eval_all", "recipes", "verify",
]

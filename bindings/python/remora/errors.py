# SPDX-License-Identifier: Apache-2.0
"""An exception for each status. Where Python has an exception of the meaning, it is that one too."""
import ctypes
from typing import Any, Dict, Optional, Type

from ._abi import D, F, raised


class RemoraError(Exception):
    """A call failed; the text is the library's message."""

    status = "unknown status"
    """The status without its prefix: "E_FULL"."""
    os_code = 0
    """errno, where the system refused."""
    report: Any = None
    """Of `verify`: its VerifyReport."""


class ArgumentError(RemoraError, ValueError):
    status = "E_ARG"


class StructError(RemoraError):
    status = "E_STRUCT"


class OutOfMemory(RemoraError, MemoryError):
    status = "E_NOMEM"


class OutOfDeviceMemory(RemoraError, MemoryError):
    status = "E_DEVICE_MEM"


class FileError(RemoraError, OSError):
    status = "E_IO"


class FormatError(RemoraError, ValueError):
    status = "E_FORMAT"


class Unsupported(RemoraError):
    status = "E_UNSUPPORTED"


class Cancelled(RemoraError):
    status = "E_CANCELLED"


class BufferTooSmall(RemoraError):
    status = "E_BUFFER"


class Full(RemoraError):
    status = "E_FULL"


class Busy(RemoraError):
    status = "E_BUSY"


class Mismatch(RemoraError, ValueError):
    status = "E_MISMATCH"


class NoToken(RemoraError):
    status = "E_NO_TOKEN"


class DeviceError(RemoraError):
    status = "E_DEVICE"


class CallbackError(RemoraError):
    status = "E_CALLBACK"


class InternalError(RemoraError):
    status = "E_INTERNAL"


class NotFound(RemoraError, LookupError):
    status = "E_NOT_FOUND"


class LimitReached(RemoraError):
    status = "E_LIMIT"


BY_STATUS: Dict[str, Type[RemoraError]] = {c.status: c for c in RemoraError.__subclasses__()}


def status_name(status: int) -> str:
    """The name of a status: "OK", "E_FULL"."""
    name: bytes = F["remora_status_name"](status)
    return name.decode()


def error_of(status: int, err: Any) -> BaseException:
    """What a call that failed raises: the exception of a callback in it, else the status with the library's message."""
    cause: Optional[BaseException] = raised.__dict__.pop("error", None)
    if cause is not None:
        return cause
    name = status_name(status)
    made = BY_STATUS.get(name, RemoraError)(err.message.decode("utf-8", "replace") or name)
    made.status = name
    made.os_code = err.os_code
    return made


def new_error() -> Any:
    return D.make("remora_error")


def call(name: str, *arguments: Any) -> int:
    """Call a function whose last parameter is an error; raise what it says."""
    err = new_error()
    status: int = F[name](*arguments, err)
    if status < 0:
        raise error_of(status, err)
    return status


def create(name: str, *arguments: Any) -> ctypes.c_void_p:
    """Call a constructor, whose last parameters are the new handle and an error."""
    out = ctypes.c_void_p()
    call(name, *arguments, out)
    return out

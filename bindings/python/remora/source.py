# SPDX-License-Identifier: Apache-2.0
"""Where models come from: files, bytes in memory, a storage of the program's own; and what the calls that read them share."""
import abc
import ctypes
import os
from types import TracebackType
from typing import Any, Callable, Dict, List, Mapping, Optional, Type, Union

from . import _abi
from ._abi import D
from .errors import RemoraError

Progress = Callable[[int, int], object]
Path = Union[str, "os.PathLike[str]"]


class Storage(abc.ABC):
    """The files of a model, wherever a program keeps them. Make a subclass, and give one of it for a source.

    Both methods are called from several threads, also at the same time, and only while a call runs that was given the storage.
    What they raise, that call raises.
    """

    name: Optional[str] = None
    """The pack or GGUF file that is meant; None: the files of a folder of Hugging Face."""

    @abc.abstractmethod
    def size(self, name: str) -> Optional[int]:
        """The bytes of a file; None where there is none of that name."""

    @abc.abstractmethod
    def read(self, name: str, offset: int, size: int) -> Union[bytes, bytearray, memoryview]:
        """So many bytes of a file, from an offset on."""


Source = Union[Path, Mapping[str, bytes], Storage]


class _Reader:
    """What the library holds of a storage: it, and the first exception of its methods."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.error: Optional[BaseException] = None

    def run(self, function: Callable[..., int], *arguments: Any) -> int:
        try:
            return function(*arguments)
        except BaseException as e:  # the call that was given the storage raises it, whatever it is
            if self.error is None:
                self.error = e
            return _abi.E_CALLBACK

    def size(self, name: bytes, out: Any) -> int:
        found = self.storage.size(os.fsdecode(name))
        if found is None:
            return D.values["REMORA_E_NOT_FOUND"]
        out[0] = found
        return _abi.OK

    def read(self, name: bytes, offset: int, buffer: int, size: int) -> int:
        data = memoryview(self.storage.read(os.fsdecode(name), offset, size)).cast("B")
        if len(data) != size:
            raise ValueError(f"{os.fsdecode(name)}: read() gave {len(data)} bytes at {offset}, asked for were {size}")
        if size:
            room: Any = (ctypes.c_char * size).from_address(buffer)
            room.raw = data
        return _abi.OK


def _on_size(user: int, name: bytes, out: Any) -> int:
    reader: _Reader = _abi.kept(user)
    return reader.run(reader.size, name, out)


def _on_read(user: int, name: bytes, offset: int, buffer: int, size: int) -> int:
    reader: _Reader = _abi.kept(user)
    return reader.run(reader.read, name, offset, buffer, size)


_io_size = D.callback("remora_source", "io_size")(_on_size)
_io_read = D.callback("remora_source", "io_read")(_on_read)


class lend:
    """with lend(source) as struct: one call that is given the source, and tells when it needs it no more."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._reader: Optional[_Reader] = None

    def __enter__(self) -> Any:
        if isinstance(self._source, Storage):
            self._reader = _Reader(self._source)
            user = _abi.keep(self._reader)
            path = None if self._source.name is None else os.fsencode(self._source.name)
            return D.make("remora_source", kind=D.values["REMORA_SOURCE_IO"], path=path,
                          io_user=user, io_size=_io_size, io_read=_io_read, release_user=user, release=_abi.release)
        if isinstance(self._source, Mapping):
            blobs = [D.structs["remora_blob"](name.encode(), ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))
                     for name, data in self._source.items()]
            return D.make("remora_source", kind=D.values["REMORA_SOURCE_MEMORY"], blobs=_abi.array("remora_blob", blobs),
                          n_blobs=len(blobs), release_user=_abi.keep(dict(self._source)), release=_abi.release)
        return D.make("remora_source", kind=D.values["REMORA_SOURCE_PATH"], path=os.fsencode(self._source))

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        if isinstance(error, RemoraError) and self._reader is not None and self._reader.error is not None:
            raise self._reader.error from None


def options(extra: Optional[Mapping[str, str]]) -> List[Any]:
    """The remora_options of a dict."""
    return [D.structs["remora_option"](_abi.text(k), _abi.text(v)) for k, v in (extra or {}).items()]


_progress_type = D.callback("remora_model_opts", "progress")


def progress_of(function: Optional[Progress]) -> Any:
    """A callback for the `progress` of any struct: False ends the call."""
    if function is None:
        return None
    told = function

    def stops(user: int, done: int, total: int) -> bool:
        return told(done, total) is False
    return _progress_type(_abi.guarded(1, stops))


def model_options(device: Optional[str], extra: Optional[Mapping[str, str]], flags: Dict[str, bool], **more: Any) -> Any:
    """A remora_model_opts. flags: their names, and whether they are set."""
    listed = options(extra)
    bits = sum(D.values[name] for name, on in flags.items() if on)
    return D.make("remora_model_opts", flags=bits, device=None if device is None else device.encode(),
                  extra=_abi.array("remora_option", listed), n_extra=len(listed), **more)

# SPDX-License-Identifier: Apache-2.0
"""How calls run: who may use a handle, and how a long call ends when Ctrl-C is pressed.

Python handles a signal between two of its own steps, and never inside a call of C. Evaluating and generating therefore
run in stretches of 50 ms on the main thread: the library keeps what a stretch has done, so this costs nothing and changes
no result. Calls that cannot be cut (opening a model), and those in which Python itself is called back, run on a thread
of their own while the main thread waits and can be woken; it sets the call's cancel word and waits for the end.
"""
import ctypes
import os
import threading
from typing import Any, Callable, List, Optional, Type, TypeVar

from ._abi import F, whole_at_fork
from .errors import Busy

T = TypeVar("T")
H = TypeVar("H", bound="Handle")
STRETCH_US = 50_000


class Cancel:
    """A word that any thread may set: calls that were given it end soon, with Cancelled, and keep what they have done."""

    def __init__(self) -> None:
        self._word = ctypes.c_int32(0)

    def set(self) -> None:
        self._word.value = 1

    def clear(self) -> None:
        self._word.value = 0

    def is_set(self) -> bool:
        return bool(self._word.value)

    @property
    def pointer(self) -> Any:
        """The word for C, which must live as long as the call."""
        return ctypes.pointer(self._word)


def on_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def interruptible(function: Callable[[Cancel], T], cancel: Optional[Cancel] = None) -> T:
    """function(cancel), on a thread of its own when this is the main one."""
    word = cancel or Cancel()
    if not on_main_thread():
        return function(word)
    result: List[T] = []
    error: List[BaseException] = []
    was_set = word.is_set()
    begun = threading.Lock()  # taken by the thread when it begins, or by the caller that has given up before
    ended = threading.Event()  # may be waited for twice: a signal can also come when the first wait is over

    def work() -> None:
        if not begun.acquire(blocking=False):
            return
        try:
            result.append(function(word))
        except BaseException as e:
            error.append(e)
        finally:
            ended.set()
    try:
        threading.Thread(target=work, name="remora").start()
        ended.wait()
    except BaseException:
        if not begun.acquire(blocking=False):
            word.set()
            ended.wait()
            if not was_set:
                word.clear()
        raise
    if error:
        raise error[0]
    return result[0]


_guard = threading.Lock()
whole_at_fork(_guard)


class Handle:
    """A handle of the library: freed once, used by one changing call at a time, or by any number that only read.

    `with handle:` closes it at the end; so does the garbage collector. Handles may be closed in any order.
    """

    _free = ""

    def __init__(self, pointer: ctypes.c_void_p) -> None:
        self._pointer: Optional[ctypes.c_void_p] = pointer
        self._readers = 0
        self._reading = 0  # the process of the readers: what a fork() has left behind can be freed
        self._writer = 0  # the process that is in a changing call

    @classmethod
    def _of(cls: "Type[H]", pointer: ctypes.c_void_p) -> "H":
        """A handle that a function has made which is not this class's constructor."""
        made = cls.__new__(cls)
        Handle.__init__(made, pointer)
        return made

    def _enter(self, changes: bool) -> ctypes.c_void_p:
        with _guard:
            if self._pointer is None:
                raise ValueError(f"this {type(self).__name__} is closed")
            if self._writer or (changes and self._readers):
                raise Busy(f"this {type(self).__name__} is in use by another call")
            if changes:
                self._writer = os.getpid()
            else:
                self._readers += 1
                self._reading = os.getpid()
            return self._pointer

    def _leave(self, changes: bool) -> None:
        with _guard:
            if changes:
                self._writer = 0
            else:
                self._readers -= 1

    def close(self) -> None:
        """Give the handle back now. Closing twice is fine; while another thread is in a call it raises Busy."""
        with _guard:
            pointer = self._pointer
            if pointer is None:
                return
            if (self._readers and self._reading == os.getpid()) or self._writer == os.getpid():
                raise Busy(f"this {type(self).__name__} is in use by another call")
            self._pointer = None
        F[self._free](pointer)

    def __enter__(self: H) -> H:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_pointer", None) is not None:
            self.close()


class use:
    """with use(session) as pointer: the call that changes the handle; use(session, False): one that reads it."""

    __slots__ = ("_handle", "_changes")

    def __init__(self, handle: Handle, changes: bool = True) -> None:
        self._handle = handle
        self._changes = changes

    def __enter__(self) -> ctypes.c_void_p:
        return self._handle._enter(self._changes)

    def __exit__(self, *exc: object) -> None:
        self._handle._leave(self._changes)

// SPDX-License-Identifier: Apache-2.0
//! Statuses as errors, and panics of callbacks on their way to the caller.

use crate::sys;
use std::any::Any;
use std::cell::RefCell;
use std::ffi::CStr;
use std::fmt;
use std::os::raw::c_char;

/// The kind of an error: `REMORA_E_*` of the header, which says for each call what it means there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller broke the contract.
    Arg,
    /// A struct or a field of it that the library does not know: it is older than this crate.
    Struct,
    /// The host memory is out, or the host budget is used up.
    NoMem,
    /// The memory of the device is out, or its budget is used up.
    DeviceMem,
    /// Reading a file failed, or a file of an open model has changed.
    Io,
    /// A file is damaged or not what it claims.
    Format,
    /// The request is valid, but this build or device does not support it.
    Unsupported,
    /// A cancel word was set, or progress said stop.
    Cancelled,
    /// A buffer was too small: this crate asks again, so it is seldom seen.
    Buffer,
    /// The capacity of a session is reached.
    Full,
    /// The handle is in use by another call.
    Busy,
    /// Sessions or a sampler belong to different models.
    Mismatch,
    /// Stages and constraint leave no token.
    NoToken,
    /// The device was lost; the model is dead.
    Device,
    /// A callback returned failure.
    Callback,
    /// A bug in remora.
    Internal,
    /// There is no such file, blob, key or row.
    NotFound,
    /// A bound that options set was reached.
    Limit,
    /// A status that this crate does not know.
    Unknown(i32),
}

impl ErrorKind {
    fn of(status: i32) -> Self {
        match status {
            sys::REMORA_E_ARG => Self::Arg,
            sys::REMORA_E_STRUCT => Self::Struct,
            sys::REMORA_E_NOMEM => Self::NoMem,
            sys::REMORA_E_DEVICE_MEM => Self::DeviceMem,
            sys::REMORA_E_IO => Self::Io,
            sys::REMORA_E_FORMAT => Self::Format,
            sys::REMORA_E_UNSUPPORTED => Self::Unsupported,
            sys::REMORA_E_CANCELLED => Self::Cancelled,
            sys::REMORA_E_BUFFER => Self::Buffer,
            sys::REMORA_E_FULL => Self::Full,
            sys::REMORA_E_BUSY => Self::Busy,
            sys::REMORA_E_MISMATCH => Self::Mismatch,
            sys::REMORA_E_NO_TOKEN => Self::NoToken,
            sys::REMORA_E_DEVICE => Self::Device,
            sys::REMORA_E_CALLBACK => Self::Callback,
            sys::REMORA_E_INTERNAL => Self::Internal,
            sys::REMORA_E_NOT_FOUND => Self::NotFound,
            sys::REMORA_E_LIMIT => Self::Limit,
            other => Self::Unknown(other),
        }
    }
}

/// A failed call: its kind, and the reason in words.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    status: i32,
    os_code: i32,
    message: String,
}

/// The result of calls of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(status: i32, message: &str) -> Self {
        let message = message.to_string();
        Self { status, os_code: 0, message }
    }
    /// The kind of the error, for a `match`.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::of(self.status)
    }
    /// The status of the C call.
    pub fn status(&self) -> i32 {
        self.status
    }
    /// The errno where the system refused, else 0.
    pub fn os_code(&self) -> i32 {
        self.os_code
    }
    /// The reason in words: file, tensor, field or argument and its value.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", crate::status_name(self.status), self.message)
    }
}
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl std::error::Error for Error {}

type Payload = Box<dyn Any + Send>;
thread_local!(static PANIC: RefCell<Option<Payload>> = const_none());

const fn const_none() -> RefCell<Option<Payload>> {
    RefCell::new(None)
}

/// Run a callback of the host inside a C call: a panic waits until that call has returned.
pub(crate) fn guarded<R>(failed: R, f: impl FnOnce() -> R) -> R {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)) {
        Ok(r) => r,
        Err(payload) => {
            let _ = PANIC.try_with(|p| *p.borrow_mut() = Some(payload));
            failed
        }
    }
}

/// Go on with the panic of a callback of the C call that has just returned.
pub(crate) fn resume() {
    if let Some(payload) = PANIC.with(|p| p.borrow_mut().take()) {
        std::panic::resume_unwind(payload);
    }
}

/// Make a C call: its status when that is no error.
pub(crate) fn call(f: impl FnOnce(*mut sys::remora_error) -> i32) -> Result<i32> {
    let mut e = sys::remora_error::new();
    let status = f(&mut e);
    resume();
    if status >= 0 {
        return Ok(status);
    }
    let message = text_of(&e.message);
    Err(Error { status, os_code: e.os_code, message })
}

/// The text of a char array of a struct.
pub(crate) fn text_of(c: &[c_char]) -> String {
    let bytes: Vec<u8> = c.iter().map(|&b| b as u8).take_while(|&b| b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A static text of the library that ends with a NUL.
pub(crate) fn static_text(p: *const c_char) -> &'static str {
    // The header: static, UTF-8, terminated.
    unsafe { CStr::from_ptr(p) }.to_str().unwrap_or("")
}

/// An array whose size is not known before: the C call is made once more with the size that E_BUFFER says.
pub(crate) fn filled<T: Copy + Default>(
    guess: usize,
    mut f: impl FnMut(*mut T, usize, *mut usize, *mut sys::remora_error) -> i32,
) -> Result<Vec<T>> {
    let mut room = vec![T::default(); guess];
    loop {
        let mut n = 0;
        match call(|e| f(room.as_mut_ptr(), room.len(), &mut n, e)) {
            Err(e) if e.status == sys::REMORA_E_BUFFER && n > room.len() => room.resize(n, T::default()),
            Err(e) => return Err(e),
            Ok(_) => {
                room.truncate(n);
                return Ok(room);
            }
        }
    }
}

/// The string of bytes that the header promises to be UTF-8.
pub(crate) fn string(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(s) => s,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    }
}

/// Text that ends with a NUL, which is not counted in *n.
pub(crate) fn named(
    mut f: impl FnMut(*mut c_char, usize, *mut usize, *mut sys::remora_error) -> i32,
) -> Result<String> {
    let bytes = filled(128, |p: *mut u8, cap, n: *mut usize, e| {
        let status = f(p.cast(), cap, n, e);
        if status == sys::REMORA_E_BUFFER {
            unsafe { *n += 1 };
        }
        status
    })?;
    Ok(string(bytes))
}

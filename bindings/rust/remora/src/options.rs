// SPDX-License-Identifier: Apache-2.0
//! Cancel words, and texts and names for C.

use crate::{error::Error, sys, Result};
use std::ffi::CString;
use std::os::raw::c_char;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::Arc;

/// A cancel word: it ends calls that were given it, from any thread. Clones are the same word.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicI32>);

impl Cancel {
    /// A word that is not set.
    pub fn new() -> Self {
        Self::default()
    }
    /// Set the word: calls that have it return [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) soon.
    pub fn set(&self) {
        self.0.store(1, Ordering::Relaxed);
    }
    /// Take the word back, as if it had not been set.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
    /// Is the word set?
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }
    pub(crate) fn pointer(of: &Option<Cancel>) -> *const i32 {
        of.as_ref().map_or(std::ptr::null(), |c| Arc::as_ptr(&c.0).cast())
    }
}

/// A borrowed text for C.
pub(crate) fn text(s: &str) -> sys::remora_text {
    sys::remora_text { ptr: s.as_ptr().cast(), len: s.len() as u64 }
}

/// The text that C lent, which lives as long as `'a`.
pub(crate) unsafe fn str_of<'a>(t: &sys::remora_text) -> &'a str {
    if t.len == 0 {
        return "";
    }
    let bytes = std::slice::from_raw_parts(t.ptr.cast::<u8>(), t.len as usize);
    std::str::from_utf8(bytes).unwrap_or("")
}

/// A name for C.
pub(crate) fn c_name(s: &str) -> Result<CString> {
    CString::new(s).map_err(|_| Error::new(sys::REMORA_E_ARG, &format!("the name {:?} has a NUL", s)))
}

/// A name for C that may be missing; its pointer is then NULL.
pub(crate) struct CName(Option<CString>);

impl CName {
    pub(crate) fn new(s: Option<&str>) -> Result<Self> {
        s.map(c_name).transpose().map(Self)
    }
    pub(crate) fn as_ptr(&self) -> *const c_char {
        self.0.as_ref().map_or(std::ptr::null(), |s| s.as_ptr())
    }
}

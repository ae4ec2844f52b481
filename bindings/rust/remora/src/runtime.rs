// SPDX-License-Identifier: Apache-2.0
//! Threads, log and devices.

use crate::error::{call, guarded, static_text, text_of};
use crate::options::CName;
use crate::{sys, Result};
use std::alloc::{GlobalAlloc, Layout};
use std::os::raw::{c_char, c_void};
use std::sync::atomic::{AtomicU64, Ordering};

/// The level of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error = 1,
    /// Something is not as it should be.
    Warn = 2,
    /// A fact about opening a model or a device.
    Info = 3,
    /// A detail for people who look for a mistake.
    Debug = 4,
}

type Log = Box<dyn Fn(LogLevel, &str) + Send + Sync>;
type Start = Box<dyn Fn(u32) + Send + Sync>;
type Run = Box<dyn Fn(u32, &(dyn Fn(u32) + Sync)) + Send + Sync>;

#[derive(Default)]
struct Hooks {
    log: Option<Log>,
    start: Option<Start>,
    run: Option<Run>,
    memory: Option<Box<dyn GlobalAlloc + Send + Sync>>,
}

/// Options of a runtime; a builder. Hooks are called from any thread; a panic in one ends there.
#[derive(Default)]
pub struct RuntimeOptions {
    n_threads: i32,
    log_level: i32,
    hooks: Hooks,
    cuda_module: Option<String>,
    extra: Vec<(String, String)>,
}

impl RuntimeOptions {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }
    /// Most threads that one call computes with; 0: as many as the process may use cores.
    pub fn threads(mut self, n: u32) -> Self {
        self.n_threads = n.min(i32::MAX as u32) as i32;
        self
    }
    /// A function that gets the lines of the log, up to this level.
    pub fn log(mut self, most: LogLevel, f: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        self.log_level = most as i32;
        self.hooks.log = Some(Box::new(f));
        self
    }
    /// A function that is called once on each thread that the runtime starts, with its number from 1 on.
    pub fn on_thread_start(mut self, f: impl Fn(u32) + Send + Sync + 'static) -> Self {
        self.hooks.start = Some(Box::new(f));
        self
    }
    /// The host's job system: a function that calls its second argument with every number below the first, in any
    /// order and on any threads. No thread is created then. A number that it leaves out is done when it has returned,
    /// and one that comes twice is done once.
    pub fn jobs(mut self, f: impl Fn(u32, &(dyn Fn(u32) + Sync)) + Send + Sync + 'static) -> Self {
        self.hooks.run = Some(Box::new(f));
        self
    }
    /// The host's allocator, for all memory of the runtime and of what is made with it. A panic in it is a lack of memory.
    pub fn allocator(mut self, memory: impl GlobalAlloc + Send + Sync + 'static) -> Self {
        self.hooks.memory = Some(Box::new(memory));
        self
    }
    /// The path of the module for GPUs of NVIDIA; "": there are no GPUs.
    pub fn cuda_module(mut self, path: &str) -> Self {
        self.cuda_module = Some(path.into());
        self
    }
    /// An option outside the promises of the interface, whose key begins with "x-".
    pub fn extra(mut self, key: &str, value: &str) -> Self {
        self.extra.push((key.into(), value.into()));
        self
    }
}

unsafe extern "C" fn log(user: *mut c_void, level: i32, msg: *const c_char, len: usize) {
    let hooks = &*user.cast::<Hooks>();
    let line = std::slice::from_raw_parts(msg.cast::<u8>(), len);
    let level = match level {
        1 => LogLevel::Error,
        2 => LogLevel::Warn,
        3 => LogLevel::Info,
        _ => LogLevel::Debug,
    };
    if let Some(f) = &hooks.log {
        unheard(|| f(level, &String::from_utf8_lossy(line)));
    }
}

unsafe extern "C" fn start(user: *mut c_void, index: u32) {
    if let Some(f) = &(*user.cast::<Hooks>()).start {
        unheard(|| f(index));
    }
}

const MOST_JOBS: usize = 1024; // of one call: the most threads that a runtime takes

type Job = Option<unsafe extern "C" fn(*mut c_void, u32)>;

unsafe extern "C" fn run(user: *mut c_void, n: u32, job: Job, arg: *mut c_void) {
    let (host, job) = match (&(*user.cast::<Hooks>()).run, job) {
        (Some(host), Some(job)) => (host, job),
        _ => return,
    };
    let taken: [AtomicU64; MOST_JOBS / 64] = Default::default();
    let arg = arg as usize; // the library takes it on any thread
    let once = |i: u32| {
        let bit = 1 << (i % 64);
        if i < n && taken[i as usize / 64].fetch_or(bit, Ordering::AcqRel) & bit == 0 {
            job(arg as *mut c_void, i);
        }
    };
    unheard(|| host(n, &once));
    (0..n).for_each(once); // the library reads results of all of them
}

/// The layout of a block, and the allocator; the library asks for no block of 0 bytes.
unsafe fn memory<'a>(user: *mut c_void, size: usize, align: usize) -> Option<(&'a dyn GlobalAlloc, Layout)> {
    let memory = (*user.cast::<Hooks>()).memory.as_deref()?;
    Some((memory as &dyn GlobalAlloc, Layout::from_size_align(size, align).ok()?))
}

fn no_memory_or(f: impl FnOnce() -> Option<*mut u8>) -> *mut c_void {
    let mut block = None;
    unheard(|| block = f());
    block.map_or(std::ptr::null_mut(), |b| b.cast())
}

unsafe extern "C" fn alloc(user: *mut c_void, size: usize, align: usize) -> *mut c_void {
    no_memory_or(|| memory(user, size, align).map(|(m, layout)| m.alloc(layout)))
}

unsafe extern "C" fn resize(
    user: *mut c_void,
    p: *mut c_void,
    old: usize,
    size: usize,
    align: usize,
) -> *mut c_void {
    no_memory_or(|| {
        Layout::from_size_align(size, align).ok()?;
        memory(user, old, align).map(|(m, layout)| m.realloc(p.cast(), layout, size))
    })
}

unsafe extern "C" fn dealloc(user: *mut c_void, p: *mut c_void, size: usize, align: usize) {
    unheard(|| {
        if let Some((m, layout)) = memory(user, size, align) {
            m.dealloc(p.cast(), layout);
        }
    });
}

/// Run a hook that may be on any thread, where no caller could hear of a panic.
fn unheard(f: impl FnOnce()) {
    if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)) {
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(payload)));
        dropped.unwrap_or_else(std::mem::forget); // a payload whose end panics; that of this panic stays
    }
}

pub(crate) unsafe extern "C" fn free_box<T>(user: *mut c_void) {
    guarded((), || drop(Box::from_raw(user.cast::<T>())));
}

/// Texts of `extra` options as C has them; they point into `of`.
pub(crate) fn raw_extra(of: &[(String, String)]) -> Vec<sys::remora_option> {
    let text = crate::options::text;
    of.iter().map(|(k, v)| sys::remora_option { key: text(k), value: text(v) }).collect()
}

/// Memory, threads, log and devices. It may be freed before its models.
pub struct Runtime(pub(crate) *mut sys::remora_runtime);
// The header: every function of a runtime from any thread at any time.
unsafe impl Send for Runtime {}
unsafe impl Sync for Runtime {}

impl Runtime {
    /// A runtime with these options.
    pub fn new(o: RuntimeOptions) -> Result<Self> {
        let module = CName::new(o.cuda_module.as_deref())?;
        let extra = raw_extra(&o.extra);
        let mut raw = sys::remora_runtime_opts::new();
        raw.n_threads = o.n_threads;
        raw.log_level = o.log_level;
        raw.log = o.hooks.log.is_some().then_some(log as _);
        raw.thread_start = o.hooks.start.is_some().then_some(start as _);
        raw.run = o.hooks.run.is_some().then_some(run as _);
        if o.hooks.memory.is_some() {
            raw.alloc = Some(alloc);
            raw.resize = Some(resize);
            raw.dealloc = Some(dealloc);
        }
        raw.cuda_module = module.as_ptr();
        raw.extra = extra.as_ptr();
        raw.n_extra = extra.len() as u64;
        let hooks = Box::into_raw(Box::new(o.hooks)).cast::<c_void>();
        raw.log_user = hooks;
        raw.thread_start_user = hooks;
        raw.run_user = hooks;
        raw.alloc_user = hooks;
        raw.release_user = hooks;
        raw.release = Some(free_box::<Hooks>); // also when creating fails
        let mut out = std::ptr::null_mut();
        call(|e| unsafe { sys::remora_runtime_create(&raw, &mut out, e) })?;
        Ok(Self(out))
    }
    /// The number of threads and the kernel set of the runtime, and the reasons for both.
    pub fn info(&self) -> Result<RuntimeInfo> {
        let mut raw = sys::remora_runtime_info::new();
        call(|e| unsafe { sys::remora_runtime_get_info(self.0, &mut raw, e) })?;
        Ok(RuntimeInfo { n_threads: raw.n_threads, kernels: text_of(&raw.kernels), why: text_of(&raw.why) })
    }
    /// Devices that models can be opened on; the CPU is the first.
    pub fn devices(&self) -> Result<Vec<Device>> {
        (0..unsafe { sys::remora_device_count(self.0) })
            .map(|i| {
                let mut raw = sys::remora_device::new();
                call(|e| unsafe { sys::remora_device_get(self.0, i, &mut raw, e) })?;
                Ok(Device::of(&raw))
            })
            .collect()
    }
    /// The C handle, borrowed.
    pub fn as_ptr(&self) -> *mut sys::remora_runtime {
        self.0
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        unsafe { sys::remora_runtime_free(self.0) }
    }
}

/// The threads and kernels of a runtime.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RuntimeInfo {
    /// Most threads that one call computes with, the calling one included.
    pub n_threads: u32,
    /// The kernel set: "avx512".
    pub kernels: String,
    /// The reasons for so many threads and for this kernel set, for people.
    pub why: String,
}

/// A device that models can be opened on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Device {
    /// The kind of the device: `REMORA_DEVICE_*`.
    pub kind: i32,
    /// The id that [`ModelOptions::device`](crate::ModelOptions::device) takes: "cpu", "cuda:0".
    pub id: String,
    /// The name of the device, for people.
    pub name: String,
    /// The kernel set in use.
    pub paths: String,
    /// Bytes of memory in all; 0: not known.
    pub mem_total: u64,
    /// Bytes of free memory; for a GPU known while the process uses it.
    pub mem_free: u64,
    /// Can a model be opened on it?
    pub is_usable: bool,
    /// The reason why no model can be opened on it, in words.
    pub reason: String,
}

impl Device {
    fn of(raw: &sys::remora_device) -> Self {
        Self {
            kind: raw.kind,
            id: text_of(&raw.id),
            name: text_of(&raw.name),
            paths: text_of(&raw.paths),
            mem_total: raw.mem_total,
            mem_free: raw.mem_free,
            is_usable: raw.usable == sys::REMORA_OK,
            reason: text_of(&raw.reason),
        }
    }
}

/// The library's version: "1.0.0".
pub fn version() -> &'static str {
    static_text(unsafe { sys::remora_version_string() })
}

/// The library's version as a number: major << 24 | minor << 16 | patch << 8.
pub fn version_number() -> u32 {
    unsafe { sys::remora_version() }
}

/// One line for bug reports.
pub fn build_info() -> &'static str {
    static_text(unsafe { sys::remora_build_info() })
}

/// The name of a status: "E_NOMEM".
pub fn status_name(status: i32) -> &'static str {
    static_text(unsafe { sys::remora_status_name(status) })
}

/// Does the library fit this crate?
pub fn abi_fits() -> bool {
    unsafe { sys::remora_abi_check(sys::REMORA_VERSION_NUM) == sys::REMORA_OK }
}

// SPDX-License-Identifier: Apache-2.0
//! Models, where they come from, and packs.

use crate::error::{call, filled, guarded, named, static_text, text_of};
use crate::options::{c_name, CName, Cancel};
use crate::runtime::{free_box, raw_extra};
use crate::{sys, Result, Runtime, SessionOptions};
use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_void};
use std::path::Path;
use std::sync::Arc;

/// The host's storage. It is called from any thread, several at once, while a model is opened.
pub trait Storage: Send + Sync {
    /// The size of a file in bytes; `None` when there is none of this name.
    fn size(&self, name: &str) -> std::io::Result<Option<u64>>;
    /// Fill `buf` from this place of the file.
    fn read(&self, name: &str, offset: u64, buf: &mut [u8]) -> std::io::Result<()>;
}

enum From {
    Path(CString),
    Memory(Arc<Vec<(CString, Vec<u8>)>>),
    Io(CName, Arc<dyn Storage>),
}

/// The source of a model: a Hugging Face folder, a GGUF file or a pack.
pub struct Source(Result<From>);

impl Source {
    /// A folder or a file of the file system.
    pub fn path(path: impl AsRef<Path>) -> Self {
        Self(c_name(&path.as_ref().to_string_lossy()).map(From::Path))
    }
    /// Files in memory, under the names that they would have in a folder. The model keeps them.
    pub fn memory<N: AsRef<str>>(files: impl IntoIterator<Item = (N, Vec<u8>)>) -> Self {
        let named = files.into_iter().map(|(name, data)| Ok((c_name(name.as_ref())?, data)));
        Self(named.collect::<Result<Vec<_>>>().map(|all| From::Memory(Arc::new(all))))
    }
    /// The host's storage. `file` names a pack or GGUF file in it; `None` means a folder.
    pub fn storage(storage: Arc<dyn Storage>, file: Option<&str>) -> Self {
        Self(CName::new(file).map(|name| From::Io(name, storage)))
    }

    /// f gets the C struct. The data that it points to lives until the library calls its release.
    fn lend<R>(&self, f: impl FnOnce(&sys::remora_source) -> Result<R>) -> Result<R> {
        let mut raw = sys::remora_source::new();
        match self.0.as_ref().map_err(Clone::clone)? {
            From::Path(path) => {
                raw.kind = sys::REMORA_SOURCE_PATH;
                raw.path = path.as_ptr();
                f(&raw)
            }
            From::Memory(files) => {
                let blob = |(name, data): &(CString, Vec<u8>)| sys::remora_blob {
                    name: name.as_ptr(),
                    data: data.as_ptr().cast(),
                    size: data.len() as u64,
                };
                let blobs: Vec<_> = files.iter().map(blob).collect();
                raw.kind = sys::REMORA_SOURCE_MEMORY;
                raw.blobs = blobs.as_ptr();
                raw.n_blobs = blobs.len() as u64;
                raw.release_user = Box::into_raw(Box::new(files.clone())).cast();
                raw.release = Some(free_box::<Arc<Vec<(CString, Vec<u8>)>>>);
                f(&raw)
            }
            From::Io(name, storage) => {
                raw.kind = sys::REMORA_SOURCE_IO;
                raw.path = name.as_ptr();
                raw.io_user = Box::into_raw(Box::new(storage.clone())).cast();
                raw.io_size = Some(io_size);
                raw.io_read = Some(io_read);
                raw.release_user = raw.io_user;
                raw.release = Some(free_box::<Arc<dyn Storage>>);
                f(&raw)
            }
        }
    }
}

unsafe extern "C" fn io_size(user: *mut c_void, name: *const c_char, size: *mut u64) -> i32 {
    let storage = &*user.cast::<Arc<dyn Storage>>();
    guarded(sys::REMORA_E_CALLBACK, || match storage.size(&CStr::from_ptr(name).to_string_lossy()) {
        Ok(Some(n)) => {
            *size = n;
            sys::REMORA_OK
        }
        Ok(None) => sys::REMORA_E_NOT_FOUND,
        Err(_) => sys::REMORA_E_IO,
    })
}

unsafe extern "C" fn io_read(
    user: *mut c_void,
    name: *const c_char,
    off: u64,
    buf: *mut c_void,
    n: u64,
) -> i32 {
    let storage = &*user.cast::<Arc<dyn Storage>>();
    guarded(sys::REMORA_E_CALLBACK, || {
        // The buffer need not be initialised, and a slice has to be.
        std::ptr::write_bytes(buf.cast::<u8>(), 0, n as usize);
        let room = std::slice::from_raw_parts_mut(buf.cast::<u8>(), n as usize);
        match storage.read(&CStr::from_ptr(name).to_string_lossy(), off, room) {
            Ok(()) => sys::REMORA_OK,
            Err(_) => sys::REMORA_E_IO,
        }
    })
}

/// A function that is told the bytes done and all bytes; `false` stops.
type Progress<'a> = Option<Box<dyn FnMut(u64, u64) -> bool + 'a>>;

unsafe extern "C" fn progress(user: *mut c_void, done: u64, total: u64) -> i32 {
    let f = &mut *user.cast::<Progress<'static>>();
    guarded(1, || f.as_mut().map_or(0, |f| i32::from(!f(done, total))))
}

/// Options of opening; a builder.
#[derive(Default)]
pub struct ModelOptions<'a> {
    flags: u32,
    device: Option<String>,
    host_budget: u64,
    device_budget: u64,
    extra: Vec<(String, String)>,
    cancel: Option<Cancel>,
    progress: Progress<'a>,
}

impl<'a> ModelOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }
    /// Open config, tokenizer and tensor list only: such a model has no sessions.
    pub fn no_weights(mut self) -> Self {
        self.flags |= sys::REMORA_MODEL_NO_WEIGHTS;
        self
    }
    /// With `no_weights`: open a model that cannot run, as far as it can be read.
    pub fn anyway(mut self) -> Self {
        self.flags |= sys::REMORA_MODEL_ANYWAY;
        self
    }
    /// Read files, never map them.
    pub fn no_mmap(mut self) -> Self {
        self.flags |= sys::REMORA_MODEL_NO_MMAP;
        self
    }
    /// Leave the prediction layer out, and the memory that it takes.
    pub fn no_prediction(mut self) -> Self {
        self.flags |= sys::REMORA_MODEL_NO_PREDICTION;
        self
    }
    /// Sum up the inputs of weights, for [`Model::importance`].
    pub fn importance(mut self) -> Self {
        self.flags |= sys::REMORA_MODEL_IMPORTANCE;
        self
    }
    /// The device: "cpu" (the default), "auto", "cuda", "cuda:1".
    pub fn device(mut self, id: &str) -> Self {
        self.device = Some(id.into());
        self
    }
    /// Most bytes that the model, its sessions and samplers take together.
    pub fn host_budget(mut self, bytes: u64) -> Self {
        self.host_budget = bytes;
        self
    }
    /// Most bytes that they take of the device's own memory.
    pub fn device_budget(mut self, bytes: u64) -> Self {
        self.device_budget = bytes;
        self
    }
    /// An option outside the promises of the interface.
    pub fn extra(mut self, key: &str, value: &str) -> Self {
        self.extra.push((key.into(), value.into()));
        self
    }
    /// The cancel word that ends the call.
    pub fn cancel(mut self, word: &Cancel) -> Self {
        self.cancel = Some(word.clone());
        self
    }
    /// A function that is told the bytes loaded and all bytes to load; `false` stops.
    pub fn progress(mut self, f: impl FnMut(u64, u64) -> bool + 'a) -> Self {
        self.progress = Some(Box::new(f));
        self
    }

    fn lend<R>(&mut self, f: impl FnOnce(&sys::remora_model_opts) -> Result<R>) -> Result<R> {
        let device = CName::new(self.device.as_deref())?;
        let extra = raw_extra(&self.extra);
        let mut raw = sys::remora_model_opts::new();
        raw.flags = self.flags;
        raw.device = device.as_ptr();
        raw.host_budget = self.host_budget;
        raw.device_budget = self.device_budget;
        raw.cancel = Cancel::pointer(&self.cancel);
        raw.extra = extra.as_ptr();
        raw.n_extra = extra.len() as u64;
        raw.progress_user = (&mut self.progress as *mut Progress<'a>).cast();
        raw.progress = self.progress.is_some().then_some(progress as _);
        f(&raw)
    }
}

fn raw_runtime(rt: Option<&Runtime>) -> *mut sys::remora_runtime {
    rt.map_or(std::ptr::null_mut(), |r| r.0)
}

/// Weights, tokenizer and metadata: immutable, and used by any number of threads.
pub struct Model(pub(crate) *mut sys::remora_model);
// The header: every function of a model from any thread at any time.
unsafe impl Send for Model {}
unsafe impl Sync for Model {}

impl Model {
    /// Open a folder or a file on the CPU.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(&Source::path(path), ModelOptions::new(), None)
    }
    /// Open a model. Without a runtime it has one of its own.
    pub fn open_with(from: &Source, mut o: ModelOptions<'_>, rt: Option<&Runtime>) -> Result<Self> {
        let mut out = std::ptr::null_mut();
        // The options first: once the source is lent it must reach the library, which releases it.
        o.lend(|o| {
            from.lend(|s| call(|e| unsafe { sys::remora_model_open(raw_runtime(rt), s, o, &mut out, e) }))
        })?;
        Ok(Self(out))
    }
    /// The memory that a model would take with so many sessions of these options.
    pub fn estimate(
        from: &Source,
        mut o: ModelOptions<'_>,
        session: &SessionOptions,
        n_sessions: u32,
        rt: Option<&Runtime>,
    ) -> Result<Memory> {
        let mut m = sys::remora_memory::new();
        o.lend(|o| {
            from.lend(|s| {
                call(|e| unsafe {
                    sys::remora_model_estimate(raw_runtime(rt), s, o, &session.raw, n_sessions, &mut m, e)
                })
            })
        })?;
        Ok(m)
    }
    /// Change the ceilings of memory, in bytes; 0: none. `false`: steps that run hold more.
    pub fn set_budget(&self, host: u64, device: u64) -> Result<bool> {
        let status = call(|e| unsafe { sys::remora_model_set_budget(self.0, host, device, e) })?;
        Ok(status == sys::REMORA_OK)
    }
    /// The names and shapes of the model.
    pub fn info(&self) -> Result<ModelInfo> {
        let mut raw = sys::remora_model_info::new();
        call(|e| unsafe { sys::remora_model_get_info(self.0, &mut raw, e) })?;
        let (family, name, device) = (text_of(&raw.family), text_of(&raw.name), text_of(&raw.device));
        Ok(ModelInfo { family, name, device, raw })
    }
    /// The memory in use now.
    pub fn memory(&self) -> Result<Memory> {
        let mut raw = sys::remora_memory::new();
        call(|e| unsafe { sys::remora_model_get_memory(self.0, &mut raw, e) })?;
        Ok(raw)
    }
    /// The metadata of a key as text: "config.hidden_size", "chat_template".
    pub fn meta(&self, key: &str) -> Result<String> {
        let key = c_name(key)?;
        named(|p, cap, n, e| unsafe { sys::remora_model_meta(self.0, key.as_ptr(), p, cap, n, e) })
    }
    /// All keys of metadata.
    pub fn meta_keys(&self) -> impl Iterator<Item = String> + '_ {
        (0..).map_while(move |i| {
            named(|p, cap, n, e| unsafe { sys::remora_model_meta_key(self.0, i, p, cap, n, e) }).ok()
        })
    }
    /// Count the tokens that are routed to each expert, or count no more.
    pub fn routing_enable(&self, on: bool) -> Result<()> {
        call(|e| unsafe { sys::remora_routing_enable(self.0, i32::from(on), e) }).map(drop)
    }
    /// The counts of the experts of one layer.
    pub fn routing(&self, layer: u32, reset: bool) -> Result<Vec<u64>> {
        filled(256, |p, cap, n, e| unsafe {
            sys::remora_routing_read(self.0, layer, i32::from(reset), p, cap, n, e)
        })
    }
    /// The i-th weight that has sums of its inputs.
    pub fn importance(&self, i: u32) -> Result<Importance> {
        let mut raw = sys::remora_importance::new();
        call(|e| unsafe { sys::remora_importance_get(self.0, i, &mut raw, e) })?;
        Ok(Importance { name: text_of(&raw.name), n_matrices: raw.n_matrices, n_cols: raw.n_cols })
    }
    /// The sums of one matrix of weight i, and the number of tokens in them.
    pub fn importance_sums(&self, i: u32, matrix: u32) -> Result<(Vec<f64>, u64)> {
        let mut count = 0;
        let sums = filled(1024, |p, cap, n, e| unsafe {
            sys::remora_importance_read(self.0, i, matrix, &mut count, p, cap, n, e)
        })?;
        Ok((sums, count))
    }
    /// The C handle, borrowed.
    pub fn as_ptr(&self) -> *mut sys::remora_model {
        self.0
    }
    /// The C handle of its runtime, borrowed.
    pub fn runtime_ptr(&self) -> *mut sys::remora_runtime {
        unsafe { sys::remora_model_runtime(self.0) }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        unsafe { sys::remora_model_free(self.0) }
    }
}

/// Bytes of memory, as the header describes them.
pub type Memory = sys::remora_memory;

/// The names and shapes of a model; its numbers are those of the C struct.
#[derive(Clone)]
#[non_exhaustive]
pub struct ModelInfo {
    /// The family: `model_type` of config.json.
    pub family: String,
    /// The name of the model, for people.
    pub name: String,
    /// The device that the model computes on.
    pub device: String,
    raw: sys::remora_model_info,
}

impl std::ops::Deref for ModelInfo {
    type Target = sys::remora_model_info;
    fn deref(&self) -> &Self::Target {
        &self.raw
    }
}

/// A weight that has sums of its inputs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Importance {
    /// The name of the weight.
    pub name: String,
    /// The number of its matrices: routed experts, or 1.
    pub n_matrices: u32,
    /// The number of sums of each matrix.
    pub n_cols: u32,
}

/// Options of [`convert`]; a builder.
#[derive(Default)]
pub struct ConvertOptions<'a> {
    flags: u32,
    recipe: Option<String>,
    importance: Option<String>,
    base: Option<String>,
    zstd_level: i32,
    cancel: Option<Cancel>,
    progress: Progress<'a>,
}

impl<'a> ConvertOptions<'a> {
    /// All defaults: every weight as it is stored.
    pub fn new() -> Self {
        Self::default()
    }
    /// The recipe: the name of a built-in one, or YAML.
    pub fn recipe(mut self, recipe: &str) -> Self {
        self.recipe = Some(recipe.into());
        self
    }
    /// The path of a file of importance.
    pub fn importance(mut self, path: &str) -> Self {
        self.importance = Some(path.into());
        self
    }
    /// The path of a pack of the same model: the weights that it has are taken as they are.
    pub fn base(mut self, path: &str) -> Self {
        self.base = Some(path.into());
        self
    }
    /// The level of compression, 1 to 22, for packs that are distributed; 0: none.
    pub fn zstd_level(mut self, level: i32) -> Self {
        self.zstd_level = level;
        self
    }
    /// The pack has no known answer for [`verify`].
    pub fn no_self_test(mut self) -> Self {
        self.flags |= sys::REMORA_CONVERT_NO_SELF_TEST;
        self
    }
    /// The cancel word that ends the call.
    pub fn cancel(mut self, word: &Cancel) -> Self {
        self.cancel = Some(word.clone());
        self
    }
    /// A function that is told the bytes done and all bytes; `false` stops.
    pub fn progress(mut self, f: impl FnMut(u64, u64) -> bool + 'a) -> Self {
        self.progress = Some(Box::new(f));
        self
    }
}

/// Write a model to a pack.
pub fn convert(from: &Source, to: &str, mut o: ConvertOptions<'_>, rt: Option<&Runtime>) -> Result<()> {
    let (to, recipe) = (c_name(to)?, CName::new(o.recipe.as_deref())?);
    let (importance, base) = (CName::new(o.importance.as_deref())?, CName::new(o.base.as_deref())?);
    let mut raw = sys::remora_convert_opts::new();
    raw.flags = o.flags;
    raw.recipe = recipe.as_ptr();
    raw.importance = importance.as_ptr();
    raw.base = base.as_ptr();
    raw.zstd_level = o.zstd_level;
    raw.cancel = Cancel::pointer(&o.cancel);
    raw.progress = o.progress.is_some().then_some(progress as _);
    raw.progress_user = (&mut o.progress as *mut Progress<'_>).cast();
    let converted =
        |s: &_| call(|e| unsafe { sys::remora_convert(raw_runtime(rt), s, to.as_ptr(), &raw, e) });
    from.lend(converted).map(drop)
}

/// The findings of [`verify`], as the header describes them.
pub type VerifyReport = sys::remora_verify_report;

/// Is a pack what it was, and does this build compute with it what it should? The report is filled
/// in both cases, as far as it came.
pub fn verify(from: &Source, cancel: Option<&Cancel>, rt: Option<&Runtime>) -> (VerifyReport, Result<()>) {
    let mut report = VerifyReport::new();
    let mut raw = sys::remora_verify_opts::new();
    let word = cancel.cloned();
    raw.cancel = Cancel::pointer(&word);
    let verified = |s: &_| call(|e| unsafe { sys::remora_verify(raw_runtime(rt), s, &raw, &mut report, e) });
    let found = from.lend(verified).map(drop);
    (report, found)
}

/// The names and YAML texts of the built-in recipes.
pub fn recipes() -> impl Iterator<Item = (&'static str, &'static str)> {
    (0..).map_while(|i| {
        let (mut name, mut yaml) = (std::ptr::null(), std::ptr::null());
        call(|e| unsafe { sys::remora_recipe_get(i, &mut name, &mut yaml, e) }).ok()?;
        Some((static_text(name), static_text(yaml)))
    })
}

// SPDX-License-Identifier: Apache-2.0
// Generated from remora.abi.json by bindings/rust/generate.py: do not change it.
#![allow(non_camel_case_types)]

use std::os::raw::{c_char, c_void};

/// `remora_status` of C.
pub type remora_status = i32;
/// `remora_token` of C.
pub type remora_token = i32;
/// The version of the header, for `remora_abi_check`.
pub const REMORA_VERSION_NUM: u32 = 16777216;
/// `REMORA_TOKEN_NONE`, since 1.0.
pub const REMORA_TOKEN_NONE: remora_token = -1;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_OK: i32 = 0;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_MORE: i32 = 1;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_END: i32 = 2;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_ARG: i32 = -1;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_STRUCT: i32 = -2;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_NOMEM: i32 = -3;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_DEVICE_MEM: i32 = -4;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_IO: i32 = -5;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_FORMAT: i32 = -6;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_UNSUPPORTED: i32 = -7;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_CANCELLED: i32 = -8;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_BUFFER: i32 = -9;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_FULL: i32 = -10;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_BUSY: i32 = -11;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_MISMATCH: i32 = -12;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_NO_TOKEN: i32 = -13;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_DEVICE: i32 = -14;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_CALLBACK: i32 = -15;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_INTERNAL: i32 = -16;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_NOT_FOUND: i32 = -17;
/// Of `enum remora_statuses`, since 1.0.
pub const REMORA_E_LIMIT: i32 = -18;
/// Of `enum remora_log_levels`, since 1.0.
pub const REMORA_LOG_ERROR: i32 = 1;
/// Of `enum remora_log_levels`, since 1.0.
pub const REMORA_LOG_WARN: i32 = 2;
/// Of `enum remora_log_levels`, since 1.0.
pub const REMORA_LOG_INFO: i32 = 3;
/// Of `enum remora_log_levels`, since 1.0.
pub const REMORA_LOG_DEBUG: i32 = 4;
/// Of `enum remora_device_kinds`, since 1.0.
pub const REMORA_DEVICE_CPU: i32 = 1;
/// Of `enum remora_device_kinds`, since 1.0.
pub const REMORA_DEVICE_CUDA: i32 = 2;
/// Of `enum remora_source_kinds`, since 1.0.
pub const REMORA_SOURCE_PATH: i32 = 1;
/// Of `enum remora_source_kinds`, since 1.0.
pub const REMORA_SOURCE_MEMORY: i32 = 2;
/// Of `enum remora_source_kinds`, since 1.0.
pub const REMORA_SOURCE_IO: i32 = 3;
/// Of `enum remora_source_flags`, since 1.0.
pub const REMORA_SOURCE_READ_LATER: u32 = 1;
/// Of `enum remora_model_flags`, since 1.0.
pub const REMORA_MODEL_NO_WEIGHTS: u32 = 1;
/// Of `enum remora_model_flags`, since 1.0.
pub const REMORA_MODEL_NO_MMAP: u32 = 2;
/// Of `enum remora_model_flags`, since 1.0.
pub const REMORA_MODEL_IMPORTANCE: u32 = 4;
/// Of `enum remora_model_flags`, since 1.0.
pub const REMORA_MODEL_ANYWAY: u32 = 8;
/// Of `enum remora_model_flags`, since 1.0.
pub const REMORA_MODEL_NO_PREDICTION: u32 = 16;
/// Of `enum remora_convert_flags`, since 1.0.
pub const REMORA_CONVERT_NO_SELF_TEST: u32 = 1;
/// Of `enum remora_text_flags`, since 1.0.
pub const REMORA_TEXT_SPECIAL: u32 = 1;
/// Of `enum remora_text_flags`, since 1.0.
pub const REMORA_TEXT_BOS: u32 = 2;
/// Of `enum remora_special_tokens`, since 1.0.
pub const REMORA_SPECIAL_BOS: i32 = 1;
/// Of `enum remora_special_tokens`, since 1.0.
pub const REMORA_SPECIAL_EOS: i32 = 2;
/// Of `enum remora_special_tokens`, since 1.0.
pub const REMORA_SPECIAL_PAD: i32 = 3;
/// Of `enum remora_special_tokens`, since 1.0.
pub const REMORA_SPECIAL_USER: i32 = 4;
/// Of `enum remora_special_tokens`, since 1.0.
pub const REMORA_SPECIAL_ASSISTANT: i32 = 5;
/// Of `enum remora_special_tokens`, since 1.0.
pub const REMORA_SPECIAL_THINK_OPEN: i32 = 6;
/// Of `enum remora_special_tokens`, since 1.0.
pub const REMORA_SPECIAL_THINK_CLOSE: i32 = 7;
/// Of `enum remora_special_tokens`, since 1.0.
pub const REMORA_SPECIAL_FIM_BEGIN: i32 = 8;
/// Of `enum remora_special_tokens`, since 1.0.
pub const REMORA_SPECIAL_FIM_HOLE: i32 = 9;
/// Of `enum remora_special_tokens`, since 1.0.
pub const REMORA_SPECIAL_FIM_END: i32 = 10;
/// Of `enum remora_token_bits`, since 1.0.
pub const REMORA_TOKEN_CONTROL: u32 = 1;
/// Of `enum remora_token_bits`, since 1.0.
pub const REMORA_TOKEN_END_OF_TURN: u32 = 2;
/// Of `enum remora_token_bits`, since 1.0.
pub const REMORA_TOKEN_PARTIAL: u32 = 4;
/// Of `enum remora_limits`, since 1.0.
pub const REMORA_HEAL_MAX: usize = 256;
/// Of `enum remora_fim_flags`, since 1.0.
pub const REMORA_FIM_HEAL: u32 = 1;
/// Of `enum remora_chat_roles`, since 1.0.
pub const REMORA_ROLE_SYSTEM: i32 = 1;
/// Of `enum remora_chat_roles`, since 1.0.
pub const REMORA_ROLE_USER: i32 = 2;
/// Of `enum remora_chat_roles`, since 1.0.
pub const REMORA_ROLE_ASSISTANT: i32 = 3;
/// Of `enum remora_chat_roles`, since 1.0.
pub const REMORA_ROLE_TOOL: i32 = 4;
/// Of `enum remora_chat_roles`, since 1.0.
pub const REMORA_ROLE_REMINDER: i32 = 5;
/// Of `enum remora_thinking`, since 1.0.
pub const REMORA_THINK_ON: i32 = 1;
/// Of `enum remora_thinking`, since 1.0.
pub const REMORA_THINK_OFF: i32 = 2;
/// Of `enum remora_tool_choices`, since 1.0.
pub const REMORA_CHOICE_NONE: i32 = 1;
/// Of `enum remora_tool_choices`, since 1.0.
pub const REMORA_CHOICE_REQUIRED: i32 = 2;
/// Of `enum remora_tool_choices`, since 1.0.
pub const REMORA_CHOICE_NAMED: i32 = 3;
/// Of `enum remora_prompt_flags`, since 1.0.
pub const REMORA_PROMPT_CONTINUE: u32 = 1;
/// Of `enum remora_prompt_flags`, since 1.0.
pub const REMORA_PROMPT_NO_REQUEST: u32 = 2;
/// Of `enum remora_prompt_flags`, since 1.0.
pub const REMORA_PROMPT_AS_TEMPLATE: u32 = 4;
/// Of `enum remora_chat_parts`, since 1.0.
pub const REMORA_PART_NONE: i32 = 0;
/// Of `enum remora_chat_parts`, since 1.0.
pub const REMORA_PART_REASONING: i32 = 1;
/// Of `enum remora_chat_parts`, since 1.0.
pub const REMORA_PART_CONTENT: i32 = 2;
/// Of `enum remora_chat_parts`, since 1.0.
pub const REMORA_PART_CALL: i32 = 3;
/// Of `enum remora_chat_parts`, since 1.0.
pub const REMORA_PART_ARGUMENTS: i32 = 4;
/// Of `enum remora_chat_parts`, since 1.0.
pub const REMORA_PART_CALL_END: i32 = 5;
/// Of `enum remora_chat_parts`, since 1.0.
pub const REMORA_PART_REST: i32 = 6;
/// Of `enum remora_chat_parts`, since 1.0.
pub const REMORA_PART_END: i32 = 7;
/// Of `enum remora_chat_places`, since 1.0.
pub const REMORA_PLACE_START: i32 = 1;
/// Of `enum remora_chat_places`, since 1.0.
pub const REMORA_PLACE_REASONING: i32 = 2;
/// Of `enum remora_chat_places`, since 1.0.
pub const REMORA_PLACE_CONTENT: i32 = 3;
/// Of `enum remora_chat_places`, since 1.0.
pub const REMORA_PLACE_CALLS: i32 = 4;
/// Of `enum remora_chat_places`, since 1.0.
pub const REMORA_PLACE_ARGUMENTS: i32 = 5;
/// Of `enum remora_chat_places`, since 1.0.
pub const REMORA_PLACE_AFTER: i32 = 6;
/// Of `enum remora_chat_places`, since 1.0.
pub const REMORA_PLACE_LOST: i32 = 7;
/// Of `enum remora_chat_places`, since 1.0.
pub const REMORA_PLACE_ENDED: i32 = 8;
/// Of `enum remora_chat_finishes`, since 1.0.
pub const REMORA_FINISH_STOP: i32 = 1;
/// Of `enum remora_chat_finishes`, since 1.0.
pub const REMORA_FINISH_CALLS: i32 = 2;
/// Of `enum remora_chat_finishes`, since 1.0.
pub const REMORA_FINISH_LENGTH: i32 = 3;
/// Of `enum remora_chat_parse_flags`, since 1.0.
pub const REMORA_CHAT_PARSE_CALLS: u32 = 1;
/// Of `enum remora_kv_types`, since 1.0.
pub const REMORA_KV_BF16: i32 = 1;
/// Of `enum remora_kv_types`, since 1.0.
pub const REMORA_KV_INT8: i32 = 2;
/// Of `enum remora_kv_types`, since 1.0.
pub const REMORA_KV_F32: i32 = 3;
/// Of `enum remora_want_bits`, since 1.0.
pub const REMORA_WANT_NONE: u32 = 0;
/// Of `enum remora_want_bits`, since 1.0.
pub const REMORA_WANT_LAST: u32 = 1;
/// Of `enum remora_want_bits`, since 1.0.
pub const REMORA_WANT_ALL: u32 = 2;
/// Of `enum remora_want_bits`, since 1.0.
pub const REMORA_WANT_HIDDEN: u32 = 4;
/// Of `enum remora_session_flags`, since 1.0.
pub const REMORA_SESSION_PAGES_AS_NEEDED: u32 = 1;
/// Of `enum remora_session_flags`, since 1.0.
pub const REMORA_SESSION_PREDICTION: u32 = 2;
/// Of `enum remora_eval_flags`, since 1.0.
pub const REMORA_EVAL_AHEAD: u32 = 1;
/// Of `enum remora_drafts`, since 1.0.
pub const REMORA_DRAFTS_AUTO: i32 = 2147483647;
/// Of `enum remora_stage_kinds`, since 1.0.
pub const REMORA_STAGE_TEMPERATURE: i32 = 1;
/// Of `enum remora_stage_kinds`, since 1.0.
pub const REMORA_STAGE_TOP_K: i32 = 2;
/// Of `enum remora_stage_kinds`, since 1.0.
pub const REMORA_STAGE_TOP_P: i32 = 3;
/// Of `enum remora_stage_kinds`, since 1.0.
pub const REMORA_STAGE_MIN_P: i32 = 4;
/// Of `enum remora_stage_kinds`, since 1.0.
pub const REMORA_STAGE_REPEAT: i32 = 5;
/// Of `enum remora_stage_kinds`, since 1.0.
pub const REMORA_STAGE_FREQUENCY: i32 = 6;
/// Of `enum remora_stage_kinds`, since 1.0.
pub const REMORA_STAGE_PRESENCE: i32 = 7;
/// Of `enum remora_stage_kinds`, since 1.0.
pub const REMORA_STAGE_BIAS: i32 = 8;
/// Of `enum remora_stage_kinds`, since 1.0.
pub const REMORA_STAGE_CALLBACK: i32 = 10;
/// Of `enum remora_constraint_kinds`, since 1.0.
pub const REMORA_CONSTRAINT_GBNF: i32 = 1;
/// Of `enum remora_constraint_kinds`, since 1.0.
pub const REMORA_CONSTRAINT_REGEX: i32 = 2;
/// Of `enum remora_constraint_kinds`, since 1.0.
pub const REMORA_CONSTRAINT_CHOICE: i32 = 3;
/// Of `enum remora_constraint_kinds`, since 1.0.
pub const REMORA_CONSTRAINT_LARK: i32 = 5;
/// Of `enum remora_constraint_kinds`, since 1.0.
pub const REMORA_CONSTRAINT_JSON_SCHEMA: i32 = 4;
/// Of `enum remora_schema_flags`, since 1.0.
pub const REMORA_SCHEMA_LAX: u32 = 1;
/// Of `enum remora_answer_flags`, since 1.0.
pub const REMORA_ANSWER_ONE_CALL: u32 = 1;
/// Of `enum remora_answer_flags`, since 1.0.
pub const REMORA_ANSWER_LAX: u32 = 2;
/// Of `enum remora_gen_flags`, since 1.0.
pub const REMORA_GEN_NEW: u32 = 1;
/// Of `enum remora_gen_flags`, since 1.0.
pub const REMORA_GEN_KEEP_STOP: u32 = 2;
/// Of `enum remora_reasons`, since 1.0.
pub const REMORA_REASON_NONE: i32 = 0;
/// Of `enum remora_reasons`, since 1.0.
pub const REMORA_REASON_END_OF_TURN: i32 = 1;
/// Of `enum remora_reasons`, since 1.0.
pub const REMORA_REASON_STOP: i32 = 2;
/// Of `enum remora_reasons`, since 1.0.
pub const REMORA_REASON_MAX_TOKENS: i32 = 3;
/// Of `enum remora_reasons`, since 1.0.
pub const REMORA_REASON_CAPACITY: i32 = 4;
/// A handle of C.
#[repr(C)]
pub struct remora_runtime {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
/// A handle of C.
#[repr(C)]
pub struct remora_model {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
/// A handle of C.
#[repr(C)]
pub struct remora_session {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
/// A handle of C.
#[repr(C)]
pub struct remora_sampler {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
/// A handle of C.
#[repr(C)]
pub struct remora_constraint {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
/// A handle of C.
#[repr(C)]
pub struct remora_chat {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
/// A handle of C.
#[repr(C)]
pub struct remora_chat_parse {
    _private: [u8; 0],
    _not_send: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
}
/// `remora_error`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_error {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `remora_status code`.
    pub code: remora_status,
    /// `int32_t os_code`.
    pub os_code: i32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `char message[240]`.
    pub message: [c_char; 240],
}
impl remora_error {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_error {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_text`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_text {
    /// `const char *ptr`.
    pub ptr: *const c_char,
    /// `uint64_t len`.
    pub len: u64,
}
impl remora_text {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed
    }
}
impl Default for remora_text {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_option`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_option {
    /// `remora_text key`.
    pub key: remora_text,
    /// `remora_text value`.
    pub value: remora_text,
}
impl remora_option {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed
    }
}
impl Default for remora_option {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_runtime_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_runtime_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `void *alloc_user`.
    pub alloc_user: *mut c_void,
    /// a callback.
    pub alloc: Option<unsafe extern "C" fn(user: *mut c_void, size: usize, align: usize) -> *mut c_void>,
    /// a callback.
    pub resize: Option<unsafe extern "C" fn(user: *mut c_void, p: *mut c_void, old_size: usize, size: usize, align: usize) -> *mut c_void>,
    /// a callback.
    pub dealloc: Option<unsafe extern "C" fn(user: *mut c_void, p: *mut c_void, size: usize, align: usize)>,
    /// `void *log_user`.
    pub log_user: *mut c_void,
    /// a callback.
    pub log: Option<unsafe extern "C" fn(user: *mut c_void, level: i32, msg: *const c_char, len: usize)>,
    /// `int32_t log_level`.
    pub log_level: i32,
    /// `int32_t n_threads`.
    pub n_threads: i32,
    /// `void *run_user`.
    pub run_user: *mut c_void,
    /// a callback.
    pub run: Option<unsafe extern "C" fn(user: *mut c_void, n: u32, r#fn: Option<unsafe extern "C" fn(arg: *mut c_void, i: u32)>, arg: *mut c_void)>,
    /// `const remora_option *extra`.
    pub extra: *const remora_option,
    /// `uint64_t n_extra`.
    pub n_extra: u64,
    /// `void *thread_start_user`.
    pub thread_start_user: *mut c_void,
    /// a callback.
    pub thread_start: Option<unsafe extern "C" fn(user: *mut c_void, index: u32)>,
    /// `const char *cuda_module`.
    pub cuda_module: *const c_char,
    /// `void *release_user`.
    pub release_user: *mut c_void,
    /// a callback.
    pub release: Option<unsafe extern "C" fn(user: *mut c_void)>,
}
impl remora_runtime_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_runtime_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_device`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_device {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `int32_t kind`.
    pub kind: i32,
    /// `uint64_t mem_total`.
    pub mem_total: u64,
    /// `uint64_t mem_free`.
    pub mem_free: u64,
    /// `int32_t usable`.
    pub usable: i32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `char id[32]`.
    pub id: [c_char; 32],
    /// `char name[96]`.
    pub name: [c_char; 96],
    /// `char paths[96]`.
    pub paths: [c_char; 96],
    /// `char reason[160]`.
    pub reason: [c_char; 160],
}
impl remora_device {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_device {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_runtime_info`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_runtime_info {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t n_threads`.
    pub n_threads: u32,
    /// `char kernels[32]`.
    pub kernels: [c_char; 32],
    /// `char why[120]`.
    pub why: [c_char; 120],
}
impl remora_runtime_info {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_runtime_info {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_blob`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_blob {
    /// `const char *name`.
    pub name: *const c_char,
    /// `const void *data`.
    pub data: *const c_void,
    /// `uint64_t size`.
    pub size: u64,
}
impl remora_blob {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed
    }
}
impl Default for remora_blob {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_source`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_source {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `int32_t kind`.
    pub kind: i32,
    /// `const char *path`.
    pub path: *const c_char,
    /// `const remora_blob *blobs`.
    pub blobs: *const remora_blob,
    /// `uint64_t n_blobs`.
    pub n_blobs: u64,
    /// `void *io_user`.
    pub io_user: *mut c_void,
    /// a callback.
    pub io_size: Option<unsafe extern "C" fn(user: *mut c_void, name: *const c_char, size: *mut u64) -> remora_status>,
    /// a callback.
    pub io_read: Option<unsafe extern "C" fn(user: *mut c_void, name: *const c_char, off: u64, buf: *mut c_void, n: u64) -> remora_status>,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `void *release_user`.
    pub release_user: *mut c_void,
    /// a callback.
    pub release: Option<unsafe extern "C" fn(user: *mut c_void)>,
}
impl remora_source {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_source {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_model_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_model_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `const char *device`.
    pub device: *const c_char,
    /// `uint64_t host_budget`.
    pub host_budget: u64,
    /// `const int32_t *cancel`.
    pub cancel: *const i32,
    /// `void *progress_user`.
    pub progress_user: *mut c_void,
    /// a callback.
    pub progress: Option<unsafe extern "C" fn(user: *mut c_void, done: u64, total: u64) -> i32>,
    /// `const remora_option *extra`.
    pub extra: *const remora_option,
    /// `uint64_t n_extra`.
    pub n_extra: u64,
    /// `uint64_t device_budget`.
    pub device_budget: u64,
}
impl remora_model_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_model_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_model_info`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_model_info {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t n_layers`.
    pub n_layers: u32,
    /// `uint32_t n_vocab`.
    pub n_vocab: u32,
    /// `uint32_t n_hidden`.
    pub n_hidden: u32,
    /// `uint32_t n_heads`.
    pub n_heads: u32,
    /// `uint32_t kv_lora_rank`.
    pub kv_lora_rank: u32,
    /// `uint32_t rope_dim`.
    pub rope_dim: u32,
    /// `uint32_t n_experts`.
    pub n_experts: u32,
    /// `uint32_t n_experts_used`.
    pub n_experts_used: u32,
    /// `uint32_t n_shared_experts`.
    pub n_shared_experts: u32,
    /// `uint32_t n_dense_layers`.
    pub n_dense_layers: u32,
    /// `uint32_t max_context`.
    pub max_context: u32,
    /// `uint32_t has_tokenizer`.
    pub has_tokenizer: u32,
    /// `uint32_t n_prediction_layers`.
    pub n_prediction_layers: u32,
    /// `uint64_t n_params`.
    pub n_params: u64,
    /// `uint64_t n_params_active`.
    pub n_params_active: u64,
    /// `uint64_t weight_bytes`.
    pub weight_bytes: u64,
    /// `uint8_t fingerprint[32]`.
    pub fingerprint: [u8; 32],
    /// `char family[32]`.
    pub family: [c_char; 32],
    /// `char name[96]`.
    pub name: [c_char; 96],
    /// `uint32_t n_kv_heads`.
    pub n_kv_heads: u32,
    /// `uint32_t head_dim`.
    pub head_dim: u32,
    /// `char device[32]`.
    pub device: [c_char; 32],
}
impl remora_model_info {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_model_info {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_memory`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_memory {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `uint64_t host_weights`.
    pub host_weights: u64,
    /// `uint64_t host_kv`.
    pub host_kv: u64,
    /// `uint64_t host_scratch`.
    pub host_scratch: u64,
    /// `uint64_t host_other`.
    pub host_other: u64,
    /// `uint64_t host_mapped`.
    pub host_mapped: u64,
    /// `uint64_t kv_bytes_per_token`.
    pub kv_bytes_per_token: u64,
    /// `uint64_t device_weights`.
    pub device_weights: u64,
    /// `uint64_t device_kv`.
    pub device_kv: u64,
    /// `uint64_t device_scratch`.
    pub device_scratch: u64,
    /// `uint64_t device_other`.
    pub device_other: u64,
    /// `uint64_t device_context`.
    pub device_context: u64,
}
impl remora_memory {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_memory {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_convert_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_convert_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `const char *recipe`.
    pub recipe: *const c_char,
    /// `const char *importance`.
    pub importance: *const c_char,
    /// `const char *base`.
    pub base: *const c_char,
    /// `int32_t zstd_level`.
    pub zstd_level: i32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `const int32_t *cancel`.
    pub cancel: *const i32,
    /// `void *progress_user`.
    pub progress_user: *mut c_void,
    /// a callback.
    pub progress: Option<unsafe extern "C" fn(user: *mut c_void, done: u64, total: u64) -> i32>,
}
impl remora_convert_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_convert_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_verify_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_verify_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `const int32_t *cancel`.
    pub cancel: *const i32,
    /// `void *progress_user`.
    pub progress_user: *mut c_void,
    /// a callback.
    pub progress: Option<unsafe extern "C" fn(user: *mut c_void, done: u64, total: u64) -> i32>,
}
impl remora_verify_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_verify_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_verify_report`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_verify_report {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `int32_t checksums`.
    pub checksums: i32,
    /// `int32_t self_test`.
    pub self_test: i32,
    /// `int32_t exact`.
    pub exact: i32,
}
impl remora_verify_report {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_verify_report {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_detok`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_detok {
    /// `uint64_t opaque[4]`.
    pub opaque: [u64; 4],
}
impl remora_detok {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed
    }
}
impl Default for remora_detok {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_file`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_file {
    /// `remora_text path`.
    pub path: remora_text,
    /// `remora_text text`.
    pub text: remora_text,
}
impl remora_file {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed
    }
}
impl Default for remora_file {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_fim_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_fim_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `uint64_t max_tokens`.
    pub max_tokens: u64,
    /// `uint32_t prefix_share`.
    pub prefix_share: u32,
    /// `uint32_t suffix_share`.
    pub suffix_share: u32,
    /// `remora_text repo`.
    pub repo: remora_text,
    /// `remora_text path`.
    pub path: remora_text,
    /// `const remora_file *files`.
    pub files: *const remora_file,
    /// `uint64_t n_files`.
    pub n_files: u64,
}
impl remora_fim_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_fim_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_fim_info`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_fim_info {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t is_cut`.
    pub is_cut: u32,
    /// `uint64_t prefix_tokens`.
    pub prefix_tokens: u64,
    /// `uint64_t suffix_tokens`.
    pub suffix_tokens: u64,
    /// `uint64_t n_files`.
    pub n_files: u64,
    /// `uint32_t n_heal`.
    pub n_heal: u32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `char heal[256]`.
    pub heal: [c_char; 256],
}
impl remora_fim_info {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_fim_info {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_chat_format`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_chat_format {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `remora_text begin`.
    pub begin: remora_text,
    /// `remora_text system_open`.
    pub system_open: remora_text,
    /// `remora_text system_close`.
    pub system_close: remora_text,
    /// `remora_text user_open`.
    pub user_open: remora_text,
    /// `remora_text user_close`.
    pub user_close: remora_text,
    /// `remora_text assistant_open`.
    pub assistant_open: remora_text,
    /// `remora_text assistant_close`.
    pub assistant_close: remora_text,
    /// `remora_text generation`.
    pub generation: remora_text,
    /// `remora_text system_text`.
    pub system_text: remora_text,
    /// `remora_text think_open`.
    pub think_open: remora_text,
    /// `remora_text think_close`.
    pub think_close: remora_text,
    /// `const char *tools_of`.
    pub tools_of: *const c_char,
}
impl remora_chat_format {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_chat_format {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_chat_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_chat_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `const char *format`.
    pub format: *const c_char,
    /// `const remora_chat_format *described`.
    pub described: *const remora_chat_format,
    /// `remora_text date`.
    pub date: remora_text,
}
impl remora_chat_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_chat_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_call`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_call {
    /// `remora_text id`.
    pub id: remora_text,
    /// `remora_text name`.
    pub name: remora_text,
    /// `remora_text arguments`.
    pub arguments: remora_text,
}
impl remora_call {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed
    }
}
impl Default for remora_call {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_turn`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_turn {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `int32_t role`.
    pub role: i32,
    /// `remora_text text`.
    pub text: remora_text,
    /// `remora_text name`.
    pub name: remora_text,
    /// `remora_text reasoning`.
    pub reasoning: remora_text,
    /// `remora_text call_id`.
    pub call_id: remora_text,
    /// `const remora_call *calls`.
    pub calls: *const remora_call,
    /// `uint64_t n_calls`.
    pub n_calls: u64,
}
impl remora_turn {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_turn {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_prompt_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_prompt_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `int32_t think`.
    pub think: i32,
    /// `uint32_t effort`.
    pub effort: u32,
    /// `int32_t choice`.
    pub choice: i32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `remora_text tool`.
    pub tool: remora_text,
    /// `remora_text schema`.
    pub schema: remora_text,
}
impl remora_prompt_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_prompt_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_prompt_info`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_prompt_info {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `int32_t begin`.
    pub begin: i32,
    /// `uint32_t calls`.
    pub calls: u32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `uint64_t text_bytes`.
    pub text_bytes: u64,
}
impl remora_prompt_info {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_prompt_info {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_chat_info`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_chat_info {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t n_turns`.
    pub n_turns: u32,
    /// `uint32_t n_tools`.
    pub n_tools: u32,
    /// `uint32_t thinks`.
    pub thinks: u32,
    /// `uint32_t has_calls`.
    pub has_calls: u32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `char format[32]`.
    pub format: [c_char; 32],
}
impl remora_chat_info {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_chat_info {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_chat_parse_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_chat_parse_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `const char *format`.
    pub format: *const c_char,
    /// `int32_t begin`.
    pub begin: i32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `const remora_chat *chat`.
    pub chat: *const remora_chat,
}
impl remora_chat_parse_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_chat_parse_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_chat_event`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_chat_event {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `int32_t kind`.
    pub kind: i32,
    /// `uint32_t call`.
    pub call: u32,
    /// `int32_t finish`.
    pub finish: i32,
    /// `remora_text text`.
    pub text: remora_text,
    /// `remora_text id`.
    pub id: remora_text,
}
impl remora_chat_event {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_chat_event {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_chat_parse_info`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_chat_parse_info {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `int32_t place`.
    pub place: i32,
    /// `uint32_t n_calls`.
    pub n_calls: u32,
    /// `uint32_t broken`.
    pub broken: u32,
    /// `uint64_t bytes`.
    pub bytes: u64,
    /// `uint64_t reasoning`.
    pub reasoning: u64,
    /// `uint64_t content`.
    pub content: u64,
    /// `uint64_t calls`.
    pub calls: u64,
    /// `uint64_t rest`.
    pub rest: u64,
    /// `uint64_t markup`.
    pub markup: u64,
    /// `uint64_t held`.
    pub held: u64,
}
impl remora_chat_parse_info {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_chat_parse_info {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_session_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_session_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `uint32_t capacity`.
    pub capacity: u32,
    /// `uint32_t chunk`.
    pub chunk: u32,
    /// `int32_t kv_type`.
    pub kv_type: i32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `const remora_option *extra`.
    pub extra: *const remora_option,
    /// `uint64_t n_extra`.
    pub n_extra: u64,
}
impl remora_session_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_session_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_session_info`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_session_info {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t capacity`.
    pub capacity: u32,
    /// `uint64_t committed`.
    pub committed: u64,
    /// `uint64_t pending`.
    pub pending: u64,
    /// `uint64_t kv_bytes`.
    pub kv_bytes: u64,
    /// `uint64_t kv_bytes_shared`.
    pub kv_bytes_shared: u64,
    /// `uint32_t n_rows`.
    pub n_rows: u32,
    /// `int32_t state`.
    pub state: i32,
    /// `uint64_t kv_bytes_kept`.
    pub kv_bytes_kept: u64,
}
impl remora_session_info {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_session_info {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_eval_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_eval_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `int64_t budget_us`.
    pub budget_us: i64,
    /// `uint64_t max_tokens`.
    pub max_tokens: u64,
    /// `const int32_t *cancel`.
    pub cancel: *const i32,
    /// `uint32_t max_drafts`.
    pub max_drafts: u32,
    /// `uint32_t reserved`.
    pub reserved: u32,
}
impl remora_eval_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_eval_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_token_prob`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_token_prob {
    /// `remora_token token`.
    pub token: remora_token,
    /// `float logit`.
    pub logit: f32,
    /// `float logprob`.
    pub logprob: f32,
}
impl remora_token_prob {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed
    }
}
impl Default for remora_token_prob {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_stage`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_stage {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `int32_t kind`.
    pub kind: i32,
    /// `double value`.
    pub value: f64,
    /// `int64_t count`.
    pub count: i64,
    /// `void *user`.
    pub user: *mut c_void,
    /// a callback.
    pub r#fn: Option<unsafe extern "C" fn(user: *mut c_void, cand: *mut remora_token_prob, n: *mut usize) -> remora_status>,
    /// a callback.
    pub release: Option<unsafe extern "C" fn(user: *mut c_void)>,
}
impl remora_stage {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_stage {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_constraint_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_constraint_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `int32_t kind`.
    pub kind: i32,
    /// `remora_text source`.
    pub source: remora_text,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `const remora_text *choices`.
    pub choices: *const remora_text,
    /// `uint64_t n_choices`.
    pub n_choices: u64,
    /// `uint64_t memory`.
    pub memory: u64,
    /// `uint64_t steps`.
    pub steps: u64,
}
impl remora_constraint_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_constraint_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_answer_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_answer_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `uint64_t memory`.
    pub memory: u64,
    /// `uint64_t steps`.
    pub steps: u64,
}
impl remora_answer_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_answer_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_gen_opts`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_gen_opts {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t flags`.
    pub flags: u32,
    /// `int64_t budget_us`.
    pub budget_us: i64,
    /// `uint64_t max_tokens`.
    pub max_tokens: u64,
    /// `const remora_text *stop`.
    pub stop: *const remora_text,
    /// `uint64_t n_stop`.
    pub n_stop: u64,
    /// `const int32_t *cancel`.
    pub cancel: *const i32,
    /// `remora_token_prob *probs`.
    pub probs: *mut remora_token_prob,
    /// `uint32_t n_best`.
    pub n_best: u32,
    /// `uint32_t max_drafts`.
    pub max_drafts: u32,
}
impl remora_gen_opts {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_gen_opts {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_generation_info`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_generation_info {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `int32_t reason`.
    pub reason: i32,
    /// `uint32_t stop`.
    pub stop: u32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `uint64_t n_tokens`.
    pub n_tokens: u64,
    /// `uint64_t text_bytes`.
    pub text_bytes: u64,
}
impl remora_generation_info {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_generation_info {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_stats`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_stats {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `uint64_t prefill_tokens`.
    pub prefill_tokens: u64,
    /// `uint64_t prefill_us`.
    pub prefill_us: u64,
    /// `uint64_t decode_tokens`.
    pub decode_tokens: u64,
    /// `uint64_t decode_us`.
    pub decode_us: u64,
    /// `uint64_t sample_us`.
    pub sample_us: u64,
    /// `uint64_t reused_tokens`.
    pub reused_tokens: u64,
    /// `uint64_t longest_slice_us`.
    pub longest_slice_us: u64,
    /// `uint64_t drafts`.
    pub drafts: u64,
    /// `uint64_t drafts_used`.
    pub drafts_used: u64,
}
impl remora_stats {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_stats {
    fn default() -> Self {
        Self::new()
    }
}
/// `remora_importance`, since 1.0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct remora_importance {
    /// `uint32_t struct_size`.
    pub struct_size: u32,
    /// `uint32_t n_matrices`.
    pub n_matrices: u32,
    /// `uint32_t n_cols`.
    pub n_cols: u32,
    /// `uint32_t reserved`.
    pub reserved: u32,
    /// `char name[96]`.
    pub name: [c_char; 96],
}
impl remora_importance {
    /// All 0, `struct_size` set where there is one.
    pub fn new() -> Self {
        // Numbers, pointers, optional functions and arrays of them may be 0.
        let mut zeroed: Self = unsafe { std::mem::zeroed() };
        zeroed.struct_size = std::mem::size_of::<Self>() as u32;
        zeroed
    }
}
impl Default for remora_importance {
    fn default() -> Self {
        Self::new()
    }
}
extern "C" {
    /// `remora_abi_check`, since 1.0.
    pub fn remora_abi_check(header_version: u32) -> remora_status;
    /// `remora_build_info`, since 1.0.
    pub fn remora_build_info() -> *const c_char;
    /// `remora_chat_add`, since 1.0.
    pub fn remora_chat_add(c: *mut remora_chat, turn: *const remora_turn, err: *mut remora_error) -> remora_status;
    /// `remora_chat_add_json`, since 1.0.
    pub fn remora_chat_add_json(c: *mut remora_chat, json: *const c_char, len: usize, err: *mut remora_error) -> remora_status;
    /// `remora_chat_add_tool`, since 1.0.
    pub fn remora_chat_add_tool(c: *mut remora_chat, json: *const c_char, len: usize, err: *mut remora_error) -> remora_status;
    /// `remora_chat_constraint`, since 1.0.
    pub fn remora_chat_constraint(c: *const remora_chat, prompt: *const remora_prompt_opts, o: *const remora_answer_opts, out: *mut *mut remora_constraint, err: *mut remora_error) -> remora_status;
    /// `remora_chat_create`, since 1.0.
    pub fn remora_chat_create(m: *mut remora_model, o: *const remora_chat_opts, out: *mut *mut remora_chat, err: *mut remora_error) -> remora_status;
    /// `remora_chat_format_name`, since 1.0.
    pub fn remora_chat_format_name(i: u32, name: *mut *const c_char, err: *mut remora_error) -> remora_status;
    /// `remora_chat_free`, since 1.0.
    pub fn remora_chat_free(c: *mut remora_chat);
    /// `remora_chat_get_info`, since 1.0.
    pub fn remora_chat_get_info(c: *const remora_chat, out: *mut remora_chat_info, err: *mut remora_error) -> remora_status;
    /// `remora_chat_parse_clone`, since 1.0.
    pub fn remora_chat_parse_clone(p: *const remora_chat_parse, out: *mut *mut remora_chat_parse, err: *mut remora_error) -> remora_status;
    /// `remora_chat_parse_copy`, since 1.0.
    pub fn remora_chat_parse_copy(to: *mut remora_chat_parse, from: *const remora_chat_parse, err: *mut remora_error) -> remora_status;
    /// `remora_chat_parse_create`, since 1.0.
    pub fn remora_chat_parse_create(m: *mut remora_model, o: *const remora_chat_parse_opts, out: *mut *mut remora_chat_parse, err: *mut remora_error) -> remora_status;
    /// `remora_chat_parse_end`, since 1.0.
    pub fn remora_chat_parse_end(p: *mut remora_chat_parse, cut: i32, event: *mut remora_chat_event, err: *mut remora_error) -> remora_status;
    /// `remora_chat_parse_free`, since 1.0.
    pub fn remora_chat_parse_free(p: *mut remora_chat_parse);
    /// `remora_chat_parse_get_info`, since 1.0.
    pub fn remora_chat_parse_get_info(p: *const remora_chat_parse, out: *mut remora_chat_parse_info, err: *mut remora_error) -> remora_status;
    /// `remora_chat_parse_next`, since 1.0.
    pub fn remora_chat_parse_next(p: *mut remora_chat_parse, t: *const remora_token, n: usize, used: *mut usize, event: *mut remora_chat_event, err: *mut remora_error) -> remora_status;
    /// `remora_chat_parse_text`, since 1.0.
    pub fn remora_chat_parse_text(p: *mut remora_chat_parse, text: *const c_char, len: usize, used: *mut usize, event: *mut remora_chat_event, err: *mut remora_error) -> remora_status;
    /// `remora_chat_prompt`, since 1.0.
    pub fn remora_chat_prompt(c: *const remora_chat, o: *const remora_prompt_opts, out: *mut remora_token, cap: usize, n: *mut usize, info: *mut remora_prompt_info, err: *mut remora_error) -> remora_status;
    /// `remora_chat_trim`, since 1.0.
    pub fn remora_chat_trim(c: *mut remora_chat, keep: u64, err: *mut remora_error) -> remora_status;
    /// `remora_constraint_create`, since 1.0.
    pub fn remora_constraint_create(m: *mut remora_model, opts: *const remora_constraint_opts, out: *mut *mut remora_constraint, err: *mut remora_error) -> remora_status;
    /// `remora_constraint_free`, since 1.0.
    pub fn remora_constraint_free(c: *mut remora_constraint);
    /// `remora_convert`, since 1.0.
    pub fn remora_convert(rt: *mut remora_runtime, src: *const remora_source, path: *const c_char, opts: *const remora_convert_opts, err: *mut remora_error) -> remora_status;
    /// `remora_detok_flush`, since 1.0.
    pub fn remora_detok_flush(m: *const remora_model, st: *mut remora_detok, buf: *mut c_char, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_detok_push`, since 1.0.
    pub fn remora_detok_push(m: *const remora_model, st: *mut remora_detok, t: *const remora_token, nt: usize, buf: *mut c_char, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_device_count`, since 1.0.
    pub fn remora_device_count(rt: *const remora_runtime) -> u32;
    /// `remora_device_get`, since 1.0.
    pub fn remora_device_get(rt: *const remora_runtime, i: u32, out: *mut remora_device, err: *mut remora_error) -> remora_status;
    /// `remora_end_tokens`, since 1.0.
    pub fn remora_end_tokens(m: *const remora_model, out: *mut remora_token, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_eval`, since 1.0.
    pub fn remora_eval(s: *const *mut remora_session, n: usize, o: *const remora_eval_opts, err: *mut remora_error) -> remora_status;
    /// `remora_fim`, since 1.0.
    pub fn remora_fim(m: *const remora_model, prefix: *const c_char, n_prefix: usize, suffix: *const c_char, n_suffix: usize, o: *const remora_fim_opts, out: *mut remora_token, cap: usize, n: *mut usize, info: *mut remora_fim_info, err: *mut remora_error) -> remora_status;
    /// `remora_fim_stop`, since 1.0.
    pub fn remora_fim_stop(m: *const remora_model, i: u32, out: *mut remora_text, err: *mut remora_error) -> remora_status;
    /// `remora_generate`, since 1.0.
    pub fn remora_generate(s: *mut remora_session, p: *mut remora_sampler, o: *const remora_gen_opts, out: *mut remora_token, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_generate_text`, since 1.0.
    pub fn remora_generate_text(s: *mut remora_session, p: *mut remora_sampler, o: *const remora_gen_opts, text: *mut c_char, cap: usize, n: *mut usize, tokens: *mut remora_token, cap_tokens: usize, n_tokens: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_importance_get`, since 1.0.
    pub fn remora_importance_get(m: *const remora_model, i: u32, out: *mut remora_importance, err: *mut remora_error) -> remora_status;
    /// `remora_importance_read`, since 1.0.
    pub fn remora_importance_read(m: *const remora_model, i: u32, matrix: u32, count: *mut u64, sums: *mut f64, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_model_estimate`, since 1.0.
    pub fn remora_model_estimate(rt: *mut remora_runtime, src: *const remora_source, opts: *const remora_model_opts, sopts: *const remora_session_opts, n_sessions: u32, out: *mut remora_memory, err: *mut remora_error) -> remora_status;
    /// `remora_model_free`, since 1.0.
    pub fn remora_model_free(m: *mut remora_model);
    /// `remora_model_get_info`, since 1.0.
    pub fn remora_model_get_info(m: *const remora_model, out: *mut remora_model_info, err: *mut remora_error) -> remora_status;
    /// `remora_model_get_memory`, since 1.0.
    pub fn remora_model_get_memory(m: *const remora_model, out: *mut remora_memory, err: *mut remora_error) -> remora_status;
    /// `remora_model_meta`, since 1.0.
    pub fn remora_model_meta(m: *const remora_model, key: *const c_char, buf: *mut c_char, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_model_meta_key`, since 1.0.
    pub fn remora_model_meta_key(m: *const remora_model, i: u32, buf: *mut c_char, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_model_open`, since 1.0.
    pub fn remora_model_open(rt: *mut remora_runtime, src: *const remora_source, opts: *const remora_model_opts, out: *mut *mut remora_model, err: *mut remora_error) -> remora_status;
    /// `remora_model_runtime`, since 1.0.
    pub fn remora_model_runtime(m: *const remora_model) -> *mut remora_runtime;
    /// `remora_model_set_budget`, since 1.0.
    pub fn remora_model_set_budget(m: *mut remora_model, host: u64, device: u64, err: *mut remora_error) -> remora_status;
    /// `remora_recipe_get`, since 1.0.
    pub fn remora_recipe_get(i: u32, name: *mut *const c_char, yaml: *mut *const c_char, err: *mut remora_error) -> remora_status;
    /// `remora_routing_enable`, since 1.0.
    pub fn remora_routing_enable(m: *mut remora_model, on: i32, err: *mut remora_error) -> remora_status;
    /// `remora_routing_read`, since 1.0.
    pub fn remora_routing_read(m: *mut remora_model, layer: u32, reset: i32, counts: *mut u64, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_runtime_create`, since 1.0.
    pub fn remora_runtime_create(opts: *const remora_runtime_opts, out: *mut *mut remora_runtime, err: *mut remora_error) -> remora_status;
    /// `remora_runtime_free`, since 1.0.
    pub fn remora_runtime_free(rt: *mut remora_runtime);
    /// `remora_runtime_get_info`, since 1.0.
    pub fn remora_runtime_get_info(rt: *const remora_runtime, out: *mut remora_runtime_info, err: *mut remora_error) -> remora_status;
    /// `remora_sampler_accept`, since 1.0.
    pub fn remora_sampler_accept(p: *mut remora_sampler, t: remora_token, err: *mut remora_error) -> remora_status;
    /// `remora_sampler_add`, since 1.0.
    pub fn remora_sampler_add(p: *mut remora_sampler, stage: *const remora_stage, err: *mut remora_error) -> remora_status;
    /// `remora_sampler_clone`, since 1.0.
    pub fn remora_sampler_clone(p: *const remora_sampler, out: *mut *mut remora_sampler, err: *mut remora_error) -> remora_status;
    /// `remora_sampler_constrain`, since 1.0.
    pub fn remora_sampler_constrain(p: *mut remora_sampler, c: *mut remora_constraint, err: *mut remora_error) -> remora_status;
    /// `remora_sampler_create`, since 1.0.
    pub fn remora_sampler_create(m: *mut remora_model, seed: u64, out: *mut *mut remora_sampler, err: *mut remora_error) -> remora_status;
    /// `remora_sampler_free`, since 1.0.
    pub fn remora_sampler_free(p: *mut remora_sampler);
    /// `remora_sampler_pick`, since 1.0.
    pub fn remora_sampler_pick(p: *mut remora_sampler, s: *const remora_session, row: u32, out: *mut remora_token, err: *mut remora_error) -> remora_status;
    /// `remora_sampler_pick_from`, since 1.0.
    pub fn remora_sampler_pick_from(p: *mut remora_sampler, logits: *const f32, n: usize, out: *mut remora_token, err: *mut remora_error) -> remora_status;
    /// `remora_sampler_reset`, since 1.0.
    pub fn remora_sampler_reset(p: *mut remora_sampler, seed: u64);
    /// `remora_sampler_rollback`, since 1.0.
    pub fn remora_sampler_rollback(p: *mut remora_sampler, n: u64, err: *mut remora_error) -> remora_status;
    /// `remora_sampler_spell`, since 1.0.
    pub fn remora_sampler_spell(p: *mut remora_sampler, text: *const c_char, len: usize, err: *mut remora_error) -> remora_status;
    /// `remora_session_append`, since 1.0.
    pub fn remora_session_append(s: *mut remora_session, t: *const remora_token, n: usize, want: u32, err: *mut remora_error) -> remora_status;
    /// `remora_session_create`, since 1.0.
    pub fn remora_session_create(m: *mut remora_model, o: *const remora_session_opts, out: *mut *mut remora_session, err: *mut remora_error) -> remora_status;
    /// `remora_session_fork`, since 1.0.
    pub fn remora_session_fork(s: *mut remora_session, out: *mut *mut remora_session, err: *mut remora_error) -> remora_status;
    /// `remora_session_free`, since 1.0.
    pub fn remora_session_free(s: *mut remora_session);
    /// `remora_session_get_generation`, since 1.0.
    pub fn remora_session_get_generation(s: *const remora_session, out: *mut remora_generation_info, err: *mut remora_error) -> remora_status;
    /// `remora_session_get_info`, since 1.0.
    pub fn remora_session_get_info(s: *const remora_session, out: *mut remora_session_info, err: *mut remora_error) -> remora_status;
    /// `remora_session_get_options`, since 1.0.
    pub fn remora_session_get_options(s: *const remora_session, out: *mut remora_session_opts, err: *mut remora_error) -> remora_status;
    /// `remora_session_get_stats`, since 1.0.
    pub fn remora_session_get_stats(s: *const remora_session, out: *mut remora_stats, err: *mut remora_error) -> remora_status;
    /// `remora_session_hidden`, since 1.0.
    pub fn remora_session_hidden(s: *const remora_session, row: u32, out: *mut f32, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_session_logits`, since 1.0.
    pub fn remora_session_logits(s: *const remora_session, row: u32, out: *mut *const f32, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_session_logprob`, since 1.0.
    pub fn remora_session_logprob(s: *const remora_session, row: u32, t: remora_token, out: *mut f32, err: *mut remora_error) -> remora_status;
    /// `remora_session_model`, since 1.0.
    pub fn remora_session_model(s: *const remora_session) -> *mut remora_model;
    /// `remora_session_sync`, since 1.0.
    pub fn remora_session_sync(s: *mut remora_session, t: *const remora_token, n: usize, want: u32, reused: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_session_tokens`, since 1.0.
    pub fn remora_session_tokens(s: *const remora_session, from: u64, out: *mut remora_token, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_session_top`, since 1.0.
    pub fn remora_session_top(s: *const remora_session, row: u32, out: *mut remora_token_prob, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_session_trim`, since 1.0.
    pub fn remora_session_trim(s: *mut remora_session, keep: u64, err: *mut remora_error) -> remora_status;
    /// `remora_status_name`, since 1.0.
    pub fn remora_status_name(s: remora_status) -> *const c_char;
    /// `remora_token_bytes`, since 1.0.
    pub fn remora_token_bytes(m: *const remora_model, t: remora_token, buf: *mut c_char, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_token_flags`, since 1.0.
    pub fn remora_token_flags(m: *const remora_model, t: remora_token) -> u32;
    /// `remora_token_special`, since 1.0.
    pub fn remora_token_special(m: *const remora_model, which: i32) -> remora_token;
    /// `remora_tokenize`, since 1.0.
    pub fn remora_tokenize(m: *const remora_model, text: *const c_char, len: usize, flags: u32, out: *mut remora_token, cap: usize, n: *mut usize, err: *mut remora_error) -> remora_status;
    /// `remora_verify`, since 1.0.
    pub fn remora_verify(rt: *mut remora_runtime, src: *const remora_source, opts: *const remora_verify_opts, out: *mut remora_verify_report, err: *mut remora_error) -> remora_status;
    /// `remora_version`, since 1.0.
    pub fn remora_version() -> u32;
    /// `remora_version_string`, since 1.0.
    pub fn remora_version_string() -> *const c_char;
}
#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;
    use std::mem::{align_of, size_of};
    use std::ptr::addr_of;
    #[test]
    fn layout_of_remora_error() {
        let x = remora_error::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_error>(), align_of::<remora_error>()), (256, 4));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.code) as usize - at, 4);
        assert_eq!(addr_of!(x.os_code) as usize - at, 8);
        assert_eq!(addr_of!(x.reserved) as usize - at, 12);
        assert_eq!(addr_of!(x.message) as usize - at, 16);
    }
    #[test]
    fn layout_of_remora_text() {
        let x = remora_text::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_text>(), align_of::<remora_text>()), (16, 8));
        assert_eq!(addr_of!(x.ptr) as usize - at, 0);
        assert_eq!(addr_of!(x.len) as usize - at, 8);
    }
    #[test]
    fn layout_of_remora_option() {
        let x = remora_option::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_option>(), align_of::<remora_option>()), (32, 8));
        assert_eq!(addr_of!(x.key) as usize - at, 0);
        assert_eq!(addr_of!(x.value) as usize - at, 16);
    }
    #[test]
    fn layout_of_remora_runtime_opts() {
        let x = remora_runtime_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_runtime_opts>(), align_of::<remora_runtime_opts>()), (136, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.alloc_user) as usize - at, 8);
        assert_eq!(addr_of!(x.alloc) as usize - at, 16);
        assert_eq!(addr_of!(x.resize) as usize - at, 24);
        assert_eq!(addr_of!(x.dealloc) as usize - at, 32);
        assert_eq!(addr_of!(x.log_user) as usize - at, 40);
        assert_eq!(addr_of!(x.log) as usize - at, 48);
        assert_eq!(addr_of!(x.log_level) as usize - at, 56);
        assert_eq!(addr_of!(x.n_threads) as usize - at, 60);
        assert_eq!(addr_of!(x.run_user) as usize - at, 64);
        assert_eq!(addr_of!(x.run) as usize - at, 72);
        assert_eq!(addr_of!(x.extra) as usize - at, 80);
        assert_eq!(addr_of!(x.n_extra) as usize - at, 88);
        assert_eq!(addr_of!(x.thread_start_user) as usize - at, 96);
        assert_eq!(addr_of!(x.thread_start) as usize - at, 104);
        assert_eq!(addr_of!(x.cuda_module) as usize - at, 112);
        assert_eq!(addr_of!(x.release_user) as usize - at, 120);
        assert_eq!(addr_of!(x.release) as usize - at, 128);
    }
    #[test]
    fn layout_of_remora_device() {
        let x = remora_device::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_device>(), align_of::<remora_device>()), (416, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.kind) as usize - at, 4);
        assert_eq!(addr_of!(x.mem_total) as usize - at, 8);
        assert_eq!(addr_of!(x.mem_free) as usize - at, 16);
        assert_eq!(addr_of!(x.usable) as usize - at, 24);
        assert_eq!(addr_of!(x.reserved) as usize - at, 28);
        assert_eq!(addr_of!(x.id) as usize - at, 32);
        assert_eq!(addr_of!(x.name) as usize - at, 64);
        assert_eq!(addr_of!(x.paths) as usize - at, 160);
        assert_eq!(addr_of!(x.reason) as usize - at, 256);
    }
    #[test]
    fn layout_of_remora_runtime_info() {
        let x = remora_runtime_info::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_runtime_info>(), align_of::<remora_runtime_info>()), (160, 4));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.n_threads) as usize - at, 4);
        assert_eq!(addr_of!(x.kernels) as usize - at, 8);
        assert_eq!(addr_of!(x.why) as usize - at, 40);
    }
    #[test]
    fn layout_of_remora_blob() {
        let x = remora_blob::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_blob>(), align_of::<remora_blob>()), (24, 8));
        assert_eq!(addr_of!(x.name) as usize - at, 0);
        assert_eq!(addr_of!(x.data) as usize - at, 8);
        assert_eq!(addr_of!(x.size) as usize - at, 16);
    }
    #[test]
    fn layout_of_remora_source() {
        let x = remora_source::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_source>(), align_of::<remora_source>()), (80, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.kind) as usize - at, 4);
        assert_eq!(addr_of!(x.path) as usize - at, 8);
        assert_eq!(addr_of!(x.blobs) as usize - at, 16);
        assert_eq!(addr_of!(x.n_blobs) as usize - at, 24);
        assert_eq!(addr_of!(x.io_user) as usize - at, 32);
        assert_eq!(addr_of!(x.io_size) as usize - at, 40);
        assert_eq!(addr_of!(x.io_read) as usize - at, 48);
        assert_eq!(addr_of!(x.flags) as usize - at, 56);
        assert_eq!(addr_of!(x.reserved) as usize - at, 60);
        assert_eq!(addr_of!(x.release_user) as usize - at, 64);
        assert_eq!(addr_of!(x.release) as usize - at, 72);
    }
    #[test]
    fn layout_of_remora_model_opts() {
        let x = remora_model_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_model_opts>(), align_of::<remora_model_opts>()), (72, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.device) as usize - at, 8);
        assert_eq!(addr_of!(x.host_budget) as usize - at, 16);
        assert_eq!(addr_of!(x.cancel) as usize - at, 24);
        assert_eq!(addr_of!(x.progress_user) as usize - at, 32);
        assert_eq!(addr_of!(x.progress) as usize - at, 40);
        assert_eq!(addr_of!(x.extra) as usize - at, 48);
        assert_eq!(addr_of!(x.n_extra) as usize - at, 56);
        assert_eq!(addr_of!(x.device_budget) as usize - at, 64);
    }
    #[test]
    fn layout_of_remora_model_info() {
        let x = remora_model_info::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_model_info>(), align_of::<remora_model_info>()), (280, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.n_layers) as usize - at, 4);
        assert_eq!(addr_of!(x.n_vocab) as usize - at, 8);
        assert_eq!(addr_of!(x.n_hidden) as usize - at, 12);
        assert_eq!(addr_of!(x.n_heads) as usize - at, 16);
        assert_eq!(addr_of!(x.kv_lora_rank) as usize - at, 20);
        assert_eq!(addr_of!(x.rope_dim) as usize - at, 24);
        assert_eq!(addr_of!(x.n_experts) as usize - at, 28);
        assert_eq!(addr_of!(x.n_experts_used) as usize - at, 32);
        assert_eq!(addr_of!(x.n_shared_experts) as usize - at, 36);
        assert_eq!(addr_of!(x.n_dense_layers) as usize - at, 40);
        assert_eq!(addr_of!(x.max_context) as usize - at, 44);
        assert_eq!(addr_of!(x.has_tokenizer) as usize - at, 48);
        assert_eq!(addr_of!(x.n_prediction_layers) as usize - at, 52);
        assert_eq!(addr_of!(x.n_params) as usize - at, 56);
        assert_eq!(addr_of!(x.n_params_active) as usize - at, 64);
        assert_eq!(addr_of!(x.weight_bytes) as usize - at, 72);
        assert_eq!(addr_of!(x.fingerprint) as usize - at, 80);
        assert_eq!(addr_of!(x.family) as usize - at, 112);
        assert_eq!(addr_of!(x.name) as usize - at, 144);
        assert_eq!(addr_of!(x.n_kv_heads) as usize - at, 240);
        assert_eq!(addr_of!(x.head_dim) as usize - at, 244);
        assert_eq!(addr_of!(x.device) as usize - at, 248);
    }
    #[test]
    fn layout_of_remora_memory() {
        let x = remora_memory::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_memory>(), align_of::<remora_memory>()), (96, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.reserved) as usize - at, 4);
        assert_eq!(addr_of!(x.host_weights) as usize - at, 8);
        assert_eq!(addr_of!(x.host_kv) as usize - at, 16);
        assert_eq!(addr_of!(x.host_scratch) as usize - at, 24);
        assert_eq!(addr_of!(x.host_other) as usize - at, 32);
        assert_eq!(addr_of!(x.host_mapped) as usize - at, 40);
        assert_eq!(addr_of!(x.kv_bytes_per_token) as usize - at, 48);
        assert_eq!(addr_of!(x.device_weights) as usize - at, 56);
        assert_eq!(addr_of!(x.device_kv) as usize - at, 64);
        assert_eq!(addr_of!(x.device_scratch) as usize - at, 72);
        assert_eq!(addr_of!(x.device_other) as usize - at, 80);
        assert_eq!(addr_of!(x.device_context) as usize - at, 88);
    }
    #[test]
    fn layout_of_remora_convert_opts() {
        let x = remora_convert_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_convert_opts>(), align_of::<remora_convert_opts>()), (64, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.recipe) as usize - at, 8);
        assert_eq!(addr_of!(x.importance) as usize - at, 16);
        assert_eq!(addr_of!(x.base) as usize - at, 24);
        assert_eq!(addr_of!(x.zstd_level) as usize - at, 32);
        assert_eq!(addr_of!(x.reserved) as usize - at, 36);
        assert_eq!(addr_of!(x.cancel) as usize - at, 40);
        assert_eq!(addr_of!(x.progress_user) as usize - at, 48);
        assert_eq!(addr_of!(x.progress) as usize - at, 56);
    }
    #[test]
    fn layout_of_remora_verify_opts() {
        let x = remora_verify_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_verify_opts>(), align_of::<remora_verify_opts>()), (32, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.cancel) as usize - at, 8);
        assert_eq!(addr_of!(x.progress_user) as usize - at, 16);
        assert_eq!(addr_of!(x.progress) as usize - at, 24);
    }
    #[test]
    fn layout_of_remora_verify_report() {
        let x = remora_verify_report::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_verify_report>(), align_of::<remora_verify_report>()), (16, 4));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.checksums) as usize - at, 4);
        assert_eq!(addr_of!(x.self_test) as usize - at, 8);
        assert_eq!(addr_of!(x.exact) as usize - at, 12);
    }
    #[test]
    fn layout_of_remora_detok() {
        let x = remora_detok::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_detok>(), align_of::<remora_detok>()), (32, 8));
        assert_eq!(addr_of!(x.opaque) as usize - at, 0);
    }
    #[test]
    fn layout_of_remora_file() {
        let x = remora_file::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_file>(), align_of::<remora_file>()), (32, 8));
        assert_eq!(addr_of!(x.path) as usize - at, 0);
        assert_eq!(addr_of!(x.text) as usize - at, 16);
    }
    #[test]
    fn layout_of_remora_fim_opts() {
        let x = remora_fim_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_fim_opts>(), align_of::<remora_fim_opts>()), (72, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.max_tokens) as usize - at, 8);
        assert_eq!(addr_of!(x.prefix_share) as usize - at, 16);
        assert_eq!(addr_of!(x.suffix_share) as usize - at, 20);
        assert_eq!(addr_of!(x.repo) as usize - at, 24);
        assert_eq!(addr_of!(x.path) as usize - at, 40);
        assert_eq!(addr_of!(x.files) as usize - at, 56);
        assert_eq!(addr_of!(x.n_files) as usize - at, 64);
    }
    #[test]
    fn layout_of_remora_fim_info() {
        let x = remora_fim_info::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_fim_info>(), align_of::<remora_fim_info>()), (296, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.is_cut) as usize - at, 4);
        assert_eq!(addr_of!(x.prefix_tokens) as usize - at, 8);
        assert_eq!(addr_of!(x.suffix_tokens) as usize - at, 16);
        assert_eq!(addr_of!(x.n_files) as usize - at, 24);
        assert_eq!(addr_of!(x.n_heal) as usize - at, 32);
        assert_eq!(addr_of!(x.reserved) as usize - at, 36);
        assert_eq!(addr_of!(x.heal) as usize - at, 40);
    }
    #[test]
    fn layout_of_remora_chat_format() {
        let x = remora_chat_format::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_chat_format>(), align_of::<remora_chat_format>()), (192, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.begin) as usize - at, 8);
        assert_eq!(addr_of!(x.system_open) as usize - at, 24);
        assert_eq!(addr_of!(x.system_close) as usize - at, 40);
        assert_eq!(addr_of!(x.user_open) as usize - at, 56);
        assert_eq!(addr_of!(x.user_close) as usize - at, 72);
        assert_eq!(addr_of!(x.assistant_open) as usize - at, 88);
        assert_eq!(addr_of!(x.assistant_close) as usize - at, 104);
        assert_eq!(addr_of!(x.generation) as usize - at, 120);
        assert_eq!(addr_of!(x.system_text) as usize - at, 136);
        assert_eq!(addr_of!(x.think_open) as usize - at, 152);
        assert_eq!(addr_of!(x.think_close) as usize - at, 168);
        assert_eq!(addr_of!(x.tools_of) as usize - at, 184);
    }
    #[test]
    fn layout_of_remora_chat_opts() {
        let x = remora_chat_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_chat_opts>(), align_of::<remora_chat_opts>()), (40, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.format) as usize - at, 8);
        assert_eq!(addr_of!(x.described) as usize - at, 16);
        assert_eq!(addr_of!(x.date) as usize - at, 24);
    }
    #[test]
    fn layout_of_remora_call() {
        let x = remora_call::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_call>(), align_of::<remora_call>()), (48, 8));
        assert_eq!(addr_of!(x.id) as usize - at, 0);
        assert_eq!(addr_of!(x.name) as usize - at, 16);
        assert_eq!(addr_of!(x.arguments) as usize - at, 32);
    }
    #[test]
    fn layout_of_remora_turn() {
        let x = remora_turn::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_turn>(), align_of::<remora_turn>()), (88, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.role) as usize - at, 4);
        assert_eq!(addr_of!(x.text) as usize - at, 8);
        assert_eq!(addr_of!(x.name) as usize - at, 24);
        assert_eq!(addr_of!(x.reasoning) as usize - at, 40);
        assert_eq!(addr_of!(x.call_id) as usize - at, 56);
        assert_eq!(addr_of!(x.calls) as usize - at, 72);
        assert_eq!(addr_of!(x.n_calls) as usize - at, 80);
    }
    #[test]
    fn layout_of_remora_prompt_opts() {
        let x = remora_prompt_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_prompt_opts>(), align_of::<remora_prompt_opts>()), (56, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.think) as usize - at, 8);
        assert_eq!(addr_of!(x.effort) as usize - at, 12);
        assert_eq!(addr_of!(x.choice) as usize - at, 16);
        assert_eq!(addr_of!(x.reserved) as usize - at, 20);
        assert_eq!(addr_of!(x.tool) as usize - at, 24);
        assert_eq!(addr_of!(x.schema) as usize - at, 40);
    }
    #[test]
    fn layout_of_remora_prompt_info() {
        let x = remora_prompt_info::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_prompt_info>(), align_of::<remora_prompt_info>()), (24, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.begin) as usize - at, 4);
        assert_eq!(addr_of!(x.calls) as usize - at, 8);
        assert_eq!(addr_of!(x.reserved) as usize - at, 12);
        assert_eq!(addr_of!(x.text_bytes) as usize - at, 16);
    }
    #[test]
    fn layout_of_remora_chat_info() {
        let x = remora_chat_info::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_chat_info>(), align_of::<remora_chat_info>()), (56, 4));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.n_turns) as usize - at, 4);
        assert_eq!(addr_of!(x.n_tools) as usize - at, 8);
        assert_eq!(addr_of!(x.thinks) as usize - at, 12);
        assert_eq!(addr_of!(x.has_calls) as usize - at, 16);
        assert_eq!(addr_of!(x.reserved) as usize - at, 20);
        assert_eq!(addr_of!(x.format) as usize - at, 24);
    }
    #[test]
    fn layout_of_remora_chat_parse_opts() {
        let x = remora_chat_parse_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_chat_parse_opts>(), align_of::<remora_chat_parse_opts>()), (32, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.format) as usize - at, 8);
        assert_eq!(addr_of!(x.begin) as usize - at, 16);
        assert_eq!(addr_of!(x.reserved) as usize - at, 20);
        assert_eq!(addr_of!(x.chat) as usize - at, 24);
    }
    #[test]
    fn layout_of_remora_chat_event() {
        let x = remora_chat_event::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_chat_event>(), align_of::<remora_chat_event>()), (48, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.kind) as usize - at, 4);
        assert_eq!(addr_of!(x.call) as usize - at, 8);
        assert_eq!(addr_of!(x.finish) as usize - at, 12);
        assert_eq!(addr_of!(x.text) as usize - at, 16);
        assert_eq!(addr_of!(x.id) as usize - at, 32);
    }
    #[test]
    fn layout_of_remora_chat_parse_info() {
        let x = remora_chat_parse_info::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_chat_parse_info>(), align_of::<remora_chat_parse_info>()), (72, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.place) as usize - at, 4);
        assert_eq!(addr_of!(x.n_calls) as usize - at, 8);
        assert_eq!(addr_of!(x.broken) as usize - at, 12);
        assert_eq!(addr_of!(x.bytes) as usize - at, 16);
        assert_eq!(addr_of!(x.reasoning) as usize - at, 24);
        assert_eq!(addr_of!(x.content) as usize - at, 32);
        assert_eq!(addr_of!(x.calls) as usize - at, 40);
        assert_eq!(addr_of!(x.rest) as usize - at, 48);
        assert_eq!(addr_of!(x.markup) as usize - at, 56);
        assert_eq!(addr_of!(x.held) as usize - at, 64);
    }
    #[test]
    fn layout_of_remora_session_opts() {
        let x = remora_session_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_session_opts>(), align_of::<remora_session_opts>()), (40, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.capacity) as usize - at, 8);
        assert_eq!(addr_of!(x.chunk) as usize - at, 12);
        assert_eq!(addr_of!(x.kv_type) as usize - at, 16);
        assert_eq!(addr_of!(x.reserved) as usize - at, 20);
        assert_eq!(addr_of!(x.extra) as usize - at, 24);
        assert_eq!(addr_of!(x.n_extra) as usize - at, 32);
    }
    #[test]
    fn layout_of_remora_session_info() {
        let x = remora_session_info::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_session_info>(), align_of::<remora_session_info>()), (56, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.capacity) as usize - at, 4);
        assert_eq!(addr_of!(x.committed) as usize - at, 8);
        assert_eq!(addr_of!(x.pending) as usize - at, 16);
        assert_eq!(addr_of!(x.kv_bytes) as usize - at, 24);
        assert_eq!(addr_of!(x.kv_bytes_shared) as usize - at, 32);
        assert_eq!(addr_of!(x.n_rows) as usize - at, 40);
        assert_eq!(addr_of!(x.state) as usize - at, 44);
        assert_eq!(addr_of!(x.kv_bytes_kept) as usize - at, 48);
    }
    #[test]
    fn layout_of_remora_eval_opts() {
        let x = remora_eval_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_eval_opts>(), align_of::<remora_eval_opts>()), (40, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.budget_us) as usize - at, 8);
        assert_eq!(addr_of!(x.max_tokens) as usize - at, 16);
        assert_eq!(addr_of!(x.cancel) as usize - at, 24);
        assert_eq!(addr_of!(x.max_drafts) as usize - at, 32);
        assert_eq!(addr_of!(x.reserved) as usize - at, 36);
    }
    #[test]
    fn layout_of_remora_token_prob() {
        let x = remora_token_prob::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_token_prob>(), align_of::<remora_token_prob>()), (12, 4));
        assert_eq!(addr_of!(x.token) as usize - at, 0);
        assert_eq!(addr_of!(x.logit) as usize - at, 4);
        assert_eq!(addr_of!(x.logprob) as usize - at, 8);
    }
    #[test]
    fn layout_of_remora_stage() {
        let x = remora_stage::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_stage>(), align_of::<remora_stage>()), (48, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.kind) as usize - at, 4);
        assert_eq!(addr_of!(x.value) as usize - at, 8);
        assert_eq!(addr_of!(x.count) as usize - at, 16);
        assert_eq!(addr_of!(x.user) as usize - at, 24);
        assert_eq!(addr_of!(x.r#fn) as usize - at, 32);
        assert_eq!(addr_of!(x.release) as usize - at, 40);
    }
    #[test]
    fn layout_of_remora_constraint_opts() {
        let x = remora_constraint_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_constraint_opts>(), align_of::<remora_constraint_opts>()), (64, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.kind) as usize - at, 4);
        assert_eq!(addr_of!(x.source) as usize - at, 8);
        assert_eq!(addr_of!(x.flags) as usize - at, 24);
        assert_eq!(addr_of!(x.reserved) as usize - at, 28);
        assert_eq!(addr_of!(x.choices) as usize - at, 32);
        assert_eq!(addr_of!(x.n_choices) as usize - at, 40);
        assert_eq!(addr_of!(x.memory) as usize - at, 48);
        assert_eq!(addr_of!(x.steps) as usize - at, 56);
    }
    #[test]
    fn layout_of_remora_answer_opts() {
        let x = remora_answer_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_answer_opts>(), align_of::<remora_answer_opts>()), (24, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.memory) as usize - at, 8);
        assert_eq!(addr_of!(x.steps) as usize - at, 16);
    }
    #[test]
    fn layout_of_remora_gen_opts() {
        let x = remora_gen_opts::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_gen_opts>(), align_of::<remora_gen_opts>()), (64, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.flags) as usize - at, 4);
        assert_eq!(addr_of!(x.budget_us) as usize - at, 8);
        assert_eq!(addr_of!(x.max_tokens) as usize - at, 16);
        assert_eq!(addr_of!(x.stop) as usize - at, 24);
        assert_eq!(addr_of!(x.n_stop) as usize - at, 32);
        assert_eq!(addr_of!(x.cancel) as usize - at, 40);
        assert_eq!(addr_of!(x.probs) as usize - at, 48);
        assert_eq!(addr_of!(x.n_best) as usize - at, 56);
        assert_eq!(addr_of!(x.max_drafts) as usize - at, 60);
    }
    #[test]
    fn layout_of_remora_generation_info() {
        let x = remora_generation_info::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_generation_info>(), align_of::<remora_generation_info>()), (32, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.reason) as usize - at, 4);
        assert_eq!(addr_of!(x.stop) as usize - at, 8);
        assert_eq!(addr_of!(x.reserved) as usize - at, 12);
        assert_eq!(addr_of!(x.n_tokens) as usize - at, 16);
        assert_eq!(addr_of!(x.text_bytes) as usize - at, 24);
    }
    #[test]
    fn layout_of_remora_stats() {
        let x = remora_stats::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_stats>(), align_of::<remora_stats>()), (80, 8));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.reserved) as usize - at, 4);
        assert_eq!(addr_of!(x.prefill_tokens) as usize - at, 8);
        assert_eq!(addr_of!(x.prefill_us) as usize - at, 16);
        assert_eq!(addr_of!(x.decode_tokens) as usize - at, 24);
        assert_eq!(addr_of!(x.decode_us) as usize - at, 32);
        assert_eq!(addr_of!(x.sample_us) as usize - at, 40);
        assert_eq!(addr_of!(x.reused_tokens) as usize - at, 48);
        assert_eq!(addr_of!(x.longest_slice_us) as usize - at, 56);
        assert_eq!(addr_of!(x.drafts) as usize - at, 64);
        assert_eq!(addr_of!(x.drafts_used) as usize - at, 72);
    }
    #[test]
    fn layout_of_remora_importance() {
        let x = remora_importance::new();
        let at = addr_of!(x) as usize;
        assert_eq!((size_of::<remora_importance>(), align_of::<remora_importance>()), (112, 4));
        assert_eq!(addr_of!(x.struct_size) as usize - at, 0);
        assert_eq!(addr_of!(x.n_matrices) as usize - at, 4);
        assert_eq!(addr_of!(x.n_cols) as usize - at, 8);
        assert_eq!(addr_of!(x.reserved) as usize - at, 12);
        assert_eq!(addr_of!(x.name) as usize - at, 16);
    }
    #[test]
    fn every_function_is_linked() {
        let all: &[*const ()] = &[
            remora_abi_check as *const (),
            remora_build_info as *const (),
            remora_chat_add as *const (),
            remora_chat_add_json as *const (),
            remora_chat_add_tool as *const (),
            remora_chat_constraint as *const (),
            remora_chat_create as *const (),
            remora_chat_format_name as *const (),
            remora_chat_free as *const (),
            remora_chat_get_info as *const (),
            remora_chat_parse_clone as *const (),
            remora_chat_parse_copy as *const (),
            remora_chat_parse_create as *const (),
            remora_chat_parse_end as *const (),
            remora_chat_parse_free as *const (),
            remora_chat_parse_get_info as *const (),
            remora_chat_parse_next as *const (),
            remora_chat_parse_text as *const (),
            remora_chat_prompt as *const (),
            remora_chat_trim as *const (),
            remora_constraint_create as *const (),
            remora_constraint_free as *const (),
            remora_convert as *const (),
            remora_detok_flush as *const (),
            remora_detok_push as *const (),
            remora_device_count as *const (),
            remora_device_get as *const (),
            remora_end_tokens as *const (),
            remora_eval as *const (),
            remora_fim as *const (),
            remora_fim_stop as *const (),
            remora_generate as *const (),
            remora_generate_text as *const (),
            remora_importance_get as *const (),
            remora_importance_read as *const (),
            remora_model_estimate as *const (),
            remora_model_free as *const (),
            remora_model_get_info as *const (),
            remora_model_get_memory as *const (),
            remora_model_meta as *const (),
            remora_model_meta_key as *const (),
            remora_model_open as *const (),
            remora_model_runtime as *const (),
            remora_model_set_budget as *const (),
            remora_recipe_get as *const (),
            remora_routing_enable as *const (),
            remora_routing_read as *const (),
            remora_runtime_create as *const (),
            remora_runtime_free as *const (),
            remora_runtime_get_info as *const (),
            remora_sampler_accept as *const (),
            remora_sampler_add as *const (),
            remora_sampler_clone as *const (),
            remora_sampler_constrain as *const (),
            remora_sampler_create as *const (),
            remora_sampler_free as *const (),
            remora_sampler_pick as *const (),
            remora_sampler_pick_from as *const (),
            remora_sampler_reset as *const (),
            remora_sampler_rollback as *const (),
            remora_sampler_spell as *const (),
            remora_session_append as *const (),
            remora_session_create as *const (),
            remora_session_fork as *const (),
            remora_session_free as *const (),
            remora_session_get_generation as *const (),
            remora_session_get_info as *const (),
            remora_session_get_options as *const (),
            remora_session_get_stats as *const (),
            remora_session_hidden as *const (),
            remora_session_logits as *const (),
            remora_session_logprob as *const (),
            remora_session_model as *const (),
            remora_session_sync as *const (),
            remora_session_tokens as *const (),
            remora_session_top as *const (),
            remora_session_trim as *const (),
            remora_status_name as *const (),
            remora_token_bytes as *const (),
            remora_token_flags as *const (),
            remora_token_special as *const (),
            remora_tokenize as *const (),
            remora_verify as *const (),
            remora_version as *const (),
            remora_version_string as *const (),
        ];
        assert!(all.iter().all(|f| !f.is_null()));
    }
}

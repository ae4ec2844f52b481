// SPDX-License-Identifier: Apache-2.0
// Generated from remora.abi.json by bindings/csharp/generate.py: do not change it.
using System;
using System.Runtime.InteropServices;

namespace Remora.Native
{
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_error
    {
        public uint @struct_size;
        public int @code;
        public int @os_code;
        public uint @reserved;
        public fixed byte @message[240];
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_text
    {
        public byte* @ptr;
        public ulong @len;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_option
    {
        public remora_text @key;
        public remora_text @value;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_runtime_opts
    {
        public uint @struct_size;
        public uint @flags;
        public IntPtr @alloc_user;
        public IntPtr @alloc;
        public IntPtr @resize;
        public IntPtr @dealloc;
        public IntPtr @log_user;
        public IntPtr @log;
        public int @log_level;
        public int @n_threads;
        public IntPtr @run_user;
        public IntPtr @run;
        public remora_option* @extra;
        public ulong @n_extra;
        public IntPtr @thread_start_user;
        public IntPtr @thread_start;
        public byte* @cuda_module;
        public IntPtr @release_user;
        public IntPtr @release;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_device
    {
        public uint @struct_size;
        public int @kind;
        public ulong @mem_total;
        public ulong @mem_free;
        public int @usable;
        public uint @reserved;
        public fixed byte @id[32];
        public fixed byte @name[96];
        public fixed byte @paths[96];
        public fixed byte @reason[160];
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_runtime_info
    {
        public uint @struct_size;
        public uint @n_threads;
        public fixed byte @kernels[32];
        public fixed byte @why[120];
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_blob
    {
        public byte* @name;
        public IntPtr @data;
        public ulong @size;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_source
    {
        public uint @struct_size;
        public int @kind;
        public byte* @path;
        public remora_blob* @blobs;
        public ulong @n_blobs;
        public IntPtr @io_user;
        public IntPtr @io_size;
        public IntPtr @io_read;
        public uint @flags;
        public uint @reserved;
        public IntPtr @release_user;
        public IntPtr @release;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_model_opts
    {
        public uint @struct_size;
        public uint @flags;
        public byte* @device;
        public ulong @host_budget;
        public int* @cancel;
        public IntPtr @progress_user;
        public IntPtr @progress;
        public remora_option* @extra;
        public ulong @n_extra;
        public ulong @device_budget;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_model_info
    {
        public uint @struct_size;
        public uint @n_layers;
        public uint @n_vocab;
        public uint @n_hidden;
        public uint @n_heads;
        public uint @kv_lora_rank;
        public uint @rope_dim;
        public uint @n_experts;
        public uint @n_experts_used;
        public uint @n_shared_experts;
        public uint @n_dense_layers;
        public uint @max_context;
        public uint @has_tokenizer;
        public uint @n_prediction_layers;
        public ulong @n_params;
        public ulong @n_params_active;
        public ulong @weight_bytes;
        public fixed byte @fingerprint[32];
        public fixed byte @family[32];
        public fixed byte @name[96];
        public uint @n_kv_heads;
        public uint @head_dim;
        public fixed byte @device[32];
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_memory
    {
        public uint @struct_size;
        public uint @reserved;
        public ulong @host_weights;
        public ulong @host_kv;
        public ulong @host_scratch;
        public ulong @host_other;
        public ulong @host_mapped;
        public ulong @kv_bytes_per_token;
        public ulong @device_weights;
        public ulong @device_kv;
        public ulong @device_scratch;
        public ulong @device_other;
        public ulong @device_context;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_convert_opts
    {
        public uint @struct_size;
        public uint @flags;
        public byte* @recipe;
        public byte* @importance;
        public byte* @base;
        public int @zstd_level;
        public uint @reserved;
        public int* @cancel;
        public IntPtr @progress_user;
        public IntPtr @progress;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_verify_opts
    {
        public uint @struct_size;
        public uint @flags;
        public int* @cancel;
        public IntPtr @progress_user;
        public IntPtr @progress;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_verify_report
    {
        public uint @struct_size;
        public int @checksums;
        public int @self_test;
        public int @exact;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_detok
    {
        public fixed ulong @opaque[4];
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_file
    {
        public remora_text @path;
        public remora_text @text;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_fim_opts
    {
        public uint @struct_size;
        public uint @flags;
        public ulong @max_tokens;
        public uint @prefix_share;
        public uint @suffix_share;
        public remora_text @repo;
        public remora_text @path;
        public remora_file* @files;
        public ulong @n_files;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_fim_info
    {
        public uint @struct_size;
        public uint @is_cut;
        public ulong @prefix_tokens;
        public ulong @suffix_tokens;
        public ulong @n_files;
        public uint @n_heal;
        public uint @reserved;
        public fixed byte @heal[256];
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_chat_format
    {
        public uint @struct_size;
        public uint @flags;
        public remora_text @begin;
        public remora_text @system_open;
        public remora_text @system_close;
        public remora_text @user_open;
        public remora_text @user_close;
        public remora_text @assistant_open;
        public remora_text @assistant_close;
        public remora_text @generation;
        public remora_text @system_text;
        public remora_text @think_open;
        public remora_text @think_close;
        public byte* @tools_of;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_chat_opts
    {
        public uint @struct_size;
        public uint @flags;
        public byte* @format;
        public remora_chat_format* @described;
        public remora_text @date;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_call
    {
        public remora_text @id;
        public remora_text @name;
        public remora_text @arguments;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_turn
    {
        public uint @struct_size;
        public int @role;
        public remora_text @text;
        public remora_text @name;
        public remora_text @reasoning;
        public remora_text @call_id;
        public remora_call* @calls;
        public ulong @n_calls;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_prompt_opts
    {
        public uint @struct_size;
        public uint @flags;
        public int @think;
        public uint @effort;
        public int @choice;
        public uint @reserved;
        public remora_text @tool;
        public remora_text @schema;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_prompt_info
    {
        public uint @struct_size;
        public int @begin;
        public uint @calls;
        public uint @reserved;
        public ulong @text_bytes;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_chat_info
    {
        public uint @struct_size;
        public uint @n_turns;
        public uint @n_tools;
        public uint @thinks;
        public uint @has_calls;
        public uint @reserved;
        public fixed byte @format[32];
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_chat_parse_opts
    {
        public uint @struct_size;
        public uint @flags;
        public byte* @format;
        public int @begin;
        public uint @reserved;
        public IntPtr @chat;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_chat_event
    {
        public uint @struct_size;
        public int @kind;
        public uint @call;
        public int @finish;
        public remora_text @text;
        public remora_text @id;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_chat_parse_info
    {
        public uint @struct_size;
        public int @place;
        public uint @n_calls;
        public uint @broken;
        public ulong @bytes;
        public ulong @reasoning;
        public ulong @content;
        public ulong @calls;
        public ulong @rest;
        public ulong @markup;
        public ulong @held;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_session_opts
    {
        public uint @struct_size;
        public uint @flags;
        public uint @capacity;
        public uint @chunk;
        public int @kv_type;
        public uint @reserved;
        public remora_option* @extra;
        public ulong @n_extra;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_session_info
    {
        public uint @struct_size;
        public uint @capacity;
        public ulong @committed;
        public ulong @pending;
        public ulong @kv_bytes;
        public ulong @kv_bytes_shared;
        public uint @n_rows;
        public int @state;
        public ulong @kv_bytes_kept;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_eval_opts
    {
        public uint @struct_size;
        public uint @flags;
        public long @budget_us;
        public ulong @max_tokens;
        public int* @cancel;
        public uint @max_drafts;
        public uint @reserved;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_token_prob
    {
        public int @token;
        public float @logit;
        public float @logprob;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_stage
    {
        public uint @struct_size;
        public int @kind;
        public double @value;
        public long @count;
        public IntPtr @user;
        public IntPtr @fn;
        public IntPtr @release;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_constraint_opts
    {
        public uint @struct_size;
        public int @kind;
        public remora_text @source;
        public uint @flags;
        public uint @reserved;
        public remora_text* @choices;
        public ulong @n_choices;
        public ulong @memory;
        public ulong @steps;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_answer_opts
    {
        public uint @struct_size;
        public uint @flags;
        public ulong @memory;
        public ulong @steps;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_gen_opts
    {
        public uint @struct_size;
        public uint @flags;
        public long @budget_us;
        public ulong @max_tokens;
        public remora_text* @stop;
        public ulong @n_stop;
        public int* @cancel;
        public remora_token_prob* @probs;
        public uint @n_best;
        public uint @max_drafts;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_generation_info
    {
        public uint @struct_size;
        public int @reason;
        public uint @stop;
        public uint @reserved;
        public ulong @n_tokens;
        public ulong @text_bytes;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_stats
    {
        public uint @struct_size;
        public uint @reserved;
        public ulong @prefill_tokens;
        public ulong @prefill_us;
        public ulong @decode_tokens;
        public ulong @decode_us;
        public ulong @sample_us;
        public ulong @reused_tokens;
        public ulong @longest_slice_us;
        public ulong @drafts;
        public ulong @drafts_used;
    }
    [StructLayout(LayoutKind.Sequential)]
    public unsafe struct remora_importance
    {
        public uint @struct_size;
        public uint @n_matrices;
        public uint @n_cols;
        public uint @reserved;
        public fixed byte @name[96];
    }
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate IntPtr remora_runtime_opts_alloc(IntPtr @user, UIntPtr @size, UIntPtr @align);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate IntPtr remora_runtime_opts_resize(IntPtr @user, IntPtr @p, UIntPtr @old_size, UIntPtr @size, UIntPtr @align);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate void remora_runtime_opts_dealloc(IntPtr @user, IntPtr @p, UIntPtr @size, UIntPtr @align);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate void remora_runtime_opts_log(IntPtr @user, int @level, byte* @msg, UIntPtr @len);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate void remora_runtime_opts_run(IntPtr @user, uint @n, IntPtr @fn, IntPtr @arg);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate void remora_runtime_opts_thread_start(IntPtr @user, uint @index);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate void remora_runtime_opts_release(IntPtr @user);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate int remora_source_io_size(IntPtr @user, byte* @name, ulong* @size);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate int remora_source_io_read(IntPtr @user, byte* @name, ulong @off, IntPtr @buf, ulong @n);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate void remora_source_release(IntPtr @user);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate int remora_model_opts_progress(IntPtr @user, ulong @done, ulong @total);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate int remora_convert_opts_progress(IntPtr @user, ulong @done, ulong @total);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate int remora_verify_opts_progress(IntPtr @user, ulong @done, ulong @total);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate int remora_stage_fn(IntPtr @user, remora_token_prob* @cand, UIntPtr* @n);
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public unsafe delegate void remora_stage_release(IntPtr @user);
    public static unsafe class Abi
    {
#if UNITY_EDITOR_WIN || UNITY_STANDALONE_WIN || REMORA_WINDOWS
        public const string Library = "libremora-1";
#else
        public const string Library = "remora";
#endif
#if NETCOREAPP3_0_OR_GREATER
        static Abi()
        {
            try {
                NativeLibrary.SetDllImportResolver(typeof(Abi).Assembly, Find);
            } catch (InvalidOperationException) { // the program has a resolver of its own, which calls Find
            }
        }

        /// The library under the name that its file has on this system; zero: look as usual.
        public static IntPtr Find(string name, System.Reflection.Assembly by, DllImportSearchPath? where)
        {
            IntPtr found;
            var file = RuntimeInformation.IsOSPlatform(OSPlatform.Windows) ? "libremora-1.dll"
                : RuntimeInformation.IsOSPlatform(OSPlatform.OSX) ? "libremora.1.dylib" : "libremora.so.1";
            return name == Library && NativeLibrary.TryLoad(file, by, where, out found) ? found : IntPtr.Zero;
        }
#endif
        public const uint Version = 16777216;
        public const int REMORA_TOKEN_NONE = -1;
        public const int REMORA_OK = 0;
        public const int REMORA_MORE = 1;
        public const int REMORA_END = 2;
        public const int REMORA_E_ARG = -1;
        public const int REMORA_E_STRUCT = -2;
        public const int REMORA_E_NOMEM = -3;
        public const int REMORA_E_DEVICE_MEM = -4;
        public const int REMORA_E_IO = -5;
        public const int REMORA_E_FORMAT = -6;
        public const int REMORA_E_UNSUPPORTED = -7;
        public const int REMORA_E_CANCELLED = -8;
        public const int REMORA_E_BUFFER = -9;
        public const int REMORA_E_FULL = -10;
        public const int REMORA_E_BUSY = -11;
        public const int REMORA_E_MISMATCH = -12;
        public const int REMORA_E_NO_TOKEN = -13;
        public const int REMORA_E_DEVICE = -14;
        public const int REMORA_E_CALLBACK = -15;
        public const int REMORA_E_INTERNAL = -16;
        public const int REMORA_E_NOT_FOUND = -17;
        public const int REMORA_E_LIMIT = -18;
        public const int REMORA_LOG_ERROR = 1;
        public const int REMORA_LOG_WARN = 2;
        public const int REMORA_LOG_INFO = 3;
        public const int REMORA_LOG_DEBUG = 4;
        public const int REMORA_DEVICE_CPU = 1;
        public const int REMORA_DEVICE_CUDA = 2;
        public const int REMORA_SOURCE_PATH = 1;
        public const int REMORA_SOURCE_MEMORY = 2;
        public const int REMORA_SOURCE_IO = 3;
        public const int REMORA_SOURCE_READ_LATER = 1;
        public const int REMORA_MODEL_NO_WEIGHTS = 1;
        public const int REMORA_MODEL_NO_MMAP = 2;
        public const int REMORA_MODEL_IMPORTANCE = 4;
        public const int REMORA_MODEL_ANYWAY = 8;
        public const int REMORA_MODEL_NO_PREDICTION = 16;
        public const int REMORA_CONVERT_NO_SELF_TEST = 1;
        public const int REMORA_TEXT_SPECIAL = 1;
        public const int REMORA_TEXT_BOS = 2;
        public const int REMORA_SPECIAL_BOS = 1;
        public const int REMORA_SPECIAL_EOS = 2;
        public const int REMORA_SPECIAL_PAD = 3;
        public const int REMORA_SPECIAL_USER = 4;
        public const int REMORA_SPECIAL_ASSISTANT = 5;
        public const int REMORA_SPECIAL_THINK_OPEN = 6;
        public const int REMORA_SPECIAL_THINK_CLOSE = 7;
        public const int REMORA_SPECIAL_FIM_BEGIN = 8;
        public const int REMORA_SPECIAL_FIM_HOLE = 9;
        public const int REMORA_SPECIAL_FIM_END = 10;
        public const int REMORA_TOKEN_CONTROL = 1;
        public const int REMORA_TOKEN_END_OF_TURN = 2;
        public const int REMORA_TOKEN_PARTIAL = 4;
        public const int REMORA_HEAL_MAX = 256;
        public const int REMORA_FIM_HEAL = 1;
        public const int REMORA_ROLE_SYSTEM = 1;
        public const int REMORA_ROLE_USER = 2;
        public const int REMORA_ROLE_ASSISTANT = 3;
        public const int REMORA_ROLE_TOOL = 4;
        public const int REMORA_ROLE_REMINDER = 5;
        public const int REMORA_THINK_ON = 1;
        public const int REMORA_THINK_OFF = 2;
        public const int REMORA_CHOICE_NONE = 1;
        public const int REMORA_CHOICE_REQUIRED = 2;
        public const int REMORA_CHOICE_NAMED = 3;
        public const int REMORA_PROMPT_CONTINUE = 1;
        public const int REMORA_PROMPT_NO_REQUEST = 2;
        public const int REMORA_PROMPT_AS_TEMPLATE = 4;
        public const int REMORA_PART_NONE = 0;
        public const int REMORA_PART_REASONING = 1;
        public const int REMORA_PART_CONTENT = 2;
        public const int REMORA_PART_CALL = 3;
        public const int REMORA_PART_ARGUMENTS = 4;
        public const int REMORA_PART_CALL_END = 5;
        public const int REMORA_PART_REST = 6;
        public const int REMORA_PART_END = 7;
        public const int REMORA_PLACE_START = 1;
        public const int REMORA_PLACE_REASONING = 2;
        public const int REMORA_PLACE_CONTENT = 3;
        public const int REMORA_PLACE_CALLS = 4;
        public const int REMORA_PLACE_ARGUMENTS = 5;
        public const int REMORA_PLACE_AFTER = 6;
        public const int REMORA_PLACE_LOST = 7;
        public const int REMORA_PLACE_ENDED = 8;
        public const int REMORA_FINISH_STOP = 1;
        public const int REMORA_FINISH_CALLS = 2;
        public const int REMORA_FINISH_LENGTH = 3;
        public const int REMORA_CHAT_PARSE_CALLS = 1;
        public const int REMORA_KV_BF16 = 1;
        public const int REMORA_KV_INT8 = 2;
        public const int REMORA_KV_F32 = 3;
        public const int REMORA_WANT_NONE = 0;
        public const int REMORA_WANT_LAST = 1;
        public const int REMORA_WANT_ALL = 2;
        public const int REMORA_WANT_HIDDEN = 4;
        public const int REMORA_SESSION_PAGES_AS_NEEDED = 1;
        public const int REMORA_SESSION_PREDICTION = 2;
        public const int REMORA_EVAL_AHEAD = 1;
        public const int REMORA_DRAFTS_AUTO = 2147483647;
        public const int REMORA_STAGE_TEMPERATURE = 1;
        public const int REMORA_STAGE_TOP_K = 2;
        public const int REMORA_STAGE_TOP_P = 3;
        public const int REMORA_STAGE_MIN_P = 4;
        public const int REMORA_STAGE_REPEAT = 5;
        public const int REMORA_STAGE_FREQUENCY = 6;
        public const int REMORA_STAGE_PRESENCE = 7;
        public const int REMORA_STAGE_BIAS = 8;
        public const int REMORA_STAGE_CALLBACK = 10;
        public const int REMORA_CONSTRAINT_GBNF = 1;
        public const int REMORA_CONSTRAINT_REGEX = 2;
        public const int REMORA_CONSTRAINT_CHOICE = 3;
        public const int REMORA_CONSTRAINT_LARK = 5;
        public const int REMORA_CONSTRAINT_JSON_SCHEMA = 4;
        public const int REMORA_SCHEMA_LAX = 1;
        public const int REMORA_ANSWER_ONE_CALL = 1;
        public const int REMORA_ANSWER_LAX = 2;
        public const int REMORA_GEN_NEW = 1;
        public const int REMORA_GEN_KEEP_STOP = 2;
        public const int REMORA_REASON_NONE = 0;
        public const int REMORA_REASON_END_OF_TURN = 1;
        public const int REMORA_REASON_STOP = 2;
        public const int REMORA_REASON_MAX_TOKENS = 3;
        public const int REMORA_REASON_CAPACITY = 4;
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_abi_check(uint @header_version);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern byte* remora_build_info();
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_add(SafeHandle @c, remora_turn* @turn, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_add_json(SafeHandle @c, byte* @json, UIntPtr @len, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_add_tool(SafeHandle @c, byte* @json, UIntPtr @len, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_constraint(SafeHandle @c, remora_prompt_opts* @prompt, remora_answer_opts* @o, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_create(SafeHandle @m, remora_chat_opts* @o, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_format_name(uint @i, byte** @name, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void remora_chat_free(IntPtr @c);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_get_info(SafeHandle @c, remora_chat_info* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_parse_clone(SafeHandle @p, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_parse_copy(SafeHandle @to, SafeHandle @from, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_parse_create(SafeHandle @m, remora_chat_parse_opts* @o, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_parse_end(SafeHandle @p, int @cut, remora_chat_event* @event, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void remora_chat_parse_free(IntPtr @p);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_parse_get_info(SafeHandle @p, remora_chat_parse_info* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_parse_next(SafeHandle @p, int* @t, UIntPtr @n, UIntPtr* @used, remora_chat_event* @event, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_parse_text(SafeHandle @p, byte* @text, UIntPtr @len, UIntPtr* @used, remora_chat_event* @event, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_prompt(SafeHandle @c, remora_prompt_opts* @o, int* @out, UIntPtr @cap, UIntPtr* @n, remora_prompt_info* @info, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_chat_trim(SafeHandle @c, ulong @keep, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_constraint_create(SafeHandle @m, remora_constraint_opts* @opts, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void remora_constraint_free(IntPtr @c);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_convert(SafeHandle @rt, remora_source* @src, byte* @path, remora_convert_opts* @opts, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_detok_flush(SafeHandle @m, remora_detok* @st, byte* @buf, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_detok_push(SafeHandle @m, remora_detok* @st, int* @t, UIntPtr @nt, byte* @buf, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern uint remora_device_count(SafeHandle @rt);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_device_get(SafeHandle @rt, uint @i, remora_device* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_end_tokens(SafeHandle @m, int* @out, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_eval(IntPtr* @s, UIntPtr @n, remora_eval_opts* @o, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_fim(SafeHandle @m, byte* @prefix, UIntPtr @n_prefix, byte* @suffix, UIntPtr @n_suffix, remora_fim_opts* @o, int* @out, UIntPtr @cap, UIntPtr* @n, remora_fim_info* @info, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_fim_stop(SafeHandle @m, uint @i, remora_text* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_generate(SafeHandle @s, SafeHandle @p, remora_gen_opts* @o, int* @out, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_generate_text(SafeHandle @s, SafeHandle @p, remora_gen_opts* @o, byte* @text, UIntPtr @cap, UIntPtr* @n, int* @tokens, UIntPtr @cap_tokens, UIntPtr* @n_tokens, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_importance_get(SafeHandle @m, uint @i, remora_importance* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_importance_read(SafeHandle @m, uint @i, uint @matrix, ulong* @count, double* @sums, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_model_estimate(SafeHandle @rt, remora_source* @src, remora_model_opts* @opts, remora_session_opts* @sopts, uint @n_sessions, remora_memory* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void remora_model_free(IntPtr @m);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_model_get_info(SafeHandle @m, remora_model_info* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_model_get_memory(SafeHandle @m, remora_memory* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_model_meta(SafeHandle @m, byte* @key, byte* @buf, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_model_meta_key(SafeHandle @m, uint @i, byte* @buf, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_model_open(SafeHandle @rt, remora_source* @src, remora_model_opts* @opts, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr remora_model_runtime(SafeHandle @m);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_model_set_budget(SafeHandle @m, ulong @host, ulong @device, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_recipe_get(uint @i, byte** @name, byte** @yaml, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_routing_enable(SafeHandle @m, int @on, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_routing_read(SafeHandle @m, uint @layer, int @reset, ulong* @counts, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_runtime_create(remora_runtime_opts* @opts, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void remora_runtime_free(IntPtr @rt);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_runtime_get_info(SafeHandle @rt, remora_runtime_info* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_sampler_accept(SafeHandle @p, int @t, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_sampler_add(SafeHandle @p, remora_stage* @stage, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_sampler_clone(SafeHandle @p, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_sampler_constrain(SafeHandle @p, SafeHandle @c, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_sampler_create(SafeHandle @m, ulong @seed, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void remora_sampler_free(IntPtr @p);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_sampler_pick(SafeHandle @p, SafeHandle @s, uint @row, int* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_sampler_pick_from(SafeHandle @p, float* @logits, UIntPtr @n, int* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void remora_sampler_reset(SafeHandle @p, ulong @seed);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_sampler_rollback(SafeHandle @p, ulong @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_sampler_spell(SafeHandle @p, byte* @text, UIntPtr @len, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_append(SafeHandle @s, int* @t, UIntPtr @n, uint @want, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_create(SafeHandle @m, remora_session_opts* @o, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_fork(SafeHandle @s, IntPtr* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern void remora_session_free(IntPtr @s);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_get_generation(SafeHandle @s, remora_generation_info* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_get_info(SafeHandle @s, remora_session_info* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_get_options(SafeHandle @s, remora_session_opts* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_get_stats(SafeHandle @s, remora_stats* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_hidden(SafeHandle @s, uint @row, float* @out, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_logits(SafeHandle @s, uint @row, float** @out, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_logprob(SafeHandle @s, uint @row, int @t, float* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr remora_session_model(SafeHandle @s);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_sync(SafeHandle @s, int* @t, UIntPtr @n, uint @want, UIntPtr* @reused, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_tokens(SafeHandle @s, ulong @from, int* @out, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_top(SafeHandle @s, uint @row, remora_token_prob* @out, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_session_trim(SafeHandle @s, ulong @keep, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern byte* remora_status_name(int @s);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_token_bytes(SafeHandle @m, int @t, byte* @buf, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern uint remora_token_flags(SafeHandle @m, int @t);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_token_special(SafeHandle @m, int @which);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_tokenize(SafeHandle @m, byte* @text, UIntPtr @len, uint @flags, int* @out, UIntPtr @cap, UIntPtr* @n, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern int remora_verify(SafeHandle @rt, remora_source* @src, remora_verify_opts* @opts, remora_verify_report* @out, remora_error* @err);
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern uint remora_version();
        [DllImport(Library, CallingConvention = CallingConvention.Cdecl)]
        public static extern byte* remora_version_string();
        /// Struct, size, field, offset: what the description says, for a test.
        public static readonly object[][] Layout = {
            new object[] {typeof(remora_error), 256, "struct_size", 0},
            new object[] {typeof(remora_error), 256, "code", 4},
            new object[] {typeof(remora_error), 256, "os_code", 8},
            new object[] {typeof(remora_error), 256, "reserved", 12},
            new object[] {typeof(remora_error), 256, "message", 16},
            new object[] {typeof(remora_text), 16, "ptr", 0},
            new object[] {typeof(remora_text), 16, "len", 8},
            new object[] {typeof(remora_option), 32, "key", 0},
            new object[] {typeof(remora_option), 32, "value", 16},
            new object[] {typeof(remora_runtime_opts), 136, "struct_size", 0},
            new object[] {typeof(remora_runtime_opts), 136, "flags", 4},
            new object[] {typeof(remora_runtime_opts), 136, "alloc_user", 8},
            new object[] {typeof(remora_runtime_opts), 136, "alloc", 16},
            new object[] {typeof(remora_runtime_opts), 136, "resize", 24},
            new object[] {typeof(remora_runtime_opts), 136, "dealloc", 32},
            new object[] {typeof(remora_runtime_opts), 136, "log_user", 40},
            new object[] {typeof(remora_runtime_opts), 136, "log", 48},
            new object[] {typeof(remora_runtime_opts), 136, "log_level", 56},
            new object[] {typeof(remora_runtime_opts), 136, "n_threads", 60},
            new object[] {typeof(remora_runtime_opts), 136, "run_user", 64},
            new object[] {typeof(remora_runtime_opts), 136, "run", 72},
            new object[] {typeof(remora_runtime_opts), 136, "extra", 80},
            new object[] {typeof(remora_runtime_opts), 136, "n_extra", 88},
            new object[] {typeof(remora_runtime_opts), 136, "thread_start_user", 96},
            new object[] {typeof(remora_runtime_opts), 136, "thread_start", 104},
            new object[] {typeof(remora_runtime_opts), 136, "cuda_module", 112},
            new object[] {typeof(remora_runtime_opts), 136, "release_user", 120},
            new object[] {typeof(remora_runtime_opts), 136, "release", 128},
            new object[] {typeof(remora_device), 416, "struct_size", 0},
            new object[] {typeof(remora_device), 416, "kind", 4},
            new object[] {typeof(remora_device), 416, "mem_total", 8},
            new object[] {typeof(remora_device), 416, "mem_free", 16},
            new object[] {typeof(remora_device), 416, "usable", 24},
            new object[] {typeof(remora_device), 416, "reserved", 28},
            new object[] {typeof(remora_device), 416, "id", 32},
            new object[] {typeof(remora_device), 416, "name", 64},
            new object[] {typeof(remora_device), 416, "paths", 160},
            new object[] {typeof(remora_device), 416, "reason", 256},
            new object[] {typeof(remora_runtime_info), 160, "struct_size", 0},
            new object[] {typeof(remora_runtime_info), 160, "n_threads", 4},
            new object[] {typeof(remora_runtime_info), 160, "kernels", 8},
            new object[] {typeof(remora_runtime_info), 160, "why", 40},
            new object[] {typeof(remora_blob), 24, "name", 0},
            new object[] {typeof(remora_blob), 24, "data", 8},
            new object[] {typeof(remora_blob), 24, "size", 16},
            new object[] {typeof(remora_source), 80, "struct_size", 0},
            new object[] {typeof(remora_source), 80, "kind", 4},
            new object[] {typeof(remora_source), 80, "path", 8},
            new object[] {typeof(remora_source), 80, "blobs", 16},
            new object[] {typeof(remora_source), 80, "n_blobs", 24},
            new object[] {typeof(remora_source), 80, "io_user", 32},
            new object[] {typeof(remora_source), 80, "io_size", 40},
            new object[] {typeof(remora_source), 80, "io_read", 48},
            new object[] {typeof(remora_source), 80, "flags", 56},
            new object[] {typeof(remora_source), 80, "reserved", 60},
            new object[] {typeof(remora_source), 80, "release_user", 64},
            new object[] {typeof(remora_source), 80, "release", 72},
            new object[] {typeof(remora_model_opts), 72, "struct_size", 0},
            new object[] {typeof(remora_model_opts), 72, "flags", 4},
            new object[] {typeof(remora_model_opts), 72, "device", 8},
            new object[] {typeof(remora_model_opts), 72, "host_budget", 16},
            new object[] {typeof(remora_model_opts), 72, "cancel", 24},
            new object[] {typeof(remora_model_opts), 72, "progress_user", 32},
            new object[] {typeof(remora_model_opts), 72, "progress", 40},
            new object[] {typeof(remora_model_opts), 72, "extra", 48},
            new object[] {typeof(remora_model_opts), 72, "n_extra", 56},
            new object[] {typeof(remora_model_opts), 72, "device_budget", 64},
            new object[] {typeof(remora_model_info), 280, "struct_size", 0},
            new object[] {typeof(remora_model_info), 280, "n_layers", 4},
            new object[] {typeof(remora_model_info), 280, "n_vocab", 8},
            new object[] {typeof(remora_model_info), 280, "n_hidden", 12},
            new object[] {typeof(remora_model_info), 280, "n_heads", 16},
            new object[] {typeof(remora_model_info), 280, "kv_lora_rank", 20},
            new object[] {typeof(remora_model_info), 280, "rope_dim", 24},
            new object[] {typeof(remora_model_info), 280, "n_experts", 28},
            new object[] {typeof(remora_model_info), 280, "n_experts_used", 32},
            new object[] {typeof(remora_model_info), 280, "n_shared_experts", 36},
            new object[] {typeof(remora_model_info), 280, "n_dense_layers", 40},
            new object[] {typeof(remora_model_info), 280, "max_context", 44},
            new object[] {typeof(remora_model_info), 280, "has_tokenizer", 48},
            new object[] {typeof(remora_model_info), 280, "n_prediction_layers", 52},
            new object[] {typeof(remora_model_info), 280, "n_params", 56},
            new object[] {typeof(remora_model_info), 280, "n_params_active", 64},
            new object[] {typeof(remora_model_info), 280, "weight_bytes", 72},
            new object[] {typeof(remora_model_info), 280, "fingerprint", 80},
            new object[] {typeof(remora_model_info), 280, "family", 112},
            new object[] {typeof(remora_model_info), 280, "name", 144},
            new object[] {typeof(remora_model_info), 280, "n_kv_heads", 240},
            new object[] {typeof(remora_model_info), 280, "head_dim", 244},
            new object[] {typeof(remora_model_info), 280, "device", 248},
            new object[] {typeof(remora_memory), 96, "struct_size", 0},
            new object[] {typeof(remora_memory), 96, "reserved", 4},
            new object[] {typeof(remora_memory), 96, "host_weights", 8},
            new object[] {typeof(remora_memory), 96, "host_kv", 16},
            new object[] {typeof(remora_memory), 96, "host_scratch", 24},
            new object[] {typeof(remora_memory), 96, "host_other", 32},
            new object[] {typeof(remora_memory), 96, "host_mapped", 40},
            new object[] {typeof(remora_memory), 96, "kv_bytes_per_token", 48},
            new object[] {typeof(remora_memory), 96, "device_weights", 56},
            new object[] {typeof(remora_memory), 96, "device_kv", 64},
            new object[] {typeof(remora_memory), 96, "device_scratch", 72},
            new object[] {typeof(remora_memory), 96, "device_other", 80},
            new object[] {typeof(remora_memory), 96, "device_context", 88},
            new object[] {typeof(remora_convert_opts), 64, "struct_size", 0},
            new object[] {typeof(remora_convert_opts), 64, "flags", 4},
            new object[] {typeof(remora_convert_opts), 64, "recipe", 8},
            new object[] {typeof(remora_convert_opts), 64, "importance", 16},
            new object[] {typeof(remora_convert_opts), 64, "base", 24},
            new object[] {typeof(remora_convert_opts), 64, "zstd_level", 32},
            new object[] {typeof(remora_convert_opts), 64, "reserved", 36},
            new object[] {typeof(remora_convert_opts), 64, "cancel", 40},
            new object[] {typeof(remora_convert_opts), 64, "progress_user", 48},
            new object[] {typeof(remora_convert_opts), 64, "progress", 56},
            new object[] {typeof(remora_verify_opts), 32, "struct_size", 0},
            new object[] {typeof(remora_verify_opts), 32, "flags", 4},
            new object[] {typeof(remora_verify_opts), 32, "cancel", 8},
            new object[] {typeof(remora_verify_opts), 32, "progress_user", 16},
            new object[] {typeof(remora_verify_opts), 32, "progress", 24},
            new object[] {typeof(remora_verify_report), 16, "struct_size", 0},
            new object[] {typeof(remora_verify_report), 16, "checksums", 4},
            new object[] {typeof(remora_verify_report), 16, "self_test", 8},
            new object[] {typeof(remora_verify_report), 16, "exact", 12},
            new object[] {typeof(remora_detok), 32, "opaque", 0},
            new object[] {typeof(remora_file), 32, "path", 0},
            new object[] {typeof(remora_file), 32, "text", 16},
            new object[] {typeof(remora_fim_opts), 72, "struct_size", 0},
            new object[] {typeof(remora_fim_opts), 72, "flags", 4},
            new object[] {typeof(remora_fim_opts), 72, "max_tokens", 8},
            new object[] {typeof(remora_fim_opts), 72, "prefix_share", 16},
            new object[] {typeof(remora_fim_opts), 72, "suffix_share", 20},
            new object[] {typeof(remora_fim_opts), 72, "repo", 24},
            new object[] {typeof(remora_fim_opts), 72, "path", 40},
            new object[] {typeof(remora_fim_opts), 72, "files", 56},
            new object[] {typeof(remora_fim_opts), 72, "n_files", 64},
            new object[] {typeof(remora_fim_info), 296, "struct_size", 0},
            new object[] {typeof(remora_fim_info), 296, "is_cut", 4},
            new object[] {typeof(remora_fim_info), 296, "prefix_tokens", 8},
            new object[] {typeof(remora_fim_info), 296, "suffix_tokens", 16},
            new object[] {typeof(remora_fim_info), 296, "n_files", 24},
            new object[] {typeof(remora_fim_info), 296, "n_heal", 32},
            new object[] {typeof(remora_fim_info), 296, "reserved", 36},
            new object[] {typeof(remora_fim_info), 296, "heal", 40},
            new object[] {typeof(remora_chat_format), 192, "struct_size", 0},
            new object[] {typeof(remora_chat_format), 192, "flags", 4},
            new object[] {typeof(remora_chat_format), 192, "begin", 8},
            new object[] {typeof(remora_chat_format), 192, "system_open", 24},
            new object[] {typeof(remora_chat_format), 192, "system_close", 40},
            new object[] {typeof(remora_chat_format), 192, "user_open", 56},
            new object[] {typeof(remora_chat_format), 192, "user_close", 72},
            new object[] {typeof(remora_chat_format), 192, "assistant_open", 88},
            new object[] {typeof(remora_chat_format), 192, "assistant_close", 104},
            new object[] {typeof(remora_chat_format), 192, "generation", 120},
            new object[] {typeof(remora_chat_format), 192, "system_text", 136},
            new object[] {typeof(remora_chat_format), 192, "think_open", 152},
            new object[] {typeof(remora_chat_format), 192, "think_close", 168},
            new object[] {typeof(remora_chat_format), 192, "tools_of", 184},
            new object[] {typeof(remora_chat_opts), 40, "struct_size", 0},
            new object[] {typeof(remora_chat_opts), 40, "flags", 4},
            new object[] {typeof(remora_chat_opts), 40, "format", 8},
            new object[] {typeof(remora_chat_opts), 40, "described", 16},
            new object[] {typeof(remora_chat_opts), 40, "date", 24},
            new object[] {typeof(remora_call), 48, "id", 0},
            new object[] {typeof(remora_call), 48, "name", 16},
            new object[] {typeof(remora_call), 48, "arguments", 32},
            new object[] {typeof(remora_turn), 88, "struct_size", 0},
            new object[] {typeof(remora_turn), 88, "role", 4},
            new object[] {typeof(remora_turn), 88, "text", 8},
            new object[] {typeof(remora_turn), 88, "name", 24},
            new object[] {typeof(remora_turn), 88, "reasoning", 40},
            new object[] {typeof(remora_turn), 88, "call_id", 56},
            new object[] {typeof(remora_turn), 88, "calls", 72},
            new object[] {typeof(remora_turn), 88, "n_calls", 80},
            new object[] {typeof(remora_prompt_opts), 56, "struct_size", 0},
            new object[] {typeof(remora_prompt_opts), 56, "flags", 4},
            new object[] {typeof(remora_prompt_opts), 56, "think", 8},
            new object[] {typeof(remora_prompt_opts), 56, "effort", 12},
            new object[] {typeof(remora_prompt_opts), 56, "choice", 16},
            new object[] {typeof(remora_prompt_opts), 56, "reserved", 20},
            new object[] {typeof(remora_prompt_opts), 56, "tool", 24},
            new object[] {typeof(remora_prompt_opts), 56, "schema", 40},
            new object[] {typeof(remora_prompt_info), 24, "struct_size", 0},
            new object[] {typeof(remora_prompt_info), 24, "begin", 4},
            new object[] {typeof(remora_prompt_info), 24, "calls", 8},
            new object[] {typeof(remora_prompt_info), 24, "reserved", 12},
            new object[] {typeof(remora_prompt_info), 24, "text_bytes", 16},
            new object[] {typeof(remora_chat_info), 56, "struct_size", 0},
            new object[] {typeof(remora_chat_info), 56, "n_turns", 4},
            new object[] {typeof(remora_chat_info), 56, "n_tools", 8},
            new object[] {typeof(remora_chat_info), 56, "thinks", 12},
            new object[] {typeof(remora_chat_info), 56, "has_calls", 16},
            new object[] {typeof(remora_chat_info), 56, "reserved", 20},
            new object[] {typeof(remora_chat_info), 56, "format", 24},
            new object[] {typeof(remora_chat_parse_opts), 32, "struct_size", 0},
            new object[] {typeof(remora_chat_parse_opts), 32, "flags", 4},
            new object[] {typeof(remora_chat_parse_opts), 32, "format", 8},
            new object[] {typeof(remora_chat_parse_opts), 32, "begin", 16},
            new object[] {typeof(remora_chat_parse_opts), 32, "reserved", 20},
            new object[] {typeof(remora_chat_parse_opts), 32, "chat", 24},
            new object[] {typeof(remora_chat_event), 48, "struct_size", 0},
            new object[] {typeof(remora_chat_event), 48, "kind", 4},
            new object[] {typeof(remora_chat_event), 48, "call", 8},
            new object[] {typeof(remora_chat_event), 48, "finish", 12},
            new object[] {typeof(remora_chat_event), 48, "text", 16},
            new object[] {typeof(remora_chat_event), 48, "id", 32},
            new object[] {typeof(remora_chat_parse_info), 72, "struct_size", 0},
            new object[] {typeof(remora_chat_parse_info), 72, "place", 4},
            new object[] {typeof(remora_chat_parse_info), 72, "n_calls", 8},
            new object[] {typeof(remora_chat_parse_info), 72, "broken", 12},
            new object[] {typeof(remora_chat_parse_info), 72, "bytes", 16},
            new object[] {typeof(remora_chat_parse_info), 72, "reasoning", 24},
            new object[] {typeof(remora_chat_parse_info), 72, "content", 32},
            new object[] {typeof(remora_chat_parse_info), 72, "calls", 40},
            new object[] {typeof(remora_chat_parse_info), 72, "rest", 48},
            new object[] {typeof(remora_chat_parse_info), 72, "markup", 56},
            new object[] {typeof(remora_chat_parse_info), 72, "held", 64},
            new object[] {typeof(remora_session_opts), 40, "struct_size", 0},
            new object[] {typeof(remora_session_opts), 40, "flags", 4},
            new object[] {typeof(remora_session_opts), 40, "capacity", 8},
            new object[] {typeof(remora_session_opts), 40, "chunk", 12},
            new object[] {typeof(remora_session_opts), 40, "kv_type", 16},
            new object[] {typeof(remora_session_opts), 40, "reserved", 20},
            new object[] {typeof(remora_session_opts), 40, "extra", 24},
            new object[] {typeof(remora_session_opts), 40, "n_extra", 32},
            new object[] {typeof(remora_session_info), 56, "struct_size", 0},
            new object[] {typeof(remora_session_info), 56, "capacity", 4},
            new object[] {typeof(remora_session_info), 56, "committed", 8},
            new object[] {typeof(remora_session_info), 56, "pending", 16},
            new object[] {typeof(remora_session_info), 56, "kv_bytes", 24},
            new object[] {typeof(remora_session_info), 56, "kv_bytes_shared", 32},
            new object[] {typeof(remora_session_info), 56, "n_rows", 40},
            new object[] {typeof(remora_session_info), 56, "state", 44},
            new object[] {typeof(remora_session_info), 56, "kv_bytes_kept", 48},
            new object[] {typeof(remora_eval_opts), 40, "struct_size", 0},
            new object[] {typeof(remora_eval_opts), 40, "flags", 4},
            new object[] {typeof(remora_eval_opts), 40, "budget_us", 8},
            new object[] {typeof(remora_eval_opts), 40, "max_tokens", 16},
            new object[] {typeof(remora_eval_opts), 40, "cancel", 24},
            new object[] {typeof(remora_eval_opts), 40, "max_drafts", 32},
            new object[] {typeof(remora_eval_opts), 40, "reserved", 36},
            new object[] {typeof(remora_token_prob), 12, "token", 0},
            new object[] {typeof(remora_token_prob), 12, "logit", 4},
            new object[] {typeof(remora_token_prob), 12, "logprob", 8},
            new object[] {typeof(remora_stage), 48, "struct_size", 0},
            new object[] {typeof(remora_stage), 48, "kind", 4},
            new object[] {typeof(remora_stage), 48, "value", 8},
            new object[] {typeof(remora_stage), 48, "count", 16},
            new object[] {typeof(remora_stage), 48, "user", 24},
            new object[] {typeof(remora_stage), 48, "fn", 32},
            new object[] {typeof(remora_stage), 48, "release", 40},
            new object[] {typeof(remora_constraint_opts), 64, "struct_size", 0},
            new object[] {typeof(remora_constraint_opts), 64, "kind", 4},
            new object[] {typeof(remora_constraint_opts), 64, "source", 8},
            new object[] {typeof(remora_constraint_opts), 64, "flags", 24},
            new object[] {typeof(remora_constraint_opts), 64, "reserved", 28},
            new object[] {typeof(remora_constraint_opts), 64, "choices", 32},
            new object[] {typeof(remora_constraint_opts), 64, "n_choices", 40},
            new object[] {typeof(remora_constraint_opts), 64, "memory", 48},
            new object[] {typeof(remora_constraint_opts), 64, "steps", 56},
            new object[] {typeof(remora_answer_opts), 24, "struct_size", 0},
            new object[] {typeof(remora_answer_opts), 24, "flags", 4},
            new object[] {typeof(remora_answer_opts), 24, "memory", 8},
            new object[] {typeof(remora_answer_opts), 24, "steps", 16},
            new object[] {typeof(remora_gen_opts), 64, "struct_size", 0},
            new object[] {typeof(remora_gen_opts), 64, "flags", 4},
            new object[] {typeof(remora_gen_opts), 64, "budget_us", 8},
            new object[] {typeof(remora_gen_opts), 64, "max_tokens", 16},
            new object[] {typeof(remora_gen_opts), 64, "stop", 24},
            new object[] {typeof(remora_gen_opts), 64, "n_stop", 32},
            new object[] {typeof(remora_gen_opts), 64, "cancel", 40},
            new object[] {typeof(remora_gen_opts), 64, "probs", 48},
            new object[] {typeof(remora_gen_opts), 64, "n_best", 56},
            new object[] {typeof(remora_gen_opts), 64, "max_drafts", 60},
            new object[] {typeof(remora_generation_info), 32, "struct_size", 0},
            new object[] {typeof(remora_generation_info), 32, "reason", 4},
            new object[] {typeof(remora_generation_info), 32, "stop", 8},
            new object[] {typeof(remora_generation_info), 32, "reserved", 12},
            new object[] {typeof(remora_generation_info), 32, "n_tokens", 16},
            new object[] {typeof(remora_generation_info), 32, "text_bytes", 24},
            new object[] {typeof(remora_stats), 80, "struct_size", 0},
            new object[] {typeof(remora_stats), 80, "reserved", 4},
            new object[] {typeof(remora_stats), 80, "prefill_tokens", 8},
            new object[] {typeof(remora_stats), 80, "prefill_us", 16},
            new object[] {typeof(remora_stats), 80, "decode_tokens", 24},
            new object[] {typeof(remora_stats), 80, "decode_us", 32},
            new object[] {typeof(remora_stats), 80, "sample_us", 40},
            new object[] {typeof(remora_stats), 80, "reused_tokens", 48},
            new object[] {typeof(remora_stats), 80, "longest_slice_us", 56},
            new object[] {typeof(remora_stats), 80, "drafts", 64},
            new object[] {typeof(remora_stats), 80, "drafts_used", 72},
            new object[] {typeof(remora_importance), 112, "struct_size", 0},
            new object[] {typeof(remora_importance), 112, "n_matrices", 4},
            new object[] {typeof(remora_importance), 112, "n_cols", 8},
            new object[] {typeof(remora_importance), 112, "reserved", 12},
            new object[] {typeof(remora_importance), 112, "name", 16},
        };
    }
}

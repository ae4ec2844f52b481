/* SPDX-License-Identifier: Apache-2.0 */
/* remora.h - DeepSeek-family language models and their dense relatives inside a host program.
 *
 * This header is the manual. It needs C99 or C++11 and nothing but <stddef.h> and <stdint.h>.
 *
 * ---- A tour
 * -------------------------------------------------------------------------------------
 *
 * Four handles: a runtime (memory, threads, log) holds models; a model holds weights and
 * tokenizer; a session is one timeline of tokens with its KV cache; a sampler turns
 * logits into a token. The whole of a program that continues a text (tour.c):
 *
 *     #include <remora/remora.h>
 *     #include <stdio.h>
 *     #include <string.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         remora_error err = {.struct_size = sizeof err};
 *         remora_source src = {.struct_size = sizeof src, .kind = REMORA_SOURCE_PATH};
 *         remora_stage warm = {.struct_size = sizeof warm, .kind = REMORA_STAGE_TEMPERATURE};
 *         remora_gen_opts opts = {.struct_size = sizeof opts, .max_tokens = 200};
 *         remora_model *m = NULL;
 *         remora_session *s = NULL;
 *         remora_sampler *p = NULL;
 *         remora_token t[1024];
 *         char text[256];
 *         size_t n;
 *         remora_status st;
 *
 *         if (argc != 3) return 2;
 *         src.path = argv[1];
 *         warm.value = 0.7;
 *         if ((st = remora_model_open(NULL, &src, NULL, &m, &err)) < 0) goto out;
 *         if ((st = remora_session_create(m, NULL, &s, &err)) < 0) goto out;
 *         if ((st = remora_sampler_create(m, 42, &p, &err)) < 0) goto out;
 *         if ((st = remora_sampler_add(p, &warm, &err)) < 0) goto out;
 *         st = remora_tokenize(m, argv[2], strlen(argv[2]), REMORA_TEXT_BOS, t, 1024, &n, &err);
 *         if (st < 0) goto out;
 *         if ((st = remora_session_append(s, t, n, REMORA_WANT_LAST, &err)) < 0) goto out;
 *         do {
 *             st = remora_generate_text(s, p, &opts, text, sizeof text, &n, NULL, 0, NULL, &err);
 *             fwrite(text, 1, n, stdout);
 *         } while (st == REMORA_MORE);
 *     out:
 *         if (st < 0) fprintf(stderr, "%s: %s\n", remora_status_name(st), err.message);
 *         remora_sampler_free(p);
 *         remora_session_free(s);
 *         remora_model_free(m);
 *         return st < 0;
 *     }
 *
 * Hosts that want the steps in their own hands call remora_eval() and remora_sampler_pick()
 * instead of remora_generate_text(); games give it a budget in microseconds and call again while it
 * says MORE.
 *
 * ---- Rules that hold for every declaration ----------------------------------------------------
 *
 * Status. Functions that can fail return a remora_status: 0 done, > 0 a condition (MORE, END), <
 * 0 an error. The comment of a function lists what it returns besides REMORA_OK; any call may also
 * return REMORA_E_INTERNAL. Their last parameter is a remora_error, which may be NULL: it gets the
 * reason in words.
 *
 * The library never ends the process, prints, throws, reads the environment, changes the locale,
 * installs a signal handler or an atexit function, or keeps mutable global state. Two runtimes
 * know nothing of each other.
 *
 * Arguments. Handles, strings and out-pointers are required unless the comment says "may be
 * NULL"; a missing one is E_ARG. Free functions take NULL.
 *
 * Ownership. Everything passed in is copied before the call returns, unless the comment says
 * "borrowed". Children hold references, so handles may be freed in any order: a runtime before its
 * models, a model before its sessions and samplers. Memory goes when the last one goes.
 *
 * On an error out-parameters are untouched, except that constructors set *out to NULL and that
 * *n is set with E_BUFFER.
 *
 * Buffers. Calls that fill an array take (out, cap, n): cap in elements, *n receives the number
 * of elements. If cap is too small the status is E_BUFFER, *n is the number needed and what lies
 * in the array means nothing; so out = NULL with cap = 0 asks for the size. Text has an explicit
 * length and no terminating NUL, unless the comment says so or it is a char array inside a struct;
 * it is UTF-8, except for the text of single tokens, which is bytes. Names are NUL-terminated: of
 * files, devices, recipes and keys of metadata.
 *
 * Structs with a struct_size. Set it to sizeof the struct and the rest to zero: zero always means
 * the default. This is how programs and libraries of different 1.x releases fit together:
 *   - in: a struct_size below that of release 1.0 is E_STRUCT. What the caller's header does not
 *     have counts as zero; what this library does not know must be zero, else E_STRUCT: a new
 *     program on an old library works as long as it does not use the new field.
 *   - out: the caller sets struct_size, the library fills what both know, zeroes what only the
 *     caller knows, never writes past struct_size and leaves struct_size as it was.
 *   - `flags`: a bit without a meaning below is E_STRUCT, as a newer field is; `reserved` is 0.
 *   - a struct_size above 4096 is E_STRUCT: it was not set, and no struct will ever be so large.
 *   - fields are only ever appended. Structs without struct_size never change.
 * Where a parameter `const remora_..._opts *` may be NULL, NULL means all defaults.
 *
 * `extra` options are key-value pairs outside the promises of this header. Their keys start with
 * "x-"; a key that this library does not know is E_UNSUPPORTED.
 *
 * Threads. Runtime and model: every function from any thread at any time. All other handles: one
 * thread at a time, which one does not matter. Calls whose handle is const only read it: they may
 * run at the same time as each other, so several threads may look at the rows, the tokens and the
 * numbers of a session while no call that changes it (append, sync, trim, eval, generate, fork,
 * free) runs. Different sessions run in parallel, also those of one model; remora_eval() over
 * several sessions uses each of them. One of those that is caught in use by two threads answers
 * E_BUSY to the second, which is a courtesy and no lock.
 *
 * fork(). A host may fork at any time, also while other threads are inside calls, except in a
 * callback that is to return in the child. In the child every call returns. A session, sampler or
 * other such handle that another thread was using at that moment answers E_BUSY to every call for
 * ever, and can be freed (but not one that the other thread was freeing). Everything else goes on,
 * with the results that it would have in the parent, on the calling thread alone: there neither the
 * runtime's threads exist nor is the host's job system asked. A model on a GPU is its parent's:
 * calls that would use the GPU answer E_DEVICE. What other threads were in the middle of taking or
 * giving back stays allocated until the child ends; the scratch memory of an eval goes with its
 * first session.
 *
 * Callbacks get their user pointer first and are called only on the thread that made the call,
 * unless the comment says otherwise. They must return (no longjmp, no exception) and must not
 * use the handle that called them.
 *
 * Release. Structs whose callbacks and borrowed memory the library keeps after the call
 * (remora_runtime_opts, remora_source, remora_stage) have a callback `release`, which may be NULL.
 * It is called exactly once for each call that is given the struct: when the last object that may
 * use what the struct holds is gone, or, where the call fails, before it returns. It comes after
 * every other callback of the struct, on the thread that frees the last object or makes the failing
 * call, never on one of the runtime's, and with no lock held: it may free what the struct pointed
 * to, and call the library with other handles. Only a struct with a wrong struct_size, of which
 * nothing is read, is not released. After a fork() each process releases what it frees.
 *
 * Floating-point modes (rounding, subnormals, traps) of the host change no result and are not
 * changed. A callback finds the modes that the host has set on its thread, also in the middle of a
 * computation; on the runtime's own threads those of the thread that created the runtime.
 *
 * Cancel. `const int32_t *cancel` is a word, borrowed for the call, that the host sets to
 * non-zero from any thread or signal handler; the library only reads it, as by a relaxed atomic
 * load, between items of work, and then returns E_CANCELLED. NULL: no cancel. A cancelled eval
 * keeps what it has done, as one that ran out of budget does.
 *
 * One result. On the CPU, logits are the same bit for bit for every number of threads, chunk
 * size, budget, batch of sessions and instruction set. What does matter is the content of the
 * timeline and the lengths of the appends (see remora_session_append). */
#ifndef REMORA_H
#define REMORA_H

/* clang-format off: fields and enumerators are aligned by hand */

#include <stddef.h>
#include <stdint.h>

#define REMORA_VERSION_MAJOR 1
#define REMORA_VERSION_MINOR 0
#define REMORA_VERSION_PATCH 0
/* This header's version as remora_version() packs it: major << 24 | minor << 16 | patch << 8. */
#define REMORA_VERSION_NUM ((1u << 24) | (0u << 16) | (0u << 8))

/* Define REMORA_STATIC when linking the static library on Windows. */
#if defined(_WIN32)
# if defined(REMORA_BUILDING)
#  define REMORA_API __declspec(dllexport)
# elif defined(REMORA_STATIC)
#  define REMORA_API
# else
#  define REMORA_API __declspec(dllimport)
# endif
# define REMORA_CALL __cdecl
#else
# define REMORA_API __attribute__((visibility("default")))
# define REMORA_CALL
#endif
#if defined(__GNUC__)
# define REMORA_MUST_CHECK __attribute__((warn_unused_result))
#else
# define REMORA_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status ---------------------------------------------------------------------------------- */

typedef int32_t remora_status;
enum remora_statuses {
    REMORA_OK            = 0,
    REMORA_MORE          = 1,   /* budget or buffer used up; the same call again continues */
    REMORA_END           = 2,   /* generation reached its end */
    REMORA_E_ARG         = -1,  /* caller broke the contract */
    REMORA_E_STRUCT      = -2,  /* struct_size not set, or a field newer than the library set */
    REMORA_E_NOMEM       = -3,  /* host memory, or the host_budget */
    REMORA_E_DEVICE_MEM  = -4,  /* device memory */
    REMORA_E_IO          = -5,  /* reading a file failed: os_code has errno; or, with 0 there, a
                                   file of the model has changed while it was open */
    REMORA_E_FORMAT      = -6,  /* file is damaged or not what it claims */
    REMORA_E_UNSUPPORTED = -7,  /* valid, but not by this build or device */
    REMORA_E_CANCELLED   = -8,  /* the cancel word was set, or progress said stop */
    REMORA_E_BUFFER      = -9,  /* *n holds the size needed */
    REMORA_E_FULL        = -10, /* context capacity reached */
    REMORA_E_BUSY        = -11, /* handle is in use by another call */
    REMORA_E_MISMATCH    = -12, /* sessions or sampler belong to different models */
    REMORA_E_NO_TOKEN    = -13, /* the stages leave no token */
    REMORA_E_DEVICE      = -14, /* device lost or driver failure; the model is dead */
    REMORA_E_CALLBACK    = -15, /* a host callback returned failure */
    REMORA_E_INTERNAL    = -16, /* a bug in remora: please report it */
    REMORA_E_NOT_FOUND   = -17, /* no such file, blob, key or row */
    REMORA_E_LIMIT       = -18  /* a bound that options set was reached; the message names it */
};

/* The error in words: file, tensor, field or argument and its value. Written on errors only,
 * so zero it or look at the status first. A struct_size below sizeof cuts the text. */
typedef struct remora_error {
    uint32_t      struct_size;
    remora_status code;         /* the status that the call returned */
    int32_t       os_code;      /* errno where the system refused, else 0 */
    uint32_t      reserved;
    char          message[240]; /* UTF-8 in English, always terminated */
} remora_error;

/* ---- handles and small types ----------------------------------------------------------------- */

typedef struct remora_runtime remora_runtime; /* memory, threads, log, devices */
typedef struct remora_model   remora_model;   /* weights, tokenizer, metadata; immutable */
typedef struct remora_session remora_session; /* one timeline of tokens and its cache */
typedef struct remora_sampler remora_sampler; /* stages, history and random generator */
typedef struct remora_constraint remora_constraint; /* what output may be */

/* Ids are 0 .. n_vocab - 1 of the model. */
typedef int32_t remora_token;
#define REMORA_TOKEN_NONE ((remora_token)-1)

/* Text that the host passes in a struct or an array: len bytes of UTF-8 at ptr, which may be NULL
 * when len is 0. Frozen. */
typedef struct remora_text {
    const char *ptr;
    uint64_t    len;
} remora_text;

/* One `extra` option. Frozen: arrays of it are passed. */
typedef struct remora_option {
    remora_text key;
    remora_text value;
} remora_option;

/* ---- library --------------------------------------------------------------------------------- */

/* The library's version at run time, packed as REMORA_VERSION_NUM. */
REMORA_API uint32_t REMORA_CALL remora_version(void);

/* The same as text, with a word behind it between releases: "1.0.0-dev". Static: never free it. */
REMORA_API const char *REMORA_CALL remora_version_string(void);

/* One line for bug reports: version, compiler, kernel sets. Static. */
REMORA_API const char *REMORA_CALL remora_build_info(void);

/* Pass REMORA_VERSION_NUM. E_STRUCT when a program built with that header needs another library:
 * the major version differs, or the header's minor version is newer. */
REMORA_API remora_status REMORA_CALL remora_abi_check(uint32_t header_version);

/* The name without its prefix ("E_NOMEM"), or "unknown status". Static. */
REMORA_API const char *REMORA_CALL remora_status_name(remora_status s);

/* ---- runtime: allocator, log, threads, devices ----------------------------------------------- */

enum remora_log_levels {
    REMORA_LOG_ERROR = 1,
    REMORA_LOG_WARN  = 2,
    REMORA_LOG_INFO  = 3,
    REMORA_LOG_DEBUG = 4
};
enum remora_device_kinds {
    REMORA_DEVICE_CPU  = 1,
    REMORA_DEVICE_CUDA = 2 /* a GPU of NVIDIA */
};

/* Everything a runtime takes from its host. */
typedef struct remora_runtime_opts {
    uint32_t struct_size;
    uint32_t flags; /* 0 */

    /* The host's allocator: all three hooks or none (the C library's). Called from any thread.
     * Blocks are aligned to `align`, a power of two; NULL says that memory is out, which becomes
     * E_NOMEM. resize keeps the first min(old_size, size) bytes and on NULL leaves the block as
     * it was; resize and dealloc get the size and alignment that the block has. None may call the
     * library. */
    void *alloc_user;
    void *(REMORA_CALL *alloc)(void *user, size_t size, size_t align);
    void *(REMORA_CALL *resize)(void *user, void *p, size_t old_size, size_t size, size_t align);
    void (REMORA_CALL *dealloc)(void *user, void *p, size_t size, size_t align);

    /* Log lines: len bytes of UTF-8, terminated, without a newline, valid during the call. Called
     * from any thread. NULL: silence. Levels above log_level are dropped; 0 is REMORA_LOG_INFO. */
    void *log_user;
    void (REMORA_CALL *log)(void *user, int32_t level, const char *msg, size_t len);
    int32_t log_level;

    /* Most threads that one call computes with, the calling one included; up to 1024. 0: as many as
     * the process may use cores: those that it is bound to, and no more than its cgroup's limit of
     * processor time, rounded up. 1: no thread is ever created. Where the system does not give as
     * many there are fewer, and a warning in the log. Idle threads sleep; all block signals. */
    int32_t n_threads;

    /* The host's job system. When set, no thread is created: run must call fn(arg, i) for every i
     * in 0 .. n - 1 (n is at most n_threads), in any order, on any threads, and return when all
     * have returned. Called on the thread that made the remora call. fn needs 128 kB of stack. */
    void *run_user;
    void (REMORA_CALL *run)(void *user, uint32_t n, void (REMORA_CALL *fn)(void *arg, uint32_t i),
                            void *arg);

    /* "x-isa": the name of a kernel set, one of docs/numerics.md, forces that set (results are the
     * same); E_UNSUPPORTED where the machine lacks it. "x-cuda": words for GPUs, with spaces
     * between them (docs/cuda.md): "exact", "priority=low". */
    const remora_option *extra;
    uint64_t n_extra;

    /* Called once on each thread that the runtime starts, at its start and perhaps after
     * remora_runtime_create() has returned: for its priority, cores or name. index is 1 and on. May
     * be NULL. */
    void *thread_start_user;
    void (REMORA_CALL *thread_start)(void *user, uint32_t index);

    /* The path of the module for GPUs of NVIDIA. NULL: libremora-cuda.so beside the library, or
     * beside the program that the library is a part of. "": there are no GPUs. It is opened when
     * devices are asked for, or a model on one that is not the CPU, and not before. */
    const char *cuda_module;

    /* Called once when no hook above will be called any more: the runtime is gone, and with it its
     * threads, models, sessions and samplers; or creating it has failed. May be NULL. */
    void *release_user;
    void (REMORA_CALL *release)(void *user);
} remora_runtime_opts;

typedef struct remora_device {
    uint32_t struct_size;
    int32_t  kind;      /* REMORA_DEVICE_* */
    uint64_t mem_total; /* bytes; 0: not known */
    uint64_t mem_free;  /* of a GPU known while the process uses it */
    int32_t  usable;    /* REMORA_OK, or the status that opening a model on it would give */
    uint32_t reserved;
    char     id[32];    /* "cpu", "cuda:0": what remora_model_opts.device takes */
    char     name[96];  /* for people */
    char     paths[96]; /* the kernel set in use: "avx512", "sm_90" */
    char     reason[160]; /* why it is not usable, in words; empty when it is */
} remora_device;

typedef struct remora_runtime_info {
    uint32_t struct_size;
    uint32_t n_threads;   /* most that one call computes with, the calling one included */
    char     kernels[32]; /* the kernel set: "avx512" */
    char     why[120];    /* for people: why so many threads, and why this set */
} remora_runtime_info;

/* opts may be NULL. E_ARG (some but not all allocator hooks, n_threads or log_level out of range),
 * E_STRUCT, E_UNSUPPORTED (unknown extra key, kernel set that the machine lacks), E_NOMEM. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL
remora_runtime_create(const remora_runtime_opts *opts, remora_runtime **out, remora_error *err);

/* Gives up the host's reference. Threads end and memory returns when the last model has gone. The
 * hooks must work until then, which `release` tells. */
REMORA_API void REMORA_CALL remora_runtime_free(remora_runtime *rt);

/* E_ARG, E_STRUCT. */
REMORA_API remora_status REMORA_CALL
remora_runtime_get_info(const remora_runtime *rt, remora_runtime_info *out, remora_error *err);

/* Devices that models can be opened on; the CPU is number 0. The first call looks for GPUs: it
 * opens the module and its driver, if they are there, which takes memory and some 0.1 seconds but
 * no memory of a GPU. Where none is found there is the CPU alone; a line in the log says why, and
 * so does opening a model on "cuda". */
REMORA_API uint32_t REMORA_CALL remora_device_count(const remora_runtime *rt);

/* Looks for GPUs too. E_NOT_FOUND (no such device), E_ARG, E_STRUCT. */
REMORA_API remora_status REMORA_CALL
remora_device_get(const remora_runtime *rt, uint32_t i, remora_device *out, remora_error *err);

/* ---- model ----------------------------------------------------------------------------------- */

enum remora_source_kinds { /* where a model comes from */
    REMORA_SOURCE_PATH   = 1,
    REMORA_SOURCE_MEMORY = 2,
    REMORA_SOURCE_IO     = 3
};

/* A file in memory: `name` as it would have in the folder ("config.json"). Frozen. */
typedef struct remora_blob {
    const char *name;
    const void *data;
    uint64_t    size; /* bytes */
} remora_blob;

/* A Hugging Face folder: config.json, model.safetensors or its index and shards, and, if there are
 * any, tokenizer.json (without it tiktoken.model), tokenizer_config.json, generation_config.json,
 * chat_template.jinja. Or a .remora pack, a GGUF file, or all parts of a split one: it is opened
 * where it is named, and where there is no config.json and no other of its kind. Logits do not
 * depend on the way that the bytes come. Fields of another kind than `kind` must be 0, else E_ARG.
 */
typedef struct remora_source {
    uint32_t struct_size;
    int32_t  kind; /* REMORA_SOURCE_* */

    /* PATH: the folder, or one of its files (any part of a split GGUF). Files are read and mapped.
     * Replace a file of an open model by renaming another over it, never by writing into it: at the
     * beginning of an eval a file that is used where it lies and has become shorter, or was written
     * to, is E_IO for this model from then on. (Links, renames and modes do not matter.) One that
     * is cut short between that look and the use is still a bus error. Where files may change, and
     * on network file systems, use REMORA_MODEL_NO_MMAP. MEMORY and IO: NULL, or the name of the
     * pack or GGUF file that is meant; IO needs it to open one. */
    const char *path;

    /* MEMORY: the files. `blobs` is copied; names are copied; data is borrowed until the model's
     * memory goes and must not change. */
    const remora_blob *blobs;
    uint64_t n_blobs;

    /* IO: the host's storage. io_size gives the size of a file in bytes, or REMORA_E_NOT_FOUND
     * when there is none; io_read fills buf with exactly n bytes from offset off. Both return
     * REMORA_OK or a failure, which opening reports as E_CALLBACK. Called from any thread,
     * several at once, and only while a call that was given this source runs. */
    void *io_user;
    remora_status (REMORA_CALL *io_size)(void *user, const char *name, uint64_t *size);
    remora_status (REMORA_CALL *io_read)(void *user, const char *name, uint64_t off, void *buf,
                                         uint64_t n);

    uint32_t flags; /* REMORA_SOURCE_READ_LATER */
    uint32_t reserved;

    /* For every kind: called once when the memory of the model that was opened goes, and so nothing
     * uses blobs or storage any more; before the call returns where it makes no model (estimate,
     * convert, verify, any failure). May be NULL. */
    void *release_user;
    void (REMORA_CALL *release)(void *user);
} remora_source;

enum remora_source_flags { /* remora_source.flags */
    REMORA_SOURCE_READ_LATER = 1 /* the files may be read until the model's memory goes, by any
                                    thread: for weights that are fetched when they are needed.
                                    Nothing does that yet: E_UNSUPPORTED */
};

enum remora_model_flags { /* remora_model_opts.flags */
    REMORA_MODEL_NO_WEIGHTS = 1, /* config, tokenizer and tensor list only: no sessions */
    REMORA_MODEL_NO_MMAP    = 2, /* read files, never map them */
    REMORA_MODEL_IMPORTANCE = 4, /* sum up the inputs of weights: remora_importance_read() */
    REMORA_MODEL_ANYWAY     = 8, /* with NO_WEIGHTS: open what can be read of a model that cannot
                                    run. The reasons are metadata, "missing.0" and on; what is not
                                    known is 0 in remora_model_info */
    REMORA_MODEL_NO_PREDICTION = 16 /* leave the prediction layer (MTP) out, and with it the memory
                                       of its weights and of its part of each session's cache.
                                       Logits are the same with it and without */
};

typedef struct remora_model_opts {
    uint32_t struct_size;
    uint32_t flags;        /* REMORA_MODEL_* */
    const char *device;    /* NULL: "cpu", in every release 1.x; "auto": the first other device
                              that can be used, else the CPU; "cuda", "cuda:1": that one. The ids
                              are those of remora_device; remora_model_info says which it is */
    uint64_t host_budget;  /* most bytes that the model, its sessions and samplers take together:
                              the sum of the host_ fields of remora_memory but host_mapped; 0: no
                              limit. What does not fit is E_NOMEM: here (before a weight is read,
                              if weights alone do not fit), at creating, forking, adding and
                              appending. While a model is opened, reading takes some 10 MB for each
                              thread and a few times the size of tokenizer.json on top, and the
                              parsers of JSON and YAML, whose memory no hook sees, at most 100 times
                              the size of config.json or of a pack's manifest (docs/formats.md) */
    const int32_t *cancel; /* may be NULL */

    /* Told now and then how many of `total` bytes are loaded; non-zero stops: E_CANCELLED. Called
     * on the opening thread. May be NULL. */
    void *progress_user;
    int32_t (REMORA_CALL *progress)(void *user, uint64_t done, uint64_t total);

    /* "x-dump": the path of a file that gets the rows of activations after each operation, as text;
     * "x-dump-only": of which ones, "layer 3 op attend-latent" (CONTRIBUTING.md, "A wrong logit").
     * Results are the same; evaluating is slow. */
    const remora_option *extra;
    uint64_t n_extra;

    uint64_t device_budget; /* the same for the device's own memory: the sum of the device_ fields
                               of remora_memory, of which device_context counts for each model.
                               What does not fit is E_DEVICE_MEM. The CPU has none: 0, else
                               E_UNSUPPORTED */
} remora_model_opts;

typedef struct remora_model_info {
    uint32_t struct_size;
    uint32_t n_layers;
    uint32_t n_vocab;          /* rows of logits are this long */
    uint32_t n_hidden;         /* hidden states are this long */
    uint32_t n_heads;
    uint32_t kv_lora_rank;     /* kv_lora_rank + rope_dim numbers are cached a token and layer; 0
                                  with grouped attention, see n_kv_heads */
    uint32_t rope_dim;
    uint32_t n_experts;        /* routed experts of a MoE layer; 0: a dense model */
    uint32_t n_experts_used;   /* of them, by each token */
    uint32_t n_shared_experts; /* used by every token */
    uint32_t n_dense_layers;   /* the first layers, which have no experts */
    uint32_t max_context;      /* tokens */
    uint32_t has_tokenizer;    /* 0: the text functions answer E_UNSUPPORTED. There is none, or one
                                  that is not supported, and a warning in the log says why */
    uint32_t n_prediction_layers; /* loaded beside n_layers: 1, or 0 where there is none (of several
                                     the first is used) or NO_PREDICTION was said */
    uint64_t n_params;         /* all parameters of the checkpoint, with those of layers that are
                                  left out at opening; of a pack: of what it was made from */
    uint64_t n_params_active;  /* those that take part in one token, without prediction */
    uint64_t weight_bytes;     /* of the weights in compute layout */
    uint8_t  fingerprint[32];  /* a hash of what the configuration asks for and of the names, types
                                  and some values of the weights: the same in a folder, a GGUF file
                                  and a pack. A weight of another type is another weight. It tells
                                  models apart and finds no damage: remora_verify() does */
    char     family[32];       /* model_type of config.json: "deepseek_v3" */
    char     name[96];         /* for people */
    uint32_t n_kv_heads;       /* grouped attention: 2 * n_kv_heads * head_dim numbers are cached a
                                  token and layer; 0 with latent attention */
    uint32_t head_dim;         /* the same */
    char     device[32];       /* that it computes on, as in remora_device.id */
} remora_model_info;

/* Bytes. remora_model_estimate: what the sessions asked for would need at most;
 * remora_model_get_memory: what is in use now. Of the host: a GPU's own memory is not in it. */
typedef struct remora_memory {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t host_weights;       /* allocated for weights */
    uint64_t host_kv;            /* cache pages set aside for all sessions, used or not; memory
                                    goes back in the portions that sessions and forks took. Of
                                    sessions with PAGES_AS_NEEDED: the pages that they hold */
    uint64_t host_scratch;       /* activations for one eval at a time, timelines, and one output
                                    row for each session; in use now: samplers and constraints
                                    too, and the vocabulary of those. Each further eval that runs
                                    at the same time, or is half done, takes the activations once
                                    more */
    uint64_t host_other;         /* tokenizer, tables, structs */
    uint64_t host_mapped;        /* weights used where they lie in a file mapping or a blob: not
                                    allocated, and the system may drop pages of a mapping */
    uint64_t kv_bytes_per_token; /* of cache, all layers, scales of INT8 included: the estimate's
                                    kv_type, or bf16 */
    uint64_t device_weights;     /* of the memory of a GPU, which has its own. 0 on the CPU */
    uint64_t device_kv;          /* as host_kv */
    uint64_t device_scratch;     /* activations for one eval at a time, as in host_scratch */
    uint64_t device_other;       /* tables, counters */
    uint64_t device_context;     /* what the driver took when the runtime opened the GPU, as far as
                                    it can be measured: shared by all models of the runtime */
} remora_memory;

typedef struct remora_session_opts remora_session_opts;

/* Open a model. rt may be NULL: the model then has a runtime of its own with default options. opts
 * may be NULL. Computes with all threads of the runtime; between tensors cancel is read.
 * E_ARG (also ANYWAY without NO_WEIGHTS), E_STRUCT, E_NOT_FOUND (no config.json or weights; the
 * message names what is there instead), E_FORMAT (a file breaks its format's rules, is half-written
 * or something else; a tensor is missing, has a wrong shape or holds a value that is not finite),
 * E_UNSUPPORTED (the family, an option of config.json or a data type that this build does not do:
 * the message names the field; unknown device or extra key), E_IO, E_CALLBACK, E_NOMEM,
 * E_CANCELLED. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL
remora_model_open(remora_runtime *rt, const remora_source *src, const remora_model_opts *opts,
                  remora_model **out, remora_error *err);

/* The memory that this model would take with n_sessions sessions of these options, every session
 * filled to its capacity and holding one output row, evaluated one at a time, without loading
 * weights: at least what is then used and at most 3 % more. Samplers come on top (see
 * remora_sampler_create). rt, opts and sopts may be NULL; opts' host_budget, cancel and
 * progress are not used. Returns what remora_model_open() and remora_session_create() would. */
REMORA_API remora_status REMORA_CALL
remora_model_estimate(remora_runtime *rt, const remora_source *src, const remora_model_opts *opts,
                      const remora_session_opts *sopts, uint32_t n_sessions, remora_memory *out,
                      remora_error *err);

/* Change the ceilings host_budget and device_budget of an open model, in bytes; 0: none. Any
 * thread, also while sessions evaluate. Scratch memory that no session counts on (an eval's that
 * ran beside another, all when there is no session) is given back as far as the new ceiling needs
 * it. REMORA_OK: the ceilings hold. REMORA_MORE: nothing is taken any more that is above them, but
 * steps that run or are half done hold more, which goes as they end; ask again to see. E_NOMEM,
 * E_DEVICE_MEM: what the model and its sessions cannot do without is more, and nothing has changed;
 * the message says how much it is. E_UNSUPPORTED (device is not 0 on the CPU), E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_model_set_budget(remora_model *m, uint64_t host, uint64_t device, remora_error *err);

/* Gives up the host's reference; sessions and samplers stay valid. */
REMORA_API void REMORA_CALL remora_model_free(remora_model *m);

/* E_ARG, E_STRUCT. */
REMORA_API remora_status REMORA_CALL
remora_model_get_info(const remora_model *m, remora_model_info *out, remora_error *err);
REMORA_API remora_status REMORA_CALL
remora_model_get_memory(const remora_model *m, remora_memory *out, remora_error *err);

/* The runtime that the model was opened with, or its own. Borrowed: it is there as long as the
 * model, and not the host's to free. NULL for NULL. */
REMORA_API remora_runtime *REMORA_CALL remora_model_runtime(const remora_model *m);

/* Metadata as text: "config.<field>" for every number, boolean and string at the top of
 * config.json, or of what it would be; "generation.<field>" for those of generation_config.json;
 * "chat_template", the template of its conversations as its makers wrote it, which the library does
 * not interpret, and "chat_template.<name>" where there are several; "gguf.<key>" for the keys of a
 * GGUF file; "source", where the model came from; "tokenizer", why it takes ids only although it
 * has one; and, when it was opened with NO_WEIGHTS, "tensor.<name>" for every tensor of the
 * checkpoint ("BF16 [512, 256]"). With ANYWAY "missing.0", "missing.1", .. are the reasons why the
 * model cannot run, as opening it would say them ("E_UNSUPPORTED: config.json: model_type .."), and
 * there are none when it can; the type of a tensor may then be one that this build only knows by
 * name, and is "?" where its file is not there.
 *
 * The text is terminated: *n (may be NULL) is its length, and cap must be at least *n + 1.
 * E_NOT_FOUND (no such key), E_BUFFER, E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_model_meta(const remora_model *m, const char *key, char *buf, size_t cap, size_t *n,
                  remora_error *err);

/* The i-th key, from 0; terminated, as above. E_NOT_FOUND past the last one, E_BUFFER, E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_model_meta_key(const remora_model *m, uint32_t i, char *buf, size_t cap, size_t *n,
                      remora_error *err);

/* ---- packs ------------------------------------------------------------------------------------
 *
 * A .remora pack is a model in one file, with weights in compute layout, so that opening it is
 * mapping it (docs/pack.md). */

enum remora_convert_flags { /* remora_convert_opts.flags */
    REMORA_CONVERT_NO_SELF_TEST = 1 /* store no known answer */
};

typedef struct remora_convert_opts {
    uint32_t struct_size;
    uint32_t flags;         /* REMORA_CONVERT_* */
    const char *recipe;     /* which weights get which type: the name of a built-in recipe, or YAML
                               (docs/quality.md). NULL: "keep", every weight as it is stored */
    const char *importance; /* path of a file of `remora eval --imatrix`: how much each column of a
                               weight matters. NULL: all alike */
    const char *base;       /* path of a pack that was made of the same source: the weights that it
                               has are taken as they are, to the bit, whatever the recipe says; only
                               the others are made. NULL: all are made */
    int32_t zstd_level;     /* 1 .. 22: compressed, for distribution; such a pack is decompressed
                               when it is opened. 0: as it is, and mapped */
    uint32_t reserved;
    const int32_t *cancel;  /* may be NULL */

    /* As in remora_model_opts. */
    void *progress_user;
    int32_t (REMORA_CALL *progress)(void *user, uint64_t done, uint64_t total);
} remora_convert_opts;

/* Write the model of `src` to a pack at `path`, whose folder must exist. Memory is bounded by a few
 * blocks of rows for each thread, whatever the size of the model; files are read, not mapped. The
 * file appears under its name when it is whole and on disk: a failure before that leaves what was
 * there. In the end the pack is opened and its answer to fixed tokens stored, for
 * remora_verify(); where there is no memory for that a warning is logged and the pack has none.
 * rt and opts may be NULL. The prediction layer of a checkpoint (the first MTP layer) is kept.
 *
 * What remora_model_open() returns, and: E_NOT_FOUND (no such recipe: the message lists them; no
 * folder for `path`, no file of importance, no base), E_FORMAT (a recipe is wrong: line and column;
 * a weight is not finite, or a logit of the answer; a weight of the base is damaged), E_MISMATCH
 * (the file of importance or the base is of another model), E_UNSUPPORTED (the base is no pack),
 * E_IO (writing failed: os_code has errno), E_CANCELLED. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL
remora_convert(remora_runtime *rt, const remora_source *src, const char *path,
               const remora_convert_opts *opts, remora_error *err);

/* The name and the YAML text of the i-th built-in recipe, from 0. Static. yaml may be NULL.
 * E_NOT_FOUND past the last one, E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_recipe_get(uint32_t i, const char **name, const char **yaml, remora_error *err);

typedef struct remora_verify_opts {
    uint32_t struct_size;
    uint32_t flags;        /* 0 */
    const int32_t *cancel; /* may be NULL */
    void *progress_user;   /* as in remora_model_opts */
    int32_t (REMORA_CALL *progress)(void *user, uint64_t done, uint64_t total);
} remora_verify_opts;

typedef struct remora_verify_report {
    uint32_t struct_size;
    int32_t  checksums; /* REMORA_OK, or E_FORMAT: the file is damaged, or a weight not finite */
    int32_t  self_test; /* REMORA_OK; E_NOT_FOUND: the pack has none; E_MISMATCH: another answer;
                           E_FORMAT: a logit that is not finite */
    int32_t  exact;     /* 1: the self-test's logits are the stored ones to the bit; 0: the stored
                           largest agree within 1e-3 or, if the pack was made by a release whose
                           numbers are rounded elsewhere, half a standard deviation of all */
} remora_verify_report;

/* Is a pack what it was when it was made, and does this build compute with it what it should?
 * Compares every checksum and runs the stored self-test, with memory for opening the model.
 * REMORA_OK when all is well, else the status of what is not, and the message names it; *out is
 * filled in both cases, as far as it came. rt, opts and out may be NULL. What remora_model_open()
 * returns, and: E_UNSUPPORTED (the source is no pack), E_MISMATCH (the self-test). */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL
remora_verify(remora_runtime *rt, const remora_source *src, const remora_verify_opts *opts,
              remora_verify_report *out, remora_error *err);

/* ---- text ---------------------------------------------------------------------------------------
 * For models that have a tokenizer; others answer E_UNSUPPORTED (flags 0, special NONE). */

enum remora_text_flags { /* flags of remora_tokenize() */
    REMORA_TEXT_SPECIAL = 1, /* markup written out in the text ("<|User|>") becomes those tokens.
                                Never set it for text that users typed: they could forge a turn.
                                Markup is every control token, and every added token that is a
                                name in angles, brackets, braces or bars. Other added tokens are
                                words, which are found in every text */
    REMORA_TEXT_BOS     = 2  /* begin with what the tokenizer's configuration puts before a text,
                                most often the begin-of-sequence token; never twice */
};
enum remora_special_tokens { /* of remora_token_special() */
    REMORA_SPECIAL_BOS = 1,
    REMORA_SPECIAL_EOS,
    REMORA_SPECIAL_PAD,
    REMORA_SPECIAL_USER,
    REMORA_SPECIAL_ASSISTANT,
    REMORA_SPECIAL_THINK_OPEN,
    REMORA_SPECIAL_THINK_CLOSE,
    REMORA_SPECIAL_FIM_BEGIN,
    REMORA_SPECIAL_FIM_HOLE,
    REMORA_SPECIAL_FIM_END
};
enum remora_token_bits { /* of remora_token_flags() */
    REMORA_TOKEN_CONTROL     = 1, /* markup, not text: detok writes nothing for it */
    REMORA_TOKEN_END_OF_TURN = 2, /* generation ends with it */
    REMORA_TOKEN_PARTIAL     = 4  /* its bytes alone are not whole UTF-8 characters */
};

/* State of a streaming detokenizer: zero it to begin, copy it to branch. Frozen. */
typedef struct remora_detok {
    uint64_t opaque[4];
} remora_detok;

/* Text to tokens. Any bytes are legal, invalid UTF-8 and NUL included, and come back byte for byte,
 * but for what the model's own tokenizer changes: a byte that has no token is left out (many have
 * none for the 13 bytes that UTF-8 never uses, some lack rare control characters too) or becomes
 * the unknown token; Qwen's text is brought into Unicode's form NFC; a pattern may drop the text
 * that it does not match. At most 2^31 - 1 bytes; text may be NULL when len is 0. E_ARG, E_BUFFER,
 * E_NOMEM, E_UNSUPPORTED (also a text on which the model's own pattern would search without end).
 */
REMORA_API remora_status REMORA_CALL
remora_tokenize(const remora_model *m, const char *text, size_t len, uint32_t flags,
                remora_token *out, size_t cap, size_t *n, remora_error *err);

/* The bytes that a token stands for; for a control token its name; none for an id that the
 * tokenizer leaves out. E_ARG (not below n_vocab), E_BUFFER, E_UNSUPPORTED. */
REMORA_API remora_status REMORA_CALL
remora_token_bytes(const remora_model *m, remora_token t, char *buf, size_t cap, size_t *n,
                   remora_error *err);

/* REMORA_TOKEN_* bits; 0 for an id outside the vocabulary. */
REMORA_API uint32_t REMORA_CALL remora_token_flags(const remora_model *m, remora_token t);

/* The id of REMORA_SPECIAL_*, or REMORA_TOKEN_NONE where the model has none. */
REMORA_API remora_token REMORA_CALL remora_token_special(const remora_model *m, int32_t which);

/* The tokens that end a turn (REMORA_TOKEN_END_OF_TURN), often several, in ascending order. E_ARG,
 * E_BUFFER, E_UNSUPPORTED. */
REMORA_API remora_status REMORA_CALL
remora_end_tokens(const remora_model *m, remora_token *out, size_t cap, size_t *n,
                  remora_error *err);

/* The next nt tokens of a stream to text. Only whole UTF-8 characters are given out; bytes of an
 * unfinished one wait in *st, and bytes that can never become one are given out as U+FFFD.
 * Control tokens give nothing. With E_BUFFER *st is unchanged: call again with more room. E_ARG
 * (no such id, *st is no state), E_BUFFER, E_UNSUPPORTED. */
REMORA_API remora_status REMORA_CALL
remora_detok_push(const remora_model *m, remora_detok *st, const remora_token *t, size_t nt,
                  char *buf, size_t cap, size_t *n, remora_error *err);

/* The end of a stream: U+FFFD for an unfinished character, or nothing; *st begins anew. E_ARG,
 * E_BUFFER, E_UNSUPPORTED. */
REMORA_API remora_status REMORA_CALL
remora_detok_flush(const remora_model *m, remora_detok *st, char *buf, size_t cap, size_t *n,
                   remora_error *err);

/* ---- fill in the middle -------------------------------------------------------------------------
 *
 * Models that were trained for it (DeepSeek-Coder-V2, V2.5 and V3, Qwen2.5-Coder, krill) fill a
 * hole between two texts: what an editor needs. What they generate ends with an end-of-turn
 * token or with a marker; give the names of remora_fim_stop() to remora_gen_opts.stop. */

enum remora_limits { REMORA_HEAL_MAX = 256 }; /* bytes of remora_fim_info.heal */

enum remora_fim_flags { /* remora_fim_opts.flags */
    REMORA_FIM_HEAL = 1 /* the prefix may end in the middle of a word: leave out up to four of its
                           last tokens, as far as a longer token begins with their text. That text
                           is remora_fim_info.heal: give it to remora_sampler_spell(), and what is
                           generated begins with it */
};

/* Another file of the repository. Frozen: arrays of it are passed. */
typedef struct remora_file {
    remora_text path;
    remora_text text;
} remora_file;

/* A prompt that is longer than max_tokens is cut: the prefix in front, most often at the beginning
 * of a line; the suffix at its end; files that do not fit are left out, the first ones first. Each
 * has its share of the tokens that the markers leave, and what one does not need goes to the
 * prefix, then to the suffix, then to the files. The prefix is cut in steps of an eighth of what
 * it has, so the prompts of a text that is being typed begin alike and remora_session_sync() keeps
 * that part. */
typedef struct remora_fim_opts {
    uint32_t struct_size;
    uint32_t flags;        /* REMORA_FIM_* */
    uint64_t max_tokens;   /* of the prompt; 0: no limit */
    uint32_t prefix_share; /* percent; 0: 60 */
    uint32_t suffix_share; /* percent; 0: 25; the files have what is left of 100 */

    /* The form with a repository, of models that have it (Qwen2.5-Coder): its name, the path of the
     * file with the hole, and other files, the nearest last. All empty: the plain form. */
    remora_text repo;
    remora_text path;
    const remora_file *files;
    uint64_t n_files;      /* at most 65536 */
} remora_fim_opts;

typedef struct remora_fim_info {
    uint32_t struct_size;
    uint32_t is_cut;        /* 1: something was left out for max_tokens */
    uint64_t prefix_tokens; /* of the prompt; the markers come on top */
    uint64_t suffix_tokens;
    uint64_t n_files;       /* that are in the prompt: the last ones */
    uint32_t n_heal;        /* bytes of heal; 0: there is nothing to heal */
    uint32_t reserved;
    char     heal[256];     /* the end of the prefix that is not in the prompt: bytes, no NUL */
} remora_fim_info;

/* The prompt for the text between prefix and suffix, with the begin-of-sequence token where the
 * model's configuration has one. Names of markers in the texts are text. o and info may be NULL.
 * Any bytes are legal, as in remora_tokenize(). E_UNSUPPORTED (the model has no tokens for it, or
 * no form with a repository; no tokenizer), E_ARG (shares above 100 percent, max_tokens below what
 * the markers take, too many files), E_STRUCT, E_BUFFER (info is filled), E_NOMEM. */
REMORA_API remora_status REMORA_CALL
remora_fim(const remora_model *m, const char *prefix, size_t n_prefix, const char *suffix,
           size_t n_suffix, const remora_fim_opts *o, remora_token *out, size_t cap, size_t *n,
           remora_fim_info *info, remora_error *err);

/* The name of the i-th marker, from 0, that ends what fills a hole. Static. E_NOT_FOUND past the
 * last one, E_ARG, E_UNSUPPORTED. */
REMORA_API remora_status REMORA_CALL
remora_fim_stop(const remora_model *m, uint32_t i, remora_text *out, remora_error *err);

/* ---- chat: making a prompt ----------------------------------------------------------------------
 *
 * A remora_chat is a conversation: turns, tools, and the chat format of a model. Its prompt is
 * tokens, of which markers are only those that the format wrote itself: what a user, a tool or a
 * schema says is text, whatever it spells, so nobody can forge a turn. docs/chat.md has what each
 * chat format does with system texts, reasoning and tools.
 *
 * Turns come one by one, or as a request in the form of OpenAI's API. A host that keeps the
 * conversation makes the prompt anew for each answer and gives it to remora_session_sync(), which
 * evaluates what is new. One thread at a time uses a remora_chat, as a session. */

typedef struct remora_chat remora_chat;

enum remora_chat_roles { /* remora_turn.role */
    REMORA_ROLE_SYSTEM    = 1,
    REMORA_ROLE_USER      = 2,
    REMORA_ROLE_ASSISTANT = 3,
    REMORA_ROLE_TOOL      = 4, /* the result of a call */
    REMORA_ROLE_REMINDER  = 5  /* what the model is to keep in mind (DeepSeek from V4 on, where it
                                  stands before or behind the user's turn) */
};
enum remora_thinking { /* remora_prompt_opts.think */
    REMORA_THINK_ON  = 1,
    REMORA_THINK_OFF = 2
};
enum remora_tool_choices { /* remora_prompt_opts.choice */
    REMORA_CHOICE_NONE     = 1, /* tools are not declared */
    REMORA_CHOICE_REQUIRED = 2, /* the answer is a call: thinking has to be off, and in families
                                   that have a marker for it the prompt opens the block of calls */
    REMORA_CHOICE_NAMED    = 3  /* ... of the tool that is named */
};

/* A chat format that the host describes: what stands before and behind the text of each turn, for
 * models that are trained on a form of their own. Each of at most 4096 bytes without a NUL. Names
 * of the tokenizer's added tokens in them are those tokens. */
typedef struct remora_chat_format {
    uint32_t struct_size;
    uint32_t flags;           /* 0 */
    remora_text begin;        /* in front of everything */
    remora_text system_open;
    remora_text system_close;
    remora_text user_open;
    remora_text user_close;
    remora_text assistant_open;
    remora_text assistant_close;
    remora_text generation;   /* asks for an answer; empty: assistant_open */
    remora_text system_text;  /* where the conversation does not begin with a system turn */
    remora_text think_open;   /* around reasoning that the model writes; both or none */
    remora_text think_close;
    const char *tools_of;     /* the built-in format whose calls and results it has and whose way to
                                 declare tools; NULL: it has none */
} remora_chat_format;

typedef struct remora_chat_opts {
    uint32_t struct_size;
    uint32_t flags;     /* 0 */
    const char *format; /* the name of a chat format, as remora_chat_format_name() has them. NULL:
                           the model's, by its family, its tokens and its template */
    const remora_chat_format *described; /* the host's own instead; may be NULL */
    remora_text date;   /* today's date, for a family whose prompt has it (Llama-3.1); empty: the
                           one of its template */
} remora_chat_opts;

/* A call of a tool. Frozen: arrays of it are passed. */
typedef struct remora_call {
    remora_text id;        /* what its result refers to; may be empty */
    remora_text name;
    remora_text arguments; /* JSON as a model or host wrote it; empty: {} */
} remora_call;

/* Texts are UTF-8. Fields that a role does not use are empty, else E_ARG. */
typedef struct remora_turn {
    uint32_t struct_size;
    int32_t  role;         /* REMORA_ROLE_* */
    remora_text text;
    remora_text name;      /* who speaks, in families whose markers have a name; else not sent */
    remora_text reasoning; /* ASSISTANT: what preceded the answer; each family sends of it what it
                              was trained with */
    remora_text call_id;   /* TOOL: the call that this is the result of; empty: results have the
                              order of the calls */
    const remora_call *calls; /* ASSISTANT */
    uint64_t n_calls;
} remora_turn;

enum remora_prompt_flags { /* remora_prompt_opts.flags */
    REMORA_PROMPT_CONTINUE    = 1, /* the last turn is an answer that is to be gone on with, or its
                                      reasoning, where it has no text */
    REMORA_PROMPT_NO_REQUEST  = 2, /* end behind the last turn, without asking for an answer */
    REMORA_PROMPT_AS_TEMPLATE = 4  /* as the family's own template, with what that leaves out: tools
                                      where it declares none, calls and results where it has none.
                                      Else the former are declared as servers do it, and the latter
                                      are E_UNSUPPORTED */
};

/* 0 and empty: as the last request of remora_chat_add_json() says, else the default. */
typedef struct remora_prompt_opts {
    uint32_t struct_size;
    uint32_t flags;     /* REMORA_PROMPT_* */
    int32_t  think;     /* REMORA_THINK_* */
    uint32_t effort;    /* of thinking, 1 to 100, in families that have it: 50 low, 75 high */
    int32_t  choice;    /* REMORA_CHOICE_* */
    uint32_t reserved;
    remora_text tool;   /* NAMED */
    remora_text schema; /* a JSON Schema that the answer is to follow: families that were trained to
                           be told get it (DeepSeek from V3.2 on) */
} remora_prompt_opts;

typedef struct remora_prompt_info {
    uint32_t struct_size;
    int32_t  begin;     /* where the answer begins: REMORA_PLACE_*, for remora_chat_parse_opts */
    uint32_t calls;     /* 1: tools are declared, so look for calls */
    uint32_t reserved;
    uint64_t text_bytes; /* of the prompt as text, names of markers included */
} remora_prompt_info;

typedef struct remora_chat_info {
    uint32_t struct_size;
    uint32_t n_turns;
    uint32_t n_tools;
    uint32_t thinks;    /* 0: the family does not; 1: off by default; 2: on by default; 3: always */
    uint32_t has_calls; /* 1: the family has calls of tools */
    uint32_t reserved;
    char     format[32]; /* the chat format's name; "described" for the host's own */
} remora_chat_info;

/* The name of the i-th built-in chat format, from 0: "deepseek-v3.1". Static. E_NOT_FOUND past the
 * last one, E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_chat_format_name(uint32_t i, const char **name, remora_error *err);

/* A conversation without turns for the model, which it holds a reference to. o may be NULL.
 * E_NOT_FOUND (no chat format of that name), E_UNSUPPORTED (no format fits the model, and the
 * message says what was seen; the model lacks a token of the format; no tokenizer), E_ARG (format
 * and described, a text with a NUL), E_STRUCT, E_LIMIT, E_NOMEM. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL
remora_chat_create(remora_model *m, const remora_chat_opts *o, remora_chat **out,
                   remora_error *err);

/* Add a turn. E_ARG, E_STRUCT, E_FORMAT (text that is not UTF-8), E_LIMIT (65536 turns, 1024 calls
 * of a turn, 64 MiB of text, 256 bytes of a name or id), E_NOMEM, E_BUSY; the conversation is then
 * as before. */
REMORA_API remora_status REMORA_CALL
remora_chat_add(remora_chat *c, const remora_turn *turn, remora_error *err);

/* Declare a tool: len bytes of JSON in OpenAI's form, {"type": "function", "function": {"name": ..,
 * "description": .., "parameters": {..}}}. E_FORMAT, E_LIMIT (1024 tools), E_NOMEM,
 * E_BUSY, E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_chat_add_tool(remora_chat *c, const char *json, size_t len, remora_error *err);

/* Add a request in the form of OpenAI's API, len bytes of JSON: its messages become turns, its
 * tools replace those declared before, and tool_choice, response_format, reasoning_effort,
 * thinking {type}, enable_thinking (also in chat_template_kwargs), continue_final_message, prefix
 * of the last message and add_generation_prompt hold for the prompts that follow, until the next
 * request. A message of role latest_reminder is REMORA_ROLE_REMINDER. Behind a message with the
 * field task ("action", "query", "authority", "domain", "title", "read_url") the prompt asks for
 * that in place of an answer (DeepSeek from V4 on). A field that is null is as if it were not
 * there; all other fields of the request are passed over. All of it is added or nothing. E_FORMAT
 * (names the field), E_UNSUPPORTED (parts of a message that are not text, another role), E_LIMIT,
 * E_NOMEM, E_BUSY, E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_chat_add_json(remora_chat *c, const char *json, size_t len, remora_error *err);

/* Keep the first `keep` turns. E_ARG (there are fewer), E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_chat_trim(remora_chat *c, uint64_t keep, remora_error *err);

/* The prompt. o and info may be NULL. E_ARG (no turn; the conversation asks for what makes no sense
 * in the family: a result without its call, a call required while it thinks, JSON without the word
 * in any turn), E_UNSUPPORTED (the family does not have what is asked for), E_FORMAT (schema),
 * E_STRUCT, E_BUFFER (info is filled), E_NOMEM, E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_chat_prompt(const remora_chat *c, const remora_prompt_opts *o, remora_token *out, size_t cap,
                   size_t *n, remora_prompt_info *info, remora_error *err);

/* E_ARG, E_STRUCT, E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_chat_get_info(const remora_chat *c, remora_chat_info *out, remora_error *err);

REMORA_API void REMORA_CALL remora_chat_free(remora_chat *c);

/* ---- chat: reading an answer --------------------------------------------------------------------
 *
 * The answer of a model is reasoning, text and calls of tools, between markers that each family
 * writes in its own way. A remora_chat_parse takes the tokens as they are generated and gives
 * the parts as they grow: the same, joined, however the tokens come. Markers are found where
 * the model wrote them with its special tokens, so text that only spells one is text. Nothing
 * of the markup is in a part. */

typedef struct remora_chat_parse remora_chat_parse;

enum remora_chat_parts { /* remora_chat_event.kind */
    REMORA_PART_NONE      = 0,
    REMORA_PART_REASONING = 1, /* text: a piece */
    REMORA_PART_CONTENT   = 2, /* text: a piece of the answer's text */
    REMORA_PART_CALL      = 3, /* a call begins: text is its name, id its own id in families that
                                  have ids, else empty */
    REMORA_PART_ARGUMENTS = 4, /* text: a piece of them, JSON in every family; what a model wrote
                                  wrong is passed on */
    REMORA_PART_CALL_END  = 5, /* the call is complete */
    REMORA_PART_REST      = 6, /* text behind the calls, or behind broken markup: families do not
                                  count it to the answer */
    REMORA_PART_END       = 7  /* the last event: finish says why */
};
enum remora_chat_places { /* where in an answer the next token lies */
    REMORA_PLACE_START     = 1, /* text, or reasoning that the model opens itself */
    REMORA_PLACE_REASONING = 2,
    REMORA_PLACE_CONTENT   = 3,
    REMORA_PLACE_CALLS     = 4, /* inside the block of calls, and in no call's arguments */
    REMORA_PLACE_ARGUMENTS = 5,
    REMORA_PLACE_AFTER     = 6, /* behind calls */
    REMORA_PLACE_LOST      = 7, /* behind markup that breaks the format */
    REMORA_PLACE_ENDED     = 8  /* behind the token that ends the turn */
};
enum remora_chat_finishes { /* remora_chat_event.finish */
    REMORA_FINISH_STOP   = 1,
    REMORA_FINISH_CALLS  = 2, /* the answer has calls */
    REMORA_FINISH_LENGTH = 3  /* it was cut: a call that was open has no CALL_END */
};
enum remora_chat_parse_flags { /* remora_chat_parse_opts.flags */
    REMORA_CHAT_PARSE_CALLS = 1 /* tools were declared: look for calls. Else their markup is text */
};

typedef struct remora_chat_parse_opts {
    uint32_t struct_size;
    uint32_t flags;     /* REMORA_CHAT_PARSE_* */
    const char *format; /* the name of a chat format, "deepseek-v3.1" (docs/chat.md). NULL: that of
                           `chat`, else the model's */
    int32_t begin;      /* where the prompt ended, as remora_prompt_info.begin says: PLACE_START,
                           REASONING, CONTENT, or CALLS where it opened the block of calls; 0: as
                           the format's prompts end by default */
    uint32_t reserved;
    const remora_chat *chat; /* a conversation whose chat format it is, and whose tools say which
                                arguments are strings where calls do not (GLM); only read in this
                                call; may be NULL */
} remora_chat_parse_opts;

typedef struct remora_chat_event {
    uint32_t struct_size;
    int32_t  kind;   /* REMORA_PART_* */
    uint32_t call;   /* CALL, ARGUMENTS, CALL_END: of which call, from 0. END: how many there are */
    int32_t  finish; /* END: REMORA_FINISH_* */
    remora_text text; /* UTF-8 in whole characters, valid until the next call on the handle */
    remora_text id;
} remora_chat_event;

/* Of what has been taken so far. Bytes are of text as remora_detok_push() gives it, names of the
 * format's markers included; those of the parts, of markup and the held ones are
 * `bytes` together. */
typedef struct remora_chat_parse_info {
    uint32_t struct_size;
    int32_t  place;   /* REMORA_PLACE_* */
    uint32_t n_calls; /* that have begun */
    uint32_t broken;  /* 1: the output broke its format */
    uint64_t bytes;
    uint64_t reasoning;
    uint64_t content;
    uint64_t calls;   /* names and arguments, as they were written */
    uint64_t rest;
    uint64_t markup;
    uint64_t held;    /* what they will be is not known yet */
} remora_chat_parse_info;

/* Takes about 30 kB, whatever the length of the answer. E_ARG (begin is no place to begin at; both
 * format and chat), E_NOT_FOUND (no such format), E_UNSUPPORTED (no tokenizer, or no format that
 * fits the model), E_MISMATCH (chat is of another model), E_STRUCT, E_NOMEM. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL
remora_chat_parse_create(remora_model *m, const remora_chat_parse_opts *o, remora_chat_parse **out,
                         remora_error *err);

/* Take tokens until there is an event. REMORA_MORE: *event is one; call again with the tokens
 * behind the *used ones, also when there are none left. REMORA_OK: all n tokens were taken, and no
 * event is left. A piece of text is given out when another part follows it, when it is long, and
 * when all tokens were taken. Tokens that end a turn may be among them. E_ARG (the first token is
 * outside the vocabulary; a later one stays with those that were not taken), E_STRUCT, E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_chat_parse_next(remora_chat_parse *p, const remora_token *t, size_t n, size_t *used,
                       remora_chat_event *event, remora_error *err);

/* The same for text whose tokens are not known: len bytes, *used of them taken. What spells a
 * marker is one. */
REMORA_API remora_status REMORA_CALL
remora_chat_parse_text(remora_chat_parse *p, const char *text, size_t len, size_t *used,
                       remora_chat_event *event, remora_error *err);

/* The end of the answer. cut: 1 where it did not end by itself (REMORA_REASON_MAX_TOKENS,
 * _CAPACITY, a cancel); the beginning of a marker at its end is then markup, else text.
 * REMORA_MORE: *event is one that was held back; call again. REMORA_END: *event is END, and every
 * further call gives it again. E_FORMAT: the answer broke its format, everything in it was given
 * out, and the message says what is wrong. E_ARG (cut is not 0 or 1), E_STRUCT, E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_chat_parse_end(remora_chat_parse *p, int32_t cut, remora_chat_event *event,
                      remora_error *err);

/* A second one that goes on from the same place. E_NOMEM, E_ARG, E_BUSY. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL
remora_chat_parse_clone(const remora_chat_parse *p, remora_chat_parse **out, remora_error *err);

/* Make `to` as `from` is, a clone of it or what it was cloned from: how an answer is taken back to
 * an earlier place. Allocates nothing. E_MISMATCH (they are of different models, formats,
 * flags or tools), E_ARG, E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_chat_parse_copy(remora_chat_parse *to, const remora_chat_parse *from, remora_error *err);

/* E_ARG, E_STRUCT. */
REMORA_API remora_status REMORA_CALL
remora_chat_parse_get_info(const remora_chat_parse *p, remora_chat_parse_info *out,
                           remora_error *err);

REMORA_API void REMORA_CALL remora_chat_parse_free(remora_chat_parse *p);

/* ---- session: one timeline over the KV cache ----------------------------------------------------
 *
 * The cache holds a latent for each token and layer, or keys and values where attention is grouped.
 * A timeline is `committed` tokens, which are in the cache, followed by `pending` ones,
 * which wait for remora_eval(). Positions count from 0. An eval that ended with MORE or E_CANCELLED
 * leaves a step half done; every call is legal then. Eval continues the step, as long as all of its
 * tokens are as they were: append keeps it, and so do trim and sync when what they drop lies behind
 * it. Any other error drops it. Tokens of a dropped step are pending as before.
 *
 * Output rows hold logits (n_vocab floats) and, if wanted, hidden states (n_hidden floats). They
 * are numbered from 0 in token order over all tokens appended since nothing was pending: the first
 * append after everything was evaluated drops the old rows. */

enum remora_kv_types { /* how the cache is stored */
    REMORA_KV_BF16 = 1,
    REMORA_KV_INT8 = 2, /* 8 bits, the rope key 16, scales for each token: latent attention only.
                           Fastest in long contexts, and the least memory; docs/quality.md has what
                           it costs */
    REMORA_KV_F32  = 3
};
enum remora_want_bits { /* which of the appended tokens get an output row */
    REMORA_WANT_NONE   = 0,
    REMORA_WANT_LAST   = 1, /* the last token of this append */
    REMORA_WANT_ALL    = 2, /* every token of this append */
    REMORA_WANT_HIDDEN = 4  /* added to LAST or ALL: keep the hidden state of these rows as well
                               (after the final norm); alone it means the last token */
};

enum remora_session_flags { /* remora_session_opts.flags */
    REMORA_SESSION_PAGES_AS_NEEDED = 1, /* take memory for the cache in pages of 32 tokens, when
                                           tokens are appended, and give it back when they are
                                           trimmed. A session then costs what it holds and a fork
                                           what it writes, and append says E_NOMEM when there is no
                                           memory for a page. Forks of the session are so too.
                                           Results are the same */
    REMORA_SESSION_PREDICTION      = 2  /* guess with the model's prediction layer too
                                           (max_drafts of options): that layer gets a cache of
                                           its own, which the estimate counts and kv_bytes does not.
                                           Forks of the session have one too, empty at first. Where
                                           a model has no such layer (n_prediction_layers) it
                                           changes nothing */
};

struct remora_session_opts {
    uint32_t struct_size;
    uint32_t flags;    /* REMORA_SESSION_* */
    uint32_t capacity; /* most tokens of the timeline, at most the model's max_context; 0: 4096, or
                          max_context where that is less. Without PAGES_AS_NEEDED the cache for all
                          of them is allocated at once (kv_bytes_per_token each), and written, which
                          is when most systems find memory for it, as it is used. Besides, a token
                          of capacity takes 5 bytes, and 32 of them 8 more */
    uint32_t chunk;    /* most tokens that go through the layers together, up to 65536; 0: 512.
                          More is faster and takes more scratch memory; with less, items of work
                          are shorter. Changes no result */
    int32_t  kv_type;  /* REMORA_KV_*; 0: BF16 */
    uint32_t reserved;
    const remora_option *extra; /* no keys yet */
    uint64_t n_extra;
};

typedef struct remora_session_info {
    uint32_t struct_size;
    uint32_t capacity;        /* tokens */
    uint64_t committed;       /* tokens that are in the cache */
    uint64_t pending;         /* tokens appended and not yet evaluated */
    uint64_t kv_bytes;        /* cache pages held */
    uint64_t kv_bytes_shared; /* of them, in common with forks */
    uint32_t n_rows;          /* output rows that are ready */
    int32_t  state;           /* REMORA_MORE: holds a half-done step (the first session of a batch
                                 does); else REMORA_OK */
    uint64_t kv_bytes_kept;   /* cache that is this session's alone: set aside for its whole
                                 capacity, or with PAGES_AS_NEEDED kv_bytes - kv_bytes_shared */
} remora_session_info;

/* An empty timeline. o may be NULL. The session holds a reference to the model. The cache and the
 * scratch memory for one eval at a time are taken here; appending, evaluating and generating with
 * one output row at a time then allocate nothing. (Hidden rows, stop strings, and batches of
 * sessions of different chunk and capacity do, the first time.) With PAGES_AS_NEEDED the cache is
 * taken by append, sync and generate instead, before anything is computed; eval allocates nothing
 * there either. E_ARG (capacity above max_context,
 * chunk too large, a model opened with NO_WEIGHTS), E_STRUCT, E_UNSUPPORTED (kv_type, or INT8 where
 * attention is grouped; extra key), E_NOMEM. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL remora_session_create(
    remora_model *m, const remora_session_opts *o, remora_session **out, remora_error *err);

/* A second session that goes on from the same state: timeline, pending tokens, output rows. It
 * writes the parent, whose pages are then shared, so no other call may use that meanwhile. Full
 * cache pages are shared until one side drops them, so a fork writes one partly filled page and
 * the rows; what it may need later is set aside as for a new session, or, with PAGES_AS_NEEDED, is
 * not: the fork then costs that page, its rows and its timeline. Legal while a step is half
 * done: the child does that step from its beginning. A generation under way is not passed on: in
 * the child the next generate begins one. E_NOMEM, E_BUSY. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL remora_session_fork(remora_session *s,
                                                                           remora_session **out,
                                                                           remora_error *err);

REMORA_API void REMORA_CALL remora_session_free(remora_session *s);

/* E_ARG, E_STRUCT. */
REMORA_API remora_status REMORA_CALL
remora_session_get_info(const remora_session *s, remora_session_info *out, remora_error *err);

/* The options that the session has: for a default the value that it stands for. A session that is
 * created with them is like this one. E_ARG, E_STRUCT. */
REMORA_API remora_status REMORA_CALL
remora_session_get_options(const remora_session *s, remora_session_opts *out, remora_error *err);

/* The session's model. Borrowed: it is there as long as the session. NULL for NULL. */
REMORA_API remora_model *REMORA_CALL remora_session_model(const remora_session *s);

/* The timeline from position `from` on, pending tokens included. E_ARG (from past the end),
 * E_BUFFER. */
REMORA_API remora_status REMORA_CALL
remora_session_tokens(const remora_session *s, uint64_t from, remora_token *out, size_t cap,
                      size_t *n, remora_error *err);

/* Queue n tokens; nothing is computed. want: REMORA_WANT_*. Takes the output rows that the tokens
 * will need, and with PAGES_AS_NEEDED the cache, so memory runs out here and never in eval. All or
 * nothing: after E_NOMEM the session is as it was, and the same call may succeed later. n = 0 is
 * legal and does nothing.
 *
 * An append of at least 32 tokens is a prompt and is evaluated with the expanded form of
 * attention, a shorter one with the absorbed form. The two are equal in exact arithmetic and
 * differ in rounding, so the lengths of appends, and nothing else of how the work is cut, are
 * part of what decides the bits.
 *
 * E_ARG (a token outside the vocabulary, unknown want bits), E_FULL (capacity), E_NOMEM, E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_session_append(remora_session *s, const remora_token *t, size_t n, uint32_t want,
                      remora_error *err);

/* Make the timeline equal to the n tokens at t: keep the longest common prefix, trim what follows
 * it, append the rest with `want`. When want asks for a row and the whole list is there already,
 * the row of its last token is kept; where there is none the token is evaluated once more, in the
 * form it had. A half-done step goes on when all of its tokens are kept. *reused (may be NULL) is
 * the number of tokens kept that are in the cache.
 * For hosts that hold the whole prompt (chat history, editor buffer) and call this with every
 * change. Statuses as for append; after E_NOMEM the timeline may be cut to the common prefix, after
 * any other error it is as before. */
REMORA_API remora_status REMORA_CALL
remora_session_sync(remora_session *s, const remora_token *t, size_t n, uint32_t want,
                    size_t *reused, remora_error *err);

/* Keep the first `keep` tokens of the timeline, committed and pending, and drop the others with
 * their output rows, ready or to come. A half-done step is dropped when one of its tokens goes. To
 * keep all of them does nothing. Nothing is computed, and nothing else can go wrong: E_ARG (keep is
 * more than there is; nothing has changed), E_BUSY.
 *
 * All families of today keep every position. One that keeps its state at some positions only will
 * have tokens behind the nearest of those pending again: remora_session_info shows them, *reused of
 * sync does not count them, and eval does them once more in the form they had.
 */
REMORA_API remora_status REMORA_CALL
remora_session_trim(remora_session *s, uint64_t keep, remora_error *err);

/* ---- compute --------------------------------------------------------------------------------- */

enum remora_eval_flags { /* of remora_eval_opts */
    REMORA_EVAL_AHEAD = 1 /* take what was guessed right and evaluate nothing: see max_drafts of
                             remora_eval() */
};

enum remora_drafts { /* max_drafts of options, beside numbers from 0 to 30 */
    REMORA_DRAFTS_AUTO = 0x7fffffff /* as many as pay, at each token anew */
};

typedef struct remora_eval_opts {
    uint32_t struct_size;
    uint32_t flags;        /* REMORA_EVAL_* */
    int64_t  budget_us;    /* stop after this many microseconds, to within one item of work
                              (remora_stats.longest_slice_us); 0: until done */
    uint64_t max_tokens;   /* stop after this many tokens, over all sessions; 0: no limit */
    const int32_t *cancel; /* may be NULL */
    uint32_t max_drafts;   /* most tokens that are guessed for each session, at most 30, or
                              REMORA_DRAFTS_AUTO; 0: none. See below */
    uint32_t reserved;     /* 0 */
} remora_eval_opts;

/* A token with its raw logit and the natural logarithm of its probability. Frozen. */
typedef struct remora_token_prob {
    remora_token token;
    float        logit;
    float        logprob;
} remora_token_prob;

/* Evaluate all pending tokens of n different sessions of one model: prefill, decode and batch in
 * one verb. Sessions share the reading of weights, so n sessions cost less than n calls; results
 * are those of n calls. o may be NULL. Nothing pending, or n = 0: REMORA_OK at once. With
 * max_tokens those of sessions that come first in the list come first.
 *
 * REMORA_MORE: budget_us or max_tokens is used up. E_CANCELLED: the cancel word was set. Call again
 * with the same sessions, the same one first, to go on in the middle of the step; with others the
 * step is done again from its beginning. Results are those of one call either way.
 *
 * Work is done in items: some rows of one product, for instance. Budget and cancel word are looked
 * at before each, finished items are kept, and every call gets at least one done, so calls make
 * progress however short they are. After the first item of a call none is begun that will likely
 * end behind the budget.
 *
 * With max_drafts the tokens that are likely to come behind a session's last one are guessed, as
 * remora_generate() says, where that has an output row, was not appended as part of a prompt, and
 * is evaluated by this call; all sessions guess in the room that pending tokens leave in a step.
 * Where the host then appends what was guessed, a later call, with drafts or without, has its row
 * at once. Everything but the time that calls take is as without. REMORA_EVAL_AHEAD takes such rows
 * and evaluates nothing: REMORA_OK where nothing is pending any more, REMORA_MORE where something
 * is; it alone tells how guesses turned out. A batch gains by it: a session whose token was guessed
 * right gets the next one before the others need their step.
 *
 *     do append(s, pick(s)); while (remora_eval(&s, 1, &ahead, &err) == REMORA_OK);
 *
 * Without it a step is saved only where all sessions of a call were right, and
 * REMORA_DRAFTS_AUTO counts it so. Beside prompts AUTO guesses nothing.
 *
 * E_ARG (a NULL session, a negative budget, max_drafts above 30 and not DRAFTS_AUTO), E_STRUCT,
 * E_MISMATCH (different models), E_CANCELLED, E_BUSY (a session in use), E_NOMEM (scratch memory,
 * when more evals run at the same time or are half done than ever before or since the ceiling was
 * lowered, or in a batch of different chunks and capacities), E_IO (a file of the model has
 * changed: see remora_source.path), E_DEVICE. After an error `committed` of each session says how
 * far it got; eval again goes on from there. */
REMORA_API remora_status REMORA_CALL remora_eval(remora_session *const *s, size_t n,
                                                 const remora_eval_opts *o, remora_error *err);

/* The logits of an output row: *out points to *n = n_vocab floats (n may be NULL), borrowed from
 * the session and valid until the next append, sync, trim, generate or free on it. E_NOT_FOUND (no
 * such row, or not evaluated yet), E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_session_logits(const remora_session *s, uint32_t row, const float **out, size_t *n,
                      remora_error *err);

/* The cap most probable tokens of a row, best first (ties: lower id first), with log
 * probabilities under plain softmax. *n = min(cap, n_vocab); cap is how many you want, so there
 * is no E_BUFFER. E_NOT_FOUND, E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_session_top(const remora_session *s, uint32_t row, remora_token_prob *out, size_t cap,
                   size_t *n, remora_error *err);

/* The log probability of one token in a row, summed in double precision. E_NOT_FOUND, E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_session_logprob(const remora_session *s, uint32_t row, remora_token t, float *out,
                       remora_error *err);

/* The hidden state of a row after the final norm, n_hidden floats, copied. E_NOT_FOUND (no such
 * row, or appended without WANT_HIDDEN), E_BUFFER, E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_session_hidden(const remora_session *s, uint32_t row, float *out, size_t cap, size_t *n,
                      remora_error *err);

/* ---- sampler ------------------------------------------------------------------------------------
 *
 * A pick takes a row of logits as its candidates, runs the stages in the order they were added, and
 * draws from the softmax of what is left. NaN counts as -infinity, and -infinity is no candidate.
 * Without a TEMPERATURE stage the temperature is 1: a sampler without stages draws from the full
 * distribution.
 *
 * Same seed, stages, accepted tokens, logits and library version: same tokens, on every machine.
 * Each successful pick uses one number of the generator; a failed one uses none and leaves the
 * sampler as it was. */

enum remora_stage_kinds { /* with the fields of remora_stage that they use */
    REMORA_STAGE_TEMPERATURE = 1, /* value >= 0: logits are divided by it; 0 keeps only the best one
                                     (lower id on ties) */
    REMORA_STAGE_TOP_K,           /* count >= 1: keep the count best */
    REMORA_STAGE_TOP_P,           /* 0 < value <= 1: keep the smallest number of best ones whose
                                     probabilities reach value together, at least one */
    REMORA_STAGE_MIN_P,           /* 0 <= value <= 1: keep those at least value times as probable as
                                     the best */
    REMORA_STAGE_REPEAT,          /* value > 0: logits of tokens in the window are divided by value
                                     when positive, else multiplied by it (as CTRL does) */
    REMORA_STAGE_FREQUENCY,       /* value times the occurrences in the window is subtracted */
    REMORA_STAGE_PRESENCE,        /* value is subtracted once for tokens in the window */
    REMORA_STAGE_BIAS,            /* value is added to token `count`; -INFINITY bans the token */
    REMORA_STAGE_CALLBACK = 10    /* fn is called */
};

/* The window of the three penalties is the last `count` accepted tokens, up to 1048576; 0: 16384.
 * A sampler remembers as many accepted tokens as its longest window, from the adding of that stage
 * on: add stages before accepting. Fields that a kind does not use must be 0, else E_ARG. */
typedef struct remora_stage {
    uint32_t struct_size;
    int32_t  kind; /* REMORA_STAGE_* */
    double   value;
    int64_t  count;

    /* CALLBACK: gets the candidates, *n of them in no promised order, with logits as the stages
     * before left them and logprob under their softmax. It may reorder them, change logits
     * (-INFINITY or NaN drops one) and lower *n to keep only the first ones; it must not raise
     * *n or put in ids outside the vocabulary. The array is valid during the call. Anything but
     * REMORA_OK, and any breach, makes the pick return E_CALLBACK. Clones share `user`. */
    void *user;
    remora_status (REMORA_CALL *fn)(void *user, remora_token_prob *cand, size_t *n);

    /* CALLBACK: called once with `user` when the last sampler that has the stage is gone, clones
     * included, or when adding it has failed. May be NULL. */
    void (REMORA_CALL *release)(void *user);
} remora_stage;

/* A sampler without stages for the vocabulary of m, which it holds a reference to. Takes
 * 12 bytes for each token of the vocabulary, 8 for each 256 of them and less than 9 kB. The first
 * penalty adds 4 for each token of the vocabulary, the longest window 4 for each of its tokens and
 * of 64 more. Picks without a constraint allocate nothing. E_ARG, E_NOMEM. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL remora_sampler_create(remora_model *m,
                                                                             uint64_t seed,
                                                                             remora_sampler **out,
                                                                             remora_error *err);

/* Add a stage at the end. E_ARG (value or count out of range, or not 0 where the kind does not use
 * it), E_STRUCT, E_UNSUPPORTED (unknown kind), E_NOMEM, E_BUSY; the sampler is then as before. */
REMORA_API remora_status REMORA_CALL remora_sampler_add(remora_sampler *p,
                                                        const remora_stage *stage,
                                                        remora_error *err);

/* A copy that goes on exactly as the original would: stages, accepted tokens, generator. E_NOMEM,
 * E_BUSY. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL
remora_sampler_clone(const remora_sampler *p, remora_sampler **out, remora_error *err);

/* Forget the accepted tokens and start the generator anew from seed; stages stay. Does nothing to a
 * sampler that another call is using. */
REMORA_API void REMORA_CALL remora_sampler_reset(remora_sampler *p, uint64_t seed);

/* Enter a token into the history that penalties look at. Picks do not: the host decides what was
 * really taken, and may enter prompt tokens. remora_generate() enters what it delivers. E_ARG (no
 * such token), E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_sampler_accept(remora_sampler *p, remora_token t, remora_error *err);

/* Until the accepted tokens spell these bytes, picks take only tokens that go on with them: those
 * that spell all of what is left, and may be longer; where there is none, those that spell the next
 * part. The others are left out before the stages run. A token that does not go on with the text,
 * and a reset, end it; a clone has it too. text is copied; len is at most REMORA_HEAL_MAX, and 0
 * ends it. E_ARG, E_UNSUPPORTED (no tokenizer), E_NOMEM, E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_sampler_spell(remora_sampler *p, const char *text, size_t len, remora_error *err);

/* A constraint bounds the text that a sampler may make. Its grammar speaks of the bytes of all
 * tokens joined, and a text is right when it can be read in some way. Tokens without a text of
 * their own (special and added ones) are allowed only where a grammar names them, and
 * those that end a turn exactly where the text may end. */
enum remora_constraint_kinds {
    REMORA_CONSTRAINT_GBNF   = 1, /* a grammar as llama.cpp writes it, from its rule `root` on */
    REMORA_CONSTRAINT_REGEX  = 2, /* an ECMAScript regular expression, of the whole text; without
                                     lookaround, back-references and \b */
    REMORA_CONSTRAINT_CHOICE = 3, /* one of some texts */
    REMORA_CONSTRAINT_LARK   = 5, /* a grammar as Lark writes it, from its rule `start` on, with
                                     special tokens and schemas in it (docs/constraints.md) */
    REMORA_CONSTRAINT_JSON_SCHEMA = 4 /* a JSON text that a schema allows, drafts 4 to 2020-12. A
                                         schema that asks for what cannot be enforced is refused
                                         with the keyword's name (docs/schema.md) */
};

enum remora_schema_flags { /* remora_constraint_opts.flags */
    REMORA_SCHEMA_LAX = 1  /* leave out what cannot be enforced; the runtime's log hook gets one
                              warning for each place, with its name */
};

typedef struct remora_constraint_opts {
    uint32_t           struct_size;
    int32_t            kind;      /* REMORA_CONSTRAINT_* */
    remora_text        source;    /* of all kinds but CHOICE: UTF-8 */
    uint32_t           flags;     /* REMORA_SCHEMA_* */
    uint32_t           reserved;
    const remora_text *choices;   /* of CHOICE */
    uint64_t           n_choices;
    uint64_t           memory;    /* bytes that it may take, 0: 64 MiB; remora_memory counts those
                                     that it has. What it has found out is dropped when they are
                                     full; a source that needs more is E_LIMIT */
    uint64_t           steps;     /* of work for a pick or an accepted token, 0: 5,000,000, some
                                     tens of milliseconds */
} remora_constraint_opts;

/* Compile a constraint, for samplers of models with this vocabulary. A model's first one sorts its
 * vocabulary: of 129,000 tokens that takes some 20 to 50 ms and keeps 5 MB. Any thread. opts and
 * its texts are copied. E_ARG (with the place in the source), E_FORMAT (a schema that is no JSON),
 * E_UNSUPPORTED (what the source asks for, or no tokenizer), E_LIMIT (the message names the bound
 * and, where it can, the rule), E_STRUCT, E_NOMEM. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL
remora_constraint_create(remora_model *m, const remora_constraint_opts *opts,
                         remora_constraint **out, remora_error *err);

enum remora_answer_flags { /* remora_answer_opts.flags */
    REMORA_ANSWER_ONE_CALL = 1, /* one call at most; else as many as the family writes */
    REMORA_ANSWER_LAX      = 2  /* leave out what schemas ask for and cannot be enforced; the log
                                   gets a warning for each place, with the tool's name */
};

typedef struct remora_answer_opts {
    uint32_t struct_size;
    uint32_t flags;  /* REMORA_ANSWER_* */
    uint64_t memory; /* as in remora_constraint_opts */
    uint64_t steps;
} remora_answer_opts;

/* What may answer the prompt that remora_chat_prompt() makes with the same options: reasoning where
 * the prompt has the model think, text, and calls in the family's own form, of declared tools alone
 * and with arguments that their schemas allow. Text before calls is free; behind calls there is
 * nothing. A call that is required has no text before it. Where the prompt has a schema, or the
 * request asked for JSON, the text is JSON that it allows. What is read is the answer from its
 * first token on. prompt and o may be NULL. The tools are copied. The statuses of
 * remora_chat_prompt() and of remora_constraint_create(); E_ARG too where the prompt asks for no
 * answer, E_UNSUPPORTED where the tokenizer lacks a marker that calls end with, a tool has a name
 * that cannot be told from markup, or JSON is to be continued; the message names the tool. */
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL
remora_chat_constraint(const remora_chat *c, const remora_prompt_opts *prompt,
                       const remora_answer_opts *o, remora_constraint **out, remora_error *err);

/* Samplers that have it keep it. NULL is fine. */
REMORA_API void REMORA_CALL remora_constraint_free(remora_constraint *c);

/* From now on picks take only tokens that the constraint allows (the others are left out before the
 * stages run, and what a stage of the host puts in is looked at too), and accepted tokens are read
 * by it, from its beginning: enter tokens of a prompt before. NULL ends that. A clone goes on in
 * the same place, and a reset begins anew. Picks and remora_sampler_accept() may return E_NO_TOKEN
 * (the token, or all of them, are not allowed; also behind a token that ended the turn), E_LIMIT
 * and E_NOMEM; then the sampler is as before. E_ARG, E_MISMATCH (vocabularies of different sizes),
 * E_NOMEM, E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_sampler_constrain(remora_sampler *p, remora_constraint *c, remora_error *err);

/* Take the last n accepted tokens back: from the history that penalties look at, the constraint and
 * the text to spell, as if they had never been accepted. Numbers of the generator stay taken. E_ARG
 * (it has not read so many since it was constrained, or knows no more than the longest window of
 * its penalties and 64), E_BUSY; nothing has changed then. */
REMORA_API remora_status REMORA_CALL
remora_sampler_rollback(remora_sampler *p, uint64_t n, remora_error *err);

/* Pick from an output row of a session. E_NOT_FOUND (no such row), E_MISMATCH (vocabularies of
 * different sizes), E_NO_TOKEN (the stages leave none), E_CALLBACK, E_ARG, E_BUSY. *out is written
 * on success only. */
REMORA_API remora_status REMORA_CALL
remora_sampler_pick(remora_sampler *p, const remora_session *s, uint32_t row, remora_token *out,
                    remora_error *err);

/* Pick from the host's own logits, for tokens 0 .. n - 1 with n from 1 to n_vocab. The row is only
 * read. E_ARG, E_NO_TOKEN, E_CALLBACK, E_BUSY. */
REMORA_API remora_status REMORA_CALL
remora_sampler_pick_from(remora_sampler *p, const float *logits, size_t n, remora_token *out,
                         remora_error *err);

REMORA_API void REMORA_CALL remora_sampler_free(remora_sampler *p);

/* ---- generate -------------------------------------------------------------------------------- */

enum remora_gen_flags { /* remora_gen_opts.flags */
    REMORA_GEN_NEW       = 1, /* begin a generation, also where one with these options is under way:
                                 set it in the first call and not in those that go on */
    REMORA_GEN_KEEP_STOP = 2  /* text has the stop string at its end, and nothing is held back.
                                 remora_generate_text() alone: E_ARG elsewhere */
};

/* A generation is a number of calls of one function with the same max_tokens, stop strings and
 * KEEP_STOP. It is over with REMORA_END, with E_FULL, and when the host changes the timeline;
 * another function or other options begin another one, and so does REMORA_GEN_NEW. Any other error
 * leaves it as it is: nothing is lost, and the same call again goes on. */
typedef struct remora_gen_opts {
    uint32_t struct_size;
    uint32_t flags;           /* REMORA_GEN_* */
    int64_t  budget_us;       /* of this call, in microseconds; 0: none */
    uint64_t max_tokens;      /* of the whole generation, over all its calls; 0: no limit */
    const remora_text *stop;  /* n_stop strings: generation ends when its text has one, the names
                                 of control tokens counted as text or left out */
    uint64_t n_stop;          /* at most 1024, each of 1 to 4096 bytes */
    const int32_t *cancel;    /* of this call; may be NULL */
    remora_token_prob *probs; /* of this call; may be NULL. Gets 1 + n_best entries for each token
                                 that the call delivers, so it has room for that many for each of
                                 cap tokens: the token itself, and behind it the n_best most
                                 probable of its row, as remora_session_logprob() and
                                 remora_session_top() give them, whatever the stages do */
    uint32_t n_best;          /* at most n_vocab; 0 without probs */
    uint32_t max_drafts;      /* of this call: most tokens that are guessed for one evaluation, at
                                 most 30, or REMORA_DRAFTS_AUTO; 0: none. See below */
} remora_gen_opts;

/* Evaluate what is pending, then pick, deliver into out, append, evaluate, and so on. o may be
 * NULL. Picks from the row of the timeline's last token, which is made to have one if the host did
 * not want it.
 *
 * Where the sampler's constraint leaves one text only, it is taken without sampling: no number of
 * the generator, no stage of the sampler, no row (but for probs). Penalties count its tokens. They
 * are those that the tokenizer makes of the text that is forced from there on, one after the other;
 * the last ones are left to the model where another token of the vocabulary begins with their text
 * and goes on beyond what is forced. So they depend on the tokens before alone, and not on how
 * calls are cut by cap, budget or cancel. At most 31 of them wait for one evaluation, and are
 * pending where a call returns meanwhile.
 *
 * With max_drafts the tokens that are likely to come next are guessed, from what followed the last
 * tokens where the timeline has had them before, or by the model's prediction layer where the
 * session uses it (REMORA_SESSION_PREDICTION), and evaluated together with the last one. A guess
 * that turns out to be the token that is picked has its row already. Everything but the time that
 * it takes is as without: tokens, probabilities, numbers of the generator, statuses, and the
 * timeline, of which guesses are no part. They take max_drafts rows of logits from the session's
 * memory, kept until it is freed (where there is no room for them, nothing is guessed), pay where
 * text repeats itself, and cost where it does not. REMORA_DRAFTS_AUTO sees to it that they pay: the
 * session measures what its evaluations take and how often guesses are right, guesses as many
 * tokens as that makes worth while, or none, and none that would be too late for the budget of the
 * call where the token itself is not. Nothing is guessed while routing is counted or importance
 * summed up.
 *
 * REMORA_MORE: cap tokens are in out, or the budget is used up (*n may be 0): call again.
 * REMORA_END: end-of-turn token, stop string or max_tokens reached, and
 * remora_session_get_generation() says which. The tokens that made the end are delivered: the
 * end-of-turn token, and those that complete a stop string.
 *
 * Every delivered token is entered into the sampler and is part of the timeline, the last one still
 * pending, so append and eval or another generate go on from there.
 *
 * On an error too *n is the number of tokens that were delivered into out. E_ARG (an empty
 * timeline, cap is 0, a negative budget, bad stop strings, n_best without probs or too large,
 * max_drafts above 30 and not DRAFTS_AUTO),
 * E_STRUCT, E_UNSUPPORTED (stop strings without a tokenizer), E_MISMATCH (vocabularies of different
 * sizes), E_FULL (capacity), E_NO_TOKEN, E_LIMIT (of the sampler's constraint), E_CALLBACK,
 * E_CANCELLED, E_NOMEM, E_IO, E_BUSY, E_DEVICE. */
REMORA_API remora_status REMORA_CALL remora_generate(remora_session *s, remora_sampler *p,
                                                     const remora_gen_opts *o, remora_token *out,
                                                     size_t cap, size_t *n, remora_error *err);

/* The same for text: the text of the tokens, as remora_detok_push() gives it, in whole characters.
 * It ends before the stop string. A token that ends a turn gives no text. The end of the text is
 * held back while it may become a stop string.
 *
 * text has room for cap bytes, at least 4; *n of them are delivered. A call returns as soon as
 * there is any text, most often that of one token. tokens may be NULL with cap_tokens 0; else it
 * gets the *n_tokens tokens that this call made, which may be more or fewer than those of the text
 * that it delivers. n_tokens may be NULL where tokens is.
 *
 * REMORA_MORE: there is text, or cap_tokens tokens, or the budget is used up (both may be 0).
 * REMORA_END and E_FULL come with the last of the text, which was held back until then, or has the
 * U+FFFD of a character that was not finished; where it has no room, after calls that say MORE.
 *
 * On an error too *n bytes and *n_tokens tokens were delivered. Statuses as for remora_generate();
 * E_ARG (probs without tokens), E_UNSUPPORTED (no tokenizer). */
REMORA_API remora_status REMORA_CALL remora_generate_text(remora_session *s, remora_sampler *p,
                                                          const remora_gen_opts *o, char *text,
                                                          size_t cap, size_t *n,
                                                          remora_token *tokens, size_t cap_tokens,
                                                          size_t *n_tokens, remora_error *err);

/* A constraint whose text is complete and cannot go on allows nothing
 * but the end, so it gives END_OF_TURN; E_NO_TOKEN where the vocabulary has no end token. */
enum remora_reasons { /* remora_generation_info.reason */
    REMORA_REASON_NONE        = 0, /* it has not ended, or the host has given it up */
    REMORA_REASON_END_OF_TURN = 1, /* a token with REMORA_TOKEN_END_OF_TURN */
    REMORA_REASON_STOP        = 2, /* a stop string */
    REMORA_REASON_MAX_TOKENS  = 3,
    REMORA_REASON_CAPACITY    = 4  /* of the session: the call returned E_FULL */
};

typedef struct remora_generation_info {
    uint32_t struct_size;
    int32_t  reason;   /* REMORA_REASON_*: why it has ended. Where a token completes a stop string
                          and is the last one for another reason too, STOP; END_OF_TURN before
                          MAX_TOKENS */
    uint32_t stop;     /* STOP: the index of the stop string. Of several that are complete with the
                          same character the longest, of equal ones the first */
    uint32_t reserved;
    uint64_t n_tokens;   /* made by all its calls */
    uint64_t text_bytes; /* delivered by all its calls; 0 with remora_generate() */
} remora_generation_info;

/* The session's generation that is under way, else its last one; all 0 before the first one, and in
 * a fork. E_ARG, E_STRUCT. */
REMORA_API remora_status REMORA_CALL
remora_session_get_generation(const remora_session *s, remora_generation_info *out,
                              remora_error *err);

/* ---- numbers --------------------------------------------------------------------------------- */

/* Since the session was created or forked. Times are wall time in microseconds; a batch counts
 * its whole time for each of its sessions. */
typedef struct remora_stats {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t prefill_tokens;   /* evaluated in steps that had tokens of a prompt */
    uint64_t prefill_us;
    uint64_t decode_tokens;    /* evaluated in others */
    uint64_t decode_us;
    uint64_t sample_us;        /* spent in picks by remora_generate() */
    uint64_t reused_tokens;    /* kept by remora_session_sync() */
    uint64_t longest_slice_us; /* longest stretch without a look at budget and cancel, in evals
                                  that had one of them: about one item of work */
    uint64_t drafts;           /* guesses that were evaluated (max_drafts of options) */
    uint64_t drafts_used;      /* of them, those that were the token; decode_tokens has them too */
} remora_stats;

/* E_ARG, E_STRUCT. */
REMORA_API remora_status REMORA_CALL
remora_session_get_stats(const remora_session *s, remora_stats *out, remora_error *err);

/* Count which experts tokens are routed to, over all sessions of the model; off at first. on: 0
 * or 1. Counts stay when switched off. E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_routing_enable(remora_model *m, int32_t on, remora_error *err);

/* The counts of one layer, n_experts of them, from the model's opening on or the last reset; reset
 * non-zero sets them to 0 after reading. Counts of evals that are running may or may not be in it.
 * E_NOT_FOUND (no such layer, or one without experts), E_BUFFER, E_ARG. */
REMORA_API remora_status REMORA_CALL
remora_routing_read(remora_model *m, uint32_t layer, int32_t reset, uint64_t *counts, size_t cap,
                    size_t *n, remora_error *err);

/* ---- importance: which columns of a weight matter, for quantisation ----------------------------
 *
 * A model opened with REMORA_MODEL_IMPORTANCE adds up, for every column of every matrix that
 * quantisation may change, the squares of the inputs that evaluated tokens multiply it with. The
 * matrices are the projections of attention (but not kv_b_proj) and of dense, routed and shared
 * feed-forward networks, and the output head; of routed experts each has its own sums, over the
 * tokens that were routed to it. The head sees only the tokens that have an output row. Sums of
 * gate_proj and up_proj, which have the same input, are the same.
 *
 * It takes 8 bytes for each column of each matrix, part of the memory estimate, and some time.
 * Logits do not change. Sums are over all sessions of the model since its opening. With one eval at
 * a time they are the same bit for bit for every number of threads, chunk size and instruction set,
 * and for every batch as long as tokens come in the same order. Tokens of a step that was dropped
 * (trim, or other sessions in between, after a budget or a cancel) and done again count twice. */

typedef struct remora_importance {
    uint32_t struct_size;
    uint32_t n_matrices; /* routed experts, or 1 */
    uint32_t n_cols;
    uint32_t reserved;
    char     name[96];   /* "model.layers.3.self_attn.o_proj"; of routed experts without their
                            number: "model.layers.3.mlp.experts.down_proj" */
} remora_importance;

/* The i-th weight that has sums, in the order of the layers. E_NOT_FOUND (past the last one, or the
 * model was opened without the flag or without weights), E_ARG, E_STRUCT. */
REMORA_API remora_status REMORA_CALL
remora_importance_get(const remora_model *m, uint32_t i, remora_importance *out, remora_error *err);

/* The sums of one matrix of weight i, n_cols of them, and the number of tokens in them: 0 for an
 * expert that no token was routed to. Tokens of evals that are running may or may not be in it.
 * E_NOT_FOUND (as above), E_BUFFER, E_ARG (no such matrix). */
REMORA_API remora_status REMORA_CALL
remora_importance_read(const remora_model *m, uint32_t i, uint32_t matrix, uint64_t *count,
                       double *sums, size_t cap, size_t *n, remora_error *err);

#ifdef __cplusplus
}
#endif
#endif /* REMORA_H */

/* SPDX-License-Identifier: Apache-2.0 */
/* The command as a host of the library: runtime and model from options, log and progress to stderr,
 * Ctrl-C as the cancel word, statuses as messages and exit codes. */
#ifndef TOOL_HOST_H
#define TOOL_HOST_H

#include "options.h"
#include "tool_system.h"
#include <remora/remora.h>
#include <string.h>

static inline remora_text tool_text(const char *s)
{
    return (remora_text){s, s ? strlen(s) : 0};
}

/* Options that every subcommand with a model has. */
typedef struct tool_host {
    const char *path;
    const char *isa;
    const char *device; /* NULL: the CPU */
    tool_texts extra;   /* "key=value", of the model or the runtime */
    uint32_t threads;
    int no_mmap;
    int quiet;
    int verbose;
    int32_t log_level; /* 0: as quiet and verbose say */
    int no_warnings;   /* they have been shown */
    remora_runtime *rt;
    remora_model *model;
    remora_model_info info;
    double open_seconds;
} tool_host;

#define TOOL_MODEL_OPTION(h)                                                                       \
    {                                                                                              \
        'm', "model", TOOL_TEXT, &(h).path, "PATH", "the model: a folder or a file", 0, 0          \
    }
#define TOOL_HOST_OPTIONS(h)                                                                       \
    {0, "no-mmap", TOOL_FLAG, &(h).no_mmap, NULL, "read the files instead of mapping them", 0, 0}, \
        {'q', "quiet", TOOL_FLAG, &(h).quiet, NULL, "only errors on stderr", 0, 0},                \
    {                                                                                              \
        'v', "verbose", TOOL_FLAG, &(h).verbose, NULL, "the library's log on stderr", 0, 0         \
    }
#define TOOL_ISA_OPTION(h)                                                                         \
    {                                                                                              \
        0, "isa", TOOL_TEXT, &(h).isa, "NAME",                                                     \
            "force a kernel set: ref, avx2, avxvnni, avx512,\navx512vnni, amx, neon, "             \
            "neon_dotprod, neon_i8mm;\nresults are the same",                                      \
            0, 0                                                                                   \
    }
#define TOOL_DEVICE_OPTION(h)                                                                      \
    {                                                                                              \
        0, "device", TOOL_TEXT, &(h).device, "ID",                                                 \
            "where to compute: cpu (default), cuda, cuda:1, auto;\n\"remora devices\" lists them", \
            0, 0                                                                                   \
    }
#define TOOL_EXTRA_OPTION(h)                                                                       \
    {                                                                                              \
        0, "x", TOOL_TEXTS, &(h).extra, "KEY=VALUE",                                               \
            "an extra option: x-dump, x-dump-only, x-cuda;\nmay be repeated", 0, 0                 \
    }
#define TOOL_THREADS_OPTION(h)                                                                     \
    {                                                                                              \
        't', "threads", TOOL_U32, &(h).threads, "N",                                               \
            "threads to compute with (default: all cores)", 1, 1024                                \
    }

#define TOOL_KV_NAMES "bf16|int8|f32" /* in the order of REMORA_KV_* */

/* How sessions are made. */
typedef struct tool_session {
    uint32_t ctx;
    uint32_t chunk;
    int kv;       /* index of the option's words */
    int predicts; /* it uses the prediction layer, where the model has one */
} tool_session;

#define TOOL_SESSION_OPTIONS(s)                                                                    \
    {0,          "chunk", TOOL_U32,                                                                \
     &(s).chunk, "N",     "tokens that go through the layers together\n(default 512)",             \
     1,          65536},                                                                           \
    {                                                                                              \
        0, "kv", TOOL_CHOICE, &(s).kv, TOOL_KV_NAMES, "how the cache is stored (default bf16)", 0, \
            0                                                                                      \
    }

const char *tool_kv_name(const tool_session *s);
void tool_session_opts(const tool_session *s, uint32_t capacity, remora_session_opts *out);
/* As large as a run of n_prompt tokens and n more needs, n = 0 being as many as can be: capacity
 * costs nothing until it is used, but the model bounds it. */
uint32_t tool_capacity(const tool_host *h, const tool_session *s, uint64_t n_prompt, uint64_t n);

#define TOOL_TOP_P_OPTION(value)                                                                   \
    {                                                                                              \
        0, "top-p", TOOL_REAL, &(value), "X",                                                      \
            "keep the best that reach X together\n(default 0.95); 1: all", 0, 1                    \
    }
#define TOOL_SEED_OPTION(value)                                                                    \
    {                                                                                              \
        's', "seed", TOOL_U64, &(value), "N", "of the random generator (default 42)", 0, 0         \
    }

remora_status tool_add_stage(remora_sampler *p, int32_t kind, double value, int64_t count,
                             remora_error *err);
/* No stage where all tokens are kept. */
remora_status tool_add_top_p(remora_sampler *p, double top_p, remora_error *err);

/* Runtime and model; TOOL_GO, or the exit code after a message. flags: REMORA_MODEL_*. */
int tool_open(tool_host *h, uint32_t flags);
void tool_close(tool_host *h);
int tool_runtime(tool_host *h); /* the runtime alone */
/* The device that an id of remora_model_info or of the option names. */
int tool_device(const tool_host *h, const char *id, remora_device *out);
void tool_source(const tool_host *h, remora_source *out);

/* The exit code for a status, after "remora: what: E_NAME: message" on stderr. err may be NULL. */
int tool_fail(remora_status st, const char *what, const remora_error *err);

#endif

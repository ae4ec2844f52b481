/* SPDX-License-Identifier: Apache-2.0 */
/* See host.h. The only state of the program that outlives a function is here: the cancel word. */
#include "host.h"
#include "output.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int32_t cancel_word;

static void on_signal(int number)
{
    (void)number;
    __atomic_store_n(&cancel_word, 1, __ATOMIC_RELAXED);
}

void tool_catch_signals(void)
{
    struct sigaction act;
    memset(&act, 0, sizeof act);
    act.sa_handler = on_signal;
    act.sa_flags = (int)SA_RESETHAND; /* no SA_RESTART: reading stdin ends too */
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
}

const int32_t *tool_cancel(void)
{
    return &cancel_word;
}

int tool_cancelled(void)
{
    return __atomic_load_n(&cancel_word, __ATOMIC_RELAXED) != 0;
}

double tool_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int tool_fail(remora_status st, const char *what, const remora_error *err)
{
    if (st == REMORA_E_CANCELLED) {
        fputs("remora: interrupted\n", stderr);
        return TOOL_INTERRUPTED;
    }
    fprintf(stderr, "remora: %s: %s", what, remora_status_name(st));
    if (err && err->code == st && err->message[0]) fprintf(stderr, ": %s", err->message);
    fputs("\n", stderr);
    return TOOL_FAILED;
}

static void REMORA_CALL on_log(void *user, int32_t level, const char *msg, size_t len)
{
    (void)user;
    (void)level;
    fprintf(stderr, "%.*s\n", (int)len, msg);
}

static int32_t REMORA_CALL on_progress(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    tool_bar("loading", done, total);
    return 0;
}

int tool_runtime(tool_host *h)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_option isa = {tool_text("x-isa"), tool_text(h->isa)};
    remora_runtime_opts opts = {.struct_size = sizeof opts,
                                .log = on_log,
                                .log_level = h->verbose ? REMORA_LOG_DEBUG
                                             : h->quiet ? REMORA_LOG_ERROR
                                                        : REMORA_LOG_WARN,
                                .n_threads = (int32_t)h->threads,
                                .extra = h->isa ? &isa : NULL,
                                .n_extra = h->isa ? 1 : 0};
    const remora_status st = remora_runtime_create(&opts, &h->rt, &err);
    return st < 0 ? tool_fail(st, "runtime", &err) : TOOL_GO;
}

void tool_source(const tool_host *h, remora_source *out)
{
    *out = (remora_source){.struct_size = sizeof *out, .kind = REMORA_SOURCE_PATH, .path = h->path};
}

/* Take "key=value" apart. */
static int split_extra(const tool_texts *texts, remora_option *out)
{
    for (size_t i = 0; i < texts->n; i++) {
        const char *const equals = strchr(texts->v[i], '=');
        const size_t n = equals ? (size_t)(equals - texts->v[i]) : 0;
        if (n == 0) return tool_usage("--x %s: KEY=VALUE is needed", texts->v[i]);
        out[i] = (remora_option){{texts->v[i], n}, tool_text(equals + 1)};
    }
    return TOOL_GO;
}

int tool_open(tool_host *h, uint32_t flags)
{
    remora_error err = {.struct_size = sizeof err};
    remora_option extra[sizeof h->extra.v / sizeof h->extra.v[0]];
    const remora_model_opts opts = {.struct_size = sizeof opts,
                                    .flags = flags | (h->no_mmap ? REMORA_MODEL_NO_MMAP : 0),
                                    .cancel = tool_cancel(),
                                    .progress = h->quiet ? NULL : on_progress,
                                    .extra = extra,
                                    .n_extra = h->extra.n};
    remora_source src;
    const double start = tool_seconds();
    if (!h->path) return tool_usage("no model: -m PATH is needed");
    int code = split_extra(&h->extra, extra);
    if (code == TOOL_GO) code = tool_runtime(h);
    if (code != TOOL_GO) return code;
    tool_source(h, &src);
    const remora_status st = remora_model_open(h->rt, &src, &opts, &h->model, &err);
    if (!h->quiet) tool_bar_clear();
    if (st < 0) return tool_fail(st, h->path, &err);
    h->open_seconds = tool_seconds() - start;
    h->info.struct_size = sizeof h->info;
    remora_model_get_info(h->model, &h->info, NULL);
    return TOOL_GO;
}

void tool_close(tool_host *h)
{
    remora_model_free(h->model);
    remora_runtime_free(h->rt);
    h->model = NULL;
    h->rt = NULL;
}

void tool_session_opts(const tool_session *s, uint32_t capacity, remora_session_opts *out)
{
    *out = (remora_session_opts){.struct_size = sizeof *out,
                                 .capacity = capacity,
                                 .chunk = s->chunk,
                                 .kv_type = REMORA_KV_BF16 + s->kv};
}

const char *tool_kv_name(const tool_session *s)
{
    static const char *const names[] = {"bf16", "int8", "f32"};
    return names[s->kv];
}

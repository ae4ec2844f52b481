/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"
#include "output.h"
#include "tool_system.h"

#include <stdio.h>
#include <string.h>

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
    const tool_host *h = user;
    if (h->no_warnings && level == REMORA_LOG_WARN) return;
    fprintf(stderr, "%.*s\n", (int)len, msg);
}

static int32_t REMORA_CALL on_progress(void *user, uint64_t done, uint64_t total)
{
    (void)user;
    tool_bar("loading", done, total);
    return 0;
}

static int32_t log_level(const tool_host *h)
{
    if (h->log_level) return h->log_level;
    return h->verbose ? REMORA_LOG_DEBUG : h->quiet ? REMORA_LOG_ERROR : REMORA_LOG_WARN;
}

int tool_runtime(tool_host *h)
{
    static const char cuda[] = "x-cuda=";
    char module[4096];
    remora_option extra[2];
    remora_error err = {.struct_size = sizeof err};
    remora_runtime_opts opts = {.struct_size = sizeof opts,
                                .log_user = h,
                                .log = on_log,
                                .log_level = log_level(h),
                                .n_threads = (int32_t)h->threads,
                                .extra = extra,
                                .cuda_module = tool_find_module(module, sizeof module)};
    if (h->isa) extra[opts.n_extra++] = (remora_option){tool_text("x-isa"), tool_text(h->isa)};
    for (size_t i = 0; i < h->extra.n && opts.n_extra < 2; i++)
        if (strncmp(h->extra.v[i], cuda, sizeof cuda - 1) == 0)
            extra[opts.n_extra++] =
                (remora_option){tool_text("x-cuda"), tool_text(h->extra.v[i] + sizeof cuda - 1)};
    const remora_status st = remora_runtime_create(&opts, &h->rt, &err);
    return st < 0 ? tool_fail(st, "runtime", &err) : TOOL_GO;
}

int tool_device(const tool_host *h, const char *id, remora_device *out)
{
    const uint32_t n = strcmp(id, "cpu") == 0 ? 1 : remora_device_count(h->rt);
    out->struct_size = sizeof *out;
    for (uint32_t i = 0; i < n; i++)
        if (remora_device_get(h->rt, i, out, NULL) >= 0 && strcmp(out->id, id) == 0) return TOOL_GO;
    return tool_fail(REMORA_E_NOT_FOUND, id, NULL);
}

void tool_source(const tool_host *h, remora_source *out)
{
    *out = (remora_source){.struct_size = sizeof *out, .kind = REMORA_SOURCE_PATH, .path = h->path};
}

/* Take "key=value" apart; x-cuda is the runtime's. */
static int split_extra(const tool_texts *texts, remora_option *out, uint64_t *n_out)
{
    *n_out = 0;
    for (size_t i = 0; i < texts->n; i++) {
        const char *const equals = strchr(texts->v[i], '=');
        const size_t n = equals ? (size_t)(equals - texts->v[i]) : 0;
        if (n == 0) return tool_usage("--x %s: KEY=VALUE is needed", texts->v[i]);
        if (n == 6 && memcmp(texts->v[i], "x-cuda", n) == 0) continue;
        out[(*n_out)++] = (remora_option){{texts->v[i], n}, tool_text(equals + 1)};
    }
    return TOOL_GO;
}

int tool_open(tool_host *h, uint32_t flags)
{
    remora_error err = {.struct_size = sizeof err};
    remora_option extra[sizeof h->extra.v / sizeof h->extra.v[0]];
    remora_model_opts opts = {.struct_size = sizeof opts,
                              .device = h->device,
                              .flags = flags | (h->no_mmap ? REMORA_MODEL_NO_MMAP : 0),
                              .cancel = tool_cancel(),
                              .progress = h->quiet ? NULL : on_progress,
                              .extra = extra};
    remora_source src;
    const double start = tool_seconds();
    if (!h->path) return tool_usage("no model: -m PATH is needed");
    int code = split_extra(&h->extra, extra, &opts.n_extra);
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
                                 .flags = s->predicts ? (uint32_t)REMORA_SESSION_PREDICTION : 0,
                                 .capacity = capacity,
                                 .chunk = s->chunk,
                                 .kv_type = REMORA_KV_BF16 + s->kv};
}

uint32_t tool_capacity(const tool_host *h, const tool_session *s, uint64_t n_prompt, uint64_t n)
{
    const uint64_t most = h->info.max_context, need = n_prompt + n;
    if (s->ctx) return s->ctx;
    return (uint32_t)(n == 0 || need > most ? most : need);
}

remora_status tool_add_stage(remora_sampler *p, int32_t kind, double value, int64_t count,
                             remora_error *err)
{
    const remora_stage stage = {
        .struct_size = sizeof stage, .kind = kind, .value = value, .count = count};
    return remora_sampler_add(p, &stage, err);
}

remora_status tool_add_top_p(remora_sampler *p, double top_p, remora_error *err)
{
    if (top_p <= 0 || top_p >= 1) return REMORA_OK;
    return tool_add_stage(p, REMORA_STAGE_TOP_P, top_p, 0, err);
}

const char *tool_kv_name(const tool_session *s)
{
    static const char *const names[] = {"bf16", "int8", "f32"};
    return names[s->kv];
}

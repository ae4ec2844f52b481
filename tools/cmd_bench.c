/* SPDX-License-Identifier: Apache-2.0 */
/* remora bench: speed of prefill and decode at chosen context depths, in the shape of llama.cpp's
 * llama-bench, whose key names the csv and json output uses, so that the same scripts read both. */
#include "commands.h"
#include "host.h"
#include "output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_REPS = 100, MAX_BATCH = 64, STRIDE = 1009 /* tokens between what two sessions get */ };

typedef struct bench {
    tool_host host;
    tool_session session;
    tool_list prompts, gens, depths, threads, batches;
    uint32_t reps;
    int no_warmup, experts, format;

    remora_session *s[MAX_BATCH];
    remora_token *tokens; /* the same pseudo-random ids for every test */
    uint32_t capacity;
    uint32_t n_sessions; /* of the test under way */
    remora_device device;
    char cpu[128];
    tool_table table;
} bench;

static const tool_column columns_md[] = {
    {"model", TOOL_CELL_TEXT},   {"size", TOOL_CELL_NUMBER}, {"params", TOOL_CELL_NUMBER},
    {"backend", TOOL_CELL_TEXT}, {"kv", TOOL_CELL_TEXT},     {"threads", TOOL_CELL_NUMBER},
    {"test", TOOL_CELL_NUMBER},  {"t/s", TOOL_CELL_NUMBER},
};

static const tool_column columns_full[] = {
    {"build_commit", TOOL_CELL_TEXT},
    {"build_info", TOOL_CELL_TEXT},
    {"cpu_info", TOOL_CELL_TEXT},
    {"gpu_info", TOOL_CELL_TEXT},
    {"backends", TOOL_CELL_TEXT},
    {"model_filename", TOOL_CELL_TEXT},
    {"model_type", TOOL_CELL_TEXT},
    {"model_size", TOOL_CELL_NUMBER},
    {"model_n_params", TOOL_CELL_NUMBER},
    {"n_batch", TOOL_CELL_NUMBER},
    {"n_ubatch", TOOL_CELL_NUMBER},
    {"n_threads", TOOL_CELL_NUMBER},
    {"type_k", TOOL_CELL_TEXT},
    {"type_v", TOOL_CELL_TEXT},
    {"n_prompt", TOOL_CELL_NUMBER},
    {"n_gen", TOOL_CELL_NUMBER},
    {"n_depth", TOOL_CELL_NUMBER},
    {"n_sessions", TOOL_CELL_NUMBER},
    {"experts_touched", TOOL_CELL_NUMBER},
    {"kv_bytes", TOOL_CELL_NUMBER},
    {"open_ns", TOOL_CELL_NUMBER},
    {"test_time", TOOL_CELL_TEXT},
    {"avg_ns", TOOL_CELL_NUMBER},
    {"stddev_ns", TOOL_CELL_NUMBER},
    {"avg_ts", TOOL_CELL_NUMBER},
    {"stddev_ts", TOOL_CELL_NUMBER},
    {"samples_ns", TOOL_CELL_RAW},
    {"samples_ts", TOOL_CELL_RAW},
};

static int parse(bench *b, int argc, char **argv)
{
    const tool_option options[] = {
        TOOL_MODEL_OPTION(b->host),
        {'p', "n-prompt", TOOL_LIST, &b->prompts, "N,N,..",
         "prefill tests of so many tokens (default 512);\n0: none", 0, 1e6},
        {'n', "n-gen", TOOL_LIST, &b->gens, "N,N,..",
         "decode tests of so many tokens (default 32);\n0: none", 0, 1e6},
        {'d', "n-depth", TOOL_LIST, &b->depths, "N,N,..",
         "tokens in the context before (default 0)", 0, 1e6},
        {'b', "batch", TOOL_LIST, &b->batches, "N,N,..",
         "sessions that are evaluated together, each with\ntokens of its own (default 1)", 1,
         MAX_BATCH},
        {'t', "threads", TOOL_LIST, &b->threads, "N,N,..", "threads (default: all cores)", 1, 1024},
        {'r', "repetitions", TOOL_U32, &b->reps, "N", "of every test (default 5)", 1, MAX_REPS},
        {0, "experts", TOOL_FLAG, &b->experts, NULL,
         "also count how many experts of a layer a decode\nstep touches, in one more, untimed, run",
         0, 0},
        {0, "no-warmup", TOOL_FLAG, &b->no_warmup, NULL, "no run before the first measurement", 0,
         0},
        {'o', "output", TOOL_CHOICE, &b->format, TOOL_FORMATS, "(default md)", 0, 0},
        TOOL_SESSION_OPTIONS(b->session),
        TOOL_DEVICE_OPTION(b->host),
        TOOL_ISA_OPTION(b->host),
        TOOL_EXTRA_OPTION(b->host),
        TOOL_HOST_OPTIONS(b->host),
    };
    const tool_spec spec = {
        .usage = "remora bench -m MODEL [options]",
        .about = "Measures tokens per second: pp512 is a prompt of 512 tokens, tg32 are 32 tokens\n"
                 "one after the other; \"@ d4096\": with 4096 tokens in the context before. Every\n"
                 "combination of the lists is measured; with a batch the tokens of all its\n"
                 "sessions count (\"x 8\"). csv and json have llama-bench's keys.",
        .more =
            "example:\n  remora bench -m models/krill -p 128,512 -n 32 -d 0,1024 -t 1,2 -o json",
        .options = options,
        .n_options = sizeof options / sizeof options[0]};
    return tool_parse(&spec, argc, argv);
}

static uint32_t largest(const tool_list *list)
{
    uint32_t most = 0;
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i] > most) most = list->v[i];
    return most;
}

static int make_tokens(bench *b)
{
    const size_t n = b->capacity + (size_t)STRIDE * (largest(&b->batches) - 1);
    uint64_t state = 1;
    b->tokens = malloc(n * sizeof *b->tokens);
    if (!b->tokens) return tool_fail(REMORA_E_NOMEM, "tokens", NULL);
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        b->tokens[i] = (remora_token)((state >> 33) % b->host.info.n_vocab);
    }
    return TOOL_GO;
}

static int make_sessions(bench *b)
{
    remora_error err = {.struct_size = sizeof err};
    remora_session_opts opts;
    const uint32_t p = largest(&b->prompts), n = largest(&b->gens);
    b->capacity = largest(&b->depths) + (p > n ? p : n);
    if (b->capacity == 0) return tool_usage("nothing to measure");
    if (b->capacity > b->host.info.max_context)
        return tool_usage("a test needs %u tokens, the model has a context of %u", b->capacity,
                          b->host.info.max_context);
    tool_session_opts(&b->session, b->capacity, &opts);
    for (uint32_t i = 0; i < largest(&b->batches); i++) {
        const remora_status st = remora_session_create(b->host.model, &opts, &b->s[i], &err);
        if (st < 0) return tool_fail(st, "session", &err);
    }
    return make_tokens(b);
}

/* Every session gets tokens at position `from`, evaluated all at once or one by one. */
static int run(bench *b, uint32_t from, uint32_t n, uint32_t step)
{
    remora_error err = {.struct_size = sizeof err};
    const remora_eval_opts opts = {.struct_size = sizeof opts, .cancel = tool_cancel()};
    for (uint32_t i = 0; i < n; i += step) {
        remora_status st = REMORA_OK;
        for (uint32_t k = 0; st == REMORA_OK && k < b->n_sessions; k++)
            st = remora_session_append(b->s[k], b->tokens + (size_t)STRIDE * k + from + i, step,
                                       REMORA_WANT_LAST, NULL);
        if (st == REMORA_OK) st = remora_eval(b->s, b->n_sessions, &opts, &err);
        if (st < 0) return tool_fail(st, "bench", &err);
    }
    return TOOL_GO;
}

/* The timelines with exactly `depth` tokens; what is there from the last test stays, where it is
 * the same in all of them. */
static int set_depth(bench *b, uint32_t depth)
{
    uint32_t have = depth;
    for (uint32_t k = 0; k < b->n_sessions; k++) {
        remora_session_info info = {.struct_size = sizeof info};
        remora_session_get_info(b->s[k], &info, NULL);
        if (info.committed < have) have = (uint32_t)info.committed;
    }
    for (uint32_t k = 0; k < b->n_sessions; k++) {
        const remora_status st = remora_session_trim(b->s[k], have, NULL);
        if (st < 0) return tool_fail(st, "bench", NULL);
    }
    return have < depth ? run(b, have, depth - have, depth - have) : TOOL_GO;
}

typedef struct samples {
    uint32_t n_prompt, n_gen, depth;
    char test_time[32];
    uint64_t ns[MAX_REPS];
    double ts[MAX_REPS];
    double avg_ns, dev_ns, avg_ts, dev_ts;
    uint64_t kv_bytes; /* of one session's cache at the end */
    double experts;    /* of a layer, touched by a decode step; 0: not counted */
} samples;

static void mean_and_deviation(const double *v, uint32_t n, double *mean, double *dev)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) sum += v[i];
    *mean = sum / n;
    for (uint32_t i = 0; i < n; i++) squares += (v[i] - *mean) * (v[i] - *mean);
    *dev = n > 1 ? sqrt(squares / (n - 1)) : 0;
}

static int measure(bench *b, samples *m)
{
    const uint32_t n = m->n_prompt ? m->n_prompt : m->n_gen;
    const uint32_t step = m->n_prompt ? n : 1;
    const time_t now = time(NULL);
    double ns[MAX_REPS];
    strftime(m->test_time, sizeof m->test_time, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    for (uint32_t r = 0; r < b->reps; r++) {
        int code = set_depth(b, m->depth);
        if (code != TOOL_GO) return code;
        const double start = tool_seconds();
        code = run(b, m->depth, n, step);
        if (code != TOOL_GO) return code;
        ns[r] = (tool_seconds() - start) * 1e9;
        m->ns[r] = (uint64_t)(ns[r] + 0.5);
        m->ts[r] = (double)n * b->n_sessions * 1e9 / ns[r];
    }
    remora_session_info info = {.struct_size = sizeof info};
    remora_session_get_info(b->s[0], &info, NULL);
    m->kv_bytes = info.kv_bytes;
    mean_and_deviation(ns, b->reps, &m->avg_ns, &m->dev_ns);
    mean_and_deviation(m->ts, b->reps, &m->avg_ts, &m->dev_ts);
    return TOOL_GO;
}

/* Experts with a count, over all layers that have some; the counts start anew. */
static uint32_t touched(bench *b, uint32_t *layers)
{
    enum { MAX_EXPERTS = 4096 };
    static uint64_t counts[MAX_EXPERTS];
    uint32_t sum = 0;
    *layers = 0;
    for (uint32_t l = 0; l < b->host.info.n_layers; l++) {
        size_t n;
        if (remora_routing_read(b->host.model, l, 1, counts, MAX_EXPERTS, &n, NULL) < 0) continue;
        for (size_t i = 0; i < n; i++) sum += counts[i] > 0;
        ++*layers;
    }
    return sum;
}

/* The decode test once more, step by step, looking at what each step touched. */
static int count_experts(bench *b, samples *m)
{
    uint32_t layers = 0;
    uint64_t sum = 0;
    int code = set_depth(b, m->depth);
    remora_routing_enable(b->host.model, 1, NULL);
    touched(b, &layers);
    for (uint32_t i = 0; code == TOOL_GO && i < m->n_gen; i++) {
        code = run(b, m->depth + i, 1, 1);
        sum += touched(b, &layers);
    }
    remora_routing_enable(b->host.model, 0, NULL);
    if (layers > 0) m->experts = (double)sum / m->n_gen / layers;
    return code;
}

static void add_size(tool_table *t, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t u = 0;
    for (; bytes >= 1024 && u < 4; u++) bytes /= 1024;
    tool_table_add(t, "%.2f %s", bytes, units[u]);
}

static int is_cpu(const bench *b)
{
    return b->device.kind == REMORA_DEVICE_CPU;
}

static void add_backend(bench *b)
{
    tool_table_add(&b->table, "%s %s", is_cpu(b) ? "CPU" : "CUDA", b->device.paths);
}

static void add_row_md(bench *b, const samples *m)
{
    tool_table *t = &b->table;
    const double params = (double)b->host.info.n_params;
    char depth[32] = "", batch[32] = "";
    if (m->depth) snprintf(depth, sizeof depth, " @ d%u", m->depth);
    if (b->n_sessions > 1) snprintf(batch, sizeof batch, " x %u", b->n_sessions);
    tool_table_add(t, "%s", b->host.info.family);
    add_size(t, (double)b->host.info.weight_bytes);
    if (params < 1e9)
        tool_table_add(t, "%.2f M", params / 1e6);
    else
        tool_table_add(t, "%.2f B", params / 1e9);
    add_backend(b);
    tool_table_add(t, "%s", tool_kv_name(&b->session));
    tool_table_add(t, "%u", b->host.threads);
    tool_table_add(t, "%s%u%s%s", m->n_prompt ? "pp" : "tg", m->n_prompt ? m->n_prompt : m->n_gen,
                   batch, depth);
    tool_table_add(t, "%.2f ± %.2f", m->avg_ts, m->dev_ts);
}

static void add_samples(bench *b, const samples *m)
{
    char ns[MAX_REPS * 24], ts[MAX_REPS * 40];
    size_t a = 0, c = 0;
    for (uint32_t r = 0; r < b->reps; r++) {
        const char *sep = r ? ", " : "";
        a += (size_t)snprintf(ns + a, sizeof ns - a, "%s%llu", sep, (unsigned long long)m->ns[r]);
        c += (size_t)snprintf(ts + c, sizeof ts - c, "%s%.9g", sep, m->ts[r]);
    }
    tool_table_add(&b->table, "[ %s ]", ns);
    tool_table_add(&b->table, "[ %s ]", ts);
}

static void add_row_full(bench *b, const samples *m)
{
    tool_table *t = &b->table;
    const uint32_t chunk = b->session.chunk ? b->session.chunk : 512;
    const char *kv = tool_kv_name(&b->session);
    tool_table_add(t, "%s", remora_version_string());
    tool_table_add(t, "%s", remora_build_info());
    tool_table_add(t, "%s", b->cpu);
    tool_table_add(t, "%s", is_cpu(b) ? "" : b->device.name);
    add_backend(b);
    tool_table_add(t, "%s", b->host.path);
    tool_table_add(t, "%s", b->host.info.family);
    tool_table_add(t, "%llu", (unsigned long long)b->host.info.weight_bytes);
    tool_table_add(t, "%llu", (unsigned long long)b->host.info.n_params);
    tool_table_add(t, "%u", chunk);
    tool_table_add(t, "%u", chunk);
    tool_table_add(t, "%u", b->host.threads);
    tool_table_add(t, "%s", kv);
    tool_table_add(t, "%s", kv);
    tool_table_add(t, "%u", m->n_prompt);
    tool_table_add(t, "%u", m->n_gen);
    tool_table_add(t, "%u", m->depth);
    tool_table_add(t, "%u", b->n_sessions);
    if (m->experts > 0)
        tool_table_add(t, "%.3f", m->experts);
    else
        tool_table_add(t, b->format == TOOL_JSON ? "null" : "");
    tool_table_add(t, "%llu", (unsigned long long)m->kv_bytes);
    tool_table_add(t, "%.0f", b->host.open_seconds * 1e9);
    tool_table_add(t, "%s", m->test_time);
    tool_table_add(t, "%.0f", m->avg_ns);
    tool_table_add(t, "%.0f", m->dev_ns);
    tool_table_add(t, "%.6f", m->avg_ts);
    tool_table_add(t, "%.6f", m->dev_ts);
    add_samples(b, m);
}

static int run_test(bench *b, uint32_t n_prompt, uint32_t n_gen, uint32_t depth)
{
    samples m = {.n_prompt = n_prompt, .n_gen = n_gen, .depth = depth};
    if (n_prompt + n_gen == 0) return TOOL_GO;
    int code = measure(b, &m);
    if (code == TOOL_GO && b->experts && n_gen > 0) code = count_experts(b, &m);
    if (code != TOOL_GO) return code;
    if (b->format == TOOL_MD)
        add_row_md(b, &m);
    else
        add_row_full(b, &m);
    return TOOL_GO;
}

static int run_batch(bench *b, uint32_t n_sessions)
{
    const uint32_t warm = b->capacity < 32 ? b->capacity : 32;
    b->n_sessions = n_sessions;
    int code = b->no_warmup ? TOOL_GO : set_depth(b, 0);
    if (code == TOOL_GO && !b->no_warmup) code = run(b, 0, warm, warm);
    for (size_t d = 0; code == TOOL_GO && d < b->depths.n; d++) {
        for (size_t i = 0; code == TOOL_GO && i < b->prompts.n; i++)
            code = run_test(b, b->prompts.v[i], 0, b->depths.v[d]);
        for (size_t i = 0; code == TOOL_GO && i < b->gens.n; i++)
            code = run_test(b, 0, b->gens.v[i], b->depths.v[d]);
    }
    return code;
}

/* One number of threads is one runtime, so the model is opened for each. */
static int run_threads(bench *b, uint32_t threads)
{
    b->host.threads = threads;
    int code = tool_open(&b->host, 0);
    if (code == TOOL_GO) {
        code = tool_device(&b->host, b->host.info.device, &b->device);
        if (code == TOOL_GO) code = make_sessions(b);
    }
    for (size_t i = 0; code == TOOL_GO && i < b->batches.n; i++)
        code = run_batch(b, b->batches.v[i]);
    for (uint32_t i = 0; i < MAX_BATCH; i++) {
        remora_session_free(b->s[i]);
        b->s[i] = NULL;
    }
    free(b->tokens);
    b->tokens = NULL;
    tool_close(&b->host);
    return code;
}

int tool_bench(int argc, char **argv)
{
    bench b = {.reps = 5,
               .prompts = {.v = {512}, .n = 1},
               .gens = {.v = {32}, .n = 1},
               .depths = {.v = {0}, .n = 1},
               .batches = {.v = {1}, .n = 1}};
    int code = parse(&b, argc, argv);
    if (code != TOOL_GO) return code;
    if (b.threads.n == 0) b.threads = (tool_list){.v = {tool_cores()}, .n = 1};
    tool_cpu_name(b.cpu, sizeof b.cpu);
    b.table.columns = b.format == TOOL_MD ? columns_md : columns_full;
    b.table.n_columns = b.format == TOOL_MD ? sizeof columns_md / sizeof columns_md[0]
                                            : sizeof columns_full / sizeof columns_full[0];
    for (size_t i = 0; code == TOOL_GO && i < b.threads.n; i++)
        code = run_threads(&b, b.threads.v[i]);
    if (code == TOOL_GO) code = tool_table_print(&b.table, b.format) < 0 ? TOOL_FAILED : TOOL_OK;
    tool_table_free(&b.table);
    return code;
}

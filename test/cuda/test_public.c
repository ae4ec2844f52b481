/* SPDX-License-Identifier: Apache-2.0 */
/* GPUs as a host sees them: the module beside this program, opened by the public header's
 * functions, with a libcuda.so.1 in which kernels run in the emulator. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <math.h>

#include "emulated_driver.h"
#include "groups.h"
#include "host.h"
#include "small_stack.h"
#include "tiny.h"

enum { N = 9, MORE = 3, CAP = 64, OF_NOBODY = 0, CONTEXT = 5 << 20, KERNELS = 3 << 20 };

static emulated_state *gpu; /* of the driver that the module opens */
static int (*current)(void);
static void (*enter_foreign)(void), (*leave_foreign)(void), (*reset)(void);

static void *stub_symbol(const char *name)
{
    void *stub = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL), *at = NULL;
    REQUIRE(stub != NULL);
    at = dlsym(stub, name);
    REQUIRE(at != NULL);
    return at;
}

static int find_stub(void **state)
{
    emulated_state *(*get)(void);
    (void)state;
    *(void **)(void *)&get = stub_symbol("stub_state");
    *(void **)(void *)&current = stub_symbol("stub_current");
    *(void **)(void *)&enter_foreign = stub_symbol("stub_enter_foreign");
    *(void **)(void *)&leave_foreign = stub_symbol("stub_leave_foreign");
    *(void **)(void *)&reset = stub_symbol("stub_reset");
    gpu = get();
    gpu->context_bytes = CONTEXT;
    gpu->module_bytes = KERNELS;
    return 0;
}

typedef struct world {
    tmem mem;
    char log[400];
    remora_runtime *rt;
    tiny t;
    remora_token ids[N + MORE];
} world;

static void REMORA_CALL keep_log(void *user, int32_t level, const char *msg, size_t len)
{
    world *w = user;
    (void)level, (void)len;
    snprintf(w->log, sizeof w->log, "%s", msg);
}

static int32_t n_threads = 2; /* of runtimes */

static void runtime_make(world *w, const char *module, const char *words)
{
    const remora_option extra = host_option("x-cuda", words != NULL ? words : "");
    remora_runtime_opts o = host_runtime_opts(&w->mem, n_threads);
    remora_error err = HOST_ERROR;
    o.log_user = w;
    o.log = keep_log;
    o.cuda_module = module;
    o.extra = &extra;
    o.n_extra = words != NULL;
    REQUIRE_OK(remora_runtime_create(&o, &w->rt, &err), &err);
}

static void world_make(world *w, const tiny_opts *kind, const char *words)
{
    *w = (world){0};
    runtime_make(w, NULL, words);
    tiny_make(&w->t, kind);
    host_ids(w->ids, N + MORE, TINY_TEXT_VOCAB, 1);
}

static int any_is_loaded(void)
{
    return host_maps("/libremora-cuda");
}

static void world_end(world *w)
{
    remora_runtime_free(w->rt);
    assert_int_equal(atomic_load(&w->mem.bytes), 0);
    assert_false(any_is_loaded());
    tiny_free(&w->t);
    assert_int_equal(gpu->blocks_in_use, 0);
    assert_int_equal(gpu->memory_in_use, 0);
    assert_int_equal(gpu->registered, 0);
    assert_int_equal(gpu->streams, 0);
    assert_int_equal(gpu->events, 0);
    assert_int_equal(gpu->graphs, 0);
    assert_int_equal(gpu->greens, 0);
    assert_int_equal(gpu->green_streams, 0);
    assert_int_equal(gpu->owned, 0);
}

static remora_status open_on(world *w, const char *device, remora_model **m, remora_error *err)
{
    const remora_model_opts o = {.struct_size = sizeof o, .device = device};
    return remora_model_open(w->rt, &w->t.source, &o, m, err);
}

/* Logits of the ids on a device, as host_logits(). */
static float *logits_on(world *w, const char *device)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    REQUIRE_OK(open_on(w, device, &m, &err), &err);
    float *out = host_logits(m, w->ids, N);
    remora_model_free(m);
    return out;
}

/* ---- finding GPUs ---- */

static void gpus_are_listed(void **state)
{
    remora_device d = {.struct_size = sizeof d};
    world w;
    (void)state;
    gpu->gpus = 2;
    world_make(&w, NULL, NULL);
    assert_int_equal(remora_device_count(w.rt), 3);
    assert_int_equal(remora_device_get(w.rt, 0, &d, NULL), REMORA_OK);
    assert_int_equal(d.kind, REMORA_DEVICE_CPU);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(remora_device_get(w.rt, 1 + i, &d, NULL), REMORA_OK);
        assert_int_equal(d.kind, REMORA_DEVICE_CUDA);
        assert_string_equal(d.id, i == 0 ? "cuda:0" : "cuda:1");
        assert_string_equal(d.name, "emulated");
        assert_string_equal(d.paths, "sm_90");
        assert_int_equal(d.mem_total, gpu->memory);
        assert_int_equal(d.mem_free, 0); /* it is not in use */
        assert_int_equal(d.usable, REMORA_OK);
        assert_string_equal(d.reason, "");
    }
    assert_int_equal(remora_device_get(w.rt, 3, &d, NULL), REMORA_E_NOT_FOUND);
    world_end(&w);
    gpu->gpus = 1;
}

static void nothing_is_opened_before_it_is_asked_for(void **state)
{
    const long calls = gpu->calls;
    world w;
    (void)state;
    world_make(&w, NULL, NULL);
    free(logits_on(&w, NULL));
    free(logits_on(&w, "cpu"));
    assert_int_equal(gpu->calls, calls);
    assert_false(any_is_loaded());
    assert_int_equal(remora_device_count(w.rt), 2);
    assert_true(any_is_loaded());
    assert_int_equal(gpu->blocks_in_use, 0); /* listed, not opened */
    world_end(&w);
}

static void is_not_there(world *w, const char *says)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    assert_int_equal(open_on(w, "cuda", &m, &err), REMORA_E_UNSUPPORTED);
    assert_null(m);
    if (strstr(err.message, says) == NULL) fail_msg("%s: no \"%s\"", err.message, says);
    if (strstr(w->log, says) == NULL) fail_msg("log: %s: no \"%s\"", w->log, says);
    assert_int_equal(remora_device_count(w->rt), 1);
    free(logits_on(w, NULL));
}

static void what_is_missing_is_said(void **state)
{
    static const struct {
        const char *module, *words, *says;
    } cases[] = {
        {"", NULL, "made without GPUs"},
        {"/nowhere/gpus.so", NULL, "/nowhere/gpus.so cannot be opened"},
        {"nowhere.so", NULL, "nowhere.so cannot be opened"},
        {NULL, "exact quickly", "\"quickly\" is not known; known are: exact one-by-one own-"},
        {NULL, "priority=middle", "\"priority=middle\" is not known"},
        {NULL, "sms=0", "\"sms=0\" is not known"},
        {NULL, "sms=2x", "\"sms=2x\" is not known"},
        {NULL, "sms=10000", "\"sms=10000\" is not known"},
        {NULL, "own-context sms=2", "only the primary context can be cut"}};
    world w;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_make(&w, NULL, NULL);
        remora_runtime_free(w.rt);
        runtime_make(&w, cases[i].module, cases[i].words);
        is_not_there(&w, cases[i].says);
        world_end(&w);
    }
    gpu->gpus = 0;
    world_make(&w, NULL, NULL);
    is_not_there(&w, "there is no GPU");
    gpu->gpus = 1;
    is_not_there(&w, "there is no GPU"); /* it is looked for once */
    world_end(&w);
}

/* ---- the same models ---- */

static double distance(const float *a, const float *b, size_t n)
{
    double d = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        all += (double)b[i] * b[i];
    }
    return sqrt(d / all);
}

static void agree(world *w, size_t n, double limit)
{
    float *const cpu = logits_on(w, NULL), *const cuda = logits_on(w, "cuda");
    const double d = distance(cuda, cpu, n);
    print_message("distance %.2g, of at most %g\n", d, limit);
    assert_true(d > 0 && d <= limit);
    free(cpu);
    free(cuda);
}

static void models_agree_with_the_cpu(void **state)
{
    static const tiny_opts kinds[] = {
        {0}, {.v2 = 1}, {.dense = "llama"}, {.dense = "qwen3"}, {.dtype = "F16"}, {.dtype = "F32"}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int exact = 0; exact < 2; exact++) {
            world w;
            world_make(&w, &kinds[i], exact ? "exact" : NULL);
            agree(&w, (size_t)N * TINY_TEXT_VOCAB, exact ? 1e-4 : 5e-2);
            world_end(&w);
        }
}

/* ---- tokens ---- */

typedef struct chain {
    int n;
    remora_stage stage[3];
    int bytes; /* copied to the host for a token, at most */
} chain;

static remora_sampler *sampler_of(remora_model *m, const chain *c)
{
    remora_error err = HOST_ERROR;
    remora_sampler *p;
    REQUIRE_OK(remora_sampler_create(m, 3, &p, &err), &err);
    for (int i = 0; i < c->n; i++) REQUIRE_OK(remora_sampler_add(p, &c->stage[i], &err), &err);
    return p;
}

static remora_session *prompted(const world *w, remora_model *m)
{
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = CAP};
    remora_error err = HOST_ERROR;
    remora_session *s;
    REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
    REQUIRE_OK(remora_session_append(s, w->ids, N, REMORA_WANT_LAST, &err), &err);
    return s;
}

/* By the host's own loop over rows that were copied. */
static void pick_all(const world *w, remora_model *m, const chain *c, remora_token *out, size_t n)
{
    remora_sampler *p = sampler_of(m, c);
    remora_session *s = prompted(w, m);
    host_sample(s, p, out, n);
    remora_session_free(s);
    remora_sampler_free(p);
}

static void generate_all(const world *w, remora_model *m, const chain *c, remora_token *out,
                         size_t n)
{
    remora_error err = HOST_ERROR;
    remora_sampler *p = sampler_of(m, c);
    remora_session *s = prompted(w, m);
    size_t got;
    const long long before = gpu->to_host;
    REQUIRE_OK(remora_generate(s, p, NULL, out, n, &got, &err), &err);
    assert_int_equal(got, n);
    assert_in_range(gpu->to_host - before, 1, (long long)n * c->bytes);
    remora_session_free(s);
    remora_sampler_free(p);
}

static void tokens_need_no_rows(void **state)
{
    enum { VOCAB = 3000, TOKENS = 12, ROW = VOCAB * 4 };
#define S(k, v, c)                                                                                 \
    {                                                                                              \
        .struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_##k, .value = v, .count = c      \
    }
    static const chain chains[] = {
        {1, {S(TEMPERATURE, 0, 0)}, 200},
        {2, {S(TEMPERATURE, 0.8, 0), S(TOP_K, 0, 20)}, 1200},
        {3, {S(REPEAT, 1.2, 64), S(TEMPERATURE, 0.8, 0), S(TOP_K, 0, 10)}, 1200},
        {2, {S(TEMPERATURE, 0.01, 0), S(MIN_P, 0.1, 0)}, 1200},
        {2, {S(TEMPERATURE, 0.01, 0), S(TOP_P, 0.9, 0)}, 1400},
        {1, {S(TEMPERATURE, 0.8, 0)}, 2400},
        {0, {S(TEMPERATURE, 0, 0)}, 2400},
        {2, {S(PRESENCE, 0.1, 0), S(TOP_P, 0.9, 0)}, ROW},
    };
#undef S
    const tiny_opts kind = {.layers = 2, .vocab = VOCAB, .no_tokenizer = 1};
    remora_token want[TOKENS], got[TOKENS];
    world w;
    (void)state;
    world_make(&w, &kind, NULL);
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    REQUIRE_OK(open_on(&w, "cuda", &m, &err), &err);
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        pick_all(&w, m, &chains[i], want, TOKENS);
        generate_all(&w, m, &chains[i], got, TOKENS);
        if (memcmp(got, want, sizeof got) != 0) fail_msg("sampler %zu: other tokens", i);
    }
    remora_model_free(m);
    world_end(&w);
}

/* ---- memory ---- */

static uint64_t device_sum(const remora_memory *m)
{
    return m->device_weights + m->device_kv + m->device_scratch + m->device_other +
           m->device_context;
}

static remora_memory memory_of(const remora_model *m)
{
    remora_memory now = {.struct_size = sizeof now};
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_model_get_memory(m, &now, &err), &err);
    return now;
}

static remora_memory estimate(world *w, const remora_session_opts *so, uint32_t n)
{
    const remora_model_opts o = {.struct_size = sizeof o, .device = "cuda"};
    remora_memory said = {.struct_size = sizeof said};
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_model_estimate(w->rt, &w->t.source, &o, so, n, &said, &err), &err);
    return said;
}

static remora_model *open_within(world *w, uint64_t device_budget, remora_status want)
{
    const remora_model_opts o = {
        .struct_size = sizeof o, .device = "cuda", .device_budget = device_budget};
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const remora_status st = remora_model_open(w->rt, &w->t.source, &o, &m, &err);
    if (st != want) fail_msg("opening gives %d, not %d: %s", st, want, err.message);
    return m;
}

/* Append and evaluate; the status. */
static remora_status evaluate(world *w, remora_session *s, size_t n, remora_error *err)
{
    remora_status st = remora_session_append(s, w->ids, n, REMORA_WANT_ALL, err);
    if (st >= 0) st = remora_eval(&s, 1, NULL, err);
    return st;
}

static void all_memory_is_told(void **state)
{
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = CAP};
    remora_error err = HOST_ERROR;
    remora_session *s, *f;
    world w;
    (void)state;
    world_make(&w, NULL, NULL);
    const remora_memory said = estimate(&w, &so, 1);
    remora_model *m = open_within(&w, 0, REMORA_OK);
    remora_memory now = memory_of(m);
    assert_int_equal(now.device_context, CONTEXT + KERNELS);
    remora_device d = {.struct_size = sizeof d};
    REQUIRE_OK(remora_device_get(w.rt, 1, &d, &err), &err);
    assert_int_equal(d.mem_free, gpu->memory - gpu->memory_in_use);
    assert_true(now.device_weights > 0 && now.device_other > 0);
    assert_int_equal(now.device_kv + now.device_scratch, 0);
    assert_int_equal(device_sum(&now), gpu->memory_in_use);
    REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
    REQUIRE_OK(evaluate(&w, s, N, &err), &err);
    now = memory_of(m);
    assert_true(now.device_kv > 0 && now.device_scratch > 0);
    assert_int_equal(device_sum(&now), gpu->memory_in_use);
    assert_int_equal(device_sum(&said), device_sum(&now));
    REQUIRE_OK(remora_session_fork(s, &f, &err), &err);
    now = memory_of(m);
    assert_int_equal(device_sum(&now), gpu->memory_in_use);
    remora_session_free(f);
    remora_session_free(s);
    remora_model_free(m);
    world_end(&w);
}

static void the_ceiling_holds(void **state)
{
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = CAP};
    remora_error err = HOST_ERROR;
    remora_session *s = NULL, *more = NULL;
    world w;
    (void)state;
    world_make(&w, NULL, NULL);
    const remora_memory said = estimate(&w, &so, 1);
    const uint64_t least = device_sum(&said);
    gpu->most_memory = 0;
    open_within(&w, said.device_weights - 1, REMORA_E_DEVICE_MEM);
    assert_true(gpu->most_memory < (long long)(said.device_weights + CONTEXT + KERNELS));
    open_within(&w, least - said.device_kv - said.device_scratch - 1, REMORA_E_DEVICE_MEM);
    remora_model *m = open_within(&w, least, REMORA_OK);
    REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
    REQUIRE_OK(evaluate(&w, s, N, &err), &err);
    assert_int_equal(remora_session_create(m, &so, &more, &err), REMORA_E_DEVICE_MEM);
    assert_non_null(strstr(err.message, "device_budget"));
    assert_int_equal(remora_model_set_budget(m, 0, least - 1, &err), REMORA_E_DEVICE_MEM);
    assert_true(gpu->most_memory <= (long long)least);
    REQUIRE_OK(evaluate(&w, s, MORE, &err), &err);
    REQUIRE_OK(remora_model_set_budget(m, 0, 0, &err), &err);
    REQUIRE_OK(remora_session_create(m, &so, &more, &err), &err);
    assert_int_equal(remora_model_set_budget(m, 0, least, &err), REMORA_E_DEVICE_MEM);
    remora_session_free(more);
    REQUIRE_OK(remora_model_set_budget(m, 0, least, &err), &err);
    remora_session_free(s);
    /* without a session nobody counts on the scratch memory */
    REQUIRE_OK(remora_model_set_budget(m, 0, least - said.device_scratch, &err), &err);
    assert_true(gpu->memory_in_use <= (long long)(least - said.device_scratch));
    remora_model_free(m);
    world_end(&w);
}

/* ---- manners ---- */

static void the_context_of_the_host_stays(void **state)
{
    world w;
    (void)state;
    for (int i = 0; i < 4; i++) {
        const int foreign = i % 2, of = foreign ? EMULATED_FOREIGN : OF_NOBODY;
        if (foreign) enter_foreign();
        world_make(&w, NULL, i < 2 ? NULL : "own-context");
        free(logits_on(&w, "cuda"));
        assert_int_equal(current(), of);
        gpu->fail_after = gpu->calls % 7;
        remora_error err = HOST_ERROR;
        remora_model *m = NULL;
        assert_true(open_on(&w, "cuda", &m, &err) < 0);
        assert_int_equal(current(), of);
        gpu->fail_after = -1;
        remora_runtime_free(w.rt);
        tiny_free(&w.t);
        reset();
        if (foreign) leave_foreign();
    }
}

enum { SEEN = (N + MORE) * TINY_TEXT_VOCAB };

/* Logits of N rows that are evaluated together, and of MORE that come alone. */
static void logits_of(world *w, remora_model *m, float out[SEEN])
{
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = CAP};
    remora_error err = HOST_ERROR;
    remora_session *s;
    REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
    for (size_t at = 0; at < N + MORE; at++) {
        const float *row;
        if (at == 0) REQUIRE_OK(evaluate(w, s, N, &err), &err);
        if (at >= N) REQUIRE_OK(evaluate(w, s, 1, &err), &err);
        REQUIRE_OK(remora_session_logits(s, at < N ? (uint32_t)at : 0, &row, NULL, &err), &err);
        memcpy(out + at * TINY_TEXT_VOCAB, row, TINY_TEXT_VOCAB * sizeof *row);
    }
    remora_session_free(s);
}

/* The GPU is shared as the words say, and the results are the same. */
static void the_gpu_is_shared_as_asked(void **state)
{
    static const struct {
        const char *words;
        int priority, greens, owned;
    } cases[] = {{NULL, 0, 0, 0},
                 {"priority=low", 3, 0, 0},
                 {"priority=high", -5, 0, 0},
                 {"sms=3", 0, 1, 0}, /* which are 2 */
                 {"sms=4 priority=high", -5, 0, 0},
                 {"priority=low sms=2", 3, 1, 0},
                 {"own-context", 0, 0, 1},
                 {"own-context priority=high", -5, 0, 1},
                 {"short-pieces sms=2", 0, 1, 0}};
    static float want[SEEN], got[SEEN];
    (void)state;
    gpu->least = 3;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        remora_device d = {.struct_size = sizeof d};
        world w;
        world_make(&w, NULL, cases[i].words);
        remora_model *m = open_within(&w, 0, REMORA_OK);
        gpu->priority = 1000;
        logits_of(&w, m, i == 0 ? want : got);
        assert_int_equal(gpu->priority, cases[i].priority);
        assert_int_equal(gpu->greens, cases[i].greens);
        assert_int_equal(gpu->green_streams, cases[i].greens ? gpu->streams : 0);
        assert_int_equal(gpu->owned, cases[i].owned);
        assert_int_equal(gpu->retained, !cases[i].owned);
        assert_int_equal(remora_device_get(w.rt, 1, &d, NULL), REMORA_OK);
        assert_int_equal(d.mem_free, gpu->memory - gpu->memory_in_use);
        assert_int_equal(memory_of(m).device_context, CONTEXT + KERNELS);
        if (i > 0) assert_memory_equal(got, want, sizeof want);
        remora_model_free(m);
        world_end(&w);
    }
    gpu->least = 0;
}

static void results_are_those_of_any_number_of_multiprocessors(void **state)
{
    static float want[SEEN], got[SEEN];
    static const int sms[] = {4, 1, 132};
    (void)state;
    for (int i = 0; i < 3; i++) {
        world w;
        gpu->sms = sms[i];
        world_make(&w, NULL, NULL);
        remora_model *m = open_within(&w, 0, REMORA_OK);
        logits_of(&w, m, i == 0 ? want : got);
        if (i > 0) assert_memory_equal(got, want, sizeof want);
        remora_model_free(m);
        world_end(&w);
    }
    gpu->sms = 4;
}

/* A GPU on which everything takes long, by what it says. */
static void be_slow(int slow)
{
    gpu->khz = slow ? 1000 : 0;
    gpu->memory_khz = slow ? 1000 : 0;
    gpu->memory_bits = slow ? 8 : 0;
}

/* On a slow GPU kernels of the same work are more of them, with the same bits. */
static void short_pieces_have_the_same_bits(void **state)
{
    static float got[2][SEEN];
    long launches[2];
    (void)state;
    be_slow(1);
    for (int i = 0; i < 2; i++) {
        world w;
        world_make(&w, NULL, i == 0 ? NULL : "short-pieces");
        remora_model *m = open_within(&w, 0, REMORA_OK);
        const long before = gpu->launches;
        logits_of(&w, m, got[i]);
        launches[i] = gpu->launches - before;
        remora_model_free(m);
        world_end(&w);
    }
    be_slow(0);
    print_message("%ld kernels, %ld in pieces\n", launches[0], launches[1]);
    assert_true(launches[1] > launches[0]);
    assert_memory_equal(got[0], got[1], sizeof got[0]);
}

/* How many calls an evaluation of one token takes whose cancel word is set all the time. Each call
 * gets one item done. */
static int calls_of(world *w, remora_session *s)
{
    const int32_t cancel = 1;
    const remora_eval_opts o = {.struct_size = sizeof o, .cancel = &cancel};
    remora_error err = HOST_ERROR;
    remora_status st = REMORA_E_CANCELLED;
    int n = 0;
    REQUIRE_OK(remora_session_append(s, w->ids, 1, REMORA_WANT_ALL, &err), &err);
    for (; st == REMORA_E_CANCELLED; n++) st = remora_eval(&s, 1, &o, &err);
    REQUIRE_OK(st, &err);
    return n;
}

/* Where slices take long a call ends within them; recorded ones that do not are one item. Results
 * are those of one call. */
static void calls_end_within_slices(void **state)
{
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = CAP};
    enum { SLICES = 4, LEAST = 20 }; /* three layers and the head; operations */
    (void)state;
    for (int slow = 0; slow < 2; slow++) {
        float want[TINY_TEXT_VOCAB];
        remora_error err = HOST_ERROR;
        remora_session *s;
        const float *row;
        world w;
        be_slow(slow);
        world_make(&w, NULL, NULL);
        remora_model *m = open_within(&w, 0, REMORA_OK);
        REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
        int first = 0;
        for (int i = 0; i < 5; i++) { /* the fourth time slices are recorded */
            REQUIRE_OK(remora_session_trim(s, 0, &err), &err);
            if (i == 2 || i == 3)
                REQUIRE_OK(evaluate(&w, s, 1, &err), &err);
            else {
                const int n = calls_of(&w, s);
                print_message("%s: %d calls\n", slow ? "slow" : "fast", n);
                assert_true(i < 2 || slow ? n > LEAST : n <= SLICES + 1);
                if (i == 0) first = n;
                assert_true(i != 1 || n == first);
            }
            REQUIRE_OK(remora_session_logits(s, 0, &row, NULL, &err), &err);
            if (i == 0) memcpy(want, row, sizeof want);
            assert_memory_equal(row, want, sizeof want);
        }
        remora_session_free(s);
        remora_model_free(m);
        world_end(&w);
    }
    be_slow(0);
}

static void what_a_gpu_lacks_is_said(void **state)
{
    static const struct {
        const char *words;
        int cut, greatest, listed;
        const char *says;
    } cases[] = {{"sms=3", 4, -5, 0, "sms=3: the GPU is cut into 4 multiprocessors at the least"},
                 {"priority=high", 2, 0, 1, "no priorities of streams"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        remora_device d = {.struct_size = sizeof d};
        remora_error err = HOST_ERROR;
        remora_model *m = NULL;
        world w;
        gpu->cut = cases[i].cut;
        gpu->greatest = cases[i].greatest;
        world_make(&w, NULL, cases[i].words);
        assert_int_equal(remora_device_count(w.rt), 2);
        assert_int_equal(remora_device_get(w.rt, 1, &d, NULL), REMORA_OK);
        assert_int_equal(d.usable, cases[i].listed ? REMORA_OK : REMORA_E_UNSUPPORTED);
        if (!cases[i].listed) assert_non_null(strstr(d.reason, cases[i].says));
        assert_int_equal(open_on(&w, "cuda", &m, &err), REMORA_E_UNSUPPORTED);
        if (strstr(err.message, cases[i].says) == NULL) fail_msg("%s", err.message);
        world_end(&w);
    }
    gpu->cut = 2;
    gpu->greatest = -5;
}

static void children_leave_the_driver_alone(void **state)
{
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = CAP};
    remora_error err = HOST_ERROR;
    remora_session *s;
    world w;
    int status;
    (void)state;
    world_make(&w, NULL, NULL);
    remora_model *m = open_within(&w, 0, REMORA_OK);
    REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
    REQUIRE_OK(evaluate(&w, s, N, &err), &err);
    const pid_t child = fork();
    if (child == 0) {
        const long calls = gpu->calls;
        int good = evaluate(&w, s, MORE, &err) == REMORA_E_DEVICE;
        good &= strstr(err.message, "forked") != NULL;
        remora_session_free(s);
        remora_model_free(m);
        free(logits_on(&w, NULL));
        remora_runtime_free(w.rt);
        _exit(good && gpu->calls == calls ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    REQUIRE_OK(evaluate(&w, s, MORE, &err), &err);
    remora_session_free(s);
    remora_model_free(m);
    world_end(&w);
}

/* ---- the driver's k-th call fails, for all k ---- */

/* Everything that a host does with a model; the first status that is a failure. */
static remora_status use_model(world *w, remora_error *err)
{
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = CAP};
    remora_model *m = NULL;
    remora_session *s = NULL, *f = NULL;
    remora_sampler *p = NULL;
    const remora_stage greedy = {.struct_size = sizeof greedy, .kind = REMORA_STAGE_TEMPERATURE};
    remora_token made[MORE];
    uint64_t counts[16];
    size_t n;
    remora_status st = open_on(w, "cuda", &m, err);
    if (st >= 0) st = remora_routing_enable(m, 1, err);
    if (st >= 0) st = remora_session_create(m, &so, &s, err);
    if (st >= 0) st = evaluate(w, s, N, err);
    if (st >= 0) st = remora_session_fork(s, &f, err);
    if (st >= 0) st = evaluate(w, f, 1, err);
    if (st >= 0) st = remora_session_trim(f, N - 1, err);
    if (st >= 0) st = remora_sampler_create(m, 1, &p, err);
    if (st >= 0) st = remora_sampler_add(p, &greedy, err);
    if (st >= 0) st = remora_generate(f, p, NULL, made, MORE, &n, err);
    if (st >= 0) st = remora_routing_read(m, 1, 1, counts, 16, &n, err);
    if (st < 0 && s != NULL) assert_true(evaluate(w, s, 1, NULL) < 0);
    remora_sampler_free(p);
    remora_session_free(f);
    remora_session_free(s);
    remora_model_free(m);
    return st < 0 ? st : REMORA_OK;
}

static void models_on_the_cpu_go_on(world *w, remora_session *s, const float *want)
{
    remora_error err = HOST_ERROR;
    const float *row;
    REQUIRE_OK(remora_session_trim(s, 0, &err), &err);
    REQUIRE_OK(evaluate(w, s, N, &err), &err);
    REQUIRE_OK(remora_session_logits(s, N - 1, &row, NULL, &err), &err);
    assert_memory_equal(row, want, TINY_TEXT_VOCAB * sizeof *row);
}

static void every_call_of_the_driver_fails(void **state)
{
    const tiny_opts small = {.layers = 2, .no_tokenizer = 1};
    long calls = 0;
    (void)state;
    for (long k = -1; k < calls || k < 0; k++) {
        remora_error err = HOST_ERROR;
        world w;
        world_make(&w, &small, NULL);
        remora_model *cpu = host_open(w.rt, &w.t.source);
        remora_session *s = host_session(cpu, CAP, REMORA_KV_F32);
        REQUIRE_OK(evaluate(&w, s, N, &err), &err);
        const float *row;
        float want[TINY_TEXT_VOCAB];
        REQUIRE_OK(remora_session_logits(s, N - 1, &row, NULL, &err), &err);
        memcpy(want, row, sizeof want);
        gpu->calls = 0;
        gpu->fail_after = k;
        const remora_status st = use_model(&w, &err);
        if (k < 0) calls = gpu->calls;
        if (k < 0) REQUIRE_OK(st, &err);
        if (st < 0 && st != REMORA_E_DEVICE && st != REMORA_E_UNSUPPORTED)
            fail_msg("call %ld fails, and the status is %d: %s", k, st, err.message);
        if (st < 0) assert_true(err.message[0] != 0);
        assert_int_equal(current(), OF_NOBODY);
        models_on_the_cpu_go_on(&w, s, want);
        remora_session_free(s);
        remora_model_free(cpu);
        gpu->fail_after = -1;
        remora_runtime_free(w.rt);
        assert_int_equal(atomic_load(&w.mem.bytes), 0);
        tiny_free(&w.t);
        if (k < 0) assert_int_equal(gpu->memory_in_use, 0);
        reset(); /* a poisoned device keeps what it has */
    }
    assert_true(calls > 300);
}

/* ---- promises, with the module's code ---- */

/* P7, P28: the module starts no thread, so there is none that could take a signal or time. */
static void the_module_starts_no_thread(void **state)
{
    remora_error err = HOST_ERROR;
    world w;
    (void)state;
    world_make(&w, NULL, NULL);
    const int before = host_thread_count();
    assert_int_equal(remora_device_count(w.rt), 2);
    REQUIRE_OK(use_model(&w, &err), &err);
    assert_int_equal(host_thread_count(), before);
    world_end(&w);
}

/* P8: nothing is written to the standard streams, whatever goes wrong, and no descriptor stays. */
static void nothing_is_written(void **state)
{
    remora_error err = HOST_ERROR;
    char name[] = "/tmp/remora-XXXXXX";
    const int to = mkstemp(name), out = dup(1), bad = dup(2);
    const uint32_t open_files = host_dir_count("/proc/self/fd");
    (void)state;
    REQUIRE(to >= 0 && out >= 0 && bad >= 0 && unlink(name) == 0);
    fflush(NULL);
    REQUIRE(dup2(to, 1) == 1 && dup2(to, 2) == 2);
    for (long k = -1; k < 300; k += 60) {
        world w;
        world_make(&w, NULL, NULL);
        gpu->fail_after = k;
        (void)use_model(&w, &err);
        gpu->fail_after = -1;
        remora_runtime_free(w.rt);
        tiny_free(&w.t);
        reset();
    }
    fflush(NULL);
    REQUIRE(dup2(out, 1) == 1 && dup2(bad, 2) == 2);
    assert_int_equal(lseek(to, 0, SEEK_END), 0);
    assert_int_equal(host_dir_count("/proc/self/fd"), open_files);
    close(to);
    close(out);
    close(bad);
}

/* P9: two runtimes with other words are strangers, also where their work takes turns. */
static void two_runtimes_are_strangers(void **state)
{
    static float want[2][SEEN], got[2][SEEN];
    static const char *const words[] = {"exact", "sms=2"};
    remora_model *m[2];
    world w[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        world_make(&w[i], NULL, words[i]);
        m[i] = open_within(&w[i], 0, REMORA_OK);
        logits_of(&w[i], m[i], want[i]);
        remora_model_free(m[i]);
        world_end(&w[i]);
    }
    assert_memory_not_equal(want[0], want[1], sizeof want[0]);
    for (int i = 0; i < 2; i++) {
        world_make(&w[i], NULL, words[i]);
        m[i] = open_within(&w[i], 0, REMORA_OK);
    }
    for (int i = 0; i < 2; i++) logits_of(&w[i], m[i], got[i]);
    assert_memory_equal(got, want, sizeof want);
    remora_model_free(m[0]);
    remora_runtime_free(w[0].rt);
    logits_of(&w[1], m[1], got[1]);
    assert_memory_equal(got, want, sizeof want);
    remora_model_free(m[1]);
    assert_int_equal(atomic_load(&w[0].mem.bytes), 0);
    tiny_free(&w[0].t);
    world_end(&w[1]);
}

/* P12: the module comes and goes with runtimes; what a host leaves at its end does no harm. */
static void modules_come_and_go(void **state)
{
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = CAP};
    remora_error err = HOST_ERROR;
    int status;
    (void)state;
    for (int i = 0; i < 10; i++) {
        world w;
        world_make(&w, NULL, NULL);
        assert_int_equal(remora_device_count(w.rt), 2);
        if (i % 5 == 0) free(logits_on(&w, "cuda"));
        world_end(&w); /* looks that it is gone */
    }
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        remora_session *s;
        world w;
        world_make(&w, NULL, NULL);
        remora_model *m = open_within(&w, 0, REMORA_OK);
        REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
        REQUIRE_OK(evaluate(&w, s, N, &err), &err);
        exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* P27: 128 kB of stack are enough for all calls; kernels in the emulator have stacks of their own.
 */
static void *all_calls(void *arg)
{
    remora_error err = HOST_ERROR;
    world *const w = arg;
    world_make(w, NULL, NULL);
    REQUIRE(remora_device_count(w->rt) == 2);
    REQUIRE_OK(use_model(w, &err), &err);
    remora_runtime_free(w->rt);
    tiny_free(&w->t);
    return NULL;
}

static void a_small_stack_is_enough(void **state)
{
    static world w;
    (void)state;
    n_threads = 1;
    print_message("%zu kB of stack\n", small_stack_run(all_calls, &w));
    n_threads = 2;
    assert_int_equal(atomic_load(&w.mem.bytes), 0);
}

/* ---- rows together, and drafts ---- */

/* Logits of single tokens, of which `at_once` are evaluated together. */
static void logits_by(world *w, remora_model *m, size_t at_once, float out[SEEN])
{
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = CAP};
    remora_error err = HOST_ERROR;
    remora_session *s;
    REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
    for (size_t at = 0; at < N + MORE; at += at_once) {
        for (size_t i = at; i < at + at_once && i < N + MORE; i++)
            REQUIRE_OK(remora_session_append(s, &w->ids[i], 1, REMORA_WANT_ALL, &err), &err);
        REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
        for (size_t i = at; i < at + at_once && i < N + MORE; i++) {
            const float *row;
            REQUIRE_OK(remora_session_logits(s, (uint32_t)(i - at), &row, NULL, &err), &err);
            memcpy(out + i * TINY_TEXT_VOCAB, row, TINY_TEXT_VOCAB * sizeof *row);
        }
    }
    remora_session_free(s);
}

static const tiny_opts shapes[] = {
    {.layers = 2}, {.v2 = 1, .layers = 2}, {.dense = "qwen3", .layers = 2, .dtype = "F16"}};

static void rows_together_have_the_bits_of_single_rows(void **state)
{
    static float want[SEEN], got[SEEN];
    static const size_t at_once[] = {2, 3, 5, N + MORE};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        world w;
        world_make(&w, &shapes[i], NULL);
        remora_model *m = open_within(&w, 0, REMORA_OK);
        logits_by(&w, m, 1, want);
        for (size_t k = 0; k < sizeof at_once / sizeof at_once[0]; k++) {
            logits_by(&w, m, at_once[k], got);
            assert_memory_equal(got, want, sizeof want);
        }
        remora_model_free(m);
        world_end(&w);
    }
}

enum { MADE = 16, TEXT = 3 * N };

typedef struct generated {
    size_t n;
    remora_token t[MADE];
    remora_token_prob probs[MADE];
    remora_stats stats;
} generated;

/* Greedy tokens behind a text that repeats itself, with a bias for its first token: a large one
 * makes drafts right. */
static void generate(const world *w, remora_model *m, double bias, uint32_t max_drafts,
                     generated *out)
{
    const remora_session_opts so = {.struct_size = sizeof so, .capacity = TEXT + MADE};
    const remora_stage stages[] = {
        {.struct_size = sizeof stages[0],
         .kind = REMORA_STAGE_BIAS,
         .value = bias,
         .count = w->ids[0]},
        {.struct_size = sizeof stages[0], .kind = REMORA_STAGE_TEMPERATURE}};
    const remora_gen_opts o = {
        .struct_size = sizeof o, .max_tokens = MADE, .probs = out->probs, .max_drafts = max_drafts};
    remora_error err = HOST_ERROR;
    remora_session *s;
    remora_sampler *p;
    REQUIRE_OK(remora_session_create(m, &so, &s, &err), &err);
    for (int i = 0; i < 3; i++) REQUIRE_OK(remora_session_append(s, w->ids, N, 0, &err), &err);
    REQUIRE_OK(remora_sampler_create(m, 1, &p, &err), &err);
    for (int i = 0; i < 2; i++) REQUIRE_OK(remora_sampler_add(p, &stages[i], &err), &err);
    REQUIRE_OK(remora_generate(s, p, &o, out->t, MADE, &out->n, &err), &err);
    out->stats.struct_size = sizeof out->stats;
    REQUIRE_OK(remora_session_get_stats(s, &out->stats, &err), &err);
    remora_sampler_free(p);
    remora_session_free(s);
}

/* P29: what is generated has the same bits with drafts. */
static void drafts_change_no_token(void **state)
{
    uint64_t drafts = 0, used = 0;
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        world w;
        world_make(&w, &shapes[i], NULL);
        remora_model *m = open_within(&w, 0, REMORA_OK);
        for (int right = 0; right < 2; right++) {
            generated plain = {0}, drafted = {0};
            generate(&w, m, right ? 100 : 0, 0, &plain);
            generate(&w, m, right ? 100 : 0, 4, &drafted);
            assert_int_equal(plain.stats.drafts, 0);
            assert_int_equal(drafted.n, plain.n);
            assert_memory_equal(drafted.t, plain.t, sizeof plain.t);
            assert_memory_equal(drafted.probs, plain.probs, sizeof plain.probs);
            drafts += drafted.stats.drafts;
            used += drafted.stats.drafts_used;
        }
        remora_model_free(m);
        world_end(&w);
    }
    print_message("%llu drafts, %llu of them were right\n", (unsigned long long)drafts,
                  (unsigned long long)used);
    assert_true(used > 0 && drafts > used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpus_are_listed),
        cmocka_unit_test(nothing_is_opened_before_it_is_asked_for),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(models_agree_with_the_cpu),
        cmocka_unit_test(tokens_need_no_rows),
        cmocka_unit_test(all_memory_is_told),
        cmocka_unit_test(the_ceiling_holds),
        cmocka_unit_test(the_context_of_the_host_stays),
        cmocka_unit_test(the_gpu_is_shared_as_asked),
        cmocka_unit_test(results_are_those_of_any_number_of_multiprocessors),
        cmocka_unit_test(short_pieces_have_the_same_bits),
        cmocka_unit_test(calls_end_within_slices),
        cmocka_unit_test(what_a_gpu_lacks_is_said),
        cmocka_unit_test(children_leave_the_driver_alone),
        cmocka_unit_test(the_module_starts_no_thread),
        cmocka_unit_test(nothing_is_written),
        cmocka_unit_test(two_runtimes_are_strangers),
        cmocka_unit_test(modules_come_and_go),
        cmocka_unit_test(a_small_stack_is_enough),
        cmocka_unit_test(rows_together_have_the_bits_of_single_rows),
        cmocka_unit_test(drafts_change_no_token),
        cmocka_unit_test(every_call_of_the_driver_fails),
    };
    return cmocka_run_group_tests_name("public", tests, find_stub, NULL);
}

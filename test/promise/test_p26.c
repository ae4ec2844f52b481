/* SPDX-License-Identifier: Apache-2.0 */
/* P26: the host's floating-point modes and traps neither matter nor change, and its hooks run in
 * them. Everything is done once in the default mode and then in others: subnormals flushed, other
 * roundings, exceptions trapped. Results have the same bits, every hook finds the mode of the host
 * on whatever thread it runs, and the mode is afterwards what it was. Where exceptions are trapped
 * the first operation that computes in the host's mode ends the program, for nearly all are
 * inexact. With two arguments the model of the path that is the second is opened. */
#define _GNU_SOURCE
#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

/* ---- modes ---- */

/* What of a thread's mode a host can set, without the flags of exceptions that have happened. */
typedef struct mode {
    uint64_t vector;
    uint16_t x87;
} mode;

static mode mode_now(void)
{
    mode m = {0, 0};
#if defined(__x86_64__)
    m.vector = _mm_getcsr() & ~0x3fu;
    __asm__ volatile("fnstcw %0" : "=m"(m.x87));
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(m.vector));
#endif
    return m;
}

/* (mingw's fesetenv() leaves exceptions trapped.) */
static void mode_put(const mode *m)
{
#if defined(__x86_64__)
    _mm_setcsr((unsigned)m->vector);
    __asm__ volatile("fnclex\n\tfldcw %0" : : "m"(m->x87));
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(m->vector));
#endif
}

static void flush_subnormals(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040); /* of results and of operands */
#elif defined(__aarch64__)
    uint64_t v;
    __asm__ volatile("mrs %0, fpcr" : "=r"(v));
    v |= (uint64_t)1 << 24;
    __asm__ volatile("msr fpcr, %0" : : "r"(v));
#endif
}

enum { FLUSH = 1, TRAPS = 2 };
static const struct {
    const char *name;
    int rounding, more;
} modes[] = {
    {"subnormals flushed", FE_TONEAREST, FLUSH}, {"rounding up", FE_UPWARD, 0},
    {"rounding down", FE_DOWNWARD, 0},           {"rounding to zero", FE_TOWARDZERO, 0},
#ifdef _WIN32 /* wine computes in the mode of its caller, and never comes back from a trap */
    {"all at once", FE_UPWARD, FLUSH},
#else
    {"exceptions trapped", FE_TONEAREST, TRAPS}, {"all at once", FE_UPWARD, FLUSH | TRAPS},
#endif
};

static void set_mode(size_t i)
{
    fesetround(modes[i].rounding);
    if (modes[i].more & FLUSH) flush_subnormals();
    if (!(modes[i].more & TRAPS)) return;
    feclearexcept(FE_ALL_EXCEPT);
    feenableexcept(FE_ALL_EXCEPT);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() & ~0x100u); /* operands that are subnormal, too */
#endif
}

/* ---- hooks that look at the mode ---- */

enum { ALLOC, LOG, RUN, IO, PROGRESS, STAGE, RELEASE, N_HOOKS };
static const char *const hook_names[N_HOOKS] = {"alloc",    "log",   "run",    "io",
                                                "progress", "stage", "release"};

static mode expected;
static _Atomic long calls[N_HOOKS], wrong[N_HOOKS];

static void look(int hook)
{
    const mode m = mode_now();
    atomic_fetch_add(&calls[hook], 1);
    if (m.vector != expected.vector || m.x87 != expected.x87) atomic_fetch_add(&wrong[hook], 1);
}

static void *REMORA_CALL on_alloc(void *user, size_t size, size_t align)
{
    look(ALLOC);
    return tmem_alloc(user, size, align);
}

static void *REMORA_CALL on_resize(void *user, void *p, size_t old, size_t size, size_t align)
{
    look(ALLOC);
    return tmem_resize(user, p, old, size, align);
}

static void REMORA_CALL on_dealloc(void *user, void *p, size_t size, size_t align)
{
    look(ALLOC);
    tmem_release(user, p, size, align);
}

static void REMORA_CALL on_release(void *user)
{
    (void)user;
    look(RELEASE);
}

static void REMORA_CALL on_log(void *user, int32_t level, const char *msg, size_t len)
{
    (void)user, (void)level, (void)msg, (void)len;
    look(LOG);
}

static void REMORA_CALL on_run(void *user, uint32_t n, void(REMORA_CALL *fn)(void *, uint32_t),
                               void *arg)
{
    (void)user;
    look(RUN);
    for (uint32_t i = 0; i < n; i++) {
        const mode m = mode_now();
        fn(arg, i);
        if (memcmp(&m, &(mode){0}, sizeof m) == 0) abort();
        if (mode_now().vector != m.vector) atomic_fetch_add(&wrong[RUN], 1);
    }
}

static int32_t REMORA_CALL on_progress(void *user, uint64_t done, uint64_t total)
{
    (void)user, (void)done, (void)total;
    look(PROGRESS);
    return 0;
}

static const remora_source *storage; /* of kind MEMORY: what the hooks below read */

static const remora_blob *find(const char *name)
{
    for (uint64_t i = 0; i < storage->n_blobs; i++)
        if (strcmp(storage->blobs[i].name, name) == 0) return &storage->blobs[i];
    return NULL;
}

static remora_status REMORA_CALL on_size(void *user, const char *name, uint64_t *size)
{
    const remora_blob *b = find(name);
    (void)user;
    look(IO);
    if (b == NULL) return REMORA_E_NOT_FOUND;
    *size = b->size;
    return REMORA_OK;
}

static remora_status REMORA_CALL on_read(void *user, const char *name, uint64_t off, void *buf,
                                         uint64_t n)
{
    (void)user;
    look(IO);
    memcpy(buf, (const char *)find(name)->data + off, (size_t)n);
    return REMORA_OK;
}

static remora_status REMORA_CALL on_stage(void *user, remora_token_prob *cand, size_t *n)
{
    (void)user, (void)cand;
    look(STAGE);
    if (*n > 2) *n -= 1;
    return REMORA_OK;
}

/* ---- all that a host does ---- */

enum { N = 70, PICKS = 12 };

typedef struct outcome {
    uint8_t fingerprint[32];
    float *logits, hidden[64];
    remora_token picked[PICKS], generated[PICKS];
    remora_token_prob top[8];
    float logprob;
    char theta[64];
    unsigned char *pack;
    size_t pack_bytes;
} outcome;

typedef struct host {
    tmem mem;
    remora_source source;
    const char *path; /* of a model to open in place of it */
    int by_host;      /* the host's job system */
    int logs;         /* there is something to be told */
    int packs;
} host;

static remora_runtime *make_runtime(host *h)
{
    remora_error err = HOST_ERROR;
    remora_runtime *rt = NULL;
    const remora_runtime_opts o = {.struct_size = sizeof o,
                                   .alloc_user = &h->mem,
                                   .alloc = on_alloc,
                                   .resize = on_resize,
                                   .dealloc = on_dealloc,
                                   .log = on_log,
                                   .log_level = REMORA_LOG_DEBUG,
                                   .n_threads = 3,
                                   .run = h->by_host ? on_run : NULL,
                                   .release = on_release};
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    return rt;
}

static remora_source source_of(const host *h)
{
    if (h->path != NULL) return host_path_source(h->path);
    storage = &h->source;
    return (remora_source){.struct_size = sizeof(remora_source),
                           .kind = REMORA_SOURCE_IO,
                           .io_size = on_size,
                           .io_read = on_read,
                           .release = on_release};
}

static remora_model *open_model(remora_runtime *rt, const remora_source *src)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    remora_memory mem = {.struct_size = sizeof mem};
    const remora_model_opts o = {
        .struct_size = sizeof o, .flags = REMORA_MODEL_IMPORTANCE, .progress = on_progress};
    REQUIRE_OK(remora_model_estimate(rt, src, NULL, NULL, 2, &mem, &err), &err);
    REQUIRE_OK(remora_model_open(rt, src, &o, &m, &err), &err);
    return m;
}

static void evaluate(remora_model *m, uint32_t n_vocab, outcome *out)
{
    remora_error err = HOST_ERROR;
    remora_token ids[N];
    remora_session *fork = NULL;
    const remora_eval_opts little = {.struct_size = sizeof little, .budget_us = 300};
    size_t n;
    remora_status st;
    host_ids(ids, N, n_vocab, 26);
    remora_session *s = host_session(m, 2 * N, 0);
    REQUIRE_OK(remora_session_append(s, ids, N - 8, REMORA_WANT_ALL, NULL), NULL);
    for (uint32_t i = N - 8; i < N; i++)
        REQUIRE_OK(
            remora_session_append(s, ids + i, 1, REMORA_WANT_LAST | REMORA_WANT_HIDDEN, NULL),
            NULL);
    do REQUIRE((st = remora_eval(&s, 1, &little, &err)) >= 0);
    while (st == REMORA_MORE);
    out->logits = host_rows(s, N);
    REQUIRE_OK(remora_session_top(s, N - 1, out->top, 8, &n, NULL), NULL);
    REQUIRE_OK(remora_session_logprob(s, N - 1, 3, &out->logprob, NULL), NULL);
    st = remora_session_hidden(s, N - 1, out->hidden, 64, &n, NULL);
    REQUIRE(st == REMORA_OK || (st == REMORA_E_BUFFER && n > 64));
    if (st != REMORA_OK) memset(out->hidden, 0, sizeof out->hidden);
    REQUIRE_OK(remora_session_fork(s, &fork, &err), &err);
    REQUIRE_OK(remora_session_trim(fork, N / 2, NULL), NULL);
    REQUIRE_OK(remora_session_sync(fork, ids, N, REMORA_WANT_LAST, NULL, NULL), NULL);
    REQUIRE_OK(remora_eval(&fork, 1, NULL, &err), &err);
    remora_session_free(fork);
    remora_session_free(s);
}

static void sample(remora_model *m, uint32_t n_vocab, outcome *out)
{
    static const remora_stage stages[] = {
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_REPEAT, .value = 1.1},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_FREQUENCY, .value = 0.1},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_PRESENCE, .value = 0.1},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_BIAS, .value = 0.3, .count = 5},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_TEMPERATURE, .value = 0.7},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_TOP_K, .count = 40},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_TOP_P, .value = 0.95},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_MIN_P, .value = 0.01},
        {.struct_size = sizeof(remora_stage),
         .kind = REMORA_STAGE_CALLBACK,
         .fn = on_stage,
         .release = on_release},
    };
    remora_error err = HOST_ERROR;
    remora_sampler *p = NULL;
    const remora_gen_opts o = {.struct_size = sizeof o, .max_tokens = PICKS};
    remora_token ids[N];
    size_t n, done = 0;
    remora_status st;
    REQUIRE_OK(remora_sampler_create(m, 77, &p, &err), &err);
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
        REQUIRE_OK(remora_sampler_add(p, &stages[i], &err), &err);
    for (uint32_t i = 0; i < PICKS; i++) {
        REQUIRE_OK(remora_sampler_pick_from(p, out->logits + (size_t)i * n_vocab, n_vocab,
                                            &out->picked[i], NULL),
                   NULL);
        REQUIRE_OK(remora_sampler_accept(p, out->picked[i], NULL), NULL);
    }
    remora_session *s = host_session(m, 2 * N, REMORA_KV_F32);
    host_ids(ids, N, n_vocab, 27);
    REQUIRE_OK(remora_session_append(s, ids, 9, REMORA_WANT_NONE, NULL), NULL);
    memset(out->generated, 0, sizeof out->generated);
    do {
        st = remora_generate(s, p, &o, out->generated + done, PICKS - done, &n, &err);
        REQUIRE_OK(st, &err);
        done += n;
    } while (st == REMORA_MORE && done < PICKS);
    remora_session_free(s);
    remora_sampler_free(p);
}

/* A pack of 4 bits by importance, its checks, and the model in it. */
static void convert(host *h, remora_runtime *rt, outcome *out)
{
    char dir[HOST_DIR], path[HOST_DIR + 16];
    remora_error err = HOST_ERROR;
    const remora_source src = source_of(h);
    const remora_convert_opts o = {
        .struct_size = sizeof o, .recipe = "q4", .progress = on_progress, .zstd_level = 3};
    const remora_verify_opts v = {.struct_size = sizeof v, .progress = on_progress};
    remora_verify_report report = {.struct_size = sizeof report};
    host_dir_make(dir);
    snprintf(path, sizeof path, "%s/m.remora", dir);
    REQUIRE_OK(remora_convert(rt, &src, path, &o, &err), &err);
    const remora_source pack = host_path_source(path);
    REQUIRE_OK(remora_verify(rt, &pack, &v, &report, &err), &err);
    REQUIRE(report.exact == 1);
    remora_model_free(open_model(rt, &pack));
    out->pack = host_file(path, &out->pack_bytes);
    unlink(path);
    rmdir(dir);
}

static outcome run(host *h)
{
    outcome out = {0};
    remora_model_info i = {.struct_size = sizeof i};
    remora_runtime *rt = make_runtime(h);
    const remora_source src = source_of(h);
    remora_model *m = open_model(rt, &src);
    REQUIRE_OK(remora_model_get_info(m, &i, NULL), NULL);
    memcpy(out.fingerprint, i.fingerprint, sizeof out.fingerprint);
    (void)remora_model_meta(m, "config.rope_theta", out.theta, sizeof out.theta, NULL, NULL);
    evaluate(m, i.n_vocab, &out);
    sample(m, i.n_vocab, &out);
    if (h->packs) convert(h, rt, &out);
    remora_model_free(m);
    remora_runtime_free(rt);
    return out;
}

static void compare(const outcome *got, const outcome *expect, uint32_t n_vocab)
{
    assert_memory_equal(got->fingerprint, expect->fingerprint, 32);
    assert_memory_equal(got->logits, expect->logits, (size_t)N * n_vocab * sizeof(float));
    assert_memory_equal(got->hidden, expect->hidden, sizeof got->hidden);
    assert_memory_equal(got->picked, expect->picked, sizeof got->picked);
    assert_memory_equal(got->generated, expect->generated, sizeof got->generated);
    assert_memory_equal(got->top, expect->top, sizeof got->top);
    assert_memory_equal(&got->logprob, &expect->logprob, sizeof got->logprob);
    assert_string_equal(got->theta, expect->theta);
    assert_int_equal(got->pack_bytes, expect->pack_bytes);
    if (expect->pack != NULL) assert_memory_equal(got->pack, expect->pack, expect->pack_bytes);
}

static void forget(outcome *o)
{
    free(o->logits);
    free(o->pack);
}

/* Every hook in `used` was called, and always in the host's mode. */
static void hooks_have_seen(unsigned used, const char *name)
{
    for (int i = 0; i < N_HOOKS; i++) {
        if (atomic_load(&wrong[i]) > 0)
            fail_msg("%s: %s was called in another mode, %ld of %ld times", name, hook_names[i],
                     atomic_load(&wrong[i]), atomic_load(&calls[i]));
        if ((used >> i & 1) && atomic_load(&calls[i]) == 0)
            fail_msg("%s was not called", hook_names[i]);
        atomic_store(&calls[i], 0);
    }
}

static void in_every_mode(host *h, uint32_t n_vocab)
{
    const unsigned used = 1u << ALLOC | 1u << PROGRESS | 1u << STAGE | 1u << RELEASE |
                          (unsigned)h->logs << LOG | (unsigned)h->by_host << RUN |
                          (h->path == NULL ? 1u << IO : 0);
    const mode before = mode_now();
    expected = before;
    outcome expect = run(h);
    hooks_have_seen(used, "default");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        set_mode(i);
        expected = mode_now();
        outcome got = run(h);
        const mode after = mode_now();
        mode_put(&before);
        if (after.vector != expected.vector || after.x87 != expected.x87)
            fail_msg("%s: the mode has changed", modes[i].name);
        hooks_have_seen(used, modes[i].name);
        compare(&got, &expect, n_vocab);
        forget(&got);
    }
    forget(&expect);
    assert_int_equal(atomic_load(&h->mem.bytes), 0);
    assert_int_equal(atomic_load(&h->mem.damage), 0);
}

static void models_of_every_kind(void **state)
{
    static const tiny_opts kinds[] = {{.dtype = "BF16"},
                                      {.dtype = "F32", .v2 = 1},
                                      {.dtype = "F16", .dense = "llama"},
                                      {.dense = "qwen3", .no_tokenizer = 1}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int by_host = 0; by_host < 2; by_host++) {
            tiny t;
            tiny_make(&t, &kinds[i]);
            host h = {.source = t.source,
                      .by_host = by_host,
                      .logs = kinds[i].no_tokenizer,
                      .packs = i + by_host == 1};
            in_every_mode(&h, TINY_TEXT_VOCAB);
            tiny_free(&t);
        }
}

static const char *given;

static void a_model_of_files(void **state)
{
    host h = {.path = given};
    remora_model *m = NULL;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_NO_WEIGHTS};
    const remora_source src = host_path_source(given);
    (void)state;
    REQUIRE_OK(remora_model_open(NULL, &src, &o, &m, NULL), NULL);
    const uint32_t n_vocab = host_vocab(m);
    remora_model_free(m);
    in_every_mode(&h, n_vocab);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(models_of_every_kind)};
    const struct CMUnitTest files[] = {cmocka_unit_test(a_model_of_files)};
    given = argc > 2 ? argv[2] : NULL; /* as gguf.sh gives it */
    if (given != NULL) return cmocka_run_group_tests_name("P26", files, NULL, NULL);
    return cmocka_run_group_tests_name("P26", tests, NULL, NULL);
}

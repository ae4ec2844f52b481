/* SPDX-License-Identifier: Apache-2.0 */
/* P9: no mutable globals, no environment, no locale: two runtimes are strangers. (That the library
 * has no writable data and does not import getenv or setlocale is seen in test/abi.) */
#define _GNU_SOURCE
#include <fenv.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { N = 48 };

typedef struct log_count {
    atomic_long lines;
} log_count;

static void REMORA_CALL on_log(void *user, int32_t level, const char *msg, size_t len)
{
    (void)level, (void)msg, (void)len;
    atomic_fetch_add(&((log_count *)user)->lines, 1);
}

static remora_runtime *make(tmem *mem, log_count *log, int32_t threads, const char *isa)
{
    const remora_option extra = host_option("x-isa", isa);
    remora_runtime *rt = NULL;
    remora_error err = HOST_ERROR;
    remora_runtime_opts o = host_runtime_opts(mem, threads);
    o.log_user = log;
    o.log = on_log;
    o.log_level = REMORA_LOG_DEBUG;
    o.extra = &extra;
    o.n_extra = isa != NULL;
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    return rt;
}

static void paths_of(const remora_runtime *rt, char *out)
{
    remora_device d = {.struct_size = sizeof d};
    assert_int_equal(remora_device_count(rt), 1);
    assert_int_equal(remora_device_get(rt, 0, &d, NULL), REMORA_OK);
    strcpy(out, d.paths);
}

static float *decode_step(remora_session *s, remora_token t)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_session_append(s, &t, 1, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    return host_rows(s, 1);
}

/* Two runtimes with nothing in common take turns. */
static void side_by_side(void **state)
{
    tiny t;
    tmem mem[2] = {{0}, {0}};
    log_count log[2] = {{0}, {0}};
    char paths[96];
    remora_token ids[N];
    (void)state;
    tiny_make(&t, &(tiny_opts){.no_tokenizer = 1}); /* worth a line in the log */
    host_ids(ids, N, TINY_TEXT_VOCAB, 9);
    remora_runtime *a = make(&mem[0], &log[0], 1, "ref");
    const long a_blocks = atomic_load(&mem[0].blocks);
    remora_runtime *b = make(&mem[1], &log[1], 3, NULL);
    assert_int_equal(atomic_load(&mem[0].blocks), a_blocks);
    paths_of(a, paths);
    assert_string_equal(paths, "ref");
    remora_model *ma = host_open(a, &t.source);
    const long a_lines = atomic_load(&log[0].lines);
    assert_true(a_lines > 0);
    remora_model *mb = host_open(b, &t.source);
    assert_int_equal(atomic_load(&log[0].lines), a_lines);
    assert_true(atomic_load(&log[1].lines) > 0);
    remora_session *sa = host_session(ma, N, 0), *sb = host_session(mb, N, 0);
    for (int i = 0; i < N / 2; i++) {
        float *ra = decode_step(sa, ids[i]), *rb = decode_step(sb, ids[i]);
        assert_memory_equal(ra, rb, TINY_TEXT_VOCAB * sizeof *ra);
        free(ra);
        free(rb);
    }
    /* sessions of strangers do not mix */
    remora_session *both[2] = {sa, sb};
    assert_int_equal(remora_session_append(sa, ids, 1, 0, NULL), REMORA_OK);
    assert_int_equal(remora_eval(both, 2, NULL, NULL), REMORA_E_MISMATCH);
    /* the end of one is nothing to the other */
    remora_session_free(sa);
    remora_model_free(ma);
    remora_runtime_free(a);
    assert_int_equal(atomic_load(&mem[0].bytes), 0);
    for (int i = N / 2; i < N; i++) free(decode_step(sb, ids[i]));
    remora_session_free(sb);
    remora_model_free(mb);
    remora_runtime_free(b);
    assert_int_equal(atomic_load(&mem[1].bytes), 0);
    tiny_free(&t);
}

typedef struct outcome {
    float *logits;
    remora_token picked[16], top;
    float logprob;
} outcome;

/* Open, evaluate and sample with numbers as options; texts with numbers as metadata. */
static outcome run(const tiny *t)
{
    outcome o;
    remora_error err = HOST_ERROR;
    remora_token ids[N];
    remora_token_prob best;
    size_t n;
    char factor[64];
    host_ids(ids, N, TINY_TEXT_VOCAB, 4);
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    remora_model *m = host_open(rt, &t->source);
    assert_int_equal(
        remora_model_meta(m, "config.routed_scaling_factor", factor, sizeof factor, NULL, NULL),
        REMORA_OK);
    assert_string_equal(factor, "2.5");
    remora_session *s = host_session(m, N, REMORA_KV_F32);
    REQUIRE_OK(remora_session_append(s, ids, N, REMORA_WANT_ALL, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
    o.logits = host_rows(s, N);
    remora_sampler *p = NULL;
    REQUIRE_OK(remora_sampler_create(m, 77, &p, &err), &err);
    const remora_stage stages[] = {
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_TEMPERATURE, .value = 0.7},
        {.struct_size = sizeof(remora_stage), .kind = REMORA_STAGE_TOP_P, .value = 0.95},
    };
    for (int i = 0; i < 2; i++) REQUIRE_OK(remora_sampler_add(p, &stages[i], &err), &err);
    for (uint32_t i = 0; i < 16; i++)
        REQUIRE_OK(remora_sampler_pick(p, s, i, &o.picked[i], NULL), NULL);
    REQUIRE_OK(remora_session_top(s, 5, &best, 1, &n, NULL), NULL);
    o.top = best.token;
    REQUIRE_OK(remora_session_logprob(s, 5, 17, &o.logprob, NULL), NULL);
    remora_sampler_free(p);
    remora_session_free(s);
    remora_model_free(m);
    remora_runtime_free(rt);
    return o;
}

static void compare(outcome got, const outcome *expect)
{
    assert_memory_equal(got.logits, expect->logits, N * TINY_TEXT_VOCAB * sizeof(float));
    assert_memory_equal(got.picked, expect->picked, sizeof got.picked);
    assert_int_equal(got.top, expect->top);
    assert_memory_equal(&got.logprob, &expect->logprob, sizeof got.logprob);
    free(got.logits);
}

/* A host in Germany: numbers in config.json still have points. locale.sh gives LOCPATH. */
static void locale(void **state)
{
    tiny t;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"};
    (void)state;
    tiny_make(&t, NULL);
    const outcome expect = run(&t);
    int found = 0;
    for (size_t i = 0; i < 3 && !found; i++) {
        if (setlocale(LC_ALL, names[i]) == NULL) continue;
        found = strcmp(localeconv()->decimal_point, ",") == 0;
    }
    if (found) {
        char number[16];
        snprintf(number, sizeof number, "%.1f", 0.5);
        assert_string_equal(number, "0,5");
        char *before = strdup(setlocale(LC_ALL, NULL));
        compare(run(&t), &expect);
        assert_string_equal(setlocale(LC_ALL, NULL), before);
        free(before);
        setlocale(LC_ALL, "C");
    }
    free(expect.logits);
    tiny_free(&t);
    if (!found)
        fail_msg("no locale with a decimal comma on this machine: locale.sh makes one from the "
                 "package locales");
}

/* The environment is not read: whatever other libraries would listen to changes nothing. */
static void environment(void **state)
{
    static const char *const names[] = {
        "OMP_NUM_THREADS", "REMORA_THREADS", "REMORA_ISA", "REMORA_LOG", "REMORA_DEBUG",
        "GGML_DEBUG",      "LC_ALL",         "LANG",       "TMPDIR",     "HOME"};
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    const outcome expect = run(&t);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) setenv(names[i], "1", 1);
    compare(run(&t), &expect);
    free(expect.logits);
    tiny_free(&t);
}

/* The host's floating point environment is part of its surroundings too: other roundings, flushed
 * denormals. It changes nothing and is left as it was. */
static void rounding(void **state)
{
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    const outcome expect = run(&t);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(fesetround(modes[i]), 0);
        const outcome got = run(&t);
        const int after = fegetround();
        fesetround(FE_TONEAREST);
        assert_int_equal(after, modes[i]);
        compare(got, &expect);
    }
    free(expect.logits);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(side_by_side),
        cmocka_unit_test(locale),
        cmocka_unit_test(environment),
        cmocka_unit_test(rounding),
    };
    return cmocka_run_group_tests_name("P9", tests, NULL, NULL);
}

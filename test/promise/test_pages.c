/* SPDX-License-Identifier: Apache-2.0 */
/* Pages as needed: a session costs what it holds and a fork what it writes, append says when there
 * is no memory for a page and nothing is lost then, and results are those of a session whose cache
 * was set aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { CAPACITY = 2000, HISTORY = 1000, FORKS = 12, PAGE_TOKENS = 32 };

typedef struct bed {
    tiny t;
    tmem mem;
    remora_runtime *rt;
    remora_model *m;
    remora_token ids[CAPACITY];
} bed;

static void bed_make(bed *b)
{
    memset(b, 0, sizeof *b);
    tiny_make(&b->t, NULL);
    b->rt = host_runtime(&b->mem, 1, NULL);
    b->m = host_open(b->rt, &b->t.source);
    host_ids(b->ids, CAPACITY, host_vocab(b->m), 7);
}

static void bed_free(bed *b)
{
    remora_model_free(b->m);
    remora_runtime_free(b->rt);
    assert_int_equal(atomic_load(&b->mem.bytes), 0);
    tiny_free(&b->t);
}

static remora_session *session(const bed *b, uint32_t flags)
{
    remora_error err = HOST_ERROR;
    remora_session *s;
    const remora_session_opts o = {
        .struct_size = sizeof o, .flags = flags, .capacity = CAPACITY, .chunk = 64};
    REQUIRE_OK(remora_session_create(b->m, &o, &s, &err), &err);
    return s;
}

static void feed(remora_session *s, const remora_token *t, size_t n)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_session_append(s, t, n, REMORA_WANT_LAST, NULL), NULL);
    REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
}

static uint64_t page_bytes(const bed *b)
{
    remora_memory now = {.struct_size = sizeof now};
    REQUIRE_OK(remora_model_get_memory(b->m, &now, NULL), NULL);
    return now.kv_bytes_per_token * PAGE_TOKENS;
}

static uint64_t kv_bytes(const bed *b)
{
    remora_memory now = {.struct_size = sizeof now};
    REQUIRE_OK(remora_model_get_memory(b->m, &now, NULL), NULL);
    return now.host_kv;
}

static long long used(bed *b)
{
    return atomic_load(&b->mem.bytes);
}

static void forks_cost_what_they_write(void **state)
{
    bed b;
    remora_error err = HOST_ERROR;
    remora_session *f[FORKS];
    (void)state;
    bed_make(&b);
    remora_session *s = session(&b, REMORA_SESSION_PAGES_AS_NEEDED);
    assert_int_equal(host_session_info(s).kv_bytes, 0);
    assert_int_equal(host_session_info(s).kv_bytes_kept, 0);
    feed(s, b.ids, HISTORY);
    const uint64_t page = page_bytes(&b);
    const long long one = 7 * CAPACITY + (long long)host_vocab(b.m) * 4 + 2048;
    assert_int_equal(host_session_info(s).kv_bytes,
                     (HISTORY + PAGE_TOKENS - 1) / PAGE_TOKENS * page);
    for (int i = 0; i < FORKS; i++) {
        const long long before = used(&b);
        REQUIRE_OK(remora_session_fork(s, &f[i], &err), &err);
        feed(f[i], b.ids + i, 12);
        assert_in_range(used(&b) - before, page, 2 * (long long)page + one); /* it crosses a page */
        assert_int_equal(host_session_info(f[i]).kv_bytes_shared, HISTORY / PAGE_TOKENS * page);
        assert_int_equal(host_session_info(f[i]).kv_bytes_kept,
                         host_session_info(f[i]).kv_bytes -
                             host_session_info(f[i]).kv_bytes_shared);
    }
    assert_true(kv_bytes(&b) < 70 * (page + 128)); /* of 12 * 63 */
    REQUIRE_OK(remora_session_trim(f[0], 0, NULL), NULL);
    assert_int_equal(host_session_info(f[0]).kv_bytes, 0);
    for (int i = 0; i < FORKS; i++) remora_session_free(f[i]);
    assert_true(kv_bytes(&b) < 33 * (page + 128));
    remora_session_free(s);
    assert_int_equal(kv_bytes(&b), 0);
    remora_session *whole = session(&b, 0);
    assert_int_equal(host_session_info(whole).kv_bytes, 0);
    assert_int_equal(host_session_info(whole).kv_bytes_kept,
                     64 * page); /* 63 and the one for copies */
    remora_session_free(whole);
    bed_free(&b);
}

/* Appends of some lengths, with forks and trims between them, on both kinds. */
static void results_are_the_same(void **state)
{
    static const size_t lengths[] = {40, 1, 1, 70, 3, 33, 200, 1};
    bed b;
    remora_error err = HOST_ERROR;
    remora_session *s[2], *f[2];
    const float *rows[2];
    size_t n;
    (void)state;
    bed_make(&b);
    s[0] = session(&b, 0);
    s[1] = session(&b, REMORA_SESSION_PAGES_AS_NEEDED);
    for (size_t i = 0, at = 0; i < sizeof lengths / sizeof lengths[0]; at += lengths[i++]) {
        for (int k = 0; k < 2; k++) {
            REQUIRE_OK(remora_session_fork(s[k], &f[k], &err), &err);
            feed(s[k], b.ids + at, lengths[i]);
            remora_session_free(i % 2 == 0 ? f[k] : s[k]);
            if (i % 2 == 1) s[k] = f[k];
            if (i % 2 == 1) feed(s[k], b.ids + at, lengths[i]);
            if (i % 3 == 2)
                REQUIRE_OK(remora_session_trim(s[k], host_session_info(s[k]).committed - 2, NULL),
                           NULL);
            feed(s[k], b.ids, 2);
            REQUIRE_OK(remora_session_logits(s[k], 0, &rows[k], &n, NULL), NULL);
        }
        assert_memory_equal(rows[0], rows[1], n * sizeof **rows);
    }
    for (int k = 0; k < 2; k++) remora_session_free(s[k]);
    bed_free(&b);
}

/* There is no memory for the second page that is wanted: everything is as before, and the same call
 * works when there is. */
static void without_memory_nothing_is_lost(void **state)
{
    bed b;
    size_t n, reused;
    remora_token more[HISTORY + 60];
    (void)state;
    bed_make(&b);
    remora_session *s = session(&b, REMORA_SESSION_PAGES_AS_NEEDED);
    feed(s, b.ids, 50);
    const uint64_t kept = host_session_info(s).kv_bytes;
    const float *row;
    float before[TINY_TEXT_VOCAB];
    REQUIRE_OK(remora_session_logits(s, 0, &row, &n, NULL), NULL);
    assert_int_equal(n, TINY_TEXT_VOCAB);
    memcpy(before, row, sizeof before);
    tmem_arm(&b.mem, 4); /* a page takes three */
    assert_int_equal(remora_session_append(s, b.ids, 70, REMORA_WANT_LAST, NULL), REMORA_E_NOMEM);
    tmem_arm(&b.mem, 0);
    assert_int_equal(host_session_info(s).kv_bytes, kept);
    assert_int_equal(host_session_info(s).committed, 50);
    assert_int_equal(host_session_info(s).pending, 0);
    assert_int_equal(host_session_info(s).n_rows, 1);
    REQUIRE_OK(remora_session_logits(s, 0, &row, &n, NULL), NULL);
    assert_memory_equal(row, before, sizeof before);
    feed(s, b.ids, 70);
    memcpy(more, b.ids, 50 * sizeof *more);
    memcpy(more + 50, b.ids, 70 * sizeof *more);
    memcpy(more + 120, b.ids, 60 * sizeof *more);
    tmem_arm(&b.mem, 1);
    assert_int_equal(remora_session_sync(s, more, 180, REMORA_WANT_LAST, &reused, NULL),
                     REMORA_E_NOMEM);
    tmem_arm(&b.mem, 0);
    assert_int_equal(host_session_info(s).committed, 120);
    REQUIRE_OK(remora_session_sync(s, more, 180, REMORA_WANT_LAST, &reused, NULL), NULL);
    assert_int_equal(reused, 120);
    remora_session_free(s);
    bed_free(&b);
}

/* A generation that finds no page ends with E_NOMEM; what was delivered stays, and it goes on. */
static void generating_without_memory(void **state)
{
    bed b;
    remora_error err = HOST_ERROR;
    remora_sampler *p;
    remora_token out[2][40];
    size_t n, got;
    (void)state;
    bed_make(&b);
    const remora_stage greedy = {.struct_size = sizeof greedy, .kind = REMORA_STAGE_TEMPERATURE};
    REQUIRE_OK(remora_sampler_create(b.m, 1, &p, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &greedy, &err), &err);
    for (int k = 0; k < 2; k++) {
        remora_session *s = session(&b, REMORA_SESSION_PAGES_AS_NEEDED);
        feed(s, b.ids, 60);
        if (k == 1) tmem_arm(&b.mem, 1); /* the page of position 64 */
        remora_status st = remora_generate(s, p, NULL, out[k], 10, &n, &err);
        tmem_arm(&b.mem, 0);
        if (k == 1) {
            assert_int_equal(st, REMORA_E_NOMEM);
            assert_int_equal(n, 4);
            assert_int_equal(host_session_info(s).committed + host_session_info(s).pending, 64);
            st = remora_generate(s, p, NULL, out[k] + n, 10 - n, &got, &err);
            n += got;
        }
        assert_int_equal(st, REMORA_MORE);
        assert_int_equal(n, 10);
        remora_session_free(s);
    }
    assert_memory_equal(out[0], out[1], 10 * sizeof **out);
    remora_sampler_free(p);
    bed_free(&b);
}

static void unknown_flags_are_refused(void **state)
{
    bed b;
    remora_error err = HOST_ERROR;
    remora_session *s;
    const remora_session_opts o = {.struct_size = sizeof o, .flags = 1u << 30};
    (void)state;
    bed_make(&b);
    assert_int_equal(remora_session_create(b.m, &o, &s, &err), REMORA_E_STRUCT);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forks_cost_what_they_write), cmocka_unit_test(results_are_the_same),
        cmocka_unit_test(without_memory_nothing_is_lost),
        cmocka_unit_test(generating_without_memory), cmocka_unit_test(unknown_flags_are_refused)};
    return cmocka_run_group_tests_name("pages as needed", tests, NULL, NULL);
}

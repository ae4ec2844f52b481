/* SPDX-License-Identifier: Apache-2.0 */
/* A sampler takes the bytes that the header says, and picks and accepts take none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { SMALL = 9 << 10 }; /* "less than 9 kB" */

typedef struct bed {
    tiny t;
    tmem mem;
    remora_runtime *rt;
    remora_model *m;
    uint32_t n_vocab;
    float *row;
} bed;

static void bed_make(bed *b, uint32_t n_vocab)
{
    const tiny_opts o = {.vocab = n_vocab};
    memset(b, 0, sizeof *b);
    tiny_make(&b->t, &o);
    b->rt = host_runtime(&b->mem, 1, NULL);
    b->m = host_open(b->rt, &b->t.source);
    b->n_vocab = host_vocab(b->m);
    assert_int_equal(b->n_vocab, n_vocab);
    b->row = malloc(n_vocab * sizeof *b->row);
    assert_non_null(b->row);
    for (uint32_t i = 0; i < n_vocab; i++) b->row[i] = (float)(i * 37 % 101) / 10;
}

static void bed_free(bed *b)
{
    free(b->row);
    remora_model_free(b->m);
    remora_runtime_free(b->rt);
    assert_int_equal(atomic_load(&b->mem.bytes), 0);
    tiny_free(&b->t);
}

static long long used(bed *b)
{
    return atomic_load(&b->mem.bytes);
}

static void add(remora_sampler *p, int32_t kind, double value, int64_t count)
{
    remora_error err = HOST_ERROR;
    const remora_stage s = {.struct_size = sizeof s, .kind = kind, .value = value, .count = count};
    REQUIRE_OK(remora_sampler_add(p, &s, &err), &err);
}

/* Picks and accepts, more than any window has room for. */
static void work(bed *b, remora_sampler *p)
{
    const long calls = atomic_load(&b->mem.calls);
    remora_token t;
    for (int i = 0; i < 100; i++) {
        REQUIRE_OK(remora_sampler_pick_from(p, b->row, b->n_vocab, &t, NULL), NULL);
        REQUIRE_OK(remora_sampler_accept(p, t, NULL), NULL);
    }
    assert_int_equal(atomic_load(&b->mem.calls), calls);
}

static void bytes_are_as_said(void **state)
{
    static const uint32_t sizes[] = {TINY_TEXT_VOCAB, 1000, 32768, 50001};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bed b;
        remora_error err = HOST_ERROR;
        remora_sampler *p, *clone;
        bed_make(&b, sizes[i]);
        const long long v = sizes[i], plain = 12 * v + (v + 255) / 256 * 8, before = used(&b);
        REQUIRE_OK(remora_sampler_create(b.m, 1, &p, &err), &err);
        work(&b, p);
        add(p, REMORA_STAGE_TEMPERATURE, 0.7, 0);
        add(p, REMORA_STAGE_TOP_P, 0.9, 0);
        work(&b, p);
        assert_in_range(used(&b) - before, plain, plain + SMALL);
        add(p, REMORA_STAGE_REPEAT, 1.1, 64);
        work(&b, p);
        assert_in_range(used(&b) - before, plain + 4 * v + 4 * 64, plain + 4 * v + 4 * 64 + SMALL);
        add(p, REMORA_STAGE_PRESENCE, 0.1, 0);
        const long long all = used(&b) - before;
        assert_in_range(all, plain + 4 * v + 4 * 16384, plain + 4 * v + 4 * 16384 + SMALL);
        REQUIRE_OK(remora_sampler_clone(p, &clone, NULL), NULL);
        assert_in_range(used(&b) - before, plain + all, 2 * all);
        work(&b, clone);
        remora_sampler_free(p);
        remora_sampler_free(clone);
        assert_int_equal(used(&b), before);
        bed_free(&b);
    }
}

/* A window begins when it is added; a longer one begins with what the shorter one remembers. */
static void windows_begin_with_their_stage(void **state)
{
    bed b;
    remora_error err = HOST_ERROR;
    remora_sampler *p;
    remora_token t;
    (void)state;
    bed_make(&b, TINY_TEXT_VOCAB);
    memset(b.row, 0, b.n_vocab * sizeof *b.row);
    b.row[5] = 3;
    b.row[6] = 2;
    b.row[7] = 1;
    REQUIRE_OK(remora_sampler_create(b.m, 1, &p, &err), &err);
    REQUIRE_OK(remora_sampler_accept(p, 5, NULL), NULL); /* nothing remembers it */
    add(p, REMORA_STAGE_PRESENCE, 100, 2);
    add(p, REMORA_STAGE_TEMPERATURE, 0, 0);
    REQUIRE_OK(remora_sampler_pick_from(p, b.row, b.n_vocab, &t, NULL), NULL);
    assert_int_equal(t, 5);
    for (int i = 5; i < 7; i++) REQUIRE_OK(remora_sampler_accept(p, i, NULL), NULL);
    REQUIRE_OK(remora_sampler_pick_from(p, b.row, b.n_vocab, &t, NULL), NULL);
    assert_int_equal(t, 7);
    add(p, REMORA_STAGE_PRESENCE, 0, 3);
    add(p, REMORA_STAGE_TEMPERATURE, 0, 0);
    REQUIRE_OK(remora_sampler_accept(p, 7, NULL), NULL); /* the window of two lets go of 5 */
    REQUIRE_OK(remora_sampler_pick_from(p, b.row, b.n_vocab, &t, NULL), NULL);
    assert_int_equal(t, 5);
    remora_sampler_free(p);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_are_as_said),
                                       cmocka_unit_test(windows_begin_with_their_stage)};
    return cmocka_run_group_tests_name("samplers", tests, NULL, NULL);
}

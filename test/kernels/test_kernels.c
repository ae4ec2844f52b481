/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel set this processor runs against the reference, the reference against double
 * precision, the digests, and the choice of a set. Argument: the file with the expected digests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cases.h"

static const char *digest_file;

typedef struct checked {
    const rmr_kernels *set;
    const kernel_case *what;
} checked;

static void run_case(void **state)
{
    const checked *const c = *state;
    const char *const bad = c->what->run(c->set);
    if (bad) fail_msg("%s", bad);
}

static void run_digest(void **state)
{
    const checked *const c = *state;
    const char *const bad = cases_digest(c->set, digest_file);
    if (bad) fail_msg("%s", bad);
}

static void run_pick(void **state)
{
    const rmr_kernels *set, *best = NULL;
    int usable = 0;
    (void)state;
    for (uint32_t i = 0; (set = rmr_kernels_at(i, &usable)) != NULL; i++) {
        const rmr_kernels *const named = rmr_kernels_pick(set->name);
        if (usable != RMR_KERNELS_BY_NAME || named != NULL)
            assert_ptr_equal(named, usable ? set : NULL);
        if (usable == 1) best = set;
    }
    assert_ptr_equal(rmr_kernels_pick(NULL), best);
    assert_string_equal(rmr_kernels_at(0, &usable)->name, "ref");
    assert_true(usable);
    assert_null(rmr_kernels_pick(""));
    assert_null(rmr_kernels_pick("avx"));
}

/* ---- every entry of every family is there, by name ---- */

typedef struct entry {
    const char *name;
    size_t at; /* of the pointer in its family */
} entry;

#define ENTRY(family, member)                                                                      \
    {                                                                                              \
#family "." #member, offsetof(rmr_##family##_kernels, member)                              \
    }

static const entry attention[] = {ENTRY(attention, pairs), ENTRY(attention, scores_bf16),
                                  ENTRY(attention, scores_f32), ENTRY(attention, wsum_bf16),
                                  ENTRY(attention, wsum_f32)};
static const entry kv8[] = {ENTRY(kv8, put), ENTRY(kv8, get), ENTRY(kv8, query),
                            ENTRY(kv8, attend)};
static const entry elementwise[] = {
    ENTRY(elementwise, norm),      ENTRY(elementwise, rope),    ENTRY(elementwise, rope_half),
    ENTRY(elementwise, silu_mul),  ENTRY(elementwise, sigmoid), ENTRY(elementwise, max),
    ENTRY(elementwise, exp_sum),   ENTRY(elementwise, scale),   ENTRY(elementwise, add),
    ENTRY(elementwise, madd),      ENTRY(elementwise, merge),   ENTRY(elementwise, to_bf16),
    ENTRY(elementwise, from_bf16), ENTRY(elementwise, from_f16)};

/* `bytes` of a family: it has no entry that is not listed. */
static void check_family(const rmr_kernels *set, const void *family, size_t bytes,
                         const entry *entries, size_t n)
{
    assert_int_equal(bytes, n * sizeof(void (*)(void)));
    for (size_t i = 0; i < n; i++) {
        void (*fn)(void);
        memcpy(&fn, (const char *)family + entries[i].at, sizeof fn);
        if (fn == NULL) fail_msg("%s has no %s", set->name, entries[i].name);
    }
}

#define CHECK_FAMILY(set, family)                                                                  \
    check_family(set, (set)->family, sizeof *(set)->family, family, sizeof family / sizeof *family)

/* Products are there for the types of their family and only for them. */
static void check_products(const rmr_kernels *set)
{
    for (int e = 0; e < RMR_ELEM_COUNT; e++) {
        const int integer = rmr_elem_table[e].integer;
        if (e <= RMR_ELEM_F8 ? set->product->matmul[e] == NULL || integer
                             : (set->integer->matmul[e] != NULL) != integer)
            fail_msg("%s: product of %s", set->name, rmr_elem_table[e].name);
    }
    for (int e = 0; e <= RMR_ELEM_F8; e++) assert_null(set->integer->matmul[e]);
    assert_non_null(set->integer->quantize);
}

/* Of all sets, usable here or not. */
static void run_complete(void **state)
{
    const rmr_kernels *set;
    int usable;
    (void)state;
    for (uint32_t i = 0; (set = rmr_kernels_at(i, &usable)) != NULL; i++) {
        check_products(set);
        CHECK_FAMILY(set, attention);
        CHECK_FAMILY(set, kv8);
        CHECK_FAMILY(set, elementwise);
    }
}

enum { MAX_TESTS = 128 };

static struct CMUnitTest tests[MAX_TESTS];
static checked states[MAX_TESTS];
static char names[MAX_TESTS][48];
static size_t n_tests;

static void add(const rmr_kernels *set, const kernel_case *what, CMUnitTestFunction fn,
                const char *name)
{
    if (n_tests == MAX_TESTS) abort();
    states[n_tests] = (checked){set, what};
    snprintf(names[n_tests], sizeof names[0], "%s_%s", set ? set->name : "kernels", name);
    tests[n_tests] = (struct CMUnitTest){
        .name = names[n_tests], .test_func = fn, .initial_state = &states[n_tests]};
    n_tests++;
}

int main(int argc, char **argv)
{
    const rmr_kernels *set;
    int usable;
    digest_file = argc > 1 ? argv[1] : "digest.txt";
    add(NULL, NULL, run_pick, "pick");
    add(NULL, NULL, run_complete, "complete");
    for (const kernel_case *c = cases_truth; c->name; c++)
        add(&rmr_kernels_ref, c, run_case, c->name);
    for (uint32_t i = 0; (set = rmr_kernels_at(i, &usable)) != NULL; i++) {
        if (!rmr_kernels_pick(set->name)) continue;
        printf("ran: %s\n", set->name); /* test/not_here.txt */
        add(set, NULL, run_digest, "digest");
        for (const kernel_case *c = cases_against_ref; i > 0 && c->name; c++)
            add(set, c, run_case, c->name);
    }
    return _cmocka_run_group_tests("kernels", tests, n_tests, NULL, NULL);
}

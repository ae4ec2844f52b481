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

/* No entry of any table may be missing, usable here or not; integer products are there for the
 * integer types and only for them. */
static void run_complete(void **state)
{
    const rmr_kernels *set;
    int usable;
    (void)state;
    for (uint32_t i = 0; (set = rmr_kernels_at(i, &usable)) != NULL; i++) {
        const void *word[sizeof *set / sizeof(void *)];
        rmr_kernels all = *set;
        for (int e = 0; e < RMR_ELEM_COUNT; e++) {
            assert_int_equal(all.qmatmul[e] != NULL, rmr_elem_table[e].integer);
            if (all.qmatmul[e] == NULL) all.qmatmul[e] = set->qmatmul[RMR_ELEM_Q8_0];
        }
        memcpy(word, &all, sizeof word);
        for (size_t n = 0; n < sizeof word / sizeof *word; n++) assert_non_null(word[n]);
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

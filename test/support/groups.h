/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of tests. */
#ifndef GROUPS_H
#define GROUPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* The tests of a program, and those of them that need the folder of models. The latter are part of
 * the run where REMORA_MODELS names that folder: test/meson.build sets it when the folder is there.
 */
#define RUN_GROUPS(name, tests, model_tests)                                                       \
    (cmocka_run_group_tests_name(name, tests, NULL, NULL) +                                        \
     (getenv("REMORA_MODELS") != NULL                                                              \
          ? cmocka_run_group_tests_name(name " with models", model_tests, NULL, NULL)              \
          : 0))

/* A group with a setup and a teardown. cmocka counts no failure in the teardown of a group, so the
 * teardown runs behind the group here: what fails in it fails the program. */
static void *run_group_state;
static CMFixtureFunction run_group_setup;

static inline int run_group_begin(void **state)
{
    const int failed = run_group_setup(state);
    run_group_state = *state;
    return failed;
}

static inline int run_group(const char *name, const struct CMUnitTest *tests, size_t n,
                            CMFixtureFunction setup, CMFixtureFunction teardown)
{
    run_group_setup = setup;
    const int failed = _cmocka_run_group_tests(name, tests, n, run_group_begin, NULL);
    return failed + (teardown(&run_group_state) != 0);
}
#define RUN_GROUP(name, tests, setup, teardown)                                                    \
    run_group(name, tests, sizeof(tests) / sizeof *(tests), setup, teardown)

#endif

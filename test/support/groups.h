/* The tests of a program, and those of them that need the folder of models. The latter are part of
 * the run where REMORA_MODELS names that folder: test/meson.build sets it when the folder is there.
 */
#ifndef GROUPS_H
#define GROUPS_H

#include <stdlib.h>

#define RUN_GROUPS(name, tests, model_tests)                                                       \
    (cmocka_run_group_tests_name(name, tests, NULL, NULL) +                                        \
     (getenv("REMORA_MODELS") != NULL                                                              \
          ? cmocka_run_group_tests_name(name " with models", model_tests, NULL, NULL)              \
          : 0))

#endif

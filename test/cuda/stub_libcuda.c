/* SPDX-License-Identifier: Apache-2.0 */
/* A libcuda.so.1 for tests: the emulated driver under the names of the real one's functions. Its
 * state is a symbol too, for the test that has opened it. */
#include "emulated_driver.c"

/* For programs that are run: EMULATED_SKIPS names a kernel that does nothing. */
__attribute__((constructor)) static void read_environment(void)
{
    emulated.skips = getenv("EMULATED_SKIPS");
}

#define SEEN __attribute__((visibility("default")))
#define X(name, symbol, parameters)                                                                \
    SEEN rmr_cu_result symbol parameters;                                                          \
    SEEN rmr_cu_result symbol parameters __attribute__((alias(#name)));
RMR_CU_FUNCTIONS(X)
RMR_CU_GREEN_FUNCTIONS(X)
#undef X

SEEN emulated_state *stub_state(void);
SEEN int stub_current(void);
SEEN void stub_reset(void);
SEEN void stub_enter_foreign(void);
SEEN void stub_leave_foreign(void);

emulated_state *stub_state(void)
{
    return &emulated;
}

void stub_reset(void)
{
    emulated_reset();
}

int stub_current(void)
{
    return emulated_current();
}

void stub_enter_foreign(void)
{
    emulated_enter_foreign();
}

void stub_leave_foreign(void)
{
    emulated_leave_foreign();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "use.h"

#include "process.h"

void rmr_use_init(rmr_use *u)
{
    atomic_init(&u->process, 0);
}

int rmr_use_is_lost(const rmr_use *u)
{
    const uint32_t process = atomic_load_explicit(&u->process, memory_order_relaxed);
    return process != 0 && process != rmr_process();
}

remora_status rmr_use_look(const rmr_use *u, const char *what, remora_error *err)
{
    if (rmr_use_is_lost(u))
        RMR_FAIL(err, REMORA_E_BUSY,
                 "the %s was in use by another thread when the process was forked: it can only be "
                 "freed",
                 what);
    return REMORA_OK;
}

remora_status rmr_use_begin(rmr_use *u, const char *what, remora_error *err)
{
    uint32_t none = 0;
    if (atomic_compare_exchange_strong_explicit(&u->process, &none, rmr_process(),
                                                memory_order_acquire, memory_order_relaxed))
        return REMORA_OK;
    RMR_TRY(rmr_use_look(u, what, err));
    RMR_FAIL(err, REMORA_E_BUSY, "the %s is in use by another call", what);
}

void rmr_use_end(rmr_use *u)
{
    RMR_ASSERT(atomic_load(&u->process) == rmr_process());
    atomic_store_explicit(&u->process, 0, memory_order_release);
}

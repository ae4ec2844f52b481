/* SPDX-License-Identifier: Apache-2.0 */
#include "gpus.h"

#include <stdio.h>
#include <string.h>

#include "runtime.h"

#define MODULE "libremora-cuda.so"

remora_status rmr_gpus_init(rmr_gpus *g, rmr_mem *mem, const char *path, const char *options,
                            remora_error *err)
{
    rmr_lock_init(&g->lock);
    atomic_init(&g->looked, 0);
    g->outcome = (remora_error){.struct_size = sizeof g->outcome};
    if (strlen(options) >= sizeof g->options)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "x-cuda \"%.60s\" has more than %zu characters",
                 options, sizeof g->options - 1);
    memcpy(g->options, options, strlen(options) + 1);
    if (path == NULL) return REMORA_OK;
    g->path = rmr_strdup(mem, path);
    return g->path != NULL ? REMORA_OK : rmr_error_nomem(err, "cuda_module", strlen(path) + 1);
}

void rmr_gpus_end(rmr_gpus *g, rmr_mem *mem)
{
    rmr_strfree(mem, g->path);
}

static void look(remora_runtime *rt)
{
    rmr_gpus *g = &rt->gpus;
    const char *path = g->path != NULL ? g->path : MODULE;
    remora_status st = REMORA_E_UNSUPPORTED;
    if (path[0] != 0)
        st = rmr_runtime_add_module(rt, path, &g->outcome);
    else
        rmr_error_set(&g->outcome, st, 0, "the runtime was made without GPUs");
    g->outcome.code = st;
    if (st < 0) rmr_log_write(&rt->ctx.log, REMORA_LOG_INFO, "no GPUs: %s", g->outcome.message);
}

/* Another thread was looking when this process was forked: the child goes on without GPUs. */
static void give_up(rmr_gpus *g)
{
    rmr_error_set(&g->outcome, REMORA_E_DEVICE, 0, "GPUs were looked for while the process forked");
    g->outcome.code = REMORA_E_DEVICE;
}

/* Memory that was out may be there the next time. */
void rmr_runtime_look(const remora_runtime *given)
{
    remora_runtime *rt = (remora_runtime *)(uintptr_t)given; /* the list grows once */
    rmr_gpus *g = &rt->gpus;
    if (atomic_load_explicit(&g->looked, memory_order_acquire)) return;
    const int left_behind = rmr_lock_take(&g->lock);
    if (!atomic_load_explicit(&g->looked, memory_order_relaxed)) {
        if (left_behind)
            give_up(g);
        else
            look(rt);
        atomic_store_explicit(&g->looked, g->outcome.code != REMORA_E_NOMEM, memory_order_release);
    }
    rmr_lock_give(&g->lock);
}

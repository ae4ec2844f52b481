#include "runtime.h"

#include <string.h>

#include "cpu.h"

/* The unstable keys of remora_runtime_opts.extra. */
static remora_status read_extra(const remora_runtime_opts *o, const char **isa, remora_error *err)
{
    *isa = NULL;
    for (uint64_t i = 0; i < o->n_extra; i++) {
        if (o->extra[i].key == NULL || o->extra[i].value == NULL)
            RMR_FAIL(err, REMORA_E_ARG, "extra[%llu] has a NULL key or value",
                     (unsigned long long)i);
        if (strcmp(o->extra[i].key, "x-isa") != 0)
            RMR_FAIL(err, REMORA_E_UNSUPPORTED, "extra option \"%.60s\" is not known",
                     o->extra[i].key);
        *isa = o->extra[i].value;
    }
    return REMORA_OK;
}

remora_status rmr_runtime_create(const remora_runtime_opts *o, remora_runtime **out,
                                 remora_error *err)
{
    const char *isa;
    rmr_mem mem = {
        .user = o->alloc_user, .alloc = o->alloc, .resize = o->resize, .release = o->release};
    *out = NULL;
    RMR_TRY(read_extra(o, &isa, err));
    rmr_mem_init(&mem);
    remora_runtime *rt = rmr_calloc(&mem, 1, sizeof *rt);
    if (rt == NULL) return rmr_error_nomem(err, "runtime", sizeof *rt);
    rmr_mem_share(&rt->ctx.mem, &mem);
    rt->ctx.log = (rmr_log){o->log_user, o->log, o->log_level > 0 ? o->log_level : REMORA_LOG_INFO};
    atomic_init(&rt->refs, 1);
    remora_status st = rmr_pool_create(&rt->ctx.mem, (uint32_t)o->n_threads, o->run, o->run_user,
                                       &rt->ctx.pool, err);
    if (st >= 0) st = rmr_cpu_create(&rt->ctx, isa, NULL, &rt->cpu, err);
    if (st < 0) {
        rmr_runtime_unref(rt);
        return st;
    }
    *out = rt;
    return REMORA_OK;
}

void rmr_runtime_ref(remora_runtime *rt)
{
    atomic_fetch_add_explicit(&rt->refs, 1, memory_order_relaxed);
}

void rmr_runtime_unref(remora_runtime *rt)
{
    if (rt == NULL || atomic_fetch_sub_explicit(&rt->refs, 1, memory_order_acq_rel) != 1) return;
    if (rt->cpu != NULL) rt->cpu->ops->free(rt->cpu);
    rmr_pool_free(rt->ctx.pool);
    /* The runtime's own block is released through a copy of the hooks it contains. */
    rmr_mem mem;
    rmr_mem_share(&mem, &rt->ctx.mem);
    rmr_free(&mem, rt, sizeof *rt);
}

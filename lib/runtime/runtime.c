/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime and its list of devices. */
#include "runtime.h"

#include <stdio.h>
#include <string.h>

#include "cpu.h"
#include "option.h"
#include "process.h"

/* The unstable keys of remora_runtime_opts.extra. */
typedef struct extras {
    char isa_text[64], cuda[128]; /* of x-isa; of x-cuda */
    const char *isa;              /* NULL: not given */
} extras;

static remora_status read_extra(const remora_runtime_opts *o, extras *out, remora_error *err)
{
    out->isa = NULL;
    out->cuda[0] = 0;
    RMR_TRY(rmr_options_check(o->extra, o->n_extra, err));
    for (uint64_t i = 0; i < o->n_extra; i++) {
        const remora_option *const x = &o->extra[i];
        RMR_TRY(rmr_option_check(o->extra, i, err));
        if (rmr_option_is(x, "x-cuda")) {
            RMR_TRY(rmr_option_value(x, out->cuda, sizeof out->cuda, err));
            continue;
        }
        if (!rmr_option_is(x, "x-isa"))
            return rmr_option_unknown(x, "runtimes have x-isa and x-cuda", err);
        RMR_TRY(rmr_option_value(x, out->isa_text, sizeof out->isa_text, err));
        out->isa = out->isa_text;
    }
    return REMORA_OK;
}

/* A backend takes a place in the list, whether it is one of ours or of a module. */
static remora_status list(remora_runtime *rt, uint32_t place, rmr_backend *be, remora_error *err)
{
    rt->backends[place] = be;
    if (be->ops->size == sizeof *be->ops && be->ops->version == RMR_BACKEND_VERSION)
        return REMORA_OK;
    RMR_FAIL(err, REMORA_E_UNSUPPORTED,
             "a backend has version %u of the boundary, with %u bytes of functions; the library "
             "has version %d with %zu",
             be->ops->version, be->ops->size, RMR_BACKEND_VERSION, sizeof *be->ops);
}

static remora_status check_room(const remora_runtime *rt, uint32_t n, remora_error *err)
{
    if (n <= RMR_MAX_DEVICES - rt->n_devices) return REMORA_OK;
    RMR_FAIL(err, REMORA_E_UNSUPPORTED, "the machine has more than %d devices", RMR_MAX_DEVICES);
}

static remora_status add_device(remora_runtime *rt, const rmr_device_maker *maker, const char *isa,
                                remora_error *err)
{
    rmr_backend *be;
    RMR_TRY(check_room(rt, 1, err));
    RMR_TRY(maker->make(maker->user, &rt->ctx, isa, &be, err));
    return list(rt, rt->n_devices++, be, err);
}

static remora_status make_pool(remora_runtime *rt, const remora_runtime_opts *o, remora_error *err)
{
    const rmr_pool_opts opts = {.n_threads = (uint32_t)o->n_threads,
                                .run = o->run,
                                .run_user = o->run_user,
                                .thread_start = o->thread_start,
                                .thread_start_user = o->thread_start_user};
    RMR_TRY(rmr_pool_create_with(&rt->ctx.mem, &opts, &rt->ctx.pool, err));
    if (rmr_pool_because(rt->ctx.pool) == RMR_POOL_NO_THREADS)
        rmr_log_write(&rt->ctx.log, REMORA_LOG_WARN,
                      "the system gives no more threads: calls compute with %u",
                      rmr_pool_width(rt->ctx.pool));
    return REMORA_OK;
}

remora_status rmr_runtime_create_with(const remora_runtime_opts *o, const rmr_device_maker *makers,
                                      uint32_t n, remora_runtime **out, remora_error *err)
{
    extras extra;
    rmr_mem mem = {
        .user = o->alloc_user, .alloc = o->alloc, .resize = o->resize, .release = o->dealloc};
    *out = NULL;
    RMR_TRY(read_extra(o, &extra, err));
    rmr_mem_init(&mem);
    remora_runtime *rt = rmr_calloc(&mem, 1, sizeof *rt);
    if (rt == NULL) return rmr_error_nomem(err, "runtime", sizeof *rt);
    rmr_mem_share(&rt->ctx.mem, &mem, NULL);
    rt->ctx.log = (rmr_log){o->log_user, o->log, o->log_level > 0 ? o->log_level : REMORA_LOG_INFO};
    atomic_init(&rt->refs, 1);
    rt->process = rmr_process();
    rt->isa_asked = extra.isa != NULL;
    remora_status st = make_pool(rt, o, err);
    for (uint32_t i = 0; i < n && st >= 0; i++) st = add_device(rt, &makers[i], extra.isa, err);
    const remora_status gpus =
        rmr_gpus_init(&rt->gpus, &rt->ctx.mem, o->cuda_module, extra.cuda, st >= 0 ? err : NULL);
    if (st >= 0) st = gpus;
    if (st < 0) {
        rmr_runtime_unref(rt);
        return st;
    }
    rt->release = (rmr_release){o->release, o->release_user};
    rt->own_bytes = sizeof *rt + atomic_load_explicit(&rt->ctx.mem.bytes, memory_order_relaxed);
    *out = rt;
    return REMORA_OK;
}

static remora_status make_cpu(void *user, rmr_ctx *ctx, const char *isa, rmr_backend **out,
                              remora_error *err)
{
    (void)user;
    return rmr_cpu_create(ctx, isa, NULL, out, err);
}

remora_status rmr_runtime_create(const remora_runtime_opts *o, remora_runtime **out,
                                 remora_error *err)
{
    const rmr_device_maker cpu = {make_cpu, NULL};
    return rmr_runtime_create_with(o, &cpu, 1, out, err);
}

static void drop_devices(remora_runtime *rt, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        rmr_backend *be = rt->backends[rt->n_devices + i];
        be->ops->free(be);
    }
}

/* Backends of all devices of a module, behind those that are listed; *made of them are there. */
static remora_status make_devices(remora_runtime *rt, const rmr_module *m, uint32_t *made,
                                  remora_error *err)
{
    RMR_TRY(check_room(rt, m->n_devices, err));
    while (*made < m->n_devices) {
        rmr_backend *be;
        RMR_TRY(m->make(m->user, *made, &be, err));
        RMR_TRY(list(rt, rt->n_devices + (*made)++, be, err));
    }
    return REMORA_OK;
}

remora_status rmr_runtime_add_module(remora_runtime *rt, const char *path, remora_error *err)
{
    uint32_t made = 0;
    rmr_open_module *m = &rt->modules[rt->n_modules];
    if (rt->n_modules == RMR_MAX_MODULES)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%d modules are open, which is the limit",
                 RMR_MAX_MODULES);
    RMR_TRY(rmr_open_module_load(m, &rt->ctx, path, rt->gpus.options, err));
    const remora_status st = make_devices(rt, &m->module, &made, err);
    if (st < 0) {
        drop_devices(rt, made);
        rmr_open_module_close(m);
        return st;
    }
    rt->own_bytes += m->module.bytes;
    rt->n_modules++;
    rt->n_devices += made; /* now others see them */
    return REMORA_OK;
}

void rmr_runtime_ref(remora_runtime *rt)
{
    RMR_ASSERT(atomic_load(&rt->refs) > 0);
    atomic_fetch_add_explicit(&rt->refs, 1, memory_order_relaxed);
}

void rmr_runtime_unref(remora_runtime *rt)
{
    if (rt == NULL || atomic_fetch_sub_explicit(&rt->refs, 1, memory_order_acq_rel) != 1) return;
    const uint32_t n = rt->n_devices;
    rt->n_devices = 0;
    drop_devices(rt, n);
    while (rt->n_modules > 0) rmr_open_module_close(&rt->modules[--rt->n_modules]);
    rmr_gpus_end(&rt->gpus, &rt->ctx.mem);
    rmr_pool_free(rt->ctx.pool);
    /* The runtime's own block is released through a copy of the hooks it contains. It was counted
     * by another count than theirs, which is 0 by now. */
    rmr_mem mem;
    const rmr_release release = rt->release;
    RMR_ASSERT(atomic_load(&rt->ctx.mem.bytes) == 0 || rt->process != rmr_process());
    rmr_mem_share(&mem, &rt->ctx.mem, NULL);
    atomic_store(&mem.bytes, sizeof *rt);
    rmr_free(&mem, rt, sizeof *rt);
    rmr_release_call(release);
}

/* ---- devices ---- */

remora_device rmr_runtime_device(const remora_runtime *rt, uint32_t i)
{
    remora_device d = {.struct_size = sizeof d};
    RMR_ASSERT(i < rt->n_devices);
    rt->backends[i]->ops->describe(rt->backends[i], &d);
    return d;
}

/* "cuda" names "cuda:0", and "cuda:0" too. */
static int is_named(const remora_device *d, const char *id)
{
    const size_t n = strlen(id);
    return n > 0 && strncmp(d->id, id, n) == 0 && (d->id[n] == 0 || d->id[n] == ':');
}

static remora_status unknown(const remora_runtime *rt, const char *id, remora_error *err)
{
    char known[RMR_MAX_DEVICES * (sizeof(((remora_device *)0)->id) + 4)];
    size_t n = 0;
    known[0] = 0;
    if (rt->gpus.outcome.code < 0 && strncmp(id, "cuda", 4) == 0)
        return rmr_error_set(err,
                             rt->gpus.outcome.code == REMORA_E_NOT_FOUND ? REMORA_E_UNSUPPORTED
                                                                         : rt->gpus.outcome.code,
                             rt->gpus.outcome.os_code, "device \"%.40s\" is not there: %.190s", id,
                             rt->gpus.outcome.message);
    for (uint32_t i = 0; i < rt->n_devices; i++) {
        const remora_device d = rmr_runtime_device(rt, i);
        n += (size_t)snprintf(known + n, sizeof known - n, "%s\"%s\"", i > 0 ? ", " : "", d.id);
    }
    RMR_FAIL(err, REMORA_E_UNSUPPORTED, "device \"%.40s\" is not there; there are %s", id, known);
}

/* The first device that can be used and is not the CPU; else the CPU. */
static rmr_backend *best(const remora_runtime *rt)
{
    for (uint32_t i = 0; i < rt->n_devices; i++) {
        const remora_device d = rmr_runtime_device(rt, i);
        if (d.usable >= 0 && d.kind != REMORA_DEVICE_CPU) return rt->backends[i];
    }
    return rt->backends[0];
}

remora_status rmr_runtime_backend(const remora_runtime *rt, const char *id, rmr_backend **out,
                                  remora_error *err)
{
    *out = NULL;
    if (id != NULL && strcmp(id, "cpu") != 0) rmr_runtime_look(rt);
    if (id != NULL && strcmp(id, "auto") == 0) {
        *out = best(rt);
        return REMORA_OK;
    }
    for (uint32_t i = 0; i < rt->n_devices; i++) {
        const remora_device d = rmr_runtime_device(rt, i);
        if (id != NULL && !is_named(&d, id)) continue;
        if (d.usable < 0)
            RMR_FAIL(err, d.usable, "device \"%s\" (%.60s) cannot be used: %s", d.id, d.name,
                     d.reason);
        *out = rt->backends[i];
        return REMORA_OK;
    }
    return unknown(rt, id != NULL ? id : "", err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "guard_backend.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guard.h"

static void describe(rmr_backend *be, remora_device *out)
{
    guard_of(be)->inner->ops->describe(guard_of(be)->inner, out);
}

static void *host_alloc(rmr_backend *be, rmr_mem *mem, size_t size)
{
    guard *g = guard_of(be);
    void *p = rmr_alloc(mem, size);
    guard_pinned *b = p != NULL ? malloc(sizeof *b) : NULL;
    if (b == NULL) {
        rmr_free(mem, p, size);
        return NULL;
    }
    guard_enter(g);
    *b = (guard_pinned){g->pinned, p, size};
    g->pinned = b;
    guard_leave(g);
    return p;
}

static void host_free(rmr_backend *be, rmr_mem *mem, void *p, size_t size)
{
    guard *g = guard_of(be);
    if (p == NULL) return;
    guard_enter(g);
    guard_pinned **at = &g->pinned, *b;
    while (*at != NULL && (*at)->at != p) at = &(*at)->next;
    b = *at;
    if (b == NULL || b->size != size)
        guard_violation(g, "memory is given back that is not of host_alloc");
    else
        *at = b->next;
    guard_leave(g);
    free(b);
    rmr_free(mem, p, size);
}

static void guard_free(rmr_backend *be)
{
    guard *g = guard_of(be);
    if (g->inner != NULL) g->inner->ops->free(g->inner);
    guard_memory_free(g);
    pthread_mutex_destroy(&g->device);
    free(g);
}

static const rmr_backend_ops guard_ops = {
    RMR_BACKEND_HEAD,
    .free = guard_free,
    .describe = describe,
    .weight_bytes = guard_weight_bytes,
    .step_bytes = guard_step_bytes,
    .buffer_bytes = guard_buffer_bytes,
    .weight_create = guard_weight_create,
    .weight_adopts = guard_weight_adopts,
    .weight_adopt = guard_weight_adopt,
    .weight_upload = guard_weight_upload,
    .weight_fill = guard_weight_fill,
    .weight_done = guard_weight_done,
    .weight_free = guard_weight_free,
    .buffer_create = guard_buffer_create,
    .buffer_free = guard_buffer_free,
    .buffer_address = guard_buffer_address,
    .buffer_read = guard_buffer_read,
    .buffer_write = guard_buffer_write,
    .buffer_zero = guard_buffer_zero,
    .buffer_copy = guard_buffer_copy,
    .counters_read = guard_counters_read,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .step_create = guard_step_create,
    .step_free = guard_step_free,
    .step_inputs = guard_step_inputs,
    .step_want = guard_step_want,
    .step_submit = guard_step_submit,
    .step_wait = guard_step_wait,
    .step_read = guard_step_read,
    .step_write = guard_step_write,
    .step_best = guard_step_best,
    .step_masses = guard_step_masses,
};

remora_status guard_make(void *user, rmr_ctx *ctx, const char *isa, rmr_backend **out,
                         remora_error *err)
{
    (void)user;
    guard *g = calloc(1, sizeof *g);
    if (g == NULL) return rmr_error_nomem(err, "guard", sizeof *g);
    g->base.ops = &guard_ops;
    g->base.ahead = 2; /* what a device with a queue asks for */
    g->map = MAP_FAILED;
    pthread_mutex_init(&g->device, NULL);
    remora_status st = guard_memory_make(g, err);
    if (st >= 0) st = rmr_cpu_create(ctx, isa, &g->mem, &g->inner, err);
    if (st < 0) {
        guard_free(&g->base);
        return st;
    }
    *out = &g->base;
    return REMORA_OK;
}

remora_status guard_runtime_create(const remora_runtime_opts *opts, remora_runtime **out,
                                   remora_error *err)
{
    const rmr_device_maker maker = {guard_make, NULL};
    return rmr_runtime_create_with(opts, &maker, 1, out, err);
}

guard_stats guard_get_stats(remora_runtime *rt)
{
    return guard_stats_of(rt->backends[0]);
}

guard_stats guard_stats_of(rmr_backend *be)
{
    guard *g = guard_of(be);
    guard_enter(g);
    if (guard_red_zones_hurt(g) > 0) guard_violation(g, "something was written beside a weight");
    const guard_stats s = g->stats;
    guard_leave(g);
    return s;
}

const char *guard_complaint(remora_runtime *rt)
{
    return guard_get_stats(rt).violations > 0 ? guard_of(rt->backends[0])->complaint : NULL;
}

void guard_set_tap(remora_runtime *rt, guard_tap *tap, void *user)
{
    guard *g = guard_of(rt->backends[0]);
    g->tap = tap;
    g->tap_user = user;
}

void guard_fail(remora_runtime *rt, long call, long op)
{
    guard *g = guard_of(rt->backends[0]);
    g->fail_call = call;
    g->fail_op = op;
}

int guard_failed(remora_runtime *rt)
{
    const guard *g = guard_of(rt->backends[0]);
    return g->fail_call == 0 && g->fail_op == 0;
}

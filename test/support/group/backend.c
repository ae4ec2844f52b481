/* SPDX-License-Identifier: Apache-2.0 */
/* The group itself: its members, and buffers, which are whole on every one of them. */
#include "group_backend.h"

#include <stdio.h>
#include <string.h>

#include "cpu.h"
#include "group.h"

static void group_free(rmr_backend *be)
{
    group *g = group_of(be);
    for (uint32_t m = 0; m < g->n; m++)
        if (g->member[m] != NULL) g->member[m]->ops->free(g->member[m]);
    pthread_mutex_destroy(&g->lock);
    rmr_free(&g->ctx->mem, g, sizeof *g);
}

static void describe(rmr_backend *be, remora_device *out)
{
    const group *g = group_of(be);
    g->member[0]->ops->describe(g->member[0], out);
    snprintf(out->id, sizeof out->id, "group");
    snprintf(out->name, sizeof out->name, "%u devices", g->n);
}

/* ---- buffers ---- */

static size_t own_bytes(const group *g)
{
    return sizeof(group_buffer) + g->n * sizeof(rmr_buffer *);
}

void group_add_bytes(rmr_bytes *to, rmr_bytes b)
{
    if (!rmr_bytes_add(to, b)) to->host = UINT64_MAX;
}

static rmr_bytes buffer_bytes(rmr_backend *be, uint64_t bytes)
{
    const group *g = group_of(be);
    rmr_bytes all = rmr_bytes_host(own_bytes(g));
    for (uint32_t m = 0; m < g->n; m++)
        group_add_bytes(&all, g->member[m]->ops->buffer_bytes(g->member[m], bytes));
    return all;
}

static void free_members(const group *g, group_buffer *b)
{
    for (uint32_t m = 0; m < g->n; m++)
        if (b->member[m] != NULL) g->member[m]->ops->buffer_free(g->member[m], b->member[m]);
    rmr_free(&g->ctx->mem, b, own_bytes(g));
}

/* Addresses are handed out once, so that one that has gone is found out. */
static void enlist(group *g, group_buffer *b)
{
    pthread_mutex_lock(&g->lock);
    b->address = g->next_address;
    g->next_address += rmr_round_up(b->bytes, 1 << 20) + (1 << 20);
    b->next = g->buffers;
    g->buffers = b;
    pthread_mutex_unlock(&g->lock);
}

static remora_status buffer_create(rmr_backend *be, uint64_t bytes, rmr_buffer **out,
                                   remora_error *err)
{
    group *g = group_of(be);
    *out = NULL;
    group_buffer *b = rmr_calloc(&g->ctx->mem, 1, own_bytes(g));
    if (b == NULL) return rmr_error_nomem(err, "buffers of a group", own_bytes(g));
    b->bytes = bytes;
    for (uint32_t m = 0; m < g->n; m++) {
        const remora_status st =
            g->member[m]->ops->buffer_create(g->member[m], bytes, &b->member[m], err);
        if (st >= 0) continue;
        free_members(g, b);
        return st;
    }
    enlist(g, b);
    *out = (rmr_buffer *)(void *)b;
    return REMORA_OK;
}

static void buffer_free(rmr_backend *be, rmr_buffer *buffer)
{
    group *g = group_of(be);
    group_buffer *b = group_buffer_of(buffer);
    if (b == NULL) return;
    pthread_mutex_lock(&g->lock);
    group_buffer **at = &g->buffers;
    while (*at != b) at = &(*at)->next;
    *at = b->next;
    pthread_mutex_unlock(&g->lock);
    free_members(g, b);
}

static uint64_t buffer_address(const rmr_buffer *b)
{
    return group_buffer_of(b)->address;
}

uint64_t group_address(group *g, uint64_t address, uint32_t member, uint32_t turn)
{
    member = (member + turn) % g->n;
    uint64_t own = 0;
    pthread_mutex_lock(&g->lock);
    for (const group_buffer *b = g->buffers; b != NULL; b = b->next)
        if (address >= b->address && address - b->address < b->bytes)
            own =
                g->member[member]->ops->buffer_address(b->member[member]) + (address - b->address);
    pthread_mutex_unlock(&g->lock);
    return own;
}

static remora_status buffer_read(rmr_backend *be, const rmr_buffer *b, uint64_t off, void *dst,
                                 uint64_t n, remora_error *err)
{
    rmr_backend *first = group_of(be)->member[0];
    return first->ops->buffer_read(first, group_buffer_of(b)->member[0], off, dst, n, err);
}

static remora_status buffer_write(rmr_backend *be, rmr_buffer *b, uint64_t off, const void *src,
                                  uint64_t n, remora_error *err)
{
    const group *g = group_of(be);
    for (uint32_t m = 0; m < g->n; m++)
        RMR_TRY(g->member[m]->ops->buffer_write(g->member[m], group_buffer_of(b)->member[m], off,
                                                src, n, err));
    return REMORA_OK;
}

static remora_status buffer_zero(rmr_backend *be, rmr_buffer *b, uint64_t off, uint64_t n,
                                 remora_error *err)
{
    const group *g = group_of(be);
    for (uint32_t m = 0; m < g->n; m++)
        RMR_TRY(g->member[m]->ops->buffer_zero(g->member[m], group_buffer_of(b)->member[m], off, n,
                                               err));
    return REMORA_OK;
}

static remora_status buffer_copy(rmr_backend *be, rmr_buffer *dst, uint64_t dst_off,
                                 const rmr_buffer *src, uint64_t src_off, uint64_t n,
                                 remora_error *err)
{
    const group *g = group_of(be);
    for (uint32_t m = 0; m < g->n; m++)
        RMR_TRY(g->member[m]->ops->buffer_copy(g->member[m], group_buffer_of(dst)->member[m],
                                               dst_off, group_buffer_of(src)->member[m], src_off, n,
                                               err));
    return REMORA_OK;
}

/* Every number is counted by one member, and is 0 on the others: bits of doubles, too. */
static remora_status counters_read(rmr_backend *be, rmr_buffer *b, uint64_t off, uint64_t *dst,
                                   uint32_t n, int reset, remora_error *err)
{
    enum { SOME = 64 };
    const group *g = group_of(be);
    uint64_t some[SOME];
    memset(dst, 0, n * sizeof *dst);
    for (uint32_t m = 0; m < g->n; m++)
        for (uint32_t i = 0; i < n; i += SOME) {
            const uint32_t now = n - i < SOME ? n - i : SOME;
            RMR_TRY(g->member[m]->ops->counters_read(g->member[m], group_buffer_of(b)->member[m],
                                                     off + i * sizeof *dst, some, now, reset, err));
            for (uint32_t k = 0; k < now; k++) dst[i + k] += some[k];
        }
    return REMORA_OK;
}

/* Results come from all members, so that no one's way of pinning is right for all. */
static void *host_alloc(rmr_backend *be, rmr_mem *mem, size_t size)
{
    (void)be;
    return rmr_alloc(mem, size);
}

static void host_free(rmr_backend *be, rmr_mem *mem, void *p, size_t size)
{
    (void)be;
    rmr_free(mem, p, size);
}

/* ---- making one ---- */

static const rmr_backend_ops group_ops = {
    RMR_BACKEND_HEAD,
    .free = group_free,
    .describe = describe,
    .weight_bytes = group_weight_bytes,
    .step_bytes = group_step_bytes,
    .buffer_bytes = buffer_bytes,
    .weight_create = group_weight_create,
    .weight_adopts = group_weight_adopts,
    .weight_adopt = group_weight_adopt,
    .weight_upload = group_weight_upload,
    .weight_fill = group_weight_fill,
    .weight_done = group_weight_done,
    .weight_free = group_weight_free,
    .buffer_create = buffer_create,
    .buffer_free = buffer_free,
    .buffer_address = buffer_address,
    .buffer_read = buffer_read,
    .buffer_write = buffer_write,
    .buffer_zero = buffer_zero,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .buffer_copy = buffer_copy,
    .counters_read = counters_read,
    .step_create = group_step_create,
    .step_free = group_step_free,
    .step_inputs = group_step_inputs,
    .step_want = group_step_want,
    .step_submit = group_step_submit,
    .step_wait = group_step_wait,
    .step_read = group_step_read,
    .step_write = group_step_write,
};

static remora_status make_member(group *g, uint32_t m, const char *isa, remora_error *err)
{
    const rmr_device_maker *maker = &g->opts.member[m];
    const char *own = g->opts.isa[m] != NULL ? g->opts.isa[m] : isa;
    if (maker->make != NULL) return maker->make(maker->user, g->ctx, own, &g->member[m], err);
    return rmr_cpu_create(g->ctx, own, NULL, &g->member[m], err);
}

static remora_status group_create(void *user, rmr_ctx *ctx, const char *isa, rmr_backend **out,
                                  remora_error *err)
{
    const group_opts *o = user;
    uint32_t parts = 0;
    *out = NULL;
    if (o->n == 0 || o->n > GROUP_MAX)
        RMR_FAIL(err, REMORA_E_ARG, "a group has %u members, not 1 to %d", o->n, GROUP_MAX);
    group *g = rmr_calloc(&ctx->mem, 1, sizeof *g);
    if (g == NULL) return rmr_error_nomem(err, "group", sizeof *g);
    g->base.ops = &group_ops;
    g->ctx = ctx;
    g->opts = *o;
    g->n = o->n;
    g->next_address = 1 << 20;
    pthread_mutex_init(&g->lock, NULL);
    for (uint32_t m = 0; m < g->n; m++) parts += o->part[m];
    for (uint32_t m = 0; m < g->n; m++) {
        if (parts == 0) g->opts.part[m] = 1;
        const remora_status st = make_member(g, m, isa, err);
        if (st >= 0) continue;
        group_free(&g->base);
        return st;
    }
    *out = &g->base;
    return REMORA_OK;
}

remora_status group_runtime_create(const remora_runtime_opts *opts, const group_opts *members,
                                   remora_runtime **out, remora_error *err)
{
    const rmr_device_maker maker = {group_create, (void *)(uintptr_t)members};
    return rmr_runtime_create_with(opts, &maker, 1, out, err);
}

group_stats group_get_stats(const remora_runtime *rt)
{
    group *g = group_of(rt->backends[0]);
    group_stats s = {.bytes = atomic_load(&g->bytes), .idle = atomic_load(&g->idle)};
    for (int k = 0; k < RMR_OP_COUNT; k++) s.gathers[k] = atomic_load(&g->gathers[k]);
    return s;
}

rmr_backend *group_member(const remora_runtime *rt, uint32_t i)
{
    return group_of(rt->backends[0])->member[i];
}

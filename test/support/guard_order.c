/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the guard backend: everything that may wait does, and when something has to be done,
 * it and what backend.h says comes before it are, and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "guard.h"

/* ---- what waits ---- */

static int uses(const guard_step *s, const guard_buffer *b)
{
    for (size_t i = 0; i < s->n_uses; i++)
        if (s->uses[i] == b) return 1;
    return 0;
}

static int touches(const guard_item *it, const guard_buffer *b)
{
    if (b == NULL) return 0;
    return it->step != NULL ? uses(it->step, b) : it->dst == b || it->src == b;
}

/* Does the later of two have to wait for the earlier? */
static int depends(const guard_item *later, const guard_item *earlier)
{
    if (later->step != NULL && earlier->step != NULL) return later->step == earlier->step;
    const guard_item *function = later->step == NULL ? later : earlier,
                     *other = function == later ? earlier : later;
    return touches(other, function->dst) || touches(other, function->src);
}

static void run(guard *g, const guard_item *it)
{
    if (it->step != NULL)
        guard_run_slice(g, it->step, &it->slice, &it->want);
    else if (it->src == NULL)
        (void)g->inner->ops->buffer_zero(g->inner, it->dst->inner, it->dst_off, it->n, NULL);
    else
        (void)g->inner->ops->buffer_copy(g->inner, it->dst->inner, it->dst_off, it->src->inner,
                                         it->src_off, it->n, NULL);
}

static void unlink_item(guard *g, const guard_item *it)
{
    guard_item **at = &g->waiting;
    while (*at != it) at = &(*at)->next;
    *at = it->next;
    g->stats.waiting--;
}

/* Run what waits, what it depends on before it. */
static void settle(guard *g, guard_item *it)
{
    for (guard_item *e = g->waiting; e != it;) {
        if (depends(it, e)) {
            settle(g, e);
            e = g->waiting; /* the list has changed */
        } else {
            e = e->next;
        }
    }
    unlink_item(g, it);
    run(g, it);
    free(it);
}

void guard_settle_buffer(guard *g, const guard_buffer *b, int slices_too)
{
    for (guard_item *e = g->waiting; e != NULL;) {
        if (touches(e, b) && (slices_too || e->step == NULL)) {
            settle(g, e);
            e = g->waiting;
        } else {
            e = e->next;
        }
    }
}

void guard_settle_step(guard *g, const guard_step *s, uint64_t mark)
{
    for (guard_item *e = g->waiting; e != NULL;) {
        if (e->step == s && e->mark <= mark) {
            settle(g, e);
            e = g->waiting;
        } else {
            e = e->next;
        }
    }
}

void guard_forget_step(guard *g, const guard_step *s)
{
    for (guard_item *e = g->waiting, *next; e != NULL; e = next) {
        next = e->next;
        if (e->step != s) continue;
        unlink_item(g, e);
        free(e);
    }
}

remora_status guard_put(guard *g, const guard_item *item, remora_error *err)
{
    guard_item **at = &g->waiting, *it = malloc(sizeof *it);
    if (it == NULL) return rmr_error_nomem(err, "guard queue", sizeof *it);
    *it = *item;
    it->next = NULL;
    while (*at != NULL) at = &(*at)->next;
    *at = it;
    g->stats.waiting++;
    return REMORA_OK;
}

/* ---- buffers ---- */

rmr_bytes guard_buffer_bytes(rmr_backend *be, uint64_t bytes)
{
    rmr_backend *inner = guard_of(be)->inner;
    rmr_bytes all = inner->ops->buffer_bytes(inner, bytes);
    all.host += sizeof(guard_buffer);
    return all;
}

remora_status guard_buffer_create(rmr_backend *be, uint64_t bytes, rmr_buffer **out,
                                  remora_error *err)
{
    guard *g = guard_of(be);
    *out = NULL;
    RMR_TRY(guard_begin(g, err));
    guard_buffer *b = calloc(1, sizeof *b);
    remora_status st = b != NULL ? g->inner->ops->buffer_create(g->inner, bytes, &b->inner, err)
                                 : rmr_error_nomem(err, "guard buffer", sizeof *b);
    if (st >= 0) {
        b->address = g->inner->ops->buffer_address(b->inner);
        b->bytes = bytes;
        b->next = g->buffers;
        g->buffers = b;
        *out = (rmr_buffer *)b;
    } else {
        free(b);
    }
    guard_leave(g);
    return st;
}

void guard_buffer_free(rmr_backend *be, rmr_buffer *buffer)
{
    guard *g = guard_of(be);
    guard_buffer *b = (guard_buffer *)buffer, **at = &g->buffers;
    if (b == NULL) return;
    guard_enter(g);
    for (const guard_item *e = g->waiting; e != NULL; e = e->next)
        if (e->step != NULL && touches(e, b))
            guard_violation(g, "a buffer is freed that a slice waits to use");
    guard_settle_buffer(g, b, 0); /* copies out of it */
    while (*at != b) at = &(*at)->next;
    *at = b->next;
    g->inner->ops->buffer_free(g->inner, b->inner);
    free(b);
    guard_leave(g);
}

uint64_t guard_buffer_address(const rmr_buffer *b)
{
    return ((const guard_buffer *)b)->address;
}

remora_status guard_buffer_read(rmr_backend *be, const rmr_buffer *buffer, uint64_t off, void *dst,
                                uint64_t n, remora_error *err)
{
    guard *g = guard_of(be);
    const guard_buffer *b = (const guard_buffer *)buffer;
    RMR_TRY(guard_begin(g, err));
    guard_settle_buffer(g, b, 1);
    const remora_status st = g->inner->ops->buffer_read(g->inner, b->inner, off, dst, n, err);
    guard_leave(g);
    return st;
}

remora_status guard_buffer_write(rmr_backend *be, rmr_buffer *buffer, uint64_t off, const void *src,
                                 uint64_t n, remora_error *err)
{
    guard *g = guard_of(be);
    const guard_buffer *b = (const guard_buffer *)buffer;
    RMR_TRY(guard_begin(g, err));
    guard_settle_buffer(g, b, 1);
    const remora_status st = g->inner->ops->buffer_write(g->inner, b->inner, off, src, n, err);
    guard_leave(g);
    return st;
}

static int in_range(const guard_buffer *b, uint64_t off, uint64_t n)
{
    return off <= b->bytes && n <= b->bytes - off;
}

remora_status guard_buffer_zero(rmr_backend *be, rmr_buffer *b, uint64_t off, uint64_t n,
                                remora_error *err)
{
    guard *g = guard_of(be);
    const guard_item it = {.dst = (guard_buffer *)b, .dst_off = off, .n = n};
    if (!in_range(it.dst, off, n))
        RMR_FAIL(err, REMORA_E_INTERNAL, "zeros are out of the range of their buffer");
    RMR_TRY(guard_begin(g, err));
    const remora_status st = guard_put(g, &it, err);
    guard_leave(g);
    return st;
}

remora_status guard_buffer_copy(rmr_backend *be, rmr_buffer *dst, uint64_t dst_off,
                                const rmr_buffer *src, uint64_t src_off, uint64_t n,
                                remora_error *err)
{
    guard *g = guard_of(be);
    const guard_item it = {.dst = (guard_buffer *)dst,
                           .src = (guard_buffer *)(uintptr_t)src,
                           .dst_off = dst_off,
                           .src_off = src_off,
                           .n = n};
    if (!in_range(it.dst, dst_off, n) || !in_range(it.src, src_off, n))
        RMR_FAIL(err, REMORA_E_INTERNAL, "a copy is out of the range of its buffers");
    RMR_TRY(guard_begin(g, err));
    const remora_status st = guard_put(g, &it, err);
    guard_leave(g);
    return st;
}

remora_status guard_counters_read(rmr_backend *be, rmr_buffer *buffer, uint64_t off, uint64_t *dst,
                                  uint32_t n, int reset, remora_error *err)
{
    guard *g = guard_of(be);
    const guard_buffer *b = (const guard_buffer *)buffer;
    RMR_TRY(guard_begin(g, err));
    guard_settle_buffer(g, b, 0);
    const remora_status st =
        g->inner->ops->counters_read(g->inner, b->inner, off, dst, n, reset, err);
    guard_leave(g);
    return st;
}

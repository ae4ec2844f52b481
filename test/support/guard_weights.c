/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of the guard backend: kept as they come, and packed into a layout of their own when they
 * are done. */
#include <stdlib.h>
#include <string.h>

#include "guard.h"

enum { RED = 4 * RMR_ALIGN, RED_BYTE = 0xFF };

/* The matrices lie in reverse order, each with a red zone before it, and one is at the end. */
static size_t step_of(const guard_weight *w)
{
    return (size_t)rmr_round_up(w->layout.stride, RMR_ALIGN) + RED;
}

static size_t block_bytes(const guard_weight *w)
{
    return w->desc.count * step_of(w) + RED;
}

static unsigned char *matrix(const guard_weight *w, uint32_t index)
{
    return w->block + (w->desc.count - 1 - index) * step_of(w) + RED;
}

static uint64_t row_bytes(const guard_weight *w)
{
    return rmr_row_bytes(w->desc.elem, w->desc.cols);
}

static int lay_out(const rmr_weight_desc *d, guard_weight *w)
{
    *w = (guard_weight){.desc = *d};
    return rmr_lay_out(d->use, d->elem, d->count, d->rows, d->cols, &w->layout);
}

rmr_bytes guard_weight_bytes(rmr_backend *be, const rmr_weight_desc *d, int adopted)
{
    const guard *g = guard_of(be);
    guard_weight w;
    rmr_bytes bytes = g->inner->ops->weight_bytes(g->inner, d, 1);
    if (!lay_out(d, &w)) return rmr_bytes_host(UINT64_MAX);
    bytes.host += sizeof w;
    if (!adopted) bytes.device = block_bytes(&w);
    return bytes;
}

/* A weight without content; the inner backend only has a table of where its matrices lie. */
static remora_status make(guard *g, const rmr_weight_desc *d, guard_weight **out, remora_error *err)
{
    guard_weight *w = malloc(sizeof *w);
    if (w == NULL) return rmr_error_nomem(err, "guard weight", sizeof *w);
    remora_status st = REMORA_OK;
    if (!lay_out(d, w)) st = rmr_error_set(err, REMORA_E_FORMAT, 0, "the size overflows");
    if (st >= 0) st = g->inner->ops->weight_adopt(g->inner, d, NULL, &w->inner, err);
    if (st < 0) {
        free(w);
        return st;
    }
    w->next = g->weights;
    g->weights = w;
    *out = w;
    return REMORA_OK;
}

static void end(guard *g, guard_weight *w)
{
    guard_weight **at = &g->weights;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    g->inner->ops->weight_free(g->inner, w->inner);
    rmr_free(&g->mem, w->block, block_bytes(w));
    free(w->came);
    free(w);
}

remora_status guard_weight_create(rmr_backend *be, const rmr_weight_desc *d, rmr_weight **out,
                                  remora_error *err)
{
    guard *g = guard_of(be);
    guard_weight *w = NULL;
    *out = NULL;
    RMR_TRY(guard_begin(g, err));
    remora_status st = make(g, d, &w, err);
    if (st >= 0) {
        w->block = rmr_alloc(&g->mem, block_bytes(w));
        if (w->block == NULL) {
            st = rmr_error_nomem(err, "weights", block_bytes(w));
            end(g, w);
        } else {
            *out = (rmr_weight *)w;
        }
    }
    guard_leave(g);
    return st;
}

/* Memory of the host is on the other side of the bus. */
int guard_weight_adopts(rmr_backend *be, const rmr_weight_desc *d, const void *data)
{
    (void)be, (void)d, (void)data;
    return 0;
}

remora_status guard_weight_adopt(rmr_backend *be, const rmr_weight_desc *d, const void *data,
                                 rmr_weight **out, remora_error *err)
{
    guard *g = guard_of(be);
    guard_weight *w = NULL;
    *out = NULL;
    RMR_TRY(guard_begin(g, err));
    if (data != NULL) guard_violation(g, "memory of the host is adopted");
    const remora_status st = make(g, d, &w, err);
    if (st >= 0) {
        w->empty = 1;
        *out = (rmr_weight *)w;
    }
    guard_leave(g);
    return st;
}

/* Room for what comes; a weight is filled in one way. */
static remora_status receive(guard *g, guard_weight *w, guard_way way, uint64_t bytes,
                             remora_error *err)
{
    if (w->done || w->empty || (w->way != GUARD_NOTHING && w->way != way)) {
        guard_violation(g, "a weight is filled when it must not be");
        RMR_FAIL(err, REMORA_E_INTERNAL, "a weight is filled when it must not be");
    }
    w->way = way;
    if (w->came == NULL) w->came = malloc((size_t)bytes);
    return w->came != NULL ? REMORA_OK : rmr_error_nomem(err, "guard weight", bytes);
}

static remora_status upload(guard *g, guard_weight *w, uint32_t index, uint32_t row0, uint32_t n,
                            const void *rows, remora_error *err)
{
    const rmr_weight_desc *d = &w->desc;
    const uint64_t bytes = row_bytes(w);
    if (index >= d->count || row0 > d->rows || n > d->rows - row0 || row0 % RMR_ROW_GRANULE != 0)
        RMR_FAIL(err, REMORA_E_INTERNAL, "rows are out of the range of their weight");
    RMR_TRY(receive(g, w, GUARD_ROWS, bytes * d->count * d->rows, err));
    memcpy(w->came + ((uint64_t)index * d->rows + row0) * bytes, rows, (size_t)(n * bytes));
    w->n_came += n;
    return REMORA_OK;
}

remora_status guard_weight_upload(rmr_backend *be, rmr_weight *w, uint32_t index, uint32_t row0,
                                  uint32_t n, const void *rows, remora_error *err)
{
    guard *g = guard_of(be);
    RMR_TRY(guard_begin(g, err));
    const remora_status st = upload(g, (guard_weight *)w, index, row0, n, rows, err);
    guard_leave(g);
    return st;
}

static remora_status fill(guard *g, guard_weight *w, uint64_t offset, uint64_t n, const void *bytes,
                          remora_error *err)
{
    if (offset > w->layout.bytes || n > w->layout.bytes - offset)
        RMR_FAIL(err, REMORA_E_INTERNAL, "bytes are out of the range of their weight");
    RMR_TRY(receive(g, w, GUARD_BYTES, w->layout.bytes, err));
    memcpy(w->came + offset, bytes, (size_t)n);
    w->n_came += n;
    return REMORA_OK;
}

remora_status guard_weight_fill(rmr_backend *be, rmr_weight *w, uint64_t offset, uint64_t n,
                                const void *bytes, remora_error *err)
{
    guard *g = guard_of(be);
    RMR_TRY(guard_begin(g, err));
    const remora_status st = fill(g, (guard_weight *)w, offset, n, bytes, err);
    guard_leave(g);
    return st;
}

static void pack_rows(const guard_weight *w, uint32_t index)
{
    const rmr_weight_desc *d = &w->desc;
    const uint64_t bytes = row_bytes(w);
    const unsigned char *const rows = w->came + (uint64_t)index * d->rows * bytes;
    unsigned char *const to = matrix(w, index);
    if (d->use == RMR_USE_VECTOR)
        rmr_row_decode(d->elem, (float *)(void *)to, rows, d->cols);
    else if (d->use == RMR_USE_TABLE)
        memcpy(to, rows, (size_t)(d->rows * bytes));
    else
        for (uint32_t r = 0; r < d->rows; r += RMR_TILE)
            rmr_tile_pack(d->elem, to + r / RMR_TILE * w->layout.tile, rows + r * bytes,
                          d->rows - r < RMR_TILE ? d->rows - r : RMR_TILE, d->cols);
}

static void pack(guard_weight *w)
{
    memset(w->block, RED_BYTE, block_bytes(w));
    for (uint32_t i = 0; i < w->desc.count; i++) {
        if (w->way == GUARD_ROWS)
            pack_rows(w, i);
        else
            memcpy(matrix(w, i), w->came + i * w->layout.stride, (size_t)w->layout.stride);
        w->inner->at[i] = matrix(w, i);
    }
}

remora_status guard_weight_done(rmr_backend *be, rmr_weight *weight, remora_error *err)
{
    guard *g = guard_of(be);
    guard_weight *w = (guard_weight *)weight;
    const uint64_t whole =
        w->way == GUARD_BYTES ? w->layout.bytes : (uint64_t)w->desc.count * w->desc.rows;
    remora_status st = REMORA_OK;
    RMR_TRY(guard_begin(g, err));
    if (w->done || w->way == GUARD_NOTHING || w->n_came != whole) {
        guard_violation(g, "a weight is done twice, or before all of it came");
        st = rmr_error_set(err, REMORA_E_INTERNAL, 0, "a weight is done that is not");
    } else {
        pack(w);
        free(w->came);
        w->came = NULL;
        w->done = 1;
    }
    guard_leave(g);
    return st;
}

static int is_red(const unsigned char *at, size_t n)
{
    while (n > 0 && *at == RED_BYTE) at++, n--;
    return n == 0;
}

static int is_hurt(const guard_weight *w)
{
    if (!w->done) return 0;
    const size_t used = (size_t)w->layout.stride;
    for (uint32_t i = 0; i < w->desc.count; i++)
        if (!is_red(matrix(w, i) - RED, RED) || !is_red(matrix(w, i) + used, step_of(w) - used))
            return 1;
    return 0;
}

unsigned guard_red_zones_hurt(const guard *g)
{
    unsigned n = 0;
    for (const guard_weight *w = g->weights; w != NULL; w = w->next) n += is_hurt(w) != 0;
    return n;
}

void guard_weight_free(rmr_backend *be, rmr_weight *w)
{
    guard *g = guard_of(be);
    if (w == NULL) return;
    guard_enter(g);
    if (is_hurt((guard_weight *)w)) guard_violation(g, "something was written beside a weight");
    end(g, (guard_weight *)w);
    guard_leave(g);
}

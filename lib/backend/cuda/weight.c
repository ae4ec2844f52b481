/* SPDX-License-Identifier: Apache-2.0 */
/* Weights: the layout of packs (layout.h) in device memory, copied through pinned memory. BF16,
 * F16 and F8 get the device's order when they are complete (device/layout.cuh). */
#include "cuda.h"

#include <string.h>

static int lay_out(const rmr_weight_desc *d, rmr_layout *l)
{
    return rmr_lay_out(d->use, d->elem, d->count, d->rows, d->cols, l);
}

rmr_bytes rmr_cuda_weight_bytes(rmr_backend *be, const rmr_weight_desc *d, int adopted)
{
    rmr_layout l;
    (void)be;
    if (!lay_out(d, &l)) return (rmr_bytes){sizeof(rmr_weight), UINT64_MAX};
    return (rmr_bytes){sizeof(rmr_weight), adopted ? 0 : l.bytes};
}

remora_status rmr_cuda_weight_create(rmr_backend *be, const rmr_weight_desc *d, rmr_weight **out,
                                     remora_error *err)
{
    rmr_cuda *c = (rmr_cuda *)be;
    *out = NULL;
    rmr_weight *w = rmr_calloc(&c->ctx->mem, 1, sizeof *w);
    if (w == NULL) return rmr_error_nomem(err, "weight", sizeof *w);
    w->desc = *d;
    remora_status s = REMORA_OK;
    if (!lay_out(d, &w->layout))
        s = rmr_error_set(err, REMORA_E_FORMAT, 0, "the size of a weight overflows");
    if (s >= 0) s = rmr_cuda_enter(c, err);
    if (s >= 0) {
        s = rmr_cuda_check(c, c->d.memory_alloc(&w->at, w->layout.bytes > 0 ? w->layout.bytes : 1),
                           "weight", err);
        rmr_cuda_leave(c);
    }
    if (s < 0) {
        rmr_free(&c->ctx->mem, w, sizeof *w);
        return s;
    }
    *out = w;
    return REMORA_OK;
}

/* Device memory is another memory. */
int rmr_cuda_weight_adopts(rmr_backend *be, const rmr_weight_desc *d, const void *data)
{
    (void)be;
    (void)d;
    (void)data;
    return 0;
}

remora_status rmr_cuda_weight_adopt(rmr_backend *be, const rmr_weight_desc *d, const void *data,
                                    rmr_weight **out, remora_error *err)
{
    rmr_cuda *c = (rmr_cuda *)be;
    *out = NULL;
    if (data != NULL)
        RMR_FAIL(err, REMORA_E_INTERNAL, "memory of the host cannot be adopted by a GPU");
    rmr_weight *w = rmr_calloc(&c->ctx->mem, 1, sizeof *w);
    if (w == NULL) return rmr_error_nomem(err, "weight", sizeof *w);
    w->desc = *d;
    if (!lay_out(d, &w->layout)) {
        rmr_free(&c->ctx->mem, w, sizeof *w);
        RMR_FAIL(err, REMORA_E_FORMAT, "the size of a weight overflows");
    }
    *out = w;
    return REMORA_OK;
}

void rmr_cuda_weight_free(rmr_backend *be, rmr_weight *w)
{
    rmr_cuda *c = (rmr_cuda *)be;
    if (w == NULL) return;
    if (w->at != 0 && rmr_cuda_enter(c, NULL) >= 0) {
        (void)c->d.memory_free(w->at);
        rmr_cuda_leave(c);
    }
    rmr_free(&c->ctx->mem, w, sizeof *w);
}

/* ---- stages ---- */

static rmr_cuda_stage *free_stage(rmr_cuda *c)
{
    for (int i = 0; i < RMR_CUDA_STAGES; i++)
        if (!c->stage[i].taken) return &c->stage[i];
    return NULL;
}

/* Its memory, at its first use. */
static remora_status make_stage(rmr_cuda *c, rmr_cuda_stage *s, remora_error *err)
{
    void *at = NULL;
    if (s->done == NULL)
        RMR_TRY(rmr_cuda_check(c, c->d.event_create(&s->done, RMR_CU_EVENT_DISABLE_TIMING),
                               "making an event", err));
    RMR_TRY(rmr_cuda_check(c, c->d.host_alloc(&at, RMR_CUDA_STAGING, 0), "pinned memory", err));
    s->at = at;
    return REMORA_OK;
}

remora_status rmr_cuda_stage_take(rmr_cuda *c, rmr_cuda_stage **out, remora_error *err)
{
    rmr_cuda_stage *s;
    pthread_mutex_lock(&c->upload);
    while ((s = free_stage(c)) == NULL) pthread_cond_wait(&c->stage_free, &c->upload);
    s->taken = 1;
    pthread_mutex_unlock(&c->upload);
    const remora_status st = s->at == NULL ? make_stage(c, s, err) : rmr_cuda_wait(c, s->done, err);
    if (st < 0) rmr_cuda_stage_give(c, s);
    *out = s;
    return st;
}

void rmr_cuda_stage_give(rmr_cuda *c, rmr_cuda_stage *s)
{
    pthread_mutex_lock(&c->upload);
    s->taken = 0;
    pthread_cond_signal(&c->stage_free);
    pthread_mutex_unlock(&c->upload);
}

/* n bytes, at most RMR_CUDA_STAGING, that fill() writes to a stage, to an address. */
typedef void fill_fn(void *arg, unsigned char *to, uint64_t at, uint64_t n);

static remora_status send(rmr_cuda *c, rmr_cu_address to, uint64_t at, uint64_t n, fill_fn *fill,
                          void *arg, remora_error *err)
{
    rmr_cuda_stage *stage;
    RMR_TRY(rmr_cuda_stage_take(c, &stage, err));
    fill(arg, stage->at, at, n);
    remora_status s =
        rmr_cuda_check(c, c->d.copy_in(to, stage->at, n, c->stream), "copying a weight", err);
    if (s >= 0) s = rmr_cuda_check(c, c->d.event_record(stage->done, c->stream), "event", err);
    if (s >= 0) s = rmr_cuda_changed(c, err);
    rmr_cuda_stage_give(c, stage);
    return s;
}

static void copy_bytes(void *arg, unsigned char *to, uint64_t at, uint64_t n)
{
    memcpy(to, (const unsigned char *)arg + at, (size_t)n);
}

static remora_status send_bytes(rmr_cuda *c, rmr_cu_address to, const void *bytes, uint64_t n,
                                remora_error *err)
{
    void *const from = (void *)(uintptr_t)bytes; /* only read */
    for (uint64_t at = 0; at < n; at += RMR_CUDA_STAGING)
        RMR_TRY(send(c, to + at, at, n - at < RMR_CUDA_STAGING ? n - at : RMR_CUDA_STAGING,
                     copy_bytes, from, err));
    return REMORA_OK;
}

remora_status rmr_cuda_weight_fill(rmr_backend *be, rmr_weight *w, uint64_t offset, uint64_t n,
                                   const void *bytes, remora_error *err)
{
    rmr_cuda *c = (rmr_cuda *)be;
    if (offset > w->layout.bytes || n > w->layout.bytes - offset || w->at == 0 || w->finished)
        RMR_FAIL(err, REMORA_E_INTERNAL, "bytes are out of the range of their weight");
    RMR_TRY(rmr_cuda_enter(c, err));
    const remora_status s = send_bytes(c, w->at + offset, bytes, n, err);
    rmr_cuda_leave(c);
    return s;
}

typedef struct tiles {
    const rmr_weight *w;
    const unsigned char *rows;
    uint32_t n;
} tiles;

/* Tiles [at / tile, (at + n) / tile) of the rows. */
static void pack_tiles(void *arg, unsigned char *to, uint64_t at, uint64_t n)
{
    const tiles *const j = arg;
    const rmr_weight_desc *d = &j->w->desc;
    const uint64_t tile = j->w->layout.tile, row = rmr_row_bytes(d->elem, d->cols);
    for (uint64_t t = at / tile; t < (at + n) / tile; t++, to += tile) {
        const uint32_t r = (uint32_t)t * RMR_TILE, left = j->n - r;
        rmr_tile_pack(d->elem, to, j->rows + r * row, left < RMR_TILE ? left : RMR_TILE, d->cols);
    }
}

static remora_status send_tiles(rmr_cuda *c, rmr_weight *w, rmr_cu_address to, uint32_t n,
                                const void *rows, remora_error *err)
{
    tiles j = {w, rows, n};
    const uint64_t tile = w->layout.tile, all = (n + RMR_TILE - 1) / RMR_TILE * tile;
    const uint64_t most = RMR_CUDA_STAGING / tile * tile;
    if (most == 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "rows of %u columns are too long", w->desc.cols);
    for (uint64_t at = 0; at < all; at += most)
        RMR_TRY(send(c, to + at, at, all - at < most ? all - at : most, pack_tiles, &j, err));
    return REMORA_OK;
}

static void decode_vector(void *arg, unsigned char *to, uint64_t at, uint64_t n)
{
    const tiles *const j = arg;
    (void)at;
    (void)n;
    rmr_row_decode(j->w->desc.elem, (float *)(void *)to, j->rows, j->w->desc.cols);
}

static remora_status upload(rmr_cuda *c, rmr_weight *w, uint32_t index, uint32_t row0, uint32_t n,
                            const void *rows, remora_error *err)
{
    const rmr_weight_desc *d = &w->desc;
    const uint64_t row = rmr_row_bytes(d->elem, d->cols);
    rmr_cu_address to = w->at + index * w->layout.stride;
    tiles j = {w, rows, n};
    if (d->use == RMR_USE_VECTOR)
        return send(c, to, 0, (uint64_t)d->cols * 4, decode_vector, &j, err);
    if (d->use == RMR_USE_TABLE) return send_bytes(c, to + row0 * row, rows, n * row, err);
    return send_tiles(c, w, to + row0 / RMR_TILE * w->layout.tile, n, rows, err);
}

remora_status rmr_cuda_weight_upload(rmr_backend *be, rmr_weight *w, uint32_t index, uint32_t row0,
                                     uint32_t n, const void *rows, remora_error *err)
{
    rmr_cuda *c = (rmr_cuda *)be;
    const rmr_weight_desc *d = &w->desc;
    if (index >= d->count || row0 > d->rows || n > d->rows - row0 || row0 % RMR_ROW_GRANULE != 0 ||
        w->at == 0 || w->finished)
        RMR_FAIL(err, REMORA_E_INTERNAL, "rows are out of the range of their weight");
    RMR_TRY(rmr_cuda_enter(c, err));
    const remora_status s = upload(c, w, index, row0, n, rows, err);
    rmr_cuda_leave(c);
    return s;
}

/* Give the tiles the device's order. */
static remora_status reorder(rmr_cuda *c, rmr_weight *w, remora_error *err)
{
    const rmr_weight_desc *d = &w->desc;
    rmr_gpu_finish a = {
        (uint8_t *)(uintptr_t)w->at,         w->layout.stride, w->layout.tile, d->count,
        (d->rows + RMR_TILE - 1) / RMR_TILE, d->cols,          d->elem};
    const uint32_t grid[3] = {(uint32_t)c->sms * 4, 1, 1};
    RMR_TRY(rmr_cuda_launch(c, c->stream, RMR_K_finish, grid, 256, 0, &a, err));
    return rmr_cuda_changed(c, err);
}

remora_status rmr_cuda_weight_done(rmr_backend *be, rmr_weight *w, remora_error *err)
{
    rmr_cuda *c = (rmr_cuda *)be;
    const rmr_weight_desc *d = &w->desc;
    if (w->finished || w->at == 0) return REMORA_OK;
    w->finished = 1;
    if (d->use != RMR_USE_MATRIX || d->elem == RMR_ELEM_F32 || d->elem > RMR_ELEM_F8)
        return REMORA_OK;
    RMR_TRY(rmr_cuda_enter(c, err));
    const remora_status s = reorder(c, w, err);
    rmr_cuda_leave(c);
    return s;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in compute layout (kernels.h): tiles of 16 rows, K running. Tables stay row-major and may
 * be used where they lie; vectors become f32. Every representation here is exact, so logits do not
 * depend on it. */
#include "cpu.h"

#include <string.h>

#include "fpenv.h"

/* The size of the struct with its table of matrices. */
static size_t struct_bytes(const rmr_weight_desc *d)
{
    return sizeof(rmr_weight) + (size_t)d->count * sizeof(unsigned char *);
}

/* A weight whose matrices lie nowhere yet. */
static remora_status make(rmr_cpu *c, const rmr_weight_desc *d, rmr_weight **out, remora_error *err)
{
    rmr_layout l;
    *out = NULL;
    if (!rmr_lay_out(d->use, d->elem, d->count, d->rows, d->cols, &l))
        RMR_FAIL(err, REMORA_E_FORMAT, "the size of a weight overflows");
    rmr_weight *w = rmr_calloc(&c->ctx->mem, 1, struct_bytes(d));
    if (w == NULL) return rmr_error_nomem(err, "weight", struct_bytes(d));
    w->desc = *d;
    w->tile_stride = l.tile;
    w->stride = l.stride;
    w->bytes = l.bytes;
    *out = w;
    return REMORA_OK;
}

/* The matrices lie one after another. */
static void place(rmr_weight *w, const unsigned char *data)
{
    for (uint32_t i = 0; i < w->desc.count; i++) w->at[i] = data + i * w->stride;
}

rmr_bytes rmr_cpu_weight_bytes(rmr_backend *be, const rmr_weight_desc *d, int adopted)
{
    rmr_layout l;
    if (!rmr_lay_out(d->use, d->elem, d->count, d->rows, d->cols, &l))
        return rmr_bytes_host(UINT64_MAX);
    return rmr_cpu_bytes((rmr_cpu *)be, struct_bytes(d), adopted ? 0 : l.bytes);
}

remora_status rmr_cpu_weight_create(rmr_backend *be, const rmr_weight_desc *d, rmr_weight **out,
                                    remora_error *err)
{
    rmr_cpu *c = (rmr_cpu *)be;
    rmr_weight *w;
    RMR_TRY(make(c, d, out, err));
    w = *out;
    w->data = rmr_alloc(c->mem, (size_t)w->bytes);
    if (w->data != NULL) {
        place(w, w->data);
        return REMORA_OK;
    }
    const uint64_t bytes = w->bytes;
    rmr_cpu_weight_free(be, w);
    *out = NULL;
    return rmr_error_nomem(err, "weights", bytes);
}

/* Rows of blocks are looked up byte by byte, plain ones by their values. */
int rmr_cpu_weight_adopts(rmr_backend *be, const rmr_weight_desc *d, const void *data)
{
    const uintptr_t at = (uintptr_t)data;
    (void)be;
    if (d->use == RMR_USE_TABLE)
        return d->elem >= RMR_ELEM_PLAIN || at % rmr_elem_size(d->elem) == 0;
    return at % RMR_ALIGN == 0 && (d->use != RMR_USE_VECTOR || d->elem == RMR_ELEM_F32);
}

remora_status rmr_cpu_weight_adopt(rmr_backend *be, const rmr_weight_desc *d, const void *data,
                                   rmr_weight **out, remora_error *err)
{
    *out = NULL;
    if (data != NULL && !rmr_cpu_weight_adopts(be, d, data))
        RMR_FAIL(err, REMORA_E_INTERNAL, "a weight lies where the CPU cannot use it");
    RMR_TRY(make((rmr_cpu *)be, d, out, err));
    if (data != NULL) place(*out, data);
    return REMORA_OK;
}

/* Rows were put into their tiles as they came. */
remora_status rmr_cpu_weight_done(rmr_backend *be, rmr_weight *w, remora_error *err)
{
    (void)be, (void)w, (void)err;
    return REMORA_OK;
}

void rmr_cpu_weight_free(rmr_backend *be, rmr_weight *w)
{
    rmr_cpu *c = (rmr_cpu *)be;
    if (w == NULL) return;
    if (w->data != NULL) rmr_free(c->mem, w->data, (size_t)w->bytes);
    rmr_free(&c->ctx->mem, w, struct_bytes(&w->desc));
}

remora_status rmr_cpu_weight_fill(rmr_backend *be, rmr_weight *w, uint64_t offset, uint64_t n,
                                  const void *bytes, remora_error *err)
{
    (void)be;
    if (offset > w->bytes || n > w->bytes - offset || w->data == NULL)
        RMR_FAIL(err, REMORA_E_INTERNAL, "bytes are out of the range of their weight");
    memcpy(w->data + offset, bytes, (size_t)n);
    return REMORA_OK;
}

static void put_rows(rmr_weight *w, uint32_t index, uint32_t row0, uint32_t n, const void *rows)
{
    const rmr_weight_desc *d = &w->desc;
    const size_t row_bytes = (size_t)rmr_row_bytes(d->elem, d->cols);
    const unsigned char *src = rows;
    if (d->use == RMR_USE_VECTOR) {
        rmr_row_decode(d->elem, (float *)(void *)w->data, rows, d->cols);
    } else if (d->use == RMR_USE_TABLE) {
        memcpy(w->data + index * w->stride + row0 * row_bytes, rows, n * row_bytes);
    } else {
        for (uint32_t r = 0; r < n; r += RMR_TILE) {
            unsigned char *tile =
                w->data + index * w->stride + (row0 + r) / RMR_TILE * w->tile_stride;
            rmr_tile_pack(d->elem, tile, src + r * row_bytes, n - r < RMR_TILE ? n - r : RMR_TILE,
                          d->cols);
        }
    }
}

remora_status rmr_cpu_weight_upload(rmr_backend *be, rmr_weight *w, uint32_t index, uint32_t row0,
                                    uint32_t n, const void *rows, remora_error *err)
{
    const rmr_weight_desc *d = &w->desc;
    (void)be;
    if (index >= d->count || row0 > d->rows || n > d->rows - row0 || row0 % RMR_ROW_GRANULE != 0 ||
        w->data == NULL)
        RMR_FAIL(err, REMORA_E_INTERNAL, "rows are out of the range of their weight");
    const rmr_fpenv own = rmr_fpenv_enter();
    put_rows(w, index, row0, n, rows);
    rmr_fpenv_leave(own);
    return REMORA_OK;
}

/* Weights in compute layout (kernels.h): tiles of 16 rows, K running. Tables stay row-major and may
 * be used where they lie; vectors become f32. Every representation here is exact, so logits do not
 * depend on it. */
#include "cpu.h"

#include <string.h>

/* Fill the layout fields of a weight; 0 when a size overflows. */
static int lay_out(const rmr_weight_desc *d, rmr_weight *w)
{
    rmr_layout l;
    memset(w, 0, sizeof *w);
    w->desc = *d;
    if (!rmr_lay_out(d->use, d->elem, d->count, d->rows, d->cols, &l)) return 0;
    w->tile_stride = l.tile;
    w->stride = l.stride;
    w->bytes = l.bytes;
    return 1;
}

rmr_bytes rmr_cpu_weight_bytes(rmr_backend *be, const rmr_weight_desc *d, int adopted)
{
    rmr_weight w;
    (void)be;
    if (!lay_out(d, &w)) return rmr_bytes_host(UINT64_MAX);
    return rmr_bytes_host(sizeof w + (adopted ? 0 : w.bytes));
}

remora_status rmr_cpu_weight_create(rmr_backend *be, const rmr_weight_desc *d, rmr_weight **out,
                                    remora_error *err)
{
    rmr_cpu *c = (rmr_cpu *)be;
    rmr_weight *w = rmr_alloc(&c->ctx->mem, sizeof *w);
    *out = NULL;
    if (w == NULL) return rmr_error_nomem(err, "weight", sizeof *w);
    w->data = lay_out(d, w) ? rmr_alloc(c->mem, (size_t)w->bytes) : NULL;
    w->const_data = w->data;
    if (w->data == NULL) {
        const uint64_t bytes = w->bytes;
        rmr_free(&c->ctx->mem, w, sizeof *w);
        return rmr_error_nomem(err, "weights", bytes);
    }
    *out = w;
    return REMORA_OK;
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
    rmr_cpu *c = (rmr_cpu *)be;
    *out = NULL;
    if (data != NULL && !rmr_cpu_weight_adopts(be, d, data))
        RMR_FAIL(err, REMORA_E_INTERNAL, "a weight lies where the CPU cannot use it");
    rmr_weight *w = rmr_alloc(&c->ctx->mem, sizeof *w);
    if (w == NULL) return rmr_error_nomem(err, "weight", sizeof *w);
    if (!lay_out(d, w)) {
        rmr_free(&c->ctx->mem, w, sizeof *w);
        RMR_FAIL(err, REMORA_E_FORMAT, "the size of a weight overflows");
    }
    w->const_data = data;
    *out = w;
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
    rmr_free(&c->ctx->mem, w, sizeof *w);
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

remora_status rmr_cpu_weight_upload(rmr_backend *be, rmr_weight *w, uint32_t index, uint32_t row0,
                                    uint32_t n, const void *rows, remora_error *err)
{
    const rmr_weight_desc *d = &w->desc;
    const size_t row_bytes = (size_t)rmr_row_bytes(d->elem, d->cols);
    const unsigned char *src = rows;
    (void)be;
    if (index >= d->count || row0 > d->rows || n > d->rows - row0 || row0 % RMR_ROW_GRANULE != 0 ||
        w->data == NULL)
        RMR_FAIL(err, REMORA_E_INTERNAL, "rows are out of the range of their weight");
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
    return REMORA_OK;
}

/* Weights in compute layout (kernels.h): tiles of 16 rows, K running. Tables stay row-major and may
 * be used where they lie; vectors become f32. Every representation here is exact, so logits do not
 * depend on it. */
#include "cpu.h"

#include <string.h>

#include "half.h"

static const rmr_wtype wtype_of[RMR_ELEM_COUNT] = {
    [RMR_ELEM_BF16] = RMR_W_BF16, [RMR_ELEM_F16] = RMR_W_F16, [RMR_ELEM_F32] = RMR_W_F32};

/* Fill the layout fields of a weight; 0 when a size overflows. */
static int lay_out(const rmr_weight_desc *d, rmr_weight *w)
{
    memset(w, 0, sizeof *w);
    w->desc = *d;
    w->type = wtype_of[d->elem];
    if (d->use == RMR_USE_MATRIX) {
        w->tile_stride = rmr_tile_bytes(w->type, d->cols);
        if (!rmr_mul_ok(w->tile_stride, ((uint64_t)d->rows + RMR_TILE - 1) / RMR_TILE, &w->stride))
            return 0;
    } else {
        const uint32_t size = d->use == RMR_USE_VECTOR ? 4 : rmr_elem_size(d->elem);
        if (!rmr_mul_ok((uint64_t)d->rows * d->cols, size, &w->stride)) return 0;
    }
    return rmr_mul_ok(w->stride, d->count, &w->bytes) && w->bytes <= PTRDIFF_MAX;
}

uint64_t rmr_cpu_weight_bytes(rmr_backend *be, const rmr_weight_desc *d)
{
    rmr_weight w;
    (void)be;
    return lay_out(d, &w) ? w.bytes + sizeof w : UINT64_MAX;
}

remora_status rmr_cpu_weight_create(rmr_backend *be, const rmr_weight_desc *d, rmr_weight **out,
                                    remora_error *err)
{
    rmr_cpu *c = (rmr_cpu *)be;
    rmr_weight *w = rmr_alloc(&c->ctx->mem, sizeof *w);
    *out = NULL;
    if (w == NULL) return rmr_error_nomem(err, "weight", sizeof *w);
    w->data = lay_out(d, w) ? rmr_alloc(c->mem, (size_t)w->bytes) : NULL;
    if (w->data == NULL) {
        const uint64_t bytes = w->bytes;
        rmr_free(&c->ctx->mem, w, sizeof *w);
        return rmr_error_nomem(err, "weights", bytes);
    }
    *out = w;
    return REMORA_OK;
}

remora_status rmr_cpu_weight_adopt(rmr_backend *be, const rmr_weight_desc *d, const void *data,
                                   rmr_weight **out, remora_error *err)
{
    rmr_cpu *c = (rmr_cpu *)be;
    *out = NULL;
    if (d->use != RMR_USE_TABLE || (uintptr_t)data % rmr_elem_size(d->elem) != 0)
        return REMORA_E_UNSUPPORTED;
    rmr_weight *w = rmr_alloc(&c->ctx->mem, sizeof *w);
    if (w == NULL) return rmr_error_nomem(err, "weight", sizeof *w);
    if (!lay_out(d, w)) {
        rmr_free(&c->ctx->mem, w, sizeof *w);
        RMR_FAIL(err, REMORA_E_FORMAT, "table size overflows");
    }
    w->adopted = 1;
    w->adopted_data = data;
    *out = w;
    return REMORA_OK;
}

void rmr_cpu_weight_free(rmr_backend *be, rmr_weight *w)
{
    rmr_cpu *c = (rmr_cpu *)be;
    if (w == NULL) return;
    if (!w->adopted) rmr_free(c->mem, w->data, (size_t)w->bytes);
    rmr_free(&c->ctx->mem, w, sizeof *w);
}

/* Where element (row r, column k) of a tile lies, in elements. */
static size_t tile_index(rmr_wtype type, uint32_t r, uint32_t k)
{
    if (type == RMR_W_BF16) return (size_t)(k / 2) * 32 + 2 * r + k % 2;
    return (size_t)k * RMR_TILE + r;
}

/* One tile from n (<= 16) rows; the missing rows and the missing last k of bf16 become zero. */
static void pack_tile(const rmr_weight *w, unsigned char *tile, const unsigned char *rows,
                      uint32_t n)
{
    const uint32_t cols = w->desc.cols, size = rmr_elem_size(w->desc.elem);
    if (n < RMR_TILE || cols % 2 != 0) memset(tile, 0, (size_t)w->tile_stride);
    for (uint32_t r = 0; r < n; r++) {
        const unsigned char *src = rows + (size_t)r * cols * size;
        for (uint32_t k = 0; k < cols; k++)
            memcpy(tile + tile_index(w->type, r, k) * size, src + (size_t)k * size, size);
    }
}

/* The common case, a full bf16 tile of even width: whole pairs of columns move as 32-bit words. */
static void pack_tile_bf16(unsigned char *tile, const unsigned char *rows, uint32_t cols)
{
    enum { BLOCK = 64 }; /* column pairs that stay in L1 for all 16 rows */
    for (uint32_t p0 = 0; p0 < cols / 2; p0 += BLOCK) {
        const uint32_t p1 = p0 + BLOCK < cols / 2 ? p0 + BLOCK : cols / 2;
        for (uint32_t r = 0; r < RMR_TILE; r++) {
            const unsigned char *src = rows + (size_t)r * cols * 2;
            for (uint32_t p = p0; p < p1; p++)
                memcpy(tile + (size_t)p * 64 + 4 * r, src + (size_t)p * 4, 4);
        }
    }
}

static void upload_vector(const rmr_weight *w, const void *rows)
{
    const unsigned char *src = rows;
    float *dst = (float *)(void *)w->data;
    for (uint32_t i = 0; i < w->desc.cols; i++) {
        uint16_t h;
        if (w->desc.elem == RMR_ELEM_F32) {
            memcpy(dst + i, src + 4 * (size_t)i, 4);
            continue;
        }
        memcpy(&h, src + 2 * (size_t)i, 2);
        dst[i] = w->desc.elem == RMR_ELEM_BF16 ? rmr_bf16_to_f32(h) : rmr_f16_to_f32(h);
    }
}

remora_status rmr_cpu_weight_upload(rmr_backend *be, rmr_weight *w, uint32_t index, uint32_t row0,
                                    uint32_t n, const void *rows, remora_error *err)
{
    const rmr_weight_desc *d = &w->desc;
    const size_t row_bytes = (size_t)d->cols * rmr_elem_size(d->elem);
    const unsigned char *src = rows;
    (void)be;
    if (index >= d->count || row0 > d->rows || n > d->rows - row0 || row0 % RMR_ROW_GRANULE != 0 ||
        w->adopted)
        RMR_FAIL(err, REMORA_E_INTERNAL, "weight upload out of range");
    if (d->use == RMR_USE_VECTOR) {
        upload_vector(w, rows);
    } else if (d->use == RMR_USE_TABLE) {
        memcpy(w->data + index * w->stride + row0 * row_bytes, rows, n * row_bytes);
    } else {
        for (uint32_t r = 0; r < n; r += RMR_TILE) {
            unsigned char *tile =
                w->data + index * w->stride + (row0 + r) / RMR_TILE * w->tile_stride;
            const uint32_t m = n - r < RMR_TILE ? n - r : RMR_TILE;
            if (w->type == RMR_W_BF16 && m == RMR_TILE && d->cols % 2 == 0)
                pack_tile_bf16(tile, src + r * row_bytes, d->cols);
            else
                pack_tile(w, tile, src + r * row_bytes, m);
        }
    }
    return REMORA_OK;
}

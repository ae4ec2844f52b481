/* SPDX-License-Identifier: Apache-2.0 */
/* The reference set: the definition of every CPU result in plain C (kernels.h). It runs on any
 * processor. */
#include "kernels.h"

#include "elementwise.h"
#include "quantize.h"
#include "tables.h"

/* Weight (row, k) of a tile; see rmr_tile_bytes. */
static float weight_at(rmr_elem type, const uint8_t *tile, uint32_t row, uint32_t k)
{
    uint16_t half;
    float f;
    switch (type) {
    case RMR_ELEM_BF16:
        memcpy(&half, tile + (size_t)(k / 2) * 64 + row * 4 + (k % 2) * 2, 2);
        return rmr_bf16_to_f32(half);
    case RMR_ELEM_F16:
        memcpy(&half, tile + (size_t)k * 32 + row * 2, 2);
        return rmr_f16_to_f32(half);
    default: memcpy(&f, tile + (size_t)k * 64 + row * 4, 4); return f;
    }
}

static inline void matmul(rmr_elem type, float *y, size_t ldy, const float *x, size_t ldx,
                          uint32_t n_x, const void *tiles, size_t tile_stride, uint32_t n_tiles,
                          uint32_t k, int accumulate)
{
    for (uint32_t t = 0; t < n_tiles; t++) {
        const uint8_t *const tile = (const uint8_t *)tiles + t * tile_stride;
        for (uint32_t m = 0; m < n_x; m++) {
            float sum[RMR_TILE] = {0};
            float *const out = y + m * ldy + (size_t)t * RMR_TILE;
            if (accumulate) memcpy(sum, out, sizeof sum);
            for (uint32_t i = 0; i < k; i++)
                for (uint32_t r = 0; r < RMR_TILE; r++)
                    sum[r] = rmr_fmaf(weight_at(type, tile, r, i), x[m * ldx + i], sum[r]);
            memcpy(out, sum, sizeof sum);
        }
    }
}

static void matmul_bf16(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                        const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                        int accumulate, const void *next)
{
    (void)next;
    matmul(RMR_ELEM_BF16, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k, accumulate);
}

static void matmul_f16(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                       const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                       int accumulate, const void *next)
{
    (void)next;
    matmul(RMR_ELEM_F16, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k, accumulate);
}

static void matmul_f32(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                       const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                       int accumulate, const void *next)
{
    (void)next;
    matmul(RMR_ELEM_F32, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k, accumulate);
}

static inline float row_at(int is_bf16, const void *rows, size_t i)
{
    return is_bf16 ? rmr_bf16_to_f32(((const uint16_t *)rows)[i]) : ((const float *)rows)[i];
}

/* Element k of row j. */
static inline float element(int is_bf16, const void *const *pages, size_t ld, uint32_t j,
                            uint32_t k)
{
    return row_at(is_bf16, pages[j / RMR_KV8_TOKENS], j % RMR_KV8_TOKENS * ld + k);
}

/* The place of column k in a query as stored; its lane is that modulo 16. */
static inline uint32_t place_of(int is_bf16, uint32_t k)
{
    return is_bf16 ? k / RMR_PAIRS * RMR_PAIRS + k % 2 * LANES + k % RMR_PAIRS / 2 : k;
}

static inline void scores(int is_bf16, float *out, const float *q, size_t ld_q, uint32_t n_q,
                          const void *const *pages, size_t ld_key, uint32_t n_keys, uint32_t width,
                          float scale)
{
    for (uint32_t i = 0; i < n_q; i++) {
        for (uint32_t j = 0; j < n_keys; j++) {
            float lane[LANES] = {0};
            for (uint32_t k = 0; k < width; k++) {
                const uint32_t at = place_of(is_bf16, k);
                lane[at % LANES] = rmr_fmaf(q[i * ld_q + at], element(is_bf16, pages, ld_key, j, k),
                                            lane[at % LANES]);
            }
            out[i * RMR_KV8_SEG + j] = lanes_sum(lane) * scale;
        }
    }
}

static void scores_bf16(float *out, const float *q, size_t ld_q, uint32_t n_q,
                        const void *const *pages, size_t ld_key, uint32_t n_keys, uint32_t width,
                        float scale)
{
    scores(1, out, q, ld_q, n_q, pages, ld_key, n_keys, width, scale);
}

static void scores_f32(float *out, const float *q, size_t ld_q, uint32_t n_q,
                       const void *const *pages, size_t ld_key, uint32_t n_keys, uint32_t width,
                       float scale)
{
    scores(0, out, q, ld_q, n_q, pages, ld_key, n_keys, width, scale);
}

static inline void wsum(int is_bf16, float *z, size_t ld_z, const float *p, uint32_t n_q,
                        const void *const *pages, size_t ld_val, uint32_t n_vals, uint32_t width)
{
    for (uint32_t i = 0; i < n_q; i++)
        for (uint32_t j = 0; j < n_vals; j++)
            for (uint32_t d = 0; d < width; d++)
                z[i * ld_z + d] = rmr_fmaf(p[i * RMR_KV8_SEG + j],
                                           element(is_bf16, pages, ld_val, j, d), z[i * ld_z + d]);
}

static void wsum_bf16(float *z, size_t ld_z, const float *p, uint32_t n_q, const void *const *pages,
                      size_t ld_val, uint32_t n_vals, uint32_t width)
{
    wsum(1, z, ld_z, p, n_q, pages, ld_val, n_vals, width);
}

static void wsum_f32(float *z, size_t ld_z, const float *p, uint32_t n_q, const void *const *pages,
                     size_t ld_val, uint32_t n_vals, uint32_t width)
{
    wsum(0, z, ld_z, p, n_q, pages, ld_val, n_vals, width);
}

static void rope_f32(float *x, const float *cs, uint32_t n_pairs)
{
    rope_pairs(x, cs, n_pairs);
}

static float max_f32(const float *x, uint32_t n)
{
    float lane[LANES];
    uint32_t i = 0;
    for (int l = 0; l < LANES; l++) lane[l] = -__builtin_inff();
    for (; i + LANES <= n; i += LANES)
        for (int l = 0; l < LANES; l++) lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    return max_lanes(lane, x + i, n - i);
}

static void from_f16(float *y, const uint16_t *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] = rmr_f16_to_f32(x[i]);
}

#include "kv8_attend_plain.h"
#include "qplain.h"

static const rmr_product_kernels product = PRODUCT_KERNELS;
static const rmr_attention_kernels attention = ATTENTION_KERNELS;
static const rmr_kv8_kernels kv8 = KV8_KERNELS;
static const rmr_elementwise_kernels elementwise = ELEMENTWISE_KERNELS;

const rmr_kernels rmr_kernels_ref = {
    .name = "ref",
    .product = &product,
    .integer = &integer_kernels,
    .attention = &attention,
    .kv8 = &kv8,
    .elementwise = &elementwise,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Products with quantised weights by definition (kernels.h, tile.h): plain C, one value after the
 * other. */
#include "tables.h"

/* The integer value of column c (of a run) and row r. */
static inline int q_value(const rmr_elem_format *f, const uint8_t *run, uint32_t c, uint32_t r)
{
    const uint32_t g = c / 4, lane = 4 * r + c % 4, low = f->low.bits, high = f->high.bits;
    uint32_t code = (uint32_t)run[64 * (g % low) + lane] >> g / low * low & ((1u << low) - 1);
    if (high != 0) {
        run += 64 * low;
        code |= ((uint32_t)run[64 * (g % high) + lane] >> g / high * high & ((1u << high) - 1))
                << low;
    }
    if (f->book != NULL) return f->book[code];
    return low == 8 ? (int8_t)code : (int)code - f->offset;
}

/* The scale of row r, of an array of the 16 rows' scales. */
static inline float q_block_scale(const rmr_elem_format *f, const uint8_t *array, uint32_t r)
{
    uint16_t h;
    if (f->scale == RMR_SCALE_E8M0)
        return rmr_float_of(array[r] < 2 ? 0x200000u << array[r] : (array[r] - 1u) << 23);
    memcpy(&h, array + (size_t)2 * r, 2);
    return f->scale == RMR_SCALE_BF16 ? rmr_bf16_to_f32(h) : rmr_f16_to_f32(h);
}

/* The bytes that the 16 rows of a tile take: for the codes of a run, the scales of a block, and the
 * sub-scales of a block. */
static inline uint32_t q_run_bytes(const rmr_elem_format *f)
{
    return 64u * (f->low.bits + f->high.bits);
}

static inline uint32_t q_scale_bytes(const rmr_elem_format *f)
{
    return RMR_TILE * f->bytes - f->values / 32 * q_run_bytes(f);
}

static inline uint32_t q_subs_bytes(const rmr_elem_format *f)
{
    return RMR_TILE * f->subs * (f->sub.bits + f->sub_high.bits) / 8;
}

/* Field j of n fields of `bits` bits, which lie in arrays of 16 bytes. */
static inline uint32_t q_field(const uint8_t *a, uint32_t bits, uint32_t n, uint32_t j, uint32_t r)
{
    const uint32_t arrays = n * bits / 8;
    return (uint32_t)a[j % arrays * RMR_TILE + r] >> j / arrays * bits & ((1u << bits) - 1);
}

/* Sub-scale or sub-minimum j, without its offset; a: the arrays of all. */
static inline uint32_t q_sub(const rmr_elem_format *f, const uint8_t *a, uint32_t j, uint32_t r)
{
    const uint32_t low = q_field(a, f->sub.bits, f->subs, j, r);
    if (f->sub_high.bits == 0) return low;
    a += RMR_TILE * f->subs * f->sub.bits / 8;
    return low | q_field(a, f->sub_high.bits, f->subs, j, r) << f->sub.bits;
}

/* s of sub-block j, row r; a: the scales of the block. */
static inline float q_scale(const rmr_elem_format *f, const uint8_t *a, uint32_t j, uint32_t r)
{
    const float d = q_block_scale(f, a, r);
    if (f->subs == 0) return d;
    const uint32_t sub = q_sub(f, a + 32 * f->scales, j, r);
    return d * (float)(f->sub.bits == 8 ? (int8_t)sub : (int)sub - f->sub_offset);
}

/* The minimum of sub-block j, row r, which is subtracted: dmin * mn, or -m. */
static inline float q_min(const rmr_elem_format *f, const uint8_t *a, uint32_t j, uint32_t r)
{
    const float m = q_block_scale(f, a + 32, r);
    return f->subs == 0 ? -m : m * (float)q_sub(f, a + 64 + q_subs_bytes(f), j, r);
}

/* One sub-block of `width` columns for one row of x: y[16] are the chains. */
static inline void q_step(float *y, const int8_t *v, const int8_t *q, uint32_t width, float scale,
                          const float *s, float sum, const float *mins)
{
    for (uint32_t r = 0; r < RMR_TILE; r++) {
        int32_t dot = 0;
        for (uint32_t c = 0; c < width; c++) dot += v[c * RMR_TILE + r] * q[c];
        y[r] = rmr_fmaf(s[r] * (float)dot, scale, y[r]);
        if (mins) y[r] = rmr_fmaf(-mins[r], sum, y[r]);
    }
}

/* One run of 32 columns of a tile for all rows of x; `at` is its number in the row. */
static inline void q_run(const rmr_elem_format *f, float *y, size_t ldy, const uint8_t *xq,
                         size_t ldq, uint32_t n_x, const uint8_t *run, const uint8_t *scales,
                         uint32_t at)
{
    const int has_min = f->scales == 2;
    const uint32_t runs = f->values / 32, subs = f->subs > runs ? 2 : 1, width = 32 / subs;
    int8_t v[32 * RMR_TILE];
    for (uint32_t c = 0; c < 32; c++)
        for (uint32_t r = 0; r < RMR_TILE; r++) v[c * RMR_TILE + r] = (int8_t)q_value(f, run, c, r);
    for (uint32_t h = 0; h < subs; h++) {
        float s[RMR_TILE], mins[RMR_TILE];
        for (uint32_t r = 0; r < RMR_TILE; r++) {
            s[r] = q_scale(f, scales, at % runs * subs + h, r);
            mins[r] = has_min ? q_min(f, scales, at % runs * subs + h, r) : 0.0f;
        }
        for (uint32_t m = 0; m < n_x; m++) {
            const rmr_qline *const x = (const rmr_qline *)(const void *)(xq + m * ldq) + at;
            q_step(y + m * ldy, v + h * width * RMR_TILE, x->q + h * width, width, x->scale, s,
                   x->sum[subs == 1 ? 0 : 1 + h], has_min ? mins : NULL);
        }
    }
}

static inline void q_matmul(rmr_elem e, float *y, size_t ldy, const void *xq, size_t ldq,
                            uint32_t n_x, const void *tiles, size_t tile_stride, uint32_t n_tiles,
                            uint32_t k)
{
    const rmr_elem_format *const f = &rmr_elem_table[e];
    const uint32_t runs = f->values / 32, run_bytes = q_run_bytes(f);
    for (uint32_t t = 0; t < n_tiles; t++, y += RMR_TILE) {
        const uint8_t *const tile = (const uint8_t *)tiles + t * tile_stride;
        const uint8_t *const scales = tile + (size_t)(k / 32) * run_bytes;
        for (uint32_t m = 0; m < n_x; m++) memset(y + m * ldy, 0, RMR_TILE * sizeof *y);
        for (uint32_t i = 0; i < k / 32; i++)
            q_run(f, y, ldy, xq, ldq, n_x, tile + (size_t)i * run_bytes,
                  scales + (size_t)(i / runs) * q_scale_bytes(f), i);
    }
}

#define Q_MATMUL(name, type)                                                                       \
    static void qmatmul_##name(float *y, size_t ldy, const void *xq, size_t ldq, uint32_t n_x,     \
                               const void *tiles, size_t tile_stride, uint32_t n_tiles,            \
                               uint32_t k, const void *next)                                       \
    {                                                                                              \
        (void)next;                                                                                \
        q_matmul(type, y, ldy, xq, ldq, n_x, tiles, tile_stride, n_tiles, k);                      \
    }
#define BLOCK_TYPE(id, name, ...) Q_MATMUL(name, id)
#include "elem_rows.h"
#undef Q_MATMUL

static const rmr_integer_kernels integer_kernels = {
    .quantize = quantize_f32,
    .matmul =
        {
#define BLOCK_TYPE(id, name, ...) [id] = qmatmul_##name,
#include "elem_rows.h"
        },
};

static void matmul_f8(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                      const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                      int accumulate, const void *next)
{
    (void)accumulate;
    (void)next;
    for (uint32_t t = 0; t < n_tiles; t++) {
        const uint8_t *const tile = (const uint8_t *)tiles + t * tile_stride;
        const float *const scale = (const float *)(const void *)(tile + (size_t)RMR_TILE * k);
        for (uint32_t m = 0; m < n_x; m++) {
            float acc[RMR_TILE] = {0};
            for (uint32_t at = 0; at < k; at += RMR_F8_RUN) {
                float p[RMR_TILE] = {0};
                const uint32_t end = k - at < RMR_F8_RUN ? k : at + RMR_F8_RUN;
                for (uint32_t i = at; i < end; i++)
                    for (uint32_t r = 0; r < RMR_TILE; r++) {
                        const uint32_t c = tile[(size_t)RMR_TILE * i + r];
                        p[r] =
                            rmr_fmaf(rmr_f16_to_f32((uint16_t)((c & 0x80) << 8 | (c & 0x7f) << 7)),
                                     x[m * ldx + i], p[r]);
                    }
                for (uint32_t r = 0; r < RMR_TILE; r++)
                    acc[r] = rmr_fmaf(p[r], scale[at / RMR_F8_RUN] * 256.0f, acc[r]);
            }
            memcpy(y + m * ldy + (size_t)t * RMR_TILE, acc, sizeof acc);
        }
    }
}

/* Products with quantised weights by definition (kernels.h, tile.h): plain C, one value after the
 * other. */
#include "tables.h"

/* Where the codes and the scales of a type lie in a tile. */
typedef struct q_layout {
    uint32_t runs, subs;             /* of a block */
    uint32_t run_bytes, scale_bytes; /* of the 16 rows: codes of a run, scales of a block */
    uint32_t low, high;              /* bits of the two planes */
} q_layout;

static inline q_layout q_layout_of(rmr_elem e)
{
    q_layout l = {1, 1, 0, 0, 4, 0};
    switch (e) {
    case RMR_ELEM_Q8_0: l.low = 8; break;
    case RMR_ELEM_IQ4_XS:
    case RMR_ELEM_Q4_K: l.subs = 8; break;
    case RMR_ELEM_Q5_K: l = (q_layout){0, 8, 0, 0, 4, 1}; break;
    case RMR_ELEM_Q5_0:
    case RMR_ELEM_Q5_1: l.high = 1; break;
    case RMR_ELEM_Q6_K: l = (q_layout){0, 16, 0, 0, 4, 2}; break;
    case RMR_ELEM_Q3_K: l = (q_layout){0, 16, 0, 0, 2, 1}; break;
    case RMR_ELEM_Q2_K: l = (q_layout){0, 16, 0, 0, 2, 0}; break;
    default: break;
    }
    l.runs = rmr_elem_table[e].values / 32;
    l.run_bytes = 64 * (l.low + l.high);
    l.scale_bytes = RMR_TILE * rmr_elem_table[e].bytes - l.runs * l.run_bytes;
    return l;
}

/* The integer value of column c (of a run) and row r. */
static inline int q_value(rmr_elem e, const q_layout *l, const uint8_t *run, uint32_t c, uint32_t r)
{
    static const int8_t iq4[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                 1,    13,   25,  38,  53,  69,  89,  113};
    static const int8_t mxfp4[] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    const uint32_t g = c / 4, lane = 4 * r + c % 4;
    uint32_t code = (uint32_t)run[64 * (g % l->low) + lane] >> g / l->low * l->low;
    code &= (1u << l->low) - 1;
    if (l->high) {
        run += 64 * l->low;
        code |= ((uint32_t)run[64 * (g % l->high) + lane] >> g / l->high * l->high &
                 ((1u << l->high) - 1))
                << l->low;
    }
    switch (e) {
    case RMR_ELEM_Q8_0: return (int8_t)code;
    case RMR_ELEM_Q4_0:
    case RMR_ELEM_I4: return (int)code - 8;
    case RMR_ELEM_IQ4_NL:
    case RMR_ELEM_IQ4_XS: return iq4[code];
    case RMR_ELEM_MXFP4: return mxfp4[code];
    case RMR_ELEM_Q5_0: return (int)code - 16;
    case RMR_ELEM_Q6_K: return (int)code - 32;
    case RMR_ELEM_Q3_K: return (int)code - 4;
    default: return (int)code;
    }
}

static inline float q_half(rmr_elem e, const uint8_t *array, uint32_t r)
{
    uint16_t h;
    memcpy(&h, array + (size_t)2 * r, 2);
    return e == RMR_ELEM_I4 ? rmr_bf16_to_f32(h) : rmr_f16_to_f32(h);
}

/* Field j of n in arrays of nibble pairs, with two more bits behind them when `six`. */
static inline uint32_t q_sub(const uint8_t *a, uint32_t n, uint32_t j, int six, uint32_t r)
{
    const uint32_t low = (uint32_t)a[j % (n / 2) * RMR_TILE + r] >> j / (n / 2) * 4 & 15;
    if (!six) return low;
    a += n / 2 * RMR_TILE;
    return low | ((uint32_t)a[j % (n / 4) * RMR_TILE + r] >> j / (n / 4) * 2 & 3) << 4;
}

/* s and, to be taken away, dmin * mn or -m of sub-block j, row r; a: the scales of the block. */
static inline float q_scale(rmr_elem e, const uint8_t *a, uint32_t j, uint32_t r)
{
    switch (e) {
    case RMR_ELEM_MXFP4: return rmr_float_of(a[r] < 2 ? 0x200000u << a[r] : (a[r] - 1u) << 23);
    case RMR_ELEM_IQ4_XS: return q_half(e, a, r) * (float)((int)q_sub(a + 32, 8, j, 1, r) - 32);
    case RMR_ELEM_Q4_K:
    case RMR_ELEM_Q5_K: return q_half(e, a, r) * (float)q_sub(a + 64, 8, j, 1, r);
    case RMR_ELEM_Q6_K: return q_half(e, a, r) * (float)(int8_t)a[32 + j * RMR_TILE + r];
    case RMR_ELEM_Q3_K: return q_half(e, a, r) * (float)((int)q_sub(a + 32, 16, j, 1, r) - 32);
    case RMR_ELEM_Q2_K: return q_half(e, a, r) * (float)q_sub(a + 64, 16, j, 0, r);
    default: return q_half(e, a, r);
    }
}

static inline int q_has_min(rmr_elem e)
{
    return e == RMR_ELEM_Q4_K || e == RMR_ELEM_Q5_K || e == RMR_ELEM_Q2_K || e == RMR_ELEM_Q4_1 ||
           e == RMR_ELEM_Q5_1;
}

static inline float q_min(rmr_elem e, const uint8_t *a, uint32_t j, uint32_t r)
{
    if (e == RMR_ELEM_Q4_1 || e == RMR_ELEM_Q5_1) return -q_half(e, a + 32, r);
    if (e == RMR_ELEM_Q2_K) return q_half(e, a + 32, r) * (float)q_sub(a + 192, 16, j, 0, r);
    return q_half(e, a + 32, r) * (float)q_sub(a + 160, 8, j, 1, r);
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
static inline void q_run(rmr_elem e, const q_layout *l, float *y, size_t ldy, const uint8_t *xq,
                         size_t ldq, uint32_t n_x, const uint8_t *run, const uint8_t *scales,
                         uint32_t at)
{
    const int has_min = q_has_min(e);
    const uint32_t subs = l->subs == 16 ? 2 : 1, width = 32 / subs;
    int8_t v[32 * RMR_TILE];
    for (uint32_t c = 0; c < 32; c++)
        for (uint32_t r = 0; r < RMR_TILE; r++)
            v[c * RMR_TILE + r] = (int8_t)q_value(e, l, run, c, r);
    for (uint32_t h = 0; h < subs; h++) {
        float s[RMR_TILE], mins[RMR_TILE];
        for (uint32_t r = 0; r < RMR_TILE; r++) {
            s[r] = q_scale(e, scales, at % l->runs * subs + h, r);
            mins[r] = has_min ? q_min(e, scales, at % l->runs * subs + h, r) : 0.0f;
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
    const q_layout l = q_layout_of(e);
    for (uint32_t t = 0; t < n_tiles; t++, y += RMR_TILE) {
        const uint8_t *const tile = (const uint8_t *)tiles + t * tile_stride;
        const uint8_t *const scales = tile + (size_t)(k / 32) * l.run_bytes;
        for (uint32_t m = 0; m < n_x; m++) memset(y + m * ldy, 0, RMR_TILE * sizeof *y);
        for (uint32_t i = 0; i < k / 32; i++)
            q_run(e, &l, y, ldy, xq, ldq, n_x, tile + (size_t)i * l.run_bytes,
                  scales + (size_t)(i / l.runs) * l.scale_bytes, i);
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
Q_TYPES(Q_MATMUL)
#undef Q_MATMUL

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

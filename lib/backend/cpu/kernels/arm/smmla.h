/* SPDX-License-Identifier: Apache-2.0 */
/* Products of many rows by matrices of 2 x 8 bytes (smmla): two rows of weights by two rows of x by
 * 8 columns an instruction. The including file has included qmatmul_tmpl.h, whose products it takes
 * for few rows. Sums and chains lie in lanes (w0 x0, w0 x1, w1 x0, w1 x1) until they are finished.
 */

enum {
    MM_LEAST = 4, /* rows from which the rearranged codes pay */
    MM_PAIRS = Q_ROWS / 2,
    MM_LINES = Q_LINES * 3 / 4 /* q_matmul's rows of a pass, rounded up to pairs, by its runs */
};

/* One run of a pair of rows. */
typedef struct mm_line {
    int8_t q[4][2][8];         /* 8 columns of the first row, then of the second */
    float scale[4], sum[2][4]; /* of the first row, the second, the first, the second */
} mm_line;

/* Runs [at, at + n_runs) of n_rows quantised rows to lines; a missing last row is 0. */
FORCE void mm_gather(const rmr_elem type, mm_line *to, const uint8_t *xq, size_t ldq,
                     uint32_t n_rows, uint32_t at, uint32_t n_runs)
{
    const uint32_t halves = (uint32_t)q_halves(type), pairs = (n_rows + 1) / 2;
    if (n_rows % 2)
        for (uint32_t i = 0; i < n_runs; i++)
            memset(to + (size_t)i * pairs + n_rows / 2, 0, sizeof *to);
    for (uint32_t m = 0; m < n_rows; m++) {
        const rmr_qline *x = (const rmr_qline *)(const void *)(xq + m * ldq) + at;
        for (uint32_t i = 0; i < n_runs; i++, x++) {
            mm_line *const line = to + (size_t)i * pairs + m / 2;
            for (uint32_t p = 0; p < 4; p++) memcpy(line->q[p][m % 2], x->q + (size_t)p * 8, 8);
            line->scale[m % 2] = line->scale[2 + m % 2] = x->scale;
            for (uint32_t h = 0; h < halves; h++)
                line->sum[h][m % 2] = line->sum[h][2 + m % 2] = x->sum[halves == 1 ? 0 : 1 + h];
        }
    }
}

/* A run of weights of four rows of the tile, as smmla takes it. */
typedef struct mm_weights {
    ivec code[2][4];         /* [rows 0 and 1, rows 2 and 3][8 columns] */
    vec s[2][2], less[2][2]; /* [sub-block][rows 0 and 1, rows 2 and 3] */
} mm_weights;

FORCE ivec mm_zip(ivec a, ivec b, const int high)
{
    const int32x4_t x = vreinterpretq_s32_s8(a), y = vreinterpretq_s32_s8(b);
    return bytes_of(high ? vzip2q_s32(x, y) : vzip1q_s32(x, y));
}

FORCE void mm_unpack(const rmr_elem type, mm_weights *w, const uint8_t *run, const float *s,
                     const int v)
{
    ivec code[8];
    q_unpack(type, code, run + (size_t)v * (64 / NV));
    UNROLL for (int i = 0; i < 8; i++) w->code[i % 2][i / 2] =
        mm_zip(code[i / 2 * 2], code[i / 2 * 2 + 1], i % 2);
    UNROLL for (int h = 0; h < q_halves(type); h++)
    {
        const vec sv = vec_load(s + h * RMR_TILE), lv = vec_load(s + Q_LESS + h * RMR_TILE);
        w->s[h][0] = vzip1q_f32(sv, sv);
        w->s[h][1] = vzip2q_f32(sv, sv);
        w->less[h][0] = vzip1q_f32(lv, lv);
        w->less[h][1] = vzip2q_f32(lv, lv);
    }
}

/* One run of a pair of rows of x; acc: the chains of 4 rows of weights. */
FORCE void mm_step(const rmr_elem type, float *acc, const mm_weights *w, const mm_line *x)
{
    vec a[2] = {vec_load(acc), vec_load(acc + 4)};
    UNROLL for (int h = 0; h < q_halves(type); h++)
    {
        const int n = 4 / q_halves(type);
        UNROLL for (int r = 0; r < 2; r++)
        {
            int32x4_t dot = vdupq_n_s32(0);
            UNROLL for (int p = h * n; p < h * n + n; p++) dot =
                vmmlaq_s32(dot, w->code[r][p], iv_load(x->q[p]));
            a[r] = vec_fma(vec_mul(w->s[h][r], vcvtq_f32_s32(dot)), vec_load(x->scale), a[r]);
            if (q_has_min(type)) a[r] = vec_fma(w->less[h][r], vec_load(x->sum[h]), a[r]);
        }
    }
    vec_store(acc, a[0]);
    vec_store(acc + 4, a[1]);
}

/* The chains of a pair of rows of x, 16 rows of weights, from y and back; the second row may be
 * missing. */
FORCE void mm_chains_load(float *acc, const float *y, size_t ldy, int both)
{
    for (int v = 0; v < NV; v++) {
        const vec a = vec_load(y + 4 * v), b = both ? vec_load(y + ldy + 4 * v) : vec_zero();
        vec_store(acc + 8 * v, vzip1q_f32(a, b));
        vec_store(acc + 8 * v + 4, vzip2q_f32(a, b));
    }
}

FORCE void mm_chains_store(float *y, size_t ldy, const float *acc, int both)
{
    for (int v = 0; v < NV; v++) {
        const vec a = vec_load(acc + 8 * v), b = vec_load(acc + 8 * v + 4);
        vec_store(y + 4 * v, vuzp1q_f32(a, b));
        if (both) vec_store(y + ldy + 4 * v, vuzp2q_f32(a, b));
    }
}

FORCE void mm_tile(const rmr_elem type, float *y, size_t ldy, const mm_line *x, uint32_t n_rows,
                   const uint8_t *codes, const uint8_t *scales, uint32_t n_runs, int accumulate)
{
    const uint32_t runs = q_block_runs(type), bytes = q_run_bytes(type), pairs = (n_rows + 1) / 2;
    float s[Q_SCALES], acc[MM_PAIRS][2 * RMR_TILE];
    for (uint32_t m = 0; m < pairs; m++) {
        if (accumulate)
            mm_chains_load(acc[m], y + (size_t)2 * m * ldy, ldy, 2 * m + 1 < n_rows);
        else
            memset(acc[m], 0, sizeof acc[m]);
    }
    for (uint32_t i = 0; i < n_runs; i++, codes += bytes, x += pairs) {
        const uint32_t sub = i % runs * (uint32_t)q_halves(type) * RMR_TILE;
        if (i % runs == 0) {
            q_scales(type, s, scales);
            scales += q_scale_bytes(type);
        }
        for (int v = 0; v < NV; v++) {
            mm_weights w;
            const uint32_t lane = sub + (uint32_t)(v * VEC_LANES);
            mm_unpack(type, &w, codes, s + lane, v);
            for (uint32_t m = 0; m < pairs; m++) mm_step(type, acc[m] + 8 * v, &w, x + m);
        }
    }
    for (uint32_t m = 0; m < pairs; m++)
        mm_chains_store(y + (size_t)2 * m * ldy, ldy, acc[m], 2 * m + 1 < n_rows);
}

FORCE void mm_pass(const rmr_elem type, const q_job *j, uint32_t n_rows, uint32_t n_tiles,
                   uint32_t at, uint32_t n_runs)
{
    mm_line lines[MM_LINES];
    const uint8_t *codes = j->tiles + (size_t)at * q_run_bytes(type);
    const uint8_t *scales = j->tiles + (size_t)(j->k / 32) * q_run_bytes(type) +
                            (size_t)(at / q_block_runs(type)) * q_scale_bytes(type);
    mm_gather(type, lines, j->xq, j->ldq, n_rows, at, n_runs);
    for (uint32_t t = 0; t < n_tiles; t++, codes += j->stride, scales += j->stride)
        mm_tile(type, j->y + (size_t)t * RMR_TILE, j->ldy, lines, n_rows, codes, scales, n_runs,
                at > 0);
}

#define MM_MATMUL(name, type)                                                                      \
    Q_PASS(q_mm_##name, mm_pass(type, j, n_rows, n_tiles, at, n_runs))                             \
    static void qmatmul_mm_##name(float *y, size_t ldy, const void *xq, size_t ldq, uint32_t n_x,  \
                                  const void *tiles, size_t tile_stride, uint32_t n_tiles,         \
                                  uint32_t k, const void *next)                                    \
    {                                                                                              \
        const q_job all = {y, ldy, xq, ldq, tiles, tile_stride, k, next};                          \
        if (n_x < MM_LEAST)                                                                        \
            qmatmul_##name(y, ldy, xq, ldq, n_x, tiles, tile_stride, n_tiles, k, next);            \
        else                                                                                       \
            q_matmul(q_mm_##name, &all, n_x, n_tiles);                                             \
    }
#define BLOCK_TYPE(id, name, ...) MM_MATMUL(name, id)
#include "elem_rows.h"
#undef MM_MATMUL

static const rmr_integer_kernels mm_kernels = {
    .quantize = quantize_f32,
    .matmul =
        {
#define BLOCK_TYPE(id, name, ...) [id] = qmatmul_mm_##name,
#include "elem_rows.h"
        },
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Products of many rows by the tiles of AMX (tdpbssd): 16 rows of x by 16 rows of weights by a
 * sub-block of columns an instruction. A group of codes (tile.h) is a row of the instruction's
 * second operand as it is. The sums are stored and go through the chains of floats as ever. The
 * including file has included qmatmul_tmpl.h, whose products it takes for few rows. */

enum {
    AMX_ROWS = 16,
    AMX_LEAST = 12, /* rows from which a tile that is not full pays */
    /* The runs of a pass in blocks of 16 rows. A pass of m rows has at most Q_LINES / m runs of K
     * (q_matmul) in m / 16 blocks, rounded up. That is most for one row more than a block. */
    AMX_RUNS = 2 * Q_LINES / (AMX_ROWS + 1)
};
_Static_assert(AMX_RUNS >= Q_LINES / AMX_LEAST, "a pass of one block fits too");

/* One run of 16 rows of x; missing rows are 0. */
typedef struct amx_run {
    _Alignas(64) int8_t q[AMX_ROWS][32];
    float scale[AMX_ROWS], sum[2][AMX_ROWS];
} amx_run;

/* Up to a block of runs of a tile, its codes as signed values. */
typedef struct amx_weights {
    _Alignas(64) int8_t code[BLOCK_RUNS][8][64];
    float s[Q_SCALES];
} amx_weights;

#ifndef AMX_EMULATED /* test/kernels/amx_emulated.c has its own tiles */
#include "amx_tiles.h"
#endif

/* Runs [at, at + n_runs) of n_rows quantised rows: to[block of 16 rows][run]. */
FORCE void amx_gather(const rmr_elem type, amx_run *to, const uint8_t *xq, size_t ldq,
                      uint32_t n_rows, uint32_t at, uint32_t n_runs)
{
    const uint32_t halves = (uint32_t)q_halves(type);
    if (n_rows % AMX_ROWS)
        memset(to + (size_t)(n_rows / AMX_ROWS) * n_runs, 0, n_runs * sizeof *to);
    for (uint32_t m = 0; m < n_rows; m++) {
        const rmr_qline *line = (const rmr_qline *)(const void *)(xq + m * ldq) + at;
        amx_run *const run = to + (size_t)(m / AMX_ROWS) * n_runs;
        for (uint32_t i = 0; i < n_runs; i++, line++) {
            memcpy(run[i].q[m % AMX_ROWS], line->q, 32);
            run[i].scale[m % AMX_ROWS] = line->scale;
            for (uint32_t h = 0; h < halves; h++)
                run[i].sum[h][m % AMX_ROWS] = line->sum[halves == 1 ? 0 : 1 + h];
        }
    }
}

/* n_runs runs of a tile; `ahead`: bytes to the same place of the next one, which is fetched. */
FORCE void amx_unpack(const rmr_elem type, amx_weights *w, const uint8_t *codes,
                      const uint8_t *scales, size_t ahead, uint32_t n_runs)
{
    const uint32_t runs = q_block_runs(type);
    for (uint32_t i = 0; i < n_runs; i++) {
        ivec code[8];
        if (i % runs == 0) {
            const uint8_t *const block = scales + i / runs * q_scale_bytes(type);
            q_fetch(block + ahead, q_scale_bytes(type));
            q_scales(type, w->s + i * (uint32_t)q_halves(type) * RMR_TILE, block);
        }
        q_fetch(codes + (size_t)i * q_run_bytes(type) + ahead, q_run_bytes(type));
        q_unpack(type, code, codes + (size_t)i * q_run_bytes(type));
        UNROLL for (int g = 0; g < 8; g++)
            _mm512_store_si512(w->code[i][g], iv_sub(code[g], iv_set1((char)q_offset(type))));
    }
}

/* The chains of up to 16 rows of x through up to a block of runs. All sums are made before the
 * first is read: by then they are in the cache, and one register for them is faster than several in
 * turn. */
FORCE void amx_block(const rmr_elem type, float *y, size_t ldy, const amx_run *x, uint32_t n_rows,
                     const amx_weights *w, uint32_t n_runs, int accumulate)
{
    const uint32_t halves = (uint32_t)q_halves(type);
    _Alignas(64) int32_t sum[2 * BLOCK_RUNS][AMX_ROWS][RMR_TILE];
    vec acc[AMX_ROWS];
    for (uint32_t i = 0; i < n_runs; i++)
        UNROLL for (uint32_t h = 0; h < halves; h++)
            amx_sum(sum[i * halves + h], x[i].q[0] + h * 16, w->code[i][h * 4]);
    UNROLL for (uint32_t m = 0; m < AMX_ROWS; m++) acc[m] =
        accumulate && m < n_rows ? vec_load(y + m * ldy) : vec_zero();
    for (uint32_t i = 0; i < n_runs; i++) UNROLL for (uint32_t h = 0; h < halves; h++)
        {
            const uint32_t sub = i * halves + h;
            const float *const s = w->s + sub * RMR_TILE;
            const vec by = vec_load(s), less = vec_load(s + Q_LESS);
            UNROLL for (int m = 0; m < AMX_ROWS; m++)
            {
                const vec dot = iv_float(_mm512_load_si512(sum[sub][m]));
                acc[m] = vec_fma(vec_mul(by, dot), vec_set1(x[i].scale[m]), acc[m]);
                if (q_has_min(type)) acc[m] = vec_fma(less, vec_set1(x[i].sum[h][m]), acc[m]);
            }
        }
    UNROLL for (uint32_t m = 0; m < AMX_ROWS; m++) if (m < n_rows) vec_store(y + m * ldy, acc[m]);
}

FORCE void amx_pass(const rmr_elem type, const q_job *j, uint32_t n_rows, uint32_t n_tiles,
                    uint32_t at, uint32_t n_runs)
{
    amx_run x[AMX_RUNS];
    amx_weights w;
    const uint32_t runs = q_block_runs(type);
    const uint8_t *codes = j->tiles + (size_t)at * q_run_bytes(type);
    const uint8_t *scales = j->tiles + (size_t)(j->k / 32) * q_run_bytes(type) +
                            (size_t)(at / runs) * q_scale_bytes(type);
    amx_gather(type, x, j->xq, j->ldq, n_rows, at, n_runs);
    for (uint32_t t = 0; t < n_tiles; t++, codes += j->stride, scales += j->stride) {
        uint32_t i = 0;
        do { /* once even without runs, as q_matmul */
            const uint32_t n = n_runs - i < BLOCK_RUNS ? n_runs - i : BLOCK_RUNS;
            amx_unpack(type, &w, codes + (size_t)i * q_run_bytes(type),
                       scales + (size_t)(i / runs) * q_scale_bytes(type), q_ahead(j, t, 1, n_tiles),
                       n);
            for (uint32_t m = 0; m < n_rows; m += AMX_ROWS)
                amx_block(type, j->y + m * j->ldy + (size_t)t * RMR_TILE, j->ldy,
                          x + (size_t)(m / AMX_ROWS) * n_runs + i,
                          n_rows - m < AMX_ROWS ? n_rows - m : AMX_ROWS, &w, n, at + i > 0);
            i += BLOCK_RUNS;
        } while (i < n_runs);
    }
}

/* Sub-blocks of 16 columns fill half a tile, and codes of 8 bits have nothing to unpack: measured
 * no faster. */
#define AMX_GAINS(type) (q_halves(type) == 1 && rmr_elem_table[type].low.bits != 8)

#define AMX_MATMUL(name, type)                                                                     \
    Q_PASS(q_amx_##name, amx_pass(type, j, n_rows, n_tiles, at, n_runs))                           \
    static void qmatmul_amx_##name(float *y, size_t ldy, const void *xq, size_t ldq, uint32_t n_x, \
                                   const void *tiles, size_t tile_stride, uint32_t n_tiles,        \
                                   uint32_t k, const void *next)                                   \
    {                                                                                              \
        const q_job all = {y, ldy, xq, ldq, tiles, tile_stride, k, next};                          \
        if (n_x < AMX_LEAST || !AMX_GAINS(type)) {                                                 \
            qmatmul_##name(y, ldy, xq, ldq, n_x, tiles, tile_stride, n_tiles, k, next);            \
            return;                                                                                \
        }                                                                                          \
        amx_begin(type);                                                                           \
        q_matmul(q_amx_##name, &all, n_x, n_tiles);                                                \
        amx_end();                                                                                 \
    }
#define BLOCK_TYPE(id, name, ...) AMX_MATMUL(name, id)
#include "elem_rows.h"
#undef AMX_MATMUL

static const rmr_integer_kernels amx_kernels = {
    .quantize = quantize_f32,
    .matmul =
        {
#define BLOCK_TYPE(id, name, ...) [id] = qmatmul_amx_##name,
#include "elem_rows.h"
        },
};

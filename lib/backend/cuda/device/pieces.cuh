/* SPDX-License-Identifier: Apache-2.0 */
/* A slice of K in pieces. A lane loads a piece of its rows at once, 4 or 8 times 16 bytes, and has
 * two or three of them: while one is multiplied the others are on their way, and the first ones
 * are before the kernel waits for the last one. Between the loads of a piece is no branch. */
#ifndef RMR_CUDA_PIECES_CUH
#define RMR_CUDA_PIECES_CUH

#include "codes.cuh"
#include "layout.cuh"

/* The columns of activations of one pass. Near: in shared memory; then rows are at even columns of
 * the matrix instruction, and nothing is done with the sums of odd ones. */
template <int NT> struct operand {
    const uint8_t *x;
    uint64_t ld;
    const float *scales;
    uint64_t scale_ld;
    int32_t row[NT];    /* of column 8 i + g, whose values this lane multiplies; -1: none, zero */
    int32_t sum[NT][2]; /* of columns 8 i + 2 t and the next, whose sums this lane has; in rows of
                           scales */
};

template <int NT> DEV void load_columns(word2 *b, const operand<NT> &x, uint32_t step)
{
#pragma unroll
    for (int i = 0; i < NT; i++) {
        b[i] = word2{{0, 0}};
        if (x.row[i] >= 0)
            b[i] = load_pair(x.x + (uint64_t)x.row[i] * x.ld + (uint64_t)step * 32 +
                             lane_of() % 4 * 8);
    }
}

template <int NT> DEV float scale_of(const operand<NT> &x, int i, int j, uint32_t at)
{
    return x.sum[i][j] < 0 ? 0.0f : x.scales[(uint64_t)x.sum[i][j] * x.scale_ld + at];
}

/* Of a run of 32 columns (prepare.cuh, put_int8). */
template <int NT> DEV float4 scales_of(const operand<NT> &x, int i, int j, uint32_t run)
{
    if (x.sum[i][j] < 0) return float4{0, 0, 0, 0};
    return load_float4(x.scales + (uint64_t)x.sum[i][j] * x.scale_ld + 4 * run);
}

template <int E> DEV constexpr bool is_float()
{
    return E == RMR_ELEM_BF16 || E == RMR_ELEM_F16 || E == RMR_ELEM_F8;
}

/* Of F8. On Hopper 128 columns are measured to be faster; for other GPUs the compiler spills some
 * of their registers. */
#if defined(__CUDA_ARCH__) && !defined(RMR_HAS_WARPGROUPS)
enum { PIECE_F8 = 64, RING_F8 = 2 };
#else
enum { PIECE_F8 = 128, RING_F8 = 2 };
#endif

/* A granule of F16 is four pieces. More bits a code: fewer columns, for the registers there are. */
template <int E> DEV constexpr uint32_t piece_columns()
{
    if (is_float<E>()) return E == RMR_ELEM_F16 ? 32 : E == RMR_ELEM_BF16 ? 64 : PIECE_F8;
    return high_bits<E>() > 0 || has_halves<E>() || E == RMR_ELEM_Q8_0 ? 64 : 128;
}

/* Pieces that a lane has. */
template <int E> DEV constexpr uint32_t ring_pieces()
{
    if (E == RMR_ELEM_F8) return RING_F8;
    return E == RMR_ELEM_Q8_0 || E == RMR_ELEM_F16 ? 3 : 2;
}

template <int E, bool FLOAT = is_float<E>()> struct piece;

/* ---- 16-bit products ---- */

/* Loads of 16 bytes of a piece. */
template <int E> DEV constexpr uint32_t piece_loads()
{
    return piece_columns<E>() / (E == RMR_ELEM_F8 ? 16 : 8);
}

template <int E> struct piece<E, true> {
    word4 v[piece_loads<E>()]; /* BF16, F16: units t and t + 4 of each step of 8; F8: unit t of each
                                  step of 4 */
    float scale;
};

template <int E> DEV constexpr uint32_t unit_of_load(uint32_t i)
{
    return E == RMR_ELEM_F8 ? 4 * i : i / 2 * 8 + i % 2 * 4;
}

/* A piece that reaches behind the last column, where all is zero. */
template <int E>
DEV void load_last(piece<E> *to, const uint8_t *tile, uint32_t unit0, uint32_t q, uint32_t cols)
{
    const uint32_t n = unit_columns<E>(), whole = (E == RMR_ELEM_BF16 ? cols + 1 : cols) / n;
    word4 rest = {{0, 0, 0, 0}};
    if (E != RMR_ELEM_BF16 && cols % n > 0)
        rest = rest_of_unit<E>(tile + (size_t)whole * 64, q, cols % n);
#pragma unroll
    for (uint32_t i = 0; i < piece_loads<E>(); i++) {
        const uint32_t u = unit0 + unit_of_load<E>(i);
        to->v[i] = word4{{0, 0, 0, 0}};
        if (u < whole)
            to->v[i] = load_weights(tile + (size_t)u * 64 + rows_of_unit<E>(u, q) * 16);
        else if (E != RMR_ELEM_BF16 && u == whole)
            to->v[i] = rest;
    }
}

/* Columns from c on. */
template <int E>
DEV void load_piece(piece<E, true> *to, const uint8_t *tile, uint32_t cols, uint32_t c, uint32_t)
{
    const uint32_t t = lane_of() % 4, q = lane_of() / 4 % 4, unit0 = c / unit_columns<E>() + t;
    if (E == RMR_ELEM_F8)
        to->scale = ((const float *)(const void *)(tile + (size_t)16 * cols))[c / RMR_GPU_RUN16];
    if (c + piece_columns<E>() > cols) {
        load_last<E>(to, tile, unit0, q, cols);
        return;
    }
    const uint8_t *const at = tile + (size_t)unit0 * 64 + rows_of_unit<E>(t, q) * 16;
#pragma unroll
    for (uint32_t i = 0; i < piece_loads<E>(); i++)
        to->v[i] = load_weights(at + 64 * unit_of_load<E>(i));
}

/* 16 columns: rows g and g + 8 of both instructions of a lane. */
template <int E>
DEV void fragments(uint32_t *first, uint32_t *second, const piece<E, true> &p, uint32_t s)
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
        if (E == RMR_ELEM_F8) {
            first[r] = f8_pair(p.v[s].w[r]);
            first[r + 2] = f8_pair(p.v[s].w[r] >> 16);
            second[r] = f8_pair(p.v[s].w[r + 2]);
            second[r + 2] = f8_pair(p.v[s].w[r + 2] >> 16);
        } else {
            first[r] = p.v[2 * s].w[r];
            first[r + 2] = p.v[2 * s + 1].w[r];
            second[r] = p.v[2 * s].w[r + 2];
            second[r + 2] = p.v[2 * s + 1].w[r + 2];
        }
    }
}

template <int E, int NT>
DEV void multiply_steps(float (*acc)[NT][4], const piece<E, true> &p, const operand<NT> &x,
                        uint32_t c)
{
#pragma unroll
    for (uint32_t s = 0; s < piece_columns<E>() / 16; s++) {
        word2 b[NT];
        uint32_t first[4], second[4];
        load_columns<NT>(b, x, c / 16 + s);
        fragments<E>(first, second, p, s);
#pragma unroll
        for (int i = 0; i < NT; i++) {
            if (E == RMR_ELEM_BF16) {
                mma_bf16(acc[0][i], first, b[i].w);
                mma_bf16(acc[1][i], second, b[i].w);
            } else {
                mma_f16(acc[0][i], first, b[i].w);
                mma_f16(acc[1][i], second, b[i].w);
            }
        }
    }
}

/* The sums of a run of 128 columns into the chains, with scales of activations and of F8. */
template <int NT, bool NEAR>
DEV void add_run(float (*acc)[NT][4], float (*part)[NT][4], const operand<NT> &x, float w,
                 uint32_t run)
{
#pragma unroll
    for (int i = 0; i < NT; i++)
#pragma unroll
        for (int j = 0; j < (NEAR ? 1 : 2); j++) {
            const float by = w * scale_of<NT>(x, i, j, run);
#pragma unroll
            for (int m = 0; m < 2; m++)
#pragma unroll
                for (int k = j; k < 4; k += 2) {
                    acc[m][i][k] = fmaf(part[m][i][k], by, acc[m][i][k]);
                    part[m][i][k] = 0.0f;
                }
        }
}

template <int E, int NT, bool NEAR>
DEV void multiply_piece(float (*acc)[NT][4], float (*part)[NT][4], const piece<E, true> &p,
                        const operand<NT> &x, uint32_t c, uint32_t)
{
    if constexpr (E == RMR_ELEM_BF16) {
        multiply_steps<E, NT>(acc, p, x, c);
    } else {
        multiply_steps<E, NT>(part, p, x, c);
        if ((c + piece_columns<E>()) % RMR_GPU_RUN16 == 0)
            add_run<NT, NEAR>(acc, part, x, E == RMR_ELEM_F8 ? p.scale * F8_FACTOR : 1.0f,
                              c / RMR_GPU_RUN16);
    }
}

/* ---- integer products ---- */

template <int E> struct piece<E, false> {
    run_words v[piece_columns<E>() / 32];
    raw_scales raw; /* of run t of the piece: the four lanes that have the same rows share them */
};

/* Columns from c on, of which those from `end` on are not of this slice. */
template <int E>
DEV void load_piece(piece<E, false> *to, const uint8_t *tile, uint32_t cols, uint32_t c,
                    uint32_t end)
{
    const uint32_t t = lane_of() % 4, q = lane_of() / 4 % 4, runs = piece_columns<E>() / 32,
                   run = c / 32;
    const uint8_t *const scales = tile + (size_t)(cols / 32) * run_bytes<E>(),
                         *const at = tile + (size_t)run * run_bytes<E>();
    if (c + piece_columns<E>() <= end) {
#pragma unroll
        for (uint32_t i = 0; i < runs; i++) to->v[i] = load_run<E>(at + i * run_bytes<E>(), q, t);
    } else {
#pragma unroll
        for (uint32_t i = 0; i < runs; i++)
            if (run + i < end / 32) to->v[i] = load_run<E>(at + i * run_bytes<E>(), q, t);
    }
    const uint32_t mine = run + t % runs, last = end / 32 - 1;
    load_scales<E>(&to->raw, scales, mine < last ? mine : last, q);
}

/* The sums of a sub-block into the chains: acc[k] has row k / 2 of the instruction's two. */
template <int E, bool NEAR>
DEV void add_sums(float *acc, const int32_t *sum, const float *s, const float *min, float scale0,
                  float scale1, float sum0, float sum1)
{
#pragma unroll
    for (int k = 0; k < 4; k += NEAR ? 2 : 1) {
        acc[k] = fmaf(s[k / 2] * (float)sum[k], k % 2 ? scale1 : scale0, acc[k]);
        if (has_min<E>()) acc[k] = fmaf(-min[k / 2], k % 2 ? sum1 : sum0, acc[k]);
    }
}

template <int E, int NT, bool NEAR>
DEV void run_int(float (*acc)[NT][4], const run_codes &c, const run_scales &w, const operand<NT> &x,
                 uint32_t run)
{
    word2 b[NT];
    load_columns<NT>(b, x, run);
#pragma unroll
    for (int i = 0; i < NT; i++) {
        float4 of[2] = {{0, 0, 0, 0}, {0, 0, 0, 0}}; /* scale, sum of the run, of its halves */
#pragma unroll
        for (int j = 0; j < (NEAR ? 1 : 2); j++) of[j] = scales_of<NT>(x, i, j, run);
#pragma unroll
        for (int m = 0; m < 2; m++) {
            const uint32_t v[4] = {c.low.w[2 * m], c.low.w[2 * m + 1], c.high.w[2 * m],
                                   c.high.w[2 * m + 1]};
            if (has_halves<E>()) {
                int32_t low[4] = {}, high[4] = {};
                mma_s8_half(low, v, b[i].w[0]);
                mma_s8_half(high, v + 2, b[i].w[1]);
                add_sums<E, NEAR>(acc[m][i], low, w.s[0] + 2 * m, w.min[0] + 2 * m, of[0].x,
                                  of[1].x, of[0].z, of[1].z);
                add_sums<E, NEAR>(acc[m][i], high, w.s[1] + 2 * m, w.min[1] + 2 * m, of[0].x,
                                  of[1].x, of[0].w, of[1].w);
            } else {
                int32_t sum[4] = {};
                mma_s8(sum, v, b[i].w);
                add_sums<E, NEAR>(acc[m][i], sum, w.s[0] + 2 * m, w.min[0] + 2 * m, of[0].x,
                                  of[1].x, of[0].y, of[1].y);
            }
        }
    }
}

/* The scales of lane `from`, which has the same rows. */
template <int E> DEV run_scales scales_from(const run_scales &mine, uint32_t from)
{
    run_scales w = {};
#pragma unroll
    for (int half = 0; half < (has_halves<E>() ? 2 : 1); half++)
#pragma unroll
        for (int r = 0; r < 4; r++) {
            w.s[half][r] = __shfl_sync(~0u, mine.s[half][r], (int)from);
            if (has_min<E>()) w.min[half][r] = __shfl_sync(~0u, mine.min[half][r], (int)from);
        }
    return w;
}

template <int E, int NT, bool NEAR>
DEV void multiply_piece(float (*acc)[NT][4], float (*)[NT][4], const piece<E, false> &p,
                        const operand<NT> &x, uint32_t c, uint32_t end)
{
    const uint32_t t = lane_of() % 4, four = lane_of() - t, runs = piece_columns<E>() / 32,
                   run = c / 32, mine = run + t % runs, last = end / 32 - 1;
    const run_scales w = make_scales<E>(p.raw, mine < last ? mine : last);
#pragma unroll
    for (uint32_t i = 0; i < runs; i++) {
        if (run + i > last) break;
        run_int<E, NT, NEAR>(acc, unpack_run<E>(p.v[i], t), scales_from<E>(w, four + i), x,
                             run + i);
    }
}

/* ---- a slice ---- */

template <int E> DEV uint32_t column_of(uint32_t granule)
{
    return granule * rmr_gpu_granule(rmr_gpu_form_of((rmr_elem)E));
}

/* The first pieces of granules [first, end). */
template <int E>
DEV void load_ring(piece<E> *ring, const uint8_t *tile, uint32_t cols, uint32_t first, uint32_t end)
{
    const uint32_t c = column_of<E>(first), n = piece_columns<E>(), behind = column_of<E>(end);
#pragma unroll
    for (uint32_t i = 0; i < ring_pieces<E>(); i++)
        if (c + i * n < behind) load_piece<E>(&ring[i], tile, cols, c + i * n, behind);
}

/* The chain of granules [first, end), of which the ring has the first pieces. */
template <int E, int NT, bool NEAR>
DEV void slice(float (*acc)[NT][4], piece<E> *ring, const uint8_t *tile, const operand<NT> &x,
               uint32_t cols, uint32_t first, uint32_t end)
{
    const uint32_t n = piece_columns<E>(), all = ring_pieces<E>() * n, behind = column_of<E>(end);
    float part[2][NT][4] = {};
    for (uint32_t c0 = column_of<E>(first); c0 < behind; c0 += all) {
#pragma unroll
        for (uint32_t i = 0; i < ring_pieces<E>(); i++) {
            const uint32_t c = c0 + i * n;
            if (c >= behind) break;
            multiply_piece<E, NT, NEAR>(acc, part, ring[i], x, c, behind);
            if (c + all < behind) load_piece<E>(&ring[i], tile, cols, c + all, behind);
        }
    }
}

#endif

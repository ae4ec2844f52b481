/* SPDX-License-Identifier: Apache-2.0 */
/* The multiplications of a group of warps in a stage of product_many.cuh. A stage lies in shared
 * memory like this: blocks of activations (args.h), tiles of weights as in device memory, scales of
 * tiles, scales of activations. A warp has 16 rows of weights as the instruction's first operand,
 * in registers: rows g and g + 8 of a tile in lane 4 g + t, or of two matrices row g of eight each.
 */
#ifndef RMR_CUDA_MANY_STEPS_CUH
#define RMR_CUDA_MANY_STEPS_CUH

#include "product.cuh"

#ifdef RMR_HAS_WARPGROUPS

enum {
    MANY_TILES = 8, /* in a stage */
    MANY_THIN = 32
};

template <int E> DEV constexpr uint32_t many_rows()
{
    return RMR_GPU_MANY_ROWS(E);
}

/* Few rows of activations, MANY_THIN at most, leave room for twice as many columns: N says how many
 * rows a part is multiplied with. */
template <int E, int N> DEV constexpr uint32_t many_room()
{
    return N == MANY_THIN && is_float<E>() ? MANY_THIN : many_rows<E>();
}

/* Granules of K in a stage. */
template <int E, int N> DEV constexpr uint32_t many_granules()
{
    return !is_float<E>() ? 4 : N == MANY_THIN ? 2 : 1;
}

/* Blocks of activations of a granule. */
template <int E> DEV constexpr uint32_t many_blocks()
{
    return E == RMR_ELEM_F8 ? 2 : 1;
}

/* Blocks of activations side by side in a stage. */
template <int E, int N> DEV constexpr uint32_t many_all_blocks()
{
    return is_float<E>() ? many_granules<E, N>() * many_blocks<E>() : 1;
}

/* Bytes of a tile for a granule. */
template <int E> DEV constexpr uint32_t many_codes()
{
    if constexpr (is_float<E>())
        return 2048;
    else
        return run_bytes<E>();
}

/* Bytes of the scales of a tile in a stage: of F8 one, else of a block of 256 columns or of four of
 * 32. */
template <int E> DEV constexpr uint32_t many_tile_scales()
{
    if constexpr (is_float<E>())
        return E == RMR_ELEM_F8 ? 4 : 0;
    else
        return (rmr_elem_table[E].values == 256 ? 1 : 4) * block_scale_bytes<E>();
}

/* Where the parts of a stage begin. */
template <int E, int N> DEV constexpr uint32_t many_tiles_at()
{
    return many_all_blocks<E, N>() * many_room<E, N>() * 128;
}

template <int E, int N> DEV constexpr uint32_t many_tile_scales_at()
{
    return many_tiles_at<E, N>() + MANY_TILES * many_granules<E, N>() * many_codes<E>();
}

template <int E, int N> DEV constexpr uint32_t many_scales_at()
{
    const uint32_t runs = E == RMR_ELEM_F8 ? many_granules<E, N>() : 1;
    return many_tile_scales_at<E, N>() + MANY_TILES * runs * many_tile_scales<E>();
}

template <int E> DEV constexpr uint32_t many_stage()
{
    const uint32_t scales = E == RMR_ELEM_BF16 ? 0
                            : E == RMR_ELEM_F8 ? 4
                                               : 32,
                   wide = many_scales_at<E, 0>() + many_rows<E>() * scales,
                   thin = many_scales_at<E, MANY_THIN>() + 2 * MANY_THIN * scales;
    return ((is_float<E>() && thin > wide ? thin : wide) + 1023) / 1024 * 1024;
}

/* The operands of a lane. */
typedef struct many_lane {
    uint32_t tile[2], row[2]; /* the lane's two rows of weights: tile of the stage, row of it */
    float *made;              /* scales of quantised weights: [halves][runs][rows] scale, minimum */
    bool pair;
} many_lane;

/* A lane's rows: in a pair one of each matrix, else g and g + 8 of a tile. */
DEV many_lane many_lane_of(bool pair)
{
    const uint32_t g = lane_of() / 4, w = warp_of();
    many_lane l = {};
    l.pair = pair;
    for (uint32_t i = 0; i < 2; i++) {
        l.tile[i] = pair ? w / 2 + i * (MANY_TILES / 2) : w;
        l.row[i] = pair ? w % 2 * 8 + g : i * 8 + g;
    }
    return l;
}

/* ---- 16-bit products ---- */

/* Granules i to i + G. */
template <int N, int G>
DEV void many_bf16(float *acc, const uint8_t *stage, const many_lane &l, uint32_t i)
{
    enum { E = RMR_ELEM_BF16, ALL = many_granules<E, N>(), BLOCK = many_room<E, N>() * 128 };
    const uint32_t t = lane_of() % 4;
    const uint8_t *at[2];
    uint32_t v[4 * G][4];
#pragma unroll
    for (uint32_t k = 0; k < 2; k++)
        at[k] = stage + many_tiles_at<E, N>() + (l.tile[k] * ALL + i) * 2048 + t * 64 +
                rows_of_unit<E>(t, l.row[k] / 4) * 16 + l.row[k] % 4 * 4;
#pragma unroll
    for (uint32_t s = 0; s < 4 * G; s++)
#pragma unroll
        for (uint32_t k = 0; k < 4; k++) v[s][k] = load_word(at[k % 2] + s * 512 + k / 2 * 256);
    warpgroup_begin();
#pragma unroll
    for (uint32_t s = 0; s < 4 * G; s++)
        warpgroup_bf16<N>(acc, v[s], swizzled_rows(stage + (i + s / 4) * BLOCK, s % 4 * 32), 1);
    warpgroup_end();
}

/* A run of 128 columns: its sums join the chains with the scales of the run. */
template <int N>
DEV void many_f8(float *acc, const uint8_t *stage, const many_lane &l, uint32_t run)
{
    enum { E = RMR_ELEM_F8, BLOCK = many_room<E, N>() * 128, ALL = many_granules<E, N>() };
    const uint32_t t = lane_of() % 4;
    const float *const of_tiles =
                           (const float *)(const void *)(stage + many_tile_scales_at<E, N>()) +
                           run * MANY_TILES,
                       *const scales =
                           (const float *)(const void *)(stage + many_scales_at<E, N>()) +
                           run * many_room<E, N>(),
                       w[2] = {of_tiles[l.tile[0]] * F8_FACTOR, of_tiles[l.tile[1]] * F8_FACTOR};
    const uint8_t *at[2];
    float part[N / 2];
#pragma unroll
    for (uint32_t k = 0; k < 2; k++)
        at[k] =
            stage + many_tiles_at<E, N>() + (l.tile[k] * ALL + run) * 2048 + t * 64 + l.row[k] * 4;
#pragma unroll
    for (uint32_t b = 0; b < 2; b++) {
        uint32_t v[4][4];
#pragma unroll
        for (uint32_t i = 0; i < 4; i++)
#pragma unroll
            for (uint32_t k = 0; k < 2; k++) {
                const uint32_t codes = load_word(at[k] + (b * 4 + i) * 256);
                v[i][k] = f8_pair(codes);
                v[i][k + 2] = f8_pair(codes >> 16);
            }
        warpgroup_begin();
#pragma unroll
        for (uint32_t i = 0; i < 4; i++)
            warpgroup_f16<N>(part, v[i], swizzled_rows(stage + (2 * run + b) * BLOCK, i * 32),
                             b + i);
        warpgroup_end();
    }
#pragma unroll
    for (uint32_t i = 0; i < N / 8; i++) {
        const float of[2] = {scales[8 * i + 2 * t], scales[8 * i + 2 * t + 1]};
#pragma unroll
        for (uint32_t k = 0; k < 4; k++)
            acc[4 * i + k] = fmaf(part[4 * i + k], w[k / 2] * of[k % 2], acc[4 * i + k]);
    }
}

/* ---- integer products ---- */

/* The scales of a stage, four runs of this warp's rows, by the lanes that have a quarter of the
 * rows of a run each. `first` is the stage's first run, n how many it has. */
template <int E>
DEV void many_make_scales(const uint8_t *stage, const many_lane &l, uint32_t first, uint32_t n)
{
    const uint32_t j = lane_of() % 4, run = lane_of() / 4, w = warp_of();
    __syncwarp();
    if (run < n) {
        const uint32_t tile = l.pair ? w / 2 + j / 2 * (MANY_TILES / 2) : w,
                       q = l.pair ? w % 2 * 2 + j % 2 : j,
                       i = rmr_elem_table[E].values == 256 ? first % 8 + run : run;
        raw_scales raw;
        load_scales<E>(&raw, stage + many_tile_scales_at<E, 0>() + tile * many_tile_scales<E>(), i,
                       q);
        const run_scales made = make_scales<E>(raw, i);
#pragma unroll
        for (uint32_t half = 0; half < (has_halves<E>() ? 2 : 1); half++)
#pragma unroll
            for (uint32_t r = 0; r < 4; r++) {
                float *const to = l.made + ((half * 4 + run) * 16 + j * 4 + r) * 2;
                to[0] = made.s[half][r];
                if (has_min<E>()) to[1] = made.min[half][r];
            }
    }
    __syncwarp();
}

/* The words of a run for this lane's two rows, as load_run has those of four. */
template <int E> DEV run_words many_words(const uint8_t *stage, const many_lane &l, uint32_t run)
{
    const uint32_t t = lane_of() % 4;
    run_words v = {};
#pragma unroll
    for (uint32_t k = 0; k < 2; k++) {
        const uint8_t *const at = stage + many_tiles_at<E, 0>() +
                                  (l.tile[k] * many_granules<E, 0>() + run) * run_bytes<E>() +
                                  l.row[k] * 4;
        v.a.w[k] = load_word(at + (low_bits<E>() == 2 ? t % 2 : t) * 64);
        if (low_bits<E>() == 8)
            v.b.w[k] = load_word(at + (t + 4) * 64);
        else if (high_bits<E>() > 0)
            v.b.w[k] = load_word(at + low_bits<E>() * 64 + (high_bits<E>() == 2 ? t % 2 : 0) * 64);
    }
    return v;
}

/* The sums of a run or half a run into the chains, as add_sums has them. */
template <int E, int N>
DEV void many_add(float *acc, const int32_t *sum, const uint8_t *stage, const many_lane &l,
                  uint32_t run, uint32_t half)
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4;
    const float *const made = l.made + ((half * 4 + run) * 16 + g) * 2,
                       *const scales =
                           (const float *)(const void *)(stage + many_scales_at<E, 0>()) + run * 16;
    const float s[2] = {made[0], made[16]}, min[2] = {made[1], made[17]};
#pragma unroll
    for (uint32_t i = 0; i < N / 8; i++) {
        const float4 of = load_float4(scales + i * 64 + 4 * t);
#pragma unroll
        for (uint32_t k = 0; k < 4; k++) {
            float *const to = acc + 4 * i + k;
            *to = fmaf(s[k / 2] * (float)sum[4 * i + k], k % 2 ? of.z : of.x, *to);
            if (has_min<E>()) *to = fmaf(-min[k / 2], k % 2 ? of.w : of.y, *to);
        }
    }
}

/* Of N rows of activations from row0 on; v has codes of the columns of a run, or of half of it. */
template <int E, int N>
DEV void many_sums(float *acc, const uint32_t *v, const uint8_t *stage, const many_lane &l,
                   uint32_t row0, uint32_t run, uint32_t half)
{
    int32_t sum[N / 2];
    warpgroup_begin();
    warpgroup_s8<N>(sum, v, swizzled_rows(stage + row0 * 128, run * 32), 0);
    warpgroup_end();
    many_add<E, N>(acc + row0 / 2, sum, stage + row0 * 32, l, run, half);
}

/* A run of 32 columns. Types with more than one word a code take half of the rows at a time, for
 * the registers there are. */
template <int E, int N>
DEV void many_run(float *acc, const uint8_t *stage, const many_lane &l, uint32_t run)
{
    const run_codes c = unpack_run<E>(many_words<E>(stage, l, run), lane_of() % 4);
    constexpr uint32_t n = high_bits<E>() == 0 || N == 64 ? N : has_min<E>() ? 32 : 64;
#pragma unroll
    for (uint32_t row0 = 0; row0 < N; row0 += n) {
        if constexpr (has_halves<E>()) {
            const uint32_t low[4] = {c.low.w[0], c.low.w[1], 0, 0},
                           high[4] = {0, 0, c.high.w[0], c.high.w[1]};
            many_sums<E, n>(acc, low, stage, l, row0, run, 0);
            many_sums<E, n>(acc, high, stage, l, row0, run, 1);
        } else {
            const uint32_t v[4] = {c.low.w[0], c.low.w[1], c.high.w[0], c.high.w[1]};
            many_sums<E, n>(acc, v, stage, l, row0, run, 0);
        }
    }
}

/* Granules of a stage from i on, of which `most` may be multiplied at once; how many were. */
template <int E, int N>
DEV uint32_t many_step(float *acc, const uint8_t *stage, const many_lane &l, uint32_t i,
                       uint32_t most)
{
    if constexpr (E == RMR_ELEM_BF16) {
        if (N == MANY_THIN && most > 1) {
            many_bf16<N, N == MANY_THIN ? 2 : 1>(acc, stage, l, i);
            return 2;
        }
        many_bf16<N, 1>(acc, stage, l, i);
    } else if constexpr (E == RMR_ELEM_F8) {
        many_f8<N>(acc, stage, l, i);
    } else {
        many_run<E, N>(acc, stage, l, i);
    }
    return 1;
}

#endif
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* y = W x for every element type, any number of rows, as prepared by prepare.cuh.
 *
 * The order of K, the same for every number of rows: K is cut into RMR_GPU_WARPS slices at
 * multiples of the form's granule; a slice is one chain, warp w has slice w; the slices are added
 * as a tree; parts of an activation are added last, the smallest first. Inside of a chain: BF16 one
 * matrix instruction for each 16 columns; F16 and F8 the same within each run of 128 columns, and
 * the runs by a fused multiply-add with their scales; the integer types as kernels.h has it, exact
 * sums of 32 or 16 columns and two or three float operations. */
#ifndef RMR_CUDA_PRODUCT_CUH
#define RMR_CUDA_PRODUCT_CUH

#include "codes.cuh"
#include "layout.cuh"
#include "prepare.cuh"

/* The columns of activations of one pass: column n of the instruction's N tiles is prepared row
 * at[n]; -1: none, which is zero. */
template <int NT> struct operand {
    const uint8_t *x;
    uint64_t ld;
    const float *scales;
    uint64_t scale_ld;
    int32_t row[NT];     /* of column 8 i + g, whose values this lane multiplies */
    int32_t sum[NT][2];  /* of columns 8 i + 2 t and the next, whose sums this lane has; in rows of
                            scales */
    const float *direct; /* of column g: floats that are rounded as they are read (only of BF16 and
                            one tile); NULL: none, which is zero */
    uint32_t part;       /* which part of them */
};

/* A part of four floats as bf16 (prepare.cuh, put_bf16). */
DEV word2 bf16_part(const float *x, uint32_t part)
{
    float v[4] = {x[0], x[1], x[8], x[9]};
    word2 b = word2{{bf16_pair(v[0], v[1]), bf16_pair(v[2], v[3])}};
    for (; part > 0; part--) {
#pragma unroll
        for (int i = 0; i < 4; i++) v[i] -= rmr_bf16_to_f32((uint16_t)(b.w[i / 2] >> i % 2 * 16));
        b = word2{{bf16_pair(v[0], v[1]), bf16_pair(v[2], v[3])}};
    }
    return b;
}

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

/* ---- 16-bit products ---- */

template <int E, int NT, bool DIRECT>
DEV void step16(float (*acc)[NT][4], const uint8_t *tile, const operand<NT> &x, uint32_t step,
                uint32_t cols)
{
    const uint32_t t = lane_of() % 4, q = lane_of() / 4 % 4;
    word2 b[NT];
    uint32_t first[4], second[4];
    if (E == RMR_ELEM_F8) {
        const word4 v = load_unit<E>(tile, step * 4 + t, q, cols);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            first[r] = f8_pair(v.w[r]);
            first[r + 2] = f8_pair(v.w[r] >> 16);
            second[r] = f8_pair(v.w[r + 2]);
            second[r + 2] = f8_pair(v.w[r + 2] >> 16);
        }
    } else {
        const word4 low = load_unit<E>(tile, step * 8 + t, q, cols),
                    high = load_unit<E>(tile, step * 8 + t + 4, q, cols);
#pragma unroll
        for (int r = 0; r < 2; r++) {
            first[r] = low.w[r];
            first[r + 2] = high.w[r];
            second[r] = low.w[r + 2];
            second[r + 2] = high.w[r + 2];
        }
    }
    if (DIRECT) {
        b[0] = word2{{0, 0}};
        if (x.direct != NULL) b[0] = bf16_part(x.direct + step * 16 + 2 * t, x.part);
    } else {
        load_columns<NT>(b, x, step);
    }
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

template <int NT, bool DIRECT>
DEV void slice_bf16(float (*acc)[NT][4], const uint8_t *tile, const operand<NT> &x, uint32_t cols,
                    uint32_t first, uint32_t end)
{
#pragma unroll(NT == 1 ? 8 : 4)
    for (uint32_t s = first * 4; s < end * 4; s++)
        step16<RMR_ELEM_BF16, NT, DIRECT>(acc, tile, x, s, cols);
}

/* Runs of 128 columns with scales of activations, and of F8 weights. */
template <int E, int NT>
DEV void slice_runs(float (*acc)[NT][4], const uint8_t *tile, const operand<NT> &x, uint32_t cols,
                    uint32_t first, uint32_t end)
{
#pragma unroll(NT == 1 ? 2 : 1)
    for (uint32_t run = first; run < end; run++) {
        float part[2][NT][4] = {};
        float w = 1.0f;
        if (E == RMR_ELEM_F8)
            w = ((const float *)(const void *)(tile + (size_t)16 * cols))[run] * F8_FACTOR;
#pragma unroll
        for (uint32_t s = 0; s < 8; s++) step16<E, NT, false>(part, tile, x, run * 8 + s, cols);
#pragma unroll
        for (int i = 0; i < NT; i++)
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const float by = w * scale_of<NT>(x, i, j, run);
#pragma unroll
                for (int m = 0; m < 2; m++)
#pragma unroll
                    for (int k = j; k < 4; k += 2)
                        acc[m][i][k] = fmaf(part[m][i][k], by, acc[m][i][k]);
            }
    }
}

/* ---- integer products ---- */

/* The sums of a sub-block into the chains: acc[k] has row k / 2 of the instruction's two. */
template <int E>
DEV void add_sums(float *acc, const int32_t *sum, const float *s, const float *min, float scale0,
                  float scale1, float sum0, float sum1)
{
#pragma unroll
    for (int k = 0; k < 4; k++) {
        acc[k] = fmaf(s[k / 2] * (float)sum[k], k % 2 ? scale1 : scale0, acc[k]);
        if (has_min<E>()) acc[k] = fmaf(-min[k / 2], k % 2 ? sum1 : sum0, acc[k]);
    }
}

template <int E, int NT>
DEV void run_int(float (*acc)[NT][4], const run_codes &c, const run_scales &w, const operand<NT> &x,
                 uint32_t run)
{
    word2 b[NT];
    load_columns<NT>(b, x, run);
#pragma unroll
    for (int i = 0; i < NT; i++) {
        float4 of[2]; /* scale, sum of the run, of its halves */
#pragma unroll
        for (int j = 0; j < 2; j++) of[j] = scales_of<NT>(x, i, j, run);
#pragma unroll
        for (int m = 0; m < 2; m++) {
            const uint32_t v[4] = {c.low.w[2 * m], c.low.w[2 * m + 1], c.high.w[2 * m],
                                   c.high.w[2 * m + 1]};
            if (has_halves<E>()) {
                int32_t low[4] = {}, high[4] = {};
                mma_s8_half(low, v, b[i].w[0]);
                mma_s8_half(high, v + 2, b[i].w[1]);
                add_sums<E>(acc[m][i], low, w.s[0] + 2 * m, w.min[0] + 2 * m, of[0].x, of[1].x,
                            of[0].z, of[1].z);
                add_sums<E>(acc[m][i], high, w.s[1] + 2 * m, w.min[1] + 2 * m, of[0].x, of[1].x,
                            of[0].w, of[1].w);
            } else {
                int32_t sum[4] = {};
                mma_s8(sum, v, b[i].w);
                add_sums<E>(acc[m][i], sum, w.s[0] + 2 * m, w.min[0] + 2 * m, of[0].x, of[1].x,
                            of[0].y, of[1].y);
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

/* Of four runs each lane of four, which have the same rows, makes the scales of one. */
template <int E, int NT>
DEV void slice_int(float (*acc)[NT][4], const uint8_t *tile, const operand<NT> &x, uint32_t cols,
                   uint32_t first, uint32_t end)
{
    const uint32_t t = lane_of() % 4, q = lane_of() / 4 % 4, four = lane_of() - t;
    const uint8_t *const scales = tile + (size_t)(cols / 32) * run_bytes<E>();
    for (uint32_t run0 = first; run0 < end; run0 += 4) {
        run_scales mine = {};
        if (run0 + t < end) load_scales<E>(&mine, scales, run0 + t, q);
#pragma unroll(NT == 1 ? 4 : 2)
        for (uint32_t i = 0; i < 4; i++) {
            if (run0 + i >= end) break;
            const run_words v = load_run<E>(tile + (size_t)(run0 + i) * run_bytes<E>(), q, t);
            run_int<E, NT>(acc, unpack_run<E>(v, t), scales_from<E>(mine, four + i), x, run0 + i);
        }
    }
}

template <int E, int NT>
DEV void slice(float (*acc)[NT][4], const uint8_t *tile, const operand<NT> &x, bool direct,
               uint32_t cols, uint32_t first, uint32_t end)
{
    if constexpr (E == RMR_ELEM_BF16 && NT == 1) {
        if (direct)
            slice_bf16<NT, true>(acc, tile, x, cols, first, end);
        else
            slice_bf16<NT, false>(acc, tile, x, cols, first, end);
    } else if constexpr (E == RMR_ELEM_BF16)
        slice_bf16<NT, false>(acc, tile, x, cols, first, end);
    else if constexpr (E == RMR_ELEM_F16 || E == RMR_ELEM_F8)
        slice_runs<E, NT>(acc, tile, x, cols, first, end);
    else
        slice_int<E, NT>(acc, tile, x, cols, first, end);
}

/* ---- jobs: which matrix, which rows ---- */

DEV const rmr_gpu_product &product_of(const rmr_gpu_products &both)
{
    return both.of[blockIdx.x >= both.blocks];
}

/* The number of this block among those of its product. */
DEV uint32_t block_of(const rmr_gpu_products &both)
{
    return blockIdx.x >= both.blocks ? blockIdx.x - both.blocks : blockIdx.x;
}

typedef struct product_job {
    uint32_t number; /* of the product's jobs */
    uint32_t x;      /* which of the job's blocks this is */
    uint32_t matrix; /* of the stack */
    uint32_t first;  /* entry, with lists */
    uint32_t n;      /* rows */
} product_job;

DEV product_job job_of(const rmr_gpu_product &a, uint32_t block)
{
    const uint32_t number = block / a.across;
    product_job j = {number, block % a.across, number, 0, rows_of(a.in, a.rows)};
    if (a.lists.n == NULL) {
        if (a.per_row == 1) j.matrix = 0;
        return j;
    }
    j.matrix = j.n = 0;
    if (number >= *a.lists.n) return j;
    j.matrix = a.lists.expert[number];
    j.first = a.lists.first[number];
    if (j.matrix >= a.w.count)
        j.matrix = 0;
    else
        j.n = a.lists.first[number + 1] - j.first;
    return j;
}

/* The prepared row of the job's row i, without its parts. */
DEV uint32_t source_of(const rmr_gpu_product &a, const product_job &j, uint32_t i)
{
    if (a.lists.n != NULL) {
        const uint32_t choice = a.lists.choice[j.first + i];
        return a.by_choice ? choice : choice / a.lists.n_used;
    }
    return a.per_row == 1 ? i : i * a.per_row + j.number;
}

template <int NT>
DEV void place_columns(operand<NT> *x, const rmr_gpu_product &a, const product_job &j, uint32_t i0)
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4, most = NT * 8 / a.parts;
#pragma unroll
    for (int i = 0; i < NT; i++) {
        const uint32_t c = 8 * (uint32_t)i + g, r = c / a.parts;
        x->row[i] = r < most && i0 + r < j.n
                        ? (int32_t)(source_of(a, j, i0 + r) * a.parts + c % a.parts)
                        : -1;
#pragma unroll
        for (uint32_t k = 0; k < 2; k++) {
            const uint32_t rs = (8 * (uint32_t)i + 2 * t + k) / a.parts;
            x->sum[i][k] = rs < most && i0 + rs < j.n ? (int32_t)source_of(a, j, i0 + rs) : -1;
        }
    }
    if (!a.direct) return;
    const uint32_t r = g / a.parts;
    x->part = g % a.parts;
    x->direct = NULL;
    if (r >= most || i0 + r >= j.n) return;
    const uint32_t source = source_of(a, j, i0 + r);
    x->direct =
        a.floats.at + (source / a.per_row) * a.floats.ld + (size_t)(source % a.per_row) * a.step;
}

/* The tile of this lane's rows; behind the last one it is the last one, whose results are not kept:
 * every address that a lane makes is one of the weight's. */
DEV const uint8_t *tile_of(const rmr_gpu_product &a, const product_job &j)
{
    const uint32_t second = lane_of() / 16;
    const rmr_gpu_weight &w = a.w2.at != NULL && second ? a.w2 : a.w;
    const uint32_t t = a.w2.at != NULL ? j.x : j.x * 2 + second, last = (w.rows + 15) / 16 - 1;
    return w.at + (size_t)j.matrix * w.stride + (size_t)(t < last ? t : last) * w.tile;
}

/* ---- the end of a product ---- */

enum { REDUCE_LD = RMR_GPU_UNIT + 1 };

/* Sums of this warp's slice: to[column][row]. */
template <int NT> DEV void leave_sums(float *to, const float (*acc)[NT][4])
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4, row = g / 4 * 16 + g % 4 * 4;
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int i = 0; i < NT; i++)
#pragma unroll
            for (int k = 0; k < 4; k++)
                to[(8 * (uint32_t)i + 2 * t + k % 2) * REDUCE_LD + row + 2 * m + k / 2] =
                    acc[m][i][k];
}

/* The slices of a column and row together. */
template <int NT> DEV float sum_slices(const float *at, uint32_t column, uint32_t row)
{
    float v[RMR_GPU_WARPS];
    for (int w = 0; w < RMR_GPU_WARPS; w++)
        v[w] = at[(size_t)w * NT * 8 * REDUCE_LD + column * REDUCE_LD + row];
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

template <int NT> DEV float sum_parts(const float *at, uint32_t i, uint32_t parts, uint32_t row)
{
    float v = sum_slices<NT>(at, (i + 1) * parts - 1, row);
    for (uint32_t p = parts - 1; p > 0; p--) v += sum_slices<NT>(at, i * parts + p - 1, row);
    return v;
}

DEV void store(const rmr_gpu_product &a, const product_job &j, uint32_t i, uint32_t row, float v)
{
    const uint32_t choice = a.lists.n != NULL ? a.lists.choice[j.first + i] : 0,
                   r = a.lists.n != NULL ? choice / a.lists.n_used : i,
                   part = a.lists.n != NULL ? choice % a.lists.n_used : j.number;
    float *const y = a.y.at + r * a.y.ld + (size_t)part * a.y_step + row;
    if (a.bias != NULL) v += a.bias[row];
    if (a.add) v = *y + v;
    *y = v;
}

template <int NT>
DEV void store_all(const rmr_gpu_product &a, const product_job &j, const float *sums, uint32_t i0)
{
    const uint32_t most = NT * 8 / a.parts, n = j.n - i0 < most ? j.n - i0 : most;
    const bool pair = a.w2.at != NULL;
    const uint32_t rows = pair ? 16 : RMR_GPU_UNIT, row0 = j.x * rows;
    for (uint32_t k = thread_of(); k < n * rows; k += RMR_GPU_WARPS * 32) {
        const uint32_t i = k / rows, r = k % rows;
        if (row0 + r >= a.w.rows) continue;
        if (a.lists.n == NULL && !row_is(a.in, i0 + i, a.only)) continue;
        float v = sum_parts<NT>(sums, i, a.parts, r);
        if (pair) {
            const float up = sum_parts<NT>(sums, i, a.parts, 16 + r);
            v = (v / (1.0f + rmr_expf(-v))) * up;
        }
        store(a, j, i0 + i, row0 + r, v);
    }
}

/* Bytes of a granule of K in a tile. */
template <int E> DEV constexpr uint32_t granule_bytes()
{
    return E == RMR_ELEM_BF16 || E == RMR_ELEM_F8 ? 2048
           : E == RMR_ELEM_F16                    ? 4096
                                                  : run_bytes<E>();
}

/* Slice of K of this warp, in granules. */
template <int E> DEV void slice_of(const rmr_gpu_product &a, uint32_t *first, uint32_t *end)
{
    const uint32_t granule = rmr_gpu_granule(rmr_gpu_form_of((rmr_elem)E)), w = warp_of();
    const uint32_t granules = (a.w.cols + granule - 1) / granule;
    *first = granules * w / RMR_GPU_WARPS;
    *end = granules * (w + 1) / RMR_GPU_WARPS;
}

/* Before the last kernel is done: which weights those of a list are is not known then. */
template <int E> DEV void prefetch_slice(const rmr_gpu_products &both)
{
    const rmr_gpu_product &a = product_of(both);
    uint32_t first, end;
    if (a.lists.n != NULL || blockIdx.z > 0 || lane_of() % 16 != 0) return;
    slice_of<E>(a, &first, &end);
    const uint32_t from = first * granule_bytes<E>(), to = end * granule_bytes<E>();
    prefetch(tile_of(a, job_of(a, block_of(both))) + from,
             ((to < a.w.tile ? to : a.w.tile) - from) / 16 * 16);
}

/* Columns behind those of K, of the rows of this pass. */
DEV void copy_tail(const rmr_gpu_product &a, const product_job &j, uint32_t i0, uint32_t n)
{
    for (uint32_t k = thread_of(); k < n * a.tail; k += RMR_GPU_WARPS * 32) {
        const uint32_t r = i0 + k / a.tail, c = k % a.tail;
        if (row_is(a.in, r, a.only))
            a.y.at[r * a.y.ld + (size_t)j.number * a.y_step + a.w.rows + c] =
                a.floats.at[r * a.floats.ld + (size_t)j.number * a.step + a.w.cols + c];
    }
}

/* Rows of floats as this warp's slice needs them, in shared memory from `at` on. */
template <int E>
DEV void own_columns(operand<1> *x, const rmr_gpu_product &a, const product_job &j, uint32_t first,
                     uint32_t end, uint8_t *at)
{
    const rmr_gpu_form form = rmr_gpu_form_of((rmr_elem)E);
    const uint32_t c0 = first * rmr_gpu_granule(form), c1 = end * rmr_gpu_granule(form);
    const uint32_t ld = rmr_gpu_form_bytes(form, c1 - c0),
                   n_scales = rmr_gpu_form_scales(form, c1 - c0);
    float *const scales = (float *)(void *)(at + (size_t)j.n * a.parts * ld);
    for (uint32_t r = 0; r < j.n; r++) {
        const uint32_t source = source_of(a, j, r);
        const float *const from = a.floats.at + (source / a.per_row) * a.floats.ld +
                                  (size_t)(source % a.per_row) * a.step;
        const prepared_row to = {form, a.parts, at + (size_t)r * a.parts * ld, ld,
                                 scales + r * n_scales};
        for (uint32_t c = lane_of() * 4; c < c1 - c0 + lane_of() * 4; c += 128) {
            float v[4];
            for (uint32_t k = 0; k < 4; k++) v[k] = c0 + c + k < a.w.cols ? from[c0 + c + k] : 0.0f;
            put_columns(to, c, c1 - c0, v);
        }
    }
    __syncwarp();
    const uint32_t g = lane_of() / 4, t = lane_of() % 4;
    x->x = at - rmr_gpu_form_bytes(form, c0);
    x->ld = ld;
    x->scales = scales - rmr_gpu_form_scales(form, c0);
    x->scale_ld = n_scales;
    x->row[0] = g < j.n * a.parts ? (int32_t)g : -1;
    for (uint32_t k = 0; k < 2; k++) {
        const uint32_t r = (2 * t + k) / a.parts;
        x->sum[0][k] = r < j.n ? (int32_t)r : -1;
    }
}

/* The activations that this lane multiplies with, of the rows from i0 on. */
template <int E, int NT>
DEV void place_operand(operand<NT> *x, const rmr_gpu_product &a, const product_job &j, uint32_t i0,
                       uint32_t first, uint32_t end)
{
    if constexpr (NT == 1 && E != RMR_ELEM_BF16) {
        if (a.own > 0) {
            uint8_t *const own =
                shared_memory() + RMR_GPU_WARPS * RMR_GPU_COLUMNS * REDUCE_LD * sizeof(float);
            own_columns<E>(x, a, j, first, end, own + warp_of() * a.own);
            return;
        }
    }
    place_columns<NT>(x, a, j, i0);
}

template <int E, int NT> DEV void product(const rmr_gpu_products &both)
{
    const rmr_gpu_product &a = product_of(both);
    const product_job j = job_of(a, block_of(both));
    const uint32_t w = warp_of();
    uint32_t first, end;
    slice_of<E>(a, &first, &end);
    const uint8_t *const tile = tile_of(a, j);
    float *const sums = (float *)(void *)shared_memory();
    operand<NT> x = {a.x, a.ldx, a.scales, a.scale_ld, {}, {}, NULL, 0};
    for (uint32_t i0 = blockIdx.z * (NT * 8 / a.parts); i0 < j.n;
         i0 += gridDim.z * (NT * 8 / a.parts)) {
        float acc[2][NT][4] = {};
        place_operand<E, NT>(&x, a, j, i0, first, end);
        slice<E, NT>(acc, tile, x, a.direct, a.w.cols, first, end);
        leave_sums<NT>(sums + (size_t)w * NT * 8 * REDUCE_LD, acc);
        __syncthreads();
        store_all<NT>(a, j, sums, i0);
        if (a.tail > 0 && j.x == 0)
            copy_tail(a, j, i0, j.n - i0 < NT * 8 / a.parts ? j.n - i0 : NT * 8 / a.parts);
        __syncthreads();
    }
}

#define PRODUCT(name, elem)                                                                        \
    KERNEL_BEFORE(product_##name, rmr_gpu_products, RMR_GPU_WARPS * 32, 2,                         \
                  prefetch_slice<elem>(a))                                                         \
    {                                                                                              \
        product<elem, 1>(a);                                                                       \
    }                                                                                              \
    KERNEL(product_##name##_wide, rmr_gpu_products, RMR_GPU_WARPS * 32, 1)                         \
    {                                                                                              \
        product<elem, RMR_GPU_WIDE>(a);                                                            \
    }

#endif

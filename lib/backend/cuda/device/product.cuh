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

#include "pieces.cuh"
#include "prepare.cuh"

/* ---- jobs: which matrix, which rows ---- */

DEV const rmr_gpu_product &product_of(const rmr_gpu_products &both, uint32_t block)
{
    return both.of[block >= both.blocks];
}

/* The number of a block among those of its product. */
DEV uint32_t block_of(const rmr_gpu_products &both, uint32_t block)
{
    return block >= both.blocks ? block - both.blocks : block;
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
    if (a.lists.ids != NULL) {
        j.matrix = load_fresh(a.lists.ids + number);
        j.first = number;
        j.n = j.matrix < a.w.count;
        if (j.n == 0) j.matrix = 0;
        return j;
    }
    if (number >= *a.lists.n) return j;
    j.matrix = a.lists.expert[number];
    j.first = a.lists.first[number];
    if (j.matrix >= a.w.count)
        j.matrix = 0;
    else
        j.n = a.lists.first[number + 1] - j.first;
    return j;
}

DEV uint32_t choice_of(const rmr_gpu_product &a, const product_job &j, uint32_t i)
{
    return a.lists.ids != NULL ? j.first : a.lists.choice[j.first + i];
}

/* The prepared row of the job's row i, without its parts. */
DEV uint32_t source_of(const rmr_gpu_product &a, const product_job &j, uint32_t i)
{
    if (a.lists.n != NULL) {
        const uint32_t choice = choice_of(a, j, i);
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

/* Sums of this warp's slice: to[column][row]. NEAR: of even columns of the instruction. */
template <int NT, bool NEAR> DEV void leave_sums(float *to, const float (*acc)[NT][4])
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4, row = g / 4 * 16 + g % 4 * 4;
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int i = 0; i < NT; i++)
#pragma unroll
            for (int k = 0; k < 4; k += NEAR ? 2 : 1)
                to[(NEAR ? t : 8 * (uint32_t)i + 2 * t + k % 2) * REDUCE_LD + row + 2 * m + k / 2] =
                    acc[m][i][k];
}

/* The slices of a column and row together, in order: product_many.cuh keeps one sum. */
template <int NT> DEV float sum_slices(const float *at, uint32_t column, uint32_t row)
{
    float v[RMR_GPU_WARPS], sum = 0;
    for (int w = 0; w < RMR_GPU_WARPS; w++)
        v[w] = at[(size_t)w * NT * 8 * REDUCE_LD + column * REDUCE_LD + row];
    for (int w = 0; w < RMR_GPU_WARPS; w++) sum += v[w];
    return sum;
}

template <int NT> DEV float sum_parts(const float *at, uint32_t i, uint32_t parts, uint32_t row)
{
    float v = sum_slices<NT>(at, (i + 1) * parts - 1, row);
    for (uint32_t p = parts - 1; p > 0; p--) v += sum_slices<NT>(at, i * parts + p - 1, row);
    return v;
}

DEV void store(const rmr_gpu_product &a, const product_job &j, uint32_t i, uint32_t row, float v)
{
    const uint32_t choice = a.lists.n != NULL ? choice_of(a, j, i) : 0,
                   r = a.lists.n != NULL ? choice / a.lists.n_used : i,
                   part = a.lists.n != NULL ? choice % a.lists.n_used : j.number;
    float *const y = a.y.at + r * a.y.ld + (size_t)part * a.y_step + row;
    if (a.bias != NULL) v += a.bias[row];
    if (a.add) v = *y + v;
    *y = v;
}

/* By the threads from the first one of warp `warp` on. */
template <int NT>
DEV void store_all(const rmr_gpu_product &a, const product_job &j, const float *sums, uint32_t i0,
                   uint32_t warp)
{
    const uint32_t thread = (thread_of() - warp * 32) % (RMR_GPU_WARPS * 32);
    const uint32_t most = NT * 8 / a.parts, n = j.n - i0 < most ? j.n - i0 : most;
    const bool pair = a.w2.at != NULL;
    const uint32_t rows = pair ? 16 : RMR_GPU_UNIT, row0 = j.x * rows;
    for (uint32_t k = thread; k < n * rows; k += RMR_GPU_WARPS * 32) {
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

/* Slice of K of this warp, in granules. */
template <int E> DEV void slice_of(const rmr_gpu_product &a, uint32_t *first, uint32_t *end)
{
    const uint32_t granule = rmr_gpu_granule(rmr_gpu_form_of((rmr_elem)E)), w = warp_of();
    const uint32_t granules = (a.w.cols + granule - 1) / granule;
    *first = granules * w / RMR_GPU_WARPS;
    *end = granules * (w + 1) / RMR_GPU_WARPS;
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

/* Where this warp multiplies. */
typedef struct place {
    product_job j;
    const uint8_t *tile;
    uint32_t first, end; /* granules of K */
} place;

/* This warp's slice of the rows from i0 on; `ring` has its first pieces. */
template <int E, int NT>
DEV void multiply_slice(const rmr_gpu_product &a, const place &p, piece<E> *ring, uint32_t i0)
{
    float *const sums = (float *)(void *)shared_memory() + (size_t)warp_of() * NT * 8 * REDUCE_LD;
    float acc[2][NT][4] = {};
    operand<NT> x = {a.x, a.ldx, a.scales, a.scale_ld, {}, {}};
    place_columns<NT>(&x, a, p.j, i0);
    slice<E, NT, false>(acc, ring, p.tile, x, a.w.cols, p.first, p.end);
    leave_sums<NT, false>(sums, acc);
}

/* The first weights are on their way before the last kernel is waited for; those of lists only
 * behind that, for which experts they are is not known before. */
template <int E, int NT> DEV void product(const rmr_gpu_products &both)
{
    const rmr_gpu_product &a = product_of(both, blockIdx.x);
    const float *const sums = (const float *)(const void *)shared_memory();
    const uint32_t pass = NT * 8 / a.parts;
    if (a.lists.n != NULL) wait_for_last();
    place p = {job_of(a, block_of(both, blockIdx.x)), NULL, 0, 0};
    slice_of<E>(a, &p.first, &p.end);
    p.tile = tile_of(a, p.j);
    piece<E> ring[ring_pieces<E>()] = {};
    if (blockIdx.z * pass < p.j.n) load_ring<E>(ring, p.tile, a.w.cols, p.first, p.end);
    if (a.lists.n == NULL) wait_for_last();
    for (uint32_t i0 = blockIdx.z * pass; i0 < p.j.n; i0 += gridDim.z * pass) {
        if (i0 != blockIdx.z * pass) load_ring<E>(ring, p.tile, a.w.cols, p.first, p.end);
        multiply_slice<E, NT>(a, p, ring, i0);
        __syncthreads();
        store_all<NT>(a, p.j, sums, i0, 0);
        if (a.tail > 0 && p.j.x == 0) copy_tail(a, p.j, i0, p.j.n - i0 < pass ? p.j.n - i0 : pass);
        __syncthreads();
    }
}

#define PRODUCT(name, elem)                                                                        \
    KERNEL_WAITS(product_##name, rmr_gpu_products, RMR_GPU_WARPS * 32, 2)                          \
    {                                                                                              \
        product<elem, 1>(a);                                                                       \
    }                                                                                              \
    KERNEL_WAITS(product_##name##_wide, rmr_gpu_products, RMR_GPU_WARPS * 32, 1)                   \
    {                                                                                              \
        product<elem, RMR_GPU_WIDE>(a);                                                            \
    }

#endif

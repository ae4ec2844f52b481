/* SPDX-License-Identifier: Apache-2.0 */
/* y = W x of one or two rows, with the bits of product.cuh: a warp has the same slice of K and the
 * same chain. What differs is who does it and when.
 *
 * As many blocks as there is room for have tiles of rows one after the other: when a place of the
 * ring has been multiplied for the last time in a tile, the piece of the next tile is asked for, so
 * memory is busy while slices are added up. There is one barrier a tile, for sums change places.
 * Each warp prepares its slice of the rows itself, and keeps it while the next tile has the same.
 *
 * Along with it: queries are turned and keys written by blocks of their own while others absorb
 * (`turning`); what comes last of the experts of a row adds them up (`arrive`). */
#ifndef RMR_CUDA_PRODUCT_FEW_CUH
#define RMR_CUDA_PRODUCT_FEW_CUH

#include "experts.cuh"
#include "product.cuh"
#include "rows.cuh"

/* A warp's part of a tile: granules [first, end), none where there is nothing to do. */
typedef struct strip {
    const uint8_t *tile;
    uint32_t cols, first, end;
} strip;

/* ---- weights ---- */

/* The first pieces. */
template <int E> DEV void load_first(piece<E> *ring, const strip &w)
{
    const uint32_t c = column_of<E>(w.first), n = piece_columns<E>(), behind = column_of<E>(w.end);
#pragma unroll
    for (uint32_t i = 0; i < ring_pieces<E>(); i++)
        if (c + i * n < behind) load_piece<E>(&ring[i], w.tile, w.cols, c + i * n, behind);
}

/* The chain of a strip, of which the ring has the first pieces. A place of the ring that this strip
 * has no more use for gets the piece of the next one. */
template <int E>
DEV void strip_of(float (*acc)[1][4], piece<E> *ring, const strip &w, const operand<1> &x,
                  const strip &next)
{
    const uint32_t n = piece_columns<E>(), all = ring_pieces<E>() * n,
                   first = column_of<E>(w.first), behind = column_of<E>(w.end);
    float part[2][1][4] = {};
    uint32_t c0 = first;
    do {
#pragma unroll
        for (uint32_t i = 0; i < ring_pieces<E>(); i++) {
            const uint32_t c = c0 + i * n;
            const bool has = c < behind, more = c + all < behind, free = has || c0 == first;
            if (has) multiply_piece<E, 1, true>(acc, part, ring[i], x, c, behind);
            const uint32_t at = more ? c + all : column_of<E>(next.first) + i * n,
                           last = more ? behind : column_of<E>(next.end);
            if (free && at < last)
                load_piece<E>(&ring[i], more ? w.tile : next.tile, more ? w.cols : next.cols, at,
                              last);
        }
        c0 += all;
    } while (c0 < behind);
}

/* ---- activations ---- */

/* What a warp has prepared in shared memory. */
typedef struct own_rows {
    const float *from; /* the first of them; NULL: nothing */
    uint32_t n, cols;
} own_rows;

DEV const float *own_source(const rmr_gpu_product &a, const product_job &j, uint32_t r)
{
    const uint32_t source = source_of(a, j, r);
    return a.floats.at + (source / a.per_row) * a.floats.ld + (size_t)(source % a.per_row) * a.step;
}

/* Rows of floats as this warp's slice needs them, in shared memory from `at` on, where they may
 * already be. */
template <int E>
DEV void own_columns(operand<1> *x, own_rows *have, const rmr_gpu_product &a, const product_job &j,
                     uint32_t first, uint32_t end, uint8_t *at)
{
    const rmr_gpu_form form = rmr_gpu_form_of((rmr_elem)E);
    const uint32_t c0 = first * rmr_gpu_granule(form), c1 = end * rmr_gpu_granule(form);
    const uint32_t ld = rmr_gpu_form_bytes(form, c1 - c0),
                   n_scales = rmr_gpu_form_scales(form, c1 - c0);
    float *const scales = (float *)(void *)(at + (size_t)j.n * a.parts * ld);
    const own_rows wanted = {own_source(a, j, 0), j.n, a.w.cols};
    if (j.n > 1 || have->n != 1 || have->from != wanted.from || have->cols != wanted.cols) {
        __syncwarp(); /* the last ones have been read */
        for (uint32_t r = 0; r < j.n; r++) {
            const float *const from = own_source(a, j, r);
            const prepared_row to = {form, a.parts, at + (size_t)r * a.parts * ld, ld,
                                     scales + r * n_scales};
            for (uint32_t c = lane_of() * 4; c < c1 - c0 + lane_of() * 4; c += 128) {
                float v[4];
                four_columns(v, from, c0 + c, a.w.cols);
                put_columns(to, c, c1 - c0, v);
            }
        }
        __syncwarp();
        *have = wanted;
    }
    const uint32_t g = lane_of() / 4, t = lane_of() % 4;
    x->x = at - rmr_gpu_form_bytes(form, c0);
    x->ld = ld;
    x->scales = scales - rmr_gpu_form_scales(form, c0);
    x->scale_ld = n_scales;
    x->row[0] = g % 2 == 0 && g / 2 < j.n * a.parts ? (int32_t)(g / 2) : -1;
    x->sum[0][0] = t / a.parts < j.n ? (int32_t)(t / a.parts) : -1;
    x->sum[0][1] = -1;
}

/* ---- what goes along ---- */

/* Columns behind those of K as in copy_tail, of queries that are not turned yet; they are then, in
 * both places. */
DEV void turn_tail(const rmr_gpu_product &a, const product_job &j, const rmr_gpu_rope &turning)
{
    const uint32_t half = a.tail / 2;
    for (uint32_t i = thread_of(); i < j.n * half; i += RMR_GPU_WARPS * 32) {
        const uint32_t r = i / half, k = i % half;
        float *const from = a.floats.at + r * a.floats.ld + (size_t)j.number * a.step + a.w.cols,
                     *const to = a.y.at + r * a.y.ld + (size_t)j.number * a.y_step + a.w.rows;
        uint32_t u, v;
        pair_columns(turning.rotary, k, &u, &v);
        float x = from[u], y = from[v];
        turn(&x, &y, turning.cs.at + r * turning.cs.ld + 2 * k);
        from[u] = to[u] = x;
        from[v] = to[v] = y;
    }
}

/* Of a row's experts: rows of the weights of one block, by the warp that has stored the results, if
 * all the others that have the same rows have been here. A lane has a row. */
DEV void arrive(const rmr_gpu_products &both, const product_job &j, uint32_t warp)
{
    if (warp_of() != warp % RMR_GPU_WARPS) return;
    uint32_t before = 0;
    fence_device();
    __syncwarp();
    if (lane_of() == 0) before = atomicAdd(&both.combine.arrived[j.x], 1u);
    before = __shfl_sync(~0u, before, 0);
    if (before + 1 != both.arrivals) return;
    fence_device();
    if (lane_of() == 0) both.combine.arrived[j.x] = 0;
    const uint32_t c = j.x * RMR_GPU_UNIT + lane_of();
    if (c < both.combine.n) combine_column(both.combine, 0, c);
}

/* ---- blocks ---- */

enum { FEW_SUMS = RMR_GPU_WARPS * 8 * REDUCE_LD }; /* of all slices of a tile: there are two */

/* Where this warp multiplies next. */
typedef struct place_few {
    product_job j;
    strip w;
} place_few;

/* j.n is 0 behind the last block, and where a list is empty. */
template <int E> DEV place_few place_of(const rmr_gpu_products &both, uint32_t block)
{
    place_few p = {};
    if (block >= both.all) return p;
    const rmr_gpu_product &a = product_of(both, block);
    p.j = job_of(a, block_of(both, block));
    if (p.j.n == 0) return p;
    slice_of<E>(a, &p.w.first, &p.w.end);
    p.w.tile = tile_of(a, p.j);
    p.w.cols = a.w.cols;
    return p;
}

DEV void wait_few(const rmr_gpu_products &both)
{
    if (both.late)
        wait_before_next();
    else
        wait_for_last();
}

/* The block behind this one. */
DEV uint32_t next_block(const rmr_gpu_products &both, uint32_t block)
{
    return block < both.alone ? both.all : block + gridDim.x - both.turning - both.alone;
}

template <int E> DEV void multiply_few(const rmr_gpu_products &both)
{
    float *const sums = (float *)(void *)shared_memory();
    uint8_t *const own = (uint8_t *)(void *)(sums + 2 * FEW_SUMS);
    own_rows have = {};
    piece<E> ring[ring_pieces<E>()] = {};
    place_few p = {};
    uint32_t block = blockIdx.x - both.turning, turn = 0;
    bool begins = true;
    const bool early = both.known || product_of(both, block).lists.n == NULL;
    if (!early) wait_few(both);
    do {
        const rmr_gpu_product &a = product_of(both, block);
        const uint32_t after = begins ? block : next_block(both, block);
        const place_few next = place_of<E>(both, after);
        if (p.j.n > 0) {
            float *const to = sums + turn % 2 * FEW_SUMS;
            float acc[2][1][4] = {};
            operand<1> x = {};
            own_columns<E>(&x, &have, a, p.j, p.w.first, p.w.end, own + warp_of() * a.own);
            strip_of<E>(acc, ring, p.w, x, next.w);
            leave_sums<1, true>(to + (size_t)warp_of() * 8 * REDUCE_LD, acc);
            __syncthreads();
            store_all<1>(a, p.j, to, 0, turn);
            if (a.tail > 0 && p.j.x == 0) {
                if (both.turning > 0)
                    turn_tail(a, p.j, both.turn.rope);
                else
                    copy_tail(a, p.j, 0, p.j.n);
            }
        } else {
            load_first<E>(ring, next.w);
            if (begins && early) wait_few(both);
        }
        if (!begins && both.arrivals > 0) arrive(both, p.j, turn);
        turn++;
        begins = false;
        block = after;
        p = next;
    } while (block < both.all);
}

template <int E> DEV void product_of_few(const rmr_gpu_products &both)
{
    if (blockIdx.x < both.turning) {
        wait_few(both);
        write_rows(both.turn.write, blockIdx.x, both.turning);
    } else {
        multiply_few<E>(both);
    }
}

/* A tile for each block: less code, which the instruction cache does not have when a kernel begins.
 */
template <int E> DEV void product_of_one(const rmr_gpu_products &both)
{
    const rmr_gpu_product &a = product_of(both, blockIdx.x);
    float *const sums = (float *)(void *)shared_memory();
    piece<E> ring[ring_pieces<E>()] = {};
    own_rows have = {};
    float acc[2][1][4] = {};
    operand<1> x = {};
    if (a.lists.n != NULL) wait_for_last();
    const place_few p = place_of<E>(both, blockIdx.x);
    load_first<E>(ring, p.w);
    if (a.lists.n == NULL) wait_for_last();
    if (p.j.n == 0) return;
    own_columns<E>(&x, &have, a, p.j, p.w.first, p.w.end,
                   (uint8_t *)(void *)(sums + 2 * FEW_SUMS) + warp_of() * a.own);
    strip_of<E>(acc, ring, p.w, x, strip{});
    leave_sums<1, true>(sums + (size_t)warp_of() * 8 * REDUCE_LD, acc);
    __syncthreads();
    store_all<1>(a, p.j, sums, 0, 0);
    if (a.tail > 0 && p.j.x == 0) copy_tail(a, p.j, 0, p.j.n);
}

#define PRODUCT_FEW(name, elem)                                                                    \
    KERNEL_WAITS(product_##name##_few, rmr_gpu_products, RMR_GPU_WARPS * 32, RMR_GPU_STAY)         \
    {                                                                                              \
        product_of_few<elem>(a);                                                                   \
    }                                                                                              \
    KERNEL_WAITS(product_##name##_one, rmr_gpu_products, RMR_GPU_WARPS * 32, RMR_GPU_STAY)         \
    {                                                                                              \
        product_of_one<elem>(a);                                                                   \
    }

#endif

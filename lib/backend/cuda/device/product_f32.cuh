/* SPDX-License-Identifier: Apache-2.0 */
/* Products with F32 weights, in floats throughout: a warp has a slice of K as in product.cuh, its
 * lanes 16 rows times even and odd columns, each one chain of fused multiply-adds. */
#ifndef RMR_CUDA_PRODUCT_F32_CUH
#define RMR_CUDA_PRODUCT_F32_CUH

#include "product.cuh"

/* Rows [0, 16) of the tile for the 8 columns of activations from row i0 on. */
DEV void tile_f32(float *sums, const rmr_gpu_product &a, const product_job &j, const uint8_t *tile,
                  uint32_t i0, uint32_t first, uint32_t end)
{
    const uint32_t r = lane_of() % 16, odd = lane_of() / 16;
    const float *const w = (const float *)(const void *)tile;
    for (uint32_t i = 0; i < RMR_GPU_COLUMNS; i++) {
        float acc = 0;
        if (i0 + i < j.n && tile != NULL) {
            const float *const x =
                (const float *)(const void *)(a.x + (uint64_t)source_of(a, j, i0 + i) * a.ldx);
            for (uint32_t k = first + odd; k < end; k += 2)
                acc = fmaf(w[(size_t)k * 16 + r], x[k], acc);
        }
        acc += __shfl_xor_sync(~0u, acc, 16);
        if (odd == 0) sums[i * REDUCE_LD + r] = acc;
    }
}

KERNEL(product_f32, rmr_gpu_products, RMR_GPU_WARPS * 32, 2)
{
    const rmr_gpu_product &p = product_of(a, blockIdx.x);
    const product_job j = job_of(p, block_of(a, blockIdx.x));
    const uint32_t w = warp_of(), granules = (p.w.cols + 127) / 128;
    const uint32_t first = granules * w / RMR_GPU_WARPS * 128,
                   behind = granules * (w + 1) / RMR_GPU_WARPS * 128,
                   end = behind < p.w.cols ? behind : p.w.cols;
    float *const sums = (float *)(void *)shared_memory();
    for (uint32_t i0 = blockIdx.z * RMR_GPU_COLUMNS; i0 < j.n; i0 += gridDim.z * RMR_GPU_COLUMNS) {
        for (uint32_t half = 0; half < 2; half++) {
            const rmr_gpu_weight &m = p.w2.at != NULL && half ? p.w2 : p.w;
            const uint32_t t = p.w2.at != NULL ? j.x : j.x * 2 + half;
            const uint8_t *const tile =
                t * 16 < m.rows ? m.at + (size_t)j.matrix * m.stride + (size_t)t * m.tile : NULL;
            tile_f32(sums + (size_t)w * RMR_GPU_COLUMNS * REDUCE_LD + half * 16, p, j, tile, i0,
                     first, end);
        }
        __syncthreads();
        store_all<1>(p, j, sums, i0, 0);
        if (p.tail > 0 && j.x == 0)
            copy_tail(p, j, i0, j.n - i0 < RMR_GPU_COLUMNS ? j.n - i0 : RMR_GPU_COLUMNS);
        __syncthreads();
    }
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the speed of kernels is measured against, and questions to the hardware: the read roof, and
 * whether chains of wgmma give the bits of chains of mma. */
#include <stdint.h>

#define EXPORT extern "C" __global__

/* Reads n 16-byte words. */
EXPORT void __launch_bounds__(512) bench_read(const uint4 *p, uint64_t n, uint32_t *out)
{
    uint32_t sum = 0;
    const uint64_t step = (uint64_t)gridDim.x * 512;
    uint64_t i = blockIdx.x * 512ull + threadIdx.x;
    for (; i + 7 * step < n; i += 8 * step) {
        uint4 v[8];
#pragma unroll
        for (int k = 0; k < 8; k++)
            asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                         : "=r"(v[k].x), "=r"(v[k].y), "=r"(v[k].z), "=r"(v[k].w)
                         : "l"(p + i + k * step));
#pragma unroll
        for (int k = 0; k < 8; k++) sum += v[k].x ^ v[k].y ^ v[k].z ^ v[k].w;
    }
    if (sum == 0x12345678) *out = sum;
}

EXPORT void __launch_bounds__(256) bench_fill(uint32_t *p, uint64_t n, uint32_t seed, uint32_t mask)
{
    for (uint64_t i = blockIdx.x * 256ull + threadIdx.x; i < n; i += gridDim.x * 256ull) {
        uint32_t x = (uint32_t)(i * 2654435761ull) ^ seed ^ (uint32_t)(i >> 32);
        x ^= x >> 15;
        x *= 0x2c1b3c6du;
        x ^= x >> 12;
        x *= 0x297a2d39u;
        x ^= x >> 15;
        p[i] = x & mask;
    }
}

/* A [64][k] and B [n][k] of bf16, D [64][n]: how 0: chains of mma.m16n8k16; else of wgmma, whose
 * offsets between core matrices are given (bytes / 16). One block of 128 threads; n is 8, 64 or
 * 256 for wgmma. */
typedef struct bench_chain_args {
    const uint16_t *a, *b;
    float *d;
    uint32_t n, k, how, lbo, sbo;
} bench_chain_args;

__device__ __forceinline__ uint32_t word(const uint16_t *p)
{
    return *(const uint32_t *)p;
}

EXPORT void __launch_bounds__(128) bench_chain(const __grid_constant__ bench_chain_args x)
{
    const uint32_t w = threadIdx.x / 32, l = threadIdx.x % 32, g = l / 4, t = l % 4;
    for (uint32_t n0 = 0; n0 < x.n; n0 += 8) {
        float c[4] = {};
        for (uint32_t k = 0; k < x.k; k += 16) {
            const uint16_t *const a = x.a + (size_t)(16 * w + g) * x.k + k + 2 * t;
            const uint16_t *const b = x.b + (size_t)(n0 + g) * x.k + k + 2 * t;
            asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
                         "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                         : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                         : "r"(word(a)), "r"(word(a + 8 * (size_t)x.k)), "r"(word(a + 8)),
                           "r"(word(a + 8 * (size_t)x.k + 8)), "r"(word(b)), "r"(word(b + 8)));
        }
        for (int i = 0; i < 4; i++)
            x.d[(size_t)(16 * w + g + i / 2 * 8) * x.n + n0 + 2 * t + i % 2] = c[i];
    }
}

template <int N> __device__ __forceinline__ void wgmma(float *d, const uint32_t *a, uint64_t desc);

template <> __device__ __forceinline__ void wgmma<8>(float *d, const uint32_t *a, uint64_t desc)
{
    asm volatile("{.reg .pred p; setp.ne.b32 p, 1, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, %8, p, 1, 1, 0;}\n"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(desc));
}

template <> __device__ __forceinline__ void wgmma<64>(float *d, const uint32_t *a, uint64_t desc)
{
    asm volatile("{.reg .pred p; setp.ne.b32 p, 1, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
                 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
                 "{%32,%33,%34,%35}, %36, p, 1, 1, 0;}\n"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]),
                   "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]),
                   "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]),
                   "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
                   "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]),
                   "+f"(d[30]), "+f"(d[31])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(desc));
}

template <int N> __device__ __forceinline__ void chain_wgmma(const bench_chain_args &x)
{
    __shared__ __align__(128) uint16_t b[N * 16];
    const uint32_t w = threadIdx.x / 32, l = threadIdx.x % 32, g = l / 4, t = l % 4;
    for (uint32_t n0 = 0; n0 < x.n; n0 += N) {
        float d[N / 2] = {};
        for (uint32_t k = 0; k < x.k; k += 16) {
            __syncthreads();
            /* core matrices of 8 columns of D by 8 of K: [n / 8][k / 8][8][8] */
            for (uint32_t i = threadIdx.x; i < N * 16; i += 128) {
                const uint32_t n = i / 16, c = i % 16;
                b[(n / 8 * 2 + c / 8) * 64 + n % 8 * 8 + c % 8] =
                    x.b[(size_t)(n0 + n) * x.k + k + c];
            }
            asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
            __syncthreads();
            const uint16_t *const p = x.a + (size_t)(16 * w + g) * x.k + k + 2 * t;
            const uint32_t a[4] = {word(p), word(p + 8 * (size_t)x.k), word(p + 8),
                                   word(p + 8 * (size_t)x.k + 8)};
            const uint64_t at = (uint64_t)__cvta_generic_to_shared(b);
            const uint64_t desc =
                (at & 0x3ffff) >> 4 | (uint64_t)x.lbo << 16 | (uint64_t)x.sbo << 32;
            asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
            wgmma<N>(d, a, desc);
            asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::
                             : "memory");
        }
        for (int i = 0; i < N / 2; i++)
            x.d[(size_t)(16 * w + g + i % 4 / 2 * 8) * x.n + n0 + i / 4 * 8 + 2 * t + i % 2] = d[i];
    }
}

EXPORT void __launch_bounds__(128) bench_chain_wgmma8(const __grid_constant__ bench_chain_args x)
{
    chain_wgmma<8>(x);
}

EXPORT void __launch_bounds__(128) bench_chain_wgmma64(const __grid_constant__ bench_chain_args x)
{
    chain_wgmma<64>(x);
}

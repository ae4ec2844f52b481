/* SPDX-License-Identifier: Apache-2.0 */
/* The instructions that C++ does not have, each in a small wrapper with a twin for emulation. */
#ifndef RMR_CUDA_MACHINE_CUH
#define RMR_CUDA_MACHINE_CUH

#ifdef __CUDACC__

DEV uint8_t *shared_memory()
{
    extern __shared__ __align__(128) uint8_t shared_bytes[];
    return shared_bytes;
}

/* Weights: read once, so that they do not push out what is read again. 16-byte aligned. Volatile,
 * for to the compiler an assembly statement that is not may be run where the program would not get
 * to: a load that a condition protects became an unconditional one. */
DEV word4 load_weights(const void *p)
{
    word4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3])
                 : "l"(p));
    return v;
}

/* Two floats rounded to bf16, the first in the low half. */
DEV uint32_t bf16_pair(float low, float high)
{
    uint32_t y;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
    return y;
}

DEV word2 load_pair(const void *p)
{
    const uint2 v = *(const uint2 *)p;
    return word2{{v.x, v.y}};
}

DEV float half_float(uint16_t h)
{
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}

/* To the nearest half, even on ties; an infinity beyond the largest. */
DEV uint16_t float_half(float f)
{
    uint16_t h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}

DEV uint32_t permute_bytes(uint32_t a, uint32_t b, uint32_t selector)
{
    return __byte_perm(a, b, selector);
}

DEV float4 load_float4(const float *p)
{
    return *(const float4 *)p;
}

#define MMA_FLOAT(name, type)                                                                      \
    DEV void name(float *c, const uint32_t *a, const uint32_t *b)                                  \
    {                                                                                              \
        asm("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 "                         \
            "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                \
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                       \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                   \
    }
MMA_FLOAT(mma_bf16, "bf16")
MMA_FLOAT(mma_f16, "f16")
#undef MMA_FLOAT

#define MMA_INT(name, types)                                                                       \
    DEV void name(int32_t *c, const uint32_t *a, const uint32_t *b)                                \
    {                                                                                              \
        asm("mma.sync.aligned.m16n8k32.row.col.s32." types ".s32 "                                 \
            "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                                \
            : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])                                       \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                   \
    }
MMA_INT(mma_s8, "s8.s8")
MMA_INT(mma_s8_u8, "s8.u8")
#undef MMA_INT

DEV void mma_s8_half(int32_t *c, const uint32_t *a, uint32_t b)
{
    asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 "
        "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(b));
}

/* Four 8 by 8 matrices of 16-bit values, transposed; lane 8 m + r has the address of row r of
 * matrix m. */
DEV word4 load_transposed(const void *row)
{
    word4 v;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
    return v;
}

/* 16 bytes into shared memory, of which the first n (0 or 16) are read and the rest is zero. */
DEV void copy_async(void *to, const void *from, uint32_t n)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(to)),
                 "l"(from), "r"(n)
                 : "memory");
}

DEV void copy_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until at most n of the groups of copies are under way. */
template <int N> DEV void copy_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* Two e4m3 codes of the low half of v as f16, times 2^-8 where the machine has no instruction. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
#define F8_FACTOR 1.0f
DEV uint32_t f8_pair(uint32_t v)
{
    uint32_t y;
    asm("{.reg .b16 c; cvt.u16.u32 c, %1; cvt.rn.f16x2.e4m3x2 %0, c;}" : "=r"(y) : "r"(v));
    return y;
}
#else
#define F8_FACTOR 256.0f
DEV uint32_t f8_pair(uint32_t v)
{
    const uint32_t w = __byte_perm(v, 0, 0x1404);
    return (w >> 1 & 0x3f803f80u) | (w & 0x80008000u);
}
#endif

#endif

DEV float warp_sum(float v)
{
    for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(~0u, v, o);
    return v;
}

DEV float warp_max(float v)
{
    for (int o = 16; o > 0; o /= 2) {
        const float w = __shfl_xor_sync(~0u, v, o);
        v = w > v ? w : v;
    }
    return v;
}

#endif

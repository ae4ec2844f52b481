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

/* Two floats, at a multiple of 8 bytes. */
DEV void store_floats(float *p, float x, float y)
{
    *(float2 *)(void *)p = float2{x, y};
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

/* Over all lanes of a warp. */
DEV uint32_t warp_most(uint32_t v)
{
    return __reduce_max_sync(~0u, v);
}

DEV uint32_t warp_least(uint32_t v)
{
    return __reduce_min_sync(~0u, v);
}

/* 16 bytes that lie at a multiple of 16. */
DEV word4 load_words(const uint32_t *p)
{
    const uint4 v = *(const uint4 *)(const void *)p;
    return word4{{v.x, v.y, v.z, v.w}};
}

DEV void store_words(uint32_t *p, const uint32_t *v)
{
    *(uint4 *)(void *)p = uint4{v[0], v[1], v[2], v[3]};
}

/* The lanes of a warp that have this value, as bits; the number of bits. */
DEV uint32_t lanes_with(uint32_t v)
{
    return __match_any_sync(~0u, v);
}

DEV uint32_t bits_in(uint32_t v)
{
    return (uint32_t)__popc(v);
}

DEV uint32_t load_word(const void *p)
{
    return *(const uint32_t *)p;
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

/* The same matrices as they are. */
DEV word4 load_matrices(const void *row)
{
    word4 v;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
    return v;
}

/* What this thread has written is there before what it writes later, for all blocks. */
DEV void fence_device()
{
    __threadfence();
}

/* What a block of this kernel or of one that still runs may have written. */
template <class T> DEV T load_fresh(const T *p)
{
    return __ldcg(p);
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

/* ---- Hopper: groups of four warps, and barriers that copies fulfil ---- */

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define RMR_HAS_WARPGROUPS

/* Rows of 128 bytes from `rows` on, a multiple of 1024 bytes, whose 16 bytes number c of row r lie
 * at c ^ r % 8; from a column on, in bytes. */
DEV uint64_t swizzled_rows(const void *rows, uint32_t column)
{
    const uint64_t at = (uint32_t)__cvta_generic_to_shared(rows) + column;
    return (at & 0x3ffff) >> 4 | 64ull << 16 | 64ull << 32 | 1ull << 62;
}

/* The same so many bytes further, a multiple of 16. */
DEV uint64_t swizzled_further(uint64_t rows, uint32_t bytes)
{
    return rows >> 32 << 32 | ((uint32_t)rows + (bytes >> 4));
}

/* d = a b, or d += a b where `more` is not 0: 16 rows of each warp are a, as of mma_bf16, mma_f16
 * or mma_s8; N rows in shared memory are b. */
template <int N> DEV void warpgroup_bf16(float *d, const uint32_t *a, uint64_t b, uint32_t more);
template <int N> DEV void warpgroup_f16(float *d, const uint32_t *a, uint64_t b, uint32_t more);
template <int N> DEV void warpgroup_s8(int32_t *d, const uint32_t *a, uint64_t b, uint32_t more);

#define D8(c, i)                                                                                   \
    c(d[i]), c(d[i + 1]), c(d[i + 2]), c(d[i + 3]), c(d[i + 4]), c(d[i + 5]), c(d[i + 6]),         \
        c(d[i + 7])
#define D16(c, i) D8(c, i), D8(c, i + 8)
#define D32(c, i) D16(c, i), D16(c, i + 16)
#define R16 "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15"
#define R32 R16 ",%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define R48 R32 ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47"
#define R64 R48 ",%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define R96                                                                                        \
    R64 ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79"                         \
        ",%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95"
/* The operands behind those of d: a, b, more. */
#define WARPGROUP(name, of, n, types, after, registers, a0, a1, a2, a3, b0, m0, ...)               \
    template <>                                                                                    \
    __device__ __forceinline__ void name<n>(of * d, const uint32_t *a, uint64_t b, uint32_t more)  \
    {                                                                                              \
        asm volatile("{.reg .pred p;\nsetp.ne.b32 p, " m0 ", 0;\n"                                 \
                     "wgmma.mma_async.sync.aligned.m64n" #n types " {" registers "}, {" a0 "," a1  \
                     "," a2 "," a3 "}, " b0 ", p" after ";}\n"                                     \
                     : __VA_ARGS__                                                                 \
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(more));             \
    }
#define FLOATS "+f"
#define INTS "+r"
WARPGROUP(warpgroup_bf16, float, 32, "k16.f32.bf16.bf16", ", 1, 1, 0", R16, "%16", "%17", "%18",
          "%19", "%20", "%21", D16(FLOATS, 0))
WARPGROUP(warpgroup_bf16, float, 64, "k16.f32.bf16.bf16", ", 1, 1, 0", R32, "%32", "%33", "%34",
          "%35", "%36", "%37", D32(FLOATS, 0))
WARPGROUP(warpgroup_bf16, float, 96, "k16.f32.bf16.bf16", ", 1, 1, 0", R48, "%48", "%49", "%50",
          "%51", "%52", "%53", D32(FLOATS, 0), D16(FLOATS, 32))
WARPGROUP(warpgroup_bf16, float, 192, "k16.f32.bf16.bf16", ", 1, 1, 0", R96, "%96", "%97", "%98",
          "%99", "%100", "%101", D32(FLOATS, 0), D32(FLOATS, 32), D32(FLOATS, 64))
WARPGROUP(warpgroup_f16, float, 32, "k16.f32.f16.f16", ", 1, 1, 0", R16, "%16", "%17", "%18", "%19",
          "%20", "%21", D16(FLOATS, 0))
WARPGROUP(warpgroup_f16, float, 64, "k16.f32.f16.f16", ", 1, 1, 0", R32, "%32", "%33", "%34", "%35",
          "%36", "%37", D32(FLOATS, 0))
WARPGROUP(warpgroup_f16, float, 128, "k16.f32.f16.f16", ", 1, 1, 0", R64, "%64", "%65", "%66",
          "%67", "%68", "%69", D32(FLOATS, 0), D32(FLOATS, 32))
WARPGROUP(warpgroup_s8, int32_t, 32, "k32.s32.s8.s8", "", R16, "%16", "%17", "%18", "%19", "%20",
          "%21", D16(INTS, 0))
WARPGROUP(warpgroup_s8, int32_t, 64, "k32.s32.s8.s8", "", R32, "%32", "%33", "%34", "%35", "%36",
          "%37", D32(INTS, 0))
WARPGROUP(warpgroup_s8, int32_t, 128, "k32.s32.s8.s8", "", R64, "%64", "%65", "%66", "%67", "%68",
          "%69", D32(INTS, 0), D32(INTS, 32))

/* The same with 16 rows of b, which have 64 columns of d. */
DEV void warpgroup_bf16_columns(float *d, const uint32_t *a, uint64_t b, uint32_t more)
{
    asm volatile("{.reg .pred p;\nsetp.ne.b32 p, %37, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" R32
                 "}, {%32,%33,%34,%35}, %36, p, 1, 1, 1;}\n"
                 : D32(FLOATS, 0)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(more));
}

/* The same with 64 rows in shared memory each. */
DEV void warpgroup_bf16_shared(float *d, uint64_t a, uint64_t b, uint32_t more)
{
    asm volatile("{.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" R32
                 "}, %32, %33, p, 1, 1, 0, 0;}\n"
                 : D32(FLOATS, 0)
                 : "l"(a), "l"(b), "r"(more));
}
#undef WARPGROUP
#undef INTS

DEV void warpgroup_begin()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

/* What was begun is one group, of which the oldest end first. */
DEV void warpgroup_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Until at most N groups are under way. */
template <int N> DEV void warpgroup_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

DEV void warpgroup_end()
{
    warpgroup_commit();
    warpgroup_wait<0>();
}

/* 32 results of a group that has ended: they are read behind this. */
DEV void warpgroup_results(float *d)
{
    asm volatile("" : D32(FLOATS, 0)::"memory");
}
#undef FLOATS

/* Of the 504 registers that a lane of each of three groups of warps has together. */
DEV void more_registers()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
}

DEV void fewer_registers()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
}

/* Copies of this thread that have arrived are there for warpgroup_bf16. */
DEV void fence_copies()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

DEV void barrier_make(uint64_t *b, uint32_t n)
{
    asm volatile(
        "mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"((uint32_t)__cvta_generic_to_shared(b)),
        "r"(n)
        : "memory");
}

DEV void barrier_arrive(uint64_t *b)
{
    asm volatile(
        "mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"((uint32_t)__cvta_generic_to_shared(b))
        : "memory");
}

/* Arrives, and the phase lasts until n bytes more have come by copy_bulk. */
DEV void barrier_expect(uint64_t *b, uint32_t n)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                     (uint32_t)__cvta_generic_to_shared(b)),
                 "r"(n)
                 : "memory");
}

/* n bytes, a multiple of 16 as both places are, to shared memory; the barrier hears of them. */
DEV void copy_bulk(void *to, const void *from, uint32_t n, uint64_t *b)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1], %2, [%3];" ::"r"((uint32_t)__cvta_generic_to_shared(to)),
                 "l"(from), "r"(n), "r"((uint32_t)__cvta_generic_to_shared(b))
                 : "memory");
}

/* Memory that other kernels have written is there for copy_bulk. */
DEV void fence_bulk()
{
    asm volatile("fence.proxy.async;" ::: "memory");
}

/* Until the phase of that parity is over; at first that of parity 1 is. */
DEV void barrier_wait(uint64_t *b, uint32_t parity)
{
    asm volatile("{.reg .pred p;\n"
                 "AGAIN:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n"
                 "@p bra DONE;\n"
                 "bra AGAIN;\n"
                 "DONE:\n}" ::"r"((uint32_t)__cvta_generic_to_shared(b)),
                 "r"(parity)
                 : "memory");
}
#endif

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

/* Over the four lanes whose numbers differ in the lowest two bits. */
DEV float lanes_sum(float v)
{
    v += __shfl_xor_sync(~0u, v, 1);
    return v + __shfl_xor_sync(~0u, v, 2);
}

DEV float lanes_max(float v)
{
    for (int o = 1; o < 4; o *= 2) {
        const float w = __shfl_xor_sync(~0u, v, o);
        v = w > v ? w : v;
    }
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

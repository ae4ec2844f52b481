/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA for a C++ compiler: every thread of a block is a fibre, barriers and exchanges between lanes
 * are the places where another one goes on, in an order that a seed decides. What a kernel reads
 * from shared memory before a barrier that it forgot differs from seed to seed. Blocks run one
 * after the other, in any order. Asynchronous copies arrive at a random time before they are waited
 * for.
 */
#ifndef EMULATE_H
#define EMULATE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "half.h"
#include "word.cuh"

struct emulated_index {
    unsigned x, y, z;
};

extern emulated_index threadIdx, blockIdx, blockDim, gridDim;

struct float4 {
    float x, y, z, w;
};

/* ---- of the emulator (emulate.cpp) ---- */

struct emulated_kernel {
    const char *name;
    void (*run)(const void *args);
    size_t bytes; /* of its argument */
    emulated_kernel *next;
    emulated_kernel(const char *name, void (*run)(const void *), size_t bytes);
};

uint8_t *emulated_shared();
void emulated_block_barrier();
void emulated_warp_barrier();
/* 16 words of this lane are put where the others see them; words_of(lane) reads. */
void emulated_post(const void *words, size_t bytes);
const uint32_t *emulated_words(unsigned lane);
void emulated_done(); /* with what was posted */
/* Of device memory that is allocated, aligned to n; else the process ends with a message. */
void emulated_check(const void *p, unsigned n);
void emulated_copy(void *to, const void *from, unsigned n);
void emulated_commit();
void emulated_wait(unsigned left);
void emulated_pause(); /* others go on */

#define KERNEL_WAITS KERNEL
#define KERNEL(kernel, type, threads, blocks)                                                      \
    static void rmr_##kernel(const type &a);                                                       \
    static void kernel##_run(const void *args)                                                     \
    {                                                                                              \
        const type &a = *(const type *)args;                                                       \
        (void)a;                                                                                   \
        rmr_##kernel(a);                                                                           \
    }                                                                                              \
    static emulated_kernel kernel##_entry("rmr_" #kernel, kernel##_run, sizeof(type));             \
    static void rmr_##kernel(const type &a)

/* ---- what kernels call ---- */

static inline void wait_for_last()
{
}

static inline void wait_before_next()
{
}

static inline uint8_t *shared_memory()
{
    return emulated_shared();
}

static inline void __syncthreads()
{
    emulated_block_barrier();
}

static inline void __syncwarp()
{
    emulated_warp_barrier();
}

template <class T> static inline T exchanged(T v, unsigned lane)
{
    T r;
    emulated_post(&v, sizeof v);
    memcpy(&r, emulated_words(lane), sizeof r);
    emulated_done();
    return r;
}

template <class T> static inline T __shfl_xor_sync(unsigned, T v, int o)
{
    return exchanged(v, (threadIdx.x % 32) ^ (unsigned)o);
}

template <class T> static inline T __shfl_sync(unsigned, T v, int lane)
{
    return exchanged(v, (unsigned)lane % 32);
}

template <class T> static inline T __shfl_down_sync(unsigned, T v, int o, int)
{
    const unsigned lane = threadIdx.x % 32, from = lane + (unsigned)o;
    return exchanged(v, from < 32 ? from : lane);
}

template <class T> static inline T atomicExch(T *p, T v)
{
    const T old = *p;
    *p = v;
    return old;
}

template <class T> static inline T atomicAdd(T *p, T v)
{
    const T old = *p;
    *p += v;
    return old;
}

/* ---- machine.cuh ---- */

template <class T> static inline T loaded(const void *p)
{
    T v;
    emulated_check(p, sizeof v);
    memcpy(&v, p, sizeof v);
    return v;
}

static inline word4 load_weights(const void *p)
{
    return loaded<word4>(p);
}

static inline word2 load_pair(const void *p)
{
    return loaded<word2>(p);
}

static inline uint32_t warp_most(uint32_t v)
{
    for (int o = 16; o > 0; o /= 2) {
        const uint32_t w = __shfl_xor_sync(~0u, v, o);
        v = w > v ? w : v;
    }
    return v;
}

static inline uint32_t warp_least(uint32_t v)
{
    return ~warp_most(~v);
}

static inline word4 load_words(const uint32_t *p)
{
    return loaded<word4>(p);
}

static inline void store_words(uint32_t *p, const uint32_t *v)
{
    emulated_check(p, 16);
    memcpy(p, v, 16);
}

static inline uint32_t lanes_with(uint32_t v)
{
    uint32_t lanes = 0;
    emulated_post(&v, sizeof v);
    for (unsigned i = 0; i < 32; i++) lanes |= (uint32_t)(*emulated_words(i) == v) << i;
    emulated_done();
    return lanes;
}

static inline uint32_t bits_in(uint32_t v)
{
    return (uint32_t)__builtin_popcount(v);
}

static inline uint32_t load_word(const void *p)
{
    return loaded<uint32_t>(p);
}

static inline float4 load_float4(const float *p)
{
    return loaded<float4>(p);
}

static inline void store_floats(float *p, float x, float y)
{
    emulated_check(p, 8);
    p[0] = x;
    p[1] = y;
}

static inline void fence_device()
{
}

template <class T> static inline T load_fresh(const T *p)
{
    return loaded<T>(p);
}

static inline uint32_t bf16_pair(float low, float high)
{
    return rmr_f32_to_bf16(low) | (uint32_t)rmr_f32_to_bf16(high) << 16;
}

static inline float half_float(uint16_t h)
{
    return rmr_f16_to_f32(h);
}

static inline uint16_t float_half(float f)
{
    return rmr_f32_to_f16(f);
}

static inline uint32_t permute_bytes(uint32_t a, uint32_t b, uint32_t selector)
{
    const uint64_t v = (uint64_t)b << 32 | a;
    uint32_t r = 0;
    for (int i = 0; i < 4; i++) {
        const uint32_t s = selector >> 4 * i & 15, byte = (uint32_t)(v >> 8 * (s & 7)) & 255;
        r |= (s & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
    }
    return r;
}

#define F8_FACTOR 256.0f
static inline uint32_t f8_pair(uint32_t v)
{
    const uint32_t w = permute_bytes(v, 0, 0x1404);
    return (w >> 1 & 0x3f803f80u) | (w & 0x80008000u);
}

void mma_bf16(float *c, const uint32_t *a, const uint32_t *b);
void mma_f16(float *c, const uint32_t *a, const uint32_t *b);
void mma_s8(int32_t *c, const uint32_t *a, const uint32_t *b);
void mma_s8_u8(int32_t *c, const uint32_t *a, const uint32_t *b);
void mma_s8_half(int32_t *c, const uint32_t *a, uint32_t b);
word4 load_matrices(const void *row);
word4 load_transposed(const void *row);

static inline void copy_async(void *to, const void *from, uint32_t n)
{
    emulated_copy(to, from, n);
}

static inline void copy_commit()
{
    emulated_commit();
}

template <int N> static inline void copy_wait()
{
    emulated_wait(N);
}

/* ---- groups of four warps ---- */

#define RMR_HAS_WARPGROUPS

static inline uint64_t swizzled_rows(const void *rows, uint32_t column)
{
    return (uint64_t)(uintptr_t)rows + column;
}

static inline uint64_t swizzled_further(uint64_t rows, uint32_t bytes)
{
    return rows + bytes;
}

void emulated_rows(bool bf16, float *d, const uint32_t *a, uint64_t rows, unsigned n, bool more);
void emulated_rows_s8(int32_t *d, const uint32_t *a, uint64_t rows, unsigned n, bool more);

template <int N>
static inline void warpgroup_bf16(float *d, const uint32_t *a, uint64_t b, uint32_t more)
{
    emulated_rows(true, d, a, b, N, more != 0);
}

template <int N>
static inline void warpgroup_f16(float *d, const uint32_t *a, uint64_t b, uint32_t more)
{
    emulated_rows(false, d, a, b, N, more != 0);
}

template <int N>
static inline void warpgroup_s8(int32_t *d, const uint32_t *a, uint64_t b, uint32_t more)
{
    emulated_rows_s8(d, a, b, N, more != 0);
}

void emulated_columns_bf16(float *d, const uint32_t *a, uint64_t rows, bool more);
void emulated_shared_bf16(float *d, uint64_t a, uint64_t rows, bool more);
void emulated_products_commit(void);
void emulated_products_wait(unsigned left);

static inline void warpgroup_bf16_columns(float *d, const uint32_t *a, uint64_t b, uint32_t more)
{
    emulated_columns_bf16(d, a, b, more != 0);
}

static inline void warpgroup_bf16_shared(float *d, uint64_t a, uint64_t b, uint32_t more)
{
    emulated_shared_bf16(d, a, b, more != 0);
}

static inline void warpgroup_begin()
{
}

static inline void warpgroup_commit()
{
    emulated_products_commit();
}

template <int N> static inline void warpgroup_wait()
{
    emulated_products_wait(N);
}

static inline void warpgroup_end()
{
    warpgroup_commit();
    warpgroup_wait<0>();
}

static inline void warpgroup_results(float *)
{
}

static inline void more_registers()
{
}

static inline void fewer_registers()
{
}

static inline void fence_copies()
{
}

static inline void fence_bulk()
{
}

/* A barrier's arrivals that are missing in this phase, of how many; bytes that are to come; the
 * phase's parity. */
struct emulated_barrier {
    uint16_t missing, all;
    int32_t bytes : 31;
    uint32_t parity : 1;
};
static_assert(sizeof(emulated_barrier) == 8, "it lies in 64 bits");

void emulated_bulk(void *to, const void *from, unsigned n, uint64_t *b);
void emulated_come(uint64_t *b, unsigned arrivals, int bytes);

static inline void barrier_make(uint64_t *b, uint32_t n)
{
    const emulated_barrier v = {(uint16_t)n, (uint16_t)n, 0, 0};
    memcpy((void *)b, &v, sizeof v);
}

static inline void barrier_arrive(uint64_t *b)
{
    emulated_come(b, 1, 0);
}

static inline void barrier_expect(uint64_t *b, uint32_t n)
{
    emulated_come(b, 1, (int)n);
}

static inline void copy_bulk(void *to, const void *from, uint32_t n, uint64_t *b)
{
    emulated_bulk(to, from, n, b);
}

static inline void barrier_wait(uint64_t *b, uint32_t parity)
{
    emulated_barrier v;
    for (memcpy(&v, b, sizeof v); v.parity == parity; memcpy(&v, b, sizeof v)) emulated_pause();
}

#endif

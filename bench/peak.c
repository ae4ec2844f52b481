/* SPDX-License-Identifier: Apache-2.0 */
/* What the processor can do at best: reading memory and fused multiply-adds, by hand-written loops
 * per set. */
#include "peak.h"

#include <string.h>

#define AHEAD 1024 /* floats */
#define CHAINS 12  /* enough for two units of latency 4 to 5, and few enough for 16 registers */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* A value that the compiler does not know, lest products of constants leave the loop; of a vector,
 * in a register of vectors. */
#if defined(__x86_64__)
#define HIDE_VECTOR(v) __asm__ volatile("" : "+v"(v))
#define HIDE_INT(v) __asm__ volatile("" : "+r"(v))
#else
#define HIDE_INT(v) __asm__ volatile("" : "+r"(v))
#endif

/* Independent chains of integer dot products. */
#define DOTS(suffix, attr, type, zero, dot, HIDE)                                                  \
    attr static double dot_##suffix(uint64_t steps)                                                \
    {                                                                                              \
        type acc[CHAINS], a, b;                                                                    \
        memset(&a, 1, sizeof a);                                                                   \
        memset(&b, 1, sizeof b);                                                                   \
        UNROLL for (int i = 0; i < CHAINS; i++)                                                    \
        {                                                                                          \
            acc[i] = zero;                                                                         \
            HIDE(acc[i]); /* lest the array be cleared as memory, and stay there */                \
        }                                                                                          \
        for (uint64_t s = 0; s < steps; s++) {                                                     \
            UNROLL for (int i = 0; i < CHAINS; i++)                                                \
            {                                                                                      \
                HIDE(a);                                                                           \
                acc[i] = dot(acc[i], a, b);                                                        \
            }                                                                                      \
        }                                                                                          \
        int32_t out[sizeof(type) / 4];                                                             \
        double sum = 0;                                                                            \
        UNROLL for (int i = 0; i < CHAINS; i++)                                                    \
        {                                                                                          \
            const type one_of = acc[i];                                                            \
            memcpy(out, &one_of, sizeof out);                                                      \
            sum += (double)out[0];                                                                 \
        }                                                                                          \
        return sum;                                                                                \
    }

/* Independent chains of FMAs in registers, and reading memory with as many. What is read may be any
 * bits, so they are joined by `both`: sums of floats would stumble over subnormal ones. */
#define LOOPS(suffix, attr, type, lanes, zero, fma, load, add, both)                               \
    attr static double fma_##suffix(uint64_t steps)                                                \
    {                                                                                              \
        type acc[CHAINS], a = load((const float *)one), b = load((const float *)half);             \
        for (int i = 0; i < CHAINS; i++) acc[i] = zero;                                            \
        for (uint64_t s = 0; s < steps; s++) {                                                     \
            UNROLL for (int i = 0; i < CHAINS; i++) acc[i] = fma(acc[i], b, a);                    \
            __asm__ volatile("");                                                                  \
        }                                                                                          \
        float out[lanes];                                                                          \
        double sum = 0;                                                                            \
        for (int i = 1; i < CHAINS; i++) acc[0] = add(acc[0], acc[i]);                             \
        memcpy(out, &acc[0], sizeof out);                                                          \
        for (int i = 0; i < lanes; i++) sum += (double)out[i];                                     \
        return sum;                                                                                \
    }                                                                                              \
    attr static double ends_##suffix(type *acc)                                                    \
    {                                                                                              \
        float out[lanes];                                                                          \
        double some = 0;                                                                           \
        for (int i = 1; i < 8; i++) acc[0] = both(acc[0], acc[i]);                                 \
        memcpy(out, &acc[0], sizeof out);                                                          \
        for (int i = 0; i < lanes; i++) some += (double)out[i];                                    \
        return some;                                                                               \
    }                                                                                              \
    attr static double read_##suffix(const float *p, size_t n)                                     \
    {                                                                                              \
        type acc[8];                                                                               \
        for (int i = 0; i < 8; i++) acc[i] = zero;                                                 \
        for (size_t k = 0; k < n; k += 8 * lanes)                                                  \
            UNROLL for (int i = 0; i < 8; i++) acc[i] = both(acc[i], load(p + k + i * lanes));     \
        return ends_##suffix(acc);                                                                 \
    }                                                                                              \
    attr static double ahead_##suffix(const float *p, size_t n)                                    \
    {                                                                                              \
        type acc[8];                                                                               \
        for (int i = 0; i < 8; i++) acc[i] = zero;                                                 \
        for (size_t k = 0; k < n; k += 8 * lanes) {                                                \
            UNROLL for (int i = 0; i < 8 * lanes / 16; i++)                                        \
                __builtin_prefetch(p + k + AHEAD + 16 * i, 0, 3);                                  \
            UNROLL for (int i = 0; i < 8; i++) acc[i] = both(acc[i], load(p + k + i * lanes));     \
        }                                                                                          \
        return ends_##suffix(acc);                                                                 \
    }                                                                                              \
    attr static double streams_##suffix(const float *p, size_t n)                                  \
    {                                                                                              \
        type acc[8];                                                                               \
        for (int i = 0; i < 8; i++) acc[i] = zero;                                                 \
        for (size_t k = 0; k < n / 4; k += 4 * lanes)                                              \
            UNROLL for (int i = 0; i < 16; i++) acc[i % 8] =                                       \
                both(acc[i % 8], load(p + i / 4 * (n / 4) + k + i % 4 * lanes));                   \
        return ends_##suffix(acc);                                                                 \
    }

static const float one[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const float half[16] = {.5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f,
                               .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f};

#if defined(__x86_64__)
#include <immintrin.h>
#define BOTH512(a, b)                                                                              \
    _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(a), _mm512_castps_si512(b)))
LOOPS(avx512, __attribute__((target("avx512f,fma"))), __m512, 16, _mm512_setzero_ps(),
      _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_add_ps, BOTH512)
LOOPS(avx2, __attribute__((target("avx2,fma"))), __m256, 8, _mm256_setzero_ps(), _mm256_fmadd_ps,
      _mm256_loadu_ps, _mm256_add_ps, _mm256_or_ps)
#define SCALAR_FMA(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
/* vpmaddubsw to 16 bits, and the widening of its sums now and then, which is left out here */
#define MADDUBS512(acc, a, b) _mm512_add_epi16(acc, _mm512_maddubs_epi16(a, b))
#define MADDUBS256(acc, a, b) _mm256_add_epi16(acc, _mm256_maddubs_epi16(a, b))
/* Written out: GCC 12 copies every accumulator of the intrinsics once more. */
#define DPBUSD(suffix, attr, type, name, reg)                                                      \
    attr static inline type dpbusd_##suffix(type acc, type a, type b)                              \
    {                                                                                              \
        __asm__(name " %2, %1, %0" : "+" reg(acc) : reg(a), reg(b));                               \
        return acc;                                                                                \
    }
DPBUSD(512, __attribute__((target("avx512f,avx512vnni"))), __m512i, "vpdpbusd", "v")
DPBUSD(256, __attribute__((target("avx2,avxvnni"))), __m256i, "%{vex%} vpdpbusd", "x")
DOTS(avx512vnni, __attribute__((target("avx512f,avx512vnni"))), __m512i, _mm512_setzero_si512(),
     dpbusd_512, HIDE_VECTOR)
DOTS(avx512, __attribute__((target("avx512f,avx512bw"))), __m512i, _mm512_setzero_si512(),
     MADDUBS512, HIDE_VECTOR)
DOTS(avxvnni, __attribute__((target("avx2,avxvnni"))), __m256i, _mm256_setzero_si256(), dpbusd_256,
     HIDE_VECTOR)
DOTS(avx2, __attribute__((target("avx2"))), __m256i, _mm256_setzero_si256(), MADDUBS256,
     HIDE_VECTOR)
LOOPS(ref, , __m128, 4, _mm_setzero_ps(), SCALAR_FMA, _mm_loadu_ps, _mm_add_ps, _mm_or_ps)
#elif defined(__aarch64__)
#include <arm_neon.h>
#define NEON_FMA(a, b, c) vfmaq_f32(c, a, b)
#define NEON_BOTH(a, b)                                                                            \
    vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b)))
LOOPS(neon, , float32x4_t, 4, vdupq_n_f32(0), NEON_FMA, vld1q_f32, vaddq_f32, NEON_BOTH)
#define read_ref read_neon
#define ahead_ref ahead_neon
#define streams_ref streams_neon
#define fma_ref fma_neon
#endif

#define SCALAR_DOT(acc, a, b) (acc) + (a) * (b)
/* Plain C, where no dot product instruction is used. */
DOTS(ref, , uint32_t, 0, SCALAR_DOT, HIDE_INT)

const char peak_read_name[PEAK_READS][PEAK_NAME] = {"plain", "prefetch", "streams"};

#define READS(suffix)                                                                              \
    {                                                                                              \
        read_##suffix, ahead_##suffix, streams_##suffix                                            \
    }

/* By the beginning of the set's name, the first that fits. */
static const struct {
    const char *set;
    peak p;
} peaks[] = {
#if defined(__x86_64__)
    {"amx", /* without its tiles: prompts go above this peak */
     {fma_avx512, 2.0 * 16 * CHAINS, dot_avx512vnni, 2.0 * 64 * CHAINS, "vpdpbusd", READS(avx512)}},
    {"avx512vnni",
     {fma_avx512, 2.0 * 16 * CHAINS, dot_avx512vnni, 2.0 * 64 * CHAINS, "vpdpbusd", READS(avx512)}},
    {"avx512",
     {fma_avx512, 2.0 * 16 * CHAINS, dot_avx512, 2.0 * 64 * CHAINS, "vpmaddubsw", READS(avx512)}},
    {"avxvnni",
     {fma_avx2, 2.0 * 8 * CHAINS, dot_avxvnni, 2.0 * 32 * CHAINS, "vpdpbusd", READS(avx2)}},
    {"avx2", {fma_avx2, 2.0 * 8 * CHAINS, dot_avx2, 2.0 * 32 * CHAINS, "vpmaddubsw", READS(avx2)}},
#endif
    {"", {fma_ref, 2.0 * 4 * CHAINS, dot_ref, 2.0 * CHAINS, "integer multiply", READS(ref)}},
};

peak peak_of(const char *set)
{
    size_t i = 0;
    while (strncmp(set, peaks[i].set, strlen(peaks[i].set)) != 0) i++;
    return peaks[i].p;
}

/* What the processor can do at best: reading memory and fused multiply-adds, by hand-written loops
 * per set. */
#include "peak.h"

#include <string.h>

#define CHAINS 12 /* enough for two units of latency 4 to 5, and few enough for 16 registers */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/* Independent chains of FMAs in registers, and a sum over memory with the same number of chains. */
#define LOOPS(suffix, attr, type, lanes, zero, fma, load, add)                                     \
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
    attr static double read_##suffix(const float *p, size_t n)                                     \
    {                                                                                              \
        type acc[8];                                                                               \
        for (int i = 0; i < 8; i++) acc[i] = zero;                                                 \
        for (size_t k = 0; k + 8 * lanes <= n; k += 8 * lanes)                                     \
            UNROLL for (int i = 0; i < 8; i++) acc[i] = add(acc[i], load(p + k + i * lanes));      \
        float out[lanes];                                                                          \
        double sum = 0;                                                                            \
        for (int i = 1; i < 8; i++) acc[0] = add(acc[0], acc[i]);                                  \
        memcpy(out, &acc[0], sizeof out);                                                          \
        for (int i = 0; i < lanes; i++) sum += (double)out[i];                                     \
        return sum;                                                                                \
    }

static const float one[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const float half[16] = {.5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f,
                               .5f, .5f, .5f, .5f, .5f, .5f, .5f, .5f};

#if defined(__x86_64__)
#include <immintrin.h>
LOOPS(avx512, __attribute__((target("avx512f,fma"))), __m512, 16, _mm512_setzero_ps(),
      _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_add_ps)
LOOPS(avx2, __attribute__((target("avx2,fma"))), __m256, 8, _mm256_setzero_ps(), _mm256_fmadd_ps,
      _mm256_loadu_ps, _mm256_add_ps)
#define SCALAR_FMA(a, b, c) _mm_add_ps(_mm_mul_ps(a, b), c)
LOOPS(ref, , __m128, 4, _mm_setzero_ps(), SCALAR_FMA, _mm_loadu_ps, _mm_add_ps)
#elif defined(__aarch64__)
#include <arm_neon.h>
#define NEON_FMA(a, b, c) vfmaq_f32(c, a, b)
LOOPS(neon, , float32x4_t, 4, vdupq_n_f32(0), NEON_FMA, vld1q_f32, vaddq_f32)
#define read_ref read_neon
#define fma_ref fma_neon
#endif

peak peak_of(const char *set)
{
#if defined(__x86_64__)
    if (strncmp(set, "avx512", 6) == 0) return (peak){fma_avx512, read_avx512, 2.0 * 16 * CHAINS};
    if (strncmp(set, "avx", 3) == 0) return (peak){fma_avx2, read_avx2, 2.0 * 8 * CHAINS};
#endif
    (void)set;
    return (peak){fma_ref, read_ref, 2.0 * 4 * CHAINS};
}

/* The AVX2 set (with FMA and F16C): 16 lanes are two registers. */
#include <immintrin.h>

#include "kernels.h"

#define SET(name) name##_avx2
#include "elementwise.h"

typedef __m256 vec;
#define VEC_LANES 8
#define MM_ROWS 5
#define MM_PAIR 1
#define MM_TILES 4
#define MM_TWO 2
#define SCORE_Q 2
#define SCORE_K 2
#define WSUM_Q 4
#define WSUM_C 1
#define vec_zero _mm256_setzero_ps
#define vec_set1 _mm256_set1_ps
#define vec_load(p) _mm256_loadu_ps(p)
#define vec_store(p, v) _mm256_storeu_ps(p, v)
#define vec_add _mm256_add_ps
#define vec_mul _mm256_mul_ps
#define vec_max _mm256_max_ps /* the second operand for NaN and for two zeros: a > b ? a : b */
#define vec_dup_even _mm256_moveldup_ps
#define vec_dup_odd _mm256_movehdup_ps
#define vec_fma _mm256_fmadd_ps

static inline vec vec_swap_neg(vec a)
{
    const vec sign = _mm256_castsi256_ps(_mm256_set1_epi64x(0x80000000));
    return _mm256_xor_ps(_mm256_permute_ps(a, 0xb1), sign);
}

static inline vec vec_even(const void *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256(p), 16));
}

static inline vec vec_odd(const void *p)
{
    const __m256i high = _mm256_set1_epi32((int)0xffff0000);
    return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256(p), high));
}

static inline vec vec_bf16(const void *p)
{
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

static inline vec vec_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

/* The tree over four dot products of two vectors each. */
static inline void sum_dots(const vec *acc, float *out)
{
    __m128 b[4];
    for (int i = 0; i < 4; i++) {
        const vec a = vec_add(acc[2 * i], acc[2 * i + 1]);
        b[i] = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    }
    /* lane i + i+2, two dot products in one register, then lane 0 + 1 */
    const __m128 c = _mm_add_ps(_mm_movelh_ps(b[0], b[1]), _mm_movehl_ps(b[1], b[0]));
    const __m128 d = _mm_add_ps(_mm_movelh_ps(b[2], b[3]), _mm_movehl_ps(b[3], b[2]));
    _mm_storeu_ps(out, _mm_add_ps(_mm_shuffle_ps(c, d, 0x88), _mm_shuffle_ps(c, d, 0xdd)));
}

#include "blocks.h"
#include "qplain.h"

const rmr_kernels rmr_kernels_avx2 = KERNEL_TABLE("avx2");

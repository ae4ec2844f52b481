/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors of the two 256-bit sets (AVX2 with FMA and F16C): 16 lanes are two registers. */
#include <immintrin.h>
#include <string.h>

#include "unroll.h"

typedef __m256 vec;
#define VEC_LANES 8
#define MM_ROWS 5
#define MM_TILES 4
#define MM_AT(rows) ((rows) == 1 ? 4 : (rows) == 2 ? 2 : 1)
#define SCORE_Q 2
#define SCORE_K 2
#define WSUM_Q 4
#define WSUM_PAIRS 1
#define Q_STREAMS 1
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

static inline vec vec_unzip_even(vec a, vec b)
{
    return _mm256_shuffle_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31),
                             0x88);
}

static inline vec vec_unzip_odd(vec a, vec b)
{
    return _mm256_shuffle_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31),
                             0xdd);
}

static inline vec vec_zip_low(vec a, vec b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}

static inline vec vec_zip_high(vec a, vec b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
}

static inline vec vec_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

/* 16 codes of F8 to the halves of kernels.h: the sign comes along in the sign extension. */
static inline void f8_halves(uint16_t *to, const void *p)
{
    const __m256i wide = _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(p)), 7);
    _mm256_storeu_si256((void *)to, _mm256_and_si256(wide, _mm256_set1_epi16((short)0xbfff)));
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

typedef __m256i ivec;
#define iv_load(p) _mm256_loadu_si256((const void *)(p))
#define iv_set1 _mm256_set1_epi8
#define iv_and _mm256_and_si256
#define iv_or _mm256_or_si256
#define iv_shr _mm256_srli_epi16
#define iv_shl _mm256_slli_epi16
#define iv_sub _mm256_sub_epi8
#define iv_flip(a) _mm256_xor_si256(a, _mm256_set1_epi8(-128))
#define iv_lookup(book, a)                                                                         \
    _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)(book))), a)
#define iv_add32 _mm256_add_epi32
#define iv_shl32(a, n) _mm256_slli_epi32(a, n)
#define iv_sar32(a, n) _mm256_srai_epi32(a, n)
#define iv_zero _mm256_setzero_si256
#define iv_start _mm256_set1_epi32
#define iv_float _mm256_cvtepi32_ps
#define iv_bits _mm256_castsi256_ps

static inline vec vec_int8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}

/* (e - 1) << 23, but no less than the subnormals of 0 and 1. */
static inline vec vec_e8m0(const void *p)
{
    const ivec e = _mm256_cvtepu8_epi32(_mm_loadl_epi64(p));
    const ivec least =
        _mm256_min_epi32(_mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(1)), 21),
                         _mm256_set1_epi32(1 << 22));
    const ivec bits = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
    return _mm256_castsi256_ps(_mm256_max_epi32(bits, least));
}

/* Four activations in every lane. */
static inline ivec iv_four(const int8_t *q)
{
    int32_t four;
    memcpy(&four, q, 4);
    return _mm256_set1_epi32(four);
}

/* In every 16 bytes rows and columns of 4 x 4 exchanged. */
static inline ivec iv_transpose(ivec a)
{
    const __m128i by = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm256_shuffle_epi8(a, _mm256_broadcastsi128_si256(by));
}

#define KV8_ROWS 4
#define KV8_COLS 4
#define KV8_VECS 2

/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors of the two AVX-512 sets: 16 lanes are one register. vdpbf16ps is not used, its
 * rounding is its own. */
#include <immintrin.h>
#include <string.h>

#include "unroll.h"

typedef __m512 vec;
#define VEC_LANES 16
#define MM_ROWS 12
#define MM_TILES 4
#define MM_AT(rows) ((rows) <= 6 ? 4 : 2)
#define SCORE_Q 4
#define SCORE_K 4
#define WSUM_Q 8
#define WSUM_PAIRS 1
#define Q_STREAMS 2
#define vec_zero _mm512_setzero_ps
#define vec_set1 _mm512_set1_ps
#define vec_load(p) _mm512_loadu_ps(p)
#define vec_store(p, v) _mm512_storeu_ps(p, v)
#define vec_add _mm512_add_ps
#define vec_mul _mm512_mul_ps
#define vec_max _mm512_max_ps /* the second operand for NaN and for two zeros: a > b ? a : b */
#define vec_dup_even _mm512_moveldup_ps
#define vec_dup_odd _mm512_movehdup_ps
#define vec_fma _mm512_fmadd_ps

static inline vec vec_swap_neg(vec a)
{
    const vec sign = _mm512_castsi512_ps(_mm512_set1_epi64(0x80000000));
    return _mm512_xor_ps(_mm512_permute_ps(a, 0xb1), sign);
}

static inline vec vec_even(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}

static inline vec vec_odd(const void *p)
{
    const __m512i high = _mm512_set1_epi32((int)0xffff0000);
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), high));
}

static inline vec vec_bf16(const void *p)
{
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline vec vec_unzip_even(vec a, vec b)
{
    const __m512i at = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, at, b);
}

static inline vec vec_unzip_odd(vec a, vec b)
{
    const __m512i at = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(a, at, b);
}

static inline vec vec_zip_low(vec a, vec b)
{
    const __m512i at = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(a, at, b);
}

static inline vec vec_zip_high(vec a, vec b)
{
    const __m512i at =
        _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return _mm512_permutex2var_ps(a, at, b);
}

static inline vec vec_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

/* The tree over 16 dot products at once. Level by level pairs of vectors are joined, so 15
 * additions do the work of 64; within every dot product the additions are exactly those of
 * lanes_sum. */
static inline void sum_dots(const vec *acc, float *out)
{
    const __m512i fix = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    vec a[8], b[4], c[2];
    for (int i = 0; i < 8; i++)
        a[i] = vec_add(_mm512_shuffle_f32x4(acc[2 * i], acc[2 * i + 1], 0x44),
                       _mm512_shuffle_f32x4(acc[2 * i], acc[2 * i + 1], 0xee));
    for (int i = 0; i < 4; i++)
        b[i] = vec_add(_mm512_shuffle_f32x4(a[2 * i], a[2 * i + 1], 0x88),
                       _mm512_shuffle_f32x4(a[2 * i], a[2 * i + 1], 0xdd));
    for (int i = 0; i < 2; i++)
        c[i] = vec_add(_mm512_shuffle_ps(b[2 * i], b[2 * i + 1], 0x44),
                       _mm512_shuffle_ps(b[2 * i], b[2 * i + 1], 0xee));
    /* quarter q holds the dot products q, 4 + q, 8 + q, 12 + q */
    const vec d = vec_add(_mm512_shuffle_ps(c[0], c[1], 0x88), _mm512_shuffle_ps(c[0], c[1], 0xdd));
    vec_store(out, _mm512_permutexvar_ps(fix, d));
}

/* 32 codes of F8 to the halves of kernels.h: the sign comes along in the sign extension. */
static inline void f8_halves(uint16_t *to, const void *p)
{
    const __m512i wide = _mm512_slli_epi16(_mm512_cvtepi8_epi16(_mm256_loadu_si256(p)), 7);
    _mm512_storeu_si512(to, _mm512_and_si512(wide, _mm512_set1_epi16((short)0xbfff)));
}

typedef __m512i ivec;
#define iv_load(p) _mm512_loadu_si512(p)
#define iv_set1 _mm512_set1_epi8
#define iv_and _mm512_and_si512
#define iv_or _mm512_or_si512
#define iv_shr(a, n) _mm512_srli_epi16(a, (unsigned)(n))
#define iv_shl(a, n) _mm512_slli_epi16(a, (unsigned)(n))
#define iv_sub _mm512_sub_epi8
#define iv_flip(a) _mm512_xor_si512(a, _mm512_set1_epi8(-128))
#define iv_lookup(book, a)                                                                         \
    _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)(book))), a)
#define iv_add32 _mm512_add_epi32
#define iv_shl32(a, n) _mm512_slli_epi32(a, (unsigned)(n))
#define iv_sar32(a, n) _mm512_srai_epi32(a, (unsigned)(n))
#define iv_zero _mm512_setzero_si512
#define iv_start _mm512_set1_epi32
#define iv_float _mm512_cvtepi32_ps
#define iv_bits _mm512_castsi512_ps

static inline vec vec_int8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}

/* (e - 1) << 23, but no less than the subnormals of 0 and 1. */
static inline vec vec_e8m0(const void *p)
{
    const ivec e = _mm512_cvtepu8_epi32(_mm_loadu_si128(p));
    const ivec least =
        _mm512_min_epi32(_mm512_slli_epi32(_mm512_add_epi32(e, _mm512_set1_epi32(1)), 21),
                         _mm512_set1_epi32(1 << 22));
    const ivec bits = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    return _mm512_castsi512_ps(_mm512_max_epi32(bits, least));
}

/* Four activations in every lane. */
static inline ivec iv_four(const int8_t *q)
{
    int32_t four;
    memcpy(&four, q, 4);
    return _mm512_set1_epi32(four);
}

/* In every 16 bytes rows and columns of 4 x 4 exchanged. */
static inline ivec iv_transpose(ivec a)
{
    const __m128i by = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_shuffle_epi8(a, _mm512_broadcast_i32x4(by));
}

#define KV8_ROWS 16
#define KV8_COLS 8
#define KV8_VECS 2

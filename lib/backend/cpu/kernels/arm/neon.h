/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors of the AArch64 sets: 16 lanes are four registers. */
#include <arm_neon.h>
#include <string.h>

#include "unroll.h"

typedef float32x4_t vec;
#define VEC_LANES 4
#define MM_ROWS 5
#define MM_TILES 4
#define MM_AT(rows) ((rows) == 1 ? 4 : (rows) == 2 ? 2 : 1)
#define SCORE_Q 2
#define SCORE_K 2
#define WSUM_Q 4
#define WSUM_PAIRS 2
#define Q_STREAMS 1
#define Q_MANY_ROWS 1
#define vec_zero() vdupq_n_f32(0.0f)
#define vec_set1 vdupq_n_f32
#define vec_load(p) vld1q_f32(p)
#define vec_store(p, v) vst1q_f32(p, v)
#define vec_add vaddq_f32
#define vec_mul vmulq_f32
#define vec_fma(a, b, c) vfmaq_f32(c, a, b)
#define vec_dup_even(a) vtrn1q_f32(a, a)
#define vec_dup_odd(a) vtrn2q_f32(a, a)
#define vec_unzip_even vuzp1q_f32
#define vec_unzip_odd vuzp2q_f32
#define vec_zip_low vzip1q_f32
#define vec_zip_high vzip2q_f32

/* Not vmaxq: it returns NaN, and orders the zeros. */
static inline vec vec_max(vec a, vec b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline vec vec_swap_neg(vec a)
{
    const uint32x4_t sign = vreinterpretq_u32_u64(vdupq_n_u64(0x80000000));
    return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(vrev64q_f32(a)), sign));
}

static inline vec vec_even(const void *p)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vld1q_u32(p), 16));
}

static inline vec vec_odd(const void *p)
{
    return vreinterpretq_f32_u32(vandq_u32(vld1q_u32(p), vdupq_n_u32(0xffff0000)));
}

static inline vec vec_bf16(const void *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

static inline vec vec_f16(const void *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

/* 8 codes of F8 to the halves of kernels.h: the sign comes along in the sign extension. */
static inline void f8_halves(uint16_t *to, const void *p)
{
    const uint16x8_t wide = vreinterpretq_u16_s16(vmovl_s8(vld1_s8(p)));
    vst1q_u16(to, vandq_u16(vshlq_n_u16(wide, 7), vdupq_n_u16(0xbfff)));
}

/* The tree over four dot products of four vectors each. */
static inline void sum_dots(const vec *acc, float *out)
{
    vec b[4];
    for (int i = 0; i < 4; i++)
        b[i] =
            vec_add(vec_add(acc[4 * i], acc[4 * i + 2]), vec_add(acc[4 * i + 1], acc[4 * i + 3]));
    /* lane i + i+2, two dot products in one register, then lane 0 + 1 */
    const vec c = vec_add(vcombine_f32(vget_low_f32(b[0]), vget_low_f32(b[1])),
                          vcombine_f32(vget_high_f32(b[0]), vget_high_f32(b[1])));
    const vec d = vec_add(vcombine_f32(vget_low_f32(b[2]), vget_low_f32(b[3])),
                          vcombine_f32(vget_high_f32(b[2]), vget_high_f32(b[3])));
    vec_store(out, vpaddq_f32(c, d));
}

typedef int8x16_t ivec; /* or four int32 */

static inline ivec bytes_of(int32x4_t a)
{
    return vreinterpretq_s8_s32(a);
}

static inline uint16x8_t halves_of(ivec a)
{
    return vreinterpretq_u16_s8(a);
}

/* Four bytes, widened with their sign. */
static inline int32x4_t four_bytes(const void *p)
{
    uint32_t four;
    memcpy(&four, p, 4);
    return vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(four))));
}

static inline vec vec_int8(const void *p)
{
    return vcvtq_f32_s32(four_bytes(p));
}

/* (e - 1) << 23, but no less than the subnormals of 0 and 1. */
static inline vec vec_e8m0(const void *p)
{
    const int32x4_t e = vandq_s32(four_bytes(p), vdupq_n_s32(255)), one = vdupq_n_s32(1);
    const int32x4_t least = vminq_s32(vshlq_n_s32(vaddq_s32(e, one), 21), vdupq_n_s32(1 << 22));
    return vreinterpretq_f32_s32(vmaxq_s32(vshlq_n_s32(vsubq_s32(e, one), 23), least));
}

#define iv_load(p) vld1q_s8((const int8_t *)(const void *)(p))
#define iv_set1(a) vdupq_n_s8((int8_t)(a))
#define iv_and vandq_s8
#define iv_or vorrq_s8
#define iv_shr(a, n) vreinterpretq_s8_u16(vshlq_u16(halves_of(a), vdupq_n_s16((int16_t) - (n))))
#define iv_shl(a, n) vreinterpretq_s8_u16(vshlq_u16(halves_of(a), vdupq_n_s16((int16_t)(n))))
#define iv_sub vsubq_s8
#define iv_flip(a) veorq_s8(a, vdupq_n_s8(-128))
#define iv_lookup(book, a) vqtbl1q_s8(vld1q_s8((const int8_t *)(book)), vreinterpretq_u8_s8(a))
#define iv_zero() vdupq_n_s8(0)
#define iv_start(n) bytes_of(vdupq_n_s32(n))
#define iv_add32(a, b) bytes_of(vaddq_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)))
#define iv_shl32(a, n) bytes_of(vshlq_n_s32(vreinterpretq_s32_s8(a), n))
#define iv_sar32(a, n) bytes_of(vshrq_n_s32(vreinterpretq_s32_s8(a), n))
#define iv_bits vreinterpretq_f32_s8
#define iv_float(a) vcvtq_f32_s32(vreinterpretq_s32_s8(a))

#define CODES_SIGNED(type) 1

/* ---- the 8-bit cache (kv8_attend_tmpl.h) ---- */

#define KV8_ROWS 4
#define KV8_COLS 8
#define KV8_VECS 1

/* Four tokens' codes of four columns, widened. */
typedef struct kv8_val {
    int16x8_t first, last; /* tokens 0, 1 and 2, 3 */
} kv8_val;

FORCE kv8_val kv8_value(const uint8_t *p)
{
    const ivec a = iv_load(p);
    return (kv8_val){vmovl_s8(vget_low_s8(a)), vmovl_high_s8(a)};
}

typedef int16x4_t kv8_by;

FORCE kv8_by kv8_weight(const uint8_t *p)
{
    uint32_t four;
    memcpy(&four, p, 4);
    return vreinterpret_s16_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
}

FORCE ivec kv8_add(ivec sum, kv8_by w, kv8_val val)
{
    int32x4_t a = vreinterpretq_s32_s8(sum);
    a = vmlal_lane_s16(a, vget_low_s16(val.first), w, 0);
    a = vmlal_lane_s16(a, vget_high_s16(val.first), w, 1);
    a = vmlal_lane_s16(a, vget_low_s16(val.last), w, 2);
    return bytes_of(vmlal_lane_s16(a, vget_high_s16(val.last), w, 3));
}

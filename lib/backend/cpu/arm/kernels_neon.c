/* The NEON set: every AArch64 processor has it. 16 lanes are four registers. */
#include <arm_neon.h>

#include "kernels.h"

#define SET(name) name##_neon
#include "elementwise.h"

typedef float32x4_t vec;
#define VEC_LANES 4
#define MM_ROWS 5
#define MM_PAIR 1
#define MM_TILES 4
#define MM_TWO 2
#define SCORE_Q 2
#define SCORE_K 2
#define WSUM_Q 4
#define WSUM_C 1
#define vec_zero() vdupq_n_f32(0.0f)
#define vec_set1 vdupq_n_f32
#define vec_load(p) vld1q_f32(p)
#define vec_store(p, v) vst1q_f32(p, v)
#define vec_add vaddq_f32
#define vec_mul vmulq_f32
#define vec_fma(a, b, c) vfmaq_f32(c, a, b)
#define vec_dup_even(a) vtrn1q_f32(a, a)
#define vec_dup_odd(a) vtrn2q_f32(a, a)

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

#include "blocks.h"
#include "qplain.h"

const rmr_kernels rmr_kernels_neon = KERNEL_TABLE("neon");

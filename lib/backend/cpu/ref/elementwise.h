/* The elementwise kernels, written once: every set includes this file and the compiler vectorises
 * it with the set's own instruction flags. Lanes are arrays of 16 and every loop keeps the order
 * that kernels.h defines, so the bits agree by construction. The including file defines SET(name),
 * which adds its suffix. */
#include "cpu_math.h"
#include "half.h"

enum { LANES = RMR_TILE };

static inline float lanes_sum(float lane[LANES])
{
    for (int i = 0; i < 8; i++) lane[i] += lane[i + 8];
    for (int i = 0; i < 4; i++) lane[i] += lane[i + 4];
    for (int i = 0; i < 2; i++) lane[i] += lane[i + 2];
    return lane[0] + lane[1];
}

static void SET(rmr_norm_f32)(float *y, const float *x, const float *w, uint32_t n, float eps)
{
    float lane[LANES] = {0};
    const uint32_t whole = n & ~(uint32_t)(LANES - 1);
    for (uint32_t i = 0; i < whole; i += LANES)
        for (uint32_t l = 0; l < LANES; l++) lane[l] = rmr_fmaf(x[i + l], x[i + l], lane[l]);
    for (uint32_t i = whole; i < n; i++) lane[i - whole] = rmr_fmaf(x[i], x[i], lane[i - whole]);
    const float r = 1.0f / __builtin_sqrtf(lanes_sum(lane) / (float)n + eps);
    for (uint32_t i = 0; i < n; i++) y[i] = (x[i] * r) * w[i];
}

static inline void rope_pairs(float *x, const float *cs, uint32_t n_pairs)
{
    for (uint32_t i = 0; i < n_pairs; i++) {
        const float u = x[2 * i], v = x[2 * i + 1], c = cs[2 * i], s = cs[2 * i + 1];
        x[2 * i] = rmr_fmaf(u, c, -(v * s));
        x[2 * i + 1] = rmr_fmaf(u, s, v * c);
    }
}

static void SET(rmr_rope_half_f32)(float *x, const float *cs, uint32_t n_pairs)
{
    for (uint32_t i = 0; i < n_pairs; i++) {
        const float u = x[i], v = x[n_pairs + i], c = cs[2 * i], s = cs[2 * i + 1];
        x[i] = rmr_fmaf(u, c, -(v * s));
        x[n_pairs + i] = rmr_fmaf(u, s, v * c);
    }
}

static void SET(rmr_silu_mul_f32)(float *y, const float *g, const float *u, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] = (g[i] / (1.0f + rmr_expf(-g[i]))) * u[i];
}

static void SET(rmr_sigmoid_f32)(float *y, const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] = rmr_sigmoidf(x[i]);
}

/* The end of max: n < 16 values more for the first lanes, then the tree. */
static inline float max_lanes(float lane[LANES], const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) lane[i] = x[i] > lane[i] ? x[i] : lane[i];
    for (uint32_t s = 8; s > 0; s /= 2)
        for (uint32_t i = 0; i < s; i++) lane[i] = lane[i] > lane[i + s] ? lane[i] : lane[i + s];
    return lane[0];
}

static float SET(rmr_exp_sum_f32)(float *x, uint32_t n, float shift)
{
    float lane[LANES] = {0};
    const uint32_t whole = n & ~(uint32_t)(LANES - 1);
    for (uint32_t i = 0; i < n; i++) x[i] = rmr_expf(x[i] - shift);
    for (uint32_t i = 0; i < whole; i += LANES)
        for (uint32_t l = 0; l < LANES; l++) lane[l] += x[i + l];
    for (uint32_t i = whole; i < n; i++) lane[i - whole] += x[i];
    return lanes_sum(lane);
}

static void SET(rmr_scale_f32)(float *x, uint32_t n, float s)
{
    for (uint32_t i = 0; i < n; i++) x[i] *= s;
}

static void SET(rmr_add_f32)(float *y, const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] += x[i];
}

static void SET(rmr_madd_f32)(float *y, const float *x, uint32_t n, float w)
{
    for (uint32_t i = 0; i < n; i++) y[i] = rmr_fmaf(w, x[i], y[i]);
}

static void SET(rmr_merge_f32)(float *z, const float *p, uint32_t n, float a, float b)
{
    for (uint32_t i = 0; i < n; i++) z[i] = rmr_fmaf(p[i], b, z[i] * a);
}

static void SET(rmr_to_bf16_f32)(uint16_t *y, const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] = rmr_f32_to_bf16(x[i]);
}

static void SET(rmr_from_bf16_f32)(float *y, const uint16_t *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] = rmr_bf16_to_f32(x[i]);
}

/* The table of the set; what is not above comes from the including file. */
#define KERNEL_TABLE(set_name)                                                                     \
    {                                                                                              \
        .name = set_name,                                                                          \
        .matmul = {[RMR_ELEM_BF16] = SET(rmr_matmul_bf16),                                         \
                   [RMR_ELEM_F16] = SET(rmr_matmul_f16),                                           \
                   [RMR_ELEM_F32] = SET(rmr_matmul_f32)},                                          \
        .scores_bf16 = SET(rmr_scores_bf16), .scores_f32 = SET(rmr_scores_f32),                    \
        .wsum_bf16 = SET(rmr_wsum_bf16), .wsum_f32 = SET(rmr_wsum_f32), .norm = SET(rmr_norm_f32), \
        .rope = SET(rmr_rope_f32), .rope_half = SET(rmr_rope_half_f32),                            \
        .silu_mul = SET(rmr_silu_mul_f32), .sigmoid = SET(rmr_sigmoid_f32),                        \
        .max = SET(rmr_max_f32), .exp_sum = SET(rmr_exp_sum_f32), .scale = SET(rmr_scale_f32),     \
        .add = SET(rmr_add_f32), .madd = SET(rmr_madd_f32), .merge = SET(rmr_merge_f32),           \
        .to_bf16 = SET(rmr_to_bf16_f32), .from_bf16 = SET(rmr_from_bf16_f32),                      \
        .from_f16 = SET(rmr_from_f16_f32),                                                         \
    }

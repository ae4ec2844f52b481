/* SPDX-License-Identifier: Apache-2.0 */
/* The elementwise kernels: the definition, which sets compile with their own instruction flags, so
 * that the compiler vectorises it. Lanes are arrays of 16 and every loop keeps the order that
 * kernels.h defines, so the bits agree by construction. rope, max and from_f16 are in kernels_ref.c
 * and, over vectors, in tmpl/elementwise_tmpl.h. */
#include "lanes.h"

static void norm_f32(float *y, const float *x, const float *w, uint32_t n, float eps)
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

static void rope_half_f32(float *x, const float *cs, uint32_t n_pairs)
{
    for (uint32_t i = 0; i < n_pairs; i++) {
        const float u = x[i], v = x[n_pairs + i], c = cs[2 * i], s = cs[2 * i + 1];
        x[i] = rmr_fmaf(u, c, -(v * s));
        x[n_pairs + i] = rmr_fmaf(u, s, v * c);
    }
}

static void silu_mul_f32(float *y, const float *g, const float *u, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] = (g[i] / (1.0f + rmr_expf(-g[i]))) * u[i];
}

static void sigmoid_f32(float *y, const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] = rmr_sigmoidf(x[i]);
}

static float exp_sum_f32(float *x, uint32_t n, float shift)
{
    float lane[LANES] = {0};
    const uint32_t whole = n & ~(uint32_t)(LANES - 1);
    for (uint32_t i = 0; i < n; i++) x[i] = rmr_expf(x[i] - shift);
    for (uint32_t i = 0; i < whole; i += LANES)
        for (uint32_t l = 0; l < LANES; l++) lane[l] += x[i + l];
    for (uint32_t i = whole; i < n; i++) lane[i - whole] += x[i];
    return lanes_sum(lane);
}

static void scale_f32(float *x, uint32_t n, float s)
{
    for (uint32_t i = 0; i < n; i++) x[i] *= s;
}

static void add_f32(float *y, const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] += x[i];
}

static void madd_f32(float *y, const float *x, uint32_t n, float w)
{
    for (uint32_t i = 0; i < n; i++) y[i] = rmr_fmaf(w, x[i], y[i]);
}

static void merge_f32(float *z, const float *p, uint32_t n, float a, float b)
{
    for (uint32_t i = 0; i < n; i++) z[i] = rmr_fmaf(p[i], b, z[i] * a);
}

static void to_bf16(uint16_t *y, const float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] = rmr_f32_to_bf16(x[i]);
}

static void from_bf16(float *y, const uint16_t *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) y[i] = rmr_bf16_to_f32(x[i]);
}

static void pairs_f32(float *to, const float *x, uint32_t n)
{
    for (; n >= RMR_PAIRS; n -= RMR_PAIRS, to += RMR_PAIRS, x += RMR_PAIRS)
        for (int i = 0; i < RMR_TILE; i++) {
            to[i] = x[2 * i];
            to[RMR_TILE + i] = x[2 * i + 1];
        }
    for (uint32_t k = 0; k < n; k++) to[k % 2 * RMR_TILE + k / 2] = x[k];
}

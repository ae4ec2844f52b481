/* SPDX-License-Identifier: Apache-2.0 */
/* The elementwise kernels that compilers do not vectorise well, over vectors. */
#include "elementwise.h"
#include "vec.h"

static void rope_f32(float *x, const float *cs, uint32_t n_pairs)
{
    uint32_t i = 0;
    for (; i + VEC_LANES / 2 <= n_pairs; i += VEC_LANES / 2) {
        const vec xv = vec_load(x + 2 * i), cv = vec_load(cs + 2 * i);
        /* (u, u) * (c, s) + (v, v) * (-s, c) */
        const vec side = vec_mul(vec_dup_odd(xv), vec_swap_neg(cv));
        vec_store(x + 2 * i, vec_fma(vec_dup_even(xv), cv, side));
    }
    rope_pairs(x + 2 * i, cs + 2 * i, n_pairs - i);
}

static float max_f32(const float *x, uint32_t n)
{
    float lane[LANES];
    vec acc[NV];
    uint32_t i = 0;
    UNROLL for (int v = 0; v < NV; v++) acc[v] = vec_set1(-__builtin_inff());
    for (; i + LANES <= n; i += LANES)
        UNROLL for (int v = 0; v < NV; v++) acc[v] =
            vec_max(vec_load(x + i + v * VEC_LANES), acc[v]);
    UNROLL for (int v = 0; v < NV; v++) vec_store(lane + v * VEC_LANES, acc[v]);
    return max_lanes(lane, x + i, n - i);
}

static void from_f16(float *y, const uint16_t *x, uint32_t n)
{
    uint32_t i = 0;
    for (; i + VEC_LANES <= n; i += VEC_LANES) vec_store(y + i, vec_f16(x + i));
    for (; i < n; i++) y[i] = rmr_f16_to_f32(x[i]);
}

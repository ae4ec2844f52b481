/* SPDX-License-Identifier: Apache-2.0 */
/* The reference against arithmetic in double precision. The bounds are rounding bounds: a chain of
 * n fused multiply-adds errs by at most n * 2^-24 * sum |a * b| (here twice that, for subnormals
 * and the scale); functions are held to units in the last place. */
#include "cases.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cases_kv8.h"
#include "float_math.h"
#include "half.h"
#include "inputs.h"
#include "sincos.h"

static char message[160];

static double weight(rmr_elem type, const uint8_t *tile, uint32_t r, uint32_t k)
{
    uint16_t h;
    float f;
    if (type == RMR_ELEM_F32) {
        memcpy(&f, tile + k * 64 + r * 4, 4);
        return (double)f;
    }
    memcpy(&h, tile + (type == RMR_ELEM_F16 ? k * 32 + r * 2 : k / 2 * 64 + r * 4 + k % 2 * 2), 2);
    return (double)(type == RMR_ELEM_F16 ? rmr_f16_to_f32(h) : rmr_bf16_to_f32(h));
}

static const char *truth_matmul(const rmr_kernels *set)
{
    enum { K = 301, M = 3, T = 2 };
    float y[M * T * RMR_TILE];
    for (int t = 0; t < RMR_ELEM_PLAIN; t++) {
        const size_t stride = rmr_tile_bytes((rmr_elem)t, K);
        rng r = {(uint64_t)t + 70};
        float *const x = guarded(0, sizeof(float) * M * K);
        uint8_t *const w = guarded(1, stride * T);
        fill_f32(&r, x, M * K);
        fill_weights(&r, w, (rmr_elem)t, stride * T);
        set->product->matmul[t](y, T * RMR_TILE, x, K, M, w, stride, T, K, 0, NULL);
        for (uint32_t i = 0; i < M * T * RMR_TILE; i++) {
            const uint32_t m = i / (T * RMR_TILE), row = i % (T * RMR_TILE);
            double sum = 0, size = 0;
            for (uint32_t k = 0; k < K; k++) {
                const double p =
                    weight((rmr_elem)t, w + row / RMR_TILE * stride, row % RMR_TILE, k) *
                    (double)x[m * K + k];
                sum += p;
                size += fabs(p);
            }
            if (!(fabs(sum - (double)y[i]) <= 2 * K * 0x1p-24 * size)) {
                snprintf(message, sizeof message, "matmul type %d output %u: %g, not %g", t, i,
                         (double)y[i], sum);
                return message;
            }
        }
    }
    return NULL;
}

/* With an odd width, so that the last pairs are not whole. */
static const char *truth_attention_of(const rmr_kernels *set, int bf16)
{
    enum { Q = 3, N = 21, W = 77, LD = 96 };
    static float out[Q * RMR_KV8_SEG], value[N * W], paired[Q * LD];
    float z[Q * W] = {0};
    rng r = {4};
    float *const q = guarded(0, sizeof(float) * Q * W);
    void *const rows = guarded(1, (bf16 ? 2u : 4u) * N * W);
    const void *const pages[] = {rows, rows};
    fill_f32(&r, q, Q * W);
    fill_f32(&r, value, N * W);
    if (bf16) {
        rmr_kernels_ref.elementwise->to_bf16(rows, value, N * W);
        rmr_kernels_ref.elementwise->from_bf16(value, rows, N * W);
        for (int i = 0; i < Q; i++)
            set->attention->pairs(paired + (ptrdiff_t)i * LD, q + (ptrdiff_t)i * W, W);
        set->attention->scores_bf16(out, paired, LD, Q, pages, W, N, W, 0.25f);
    } else {
        memcpy(rows, value, sizeof value);
        set->attention->scores_f32(out, q, W, Q, pages, W, N, W, 0.25f);
    }
    for (int i = 0; i < Q * N; i++) {
        double sum = 0, size = 0;
        for (int k = 0; k < W; k++) {
            const double p = (double)q[i / N * W + k] * (double)value[i % N * W + k] * 0.25;
            sum += p;
            size += fabs(p);
        }
        if (!(fabs(sum - (double)out[i / N * RMR_KV8_SEG + i % N]) <= 2 * W * 0x1p-24 * size))
            return "scores are wrong";
    }
    (bf16 ? set->attention->wsum_bf16 : set->attention->wsum_f32)(z, W, out, Q, pages, W, N, W);
    for (int i = 0; i < Q * W; i++) {
        double sum = 0, size = 0;
        for (int j = 0; j < N; j++) {
            const double p = (double)out[i / W * RMR_KV8_SEG + j] * (double)value[j * W + i % W];
            sum += p;
            size += fabs(p);
        }
        if (!(fabs(sum - (double)z[i]) <= 2 * N * 0x1p-24 * size)) return "weighted sums are wrong";
    }
    return NULL;
}

static const char *truth_attention(const rmr_kernels *set)
{
    const char *const bad = truth_attention_of(set, 0);
    return bad != NULL ? bad : truth_attention_of(set, 1);
}

static double ulps(float got, double want)
{
    int e;
    frexp(want, &e);
    return fabs((double)got - want) / ldexp(1.0, e - 24);
}

/* Every 4,001st float with a normal result; then the ends. */
static const char *truth_exp(const rmr_kernels *set)
{
    static const uint32_t zero[] = {0xc2aeac50, 0xc3000000, 0xff7fffff, 0xff800000};
    static const uint32_t inf[] = {0x42b17218, 0x43000000, 0x7f7fffff, 0x7f800000};
    double worst = 0;
    for (uint32_t sign = 0; sign < 2; sign++) {
        const uint32_t last = sign ? 0x42aeac4f : 0x42b17217;
        for (uint32_t u = last; u <= last; u -= u > 4001 ? 4001 : u + 1) {
            const float x = rmr_float_of(u | sign << 31);
            float y = x;
            set->elementwise->exp_sum(&y, 1, 0.0f);
            const double err = ulps(y, exp((double)x));
            if (err > worst) worst = err;
        }
    }
    if (worst > 1.0) {
        snprintf(message, sizeof message, "exp errs by %.3f ulp", worst);
        return message;
    }
    for (int i = 0; i < 4; i++)
        if (rmr_bits_of(rmr_expf(rmr_float_of(zero[i]))) != 0 ||
            rmr_bits_of(rmr_expf(rmr_float_of(inf[i]))) != 0x7f800000)
            return "exp does not end in 0 and infinity";
    if (!isnan(rmr_expf(rmr_float_of(0x7fc00001))) || !isnan(rmr_expf(rmr_float_of(0xff800001))))
        return "exp loses NaN";
    return rmr_expf(0.0f) == 1.0f && rmr_expf(-0.0f) == 1.0f ? NULL : "exp(0) is not 1";
}

static const char *truth_functions(const rmr_kernels *set)
{
    enum { N = 200 };
    float x[N], w[N], y[N];
    rng r = {8};
    fill_f32(&r, x, N);
    fill_f32(&r, w, N);
    for (int i = 0; i < N; i++) x[i] *= 8.0f;
    set->elementwise->sigmoid(y, x, N);
    for (int i = 0; i < N; i++)
        if (ulps(y[i], 1 / (1 + exp(-(double)x[i]))) > 3) return "sigmoid";
    set->elementwise->silu_mul(y, x, w, N);
    for (int i = 0; i < N; i++) {
        const double want = (double)x[i] / (1 + exp(-(double)x[i])) * (double)w[i];
        if (want != 0 && ulps(y[i], want) > 4) return "silu_mul";
    }
    double square = 0;
    for (int i = 0; i < N; i++) square += (double)x[i] * (double)x[i];
    const double scale = 1 / sqrt(square / N + (double)1e-6f);
    set->elementwise->norm(y, x, w, N, 1e-6f);
    for (int i = 0; i < N; i++)
        if (fabs((double)y[i] - (double)x[i] * scale * (double)w[i]) >
            20 * 0x1p-24 * fabs((double)y[i]))
            return "norm";
    float most = x[0];
    for (int i = 1; i < N; i++) most = x[i] > most ? x[i] : most;
    return set->elementwise->max(x, N) == most ? NULL : "max";
}

/* Rotation by 30 and 60 degrees keeps lengths; cheaper to believe: compare with doubles. */
static const char *truth_rope(const rmr_kernels *set)
{
    enum { PAIRS = 37 };
    float x[2 * PAIRS], cs[2 * PAIRS], y[2 * PAIRS], z[2 * PAIRS];
    rng r = {12};
    fill_f32(&r, x, 2 * PAIRS);
    for (int i = 0; i < PAIRS; i++) rmr_sincos(0.7 * i, cs + 2 * i, cs + 2 * i + 1);
    memcpy(y, x, sizeof y);
    for (int i = 0; i < PAIRS; i++) { /* the same pairs in halves */
        z[i] = x[2 * i];
        z[PAIRS + i] = x[2 * i + 1];
    }
    set->elementwise->rope(y, cs, PAIRS);
    set->elementwise->rope_half(z, cs, PAIRS);
    for (int i = 0; i < PAIRS; i++) {
        const double u = (double)x[2 * i], v = (double)x[2 * i + 1];
        const double c = cos(0.7 * i), s = sin(0.7 * i), bound = 4 * 0x1p-24 * (fabs(u) + fabs(v));
        if (fabs((double)y[2 * i] - (u * c - v * s)) > bound ||
            fabs((double)y[2 * i + 1] - (u * s + v * c)) > bound)
            return "rope";
        if (z[i] != y[2 * i] || z[PAIRS + i] != y[2 * i + 1]) return "rope_half";
    }
    return NULL;
}

static const char *truth_sincos(const rmr_kernels *set)
{
    rng r = {3};
    (void)set;
    for (int i = 0; i < 200000; i++) {
        const double size = ldexp(1.0, (int)(rng_next(&r) % 36) - 12);
        const double a = ((double)(rng_next(&r) & 0xffffffff) * 0x1p-31 - 1.0) * size;
        float c, s;
        rmr_sincos(a, &c, &s);
        /* Half a unit of float, and 2^-40 of one: so all but some in 2^40 are correctly rounded. */
        if (ulps(c, cos(a)) > 0.5000001 || ulps(s, sin(a)) > 0.5000001) {
            snprintf(message, sizeof message, "sincos of %.17g", a);
            return message;
        }
    }
    return NULL;
}

/* fmaf as it has to be: the C library's, but mingw's rounds twice, so there the instruction. */
#ifdef _WIN32
__attribute__((target("fma")))
#endif
static float true_fma(float a, float b, float c)
{
    return fmaf(a, b, c);
}

/* The stand-in for fmaf against the true one. */
static const char *truth_fma(const rmr_kernels *set)
{
    rng r = {6};
    (void)set;
    for (int i = 0; i < 2000000; i++) {
        const uint64_t v = rng_next(&r), w = rng_next(&r);
        uint32_t u[3] = {(uint32_t)v, (uint32_t)w, (uint32_t)(v >> 32 ^ w >> 24)};
        if (i % 2) { /* exponents near each other, so that the last bits matter */
            u[0] = (u[0] & 0x807fffff) | (100 + u[0] % 8) << 23;
            u[1] = (u[1] & 0x807fffff) | (100 + u[1] % 8) << 23;
            u[2] = (u[2] & 0x807fffff) | (73 + u[2] % 64) << 23;
        }
        const float a = rmr_float_of(u[0]), b = rmr_float_of(u[1]), c = rmr_float_of(u[2]);
        const float x = rmr_fmaf(a, b, c), y = true_fma(a, b, c);
        if (rmr_bits_of(x) != rmr_bits_of(y) && !(isnan(x) && isnan(y))) {
            snprintf(message, sizeof message, "fma of %a %a %a is %a", (double)a, (double)b,
                     (double)c, (double)x);
            return message;
        }
    }
    return NULL;
}

const kernel_case cases_truth[] = {
    {"matmul", truth_matmul},
    {"quantize", truth_quantize},
    {"qmatmul", truth_qmatmul},
    {"attention", truth_attention},
    {"exp", truth_exp},
    {"functions", truth_functions},
    {"rope", truth_rope},
    {"sincos", truth_sincos},
    {"fma", truth_fma},
    {"kv8", truth_kv8},
    {NULL, NULL},
};

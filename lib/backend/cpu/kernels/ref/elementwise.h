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

/* The bits of the largest |x[i]|; what is not finite counts as larger than all that is. */
static inline uint32_t top_bits(const float *x, uint32_t n)
{
    uint32_t top = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t u = rmr_bits_of(x[i]) & 0x7fffffff;
        top = u > top ? u : top;
    }
    return top;
}

/* How values with such a largest one become integers of at most `most`. */
typedef struct quantum {
    float scale, inverse;
    int finite;
} quantum;

static inline quantum quantum_of(uint32_t top, float most)
{
    const float amax = rmr_float_of(top);
    const int finite = top < 0x7f800000, some = finite && amax >= RMR_LEAST;
    return (quantum){some     ? amax / most
                     : finite ? 0.0f
                              : rmr_float_of(0x7fc00000),
                     some ? most / amax : 0.0f, finite};
}

/* What is known of a run of activations before its line is complete. */
typedef struct q_part {
    quantum u;
    int32_t sum[3]; /* of all values, of each half */
} q_part;

/* The magic addend leaves the rounded integer in the low bits; a byte of them is the value. */
static inline void part_values(int8_t *q, q_part *run, const float *x)
{
    int32_t all = 0, first = 0;
    for (int i = 0; i < 32; i++) {
        const float t = x[i] * run->u.inverse + 0x1.8p23f;
        const int32_t v = run->u.finite ? (int32_t)((rmr_bits_of(t) & 0xff) ^ 0x80) - 0x80 : 0;
        q[i] = (int8_t)v;
        all += v;
        first += i < 16 ? v : 0; /* with a loop of 16 of its own it is added up one by one */
    }
    run->sum[0] = all;
    run->sum[1] = first;
    run->sum[2] = all - first;
}

static inline void part_end(rmr_qline *line, const q_part *run)
{
    line->scale = run->u.scale;
    for (int i = 0; i < 3; i++) line->sum[i] = run->u.scale * (float)run->sum[i];
    line->start[0] = RMR_QMAGIC_BITS - 128 * run->sum[0];
    line->start[1] = RMR_QMAGIC_BITS - 8 * run->sum[0];
    line->start[2] = RMR_QMAGIC_BITS - 32 * run->sum[1];
    line->start[3] = RMR_QMAGIC_BITS - 32 * run->sum[2];
}

/* Activations to 8 bits (kernels.h). Step by step for some runs: all steps of one after the other
 * are a chain too long for a processor to begin the next meanwhile. */
static void SET(rmr_quantize_f32)(void *xq, const float *x, uint32_t k)
{
    enum { RUNS = 16 };
    rmr_qline *line = xq;
    q_part run[RUNS];
    for (uint32_t left = k / 32, n; left > 0; left -= n, line += n, x += (size_t)32 * n) {
        n = left < RUNS ? left : RUNS;
        for (uint32_t i = 0; i < n; i++)
            run[i].u = quantum_of(top_bits(x + (size_t)32 * i, 32), 127.0f);
        for (uint32_t i = 0; i < n; i++) part_values(line[i].q, &run[i], x + (size_t)32 * i);
        for (uint32_t i = 0; i < n; i++) part_end(line + i, &run[i]);
    }
}

static void SET(rmr_pairs_f32)(float *to, const float *x, uint32_t n)
{
    for (; n >= RMR_PAIRS; n -= RMR_PAIRS, to += RMR_PAIRS, x += RMR_PAIRS)
        for (int i = 0; i < RMR_TILE; i++) {
            to[i] = x[2 * i];
            to[RMR_TILE + i] = x[2 * i + 1];
        }
    for (uint32_t k = 0; k < n; k++) to[k % 2 * RMR_TILE + k / 2] = x[k];
}

/* The integer types: name in functions, element type. */
#define Q_TYPES(X)                                                                                 \
    X(q8_0, RMR_ELEM_Q8_0)                                                                         \
    X(q4_0, RMR_ELEM_Q4_0)                                                                         \
    X(i4, RMR_ELEM_I4)                                                                             \
    X(iq4_nl, RMR_ELEM_IQ4_NL)                                                                     \
    X(mxfp4, RMR_ELEM_MXFP4)                                                                       \
    X(iq4_xs, RMR_ELEM_IQ4_XS)                                                                     \
    X(q4_k, RMR_ELEM_Q4_K)                                                                         \
    X(q5_k, RMR_ELEM_Q5_K)                                                                         \
    X(q6_k, RMR_ELEM_Q6_K)                                                                         \
    X(q3_k, RMR_ELEM_Q3_K)                                                                         \
    X(q2_k, RMR_ELEM_Q2_K)                                                                         \
    X(q4_1, RMR_ELEM_Q4_1)                                                                         \
    X(q5_0, RMR_ELEM_Q5_0)                                                                         \
    X(q5_1, RMR_ELEM_Q5_1)
#define Q_ENTRY(name, type) [type] = SET(rmr_qmatmul_##name),

/* The table of the set; what is not above comes from the including file. */
#define KERNEL_TABLE(set_name)                                                                     \
    {                                                                                              \
        .name = set_name,                                                                          \
        .matmul = {[RMR_ELEM_BF16] = SHARED(rmr_matmul_bf16),                                      \
                   [RMR_ELEM_F16] = SHARED(rmr_matmul_f16),                                        \
                   [RMR_ELEM_F32] = SHARED(rmr_matmul_f32),                                        \
                   [RMR_ELEM_F8] = SHARED(rmr_matmul_f8)},                                         \
        .qmatmul = {Q_TYPES(Q_ENTRY)}, .quantize = SET(rmr_quantize_f32),                          \
        .scores_bf16 = SHARED(rmr_scores_bf16), .scores_f32 = SHARED(rmr_scores_f32),              \
        .pairs = SET(rmr_pairs_f32), .wsum_bf16 = SHARED(rmr_wsum_bf16),                           \
        .wsum_f32 = SHARED(rmr_wsum_f32), .norm = SET(rmr_norm_f32), .rope = SET(rmr_rope_f32),    \
        .rope_half = SET(rmr_rope_half_f32), .silu_mul = SET(rmr_silu_mul_f32),                    \
        .sigmoid = SET(rmr_sigmoid_f32), .max = SET(rmr_max_f32), .exp_sum = SET(rmr_exp_sum_f32), \
        .scale = SET(rmr_scale_f32), .add = SET(rmr_add_f32), .madd = SET(rmr_madd_f32),           \
        .merge = SET(rmr_merge_f32), .to_bf16 = SET(rmr_to_bf16_f32),                              \
        .from_bf16 = SET(rmr_from_bf16_f32), .from_f16 = SET(rmr_from_f16_f32),                    \
        .kv8_put = SET(rmr_kv8_put), .kv8_get = SET(rmr_kv8_get), .kv8_query = SET(rmr_kv8_query), \
        .kv8_attend = SET(rmr_kv8_attend),                                                         \
    }

/* Small kernels, written once over a vector type, and what attend_tmpl.h, matmul_tmpl.h and
 * qmatmul_tmpl.h need too. The including file (one per instruction set) defines SET(name), vec,
 * VEC_LANES (a divisor of 16), vec_zero(), vec_set1(f), vec_load(p), vec_store(p, v), vec_add(a,
 * b), vec_fma(a, b, c) = a * b + c, vec_even(p), vec_odd(p): of VEC_LANES pairs of bf16, the first
 * and the second values, vec_unzip_even(a, b), vec_unzip_odd(a, b): the same of pairs of floats in
 * a and then b, vec_zip_low(a, b), vec_zip_high(a, b): back, vec_bf16(p), vec_f16(p): VEC_LANES
 * halves widened, f8_halves(to, p): 2 VEC_LANES codes of F8 as the halves of kernels.h,
 * sum_dots(lanes, out): the tree of kernels.h over SCORE_Q * SCORE_K dot products, and how much to
 * keep in registers: MM_ROWS rows of x at most, of m rows MM_AT(m) tiles, MM_TILES at most, SCORE_Q
 * by SCORE_K dot products, WSUM_Q (4 or more) queries by WSUM_PAIRS pairs of vectors of value sums,
 * and half as many and one query by two and four times as many pairs. Block sizes are constants
 * after inlining, so the arrays of accumulators become registers. Blocking never changes the order
 * of any output's chain.
 */
#define FORCE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum { NV = RMR_TILE / VEC_LANES }; /* vectors in 16 lanes */

/* ---- small kernels that compilers do not vectorise well ---- */

static void SET(rmr_rope_f32)(float *x, const float *cs, uint32_t n_pairs)
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

static float SET(rmr_max_f32)(const float *x, uint32_t n)
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

static void SET(rmr_from_f16_f32)(float *y, const uint16_t *x, uint32_t n)
{
    uint32_t i = 0;
    for (; i + VEC_LANES <= n; i += VEC_LANES) vec_store(y + i, vec_f16(x + i));
    for (; i < n; i++) y[i] = rmr_f16_to_f32(x[i]);
}

/* Attention and small kernels, written once over a vector type, and what matmul.h and qblocks.h
 * need too. The including file (one per instruction set) defines SET(name), vec, VEC_LANES (a
 * divisor of 16), vec_zero(), vec_set1(f), vec_load(p), vec_store(p, v), vec_add(a, b), vec_fma(a,
 * b, c) = a * b + c, vec_even(p), vec_odd(p): of VEC_LANES pairs of bf16, the first and the second
 * values, vec_bf16(p), vec_f16(p): VEC_LANES halves widened, f8_halves(to, p): 2 VEC_LANES codes of
 * F8 as the halves of kernels.h, sum_dots(lanes, out): the tree of kernels.h over SCORE_Q * SCORE_K
 * dot products, and how much to keep in registers: MM_ROWS rows of x at most, of m rows MM_AT(m)
 * tiles, MM_TILES at most, SCORE_Q by SCORE_K dot products, WSUM_Q rows by WSUM_C chunks of 16.
 * Block sizes are constants after inlining, so the arrays of accumulators become registers.
 * Blocking never changes the order of any output's chain. */
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

/* ---- attention ---- */

/* VEC_LANES values at element i of a row of bf16 or float. */
FORCE vec row_load(const int is_bf16, const void *row, size_t i)
{
    return is_bf16 ? vec_bf16((const uint16_t *)row + i) : vec_load((const float *)row + i);
}

FORCE float row_value(const int is_bf16, const void *row, size_t i)
{
    return is_bf16 ? rmr_bf16_to_f32(((const uint16_t *)row)[i]) : ((const float *)row)[i];
}

/* Lanes 0 .. width % 16 - 1 take one more step. Rare: model widths are multiples of 16. */
static __attribute__((noinline)) void dot_tail(const int is_bf16, vec *acc, const float *q,
                                               const void *key, uint32_t at, uint32_t width)
{
    float lane[RMR_TILE];
    for (int v = 0; v < NV; v++) vec_store(lane + v * VEC_LANES, acc[v]);
    for (uint32_t k = at; k < width; k++)
        lane[k - at] = rmr_fmaf(q[k], row_value(is_bf16, key, k), lane[k - at]);
    for (int v = 0; v < NV; v++) acc[v] = vec_load(lane + v * VEC_LANES);
}

/* Keys that will be asked for soon: `rows` of them are fetched, bf16 or float; none where it is 0.
 */
typedef struct soon {
    const uint8_t *keys;
    size_t row_bytes, elem;
    uint32_t rows;
} soon;

/* NQ by NK dot products; out[i * NK + j]. */
FORCE void dots(const int is_bf16, const int NQ, const int NK, const float *const *q,
                const void *const *key, const soon *next, uint32_t width, float *out)
{
    vec acc[SCORE_Q * SCORE_K * NV];
    UNROLL for (int i = 0; i < NQ * NK * NV; i++) acc[i] = vec_zero();
    const uint32_t whole = width & ~(uint32_t)(RMR_TILE - 1);
    for (uint32_t k = 0; k < whole; k += RMR_TILE) {
        for (uint32_t j = 0; j < next->rows; j++)
            __builtin_prefetch(next->keys + j * next->row_bytes + k * next->elem, 0, 2);
        UNROLL for (int v = 0; v < NV; v++)
        {
            vec kv[SCORE_Q * SCORE_K];
            UNROLL for (int j = 0; j < NK; j++) kv[j] =
                row_load(is_bf16, key[j], k + (uint32_t)(v * VEC_LANES));
            UNROLL for (int i = 0; i < NQ; i++)
            {
                const vec qv = vec_load(q[i] + k + v * VEC_LANES);
                UNROLL for (int j = 0; j < NK; j++) acc[(i * NK + j) * NV + v] =
                    vec_fma(qv, kv[j], acc[(i * NK + j) * NV + v]);
            }
        }
    }
    if (whole < width)
        for (int i = 0; i < NQ * NK; i++)
            dot_tail(is_bf16, acc + (ptrdiff_t)i * NV, q[i / NK], key[i % NK], whole, width);
    sum_dots(acc, out);
}

/* NQ rows of q against all keys, NK at a time; at the end missing keys repeat the last one and are
 * not stored. */
FORCE void scores_rows(const int is_bf16, const int NQ, const int NK, float *out, size_t ld_out,
                       const float *q, size_t ld_q, const void *keys, size_t ld_key,
                       uint32_t n_keys, const soon *next, uint32_t width, float scale)
{
    const size_t row_bytes = ld_key * (is_bf16 ? 2 : 4);
    const float *qs[SCORE_Q];
    soon rows = *next;
    for (int i = 0; i < NQ; i++) qs[i] = q + (size_t)i * ld_q;
    for (uint32_t j = 0; j < n_keys; j += (uint32_t)NK) {
        const void *ks[SCORE_Q * SCORE_K];
        float sum[SCORE_Q * SCORE_K];
        const int nk = n_keys - j < (uint32_t)NK ? (int)(n_keys - j) : NK;
        for (int i = 0; i < NK; i++)
            ks[i] = (const uint8_t *)keys + (j + (uint32_t)(i < nk ? i : nk - 1)) * row_bytes;
        dots(is_bf16, NQ, NK, qs, ks, &rows, width, sum);
        rows.keys += rows.rows * rows.row_bytes;
        UNROLL for (int i = 0; i < NQ * NK; i++) sum[i] *= scale;
        for (int i = 0; i < NQ; i++) {
            float *const to = out + (size_t)i * ld_out + j;
            if (nk == NK)
                memcpy(to, sum + (ptrdiff_t)i * NK, (size_t)NK * sizeof *to);
            else
                memcpy(to, sum + (ptrdiff_t)i * NK, (size_t)nk * sizeof *to);
        }
    }
}

/* Whether so many rows share what is widened of bf16: as floats it stays in the first cache. */
enum { WIDE_COLS = 640, WIDE_VALS = 32 };

FORCE int share_wide(const int is_bf16, const uint32_t n_q, const int block)
{
    return is_bf16 && n_q >= 2 * (uint32_t)block;
}

FORCE void widen(float *to, const uint16_t *from, uint32_t n)
{
    uint32_t i = 0;
    for (; i + VEC_LANES <= n; i += VEC_LANES) vec_store(to + i, vec_bf16(from + i));
    for (; i < n; i++) to[i] = rmr_bf16_to_f32(from[i]);
}

/* SCORE_K keys at a time for all rows of q. Every block of rows fetches one of the next keys. */
static void scores_wide(float *out, size_t ld_out, const float *q, size_t ld_q, uint32_t n_q,
                        const uint16_t *keys, size_t ld_key, uint32_t n_keys, uint32_t width,
                        float scale, const uint16_t *next)
{
    _Alignas(64) float wide[SCORE_K * WIDE_COLS];
    const soon none = {0};
    for (uint32_t j = 0; j < n_keys; j += SCORE_K, out += SCORE_K) {
        const uint32_t nk = n_keys - j < SCORE_K ? n_keys - j : SCORE_K;
        soon row = {(const uint8_t *)(next + j * ld_key), ld_key * 2, 2, 1};
        for (uint32_t k = 0; k < nk; k++)
            widen(wide + (size_t)k * WIDE_COLS, keys + (j + k) * ld_key, width);
        uint32_t i = 0;
        for (; i + SCORE_Q <= n_q; i += SCORE_Q) {
            scores_rows(0, SCORE_Q, SCORE_K, out + i * ld_out, ld_out, q + i * ld_q, ld_q, wide,
                        WIDE_COLS, nk, i / SCORE_Q < nk ? &row : &none, width, scale);
            row.keys += row.row_bytes;
        }
        for (; i < n_q; i++)
            scores_rows(0, 1, SCORE_Q * SCORE_K, out + i * ld_out, ld_out, q + i * ld_q, ld_q, wide,
                        WIDE_COLS, nk, &none, width, scale);
    }
}

/* The first block of queries fetches the next keys. */
FORCE void scores(const int is_bf16, float *out, size_t ld_out, const float *q, size_t ld_q,
                  uint32_t n_q, const void *keys, size_t ld_key, uint32_t n_keys, uint32_t width,
                  float scale, const void *next)
{
    const size_t elem = is_bf16 ? 2 : 4;
    const soon none = {0}, rows = {next, ld_key * elem, elem, SCORE_K},
               more = {next, ld_key * elem, elem, SCORE_Q * SCORE_K};
    uint32_t i = 0;
    if (share_wide(is_bf16, n_q, SCORE_Q) && width <= WIDE_COLS) {
        scores_wide(out, ld_out, q, ld_q, n_q, keys, ld_key, n_keys, width, scale, next);
        return;
    }
    for (; i + SCORE_Q <= n_q; i += SCORE_Q)
        scores_rows(is_bf16, SCORE_Q, SCORE_K, out + i * ld_out, ld_out, q + i * ld_q, ld_q, keys,
                    ld_key, n_keys, i == 0 ? &rows : &none, width, scale);
    for (; i < n_q; i++)
        scores_rows(is_bf16, 1, SCORE_Q * SCORE_K, out + i * ld_out, ld_out, q + i * ld_q, ld_q,
                    keys, ld_key, n_keys, i == 0 ? &more : &none, width, scale);
}

static void SET(rmr_scores_bf16)(float *out, size_t ld_out, const float *q, size_t ld_q,
                                 uint32_t n_q, const void *keys, size_t ld_key, uint32_t n_keys,
                                 uint32_t width, float scale, const void *next)
{
    scores(1, out, ld_out, q, ld_q, n_q, keys, ld_key, n_keys, width, scale, next);
}

static void SET(rmr_scores_f32)(float *out, size_t ld_out, const float *q, size_t ld_q,
                                uint32_t n_q, const void *keys, size_t ld_key, uint32_t n_keys,
                                uint32_t width, float scale, const void *next)
{
    scores(0, out, ld_out, q, ld_q, n_q, keys, ld_key, n_keys, width, scale, next);
}

/* Q rows by C chunks of 16 columns over all values. */
FORCE void wsum_block(const int is_bf16, const int Q, const int C, float *z, size_t ld_z,
                      const float *p, size_t ld_p, const uint8_t *val, size_t row_bytes,
                      uint32_t n_vals)
{
    vec acc[WSUM_Q * WSUM_C * NV];
    UNROLL for (int i = 0; i < Q * C * NV; i++) acc[i] =
        vec_load(z + (size_t)(i / (C * NV)) * ld_z + i % (C * NV) * VEC_LANES);
    for (uint32_t j = 0; j < n_vals; j++, val += row_bytes) {
        vec v[WSUM_C * NV];
        UNROLL for (int i = 0; i < C * NV; i++) v[i] =
            row_load(is_bf16, val, (size_t)(i * VEC_LANES));
        UNROLL for (int m = 0; m < Q; m++)
        {
            const vec pv = vec_set1(p[(size_t)m * ld_p + j]);
            UNROLL for (int i = 0; i < C * NV; i++) acc[m * C * NV + i] =
                vec_fma(pv, v[i], acc[m * C * NV + i]);
        }
    }
    UNROLL for (int i = 0; i < Q * C * NV; i++)
        vec_store(z + (size_t)(i / (C * NV)) * ld_z + i % (C * NV) * VEC_LANES, acc[i]);
}

FORCE void wsum_rows(const int is_bf16, const int Q, float *z, size_t ld_z, const float *p,
                     size_t ld_p, const void *vals, size_t ld_val, uint32_t n_vals, uint32_t width)
{
    const size_t elem = is_bf16 ? 2 : 4;
    const uint8_t *const val = vals;
    uint32_t d = 0;
    for (; d + WSUM_C * RMR_TILE <= width; d += WSUM_C * RMR_TILE)
        wsum_block(is_bf16, Q, WSUM_C, z + d, ld_z, p, ld_p, val + d * elem, ld_val * elem, n_vals);
    for (; d + RMR_TILE <= width; d += RMR_TILE)
        wsum_block(is_bf16, Q, 1, z + d, ld_z, p, ld_p, val + d * elem, ld_val * elem, n_vals);
    for (; d < width; d++)
        for (int m = 0; m < Q; m++) {
            float sum = z[(size_t)m * ld_z + d];
            for (uint32_t j = 0; j < n_vals; j++)
                sum = rmr_fmaf(p[(size_t)m * ld_p + j], row_value(is_bf16, vals, j * ld_val + d),
                               sum);
            z[(size_t)m * ld_z + d] = sum;
        }
}

/* Blocks of columns of some values at a time for all whole blocks of rows. Returns how many columns
 * are done. */
static uint32_t wsum_wide(float *z, size_t ld_z, const float *p, size_t ld_p, uint32_t n_q,
                          const uint16_t *vals, size_t ld_val, uint32_t n_vals, uint32_t width)
{
    enum { COLS = WSUM_C * RMR_TILE };
    _Alignas(64) float wide[WIDE_VALS * COLS];
    uint32_t d = 0;
    for (; d + COLS <= width; d += COLS)
        for (uint32_t j = 0; j < n_vals; j += WIDE_VALS) {
            const uint32_t n = n_vals - j < WIDE_VALS ? n_vals - j : WIDE_VALS;
            for (uint32_t l = 0; l < n; l++)
                widen(wide + (size_t)l * COLS, vals + (j + l) * ld_val + d, COLS);
            for (uint32_t i = 0; i + WSUM_Q <= n_q; i += WSUM_Q)
                wsum_block(0, WSUM_Q, WSUM_C, z + i * ld_z + d, ld_z, p + i * ld_p + j, ld_p,
                           (const uint8_t *)wide, COLS * sizeof *wide, n);
        }
    return d;
}

FORCE void wsum(const int is_bf16, float *z, size_t ld_z, const float *p, size_t ld_p, uint32_t n_q,
                const void *vals, size_t ld_val, uint32_t n_vals, uint32_t width)
{
    uint32_t i = 0;
    const uint32_t d = WSUM_C > 1 && share_wide(is_bf16, n_q, WSUM_Q) /* of one chunk: no gain */
                           ? wsum_wide(z, ld_z, p, ld_p, n_q, vals, ld_val, n_vals, width)
                           : 0;
    const void *const rest = (const uint8_t *)vals + d * (is_bf16 ? 2 : 4);
    for (; i + WSUM_Q <= n_q; i += WSUM_Q)
        wsum_rows(is_bf16, WSUM_Q, z + i * ld_z + d, ld_z, p + i * ld_p, ld_p, rest, ld_val, n_vals,
                  width - d);
    for (; i < n_q; i++)
        wsum_rows(is_bf16, 1, z + i * ld_z, ld_z, p + i * ld_p, ld_p, vals, ld_val, n_vals, width);
}

static void SET(rmr_wsum_bf16)(float *z, size_t ld_z, const float *p, size_t ld_p, uint32_t n_q,
                               const void *vals, size_t ld_val, uint32_t n_vals, uint32_t width)
{
    wsum(1, z, ld_z, p, ld_p, n_q, vals, ld_val, n_vals, width);
}

static void SET(rmr_wsum_f32)(float *z, size_t ld_z, const float *p, size_t ld_p, uint32_t n_q,
                              const void *vals, size_t ld_val, uint32_t n_vals, uint32_t width)
{
    wsum(0, z, ld_z, p, ld_p, n_q, vals, ld_val, n_vals, width);
}

/* Matmul, scores and wsum, written once over a vector type. The including file (one per instruction
 * set) defines SET(name), vec, VEC_LANES (a divisor of 16), vec_zero(), vec_set1(f), vec_load(p),
 * vec_store(p, v), vec_add(a, b), vec_fma(a, b, c) = a * b + c, vec_even(p), vec_odd(p): of
 * VEC_LANES pairs of bf16, the first and the second values, vec_bf16(p), vec_f16(p): VEC_LANES
 * halves widened, f8_halves(to, p): 2 VEC_LANES codes of F8 as the halves of kernels.h,
 * sum_dots(lanes, out): the tree of kernels.h over SCORE_Q * SCORE_K dot products, and how much to
 * keep in registers: MM_ROWS rows of x at most, of m rows MM_AT(m) tiles, MM_TILES at most, SCORE_Q
 * by SCORE_K dot products, WSUM_Q rows by WSUM_C chunks of 16. Block sizes are constants after
 * inlining, so the arrays of accumulators become registers. Blocking never changes the order of any
 * output's chain. */
#define FORCE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

enum { NV = RMR_TILE / VEC_LANES }; /* vectors in 16 lanes */

enum {
    FETCH_FAR = 8192,  /* bytes of weights between fetching into the second cache and use */
    FETCH_NEAR = 2048, /* and from there into the first, both over all tiles in flight */
    K_BLOCK = 384, /* K values of one pass when there are many rows: the x block stays in the first
                      cache */
    TILE_BLOCK = 24, /* tiles of one pass: their K block stays in the second cache */
    K_PAD = 16,      /* rows of the packed x block do not share cache sets */
    F8_COLS = 8      /* columns of F8 that are widened together: 128 bytes of every tile */
};

typedef struct span {
    float *y;
    size_t ldy;
    const float *x;
    size_t ldx;
    const uint8_t *tiles;
    size_t stride;
    uint32_t k;
    int accumulate;
    size_t scale; /* F8: offset of the first run's scale from `tiles` */
} span;

/* Bytes of k columns of a tile. */
FORCE size_t k_bytes(const rmr_elem type, size_t k)
{
    return type == RMR_ELEM_F8 ? k * RMR_TILE : rmr_tile_bytes(type, k);
}

/* Vector v of the 16 weights at an even k (odd = 0) or at k + 1. */
FORCE vec weights(const rmr_elem type, const uint8_t *tile, size_t k, const int odd, const int v)
{
    switch (type) {
    case RMR_ELEM_BF16:
        tile += k * 32 + (size_t)v * VEC_LANES * 4;
        return odd ? vec_odd(tile) : vec_even(tile);
    case RMR_ELEM_F16: return vec_f16(tile + (k + (size_t)odd) * 32 + (size_t)v * VEC_LANES * 2);
    default:
        return vec_load((const float *)(const void *)(tile + (k + (size_t)odd) * 64) +
                        v * VEC_LANES);
    }
}

FORCE void block_step(const rmr_elem type, const int T, const int M, const span *s, vec *acc,
                      const size_t k, const int odd)
{
    vec w[MM_TILES * NV];
    UNROLL for (int i = 0; i < T * NV; i++) w[i] =
        weights(type, s->tiles + (size_t)(i / NV) * s->stride, k, odd, i % NV);
    UNROLL for (int m = 0; m < M; m++)
    {
        const vec x = vec_set1(s->x[(size_t)m * s->ldx + k + (size_t)odd]);
        UNROLL for (int i = 0; i < T * NV; i++) acc[m * T * NV + i] =
            vec_fma(w[i], x, acc[m * T * NV + i]);
    }
}

/* Ahead of n columns from k on. The weights stream from memory once; the hardware alone does not
 * run far enough ahead on T streams, and of what is asked for far ahead some is dropped. */
FORCE void prefetch(const rmr_elem type, const int T, const span *s, size_t k, const size_t n)
{
    UNROLL for (int t = 0; t < T; t++)
    {
        const uint8_t *const at = s->tiles + (size_t)t * s->stride + k_bytes(type, k);
        UNROLL for (size_t i = 0; i < k_bytes(type, n); i += 64)
        {
            __builtin_prefetch(at + i + FETCH_FAR / T, 0, 2);
            __builtin_prefetch(at + i + FETCH_NEAR / T, 0, 3);
        }
    }
}

enum { F8_CODES = F8_COLS * RMR_TILE };

/* F8_COLS columns of T tiles as halves in the first cache, from where loads widen them: twice as
 * many codes in an instruction as when each goes from a byte to a float. */
FORCE void f8_widen(const int T, uint16_t *half, const uint8_t *tiles, size_t stride)
{
    UNROLL for (int t = 0; t < T; t++) UNROLL for (int i = 0; i < F8_CODES; i += 2 * VEC_LANES)
        f8_halves(half + t * F8_CODES + i, tiles + (size_t)t * stride + i);
}

/* A run of F8. */
FORCE void f8_chain(const int T, const int M, const span *s, vec *acc)
{
    _Alignas(64) uint16_t half[MM_TILES * F8_CODES];
    span h = *s;
    h.tiles = (const uint8_t *)half;
    h.stride = F8_CODES * sizeof *half;
    size_t k = 0;
    for (; k + F8_COLS <= s->k; k += F8_COLS, h.x += F8_COLS) {
        prefetch(RMR_ELEM_F8, T, s, k, F8_COLS);
        f8_widen(T, half, s->tiles + k_bytes(RMR_ELEM_F8, k), s->stride);
        __asm__("" : "+m"(half)); /* or compilers keep them in registers, to take them apart */
        UNROLL for (size_t i = 0; i < F8_COLS; i++) block_step(RMR_ELEM_F16, T, M, &h, acc, i, 0);
    }
    if (k == s->k) return;
    uint8_t end[MM_TILES * F8_CODES] = {0}; /* nothing is read behind the run */
    for (int t = 0; t < T; t++)
        memcpy(end + (size_t)t * F8_CODES,
               s->tiles + (size_t)t * s->stride + k_bytes(RMR_ELEM_F8, k),
               k_bytes(RMR_ELEM_F8, s->k - k));
    f8_widen(T, half, end, F8_CODES);
    for (size_t i = 0; i < s->k - k; i++) block_step(RMR_ELEM_F16, T, M, &h, acc, i, 0);
}

/* T tiles by M rows of x over the whole K of the span, which of F8 is one run. */
FORCE void block_chain(const rmr_elem type, const int T, const int M, const span *s)
{
    const int f8 = type == RMR_ELEM_F8;
    vec acc[MM_TILES * NV > 2 * MM_ROWS * NV ? MM_TILES * NV : 2 * MM_ROWS * NV];
    UNROLL for (int i = 0; i < M * T * NV; i++) acc[i] =
        s->accumulate && !f8
            ? vec_load(s->y + (size_t)(i / (T * NV)) * s->ldy + i % (T * NV) * VEC_LANES)
            : vec_zero();
    size_t k = 0;
    if (f8) f8_chain(T, M, s, acc);
    for (; !f8 && k + 2 <= s->k; k += 2) {
        prefetch(type, T, s, k, 2);
        block_step(type, T, M, s, acc, k, 0);
        block_step(type, T, M, s, acc, k, 1);
    }
    if (!f8 && k < s->k) block_step(type, T, M, s, acc, k, 0);
    UNROLL for (int i = 0; i < M * T * NV; i++)
    {
        float *const y = s->y + (size_t)(i / (T * NV)) * s->ldy + i % (T * NV) * VEC_LANES;
        if (f8) {
            float scale;
            memcpy(&scale, s->tiles + (size_t)(i % (T * NV) / NV) * s->stride + s->scale, 4);
            acc[i] =
                vec_fma(acc[i], vec_set1(scale * 256.0f), s->accumulate ? vec_load(y) : vec_zero());
        }
        vec_store(y, acc[i]);
    }
}

FORCE void block(const rmr_elem type, const int T, const int M, const span *s)
{
    if (type != RMR_ELEM_F8) {
        block_chain(type, T, M, s);
        return;
    }
    for (uint32_t at = 0; at < s->k; at += RMR_F8_RUN) {
        span run = *s;
        run.k = s->k - at < RMR_F8_RUN ? s->k - at : RMR_F8_RUN;
        run.x += at;
        run.tiles += k_bytes(type, at);
        run.scale = s->scale - k_bytes(type, at) + at / RMR_F8_RUN * 4;
        run.accumulate = s->accumulate || at > 0;
        block_chain(type, T, M, &run);
    }
}

/* M rows of x by n_tiles tiles. */
FORCE void block_rows(const rmr_elem type, const int T, const int M, const span *whole,
                      const uint32_t n_tiles)
{
    span s = *whole;
    uint32_t t = 0;
    for (; t + (uint32_t)T <= n_tiles; t += (uint32_t)T) {
        block(type, T, M, &s);
        s.tiles += (size_t)T * s.stride;
        s.y += T * RMR_TILE;
    }
    for (; T > 1 && t < n_tiles; t++) {
        block(type, 1, M, &s);
        s.tiles += s.stride;
        s.y += RMR_TILE;
    }
}

/* 1 to MM_ROWS rows by n_tiles tiles: the weights are read once whatever the number of rows. */
FORCE void block_any(const rmr_elem type, uint32_t n_rows, const span *s, uint32_t n_tiles)
{
#define ROWS(m)                                                                                    \
    case m: block_rows(type, MM_AT(m), m, s, n_tiles); break;
    switch (n_rows) {
        ROWS(1)
        ROWS(2)
        ROWS(3)
        ROWS(4)
        ROWS(5)
#if MM_ROWS > 5
        ROWS(6)
#endif
#if MM_ROWS > 6
        ROWS(7)
        ROWS(8)
        ROWS(9)
        ROWS(10)
        ROWS(11)
        ROWS(12)
#endif
    default: break;
    }
#undef ROWS
}

/* The x block [rows, k] next to each other: rows whose distance is a multiple of a page would
 * otherwise fight for the same cache sets. */
static void pack_rows(float *to, const float *x, size_t ldx, uint32_t n_rows, uint32_t k)
{
    for (uint32_t m = 0; m < n_rows; m++)
        memcpy(to + (size_t)m * (K_BLOCK + K_PAD), x + m * ldx, k * sizeof *to);
}

/* One pass of K_BLOCK by TILE_BLOCK over all rows of x, in equal blocks of at most MM_ROWS. */
FORCE void matmul_pass(const rmr_elem type, const span *pass, uint32_t n_x, uint32_t n_tiles)
{
    _Alignas(64) float packed[MM_ROWS * (K_BLOCK + K_PAD)];
    span s = *pass;
    uint32_t n_blocks = (n_x + MM_ROWS - 1) / MM_ROWS;
    for (uint32_t m = 0; m < n_x; n_blocks--) {
        const uint32_t rows = (n_x - m + n_blocks - 1) / n_blocks;
        pack_rows(packed, pass->x + m * pass->ldx, pass->ldx, rows, s.k);
        s.y = pass->y + m * pass->ldy;
        s.x = packed;
        s.ldx = K_BLOCK + K_PAD;
        block_any(type, rows, &s, n_tiles);
        m += rows;
    }
}

FORCE void matmul(const rmr_elem type, float *y, size_t ldy, const float *x, size_t ldx,
                  uint32_t n_x, const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                  int accumulate)
{
    const span all = {y, ldy, x, ldx, tiles, tile_stride, k, accumulate, k_bytes(type, k)};
    if (n_x <= MM_ROWS) { /* memory sets the pace: stream every tile once, from end to end */
        block_any(type, n_x, &all, n_tiles);
        return;
    }
    for (uint32_t t = 0; t < n_tiles; t += TILE_BLOCK) {
        const uint32_t nt = n_tiles - t < TILE_BLOCK ? n_tiles - t : TILE_BLOCK;
        uint32_t at = 0;
        do { /* once even when k is 0: an empty chain still writes its zero */
            span s = all;
            s.k = k - at < K_BLOCK ? k - at : K_BLOCK;
            s.y = y + (size_t)t * RMR_TILE;
            s.x = x + at;
            s.tiles = all.tiles + t * tile_stride + k_bytes(type, at);
            s.scale = k_bytes(type, k - at) + at / RMR_F8_RUN * 4;
            s.accumulate = accumulate || at > 0;
            matmul_pass(type, &s, n_x, nt);
            at += s.k;
        } while (at < k);
    }
}

static void SET(rmr_matmul_bf16)(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                                 const void *tiles, size_t tile_stride, uint32_t n_tiles,
                                 uint32_t k, int accumulate)
{
    matmul(RMR_ELEM_BF16, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k, accumulate);
}

static void SET(rmr_matmul_f16)(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                                const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                                int accumulate)
{
    matmul(RMR_ELEM_F16, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k, accumulate);
}

static void SET(rmr_matmul_f32)(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                                const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                                int accumulate)
{
    matmul(RMR_ELEM_F32, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k, accumulate);
}

static void SET(rmr_matmul_f8)(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                               const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                               int accumulate)
{
    (void)accumulate;
    for (uint32_t m = 0; k == 0 && m < n_x; m++)
        memset(y + m * ldy, 0, (size_t)n_tiles * RMR_TILE * sizeof *y);
    if (k > 0) matmul(RMR_ELEM_F8, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k, 0);
}

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

/* NQ by NK dot products; out[i * NK + j]. What lies `ahead` bytes behind the keys is fetched. */
FORCE void dots(const int is_bf16, const int NQ, const int NK, const float *const *q,
                const void *const *key, ptrdiff_t ahead, uint32_t width, float *out)
{
    const size_t elem = is_bf16 ? 2 : 4;
    vec acc[SCORE_Q * SCORE_K * NV];
    UNROLL for (int i = 0; i < NQ * NK * NV; i++) acc[i] = vec_zero();
    const uint32_t whole = width & ~(uint32_t)(RMR_TILE - 1);
    for (uint32_t k = 0; k < whole; k += RMR_TILE) {
        if (ahead != 0)
            UNROLL for (int j = 0; j < NK; j++) __builtin_prefetch(
                (const void *)((uintptr_t)key[j] + (uintptr_t)ahead + k * elem), 0, 2);
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
                       uint32_t n_keys, ptrdiff_t ahead, uint32_t width, float scale)
{
    const size_t row_bytes = ld_key * (is_bf16 ? 2 : 4);
    const float *qs[SCORE_Q];
    for (int i = 0; i < NQ; i++) qs[i] = q + (size_t)i * ld_q;
    for (uint32_t j = 0; j < n_keys; j += (uint32_t)NK) {
        const void *ks[SCORE_Q * SCORE_K];
        float sum[SCORE_Q * SCORE_K];
        const int nk = n_keys - j < (uint32_t)NK ? (int)(n_keys - j) : NK;
        for (int i = 0; i < NK; i++)
            ks[i] = (const uint8_t *)keys + (j + (uint32_t)(i < nk ? i : nk - 1)) * row_bytes;
        dots(is_bf16, NQ, NK, qs, ks, ahead, width, sum);
        for (int i = 0; i < NQ; i++)
            for (int l = 0; l < nk; l++)
                out[(size_t)i * ld_out + j + (uint32_t)l] = sum[i * NK + l] * scale;
    }
}

/* Whether so many rows share what is widened of bf16: as floats it stays in the first cache. */
enum { WIDE_COLS = 640, WIDE_VALS = 32 };

FORCE int share_wide(const int is_bf16, const uint32_t n_q, const int block)
{
    return is_bf16 && n_q >= 2 * (uint32_t)block;
}

/* n values of a row of bf16; the same place `ahead` bytes behind it is fetched. */
FORCE void widen(float *to, const uint16_t *from, uint32_t n, ptrdiff_t ahead)
{
    uint32_t i = 0;
    for (; i + VEC_LANES <= n; i += VEC_LANES) {
        if (i % 32 == 0)
            __builtin_prefetch((const void *)((uintptr_t)(from + i) + (uintptr_t)ahead), 0, 2);
        vec_store(to + i, vec_bf16(from + i));
    }
    for (; i < n; i++) to[i] = rmr_bf16_to_f32(from[i]);
}

/* SCORE_K keys at a time for all rows of q. */
static void scores_wide(float *out, size_t ld_out, const float *q, size_t ld_q, uint32_t n_q,
                        const uint16_t *keys, size_t ld_key, uint32_t n_keys, ptrdiff_t ahead,
                        uint32_t width, float scale)
{
    _Alignas(64) float wide[SCORE_K * WIDE_COLS];
    for (uint32_t j = 0; j < n_keys; j += SCORE_K, out += SCORE_K) {
        const uint32_t nk = n_keys - j < SCORE_K ? n_keys - j : SCORE_K;
        for (uint32_t k = 0; k < nk; k++)
            widen(wide + (size_t)k * WIDE_COLS, keys + (j + k) * ld_key, width, ahead);
        uint32_t i = 0;
        for (; i + SCORE_Q <= n_q; i += SCORE_Q)
            scores_rows(0, SCORE_Q, SCORE_K, out + i * ld_out, ld_out, q + i * ld_q, ld_q, wide,
                        WIDE_COLS, nk, 0, width, scale);
        for (; i < n_q; i++)
            scores_rows(0, 1, SCORE_Q * SCORE_K, out + i * ld_out, ld_out, q + i * ld_q, ld_q, wide,
                        WIDE_COLS, nk, 0, width, scale);
    }
}

/* The first block of queries fetches the next keys. */
FORCE void scores(const int is_bf16, float *out, size_t ld_out, const float *q, size_t ld_q,
                  uint32_t n_q, const void *keys, size_t ld_key, uint32_t n_keys, uint32_t width,
                  float scale, const void *next)
{
    const ptrdiff_t ahead = (ptrdiff_t)((uintptr_t)next - (uintptr_t)keys);
    uint32_t i = 0;
    if (share_wide(is_bf16, n_q, SCORE_Q) && width <= WIDE_COLS) {
        scores_wide(out, ld_out, q, ld_q, n_q, keys, ld_key, n_keys, ahead, width, scale);
        return;
    }
    for (; i + SCORE_Q <= n_q; i += SCORE_Q)
        scores_rows(is_bf16, SCORE_Q, SCORE_K, out + i * ld_out, ld_out, q + i * ld_q, ld_q, keys,
                    ld_key, n_keys, i == 0 ? ahead : 0, width, scale);
    for (; i < n_q; i++)
        scores_rows(is_bf16, 1, SCORE_Q * SCORE_K, out + i * ld_out, ld_out, q + i * ld_q, ld_q,
                    keys, ld_key, n_keys, i == 0 ? ahead : 0, width, scale);
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
                widen(wide + (size_t)l * COLS, vals + (j + l) * ld_val + d, COLS, 0);
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
    const uint32_t d = share_wide(is_bf16, n_q, WSUM_Q)
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Products with weights of the plain types and F8, over vectors. */
#include "vec.h"

enum {
    FETCH_FAR = 8192,  /* bytes of weights between fetching into the second cache and use */
    FETCH_NEAR = 4096, /* the same for the first cache; both count all tiles in flight */
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
    size_t scale;        /* F8: offset of the first run's scale from `tiles` */
    const uint8_t *next; /* the tiles that are read after these, or NULL */
    size_t rest;         /* bytes of a tile that are read before `next` is */
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

/* The address that is read when `at` bytes of the first tile have been: in it, or in `next`. */
FORCE const uint8_t *later(const span *s, size_t at)
{
    return s->next == NULL || at < s->rest ? s->tiles + at : s->next + (at - s->rest);
}

/* Fetch the weights that are read some time after columns [k, k + n). They stream from memory once.
 * The hardware's prefetcher does not run far enough ahead on T streams. Some of the requests for
 * far ahead are dropped, so lines are asked for again shortly before their use. */
FORCE void prefetch(const rmr_elem type, const int T, const span *s, size_t k, const size_t n)
{
    const size_t at = k_bytes(type, k);
    const uint8_t *const far = later(s, at + FETCH_FAR / T);
    const uint8_t *const near = later(s, at + FETCH_NEAR / T);
    UNROLL for (int t = 0; t < T; t++) UNROLL for (size_t i = 0; i < k_bytes(type, n); i += 64)
    {
        __builtin_prefetch(far + (size_t)t * s->stride + i, 0, 2);
        __builtin_prefetch(near + (size_t)t * s->stride + i, 0, 3);
    }
}

enum { F8_CODES = F8_COLS * RMR_TILE };

/* Turn F8_COLS columns of T tiles into halves, which stay in the first cache. Loads widen them to
 * floats. An instruction handles twice as many codes as on the way from bytes to floats. */
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
        /* In memory: compilers would keep the halves in registers and take them apart. */
        __asm__("" : "+m"(half));
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
        run.rest -= k_bytes(type, at);
        block_chain(type, T, M, &run);
    }
}

/* M rows of x by n_tiles tiles, T at a time; returns the number of tiles that are left. */
FORCE uint32_t block_tiles(const rmr_elem type, const int T, const int M, span *s, uint32_t n_tiles)
{
    const uint8_t *const next = s->next;
    for (; n_tiles >= (uint32_t)T; n_tiles -= (uint32_t)T) {
        const uint8_t *const end = s->tiles + (size_t)T * s->stride;
        s->next = n_tiles > (uint32_t)T ? end : next;
        block(type, T, M, s);
        s->tiles = end;
        s->y += T * RMR_TILE;
    }
    s->next = next;
    return n_tiles;
}

/* M rows of x by n_tiles tiles. */
FORCE void block_rows(const rmr_elem type, const int T, const int M, const span *whole,
                      const uint32_t n_tiles)
{
    span s = *whole;
    uint32_t left = block_tiles(type, T, M, &s, n_tiles);
    if (T > 2 && type == RMR_ELEM_F8) /* a single row waits for its chains, others for memory */
        left = block_tiles(type, 2, M, &s, left);
    if (T > 1) block_tiles(type, 1, M, &s, left);
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

/* One copy for each type: block_any is by far the largest part of a product, and has two callers.
 */
typedef void block_fn(uint32_t n_rows, const span *s, uint32_t n_tiles);
#define BLOCKS(name, type)                                                                         \
    static __attribute__((noinline)) void blocks_##name(uint32_t n_rows, const span *s,            \
                                                        uint32_t n_tiles)                          \
    {                                                                                              \
        block_any(type, n_rows, s, n_tiles);                                                       \
    }
BLOCKS(bf16, RMR_ELEM_BF16)
BLOCKS(f16, RMR_ELEM_F16)
BLOCKS(f32, RMR_ELEM_F32)
BLOCKS(f8, RMR_ELEM_F8)
#undef BLOCKS

/* The x block [rows, k] next to each other: rows whose distance is a multiple of a page would
 * otherwise fight for the same cache sets. */
static void pack_rows(float *to, const float *x, size_t ldx, uint32_t n_rows, uint32_t k)
{
    for (uint32_t m = 0; m < n_rows; m++)
        memcpy(to + (size_t)m * (K_BLOCK + K_PAD), x + m * ldx, k * sizeof *to);
}

/* One pass of K_BLOCK by TILE_BLOCK over all rows of x, in equal blocks of at most MM_ROWS. */
FORCE void matmul_pass(block_fn *blocks, const span *pass, uint32_t n_x, uint32_t n_tiles)
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
        blocks(rows, &s, n_tiles);
        m += rows;
    }
}

FORCE void matmul(const rmr_elem type, block_fn *blocks, float *y, size_t ldy, const float *x,
                  size_t ldx, uint32_t n_x, const void *tiles, size_t tile_stride, uint32_t n_tiles,
                  uint32_t k, int accumulate, const void *next)
{
    const size_t bytes = k_bytes(type, k);
    const span all = {y, ldy, x, ldx, tiles, tile_stride, k, accumulate, bytes, next, bytes};
    if (n_x <= MM_ROWS) { /* memory sets the pace: stream every tile once, from end to end */
        blocks(n_x, &all, n_tiles);
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
            matmul_pass(blocks, &s, n_x, nt);
            at += s.k;
        } while (at < k);
    }
}

static void matmul_bf16(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                        const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                        int accumulate, const void *next)
{
    matmul(RMR_ELEM_BF16, blocks_bf16, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k,
           accumulate, next);
}

static void matmul_f16(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                       const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                       int accumulate, const void *next)
{
    matmul(RMR_ELEM_F16, blocks_f16, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k,
           accumulate, next);
}

static void matmul_f32(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                       const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                       int accumulate, const void *next)
{
    matmul(RMR_ELEM_F32, blocks_f32, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k,
           accumulate, next);
}

static void matmul_f8(float *y, size_t ldy, const float *x, size_t ldx, uint32_t n_x,
                      const void *tiles, size_t tile_stride, uint32_t n_tiles, uint32_t k,
                      int accumulate, const void *next)
{
    (void)accumulate;
    for (uint32_t m = 0; k == 0 && m < n_x; m++)
        memset(y + m * ldy, 0, (size_t)n_tiles * RMR_TILE * sizeof *y);
    if (k > 0)
        matmul(RMR_ELEM_F8, blocks_f8, y, ldy, x, ldx, n_x, tiles, tile_stride, n_tiles, k, 0,
               next);
}

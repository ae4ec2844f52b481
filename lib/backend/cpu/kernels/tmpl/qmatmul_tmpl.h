/* SPDX-License-Identifier: Apache-2.0 */
/* Integer products, over vectors of codes. How many tiles and rows are taken at a time is the
 * instruction set's choice: docs/kernels.md, "The passes of an integer product", draws the ways. */
#include "quantize.h"
#include "tables.h"
#include "vec.h"

enum {
    Q_ROWS = 32,    /* rows of x in one pass */
    Q_TILES = 24,   /* tiles of one pass over K: they stay in the second cache */
    Q_FAR = 4096,   /* bytes of a tile's codes between fetching into the second cache and use */
    Q_SOON = 1024,  /* the same for the first cache, for each tile in flight */
    BLOCK_RUNS = 8, /* of the largest blocks */
    /* Offsets of the floats of such a block of a tile: scales at 0, then the scales times
     * -RMR_QMAGIC, then the minima. */
    Q_BACK = 2 * BLOCK_RUNS * RMR_TILE,
    Q_LESS = 2 * Q_BACK,
    Q_SCALES = 3 * Q_BACK
};

/* The way in which a pass goes through its rows. A way of 2 or more is a number of rows: the pass
 * has so many, and all of them are done side by side. */
enum {
    Q_ONE = 1,        /* a single row */
    Q_MANY = -1,      /* Q_MANY_ROWS of them side by side, then the next */
    Q_ROW_BY_ROW = -2 /* several */
};

/* ---- the types: tile.h ---- */

/* A row of the table of types. All of its fields are constants to the compiler, because `type` is
 * one after inlining. */
#define FORMAT(type) rmr_elem_table[type]

FORCE uint32_t q_block_runs(const rmr_elem type)
{
    return FORMAT(type).values / 32;
}

/* Sub-blocks in a run. */
FORCE int q_halves(const rmr_elem type)
{
    return FORMAT(type).subs > q_block_runs(type) ? 2 : 1;
}

FORCE int q_has_min(const rmr_elem type)
{
    return FORMAT(type).scales == 2;
}

FORCE uint32_t q_run_bytes(const rmr_elem type)
{
    return 64u * (FORMAT(type).low.bits + FORMAT(type).high.bits);
}

FORCE uint32_t q_scale_bytes(const rmr_elem type)
{
    return RMR_TILE * FORMAT(type).bytes - q_block_runs(type) * q_run_bytes(type);
}

/* Bias added to a value to make it a code without a sign. */
FORCE int q_offset(const rmr_elem type)
{
    return CODES_SIGNED(type) ? 0 : FORMAT(type).offset;
}

/* The vector of codes that iv_dot takes, from the bits of the codes. */
FORCE ivec q_finish(const rmr_elem type, ivec a)
{
    const int is_signed = CODES_SIGNED(type);
    if (FORMAT(type).book != NULL)
        return iv_lookup(
            is_signed ? (const void *)FORMAT(type).book : (const void *)FORMAT(type).book_up, a);
    if (FORMAT(type).low.bits == 8) return is_signed ? a : iv_flip(a);
    if (FORMAT(type).offset != 0 && is_signed) return iv_sub(a, iv_set1((char)FORMAT(type).offset));
    return a;
}

/* Bits [from, from + n) of every byte, moved to bit `to`. */
FORCE ivec q_bits(ivec a, const int from, const int n, const int to)
{
    const ivec mask = iv_set1((char)(((1 << n) - 1) << to));
    if (from > to) return iv_and(iv_shr(a, from - to), mask);
    if (from < to) return iv_and(iv_shl(a, to - from), mask);
    return iv_and(a, mask);
}

/* Group g of the eight of a run, whose vector is at p: its bits in a plane (tile.h), moved up. */
FORCE ivec q_plane(const uint8_t *p, const int bits, const int g, const int up)
{
    const ivec a = iv_load(p + (size_t)64 * (g % bits));
    return bits == 8 ? a : q_bits(a, g / bits * bits, bits, up);
}

FORCE ivec q_code(const rmr_elem type, const uint8_t *p, const int g)
{
    const int low = FORMAT(type).low.bits, high = FORMAT(type).high.bits;
    ivec a = q_plane(p, low, g, 0);
    if (high != 0) a = iv_or(a, q_plane(p + (size_t)64 * low, high, g, low));
    return q_finish(type, a);
}

FORCE void q_unpack(const rmr_elem type, ivec *code, const uint8_t *p)
{
    UNROLL for (int g = 0; g < 8; g++) code[g] = q_code(type, p, g);
}

/* ---- scales ---- */

/* to[r] = d[r] * from[r], signed bytes. */
FORCE void q_times(float *to, const float *d, const int8_t *from)
{
    UNROLL for (int v = 0; v < NV; v++)
        vec_store(to + v * VEC_LANES,
                  vec_mul(vec_load(d + v * VEC_LANES), vec_int8(from + (size_t)v * VEC_LANES)));
}

FORCE void q_halves_load(const rmr_elem type, float *to, const uint8_t *from)
{
    UNROLL for (int v = 0; v < NV; v++)
    {
        const uint8_t *const p = from + (size_t)v * VEC_LANES * 2;
        vec_store(to + v * VEC_LANES,
                  FORMAT(type).scale == RMR_SCALE_BF16 ? vec_bf16(p) : vec_f16(p));
    }
}

/* 32 bytes, and the words that are shifted instead of them: compilers know no shift of bytes and
 * make a row of additions of one. */
typedef int8_t __attribute__((vector_size(32))) q_bytes;
typedef uint64_t __attribute__((vector_size(32))) q_words;

/* to[j][r] = d[r] * (field j - bias) of n fields of nibble pairs, with two more bits when `six`. */
FORCE void q_subs(float *to, const float *d, const uint8_t *a, const int n, const int six,
                  const int bias)
{
    const int half = n / 2 * RMR_TILE, quarter = half / 2;
    int8_t field[16 * RMR_TILE];
    UNROLL for (int i = 0; i < 4 * quarter; i += (int)sizeof(q_bytes))
    {
        const int part = i / quarter;
        q_words bits, more;
        memcpy(&bits, a + i % half, sizeof bits);
        bits = bits >> part / 2 * 4 & 0x0f0f0f0f0f0f0f0f;
        if (six) {
            memcpy(&more, a + half + i % quarter, sizeof more);
            more = part < 2 ? more << (4 - 2 * part) : more >> (2 * part - 4);
            bits |= more & 0x3030303030303030;
        }
        const q_bytes value = (q_bytes)bits - (int8_t)bias;
        memcpy(field + i, &value, sizeof value);
    }
    UNROLL for (int j = 0; j < n; j++)
        q_times(to + (size_t)j * RMR_TILE, d, field + (size_t)j * RMR_TILE);
}

/* The sub-scales or sub-minima of a block at a, times d. */
FORCE void q_sub_scales(const rmr_elem type, float *to, const float *d, const uint8_t *a,
                        const int offset)
{
    const int n = FORMAT(type).subs;
    if (FORMAT(type).sub.bits == 8) {
        UNROLL for (int j = 0; j < n; j++)
            q_times(to + (size_t)j * RMR_TILE, d, (const int8_t *)a + (size_t)j * RMR_TILE);
        return;
    }
    q_subs(to, d, a, n, FORMAT(type).sub_high.bits != 0, offset);
}

/* The scales s[sub][16] of a block, and its minima in s[Q_LESS...]: -(dmin * mn), or m as stored.
 */
FORCE void q_scales(const rmr_elem type, float *s, const uint8_t *a)
{
    float d[RMR_TILE], dmin[RMR_TILE], *const less = s + Q_LESS;
    if (FORMAT(type).scale == RMR_SCALE_E8M0) {
        UNROLL for (int v = 0; v < NV; v++)
            vec_store(s + v * VEC_LANES, vec_e8m0(a + (size_t)v * VEC_LANES));
        return;
    }
    if (FORMAT(type).subs == 0) {
        q_halves_load(type, s, a);
        if (q_has_min(type)) q_halves_load(type, less, a + 32);
        return;
    }
    q_halves_load(type, d, a);
    if (q_has_min(type)) {
        q_halves_load(type, dmin, a + 32);
        UNROLL for (int v = 0; v < NV; v++) vec_store(
            dmin + v * VEC_LANES, vec_mul(vec_load(dmin + v * VEC_LANES), vec_set1(-1.0f)));
    }
    a += 32 * FORMAT(type).scales;
    q_sub_scales(type, s, d, a, FORMAT(type).sub_offset);
    a += FORMAT(type).subs * (FORMAT(type).sub.bits + FORMAT(type).sub_high.bits) / 8 * RMR_TILE;
    if (q_has_min(type)) q_sub_scales(type, less, dmin, a, 0);
}

/* s[Q_BACK...] = -RMR_QMAGIC * s, which cancels the magic offset. */
FORCE void q_backs(const rmr_elem type, float *s)
{
    const int n = (int)q_block_runs(type) * q_halves(type) * RMR_TILE;
    UNROLL for (int i = 0; i < n; i += VEC_LANES)
        vec_store(s + Q_BACK + i, vec_mul(vec_load(s + i), vec_set1(-RMR_QMAGIC)));
}

/* ---- products ---- */

/* The start value of the sum of products of half h. It takes back the surplus that the offset of
 * the codes adds to the sum. With an offset, and in fused sums, it also holds RMR_QMAGIC_BITS, so
 * that the bits of the finished sum are the float RMR_QMAGIC + sum. */
FORCE ivec q_start(const rmr_elem type, const int fused, const int32_t *start, const int h)
{
    switch (q_offset(type)) {
    case 128: return iv_start(start[0]);
    case 8: return iv_start(start[1]);
    case 16: return iv_add32(iv_shl32(iv_start(start[1]), 1), iv_start(-RMR_QMAGIC_BITS));
    case 32: return iv_start(start[2 + h]);
    case 4: return iv_add32(iv_sar32(iv_start(start[2 + h]), 3), iv_start(RMR_QMAGIC_BITS / 8 * 7));
    default: return fused ? iv_start(RMR_QMAGIC_BITS) : iv_zero();
    }
}

/* The sum of products times the scale of the weights, rounded once. Fused, one multiply-add
 * computes s * (RMR_QMAGIC + sum) - s * RMR_QMAGIC: with scales of f16 both products with
 * RMR_QMAGIC are exact, so the result is the same. Only the sign of a 0 may differ, which never
 * shows (RMR_LEAST). */
FORCE vec q_scaled(const rmr_elem type, const int fused, ivec dot, const float *s)
{
    if (fused) return vec_fma(vec_load(s), iv_bits(dot), vec_load(s + Q_BACK));
    return vec_mul(vec_load(s), q_offset(type) != 0 ? vec_add(iv_bits(dot), vec_set1(-RMR_QMAGIC))
                                                    : iv_float(dot));
}

/* Add the products of half h of a run with a row of x to the accumulator. */
FORCE vec q_add(const rmr_elem type, const int fused, vec acc, ivec dot, const rmr_qline *x,
                const float *s, const int h)
{
    const int sub = q_halves(type) == 1 ? 0 : 1 + h; /* of the sums */
    s += h * RMR_TILE;
    acc = vec_fma(q_scaled(type, fused, dot, s), vec_set1(x->scale), acc);
    if (q_has_min(type)) acc = vec_fma(vec_load(s + Q_LESS), vec_set1(x->sum[sub]), acc);
    return acc;
}

/* One run of one row of x, in vector v of the tile's rows. */
FORCE vec q_step(const rmr_elem type, vec acc, const ivec *code, const rmr_qline *x, const float *s)
{
    const int halves = q_halves(type), n = 8 / halves;
    UNROLL for (int h = 0; h < halves; h++)
    {
        const ivec dot =
            iv_dot(type, code + h * n, n, x->q + (size_t)4 * n * h, q_start(type, 0, x->start, h));
        acc = q_add(type, 0, acc, dot, x, s, h);
    }
    return acc;
}

FORCE const rmr_qline *q_row(const rmr_qline *x, size_t ldq, const int m)
{
    return (const rmr_qline *)(const void *)((const uint8_t *)x + (size_t)m * ldq);
}

/* ---- fetching ahead ---- */

/* Fetch into the second cache. The hardware's own prefetcher stops at the end of a page and does
 * not jump from tile to tile. */
FORCE void q_fetch(const uint8_t *p, const uint32_t bytes)
{
    UNROLL for (uint32_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, 2);
}

FORCE void q_fetch_near(const uint8_t *p, const uint32_t bytes)
{
    UNROLL for (uint32_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i, 0, 3);
}

/* T tiles side by side, which are read as T streams. */
typedef struct q_place {
    const uint8_t *codes, *scales; /* of the first tile */
    size_t stride;                 /* bytes to the next tile */
    size_t ahead;                  /* bytes to the tiles that are read after these */
} q_place;

/* The scales of a block of the t-th tile. */
FORCE void q_block(const rmr_elem type, float *s, const uint8_t *scales, const int t,
                   const q_place *w)
{
    const uint8_t *const from = scales + (size_t)t * w->stride;
    q_fetch(from + w->ahead, q_scale_bytes(type));
    q_scales(type, s, from);
}

/* The address of the codes that are read `later` runs after run i. Behind the last run of these
 * tiles it lies in the next ones. */
FORCE const uint8_t *q_later(const q_place *w, uint32_t i, uint32_t n_runs, const uint32_t bytes,
                             const uint32_t later)
{
    const size_t at = ((size_t)i + later) * bytes;
    return w->codes + at + (i + later < n_runs ? 0 : w->ahead - (size_t)n_runs * bytes);
}

/* Memory sets the pace, so codes are asked for twice: for the second cache, where many requests can
 * be under way but some are dropped, and shortly before their use for the first. */
typedef struct q_wanted {
    const uint8_t *far, *near; /* of the first of T tiles */
    size_t stride;
} q_wanted;

FORCE q_wanted q_wanted_of(const int T, const q_place *w, uint32_t i, uint32_t n_runs,
                           const uint32_t bytes)
{
    return (q_wanted){q_later(w, i, n_runs, bytes, Q_FAR / bytes),
                      q_later(w, i, n_runs, bytes, Q_SOON * (uint32_t)T / bytes), w->stride};
}

/* Fetch part g of 8 of the cache lines that a run of T tiles has. Spread over the run, because a
 * burst of all of them would fill the memory queues for a while and then leave them empty. */
FORCE void q_fetch_part(const int T, const q_wanted *wanted, const uint32_t bytes, const int g)
{
    const int lines = (int)bytes / 64, part = (T * lines + 7) / 8;
    UNROLL for (int i = g * part; i < g * part + part; i++)
    {
        const size_t at = (size_t)(i / lines) * wanted->stride + (size_t)(i % lines) * 64;
        if (i >= T * lines) return;
        __builtin_prefetch(wanted->far + at, 0, 2);
        __builtin_prefetch(wanted->near + at, 0, 3);
    }
}

FORCE void q_fetch_all(const int T, const q_wanted *wanted, const uint32_t bytes)
{
    UNROLL for (int t = 0; t < T; t++)
    {
        q_fetch(wanted->far + (size_t)t * wanted->stride, bytes);
        q_fetch_near(wanted->near + (size_t)t * wanted->stride, bytes);
    }
}

/* The codes of one run of some tiles, of the rows of one vector. */
typedef struct q_codes {
    const ivec *code; /* [tile][8] unpacked; NULL: they are read from p */
    const uint8_t *p; /* as stored, of the first tile */
    size_t stride;
} q_codes;

/* One run of R rows of x by T tiles, acc[row][tile]. The R * T chains run side by side, because
 * each alone would wait for its own last product. The lines of `wanted` (unless NULL) are fetched
 * in between. */
FORCE void q_steps(const rmr_elem type, const int T, const int R, float *acc, const q_codes *codes,
                   const rmr_qline *x, size_t ldq, const float *s, const q_wanted *wanted)
{
    const int halves = q_halves(type), n = 8 / halves, unpacked = codes->code != NULL,
              fused = Q_FUSED(type);
    vec sum[Q_SIDE_ROWS * Q_STREAMS];
    if (unpacked) { /* else registers are short until the products are done: loaded after them */
        UNROLL for (int i = 0; i < R * T; i++) sum[i] = vec_load(acc + i * RMR_TILE);
    }
    UNROLL for (int h = 0; h < halves; h++)
    {
        ivec dot[Q_SIDE_ROWS * Q_STREAMS];
        UNROLL for (int i = 0; i < R * T; i++) dot[i] =
            q_start(type, fused, q_row(x, ldq, i / T)->start, h);
        UNROLL for (int g = h * n; g < h * n + n; g++)
        {
            ivec code[Q_STREAMS];
            if (wanted != NULL) q_fetch_part(T, wanted, q_run_bytes(type), g);
            UNROLL for (int t = 0; t < T; t++) code[t] =
                unpacked ? codes->code[8 * t + g]
                         : q_code(type, codes->p + (size_t)t * codes->stride, g);
            UNROLL for (int i = 0; i < R * T; i++) dot[i] =
                iv_dot(type, code + i % T, 1, q_row(x, ldq, i / T)->q + (size_t)4 * g, dot[i]);
        }
        UNROLL for (int i = 0; i < R * T; i++)
        {
            if (!unpacked && h == 0) sum[i] = vec_load(acc + i * RMR_TILE);
            sum[i] =
                q_add(type, fused, sum[i], dot[i], q_row(x, ldq, i / T), s + i % T * Q_SCALES, h);
        }
    }
    UNROLL for (int i = 0; i < R * T; i++) vec_store(acc + i * RMR_TILE, sum[i]);
}

/* One run of n rows of x by T tiles, row by row. */
FORCE void q_row_by_row(const rmr_elem type, const int T, float *acc, const ivec *code,
                        const rmr_qline *x, size_t ldq, uint32_t n, const float *s)
{
    for (; n > 0; n--, x = q_row(x, ldq, 1), acc += T * RMR_TILE) {
        vec sum[Q_STREAMS];
        UNROLL for (int t = 0; t < T; t++) sum[t] =
            q_step(type, vec_load(acc + t * RMR_TILE), code + 8 * t, x, s + t * Q_SCALES);
        UNROLL for (int t = 0; t < T; t++) vec_store(acc + t * RMR_TILE, sum[t]);
    }
}

/* n rows, Q_MANY_ROWS at a time and at least once, then the remaining ones together. */
FORCE void q_by_groups(const rmr_elem type, const int T, float *acc, const q_codes *codes,
                       const rmr_qline *x, size_t ldq, uint32_t n, const float *s,
                       const q_wanted *wanted)
{
    const int all = Q_MANY_ROWS * T * RMR_TILE;
    /* the first rows apart from the loop: testing in it whether to fetch costs 10 % */
    q_steps(type, T, Q_MANY_ROWS, acc, codes, x, ldq, s, wanted);
    for (n -= Q_MANY_ROWS; n >= Q_MANY_ROWS; n -= Q_MANY_ROWS) {
        x = q_row(x, ldq, Q_MANY_ROWS);
        acc += all;
        q_steps(type, T, Q_MANY_ROWS, acc, codes, x, ldq, s, NULL);
    }
    x = q_row(x, ldq, Q_MANY_ROWS);
    acc += all;
    UNROLL for (int r = 1; r < Q_MANY_ROWS; r++) if (n == (uint32_t)r)
        q_steps(type, T, r, acc, codes, x, ldq, s, NULL);
}

/* One run of n rows of x by T tiles in the given way. Where all rows are side by side, codes are
 * unpacked between the products; in other ways they are unpacked first and used by every row. */
FORCE void q_rows(const rmr_elem type, const int T, const int way, float *acc,
                  const q_codes *packed, const rmr_qline *x, size_t ldq, uint32_t n, const float *s,
                  const q_wanted *wanted)
{
    if (way > 0) {
        q_steps(type, T, way, acc, packed, x, ldq, s, wanted);
        return;
    }
    ivec code[8 * Q_STREAMS];
    const q_codes unpacked = {code, NULL, 0};
    UNROLL for (int t = 0; t < T; t++)
        q_unpack(type, code + 8 * t, packed->p + (size_t)t * packed->stride);
    if (way == Q_MANY)
        q_by_groups(type, T, acc, &unpacked, x, ldq, n, s, wanted);
    else
        q_row_by_row(type, T, acc, code, x, ldq, n, s);
}

/* 1 when the stored nibbles are the codes, without a table or further bits. */
FORCE int q_plain_nibbles(const rmr_elem type)
{
    return q_run_bytes(type) == 256 && FORMAT(type).book == NULL;
}

/* One run of one row of x by one vector of rows of weights, whose codes are at p. */
FORCE vec q_one_run(const rmr_elem type, vec acc, const uint8_t *p, const rmr_qline *x,
                    const float *s)
{
    ivec code[8];
#ifdef Q_NIBBLES
    if (q_plain_nibbles(type)) {
        const ivec dot = q_nibbles(type, p, x->q, q_start(type, 0, x->start, 0));
        return q_add(type, 0, acc, dot, x, s, 0);
    }
#endif
    q_unpack(type, code, p);
    return q_step(type, acc, code, x, s);
}

/* T tiles by one row of x, n_runs runs of K: the product of decoding. The T tiles are T streams
 * from memory. */
FORCE void q_one(const rmr_elem type, const int T, float *y, const rmr_qline *x, const q_place *w,
                 uint32_t n_runs, int accumulate)
{
    const uint32_t runs = q_block_runs(type), bytes = q_run_bytes(type);
    const uint8_t *codes = w->codes, *scales = w->scales;
    _Alignas(64) float s[Q_STREAMS][Q_SCALES];
    vec acc[Q_STREAMS * NV];
    UNROLL for (int i = 0; i < T * NV; i++) acc[i] =
        accumulate ? vec_load(y + (size_t)i * VEC_LANES) : vec_zero();
    for (uint32_t i = 0; i < n_runs; i++, codes += bytes, x++) {
        const uint32_t sub = i % runs * (uint32_t)q_halves(type) * RMR_TILE;
        if (i % runs == 0) {
            UNROLL for (int t = 0; t < T; t++) q_block(type, s[t], scales, t, w);
            scales += q_scale_bytes(type);
        }
        const q_wanted wanted = q_wanted_of(T, w, i, n_runs, bytes);
        q_fetch_all(T, &wanted, bytes);
        UNROLL for (int t = 0; t < T; t++)
        {
            const uint8_t *const from = codes + (size_t)t * w->stride;
            UNROLL for (int v = 0; v < NV; v++) acc[t * NV + v] = q_one_run(
                type, acc[t * NV + v], from + (size_t)v * (64 / NV), x, s[t] + sub + v * VEC_LANES);
        }
    }
    UNROLL for (int i = 0; i < T * NV; i++) vec_store(y + (size_t)i * VEC_LANES, acc[i]);
}

/* T tiles by n_rows rows of x, ldq bytes apart, n_runs runs of K. Four activations that were loaded
 * into all lanes are used by all T tiles. */
FORCE void q_several(const rmr_elem type, const int T, const int way, float *y, size_t ldy,
                     const rmr_qline *x, size_t ldq, uint32_t n_rows, const q_place *w,
                     uint32_t n_runs, int accumulate)
{
    const uint32_t runs = q_block_runs(type), bytes = q_run_bytes(type);
    const uint8_t *codes = w->codes, *scales = w->scales;
    _Alignas(64) float s[Q_STREAMS * Q_SCALES];
    _Alignas(64) float acc[Q_ROWS * Q_STREAMS * RMR_TILE];
    for (uint32_t m = 0; m < n_rows; m++)
        UNROLL for (int i = 0; i < T * NV; i++)
            vec_store(acc + ((size_t)m * T * NV + (size_t)i) * VEC_LANES,
                      accumulate ? vec_load(y + m * ldy + (size_t)i * VEC_LANES) : vec_zero());
    for (uint32_t i = 0; i < n_runs; i++, codes += bytes, x++) {
        const uint32_t sub = i % runs * (uint32_t)q_halves(type) * RMR_TILE;
        if (i % runs == 0) {
            UNROLL for (int t = 0; t < T; t++)
            {
                q_block(type, s + t * Q_SCALES, scales, t, w);
                if (way != Q_ROW_BY_ROW && Q_FUSED(type)) q_backs(type, s + t * Q_SCALES);
            }
            scales += q_scale_bytes(type);
        }
        const q_wanted wanted = q_wanted_of(T, w, i, n_runs, bytes);
        if (way == Q_ROW_BY_ROW) q_fetch_all(T, &wanted, bytes);
        UNROLL for (int v = 0; v < NV; v++)
        {
            const float *const sv = s + sub + v * VEC_LANES;
            const q_codes packed = {NULL, codes + (size_t)v * (64 / NV), w->stride};
            q_rows(type, T, way, acc + v * VEC_LANES, &packed, x, ldq, n_rows, sv,
                   v == 0 ? &wanted : NULL);
        }
    }
    for (uint32_t m = 0; m < n_rows; m++)
        memcpy(y + m * ldy, acc + (size_t)m * T * RMR_TILE, (size_t)T * RMR_TILE * sizeof *y);
}

typedef struct q_job {
    float *y;
    size_t ldy;
    const uint8_t *xq;
    size_t ldq;
    const uint8_t *tiles;
    size_t stride;
    uint32_t k;
    const uint8_t *next; /* the tiles that are read after these, or NULL */
} q_job;

/* Bytes from tile t to the tiles that are read after tiles [t, t + T). */
FORCE size_t q_ahead(const q_job *j, uint32_t t, const uint32_t T, uint32_t n_tiles)
{
    if (t + T < n_tiles) return T * j->stride;
    return j->next != NULL ? (size_t)((uintptr_t)j->next - (uintptr_t)j->tiles) - t * j->stride : 0;
}

/* n_rows rows of x by n_tiles tiles, T at a time, over runs [at, at + n_runs). Fewer than T tiles
 * may be left; returns the first of them. */
FORCE uint32_t q_tiles(const rmr_elem type, const int way, const int T, const q_job *j,
                       uint32_t n_rows, uint32_t n_tiles, uint32_t at, uint32_t n_runs)
{
    uint32_t t = 0;
    const uint8_t *const tiles = j->tiles + (size_t)at * q_run_bytes(type),
                         *const scales = j->tiles + (size_t)(j->k / 32) * q_run_bytes(type) +
                                         (size_t)(at / q_block_runs(type)) * q_scale_bytes(type);
    const rmr_qline *const x = (const rmr_qline *)(const void *)j->xq + at;
    for (; t + (uint32_t)T <= n_tiles; t += (uint32_t)T) {
        const size_t off = t * j->stride;
        const q_place w = {tiles + off, scales + off, j->stride,
                           q_ahead(j, t, (uint32_t)T, n_tiles)};
        float *const y = j->y + (size_t)t * RMR_TILE;
        if (way == Q_ONE)
            q_one(type, T, y, x, &w, n_runs, at > 0);
        else
            q_several(type, T, way, y, j->ldy, x, j->ldq, n_rows, &w, n_runs, at > 0);
    }
    return t;
}

/* One pass of q_matmul: a function that Q_MATMUL makes, or the including file's own for many rows.
 */
typedef void q_pass_fn(const q_job *j, uint32_t n_rows, uint32_t n_tiles, uint32_t at,
                       uint32_t n_runs);

static void q_matmul(q_pass_fn *pass, const q_job *all, uint32_t n_x, uint32_t n_tiles)
{
    const uint32_t passes = (n_x + Q_ROWS - 1) / Q_ROWS, nb = all->k / 32;
    if (passes == 0) return;
    const uint32_t most = (n_x + passes - 1) / passes; /* rows of the largest pass */
    const uint32_t step = Q_LINES / most & ~(uint32_t)(BLOCK_RUNS - 1);
    const uint32_t group = passes == 1 ? n_tiles : Q_TILES; /* several passes: tiles come again */
    for (uint32_t t = 0; t < n_tiles; t += group) {
        const uint32_t nt = n_tiles - t < group ? n_tiles - t : group;
        uint32_t at = 0;
        do { /* once even when k is 0: an empty chain still writes its zero */
            const uint32_t n_runs = nb - at < step ? nb - at : step;
            for (uint32_t m = 0, left = passes; left > 0; left--) {
                const uint32_t n_rows = (n_x - m + left - 1) / left;
                q_job j = *all;
                j.y += m * j.ldy + (size_t)t * RMR_TILE;
                j.xq += m * j.ldq;
                j.tiles += t * j.stride;
                if (at + n_runs < nb || left > 1 || t + nt < n_tiles) j.next = j.tiles;
                pass(&j, n_rows, nt, at, n_runs);
                m += n_rows;
            }
            at += n_runs;
        } while (at < nb);
    }
}

/* Do the tiles from t on, which are left when tiles are done several at a time. */
FORCE void q_rest(q_pass_fn *pass, const q_job *j, uint32_t n_rows, uint32_t t, uint32_t n_tiles,
                  uint32_t at, uint32_t n_runs)
{
    q_job rest = *j;
    if (t == n_tiles) return;
    rest.tiles += t * j->stride;
    rest.y += (size_t)t * RMR_TILE;
    pass(&rest, n_rows, n_tiles - t, at, n_runs);
}

/* A pass in one way by T tiles. Each is a function of its own: with all of them in one function
 * compilers keep the loops' values on the stack instead of in registers. */
#define Q_PASS(pass, body)                                                                         \
    static __attribute__((noinline)) void pass(const q_job *j, uint32_t n_rows, uint32_t n_tiles,  \
                                               uint32_t at, uint32_t n_runs)                       \
    {                                                                                              \
        body;                                                                                      \
    }
#define Q_SPAN(type, way, T) q_tiles(type, way, T, j, n_rows, n_tiles, at, n_runs)

#if Q_STREAMS > 1
#define Q_REST(name, type) Q_PASS(q_rest_##name, Q_SPAN(type, Q_ROW_BY_ROW, 1))
#define Q_WAY(pass, name, type, way)                                                               \
    Q_PASS(pass,                                                                                   \
           q_rest(q_rest_##name, j, n_rows, Q_SPAN(type, way, Q_STREAMS), n_tiles, at, n_runs))
#else
#define Q_REST(name, type)
#define Q_WAY(pass, name, type, way) Q_PASS(pass, Q_SPAN(type, way, 1))
#endif

/* The ways that a set has for several rows, and the choice among them for n rows. */
#if Q_MANY_ROWS == 1
#define Q_SEVERAL(name, type) Q_WAY(q_rows_##name, name, type, Q_ROW_BY_ROW)
#define Q_PICK(name, n) q_rows_##name
#else
#if Q_SIDE_ROWS > Q_MANY_ROWS
#define Q_SIDE(name, type) Q_WAY(q_side_##name, name, type, Q_SIDE_ROWS)
#define Q_PICK_MANY(name, n) ((n) == Q_SIDE_ROWS ? q_side_##name : q_many_##name)
#else
#define Q_SIDE(name, type)
#define Q_PICK_MANY(name, n) q_many_##name
#endif
#define Q_SEVERAL(name, type)                                                                      \
    Q_WAY(q_two_##name, name, type, 2)                                                             \
    Q_WAY(q_three_##name, name, type, 3)                                                           \
    Q_SIDE(name, type)                                                                             \
    Q_WAY(q_many_##name, name, type, Q_MANY)
#define Q_PICK(name, n) ((n) == 2 ? q_two_##name : (n) == 3 ? q_three_##name : Q_PICK_MANY(name, n))
#endif

#define Q_MATMUL(name, type)                                                                       \
    Q_REST(name, type)                                                                             \
    Q_WAY(q_one_##name, name, type, Q_ONE)                                                         \
    Q_SEVERAL(name, type)                                                                          \
    static void qmatmul_##name(float *y, size_t ldy, const void *xq, size_t ldq, uint32_t n_x,     \
                               const void *tiles, size_t tile_stride, uint32_t n_tiles,            \
                               uint32_t k, const void *next)                                       \
    {                                                                                              \
        const q_job all = {y, ldy, xq, ldq, tiles, tile_stride, k, next};                          \
        q_matmul(n_x == 1 ? q_one_##name : Q_PICK(name, n_x), &all, n_x, n_tiles);                 \
    }
#define BLOCK_TYPE(id, name, ...) Q_MATMUL(name, id)
#include "elem_rows.h"
#undef Q_MATMUL

static const rmr_integer_kernels integer_kernels = {
    .quantize = quantize_f32,
    .matmul =
        {
#define BLOCK_TYPE(id, name, ...) [id] = qmatmul_##name,
#include "elem_rows.h"
        },
};

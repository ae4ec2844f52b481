/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel of a set against the reference set, with odd sizes, strides and special values.
 * Inputs end at a page that cannot be read, outputs stand between canaries. */
#include "cases.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cases_kv8.h"
#include "inputs.h"
#include "sincos.h"

static char message[256];

static const char *fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return message;
}

/* ---- outputs: two equal buffers with canaries, one for the reference and one for the set ---- */

enum { CANARY = 32, OUT_MAX = 1 << 16 };

static _Alignas(64) uint32_t out_bits[2][OUT_MAX + 2 * CANARY];
static uint32_t out_start[OUT_MAX + 2 * CANARY];

/* Fill the first n floats of both with the same values and everything else with a pattern. */
static void out_reset(rng *r, size_t n)
{
    for (size_t i = 0; i < n + 2 * CANARY; i++) out_start[i] = 0x7fc0dead;
    fill_f32(r, (float *)(out_start + CANARY), n);
    for (int i = 0; i < 2; i++) memcpy(out_bits[i], out_start, (n + 2 * CANARY) * 4);
}

static float *out_of(int which)
{
    return (float *)(out_bits[which] + CANARY);
}

static int same_float(uint32_t a, uint32_t b)
{
    return a == b || ((a & 0x7fffffff) > 0x7f800000 && (b & 0x7fffffff) > 0x7f800000);
}

static const char *out_compare(const char *what, size_t n)
{
    for (size_t i = 0; i < n + 2 * CANARY; i++) {
        const int canary = i < CANARY || i >= n + CANARY;
        if (canary && (out_bits[0][i] != out_start[i] || out_bits[1][i] != out_start[i]))
            return fail("%s: wrote outside, at %ld", what, (long)i - CANARY);
        if (!same_float(out_bits[0][i], out_bits[1][i]))
            return fail("%s: output %ld is %08x, not %08x", what, (long)i - CANARY, out_bits[1][i],
                        out_bits[0][i]);
    }
    return NULL;
}

/* ---- matmul ---- */

typedef struct mm {
    rmr_elem type;
    uint32_t k, n_x, n_tiles;
    size_t gap; /* extra floats between rows, extra groups between tiles */
    int accumulate, special;
} mm;

static const char *matmul_one(const rmr_kernels *set, const mm *c)
{
    rng r = {c->k * 77u + c->n_x * 13u + c->n_tiles};
    const size_t ldx = c->k + c->gap, ldy = c->n_tiles * RMR_TILE + c->gap;
    const size_t stride = rmr_tile_bytes(c->type, c->k) + c->gap * 64;
    const size_t n_y = (c->n_x - 1) * ldy + c->n_tiles * RMR_TILE;
    const size_t n_w = (c->n_tiles - 1) * stride + rmr_tile_bytes(c->type, c->k);
    float *const x = guarded(0, ((c->n_x - 1) * ldx + c->k) * 4);
    void *const w = guarded(1, n_w);
    fill_f32(&r, x, (c->n_x - 1) * ldx + c->k);
    if (c->type == RMR_ELEM_F8)
        fill_tiles(&r, w, c->type, c->n_tiles, c->k, stride);
    else
        fill_weights(&r, w, c->type, n_w);
    if (c->special) sprinkle(&r, x, (c->n_x - 1) * ldx + c->k);
    out_reset(&r, n_y);
    rmr_kernels_ref.product->matmul[c->type](out_of(0), ldy, x, ldx, c->n_x, w, stride, c->n_tiles,
                                             c->k, c->accumulate, NULL);
    set->product->matmul[c->type](out_of(1), ldy, x, ldx, c->n_x, w, stride, c->n_tiles, c->k,
                                  c->accumulate, NULL);
    char what[96];
    snprintf(what, sizeof what, "matmul %s k=%u n_x=%u tiles=%u gap=%u acc=%d special=%d",
             rmr_elem_table[c->type].name, c->k, c->n_x, c->n_tiles, (unsigned)c->gap,
             c->accumulate, c->special);
    return out_compare(what, n_y);
}

static const uint32_t odd_sizes[] = {63,  64,  65,  127, 128,  129, 511,
                                     512, 513, 576, 577, 1023, 1030};

static const char *case_matmul(const rmr_kernels *set)
{
    const char *bad = NULL;
    for (int t = 0; t <= RMR_ELEM_F8; t++) {
        mm c = {.type = (rmr_elem)t};
        const int chains = t < RMR_ELEM_F8; /* may start at y */
        for (c.k = 1; c.k <= 40 && !bad; c.k++) {
            c.n_x = 1 + c.k * 7 % 20;
            c.n_tiles = 1 + c.k * 5 % 9;
            c.accumulate = chains && c.k % 2;
            c.gap = c.k % 3;
            bad = matmul_one(set, &c);
        }
        for (size_t i = 0; i < sizeof odd_sizes / sizeof *odd_sizes && !bad; i++) {
            c = (mm){(rmr_elem)t,
                     odd_sizes[i],
                     1 + (uint32_t)i % 3 * 6,
                     1 + (uint32_t)i % 4,
                     i % 2 * 3,
                     chains && i % 2,
                     0};
            bad = matmul_one(set, &c);
        }
        for (c.n_x = 1; c.n_x <= 28 && !bad; c.n_x++)
            for (c.n_tiles = 1; c.n_tiles <= 18 && !bad; c.n_tiles += 1 + c.n_tiles / 9 * 3)
                for (c.special = 0; c.special < 2 && !bad; c.special++) {
                    c.k = 6 + c.n_x % 2;
                    c.gap = c.n_tiles % 2;
                    c.accumulate = chains && c.special;
                    bad = matmul_one(set, &c);
                }
    }
    return bad;
}

/* Cutting K at even places must not change a bit. */
static const char *case_k_blocks(const rmr_kernels *set)
{
    enum { K = 530, M = 7, T = 3 };
    static const uint32_t cuts[] = {0, 2, 64, 66, 300, 512, K};
    for (int t = 0; t < RMR_ELEM_PLAIN; t++) {
        rng r = {(uint64_t)t + 5};
        const size_t stride = rmr_tile_bytes((rmr_elem)t, K);
        float *const x = guarded(0, sizeof(float) * K * M);
        uint8_t *const w = guarded(1, stride * T);
        fill_f32(&r, x, K * M);
        fill_weights(&r, w, (rmr_elem)t, stride * T);
        out_reset(&r, M * T * RMR_TILE);
        set->product->matmul[t](out_of(0), T * RMR_TILE, x, K, M, w, stride, T, K, 0, NULL);
        for (size_t i = 0; i + 1 < sizeof cuts / sizeof *cuts; i++)
            set->product->matmul[t](out_of(1), T * RMR_TILE, x + cuts[i], K, M,
                                    w + rmr_tile_bytes((rmr_elem)t, cuts[i]), stride, T,
                                    cuts[i + 1] - cuts[i], i > 0, NULL);
        const char *const bad = out_compare("matmul in blocks of K", M * T * RMR_TILE);
        if (bad) return bad;
    }
    return NULL;
}

/* ---- integer products ---- */

static const char *qmatmul_one(const rmr_kernels *set, const mm *c)
{
    rng r = {c->k * 79u + c->n_x * 17u + c->n_tiles + (unsigned)c->type};
    const size_t ldy = c->n_tiles * RMR_TILE + c->gap, ldq = rmr_qrow_bytes(c->k) + c->gap * 64;
    const size_t stride = (size_t)rmr_tile_bytes(c->type, c->k) + c->gap * 64;
    const size_t n_y = (c->n_x - 1) * ldy + c->n_tiles * RMR_TILE;
    uint8_t *const xq = guarded(0, (c->n_x - 1) * ldq + rmr_qrow_bytes(c->k));
    void *const w = guarded(1, (c->n_tiles - 1) * stride + (size_t)rmr_tile_bytes(c->type, c->k));
    static float x[1 << 14];
    if (c->k > sizeof x / sizeof *x) return "too wide";
    for (uint32_t m = 0; m < c->n_x; m++) {
        fill_f32(&r, x, c->k);
        if (c->special) sprinkle(&r, x + (m * 32) % c->k, 32);
        rmr_kernels_ref.integer->quantize(xq + m * ldq, x, c->k);
        if (m == 0 && c->k > 32) { /* the largest sums */
            rmr_qline *const line = (rmr_qline *)(void *)xq;
            memset(line->q, c->special ? 0x7f : 0x81, sizeof line->q);
            for (int i = 0; i < 4; i++)
                line->start[i] = RMR_QMAGIC_BITS + (i == 0   ? -128 * 32
                                                    : i == 1 ? -8 * 32
                                                             : -32 * 16) *
                                                       (c->special ? 127 : -127);
        }
    }
    fill_tiles(&r, w, c->type, c->n_tiles, c->k, stride);
    out_reset(&r, n_y);
    rmr_kernels_ref.integer->matmul[c->type](out_of(0), ldy, xq, ldq, c->n_x, w, stride, c->n_tiles,
                                             c->k, NULL);
    set->integer->matmul[c->type](out_of(1), ldy, xq, ldq, c->n_x, w, stride, c->n_tiles, c->k,
                                  NULL);
    char what[96];
    snprintf(what, sizeof what, "qmatmul %s k=%u n_x=%u tiles=%u gap=%u special=%d",
             rmr_elem_table[c->type].name, c->k, c->n_x, c->n_tiles, (unsigned)c->gap, c->special);
    return out_compare(what, n_y);
}

static const char *case_qmatmul(const rmr_kernels *set)
{
    const char *bad = NULL;
    for (int t = RMR_ELEM_F8 + 1; t < RMR_ELEM_COUNT; t++) {
        const uint32_t step = rmr_elem_table[t].values;
        mm c = {.type = (rmr_elem)t};
        for (uint32_t i = 1; i <= 12 && !bad; i++) {
            c = (mm){(rmr_elem)t, i * step, 1 + i * 7 % 5, 1 + i * 5 % 7, i % 3, 0, i % 4 == 3};
            bad = qmatmul_one(set, &c);
        }
        for (c.n_x = 1; c.n_x <= 70 && !bad; c.n_x += 1 + c.n_x / 18 * 7)
            for (c.n_tiles = 1; c.n_tiles <= 4 && !bad; c.n_tiles++) {
                c.k = step * (1 + 32 / step * (c.n_x % 3));
                bad = qmatmul_one(set, &c);
            }
        /* every number of rows of a pass, with more runs than any pass holds */
        for (c.n_x = 1; c.n_x <= 33 && !bad; c.n_x++) {
            c = (mm){(rmr_elem)t, 1024 + 256 * (c.n_x % 2), c.n_x, 2, 0, 0, 0};
            bad = qmatmul_one(set, &c);
        }
        /* more than the blocks of the kernels hold */
        c = (mm){(rmr_elem)t, 9216, 1, 2, 0, 0, 0};
        if (!bad) bad = qmatmul_one(set, &c);
        c = (mm){(rmr_elem)t, 2304, 5, 3, 1, 0, 1};
        if (!bad) bad = qmatmul_one(set, &c);
        c = (mm){(rmr_elem)t, 512, 33, 50, 0, 0, 0};
        if (!bad) bad = qmatmul_one(set, &c);
    }
    return bad;
}

static const char *case_quantize(const rmr_kernels *set)
{
    static float x[2048 + 1];
    for (uint32_t i = 0; i < 400; i++) {
        const uint32_t k = i % 40 * 32;
        rng r = {i};
        fill_f32(&r, x, k + 1);
        const float size = rng_next(&r) % 4 ? 1.0f : 0x1p-96f; /* about the least that counts */
        for (uint32_t n = 0; n < k; n++) x[n] *= size;
        if (i % 3 == 1 && k > 0) sprinkle(&r, x, k);
        if (i % 5 == 2 && k > 0) memset(x + k / 2, 0, 64);
        float *const in = guarded(0, k * 4);
        memcpy(in, x, k * 4);
        out_reset(&r, rmr_qrow_bytes(k) / 4);
        rmr_kernels_ref.integer->quantize(out_of(0), in, k);
        set->integer->quantize(out_of(1), in, k);
        if (memcmp(out_of(0), out_of(1), rmr_qrow_bytes(k)) != 0)
            return fail("quantize k=%u case %u", k, i);
        const char *const bad = out_compare("quantize", rmr_qrow_bytes(k) / 4);
        if (bad) return bad;
    }
    return NULL;
}

/* ---- attention ---- */

typedef struct att {
    uint32_t n_q, n_rows, width;
    size_t gap;
    int bf16, special;
} att;

static void *att_rows(rng *r, const att *c)
{
    const size_t n = (c->n_rows - 1) * (c->width + c->gap) + c->width;
    void *const rows = guarded(1, n * (c->bf16 ? 2 : 4));
    if (c->bf16)
        fill_weights(r, rows, RMR_ELEM_BF16, n * 2);
    else
        fill_f32(r, rows, n);
    return rows;
}

/* The pages of a segment's rows, the first two exchanged where there are two, and one behind. */
static const void *const *att_pages(const void *rows, size_t row_bytes, uint32_t n_rows)
{
    static const void *pages[RMR_KV8_SEG / RMR_KV8_TOKENS + 1];
    const int exchange = n_rows >= 2 * RMR_KV8_TOKENS;
    uint32_t n = 0;
    for (; n * RMR_KV8_TOKENS < n_rows; n++)
        pages[n] =
            (const uint8_t *)rows + (n < 2 && exchange ? 1 - n : n) * RMR_KV8_TOKENS * row_bytes;
    pages[n] = rows;
    return pages;
}

static const char *scores_one(const rmr_kernels *set, const att *c)
{
    rng r = {c->n_q * 31u + c->n_rows * 7u + c->width};
    const size_t width = c->bf16 ? rmr_pairs_room(c->width) : c->width, ld = c->width + c->gap,
                 ld_q = width + c->gap, n_in = (c->n_q - 1) * ld_q + width,
                 n_out = (c->n_q - 1) * RMR_KV8_SEG + c->n_rows;
    float *const q = guarded(0, n_in * 4);
    fill_f32(&r, q, n_in);
    if (c->special) sprinkle(&r, q, n_in);
    const void *const *const pages = att_pages(att_rows(&r, c), ld * (c->bf16 ? 2 : 4), c->n_rows);
    out_reset(&r, n_out);
    (c->bf16 ? rmr_kernels_ref.attention->scores_bf16 : rmr_kernels_ref.attention->scores_f32)(
        out_of(0), q, ld_q, c->n_q, pages, ld, c->n_rows, c->width, 0.37f);
    (c->bf16 ? set->attention->scores_bf16 : set->attention->scores_f32)(
        out_of(1), q, ld_q, c->n_q, pages, ld, c->n_rows, c->width, 0.37f);
    char what[96];
    snprintf(what, sizeof what, "scores bf16=%d n_q=%u keys=%u width=%u special=%d", c->bf16,
             c->n_q, c->n_rows, c->width, c->special);
    return out_compare(what, n_out);
}

static const char *wsum_one(const rmr_kernels *set, const att *c)
{
    rng r = {c->n_q * 37u + c->n_rows * 5u + c->width};
    const size_t ld = c->width + c->gap, n_in = (c->n_q - 1) * RMR_KV8_SEG + c->n_rows,
                 n_out = (c->n_q - 1) * ld + c->width;
    float *const p = guarded(0, n_in * 4);
    fill_f32(&r, p, n_in);
    if (c->special) sprinkle(&r, p, n_in);
    const void *const *const pages = att_pages(att_rows(&r, c), ld * (c->bf16 ? 2 : 4), c->n_rows);
    out_reset(&r, n_out);
    (c->bf16 ? rmr_kernels_ref.attention->wsum_bf16 : rmr_kernels_ref.attention->wsum_f32)(
        out_of(0), ld, p, c->n_q, pages, ld, c->n_rows, c->width);
    (c->bf16 ? set->attention->wsum_bf16
             : set->attention->wsum_f32)(out_of(1), ld, p, c->n_q, pages, ld, c->n_rows, c->width);
    char what[96];
    snprintf(what, sizeof what, "wsum bf16=%d n_q=%u vals=%u width=%u special=%d", c->bf16, c->n_q,
             c->n_rows, c->width, c->special);
    return out_compare(what, n_out);
}

/* All pages of a segment, and blocks of all sizes. */
static const char *att_pages_all(const rmr_kernels *set,
                                 const char *(*one)(const rmr_kernels *set, const att *c), int bf16)
{
    static const uint32_t rows[] = {32, 33, 63, 64, 97, 127, 128, 129, 160, 255, 256},
                          widths[] = {16, 32, 80, 576};
    const char *bad = NULL;
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows && !bad; i++)
        for (uint32_t n_q = 1; n_q <= 17 && !bad; n_q++) {
            const att c = {n_q, rows[i], widths[(i + n_q) % 4], n_q % 3 * 8, bf16, 0};
            bad = one(set, &c);
        }
    return bad;
}

static const char *attention(const rmr_kernels *set,
                             const char *(*one)(const rmr_kernels *set, const att *c))
{
    static const uint32_t widths[] = {48, 63, 64, 65, 127, 128, 192, 511, 512, 576, 577};
    const char *bad = NULL;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        att c = {.bf16 = bf16};
        for (c.width = 1; c.width <= 40 && !bad; c.width++) {
            c.n_q = 1 + c.width * 3 % 9;
            c.n_rows = 1 + c.width * 7 % 19;
            c.gap = c.width % 3;
            c.special = c.width % 4 == 0;
            bad = one(set, &c);
        }
        for (size_t i = 0; i < sizeof widths / sizeof *widths && !bad; i++) {
            c = (att){1 + (uint32_t)i % 6, 3 + (uint32_t)i * 2, widths[i], i % 2 * 5, bf16, 0};
            bad = one(set, &c);
        }
        for (c.n_q = 1; c.n_q <= 13 && !bad; c.n_q++)
            for (c.n_rows = 1; c.n_rows <= 35 && !bad; c.n_rows += 1 + c.n_rows / 18 * 5) {
                c.width = 16 + c.n_rows % 2;
                c.special = 0;
                bad = one(set, &c);
            }
        if (!bad) bad = att_pages_all(set, one, bf16);
    }
    return bad;
}

static const char *case_scores(const rmr_kernels *set)
{
    return attention(set, scores_one);
}

static const char *case_wsum(const rmr_kernels *set)
{
    return attention(set, wsum_one);
}

/* ---- the small kernels: one function runs kernel `op` of a set on n elements, y in and out, a and
 * b inputs ---- */

enum {
    OP_NORM,
    OP_ROPE,
    OP_SILU,
    OP_SIGMOID,
    OP_MAX,
    OP_EXP_SUM,
    OP_SCALE,
    OP_ADD,
    OP_MADD,
    OP_MERGE,
    OP_TO_BF16,
    OP_FROM_BF16,
    OP_FROM_F16,
    OP_ROPE_HALF,
    OP_COUNT
};

static const char *const op_names[OP_COUNT] = {
    "norm", "rope", "silu_mul", "sigmoid", "max",       "exp_sum",  "scale",
    "add",  "madd", "merge",    "to_bf16", "from_bf16", "from_f16", "rope_half"};

static void op_run(const rmr_kernels *set, int op, float *y, const float *a, const float *b,
                   uint32_t n)
{
    switch (op) {
    case OP_NORM: set->elementwise->norm(y, a, b, n, 1e-6f); break;
    case OP_ROPE: set->elementwise->rope(y, a, n / 2); break;
    case OP_SILU: set->elementwise->silu_mul(y, a, b, n); break;
    case OP_SIGMOID: set->elementwise->sigmoid(y, a, n); break;
    case OP_MAX: y[0] = set->elementwise->max(a, n); break;
    case OP_EXP_SUM: y[n] = set->elementwise->exp_sum(y, n, a[0]); break;
    case OP_SCALE: set->elementwise->scale(y, n, a[0]); break;
    case OP_ADD: set->elementwise->add(y, a, n); break;
    case OP_MADD: set->elementwise->madd(y, a, n, b[0]); break;
    case OP_MERGE: set->elementwise->merge(y, a, n, b[0], b[n - 1]); break;
    case OP_TO_BF16: set->elementwise->to_bf16((uint16_t *)y, a, n); break;
    case OP_FROM_BF16: set->elementwise->from_bf16(y, (const uint16_t *)a, n); break;
    case OP_FROM_F16: set->elementwise->from_f16(y, (const uint16_t *)a, n); break;
    default: set->elementwise->rope_half(y, a, n / 2); break;
    }
}

/* What exists of input a: one value, halves, or n floats. */
static size_t op_a_bytes(int op, uint32_t n)
{
    if (op == OP_SCALE || op == OP_EXP_SUM) return 4;
    return op == OP_FROM_BF16 || op == OP_FROM_F16 ? n * 2u : n * 4u;
}

static const char *op_one(const rmr_kernels *set, int op, uint32_t n, int special)
{
    rng r = {n * 131u + (uint32_t)op};
    float *const a = guarded(0, op_a_bytes(op, n)), *const b = guarded(1, n * 4);
    fill_f32(&r, a, op_a_bytes(op, n) / 4);
    if (op == OP_FROM_BF16 || op == OP_FROM_F16)
        for (uint32_t i = 0; i < n; i++) ((uint16_t *)a)[i] = (uint16_t)(rng_next(&r) >> 20);
    else if (special)
        sprinkle(&r, a, op_a_bytes(op, n) / 4);
    fill_f32(&r, b, n);
    if (op == OP_SILU || op == OP_SIGMOID)
        for (uint32_t i = 0; i < n; i += 2) a[i] *= 40.0f;
    out_reset(&r, n + 1);
    if (special)
        for (int i = 0; i < 2; i++) {
            rng again = {n};
            sprinkle(&again, out_of(i), n);
        }
    op_run(&rmr_kernels_ref, op, out_of(0), a, b, n);
    op_run(set, op, out_of(1), a, b, n);
    char what[64];
    snprintf(what, sizeof what, "%s n=%u special=%d", op_names[op], n, special);
    if (op == OP_TO_BF16 && memcmp(out_of(0), out_of(1), n * 2) != 0)
        return fail("%s: halves differ", what);
    if ((op == OP_FROM_BF16 || op == OP_FROM_F16) && memcmp(out_of(0), out_of(1), n * 4) != 0)
        return fail("%s: NaN bits differ", what);
    return out_compare(what, n + 1);
}

static const char *case_elementwise(const rmr_kernels *set)
{
    const char *bad = NULL;
    for (int op = 0; op < OP_COUNT; op++)
        for (int special = 0; special < 2; special++) {
            for (uint32_t n = 1; n <= 80 && !bad; n++) bad = op_one(set, op, n, special);
            for (size_t i = 0; i < sizeof odd_sizes / sizeof *odd_sizes && !bad; i++)
                bad = op_one(set, op, odd_sizes[i], special);
        }
    return bad;
}

/* y may be x (norm), g or u (silu_mul). */
static const char *case_aliases(const rmr_kernels *set)
{
    enum { N = 77 };
    rng r = {9};
    float *const a = guarded(0, N * 4), *const b = guarded(1, N * 4);
    const char *bad = NULL;
    for (int way = 0; way < 3 && !bad; way++) {
        fill_f32(&r, b, N);
        out_reset(&r, N);
        memcpy(a, out_of(0), N * 4);
        if (way == 0) {
            rmr_kernels_ref.elementwise->norm(out_of(0), a, b, N, 1e-6f);
            set->elementwise->norm(out_of(1), out_of(1), b, N, 1e-6f);
        } else if (way == 1) {
            rmr_kernels_ref.elementwise->silu_mul(out_of(0), a, b, N);
            set->elementwise->silu_mul(out_of(1), out_of(1), b, N);
        } else {
            rmr_kernels_ref.elementwise->silu_mul(out_of(0), b, a, N);
            set->elementwise->silu_mul(out_of(1), b, out_of(1), N);
        }
        bad = out_compare(way == 0 ? "norm in place" : "silu_mul in place", N);
    }
    return bad;
}

/* All 65,536 halves, and every 4,099th float through exp, sigmoid and the bf16 rounding. */
static const char *case_sweep(const rmr_kernels *set)
{
    enum { N = 1 << 14 };
    static float in[N];
    const char *bad = NULL;
    for (uint32_t part = 0; part < 4 && !bad; part++) {
        for (uint32_t i = 0; i < N; i++) ((uint16_t *)in)[i] = (uint16_t)(part * N + i);
        for (int op = OP_FROM_BF16; op <= OP_FROM_F16 && !bad; op++) {
            rng r = {1};
            out_reset(&r, N);
            op_run(&rmr_kernels_ref, op, out_of(0), in, in, N);
            op_run(set, op, out_of(1), in, in, N);
            if (memcmp(out_of(0), out_of(1), N * 4) != 0) bad = fail("%s: bits", op_names[op]);
        }
    }
    for (uint64_t from = 0; from < 1ull << 32 && !bad; from += (uint64_t)N * 4099) {
        for (uint32_t i = 0; i < N; i++) {
            const uint32_t u = (uint32_t)(from + i * 4099ull);
            memcpy(in + i, &u, 4);
        }
        rng r = {2};
        out_reset(&r, N + 1);
        for (int i = 0; i < 2; i++) {
            const rmr_kernels *const k = i ? set : &rmr_kernels_ref;
            k->elementwise->to_bf16((uint16_t *)out_of(i), in, N);
            k->elementwise->sigmoid(out_of(i) + N / 2, in, N / 2);
        }
        bad = out_compare("to_bf16 and sigmoid of many floats", N + 1);
        if (bad) break;
        for (int i = 0; i < 2; i++) {
            memcpy(out_of(i), in, N * 4);
            out_of(i)[N] = (i ? set : &rmr_kernels_ref)->elementwise->exp_sum(out_of(i), N, 0.0f);
        }
        bad = out_compare("exp of many floats", N + 1);
    }
    return bad;
}

static void empty_quantised(const rmr_kernels *k, float *y, int way)
{
    static const float x[1] = {1};
    static const _Alignas(64) uint8_t tile[64];
    const uint32_t n_x = way == 0 ? 0 : 14, n_tiles = way == 2 ? 0 : 3;
    k->product->matmul[RMR_ELEM_F8](y, 48, x, 0, n_x, tile, 0, n_tiles, 0, 0, NULL);
    for (int t = RMR_ELEM_F8 + 1; t < RMR_ELEM_COUNT; t++)
        k->integer->matmul[t](y, 48, x, 0, n_x, tile, 0, n_tiles, 0, NULL);
}

/* Counts of zero: nothing is written, but an empty chain is +0 (or y) and an empty dot product 0.
 */
static const char *case_empty(const rmr_kernels *set)
{
    static const float in[64] = {1, 2, 3};
    static const void *const pages[] = {in, in};
    const char *bad = NULL;
    for (int way = 0; way < 7 && !bad; way++) {
        rng r = {(uint64_t)way};
        out_reset(&r, 700);
        for (int i = 0; i < 2; i++) {
            const rmr_kernels *const k = i ? set : &rmr_kernels_ref;
            float *const y = out_of(i);
            for (int t = 0; t < RMR_ELEM_PLAIN; t++)
                k->product->matmul[t](y, 48, in, 0,
                                      way == 0   ? 0
                                      : way == 1 ? 14
                                                 : 2,
                                      in, 0, way == 2 ? 0 : 3, 0, way == 3, NULL);
            if (way < 3) empty_quantised(k, y, way);
            k->integer->quantize(y, in, 0);
            if (way == 4) k->attention->scores_f32(y, in, 0, 3, pages, 0, 5, 0, 2.0f);
            if (way == 5) k->attention->scores_bf16(y, in, 32, 0, pages, 8, 5, 8, 2.0f);
            if (way == 6) k->attention->wsum_f32(y, 32, in, 6, pages, 8, 0, 32);
            for (int op = 0; op < OP_COUNT; op++)
                if (op != OP_MAX && op != OP_MERGE && op != OP_EXP_SUM) op_run(k, op, y, in, in, 0);
        }
        bad = out_compare("empty", 700);
    }
    return bad;
}

const kernel_case cases_against_ref[] = {
    {"empty", case_empty},
    {"matmul", case_matmul},
    {"matmul_k_blocks", case_k_blocks},
    {"qmatmul", case_qmatmul},
    {"quantize", case_quantize},
    {"scores", case_scores},
    {"wsum", case_wsum},
    {"elementwise", case_elementwise},
    {"aliases", case_aliases},
    {"sweep", case_sweep},
    {"kv8", case_kv8},
    {"kv8_ends", case_kv8_ends},
    {NULL, NULL},
};

/* ---- the digest ---- */

static uint64_t fnv(uint64_t h, const void *p, size_t n)
{
    const uint8_t *const b = p;
    for (size_t i = 0; i < n; i++) h = (h ^ b[i]) * 0x100000001b3u;
    return h;
}

#define FNV_START UINT64_C(0xcbf29ce484222325)
enum { K = 575, M = 14, T = 3 };

/* Products of the quantised types [from, end). */
static uint64_t digest_quantised(const rmr_kernels *set, uint64_t h, rng *r, const float *x,
                                 int from, int end)
{
    enum { QK = 512 };
    static float y[M * T * RMR_TILE];
    static _Alignas(64) uint8_t w[(K + 1) * 64 * T];
    static rmr_qline xq[M][QK / 32];
    for (int t = from; t < end; t++) {
        const uint32_t k = t == RMR_ELEM_F8 ? K : QK;
        const size_t stride = (size_t)rmr_tile_bytes((rmr_elem)t, k), ldq = sizeof *xq;
        for (uint32_t m = 0; m < M; m++) set->integer->quantize(xq[m], x + (size_t)m * K, QK);
        fill_tiles(r, w, (rmr_elem)t, T, k, stride);
        if (t == RMR_ELEM_F8)
            set->product->matmul[t](y, T * RMR_TILE, x, K, M, w, stride, T, K, 0, NULL);
        else
            set->integer->matmul[t](y, T * RMR_TILE, xq, ldq, M, w, stride, T, QK, NULL);
        h = fnv(h, y, M * T * RMR_TILE * 4);
        h = fnv(h, xq, sizeof xq);
    }
    return h;
}

static uint64_t digest_first(const rmr_kernels *set)
{
    enum { N = 700 };
    static float x[K * M], y[M * 600 + 8], b[K * M];
    static _Alignas(64) uint8_t w[(K + 1) * 64 * T];
    uint64_t h = FNV_START;
    rng r = {20240229};
    for (int i = 0; i < 4096; i++) {
        float cs[2];
        rmr_sincos((double)i * 1.618 * (1 << i % 12), cs, cs + 1);
        h = fnv(h, cs, sizeof cs);
    }
    fill_f32(&r, x, K * M);
    fill_f32(&r, b, K * M);
    for (int t = 0; t < RMR_ELEM_PLAIN; t++) {
        const size_t stride = (rmr_tile_bytes((rmr_elem)t, K) + 63) & ~(size_t)63;
        fill_weights(&r, w, (rmr_elem)t, stride * T);
        set->product->matmul[t](y, T * RMR_TILE, x, K, M, w, stride, T, K, 0, NULL);
        set->product->matmul[t](y + 16, T * RMR_TILE, x, K, 1, w, stride, 1, K, 1, NULL);
        h = fnv(h, y, M * T * RMR_TILE * 4);
    }
    h = digest_quantised(set, h, &r, x, RMR_ELEM_F8, RMR_ELEM_Q4_1);
    fill_weights(&r, w, RMR_ELEM_BF16, sizeof w / 2);
    for (int bf16 = 0; bf16 < 2; bf16++) {
        const void *const rows = bf16 ? (const void *)w : (const void *)b;
        const void *const pages[] = {rows, rows};
        (bf16 ? set->attention->scores_bf16 : set->attention->scores_f32)(y, x, K + bf16, 9, pages,
                                                                          K, 14, K, 0.0721f);
        for (int i = 0; i < 9; i++) h = fnv(h, y + (ptrdiff_t)i * RMR_KV8_SEG, 14 * 4);
        (bf16 ? set->attention->wsum_bf16 : set->attention->wsum_f32)(x, K, y, 9, pages, K, 14,
                                                                      K - 1);
        h = fnv(h, x, 9 * K * 4);
    }
    for (int op = 0; op < OP_COUNT; op++)
        for (uint32_t n = N - 3; n <= N; n += 3) {
            fill_f32(&r, x, n);
            fill_f32(&r, y, n + 1);
            if (op == OP_FROM_BF16 || op == OP_FROM_F16)
                for (uint32_t i = 0; i < n; i++)
                    ((uint16_t *)x)[i] = (uint16_t)(rng_next(&r) >> 21);
            op_run(set, op, y, x, b + 1, n);
            h = fnv(h, y, (n + 1) * 4);
        }
    return kv8_digest(set, fnv, h);
}

/* Of the types that came later. */
static uint64_t digest_later(const rmr_kernels *set)
{
    static float x[K * M];
    rng r = {20261201};
    fill_f32(&r, x, K * M);
    return digest_quantised(set, FNV_START, &r, x, RMR_ELEM_Q4_1, RMR_ELEM_COUNT);
}

const char *cases_digest(const rmr_kernels *set, const char *file)
{
    const uint64_t got[] = {digest_first(set), digest_later(set)};
    const char *bad = NULL;
    FILE *const f = fopen(file, "r");
    if (f == NULL) return fail("no digest file %s", file);
    for (size_t i = 0; i < sizeof got / sizeof *got && bad == NULL; i++) {
        uint64_t want = 0;
        if (fscanf(f, "%" SCNx64, &want) != 1 || want != got[i])
            bad = fail("digest %zu is %016" PRIx64 ", not %016" PRIx64, i + 1, got[i], want);
    }
    fclose(f);
    return bad;
}

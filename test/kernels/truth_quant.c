/* SPDX-License-Identifier: Apache-2.0 */
/* Products with quantised weights against double precision: rows are decoded here one value at a
 * time by the formulas of docs/models.md, "GGUF blocks", independently of tiles and kernels. */
#include "cases.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "half.h"
#include "inputs.h"

static char message[160];

static double half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return (double)rmr_f16_to_f32(h);
}

static int nibble(const uint8_t *qs, uint32_t n)
{
    return n < 16 ? qs[n] & 15 : qs[n - 16] >> 4;
}

static double iq4(int code)
{
    static const double book[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};
    return book[code];
}

static double e2m1_twice(int code)
{
    static const double book[] = {0, 1, 2, 3, 4, 6, 8, 12};
    return code & 8 ? -book[code & 7] : book[code];
}

static double value_q4_k(const uint8_t *b, uint32_t n, int fifth)
{
    const uint32_t j = n / 32, l = n % 32;
    const uint8_t *const s = b + 4, *const qs = b + (fifth ? 48 : 16);
    const int sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    const int mn = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | s[j] >> 6 << 4;
    const uint8_t byte = qs[32 * (n / 64) + l];
    int q = j % 2 ? byte >> 4 : byte & 15;
    if (fifth) q += 16 * (b[16 + l] >> j & 1);
    return half_at(b) * sc * q - half_at(b + 2) * mn;
}

static double value_q6_k(const uint8_t *b, uint32_t n)
{
    const uint32_t half = n / 128, k = n % 128 / 32, l = n % 32;
    const uint8_t byte = b[64 * half + l + (k % 2 ? 32 : 0)];
    const int nib = k >= 2 ? byte >> 4 : byte & 15;
    const int q = (nib | (b[128 + 32 * half + l] >> 2 * k & 3) << 4) - 32;
    return half_at(b + 208) * (int8_t)b[192 + n / 16] * q;
}

static double value_q3_k(const uint8_t *b, uint32_t n)
{
    const uint32_t half = n / 128, k = n % 128 / 32, l = n % 32, j = n / 16;
    const uint8_t *const scales = b + 96;
    const int q2 = b[32 + 32 * half + l] >> 2 * k & 3, hb = b[l] >> n / 32 & 1;
    const int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
    const int high = scales[8 + j % 4] >> 2 * (j / 4) & 3;
    return half_at(b + 108) * ((low | high << 4) - 32) * (q2 - (hb ? 0 : 4));
}

static double value_q2_k(const uint8_t *b, uint32_t n)
{
    const int q = b[16 + 32 * (n / 128) + n % 32] >> 2 * (n % 128 / 32) & 3;
    return half_at(b + 80) * (b[n / 16] & 15) * q - half_at(b + 82) * (b[n / 16] >> 4);
}

static double value_iq4_xs(const uint8_t *b, uint32_t n)
{
    const uint32_t ib = n / 32;
    const int ls = (b[4 + ib / 2] >> 4 * (ib % 2) & 15) | ((b[2] | b[3] << 8) >> 2 * ib & 3) << 4;
    return half_at(b) * (ls - 32) * iq4(nibble(b + 8 + 16 * ib, n % 32));
}

/* Q5_0, and Q5_1 with 16 more to a code and a minimum. */
static double value_q5(const uint8_t *b, uint32_t n, int has_min)
{
    const uint8_t *const high = b + (has_min ? 4 : 2);
    uint32_t bits;
    memcpy(&bits, high, 4);
    const int q = nibble(high + 4, n) + (bits >> n & 1 ? 16 : 0);
    return has_min ? half_at(b) * q + half_at(b + 2) : half_at(b) * (q - 16);
}

static double value_f8(const uint8_t *row, uint32_t cols, uint32_t k)
{
    const int c = row[k], e = c >> 3 & 15, m = c & 7;
    const double size = e ? ldexp(8 + m, e - 10) : ldexp(m, -9);
    float scale;
    memcpy(&scale, row + cols + (size_t)k / 128 * 4, 4);
    return (c & 128 ? -size : size) * (double)scale;
}

/* Column k of a row. */
static double row_value(rmr_elem e, const uint8_t *row, uint32_t cols, uint32_t k)
{
    const uint32_t n = k % rmr_elem_table[e].values;
    const uint8_t *const b = row + (size_t)(k / rmr_elem_table[e].values) * rmr_elem_table[e].bytes;
    uint16_t h;
    memcpy(&h, b, 2);
    switch (e) {
    case RMR_ELEM_F8: return value_f8(row, cols, k);
    case RMR_ELEM_Q8_0: return half_at(b) * (int8_t)b[2 + n];
    case RMR_ELEM_Q4_0: return half_at(b) * (nibble(b + 2, n) - 8);
    case RMR_ELEM_I4: return (double)rmr_bf16_to_f32(h) * (nibble(b + 2, n) - 8);
    case RMR_ELEM_IQ4_NL: return half_at(b) * iq4(nibble(b + 2, n));
    case RMR_ELEM_MXFP4: return ldexp(e2m1_twice(nibble(b + 1, n)), b[0] - 128);
    case RMR_ELEM_IQ4_XS: return value_iq4_xs(b, n);
    case RMR_ELEM_Q4_K: return value_q4_k(b, n, 0);
    case RMR_ELEM_Q5_K: return value_q4_k(b, n, 1);
    case RMR_ELEM_Q6_K: return value_q6_k(b, n);
    case RMR_ELEM_Q3_K: return value_q3_k(b, n);
    case RMR_ELEM_Q4_1: return half_at(b) * nibble(b + 4, n) + half_at(b + 2);
    case RMR_ELEM_Q5_0: return value_q5(b, n, 0);
    case RMR_ELEM_Q5_1: return value_q5(b, n, 1);
    default: return value_q2_k(b, n);
    }
}

enum { K = 768, M = 3, ROWS = 21 };

/* y against the rows times x, which is exact for F8 and what q and scale mean for the others. The
 * error of a chain is relative to the largest weight of the row, for minima cancel. */
static const char *check(rmr_elem e, const float *y, size_t ldy, const double *x,
                         const uint8_t *rows, uint32_t cols)
{
    for (uint32_t i = 0; i < M * ROWS; i++) {
        const uint32_t m = i / ROWS, row = i % ROWS;
        double sum = 0, size = 0, most = 0;
        for (uint32_t k = 0; k < cols; k++) {
            const double w = row_value(e, rows + row * rmr_row_bytes(e, cols), cols, k);
            sum += w * x[m * K + k];
            size += fabs(x[m * K + k]);
            most = fabs(w) > most ? fabs(w) : most;
        }
        const double got = (double)y[m * ldy + row];
        if (!(fabs(sum - got) <= K * 0x1p-24 * size * most)) {
            snprintf(message, sizeof message, "%s output %u: %g, not %g", rmr_elem_table[e].name, i,
                     got, sum);
            return message;
        }
    }
    return NULL;
}

const char *truth_qmatmul(const rmr_kernels *set)
{
    static uint8_t rows[ROWS * K * 2];
    static rmr_qline xq[M][K / 32];
    static _Alignas(64) uint8_t tiles[2 * RMR_TILE * K * 2];
    static float x[M * K], y[M * 2 * RMR_TILE];
    static double xd[M * K];
    const char *bad = NULL;
    for (int t = RMR_ELEM_F8; t < RMR_ELEM_COUNT && !bad; t++) {
        const rmr_elem e = (rmr_elem)t;
        const uint32_t cols = t == RMR_ELEM_F8 ? K - 37 : K;
        const size_t stride = (size_t)rmr_tile_bytes(e, cols), ldq = sizeof *xq;
        rng r = {(uint64_t)t + 700};
        fill_f32(&r, x, M * K);
        fill_rows(&r, rows, e, ROWS, cols);
        rmr_tile_pack(e, tiles, rows, RMR_TILE, cols);
        rmr_tile_pack(e, tiles + stride, rows + RMR_TILE * rmr_row_bytes(e, cols), ROWS - RMR_TILE,
                      cols);
        for (uint32_t m = 0; m < M; m++) {
            set->integer->quantize(xq[m], x + (size_t)m * K, K);
            for (uint32_t k = 0; k < K; k++) {
                const rmr_qline *const line = &xq[m][k / 32];
                xd[m * K + k] =
                    t == RMR_ELEM_F8 ? (double)x[m * K + k] : (double)line->scale * line->q[k % 32];
            }
        }
        if (t == RMR_ELEM_F8)
            set->product->matmul[t](y, 2 * RMR_TILE, x, K, M, tiles, stride, 2, cols, 0, NULL);
        else
            set->integer->matmul[t](y, 2 * RMR_TILE, xq, ldq, M, tiles, stride, 2, cols, NULL);
        bad = check(e, y, 2 * RMR_TILE, xd, rows, cols);
    }
    return bad;
}

static const char *check_sums(const rmr_qline *s)
{
    int32_t sum[3] = {0, 0, 0};
    for (int i = 0; i < 32; i++) sum[1 + i / 16] += s->q[i];
    sum[0] = sum[1] + sum[2];
    for (int i = 0; i < 3; i++) {
        if (isnan(s->scale) ? !isnan(s->sum[i]) : s->sum[i] != s->scale * (float)sum[i])
            return "quantize: sum";
    }
    const int32_t start[4] = {-128 * sum[0], -8 * sum[0], -32 * sum[1], -32 * sum[2]};
    for (int i = 0; i < 4; i++)
        if (s->start[i] != RMR_QMAGIC_BITS + start[i]) return "quantize: start";
    return NULL;
}

/* One run: q is near x, or zero where the definition says so; then the sums. */
static const char *check_run(const float *x, const rmr_qline *s)
{
    const int8_t *const q = s->q;
    double most = 0;
    int finite = 1;
    for (int i = 0; i < 32; i++) {
        most = fabs((double)x[i]) > most ? fabs((double)x[i]) : most;
        finite = finite && isfinite(x[i]);
    }
    const int zero = !finite || most < (double)RMR_LEAST;
    if (!finite && !isnan(s->scale)) return "quantize: scale of what is not finite";
    if (finite && !(fabs((double)s->scale - (zero ? 0 : most / 127)) <= most * 0x1p-30))
        return "quantize: scale";
    for (int i = 0; i < 32; i++) {
        if (zero && q[i] != 0) return "quantize: q where it must be zero";
        if (!zero &&
            !(fabs((double)q[i] * (double)s->scale - (double)x[i]) <= most * 0.50001 / 127))
            return "quantize: not the nearest";
        if (q[i] == -128) return "quantize: -128";
    }
    return check_sums(s);
}

const char *truth_quantize(const rmr_kernels *set)
{
    static float x[K];
    static rmr_qline xq[K / 32];
    static const float least[] = {RMR_LEAST, 0x1.fffffep-91f, 0x1p-149f, 3.4e38f, 0.0f};
    const char *bad = NULL;
    for (uint32_t i = 0; i < 200 && !bad; i++) {
        rng r = {i + 1};
        fill_f32(&r, x, K);
        if (i % 2) sprinkle(&r, x, 64);
        for (uint32_t n = 0; n < 5; n++) {
            for (uint32_t j = 0; j < 32; j++) x[64 + n * 32 + j] = 0;
            x[64 + n * 32 + i % 32] = i & 1 ? least[n] : -least[n];
        }
        set->integer->quantize(xq, x, K);
        for (uint32_t b = 0; b < K / 32 && !bad; b++) bad = check_run(x + (size_t)b * 32, &xq[b]);
    }
    return bad;
}

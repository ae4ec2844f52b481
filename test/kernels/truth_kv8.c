/* SPDX-License-Identifier: Apache-2.0 */
/* The reference set's 8-bit cache against double precision: what is stored is near what was put in,
 * and attention over it near attention over what is stored, within the rounding of the query and of
 * the weights. */
#include "cases_kv8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "inputs.h"

enum { RANK = 300, ROPE = 20, WIDTH = RANK + ROPE, N = 70, HEADS = 3 };

static char message[160];
static _Alignas(64) uint8_t page[3][32 << 10], query[16 << 10];
static float x[N][WIDTH], row[32][WIDTH], q[HEADS][WIDTH], z[HEADS][RANK], max[HEADS], sum[HEADS];

static double largest(const float *v, uint32_t n)
{
    double most = 0;
    for (uint32_t i = 0; i < n; i++) most = fabs((double)v[i]) > most ? fabs((double)v[i]) : most;
    return most;
}

/* The stored rows: half a unit of their block's largest value. Leaves them in x. */
static const char *check_stored(const rmr_kernels *set)
{
    for (uint32_t t = 0; t < N; t++) set->kv8->put(page[t / 32], t % 32, x[t], RANK, ROPE);
    for (uint32_t t = 0; t < N; t++) {
        if (t % 32 == 0)
            set->kv8->get(row[0], WIDTH, page[t / 32], N - t < 32 ? N - t : 32, RANK, ROPE);
        for (uint32_t c = 0; c < WIDTH; c++) {
            const uint32_t from = c < 256 ? 0 : c < RANK ? 256 : RANK;
            const uint32_t n = c < 256 ? 256 : c < RANK ? RANK - 256 : ROPE;
            const double unit = largest(x[t] + from, n) / (c < RANK ? 127 : 127 * 128);
            if (!(fabs((double)row[t % 32][c] - (double)x[t][c]) <= unit * 0.5001)) {
                snprintf(message, sizeof message, "kv8 token %u column %u: %g stored as %g", t, c,
                         (double)x[t][c], (double)row[t % 32][c]);
                return message;
            }
        }
    }
    for (uint32_t t = 0; t < N; t++) { /* what is stored, from here on */
        if (t % 32 == 0)
            set->kv8->get(row[0], WIDTH, page[t / 32], N - t < 32 ? N - t : 32, RANK, ROPE);
        memcpy(x[t], row[t % 32], sizeof x[t]);
    }
    return NULL;
}

static const char *check_head(uint32_t h, double scale)
{
    double s[N], top = -1e9, l = 0, error = 0;
    for (uint32_t t = 0; t < N; t++) {
        double e = 0;
        s[t] = 0;
        for (uint32_t c = 0; c < WIDTH; c++) {
            const uint32_t from = c < 256 ? 0 : c < RANK ? 256 : RANK;
            const uint32_t n = c < 256 ? 256 : c < RANK ? RANK - 256 : ROPE;
            s[t] += scale * (double)q[h][c] * (double)x[t][c];
            e += scale * fabs((double)x[t][c]) * largest(q[h] + from, n) * 0.501 / 127;
        }
        top = s[t] > top ? s[t] : top;
        error = e > error ? e : error;
    }
    for (uint32_t t = 0; t < N; t++) l += exp(s[t] - top);
    if (!(fabs((double)max[h] - top) <= error)) return "kv8: maximum";
    if (!(fabs((double)sum[h] / l - 1) <= 2.2 * error)) return "kv8: sum";
    for (uint32_t c = 0; c < RANK; c++) {
        double want = 0, size = 0, unit = 0;
        for (uint32_t t = 0; t < N; t++) {
            const double v = exp(s[t] - top) * (double)x[t][c];
            want += v;
            size += fabs(v);
            unit += largest(x[t] + (c < 256 ? 0 : 256), c < 256 ? 256 : RANK - 256);
        }
        if (!(fabs((double)z[h][c] - want) <= 2.2 * error * size + unit * 0.51 / 255)) {
            snprintf(message, sizeof message, "kv8 head %u column %u: %g, not %g", h, c,
                     (double)z[h][c], want);
            return message;
        }
    }
    return NULL;
}

const char *truth_kv8(const rmr_kernels *set)
{
    const void *const pages[] = {page[0], page[1], page[2], page[0], page[1], page[2]};
    const char *bad = NULL;
    rng r = {77};
    fill_f32(&r, x[0], N * WIDTH);
    fill_f32(&r, q[0], HEADS * WIDTH);
    memset(page, 0xff, sizeof page);
    bad = check_stored(set);
    set->kv8->query(query, q[0], WIDTH, HEADS, RANK, ROPE, 0.01f);
    set->kv8->attend(z[0], RANK, max, sum, query, HEADS, pages, N, RANK, ROPE);
    for (uint32_t h = 0; h < HEADS && !bad; h++) bad = check_head(h, (double)0.01f);
    return bad;
}

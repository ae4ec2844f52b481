/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of the 8-bit latent cache against the reference set, page by page and segment by
 * segment: partly filled pages, whatever lies behind the tokens, odd widths, special values. */
#include "cases_kv8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "inputs.h"

enum { PAGES = RMR_KV8_SEG / RMR_KV8_TOKENS, MAX_LAYER = 40 << 10, MAX_QUERY = 32 << 10 };
enum { MAX_RANK = 600, MAX_ROW = 1024 };

static _Alignas(64) uint8_t page[2][PAGES][MAX_LAYER];
static _Alignas(64) uint8_t query[2][MAX_QUERY];
static float z[2][RMR_KV8_HEADS * (MAX_RANK + 3)], max[2][RMR_KV8_HEADS], sum[2][RMR_KV8_HEADS];

typedef struct kv8_case {
    uint32_t rank, rope, n, heads;
    int special; /* 1: in queries, 2: in rows */
} kv8_case;

static char message[160];

static const char *fail(const kv8_case *c, const char *what)
{
    snprintf(message, sizeof message, "kv8 %s: rank=%u rope=%u n=%u heads=%u special=%d", what,
             c->rank, c->rope, c->n, c->heads, c->special);
    return message;
}

static int same(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, 4) != 0 && (a[i] == a[i] || b[i] == b[i])) return 0;
    return 1;
}

/* Like rows of real caches: some columns much larger than others, whole rows of zeros. */
static void row_of(rng *r, float *x, uint32_t n, uint32_t t, int special)
{
    fill_f32(r, x, n);
    for (uint32_t i = 0; i < n; i += 7) x[i] *= 8.0f;
    if (t % 13 == 5) memset(x, 0, n * sizeof *x);
    if (special && t % 11 == 3) sprinkle(r, x, n);
    if (t % 17 == 2)
        for (uint32_t i = 0; i < n; i++) x[i] *= 0x1p-96f;
}

/* Pages with something everywhere, then n tokens written by either set. */
static void fill_pages(const rmr_kernels *set, const kv8_case *c)
{
    rng r = {c->rank * 31u + c->rope * 7u + c->n};
    float x[MAX_ROW];
    for (size_t i = 0; i < sizeof page[0] / 8; i++) {
        const uint64_t v = rng_next(&r);
        memcpy((uint8_t *)page[0] + 8 * i, &v, 8);
    }
    memcpy(page[1], page[0], sizeof page[0]);
    for (uint32_t t = 0; t < c->n; t++) {
        row_of(&r, x, c->rank + c->rope, t, c->special == 2);
        const uint32_t i = t / RMR_KV8_TOKENS, at = t % RMR_KV8_TOKENS;
        rmr_kernels_ref.kv8->put(page[0][i], at, x, c->rank, c->rope);
        set->kv8->put(page[1][i], at, x, c->rank, c->rope);
    }
}

static void fill_query(const rmr_kernels *set, const kv8_case *c)
{
    const uint32_t width = c->rank + c->rope;
    rng r = {c->heads + 90u};
    float *const q = guarded(0, ((size_t)(c->heads - 1) * (width + 3) + width) * sizeof(float));
    fill_f32(&r, q, (size_t)(c->heads - 1) * (width + 3) + width);
    if (c->special == 1) sprinkle(&r, q, width);
    memset(query, 0x55, sizeof query);
    for (int i = 0; i < 2; i++)
        (i ? set : &rmr_kernels_ref)
            ->kv8->query(query[i], q, (size_t)width + 3, c->heads, c->rank, c->rope, 0.11f);
}

static void attend(const rmr_kernels *set, const kv8_case *c, int i)
{
    const void *pages[2 * PAGES];
    const uint32_t n = (c->n + RMR_KV8_TOKENS - 1) / RMR_KV8_TOKENS;
    for (uint32_t p = 0; p < n; p++) {
        pages[p] = page[i][p];
        pages[n + p] = (const void *)(uintptr_t)4096; /* a hint: never read */
    }
    memset(z[i], 0, sizeof z[i]);
    set->kv8->attend(z[i], (size_t)c->rank + 3, max[i], sum[i], query[i], c->heads, pages, c->n,
                     c->rank, c->rope);
}

static const char *one(const rmr_kernels *set, const kv8_case *c)
{
    static float row[2][RMR_KV8_TOKENS * MAX_ROW];
    const uint32_t width = c->rank + c->rope;
    const uint32_t n = c->n < RMR_KV8_TOKENS ? c->n : RMR_KV8_TOKENS;
    fill_pages(set, c);
    if (memcmp(page[0], page[1], sizeof page[0]) != 0) return fail(c, "put");
    fill_query(set, c);
    if (memcmp(query[0], query[1], sizeof query[0]) != 0) return fail(c, "query");
    attend(&rmr_kernels_ref, c, 0);
    attend(set, c, 1);
    if (!same(max[0], max[1], c->heads) || !same(sum[0], sum[1], c->heads))
        return fail(c, "maximum or sum");
    if (!same(z[0], z[1], sizeof z[0] / sizeof z[0][0])) return fail(c, "value sums");
    rmr_kernels_ref.kv8->get(row[0], (size_t)width + 2, page[0][0], n, c->rank, c->rope);
    set->kv8->get(row[1], (size_t)width + 2, page[1][0], n, c->rank, c->rope);
    if (!same(row[0], row[1], sizeof row[0] / sizeof row[0][0])) return fail(c, "get");
    return NULL;
}

const char *case_kv8(const rmr_kernels *set)
{
    static const kv8_case odd[] = {
        {512, 64, 256, 16, 0}, {512, 64, 255, 16, 1}, {512, 64, 97, 3, 2}, {256, 32, 256, 8, 0},
        {576, 64, 200, 9, 2},  {300, 20, 130, 12, 0}, {16, 0, 33, 16, 0},  {257, 7, 64, 5, 1}};
    const char *bad = NULL;
    for (uint32_t n = 1; n <= 70 && !bad; n++)
        bad = one(set, &(kv8_case){1 + n * 7 % 50, n * 3 % 21, n, 1 + n % 16, (int)(n % 9) / 3});
    for (size_t i = 0; i < sizeof odd / sizeof *odd && !bad; i++) bad = one(set, &odd[i]);
    return bad;
}

/* The largest sums there can be: all integers at their ends, one sign. */
const char *case_kv8_ends(const rmr_kernels *set)
{
    const kv8_case c = {600, 128, 256, 16, 0};
    float x[MAX_ROW];
    for (int sign = 0; sign < 4; sign++) {
        for (uint32_t i = 0; i < c.rank + c.rope; i++) x[i] = sign & 1 ? -2.0f : 2.0f;
        for (uint32_t t = 0; t < c.n; t++)
            for (int i = 0; i < 2; i++)
                rmr_kernels_ref.kv8->put(page[i][t / 32], t % 32, x, c.rank, c.rope);
        for (uint32_t i = 0; i < c.rank + c.rope; i++) x[i] = sign & 2 ? -0.01f : 0.01f;
        for (int i = 0; i < 2; i++)
            rmr_kernels_ref.kv8->query(query[i], x, 0, c.heads, c.rank, c.rope, 1.0f);
        attend(&rmr_kernels_ref, &c, 0);
        attend(set, &c, 1);
        if (!same(z[0], z[1], sizeof z[0] / sizeof z[0][0]) || !same(sum[0], sum[1], c.heads))
            return fail(&c, "at the ends");
    }
    return NULL;
}

uint64_t kv8_digest(const rmr_kernels *set, uint64_t (*fnv)(uint64_t, const void *, size_t),
                    uint64_t h)
{
    const kv8_case c = {300, 24, 230, 11, 0};
    float row[MAX_ROW];
    fill_pages(set, &c);
    fill_query(set, &c);
    attend(set, &c, 1);
    set->kv8->get(row, 0, page[1][1], 1, c.rank, c.rope);
    h = fnv(h, page[1], sizeof page[1]);
    h = fnv(h, query[1], sizeof query[1]);
    h = fnv(h, z[1], sizeof z[1]);
    h = fnv(h, sum[1], c.heads * sizeof sum[1][0]);
    return fnv(h, row, (c.rank + c.rope) * sizeof *row);
}

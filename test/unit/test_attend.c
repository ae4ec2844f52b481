/* SPDX-License-Identifier: Apache-2.0 */
/* Latent attention over long caches. A row's result has the same bits alone and beside any others,
 * whatever the number of threads: then it is cut into pieces of many sizes, and many rows are not
 * cut at all. And it is what softmax says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aligned.h"
#include "bed.h"

/* Two groups of heads; DEEP has more stretches than a unit has pieces at a time. */
enum { HEADS = 18, RANK = 24, ROPE = 8, WIDTH = RANK + ROPE, ROWS = 12, DEEP = 70000 };
enum { PAGES = (DEEP + RMR_PAGE_TOKENS - 1) / RMR_PAGE_TOKENS };
enum { IN, OUT, SLOTS };

/* Positions that a row sees: the borders of segments (256) and of stretches (4096), trees with all
 * and with some of their leaves, in pieces of all sizes with 2 to 7 threads. */
static const uint32_t seen[ROWS] = {1,    255,  256,  257,  1025, 1300,
                                    1792, 2500, 3333, 4097, 9000, DEEP};

typedef struct rig {
    bed bed;
    rmr_weight *queries; /* a table: row i of the input is query i */
    rmr_kv_type kv;
    unsigned char *pages;
    float *rows; /* [DEEP][WIDTH], as the cache has them */
} rig;

static const rmr_cache_stream latent = {RMR_STREAM_LATENT, 0, RMR_CACHE_LATENT, WIDTH, ROPE};

static uint64_t page_bytes(rmr_kv_type kv)
{
    return rmr_cache_part_bytes(&latent, kv);
}

static void put(rig *r, uint32_t pos, const float *x)
{
    const rmr_kernels *k = ((rmr_cpu *)r->bed.be)->k;
    unsigned char *const page = r->pages + pos / RMR_PAGE_TOKENS * page_bytes(r->kv);
    const uint32_t t = pos % RMR_PAGE_TOKENS;
    float *const back = r->rows + (size_t)pos * WIDTH;
    memcpy(back, x, WIDTH * sizeof *x);
    if (r->kv == RMR_KV_INT8) {
        k->kv8->put(page, t, x, RANK, ROPE);
    } else if (r->kv == RMR_KV_BF16) {
        uint16_t *const to = (uint16_t *)(void *)page + (size_t)t * WIDTH;
        k->elementwise->to_bf16(to, x, WIDTH);
        k->elementwise->from_bf16(back, to, WIDTH);
    } else {
        memcpy(page + (size_t)t * WIDTH * 4, x, WIDTH * 4);
    }
}

static void rig_init(rig *r, rmr_kv_type kv, uint32_t threads)
{
    r->kv = kv;
    bed_init(&r->bed, threads, 5);
    r->queries = bed_weight(
        &r->bed, (rmr_weight_desc){RMR_USE_TABLE, RMR_ELEM_F32, 1, ROWS, HEADS * WIDTH, {0}});
    r->pages = aligned_new(RMR_ALIGN, PAGES * page_bytes(kv));
    r->rows = malloc((size_t)DEEP * WIDTH * 4);
    assert_true(r->pages != NULL && r->rows != NULL);
    for (uint32_t p = 0; p < DEEP; p++) {
        float x[WIDTH];
        bed_floats(&r->bed, x, WIDTH);
        put(r, p, x);
    }
}

static void rig_free(rig *r)
{
    r->bed.be->ops->weight_free(r->bed.be, r->queries);
    bed_free(&r->bed);
    aligned_delete(r->pages);
    free(r->rows);
}

static const rmr_mla mla = {.heads = HEADS, .rope = ROPE, .rank = RANK, .scale = 0.5f};

/* Rows [first, first + n), each a session of its own over the same pages; their queries too where
 * `query` is not NULL. */
static void run(rig *r, uint32_t first, uint32_t n, float (*out)[HEADS * RANK], float *query)
{
    static _Alignas(RMR_ALIGN) unsigned char block[65536];
    const rmr_slot slots[SLOTS] = {{HEADS * WIDTH, 0}, {HEADS * RANK, 0}};
    const rmr_op list[] = {
        {.kind = RMR_OP_EMBED, .out = {IN, 0}, .w = r->queries, .n = HEADS * WIDTH},
        {.kind = RMR_OP_ATTEND_LATENT, .in = {IN, 0}, .out = {OUT, 0}, .mla = &mla},
    };
    const rmr_cache_layout cache = rmr_cache_layout_of(&latent, 1);
    const rmr_step_desc d = {list, 2, slots, SLOTS, ROWS, PAGES, 1, &cache};
    rmr_inputs in = {.n_rows = n, .n_runs = n, .n_pages = PAGES};
    assert_true(rmr_inputs_place(&in, block, ROWS, PAGES) <= sizeof block);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t pos = seen[first + i] - 1;
        in.run[i] = (rmr_run){i, 1, pos, 0, RMR_FORM_ABSORBED, r->kv};
        in.token[i] = (int32_t)(first + i);
        in.pos[i] = pos;
    }
    for (uint32_t i = 0; i < PAGES; i++)
        in.page[i] = (uint64_t)(uintptr_t)(r->pages + i * page_bytes(r->kv));
    rmr_step *s = bed_step(&r->bed, &d, &in);
    bed_read(&r->bed, s, OUT, n, out);
    if (query != NULL) bed_read(&r->bed, s, IN, n, query);
    bed_end(&r->bed, s);
}

static void same_bits(void **state)
{
    static float alone[ROWS][HEADS * RANK], beside[ROWS][HEADS * RANK];
    static const uint32_t counts[] = {1, 2, 3, 5, 8, ROWS}, threads[] = {1, 2, 3, 5, 7};
    (void)state;
    for (int kv = 0; kv < RMR_KV_TYPES; kv++)
        for (size_t w = 0; w < sizeof threads / sizeof *threads; w++) {
            rig r;
            rig_init(&r, (rmr_kv_type)kv, threads[w]);
            for (uint32_t i = 0; w == 0 && i < ROWS; i++) run(&r, i, 1, alone + i, NULL);
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
                for (uint32_t i = 0; i + counts[c] <= ROWS; i += counts[c]) {
                    memset(beside, 0, sizeof beside);
                    run(&r, i, counts[c], beside, NULL);
                    if (memcmp(beside, alone + i, counts[c] * sizeof *beside) != 0)
                        fail_msg("cache %d, %u threads, %u rows from %u: other bits", kv,
                                 threads[w], counts[c], i);
                }
            rig_free(&r);
        }
}

/* The largest difference from softmax in double, over the largest value. */
static double error_of(const rig *r, const float *query, uint32_t n, const float *got)
{
    double z[RANK] = {0}, sum = 0, most = 0, value = 0;
    for (uint32_t p = 0; p < n; p++) {
        const float *const key = r->rows + (size_t)p * WIDTH;
        double dot = 0;
        for (int i = 0; i < WIDTH; i++) dot += (double)query[i] * (double)key[i];
        const double e = exp(dot * (double)mla.scale);
        sum += e;
        for (int i = 0; i < RANK; i++) z[i] += e * (double)key[i];
    }
    for (int i = 0; i < RANK; i++) {
        most = fmax(most, fabs(z[i] / sum - (double)got[i]));
        value = fmax(value, fabs(z[i] / sum));
    }
    return most / value;
}

/* Float rounding over up to 70,000 positions whose sums cancel; the 8-bit cache is compared with
 * the numbers before they were rounded to 8 bits. Seen: 8e-7 and 0.004. */
static void what_softmax_says(void **state)
{
    static float out[1][HEADS * RANK], query[HEADS][WIDTH];
    (void)state;
    for (int kv = 0; kv < RMR_KV_TYPES; kv++) {
        rig r;
        rig_init(&r, (rmr_kv_type)kv, 2);
        for (uint32_t i = 0; i < ROWS; i++) {
            run(&r, i, 1, out, query[0]);
            for (int h = 0; h < HEADS; h += 17) {
                const double e = error_of(&r, query[h], seen[i], out[0] + h * RANK);
                if (e > (kv == RMR_KV_INT8 ? 0.02 : 1e-5))
                    fail_msg("cache %d, %u positions, head %d: error %g", kv, seen[i], h, e);
            }
        }
        rig_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits),
                                       cmocka_unit_test(what_softmax_says)};
    return cmocka_run_group_tests_name("attend", tests, NULL, NULL);
}

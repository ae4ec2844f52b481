/* SPDX-License-Identifier: Apache-2.0 */
/* What a parallel region costs by itself: regions in a row whose chunks do nothing, or so many
 * multiplications, one after the other; beside the same chunks without a pool's helpers.
 *
 *     regions [THREADS] prints a table: ns a region, the median of the passes */
#define _POSIX_C_SOURCE 200809L
#include "measure.h"
#include "pool.h"

enum { PASSES = 7, PASS_MS = 20 };

/* Work that no memory slows down: a chain of multiplications. */
static void chunk(void *arg, uint32_t i, uint32_t worker)
{
    volatile uint32_t sink;
    uint32_t x = i + worker;
    for (uint32_t k = *(const uint32_t *)arg; k > 0; k--) x = x * (x | 1);
    sink = x;
    (void)sink;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double region_ns(rmr_pool *pool, uint32_t n, uint32_t steps)
{
    double ns[PASSES];
    for (int p = 0; p < PASSES; p++) {
        const double start = now();
        uint32_t regions = 0;
        double end = start;
        for (; end - start < 1e-3 * PASS_MS; end = now(), regions += 32)
            for (int i = 0; i < 32; i++) rmr_pool_run(pool, n, chunk, &steps);
        ns[p] = 1e9 * (end - start) / regions;
    }
    qsort(ns, PASSES, sizeof *ns, by_value);
    return ns[PASSES / 2];
}

int main(int argc, char **argv)
{
    static const struct {
        uint32_t n, steps;
    } shape[] = {{2, 0}, {16, 0}, {16, 100}, {2, 1000}, {8, 1000}, {16, 1000}, {16, 10000}};
    const uint32_t threads = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
    rmr_mem mem = {0};
    rmr_pool *pool, *alone;
    rmr_mem_init(&mem);
    if (rmr_pool_create(&mem, threads, NULL, NULL, &pool, NULL) < 0) return 1;
    if (rmr_pool_create(&mem, 1, NULL, NULL, &alone, NULL) < 0) return 1;
    printf("| chunks | steps each | ns a region | ns by one thread | of ideal "
           "|\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
        const double one = region_ns(alone, shape[i].n, shape[i].steps);
        const double all = region_ns(pool, shape[i].n, shape[i].steps);
        printf("| %u | %u | %.0f | %.0f | %.2f |\n", shape[i].n, shape[i].steps, all, one,
               one / all / rmr_pool_width(pool));
    }
    rmr_pool_free(alone);
    rmr_pool_free(pool);
    return 0;
}
